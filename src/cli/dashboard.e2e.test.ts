import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Browser, Page, Request } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createRun } from '../experiment/run/run-folder.js';
import { resolveSettings } from '../experiment/settings/resolve-settings.js';
import { seriousFaults } from '../testing/accessibility.js';
import { chromiumPath, openChromium } from '../testing/chromium.js';
import { SHORT_TRAINING, type Started, startTautnet, tautnet } from '../testing/tautnet-process.js';

const browserPath = chromiumPath();
if (browserPath === undefined)
  console.log('skipped: no chromium on the PATH; install it, or name one in TAUTNET_CHROMIUM');

/** Milliseconds that a page may take for anything: a loaded machine takes many times an idle one's. */
const PATIENCE = 120_000;
const HOSTILE = '<img src=x onerror=alert(1)>';
let folder: string;
let started: Started;
let url: string;
/** Heights of the numbers at axes, in pixels of the screen. */
const HEIGHTS_OF_AXES =
  "[...document.querySelectorAll('.axes text')].map((text) => text.getBoundingClientRect().height)";

/** The address that the command prints once it listens. */
const addressOf = ({ child, ended }: Started): Promise<string> =>
  new Promise((done, failed) => {
    child.stdout?.on('data', (text: string) => done(text.trim()));
    ended.then(({ stderr }) => failed(new Error(stderr)));
  });

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tautnet-dashboard-'));
  // What the dashboard keeps is nobody else's here.
  process.env.TAUTNET_CACHE = join(folder, '.cache');
  started = startTautnet(['dashboard', folder, '--port', '0']);
  url = await addressOf(started);
});
afterAll(async () => {
  delete process.env.TAUTNET_CACHE;
  started.child.kill('SIGTERM');
  await started.ended;
  await rm(folder, { recursive: true });
});

describe('tautnet dashboard', () => {
  test('prints its address, listens on this machine only, and ends well by Ctrl-C', async () => {
    expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/$/);
    const page = await fetch(url);
    expect([page.status, page.headers.get('content-type')]).toEqual([200, 'text/html; charset=utf-8']);
    const again = startTautnet(['dashboard', folder, '--port', '0', '--json']);
    expect(JSON.parse(await addressOf(again))).toEqual({ url: expect.stringMatching(/^http/) });
    again.child.kill('SIGINT');
    expect((await again.ended).code).toBe(0);
  });

  test.each([
    [['--port', '70000'], 2, '--port: expected a number from 0 to 65535, got "70000"'],
    [['--port', 'x'], 2, '--port: expected a number from 0 to 65535, got "x"'],
    [['--host', 'no.such.host.invalid'], 1, 'check --host'],
  ])('%j is refused in one line', async (argv, code, line) => {
    const ended = await tautnet(['dashboard', folder, ...argv]);
    expect(ended.code).toBe(code);
    expect(ended.stderr).toContain(line);
    expect(ended.stderr.trimEnd().split('\n')).toHaveLength(1);
  });

  test('a port in use and a folder that is missing are one line', async () => {
    const used = await tautnet(['dashboard', folder, '--port', new URL(url).port]);
    expect([used.code, used.stderr]).toEqual([
      1,
      expect.stringContaining('it is in use; choose another with --port'),
    ]);
    const missing = await tautnet(['dashboard', join(folder, 'none')]);
    expect([missing.code, missing.stderr]).toEqual([2, expect.stringContaining('expected a folder of runs')]);
  });
});

