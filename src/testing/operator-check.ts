/**
 * Holds graphs against two independent references: derivatives against central differences, values against
 * ONNX Runtime.
 */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import {
  constant,
  type EncodingOptions,
  encodeProgram,
  evaluate,
  type FloatType,
  gradient,
  type HostData,
  input,
  inputName,
  isInput,
  mul,
  type Shape,
  sizeOf,
  type Tensor,
  topologicalOrder,
  total,
} from '../graph/index.js';
import { openSession } from '../runtime/execution/session.js';

export type Values = Readonly<Record<string, ArrayLike<number>>>;

/** A graph over float inputs named x0, x1, …, and the values of any other inputs that it makes itself. */
export interface GraphCase {
  readonly shapes: readonly Shape[];
  build(inputs: readonly Tensor[], dtype: FloatType): Tensor;
  /** Values of int32 inputs. */
  readonly indices?: Values;
}

/** d f/d x_i by central differences, (f(x + h e_i) − f(x − h e_i))/2h. */
export function centralDifferences(
  f: (x: Float64Array) => number,
  x: ArrayLike<number>,
  step = 1e-5,
): Float64Array {
  return Float64Array.from(x, (value, i) => {
    const moved = Float64Array.from(x);
    moved[i] = value + step;
    const above = f(moved);
    moved[i] = value - step;
    return (above - f(moved)) / (2 * step);
  });
}

/** Greatest difference over 1 + the greatest expected size. */
export function distance(got: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (got.length !== expected.length) return Number.POSITIVE_INFINITY;
  let worst = 0;
  let size = 1;
  for (let i = 0; i < expected.length; i++) {
    const difference = Math.abs((got[i] as number) - (expected[i] as number));
    if (!(difference <= worst)) worst = Number.isNaN(difference) ? Number.POSITIVE_INFINITY : difference;
    size = Math.max(size, Math.abs(expected[i] as number));
  }
  return worst / size;
}

/** Values of `outputs` by ONNX Runtime. */
export async function runProgram(
  outputs: Readonly<Record<string, Tensor>>,
  feeds: Values,
  options: EncodingOptions = {},
): Promise<Record<string, HostData>> {
  const program = encodeProgram(outputs, options);
  const session = await openSession(program);
  const arrays = { float32: Float32Array, float64: Float64Array, int32: Int32Array, bool: Uint8Array };
  try {
    return await session.run(
      Object.fromEntries(
        program.inputs.map(({ name, dtype }) => [name, arrays[dtype].from(feeds[name] as ArrayLike<number>)]),
      ),
    );
  } finally {
    await session.close();
  }
}

/**
 * `count` numbers, exact in float32, at least 3/64 away from zero and from one another: a step of 1e-5
 * crosses no kink of |x|, max(x, 0) or max(x, y). Uneven, so that sums, products and sizes of some do not
 * meet by chance. Between −3 and 3 for up to 48 of them; their order follows the seed.
 */
export function separated(count: number, seed: number): Float64Array {
  const order = Float64Array.from({ length: count }, (_, i) =>
    Math.fround((i - Math.floor(count / 2)) / 8 + 3 / 64 + ((i * 0.618034) % 1) / 32),
  );
  let state = seed | 1;
  for (let i = count - 1; i > 0; i--) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    const j = (state >>> 8) % (i + 1);
    const moved = order[i] as number;
    order[i] = order[j] as number;
    order[j] = moved;
  }
  return order;
}

/**
 * Σ y ∘ c for constants c that no symmetry of an operator leaves alone: a scalar that every entry of y
 * changes.
 */
export const weighted = (y: Tensor): Tensor =>
  total(
    mul(
      y,
      constant(
        Float64Array.from({ length: sizeOf(y.shape) }, (_, i) => 0.5 + ((i * 0.381966) % 1)),
        y.shape,
        y.dtype,
      ),
    ),
  );

/** Values of the float inputs of a case. */
export function feedsOf(
  { shapes, indices }: GraphCase,
  seed: number,
  positive = false,
): Record<string, ArrayLike<number>> {
  const sizes = shapes.map(sizeOf);
  const all = separated(
    sizes.reduce((a, b) => a + b, 0),
    seed,
  );
  const values = positive ? all.map(Math.abs) : all;
  const floats = sizes.map((size, i) => {
    const offset = sizes.slice(0, i).reduce((a, b) => a + b, 0);
    return [`x${i}`, values.slice(offset, offset + size)] as const;
  });
  return { ...indices, ...Object.fromEntries(floats) };
}

/** Gradients of a scalar agree with central differences, both in float64. */
export function expectDerivatives(
  loss: Tensor,
  inputs: readonly Tensor[],
  feeds: Values,
  tolerance = 1e-7,
): void {
  const gradients = evaluate(gradient(loss, inputs), feeds);
  inputs.forEach((x, k) => {
    const name = x.attributes.name as string;
    const numeric = centralDifferences(
      (moved) => (evaluate([loss], { ...feeds, [name]: moved })[0] as Float64Array)[0] as number,
      feeds[name] ?? [],
    );
    expect(
      distance(gradients[k] as Float64Array, numeric),
      `∂/∂${name}: ${gradients[k]} against ${numeric}`,
    ).toBeLessThan(tolerance);
  });
}

