import fc from 'fast-check';
import { expect, test } from 'vitest';
import { boundNodes, forward } from '../../../checker/bounds.js';
import { type Node, readOnnx } from '../../../checker/onnx.js';
import type { Row } from '../../../checker/vnnlib.js';
import { onnxFiles } from '../../testing/checker-networks.js';
import { normalNumbers, uniformNumbers } from '../../testing/numbers.js';
import { crownAlpha, dualAt, type Multipliers, type Signs } from './dual.js';

/** A random network over a random box, a row of its outputs and inputs, multipliers, and decided signs. */
const problems = fc
  .tuple(onnxFiles, fc.nat(1e6), fc.constantFrom(0.05, 0.5, 1.5), fc.boolean())
  .map(([{ bytes }, seed, radius, decides]) => {
    const nodes = readOnnx(bytes);
    const [inputs, outputs] = [nodes[0]?.size as number, nodes.at(-1)?.size as number];
    const centre = normalNumbers(`centre ${seed}`, inputs);
    const box = { lower: centre.map((c) => c - radius), upper: centre.map((c) => c + radius) };
    const bounds = boundNodes(nodes, box, () => undefined);
    const entries = (name: string, size: number) =>
      Array.from(normalNumbers(`${name} ${seed}`, size), (v, i) => [i, v] as const);
    const row: Row = {
      outputs: entries('c', outputs),
      inputs: seed % 2 === 0 ? [] : entries('d', inputs),
      bound: 0.3,
    };
    const alpha = uniformNumbers(`alpha ${seed}`, crownAlpha(nodes, bounds).length);
    const [signs, beta] = [new Map<number, Int8Array>(), new Map<number, Float64Array>()];
    nodes.forEach(({ op, size }, k) => {
      if (op !== 'relu') return;
      const draws = uniformNumbers(`signs ${k} ${seed}`, size);
      const sign = (i: number) =>
        (decides && (bounds.unstable[k]?.[i] as number) >= 0 ? draws[i] : 0.5) ?? 0.5;
      signs.set(
        k,
        Int8Array.from({ length: size }, (_, i) => (sign(i) < 0.2 ? -1 : sign(i) > 0.8 ? 1 : 0)),
      );
      beta.set(k, uniformNumbers(`beta ${k} ${seed}`, size));
    });
    return { nodes, box, bounds, row, signs: signs as Signs, multipliers: { alpha, beta }, seed };
  });

/** Values of all nodes at x. */
function valuesAt(nodes: readonly Node[], x: Float64Array): Float64Array[] {
  const values: Float64Array[] = [];
  for (const node of nodes) {
    const [a = x, b = x] = node.inputs.map((p) => values[p] as Float64Array);
    if (node.op === 'input') values.push(x);
    else if (node.op === 'affine') values.push(forward(node, a, a).middle);
    else if (node.op === 'add') values.push(a.map((v, i) => v + (b[i] as number)));
    else values.push(a.map((v) => Math.max(0, v)));
  }
  return values;
}

/** c·y + d·x − b. */
function rowAt({ outputs, inputs, bound }: Row, values: readonly Float64Array[]): number {
  const sum = (entries: Row['outputs'], of: Float64Array | undefined) =>
    entries.reduce((total, [i, factor]) => total + factor * (of?.[i] as number), 0);
  return sum(outputs, values.at(-1)) + sum(inputs, values[0]) - bound;
}

/** Σ β s z over decided ReLUs. */
const multiplied = (
  nodes: readonly Node[],
  signs: Signs,
  { beta }: Multipliers,
  values: readonly Float64Array[],
) =>
  nodes.reduce((total, { op, inputs }, k) => {
    if (op !== 'relu') return total;
    const z = values[inputs[0] as number] as Float64Array;
    const own = signs.get(k) as Int8Array;
    return own.reduce((sum, s, i) => sum + s * (beta.get(k)?.[i] as number) * (z[i] as number), total);
  }, 0);

