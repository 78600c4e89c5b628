'use strict';
// Session descriptions as a current Chrome writes them for audio, and what Chrome needs to find in one.
const crypto = require('crypto');

const HOST = '127.0.0.1';
const PORT = 21900; // no media flows
const LETTERS = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789';

const below = (limit) => Math.floor(Math.random() * limit);
const letters = (count) => Array.from({ length: count }, () => LETTERS[below(62)]).join('');
const sessionId = () => 1e15 + below(8e15);
const source = () => 1 + below(4294967290);

const fingerprint = () => crypto.randomBytes(32).toString('hex').toUpperCase().match(/../g).join(':');

const transport = (print, setup) =>
  `a=candidate:842163049 1 udp 2122260223 ${HOST} ${PORT} typ host generation 0 network-id 1 network-cost 10\r\n` +
  `a=candidate:1510613869 1 tcp 1518280447 ${HOST} 9 typ host tcptype active generation 0 network-id 1 network-cost 10\r\n` +
  `a=ice-ufrag:${letters(4)}\r\na=ice-pwd:${letters(24)}\r\na=ice-options:trickle\r\n` +
  `a=fingerprint:sha-256 ${print}\r\na=setup:${setup}\r\n`;

const STREAM = '5b1d3c0e-8b0c-4e7a-9d3b-8a5fd2b0c111';
const TRACK = '2f4a9c1e-77aa-4f8b-b1a0-3c2b6c1f9222';

function offer(print) {
  const ssrc = source();
  return `v=0\r\no=- ${sessionId()} 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\na=extmap-allow-mixed\r\n` +
    `a=msid-semantic: WMS ${STREAM}\r\n` +
    `m=audio ${PORT} UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126\r\nc=IN IP4 ${HOST}\r\na=rtcp:9 IN IP4 0.0.0.0\r\n` +
    transport(print, 'actpass') + 'a=mid:0\r\n' +
    'a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\n' +
    'a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time\r\n' +
    'a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01\r\n' +
    `a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r\na=sendrecv\r\na=msid:${STREAM} ${TRACK}\r\n` +
    'a=rtcp-mux\r\na=rtcp-rsize\r\na=rtpmap:111 opus/48000/2\r\na=rtcp-fb:111 transport-cc\r\n' +
    'a=fmtp:111 minptime=10;useinbandfec=1\r\na=rtpmap:63 red/48000/2\r\na=fmtp:63 111/111\r\na=rtpmap:9 G722/8000\r\n' +
    'a=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:13 CN/8000\r\na=rtpmap:110 telephone-event/48000\r\n' +
    'a=rtpmap:126 telephone-event/8000\r\n' +
    `a=ssrc:${ssrc} cname:t4Vz8mKq1xXbWn0e\r\na=ssrc:${ssrc} msid:${STREAM} ${TRACK}\r\n`;
}

function answer(print, offered) {
  const events = /^a=rtpmap:(\d+) telephone-event\/8000/m.exec(offered);
  const mid = /^a=mid:(\S+)/m.exec(offered);
  return `v=0\r\no=- ${sessionId()} 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n` +
    (mid ? `a=group:BUNDLE ${mid[1]}\r\n` : '') + `a=msid-semantic: WMS ${STREAM}\r\n` +
    `m=audio ${PORT} UDP/TLS/RTP/SAVPF 0${events ? ` ${events[1]}` : ''}\r\nc=IN IP4 ${HOST}\r\n` +
    'a=rtcp:9 IN IP4 0.0.0.0\r\n' + transport(print, 'active') + (mid ? `a=mid:${mid[1]}\r\n` : '') +
    'a=sendrecv\r\na=rtcp-mux\r\na=rtpmap:0 PCMU/8000\r\n' +
    (events ? `a=rtpmap:${events[1]} telephone-event/8000\r\n` : '') + `a=ssrc:${source()} cname:t4Vz8mKq1xXbWn0e\r\n`;
}

// What is wrong with what the gateway sent, or ''. `kind` is 'offer' or 'answer'.
function problem(sdp, kind) {
  if (!/^m=audio [1-9]\d* UDP\/TLS\/RTP\/SAVPF /m.test(sdp)) return 'no SAVPF';
  for (const name of ['fingerprint', 'ice-ufrag', 'ice-pwd', 'candidate']) {
    if (!sdp.includes(`\na=${name}:`)) return `no ${name}`;
  }
  const setup = /\na=setup:(\w+)/.exec(sdp);
  if (!setup) return 'no setup';
  if (kind === 'answer' && !['active', 'passive'].includes(setup[1])) return `setup ${setup[1]}`;
  if (!sdp.includes('\na=rtcp-mux')) return 'no rtcp-mux';
  if (sdp.includes('\na=crypto:')) return 'SDES';
  return '';
}

module.exports = { answer, fingerprint, offer, problem };
