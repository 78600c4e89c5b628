// Which messages the libraries drop: reads a list of [name, message] from the standard input, and writes for each library
// and each message that it can't parse a line to the standard output.
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
    else count++;
  }
  console.log(`${library}: ${count}`);
}