describe.skipIf(browserPath === undefined)('the page in a browser', () => {
  let browser: Browser;
  let page: Page;
  const complaints: string[] = [];
  beforeAll(async () => {
    browser = await openChromium(browserPath as string);
    page = await browser.newPage({ reducedMotion: 'reduce' });
    page.setDefaultTimeout(PATIENCE);
    page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
    page.on('pageerror', (error) => complaints.push(error.message));
    page.on('dialog', (dialog) => {
      complaints.push(`dialog: ${dialog.message()}`);
      void dialog.dismiss();
    });
  });
  afterAll(() => browser.close());

  test('says that there is no run, lists one when it comes, follows its training, and looks inside', async () => {
    const asked: string[] = [];
    page.on('request', (request) => asked.push(new URL(request.url()).origin));
    await page.goto(url);
    await page.getByText('No run in').waitFor();
    const training = tautnet([
      ...SHORT_TRAINING,
      '--epochs',
      '12',
      '--train-limit',
      '3000',
      '--out',
      join(folder, 'first'),
    ]);
    await page.locator('[data-run="first"]').waitFor();
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'first' }).waitFor();
    const epoch = page.locator('[data-epoch]');
    const seen = new Set<string>();
    for (let ended = false; !ended; ) {
      if (await epoch.isVisible())
        seen.add((await epoch.textContent({ timeout: 200 }).catch(() => '')) ?? '');
      ended = await page.getByText('finished').isVisible();
      await page.waitForTimeout(50);
    }
    expect((await training).code).toBe(0);
    expect(seen.size).toBeGreaterThan(1);
    await page.locator('.curve').first().waitFor();
    for (const heading of ['Parts of the loss', 'Schedules', 'Unstable neurons while it trains'])
      await page.getByRole('heading', { name: heading }).waitFor();
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
    await page.keyboard.press('y');
    await page.getByRole('button', { name: 'copied' }).waitFor();
    const copied = await page.evaluate('navigator.clipboard.readText()');
    expect(copied).toBe(await page.locator('.command code').first().textContent());
    await page.keyboard.press('l');
    await page.getByText(/CERTIFIED|NOT PROVED|BROKEN|WRONG AS IT IS/).waitFor();
    expect(await page.locator('.margin').count()).toBe(9);
    await page.getByText('unstable', { exact: false }).first().waitFor();
    await page.keyboard.press('4');
    await page.locator('output', { hasText: '0.3' }).waitFor();
    await page.locator('.strip button').nth(3).click();
    await page.getByText('image 3, label 0').waitFor();
    await page.locator('.radius', { hasText: 'CROWN-IBP' }).waitFor();
    await page.locator('[data-exact]').waitFor();
    expect([...new Set(asked)]).toEqual([new URL(url).origin]);
    expect(complaints).toEqual([]);
  });

  test('asks for one step of ε at a time while ε moves fast, and ends at the last', async () => {
    await page.goto(`${url}#/look/first`);
    await page.locator('.margin').first().waitFor();
    const asked: string[] = [];
    let [underWay, most] = [0, 0];
    const isStep = (request: Request) => request.url().includes('relaxations=ibp,crown-ibp');
    const begun = (request: Request) => {
      if (!isStep(request)) return;
      asked.push(new URL(request.url()).searchParams.get('epsilon') ?? '');
      most = Math.max(most, ++underWay);
    };
    const ended = (request: Request) => {
      if (isStep(request)) underWay--;
    };
    page.on('request', begun).on('requestfinished', ended).on('requestfailed', ended);
    for (let k = 0; k < 15; k++) await page.keyboard.press('ArrowRight');
    const epsilon = Number(await page.locator('.slider output').textContent());
    await expect.poll(() => Number(Number(asked.at(-1)).toPrecision(3)), { timeout: PATIENCE }).toBe(epsilon);
    await page.locator('.verdict', { hasText: /CERTIFIED|NOT PROVED|BROKEN/ }).waitFor();
    expect(most).toBe(1);
    page.off('request', begun).off('requestfinished', ended).off('requestfailed', ended);
  });

  test('draws the landscape of a run once, and morphs it by keyboard and by mouse', async () => {
    const tiny = [...SHORT_TRAINING, '--architecture', 'linear 4, linear', '--out', join(folder, 'tiny')];
    expect((await tautnet(tiny)).code).toBe(0);
    await page.goto(`${url}#/run/tiny`);
    await page.getByRole('heading', { name: 'tiny' }).waitFor();
    await page.keyboard.press('s');
    await page.getByRole('heading', { name: 'Landscape' }).waitFor();
    // IBP alone, which is fast; keys are heard once the boxes are there and say so.
    const alone = async () => {
      for (const [key, name] of [
        ['2', 'crown-ibp'],
        ['3', 'crown'],
      ] as const) {
        const box = page.getByRole('checkbox', { name, exact: true });
        await box.waitFor();
        for (let k = 0; k < 50 && (await box.isChecked()); k++) {
          await page.keyboard.press(key);
          await page.waitForTimeout(100);
        }
      }
    };
    await alone();
    const slider = page.getByRole('slider', { name: 'σ' });
    await slider.waitFor();
    await page.getByRole('heading', { name: 'The loss itself' }).waitFor();
    expect(await page.locator('.band').count()).toBe(0);
    expect(await page.locator('.measures tbody tr').count()).toBe(2);
    const raw = await page.locator('.curve').first().getAttribute('d');
    const started = performance.now();
    await page.keyboard.press('ArrowRight');
    await page.getByRole('heading', { name: 'Smoothed, σ = 0.0005' }).waitFor();
    expect(performance.now() - started).toBeLessThan(1000);
    expect(await page.locator('.band').count()).toBe(2);
    expect(await page.locator('.curve').first().getAttribute('d')).not.toBe(raw);
    const { x, y, width, height } = (await slider.boundingBox()) as Exclude<
      Awaited<ReturnType<typeof slider.boundingBox>>,
      null
    >;
    await page.mouse.move(x + 0.63 * width, y + height / 2);
    await page.mouse.down();
    await page.getByRole('heading', { name: 'Between σ = 0.001 and 0.002' }).waitFor();
    await page.mouse.up();
    await page.getByRole('heading', { name: /Smoothed, σ = 0\.00[12]$/ }).waitFor();
    await page.reload();
    await alone();
    await slider.waitFor();
    expect(await page.getByRole('progressbar').count()).toBe(0);
    await page.keyboard.press('Escape');
    await page.getByRole('heading', { name: 'tiny' }).waitFor();
    expect(complaints).toEqual([]);
  });

  test('shows hostile names as text, what is broken as a card, and compares by keyboard', async () => {
    const path = join(folder, HOSTILE);
    await (await createRun(path, resolveSettings({ seed: 3, out: path }))).release();
    await mkdir(join(folder, 'empty'));
    const torn = join(folder, 'torn');
    await (await createRun(torn, resolveSettings({ out: torn }))).release();
    await writeFile(join(torn, 'metrics.jsonl'), 'nonsense\n{"step":1,"epoch":1}\n');
    await page.goto(url);
    await page.getByRole('link', { name: HOSTILE }).waitFor();
    expect(await page.locator('main img').count()).toBe(0);
    await page.locator('[data-run="torn"]', { hasText: 'line 1: expected a JSON object' }).waitFor();
    await page.getByRole('link', { name: 'torn' }).click();
    await page.getByRole('alert').getByText('line 1: expected a JSON object').waitFor();
    await rm(torn, { recursive: true });
    await page.goto(`${url}#/landscape/${encodeURIComponent(HOSTILE)}`);
    await page.getByRole('alert').getByText('expected a finished run').waitFor();
    await page.goto(url);
    await page.getByRole('link', { name: HOSTILE }).waitFor();
    await page.locator('[data-run="torn"]').waitFor({ state: 'detached' });
    await page.keyboard.press('x');
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('x');
    await page.keyboard.press('c');
    await page.getByRole('heading', { name: 'Compare' }).waitFor();
    await page.getByRole('columnheader', { name: 'seed' }).waitFor();
    await page.goto(`${url}#/run/none`);
    await page.getByRole('alert').waitFor();
    expect(complaints.filter((text) => !/404|422/.test(text))).toEqual([]);
  });

  test('a report is whole without scripts and fits a phone, and axe-core finds nothing serious', async () => {
    expect((await tautnet(['report', join(folder, 'first')])).code).toBe(0);
    const address = pathToFileURL(join(folder, 'first', 'report.html')).href;
    const viewport = { width: 375, height: 720 };
    const plain = await browser.newPage({ javaScriptEnabled: false, viewport });
    const asked: string[] = [];
    plain.on('request', (request) => asked.push(request.url()));
    await plain.goto(address);
    for (const name of ['Course of training', 'Schedules', 'Unstable neurons by layer', 'Time', 'Settings'])
      await plain.getByRole('heading', { name }).waitFor();
    expect(asked.filter((one) => !one.startsWith('data:'))).toEqual([address]);
    const judged = await browser.newPage({ viewport, bypassCSP: true });
    await judged.goto(address);
    expect(await judged.evaluate('document.documentElement.scrollWidth')).toBe(375);
    expect(await seriousFaults(judged)).toEqual([]);
    await Promise.all([plain.close(), judged.close()]);
  });

  test.each(['light', 'dark'] as const)(
    'every screen fits a phone in %s, its axes are legible, and axe-core finds nothing serious',
    async (colorScheme) => {
      const size = { viewport: { width: 375, height: 720 }, hasTouch: true } as const;
      const phone = await browser.newPage({ ...size, colorScheme, bypassCSP: true, reducedMotion: 'reduce' });
      phone.setDefaultTimeout(PATIENCE);
      const screens = {
        '': '[data-run="first"]',
        '#/run/first': '.curve',
        '#/compare/first/tiny': 'table.compare',
        '#/look/first': '.radius b',
        '#/landscape/tiny': '.measures',
        '#/run/none': '[role=alert]',
      };
      for (const [hash, ready] of Object.entries(screens)) {
        await phone.goto(`${url}${hash}`);
        await phone.locator(ready).first().waitFor();
        const wide = await phone.evaluate('document.documentElement.scrollWidth');
        expect([hash, Number(wide) <= 375]).toEqual([hash, true]);
        const heights = (await phone.evaluate(HEIGHTS_OF_AXES)) as number[];
        expect([hash, heights.filter((height) => height < 10)]).toEqual([hash, []]);
        expect([hash, await seriousFaults(phone)]).toEqual([hash, []]);
      }
      await phone.close();
    },
  );
});
