/**
 * The search over smooth activations and many inputs: α-CROWN on whole boxes, then halves of the inputs, or
 * of what neurons read where inputs are more.
 */
import { describe, expect, it } from 'vitest';
import { activationLayer, type Layer, reluLayer } from '../../network/layers/layer.js';
import { linearLayer } from '../../network/layers/linear.js';
import { chain, type Network } from '../../network/network.js';
import { uniformNumbers } from '../../testing/numbers.js';
import { randomInequalities, singleBox, singleParameters } from '../../testing/property-cases.js';
import { searchEngines } from '../../testing/search-engines.js';
import { decide, evaluationOf } from '../../testing/searches.js';
import { type Box, type Polytope, violation } from '../property/property.js';
import type { Engine } from './engine.js';
import { createHiddenBounding } from './hidden-bounds.js';
import { rootOf, tightened } from './root.js';

const engineOf = searchEngines();

/** Linear layers with these activations between them. */
function smooth(inputs: number, ...activations: readonly ('tanh' | 'sigmoid' | 'relu')[]): Network {
  const extents = [8, 1, 1] as const;
  const layers: Layer[] = [linearLayer([inputs, 1, 1], 8)];
  for (const name of activations)
    layers.push(
      name === 'relu' ? reluLayer(extents) : activationLayer(extents, name),
      linearLayer(extents, 8),
    );
  return chain(`smooth ${inputs} ${activations.join(' ')}`, [inputs, 1, 1], layers);
}

const networks = [
  smooth(16, 'tanh', 'sigmoid'),
  smooth(24, 'tanh', 'sigmoid'),
  smooth(24, 'sigmoid', 'relu', 'tanh'),
];

/** Proofs in float64 that bound their rounding errors. */
const sound = (engine: Engine, parameters: Readonly<Record<string, Float32Array>>): Engine => ({
  ...engine,
  dtype: 'float64',
  plan: (name, compile) => engine.plan(`float64 ${name}`, compile),
  run: (plan, feeds) => {
    // The model itself stays one of float32.
    if (feeds.x instanceof Float32Array) return engine.run(plan, feeds);
    const doubles = Object.entries(parameters).map(([name, w]) => [name, Float64Array.from(w)] as const);
    return engine.run(plan, { ...Object.fromEntries(doubles), ...feeds });
  },
});

const placesOf = ({ lower, upper }: Box, seed: number, count: number): Float32Array[] =>
  Array.from({ length: count }, (_, k) => {
    const u = uniformNumbers(`place ${k} ${seed}`, lower.length);
    return Float32Array.from(lower, (low, i) => {
      const share = k % 2 === 0 ? (u[i] as number) : Math.round(u[i] as number);
      return low + share * ((upper[i] as number) - low);
    });
  });

