// @ts-check
/** What a card and a self-test say, as rows of words for the page. It touches no page. */

/** @typedef {import("./contract.js").Card} Card */
/** @typedef {import("./contract.js").InputContract} InputContract */
/** @typedef {import("./contract.js").OutputContract} OutputContract */
/** @typedef {import("./golden.js").Replay} Replay */
/** @typedef {[string, string]} Row */

const SEEN = { "centre-crop": "cut out of the centre", stretch: "stretched to it", letterbox: "between black bars" };
const WHOLE = new Intl.NumberFormat("en");

/**
 * A share in words that never say all or nothing of what is not.
 * @param {number} share 0..1
 */
export function percent(share) {
  const text = (share * 100).toFixed(1);
  if (text === "100.0" && share < 1) return "> 99.9 %";
  if (text === "0.0" && share > 0) return "< 0.1 %";
  return `${text} %`;
}

/** @param {number} value */
function short(value) {
  return String(Number(value.toPrecision(4))).replace("-", "−");
}

/**
 * One sentence on the replay, for the top of the page.
 * @param {Replay} replay
 */
export function verdict(replay) {
  const { numVectors, maxError, tolerance } = replay;
  if (!replay.passed) {
    return (
      `Self-test failed: scores differ by up to ${short(maxError)}, allowed are ${short(tolerance)}. ` +
      "This browser does not compute what the model was checked with, so the page gives no answers."
    );
  }
  const how = replay.bitExact ? "bit for bit" : `within ${short(maxError)} of the scores (allowed ${short(tolerance)})`;
  return `Self-test passed: ${numVectors} of ${numVectors} golden vectors, ${how}.`;
}

/**
 * @param {Replay} replay
 * @param {boolean} digestChecked
 * @returns {Row[]}
 */
export function selfTestRows(replay, digestChecked) {
  return [
    ["Golden vectors", `${replay.numVectors} replayed, ${replay.passed ? "passed" : "failed"}`],
    ["Largest difference", replay.bitExact ? "none: every score is the same" : short(replay.maxError)],
    ["Allowed", short(replay.tolerance)],
    ["Same decision", `${replay.decisionsKept} of ${replay.numVectors}`],
    ["Model file", digestChecked ? "SHA-256 as in its card" : "SHA-256 not compared: needs https"],
  ];
}

/**
 * @param {Card} card
 * @returns {Row[]}
 */
export function contractRows(card) {
  const { input, output, labels } = card.contract;
  return [
    ["Labels", labels.length <= 12 ? labels.join(", ") : `${labels.length}: ${labels.slice(0, 8).join(", ")}, …`],
    ["Input", `${input.shape[1]} × ${input.shape[0]} pixels, ${input.colour_order}, ${SEEN[input.resize]}`],
    ["Resize", resizing(input.resize_filter)],
    ...decodingRows(input),
    ["Values", inputValues(input)],
    ["Output", outputValues(output)],
    ["Unsure", unsureRule(output)],
    ...measuredRows(card),
    ["File", `${card.model.file}, ${WHOLE.format(card.model.size_bytes)} bytes`],
    ["SHA-256", `${card.model.sha256.slice(0, 16)}…`],
  ];
}

/** @param {InputContract["resize_filter"]} filter */
function resizing(filter) {
  const [name, without] = filter.split("-no-");
  return without === undefined ? `${name}, antialiased, as Pillow does it` : `${name}, as TensorFlow does it`;
}

/**
 * Browsers cannot decode at a smaller scale: the page says so where the contract asks for it.
 * @param {InputContract} input
 * @returns {Row[]}
 */
function decodingRows(input) {
  if (input.jpeg_decoding !== "reduced") return [];
  const difference = "probabilities of photographs can differ";
  return [["JPEGs", `decoded in full here, at a smaller scale by cifar-classify: ${difference}`]];
}

/** @param {InputContract} input */
function inputValues(input) {
  const real = `pixel × ${short(input.multiplier)} ${input.offset < 0 ? "−" : "+"} ${short(Math.abs(input.offset))}`;
  return input.scale === null ? `${real}, ${input.dtype}` : `${real}, then ${steps(input)}`;
}

/** @param {OutputContract} output */
function outputValues(output) {
  const type = output.scale === null ? output.dtype : steps(output);
  const temperature = output.temperature === null ? "" : `, temperature ${short(output.temperature)}`;
  return `${output.kind}, ${type}${temperature}`;
}

/** @param {InputContract | OutputContract} tensor */
function steps(tensor) {
  return `${tensor.dtype} in steps of ${short(tensor.scale ?? 1)}, zero at ${short(tensor.zero_point ?? 0)}`;
}

/** @param {OutputContract} output */
function unsureRule(output) {
  if (output.abstention_threshold === null) return "never: the model has no threshold";
  const score = output.abstention_score === "probability" ? "probability" : "certainty (generalized entropy)";
  return `below a ${score} of ${short(output.abstention_threshold)}`;
}

/**
 * @param {Card} card
 * @returns {Row[]}
 */
function measuredRows(card) {
  const parity = card.provenance?.parity;
  if (!Number.isInteger(parity?.seen) || !Number.isInteger(parity?.candidate_correct)) return [];
  const { candidate_correct: correct, seen, agreeing, split } = parity ?? {};
  const agreement = Number.isInteger(agreeing) ? `; decides as the float model on ${percent(agreeing / seen)}` : "";
  return [["Measured", `${WHOLE.format(correct)} of ${WHOLE.format(seen)} right on ${split}${agreement}`]];
}
