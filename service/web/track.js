// One of the two clips: where it is chosen or recorded, seen, and played from any point.

import { $, el, seconds } from "./dom.js";
import { Entries } from "./entries.js";
import { height } from "./mel.js";
import { MASK, MASK_TOP, SPECTROGRAM, SPECTROGRAM_TOP, paint } from "./picture.js";
import { record } from "./recorder.js";
import { Lanes } from "./sounds.js";
import { maskSentence, masked, soundSentence, tableRows } from "./words.js";

const STEP_S = 0.1;
const LEAP_S = 1;
const TICKS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60, 120, 300, 600];

/** Tells "choose" (detail: files) and "remove"; what is in it is set from outside. */
export class Track extends EventTarget {
  clip = null;
  #timeline = null;
  #sounds = [];
  #position = 0;
  #recording = null;
  #recorded = 0;
  #playing = false;
  #frame = 0;

  constructor(letter, invite, player, limits) {
    super();
    this.letter = letter;
    this.player = player;
    this.limits = limits;
    const section = this.element = $("#track").content.cloneNode(true).firstElementChild;
    section.dataset.letter = letter;
    section.setAttribute("aria-label", `Clip ${letter}`);
    $(".badge", section).textContent = letter;
    $(".invite", section).textContent = invite;
    $("input", section).setAttribute("aria-label", `Choose a file for clip ${letter}`);
    $(".record", section).setAttribute("aria-label", `Record clip ${letter}`);
    $(".warnings", section).setAttribute("aria-label", `What of clip ${letter} could not be heard`);
    $(".scroll", section).setAttribute("aria-label", `Clip ${letter} in numbers`);
    this.lane = $(".lane", section);
    this.lane.setAttribute("aria-label", `Position in clip ${letter}: Enter plays, arrows move`);
    $(".lanes", section).setAttribute("aria-label", `Sounds in clip ${letter}: Enter plays, arrows move`);
    this.lanes = new Lanes($(".lanes", section), (time) => this.#play(time));
    const entries = $(".entries", section);
    entries.setAttribute("aria-label", `What is heard when in clip ${letter}`);
    this.entries = new Entries(entries, (time) => this.clip.buffer && this.#play(time));
    this.#listen();
    this.clear();
  }

  /** Show a clip that was opened. */
  set(clip) {
    const focused = this.element.contains(document.activeElement);
    this.#reset();
    this.clip = clip;
    $(".name", this.element).textContent = clip.file.name;
    this.#show(".play", clip.buffer);
    this.#show(".remove", true);
    this.#show(".view", clip.picture);
    this.#show(".words", clip.picture);
    this.#note(clip.picture ? null : "No picture: this browser cannot decode the file, or it is too large. The service may still hear it.");
    this.element.dataset.state = "filled";
    this.#seek(0);
    if (focused) $(clip.buffer ? ".play" : ".remove", this.element).focus();
  }

  clear() {
    const focused = this.element.contains(document.activeElement);
    this.#reset();
    $(".name", this.element).textContent = "";
    for (const part of [".play", ".remove", ".view", ".words"]) this.#show(part, false);
    this.#note(null);
    this.element.dataset.state = "empty";
    if (focused) $("input", this.element).focus();
  }

  /**
   * What the service says of it: the audio's facts and warnings, the sounds that are heard or new in
   * it with what is to be said where there are none, or the mask over it.
   */
  describe(audio, { sounds = [], nothing = null, timeline = null }) {
    const channels = { 1: "mono", 2: "stereo" }[audio.channels] ?? `${audio.channels} channels`;
    $(".facts", this.element).textContent =
      `${seconds(audio.duration_s)} · ${(audio.sample_rate / 1000).toFixed(1)} kHz · ${channels} · ${audio.format}`;
    this.#warn(audio.warnings);
    this.#timeline = timeline;
    this.#sounds = sounds;
    if (!this.clip.picture) return;
    this.lanes.show(sounds, this.clip.duration);
    this.#note(sounds.length ? null : nothing ?? maskSentence(timeline));
  }

  /** Let the entries be taken as a file. */
  offer() {
    const link = $(".vtt", this.element);
    URL.revokeObjectURL(link.href);
    link.href = URL.createObjectURL(new Blob([this.entries.vtt()], { type: "text/vtt" }));
    link.download = `${this.clip.file.name.replace(/\.[^.]*$/, "")}.vtt`;
    this.#show(".take", true);
  }

  /** Paint, on an axis that both clips share; `peak` is the level of the strongest colour. */
  draw(span, peak) {
    if (!this.clip?.picture) return;
    this.span = this.lanes.span = span;
    paint($("canvas", this.lane), this.clip, { span, peak, timeline: this.#timeline });
    this.#label(span);
    $(".words p", this.element).textContent = soundSentence(this.clip, this.limits.top);
    $(".words table", this.element).replaceChildren(
      ...tableRows(this.clip, { timeline: this.#timeline, sounds: this.#sounds }, this.limits.top));
    this.#seek(this.#position);
  }

  // -- playing ----------------------------------------------------------------------------

  #play(from) {
    const start = from >= this.clip.duration - 0.01 ? 0 : from;
    this.player.play(this.clip.buffer, start, (finished) => {
      this.#playing = false;
      cancelAnimationFrame(this.#frame);
      // Not by the clock: it may stand a little before the end.
      this.#seek(finished ? 0 : this.player.time);
      this.#named();
    });
    this.#playing = true;
    this.#named();
    const follow = () => {
      this.#place(this.player.time);
      this.#frame = requestAnimationFrame(follow);
    };
    follow();
  }

  #toggle() {
    if (this.#playing) this.player.stop();
    else this.#play(this.#position);
  }

  /** Move to a time; a sound that plays goes on from there. */
  #seek(time) {
    if (!this.clip?.picture) return;
    this.#position = Math.min(Math.max(0, time), this.clip.duration);
    this.lane.setAttribute("aria-valuemax", this.clip.duration.toFixed(2));
    this.lane.setAttribute("aria-valuenow", this.#position.toFixed(2));
    this.lane.setAttribute("aria-valuetext", `${this.#position.toFixed(1)} of ${this.clip.duration.toFixed(1)} seconds`);
    this.#place(this.#position);
  }

  #place(time) {
    const share = Math.min(time, this.clip.duration) / (this.span ?? this.clip.duration);
    $(".playhead", this.element).style.insetInlineStart = `${100 * share}%`;
  }

  #named() {
    const button = $(".play", this.element);
    button.dataset.playing = this.#playing;
    $("span", button).textContent = this.#playing ? "Pause" : "Play";
    button.setAttribute("aria-label", `${this.#playing ? "Pause" : "Play"} clip ${this.letter}`);
  }

  // -- parts ------------------------------------------------------------------------------

  #listen() {
    const choose = (files) => this.dispatchEvent(new CustomEvent("choose", { detail: files }));
    $("input", this.element).addEventListener("change", ({ target }) => {
      choose([...target.files]);
      target.value = ""; // so that the same file can be chosen again
    });
    $(".record", this.element).addEventListener("click", () => this.#record(choose));
    $(".stop", this.element).addEventListener("click", () => this.#recording?.stop());
    $(".remove", this.element).addEventListener("click", () => this.dispatchEvent(new Event("remove")));
    $(".play", this.element).addEventListener("click", () => this.#toggle());
    this.lane.addEventListener("click", (event) => {
      const box = this.lane.getBoundingClientRect();
      this.#play(((event.clientX - box.left) / box.width) * this.span);
    });
    this.lane.addEventListener("keydown", (event) => this.#key(event));
  }

  #key(event) {
    const now = this.#playing ? this.player.time : this.#position;
    const goal = {
      ArrowLeft: now - STEP_S, ArrowDown: now - STEP_S, ArrowRight: now + STEP_S, ArrowUp: now + STEP_S,
      PageDown: now - LEAP_S, PageUp: now + LEAP_S, Home: 0, End: this.clip.duration,
    }[event.key];
    if (goal !== undefined) {
      if (this.#playing) this.#play(Math.max(0, goal));
      else this.#seek(goal);
    } else if (event.key === " " || event.key === "Enter") this.#toggle();
    else return;
    event.preventDefault();
  }

  async #record(choose) {
    this.#recording = null;
    const elapsed = $(".elapsed", this.element);
    elapsed.textContent = seconds(0);
    this.element.dataset.state = "recording";
    $(".stop", this.element).focus();
    try {
      const name = `Recording ${this.letter}${++this.#recorded}`;
      const limit = this.limits.seconds;
      this.#recording = await record($(".level", this.element), name, limit, (time) => {
        elapsed.textContent = `${seconds(time)} of at most ${limit} s`;
      });
      this.#note(null);
      choose([await this.#recording.file]);
    } catch (error) {
      this.clear();
      this.#note(error.message);
      $(".record", this.element).focus();
    }
  }

  #reset() {
    if (this.#playing) this.player.stop();
    this.clip = null;
    this.#timeline = null;
    this.#sounds = [];
    this.#warn([]);
    this.lanes.clear();
    this.entries.clear();
    this.#show(".take", false);
    this.#position = 0;
    this.#named();
    $(".facts", this.element).textContent = "";
  }

  #show(part, visible) {
    $(part, this.element).hidden = !visible;
  }

  #warn(texts) {
    const list = $(".warnings", this.element);
    list.replaceChildren(...texts.map((text) => el("li", {}, text)));
    list.hidden = !texts.length;
  }

  #note(text) {
    const note = $(".note", this.element);
    note.textContent = text ?? "";
    note.hidden = text === null;
  }

  /** Frequencies beside the picture, and seconds below it. */
  #label(span) {
    const { top } = this.limits;
    const mark = (text, y) => {
      const label = el("span", {}, text);
      label.style.insetBlockStart = `${y}px`;
      return label;
    };
    const pitches = [top, 2000, 500, 0].filter((pitch, i, all) => i === 0 || pitch < all[0] / 2);
    const marks = pitches.map((pitch) =>
      mark(pitch < 1000 ? `${pitch} Hz` : `${pitch / 1000} kHz`, SPECTROGRAM_TOP + SPECTROGRAM * (1 - height(pitch, top))),
    );
    if (masked(this.#timeline).length) marks.push(mark("Mask", MASK_TOP + MASK / 2));
    $(".gutter", this.element).replaceChildren(...marks);
    const step = TICKS.find((tick) => span / tick <= 10) ?? span;
    const ticks = Array.from({ length: Math.floor(span / step) + 1 }, (_, i) => {
      const tick = el("span", {}, `${Number((i * step).toFixed(1))}`);
      tick.style.insetInlineStart = `${(100 * i * step) / span}%`;
      return tick;
    });
    $(".axis", this.element).replaceChildren(...ticks);
  }
}
