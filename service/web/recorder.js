// Records from the microphone, and shows how loud it is.

const BAR = 4;

/** Why the microphone is not to be had, in words for people. */
function explain(error) {
  if (error.name === "NotAllowedError") return "The microphone is not allowed. Allow it in the browser's settings for this page.";
  if (error.name === "NotFoundError") return "No microphone was found.";
  return `The microphone cannot be used: ${error.message}`;
}

/**
 * Start to record; rejects with an Error that says why not. `onTime` is called with the seconds
 * recorded so far. The answer's `stop()` ends it; its `file` resolves when it has ended.
 */
export async function record(canvas, name, limit, onTime) {
  if (!navigator.mediaDevices) {
    throw new Error("Recording needs a secure page: open it at https:// or at localhost.");
  }
  // What is wanted is the sound of the place, not a voice freed from it.
  const audio = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
  const stream = await navigator.mediaDevices.getUserMedia({ audio }).catch((error) => {
    throw new Error(explain(error));
  });
  const recorder = new MediaRecorder(stream);
  const pieces = [];
  const began = performance.now();
  const meter = new Meter(stream, canvas, () => {
    const time = (performance.now() - began) / 1000;
    onTime(time);
    if (time >= limit) recorder.stop();
  });
  const file = new Promise((resolve) => {
    recorder.addEventListener("dataavailable", ({ data }) => pieces.push(data));
    recorder.addEventListener("stop", () => {
      meter.close();
      for (const track of stream.getTracks()) track.stop();
      resolve(new File(pieces, name, { type: recorder.mimeType }));
    });
  });
  recorder.start();
  return { file, stop: () => recorder.state === "recording" && recorder.stop() };
}

/** Draws the recent levels of a stream as bars, the newest at the right. */
class Meter {
  #context = new AudioContext();
  #levels = [];
  #frame = 0;

  constructor(stream, canvas, onFrame) {
    const analyser = this.#context.createAnalyser();
    this.#context.createMediaStreamSource(stream).connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    const step = () => {
      this.#frame = requestAnimationFrame(step);
      analyser.getFloatTimeDomainData(samples);
      this.#levels.push(Math.max(...samples.map(Math.abs)));
      this.#paint(canvas);
      onFrame();
    };
    step();
  }

  close() {
    cancelAnimationFrame(this.#frame);
    this.#context.close();
  }

  #paint(canvas) {
    const scale = devicePixelRatio;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    [canvas.width, canvas.height] = [width * scale, height * scale];
    const pen = canvas.getContext("2d");
    pen.scale(scale, scale);
    pen.fillStyle = getComputedStyle(canvas).color;
    this.#levels.splice(0, this.#levels.length - Math.ceil(width / BAR));
    this.#levels.forEach((level, i) => {
      // 48 dB from the bottom to the top.
      const share = Math.max(0, 1 + (20 * Math.log10(level + 1e-6)) / 48);
      const tall = Math.max(2, share * height);
      pen.fillRect(width - BAR * (this.#levels.length - i), (height - tall) / 2, BAR - 2, tall);
    });
  }
}
