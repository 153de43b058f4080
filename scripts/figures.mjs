/**
 * `npm run figures`: makes the figures of the documentation again, from the run of `npm run quickstart`,
 * which is trained and certified first where it is not there. Takes some minutes.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { dashboardPictures } from './dashboard-pictures.mjs';
import { pagePictures } from './page-pictures.mjs';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const RUN = join('runs', 'quickstart');
const FIGURES = join('docs', 'figures');
/** Bytes that a figure of the documentation may have. */
const MOST = 300_000;

function node(...args) {
  console.error(`> node ${args.join(' ')}`);
  const { status } = spawnSync(process.execPath, args, { cwd: ROOT, stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}

if (!existsSync(join(ROOT, RUN, 'summary.md'))) node(join('scripts', 'quickstart.mjs'));
mkdirSync(join(ROOT, FIGURES), { recursive: true });

const landscape = '--points 41 --sigmas 0,0.002 --samples 160 --batch-size 2 --seed 1 --detrend'.split(' ');
const figure = join(FIGURES, 'landscape.svg');
node(join('dist', 'cli', 'main.js'), 'landscape', RUN, ...landscape, '--out', figure);
const pictures = [...(await dashboardPictures(ROOT, RUN, FIGURES)), ...(await pagePictures(ROOT, FIGURES))];
for (const path of [figure, ...pictures]) {
  const { size } = statSync(join(ROOT, path));
  console.error(`${path}: ${size} bytes`);
  if (size > MOST) {
    console.error(`${path}: expected at most ${MOST} bytes, got ${size}; draw fewer points`);
    process.exit(1);
  }
}
