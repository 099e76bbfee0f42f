// Sounds: chips of what is heard, and under a clip's picture a lane for each over time.

import { el } from "./dom.js";
import { percent } from "./words.js";

/** A list of sounds with their scores; null where there is none. */
export function chips(sounds, name) {
  if (!sounds.length) return null;
  return el("ul", { class: "heard", "aria-label": name }, sounds.map(({ label, score }) => {
    return scored(score, el("li", {}, el("span", {}, label), el("span", { class: "score" }, percent(score))));
  }));
}

/**
 * The lanes of one clip, in `list`. Each stretch of a sound is a button, which calls `play` with
 * the time to play from: where it was clicked, or its beginning. They are one stop of the
 * tabulator; arrows go from stretch to stretch, and from sound to sound.
 */
export class Lanes {
  #list;

  constructor(list, play) {
    this.#list = list;
    list.addEventListener("click", (event) => {
      const stretch = event.target.closest("button");
      if (stretch) play(from(stretch, event));
    });
    list.addEventListener("keydown", (event) => this.#key(event));
    list.addEventListener("focusin", ({ target }) => this.#stop(target));
  }

  /** A lane for each of the sounds of a clip that lasts so many seconds. */
  show(sounds, duration) {
    this.#list.style.minBlockSize = "";
    this.#list.style.setProperty("--duration", duration);
    this.#list.replaceChildren(...sounds.map((sound) => lane(sound, duration)));
    this.#list.hidden = !sounds.length;
    const first = this.#list.querySelector("button");
    if (first) this.#stop(first);
  }

  /** Empty them, but keep their room for the next clip's. */
  clear() {
    this.#list.style.minBlockSize = `${this.#list.offsetHeight}px`;
    this.#list.replaceChildren();
  }

  /** Seconds that their width stands for. */
  set span(seconds) {
    this.#list.style.setProperty("--span", seconds);
  }

  #stop(stretch) {
    for (const other of this.#list.querySelectorAll("button")) other.tabIndex = other === stretch ? 0 : -1;
  }

  #key(event) {
    const all = [...this.#list.querySelectorAll("button")];
    const at = all.indexOf(event.target);
    const { previousElementSibling: above, nextElementSibling: below } = event.target.closest("li");
    const goals = {
      ArrowLeft: all[at - 1], ArrowRight: all[at + 1], Home: all[0], End: all.at(-1),
      ArrowUp: above?.querySelector("button"), ArrowDown: below?.querySelector("button"),
    };
    if (!(event.key in goals)) return;
    event.preventDefault();
    goals[event.key]?.focus();
  }
}

function lane({ label, score, events }, duration) {
  return scored(score, el("li", {},
    el("p", { "aria-hidden": "true" }, `${label} `, el("span", {}, percent(score))),
    events.map(({ start_s: start, end_s: end }) => stretch(`${label}, ${percent(score)}`, start, Math.min(end, duration)))));
}

/** The element, which is coloured the stronger the surer the sound is. */
function scored(score, element) {
  element.style.setProperty("--score", percent(score).replace(" ", ""));
  return element;
}

function stretch(sound, start, end) {
  const name = `${sound}, ${start.toFixed(1)} to ${end.toFixed(1)} s`;
  const button = el("button", { type: "button", "aria-label": name, "data-start": start, "data-end": end });
  button.style.setProperty("--start", start);
  button.style.setProperty("--end", end);
  return button;
}

/** The time at which a stretch was clicked; of one that was not pointed at, its beginning. */
function from(stretch, { detail: clicks, clientX }) {
  const [start, end] = [Number(stretch.dataset.start), Number(stretch.dataset.end)];
  const { left, width } = stretch.getBoundingClientRect();
  return clicks ? start + ((clientX - left) / width) * (end - start) : start;
}
