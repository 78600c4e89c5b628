// How loud both directions are, for the two bars that show that audio flows.

/**
 * @param {RTCPeerConnection} connection
 * @returns {Promise<{out: number, in: number}>} both 0 to 1
 */
export async function levels(connection) {
  const found = { out: 0, in: 0 };
  for (const report of (await connection.getStats()).values()) {
    if (report.kind !== "audio") continue;
    if (report.type === "media-source") found.out = report.audioLevel ?? 0;
    if (report.type === "inbound-rtp") found.in = report.audioLevel ?? 0;
  }
  return found;
}
