/** What the page refuses: contracts it does not know, golden vectors that differ; and the words it uses. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { Classifier } from "../pages/app/classifier.js";
import { checkedCard } from "../pages/app/contract.js";
import { contractRows, percent, verdict } from "../pages/app/facts.js";
import { replay } from "../pages/app/golden.js";
import { orientationIn, withoutOrientation } from "../pages/app/webp-orientation.js";

/** @returns {any} */
function card() {
  return {
    schema: "cifar-edge/artefact/1",
    name: "tiny",
    model: { file: "tiny.onnx", format: "onnx", size_bytes: 12, sha256: "0".repeat(64) },
    contract: {
      input: {
        ...{ shape: [1, 1, 3], dtype: "int8", multiplier: 1, offset: 0, scale: 1, zero_point: -128 },
        ...{ resize_filter: "bicubic", layout: "NHWC", colour_order: "RGB", resize: "centre-crop" },
      },
      output: {
        ...{ kind: "logits", dtype: "float32", scale: null, zero_point: null },
        ...{ temperature: null, abstention_threshold: null, abstention_score: "probability" },
      },
      labels: ["a", "b"],
    },
    golden_vectors: { tolerance: 0.5, shape: [1, 1, 3], images: ["AAAA", "AAAA"], scores: [[1, 0], [0, 1]] },
  };
}

test("a card that says what this page does is taken", () => {
  assert.equal(checkedCard(card()).name, "tiny");
});

/** @type {[string, (card: any) => void, string][]} */
const REFUSED = [
  ["another schema", (it) => (it.schema = "cifar-edge/artefact/2"), `schema is "cifar-edge/artefact/2"`],
  ["another layout", (it) => (it.contract.input.layout = "NCHW"), "layout is \"NCHW\", expected one of NHWC"],
  ["another colour order", (it) => (it.contract.input.colour_order = "BGR"), `colour_order is "BGR"`],
  ["another geometry", (it) => (it.contract.input.resize = "pad"), `resize is "pad"`],
  ["an unknown filter", (it) => (it.contract.input.resize_filter = "area"), `resize_filter is "area"`],
  ["another decoding", (it) => (it.contract.input.jpeg_decoding = "half"), `jpeg_decoding is "half"`],
  ["an unknown field", (it) => (it.contract.input.gamma = 2.2), "expected exactly shape, dtype"],
  ["a missing field", (it) => delete it.contract.output.temperature, "expected exactly kind, dtype"],
  ["one channel", (it) => (it.contract.input.shape = [1, 1, 1]), "shape is [1,1,1]"],
  ["no steps", (it) => (it.contract.input.scale = null), "scale is null, expected a number above zero"],
  ["steps of a float", (it) => (it.contract.output.scale = 1), "null, since float32 is not quantized"],
  ["a zero outside", (it) => (it.contract.input.zero_point = 200), "zero_point is 200, expected a whole number -128"],
  ["a negative temperature", (it) => (it.contract.output.temperature = -1), "temperature is -1"],
  ["a threshold above 1", (it) => (it.contract.output.abstention_threshold = 2), "abstention_threshold is 2"],
  ["one label twice", (it) => (it.contract.labels = ["a", "a"]), "two or more different names"],
  ["no golden vectors", (it) => delete it.golden_vectors, "golden_vectors is undefined"],
];
for (const [what, change, message] of REFUSED) {
  test(`a card with ${what} is refused`, () => {
    const changed = card();
    change(changed);
    assert.throws(
      () => checkedCard(changed),
      (/** @type {any} */ error) => error.message.includes(message) && error.hint.startsWith("Write the site again"),
    );
  });
}

test("golden vectors pass within the tolerance, and bit for bit is said so", async () => {
  const { golden_vectors: golden } = card();
  const rows = [Float32Array.of(1, 0), Float32Array.of(0, 1)];
  const exact = await replay(golden, async () => /** @type {Float32Array} */ (rows.shift()));
  assert.equal(verdict(exact), "Self-test passed: 2 of 2 golden vectors, bit for bit.");
  const near = [Float32Array.of(1.5, 0), Float32Array.of(0, 1)];
  const result = await replay(golden, async () => /** @type {Float32Array} */ (near.shift()));
  assert.deepEqual([result.passed, result.bitExact, result.maxError, result.decisionsKept], [true, false, 0.5, 2]);
});

