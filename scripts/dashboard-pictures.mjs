/**
 * Pictures of the dashboard's screens in `docs/figures`, part of `npm run figures`: the run of
 * `npm run quickstart` and four short ones, in a real browser.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { openBrowser } from './open-browser.mjs';

/** A picture is at least as high, and as high as its screen. */
const SIZE = { width: 1120, height: 520 };
const SHORT = [
  ...'--architecture cnn3-narrow --train-limit 10000 --validation 500 --epochs 5 --epsilon 0.1'.split(' '),
  ...'--warmup-start 0 --warmup-epochs 3 --batch-size 50 --learning-rate 0.002'.split(' '),
  ...'--smoothing rgs --samples 1'.split(' '),
];
const RUNS = {
  ibp: ['--relaxation', 'ibp'],
  'ibp-seed-1': ['--relaxation', 'ibp', '--seed', '1'],
  'crown-ibp': ['--relaxation', 'crown-ibp'],
  'crown-ibp-mixed': ['--relaxation', 'crown-ibp', '--kappa', '0.7'],
};

/** Trains and certifies what is not there yet. */
function prepareRuns(root, folder) {
  const tautnet = (...args) => {
    const program = join(root, 'dist', 'cli', 'main.js');
    const { status } = spawnSync(process.execPath, [program, ...args, '--quiet'], { cwd: root });
    if (status !== 0) throw new Error(`figures: tautnet ${args.join(' ')} failed`);
  };
  for (const [name, words] of Object.entries(RUNS)) {
    const out = join(folder, name);
    if (existsSync(join(root, out, 'certificate.jsonl'))) continue;
    tautnet('train', ...SHORT, ...words, '--out', out);
    tautnet('certify', out, '--limit', '500');
  }
}

/** Screens by the names of their pictures: the address, and what is waited for or done there. */
const SCREENS = {
  runs: { hash: '', ready: (page) => page.locator('[data-run="ibp"] .spark').waitFor() },
  compare: {
    hash: `#/compare/${Object.keys(RUNS).join('/')}`,
    ready: (page) => page.locator('.points').first().waitFor(),
  },
  run: {
    hash: '#/run/quickstart',
    ready: (page) => page.getByRole('heading', { name: 'Unstable neurons while it trains' }).waitFor(),
  },
  look: {
    hash: '#/look/quickstart',
    async ready(page) {
      // Beyond the radius that the network was trained for.
      for (let i = 0; i < 12; i++) await page.keyboard.press('ArrowRight');
      await page.locator('[data-exact="found"], [data-exact="open"]').waitFor();
      await page.locator('.verdict:not(:has-text("computing"))').waitFor();
    },
  },
  landscape: {
    hash: '#/landscape/quickstart',
    async ready(page) {
      await page.getByRole('slider', { name: 'σ' }).waitFor();
      for (let i = 0; i < 3; i++) await page.keyboard.press('ArrowRight');
    },
  },
};
/** Screens of the short runs; the others are of the quickstart. */
const OF_SHORT_RUNS = ['runs', 'compare'];

async function pictureOf(browser, url, { hash, ready }, path, root) {
  const page = await browser.newPage({ viewport: SIZE, reducedMotion: 'reduce' });
  // A landscape that nobody has looked at yet takes minutes.
  page.setDefaultTimeout(600_000);
  await page.goto(`${url}${hash}`);
  await page.locator('h1').first().waitFor();
  await ready(page);
  // Commands without the folders of this machine.
  const shorten = `for (const code of document.querySelectorAll('code')) code.textContent =
    code.textContent.replaceAll(${JSON.stringify(root.endsWith('/') ? root : `${root}/`)}, '')`;
  await page.evaluate(shorten);
  await page.screenshot({ path, fullPage: true });
  await page.close();
}

/**
 * @param root of the repository, built
 * @param quickstart folder of the run of `npm run quickstart`
 * @returns the pictures' paths
 */
export async function dashboardPictures(root, quickstart, figures) {
  const folder = join('runs', 'pictures');
  prepareRuns(root, folder);
  const { serveDashboard } = await import(join(root, 'dist', 'insight', 'dashboard', 'serve.js'));
  const browser = await openBrowser();
  const paths = [];
  try {
    for (const [name, screen] of Object.entries(SCREENS)) {
      const runs = OF_SHORT_RUNS.includes(name) ? folder : dirname(quickstart);
      const served = await serveDashboard({ folder: join(root, runs), port: 0 });
      const path = join(figures, `dashboard-${name}.png`);
      await pictureOf(browser, served.url, screen, join(root, path), root).finally(served.close);
      paths.push(path);
    }
  } finally {
    await browser.close();
  }
  return paths;
}
