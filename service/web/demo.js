// The demo recordings (demo/CREDITS.md says whose) and the pairs worth comparing;
// `audiodiff demo-clips` writes them too.

export const SINGLES = [
  { file: "woman", label: "A woman" },
  { file: "church-bells", label: "Church bells" },
  { file: "rain", label: "Rain" },
  { file: "crickets", label: "Crickets" },
  { file: "cymbal", label: "A cymbal" },
];

export const PAIRS = [
  { input: "woman-in-rain", reference: "rain", label: "A woman in the rain", minus: "rain" },
  { input: "woman-in-rain", reference: "woman", label: "A woman in the rain", minus: "the woman" },
  { input: "woman-and-bells", reference: "woman", label: "A woman and bells", minus: "the woman" },
  { input: "crickets", reference: "rain", label: "Crickets", minus: "rain" },
];

/** Fetch one of the sounds as a file. */
export async function load(name) {
  const response = await fetch(new URL(`demo/${name}.flac`, import.meta.url));
  if (!response.ok) throw new Error(`${name}.flac answered ${response.status}`);
  return new File([await response.blob()], `${name}.flac`, { type: "audio/flac" });
}
