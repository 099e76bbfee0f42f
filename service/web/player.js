// One sound at a time, from any point.

export class Player {
  #context = null;
  #source = null;
  #began = 0;
  #ended = () => {};

  /** Play from `from` seconds on; `ended` is called once, with whether it came to its end. */
  play(buffer, from, ended) {
    this.stop();
    this.#context ??= new AudioContext();
    this.#context.resume();
    const source = this.#context.createBufferSource();
    source.buffer = buffer;
    source.connect(this.#context.destination);
    source.addEventListener("ended", () => this.#source === source && this.stop(true));
    source.start(0, from);
    this.#source = source;
    this.#began = this.#context.currentTime - from;
    this.#ended = ended;
  }

  stop(finished = false) {
    if (!this.#source) return;
    const [source, ended] = [this.#source, this.#ended];
    this.#source = null;
    source.stop();
    ended(finished);
  }

  /** Seconds from the sound's beginning. */
  get time() {
    return this.#context.currentTime - this.#began;
  }
}
