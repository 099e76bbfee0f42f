// Computes pictures off the page's own thread.

import { envelope, logMel } from "./mel.js";

addEventListener("message", ({ data: { id, samples, rate, top } }) => {
  const picture = logMel(samples, rate, top);
  picture.peaks = envelope(samples, picture.hop, picture.columns);
  picture.loudest = picture.values.reduce((one, other) => Math.max(one, other));
  postMessage({ id, picture }, [picture.values.buffer, picture.peaks.buffer]);
});
