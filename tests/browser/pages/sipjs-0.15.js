// The test phone on SIP.js 0.15, whose API is another one: what the tests of versions use.
import { UA } from "sip.js-0.15";
import { Events, constraints, figures, play } from "./common.js";

const events = new Events();
const media = { sessionDescriptionHandlerOptions: { constraints: constraints(false) } };
let ua;
let session;

function watch(added) {
  session = added;
  added.on("trackAdded", () => {
    const { peerConnection } = added.sessionDescriptionHandler;
    play(new MediaStream(peerConnection.getReceivers().map((receiver) => receiver.track)));
  });
  added.on("accepted", () => events.emit("confirmed"));
  added.on("terminated", () => events.emit("ended"));
  added.on("reinviteAccepted", () => events.emit("changed"));
}

window.phone = {
  events,

  start(config) {
    ua = new UA({
      uri: config.uri,
      authorizationUser: config.uri.slice(4).split("@")[0],
      password: config.password,
      transportOptions: { wsServers: [config.server] },
      register: false,
      log: { level: "error" },
      sessionDescriptionHandlerFactoryOptions: { peerConnectionOptions: { rtcConfiguration: { iceServers: [] } } },
    });
    ua.on("registered", (response) => events.emit("registered", { code: response?.statusCode ?? 200 }));
    ua.on("invite", (added) => {
      watch(added);
      events.emit("incoming");
    });
    const connected = new Promise((resolve) => ua.transport.once("connected", () => resolve("connected")));
    ua.start();
    return connected;
  },

  register: () => void ua.register(),
  call: (target) => watch(ua.invite(target, media)),
  answer: () => void session.accept(media),
  hangup: () => void session.terminate(),
  digits: (text) => void session.dtmf(text),
  change: (how) => void session[how](),
  stats: () => figures(session.sessionDescriptionHandler.peerConnection),
};
