// The demo sounds and the pairs worth comparing; `audiodiff demo-clips` writes some of them too.

export const SINGLES = [
  { file: "siren", label: "Siren" },
  { file: "telephone", label: "Telephone" },
  { file: "knocks", label: "Knocks" },
  { file: "bouncing-ball", label: "Bouncing ball" },
];

export const PAIRS = [
  { input: "siren-and-knocks", reference: "knocks", label: "Siren and knocks", minus: "knocks" },
  { input: "siren-and-knocks", reference: "siren", label: "Siren and knocks", minus: "siren" },
  { input: "engine-and-whistle", reference: "engine", label: "Engine and whistle", minus: "engine" },
  { input: "clock-and-telephone", reference: "clock", label: "Clock and telephone", minus: "clock" },
  { input: "telephone", reference: "siren", label: "Telephone", minus: "siren" },
];

/** Fetch one of the sounds as a file. */
export async function load(name) {
  const response = await fetch(new URL(`demo/${name}.flac`, import.meta.url));
  if (!response.ok) throw new Error(`${name}.flac answered ${response.status}`);
  return new File([await response.blob()], `${name}.flac`, { type: "audio/flac" });
}
