/**
 * Property tests draw the same examples in every run, so that a change is what a failure is due to, not luck.
 * `TAUTNET_TEST_SEED` chooses other examples: a number, or `random` to look for cases that nobody has met.
 */
import fc from 'fast-check';

const chosen = process.env.TAUTNET_TEST_SEED ?? '1';
if (chosen !== 'random' && !Number.isInteger(Number(chosen)))
  throw new RangeError(`TAUTNET_TEST_SEED: expected an integer or "random", got ${chosen}`);
if (chosen !== 'random') fc.configureGlobal({ ...fc.readConfigureGlobal(), seed: Number(chosen) });
