'use strict';
// One browser: a WebSocket, a user, and the calls on it.
const crypto = require('crypto');
const options = require('./options.js');
const sdp = require('./sdp.js');
const { branch, read, token } = require('./message.js');
const { WebSocket } = require('./websocket.js');
const { ALLOW, IncomingCall } = require('./calls.js');

const EXPIRES = 600;

class Phone {
  constructor(number, results) {
    this.results = results;
    this.user = `u${number}`;
    this.host = `${token()}.invalid`;
    this.contact = `<sip:${this.user}@${this.host};transport=ws;ob>`;
    this.fingerprint = sdp.fingerprint();
    this.calls = new Map();
    this.instance = crypto.randomUUID();
    this.registerId = token();
    this.registerTag = token();
    this.registerNumber = 0;
    this.registering = null;
    this.socket = new WebSocket(options.url, { onMessage: (text) => this.#received(text), onLost: () => this.#lost() });
  }

  get open() {
    return this.socket.open;
  }

  connect() {
    return this.socket.connect();
  }

  close() {
    this.socket.close();
  }

  via(mark) {
    return `Via: SIP/2.0/WSS ${this.host};branch=${mark}\r\n`;
  }

  // Register; `done` is called with what went wrong ('' for nothing) and milliseconds.
  register(done) {
    const timer = setTimeout(() => this.#registered('timeout'), options.timeout);
    this.registering = { done, timer, since: performance.now() };
    const address = `<sip:${this.user}@${options.trunk}>`;
    this.send(`REGISTER sip:${options.trunk} SIP/2.0\r\n${this.via(branch())}Max-Forwards: 69\r\nTo: ${address}\r\n` +
      `From: ${address};tag=${this.registerTag}\r\nCall-ID: ${this.registerId}\r\nCSeq: ${++this.registerNumber} REGISTER\r\n` +
      `Contact: ${this.contact};+sip.ice;reg-id=1;+sip.instance="<urn:uuid:${this.instance}>";expires=${EXPIRES}\r\n` +
      `Expires: ${EXPIRES}\r\n${ALLOW}Supported: path,gruu,outbound\r\nUser-Agent: load\r\nContent-Length: 0\r\n\r\n`);
  }

  send(text) {
    this.socket.send(text);
  }

  answer(request, status, reason, tag, more = '', body = '') {
    let to = request.header.to;
    if (tag && !to.includes(';tag=')) to += `;tag=${tag}`;
    const routes = request.method === 'INVITE' ? request.recordRoute.map((value) => `Record-Route: ${value}\r\n`).join('') : '';
    this.send(`SIP/2.0 ${status} ${reason}\r\n${request.via.map((value) => `Via: ${value}\r\n`).join('')}${routes}` +
      `From: ${request.header.from}\r\nTo: ${to}\r\nCall-ID: ${request.header['call-id']}\r\nCSeq: ${request.header.cseq}\r\n` +
      `${more}Content-Length: ${body.length}\r\n\r\n${body}`);
  }

  #received(text) {
    if (text.length < 5) { // RFC 5626 keep-alive
      if (text === '\r\n\r\n') this.send('\r\n');
      return;
    }
    const message = read(text);
    const call = this.calls.get(message.header['call-id']);
    if (!message.status) this.#request(message, call);
    else if (message.cseqMethod === 'REGISTER') {
      if (message.status >= 200) this.#registered(message.status === 200 ? '' : `REGISTER ${message.status}`);
    } else if (call) call.response(message);
  }

  #request(message, call) {
    switch (message.method) {
      case 'INVITE':
        if (options.mode !== 'inbound') this.answer(message, 480, 'Temporarily Unavailable', token());
        else if (!call) new IncomingCall(this, message);
        break;
      case 'ACK':
        if (call) call.ack();
        break;
      case 'BYE':
        this.answer(message, call ? 200 : 481, call ? 'OK' : 'No Dialog');
        if (call) call.hungUp();
        break;
      default:
        this.answer(message, 200, 'OK', token());
    }
  }

  #registered(wrong) {
    if (!this.registering) return;
    const { done, timer, since } = this.registering;
    this.registering = null;
    clearTimeout(timer);
    done(wrong, performance.now() - since);
  }

  #lost() {
    this.results.lost++;
    for (const call of [...this.calls.values()]) call.fail('connection lost');
    this.#registered('connection lost');
  }
}

module.exports = { Phone };
