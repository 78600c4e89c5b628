// Joins the page to the phone: what is clicked and typed goes in, what changes is drawn.

import { Phone } from "./phone.js";
import { bootstrapOf, recall, remember, serverSettings, socketUrl } from "./settings.js";
import { Tones } from "./tones.js";
import { View, element, focusField } from "./view.js";

const tonesOfStates = { incoming: "incoming", ringing: "ringing" };

async function start() {
  const settings = await serverSettings();
  const url = socketUrl(settings.websocket);
  const tones = new Tones();
  const view = new View(settings.hint);
  const phone = new Phone((changed) => {
    view.draw(changed);
    tones.play(tonesOfStates[changed.call?.state] ?? null);
  });
  fill(settings, url);
  wireAccount(phone, tones, settings, url);
  wireCall(phone, tones);
  wireKeys(phone);
  addEventListener("pagehide", () => phone.unregister());
  window.phone = phone; // for the curious, and for tests that look at the audio's statistics
  view.draw(phone);
}

function fill(settings, url) {
  const last = recall();
  element("name").value = last.name ?? "";
  element("domain").value = last.domain || settings.domain;
  element("password").value = settings.password;
  element("socket-url").textContent = url;
  focusField("name");
}

function wireAccount(phone, tones, settings, url) {
  element("account").addEventListener("submit", (event) => {
    event.preventDefault();
    tones.allow();
    const [name, domain] = ["name", "domain"].map((id) => element(id).value.trim());
    remember({ name, domain: domain === settings.domain ? "" : domain });
    const account = { name, domain, password: element("password").value };
    phone.register(account, url, bootstrapOf(settings, domain));
  });
  element("unregister").addEventListener("click", () => {
    phone.unregister();
    focusField("name");
  });
}

function wireCall(phone, tones) {
  element("dialer").addEventListener("submit", (event) => {
    event.preventDefault();
    tones.allow();
    if (element("target").value.trim()) phone.dial(element("target").value);
  });
  element("answer").addEventListener("click", () => phone.call?.answer());
  element("reject").addEventListener("click", () => phone.call?.hangUp());
  element("hangup").addEventListener("click", () => phone.call?.hangUp());
  element("mute").addEventListener("click", () => phone.call?.mute(!phone.call.muted));
  element("keypad").addEventListener("click", ({ target }) => press(phone, target.dataset.key));
}

function press(phone, key) {
  if (!key) return;
  if (phone.call) {
    phone.call.digit(key);
    return;
  }
  element("target").value += key;
}

function wireKeys(phone) {
  document.addEventListener("keydown", (event) => {
    if (!phone.call || event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input")) return;
    if (event.key === "Escape") phone.call.hangUp();
    else if (event.key === "m" && phone.call.state === "active") phone.call.mute(!phone.call.muted);
    else if (/^[0-9*#]$/.test(event.key)) phone.call.digit(event.key);
    else return;
    event.preventDefault();
  });
}

start();
