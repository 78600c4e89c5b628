// The phone without its face: one account, at most one call. JsSIP speaks SIP; this keeps the state that is shown.

import JsSIP from "jssip";
import { Call } from "./call.js";
import { failureInWords, microphoneInWords } from "./causes.js";
import { Login } from "./login.js";
import { LoginSocket, NOT_OPENED } from "./socket.js";

const validName = /^[A-Za-z0-9._+-]+$/;

export class Phone {
  #agent = null;
  #login = null; // at the server, where it serves the domain itself
  #changed;

  /** @param {(phone: Phone) => void} changed called after every change of what can be seen */
  constructor(changed) {
    this.#changed = changed;
    this.account = { name: "", domain: "" };
    this.registration = "offline"; // offline, connecting, registering, registered, lost or failed
    this.registrationFailure = null;
    this.call = null;
    this.outcome = null; // of the last call: {failed, text, code}
  }

  /**
   * Connects and registers; an earlier account is given up first.
   *
   * @param {{name: string, password: string, domain: string}} account
   * @param {string} socketUrl of the WebSocket
   * @param {string} bootstrap where the server tells users of this domain what they need; "" where it does not
   */
  register(account, socketUrl, bootstrap = "") {
    this.unregister();
    this.account = { name: account.name, domain: account.domain };
    if (!validName.test(account.name)) {
      this.#registrationIs("failed", { text: "A name has letters, digits and . _ + - only.", code: "" });
      return;
    }
    const login = bootstrap ? new Login(bootstrap, account) : null;
    const refused = (failure) => this.#agent === agent && this.#loginFailed(failure);
    let agent;
    try {
      agent = new JsSIP.UA({
        sockets: [login ? new LoginSocket(socketUrl, login, refused) : new JsSIP.WebSocketInterface(socketUrl)],
        uri: `sip:${account.name}@${account.domain}`,
        password: account.password,
        connection_recovery_min_interval: 1,
        connection_recovery_max_interval: 15,
      });
    } catch {
      this.#registrationIs("failed", { text: "This is no valid name and domain.", code: "" });
      return;
    }
    this.#agent = agent;
    this.#login = login;
    this.#listen(agent, socketUrl);
    this.#registrationIs("connecting");
    agent.start();
  }

  /** Ends the call, takes the registration back and closes the socket. */
  unregister() {
    const agent = this.#agent;
    this.#agent = null;
    this.call?.hangUp();
    agent?.stop();
    this.#registrationIs("offline");
  }

  /** Calls `target`: a name or number of the own domain, user@host, or a sip: or tel: address. */
  async dial(target) {
    if (this.call || !this.#agent) return;
    this.outcome = null;
    const uri = this.#addressOf(target);
    const obstacle = this.#obstacle(uri);
    if (obstacle) {
      this.#callOver({ failed: true, ...obstacle });
      return;
    }
    const agent = this.#agent;
    const iceServers = await this.#iceServers();
    if (this.call || this.#agent !== agent) return;
    try {
      agent.call(uri, { mediaConstraints: { audio: true, video: false }, pcConfig: { iceServers } });
    } catch (error) {
      this.#callOver({ failed: true, text: "The call could not be started.", code: error.message });
    }
  }

  /** The ICE servers of a call that begins now. */
  async #iceServers() {
    return (await this.#login?.iceServers()) ?? [];
  }

  /** Why a call to `uri` need not be tried, as of failureInWords; null where nothing speaks against it. */
  #obstacle(uri) {
    if (!uri) return { text: "This is no name, number or SIP address.", code: "" };
    if (this.registration === "lost") return failureInWords({ cause: "Connection Error" });
    if (!navigator.mediaDevices) return microphoneInWords({ name: "SecurityError" });
    return null;
  }

  /** The URI to call; nothing where `target` is no address. */
  #addressOf(target) {
    const text = target.trim();
    try {
      if (/^tel:/i.test(text)) return this.#agent.normalizeTarget(text.slice(4));
      if (/^sips?:|@/i.test(text)) return this.#agent.normalizeTarget(text);
      return this.#agent.normalizeTarget(`${encodeURIComponent(text)}@${this.account.domain}`);
    } catch {
      return undefined; // a lone % in a user part
    }
  }

  #listen(agent, socketUrl) {
    const on = (event, handler) => agent.on(event, (data) => this.#agent === agent && handler(data ?? {}));
    on("connected", () => this.#registrationIs("registering"));
    on("registered", () => this.#registrationIs("registered"));
    on("disconnected", ({ code, reason }) => {
      const known = code === NOT_OPENED && reason;
      this.#registrationIs("lost", { text: known || `The server at ${socketUrl} cannot be reached; trying again.`, code: "" });
    });
    on("registrationFailed", (event) => {
      if (event.cause !== "Connection Error") this.#registrationIs("failed", failureInWords(event)); // else it is lost
    });
    on("unregistered", ({ response, cause }) => {
      if (response && cause) this.#registrationIs("failed", failureInWords({ response, cause }));
    });
    on("newRTCSession", ({ session }) => this.#take(session));
  }

  #take(session) {
    if (this.call) {
      session.terminate({ status_code: 486 });
      return;
    }
    this.outcome = null;
    this.call = new Call(session, () => this.#iceServers(), {
      changed: () => this.#changed(this),
      over: (outcome) => this.#callOver(outcome),
    });
    this.#changed(this);
  }

  #callOver(outcome) {
    this.call = null;
    this.outcome = outcome;
    this.#changed(this);
  }

  #loginFailed({ text, code }) {
    this.unregister();
    this.#registrationIs("failed", { text, code });
  }

  #registrationIs(state, failure = null) {
    this.registration = state;
    this.registrationFailure = failure;
    this.#changed(this);
  }
}
