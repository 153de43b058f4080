import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import {
  add,
  constant,
  evaluate,
  gemm,
  gradient,
  greater,
  type HostData,
  input,
  mul,
  reshape,
  sigmoid,
  slice,
  sqrt,
  square,
  sub,
  sum,
  type Tensor,
  takeRows,
  tanh,
  total,
  where,
} from '../../graph/index.js';
import { distance, separated, weighted } from '../../testing/operator-check.js';
import { createExecutor } from '../execution/executor.js';
import { createPlan } from './compile.js';
import type { Plan, RowsStage, Stage } from './plan.js';

const executor = createExecutor();
afterAll(() => executor.close());

// Two channels of three places over a batch of two: six features, twelve neurons.
const [channels, places, batch, width] = [2, 3, 2, 4];
const features = channels * places;
const neurons = features * batch;
const float = (name: string, shape: readonly number[]) => input(name, shape, 'float64');

const inputs = {
  x: float('x', [width, batch]),
  w: float('w', [features, width]),
  v: float('v', [channels, 5]),
  shift: float('shift', [1, 1]),
};
const feeds = (seed: number, shift: number) => ({
  x: separated(width * batch, seed),
  w: separated(features * width, seed + 1),
  v: separated(channels * 5, seed + 2),
  shift: Float64Array.of(shift),
});

/** Cheap bounds [features, batch], and what the rows look up by their place: [places · batch, 5]. */
function cheap() {
  const centre = add(gemm(inputs.w, inputs.x), inputs.shift);
  const mixed = gemm(
    reshape(tanh(centre), [channels, places * batch]),
    constant(separated(channels * 5, 9), [channels, 5], 'float64'),
    true,
  );
  return { lower: sub(centre, 0.9), upper: add(centre, square(sigmoid(centre))), mixed };
}
type Cheap = ReturnType<typeof cheap>;

/**
 * Refined bounds of the rows, [rows]: functions of tables by channel and by place, and of the cheap bounds.
 */
function refine(
  v: Tensor,
  { lower, upper, mixed }: Cheap,
  { channel, place, position }: { channel: Tensor; place: Tensor; position: Tensor },
) {
  const rows = channel.shape[0] as number;
  const dot = reshape(sum(mul(takeRows(v, channel), takeRows(mixed, place)), [1]), [rows]);
  const flat = (t: Tensor) => takeRows(reshape(t, [neurons]), position);
  return {
    lower: add(flat(lower), mul(sigmoid(dot), 0.4)),
    upper: mul(flat(upper), sub(1, mul(square(tanh(dot)), 0.3))),
  };
}

/** The loss of refined and cheap bounds. */
const lossOf = (lower: Tensor, upper: Tensor | undefined, other: Tensor): Tensor => {
  const first = add(weighted(tanh(lower)), total(square(other)));
  return upper === undefined ? first : add(first, weighted(square(upper)));
};

interface Variant {
  readonly capacities: readonly number[];
  readonly all?: boolean;
  /** Whether the last stage reads the refined upper bounds. */
  readonly upper?: boolean;
  /** Whether the last stage reads v itself, not only its rows. */
  readonly direct?: boolean;
  /** Rows that depend on nothing that is differentiated. */
  readonly fixed?: boolean;
}
const wrt = ['w', 'v', 'x'] as const;

function staged({ capacities, all = false, upper = true, direct = true, fixed = false }: Variant): Plan {
  const bounds = cheap();
  const rows: RowsStage = {
    kind: 'rows',
    cheap: { lower: 'cheap lower', upper: 'cheap upper' },
    refined: { lower: 'refined lower', upper: 'refined upper' },
    shape: [features, batch],
    places,
    dtype: 'float64',
    capacities,
    all,
    build: (index) => {
      if (fixed)
        return {
          lower: takeRows(float('c', [neurons]), index.position),
          upper: takeRows(float('c', [neurons]), index.position),
        };
      return refine(
        inputs.v,
        {
          lower: float('cheap lower', [features, batch]),
          upper: float('cheap upper', [features, batch]),
          mixed: float('mixed', [places * batch, 5]),
        },
        index,
      );
    },
  };
  const lower = float('refined lower', [features, batch]);
  const other = direct ? inputs.v : float('cheap lower', [features, batch]);
  const stages: Stage[] = [
    {
      kind: 'whole',
      outputs: { 'cheap lower': bounds.lower, 'cheap upper': bounds.upper, mixed: bounds.mixed },
    },
    rows,
    {
      kind: 'whole',
      outputs: {
        loss: lossOf(lower, upper ? float('refined upper', [features, batch]) : undefined, other),
        seen: lower,
      },
    },
  ];
  return createPlan(stages, wrt);
}

