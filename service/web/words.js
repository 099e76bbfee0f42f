// What the pictures show, in words and numbers.

import { el } from "./dom.js";
import { centres } from "./mel.js";

// A mask whose values lie closer together than this does not tell moments apart.
const EVEN = 0.02;
const PARTS = 10;

export function percent(value) {
  return `${Math.round(100 * value)} %`;
}

function span(from, to) {
  return `${from.toFixed(1)}–${to.toFixed(1)} s`;
}

function hertz(value) {
  return value < 1000 ? `${Math.round(value / 10) * 10} Hz` : `${(value / 1000).toFixed(1)} kHz`;
}

/** The frames of a timeline that have a mask. */
export function masked(timeline) {
  return (timeline ?? []).filter((frame) => frame.kept !== null);
}

/** One sentence on what the mask keeps, or null where there is no mask. */
export function maskSentence(timeline) {
  const frames = masked(timeline);
  if (!frames.length) return null;
  const sorted = frames.toSorted((one, other) => one.kept - other.kept);
  const [least, most] = [sorted[0], sorted.at(-1)];
  if (most.kept - least.kept < EVEN) {
    return `The mask keeps about ${percent(most.kept)} of every moment: it tells sounds apart here, not moments.`;
  }
  return (
    `The mask keeps ${percent(least.kept)} to ${percent(most.kept)} of each moment: ` +
    `most at ${span(most.start_s, most.end_s)}, least at ${span(least.start_s, least.end_s)}.`
  );
}

/** One sentence on the sound. */
export function soundSentence({ duration, picture }, top) {
  const { level, frequency, time } = loudest(picture, 0, picture.columns, duration, top);
  return (
    `${duration.toFixed(1)} seconds of sound. Loudest at ${time.toFixed(1)} s, around ` +
    `${hertz(frequency)}, ${Math.round(-level)} dB below full scale.`
  );
}

/** The rows of the table: one per frame of the mask, or ten equal parts without one. */
export function tableRows({ duration, picture }, { timeline, sounds }, top) {
  const frames = masked(timeline);
  const parts = frames.length
    ? frames
    : Array.from({ length: PARTS }, (_, i) => ({ start_s: (i * duration) / PARTS, end_s: ((i + 1) * duration) / PARTS }));
  const titles = ["Time", "Loudest around", "Level", ...(frames.length ? ["Kept by the mask"] : []), ...(sounds.length ? ["Sounds"] : [])];
  const head = el("thead", {}, el("tr", {}, titles.map((title) => el("th", { scope: "col" }, title))));
  const rows = parts.map(({ start_s, end_s, kept }) => {
    const [first, last] = [start_s, end_s].map((time) => Math.round((time / duration) * picture.columns));
    const { level, frequency } = loudest(picture, first, Math.min(last, picture.columns), duration, top);
    const cells = [hertz(frequency), `${Math.round(level)} dB`.replace("-", "−")];
    if (kept !== undefined) cells.push(percent(kept));
    if (sounds.length) cells.push(during(sounds, start_s, end_s) || "–");
    return el("tr", {}, el("th", { scope: "row" }, span(start_s, end_s)), cells.map((cell) => el("td", {}, cell)));
  });
  return [head, el("tbody", {}, rows)];
}

/** The sounds that are heard between two times. */
function during(sounds, from, to) {
  const heard = ({ events }) => events.some(({ start_s, end_s }) => start_s < to && end_s > from);
  return sounds.filter(heard).map(({ label }) => label).join("; ");
}

function loudest({ values, columns, bands }, first, last, duration, top) {
  let best = first * bands;
  for (let i = best; i < last * bands; i++) if (values[i] > values[best]) best = i;
  return {
    level: values[best],
    frequency: centres(top)[best % bands],
    time: (Math.floor(best / bands) / columns) * duration,
  };
}
