// @ts-check
/** Raw scores become probabilities, certainties and an answer, as a contract says and as cifar_runtime.scores does. */

/** @typedef {import("./contract.js").OutputContract} OutputContract */

/**
 * @typedef {object} Prediction
 * @property {string} label the most probable one; of equal ones, the one with the lowest index
 * @property {number} index
 * @property {number} probability 0..1, at the contract's temperature
 * @property {{label: string, probability: number}[]} ranked most probable first
 * @property {boolean} abstained whether this is less certain than what the contract calls a sure answer
 */

const LEAST_PROBABILITY = 1e-12;
const ENTROPY_POWER = 0.25;

/**
 * Scores in real units, single precision: `(q - zero_point) * scale`.
 * @param {ArrayLike<number>} raw
 * @param {OutputContract} contract
 * @returns {Float32Array}
 */
export function dequantize(raw, contract) {
  const { scale, zero_point: zeroPoint } = contract;
  if (scale === null || zeroPoint === null) return Float32Array.from(raw);
  return Float32Array.from(raw, (step) => (step - zeroPoint) * scale);
}

/**
 * The softmax of logits, or the scores, at the contract's temperature.
 * @param {Float32Array} scores of one picture
 * @param {OutputContract} contract
 * @returns {number[]}
 */
export function probabilitiesOf(scores, contract) {
  let exact = Array.from(scores);
  const { temperature } = contract;
  if (contract.kind === "probabilities") {
    if (temperature === null) return exact;
    const least = leastProbability(contract);
    exact = exact.map((score) => Math.log(Math.max(score, least)));
  }
  const largest = Math.max(...exact);
  const exponentials = exact.map((score) => Math.exp((score - largest) / (temperature ?? 1)));
  const total = exponentials.reduce((sum, value) => sum + value, 0);
  return exponentials.map((value) => value / total);
}

/**
 * What the contract's abstention threshold is compared with, 0..1.
 *
 * The largest probability; or one minus the generalized entropy, sum((p * (1 - p)) ** 0.25), as a share of what
 * equal probabilities have.
 * Source: X. Liu, Y. Lochman and C. Zach, "GEN: pushing the limits of softmax-based out-of-distribution
 * detection", CVPR 2023.
 * @param {number[]} probabilities
 * @param {OutputContract} contract
 */
export function certaintyOf(probabilities, contract) {
  if (contract.abstention_score === "probability") return Math.max(...probabilities);
  // At a temperature, probabilitiesOf has done it.
  const least = contract.temperature === null ? leastProbability(contract) : 0;
  const entropy = probabilities
    .map((probability) => Math.min(1, Math.max(least, probability)))
    .reduce((sum, inside) => sum + (inside * (1 - inside)) ** ENTROPY_POWER, 0);
  const count = probabilities.length;
  const most = count * ((count - 1) / count ** 2) ** ENTROPY_POWER;
  return 1 - Math.min(entropy / most, 1);
}

/**
 * The answer in the scores of one picture.
 * @param {Float32Array} scores
 * @param {OutputContract} contract
 * @param {string[]} labels
 * @returns {Prediction}
 */
export function predictionOf(scores, contract, labels) {
  const probabilities = probabilitiesOf(scores, contract);
  const threshold = contract.abstention_threshold;
  const abstained = threshold !== null && certaintyOf(probabilities, contract) < threshold;
  // Sorting is stable: of equal ones the lowest index comes first.
  const order = probabilities.map((_, index) => index).sort((a, b) => probabilities[b] - probabilities[a]);
  const ranked = order.map((index) => ({ label: labels[index], probability: probabilities[index] }));
  return { ...ranked[0], index: order[0], ranked, abstained };
}

/**
 * A quantized probability of zero stands for anything below half a step: for the middle of that.
 * @param {OutputContract} contract
 */
function leastProbability(contract) {
  return contract.kind === "logits" || contract.scale === null ? LEAST_PROBABILITY : contract.scale / 4;
}
