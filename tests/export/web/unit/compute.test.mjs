/** The page's arithmetic against Python's, case by case. */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { test } from "node:test";

import { overWhite } from "../pages/app/decode.js";
import { goldenImages } from "../pages/app/golden.js";
import { centreBox, fitPicture, inputTable, lookUp, seenBox } from "../pages/app/preprocess.js";
import { resize, roundHalfEven } from "../pages/app/resize.js";
import { certaintyOf, dequantize, predictionOf } from "../pages/app/scores.js";
import { bytes, vectors } from "./vectors.mjs";

for (const { filter, from, to, pixels, resized } of vectors.resize) {
  test(`${filter} ${from.join("x")} to ${to.join("x")} is Pillow's, pixel for pixel`, () => {
    const [size, target] = [from, to].map(([width, height]) => ({ width, height }));
    const found = resize(bytes(pixels), size, target, filter);
    assert.ok(Buffer.from(found).equals(Buffer.from(bytes(resized))));
  });
}

test("the centre box is the runtime's", () => {
  for (const { size, aspect, box } of vectors.boxes) {
    const [area, ratio] = [size, aspect].map(([width, height]) => ({ width, height }));
    const { left, top, width, height } = centreBox(area, ratio);
    assert.deepEqual([left, top, left + width, top + height], box);
  }
});

test("input values are the runtime's, halves to even", () => {
  for (const { contract, table } of vectors.tables) {
    assert.deepEqual(Array.from(inputTable(contract)), table);
  }
  assert.deepEqual([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 2.4999].map(roundHalfEven), [-2, -2, 0, 0, 2, 2, 2]);
});

test("a looked-up tensor has the contract's element type", () => {
  const [, int8] = vectors.tables;
  const tensor = lookUp(Uint8Array.of(0, 128, 255), inputTable(int8.contract));
  assert.ok(tensor instanceof Int8Array);
  assert.deepEqual(Array.from(tensor), [-128, 0, 127]);
});

test("scores, certainty and prediction are the runtime's", () => {
  for (const { contract, raw, labels, scores, certainty, prediction } of vectors.predictions) {
    const found = dequantize(raw, contract);
    assert.deepEqual(Array.from(found), scores);
    const answer = predictionOf(found, contract, labels);
    assert.equal(answer.label, prediction.label);
    assert.equal(answer.index, prediction.index);
    assert.equal(answer.abstained, prediction.abstained);
    for (const [index, [label, probability]] of prediction.ranked.entries()) {
      assert.equal(answer.ranked[index].label, label);
      assert.ok(Math.abs(answer.ranked[index].probability - probability) < 1e-12);
    }
    const inOrder = labels.map((/** @type {string} */ label) =>
      Number(answer.ranked.find((ranked) => ranked.label === label)?.probability),
    );
    assert.ok(Math.abs(certaintyOf(inOrder, contract) - certainty) < 1e-12);
  }
});

test("every level under every alpha over white is Pillow's", () => {
  const { rgba, rgb } = vectors.over_white;
  assert.ok(Buffer.from(overWhite(new Uint8ClampedArray(bytes(rgba)))).equals(Buffer.from(bytes(rgb))));
});

for (const { golden, images } of vectors.golden) {
  test(`golden pictures on a grid of ${golden.images.grid} unpack as in Python`, async () => {
    assert.deepEqual(await goldenImages(golden), images.map(bytes));
  });
}

test("a block of golden pictures that unpacks to another size is refused", async () => {
  const [{ golden }] = vectors.golden;
  for (const count of [1, 3]) {
    const images = { ...golden.images, count };
    await assert.rejects(goldenImages({ ...golden, images }), /do not unpack to/);
  }
  await assert.rejects(goldenImages({ ...golden, images: { ...golden.images, data: "AAAA" } }), /do not unpack to/);
});

for (const { contract, from, pixels, fitted } of vectors.fitted) {
  const { resize: rule, resize_filter: filter, shape } = contract;
  test(`${rule} with ${filter} from ${from} to ${shape} is as in Python`, () => {
    const size = { width: from[0], height: from[1] };
    assert.deepEqual(seenBox(size, contract), { left: 0, top: 0, ...size });
    assert.deepEqual(fitPicture(bytes(pixels), size, contract), bytes(fitted));
  });
}