/** ONNX Runtime and the plain evaluator give the same numbers. */
export async function expectRuntimeAgrees(
  outputs: readonly Tensor[],
  feeds: Values,
  tolerance: number,
): Promise<void> {
  const made = await runProgram(Object.fromEntries(outputs.map((output, i) => [`out${i}`, output])), feeds);
  evaluate(outputs, feeds).forEach((expected, i) => {
    expect(
      distance(made[`out${i}`] as HostData, expected),
      `output ${i}: ${made[`out${i}`]} against ${expected}`,
    ).toBeLessThan(tolerance);
  });
}

const MEMBERS = 3;

/**
 * A graph lifted to a population gives each member what the graph gives it alone, whichever of its inputs
 * (bits of `differing`) members differ in. In float64, by ONNX Runtime against the plain evaluator.
 */
async function expectMembersAlone(
  outputs: readonly Tensor[],
  members: readonly Values[],
  differing: number,
): Promise<void> {
  const inputs = topologicalOrder(outputs).filter(isInput);
  const lifted = inputs.filter((_, i) => (differing >> i) & 1);
  const isLifted = (name: string) => lifted.some((x) => inputName(x) === name);
  const lifting = {
    members: MEMBERS,
    inputs: new Map(lifted.map((x) => [inputName(x), input(inputName(x), [MEMBERS, ...x.shape], x.dtype)])),
  };
  const all = Object.fromEntries(
    Object.keys(members[0] as Values).map((name) => [
      name,
      isLifted(name)
        ? members.flatMap((feeds) => [...Array.from(feeds[name] as ArrayLike<number>)])
        : members[0]?.[name],
    ]),
  ) as Values;
  const made = await runProgram(Object.fromEntries(outputs.map((output, i) => [`out${i}`, output])), all, {
    lifting,
    everyMember: () => true,
  });
  for (let m = 0; m < MEMBERS; m++) {
    const own = Object.fromEntries(
      Object.entries(members[m] as Values).map(([name, values]) => [
        name,
        isLifted(name) ? values : members[0]?.[name],
      ]),
    ) as Values;
    evaluate(outputs, own).forEach((expected, i) => {
      const size = expected.length;
      const got = (made[`out${i}`] as HostData).slice(m * size, (m + 1) * size);
      expect(distance(got, expected), `member ${m}, output ${i}: ${got} against ${expected}`).toBeLessThan(
        1e-13,
      );
    });
  }
}

/**
 * Declares the test of one operator: on random cases its derivative is right, and the runtime gives its
 * values and derivatives in both float types.
 */
export function itHolds(
  name: string,
  cases: fc.Arbitrary<GraphCase>,
  { runs = 8, positive = false } = {},
): void {
  it(`${name}: its derivative is the central difference, and ONNX Runtime gives its values and derivatives`, async () => {
    await fc.assert(
      fc.asyncProperty(cases, fc.nat(), async (graphCase, seed) => {
        const feeds = feedsOf(graphCase, seed, positive);
        for (const dtype of ['float64', 'float32'] as const) {
          const inputs = graphCase.shapes.map((shape, i) => input(`x${i}`, shape, dtype));
          const y = graphCase.build(inputs, dtype);
          const loss = weighted(y);
          if (dtype === 'float64') expectDerivatives(loss, inputs, feeds);
          await expectRuntimeAgrees(
            [y, ...gradient(loss, inputs)],
            feeds,
            dtype === 'float64' ? 1e-13 : 3e-6,
          );
        }
      }),
      { numRuns: runs },
    );
  });

  it(`${name}: its values and derivatives for a population are those of each member alone`, async () => {
    await fc.assert(
      fc.asyncProperty(cases, fc.nat(1000), fc.nat(), async (graphCase, seed, differing) => {
        const inputs = graphCase.shapes.map((shape, i) => input(`x${i}`, shape, 'float64'));
        const y = graphCase.build(inputs, 'float64');
        const turned = (values: ArrayLike<number>, m: number) =>
          m % 2 === 0 ? values : Array.from(values).reverse();
        const members = Array.from({ length: MEMBERS }, (_, m) => ({
          ...feedsOf(graphCase, seed + m, positive),
          ...Object.fromEntries(
            Object.entries(graphCase.indices ?? {}).map(([index, values]) => [index, turned(values, m)]),
          ),
        }));
        await expectMembersAlone([y, ...gradient(weighted(y), inputs)], members, differing);
      }),
      { numRuns: runs },
    );
  });
}

/** Random shapes of small rank. */
export const shapes = (minLength = 0, maxLength = 4): fc.Arbitrary<number[]> =>
  fc.array(fc.integer({ min: 1, max: 3 }), { minLength, maxLength });

/** Shapes that broadcast to a common one, which need be none of them. */
export const broadcastable = (count: number): fc.Arbitrary<number[][]> =>
  shapes(0, 3).chain((shape) =>
    fc.tuple(
      ...Array.from({ length: count }, () =>
        fc
          .tuple(
            fc.integer({ min: 0, max: shape.length }),
            fc.array(fc.boolean(), { minLength: shape.length, maxLength: shape.length }),
          )
          .map(([drop, ones]) => shape.map((extent, i) => (ones[i] ? 1 : extent)).slice(drop)),
      ),
    ),
  );
