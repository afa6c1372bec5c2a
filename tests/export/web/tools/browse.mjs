/**
 * Drives a real Chromium over a written site: `node browse.mjs SCENARIO` reads what to do as JSON from standard input
 * and writes what it saw as JSON. It judges nothing: the Python test does.
 */

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import process from "node:process";

import { chromium } from "playwright-core";

/**
 * @typedef {object} Task
 * @property {string} url
 * @property {string} browser path of Chromium
 * @property {string} profile an empty folder
 * @property {string[]} [files]
 * @property {string} [folder] where screenshots go
 * @property {[number, number][]} [sizes]
 */

/** @typedef {import("playwright-core").Page} Page */
/** @typedef {import("playwright-core").BrowserContext} Context */

const FLAGS = [
  ...["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage"],
  ...["--disable-background-networking", "--disable-component-update", "--disable-sync"],
  ...["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"],
];
const PATIENCE_MS = 120_000;

/** @param {Page} page */
async function answerOn(page) {
  return page.evaluate(() => {
    /** @param {string} id */
    const text = (id) => document.getElementById(id)?.textContent ?? "";
    const ranked = Array.from(document.querySelectorAll("#ranked li"), (row) => ({
      label: row.querySelector(".name")?.textContent,
      probability: Number(row.querySelector("data")?.value),
    }));
    const state = document.getElementById("answer")?.dataset.state;
    return { state, label: text("label"), detail: text("detail"), announcement: text("announcement"), ranked };
  });
}

/** @param {Page} page */
async function forgetAnnouncement(page) {
  await page.evaluate(() => document.getElementById("announcement")?.replaceChildren());
}

/** @param {Page} page */
async function announced(page) {
  await page.waitForFunction(() => document.getElementById("announcement")?.textContent !== "", null, { polling: 20 });
}

/** @param {Page} page */
async function verdictOn(page) {
  await page.waitForSelector("#verdict:not([data-state=loading])");
  return page.evaluate(() => ({
    state: document.getElementById("verdict")?.dataset.state,
    text: document.getElementById("verdict-text")?.textContent,
    fileDisabled: /** @type {HTMLInputElement} */ (document.getElementById("file")).disabled,
    cameraDisabled: /** @type {HTMLButtonElement} */ (document.getElementById("camera")).disabled,
    samples: document.querySelectorAll("#samples button").length,
    selfTest: document.getElementById("self-test")?.textContent,
  }));
}

/**
 * @param {Page} page
 * @param {string} file
 */
async function classifyFile(page, file) {
  await forgetAnnouncement(page);
  await page.setInputFiles("#file", file);
  await announced(page);
  return answerOn(page);
}

