// @ts-check
/**
 * Pillow's antialiased resize of 8-bit RGB pictures, bit for bit; and TensorFlow's bilinear one without antialiasing.
 *
 * Holds the six filters, the 22-bit fixed-point coefficients and the two passes. It never decodes, crops or
 * touches a canvas: a browser's own resize gives other pixels, and with them other labels.
 *
 * Source: the algorithm of Pillow, src/libImaging/Resample.c and, for nearest, Geometry.c; written anew for
 * JavaScript. Copyright 1997-2011 Secret Labs AB, 1995-2011 Fredrik Lundh and contributors, 2010 Jeffrey
 * 'Alex' Clark and contributors; MIT-CMU licence, in licences/pillow.txt.
 */

/** @typedef {"nearest" | "box" | "bilinear" | "hamming" | "bicubic" | "lanczos"} PillowFilter */
/** @typedef {PillowFilter | "bilinear-no-antialias"} ResizeFilter */
/** @typedef {{width: number, height: number}} Size */

/**
 * @typedef {object} Kernel
 * @property {Int32Array} starts first input position of each output position
 * @property {Int32Array} counts how many inputs each output takes
 * @property {Int32Array} weights fixed-point weights, `taps` for each output
 * @property {number} taps
 */

// 8 bits are the result's; 2 more are for filters whose weights are below 0 or add up to more than 1 on the way.
const PRECISION_BITS = 32 - 8 - 2;
const ONE = 2 ** PRECISION_BITS;
const HALF = 2 ** (PRECISION_BITS - 1);
const CHANNELS = 3;

/** @param {number} x */
function sinc(x) {
  if (x === 0) return 1;
  const angle = x * Math.PI;
  return Math.sin(angle) / angle;
}

/** @param {number} x */
function box(x) {
  return x > -0.5 && x <= 0.5 ? 1 : 0;
}

/** @param {number} x */
function bilinear(x) {
  return Math.max(0, 1 - Math.abs(x));
}

/** @param {number} x */
function hamming(x) {
  if (Math.abs(x) >= 1) return 0;
  // The two constants are single precision in Pillow.
  return x === 0 ? 1 : sinc(Math.abs(x)) * (Math.fround(0.54) + Math.fround(0.46) * Math.cos(Math.abs(x) * Math.PI));
}

/** @param {number} x */
function bicubic(x) {
  const a = -0.5;
  const distance = Math.abs(x);
  if (distance < 1) return ((a + 2) * distance - (a + 3)) * distance * distance + 1;
  if (distance < 2) return (((distance - 5) * distance + 8) * distance - 4) * a;
  return 0;
}

/** @param {number} x */
function lanczos(x) {
  return x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0;
}

/** @type {Record<Exclude<PillowFilter, "nearest">, {weight: (x: number) => number, support: number}>} */
const FILTERS = {
  box: { weight: box, support: 0.5 },
  bilinear: { weight: bilinear, support: 1 },
  hamming: { weight: hamming, support: 1 },
  bicubic: { weight: bicubic, support: 2 },
  lanczos: { weight: lanczos, support: 3 },
};

/**
 * Which inputs each output position mixes, and with which weights.
 * @param {number} inputs length of the axis before
 * @param {number} outputs length of the axis after
 * @param {Exclude<PillowFilter, "nearest">} filter
 * @returns {Kernel}
 */
function kernelOf(inputs, outputs, filter) {
  const { weight, support } = FILTERS[filter];
  const scale = inputs / outputs;
  const stretch = Math.max(scale, 1);
  const reach = support * stretch;
  const taps = Math.ceil(reach) * 2 + 1;
  const starts = new Int32Array(outputs);
  const counts = new Int32Array(outputs);
  const weights = new Int32Array(outputs * taps);
  const real = new Float64Array(taps);
  for (let output = 0; output < outputs; output += 1) {
    const centre = (output + 0.5) * scale;
    const start = Math.max(0, Math.trunc(centre - reach + 0.5));
    const count = Math.min(inputs, Math.trunc(centre + reach + 0.5)) - start;
    let total = 0;
    for (let tap = 0; tap < count; tap += 1) {
      real[tap] = weight((tap + start - centre + 0.5) * (1 / stretch));
      total += real[tap];
    }
    for (let tap = 0; tap < count; tap += 1) {
      const share = (total === 0 ? real[tap] : real[tap] / total) * ONE;
      weights[output * taps + tap] = Math.trunc(share < 0 ? share - 0.5 : share + 0.5);
    }
    starts[output] = start;
    counts[output] = count;
  }
  return { starts, counts, weights, taps };
}

