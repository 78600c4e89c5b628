// The test phone on SIP.js.
import {
  Invitation, Inviter, Messager, Registerer, SIPExtension, SessionState, Subscriber, SubscriptionState, UserAgent,
} from "sip.js";
import { Events, add, constraints, direction, figures, freshPicture, gather, offer, play, tones } from "./common.js";

const events = new Events();
const media = { sessionDescriptionHandlerOptions: { constraints: constraints(false) } };
let ua;
let registerer;
let session;
let subscriber;
const sessions = [];
let refused = {};

function status(response) {
  const message = response?.message ?? {};
  return { code: message.statusCode ?? 0, reason: message.reasonPhrase ?? "", method: message.method ?? "" };
}

// What becomes of a REFER of ours.
const transfer = {
  requestDelegate: {
    onAccept: () => events.emit("referAccepted"),
    onReject: (response) => events.emit("referRefused", status(response)),
  },
  onNotify: (notification) => {
    const code = Number(/^SIP\/2.0 (\d+)/.exec(notification.request.body)?.[1] ?? 0);
    events.emit("transfer", { code });
    notification.accept();
  },
};

function watch(added) {
  sessions.push(added);
  let established = false;
  let ender = "local";
  refused = {};
  added.delegate = {
    onBye: () => { ender = "remote"; },
    onCancel: () => { refused = { by: "remote", cause: "Canceled", method: "CANCEL" }; },
    onInvite: (request, response, code) => {
      const identity = request.getHeader("P-Asserted-Identity");
      if (identity) events.emit("updated", { identity, code });
      if (code === 200 && request.body) {
        const way = direction(request.body);
        events.emit(way === "sendonly" || way === "inactive" ? "hold" : "unhold", { by: "remote" });
      }
    },
    onInfo: (info) => {
      events.emit("info", { by: "remote", body: info.request.body ?? "" });
      info.accept();
    },
    onRefer: (referral) => {
      events.emit("referred", { to: referral.referTo.uri.toString() });
      referral.accept().then(() => {
        session = referral.makeInviter({ ...media });
        watch(session);
        session.invite();
      });
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
    media.sessionDescriptionHandlerOptions.constraints = constraints(config.video);
    offer(config.protocol);
    const extraHeaders = config.bearer ? [`Authorization: ${config.bearer}`] : [];
    ua = new UserAgent({
      uri: UserAgent.makeURI(config.uri),
      transportOptions: { server: config.server },
      authorizationUsername: UserAgent.makeURI(config.uri).user,
      authorizationPassword: config.password,
      logLevel: "warn",
      sipExtension100rel: config.reliable ? SIPExtension.Supported : SIPExtension.Unsupported,
      sipExtensionReplaces: SIPExtension.Supported,
      sessionDescriptionHandlerFactoryOptions: { peerConnectionConfiguration: { iceServers: [], ...config.ice } },
      delegate: {
        onDisconnect: () => events.emit("disconnected"),
        onMessage: (message) => {
          const { request } = message;
          events.emit("message", {
            from: request.from.uri.toString(), type: request.getHeader("Content-Type"), body: request.body,
          });
          message.accept();
        },
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
    registerer = new Registerer(ua, { expires: config.expires ?? 600, extraHeaders });
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

  // `options` are the Inviter's: `inviteWithoutSdp`, `earlyMedia`.
  call(target, headers = [], options = {}) {
    session = new Inviter(ua, UserAgent.makeURI(target), { ...media, extraHeaders: headers, ...options });
    watch(session);
    session.invite({
      requestDelegate: {
        onProgress: (response) => events.emit("progress", { ...status(response), early: Boolean(response.message.body) }),
        onAccept: (response) => events.emit("accepted", status(response)),
        onReject: (response) => { refused = { by: "remote", ...status(response) }; },
      },
    });
  },

  answer: () => void session.accept(media).then(() => events.emit("accepted")),

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

  events4733: (text) => void session.sessionDescriptionHandler.sendDtmf(text, { duration: 160, interToneGap: 50 }),

  // `how` is hold, unhold or renegotiate; "changed" is emitted when the other side has agreed.
  change(how, options = {}) {
    const hold = how === "hold" || (how === "renegotiate" && session.sessionDescriptionHandlerOptionsReInvite.hold);
    session.sessionDescriptionHandlerOptionsReInvite = { ...media.sessionDescriptionHandlerOptions, ...options, hold };
    session.invite({
      requestDelegate: {
        onAccept: () => {
          if (how !== "renegotiate") events.emit(how, { by: "local" });
          events.emit("changed");
        },
        onReject: (response) => {
          // SIP.js itself leaves the connection with an offer that nobody answers.
          const { peerConnection } = session.sessionDescriptionHandler;
          session.sessionDescriptionHandlerOptionsReInvite = media.sessionDescriptionHandlerOptions;
          peerConnection.setLocalDescription({ type: "rollback" })
            .then(() => events.emit("unchanged", { by: "remote", ...status(response) }));
        },
      },
    });
  },

  // The calls so far are numbered from 0; what is done next is done in this one.
  select: (number) => { session = sessions[number]; },
  refer: (target) => void session.refer(UserAgent.makeURI(target), transfer),
  // Refers the other end of this call to the other end of that one.
  attend: (number) => void session.refer(sessions[number], transfer),

  // A MESSAGE out of any dialog.
  message: (target, body) => void new Messager(ua, UserAgent.makeURI(target), body).message({
    requestDelegate: {
      onAccept: (response) => events.emit("messageSent", { by: "remote", ...status(response) }),
      onReject: (response) => events.emit("messageFailed", { by: "remote", ...status(response) }),
    },
  }),

  subscribe(target, name, expires) {
    subscriber = new Subscriber(ua, UserAgent.makeURI(target), name, { expires });
    subscriber.delegate = {
      onNotify: (notification) => {
        const { request } = notification;
        events.emit("notify", {
          state: request.getHeader("Subscription-State"), type: request.getHeader("Content-Type"), body: request.body,
        });
        notification.accept();
      },
    };
    subscriber.stateChange.addListener((state) => {
      if (state === SubscriptionState.Subscribed) events.emit("subscribed");
      else if (state === SubscriptionState.Terminated) events.emit("subscriptionEnded");
    });
    subscriber.subscribe();
  },

  refreshSubscription: () => void subscriber.subscribe(),
  unsubscribe: () => void subscriber.unsubscribe(),
  add: (...kinds) => add(session.sessionDescriptionHandler.peerConnection, ...kinds),
  freshPicture: () => freshPicture(session.sessionDescriptionHandler.peerConnection),
  gather,
  tones,
  stats: () => figures(session.sessionDescriptionHandler.peerConnection),
};
