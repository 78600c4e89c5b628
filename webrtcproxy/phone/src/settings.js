// What the server says about itself, and what the browser remembers.

const remembered = ["name", "domain"];

/** @returns {Promise<{domain: string, password: string, websocket: string, hint: string}>} the page's settings */
export async function serverSettings() {
  const settings = { domain: location.hostname, password: "", websocket: "/", hint: "" };
  try {
    const answer = await fetch("settings.json", { cache: "no-store" });
    if (answer.ok) Object.assign(settings, await answer.json());
  } catch {
    // The page works without: the user fills in the domain.
  }
  return settings;
}

/** @returns {string} the WebSocket beside this page: same host, same port, same security */
export function socketUrl(path) {
  return `${location.protocol === "http:" ? "ws" : "wss"}://${location.host}${path}`;
}

/** @returns {object} the name used last, and the domain where it was not the server's, as far as storage is allowed */
export function recall() {
  try {
    return JSON.parse(localStorage.getItem("phone.account")) ?? {};
  } catch {
    return {};
  }
}

/** Keeps name and domain for the next visit (see recall), never the password. */
export function remember(account) {
  try {
    const kept = Object.fromEntries(remembered.map((key) => [key, account[key]]));
    localStorage.setItem("phone.account", JSON.stringify(kept));
  } catch {
    // Private windows may refuse; nothing depends on it.
  }
}
