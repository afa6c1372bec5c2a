// @ts-check
/** Replays a card's golden vectors: whether this browser still gives the scores that the export wrote down. */

import { PageError } from "./errors.js";

/** @typedef {import("./contract.js").GoldenVectors} GoldenVectors */

/**
 * @typedef {object} Replay
 * @property {number} numVectors how many were replayed
 * @property {number} maxError largest absolute difference of a score, in real units; NaN if one is no number
 * @property {number} tolerance the largest that the card allows
 * @property {boolean} bitExact
 * @property {number} decisionsKept pictures whose best class is still the same
 * @property {boolean} passed
 */

/**
 * The pictures of the golden vectors, RGB bytes.
 * @param {GoldenVectors} golden
 * @returns {Uint8Array[]}
 */
export function goldenImages(golden) {
  const size = golden.shape.reduce((product, length) => product * length, 1);
  return golden.images.map((text) => {
    const image = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
    if (image.length !== size) throw damaged(`a picture has ${image.length} bytes, expected ${size}`);
    return image;
  });
}

/**
 * @param {GoldenVectors} golden
 * @param {(image: Uint8Array) => Promise<Float32Array>} scoresOf
 * @returns {Promise<Replay>}
 */
export async function replay(golden, scoresOf) {
  const images = goldenImages(golden);
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
