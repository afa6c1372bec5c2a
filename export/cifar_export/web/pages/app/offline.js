// @ts-check
/** Keeps this site's files for visits without a network. */

/**
 * Whether the page will open offline from now on; false where the browser offers no service worker here.
 * @returns {Promise<boolean>}
 */
export async function keepOffline() {
  if (navigator.serviceWorker === undefined) return false;
  await navigator.serviceWorker.register(new URL("../service-worker.js", import.meta.url));
  const { active } = await navigator.serviceWorker.ready;
  if (active === null) return false;
  const loaded = performance.getEntriesByType("resource").map((entry) => entry.name);
  const { port1, port2 } = new MessageChannel();
  const kept = new Promise((resolve) => port1.addEventListener("message", (event) => resolve(event.data === true)));
  port1.start();
  active.postMessage({ keep: loaded }, [port2]);
  return /** @type {Promise<boolean>} */ (kept);
}