/**
 * Mixes along one axis. An axis is two strides, in bytes: `along` it, and `across` to the next line.
 * @param {{pixels: Uint8Array, along: number, across: number}} input
 * @param {{pixels: Uint8Array, along: number, across: number}} output
 * @param {number} lines
 * @param {Kernel} kernel
 */
function mix(input, output, lines, { starts, counts, weights, taps }) {
  const { pixels, along } = input;
  for (let line = 0; line < lines; line += 1) {
    for (let position = 0; position < starts.length; position += 1) {
      let from = starts[position] * along + line * input.across;
      let red = HALF;
      let green = HALF;
      let blue = HALF;
      const end = position * taps + counts[position];
      for (let tap = position * taps; tap < end; tap += 1) {
        const weight = weights[tap];
        red += pixels[from] * weight;
        green += pixels[from + 1] * weight;
        blue += pixels[from + 2] * weight;
        from += along;
      }
      const to = position * output.along + line * output.across;
      output.pixels[to] = clip8(red >> PRECISION_BITS);
      output.pixels[to + 1] = clip8(green >> PRECISION_BITS);
      output.pixels[to + 2] = clip8(blue >> PRECISION_BITS);
    }
  }
}

/** @param {number} level */
function clip8(level) {
  return level < 0 ? 0 : level > 255 ? 255 : level;
}

/**
 * @param {Uint8Array} pixels
 * @param {Size} from
 * @param {number} width
 * @param {Exclude<PillowFilter, "nearest">} filter
 */
function mixColumns(pixels, from, width, filter) {
  const mixed = new Uint8Array(width * from.height * CHANNELS);
  mix(
    { pixels, along: CHANNELS, across: from.width * CHANNELS },
    { pixels: mixed, along: CHANNELS, across: width * CHANNELS },
    from.height,
    kernelOf(from.width, width, filter),
  );
  return mixed;
}

/**
 * @param {Uint8Array} pixels
 * @param {Size} from
 * @param {number} height
 * @param {Exclude<PillowFilter, "nearest">} filter
 */
function mixRows(pixels, from, height, filter) {
  const mixed = new Uint8Array(from.width * height * CHANNELS);
  const across = from.width * CHANNELS;
  mix(
    { pixels, along: across, across: CHANNELS },
    { pixels: mixed, along: across, across: CHANNELS },
    from.width,
    kernelOf(from.height, height, filter),
  );
  return mixed;
}

/**
 * The input position that each output position takes. Pillow adds the step again and again, and so does this:
 * the product would round elsewhere.
 * @param {number} inputs
 * @param {number} outputs
 */
function nearestPositions(inputs, outputs) {
  const positions = new Int32Array(outputs);
  const step = inputs / outputs;
  let position = step * 0.5;
  for (let output = 0; output < outputs; output += 1) {
    positions[output] = Math.trunc(position);
    position += step;
  }
  return positions;
}

/**
 * @param {Uint8Array} pixels
 * @param {Size} from
 * @param {Size} to
 */
function nearest(pixels, from, to) {
  const taken = new Uint8Array(to.width * to.height * CHANNELS);
  const columns = nearestPositions(from.width, to.width);
  let at = 0;
  for (const row of nearestPositions(from.height, to.height)) {
    for (const column of columns) {
      const pixel = (row * from.width + column) * CHANNELS;
      taken.set(pixels.subarray(pixel, pixel + CHANNELS), at);
      at += CHANNELS;
    }
  }
  return taken;
}

/**
 * The picture in another size: RGB, 8 bits, row by row, as `PIL.Image.resize` and TensorFlow give it.
 * @param {Uint8Array} pixels RGB, height * width * 3
 * @param {Size} from
 * @param {Size} to
 * @param {ResizeFilter} filter
 * @returns {Uint8Array}
 */
export function resize(pixels, from, to, filter) {
  if (from.width === to.width && from.height === to.height) return pixels.slice();
  if (filter === "bilinear-no-antialias") return bilinearOfTensorFlow(pixels, from, to);
  if (filter === "nearest") return nearest(pixels, from, to);
  if (from.width === to.width) return mixRows(pixels, from, to.height, filter);
  if (from.height === to.height) return mixColumns(pixels, from, to.width, filter);
  if (rowsComeFirst(from, to)) {
    const rows = mixRows(pixels, from, to.height, filter);
    return mixColumns(rows, { width: from.width, height: to.height }, to.width, filter);
  }
  const columns = mixColumns(pixels, from, to.width, filter);
  return mixRows(columns, { width: to.width, height: from.height }, to.height, filter);
}

/**
 * Whether Pillow shrinks the height before it touches the width, which rounds differently. It does since Pillow 13,
 * for pictures that lose far more rows than columns; the rule was found by trying 1,500 pairs of sizes.
 * @param {Size} from
 * @param {Size} to
 */
