// The test phone on SimpleUser of SIP.js: what it has of the others.
import { UserAgent, Web } from "sip.js";
import { Events, constraints, figures } from "./common.js";

const events = new Events();
let user;

window.phone = {
  events,

  async start(config) {
    user = new Web.SimpleUser(config.server, {
      aor: config.uri,
      media: { constraints: constraints(false), remote: { audio: document.getElementById("far") } },
      userAgentOptions: {
        authorizationUsername: UserAgent.makeURI(config.uri).user,
        authorizationPassword: config.password,
        logLevel: "warn",
        sessionDescriptionHandlerFactoryOptions: { peerConnectionConfiguration: { iceServers: [] } },
      },
    });
    user.delegate = {
      onRegistered: () => events.emit("registered", { code: 200 }),
      onCallReceived: () => events.emit("incoming"),
      onCallAnswered: () => events.emit("confirmed"),
      onCallHold: () => events.emit("changed"), // when the other side has agreed
      onCallHangup: () => events.emit("ended"),
    };
    await user.connect();
    return "connected";
  },

  register: () => void user.register(),
  call: (target) => void user.call(target),
  answer: () => void user.answer(),
  hangup: () => void user.hangup(),
  digits: (text) => void user.sendDTMF(text),
  change: (how) => void user[how](),
  stats: () => figures(user.session.sessionDescriptionHandler.peerConnection),
};
