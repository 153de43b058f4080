/**
 * `node bench/results.mjs [--only LABEL,…] [--scale S]`: trains and certifies CNN3 on MNIST at ε = 0.1 with
 * one method after another and writes docs/results/mnist.md. Finished rows are not run again, so that
 * an interrupted call goes on where it stopped.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const FOLDER = join(ROOT, 'runs', 'results');
const FAST = '--learning-rate 0.002';
const PGPE = '--smoothing pgpe --samples 32 --batch-size 64 --sigma 0.002 --learning-rate 0.002';

/**
 * Label, epochs at scale 1 (four to eight minutes on two cores of u = 34 ms, as `npm run bench` measures it),
 * flags.
 */
const ROWS = [
  ['ibp', 34, `--relaxation ibp ${FAST}`],
  ['ibp-rgs', 12, `--relaxation ibp --smoothing rgs ${FAST}`],
  ['crown-ibp', 7, `--relaxation crown-ibp ${FAST}`],
  ['crown-ibp-rgs', 3, `--relaxation crown-ibp --smoothing rgs ${FAST}`],
  ['crown', 2, `--relaxation crown --micro-batch 32 ${FAST}`],
  ['crown-rgs', 1, `--relaxation crown --smoothing rgs --micro-batch 32 ${FAST}`],
  ['pgpe-ibp', 3, `--relaxation ibp ${PGPE} --warmup-epochs 2.5 --train-limit 20000`],
  ['pgpe-crown-ibp', 1, `--relaxation crown-ibp ${PGPE} --warmup-epochs 0.8 --train-limit 16000`],
  ['pgpe-ibp-wide', 1, '--relaxation ibp --smoothing pgpe --samples 64 --sigma 0.01 --learning-rate 0.01'],
  ['sabr', 9, `--method sabr ${FAST}`],
  ['mtl-ibp', 5, `--method mtl-ibp ${FAST}`],
];

const { values } = parseArgs({
  options: { only: { type: 'string' }, scale: { type: 'string', default: '1' } },
});
const scale = Number(values.scale);
const wanted = values.only?.split(',');
mkdirSync(FOLDER, { recursive: true });
const git = (...args) => execFileSync('git', args, { cwd: ROOT }).toString().trim();

for (const [label, epochs, flags] of ROWS) {
  const record = join(FOLDER, `${label}.json`);
  if (existsSync(record) || (wanted && !wanted.includes(label))) continue;
  const out = join('runs', 'results', label);
  const settings = [
    '--epochs',
    String(Math.max(1, Math.round(epochs * scale))),
    '--seed',
    '1',
    ...flags.split(' '),
  ];
  const program = join('dist', 'cli', 'main.js');
  const start = performance.now();
  const training = existsSync(join(ROOT, out)) ? ['--resume', out] : [...settings, '--out', out];
  const trained = spawnSync(process.execPath, [program, 'train', ...training], {
    cwd: ROOT,
    stdio: ['ignore', 2, 2],
  });
  if (trained.status !== 0) process.exit(trained.status ?? 1);
  const minutes = (performance.now() - start) / 60_000;
  const certificate = execFileSync(process.execPath, [program, 'certify', out, '--json'], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const result = {
    label,
    command: `tautnet train ${settings.join(' ')}`,
    seed: 1,
    minutes,
    commit: git('rev-parse', '--short', 'HEAD'),
    ...JSON.parse(certificate),
  };
  writeFileSync(record, `${JSON.stringify(result)}\n`);
}

const percent = (value) => (100 * value).toFixed(2);
const lines = ROWS.flatMap(([label]) => {
  const record = join(FOLDER, `${label}.json`);
  if (!existsSync(record)) return [];
  const { command, minutes, commit, natural, certified, adversarial } = JSON.parse(
    readFileSync(record, 'utf8'),
  );
  const epochs = /--epochs (\d+)/.exec(command)?.[1];
  return [
    `| ${label} | ${percent(natural)} | ${percent(certified)} | ${percent(adversarial)} | ${epochs} | ` +
      `${minutes.toFixed(1)} | \`${command}\` | ${commit} |`,
  ];
});
const path = join(ROOT, 'docs', 'results', 'mnist.md');
const BEGIN = '<!-- table -->';
const END = '<!-- end of table -->';
const header = [
  '| row | natural % | certified % | adversarial % | epochs | minutes | command | commit |',
  '| --- | --- | --- | --- | --- | --- | --- | --- |',
];
const text = readFileSync(path, 'utf8');
const [before, after] = [text.slice(0, text.indexOf(BEGIN) + BEGIN.length), text.slice(text.indexOf(END))];
writeFileSync(path, `${before}\n${[...header, ...lines].join('\n')}\n${after}`);
