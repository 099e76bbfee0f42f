// The page: two clips, one question to the service, its answer.

import { Problem, info, key, post } from "./api.js";
import { open } from "./clip.js";
import { PAIRS, SINGLES, load } from "./demo.js";
import { $, el } from "./dom.js";
import { Player } from "./player.js";
import { Stage } from "./stage.js";
import { Track } from "./track.js";

const OPTIONS = { num_beams: 4, num_captions: 3, events: true };
const MIB = 2 ** 20;

// What the service takes; its own values come with `info`.
/** What else is asked of two clips, in their order, where the service tells of it. */
const FURTHER = [
  { kicker: "What changed, from B to A", style: "changes" },
  { kicker: "What each is like", style: "explain", detail: "paragraph" },
];
const limits = { seconds: 60, megabytes: 25, longMegabytes: 4096, top: 8000, styles: {} };
const player = new Player();
const stage = new Stage();
const tracks = {
  input: new Track("A", "Drop a clip here, or", player, limits),
  reference: new Track("B", "And one to compare it with, or", player, limits),
};
const wanted = { input: null, reference: null };
let request = new AbortController();

// -- clips ----------------------------------------------------------------------------------

/** Put files into tracks, by the track's name, and ask about them; null empties a track. */
async function put(files) {
  Object.assign(wanted, files);
  const most = limits.megabytes * MIB;
  const opened = await Promise.all(Object.entries(files).map(async ([name, file]) => {
    return [name, file, file && (await open(file, most, limits.top))];
  }));
  for (const [name, file, clip] of opened) {
    if (wanted[name] !== file) continue; // something else was chosen in the meantime
    if (clip) tracks[name].set(clip);
    else tracks[name].clear();
  }
  ask();
}

/** Files dropped on a track, or chosen for it; of two, the second goes to the other track. */
function take(name, [first, second]) {
  if (!first) return;
  const other = name === "input" ? "reference" : "input";
  put(second ? { [name]: first, [other]: second } : { [name]: first });
}

/** Give up what is under way, for something new. */
function anew() {
  request.abort();
  request = new AbortController();
  return request.signal;
}

/** Paint both clips, on one axis and one scale of levels. */
function draw() {
  const clips = Object.values(tracks).map((track) => track.clip).filter((clip) => clip?.picture);
  const span = Math.max(...clips.map((clip) => clip.duration));
  const peak = Math.max(...clips.map((clip) => clip.picture.loudest));
  for (const track of Object.values(tracks)) track.draw(span, peak);
}

// -- the question ---------------------------------------------------------------------------

async function ask() {
  const signal = anew();
  draw();
  const filled = Object.values(tracks).filter((track) => track.clip);
  $("#swap").hidden = filled.length < 2;
  if (!filled.length) {
    stage.idle();
    return;
  }
  stage.busy(() => {
    anew();
    stage.cancelled(ask);
  });
  try {
    await (filled.length === 2 ? compare : describe)(filled, { signal, onSent: (share) => stage.sent(share) });
    draw();
  } catch (error) {
    if (signal.aborted) return;
    if (!(error instanceof Problem)) throw error;
    stage.fail(error, ask);
  }
  $("#forget").hidden = !key.get();
}

async function describe([track], how) {
  if (long(track)) return listen(track, how);
  const answer = await send("caption", { file: track.clip.file, ...OPTIONS }, how);
  track.describe(answer.audio, { sounds: answer.sounds });
  stage.show([{ letter: track.letter, kicker: `Heard in ${track.letter}`, said: answer }], answer);
}

/** Whether a track's clip is a long recording, which is told of by entries. */
function long({ clip }) {
  return clip.duration > limits.seconds || clip.file.size > limits.megabytes * MIB;
}

async function listen(track, how) {
  track.entries.clear();
  const onLine = (line) => {
    if (how.signal.aborted) return;
    if ("caption" in line) track.entries.add(line);
    if ("heard_s" in line) stage.heard(line.heard_s);
  };
  const fields = { file: track.clip.file, num_beams: OPTIONS.num_beams };
  const answer = await send("timeline", fields, { ...how, onLine });
  track.describe(answer.audio, { nothing: track.entries.count ? "" : "Nothing is heard." });
  track.offer();
  stage.tell([{ letter: track.letter, kicker: `Heard when in ${track.letter}`, text: answer.summary }]);
}

