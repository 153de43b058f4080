import { describe, expect, it } from 'vitest';
import { INSTRUCTION_SETS, useFastestSet } from '../../testing/instruction-sets.js';
import { normalNumbers, uniformNumbers } from '../../testing/numbers.js';
import { encodeMargins, type MarginChain } from './margin-chain.js';
import {
  kernelDualSearch,
  kernelMarginGradients,
  kernelMarginSearch,
  kernelMargins,
} from './margin-kernel.js';
import { hasRowKernel, useInstructionSet } from './row-kernel.js';

/** m = c · (w · relu(V x + a) + b) of one output, two hidden neurons, two inputs, one row and two images. */
const chain: MarginChain = {
  batch: 2,
  rows: 1,
  steps: [
    {
      kind: 'affine',
      output: [1, 1, 1],
      input: [2, 1, 1],
      kernel: [1, 1],
      stride: [1, 1],
      padding: [0, 0],
      weight: 1,
      bias: 2,
    },
    { kind: 'relu', extents: [2, 1, 1], lower: 3, upper: 4 },
    {
      kind: 'affine',
      output: [2, 1, 1],
      input: [2, 1, 1],
      kernel: [1, 1],
      stride: [1, 1],
      padding: [0, 0],
      weight: 5,
      bias: undefined,
    },
  ],
};
const encoded = encodeMargins(chain);
const arrays = [
  [1, 2], // c of each image
  [1, -1], // w
  [0.25], // b
  [-1, 1, -1, -4], // lower bounds of the hidden neurons
  [3, 2, 1, -2], // upper bounds
  [1, 2, 3, -1], // V
  [0, 0, 0, 0], // lower ends of the inputs
  [1, 2, 2, 0], // upper ends
].map((values) => new Float64Array(values));

/** −relu(w·x + b) of one neuron, whose sides a search chooses; l = −1 and u = 1 are known of it. */
const choosing = (inputs: number): MarginChain => ({
  batch: 1,
  rows: 1,
  steps: [
    {
      ...{ kind: 'lines', extents: [1, 1, 1], dual: true },
      ...{ alpha: { at: 1, perRow: true }, lambda: { at: 2, perRow: false } },
      ...{ mu: { at: 3, perRow: false }, shift: { at: 4, perRow: true } },
      sides: { weights: 5, numbers: 6, ends: [7, 8] },
    },
    {
      ...{ kind: 'affine', output: [1, 1, 1], input: [inputs, 1, 1], weight: 9, bias: 10 },
      ...{ kernel: [1, 1], stride: [1, 1], padding: [0, 0] },
    },
  ],
});

describe.skipIf(!hasRowKernel())('sides that a search chooses', () => {
  it.each(INSTRUCTION_SETS)('have r moved by what float32 may lose in its sum, with %s', (set) => {
    if (useInstructionSet(set) !== set) return;
    const inputs = 400;
    // Far from 0 the sums cancel.
    const lower = Float32Array.from(uniformNumbers('lower', inputs), (x) => 100 * x);
    const upper = lower.map((l) => l + 0.01);
    const w = Float32Array.from(normalNumbers('w', inputs));
    // v = w/2 at m = ½. With θ = 1 and s + r = 2 > 0 the side is v·x + r.
    let [least, greatest, size] = [0, 0, 0];
    w.forEach((weight, i) => {
      const ends = [lower, upper].map((end) => (weight / 2) * (end[i] as number));
      least += Math.min(...ends);
      greatest += Math.max(...ends);
      size += ends.reduce((sum, end) => sum + Math.abs(end), 0);
    });
    const b = Math.fround(2 - least - greatest);
    const exact = -(2 * greatest + b);
    const moved = (inputs + 8) * 2 ** -23 * (size + Math.abs(b));
    const single = (...numbers: number[]) => Float32Array.from(numbers);
    const arrays = [
      ...[single(-1), single(1), single(0.5), single(0.5), single(0)],
      ...[new Float32Array(inputs).fill(0.5), single(0, -1, 2, 0), lower, upper, w, single(b)],
      ...[lower, upper],
    ];
    const margins = new Float32Array(1);
    const places = arrays.map((array, i) =>
      [1, 5].includes(i) ? new Float32Array(array.length) : undefined,
    );
    const rule = { first: 0.9, second: 0.999, share: 0.5 };
    const work = { chain: encodeMargins(choosing(inputs)), arrays };
    kernelDualSearch(work, rule, single(0), single(1e30), Number.POSITIVE_INFINITY, margins, places);
    expect(margins[0]).toBeLessThan(exact - 0.5 * moved);
    expect(margins[0]).toBeGreaterThan(exact - 2 * moved);
    useFastestSet();
  });
});

