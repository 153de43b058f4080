import { expect, test } from 'vitest';
import { type BoxTrace, renumbered } from './trace.js';

test('a trace whose polytopes have other numbers is the same proof of those', () => {
  const neurons = { node: Int32Array.of(1), neuron: Int32Array.of(0) };
  const proof = { row: Float64Array.of(1, -1), parts: [] };
  const signs: BoxTrace = {
    kind: 'signs',
    polytopes: [4, 7],
    relus: [{ node: 1, size: 2 }],
    hidden: new Map(),
    neurons,
    divided: new Map([[7, proof]]),
  };
  expect(renumbered(signs, (polytope) => polytope - 4)).toEqual({
    ...signs,
    polytopes: [0, 3],
    divided: new Map([[3, proof]]),
  });
  const halving: BoxTrace = { kind: 'halving', polytopes: [2], whole: {} };
  expect(renumbered(halving, () => 5)).toEqual({ ...halving, polytopes: [5] });
});
