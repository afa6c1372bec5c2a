// @ts-check
/**
 * The EXIF orientation of a WebP file, which some browsers apply and others do not.
 *
 * So it is read here and hidden from the browser, and the picture is turned by this page.
 * Source: RIFF container of WebP (developers.google.com/speed/webp/docs/riff_container); TIFF 6.0, section 2; EXIF
 * 2.32, tag 0x0112.
 */

const ORIENTATION_TAG = 0x0112;
const UPRIGHT = 1;

/**
 * @param {Uint8Array} file a whole WebP file
 * @returns {{file: Uint8Array, orientation: number}} a copy without its orientation, and the orientation, 1..8
 */
export function withoutOrientation(file) {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  for (let at = 12; at + 8 <= file.length; ) {
    const length = view.getUint32(at + 4, true);
    if (textAt(file, at) === "EXIF") {
      const exif = file.subarray(at + 8, at + 8 + length);
      const copy = file.slice();
      copy.set([0x78, 0x78, 0x78, 0x78], at); // a chunk "xxxx", which readers pass over
      return { file: copy, orientation: orientationIn(exif) };
    }
    at += 8 + length + (length % 2);
  }
  return { file, orientation: UPRIGHT };
}

/**
 * The orientation that a block of EXIF states; 1 if it states none, or none that exists.
 * @param {Uint8Array} exif
 */
export function orientationIn(exif) {
  const start = textAt(exif, 0) === "Exif" ? 6 : 0;
  const view = new DataView(exif.buffer, exif.byteOffset + start, Math.max(0, exif.byteLength - start));
  if (view.byteLength < 8) return UPRIGHT;
  const little = view.getUint16(0) === 0x4949;
  const directory = view.getUint32(4, little);
  if (directory + 2 > view.byteLength) return UPRIGHT;
  const count = view.getUint16(directory, little);
  for (let entry = 0; entry < count; entry += 1) {
    const at = directory + 2 + 12 * entry;
    if (at + 12 > view.byteLength) return UPRIGHT;
    if (view.getUint16(at, little) !== ORIENTATION_TAG) continue;
    const orientation = view.getUint16(at + 8, little);
    return orientation >= 1 && orientation <= 8 ? orientation : UPRIGHT;
  }
  return UPRIGHT;
}

/**
 * @param {Uint8Array} bytes
 * @param {number} at
 */
function textAt(bytes, at) {
  return String.fromCharCode(...bytes.subarray(at, at + 4));
}
