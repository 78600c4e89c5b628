// A WebSocket that logs in each time it connects, as one of JsSIP's sockets: the token is a subprotocol, in no log.

/** The code of a disconnection without a connection; its reason is for people. */
export const NOT_OPENED = 0;

export class LoginSocket {
  #login;
  #refused;
  #socket = null;
  #attempt = 0; // counts what has been begun or given up: an answer to an earlier one is late

  /**
   * @param {string} url of the WebSocket
   * @param {import("./login.js").Login} login
   * @param {(failure: {text: string, code: string}) => void} refused called where another try is of no use
   */
  constructor(url, login, refused) {
    const { protocol, host } = new URL(url);
    this.url = url;
    this.sip_uri = `sip:${host};transport=ws`;
    this.via_transport = protocol === "wss:" ? "WSS" : "WS";
    this.#login = login;
    this.#refused = refused;
  }

  connect() {
    this.#connect(); // JsSIP takes no socket whose `connect` is an async function
  }

  async #connect() {
    this.disconnect();
    const attempt = this.#attempt;
    let token;
    try {
      token = await this.#login.token();
    } catch (failure) {
      if (attempt !== this.#attempt) return;
      if (failure.later) this.ondisconnect(true, NOT_OPENED, failure.text);
      else this.#refused(failure);
      return;
    }
    if (attempt === this.#attempt) this.#open(token);
  }

  disconnect() {
    this.#attempt += 1;
    const socket = this.#socket;
    if (!socket) return;
    this.#socket = socket.onopen = socket.onclose = socket.onmessage = null;
    socket.close();
  }

  send(message) {
    if (this.#socket?.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(message);
    return true;
  }

  #open(token) {
    const socket = new WebSocket(this.url, token ? ["sip", `token.${token}`] : ["sip"]);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => this.onconnect();
    socket.onclose = ({ wasClean, code, reason }) => this.ondisconnect(!wasClean, code, reason);
    socket.onmessage = ({ data }) => this.ondata(data);
    this.#socket = socket;
  }
}
