// @ts-check
/** Runs .tflite models with float32 or uint8 ends in LiteRT.js, one thread, from this site's own files. */

import { PageError } from "./errors.js";

/** @typedef {import("./preprocess.js").Tensor} Tensor */
/** @typedef {import("./contract.js").Contract} Contract */
/** @typedef {(tensor: Tensor) => Promise<ArrayLike<number>>} Run */

const FOLDER = new URL("../engine/", import.meta.url);

/**
 * @param {Uint8Array} model
 * @param {Contract} contract
 * @returns {Promise<Run>}
 */
export async function openModel(model, contract) {
  const { loadLiteRt, loadAndCompile, Tensor } = await import(new URL("litert.js", FOLDER).href);
  await loadLiteRt(FOLDER.href);
  const compiled = await loadAndCompile(model, { accelerator: "wasm", cpuOptions: { numThreads: 1 } });
  return async (pixels) => {
    const input = new Tensor(pixels, [1, ...contract.input.shape]);
    const outputs = await compiled.run([input]);
    try {
      const scores = outputs[0].toTypedArray().slice();
      checkType(scores, contract.output.dtype);
      return scores;
    } finally {
      // LiteRT.js frees nothing by itself.
      for (const tensor of [input, ...outputs]) tensor.delete();
    }
  };
}

/**
 * @param {unknown} scores
 * @param {string} dtype
 */
function checkType(scores, dtype) {
  const found = scores instanceof Float32Array ? "float32" : scores instanceof Uint8Array ? "uint8" : "of another type";
  if (found === dtype) return;
  throw new PageError(
    `The model gives scores that are ${found}, its card says ${dtype}.`,
    "Write the site again from the exported model.",
  );
}
