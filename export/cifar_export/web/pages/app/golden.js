// @ts-check
/** Replays a card's golden vectors: whether this browser still gives the scores that the export wrote down. */

import { PageError } from "./errors.js";

/** @typedef {import("./contract.js").GoldenVectors} GoldenVectors */
/** @typedef {import("./contract.js").GoldenBlock} GoldenBlock */

/**
 * @typedef {object} Replay
 * @property {number} numVectors how many were replayed
 * @property {number} maxError largest absolute difference of a score, in real units; NaN if one is no number
 * @property {number} tolerance the largest that the card allows
 * @property {boolean} bitExact
 * @property {number} decisionsKept pictures whose best class is still the same
 * @property {boolean} passed
 */

const ENCODING = "zlib-planes";
const MAX_UNPACKED_BYTES = 2 ** 27;

/**
 * The pictures of the golden vectors, RGB bytes: a list of whole ones, or one block, see cifar_runtime.golden_images.
 * @param {GoldenVectors} golden
 * @returns {Promise<Uint8Array[]>}
 */
export async function goldenImages(golden) {
  const { images, shape } = golden;
  if (!Array.isArray(images)) return blockImages(images, shape);
  const size = shape.reduce((product, length) => product * length, 1);
  return images.map((text) => {
    const image = bytesOf(text);
    if (image.length !== size) throw damaged(`a picture has ${image.length} bytes, expected ${size}`);
    return image;
  });
}

/** @param {string} text base64 */
function bytesOf(text) {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

/**
 * @param {GoldenBlock} block
 * @param {[number, number, number]} shape
 * @returns {Promise<Uint8Array[]>}
 */
async function blockImages(block, shape) {
  const [height, width, channels] = shape;
  const [rows, columns] = block.grid;
  const numbers = [block.count, rows, columns, height, width];
  const areWhole = numbers.every((number) => Number.isInteger(number) && number > 0);
  const isSound = areWhole && rows <= height && columns <= width && channels === 3;
  if (block.encoding !== ENCODING || !isSound || block.count * height * width * 3 > MAX_UNPACKED_BYTES) {
    const found = `${block.count} pictures of ${shape.join(" x ")} on a grid of ${block.grid.join(" x ")}`;
    throw damaged(`${found}, encoded as ${block.encoding}`);
  }
  const size = rows * columns * channels;
  const residuals = await unpacked(bytesOf(block.data), block.count * size);
  return Array.from({ length: block.count }, (_, index) => {
    const cells = cellsOf(residuals.subarray(index * size, (index + 1) * size), rows, columns);
    return onGrid(cells, { rows, columns }, { height, width });
  });
}

/**
 * What zlib packed, which must be of this very size; never more memory than that.
 * @param {Uint8Array<ArrayBuffer>} packed
 * @param {number} size
 */
async function unpacked(packed, size) {
  const data = new Uint8Array(size);
  const reader = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate")).getReader();
  let length = 0;
  try {
    for (let part = await reader.read(); part.value !== undefined; part = await reader.read()) {
      if (length + part.value.length > size) throw new RangeError("too long");
      data.set(part.value, length);
      length += part.value.length;
    }
  } catch {
    await reader.cancel().catch(() => undefined);
    length = -1;
  }
  if (length !== size) throw damaged(`they do not unpack to ${size} bytes`);
  return data;
}

/**
 * The RGB cells of one picture, from its planes of differences: to the left and to the row above, red and blue less
 * green. All modulo 256, as a Uint8Array stores numbers.
 * @param {Uint8Array} residuals
 * @param {number} rows
 * @param {number} columns
 */
function cellsOf(residuals, rows, columns) {
  const size = rows * columns;
  const planes = residuals.slice();
  for (let at = columns; at < planes.length; at += 1) {
    if (at % size >= columns) planes[at] += planes[at - columns];
  }
  for (let at = 1; at < planes.length; at += 1) {
    if (at % columns !== 0) planes[at] += planes[at - 1];
  }
  const cells = new Uint8Array(planes.length);
  for (let at = 0; at < size; at += 1) {
    const green = planes[at + size];
    cells.set([planes[at] + green, green, planes[at + 2 * size] + green], 3 * at);
  }
  return cells;
}

/**
 * A picture whose cells are those of a grid.
 * @param {Uint8Array} cells RGB
 * @param {{rows: number, columns: number}} grid
 * @param {{height: number, width: number}} size
 */
function onGrid(cells, grid, size) {
  const image = new Uint8Array(size.height * size.width * 3);
  for (let row = 0; row < size.height; row += 1) {
    const line = Math.floor((row * grid.rows) / size.height) * grid.columns;
    for (let column = 0; column < size.width; column += 1) {
      const cell = 3 * (line + Math.floor((column * grid.columns) / size.width));
      image.set(cells.subarray(cell, cell + 3), 3 * (row * size.width + column));
    }
  }
  return image;
}

/**
 * @param {GoldenVectors} golden
 * @param {(image: Uint8Array) => Promise<Float32Array>} scoresOf
 * @returns {Promise<Replay>}
 */
export async function replay(golden, scoresOf) {
  const images = await goldenImages(golden);
  if (golden.scores.length !== images.length || images.length === 0) {
    throw damaged(`${golden.scores.length} rows of scores belong to ${images.length} pictures`);
  }
  const errors = [];
  let decisionsKept = 0;
  for (const [row, image] of images.entries()) {
    const expected = golden.scores[row].map(Math.fround);
    const found = await scoresOf(image);
    if (found.length !== expected.length) {
      throw damaged(`the model gives ${found.length} scores, expected ${expected.length}`);
    }
    errors.push(...expected.map((score, index) => Math.abs(found[index] - score)));
    decisionsKept += bestOf(found) === bestOf(expected) ? 1 : 0;
  }
  const maxError = Math.max(...errors);
  return {
    ...{ numVectors: images.length, maxError, tolerance: golden.tolerance },
    ...{ bitExact: maxError === 0, decisionsKept, passed: maxError <= golden.tolerance },
  };
}

/** @param {ArrayLike<number>} scores */
function bestOf(scores) {
  return Array.from(scores).indexOf(Math.max(...Array.from(scores)));
}

/** @param {string} what */
function damaged(what) {
  return new PageError(`The golden vectors do not fit: ${what}.`, "Write the site again from the exported model.");
}
