import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { seriousFaults } from '../../testing/accessibility.js';
import { chromiumPath, openChromium } from '../../testing/chromium.js';
import type { LocalServer } from '../../testing/local-server.js';
import { buildPage, looksOf, ON_GRAPHICS, servePage, workerOf } from '../../testing/static-page.js';
import { tautnet } from '../../testing/tautnet-process.js';
import { readCertificateLines } from '../../verification/certification/certificate-lines.js';

const browserPath = chromiumPath();
if (browserPath === undefined)
  console.log('skipped: no chromium on the PATH; install it, or name one in TAUTNET_CHROMIUM');

/** Milliseconds that a page may take for anything: a loaded machine takes many times an idle one's. */
const PATIENCE = 120_000;
let folder: string;
let site: string;
/** Files of the page. */
let names: readonly string[];
let server: LocalServer;
/** A file that the host has of another version. */
let spoiled: string | undefined;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tautnet-page-'));
  site = join(folder, 'site');
  names = await buildPage(site);
  server = await servePage(site, (name) => name === spoiled);
});
afterAll(async () => {
  await server.close();
  await rm(folder, { recursive: true });
});

describe('the static page', () => {
  test('is at most 5 MB over the wire, and its network less than one', async () => {
    const onTheWire = async (names: readonly string[]) => {
      const sizes = names.map(async (name) => {
        const bytes = await readFile(join(site, name));
        return Math.min(bytes.length, gzipSync(bytes).length);
      });
      return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
    };
    const [total, more] = await Promise.all([
      onTheWire(names.filter((name) => !ON_GRAPHICS.test(name))),
      onTheWire(names.filter((name) => ON_GRAPHICS.test(name))),
    ]);
    const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(2)} MB`;
    console.log(`the static page: ${megabytes(total)} compressed, WebGPU ${megabytes(more)} more`);
    expect(total).toBeLessThan(5_000_000);
    expect((await readFile(join(site, 'network.onnx'))).length).toBeLessThan(1_000_000);
  });
});

describe.skipIf(browserPath === undefined)('the static page in a browser', () => {
  let browser: Browser;
  let context: BrowserContext;
  let page: Page;
  let address: string;
  const complaints: string[] = [];
  const asked: string[] = [];
  beforeAll(async () => {
    address = `${server.url}/some/path/`;
    browser = await openChromium(browserPath as string);
    context = await browser.newContext({ reducedMotion: 'reduce' });
    context.setDefaultTimeout(PATIENCE);
    page = await context.newPage();
    page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
    page.on('pageerror', (error) => complaints.push(error.message));
    context.on('request', (request) => asked.push(request.url()));
    await page.goto(address);
    await page.locator('.verdict', { hasText: /CERTIFIED|NOT PROVED|BROKEN/ }).waitFor();
  });
  afterAll(() => browser.close());

  /** Draws lines on the pad by mouse, in parts of its side. */
  async function draw(...places: readonly (readonly [number, number])[]): Promise<void> {
    await page.locator('.pad svg').scrollIntoViewIfNeeded();
    const box = await page.locator('.pad svg').boundingBox();
    if (box === null) throw new Error('expected a pad');
    const { x, y, width, height } = box;
    for (const [i, [across, down]] of places.entries()) {
      await page.mouse.move(x + across * width, y + down * height, { steps: 10 });
      if (i === 0) await page.mouse.down();
    }
    await page.mouse.up();
  }

  /** Draws a line on the pad by a finger. */
  async function touch(phone: Page, ...places: readonly (readonly [number, number])[]): Promise<void> {
    const box = await phone.locator('.pad svg').boundingBox();
    const session = await phone.context().newCDPSession(phone);
    const { x = 0, y = 0, width = 0, height = 0 } = box ?? {};
    for (const [i, [across, down]] of places.entries()) {
      const touchPoints = [{ x: x + across * width, y: y + down * height }];
      await session.send('Input.dispatchTouchEvent', {
        type: i === 0 ? 'touchStart' : 'touchMove',
        touchPoints,
      });
    }
    await session.send('Input.dispatchTouchEvent', { type: 'touchEnd', touchPoints: [] });
  }

  test('certifies a digit drawn by mouse, and says up to which radius', async () => {
    await draw([0.3, 0.2], [0.7, 0.2], [0.45, 0.85]);
    await page.getByText('drawn, read as 7').waitFor();
    await page.locator('.verdict.certified').waitFor();
    await page.locator('.radius b').first().waitFor();
    expect(Number(await page.locator('.radius b').first().textContent())).toBeGreaterThan(0.1);
  });

  test('says of the exact radius what branch and bound proves and attacks break, as far as its time goes', async () => {
    const text = async () => (await page.locator('.radius').textContent()) ?? '';
    await page.locator('[data-exact="found"], [data-exact="open"]').waitFor();
    const [, best, exact] =
      /certified up to ε = ([\d.]+) by CROWN.*?, (?:exact ≥ )?([\d.]+) (?:exact|so far)/.exec(await text()) ??
      [];
    expect(Number(exact)).toBeGreaterThanOrEqual(Number(best));
    // A search under way ends with its digit: the next one has its radii at once.
    await page.keyboard.press('n');
    await page.locator('[data-exact="searching"]').waitFor();
    await page.keyboard.press('n');
    await page.getByText('test image 1, label 2').waitFor();
    await page.locator('[data-exact]').waitFor();
    await draw([0.3, 0.2], [0.7, 0.2], [0.45, 0.85]);
    await page.getByText('drawn, read as 7').waitFor();
  });

  test('shows what breaks it where the ball is wide, by keyboard too', async () => {
    await page.locator('main h1').click();
    await page.keyboard.press('4');
    await page.locator('output', { hasText: '0.3' }).waitFor();
    await page.locator('.verdict.broken').waitFor();
    await page.getByRole('img', { name: 'counterexample', exact: true }).waitFor();
    await page.keyboard.press('3');
    await page.keyboard.press('n');
    await page.getByText('test image 0, label 7').waitFor();
    await page.keyboard.press('n');
    await page.getByText('test image 1, label 2').waitFor();
  });

  test('bounds test digits as `tautnet certify` does, within 4e-6 of the size of the logits', async () => {
    const out = join(folder, 'verdicts.jsonl');
    const count = 12;
    const network = join(site, 'network.onnx');
    for (const relaxation of ['ibp', 'crown-ibp', 'crown']) {
      const argv = `--dataset mnist --epsilon 0.1 --limit ${count} --relaxation ${relaxation} --threads 1`;
      const ended = await tautnet(['certify', network, ...argv.split(' '), '--out', out]);
      expect(ended.code).toBe(0);
      const lines = ((await readCertificateLines(out)) ?? []).filter(
        ({ verdict }) => verdict === 'certified',
      );
      expect(lines.length).toBeGreaterThan(count / 2);
      const images = lines.map(({ image }) => image);
      const looks = await looksOf(page, { images, relaxation, ...workerOf(names, 'cpu') });
      for (const [k, { margin }] of lines.entries()) {
        const [row] = looks[k]?.relaxations ?? [];
        expect(row?.proves).toBe(true);
        const least = Math.min(...(row?.margins ?? []).map((value) => value ?? Number.NaN));
        expect(Math.abs(least - (margin as number)) / (1 + (margin as number))).toBeLessThan(4e-6);
      }
    }
  });

  test('refuses what is no network for digits in one line, and goes on with the one that it has', async () => {
    const broken = join(folder, 'broken.onnx');
    const bytes = await readFile(join(site, 'network.onnx'));
    await writeFile(broken, bytes.subarray(0, bytes.length / 2));
    await page.locator('input[type=file]').setInputFiles(broken);
    const alert = page.locator('.network').getByRole('alert');
    await alert.waitFor();
    expect(await alert.textContent()).toMatch(/^broken\.onnx: expected/);
    expect(await page.locator('.network b').first().textContent()).toBe('network.onnx');
    await page.locator('input[type=file]').setInputFiles(join(site, 'network.onnx'));
    await alert.waitFor({ state: 'detached' });
    await page.locator('.verdict.certified').waitFor();
  });

  test('stays on WebAssembly where there is no adapter, and fetches nothing for one', async () => {
    await page.getByText('works offline').waitFor();
    expect(asked.filter((url) => ON_GRAPHICS.test(url))).toEqual([]);
    expect(await page.locator('header').getByText('WebGPU').count()).toBe(0);
  });

  test('takes files that are dropped anywhere, and does not read one that is too large', async () => {
    const alert = page.locator('.network').getByRole('alert');
    await page.evaluate(`(${DROP})('huge.onnx', new Uint8Array(40e6))`);
    await alert.waitFor();
    expect(await alert.textContent()).toBe(
      'huge.onnx: expected at most 33554432 bytes in the page, got 40000000; take `tautnet certify`',
    );
    await page.evaluate(`(async () => (${DROP})('mine.onnx', await (await fetch('network.onnx')).blob()))()`);
    await page.locator('.network b', { hasText: 'mine.onnx' }).waitFor();
    expect(await alert.count()).toBe(0);
  });

  test('trains a network, its curve live, and certifies digits with it', async () => {
    await page.evaluate(WATCH_TRAINING);
    await page.getByRole('button', { name: 'Train' }).click();
    await page.getByText('epoch 15 of 15').waitFor({ timeout: 250_000 });
    const seen = (await page.evaluate('window.seenOfTraining')) as SeenOfTraining[];
    const live = seen.filter(({ epoch, stop }) => stop && epoch < 15);
    // Every epoch is one more point of the curve while there is something to stop.
    expect(live.length).toBeGreaterThan(3);
    expect(live.map(({ points }) => points)).toEqual(live.map(({ epoch }) => epoch));
    for (const [i, { epoch }] of live.entries()) expect(epoch).toBeGreaterThan(live[i - 1]?.epoch ?? 0);
    await page.locator('.network b', { hasText: 'trained-here.onnx' }).waitFor();
    await page.getByRole('button', { name: 'Certify 500 test digits at ε = 0.1' }).click();
    const certified = page.locator('[data-certified]');
    await certified.waitFor({ timeout: PATIENCE });
    expect(Number(await certified.getAttribute('data-certified'))).toBeGreaterThan(0.6);
  });

  test('fits a phone and a finger, light and dark, at rest, and axe-core finds nothing serious', async () => {
    for (const colorScheme of ['light', 'dark'] as const) {
      const size = { viewport: { width: 375, height: 720 }, hasTouch: true } as const;
      const options = { ...size, colorScheme, bypassCSP: true, reducedMotion: 'reduce' } as const;
      const phone = await browser.newPage(options);
      phone.setDefaultTimeout(PATIENCE);
      await phone.goto(address);
      await phone.locator('.radius b').first().waitFor();
      expect(Number(await phone.evaluate('document.documentElement.scrollWidth'))).toBeLessThanOrEqual(375);
      const moving = "getComputedStyle(document.querySelector('.margins .dot')).transitionDuration";
      expect(await phone.evaluate(moving)).toBe('0s');
      await touch(phone, [0.5, 0.1], [0.5, 0.9]);
      await phone.getByText('drawn, read as 1').waitFor();
      expect(await seriousFaults(phone)).toEqual([]);
      await phone.close();
    }
  });

  test('keeps nothing of a host that has half of another version', async () => {
    spoiled = 'style.css';
    const other = await (await browser.newContext()).newPage();
    other.setDefaultTimeout(PATIENCE);
    await other.goto(address);
    await other.locator('.verdict.certified').waitFor();
    const registered = 'navigator.serviceWorker.getRegistration().then((one) => one !== undefined)';
    await expect.poll(() => other.evaluate(registered), { timeout: PATIENCE }).toBe(false);
    expect(await other.getByText('works offline').count()).toBe(0);
    await other.context().close();
    spoiled = undefined;
  });

  test('works after a reload without a network', async () => {
    await page.getByText('works offline').waitFor();
    await context.setOffline(true);
    await server.close();
    await page.reload();
    await page.locator('.verdict.certified').waitFor();
    await draw([0.5, 0.15], [0.5, 0.85]);
    await page.getByText('drawn, read as 1').waitFor();
    expect([...new Set(asked.map((url) => new URL(url).origin))]).toEqual([server.url]);
    expect(complaints).toEqual([]);
  });
});

/** The page at a moment of a training: epochs that it names, points of its first curve, a button to stop. */
interface SeenOfTraining {
  readonly epoch: number;
  readonly points: number;
  readonly stop: boolean;
}

/** Notes in the page itself what it shows of a training, whenever that changes: no moment is missed. */
const WATCH_TRAINING = `(() => {
  window.seenOfTraining = [];
  const training = document.querySelector('.training');
  new MutationObserver(() => {
    const epoch = Number(/epoch (\\d+) of/.exec(training.textContent)?.[1] ?? 0);
    const points = training.querySelector('.curve')?.getAttribute('d').match(/[ML]/g).length ?? 0;
    const stop = [...training.querySelectorAll('button')].some(({ textContent }) => textContent === 'Stop');
    const last = window.seenOfTraining.at(-1);
    if (epoch > 0 && (last?.epoch !== epoch || last.stop !== stop))
      window.seenOfTraining.push({ epoch, points, stop });
  }).observe(training, { subtree: true, childList: true, characterData: true, attributes: true });
})()`;

/** Drops a file of these bytes onto the page. */
const DROP = `(name, bytes) => {
  const dataTransfer = new DataTransfer();
  dataTransfer.items.add(new File([bytes], name));
  document.body.dispatchEvent(new DragEvent('drop', { dataTransfer, bubbles: true, cancelable: true }));
}`;