test("golden vectors beyond the tolerance fail, and so do scores that are no numbers", async () => {
  const { golden_vectors: golden } = card();
  const far = await replay(golden, async () => Float32Array.of(1, 0));
  assert.deepEqual([far.passed, far.maxError, far.decisionsKept], [false, 1, 1]);
  assert.match(verdict(far), /^Self-test failed: scores differ by up to 1, allowed are 0.5\. /);
  assert.equal((await replay(golden, async () => Float32Array.of(NaN, 0))).passed, false);
});

test("golden vectors that do not fit are refused", async () => {
  const { golden_vectors: golden } = card();
  await assert.rejects(replay({ ...golden, images: ["AAAA"] }, async () => new Float32Array(2)), /2 rows of scores/);
  await assert.rejects(replay({ ...golden, images: ["AA==", "AAAA"] }, async () => new Float32Array(2)), /1 bytes/);
  await assert.rejects(replay(golden, async () => new Float32Array(3)), /gives 3 scores, expected 2/);
});

test("a model that gives another number of scores, or none that are numbers, gives no answer", async () => {
  const pixels = new Uint8Array(3);
  for (const scores of [[1], [NaN, 1]]) {
    const classifier = new Classifier(card().contract, async () => scores);
    await assert.rejects(classifier.classify(pixels), /one finite number for each of 2 labels/);
  }
});

test("a failed run does not stop the next one", async () => {
  let calls = 0;
  const classifier = new Classifier(card().contract, async () => {
    calls += 1;
    if (calls === 1) throw new Error("out of memory");
    return [0, 3];
  });
  const pixels = new Uint8Array(3);
  const both = await Promise.allSettled([classifier.classify(pixels), classifier.classify(pixels)]);
  assert.deepEqual(both.map(({ status }) => status), ["rejected", "fulfilled"]);
});

test("a share is never rounded to all or nothing", () => {
  const shown = [0, 0.0001, 0.0005, 0.5, 0.9994, 0.9999, 1].map(percent);
  assert.deepEqual(shown, ["0.0 %", "< 0.1 %", "0.1 %", "50.0 %", "99.9 %", "> 99.9 %", "100.0 %"]);
});

test("the contract is shown in words", () => {
  const rows = Object.fromEntries(contractRows(card()));
  assert.equal(rows.Values, "pixel × 1 + 0, then int8 in steps of 1, zero at −128");
  assert.equal(rows.Unsure, "never: the model has no threshold");
  assert.equal(rows.Labels, "a, b");
});

test("that a browser decodes JPEGs in full is said where the contract asks for less", () => {
  assert.ok(!contractRows(card()).some(([name]) => name === "JPEGs"));
  const reduced = card();
  reduced.contract.input.jpeg_decoding = "reduced";
  const rows = Object.fromEntries(contractRows(checkedCard(reduced)));
  assert.match(rows.JPEGs, /^decoded in full here, at a smaller scale by cifar-classify/);
});

test("an orientation that is cut short, or none that exists, is upright", () => {
  const exif = Uint8Array.of(0x49, 0x49, 42, 0, 8, 0, 0, 0, 1, 0, 0x12, 0x01, 3, 0, 1, 0, 0, 0, 6, 0, 0, 0);
  assert.equal(orientationIn(exif), 6);
  for (let length = 0; length < exif.length; length += 1) assert.equal(orientationIn(exif.slice(0, length)), 1);
  assert.equal(orientationIn(exif.map((byte) => (byte === 6 ? 9 : byte))), 1);
});

test("a WebP file that is cut short keeps its bytes", () => {
  const file = new Uint8Array(20);
  assert.deepEqual(withoutOrientation(file), { file, orientation: 1 });
});