function rowsComeFirst(from, to) {
  return from.height > to.height && from.height - to.height > 2 * (from.width - to.width);
}

/**
 * The whole picture as large as it fits, between black bars, as cifar_runtime.imaging.resample.letterboxed has it.
 * @param {Uint8Array} pixels RGB, height * width * 3
 * @param {Size} from
 * @param {Size} to
 * @param {ResizeFilter} filter
 * @returns {Uint8Array}
 */
export function letterboxed(pixels, from, to, filter) {
  const place = filter === "bilinear-no-antialias" ? placeOfTensorFlow : placeOfPillow;
  const { left, top, ...inside } = place(from, to);
  const inner = resize(pixels, from, inside, filter);
  const whole = new Uint8Array(to.width * to.height * CHANNELS);
  const line = inside.width * CHANNELS;
  for (let row = 0; row < inside.height; row += 1) {
    whole.set(inner.subarray(row * line, (row + 1) * line), ((top + row) * to.width + left) * CHANNELS);
  }
  return whole;
}

/**
 * Where a picture lies in a target, in single precision. Source: TensorFlow, resize_image_with_pad.
 * @param {Size} from
 * @param {Size} to
 */
function placeOfTensorFlow(from, to) {
  const ratio = Math.max(Math.fround(from.width / to.width), Math.fround(from.height / to.height));
  const width = Math.fround(from.width / ratio);
  const height = Math.fround(from.height / ratio);
  return {
    left: Math.max(0, Math.floor(Math.fround(to.width - width) / 2)),
    top: Math.max(0, Math.floor(Math.fround(to.height - height) / 2)),
    width: Math.max(1, Math.floor(width)),
    height: Math.max(1, Math.floor(height)),
  };
}

/**
 * Where a picture lies in a target. Source: Pillow, ImageOps.contain and ImageOps.pad; MIT-CMU licence, as above.
 * @param {Size} from
 * @param {Size} to
 */
function placeOfPillow(from, to) {
  if (from.width / from.height > to.width / to.height) {
    const height = Math.max(1, roundHalfEven((from.height / from.width) * to.width));
    return { left: 0, top: roundHalfEven((to.height - height) * 0.5), width: to.width, height };
  }
  const width = Math.max(1, roundHalfEven((from.width / from.height) * to.height));
  return { left: roundHalfEven((to.width - width) * 0.5), top: 0, width, height: to.height };
}

/**
 * The two positions along an axis that each output lies between, and how far from the first.
 * @param {number} inputs
 * @param {number} outputs
 */
function neighbours(inputs, outputs) {
  const scale = Math.fround(inputs / outputs);
  const first = new Int32Array(outputs);
  const second = new Int32Array(outputs);
  const shares = new Float32Array(outputs);
  for (let output = 0; output < outputs; output += 1) {
    const centre = Math.fround(Math.fround((output + 0.5) * scale) - 0.5);
    first[output] = Math.max(0, Math.floor(centre));
    second[output] = Math.min(inputs - 1, Math.ceil(centre));
    shares[output] = centre - Math.floor(centre);
  }
  return { first, second, shares };
}

/**
 * Each pixel mixed of the four around its centre, in single precision, then rounded, halves to even.
 * Source: tensorflow/core/kernels/image/resize_bilinear_op.cc, with half pixel centres.
 * @param {Uint8Array} pixels
 * @param {Size} from
 * @param {Size} to
 */
function bilinearOfTensorFlow(pixels, from, to) {
  const mixed = new Uint8Array(to.width * to.height * CHANNELS);
  const across = neighbours(from.width, to.width);
  const down = neighbours(from.height, to.height);
  const between = (/** @type {number} */ start, /** @type {number} */ end, /** @type {number} */ share) =>
    Math.fround(start + Math.fround(Math.fround(end - start) * share));
  for (let at = 0; at < mixed.length; at += 1) {
    const column = Math.trunc(at / CHANNELS) % to.width;
    const row = Math.trunc(at / (CHANNELS * to.width));
    const left = across.first[column] * CHANNELS + (at % CHANNELS);
    const right = across.second[column] * CHANNELS + (at % CHANNELS);
    const [top, bottom] = [down.first[row], down.second[row]].map((line) => line * from.width * CHANNELS);
    const share = across.shares[column];
    const above = between(pixels[top + left], pixels[top + right], share);
    const below = between(pixels[bottom + left], pixels[bottom + right], share);
    mixed[at] = roundHalfEven(between(above, below, down.shares[row]));
  }
  return mixed;
}

/** @param {number} value */
export function roundHalfEven(value) {
  const below = Math.floor(value);
  const rest = value - below;
  if (rest !== 0.5) return rest < 0.5 ? below : below + 1;
  return below % 2 === 0 ? below : below + 1;
}
