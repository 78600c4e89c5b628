// Why a call or a registration failed, in plain words.

const byStatus = {
  400: "The other side could not understand the request.",
  401: "Wrong name or password.",
  403: "The server does not allow this call.",
  404: "Nobody has this name or number.",
  405: "The other side cannot do this.",
  406: "The other side cannot take this call.",
  407: "Wrong name or password.",
  408: "No reply from the other side.",
  410: "This name or number is not in use any more.",
  413: "The request was too large.",
  415: "The other side cannot take this kind of call.",
  416: "This kind of address cannot be called.",
  420: "The other side lacks something that the call needs.",
  430: "The other side just lost its connection.",
  480: "Not there: not registered, or nobody answers.",
  481: "The call does not exist any more.",
  482: "The call went round in a loop.",
  483: "The call went through too many servers.",
  484: "The number is incomplete.",
  486: "Busy.",
  487: "The call was cancelled.",
  488: "The two sides have no audio format in common.",
  491: "The other side is busy changing the call; try again.",
  500: "The server has an internal error.",
  501: "The server cannot do this.",
  502: "The server got a broken reply from the next one.",
  503: "The service is unavailable: the media server or the trunk does not respond.",
  504: "A server further on does not respond.",
  513: "The message was too large.",
  600: "Busy everywhere.",
  603: "The other side declined the call.",
  604: "This name does not exist anywhere.",
  606: "The two sides have no audio format in common.",
};
const byClass = {
  3: "The other side has moved.",
  4: "The call could not be completed.",
  5: "The server failed.",
  6: "The call was refused.",
};
const byCause = {
  "Bad Media Description": "The browser cannot use the audio that the other side offers.",
  "Canceled": "The call was cancelled.",
  "Connection Error": "The connection to the server is lost.",
  "Dialog Error": "The call does not exist any more.",
  "Expires": "The call was not answered in time.",
  "Incompatible SDP": "The two sides have no audio format in common.",
  "Missing SDP": "The other side sent no audio description.",
  "No ACK": "The caller did not confirm the call.",
  "No Answer": "The call was not answered.",
  "RTP Timeout": "No audio came for too long.",
  "Request Timeout": "The server does not reply.",
  "User Denied Media Access": "The microphone cannot be used.",
  "WebRTC Error": "The browser could not set up the audio.",
};
const byMicrophoneError = {
  NotAllowedError: "The browser refused the microphone: allow it for this page and try again.",
  NotFoundError: "No microphone was found.",
  NotReadableError: "The microphone is in use by another program.",
  SecurityError: "The browser allows the microphone on secure pages (https) only.",
};

/**
 * @param {number} status a SIP status code
 * @returns {string} one sentence
 */
export function statusInWords(status) {
  return byStatus[status] ?? byClass[Math.floor(status / 100)] ?? "The call failed.";
}

/**
 * @param {{cause?: string, message?: object, response?: object}} event what JsSIP says of a failure
 * @returns {{text: string, code: string}} a sentence, and the SIP status with its reason phrase ("" without one)
 */
export function failureInWords({ cause, message, response }) {
  const answer = response ?? message;
  if (answer?.status_code) {
    const code = `${answer.status_code} ${answer.reason_phrase ?? ""}`.trim();
    return { text: statusInWords(answer.status_code), code };
  }
  return { text: byCause[cause] ?? `The call failed: ${cause ?? "unknown cause"}.`, code: "" };
}

/**
 * @param {DOMException} error what getUserMedia failed with
 * @returns {{text: string, code: string}} as of failureInWords
 */
export function microphoneInWords(error) {
  return { text: byMicrophoneError[error?.name] ?? "The microphone cannot be used.", code: error?.name ?? "" };
}
