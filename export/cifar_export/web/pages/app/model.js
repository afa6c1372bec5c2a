// @ts-check
/** Opens this site's model: card and model file read once, digest compared, engine started. */

import { Classifier } from "./classifier.js";
import { checkedCard } from "./contract.js";
import { PageError } from "./errors.js";

/** @typedef {import("./contract.js").Card} Card */

const SITE = new URL("../", import.meta.url);

/** @returns {Promise<Card>} */
export async function readCard() {
  const response = await fetched("card.json");
  return checkedCard(await response.json());
}

/**
 * @param {Card} card
 * @returns {Promise<{classifier: Classifier, digestChecked: boolean}>}
 */
export async function openClassifier(card) {
  const response = await fetched(`model/${encodeURIComponent(card.model.file)}`);
  const model = new Uint8Array(await response.arrayBuffer());
  const digestChecked = await checkDigest(model, card);
  const isOnnx = card.model.format === "onnx";
  const { openModel } = isOnnx ? await import("./onnxruntime-web.js") : await import("./litert.js");
  return { classifier: new Classifier(card.contract, await openModel(model, card.contract)), digestChecked };
}

/** @param {string} path */
async function fetched(path) {
  const response = await fetch(new URL(path, SITE));
  if (!response.ok) {
    throw new PageError(
      `${path}: the server answers ${response.status}, expected this file.`,
      "Copy every file of the site to the server.",
    );
  }
  return response;
}

/**
 * Whether the digest could be compared: browsers compute it for https and localhost only.
 * @param {Uint8Array} model
 * @param {Card} card
 */
async function checkDigest(model, card) {
  if (globalThis.crypto?.subtle === undefined) return false;
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", /** @type {any} */ (model)));
  const found = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
  if (found === card.model.sha256) return true;
  throw new PageError(
    `${card.model.file}: sha256 is ${found}, its card says ${card.model.sha256}: the file changed after export.`,
    "Copy the site to the server again, as cifar-export wrote it.",
  );
}