test('the bound is the row at the least point, activations on their lines, less β s z', () => {
  fc.assert(
    fc.property(problems, ({ nodes, bounds, row, signs, multipliers }) => {
      const { value, values } = dualAt(nodes, bounds, row, signs, multipliers);
      const expected = rowAt(row, values) - multiplied(nodes, signs, multipliers, values);
      expect(value).toBeCloseTo(expected, 8);
    }),
    { numRuns: 200 },
  );
});

test('no point of the box whose ReLUs have the decided signs is below the bound', () => {
  let tried = 0;
  fc.assert(
    fc.property(problems, ({ nodes, box, bounds, row, signs, multipliers, seed }) => {
      const { value, coefficients } = dualAt(nodes, bounds, row, signs, multipliers);
      for (let k = 0; k < 40; k++) {
        const draws = uniformNumbers(`point ${k} of ${seed}`, box.lower.length);
        // Corners, that of the linear bound among them, and others.
        const x = box.lower.map((low, i) => {
          const u = draws[i] as number;
          const share = k === 0 ? Number((coefficients[i] as number) < 0) : k % 2 === 0 ? u : Math.round(u);
          return low + share * ((box.upper[i] as number) - low);
        });
        const values = valuesAt(nodes, x);
        const holds = nodes.every(({ op, inputs }, at) => {
          const z = values[inputs[0] as number];
          return op !== 'relu' || signs.get(at)?.every((s, i) => s * (z?.[i] as number) >= 0);
        });
        if (!holds) continue;
        tried++;
        expect(value).toBeLessThanOrEqual(rowAt(row, values) + 1e-8);
      }
    }),
    { numRuns: 200 },
  );
  expect(tried).toBeGreaterThan(2000);
});

test('its derivatives in α and β are a⁺ z and −s z', () => {
  const step = 1e-6;
  let moved = 0;
  fc.assert(
    fc.property(problems, ({ nodes, bounds, row, signs, multipliers }) => {
      const { alpha, beta } = multipliers;
      const { arrived, values } = dualAt(nodes, bounds, row, signs, multipliers);
      const at = (changed: Multipliers) => dualAt(nodes, bounds, row, signs, changed).value;
      nodes.forEach(({ op, inputs, size }, k) => {
        if (op !== 'relu') return;
        const z = values[inputs[0] as number] as Float64Array;
        for (let i = 0; i < Math.min(3, size); i++) {
          const index = bounds.unstable[k]?.[i] as number;
          const sign = signs.get(k)?.[i] as number;
          const a = arrived[k]?.[i] as number;
          if (index < 0) continue;
          const along = (by: number): Multipliers =>
            sign === 0
              ? { alpha: alpha.map((v, u) => (u === index ? v + by : v)), beta }
              : {
                  alpha,
                  beta: new Map(beta).set(
                    k,
                    (beta.get(k) as Float64Array).map((v, j) => (i === j ? v + by : v)),
                  ),
                };
          const [below, here, above] = [at(along(-step)), at(along(0)), at(along(step))];
          // Where another coefficient changes its sign the bound has a kink.
          if (Math.abs(above - 2 * here + below) > 1e-9) continue;
          const expected = sign === 0 ? Math.max(0, a) * (z[i] as number) : -sign * (z[i] as number);
          expect((above - below) / (2 * step)).toBeCloseTo(expected, 4);
          if (expected !== 0) moved++;
        }
      });
    }),
    { numRuns: 60 },
  );
  expect(moved).toBeGreaterThan(100);
});

test('α starts as CROWN chooses it', () => {
  fc.assert(
    fc.property(problems, ({ nodes, bounds }) => {
      const alpha = crownAlpha(nodes, bounds);
      nodes.forEach(({ op, inputs: [p = 0] }, k) => {
        if (op !== 'relu') return;
        bounds.unstable[k]?.forEach((index, i) => {
          const [low, high] = [bounds.lower[p]?.[i] as number, bounds.upper[p]?.[i] as number];
          if (index >= 0) expect(alpha[index]).toBe(high > -low ? 1 : 0);
        });
      });
    }),
    { numRuns: 50 },
  );
});
