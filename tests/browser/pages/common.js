// What both test phones share: the list of events that a test waits for, and the figures that prove audio.

export class Events {
  constructor() {
    this.all = [];
    this.fresh = [];
    this.waiting = [];
  }

  emit(name, detail = {}) {
    const event = { name, at: Math.round(performance.now()), ...detail };
    this.all.push(event);
    this.fresh.push(event);
    this.waiting = this.waiting.filter((look) => !look());
  }

  // The next event of that name which no one has been given yet. Rejects after `ms` with all that happened instead.
  next(name, ms) {
    return new Promise((resolve, reject) => {
      const look = () => {
        const place = this.fresh.findIndex((event) => event.name === name);
        if (place < 0) return false;
        clearTimeout(timer);
        resolve(this.fresh.splice(place, 1)[0]);
        return true;
      };
      const timer = setTimeout(() => {
        this.waiting = this.waiting.filter((other) => other !== look);
        reject(new Error(`no "${name}" within ${ms} ms; what happened: ${JSON.stringify(this.all)}`));
      }, ms);
      if (!look()) this.waiting.push(look);
    });
  }
}

// Both libraries offer the subprotocol `sip` only; a token goes beside it.
export function offer(protocol) {
  if (!protocol) return;
  const Native = window.WebSocket;
  window.WebSocket = class extends Native {
    constructor(url) { super(url, ["sip", protocol]); }
  };
}

// A small picture, ten times a second: that of the fake camera costs a whole processor otherwise.
export function constraints(video) {
  return { audio: true, video: video ? { width: 160, height: 120, frameRate: 10 } : false };
}

// Add what the user has chosen meanwhile to a connection: `camera`, `screen`, `microphone`. The next offer has it.
export async function add(connection, ...kinds) {
  for (const kind of kinds) {
    const stream = await (kind === "screen" ? painted() : navigator.mediaDevices.getUserMedia(
      kind === "camera" ? { video: constraints(true).video } : { audio: true },
    ));
    connection.addTrack(stream.getTracks()[0], stream);
  }
}

// A screen, which a browser without a user to ask does not share: a canvas that is painted anew ten times a second.
function painted() {
  const canvas = Object.assign(document.createElement("canvas"), { width: 160, height: 120 });
  const context = canvas.getContext("2d");
  setInterval(() => {
    context.fillStyle = `hsl(${performance.now() % 360}, 100%, 50%)`;
    context.fillRect(0, 0, canvas.width, canvas.height);
  }, 100);
  return canvas.captureStream(10);
}

// The direction that a description gives its first media line.
export function direction(sdp) {
  return /^a=(sendrecv|sendonly|recvonly|inactive)\r?$/m.exec(sdp)?.[1] ?? "sendrecv";
}

// Sound has an element of its own: one of video is silent until its first picture.
export function play(stream) {
  for (const place of ["far", "seen"]) {
    const element = document.getElementById(place);
    element.srcObject = stream;
    element.play().catch(() => undefined);
  }
}

// The pitch of what is heard during `ms`, in Hz for each thirtieth of a second; 0 where it is silent. It is recorded first: an
// AudioContext stands still on a machine without a sound card.
export async function tones(ms) {
  const recorder = new MediaRecorder(document.getElementById("far").srcObject);
  const parts = [];
  recorder.addEventListener("dataavailable", ({ data }) => parts.push(data));
  const stopped = new Promise((resolve) => recorder.addEventListener("stop", resolve));
  recorder.start();
  await new Promise((resolve) => setTimeout(resolve, ms));
  recorder.stop();
  await stopped;
  const context = new OfflineAudioContext(1, 1, 48000);
  const samples = (await context.decodeAudioData(await new Blob(parts).arrayBuffer())).getChannelData(0);
  const heard = [];
  for (let start = 0; start + 1600 <= samples.length; start += 1600) {
    const part = samples.subarray(start, start + 1600);
    const crossings = part.filter((sample, place) => place && (sample < 0) !== (part[place - 1] < 0)).length;
    const loud = part.some((sample) => Math.abs(sample) > 0.01);
    heard.push(loud ? crossings * 15 : 0);
  }
  return heard;
}

