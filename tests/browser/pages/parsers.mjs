// Which messages the libraries drop: reads a list of [name, message] from the standard input, and writes for each library
// and each message that it can't parse, or an identity in it, a line to the standard output.
import {readFileSync} from "node:fs";
import {createRequire} from "node:module";

const require = createRequire(import.meta.url);
const quiet = {warn() {}, error() {}, log() {}, debug() {}};
const sipjs = await import("./node_modules/sip.js/lib/core/messages/parser.js");
const parsers = {
  "jssip": message => require("./node_modules/jssip/lib/Parser.js").parseMessage(message, {}),
  "jssip-3.10": message => require("./node_modules/jssip-3.10/lib/Parser.js").parseMessage(message, {}),
  "sip.js": message => sipjs.Parser.parseMessage(message, quiet),
};

const {Grammar} = await import("./node_modules/sip.js/lib/grammar/grammar.js");
const addresses = {
  "jssip": text => require("./node_modules/jssip/lib/NameAddrHeader.js").parse(text),
  "jssip-3.10": text => require("./node_modules/jssip-3.10/lib/NameAddrHeader.js").parse(text),
  "sip.js": text => Grammar.nameAddrHeaderParse(text),
};
const identity = /^(?:P-Asserted-Identity|P-Preferred-Identity|Remote-Party-ID): (.*)$/gim;
const canRead = (library, message) =>
  [...message.matchAll(identity)].every(([, text]) => text.includes("<tel:") || addresses[library](text.trim()));

const messages = JSON.parse(readFileSync(0, "utf8"));
for (const [library, parse] of Object.entries(parsers)) {
  let count = 0;
  for (const [name, message] of messages) {
    let parsed;
    try {
      parsed = parse(message);
    } catch (error) {
      console.log(`${library} throws at ${name}: ${error.message}`);
      continue;
    }
    if (!parsed || !parsed.from || !parsed.to) console.log(`${library} drops ${name}`);
    else if (!canRead(library, message)) console.log(`${library} can't read the identity of ${name}`);
    else count++;
  }
  console.log(`${library}: ${count}`);
}
