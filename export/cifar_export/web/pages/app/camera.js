// @ts-check
/** The camera: opens and closes it, and hands out its frames. It never stores one. */

import { PageError } from "./errors.js";

/** @type {Record<string, [string, string]>} */
const REASONS = {
  NotAllowedError: ["The camera was not allowed.", "Allow it for this page in the browser's settings."],
  NotFoundError: ["No camera was found.", "Choose a file, drop a picture, or paste one."],
  NotReadableError: ["The camera cannot be read.", "Close other programs that use it."],
};

export class Camera {
  /** @param {HTMLVideoElement} video */
  constructor(video) {
    this.video = video;
    /** @type {MediaStream | null} */
    this.stream = null;
  }

  get isOpen() {
    return this.stream !== null;
  }

  /** @param {() => void} onEnded called if the camera stops by itself */
  async open(onEnded) {
    if (navigator.mediaDevices === undefined) {
      throw new PageError("This page may not use the camera: browsers need https for it.", "Open it with https.");
    }
    try {
      this.stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" }, audio: false });
    } catch (error) {
      const name = error instanceof Error ? error.name : "";
      const [message, hint] = REASONS[name] ?? [`The camera failed: ${String(error)}`, "Choose a file instead."];
      throw new PageError(message, hint);
    }
    for (const track of this.stream.getTracks()) track.addEventListener("ended", onEnded);
    this.video.srcObject = this.stream;
    await this.video.play();
  }

  close() {
    for (const track of this.stream?.getTracks() ?? []) track.stop();
    this.stream = null;
    this.video.srcObject = null;
  }

  /**
   * The frame that is shown now. The caller closes it.
   * @returns {Promise<ImageBitmap>}
   */
  frame() {
    return createImageBitmap(this.video, { colorSpaceConversion: "none", premultiplyAlpha: "none" });
  }

  /** @returns {Promise<void>} once the camera shows another frame */
  nextFrame() {
    return new Promise((resolve) => {
      if ("requestVideoFrameCallback" in this.video) this.video.requestVideoFrameCallback(() => resolve());
      else requestAnimationFrame(() => resolve());
    });
  }
}
