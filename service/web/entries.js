// A long recording's timeline: entries that are played when they are clicked, and taken as a file.

import { el } from "./dom.js";

const SOUNDS = 3;

/** In `list`, as the service tells them; `play` is called with an entry's beginning, in seconds. */
export class Entries {
  #list;
  #play;
  #all = [];

  constructor(list, play) {
    this.#list = list;
    this.#play = play;
  }

  get count() {
    return this.#all.length;
  }

  /** One more, the latest. */
  add(entry) {
    const { start_s: start, end_s: end, caption, sounds } = entry;
    this.#all.push(entry);
    this.#list.append(el("li", {}, el("button", { type: "button", click: () => this.#play(start) },
      el("span", { class: "when" }, `${clock(start)}–${clock(end)}`),
      el("span", { class: "what" }, caption),
      el("span", { class: "kinds" }, sounds.slice(0, SOUNDS).map(({ label }) => label).join(" · ")))));
    this.#list.hidden = false;
  }

  clear() {
    this.#all = [];
    this.#list.replaceChildren();
    this.#list.hidden = true;
  }

  /** All of them as WebVTT, each as the service would write it. */
  vtt() {
    const cues = this.#all.map(({ start_s, end_s, caption }) => `${stamp(start_s)} --> ${stamp(end_s)}\n${cue(caption)}\n`);
    return ["WEBVTT\n", ...cues].join("\n");
  }
}

/** `a dog is barking` -> `[dog barking]`, as engine/subtitles.py has it. */
function cue(caption) {
  const said = caption.replace(/\b(?:an?|the|is|are)\s+/gi, "").replace(/\.+$/, "") || caption;
  return `[${said.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;")}]`;
}

/** 1:02:03.400 with two digits for the hours, as WebVTT has it. */
function stamp(seconds) {
  return new Date(Math.round(1000 * seconds)).toISOString().slice(11, 23);
}

/** 2:03, or 1:02:03. */
export function clock(seconds) {
  return stamp(Math.floor(seconds)).slice(0, 8).replace(/^00:0?/, "").replace(/^0(?=\d)/, "");
}