describe.skipIf(!hasRowKernel())('margins of one row', () => {
  it('are those by hand', () => {
    const margins = new Float64Array(2);
    kernelMargins({ chain: encoded, arrays }, margins);
    // Image 1: relu₁ ≥ z₁ as 3 > 1, −relu₂ ≥ −(½ z₂ + ½). Row (1, −½) V = (−½, 2½) over [0, 1] × [0, 2].
    // Image 2: relu₁ = z₁, relu₂ = 0. Row (2, 0) V = (2, 4) over [0, 2] × [0, 0].
    expect([...margins]).toEqual([0.25 - 0.5 - 0.5, 0.5]);
  });

  it('have the derivative by rows, weights, bounds and box that they show by hand', () => {
    const gradients = arrays.map((array) => new Float64Array(array.length));
    kernelMarginGradients({ chain: encoded, arrays }, Float64Array.of(1, 1), gradients);
    const [c, w, b, lower, upper, , from, to] = gradients.map((gradient) => [...gradient]);
    // The margin is c times that of c = 1, in both images.
    expect(c).toEqual([-0.75, 0.25]);
    expect(b).toEqual([3]);
    // By w₂ of image 1: λ (V x)₂ + μ at x = (1, 0), ½ · 3 + ½.
    expect(w).toEqual([1 * 1, 2]);
    // −(λ z + μ) = −u (z − l)/(u − l) at z = 3: by l −u (z − u)/(u − l)² = −½, by u l (z − l)/(u − l)² = −1.
    expect(lower).toEqual([0, 0, -0.5, 0]);
    expect(upper).toEqual([0, 0, -1, 0]);
    expect(from).toEqual([0, 2, 2.5, 4]);
    expect(to).toEqual([-0.5, 0, 0, 0]);
  });

  it('are no number where a bound or a weight is none', () => {
    for (const at of [3, 4, 5]) {
      const broken = arrays.map((array, i) => (i === at ? array.map(() => Number.NaN) : array));
      const margins = new Float64Array(2);
      kernelMargins({ chain: encoded, arrays: broken }, margins);
      expect([...margins]).toEqual([Number.NaN, Number.NaN]);
    }
  });
});

/** The same network with lines: α below the hidden neurons, for each row, λ and μ above, σ taken off. */
const lined: MarginChain = {
  ...chain,
  steps: chain.steps.map((step) => {
    if (step.kind !== 'relu')
      return step.kind === 'affine' && step.weight === 5 ? { ...step, weight: 7 } : step;
    const shared = (at: number) => ({ at, perRow: false });
    const above = { lambda: shared(4), mu: shared(5), shift: shared(6) };
    return { kind: 'lines', extents: step.extents, alpha: { at: 3, perRow: true }, ...above };
  }),
};
const linedChain = encodeMargins(lined);
const linedArrays = [
  ...arrays.slice(0, 3).map((array) => [...array]),
  [0.5, 1, 0, 0], // α
  [0.75, 1, 0.25, 0], // λ
  [0.75, 0, 0.25, 0], // μ
  [0, 0, 0, 0.5], // σ
  ...arrays.slice(5).map((array) => [...array]),
].map((values) => new Float64Array(values));

