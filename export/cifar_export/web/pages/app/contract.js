// @ts-check
/**
 * Reads a model's card, and refuses what this page would not do exactly as it says.
 *
 * The contract is that of cifar_runtime.contract: an unknown field or choice is an error, never ignored.
 */

import { PageError } from "./errors.js";

/** @typedef {import("./resize.js").ResizeFilter} ResizeFilter */
/** @typedef {"float32" | "int8" | "uint8"} TensorType */

/**
 * @typedef {object} InputContract
 * @property {[number, number, number]} shape height, width, 3
 * @property {TensorType} dtype
 * @property {number} multiplier real units per pixel step
 * @property {number} offset real value of pixel 0
 * @property {number | null} scale real units per integer step
 * @property {number | null} zero_point
 * @property {ResizeFilter} resize_filter
 * @property {"NHWC"} layout
 * @property {"RGB"} colour_order
 * @property {"centre-crop" | "stretch" | "letterbox"} resize
 * @property {"full" | "reduced"} [jpeg_decoding] full where it is missing
 */

/**
 * @typedef {object} OutputContract
 * @property {"probabilities" | "logits"} kind
 * @property {TensorType} dtype
 * @property {number | null} scale
 * @property {number | null} zero_point
 * @property {number | null} temperature
 * @property {number | null} abstention_threshold
 * @property {"probability" | "generalized-entropy"} abstention_score
 */

/** @typedef {{input: InputContract, output: OutputContract, labels: string[]}} Contract */

/** @typedef {{encoding: string, count: number, grid: [number, number], data: string}} GoldenBlock */

/**
 * @typedef {object} GoldenVectors
 * @property {number} tolerance
 * @property {[number, number, number]} shape
 * @property {string[] | GoldenBlock} images base64 of RGB bytes, one a picture or all in one block
 * @property {number[][]} scores
 */

/**
 * @typedef {object} Card
 * @property {string} schema
 * @property {string} name
 * @property {string} [licence]
 * @property {{file: string, format: "onnx" | "tflite", size_bytes: number, sha256: string}} model
 * @property {Contract} contract
 * @property {GoldenVectors} golden_vectors
 * @property {{parity?: Record<string, any>}} [provenance]
 */

const CARD_SCHEMA = "cifar-edge/artefact/1";
const INPUT_FIELDS = [
  ...["shape", "dtype", "multiplier", "offset", "scale", "zero_point"],
  ...["resize_filter", "layout", "colour_order", "resize"],
];
const OPTIONAL_INPUT_FIELDS = ["jpeg_decoding"];
const OUTPUT_FIELDS = [
  ...["kind", "dtype", "scale", "zero_point"],
  ...["temperature", "abstention_threshold", "abstention_score"],
];
const TENSOR_TYPES = ["float32", "int8", "uint8"];
const RESIZE_FILTERS = ["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos", "bilinear-no-antialias"];

/**
 * The card, once everything that this page relies on has been found in it.
 * @param {any} card
 * @returns {Card}
 */
export function checkedCard(card) {
  if (card?.schema !== CARD_SCHEMA) throw invalid("schema", card?.schema, `'${CARD_SCHEMA}'`);
  oneOf("model.format", card.model?.format, ["onnx", "tflite"]);
  checkContract(card.contract);
  const images = card.golden_vectors?.images;
  if (!Array.isArray(images) && !Array.isArray(images?.grid)) {
    throw invalid("golden_vectors", card.golden_vectors, "pictures and their scores");
  }
  return card;
}

/** @param {any} contract */
function checkContract(contract) {
  checkFields("contract.input", contract?.input, INPUT_FIELDS, OPTIONAL_INPUT_FIELDS);
  checkFields("contract.output", contract?.output, OUTPUT_FIELDS);
  checkInput(contract.input);
  checkOutput(contract.output);
  const { labels } = contract;
  const areNames = Array.isArray(labels) && labels.every((label) => typeof label === "string");
  if (!areNames || labels.length < 2 || new Set(labels).size !== labels.length) {
    throw invalid("contract.labels", labels, "two or more different names");
  }
}