/**
 * The same computation as one graph: every neuron is refined, and the stable ones keep their cheap bounds.
 */
function whole({ all = false, upper = true, direct = true, fixed = false }: Omit<Variant, 'capacities'>) {
  const bounds = cheap();
  const index = (of: (feature: number, image: number) => number) =>
    constant(
      Int32Array.from({ length: neurons }, (_, i) => of(Math.floor(i / batch), i % batch)),
      [neurons],
      'int32',
    );
  const rows = {
    channel: index((f) => Math.floor(f / places)),
    place: index((f, b) => (f % places) * batch + b),
    position: index((f, b) => f * batch + b),
  };
  const c = float('c', [neurons]);
  const refined = fixed ? { lower: c, upper: c } : refine(inputs.v, bounds, rows);
  const shaped = (t: Tensor) => reshape(t, [features, batch]);
  const choose = (refinedBound: Tensor, bound: Tensor) =>
    all
      ? shaped(refinedBound)
      : where(greater(bounds.lower, 0), bound, where(greater(bounds.upper, 0), shaped(refinedBound), bound));
  const seen = choose(refined.lower, bounds.lower);
  const loss = lossOf(
    seen,
    upper ? choose(refined.upper, bounds.upper) : undefined,
    direct ? inputs.v : bounds.lower,
  );
  return [loss, seen, ...gradient(loss, [inputs.w, inputs.v, inputs.x])];
}

async function expectSame(
  plan: Plan,
  reference: readonly Tensor[],
  values: Record<string, Float64Array>,
): Promise<void> {
  const { outputs, gradients } = await executor.run(plan, values);
  const made = [outputs.loss, outputs.seen, ...gradients] as HostData[];
  evaluate(reference, values).forEach((expected, i) => {
    expect(
      distance(made[i] as HostData, expected),
      `array ${i} of loss, refined lower, ∂w, ∂v, ∂x`,
    ).toBeLessThan(1e-11);
  });
  for (const g of gradients) expect(g).toBeInstanceOf(Float64Array);
}
const unstable = (values: Record<string, Float64Array>): number => {
  const { lower, upper } = cheap();
  const [l, u] = evaluate([lower, upper], values) as [Float64Array, Float64Array];
  return l.filter((value, i) => value < 0 && (u[i] as number) > 0).length;
};

describe('a plan of two whole stages', () => {
  it('has the values and gradients of the one graph, also where both stages read an array that is differentiated', async () => {
    const middle = tanh(gemm(inputs.w, inputs.x));
    const finish = (m: Tensor) => ({
      loss: add(weighted(square(gemm(inputs.w, m, true))), total(m)),
      seen: sigmoid(m),
    });
    const plan = createPlan(
      [
        { kind: 'whole', outputs: { middle } },
        { kind: 'whole', outputs: finish(float('middle', [features, batch])) },
      ],
      ['w', 'x'],
    );
    const { loss, seen } = finish(middle);
    const reference = [loss, seen, ...gradient(loss, [inputs.w, inputs.x])];
    await fc.assert(
      fc.asyncProperty(fc.nat(1e6), (seed) => expectSame(plan, reference, feeds(seed, 0))),
      { numRuns: 10 },
    );
  });

  it('gives values alone when nothing is differentiated, and each run stands for itself', async () => {
    const plan = createPlan([{ kind: 'whole', outputs: { seen: square(inputs.x) } }]);
    for (const seed of [1, 2, 1]) {
      const values = feeds(seed, 0);
      const result = await executor.run(plan, values);
      expect(result.gradients).toEqual([]);
      expect(result.outputs.seen).toEqual(values.x.map((v) => v * v));
    }
  });
});

