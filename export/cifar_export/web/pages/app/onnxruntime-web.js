// @ts-check
/** Runs .onnx models in onnxruntime-web, one thread, from this site's own files. */

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
  const ort = await import(new URL("ort.wasm.bundle.min.mjs", FOLDER).href);
  // Two threads gave other scores, took no less time, and need headers that static hosts do not send.
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmPaths = { wasm: new URL("ort-wasm-simd-threaded.wasm", FOLDER).href };
  const session = await ort.InferenceSession.create(model, { executionProviders: ["wasm"], logSeverityLevel: 3 });
  const [inputName] = session.inputNames;
  const [outputName] = session.outputNames;
  return async (tensor) => {
    const input = new ort.Tensor(contract.input.dtype, tensor, [1, ...contract.input.shape]);
    const output = (await session.run({ [inputName]: input }))[outputName];
    if (output.type !== contract.output.dtype) {
      throw new PageError(
        `The model gives ${output.type}, its card says ${contract.output.dtype}.`,
        "Write the site again from the exported model.",
      );
    }
    return output.data;
  };
}
