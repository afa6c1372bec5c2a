// @ts-check
/** Wires the page: opens the model, replays the golden vectors, and only then answers. */

import { Camera } from "./camera.js";
import { PageError, shownError } from "./errors.js";
import { contractRows, selfTestRows, verdict } from "./facts.js";
import { goldenImages, replay } from "./golden.js";
import { openClassifier, readCard } from "./model.js";
import { keepOffline } from "./offline.js";
import {
  drawRgb,
  enlargeIfTiny,
  page,
  sentence,
  showError,
  showNothing,
  showOnStage,
  showPrediction,
  showRows,
  showSeen,
  showVerdict,
} from "./page.js";
import { PictureFitter } from "./pictures.js";
import { inputSize } from "./preprocess.js";

/** @typedef {import("./classifier.js").Classifier} Classifier */
/** @typedef {import("./picture-worker.js").FittedPicture} FittedPicture */

// Often enough to follow, seldom enough to listen to.
const ANNOUNCEMENT_EVERY_MS = 3000;

class Desk {
  /** @param {Classifier} classifier */
  constructor(classifier) {
    this.classifier = classifier;
    this.size = inputSize(classifier.contract.input);
    this.fitter = new PictureFitter(classifier.contract.input);
    this.camera = new Camera(page.shownCamera);
    /** Counts what was asked for: an answer to an earlier question is not shown. */
    this.asked = 0;
    this.announcedAt = 0;
  }

  /** @param {File} file */
  async classifyFile(file) {
    this.closeCamera();
    URL.revokeObjectURL(page.shownFile.src);
    page.shownFile.src = URL.createObjectURL(file);
    page.shownFile.alt = file.name === "" ? "The pasted picture" : `The picture ${file.name}`;
    showOnStage(page.shownFile);
    await this.#ask(async () => {
      // Whether the file is a picture is the worker's to say; here it only has to be there when the answer comes.
      const shown = page.shownFile.decode().catch(() => undefined);
      const [picture] = await Promise.all([this.fitter.fit(file, file.name || "the picture"), shown]);
      return picture;
    });
  }

  /** @param {Uint8Array} pixels in the model's size */
  async classifyPixels(pixels) {
    this.closeCamera();
    drawRgb(page.shownCanvas, pixels, this.size);
    enlargeIfTiny(page.shownCanvas, this.size);
    showOnStage(page.shownCanvas);
    const box = { left: 0, top: 0, ...this.size };
    await this.#ask(async () => ({ pixels, size: this.size, box }));
  }

  async switchCamera() {
    if (this.camera.isOpen) {
      this.closeCamera();
      showOnStage(null);
      showNothing();
      return;
    }
    releaseSamples();
    await this.#openCamera();
    const { stream } = this.camera; // once it was stopped, another one may be open
    while (stream !== null && this.camera.stream === stream) {
      await this.#ask(async () => this.fitter.fit(await this.camera.frame(), "the camera's frame"));
      await this.camera.nextFrame();
    }
  }

  async #openCamera() {
    page.camera.disabled = true; // while the browser asks whether it may be used
    try {
      await this.camera.open(() => {
        this.closeCamera();
        showError({ message: "The camera stopped.", hint: "Connect it again, or choose a file." });
      });
    } catch (error) {
      showError(shownError(error));
      return;
    } finally {
      page.camera.disabled = false;
    }
    showOnStage(page.shownCamera);
    page.camera.textContent = "Stop camera";
    page.hold.hidden = false;
  }

  /** Stops at the frame that is shown now. */
  async hold() {
    const frame = await this.camera.frame();
    page.shownCanvas.width = frame.width;
    page.shownCanvas.height = frame.height;
    page.shownCanvas.getContext("2d")?.drawImage(frame, 0, 0);
    enlargeIfTiny(page.shownCanvas, frame);
    this.closeCamera();
    showOnStage(page.shownCanvas);
    page.camera.focus();
    await this.#ask(() => this.fitter.fit(frame, "the camera's frame"));
  }

  closeCamera() {
    if (this.camera.isOpen) this.camera.close();
    this.asked += 1; // the answer to its last frame is not awaited
    page.camera.textContent = "Use camera";
    page.hold.hidden = true;
  }

  /** @param {() => Promise<FittedPicture>} fit */
  async #ask(fit) {
    this.asked += 1;
    const question = this.asked;
    try {
      const picture = await fit();
      const prediction = await this.classifier.classify(picture.pixels);
      if (question !== this.asked) return;
      enlargeIfTiny(page.shownFile, picture.size);
      showSeen(picture, this.size);
      showPrediction(prediction);
      this.#announce(sentence(prediction));
    } catch (error) {
      if (question !== this.asked) return;
      this.closeCamera();
      showError(shownError(error));
    }
  }

  /** @param {string} text */
  #announce(text) {
    const now = performance.now();
    if (this.camera.isOpen && now - this.announcedAt < ANNOUNCEMENT_EVERY_MS) return;
    this.announcedAt = now;
    page.announcement.textContent = text;
  }
}