// Have the encoders of our cameras begin anew, with a picture that needs no other one. Behind a trunk, which has plain RTP,
// nobody can ask for that, and the first one is lost where the other end was not there as yet.
export async function freshPicture(connection) {
  for (const sender of connection.getSenders().filter((one) => one.track?.kind === "video")) {
    for (const active of [false, true]) {
      const parameters = sender.getParameters();
      parameters.encodings[0].active = active;
      await sender.setParameters(parameters);
    }
  }
}

// The candidates of a connection that may use those of the given kind only, and what went wrong while they were gathered.
export async function gather(iceServers, iceTransportPolicy = "relay") {
  const connection = new RTCPeerConnection({ iceServers, iceTransportPolicy });
  const candidates = [];
  const errors = [];
  connection.addEventListener("icecandidate", ({ candidate }) => candidate?.candidate && candidates.push(candidate.candidate));
  connection.addEventListener("icecandidateerror", ({ errorCode }) => errors.push(errorCode));
  const gathered = new Promise((resolve) => {
    connection.addEventListener("icegatheringstatechange", () => {
      if (connection.iceGatheringState === "complete") resolve();
    });
  });
  connection.addTransceiver("audio");
  await connection.setLocalDescription();
  await Promise.race([gathered, new Promise((resolve) => setTimeout(resolve, 10000))]);
  connection.close();
  return { candidates, errors };
}

// The kind of our candidate that is in use: host, srflx or relay; and how we reach the TURN server.
function usedCandidate(report) {
  let pair;
  report.forEach((entry) => {
    if (entry.type === "candidate-pair" && entry.nominated && entry.state === "succeeded") pair = entry;
  });
  const used = pair && report.get(pair.localCandidateId);
  return { candidate: used?.candidateType ?? "", relayProtocol: used?.relayProtocol ?? "" };
}

// Packets and audio energy of one RTCPeerConnection, both directions; frames, where there is video. Firefox does not
// count the energy that it sends: null. Older ones have no statistics of transports. `dtls` is of what carries the audio.
export async function figures(connection) {
  const audio = connection.getSenders().find((sender) => sender.track?.kind === "audio");
  const result = {
    received: 0, receivedEnergy: 0, sent: 0, sentEnergy: null, dtls: audio?.transport?.state ?? "",
    ice: connection.iceConnectionState, codec: "", framesReceived: 0, framesSent: 0, frameWidth: 0,
    views: 0,
  };
  const report = await connection.getStats();
  let transport;
  Object.assign(result, usedCandidate(report));
  report.forEach((entry) => {
    if (entry.type === "inbound-rtp" && entry.kind === "audio") {
      result.received += entry.packetsReceived;
      result.receivedEnergy += entry.totalAudioEnergy ?? 0;
      result.codec = report.get(entry.codecId)?.mimeType ?? "";
    } else if (entry.type === "inbound-rtp" && entry.kind === "video") {
      result.framesReceived += entry.framesDecoded ?? 0;
      result.views += (entry.framesDecoded ?? 0) >= 5 ? 1 : 0;
      result.frameWidth = entry.frameWidth ?? 0;
    } else if (entry.type === "outbound-rtp" && entry.kind === "video") {
      result.framesSent += entry.framesEncoded ?? 0;
    } else if (entry.type === "outbound-rtp" && entry.kind === "audio") {
      result.sent += entry.packetsSent;
      transport = report.get(entry.transportId);
    } else if (entry.type === "media-source" && entry.totalAudioEnergy !== undefined) {
      result.sentEnergy += entry.totalAudioEnergy;
    }
  });
  result.dtls = transport?.dtlsState ?? result.dtls;
  return result;
}
