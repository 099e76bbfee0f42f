// Perceptually uniform colour maps: quiet is the paper, loud is the ink.
//
// A path through OKLab (Ottosson 2020) is cut into steps of equal length, so that equal steps of
// level look equal, and lightness rises or falls all along it.

// Stops of lightness, chroma and hue in degrees.
const PATHS = {
  light: [[0.985, 0.007, 90], [0.87, 0.075, 65], [0.68, 0.15, 38], [0.44, 0.15, 350], [0.22, 0.06, 290]],
  dark: [[0.2, 0.012, 265], [0.36, 0.11, 300], [0.56, 0.17, 8], [0.78, 0.14, 55], [0.96, 0.05, 95]],
};
const SIZE = 256;
const FINE = 2048;

/** The map of a theme, "light" or "dark": 256 colours of 4 bytes, quiet to loud. */
export function colourMap(theme) {
  const path = Array.from({ length: FINE + 1 }, (_, i) => along(PATHS[theme], i / FINE));
  const walked = [0];
  for (let i = 1; i <= FINE; i++) walked.push(walked[i - 1] + distance(path[i - 1], path[i]));
  const map = new Uint8ClampedArray(4 * SIZE);
  for (let step = 0, i = 0; step < SIZE; step++) {
    const goal = (step / (SIZE - 1)) * walked[FINE];
    while (i < FINE && walked[i] < goal) i++;
    map.set([...rgb(path[i]), 255], 4 * step);
  }
  return map;
}

/** A point of a path of stops, in OKLab; `t` in [0, 1]. */
function along(stops, t) {
  const at = t * (stops.length - 1);
  const left = Math.min(Math.floor(at), stops.length - 2);
  const [from, to] = [lab(stops[left]), lab(stops[left + 1])];
  return from.map((value, axis) => value + (at - left) * (to[axis] - value));
}

function lab([lightness, chroma, hue]) {
  const angle = (hue * Math.PI) / 180;
  return [lightness, chroma * Math.cos(angle), chroma * Math.sin(angle)];
}

function distance(one, other) {
  return Math.hypot(...one.map((value, axis) => value - other[axis]));
}

/** OKLab to sRGB bytes. */
function rgb([L, a, b]) {
  const l = (L + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (L - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (L - 0.0894841775 * a - 1.291485548 * b) ** 3;
  return [
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s,
  ].map((x) => 255 * (x <= 0.0031308 ? 12.92 * x : 1.055 * x ** (1 / 2.4) - 0.055));
}