function releaseSamples() {
  for (const button of page.samples.querySelectorAll("button")) button.setAttribute("aria-pressed", "false");
}

/**
 * @param {Desk} desk
 * @param {Uint8Array[]} images
 */
function offerSamples(desk, images) {
  const items = images.map((pixels, index) => {
    const button = document.createElement("button");
    const canvas = document.createElement("canvas");
    button.type = "button";
    button.setAttribute("aria-label", `Self-test picture ${index + 1}`);
    button.setAttribute("aria-pressed", "false");
    drawRgb(canvas, pixels, desk.size);
    button.append(canvas);
    button.addEventListener("click", () => {
      releaseSamples();
      button.setAttribute("aria-pressed", "true");
      page.stage.scrollIntoView({ block: "nearest" });
      void desk.classifyPixels(pixels);
    });
    const item = document.createElement("li");
    item.append(button);
    return item;
  });
  page.samples.replaceChildren(...items);
  page.samplesTitle.hidden = false;
}

/**
 * @param {DataTransfer | null} data
 * @returns {File | null}
 */
function pictureIn(data) {
  const files = Array.from(data?.files ?? []);
  return files.find((file) => file.type.startsWith("image/")) ?? files[0] ?? null;
}

/**
 * @param {Desk} desk
 * @param {File | null} file
 */
function take(desk, file) {
  releaseSamples();
  if (file !== null) return void desk.classifyFile(file);
  showError({ message: "That holds no picture.", hint: "Drop or paste an image file." });
}

/** @param {Desk} desk */
function listen(desk) {
  page.file.addEventListener("change", () => {
    const [file] = Array.from(page.file.files ?? []);
    if (file !== undefined) take(desk, file);
    page.file.value = ""; // so that the same file can be chosen again
  });
  document.addEventListener("paste", (event) => take(desk, pictureIn(event.clipboardData)));
  // The whole window takes drops: a browser would open a file that misses the frame in place of the page.
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    page.stage.toggleAttribute("data-over", true);
  });
  document.addEventListener("dragleave", () => page.stage.toggleAttribute("data-over", false));
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    page.stage.toggleAttribute("data-over", false);
    take(desk, pictureIn(event.dataTransfer));
  });
  page.camera.addEventListener("click", () => void desk.switchCamera());
  page.hold.addEventListener("click", () => void desk.hold());
  addEventListener("unhandledrejection", (event) => showError(shownError(event.reason)));
  page.file.disabled = false;
  page.camera.disabled = false;
}

async function start() {
  const card = await readCard();
  showRows(page.contract, contractRows(card));
  const { classifier, digestChecked } = await openClassifier(card);
  showVerdict("loading", "Replaying the golden vectors…");
  const result = await replay(card.golden_vectors, (image) => classifier.scores(image));
  showRows(page.selfTest, selfTestRows(result, digestChecked));
  if (!result.passed) throw new PageError(verdict(result), "");
  const desk = new Desk(classifier);
  offerSamples(desk, await goldenImages(card.golden_vectors));
  listen(desk);
  showVerdict("passed", verdict(result));
}

/** @param {unknown} error */
function refuse(error) {
  const { message, hint } = shownError(error);
  showVerdict("refused", `${message} ${hint}`.trim());
  page.label.textContent = "No answers";
  page.prompt.textContent = "This page classifies nothing here: see above.";
}

async function showWhetherOffline() {
  const kept = await keepOffline().catch(() => false);
  if (kept) page.offline.textContent = "Pictures are sent nowhere, and this page works offline from now on.";
}

start().then(showWhetherOffline, refuse);