async function compare([a, b], how) {
  const files = { input: a.clip.file, reference: b.clip.file };
  const answer = await send("difference", { ...files, both: true, ...OPTIONS }, how);
  if ("only" in answer) {
    const told = [[a, answer.input, "input", "B"], [b, answer.reference, "reference", "A"]];
    stage.tell(told.map(([track, audio, name, other]) => {
      track.entries.clear();
      answer.only[name].forEach((entry) => track.entries.add(entry));
      const { count } = track.entries;
      track.describe(audio, { nothing: count ? "" : `Nothing here is not in ${other} as well.` });
      if (count) track.offer();
      const { letter } = track;
      return { letter, kicker: `When in ${letter} and never in ${other}: ${count}`, text: answer.timelines[name].summary };
    }));
    return;
  }
  // A checkpoint that knows no sounds has a mask, in whose place their lanes are seen.
  const tells = [answer.sounds, answer.reverse.sounds, answer.shared].some((sounds) => sounds.length);
  const seen = ({ sounds, timeline }) => (tells ? { sounds, nothing: "No sound here is new." } : { timeline });
  a.describe(answer.input, seen(answer));
  b.describe(answer.reference, seen(answer.reverse));
  stage.show([
    { letter: "A", kicker: "In A and not in B", said: answer },
    { letter: "B", kicker: "In B and not in A", said: answer.reverse },
  ], answer);
  const quietly = { ...how, onSent: () => {} };
  for (const { kicker, ...asked } of FURTHER.filter(({ style }) => style in limits.styles)) {
    draw();
    try {
      stage.add(kicker, lettered(await send("difference", { ...files, ...asked }, quietly)));
    } catch (error) {
      if (!(error instanceof Problem)) throw error; // else what each has is said, and stays
    }
  }
}

/** A caption that speaks of clips by their letters. */
function lettered({ caption }) {
  return caption.replaceAll("the first", "A").replaceAll("the second", "B");
}

function send(path, fields, how) {
  const size = Object.values(fields).reduce((sum, field) => sum + (field.size ?? 0), 0);
  if (size > limits.longMegabytes * MIB) {
    // The service would refuse it as well, but hang up before all of it is sent.
    throw new Problem({
      title: "Request body too large",
      detail: `These are ${(size / MIB).toFixed(1)} MiB; the service takes ${limits.longMegabytes} MiB. Send a shorter or compressed clip.`,
    });
  }
  return post(path, fields, how);
}

// -- the page's parts -----------------------------------------------------------------------

for (const [name, track] of Object.entries(tracks)) {
  $(`#track-${track.letter.toLowerCase()}`).replaceWith(track.element);
  track.addEventListener("choose", ({ detail: files }) => take(name, files));
  track.addEventListener("remove", () => put({ [name]: null }));
}

$("#swap").addEventListener("click", () => {
  put({ input: tracks.reference.clip.file, reference: tracks.input.clip.file });
});

$("#forget").addEventListener("click", () => {
  key.forget();
  $("#forget").hidden = true;
});
$("#forget").hidden = !key.get();

async function demo(input, reference) {
  put({ input: await load(input), reference: reference ? await load(reference) : null });
}

$("#demo-one").append(...SINGLES.map(({ file, label }) =>
  el("li", {}, el("button", { type: "button", click: () => demo(file) }, label))));
$("#demo-two").append(...PAIRS.map(({ input, reference, label, minus }) =>
  el("li", {}, el("button", { type: "button", click: () => demo(input, reference) },
    label, el("span", { class: "minus" }, " minus "), minus))));

// A file dropped beside the tracks goes to the first that is free.
for (const kind of ["dragenter", "dragover"]) {
  addEventListener(kind, (event) => {
    event.preventDefault();
    document.body.dataset.dragging = "";
  });
}
addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) delete document.body.dataset.dragging;
});
addEventListener("drop", (event) => {
  event.preventDefault();
  delete document.body.dataset.dragging;
  const name = Object.keys(tracks).find((one) => tracks[one].element.contains(event.target));
  take(name ?? (tracks.input.clip ? "reference" : "input"), [...event.dataTransfer.files]);
});

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
let width = 0;
new ResizeObserver(([{ contentRect }]) => {
  if (contentRect.width !== width) draw();
  width = contentRect.width;
}).observe($("#desk"));

try {
  const { model, device, sample_rate, styles, limits: theirs } = await info();
  limits.seconds = theirs.max_audio_seconds;
  limits.megabytes = theirs.max_upload_mb;
  limits.longMegabytes = theirs.max_timeline_mb;
  limits.top = sample_rate / 2;
  limits.styles = styles;
  $("#model").textContent = `${model.name} on ${device}`;
  $("#limits").textContent = `It takes up to ${limits.seconds} s of audio each, ${limits.megabytes} MiB in all; ` +
    `of longer recordings, up to ${theirs.max_timeline_seconds / 3600} h, it says what is heard when.`;
} catch {
  $("#model").textContent = "The service does not answer";
}