describe.each(networks)('$name', (net) => {
  it('a proof contradicts no sample, and many need no halves', async () => {
    const counts = { proved: 0, atRoot: 0, reached: 0 };
    for (let seed = 0; seed < 3; seed++) {
      const parameters = singleParameters(net, seed);
      const engine = engineOf(net, parameters);
      const box = singleBox(net, seed, 0.2);
      const evaluate = evaluationOf(engine);
      const [row] = randomInequalities(net, seed, 1, false);
      const places = placesOf(box, seed, 60);
      const values = await Promise.all(
        places.map(async (x) =>
          violation({ box, unsafe: [row as Polytope['unsafe'][number]] }, x, await evaluate(x)),
        ),
      );
      const least = Math.min(...values);
      const at = (bound: number): Polytope => ({
        box,
        unsafe: [{ ...(row as Polytope['unsafe'][number]), bound }],
      });
      // Reached by a sample, beside what is far below all of them.
      const [reached, far] = [at(least + 1e-3), at(least - 2)];
      for (const polytopes of [[reached], [far, reached], [reached, far]]) {
        const { verdict } = await decide(engine, polytopes, 30);
        expect(verdict).not.toBe('proved');
        if (verdict === 'found') counts.reached++;
      }
      for (const mode of [engine, sound(engine, parameters)]) {
        const { verdict, subproblems } = await decide(mode, [far], 60);
        expect(verdict).not.toBe('found');
        if (verdict === 'proved') counts.proved++;
        if (verdict === 'proved' && subproblems === 1) counts.atRoot++;
      }
    }
    expect(counts.proved).toBeGreaterThan(2);
    expect(counts.atRoot).toBeGreaterThan(2);
    expect(counts.reached).toBeGreaterThan(0);
  }, 120_000);

  it('a pass over the tangents of hidden neurons raises the root, in both modes, and keeps below all samples', async () => {
    const gains: number[] = [];
    for (let seed = 0; seed < 3; seed++) {
      const parameters = singleParameters(net, seed);
      const engine = engineOf(net, parameters);
      const evaluate = evaluationOf(engine);
      const box = singleBox(net, seed, 0.4);
      const unsafe = randomInequalities(net, seed, 1, false);
      const values = placesOf(box, seed, 40).map(async (x) =>
        violation({ box, unsafe }, x, await evaluate(x)),
      );
      const least = Math.min(...(await Promise.all(values)));
      const options = { secondsLeft: () => 0, evaluate };
      for (const mode of [engine, sound(engine, parameters)]) {
        const root = await rootOf(mode, box, [{ box, unsafe }], options);
        const next = await tightened(mode, root, 10);
        gains.push(next.lowerBound - root.lowerBound);
        expect(next.lowerBound).toBeLessThan(least + 1e-4);
        for (const [node, { lower, upper }] of next.hidden)
          lower.forEach((low, i) => {
            expect(low).toBeGreaterThanOrEqual(root.hidden.get(node)?.lower[i] as number);
            expect(upper[i]).toBeLessThanOrEqual(root.hidden.get(node)?.upper[i] as number);
          });
      }
    }
    expect(Math.max(...gains)).toBeGreaterThan(0.005);
  }, 120_000);

  it('bounds behind a halved interval alone change, and are those of all computed anew', async () => {
    const parameters = singleParameters(net, 1);
    const box = singleBox(net, 1, 0.3);
    const ends = { lower: Float32Array.from(box.lower), upper: Float32Array.from(box.upper) };
    const bounding = createHiddenBounding(engineOf(net, parameters));
    const whole = await bounding.bound(ends, { iterations: 0 });
    const [node, of] = [...whole].at(-2) as [number, { lower: Float32Array; upper: Float32Array }];
    const upper = of.upper.map((u, i) => (i === 0 ? (u + (of.lower[0] as number)) / 2 : u));
    const known = new Map(whole).set(node, { lower: of.lower, upper });
    const some = await bounding.bound(ends, { iterations: 0, known, changed: node });
    expect(some).toEqual(await bounding.bound(ends, { iterations: 0, known }));
    expect([...some].at(-1)).not.toEqual([...whole].at(-1));
  });

  it('bounds of hidden neurons hold and gain by chosen tangents', async () => {
    let [before, after] = [0, 0];
    for (let seed = 0; seed < 4; seed++) {
      const parameters = singleParameters(net, seed);
      const box = singleBox(net, seed, 0.3);
      const ends = { lower: Float32Array.from(box.lower), upper: Float32Array.from(box.upper) };
      const bounding = createHiddenBounding(engineOf(net, parameters));
      const plain = await bounding.bound(ends, { iterations: 0 });
      const chosen = await bounding.bound(ends, { iterations: 20 });
      const widthOf = (of: typeof plain) =>
        [...of.values()].reduce(
          (sum, { lower, upper }) =>
            sum + Array.from(lower).reduce((width, l, i) => width + (upper[i] as number) - l, 0),
          0,
        );
      before += widthOf(plain);
      after += widthOf(chosen);
      for (const x of placesOf(box, seed, 40)) {
        let h = Array.from(x);
        net.nodes.forEach(({ layer }, k) => {
          const of = chosen.get(k);
          of?.lower.forEach((l, i) => {
            expect(h[i] as number).toBeGreaterThan(l - 1e-4);
            expect(h[i] as number).toBeLessThan((of.upper[i] as number) + 1e-4);
          });
          if (layer.kind === 'affine') {
            const [w, b] = [
              parameters[`${k}.weight`] as Float32Array,
              parameters[`${k}.bias`] as Float32Array,
            ];
            const read = h;
            h = Array.from(b, (t, i) =>
              read.reduce((sum, v, j) => sum + (w[i * read.length + j] as number) * v, t),
            );
          } else if (layer.kind === 'relu') h = h.map((v) => Math.max(0, v));
          else if (layer.kind === 'activation')
            h = h.map((v) => (layer.function === 'tanh' ? Math.tanh(v) : 1 / (1 + Math.exp(-v))));
        });
      }
    }
    expect(after).toBeLessThan(before - 0.1);
  }, 120_000);
});
