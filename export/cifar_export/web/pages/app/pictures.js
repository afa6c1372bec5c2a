// @ts-check
/** Asks the worker for pictures in the model's size. */

import { PageError } from "./errors.js";

/** @typedef {import("./contract.js").InputContract} InputContract */
/** @typedef {import("./picture-worker.js").FittedPicture} FittedPicture */
/** @typedef {{resolve: (picture: FittedPicture) => void, reject: (error: Error) => void}} Waiting */

export class PictureFitter {
  /** @param {InputContract} contract */
  constructor(contract) {
    this.contract = contract;
    /** @type {Map<number, Waiting>} */
    this.waiting = new Map();
    this.lastId = 0;
    this.worker = new Worker(new URL("./picture-worker.js", import.meta.url), { type: "module" });
    this.worker.addEventListener("message", (event) => this.#settle(event.data));
    this.worker.addEventListener("error", () => this.#failAll());
  }

  /**
   * @param {Blob | ImageBitmap} picture an ImageBitmap is handed over, and closed
   * @param {string} name what to call it in error messages
   * @returns {Promise<FittedPicture>}
   */
  fit(picture, name) {
    this.lastId += 1;
    const id = this.lastId;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      const handedOver = picture instanceof ImageBitmap ? [picture] : [];
      this.worker.postMessage({ id, picture, name, contract: this.contract }, handedOver);
    });
  }

  /** @param {{id: number, result?: FittedPicture, error?: {message: string, hint: string}}} answer */
  #settle({ id, result, error }) {
    const waiting = this.waiting.get(id);
    this.waiting.delete(id);
    if (result !== undefined) waiting?.resolve(result);
    else waiting?.reject(new PageError(error?.message ?? "The worker gave no answer.", error?.hint ?? ""));
  }

  #failAll() {
    for (const { reject } of this.waiting.values()) {
      reject(new PageError("The worker that reads pictures could not be started.", "Reload the page."));
    }
    this.waiting.clear();
  }
}