describe.skipIf(!hasRowKernel())('margins of one row by lines', () => {
  it('are those by hand', () => {
    const margins = new Float64Array(2);
    kernelMargins({ chain: linedChain, arrays: linedArrays }, margins);
    // Image 1: ½ z₁ − ¼ z₂ − ¼ = (−¼, 1¼) · x over [0, 1] × [0, 2]. Image 2: z₁ less ½ z₂, rows (2, −½) V.
    expect([...margins]).toEqual([0.25 - 0.25 - 0.25, 0.5]);
  });

  it('have the derivative in lines', () => {
    const gradients = linedArrays.map((array) => new Float64Array(array.length));
    kernelMarginGradients({ chain: linedChain, arrays: linedArrays }, Float64Array.of(1, 1), gradients);
    const [, , , alpha, lambda, mu, shift] = gradients.map((gradient) => [...gradient]);
    // Image 1 at x = (1, 0), where z = (1, 3); image 2 at x = (0, 0).
    expect(alpha).toEqual([1, 0, 0, 0]);
    expect(lambda).toEqual([0, 0, -3, 0]);
    expect(mu).toEqual([0, 0, -1, -2]);
    expect(shift?.[0]).toBe(-1);
  });

  it('rise to the best of their own α, of neurons whose line above has an intercept', () => {
    const [margins, best] = [new Float64Array(2), new Float64Array(4)];
    const places = linedArrays.map((_, i) => (i === 3 ? best : undefined));
    // A step of the whole way: α = 1 in image 1, as z₁ = 1 at its worst input.
    kernelMarginSearch({ chain: linedChain, arrays: linedArrays }, Float64Array.of(1, 1), margins, places);
    const at = linedArrays.with(3, best);
    const found = new Float64Array(2);
    kernelMargins({ chain: linedChain, arrays: at }, found);
    expect([...margins]).toEqual([...found]);
    expect([...best]).toEqual([1, 1, 0, 0]);
  });
});

