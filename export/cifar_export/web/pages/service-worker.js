// @ts-check
/// <reference lib="webworker" />
/**
 * Answers with this site's own files from a cache of this version, and asks the network for nothing else.
 *
 * The export writes `self.SITE` above this line: the version, the files that every visit needs, and all files. The
 * engine has variants, so a visit's own one is kept once it has been loaded.
 */

const worker = /** @type {ServiceWorkerGlobalScope & {SITE: {version: string, core: string[], all: string[]}}} */ (
  /** @type {unknown} */ (self)
);
const scope = worker.registration.scope;
// Several sites may share an origin, and with it the list of caches.
const family = `cifar-edge ${scope} `;
const cacheName = family + worker.SITE.version;

/** @param {string} path */
const address = (path) => new URL(path, scope).href;

async function olderCaches() {
  const names = await caches.keys();
  return names.filter((name) => name.startsWith(family) && name !== cacheName);
}

/** The engine's variant that an older version of this site had kept. */
async function keptBefore() {
  const all = new Set(worker.SITE.all.map(address));
  const kept = [];
  for (const name of await olderCaches()) {
    const requests = await (await caches.open(name)).keys();
    kept.push(...requests.map((request) => request.url).filter((url) => all.has(url)));
  }
  return kept;
}

async function install() {
  const urls = new Set([...worker.SITE.core.map(address), ...(await keptBefore())]);
  await keep([...urls]);
}

/** @param {string[]} urls */
async function keep(urls) {
  const cache = await caches.open(cacheName);
  const missing = [];
  for (const url of urls) if ((await cache.match(url)) === undefined) missing.push(url);
  // "no-cache" asks the server whether the browser's copy is still the newest, and sends nothing twice.
  await cache.addAll(missing.map((url) => new Request(url, { cache: "no-cache" })));
}

async function removeOlder() {
  for (const name of await olderCaches()) await caches.delete(name);
}

/** @param {Request} request */
async function answer(request) {
  const url = new URL(request.url);
  const isPage = url.href === scope || url.href === address("index.html");
  const cache = await caches.open(cacheName);
  return (await cache.match(isPage ? scope : request, { ignoreSearch: true })) ?? fetch(request);
}

worker.addEventListener("install", (event) => event.waitUntil(install()));
worker.addEventListener("activate", (event) => event.waitUntil(removeOlder()));
worker.addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method === "GET" && request.url.startsWith(scope)) event.respondWith(answer(request));
});
worker.addEventListener("message", (event) => {
  const all = new Set(worker.SITE.all.map(address));
  const wanted = /** @type {string[]} */ (event.data.keep).filter((url) => all.has(url));
  const [port] = event.ports;
  event.waitUntil(
    keep(wanted).then(
      () => port.postMessage(true),
      () => port.postMessage(false),
    ),
  );
});
