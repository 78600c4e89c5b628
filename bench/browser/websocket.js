'use strict';
// A WebSocket client on Node's own tls and net: no more than the load needs, so that it costs little.
const crypto = require('crypto');
const net = require('net');
const tls = require('tls');

const TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10;
const FINAL = 0x80, MASKED = 0x80;
const CONNECT_TIMEOUT = 30000;

class WebSocket {
  constructor(url, { onMessage, onLost }) {
    this.url = new URL(url);
    this.onMessage = onMessage;
    this.onLost = onLost;
    this.open = false;
    this.rest = null; // the beginning of a frame
    this.fragments = '';
    this.mask = crypto.randomBytes(4); // one for all frames: nobody's proxy is in between
  }

  connect() {
    const url = this.url;
    const secure = url.protocol === 'wss:';
    return new Promise((resolve, reject) => {
      const place = { host: url.hostname, port: Number(url.port), rejectUnauthorized: false, ALPNProtocols: ['http/1.1'] };
      const socket = this.socket = secure ? tls.connect(place) : net.connect(place);
      socket.setNoDelay(true);
      const timer = setTimeout(() => socket.destroy(new Error('connect timeout')), CONNECT_TIMEOUT);
      socket.on(secure ? 'secureConnect' : 'connect', () => this.#ask());
      let head = Buffer.alloc(0);
      const onHead = (data) => {
        head = Buffer.concat([head, data]);
        const end = head.indexOf('\r\n\r\n');
        if (end < 0) return;
        clearTimeout(timer);
        socket.off('data', onHead);
        const status = head.toString('latin1', 0, head.indexOf('\r\n'));
        if (!status.startsWith('HTTP/1.1 101')) {
          socket.destroy(new Error(status));
          return;
        }
        this.open = true;
        socket.on('data', (more) => this.#receive(more));
        if (head.length > end + 4) this.#receive(head.subarray(end + 4));
        resolve();
      };
      socket.on('data', onHead);
      socket.on('error', (error) => reject(error));
      socket.on('close', () => {
        clearTimeout(timer);
        reject(new Error('closed'));
        if (this.open) {
          this.open = false;
          this.onLost();
        }
      });
    });
  }

  send(text, opcode = TEXT) {
    if (!this.open) return;
    const size = Buffer.byteLength(text, 'latin1');
    const start = size < 126 ? 6 : 8;
    const frame = Buffer.allocUnsafe(start + size);
    frame[0] = FINAL | opcode;
    if (start === 6) frame[1] = MASKED | size;
    else {
      frame[1] = MASKED | 126;
      frame.writeUInt16BE(size, 2);
    }
    const mask = this.mask;
    mask.copy(frame, start - 4);
    frame.latin1Write(text, start, size);
    for (let place = 0; place < size; place++) frame[start + place] ^= mask[place & 3];
    this.socket.write(frame);
  }

  close() {
    if (!this.open) return;
    this.open = false;
    this.socket.end();
  }

  #ask() {
    const { host, pathname } = this.url;
    this.socket.write(`GET ${pathname} HTTP/1.1\r\nHost: ${host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
      `Sec-WebSocket-Key: ${crypto.randomBytes(16).toString('base64')}\r\nSec-WebSocket-Version: 13\r\n` +
      'Sec-WebSocket-Protocol: sip\r\nOrigin: https://load.invalid\r\n\r\n');
  }

  #receive(data) {
    if (this.rest) data = Buffer.concat([this.rest, data]);
    let place = 0;
    while (data.length - place >= 2) {
      let size = data[place + 1] & 0x7f;
      let head = 2;
      if (size === 126) {
        if (data.length - place < 4) break;
        size = data.readUInt16BE(place + 2);
        head = 4;
      }
      if (data.length - place < head + size) break;
      const first = data[place];
      const text = data.toString('latin1', place + head, place + head + size);
      place += head + size;
      this.#frame(first & 15, (first & FINAL) !== 0, text);
    }
    this.rest = place < data.length ? data.subarray(place) : null;
  }

  #frame(opcode, final, text) {
    if (opcode === PING) this.send(text, PONG);
    else if (opcode === CLOSE) this.socket.end();
    else if (opcode <= BINARY) {
      this.fragments += text;
      if (!final) return;
      const whole = this.fragments;
      this.fragments = '';
      this.onMessage(whole);
    }
  }
}

module.exports = { WebSocket };
