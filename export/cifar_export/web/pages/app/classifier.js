// @ts-check
/** An open model: pictures in the model's size in, predictions out. It touches no page and reads no file. */

import { PageError } from "./errors.js";
import { inputTable, lookUp } from "./preprocess.js";
import { dequantize, predictionOf } from "./scores.js";

/** @typedef {import("./contract.js").Contract} Contract */
/** @typedef {import("./onnxruntime-web.js").Run} Run */
/** @typedef {import("./scores.js").Prediction} Prediction */

export class Classifier {
  /**
   * @param {Contract} contract
   * @param {Run} run
   */
  constructor(contract, run) {
    this.contract = contract;
    this.run = run;
    this.table = inputTable(contract.input);
    // The engines take one picture at a time: a second one waits here.
    /** @type {Promise<unknown>} */
    this.queue = Promise.resolve();
  }

  /**
   * Scores in real units, single precision, one for each label.
   * @param {Uint8Array} pixels RGB, in the model's size
   * @returns {Promise<Float32Array>}
   */
  async scores(pixels) {
    const raw = this.queue.then(() => this.run(lookUp(pixels, this.table)));
    this.queue = raw.catch(() => undefined); // whoever asked hears of it; the next one starts afresh
    return dequantize(await raw, this.contract.output);
  }

  /**
   * @param {Uint8Array} pixels
   * @returns {Promise<Prediction>}
   */
  async classify(pixels) {
    const scores = await this.scores(pixels);
    const { labels, output } = this.contract;
    if (scores.length !== labels.length || !scores.every(Number.isFinite)) {
      throw new PageError(
        `The model gave ${scores.length} scores that are not one finite number for each of ${labels.length} labels.`,
        "Write the site again from the exported model.",
      );
    }
    return predictionOf(scores, output, labels);
  }
}
