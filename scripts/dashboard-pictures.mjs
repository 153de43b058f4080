/**
 * Pictures of the dashboard's screens in `docs/figures`, part of `npm run figures`: the run of
 * `npm run quickstart` beside three short ones, in a real browser.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { openBrowser } from './open-browser.mjs';

const SIZE = { width: 1120, height: 800 };
const SHORT = [
  ...'--architecture cnn3-narrow --train-limit 10000 --validation 500 --epochs 5 --epsilon 0.1'.split(' '),
  ...'--warmup-start 0 --warmup-epochs 3 --batch-size 50 --learning-rate 0.002'.split(' '),
];
const RUNS = {
  ibp: ['--relaxation', 'ibp'],
  'ibp-rgs': ['--relaxation', 'ibp', '--smoothing', 'rgs', '--samples', '1'],
  'crown-ibp-rgs': ['--relaxation', 'crown-ibp', '--smoothing', 'rgs', '--samples', '1', '--kappa', '0.7'],
};

/** Trains and certifies what is not there yet. */
function prepareRuns(root, quickstart, folder) {
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
  // Copied, as the dashboard follows no link out of its folder.
  if (!existsSync(join(root, folder, 'quickstart')))
    cpSync(join(root, quickstart), join(root, folder, 'quickstart'), { recursive: true });
}

/** Screens by the names of their pictures: the address, and what is waited for or done there. */
const SCREENS = {
  runs: { hash: '', ready: (page) => page.locator('[data-run="ibp"] .spark').waitFor() },
  run: {
    hash: '#/run/quickstart',
    height: 1750,
    ready: (page) => page.getByRole('heading', { name: 'Unstable neurons while it trains' }).waitFor(),
  },
  compare: {
    hash: `#/compare/${[...Object.keys(RUNS), 'quickstart'].join('/')}`,
    ready: (page) => page.locator('.points').first().waitFor(),
  },
  look: {
    hash: '#/look/quickstart',
    height: 1180,
    async ready(page) {
      // Beyond the radius that the network was trained for.
      for (let i = 0; i < 4; i++) await page.keyboard.press('ArrowRight');
      await page.locator('[data-exact="found"], [data-exact="open"]').waitFor();
      await page.getByText('computing').waitFor({ state: 'detached' });
    },
  },
  landscape: {
    hash: '#/landscape/quickstart',
    height: 900,
    async ready(page) {
      await page.getByRole('slider', { name: 'σ' }).waitFor();
      for (let i = 0; i < 3; i++) await page.keyboard.press('ArrowRight');
    },
  },
};

/**
 * @param root of the repository, built
 * @param quickstart folder of the run of `npm run quickstart`
 * @returns the pictures' paths
 */
export async function dashboardPictures(root, quickstart, figures) {
  const folder = join('runs', 'pictures');
  prepareRuns(root, quickstart, folder);
  const { serveDashboard } = await import(join(root, 'dist', 'insight', 'dashboard', 'serve.js'));
  const served = await serveDashboard({ folder: join(root, folder), port: 0 });
  const browser = await openBrowser();
  try {
    const paths = [];
    for (const [name, { hash, height = SIZE.height, ready }] of Object.entries(SCREENS)) {
      const page = await browser.newPage({ viewport: { ...SIZE, height }, reducedMotion: 'reduce' });
      // A landscape that nobody has looked at yet takes minutes.
      page.setDefaultTimeout(600_000);
      await page.goto(`${served.url}${hash}`);
      await page.locator('h1').first().waitFor();
      await ready(page);
      const path = join(figures, `dashboard-${name}.png`);
      await page.screenshot({ path: join(root, path) });
      await page.close();
      paths.push(path);
    }
    return paths;
  } finally {
    await browser.close();
    await served.close();
  }
}
