// @ts-check
/**
 * Turns an upright RGB picture into a model's input, as its contract says and as cifar_runtime.imaging.preprocess does.
 *
 * Two steps, usable apart: `fitPicture` (geometry) and `inputTable` (256 values, looked up).
 */

import { letterboxed, resize, roundHalfEven } from "./resize.js";

/** @typedef {import("./contract.js").InputContract} InputContract */
/** @typedef {import("./resize.js").Size} Size */
/** @typedef {{left: number, top: number, width: number, height: number}} Box */
/** @typedef {Float32Array | Int8Array | Uint8Array} Tensor */

/**
 * The largest centred part with an aspect ratio, in whole pixels; an odd pixel is left over at the right or bottom.
 * @param {Size} size of the picture
 * @param {Size} aspect whose ratio the box takes
 * @returns {Box}
 */
export function centreBox(size, aspect) {
  const width = Math.min(size.width, Math.max(1, divideRounding(size.height * aspect.width, aspect.height)));
  const height = Math.min(size.height, Math.max(1, divideRounding(size.width * aspect.height, aspect.width)));
  const left = Math.floor((size.width - width) / 2);
  const top = Math.floor((size.height - height) / 2);
  return { left, top, width, height };
}

/**
 * The size of a model's input.
 * @param {InputContract} contract
 * @returns {Size}
 */
export function inputSize(contract) {
  const [height, width] = contract.shape;
  return { width, height };
}

/**
 * The part of a picture that the model sees.
 * @param {Size} size
 * @param {InputContract} contract
 * @returns {Box}
 */
export function seenBox(size, contract) {
  return contract.resize === "centre-crop" ? centreBox(size, inputSize(contract)) : { left: 0, top: 0, ...size };
}

/**
 * What the model sees of a picture, in the input's size.
 * @param {Uint8Array} pixels RGB, row by row
 * @param {Size} size
 * @param {InputContract} contract
 * @returns {Uint8Array}
 */
export function fitPicture(pixels, size, contract) {
  const fit = contract.resize === "letterbox" ? letterboxed : resize;
  return fit(pixels, size, inputSize(contract), contract.resize_filter);
}

/**
 * The input value of every pixel value, 256 of them, in the contract's dtype.
 *
 * Computed in double precision and rounded once, halves to even.
 * Source: ONNX operator specification, QuantizeLinear.
 * @param {InputContract} contract
 * @returns {Tensor}
 */
export function inputTable(contract) {
  const real = Array.from({ length: 256 }, (_, pixel) => pixel * contract.multiplier + contract.offset);
  const { scale, zero_point: zeroPoint } = contract;
  if (scale === null || zeroPoint === null) return Float32Array.from(real);
  const [lowest, highest] = contract.dtype === "int8" ? [-128, 127] : [0, 255];
  const steps = real.map((value) => Math.min(highest, Math.max(lowest, roundHalfEven(value / scale) + zeroPoint)));
  return contract.dtype === "int8" ? Int8Array.from(steps) : Uint8Array.from(steps);
}

/**
 * @param {Uint8Array} pixels in the input's size
 * @param {Tensor} table of `inputTable`
 * @returns {Tensor}
 */
export function lookUp(pixels, table) {
  const tensor = new /** @type {any} */ (table.constructor)(pixels.length);
  for (let at = 0; at < pixels.length; at += 1) tensor[at] = table[pixels[at]];
  return tensor;
}

/**
 * @param {number} numerator
 * @param {number} denominator
 */
function divideRounding(numerator, denominator) {
  return Math.floor((2 * numerator + denominator) / (2 * denominator));
}
