/**
 * Peak memory of whole training processes, from reading the data to writing the network: CNN7 with batch
 * normalisation on CIFAR-10, batch 128, every other setting at its default; the target is 8 GB. Needs
 * CIFAR-10 (`tautnet data fetch cifar10`).
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const PROGRAM = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
const REPORT = new URL('peak-memory.mjs', import.meta.url).href;
const LIMIT = 8;
/** One step of the recipe's batch at the full ε. */
const TRAINING = [
  '--dataset',
  'cifar10',
  '--architecture',
  'cnn7-bn',
  '--train-limit',
  '128',
  '--epochs',
  '1',
  '--warmup-start',
  '0',
  '--warmup-epochs',
  '0',
];
const METHODS = { ibp: ['--relaxation', 'ibp'], sabr: ['--method', 'sabr'] };

/**
 * Prints a line for each method; `only`: names of methods. @returns peak memory in GB by method, where
 * training succeeded
 */
export function memory(only) {
  const peaks = {};
  const folder = mkdtempSync(join(tmpdir(), 'tautnet-memory-'));
  try {
    for (const [name, method] of Object.entries(METHODS).filter(
      ([each]) => only === undefined || only.includes(each),
    )) {
      const argv = [
        '--import',
        REPORT,
        PROGRAM,
        'train',
        ...TRAINING,
        ...method,
        '--out',
        join(folder, name),
      ];
      const start = performance.now();
      const { status, stderr } = spawnSync(process.execPath, argv, { encoding: 'utf8' });
      const seconds = (performance.now() - start) / 1000;
      const peak = Number(/^peak memory (.*) GB$/m.exec(stderr)?.[1]);
      if (status !== 0)
        console.log(
          `CNN7-BN ${name}: ${
            stderr
              .trim()
              .split('\n')
              .find((line) => line.startsWith('tautnet: ')) ?? `ended with ${status}`
          }`,
        );
      else {
        peaks[name] = peak;
        console.log(
          `CNN7-BN, CIFAR-10, batch 128, ${name}: peak ${peak.toFixed(1)} GB (target below ${LIMIT}), ` +
            `one step and the export in ${seconds.toFixed(0)} s`,
        );
      }
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  console.log();
  return peaks;
}
