/**
 * Pictures of the static page in `docs/figures`, part of `npm run figures`: a digit drawn in a real browser.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { basename, extname, join } from 'node:path';
import { openBrowser } from './open-browser.mjs';

const TYPES = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.css': 'text/css' };
/** A seven, in parts of the pad's side. */
const SEVEN = [
  [0.28, 0.22],
  [0.7, 0.2],
  [0.6, 0.45],
  [0.46, 0.85],
];
/** Pictures by their names: what is done with the drawn digit, what is waited for, where they end. */
const PICTURES = {
  'page-certified': {
    options: { viewport: { width: 1120, height: 800 } },
    below: '.bench',
    margin: 16,
    ready: (page) => page.locator('.verdict.certified').waitFor(),
  },
  'page-broken': {
    options: { viewport: { width: 1120, height: 800 }, colorScheme: 'dark' },
    below: '.pad button',
    margin: 1,
    async ready(page) {
      await page.keyboard.press('4');
      await page.locator('.verdict.broken').waitFor();
    },
  },
};

/** Serves the files of a folder on this machine. */
async function serve(folder) {
  const server = createServer(async (request, response) => {
    const path = join(folder, basename(request.url ?? '') || 'index.html');
    const content = await readFile(path).catch(() => undefined);
    const type = TYPES[extname(path)] ?? 'application/octet-stream';
    response.writeHead(content ? 200 : 404, { 'content-type': type }).end(content);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}

async function draw(page) {
  const pad = await page.locator('.pad svg').boundingBox();
  for (const [i, [across, down]] of SEVEN.entries()) {
    await page.mouse.move(pad.x + across * pad.width, pad.y + down * pad.height, { steps: 8 });
    if (i === 0) await page.mouse.down();
  }
  await page.mouse.up();
  await page.getByText('drawn, read as').waitFor();
}

/**
 * @param root of the repository
 * @returns the pictures' paths
 */
export async function pagePictures(root, figures) {
  const site = mkdtempSync(join(tmpdir(), 'tautnet-site-'));
  const bundler = join(root, 'scripts', 'bundle-page.mjs');
  const { status } = spawnSync(process.execPath, [bundler, '--out', site], { stdio: 'inherit' });
  if (status !== 0) throw new Error('figures: expected the page to be built, it was not');
  const server = await serve(site);
  const browser = await openBrowser();
  try {
    const paths = [];
    for (const [name, { options, below, margin, ready }] of Object.entries(PICTURES)) {
      const page = await browser.newPage({ ...options, reducedMotion: 'reduce' });
      await page.goto(`http://127.0.0.1:${server.address().port}/`);
      await page.locator('.radius b').first().waitFor();
      await draw(page);
      await ready(page);
      await page.locator('[data-exact="found"], [data-exact="open"]').waitFor();
      await page.getByText('computing').waitFor({ state: 'detached' });
      const path = join(figures, `${name}.png`);
      const end = await page.locator(below).boundingBox();
      const clip = {
        x: 0,
        y: 0,
        width: options.viewport.width,
        height: Math.ceil(end.y + end.height + margin),
      };
      await page.screenshot({ path: join(root, path), fullPage: true, clip });
      await page.close();
      paths.push(path);
    }
    return paths;
  } finally {
    await browser.close();
    server.close();
    rmSync(site, { recursive: true });
  }
}
