/**
 * Keeps the page for visits without a network. Each file has to have its hash: half of a new version on the
 * host is not taken over, and a page never mixes two.
 */
/// <reference lib="webworker" />
declare const self: ServiceWorkerGlobalScope;
/** Names and SHA-256 of the page's files, written by the build. */
declare const FILES: readonly (readonly [name: string, hash: string])[];
/** Files that are fetched only where they are used; their names have their hashes. */
declare const LATER: readonly string[];

const OURS = `tautnet ${self.registration.scope} `;
const version = `${OURS}${FILES.map(([, hash]) => hash.slice(0, 8)).join('')}`;
const addressOf = (name: string): string => new URL(name, self.registration.scope).href;

async function hashOf(bytes: ArrayBuffer): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** @throws Error for a file that is missing or of another version: the old worker stays then */
async function keep(cache: Cache, name: string, hash: string): Promise<void> {
  const response = await fetch(addressOf(name), { cache: 'no-cache' });
  const bytes = await response.clone().arrayBuffer();
  if (!response.ok || (await hashOf(bytes)) !== hash)
    throw new Error(`${name}: expected the file of this version, got another`);
  await cache.put(addressOf(name), response);
}

self.addEventListener('install', (event) => {
  const kept = async () => {
    const cache = await caches.open(version);
    await Promise.all(FILES.map(([name, hash]) => keep(cache, name, hash)));
    await self.skipWaiting();
  };
  event.waitUntil(kept());
});

self.addEventListener('activate', (event) => {
  const cleared = async () => {
    const names = (await caches.keys()).filter((name) => name.startsWith(OURS) && name !== version);
    await Promise.all(names.map((name) => caches.delete(name)));
    await self.clients.claim();
  };
  event.waitUntil(cleared());
});

self.addEventListener('fetch', (event) => {
  const { request } = event;
  const { scope } = self.registration;
  if (request.method !== 'GET' || !request.url.startsWith(scope)) return;
  const address = request.mode === 'navigate' ? addressOf('index.html') : request.url;
  const answer = async () => {
    const cache = await caches.open(version);
    const known = await cache.match(address, { ignoreSearch: true });
    if (known !== undefined) return known;
    const response = await fetch(request);
    if (response.ok && LATER.some((name) => addressOf(name) === address))
      await cache.put(address, response.clone());
    return response;
  };
  event.respondWith(answer());
});

export {};
