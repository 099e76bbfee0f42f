// The demo recordings (demo/CREDITS.md says whose) and the pairs worth comparing;
// `audiodiff demo-clips` writes them too.

export const SINGLES = [
  { file: "woman", label: "A woman" },
  { file: "thunder", label: "Thunder" },
  { file: "crickets", label: "Crickets" },
  { file: "wolf", label: "A wolf" },
  { file: "trumpet", label: "A trumpet" },
];

export const PAIRS = [
  { input: "woman-and-thunder", reference: "thunder", label: "A woman and thunder", minus: "thunder" },
  { input: "woman-and-thunder", reference: "woman", label: "A woman and thunder", minus: "the woman" },
  { input: "trumpet-and-crickets", reference: "crickets", label: "A trumpet and crickets", minus: "crickets" },
  { input: "wolf", reference: "crickets", label: "A wolf", minus: "crickets" },
];

/** Fetch one of the sounds as a file. */
export async function load(name) {
  const response = await fetch(new URL(`demo/${name}.flac`, import.meta.url));
  if (!response.ok) throw new Error(`${name}.flac answered ${response.status}`);
  return new File([await response.blob()], `${name}.flac`, { type: "audio/flac" });
}
