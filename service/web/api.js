// The service: what it is, and what it answers. Paths are relative: it may lie below a proxy's path.

const KEY = "audiodiff-key";

/** A request that got no answer; `detail` says why and what to do, in the service's words. */
export class Problem extends Error {
  constructor({ title, detail, status = 0, request_id = null }, retryAfter = null) {
    super(detail);
    this.title = title;
    this.detail = detail;
    this.status = status;
    this.requestId = request_id;
    this.retryAfter = retryAfter;
  }
}

/** The API key, kept until the tab is closed. */
export const key = {
  get: () => sessionStorage.getItem(KEY),
  set: (value) => sessionStorage.setItem(KEY, value),
  forget: () => sessionStorage.removeItem(KEY),
};

/** What is served, within which limits. */
export async function info() {
  const response = await fetch("info");
  if (!response.ok) throw new Error(`info answered ${response.status}`);
  return response.json();
}

/**
 * POST `fields` as a form. `onSent` is called with the share of the body sent so far, in [0, 1], and
 * `onLine`, if it is given, with each line of an answer that comes in lines.
 * Resolves to the answer, or its last line; rejects with a Problem, or with the signal's reason.
 */
export function post(path, fields, { onSent, signal, onLine = null }) {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  const request = new XMLHttpRequest();
  return new Promise((resolve, reject) => {
    signal.addEventListener("abort", () => {
      request.abort();
      reject(signal.reason);
    });
    request.upload.addEventListener("progress", (event) => {
      if (event.lengthComputable) onSent(event.loaded / event.total);
    });
    let read = 0;
    let last = null;
    const readOn = () => {
      const text = request.responseText;
      for (let end; (end = text.indexOf("\n", read)) >= 0; read = end + 1) {
        last = JSON.parse(text.slice(read, end));
        onLine(last);
      }
    };
    if (onLine) request.addEventListener("progress", () => request.status === 200 && readOn());
    request.addEventListener("load", () => {
      if (request.status !== 200) return reject(problemOf(request));
      if (!onLine) return resolve(JSON.parse(request.responseText));
      readOn();
      return last.problem ? reject(new Problem(last.problem)) : resolve(last);
    });
    request.addEventListener("error", () => reject(new Problem({
      title: "No answer",
      detail: "The service could not be reached. It may have stopped, or the connection was lost.",
    })));
    request.open("POST", path);
    if (onLine) request.setRequestHeader("Accept", "application/x-ndjson");
    if (key.get()) request.setRequestHeader("X-API-Key", key.get());
    request.send(form);
  });
}

function problemOf(request) {
  const type = request.getResponseHeader("Content-Type") ?? "";
  const seconds = Number(request.getResponseHeader("Retry-After")) || null;
  if (type.startsWith("application/problem+json")) {
    return new Problem(JSON.parse(request.responseText), seconds);
  }
  // Not the service: something on the way to it.
  const detail = `Something between this page and the service answered ${request.status}.`;
  return new Problem({ title: request.statusText, detail, status: request.status }, seconds);
}
