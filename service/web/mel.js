// Log-mel spectrograms: a Hann window, a radix-2 FFT, triangular filters, decibels.

export const WINDOW = 2048;
export const BANDS = 80;
export const FLOOR_DB = -120;
const MAX_COLUMNS = 1200;
const LEAST_HOP = 128;

/**
 * `samples` (mono, at `rate` Hz) to `{ values, columns, bands, hop }`: decibels relative to a sine
 * of full scale, bands of one column together, low to high, up to `top` Hz. The hop grows with the
 * clip, so that the work does not.
 */
export function logMel(samples, rate, top) {
  const hop = Math.max(LEAST_HOP, Math.ceil(samples.length / MAX_COLUMNS));
  const columns = Math.max(1, Math.ceil(samples.length / hop));
  const values = new Float32Array(columns * BANDS);
  const filters = melFilters(rate, top);
  const transform = new FFT(WINDOW);
  const hann = Float32Array.from({ length: WINDOW }, (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / WINDOW));
  const re = new Float32Array(WINDOW);
  const im = new Float32Array(WINDOW);
  const power = new Float32Array(WINDOW / 2 + 1);
  for (let column = 0; column < columns; column++) {
    const start = Math.round((column + 0.5) * hop) - WINDOW / 2;
    for (let i = 0; i < WINDOW; i++) re[i] = hann[i] * (samples[start + i] ?? 0);
    im.fill(0);
    transform.run(re, im);
    // A sine of full scale has a peak of (WINDOW / 4)² under this window.
    for (let k = 0; k < power.length; k++) power[k] = (re[k] ** 2 + im[k] ** 2) / (WINDOW / 4) ** 2;
    filters.forEach(({ first, weights }, band) => {
      let sum = 0;
      for (let k = 0; k < weights.length; k++) sum += weights[k] * power[first + k];
      values[column * BANDS + band] = Math.max(FLOOR_DB, 10 * Math.log10(sum));
    });
  }
  return { values, columns, bands: BANDS, hop };
}

/** The largest absolute sample of each column. */
export function envelope(samples, hop, columns) {
  const peaks = new Float32Array(columns);
  samples.forEach((sample, i) => {
    const column = Math.floor(i / hop);
    peaks[column] = Math.max(peaks[column], Math.abs(sample));
  });
  return peaks;
}

/** The frequency at the centre of each band, in Hz. */
export function centres(top) {
  return Array.from({ length: BANDS }, (_, band) => edge(band + 1, top));
}

/** Where a frequency lies between the lowest (0) and the highest (1) of the picture. */
export function height(hertz, top) {
  return mel(hertz) / mel(top);
}

function mel(hertz) {
  return 2595 * Math.log10(1 + hertz / 700);
}

/** Edge 0 is 0 Hz, edge BANDS + 1 is `top`; equally far apart on the mel scale. */
function edge(index, top) {
  return 700 * (10 ** ((mel(top) * index) / (BANDS + 1) / 2595) - 1);
}

function melFilters(rate, top) {
  const bin = rate / WINDOW;
  return Array.from({ length: BANDS }, (_, band) => {
    const [low, centre, high] = [0, 1, 2].map((side) => edge(band + side, top) / bin);
    const first = Math.ceil(low);
    const last = Math.min(Math.floor(high), WINDOW / 2);
    const weights = [];
    for (let k = first; k <= last; k++) {
      weights.push(Math.max(0, Math.min((k - low) / (centre - low), (high - k) / (high - centre))));
    }
    return { first, weights };
  });
}

/** Complex, in place, of one size: a power of two. */
class FFT {
  constructor(size) {
    this.size = size;
    this.cos = Float32Array.from({ length: size / 2 }, (_, i) => Math.cos((2 * Math.PI * i) / size));
    this.sin = Float32Array.from({ length: size / 2 }, (_, i) => -Math.sin((2 * Math.PI * i) / size));
    const bits = Math.log2(size);
    this.reversed = Uint16Array.from({ length: size }, (_, i) => {
      let mirrored = 0;
      for (let bit = 0; bit < bits; bit++) mirrored |= ((i >> bit) & 1) << (bits - 1 - bit);
      return mirrored;
    });
  }

  run(re, im) {
    for (let i = 0; i < this.size; i++) {
      const j = this.reversed[i];
      if (i < j) {
        [re[i], re[j]] = [re[j], re[i]];
        [im[i], im[j]] = [im[j], im[i]];
      }
    }
    for (let half = 1; half < this.size; half *= 2) {
      const stride = this.size / (2 * half);
      for (let start = 0; start < this.size; start += 2 * half) {
        for (let k = 0; k < half; k++) {
          const [cos, sin] = [this.cos[k * stride], this.sin[k * stride]];
          const [a, b] = [start + k, start + k + half];
          const [x, y] = [re[b] * cos - im[b] * sin, re[b] * sin + im[b] * cos];
          re[b] = re[a] - x;
          im[b] = im[a] - y;
          re[a] += x;
          im[a] += y;
        }
      }
    }
  }
}