describe('the door to the margin kernel', () => {
  const run = (given: Float64Array[], margins = new Float64Array(2)) =>
    kernelMargins({ chain: encoded, arrays: given }, margins);

  it('refuses arrays, margins and gradients that do not fit the chain, in one line', () => {
    expect(() => run(arrays.slice(1))).toThrow('margin kernel: expected 8 arrays, got 7');
    for (const [i, array] of arrays.entries())
      expect(() => run(arrays.with(i, new Float64Array(array.length + 1)))).toThrow(/expected array \d of/);
    expect(() => run(arrays, new Float64Array(3))).toThrow('margin kernel: expected 2 margins, got 3');
    const single = new Float32Array(2) as unknown as Float64Array<ArrayBuffer>;
    expect(() => run([single, ...arrays.slice(1)])).toThrow(/as Float64Array, got 2 as Float32Array/);
    const short = arrays.map(() => new Float64Array(1));
    expect(() => kernelMarginGradients({ chain: encoded, arrays }, new Float64Array(2), short)).toThrow(
      /a gradient of the size of each array/,
    );
  });

  it('refuses searches without steps, or in arrays that are no α of each row', () => {
    const work = { chain: linedChain, arrays: linedArrays };
    const places = (at: number) =>
      linedArrays.map((array, i) => (i === at ? new Float64Array(array.length) : undefined));
    const search = (steps: Float64Array, at: number) => () =>
      kernelMarginSearch(work, steps, new Float64Array(2), places(at));
    expect(search(new Float64Array(0), 3)).toThrow(
      'expected sizes of steps and places for α of each row, got 0',
    );
    expect(search(Float64Array.of(1), 4)).toThrow('got 1 sizes and a place for array 4');
    const rule = { first: 0.9, second: 0.999, share: 0.5 };
    const [one, margins] = [Float64Array.of(1), new Float64Array(2)];
    expect(() => kernelDualSearch(work, rule, one, one, 0, margins, places(3))).toThrow(
      'expected 2 thresholds, got 1; give each margin one',
    );
    const arrived = (at: number, size: number) => () => {
      const seen = linedArrays.map((_, i) => (i === at ? new Float64Array(size) : undefined));
      kernelDualSearch(work, rule, one, new Float64Array(2), 0, margins, places(3), seen);
    };
    expect(arrived(3, 3)).toThrow('a place for coefficients at each position, or none, got 10 and 3 numbers');
    expect(arrived(4, 4)).toThrow('got 10 and 4 numbers at 4');
    const { steps } = lined;
    expect(() => encodeMargins({ ...lined, nested: true })).toThrow('expected ReLUs with bounds in nested');
    const twice = steps.map((step) => (step.kind === 'lines' ? { ...step, lambda: step.alpha } : step));
    expect(() => encodeMargins({ ...lined, steps: twice })).toThrow('one array at each position from 1');
  });

  it('refuses sides of lines that are not dual or have no affine step behind, and derivatives of dual lines', () => {
    const sides = { weights: 8, numbers: 9 };
    const withSides = (change: object, behind = true) => ({
      ...lined,
      steps: lined.steps
        .slice(0, behind ? undefined : 2)
        .map((step) => (step.kind === 'lines' ? { ...step, sides, ...change } : step)),
    });
    expect(() => encodeMargins(withSides({}))).toThrow('expected sides of dual lines, an affine step behind');
    expect(() => encodeMargins(withSides({ dual: true }, false))).toThrow('expected sides of dual lines');
    const { sizes, dual } = encodeMargins(withSides({ dual: true }));
    expect([dual, sizes[8], sizes[9]]).toEqual([true, 4, 8]);
    const work = { chain: { ...linedChain, dual: true }, arrays: linedArrays };
    expect(() => kernelMarginGradients(work, new Float64Array(2), [])).toThrow('got dual ones');
  });

  it('refuses to choose sides for many rows or images, and without a search', () => {
    const choosing = (rows: number, batch: number) => ({
      ...{ rows, batch },
      steps: lined.steps.map((step) =>
        step.kind === 'lines'
          ? { ...step, dual: true, sides: { weights: 8, numbers: 9, ends: [10, 11] as const } }
          : step,
      ),
    });
    const refused = (rows: number, batch: number) => () => encodeMargins(choosing(rows, batch));
    expect(refused(9, 1)).toThrow('expected at most 8 rows of one image that choose sides, got 9 of 1');
    expect(refused(1, 2)).toThrow('got 1 of 2');
    const encoded = encodeMargins(choosing(2, 1));
    expect([encoded.choosesSides, encoded.searchable.includes(8)]).toEqual([true, true]);
    const arrays = encoded.sizes.map((size) => new Float64Array(size));
    expect(() => kernelMargins({ chain: encoded, arrays }, new Float64Array(2))).toThrow(
      'expected sides that are given, got some to choose; search for them',
    );
  });

  it('refuses chains whose layers do not follow one another, or that are none', () => {
    const hostile = (change: Partial<MarginChain>) => () => encodeMargins({ ...chain, ...change });
    expect(hostile({ steps: [] })).toThrow('expected a layer at least, got none');
    expect(hostile({ batch: 0 })).toThrow('expected a batch and rows, got 0 and 1');
    expect(hostile({ rows: 1.5 })).toThrow('expected a batch and rows, got 2 and 1.5');
    expect(hostile({ steps: chain.steps.slice(0, 2).reverse() })).toThrow(
      'expected a layer that gives 2×1×1, got 1×1×1',
    );
    const [first] = chain.steps;
    if (first?.kind !== 'affine') throw new Error('expected an affine step');
    const changed = (change: object) => hostile({ steps: [{ ...first, ...change }] });
    expect(changed({ kernel: [0, 1] })).toThrow('extents, kernel and stride of whole, positive numbers');
    expect(changed({ padding: [-1, 0] })).toThrow('sides, kernel, stride and padding below 32768');
    expect(changed({ bias: 1 })).toThrow('one array at each position from 1, got another at 1');
    expect(changed({ bias: 3 })).toThrow('an array at every position');
    expect(changed({ input: [2 ** 21, 1, 1] })).toThrow(/at most 1048576 coefficients of a row, got/);
  });
});
