// @ts-check
/** The page's elements and what they show. It decides nothing and runs nothing. */

import { percent } from "./facts.js";

/** @typedef {import("./scores.js").Prediction} Prediction */
/** @typedef {import("./preprocess.js").Box} Box */
/** @typedef {import("./resize.js").Size} Size */
/** @typedef {import("./picture-worker.js").FittedPicture} FittedPicture */

const SHOWN_LABELS = 5;
const TINY_PIXELS = 160;

/**
 * @template {HTMLElement} Kind
 * @param {string} id
 * @param {new () => Kind} kind
 * @returns {Kind}
 */
function element(id, kind) {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`index.html has no ${kind.name} #${id}`);
  return found;
}

export const page = {
  verdict: element("verdict", HTMLElement),
  verdictText: element("verdict-text", HTMLElement),
  stage: element("stage", HTMLElement),
  prompt: element("prompt", HTMLElement),
  frame: element("frame", HTMLElement),
  shownFile: element("shown-file", HTMLImageElement),
  shownCanvas: element("shown-canvas", HTMLCanvasElement),
  shownCamera: element("shown-camera", HTMLVideoElement),
  seenBox: element("seen-box", HTMLElement),
  file: element("file", HTMLInputElement),
  camera: element("camera", HTMLButtonElement),
  hold: element("hold", HTMLButtonElement),
  samples: element("samples", HTMLElement),
  samplesTitle: element("samples-title", HTMLElement),
  answer: element("answer", HTMLElement),
  label: element("label", HTMLElement),
  detail: element("detail", HTMLElement),
  ranked: element("ranked", HTMLElement),
  seen: element("seen", HTMLElement),
  seenCanvas: element("seen-canvas", HTMLCanvasElement),
  seenText: element("seen-text", HTMLElement),
  announcement: element("announcement", HTMLElement),
  selfTest: element("self-test", HTMLElement),
  contract: element("contract", HTMLElement),
  offline: element("offline", HTMLElement),
};

/**
 * @param {"loading" | "passed" | "refused"} state
 * @param {string} text
 */
export function showVerdict(state, text) {
  page.verdict.dataset.state = state;
  page.verdictText.textContent = text;
}

/**
 * @param {HTMLElement} list
 * @param {[string, string][]} rows
 */
export function showRows(list, rows) {
  list.replaceChildren(...rows.flatMap(([name, text]) => [made("dt", "", name), made("dd", "", text)]));
}

export function showNothing() {
  page.answer.dataset.state = "empty";
  page.label.textContent = "No picture yet";
  page.detail.textContent = "";
  page.ranked.replaceChildren();
  page.seen.hidden = true;
}

/** @param {Prediction} prediction */
export function showPrediction(prediction) {
  const { label, probability, abstained, ranked } = prediction;
  page.answer.dataset.state = abstained ? "unsure" : "sure";
  page.label.textContent = abstained ? "Unsure" : label;
  page.detail.textContent = abstained
    ? `Perhaps ${label} (${percent(probability)}): less certain than what this model calls an answer.`
    : `With a probability of ${percent(probability)}.`;
  page.ranked.replaceChildren(...ranked.slice(0, SHOWN_LABELS).map(rankedRow));
}

/** @param {Prediction} prediction */
export function sentence({ label, probability, abstained }) {
  return abstained ? `Unsure. Perhaps ${label}, ${percent(probability)}.` : `${label}, ${percent(probability)}.`;
}

/** @param {{message: string, hint: string}} error */
export function showError({ message, hint }) {
  showOnStage(null);
  page.answer.dataset.state = "error";
  page.label.textContent = message;
  page.detail.textContent = hint;
  page.ranked.replaceChildren();
  page.seen.hidden = true;
  page.announcement.textContent = `${message} ${hint}`;
}

/**
 * Tiny pictures are shown enlarged, pixel by pixel.
 * @param {HTMLElement} shown
 * @param {Size} size
 */
export function enlargeIfTiny(shown, size) {
  shown.toggleAttribute("data-small", Math.max(size.width, size.height) < TINY_PIXELS);
}

/**
 * The picture on the stage: one of the three elements, or none of them.
 * @param {HTMLElement | null} shown
 */
export function showOnStage(shown) {
  for (const one of [page.shownFile, page.shownCanvas, page.shownCamera]) one.hidden = one !== shown;
  page.frame.hidden = shown === null;
  page.prompt.hidden = shown !== null;
  page.seenBox.hidden = true;
}

/**
 * @param {FittedPicture} picture
 * @param {Size} inputSize
 */
export function showSeen({ pixels, size, box }, inputSize) {
  drawRgb(page.seenCanvas, pixels, inputSize);
  page.seen.hidden = false;
  const isWhole = box.width === inputSize.width && box.height === inputSize.height;
  const isAll = box.width === size.width && box.height === size.height;
  const seen = isAll ? `made of all ${measures(size)}` : `made of the middle ${measures(box)} of ${measures(size)}`;
  const origin = isWhole ? "as they are" : seen;
  page.seenText.textContent = `What the model sees: ${measures(inputSize)} pixels, ${origin}.`;
  showBox(size, box);
}

/** @param {Size} size */
function measures({ width, height }) {
  return `${width} × ${height}`;
}

/**
 * @param {Size} size
 * @param {Box} box
 */
function showBox(size, box) {
  const { style } = page.seenBox;
  style.left = `${(100 * box.left) / size.width}%`;
  style.top = `${(100 * box.top) / size.height}%`;
  style.width = `${(100 * box.width) / size.width}%`;
  style.height = `${(100 * box.height) / size.height}%`;
  // A browser may show a file otherwise than upright; then there is no place for the box.
  const isShownUpright = page.shownFile.hidden || page.shownFile.naturalWidth === size.width;
  page.seenBox.hidden = !isShownUpright || (box.width === size.width && box.height === size.height);
}

/**
 * @param {HTMLCanvasElement} canvas
 * @param {Uint8Array} rgb
 * @param {Size} size
 */
export function drawRgb(canvas, rgb, size) {
  canvas.width = size.width;
  canvas.height = size.height;
  const image = new ImageData(size.width, size.height);
  for (let from = 0, to = 0; from < rgb.length; from += 3, to += 4) {
    image.data.set(rgb.subarray(from, from + 3), to);
    image.data[to + 3] = 255;
  }
  canvas.getContext("2d")?.putImageData(image, 0, 0);
}

/** @param {{label: string, probability: number}} ranked */
function rankedRow({ label, probability }) {
  const row = document.createElement("li");
  const number = document.createElement("data");
  number.value = String(probability);
  number.textContent = percent(probability);
  const track = made("div", "track", "");
  const bar = made("div", "bar", "");
  bar.style.width = `${100 * probability}%`;
  track.append(bar);
  row.append(made("span", "name", label), number, track);
  return row;
}

/**
 * @param {string} tag
 * @param {string} className
 * @param {string} text
 */
function made(tag, className, text) {
  const node = document.createElement(tag);
  if (className !== "") node.className = className;
  node.textContent = text;
  return node;
}
