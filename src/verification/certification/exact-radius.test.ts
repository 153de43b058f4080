import { afterAll, describe, expect, test } from 'vitest';
import { createPool } from '../../runtime/pool/pool.js';
import {
  type CertifiedSet,
  certifiedSet,
  doubleLogits,
  exactMargin,
  imageOf,
  marginsOf,
} from '../../testing/certified-sets.js';
import { createContext } from '../proof/context.js';
import { createEvaluation } from './evaluation.js';
import { exactRadius, type RadiusBracket } from './exact-radius.js';

const COUNT = 2;
// Radii at which mixed-integer programming answers within seconds.
const [LARGEST, PRECISION] = [0.08, 0.002];
const pool = createPool(2);
afterAll(() => pool.close());

const labelOf = ({ split }: CertifiedSet, image: number) => split.labels[image] as number;

function search(set: CertifiedSet, image: number, given: { signal?: AbortSignal; seconds?: number } = {}) {
  const { network, parameters, split } = set;
  const { signal, seconds = 30 } = given;
  const told: RadiusBracket[] = [];
  const context = createContext({ network, parameters, pool, signal });
  const evaluation = createEvaluation(context, split, { epsilon: 0, clip: true });
  const options = { proved: 0, largest: LARGEST, precision: PRECISION, seconds };
  const found = exactRadius(evaluation, image, { ...options, tell: (known) => told.push(known) });
  return { found, told };
}

describe('the exact radius of an image', () => {
  test.each([3])(
    'lies where the exact relaxation says: margins are positive at what is proved, not at what is broken, seed %i',
    async (seed) => {
      const set = await certifiedSet(seed, COUNT);
      let closed = 0;
      for (let image = 0; image < COUNT; image++) {
        const [natural] = marginsOf(await doubleLogits(set.network, set.parameters, imageOf(set, image)), [
          labelOf(set, image),
        ]);
        if ((natural as number) < 0.01) continue;
        const { found, told } = search(set, image);
        const { proved, broken } = await found;
        if (proved > 0) expect(await exactMargin(set, image, proved)).toBeGreaterThan(0);
        if (broken !== null) {
          expect(await exactMargin(set, image, broken)).toBeLessThanOrEqual(1e-5);
          expect(proved).toBeLessThan(broken);
        }
        if ((broken ?? LARGEST) - proved <= PRECISION) closed++;
        expect(told.at(-1)).toEqual({ proved, broken });
        for (const [i, known] of told.entries()) {
          expect(known.proved).toBeGreaterThanOrEqual(told[i - 1]?.proved ?? 0);
          expect(known.broken ?? LARGEST).toBeGreaterThanOrEqual(known.proved);
        }
      }
      // How many do depends on how fast the machine is.
      expect(closed).toBeGreaterThan(0);
    },
  );

  test('without time is what was known, and ends with its signal', async () => {
    const set = await certifiedSet(3, COUNT);
    expect(await search(set, 0, { seconds: 1e-9 }).found).toEqual({ proved: 0, broken: null });
    const signal = AbortSignal.abort(new Error('moved on'));
    await expect(search(set, 0, { signal }).found).rejects.toThrow('moved on');
  });
});
