'use strict';
// Browsers that make load: one process, Node's own modules only.
//
// It is led by stdin and tells on stdout, in lines: "connected" (goes on with a line of input), "ready" (all are
// registered where that is wanted, and the held calls are up; a line starts the load), "done" (a line lets it go),
// and at last its results. Where the far end of stdin is gone, it ends.
const options = require('./options.js');
const { Phone } = require('./phone.js');
const { OutgoingCall } = require('./calls.js');
const readline = require('readline');

const AT_ONCE = 24; // connections and registrations under way before the load
const SETTLE = 300;

const results = {
  attempted: 0, completed: 0, failed: 0, active: 0, lost: 0, late: 0, causes: {}, faults: 0, times: [],
  failure(cause) {
    this.failed++;
    this.causes[cause] = (this.causes[cause] || 0) + 1;
  },
  fault(what) { // the call goes on
    this.faults++;
    this.causes[what] = (this.causes[what] || 0) + 1;
  },
};

const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

const waiting = [];
const lines = [];
readline.createInterface({ input: process.stdin }).on('line', (line) => {
  if (waiting.length) waiting.shift()(line);
  else lines.push(line);
}).on('close', () => process.exit(3));
const word = () => (lines.length ? Promise.resolve(lines.shift()) : new Promise((resolve) => waiting.push(resolve)));

async function tell(event, more = {}) {
  process.stdout.write(`${JSON.stringify({ event, ...more })}\n`);
  await word();
}

// Do `work` for each of `items`, some of them at once.
async function each(items, work) {
  const rest = [...items];
  await Promise.all(Array.from({ length: AT_ONCE }, async () => {
    while (rest.length) await work(rest.shift());
  }));
}

// Start what is due by now, whether or not what was started before has ended.
async function paced(start) {
  const since = performance.now();
  const total = Math.round(options.rate * options.seconds);
  for (let started = 0; started < total;) {
    const due = Math.min(total, Math.floor((performance.now() - since) * options.rate / 1000) + 1);
    if (due - started > options.rate * 0.25 + 2) results.late++;
    while (started < due) start(started++);
    await sleep(Math.max(1, Math.min(50, since + started * 1000 / options.rate - performance.now())));
  }
}

const register = (phone) => new Promise((resolve) => phone.register((wrong) => {
  if (wrong) results.failure(wrong);
  resolve();
}));

// Calls that stay up; what they cost and how long they took is not counted, but that one fails is.
async function hold(phones) {
  const calls = [];
  await each(Array.from({ length: options.held }, (_, number) => number), (number) => new Promise((resolve) => {
    const call = new OutgoingCall(phones[number % phones.length], number, results, Infinity, resolve);
    call.onEnd = resolve;
    calls.push(call);
  }));
  Object.assign(results, { attempted: 0, active: 0, times: [] });
  return calls;
}

const hangUp = (call) => new Promise((resolve) => {
  if (call.ended) {
    resolve();
    return;
  }
  call.onEnd = resolve;
  call.hangUp();
});

const loads = {
  async calls(phones) {
    await paced((number) => new OutgoingCall(phones[number % phones.length], number, results));
    while (results.active > 0) await sleep(10);
  },
  async register(phones) {
    await paced((number) => {
      const phone = phones[number % phones.length];
      results.attempted++;
      if (phone.registering) {
        results.failure('still registering');
        return;
      }
      results.active++;
      phone.register((wrong, time) => {
        results.active--;
        if (wrong) results.failure(wrong);
        else {
          results.completed++;
          results.times.push(time);
        }
      });
    });
    while (results.active > 0) await sleep(10);
  },
  async idle() {
    await sleep(options.seconds * 1000);
  },
  async inbound() { // others call: until they are through
    await word();
    for (let turns = 0; turns < 300 && results.active > 0; turns++) await sleep(20);
  },
};

function quantile(part) {
  const sorted = results.times.sort((one, other) => one - other);
  return sorted.length ? Number(sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))].toFixed(2)) : null;
}

async function main() {
  const phones = Array.from({ length: options.clients }, (_, number) => new Phone(number, results));
  await each(phones, (phone) => phone.connect().catch((error) => results.failure(`connect: ${error.message}`)));
  await tell('connected');
  const open = phones.filter((phone) => phone.open);
  if (options.mode !== 'calls') await each(open, register);
  const held = await hold(open);
  await sleep(SETTLE);
  await tell('ready', { clients: open.length });
  const cpu = process.cpuUsage();
  await loads[options.mode](open);
  const { user, system } = process.cpuUsage(cpu);
  await tell('done');
  const { attempted, completed } = results;
  await each(held, hangUp);
  for (const phone of phones) phone.close();
  const { failed, lost, late, causes, faults } = results;
  process.stdout.write(`${JSON.stringify({
    event: 'results', attempted, completed, failed, lost, late, causes, faults,
    p50: quantile(0.5), p99: quantile(0.99), cpu: (user + system) / 1000,
  })}\n`, () => process.exit(0));
}

main().catch((error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exit(1);
});
