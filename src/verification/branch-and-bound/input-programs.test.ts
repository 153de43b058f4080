import { describe, expect, it } from 'vitest';
import { joinLayer, reluLayer } from '../../network/layers/layer.js';
import { linearLayer } from '../../network/layers/linear.js';
import { INPUT, network } from '../../network/network.js';
import { denseNetwork } from '../../testing/searches.js';
import { partsOfCall } from './input-programs.js';

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
