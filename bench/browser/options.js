'use strict';
// The command line: each option of `defaults` as --name value.

const defaults = {
  mode: 'calls', // calls, register, idle, inbound
  url: '', // of the WebSocket
  trunk: '', // host:port that is called, and that registers
  clients: 50, // WebSockets, each a user of its own
  rate: 20, // operations a second
  seconds: 5, // for which operations are started
  hold: 500, // milliseconds that a call lasts
  held: 0, // calls that are up all the time besides
  timeout: 10000, // milliseconds without an answer, and an operation has failed
};

function fail(text) {
  process.stderr.write(`${text}\n`);
  process.exit(2);
}

const options = { ...defaults };
const words = process.argv.slice(2);
while (words.length) {
  const [word, value] = words.splice(0, 2);
  const name = word.replace(/^--/, '');
  if (!(name in defaults) || value === undefined) fail(`not understood: ${word}`);
  options[name] = typeof defaults[name] === 'number' ? Number(value) : value;
}
if (!options.url || !options.trunk) fail('--url and --trunk are needed');

module.exports = options;
