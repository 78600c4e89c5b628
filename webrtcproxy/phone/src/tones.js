// The two tones of a phone, made on the spot: ringing here, ringing there.

const tones = {
  incoming: { frequencies: [659, 784], on: 0.9, every: 2.5, volume: 0.12 },
  ringing: { frequencies: [425], on: 1, every: 4, volume: 0.05 },
};

export class Tones {
  #audio = null;
  #timer = null;
  #kind = null;

  /** Must be called from a click or a key: browsers keep silent pages silent. */
  allow() {
    try {
      this.#audio ??= new AudioContext();
      if (this.#audio.state === "suspended") this.#audio.resume().catch(() => {});
    } catch {
      this.#audio = null; // no sound device: the page shows the ringing anyway
    }
  }

  /** @param {"incoming"|"ringing"|null} kind what to play from now on */
  play(kind) {
    if (kind === this.#kind) return;
    clearInterval(this.#timer);
    this.#kind = kind;
    if (!kind || !this.#audio) return;
    this.#once(tones[kind]);
    this.#timer = setInterval(() => this.#once(tones[kind]), tones[kind].every * 1000);
  }

  #once({ frequencies, on, volume }) {
    const start = this.#audio.currentTime;
    const gain = this.#audio.createGain();
    gain.gain.setValueAtTime(0, start);
    gain.gain.linearRampToValueAtTime(volume, start + 0.03);
    gain.gain.setValueAtTime(volume, start + on - 0.05);
    gain.gain.linearRampToValueAtTime(0, start + on);
    gain.connect(this.#audio.destination);
    for (const frequency of frequencies) {
      const tone = this.#audio.createOscillator();
      tone.frequency.value = frequency;
      tone.connect(gain);
      tone.start(start);
      tone.stop(start + on);
    }
  }
}
