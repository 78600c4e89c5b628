'use strict';
// SIP messages, as far as the load needs to read them.
const crypto = require('crypto');

const RUN = crypto.randomBytes(4).toString('hex');
let count = 0;

// A word that was never there before: for tags, branches and Call-IDs.
const token = () => RUN + (++count).toString(36);
const branch = () => `z9hG4bK${token()}`;

const SHORT = { v: 'via', f: 'from', t: 'to', i: 'call-id', m: 'contact' };

function read(text) {
  const end = text.indexOf('\r\n\r\n');
  const lines = text.slice(0, end).split('\r\n');
  const message = { via: [], recordRoute: [], header: {}, body: text.slice(end + 4) };
  const first = lines[0];
  if (first.startsWith('SIP/2.0 ')) message.status = Number(first.slice(8, 11));
  else message.method = first.slice(0, first.indexOf(' '));
  for (let number = 1; number < lines.length; number++) {
    const line = lines[number];
    const colon = line.indexOf(':');
    let name = line.slice(0, colon).trim().toLowerCase();
    name = SHORT[name] || name;
    const value = line.slice(colon + 1).trim();
    if (name === 'via') message.via.push(value);
    else if (name === 'record-route') message.recordRoute.push(value);
    else if (!(name in message.header)) message.header[name] = value;
  }
  const cseq = message.header.cseq || '';
  message.cseqMethod = cseq.slice(cseq.indexOf(' ') + 1);
  return message;
}

// The URI between < and > of a header.
function uriOf(value) {
  const start = value.indexOf('<');
  return start < 0 ? value.split(';')[0] : value.slice(start + 1, value.indexOf('>', start));
}

// The Route headers of a caller: the Record-Routes backwards. None has a comma within < and >.
const routesOf = (message) =>
  message.recordRoute.flatMap((value) => value.split(',')).reverse().map((route) => `Route: ${route.trim()}\r\n`).join('');

module.exports = { branch, read, routesOf, token, uriOf };
