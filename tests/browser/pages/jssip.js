// The test phone on JsSIP.
import JsSIP from "jssip";
import { Events, add, constraints, figures, freshPicture, gather, offer, play, tones } from "./common.js";

const events = new Events();
const media = { mediaConstraints: constraints(false), pcConfig: { iceServers: [] } };
let ua;
let session;
let subscriber;
const sessions = [];

function status(event) {
  const message = event.message ?? event.response;
  return {
    by: event.originator ?? "", cause: event.cause ?? "",
    code: message?.status_code ?? 0, reason: message?.reason_phrase ?? "", method: message?.method ?? "",
  };
}

function watch(added) {
  const listen = (connection) => connection.addEventListener("track", (event) => play(event.streams[0]));
  if (added.connection) listen(added.connection);
  else added.on("peerconnection", (event) => listen(event.peerconnection));
  added.on("progress", (event) => {
    if (event.originator === "remote") events.emit("progress", { ...status(event), early: Boolean(event.response?.body) });
  });
  added.on("accepted", (event) => events.emit("accepted", {
    ...status(event),
    identity: event.response?.getHeader("P-Asserted-Identity") ?? "",
    expires: event.response?.getHeader("Session-Expires") ?? "", require: event.response?.getHeader("Require") ?? "",
  }));
  added.on("confirmed", (event) => events.emit("confirmed", status(event)));
  added.on("failed", (event) => events.emit("failed", status(event)));
  added.on("ended", (event) => events.emit("ended", status(event)));
  added.on("hold", (event) => events.emit("hold", status(event)));
  added.on("unhold", (event) => events.emit("unhold", status(event)));
  added.on("update", (event) => {
    events.emit("updated", { identity: event.request.getHeader("P-Asserted-Identity") ?? "" });
  });
  added.on("refer", (event) => {
    events.emit("referred", { to: event.request.refer_to.uri.toString() });
    event.accept(() => undefined, { ...media });
  });
  added.on("replaces", (event) => {
    events.emit("replaced");
    event.accept();
  });
  added.on("newDTMF", ({ originator, dtmf }) => originator === "remote" && events.emit("digit", { tone: dtmf.tone }));
  added.on("newInfo", (event) => events.emit("info", { by: event.originator, body: event.request.body ?? "" }));
}

// What becomes of a REFER of ours.
const transfer = {
  requestSucceeded: () => events.emit("referAccepted"),
  requestFailed: (event) => events.emit("referRefused", { code: event.response?.status_code ?? 0 }),
  trying: () => events.emit("transfer", { code: 100 }),
  progress: (event) => events.emit("transfer", { code: event.status_line.status_code }),
  accepted: (event) => events.emit("transfer", { code: event.status_line.status_code }),
  failed: (event) => events.emit("transfer", { code: event.status_line.status_code }),
};

function text(request) {
  return { from: request.from.uri.toString(), type: request.getHeader("Content-Type"), body: request.body };
}

window.phone = {
  events,

  start(config) {
    JsSIP.debug.disable();
    media.mediaConstraints = constraints(config.video);
    media.pcConfig = { iceServers: [], ...config.ice };
    offer(config.protocol);
    ua = new JsSIP.UA({
      sockets: [new JsSIP.WebSocketInterface(config.server)],
      uri: config.uri,
      ...(config.password ? { password: config.password } : {}),
      ...(config.bearer ? { authorization_jwt: config.bearer } : {}),
      register: false,
      register_expires: config.expires ?? 600,
    });
    ua.on("disconnected", () => events.emit("disconnected"));
    ua.on("registered", (event) => events.emit("registered", status(event)));
    ua.on("unregistered", (event) => events.emit("unregistered", status(event)));
    ua.on("registrationFailed", (event) => events.emit("registrationFailed", status(event)));
    ua.on("newRTCSession", (event) => {
      session = event.session;
      sessions.push(session);
      watch(session);
      if (event.originator === "remote") {
        const from = event.request.from;
        events.emit("incoming", {
          from: from.uri.toString(), display: from.display_name ?? "", target: event.request.ruri.toString(),
        });
      }
    });
    ua.on("newMessage", (event) => {
      if (event.originator === "remote") events.emit("message", text(event.request));
    });
    const connected = new Promise((resolve) => ua.on("connected", () => resolve("connected")));
    ua.start();
    return connected;
  },

  register: () => ua.register(),
  unregister: () => ua.unregister(),
  call: (target, headers = []) => void ua.call(target, { ...media, extraHeaders: headers }),
  answer: (options = {}) => session.answer({ ...media, ...options }),
  hangup: () => session.terminate(),
  reject: (code, reason) => session.terminate({ status_code: code, reason_phrase: reason }),
  digits: (text) => session.sendDTMF(text, { transportType: "INFO", duration: 160, interToneGap: 50 }),
  events4733: (text) => session.sendDTMF(text, { transportType: "RFC2833", duration: 160, interToneGap: 50 }),
  // `how` is hold, unhold or renegotiate; "changed" is emitted when the other side has agreed.
  change: (how, options = {}) => session[how](options, () => events.emit("changed")),
  // The calls so far are numbered from 0; what is done next is done in this one.
  select: (number) => { session = sessions[number]; },
  refer: (target) => void session.refer(target, { eventHandlers: transfer }),
  // Refers the other end of this call to the other end of that one.
  attend: (number) => void session.refer(sessions[number].remote_identity.uri, {
    eventHandlers: transfer, replaces: sessions[number],
  }),
  // What JsSIP does by itself when half of the session interval is over.
  refresh: () => session._sendUpdate({
    eventHandlers: {
      succeeded: (response) => events.emit("refreshed", { expires: response.getHeader("Session-Expires") }),
    },
  }),
  // A MESSAGE out of any dialog.
  message: (target, body) => void ua.sendMessage(target, body, {
    eventHandlers: {
      succeeded: (event) => events.emit("messageSent", status(event)),
      failed: (event) => events.emit("messageFailed", status(event)),
    },
  }),

  subscribe(target, name, expires) {
    subscriber = ua.subscribe(target, name, "*/*", { expires, params: {} });
    subscriber.on("accepted", () => events.emit("subscribed"));
    subscriber.on("notify", (final, request, body) => events.emit("notify", {
      state: request.getHeader("Subscription-State"), type: request.getHeader("Content-Type"), body,
    }));
    subscriber.on("terminated", (code, reason) => events.emit("subscriptionEnded", { code, reason: reason ?? "" }));
    subscriber.subscribe();
  },

  refreshSubscription: () => subscriber.subscribe(),
  unsubscribe: () => subscriber.terminate(),
  add: (...kinds) => add(session.connection, ...kinds),
  freshPicture: () => freshPicture(session.connection),
  gather,
  tones,
  stats: () => figures(session.connection),
};
