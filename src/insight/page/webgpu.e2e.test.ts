import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { chromiumPath, openChromium } from '../../testing/chromium.js';
import type { LocalServer } from '../../testing/local-server.js';
import { buildPage, looksOf, ON_GRAPHICS, servePage, workerOf } from '../../testing/static-page.js';

const browserPath = chromiumPath();
if (browserPath === undefined)
  console.log('skipped: no chromium on the PATH; install it, or name one in TAUTNET_CHROMIUM');
/** Milliseconds that a page may take for anything, and a test: an adapter in software compiles for minutes. */
const [PATIENCE, LONG] = [280_000, 900_000];

describe.skipIf(browserPath === undefined)('the static page in a browser with WebGPU', () => {
  let folder: string;
  let names: readonly string[];
  let server: LocalServer;
  let address: string;
  let browser: Browser;
  let page: Page;
  let present = false;
  const complaints: string[] = [];
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tautnet-page-'));
    names = await buildPage(folder);
    server = await servePage(folder);
    address = `${server.url}/some/path/`;
    browser = await openChromium(browserPath as string, { webgpu: true });
    page = await browser.newPage({ reducedMotion: 'reduce' });
    page.setDefaultTimeout(PATIENCE);
    await page.goto(address);
    present = (await page.evaluate(
      '(async () => (await navigator.gpu?.requestAdapter()) != null)()',
    )) as boolean;
    if (!present) console.log('skipped: this chromium gives no adapter for WebGPU, SwiftShader or other');
    page.on('pageerror', (error) => complaints.push(error.message));
  });
  afterAll(async () => {
    await browser.close();
    await server.close();
    await rm(folder, { recursive: true });
  });

  test('leaves an adapter in software alone unless it is asked for', { timeout: LONG }, async ({ skip }) => {
    if (!present) skip();
    const asked: string[] = [];
    page.on('request', (request) => asked.push(request.url()));
    await page.goto(address);
    await page.getByText('works offline').waitFor();
    await page.locator('[data-exact]').waitFor();
    expect(asked.filter((url) => ON_GRAPHICS.test(url))).toEqual([]);
    await page.goto(`${address}?device=webgpu`);
    await page.locator('header').getByText('WebGPU').waitFor();
    await page.keyboard.press('n');
    await page.getByText('test image 1, label 2').waitFor();
    await page.locator('.verdict.certified').waitFor();
    await page.keyboard.press('4');
    await page.locator('.verdict.broken').waitFor();
    // Nothing has left the device meanwhile.
    expect(await page.locator('header').getByText('WebGPU').count()).toBe(1);
    expect(complaints).toEqual([]);
  });

  test('bounds and proves on the device what it does on the processor, within 1e-4', {
    timeout: LONG,
  }, async ({ skip }) => {
    if (!present) skip();
    let greatest = 0;
    for (const [relaxation, epsilon] of [
      ['crown', 0.17],
      ['ibp', 0.165],
    ] as const) {
      const question = { images: [0, 5], relaxation, epsilon };
      const [onCpu, onDevice] = [
        await looksOf(page, { ...question, ...workerOf(names, 'cpu') }),
        await looksOf(page, { ...question, ...workerOf(names, 'webgpu') }),
      ];
      for (const [k, { relaxations }] of onDevice.entries()) {
        const [row] = relaxations;
        const expected = onCpu[k]?.relaxations[0];
        expect(row?.margins.length).toBe(9);
        for (const [j, margin] of (row?.margins ?? []).entries()) {
          const other = expected?.margins[j] as number;
          greatest = Math.max(greatest, Math.abs((margin as number) - other) / (1 + Math.abs(other)));
        }
        // The same rule says which margins are a proof.
        const least = Math.min(...(expected?.margins ?? []).map((value) => value as number));
        if (Math.abs(least) > 1e-3) expect(row?.proves).toBe(expected?.proves);
        if (least <= 0) expect(row?.proves).toBe(false);
      }
    }
    console.log(`bounds by WebGPU in the page: ${greatest.toExponential(1)} from WebAssembly's`);
    expect(greatest).toBeLessThan(1e-4);
    // Another processor rounds in another way: the same bits would be the same processor's.
    expect(greatest).toBeGreaterThan(0);
  });
});