describe('a plan with a rows stage', () => {
  const reference = whole({});

  it.each([[[1]], [[5]], [[2, 3]], [[4, 64]], [[12]], [[100]]])(
    'of capacities %j has the values and gradients of the one graph, however many rows there are',
    async (capacities) => {
      const plan = staged({ capacities });
      const counts = new Set<number>();
      for (const seed of [3, 4, 5]) {
        for (const shift of [0, 2.5]) {
          const values = feeds(seed, shift);
          counts.add(unstable(values));
          await expectSame(plan, reference, values);
        }
      }
      expect(counts.size).toBeGreaterThan(2);
    },
  );

  it.each([100, -100])(
    'passes the cotangents of the refined bounds to the cheap ones where no neuron has a row (all shifted by %d)',
    async (shift) => {
      const values = feeds(7, shift);
      expect(unstable(values)).toBe(0);
      await expectSame(staged({ capacities: [4] }), reference, values);
      await expectSame(staged({ capacities: [4], direct: false }), whole({ direct: false }), values);
    },
  );

  it('refines stable neurons too when asked for all', async () => {
    const plan = staged({ capacities: [5, 8], all: true });
    for (const shift of [0, 100]) await expectSame(plan, whole({ all: true }), feeds(8, shift));
  });

  it('carries gradients back when only one of the refined bounds is used', async () => {
    await expectSame(staged({ capacities: [4], upper: false }), whole({ upper: false }), feeds(3, 0));
  });

  it('differentiates by an array that only its rows read', async () => {
    await expectSame(staged({ capacities: [4], direct: false }), whole({ direct: false }), feeds(3, 0));
  });

  it('stops the gradient at rows that do not depend on what is differentiated', async () => {
    const values = { ...feeds(3, 0), c: separated(neurons, 11) };
    await expectSame(staged({ capacities: [4], fixed: true }), whole({ fixed: true }), values);
  });
});

describe('the derivative of a rows stage', () => {
  it('runs no rows whose bounds nothing depends on', async () => {
    const x = float('x', [2, 1]);
    const build: RowsStage['build'] = ({ position }) => {
      const root = reshape(sqrt(takeRows(x, position)), [1]);
      return { lower: root, upper: root };
    };
    const bounds = { cheap: { lower: 'l', upper: 'u' }, refined: { lower: 'L', upper: 'U' } };
    const ofRows = { shape: [2, 1], places: 1, dtype: 'float64', capacities: [1] } as const;
    const plan = createPlan(
      [
        { kind: 'whole', outputs: { l: sub(mul(x, 0), 1), u: add(mul(x, 0), 1) } },
        { kind: 'rows', ...bounds, ...ofRows, build },
        { kind: 'whole', outputs: { loss: total(slice(float('L', [2, 1]), 0, 1, 2)) } },
      ],
      ['x'],
    );
    const { outputs, gradients } = await executor.run(plan, { x: Float64Array.of(0, 4) });
    expect(outputs.loss).toEqual(Float64Array.of(2));
    // The root's derivative at 0 is infinite: that row's share would be 0 · ∞.
    expect(gradients).toEqual([Float64Array.of(0, 0.25)]);
  });
});

describe('a plan that cannot be made or run', () => {
  const loss = total(inputs.x);

  it('says what it expected', async () => {
    expect(() => createPlan([])).toThrow('expected the last stage to be a whole graph');
    expect(() => createPlan([{ kind: 'whole', outputs: { seen: loss } }], ['x'])).toThrow(
      'expected an output named loss',
    );
    expect(() => createPlan([{ kind: 'whole', outputs: { loss } }], ['y'])).toThrow(
      'no stage has an input named y',
    );
    const unknown = { kind: 'unknown' } as unknown as Stage;
    expect(() => createPlan([unknown, { kind: 'whole', outputs: { loss } }])).toThrow(
      'expected a stage of whole, rows, row-kernel, interval-kernel, loss-kernel, ascent-kernel, ' +
        'margin-search, iterate, host, got unknown',
    );
    await expect(executor.run(createPlan([{ kind: 'whole', outputs: { loss } }]), {})).rejects.toThrow(
      'nothing provides the array x',
    );
  });
});
