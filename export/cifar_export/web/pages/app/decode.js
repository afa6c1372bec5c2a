// @ts-check
/**
 * Turns image files and camera frames into upright RGB pixels, as cifar_runtime.imaging.image does, or refuses them.
 *
 * Orientation is applied, colour profiles are not, transparency is laid over white. Only the part that the model
 * sees is read back. It never resizes: see resize.js.
 */

import { PageError } from "./errors.js";
import { withoutOrientation } from "./webp-orientation.js";

/** @typedef {import("./preprocess.js").Box} Box */

export const MAX_IMAGE_BYTES = 128 * 1024 * 1024;
export const MAX_PIXELS = 4096 * 4096;

/**
 * Formats that the Python runtime reads and browsers do too, and what their files start with.
 * @type {[string, number[]][]}
 */
const SIGNATURES = [
  ["PNG", [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]],
  ["JPEG", [0xff, 0xd8, 0xff]],
  ["WebP", [0x52, 0x49, 0x46, 0x46]],
  ["GIF", [0x47, 0x49, 0x46, 0x38]],
  ["BMP", [0x42, 0x4d]],
];

/**
 * The picture in an image file. The caller closes it.
 * @param {Blob} file
 * @param {string} name what to call it in error messages
 * @returns {Promise<ImageBitmap>}
 */
export async function decodeFile(file, name) {
  if (file.size > MAX_IMAGE_BYTES) {
    throw new PageError(`${name}: is larger than ${MAX_IMAGE_BYTES} bytes.`, "Give a smaller file.");
  }
  const format = await formatOf(file, name);
  const bitmap = format === "WebP" ? await decodedWebp(file, name) : await decoded(file, format, name);
  if (bitmap.width * bitmap.height > MAX_PIXELS) {
    const size = `${bitmap.width} x ${bitmap.height} pixels`;
    bitmap.close();
    throw new PageError(
      `${name}: has ${size}, expected at most ${MAX_PIXELS} in all (4096 x 4096).`,
      "Scale it down first.",
    );
  }
  return bitmap;
}

/**
 * @param {Blob} file
 * @param {string} name
 */
async function decodedWebp(file, name) {
  const { file: plain, orientation } = withoutOrientation(new Uint8Array(await file.arrayBuffer()));
  const bitmap = await decoded(new Blob([/** @type {any} */ (plain)], { type: "image/webp" }), "WebP", name);
  return orientation === 1 ? bitmap : upright(bitmap, orientation);
}

/**
 * Where each orientation puts the x and the y of a picture of one by one: a, b, c, d, e, f of a canvas transform, in
 * units of the picture's size. Source: EXIF 2.32, tag 0x0112.
 * @type {Record<number, [number, number, number, number, number, number]>}
 */
const TURNS = {
  2: [-1, 0, 0, 1, 1, 0],
  3: [-1, 0, 0, -1, 1, 1],
  4: [1, 0, 0, -1, 0, 1],
  5: [0, 1, 1, 0, 0, 0],
  6: [0, 1, -1, 0, 1, 0],
  7: [0, -1, -1, 0, 1, 1],
  8: [0, -1, 1, 0, 0, 1],
};

/**
 * The picture turned as its orientation says. The given one is closed.
 * @param {ImageBitmap} bitmap
 * @param {number} orientation 2..8
 */
function upright(bitmap, orientation) {
  const isTurned = orientation >= 5;
  const width = isTurned ? bitmap.height : bitmap.width;
  const height = isTurned ? bitmap.width : bitmap.height;
  const canvas = new OffscreenCanvas(width, height);
  const context = contextOf(canvas);
  const [a, b, c, d, e, f] = TURNS[orientation];
  context.setTransform(a, b, c, d, e * width, f * height);
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return canvas.transferToImageBitmap();
}

/** @param {OffscreenCanvas} canvas */
function contextOf(canvas) {
  const context = canvas.getContext("2d", { willReadFrequently: true, colorSpace: "srgb" });
  if (context === null) throw new PageError("This browser gives no canvas to read pixels from.", "Try another one.");
  context.imageSmoothingEnabled = false;
  return context;
}

/**
 * A part of a picture as RGB, row by row, laid over white.
 * @param {ImageBitmap} bitmap
 * @param {Box} box
 * @returns {Uint8Array}
 */
export function pixelsOf(bitmap, box) {
  const canvas = new OffscreenCanvas(box.width, box.height);
  const context = contextOf(canvas);
  context.drawImage(bitmap, -box.left, -box.top);
  return overWhite(context.getImageData(0, 0, box.width, box.height).data);
}

/**
 * RGBA laid over white, as Pillow's alpha_composite rounds it.
 *
 * A canvas keeps colours multiplied by their alpha and rounded to 8 bits; over white, which is the largest level,
 * dividing that out again and this sum give exactly what the file's own colours give.
 * Source: Pillow, src/libImaging/AlphaComposite.c; MIT-CMU licence, in licences/pillow.txt.
 * @param {Uint8ClampedArray} rgba
 * @returns {Uint8Array}
 */
export function overWhite(rgba) {
  const rgb = new Uint8Array((rgba.length / 4) * 3);
  for (let from = 0, to = 0; from < rgba.length; from += 4, to += 3) {
    const alpha = rgba[from + 3];
    for (let channel = 0; channel < 3; channel += 1) {
      rgb[to + channel] = alpha === 255 ? rgba[from + channel] : levelOverWhite(rgba[from + channel], alpha);
    }
  }
  return rgb;
}

/**
 * @param {number} level
 * @param {number} alpha
 */
function levelOverWhite(level, alpha) {
  const weighted = (level * alpha + 255 * (255 - alpha)) * 128 + (0x80 << 7);
  return (((weighted >> 8) + weighted) >> 8) >> 7;
}

/**
 * @param {Blob} file
 * @param {string} name
 */
async function formatOf(file, name) {
  const start = new Uint8Array(await file.slice(0, 16).arrayBuffer());
  const found = SIGNATURES.find(([, bytes]) => bytes.every((byte, at) => start[at] === byte));
  const isOther = found?.[0] === "WebP" && String.fromCharCode(...start.slice(8, 12)) !== "WEBP";
  if (found !== undefined && !isOther) return found[0];
  const known = SIGNATURES.map(([format]) => format).join(", ");
  const what = start.length === 0 ? "is empty" : "is not an image of a known format";
  throw new PageError(`${name}: ${what}, expected one of ${known}.`, "Save it as PNG or JPEG.");
}

/**
 * @param {Blob} file
 * @param {string} format
 * @param {string} name
 */
async function decoded(file, format, name) {
  try {
    return await createImageBitmap(file, {
      colorSpaceConversion: "none",
      premultiplyAlpha: "none",
      imageOrientation: "from-image",
    });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new PageError(
      `${name}: is not a ${format} image that this browser can read: ${reason}`,
      "Check that the file is complete, or save it again as PNG.",
    );
  }
}
