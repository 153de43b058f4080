/**
 * `npm run fuzz:verify [-- --seconds S] [--seed N]`: random ONNX files of all layer families in all modes
 * of proof against what they reach, for an hour unless told otherwise, other files each time. A failure is
 * shrunk; its recipe and seed are printed.
 */
import { spawnSync } from 'node:child_process';
import { parseArgs } from 'node:util';

const { values } = parseArgs({ options: { seconds: { type: 'string' }, seed: { type: 'string' } } });
const seconds = Number(values.seconds ?? 3600);
if (!(seconds > 0)) {
  console.error(`fuzz:verify: expected --seconds above 0, got ${values.seconds}`);
  process.exit(2);
}
const { status } = spawnSync('npx', ['vitest', 'run', 'src/verification/search/fuzz.test.ts'], {
  stdio: 'inherit',
  env: {
    ...process.env,
    TAUTNET_FUZZ_SECONDS: String(seconds),
    TAUTNET_TEST_SEED: values.seed ?? 'random',
  },
});
process.exitCode = status ?? 1;
