/** What Python computed, from the file that it names in the environment. */

import { Buffer } from "node:buffer";
import { readFileSync } from "node:fs";
import process from "node:process";

export const vectors = JSON.parse(readFileSync(process.env.CIFAR_EDGE_VECTORS ?? "vectors.json", "utf8"));

/** @param {string} text base64 */
export function bytes(text) {
  return new Uint8Array(Buffer.from(text, "base64"));
}
