import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { architecture } from '../../network/architectures.js';
import { featuresOf, reluLayer } from '../../network/layers/layer.js';
import { linearLayer } from '../../network/layers/linear.js';
import { chain, INPUT, type Network, type NetworkNode } from '../../network/network.js';
import { isNonlinear } from '../../relaxation/linear/nonlinear.js';
import { planFootprint } from '../../runtime/plan/memory.js';
import { nodeValues } from '../../testing/dual-cases.js';
import { uniformNumbers } from '../../testing/numbers.js';
import { singleBox, singleParameters } from '../../testing/property-cases.js';
import {
  convolutionalNetworks,
  denseNetworks,
  importedNetworks,
  residualNetworks,
  smoothNetworks,
} from '../../testing/random-networks.js';
import { searchEngines } from '../../testing/search-engines.js';
import { enclosingBox } from '../proof/rounding.js';
import { dualPlan } from './dual-program.js';
import type { Ends, HiddenBounds } from './engine.js';
import { columnsFor, createHiddenBounding } from './hidden-bounds.js';

const SAMPLES = 200;
/** Float32 sums of values of size 1. */
const ROUNDING = 2e-5;

const engineOf = searchEngines();
const networks = fc.oneof(
  denseNetworks,
  convolutionalNetworks({ min: 1, max: 2 }),
  residualNetworks,
  importedNetworks,
  smoothNetworks,
);

/**
 * Of each ReLU and activation, what it reads at points of the box, every other one a corner: [features,
 * samples].
 */
async function sampledReads(
  net: Network,
  seed: number,
  { lower, upper }: Ends,
): Promise<Map<number, Float64Array>> {
  const points = uniformNumbers(`reads ${seed}`, lower.length * SAMPLES).map((u, at) => {
    const i = Math.floor(at / SAMPLES);
    return (
      (lower[i] as number) +
      (at % 2 === 0 ? u : Math.round(u)) * ((upper[i] as number) - (lower[i] as number))
    );
  });
  const doubles = Object.fromEntries(
    Object.entries(singleParameters(net, seed)).map(([name, array]) => [name, Float64Array.from(array)]),
  );
  const values = await nodeValues(net, doubles, points);
  return new Map(
    net.nodes.flatMap(({ layer, inputs }, k): [number, Float64Array][] =>
      isNonlinear(layer)
        ? [[k, inputs[0] === INPUT ? points : (values[inputs[0] as number] as Float64Array)]]
        : [],
    ),
  );
}

/** How far samples leave the bounds, beside their size. */
function outside(hidden: HiddenBounds, reads: ReadonlyMap<number, Float64Array>): number {
  let worst = Number.NEGATIVE_INFINITY;
  for (const [node, values] of reads) {
    const { lower, upper } = hidden.get(node) as Ends;
    values.forEach((value, at) => {
      const i = Math.floor(at / SAMPLES);
      worst = Math.max(
        worst,
        Math.max((lower[i] as number) - value, value - (upper[i] as number)) / (1 + Math.abs(value)),
      );
    });
  }
  return worst;
}

/** Whether bounds lie within others. */
const within = (inner: HiddenBounds, outer: HiddenBounds): boolean =>
  [...outer].every(([node, { lower, upper }]) => {
    const own = inner.get(node) as Ends;
    return (
      lower.every((l, i) => (own.lower[i] as number) >= l) &&
      upper.every((u, i) => (own.upper[i] as number) <= u)
    );
  });

describe('hidden bounds', () => {
  it('contain what every neuron reads, with and without ascent, and tighten what is known', async () => {
    let tightened = 0;
    await fc.assert(
      fc.asyncProperty(networks, fc.nat(1e6), fc.constantFrom(0.1, 0.5), async (net, seed, epsilon) => {
        const box = enclosingBox(singleBox(net, seed, epsilon));
        const reads = await sampledReads(net, seed, box);
        const bounding = createHiddenBounding(engineOf(net, singleParameters(net, seed)));
        const first = await bounding.bound(box, { iterations: 0 });
        const refined = await bounding.bound(box, { iterations: 8, known: first });
        expect([...first.keys()]).toEqual([...reads.keys()]);
        expect(outside(first, reads)).toBeLessThan(ROUNDING);
        expect(outside(refined, reads)).toBeLessThan(ROUNDING);
        expect(within(refined, first)).toBe(true);
        if (!within(first, refined)) tightened++;
        // Bounds of a box hold on its parts, and may be given there.
        const half = {
          lower: box.lower,
          upper: box.upper.map((u, i) => (i === 0 ? ((box.lower[0] as number) + u) / 2 : u)),
        };
        const part = await bounding.bound(half, { iterations: 0, known: refined });
        expect(within(part, refined)).toBe(true);
        expect(outside(part, await sampledReads(net, seed, half))).toBeLessThan(ROUNDING);
      }),
      { numRuns: 10 },
    );
    expect(tightened).toBeGreaterThan(0);
  });

  it('are sound whenever the time is over: at once they are intervals, and later something between', async () => {
    let looser = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(denseNetworks, residualNetworks, smoothNetworks),
        fc.nat(1e6),
        fc.constantFrom(0, 1, 3),
        async (net, seed, checks) => {
          const box = enclosingBox(singleBox(net, seed, 0.5));
          const parameters = singleParameters(net, seed);
          let asked = 0;
          const late = createHiddenBounding(engineOf(net, parameters, () => asked++ >= checks));
          const cut = await late.bound(box, { iterations: 4 });
          expect(outside(cut, await sampledReads(net, seed, box))).toBeLessThan(ROUNDING);
          const whole = await createHiddenBounding(engineOf(net, parameters)).bound(box, { iterations: 4 });
          if (!within(cut, whole)) looser++;
        },
      ),
      { numRuns: 5 },
    );
    expect(looser).toBeGreaterThan(0);
  });

  it('of what reads the input through affine layers alone are exact', async () => {
    await fc.assert(
      fc.asyncProperty(denseNetworks, fc.nat(1e6), async (net, seed) => {
        const box = enclosingBox(singleBox(net, seed, 0.5));
        const parameters = singleParameters(net, seed);
        const hidden = await createHiddenBounding(engineOf(net, parameters)).bound(box, { iterations: 0 });
        const node = [...hidden.keys()][0] as number;
        const { layer, inputs } = net.nodes[node - 1] as NetworkNode;
        if (inputs[0] !== INPUT) return; // behind a normalisation
        const [weight, bias] = [
          parameters[`${node - 1}.weight`] as Float32Array,
          parameters[`${node - 1}.bias`] as Float32Array,
        ];
        const width = featuresOf(net.input);
        const least = Float64Array.from({ length: featuresOf(layer.output) }, (_, i) =>
          box.lower.reduce((sum, l, k) => {
            const w = weight[i * width + k] as number;
            return sum + Math.min(w * l, w * (box.upper[k] as number));
          }, bias[i] as number),
        );
        least.forEach((value, i) => {
          expect(
            Math.abs(value - (hidden.get(node)?.lower[i] as number)) / (1 + Math.abs(value)),
          ).toBeLessThan(ROUNDING);
        });
      }),
      { numRuns: 4 },
    );
  });
});

