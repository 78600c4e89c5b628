// What the server says about itself, and what the browser remembers.

const remembered = ["name", "domain"];

/**
 * @returns {Promise<{domain: string, password: string, websocket: string, bootstrap: string, hint: string}>} the page's
 *   settings
 */
export async function serverSettings() {
  const settings = { domain: location.hostname, password: "", websocket: "/", bootstrap: "", hint: "" };
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

/**
 * @param {{domain: string, bootstrap: string}} settings
 * @returns {string} where users of a domain log in: "" where the server does not serve it, and where others on the way
 *   could read the password
 */
export function bootstrapOf(settings, domain) {
  return isSecureContext && domain.toLowerCase() === settings.domain.toLowerCase() ? settings.bootstrap : "";
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
