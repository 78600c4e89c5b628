// The page's face: draws a Phone into the elements of index.html. Nothing here decides anything.

import { levels } from "./levels.js";

const registrationTexts = {
  offline: "Not registered",
  connecting: "Connecting…",
  registering: "Registering…",
  registered: "Registered",
  lost: "No connection; trying again…",
  failed: "Not registered",
};
const callTexts = {
  incoming: "Incoming call",
  calling: "Calling…",
  ringing: "Ringing…",
  early: "Ringing…",
  connecting: "Connecting…",
  active: "In call",
};

export const element = (id) => document.getElementById(id);

function show(id, visible) {
  element(id).hidden = !visible;
}

function write(id, text) {
  const target = element(id);
  if (target.textContent !== text) target.textContent = text; // a repeated text would be read aloud again
}

/** Focuses an input, except where that would raise an on-screen keyboard. */
export function focusField(id) {
  if (matchMedia("(pointer: fine)").matches) element(id).focus({ preventScroll: true });
}

function clock(since) {
  const seconds = Math.floor((Date.now() - since) / 1000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

export class View {
  #ticker = null;
  #signedIn = false;
  #hadCall = false;

  /** @param {string} hint shown while nothing else goes on */
  constructor(hint) {
    this.hint = hint;
  }

  /** @param {import("./phone.js").Phone} phone */
  draw(phone) {
    const { call, outcome, registration } = phone;
    if (registration === "registered") this.#signedIn = true;
    if (registration === "offline" || registration === "failed") this.#signedIn = false;
    document.body.dataset.registration = registration;
    document.body.dataset.call = call?.state ?? "idle";
    document.title = call?.state === "incoming" ? `${call.peer} is calling` : "Phone";
    this.#account(phone);
    this.#call(call);
    show("dialer", this.#signedIn && !call);
    show("digits", this.#signedIn && (!call || call.state === "active" || call.state === "early"));
    show("failure", Boolean(outcome?.failed));
    show("ended", Boolean(outcome && !outcome.failed));
    write(outcome?.failed ? "failure-text" : "ended", outcome?.text ?? "");
    write("failure-code", outcome?.code ?? "");
    show("hint", this.#signedIn && !call && this.hint !== "");
    write("hint", this.hint);
    this.#focus(call);
  }

  #account({ account, registration, registrationFailure }) {
    const busy = registration === "connecting" || registration === "registering";
    write("account-name", this.#signedIn ? account.name : "Phone");
    element("account-name").title = this.#signedIn ? `${account.name}@${account.domain}` : "";
    write("registration", registrationTexts[registration]);
    show("account", !this.#signedIn);
    show("unregister", this.#signedIn);
    show("registration-failure", registrationFailure !== null && !this.#signedIn);
    const { text = "", code = "" } = registrationFailure ?? {};
    write("registration-failure-text", text);
    write("registration-failure-code", code);
    element("register").disabled = busy;
  }

  #call(call) {
    show("call", call !== null);
    clearInterval(this.#ticker);
    const stream = call?.stream ?? null;
    if (element("remote-audio").srcObject !== stream) element("remote-audio").srcObject = stream;
    if (!call) return;
    const ringing = call.state === "incoming";
    write("peer", call.peer);
    write("avatar", call.peer.slice(0, 1).toUpperCase());
    write("state", call.muted ? "In call, muted" : callTexts[call.state]);
    write("notice", call.notice);
    show("notice", call.notice !== "");
    show("answer", ringing);
    show("reject", ringing);
    show("hangup", !ringing);
    show("mute", call.state === "active");
    write("mute", call.muted ? "Unmute" : "Mute");
    element("mute").setAttribute("aria-pressed", String(call.muted));
    show("sent-digits", call.digits !== "");
    write("sent-digits", call.digits);
    show("timer", call.since !== null);
    show("levels", call.since !== null);
    if (call.since !== null) this.#tick(call);
  }

  #tick(call) {
    const tick = async () => {
      write("timer", clock(call.since));
      const { out, in: heard } = await levels(call.connection).catch(() => ({ out: 0, in: 0 }));
      element("level-out").style.setProperty("--level", Math.sqrt(out).toFixed(3));
      element("level-in").style.setProperty("--level", Math.sqrt(heard).toFixed(3));
    };
    tick();
    this.#ticker = setInterval(tick, 200);
  }

  /** Moves the focus where the next key belongs, but never from under somebody who types. */
  #focus(call) {
    const { activeElement } = document;
    const typing = activeElement?.matches("input") && !activeElement.closest("[hidden]") && activeElement.value !== "";
    if (call && !this.#hadCall) {
      if (call.state !== "incoming") element("call").focus(); // not a button: Enter, still held, would press it
      else if (!typing) element("answer").focus();
    }
    if (!call && this.#hadCall && this.#signedIn) focusField("target");
    this.#hadCall = Boolean(call);
  }
}
