// A clip: a file, and, where the browser can decode it, its sound and its picture.

const DECODE_RATE = 44100;

const worker = new Worker(new URL("mel-worker.js", import.meta.url), { type: "module" });
const waiting = new Map();
let lastId = 0;
worker.addEventListener("message", ({ data: { id, picture } }) => {
  waiting.get(id)(picture);
  waiting.delete(id);
});

/**
 * `{ file, buffer, picture, duration }`; only the file is not null if it is larger than `most`
 * bytes, or if the browser cannot decode it: the service may yet. The picture goes up to `top` Hz.
 */
export async function open(file, most, top) {
  const buffer = file.size <= most ? await decoded(file) : null;
  if (!buffer) return { file, buffer, picture: null, duration: null };
  const picture = await draw(mono(buffer), buffer.sampleRate, top);
  return { file, buffer, picture, duration: buffer.duration };
}

async function decoded(file) {
  try {
    const decoder = new OfflineAudioContext(1, 1, DECODE_RATE);
    return await decoder.decodeAudioData(await file.arrayBuffer());
  } catch {
    return null;
  }
}

function draw(samples, rate, top) {
  const id = ++lastId;
  return new Promise((resolve) => {
    waiting.set(id, resolve);
    worker.postMessage({ id, samples, rate, top }, [samples.buffer]);
  });
}

function mono(buffer) {
  const count = buffer.numberOfChannels;
  const mean = new Float32Array(buffer.length);
  for (let channel = 0; channel < count; channel++) {
    const samples = buffer.getChannelData(channel);
    for (let i = 0; i < mean.length; i++) mean[i] += samples[i] / count;
  }
  return mean;
}
