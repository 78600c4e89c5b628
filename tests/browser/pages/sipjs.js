// The test phone on SIP.js.
import { Invitation, Inviter, Registerer, SessionState, UserAgent } from "sip.js";
import { Events, figures, play } from "./common.js";

const events = new Events();
const constraints = { sessionDescriptionHandlerOptions: { constraints: { audio: true, video: false } } };
let ua;
let registerer;
let session;
let refused = {};

function status(response) {
  const message = response?.message ?? {};
  return { code: message.statusCode ?? 0, reason: message.reasonPhrase ?? "", method: message.method ?? "" };
}

function watch(added) {
  let established = false;
  let ender = "local";
  refused = {};
  added.delegate = {
    onBye: () => { ender = "remote"; },
    onCancel: () => { refused = { by: "remote", cause: "Canceled", method: "CANCEL" }; },
    onInfo: (info) => {
      events.emit("info", { by: "remote", body: info.request.body ?? "" });
      info.accept();
    },
    onSessionDescriptionHandler: (handler) => play(handler.remoteMediaStream),
  };
  added.stateChange.addListener((state) => {
    if (state === SessionState.Established) {
      established = true;
      events.emit("confirmed");
    } else if (state === SessionState.Terminated) {
      // The delegate hears of a refusal behind this, in the same turn.
      setTimeout(() => events.emit(established ? "ended" : "failed", { by: ender, ...refused }), 0);
    }
  });
}

window.phone = {
  events,

  async start(config) {
    ua = new UserAgent({
      uri: UserAgent.makeURI(config.uri),
      transportOptions: { server: config.server },
      authorizationUsername: UserAgent.makeURI(config.uri).user,
      authorizationPassword: config.password,
      logLevel: "warn",
      sessionDescriptionHandlerFactoryOptions: { peerConnectionConfiguration: { iceServers: [] } },
      delegate: {
        onDisconnect: () => events.emit("disconnected"),
        onInvite: (invitation) => {
          session = invitation;
          watch(session);
          events.emit("incoming", {
            from: invitation.remoteIdentity.uri.toString(), display: invitation.remoteIdentity.displayName,
            target: invitation.request.ruri.toString(),
          });
        },
      },
    });
    registerer = new Registerer(ua, { expires: config.expires ?? 600 });
    await ua.start();
    return "connected";
  },

  register: () => void registerer.register({
    requestDelegate: {
      onAccept: (response) => events.emit("registered", status(response)),
      onReject: (response) => events.emit("registrationFailed", status(response)),
    },
  }),

  unregister: () => void registerer.unregister({
    requestDelegate: { onAccept: (response) => events.emit("unregistered", status(response)) },
  }),

  call(target, headers = []) {
    session = new Inviter(ua, UserAgent.makeURI(target), { ...constraints, extraHeaders: headers });
    watch(session);
    session.invite({
      requestDelegate: {
        onProgress: (response) => events.emit("progress", { ...status(response), early: Boolean(response.message.body) }),
        onAccept: (response) => events.emit("accepted", status(response)),
        onReject: (response) => { refused = { by: "remote", ...status(response) }; },
      },
    });
  },

  answer: () => void session.accept(constraints).then(() => events.emit("accepted")),

  hangup() {
    if (session.state === SessionState.Established) session.bye();
    else if (session instanceof Invitation) session.reject();
    else session.cancel();
  },

  reject: (code, reason) => void session.reject({ statusCode: code, reasonPhrase: reason }),

  digits: (text) => void session.info({
    requestOptions: {
      body: {
        contentDisposition: "render", contentType: "application/dtmf-relay", content: `Signal=${text}\r\nDuration=160`,
      },
    },
  }),

  stats: () => figures(session.sessionDescriptionHandler.peerConnection),
};
