// Small helpers that the other scripts share.
const starters = [];

// Runs a function on the page, and again on every part that is put in later.
export function enhance(start) {
  starters.push(start);
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", () => start(document));
  else start(document);
}

document.addEventListener("htmx:after:swap", () => starters.forEach((start) => start(document)));
// A form that the script has sent takes its later parts from the answer: see each script's own marks.

export function once(root, selector, mark, start) {
  for (const element of root.querySelectorAll(selector)) {
    if (element.dataset[mark]) continue;
    element.dataset[mark] = "1";
    start(element);
  }
}

export function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

export function icon(name) {
  const element = make("span", `icon icon-${name}`);
  element.setAttribute("aria-hidden", "true");
  return element;
}

let hiding;
export function toast(text) {
  const place = document.getElementById("toast");
  place.textContent = text;
  place.classList.add("toast_on");
  clearTimeout(hiding);
  hiding = setTimeout(() => place.classList.remove("toast_on"), 2600);
}

export const csrf = () => document.querySelector('input[name="_csrf"]')?.value ?? "";
