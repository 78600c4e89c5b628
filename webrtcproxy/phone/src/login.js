// Logging in at the proxy for a user of its own domain: the bootstrap document has a token, and the ICE servers.

/** Why there is no document: {text, code} as of failureInWords; `later` where another try is made. */
class NoLogin extends Error {
  constructor(text, code, later = false) {
    super(text);
    Object.assign(this, { text, code, later });
  }
}

export class Login {
  #address;
  #headers;
  #document = null; // null where the server has none for us: then the password is for SIP, as with a trunk
  #until = 0;

  /**
   * @param {string} address of the document
   * @param {{name: string, password: string, domain: string}} account
   */
  constructor(address, { name, password, domain }) {
    const octets = new TextEncoder().encode(`${name}@${domain}:${password}`);
    this.#address = address;
    this.#headers = { Authorization: `Basic ${btoa(String.fromCharCode(...octets))}` };
  }

  /**
   * Asks for the document.
   *
   * @returns {Promise<string|null>} the token of a new connection; null where there is to be none
   * @throws {{text: string, code: string, later: boolean}} see NoLogin
   */
  async token() {
    await this.#renew();
    return this.#document?.token ?? null;
  }

  /** @returns {Promise<object[]>} the ICE servers of a call that begins now, with credentials that are still valid */
  async iceServers() {
    if (this.#document && Date.now() >= this.#until) {
      await this.#renew().catch(() => {}); // the connection will say what is wrong; old ones may do
    }
    return this.#document?.iceServers ?? [];
  }

  async #renew() {
    let answer;
    try {
      answer = await fetch(this.#address, { cache: "no-store", headers: this.#headers });
    } catch {
      throw new NoLogin("", "", true);
    }
    const { status } = answer;
    const code = `${status} ${answer.statusText}`.trim();
    if (status === 401) throw new NoLogin("Wrong name or password.", code);
    if (status === 429) throw new NoLogin("Too many failed logins; trying again.", code, true);
    if (status >= 500) throw new NoLogin("The server cannot look up users at the moment; trying again.", code, true);
    const document = answer.ok ? await answer.json().catch(() => null) : null;
    this.#document = document;
    this.#until = Date.now() + (document?.expires ?? 0) * 1000;
  }
}
