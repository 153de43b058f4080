import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { convolutionLayer } from '../../network/layers/convolution.js';
import { joinLayer, reluLayer } from '../../network/layers/layer.js';
import { linearLayer } from '../../network/layers/linear.js';
import { normalizeLayer } from '../../network/layers/normalize.js';
import { scaleLayer } from '../../network/layers/scale.js';
import { selectionLayer } from '../../network/layers/selection.js';
import { chain, INPUT, network } from '../../network/network.js';
import { createPool } from '../../runtime/pool/pool.js';
import { type PropertyCase, propertyCases, safe, unsafe } from '../../testing/property-cases.js';
import { atMost, ofFloat, plusOf, timesOf } from '../../testing/rationals.js';
import { expectTrue } from '../../testing/searches.js';
import { createContext, planStore } from '../proof/context.js';
import { createCompleteSearch } from '../search/complete-search.js';
import { frontOf } from './front.js';

const FEATURES = 4;
const extents = [FEATURES, 1, 1] as const;
const numbers = (range: number) =>
  fc.array(fc.double({ min: -range, max: range, noNaN: true }), {
    minLength: FEATURES,
    maxLength: FEATURES,
  });
const nothing = (): Float64Array => new Float64Array(0);

describe('a front', () => {
  const scaled = chain('scaled', extents, [scaleLayer(extents), linearLayer(extents, 2)]);
  const scaledBy = (w: readonly number[], b: readonly number[]) =>
    frontOf(scaled, (name) => Float64Array.from(name === '0.weight' ? w : b)) as NonNullable<
      ReturnType<typeof frontOf>
    >;

  it('makes of a box one in which every exact w∘x + b lies, and hardly a larger one', () => {
    fc.assert(
      fc.property(numbers(9), numbers(9), numbers(9), numbers(1), (w, b, x, moved) => {
        const [lower, upper] = [x, x.map((v, i) => v + Math.abs(moved[i] as number))];
        const box = scaledBy(w, b).boxOf({
          lower: Float64Array.from(lower),
          upper: Float64Array.from(upper),
        });
        for (const at of [lower, upper])
          at.forEach((v, i) => {
            const exact = plusOf(timesOf(ofFloat(w[i] as number), ofFloat(v)), ofFloat(b[i] as number));
            expect(atMost(ofFloat(box.lower[i] as number), exact)).toBe(true);
            expect(atMost(exact, ofFloat(box.upper[i] as number))).toBe(true);
          });
        lower.forEach((v, i) => {
          const width = Math.abs((w[i] as number) * ((upper[i] as number) - v));
          expect((box.upper[i] as number) - (box.lower[i] as number)).toBeLessThanOrEqual(width + 1e-12);
        });
      }),
      { numRuns: 300 },
    );
  });

  it('goes back from what it makes of a point to the point', () => {
    fc.assert(
      fc.property(numbers(9), numbers(9), numbers(9), (factors, b, x) => {
        const w = factors.map((v) => (v < 0 ? v - 0.1 : v + 0.1));
        const behind = x.map((v, i) => (w[i] as number) * v + (b[i] as number));
        const found = scaledBy(w, b).pointOf(behind);
        x.forEach((v, i) => {
          expect(found[i]).toBeCloseTo(v, 4);
        });
      }),
    );
  });

  it('may be of several layers: a normalisation, and features selected, left out or constant', () => {
    const net = chain('selected', extents, [
      normalizeLayer(extents, { mean: [0.5, 0.5, 0, 1], std: [0.5, 0.25, 2, 1] }),
      selectionLayer(extents, [3, 1, 1], Int32Array.of(2, -1, 0), [0, 7, 0]),
      linearLayer([3, 1, 1], 2),
    ]);
    const front = frontOf(net, nothing);
    expect([front?.layers, front?.network.nodes.length, front?.network.input]).toEqual([2, 1, [3, 1, 1]]);
    const box = { lower: Float64Array.of(0, 0, 0, 0), upper: Float64Array.of(1, 1, 1, 1) };
    const { lower, upper } = front?.boxOf(box) ?? box;
    [0, 7, -1].forEach((low, i) => {
      expect(lower[i]).toBeCloseTo(low, 12);
    });
    [0.5, 7, 1].forEach((high, i) => {
      expect(upper[i]).toBeCloseTo(high, 12);
    });
    // What nothing reads is anything.
    const found = front?.pointOf([0.25, 7, 0]);
    expect([found?.[0], found?.[2]]).toEqual([0.5, 0.5]);
  });

  it('is none where the first layer mixes features, selects one twice, or is read beside the input', () => {
    const layer = scaleLayer(extents);
    const twice = selectionLayer(extents, extents, Int32Array.of(0, 0, 1, 2));
    const beside = network('beside', extents, [
      { layer, inputs: [INPUT] },
      { layer: joinLayer(extents), inputs: [0, INPUT] },
    ]);
    const others = [[linearLayer(extents, 4), reluLayer(extents)], [twice, linearLayer(extents, 2)], [layer]];
    for (const net of [beside, ...others.map((layers) => chain('none', extents, layers))])
      expect(frontOf(net, () => new Float64Array(FEATURES))).toBeUndefined();
  });
});

