// The stage: what the service says, how far it is, or why it says nothing.

import { key } from "./api.js";
import { $, el } from "./dom.js";
import { clock } from "./entries.js";
import { chips } from "./sounds.js";
import { percent } from "./words.js";

const STAGES = ["decode", "queue", "encode", "generate"];

export class Stage {
  #element = $("#stage");
  #answer = $("#answer");
  #alert = $("#alert");
  #status = $("#status");
  #idle = [...this.#answer.children];
  #bar = el("div", { class: "bar", role: "progressbar", "aria-label": "Sending the audio" }, el("div"));
  #doing = el("p", { class: "doing" });
  #cancel = el("button", { type: "button", class: "quiet" }, "Cancel");
  #progress = el("div", { class: "progress", hidden: true }, this.#bar, this.#doing, this.#cancel);

  constructor() {
    this.#element.append(this.#progress);
    this.#cancel.addEventListener("click", () => this.onCancel());
  }

  /** Nothing to say yet. */
  idle() {
    this.#fill("idle", this.#idle);
  }

  /** A request was sent; what was said before stays, paled. */
  busy(cancel) {
    this.onCancel = cancel;
    this.#element.dataset.state = "busy";
    this.#alert.replaceChildren();
    this.#progress.hidden = false;
    this.sent(0);
  }

  /** The share of the body that is sent. */
  sent(share) {
    const all = share >= 1;
    this.#bar.dataset.all = all;
    this.#bar.setAttribute("aria-valuenow", Math.round(100 * share));
    this.#bar.firstChild.style.inlineSize = percent(share).replace(" ", "");
    this.#doing.textContent = all ? "Listening…" : `Sending, ${percent(share)}`;
    if (all) this.#status.textContent = "Listening…";
  }

  /** How much of a long recording is heard, in seconds. */
  heard(seconds) {
    this.#doing.textContent = `Listening… ${clock(seconds)} are heard`;
  }

  /** What was answered on long recordings: sentences of `{ letter, kicker, text }`. */
  tell(sentences) {
    this.#fill("done", [
      el("h2", { class: "hidden", id: "headline" }, "What is heard when"),
      el("div", { class: "statements", "data-count": sentences.length }, sentences.map(({ letter, kicker, text }) =>
        el("article", { class: "statement", "data-letter": letter },
          el("h3", { class: "kicker" }, el("span", { class: "badge", "aria-hidden": "true" }, letter), kicker),
          el("p", { class: "lead" }, text)))),
    ]);
    this.#status.textContent = sentences.map(({ kicker, text }) => `${kicker}: ${text}`).join(" ");
  }

  /** A request was given up. */
  cancelled(retry) {
    this.#fill("idle", [
      el("h2", { class: "headline", id: "headline" }, "Cancelled."),
      el("p", { class: "lead" }, el("button", { type: "button", click: retry }, "Run again")),
    ]);
    this.#status.textContent = "Cancelled.";
    $("button", this.#answer).focus();
  }

  /** What was answered: statements of `{ letter, kicker, said }`, one or two. */
  show(statements, answer) {
    const blocks = statements.map(({ letter, kicker, said }) => statement(letter, kicker, said));
    this.#fill("done", [
      el("h2", { class: "hidden", id: "headline" }, "What is heard"),
      el("div", { class: "statements", "data-count": blocks.length }, blocks),
      both(answer.shared ?? []),
      details(answer),
    ].filter((part) => part !== null));
    this.#status.textContent = statements.map(({ kicker, said }) => `${kicker}: ${said.caption}.`).join(" ");
  }

  /** What else is said of both clips, below what each has. */
  add(kicker, text) {
    $(".details", this.#answer).before(el("div", { class: "both" },
      el("h3", { class: "kicker" }, kicker), el("p", { class: "lead" }, text)));
    this.#status.textContent += ` ${kicker}: ${text.replace(/\.$/, "")}.`;
  }

  /** Why there is no answer; `retry` tries again, with a key if one is asked for. */
  fail(problem, retry) {
    this.#fill("failed", []);
    this.#alert.replaceChildren(el("div", { class: "problem" },
      el("h2", { id: "headline" }, problem.title),
      el("p", {}, problem.detail),
      problem.status === 401 ? keyForm(retry) : el("button", { type: "button", click: retry }, "Try again"),
      problem.retryAfter && el("p", { class: "fine" }, `The service asks to wait ${problem.retryAfter} s.`),
      problem.requestId && el("p", { class: "fine" }, "Request ", el("code", {}, problem.requestId)),
    ));
    $("input, button", this.#alert).focus();
  }

  #fill(state, children) {
    this.#element.dataset.state = state;
    this.#progress.hidden = true;
    this.#alert.replaceChildren();
    this.#answer.replaceChildren(...children);
    this.#status.textContent = "";
  }
}

function statement(letter, kicker, said) {
  const { score, alternatives, sounds } = said;
  return el("article", { class: "statement", "data-letter": letter },
    el("h3", { class: "kicker" }, el("span", { class: "badge", "aria-hidden": "true" }, letter), kicker),
    el("p", { class: "caption" }, worded(said)),
    confidence(score),
    chips(sounds, `${kicker}: sounds`),
    alternatives.length ? el("h4", {}, "In other words") : null,
    el("ol", { class: "others" }, alternatives.map((other) =>
      el("li", {}, el("span", {}, worded(other)), el("span", { class: "score" }, figure(other.score))))),
  );
}

/** A caption; that it is cut, and the sentence goes on, is seen. */
function worded({ caption, truncated }) {
  return truncated ? `${caption} …` : caption;
}

/** The sounds that are in both clips, or null. */
function both(shared) {
  const list = chips(shared, "Both have: sounds");
  return list && el("div", { class: "both" }, el("h3", { class: "kicker" }, "Both have"), list);
}

/** The score as the service gives it, and as a bar. */
function confidence(score) {
  const fill = el("span");
  fill.style.inlineSize = percent(Math.exp(score)).replace(" ", "");
  return el("p", { class: "confidence" },
    el("span", { class: "meter", "aria-hidden": "true" }, fill),
    el("span", { class: "score" }, `Score ${figure(score)}`));
}

function figure(score) {
  return score.toFixed(2).replace("-", "−");
}

function details({ timing_ms: times, model, id }) {
  const known = STAGES.reduce((sum, name) => sum + times[name], 0);
  const parts = [...STAGES.map((name) => [name, times[name]]), ["other", Math.max(0, times.total - known)]];
  const bar = el("div", { class: "times", "aria-hidden": "true" }, parts.map(([name, time]) => {
    const part = el("span", { "data-stage": name });
    part.style.flexGrow = time;
    return part;
  }));
  const fact = (name, value) => el("div", { "data-stage": name }, el("dt", {}, name), el("dd", {}, value));
  return el("details", { class: "details" },
    el("summary", {}, `Answered in ${Math.round(times.total)} ms by ${model.name}`),
    bar,
    el("dl", {}, parts.map(([name, time]) => fact(name, `${time.toFixed(1)} ms`))),
    el("dl", {}, fact("revision", model.revision), fact("request", id)),
    el("p", { class: "fine" }, "The score is the mean log-probability per word piece: 0 is certainty; the bar shows it as a probability."),
  );
}

function keyForm(retry) {
  const field = el("input", { type: "password", name: "key", autocomplete: "off", required: true });
  return el("form", { submit: (event) => {
    event.preventDefault();
    key.set(field.value);
    retry();
  } }, el("label", {}, "API key", field), el("button", { type: "submit" }, "Use it"),
  el("p", { class: "fine" }, "It is kept until this tab is closed."));
}
