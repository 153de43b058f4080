import { describe, expect, it } from 'vitest';
import { reluLayer } from '../../network/layers/layer.js';
import { linearLayer } from '../../network/layers/linear.js';
import { chain } from '../../network/network.js';
import { searchEngines } from '../../testing/search-engines.js';
import { evaluationOf } from '../../testing/searches.js';
import type { Polytope } from '../property/property.js';
import type { Engine } from './engine.js';
import { splitInputs } from './input-splitting.js';
import { search } from './search.js';

const engineOf = searchEngines();
const found = async () => false;
const MEMORY = 2 ** 26;

/**
 * y = w relu(x₀ + offset) − (w · offset, as float32 rounds it), w the float32 of 1/3; other inputs do not
 * matter.
 */
function shifted(inputs: number, offset: number): Engine {
  const [first, one] = [[inputs, 1, 1] as const, [1, 1, 1] as const];
  const net = chain('shifted', first, [linearLayer(first, 1), reluLayer(one), linearLayer(one, 1)]);
  return engineOf(net, {
    '0.weight': Float32Array.from({ length: inputs }, (_, i) => (i === 0 ? 1 : 0)),
    '0.bias': Float32Array.of(offset),
    '2.weight': Float32Array.of(1 / 3),
    '2.bias': Float32Array.of(-Math.fround(1 / 3) * offset),
  });
}
/** 0.04 ≤ x₀ ≤ 0.0401, others in [0, 1]; y ≤ bound. */
const below = (inputs: number, bound: number): Polytope => ({
  box: {
    lower: Float64Array.from({ length: inputs }, (_, i) => (i === 0 ? 0.04 : 0)),
    upper: Float64Array.from({ length: inputs }, (_, i) => (i === 0 ? 0.0401 : 1)),
  },
  unsafe: [{ outputs: Float64Array.of(1), bound }],
});

const ways = [
  {
    name: 'halves of inputs',
    inputs: 1,
    of: (engine: Engine, polytope: Polytope) =>
      splitInputs(engine, { polytopes: [polytope], memoryBytes: MEMORY, found }),
  },
  {
    name: 'the search on signs of ReLUs',
    inputs: 24,
    of: (engine: Engine, polytope: Polytope) =>
      search(engine, [polytope], {
        ...{ memoryBytes: MEMORY, found, secondsLeft: () => 60, clock: () => 0 },
        evaluate: evaluationOf(engine),
      }),
  },
];

describe.each(ways)('$name', ({ inputs, of }) => {
  it('prove nothing that float32 makes of terms that cancel', async () => {
    // w · 10⁶ is rounded up by 0.00048, which the bias takes off: y is 0.01285, and 0.0133 in float32.
    expect((await of(shifted(inputs, 1e6), below(inputs, 0.0131))).verdict).toBe('open');
  });

  it('prove what is as far off where terms are small', async () => {
    expect((await of(shifted(inputs, 1), below(inputs, 0.005))).verdict).toBe('proved');
  });
});