describe('a search behind a front', () => {
  const image = [1, 5, 5] as const;
  const first = convolutionLayer(image, { channels: 2, kernel: [3, 3], stride: [2, 2] });
  const net = chain('behind a scale', image, [
    scaleLayer(image),
    first,
    reluLayer(first.output),
    linearLayer(first.output, 6),
    reluLayer([6, 1, 1]),
    linearLayer([6, 1, 1], 3),
  ]);
  const pool = createPool(1);
  afterAll(() => pool.close());

  /** What the search says of a polytope, and whether it went on behind the front. */
  async function decide({ parameters }: PropertyCase, polytope: ReturnType<typeof safe>, sound = false) {
    const names: string[] = [];
    const store = planStore();
    const plans: typeof store = (name, make) => {
      names.push(name);
      return store(name, make);
    };
    const context = createContext({ network: net, parameters, pool, plans });
    const answer = await createCompleteSearch(context, sound)([polytope], {
      deadline: performance.now() + 30_000,
    });
    return { ...answer, names, isBehind: names.some((name) => name.includes('behind the front')) };
  }

  it('proves what is not reached, finds what is, beside the exact minimum', async () => {
    let [proved, behind] = [0, 0];
    const cases = await propertyCases(net, 31, 5, { epsilon: 0.2 });
    for (const of of cases) {
      const out = await decide(of, safe(of, 0.02));
      expect(out.verdict).not.toBe('found');
      if (out.verdict === 'proved') proved++;
      if (out.isBehind) behind++;
      // What the front rounds counts in thresholds.
      const sizes = out.names.filter((name) => name.includes('hidden size'));
      expect(sizes).toEqual(out.isBehind ? ['float32 hidden size'] : []);
      const reached = unsafe(of, 0.02);
      const into = await decide(of, reached);
      expect(into.verdict).not.toBe('proved');
      if (into.counterexample) expectTrue(into.counterexample, [reached]);
    }
    expect(proved).toBe(cases.length);
    // Halving inputs may do where few of them vary.
    expect(behind).toBeGreaterThan(cases.length / 2);
  });

  it('is left out with bounds of float64, and where rows have a part over the inputs', async () => {
    const [plain] = await propertyCases(net, 31, 1, { epsilon: 0.2 });
    const [, mixed] = await propertyCases(net, 31, 2, { epsilon: 0.2, rows: 2, mixed: true });
    const of = plain as PropertyCase;
    expect((await decide(of, safe(of, 0.1), true)).isBehind).toBe(false);
    expect((await decide(mixed as PropertyCase, safe(mixed as PropertyCase, 0.1))).isBehind).toBe(false);
  });
});
