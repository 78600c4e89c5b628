'use strict';
// The calls: from a phone, and to it.
const options = require('./options.js');
const sdp = require('./sdp.js');
const { branch, routesOf, token, uriOf } = require('./message.js');

const ALLOW = 'Allow: INVITE,ACK,CANCEL,BYE,UPDATE,MESSAGE,OPTIONS,REFER,INFO,NOTIFY\r\n';

class Call {
  constructor(phone, id, results) {
    this.phone = phone;
    this.id = id;
    this.tag = token();
    this.results = results;
    this.ended = false;
    this.onEnd = null;
    phone.calls.set(id, this);
    results.active++;
    results.attempted++;
  }

  startTimeout(milliseconds, what) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.fail(`timeout: ${what}`), milliseconds);
  }

  judge(body, kind) {
    const wrong = sdp.problem(body, kind);
    if (wrong) this.results.fault(`SDP: ${wrong}`);
  }

  fail(cause) {
    if (!this.end()) return;
    this.results.failure(cause);
    if (this.onEnd) this.onEnd();
  }

  complete() {
    if (!this.end()) return;
    this.results.completed++;
    if (this.onEnd) this.onEnd();
  }

  end() {
    if (this.ended) return false;
    this.ended = true;
    clearTimeout(this.timer);
    this.phone.calls.delete(this.id);
    this.results.active--;
    return true;
  }
}

// `hold`: milliseconds until it hangs up; with Infinity it stays, and `onUp` is called when it is up.
class OutgoingCall extends Call {
  constructor(phone, number, results, hold = options.hold, onUp = null) {
    super(phone, token(), results);
    this.hold = hold;
    this.onUp = onUp;
    this.cseq = 1;
    this.state = 'calling';
    this.uri = `sip:1000${number}@${options.trunk}`;
    this.from = `<sip:${phone.user}@${options.trunk}>;tag=${this.tag}`;
    this.to = `<${this.uri}>`;
    this.branch = branch();
    const body = sdp.offer(phone.fingerprint);
    this.startTimeout(options.timeout, 'INVITE');
    this.since = performance.now();
    phone.send(`INVITE ${this.uri} SIP/2.0\r\n${phone.via(this.branch)}Max-Forwards: 69\r\nTo: ${this.to}\r\n` +
      `From: ${this.from}\r\nCall-ID: ${this.id}\r\nCSeq: 1 INVITE\r\nContact: ${phone.contact}\r\n` +
      `Content-Type: application/sdp\r\n${ALLOW}Supported: ice,replaces,outbound\r\nUser-Agent: load\r\n` +
      `Content-Length: ${body.length}\r\n\r\n${body}`);
  }

  request(method, uri, mark, routes, to) {
    this.phone.send(`${method} ${uri} SIP/2.0\r\n${this.phone.via(mark)}Max-Forwards: 69\r\n${routes}To: ${to}\r\n` +
      `From: ${this.from}\r\nCall-ID: ${this.id}\r\nCSeq: ${this.cseq} ${method}\r\nUser-Agent: load\r\n` +
      'Content-Length: 0\r\n\r\n');
  }

  response(message) {
    const status = message.status;
    if (message.cseqMethod === 'BYE') {
      if (status === 200) this.complete();
      else if (status > 200) this.fail(`BYE ${status}`);
    } else if (message.cseqMethod === 'INVITE' && status >= 200) {
      if (status < 300) this.#answered(message);
      else {
        this.request('ACK', this.uri, this.branch, '', message.header.to);
        this.fail(`INVITE ${status}`);
      }
    }
  }

  ack() {}

  hungUp() {
    this.fail('BYE from the trunk');
  }

  #answered(message) {
    if (this.state === 'calling') {
      this.state = 'up';
      this.results.times.push(performance.now() - this.since);
      this.to = message.header.to;
      this.target = uriOf(message.header.contact);
      this.routes = routesOf(message);
      this.judge(message.body, 'answer');
      clearTimeout(this.timer);
      if (this.hold !== Infinity) this.timer = setTimeout(() => this.hangUp(), this.hold);
      if (this.onUp) this.onUp();
    }
    this.request('ACK', this.target, branch(), this.routes, this.to);
  }

  hangUp() {
    this.cseq++;
    this.startTimeout(options.timeout, 'BYE');
    this.request('BYE', this.target, branch(), this.routes, this.to);
  }
}

class IncomingCall extends Call {
  constructor(phone, invite) {
    super(phone, invite.header['call-id'], phone.results);
    this.judge(invite.body, 'offer');
    this.acknowledged = false;
    this.startTimeout(options.timeout + options.hold, 'BYE');
    const contact = `Contact: ${phone.contact}\r\n`;
    phone.answer(invite, 180, 'Ringing', this.tag, contact);
    phone.answer(invite, 200, 'OK', this.tag, `${contact}${ALLOW}User-Agent: load\r\nContent-Type: application/sdp\r\n`,
      sdp.answer(phone.fingerprint, invite.body));
  }

  response() {}

  ack() {
    this.acknowledged = true;
  }

  hungUp() {
    if (this.acknowledged) this.complete();
    else this.fail('BYE before ACK');
  }
}

module.exports = { ALLOW, IncomingCall, OutgoingCall };
