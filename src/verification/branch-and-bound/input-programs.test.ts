import { describe, expect, it } from 'vitest';
import type { FloatType } from '../../graph/index.js';
import { activationLayer, featuresOf, joinLayer, reluLayer } from '../../network/layers/layer.js';
import { linearLayer } from '../../network/layers/linear.js';
import { INPUT, type Network, network } from '../../network/network.js';
import { planFootprint } from '../../runtime/plan/memory.js';
import type { Plan } from '../../runtime/plan/plan.js';
import { denseNetwork } from '../../testing/searches.js';
import type { Engine } from './engine.js';
import { InputPrograms, partsOfCall } from './input-programs.js';

/** Linear layers and ReLUs of one width with a way around them: no chain, so that bounds are dense. */
function residual(width: number) {
  const extents = [width, 1, 1] as const;
  return network(`residual ${width}`, extents, [
    { layer: linearLayer(extents, width), inputs: [INPUT] },
    { layer: reluLayer(extents), inputs: [0] },
    { layer: linearLayer(extents, width), inputs: [1] },
    { layer: joinLayer(extents), inputs: [0, 2] },
    { layer: reluLayer(extents), inputs: [3] },
    { layer: linearLayer(extents, 2), inputs: [4] },
  ]);
}

describe('parts of one call', () => {
  it.each([2 ** 26, 2 ** 30, 2 ** 33])('take dense arrays of no more than %i bytes', (memory) => {
    for (const width of [64, 512, 1000])
      for (const dtype of ['float32', 'float64'] as const) {
        const of = partsOfCall({ network: residual(width), dtype, threads: 2 }, memory);
        const bytes = 2 * width * width * of * (dtype === 'float32' ? 4 : 8);
        expect(Math.log2(of) % 1).toBe(0);
        // Fewer than these would not be worth a call.
        if (of > (dtype === 'float32' ? 2 : 8)) expect(2 * 8 * bytes).toBeLessThanOrEqual(memory);
      }
  });

  it('of chains, which are bounded row by row, are as many as the cache is worth', () => {
    const engine = { network: denseNetwork(5, 50, 50, 5), dtype: 'float32', threads: 2 } as const;
    expect(partsOfCall(engine, 1)).toBe(256);
  });

  it('need no array for an activation of the inputs, whose bounds are the box', () => {
    const extents = [3, 1, 1] as const;
    const first = network('relu first', extents, [
      { layer: reluLayer(extents), inputs: [INPUT] },
      { layer: linearLayer(extents, 2), inputs: [0] },
    ]);
    expect(partsOfCall({ network: first, dtype: 'float32', threads: 2 }, 1)).toBe(256);
  });
});

/** What the programs of one call take, planned: the largest of their arrays, and all at once. */
async function plannedOf(net: Network, dtype: FloatType, memory: number) {
  let plan: Plan | undefined;
  const engine: Engine = {
    ...{ network: net, dtype, threads: 1, expired: () => false },
    plan: (_, compile) => {
      plan = compile();
      return plan;
    },
    run: () => Promise.reject(new Error('planned')),
  };
  const inputs = featuresOf(net.input);
  const box = { lower: new Float64Array(inputs), upper: new Float64Array(inputs).fill(1) };
  const polytopes = [{ box, unsafe: [{ outputs: new Float64Array(net.classes).fill(1), bound: 0 }] }];
  const programs = new InputPrograms(engine, polytopes, 1, memory);
  const parts = Array.from({ length: programs.most }, () => ({ box, open: [0] }));
  await programs.bound(parts).catch(() => undefined);
  return planFootprint(plan as Plan);
}

describe('programs of one call', () => {
  const wide = [1500, 1, 1] as const;
  const smooth = network(
    'smooth',
    [3, 1, 1],
    [
      { layer: linearLayer([3, 1, 1], 1500), inputs: [INPUT] },
      { layer: activationLayer(wide, 'tanh'), inputs: [0] },
      { layer: linearLayer(wide, 1500), inputs: [1] },
      { layer: activationLayer(wide, 'tanh'), inputs: [2] },
      { layer: linearLayer(wide, 2), inputs: [3] },
    ],
  );
  it.each([
    ['float32', smooth, 2 ** 26],
    ['float32', smooth, 2 ** 28],
    ['float64', smooth, 2 ** 28],
    ['float64', denseNetwork(3, 1500, 1500, 2), 2 ** 28],
  ] as const)('in %s take no more than the memory, wide layers too', async (dtype, net, memory) => {
    const { peak, largest } = await plannedOf(net, dtype, memory);
    expect(largest).toBeLessThanOrEqual(memory / 4);
    expect(peak).toBeLessThanOrEqual(memory);
  });
});