/** @type {Record<string, (context: Context, page: Page, task: Task) => Promise<unknown>>} */
const SCENARIOS = {
  verdict: async (_context, page) => verdictOn(page),

  classify: async (_context, page, { files = [] }) => {
    await verdictOn(page);
    const answers = [];
    for (const file of files) answers.push(await classifyFile(page, file));
    return answers;
  },

  /** The same file dropped and pasted; then text, which holds no picture. */
  "drop-and-paste": async (_context, page, { files = [] }) => {
    await verdictOn(page);
    const picture = readFileSync(files[0]).toString("base64");
    const answers = [];
    for (const way of ["drop", "paste", "paste-text"]) {
      await forgetAnnouncement(page);
      await page.evaluate(
        async ({ kind, data }) => {
          const transfer = new DataTransfer();
          const bytes = Uint8Array.from(atob(data), (character) => character.charCodeAt(0));
          if (kind === "paste-text") transfer.items.add("words", "text/plain");
          else transfer.items.add(new File([bytes], "dropped.png", { type: "image/png" }));
          const event =
            kind === "drop"
              ? new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true })
              : new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true });
          document.body.dispatchEvent(event);
        },
        { kind: way, data: picture },
      );
      await announced(page);
      answers.push(await answerOn(page));
    }
    return answers;
  },

  /** The upright RGB pixels of whole files, as base64. */
  pixels: async (_context, page, { files = [] }) => {
    await verdictOn(page);
    const encoded = files.map((file) => readFileSync(file).toString("base64"));
    return page.evaluate(async (pictures) => {
      const { decodeFile, pixelsOf } = await import(new URL("app/decode.js", location.href).href);
      const found = [];
      for (const data of pictures) {
        const file = new Blob([Uint8Array.from(atob(data), (character) => character.charCodeAt(0))]);
        const bitmap = await decodeFile(file, "picture");
        const { width, height } = bitmap;
        const pixels = pixelsOf(bitmap, { left: 0, top: 0, width, height });
        const texts = Array.from(pixels, (/** @type {number} */ level) => String.fromCharCode(level));
        found.push({ width, height, pixels: btoa(texts.join("")) });
      }
      return found;
    }, encoded);
  },

  /** The pixels that the model gets of each file, as base64. */
  fitted: async (_context, page, { files = [] }) => {
    await verdictOn(page);
    const encoded = files.map((file) => readFileSync(file).toString("base64"));
    return page.evaluate(async (pictures) => {
      /** @param {string} path */
      const load = (path) => import(new URL(path, location.href).href);
      const [{ readCard }, { PictureFitter }] = await Promise.all([load("app/model.js"), load("app/pictures.js")]);
      const fitter = new PictureFitter((await readCard()).contract.input);
      const found = [];
      for (const data of pictures) {
        const file = new Blob([Uint8Array.from(atob(data), (character) => character.charCodeAt(0))]);
        const { pixels } = await fitter.fit(file, "picture");
        found.push(btoa(String.fromCharCode(...pixels)));
      }
      return found;
    }, encoded);
  },

  samples: async (_context, page) => {
    const { samples } = await verdictOn(page);
    const answers = [];
    for (let index = 0; index < samples; index += 1) {
      await forgetAnnouncement(page);
      await page.locator("#samples button").nth(index).press("Enter");
      await announced(page);
      answers.push(await answerOn(page));
    }
    return answers;
  },

  camera: async (_context, page) => {
    await verdictOn(page);
    await forgetAnnouncement(page);
    await page.click("#camera");
    await announced(page);
    const live = await answerOn(page);
    await forgetAnnouncement(page);
    await page.click("#hold");
    await announced(page);
    const held = await answerOn(page);
    const frame = await page.evaluate(() =>
      /** @type {HTMLCanvasElement} */ (document.getElementById("shown-canvas")).toDataURL("image/png"),
    );
    await page.click("#camera");
    await page.waitForSelector("#hold:visible");
    await page.waitForSelector("#ranked li");
    await page.click("#camera");
    const stopped = await answerOn(page);
    return { live, held, frame: frame.split(",")[1], stopped };
  },

  /** The second visit, without a network. */
  offline: async (context, page, { files = [], url }) => {
    await verdictOn(page);
    await page.waitForFunction(() => document.getElementById("offline")?.textContent?.includes("works offline"));
    await context.setOffline(true);
    await page.goto("about:blank");
    await page.goto(url);
    const verdict = await verdictOn(page);
    const online = await page.evaluate(() => navigator.onLine);
    return { verdict, online, answer: await classifyFile(page, files[0]) };
  },

  /** What sticks out at each size, in light and dark, with an answer shown; pictures of it where a folder is given. */
  looks: async (_context, page, { files = [], folder, sizes = [] }) => {
    await verdictOn(page);
    const found = [];
    for (const [width, height] of sizes) {
      await page.setViewportSize({ width, height });
      for (const colorScheme of /** @type {const} */ (["light", "dark"])) {
        await page.emulateMedia({ colorScheme });
        for (const [index, file] of files.entries()) {
          await classifyFile(page, file);
          const widest = await page.evaluate(() => document.documentElement.scrollWidth);
          found.push({ width, colorScheme, widest });
          if (folder === undefined) continue;
          await page.screenshot({ path: `${folder}/${width}-${colorScheme}-${index}.png`, fullPage: true });
        }
      }
    }
    return found;
  },

  /** What axe-core finds fault with, by rule and element, in light and dark, before and after an answer. */
  accessibility: async (_context, page, { files = [] }) => {
    await verdictOn(page);
    const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
    await page.evaluate(axe);
    const found = [];
    for (const file of [null, ...files]) {
      if (file !== null) await classifyFile(page, file);
      for (const colorScheme of /** @type {const} */ (["light", "dark"])) {
        await page.emulateMedia({ colorScheme });
        found.push(...(await page.evaluate(() => /** @type {any} */ (globalThis).axe.run())).violations);
      }
    }
    return found.map((/** @type {any} */ { id, nodes }) => [id, nodes.map((/** @type {any} */ node) => node.html)]);
  },

  /** What the tab key reaches, in order. */
  keyboard: async (_context, page) => {
    const { samples } = await verdictOn(page);
    const reached = [];
    for (let press = 0; press < samples + 6; press += 1) {
      await page.keyboard.press("Tab");
      reached.push(
        await page.evaluate(() => {
          const focused = document.activeElement;
          return focused?.id || focused?.getAttribute("aria-label") || focused?.textContent?.trim();
        }),
      );
    }
    return { samples, reached };
  },
};

/** @param {Task} task */
async function open(task) {
  const context = await chromium.launchPersistentContext(task.profile, {
    executablePath: task.browser,
    args: FLAGS,
    viewport: { width: 1280, height: 900 },
    permissions: ["camera"],
  });
  context.setDefaultTimeout(PATIENCE_MS);
  return context;
}

async function main() {
  const task = /** @type {Task} */ (JSON.parse(readFileSync(0, "utf8")));
  const context = await open(task);
  try {
    const [page] = context.pages();
    /** @type {string[]} */
    const complaints = [];
    /** @type {Set<string>} */
    const hosts = new Set();
    page.on("console", (message) => {
      if (["warning", "error"].includes(message.type())) complaints.push(message.text());
    });
    page.on("pageerror", (error) => complaints.push(String(error)));
    context.on("request", (request) => hosts.add(new URL(request.url()).origin));
    await page.goto(task.url);
    const result = await SCENARIOS[process.argv[2]](context, page, task);
    process.stdout.write(JSON.stringify({ result, complaints, hosts: [...hosts] }));
  } finally {
    await context.close();
  }
}

await main();
