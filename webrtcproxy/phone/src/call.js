// One call, from the first ring to its end.

import { failureInWords, microphoneInWords } from "./causes.js";

function nameOf({ display_name: display, uri }) {
  if (display) return display;
  try {
    return decodeURIComponent(uri.user ?? "") || uri.host;
  } catch {
    return uri.user;
  }
}

export class Call {
  #session;
  #iceServers;
  #changed;
  #over;
  #hungUp = false;

  /**
   * @param {object} session JsSIP's RTCSession, just born
   * @param {() => Promise<object[]>} iceServers those of an answer that is given now
   * @param {{changed: () => void, over: (outcome: object) => void}} told of changes, and once of the end
   */
  constructor(session, iceServers, { changed, over }) {
    this.#session = session;
    this.#iceServers = iceServers;
    this.#changed = changed;
    this.#over = over;
    this.incoming = session.direction === "incoming";
    this.peer = nameOf(session.remote_identity);
    this.state = this.incoming ? "incoming" : "calling"; // then ringing or early, connecting, active
    this.muted = false;
    this.digits = "";
    this.since = null;
    this.notice = "";
    this.stream = null; // what the far side sends
    this.#listen(session);
  }

  /** The RTCPeerConnection, once there is one. */
  get connection() {
    return this.#session.connection ?? null;
  }

  async answer() {
    if (this.state !== "incoming") return;
    if (!navigator.mediaDevices) {
      this.#session.terminate({ status_code: 480 });
      return;
    }
    this.#becomes("connecting");
    const iceServers = await this.#iceServers();
    if (this.#session.isEnded()) return;
    this.#session.answer({ mediaConstraints: { audio: true, video: false }, pcConfig: { iceServers } });
  }

  /** Ends the call at whatever point it is: CANCEL, 603 or BYE. */
  hangUp() {
    if (this.#session.isEnded()) return;
    this.#hungUp = true;
    this.#session.terminate(this.state === "incoming" ? { status_code: 603, reason_phrase: "Decline" } : {});
  }

  mute(muted) {
    if (muted) this.#session.mute({ audio: true });
    else this.#session.unmute({ audio: true });
    this.muted = muted;
    this.#changed();
  }

  /** Sends one digit within the audio (RFC 4733), or by INFO where the far side did not agree to that. */
  digit(key) {
    if (this.state !== "active" && this.state !== "early") return;
    const inAudio = this.connection?.getSenders().some((sender) => sender.dtmf?.canInsertDTMF);
    this.#session.sendDTMF(key, { transportType: inAudio ? "RFC2833" : "INFO", duration: 120 });
    this.digits = (this.digits + key).slice(-24);
    this.#changed();
  }

  #listen(session) {
    if (session.connection) this.#watch(session.connection);
    else session.on("peerconnection", ({ peerconnection }) => this.#watch(peerconnection));
    session.on("getusermediafailed", (error) => this.#over({ failed: true, ...microphoneInWords(error) }));
    session.on("progress", ({ originator, response }) => {
      if (originator === "remote") this.#becomes(response?.body ? "early" : "ringing");
    });
    session.on("accepted", () => this.#becomes("connecting"));
    session.on("confirmed", () => {
      this.since = Date.now();
      this.#becomes("active");
    });
    session.on("ended", (event) => this.#over(this.#endOf(event)));
    session.on("failed", (event) => {
      if (event.cause !== "User Denied Media Access") this.#over(this.#failureOf(event)); // the reason comes next
    });
  }

  #watch(connection) {
    connection.addEventListener("track", ({ streams, track }) => {
      this.stream = streams[0] ?? new MediaStream([track]);
      this.#changed();
    });
    connection.addEventListener("connectionstatechange", () => {
      const { connectionState } = connection;
      if (connectionState === "failed") this.notice = "No audio: the media server cannot be reached.";
      else if (connectionState === "disconnected") this.notice = "The audio is interrupted.";
      else this.notice = "";
      this.#changed();
    });
  }

  #endOf(event) {
    if (event.cause !== "Terminated") return { failed: true, ...failureInWords({ cause: event.cause }) };
    const who = event.originator === "remote" ? `${this.peer} hung up.` : "Call ended.";
    return { failed: false, text: who, code: "" };
  }

  #failureOf(event) {
    if (this.#hungUp) return { failed: false, text: this.incoming ? "Call rejected." : "Call cancelled.", code: "" };
    if (this.incoming && event.cause === "Canceled") {
      const elsewhere = /cause\s*=\s*200/.test(event.message?.getHeader("Reason") ?? "");
      const text = elsewhere ? "Answered on another phone." : `Missed call from ${this.peer}.`;
      return { failed: false, text, code: "" };
    }
    if (!navigator.mediaDevices) return { failed: true, ...microphoneInWords({ name: "SecurityError" }) };
    const lost = event.originator === "local" && event.cause === "Canceled"; // JsSIP's word for an unsent INVITE
    return { failed: true, ...failureInWords(lost ? { cause: "Connection Error" } : event) };
  }

  #becomes(state) {
    this.state = state;
    this.#changed();
  }
}