/** @param {any} input */
function checkInput(input) {
  const { shape } = input;
  const sizesAreWhole = Array.isArray(shape) && shape.every((size) => Number.isInteger(size) && size > 0);
  if (!sizesAreWhole || shape.length !== 3 || shape[2] !== 3) {
    throw invalid("contract.input.shape", shape, "[height, width, 3], all positive");
  }
  checkPositive("contract.input.multiplier", input.multiplier);
  if (!Number.isFinite(input.offset)) throw invalid("contract.input.offset", input.offset, "a finite number");
  oneOf("contract.input.resize_filter", input.resize_filter, RESIZE_FILTERS);
  oneOf("contract.input.layout", input.layout, ["NHWC"]);
  oneOf("contract.input.colour_order", input.colour_order, ["RGB"]);
  oneOf("contract.input.resize", input.resize, ["centre-crop", "stretch", "letterbox"]);
  if ("jpeg_decoding" in input) oneOf("contract.input.jpeg_decoding", input.jpeg_decoding, ["full", "reduced"]);
  checkQuantization("contract.input", input);
}

/** @param {any} output */
function checkOutput(output) {
  oneOf("contract.output.kind", output.kind, ["probabilities", "logits"]);
  if (output.temperature !== null) checkPositive("contract.output.temperature", output.temperature);
  const threshold = output.abstention_threshold;
  if (threshold !== null && !(threshold >= 0 && threshold <= 1)) {
    throw invalid("contract.output.abstention_threshold", threshold, "0..1");
  }
  oneOf("contract.output.abstention_score", output.abstention_score, ["probability", "generalized-entropy"]);
  checkQuantization("contract.output", output);
}

/**
 * @param {string} name
 * @param {any} tensor
 */
function checkQuantization(name, tensor) {
  oneOf(`${name}.dtype`, tensor.dtype, TENSOR_TYPES);
  if (tensor.dtype === "float32") {
    if (tensor.scale !== null || tensor.zero_point !== null) {
      throw invalid(`${name}.scale`, tensor.scale, "null, since float32 is not quantized");
    }
    return;
  }
  checkPositive(`${name}.scale`, tensor.scale);
  const [lowest, highest] = tensor.dtype === "int8" ? [-128, 127] : [0, 255];
  const zeroPoint = tensor.zero_point;
  if (!Number.isInteger(zeroPoint) || zeroPoint < lowest || zeroPoint > highest) {
    throw invalid(`${name}.zero_point`, zeroPoint, `a whole number ${lowest}..${highest}`);
  }
}

/**
 * @param {string} name
 * @param {any} found
 * @param {string[]} expected
 * @param {string[]} optional
 */
function checkFields(name, found, expected, optional = []) {
  const names = Object.keys(found ?? {});
  const strange = names.filter((field) => !expected.includes(field) && !optional.includes(field));
  const missing = expected.filter((field) => !names.includes(field));
  if (strange.length > 0 || missing.length > 0) {
    throw invalid(name, names.join(", "), `exactly ${expected.join(", ")}`);
  }
}

/**
 * @param {string} name
 * @param {unknown} value
 * @param {string[]} choices
 */
function oneOf(name, value, choices) {
  if (typeof value !== "string" || !choices.includes(value)) {
    throw invalid(name, value, `one of ${choices.join(", ")}`);
  }
}

/**
 * @param {string} name
 * @param {unknown} value
 */
function checkPositive(name, value) {
  if (typeof value !== "number" || !Number.isFinite(value) || !(value > 0)) {
    throw invalid(name, value, "a number above zero");
  }
}

/**
 * @param {string} name
 * @param {unknown} value
 * @param {string} expected
 */
function invalid(name, value, expected) {
  return new PageError(
    `The card's ${name} is ${JSON.stringify(value)}, expected ${expected}.`,
    "Write the site again with the cifar-edge that exported the model.",
  );
}