it('of what reads the input through several layers in a row are those of their product', async () => {
  const extents = (features: number) => [features, 1, 1] as const;
  const net = chain('rows', extents(4), [
    linearLayer(extents(4), 9),
    linearLayer(extents(9), 7),
    reluLayer(extents(7)),
    linearLayer(extents(7), 2),
  ]);
  for (let seed = 0; seed < 4; seed++) {
    const box = enclosingBox(singleBox(net, seed, 0.5));
    const parameters = singleParameters(net, seed);
    const hidden = await createHiddenBounding(engineOf(net, parameters)).bound(box, { iterations: 0 });
    const of = (name: string) => parameters[name] as Float32Array;
    const first = (k: number, i: number) => of('0.weight')[k * 4 + i] as number;
    for (let j = 0; j < 7; j++) {
      const second = Array.from({ length: 9 }, (_, k) => of('1.weight')[j * 9 + k] as number);
      const ends = [box.lower, box.upper].map((least, side) => {
        const most = side === 0 ? box.upper : box.lower;
        const bias = second.reduce(
          (sum, w, k) => sum + w * (of('0.bias')[k] as number),
          of('1.bias')[j] as number,
        );
        return Array.from(least).reduce((sum, end, i) => {
          const w = second.reduce((total, v, k) => total + v * first(k, i), 0);
          return sum + w * (w > 0 ? end : (most[i] as number));
        }, bias);
      });
      const { lower, upper } = hidden.get(2) as Ends;
      const isOpen = (ends[0] as number) < 0 && (ends[1] as number) > 0;
      // Neurons that intervals prove stable keep those.
      expect(lower[j] as number).toBeLessThan(
        (ends[0] as number) + ROUNDING * (1 + Math.abs(ends[0] as number)),
      );
      if (isOpen) expect(Math.abs((lower[j] as number) - (ends[0] as number))).toBeLessThan(4 * ROUNDING);
      if (isOpen) expect(Math.abs((upper[j] as number) - (ends[1] as number))).toBeLessThan(4 * ROUNDING);
    }
  }
});

it('a program has a power of two of columns, from 8 to 512, the fewer the wider the network', async () => {
  fc.assert(
    fc.property(networks, (net) => {
      const columns = columnsFor(net);
      expect(columns >= 8 && columns <= 512 && Number.isInteger(Math.log2(columns))).toBe(true);
    }),
  );
});

it.each(['cnn3', 'fc-small'] as const)(
  '%s: on a device a program has as many columns as its memory and its longest array allow',
  (name) => {
    const MB = 2 ** 20;
    const net = architecture(name, [1, 28, 28], 10);
    const footprintWith = (columns: number) =>
      planFootprint(
        dualPlan(
          net,
          {
            target: net.nodes.length - 1,
            columns,
            iterations: 10,
            start: 'rows',
            warm: true,
            decisions: true,
            scores: true,
            keep: true,
          },
          'float32',
        ),
      );
    for (const memory of [32 * MB, 64 * MB, 128 * MB])
      expect(footprintWith(columnsFor(net, { memory, array: 2 ** 40 })).peak).toBeLessThanOrEqual(
        Math.max(memory, footprintWith(8).peak),
      );
    expect(footprintWith(columnsFor(net, { memory: 2 ** 40, array: 4 * MB })).largest).toBeLessThanOrEqual(
      4 * MB,
    );
    expect(columnsFor(net, { memory: 2 ** 40, array: 2 ** 40 })).toBe(2048);
  },
);
