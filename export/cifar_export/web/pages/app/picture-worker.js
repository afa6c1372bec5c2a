// @ts-check
/** A worker that decodes and resizes, so that a large picture never stops the page. It never runs the model. */

import { decodeFile, pixelsOf } from "./decode.js";
import { shownError } from "./errors.js";
import { fitPicture, seenBox } from "./preprocess.js";

/** @typedef {import("./contract.js").InputContract} InputContract */
/** @typedef {{id: number, picture: Blob | ImageBitmap, name: string, contract: InputContract}} Job */

/**
 * @typedef {object} FittedPicture
 * @property {Uint8Array} pixels RGB, in the model's size
 * @property {import("./resize.js").Size} size of the upright picture
 * @property {import("./preprocess.js").Box} box the part of it that the model sees
 */

/**
 * @param {Job} job
 * @returns {Promise<FittedPicture>}
 */
async function fitted({ picture, name, contract }) {
  const bitmap = picture instanceof Blob ? await decodeFile(picture, name) : picture;
  try {
    const size = { width: bitmap.width, height: bitmap.height };
    const box = seenBox(size, contract);
    const pixels = fitPicture(pixelsOf(bitmap, box), box, contract);
    return { pixels, size, box };
  } finally {
    bitmap.close();
  }
}

addEventListener("message", async (/** @type {MessageEvent<Job>} */ event) => {
  const { id } = event.data;
  try {
    postMessage({ id, result: await fitted(event.data) });
  } catch (error) {
    postMessage({ id, error: shownError(error) });
  }
});
