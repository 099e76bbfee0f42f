// Paints a clip: its waveform, its spectrogram, and what the mask keeps of it.

import { colourMap } from "./colours.js";
import { masked } from "./words.js";

const WAVE = 44;
export const SPECTROGRAM = 150;
export const SPECTROGRAM_TOP = WAVE + 8;
export const MASK = 30;
export const MASK_TOP = SPECTROGRAM_TOP + SPECTROGRAM + 8;
const RANGE_DB = 58;
// The mask's scale spans at least so much, so that a nearly even mask looks nearly even.
const LEAST_SPREAD = 0.2;
const VEIL = 0.82;

const dark = matchMedia("(prefers-color-scheme: dark)");

/**
 * Paint a clip on a canvas whose width stands for `span` seconds; `peak` is the level in decibels
 * that gets the strongest colour. With a timeline, what the mask keeps less of pales.
 */
export function paint(canvas, clip, { span, peak, timeline }) {
  const frames = masked(timeline);
  const width = canvas.parentElement.clientWidth;
  const height = frames.length ? MASK_TOP + MASK : SPECTROGRAM_TOP + SPECTROGRAM;
  const pen = prepared(canvas, width, height);
  const style = getComputedStyle(canvas);
  const end = (width * clip.duration) / span;
  wave(pen, clip.picture, end, style.color);
  pen.drawImage(spectrogram(clip.picture, peak), 0, SPECTROGRAM_TOP, end, SPECTROGRAM);
  if (frames.length) {
    const scale = maskScale(frames);
    veil(pen, frames, scale, width / span, end, style.getPropertyValue("--surface"));
    curve(pen, frames, scale, width / span, end, style);
  }
}

/** The range of values that the mask's curve is drawn in. */
export function maskScale(frames) {
  const kept = frames.map((frame) => frame.kept);
  const [least, most] = [Math.min(...kept), Math.max(...kept)];
  const spread = Math.max(LEAST_SPREAD, most - least);
  const low = Math.min(Math.max(0, (least + most - spread) / 2), 1 - spread);
  return { low, high: low + spread };
}

function prepared(canvas, width, height) {
  canvas.width = Math.round(width * devicePixelRatio);
  canvas.height = Math.round(height * devicePixelRatio);
  canvas.style.height = `${height}px`;
  const pen = canvas.getContext("2d");
  pen.scale(devicePixelRatio, devicePixelRatio);
  return pen;
}

function wave(pen, { peaks, columns }, end, colour) {
  pen.fillStyle = colour;
  const bars = Math.max(1, Math.floor(end / 3));
  for (let bar = 0; bar < bars; bar++) {
    const [first, last] = [bar, bar + 1].map((edge) => Math.floor((edge * columns) / bars));
    let peak = 0;
    for (let i = first; i < Math.max(last, first + 1); i++) peak = Math.max(peak, peaks[i]);
    const tall = Math.max(1, Math.min(1, peak) * WAVE);
    pen.fillRect((bar * end) / bars, (WAVE - tall) / 2, 2, tall);
  }
}

/** The spectrogram as an image of one pixel per value. */
function spectrogram({ values, columns, bands }, peak) {
  const colours = new Uint32Array(colourMap(dark.matches ? "dark" : "light").buffer);
  const image = new ImageData(columns, bands);
  const pixels = new Uint32Array(image.data.buffer);
  for (let column = 0; column < columns; column++) {
    for (let band = 0; band < bands; band++) {
      const level = 1 + (values[column * bands + band] - peak) / RANGE_DB;
      const colour = colours[Math.round(255 * Math.min(1, Math.max(0, level)))];
      pixels[(bands - 1 - band) * columns + column] = colour;
    }
  }
  const canvas = new OffscreenCanvas(columns, bands);
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}

function veil(pen, frames, { low, high }, perSecond, end, colour) {
  pen.fillStyle = colour;
  const most = Math.max(...frames.map((frame) => frame.kept));
  for (const { start_s, end_s, kept } of frames) {
    pen.globalAlpha = (VEIL * (most - kept)) / (high - low);
    const [from, to] = [start_s * perSecond, Math.min(end, end_s * perSecond)];
    pen.fillRect(from, SPECTROGRAM_TOP, to - from, SPECTROGRAM);
  }
  pen.globalAlpha = 1;
}

function curve(pen, frames, { low, high }, perSecond, end, style) {
  const bottom = MASK_TOP + MASK;
  pen.fillStyle = style.getPropertyValue("--hollow");
  pen.fillRect(0, MASK_TOP, end, MASK);
  pen.beginPath();
  pen.moveTo(frames[0].start_s * perSecond, bottom);
  for (const { start_s, end_s, kept } of frames) {
    const y = bottom - 2 - ((kept - low) / (high - low)) * (MASK - 4);
    pen.lineTo(start_s * perSecond, y);
    pen.lineTo(Math.min(end, end_s * perSecond), y);
  }
  pen.lineTo(Math.min(end, frames.at(-1).end_s * perSecond), bottom);
  pen.fillStyle = style.color;
  pen.globalAlpha = 0.85;
  pen.fill();
  pen.globalAlpha = 1;
}
