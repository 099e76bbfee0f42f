// Small helpers for building and finding elements.

/** The one element that matches. */
export function $(selector, root = document) {
  return root.querySelector(selector);
}

/**
 * A new element. Of the properties, `class`, `role`, `aria-…` and `data-…` become attributes, and
 * functions listeners; all others are set on the element itself. Children that are null are left out.
 */
export function el(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (/^(class$|role$|aria-|data-)/.test(name)) element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children.flat().filter((child) => child !== null));
  return element;
}

/** A number of seconds as it is shown. */
export function seconds(value, digits = 1) {
  return `${value.toFixed(digits)} s`;
}
