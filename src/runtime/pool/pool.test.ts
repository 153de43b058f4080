import { afterAll, describe, expect, it } from 'vitest';
import { gemm, input, logSumExp, reshape, sub, sum, tanh, total } from '../../graph/index.js';
import { normalNumbers } from '../../testing/numbers.js';
import { createExecutor } from '../execution/executor.js';
import { createPlan } from '../plan/compile.js';
import type { Plan } from '../plan/plan.js';
import { accumulateNormals, deriveKey, keyOf, perturb } from '../random/keys.js';
import { localPool } from './local-pool.js';
import { createPool } from './pool.js';
import type { Outputs, RunTask } from './task.js';

const pools = [...[1, 2, 3].map((threads) => createPool(threads)), localPool()];
const [pool] = pools as [(typeof pools)[number]];
afterAll(() => Promise.all(pools.map((open) => open.close())));

// A small loss of two parameter arrays over five columns, one of them in shared memory.
const [features, hidden, columns] = [4, 3, 5];
const layout = [
  { name: 'first', offset: 0, size: hidden * features },
  { name: 'second', offset: hidden * features, size: hidden },
];
const values = tanh(gemm(input('first', [hidden, features]), input('x', [features, columns])));
const mixed = gemm(reshape(input('second', [hidden]), [1, hidden]), values);
const outputs = {
  loss: total(sub(logSumExp(values, [0]), mixed)),
  each: reshape(sum(values, [0]), [columns]),
};
const plan = createPlan([{ kind: 'whole', outputs }], ['first', 'second']);
const valuePlan = createPlan([{ kind: 'whole', outputs }]);

const theta = Float32Array.from(normalNumbers('θ', hidden * features + hidden));
const x = new Float32Array(new SharedArrayBuffer(4 * features * columns));
x.set(normalNumbers('x', features * columns));
const key = deriveKey(keyOf('perturbation'), 3, 1);
const sigma = theta.map((_, i) => 0.01 * (i + 1));
const task: RunTask = { plan, feeds: { x }, theta, layout };

/** What the calling thread computes at given parameters. */
async function alone(at: Float32Array) {
  const executor = createExecutor();
  try {
    const feeds = {
      x: x.slice(),
      ...Object.fromEntries(layout.map(({ name, offset, size }) => [name, at.slice(offset, offset + size)])),
    };
    const result = await executor.run(plan, feeds);
    return { outputs: result.outputs, gradient: Float32Array.from(result.gradients.flatMap((g) => [...g])) };
  } finally {
    await executor.close();
  }
}
const firstOfEach = (all: Outputs) => Object.values(all).map((values) => Number(values[0]));
const perturbed = (sign: 1 | -1): Float32Array => {
  const out = new Float32Array(theta.length);
  perturb(theta, key, sigma, sign, out);
  return out;
};

describe('a pool of workers', () => {
  it('computes bit for bit what the calling thread does, at θ and at perturbed θ, however many there are', async () => {
    const [at, plus, minus] = await Promise.all([alone(theta), alone(perturbed(1)), alone(perturbed(-1))]);
    expect(plus?.outputs.loss).not.toEqual(minus?.outputs.loss);
    for (const open of pools) {
      const perturbation = { key, sigma };
      const [here, there, both] = await Promise.all([
        open.run(task),
        open.run({ ...task, perturbation }),
        open.pairs({ ...task, plan: valuePlan, feeds: [task.feeds, task.feeds], keys: [key], sigma }),
      ]);
      expect(here).toEqual({ outputs: at?.outputs, gradient: at?.gradient });
      expect(there).toEqual({ outputs: plus?.outputs, gradient: plus?.gradient });
      const numbers = [plus, minus].flatMap((point) =>
        [0, 1].flatMap(() => firstOfEach(point?.outputs ?? {})),
      );
      expect([...both]).toEqual(numbers);
    }
    expect(theta).toEqual(Float32Array.from(normalNumbers('θ', theta.length)));
  });

  it('knows how long its workers computed: not while they wait, and no longer than all of them together', async () => {
    for (const open of pools) {
      await open.run(task);
      const [start, before] = [performance.now(), open.busySeconds()];
      await Promise.all(Array.from({ length: 20 }, () => open.run(task)));
      const [seconds, after] = [(performance.now() - start) / 1000, open.busySeconds()];
      expect(after).toBeGreaterThan(before);
      expect(after - before).toBeLessThan(seconds * open.threads);
      await new Promise((resolve) => setTimeout(resolve, 20));
      expect(open.busySeconds()).toBe(after);
    }
  });

  it('says what programs may take of the memory: what it was told, else some of what is there', async () => {
    const told = createPool(1, 'cpu', 300);
    expect(await told.memory()).toMatchObject({ bytes: 300 * 2 ** 20, source: '--memory' });
    expect((await pool.memory()).bytes).toBeGreaterThan(0);
    expect(await pool.memory()).toBe(await pool.memory());
    await told.close();
  });

  it('gives no gradient for a plan without one', async () => {
    expect((await pool.run({ ...task, plan: valuePlan })).gradient).toBeUndefined();
  });

  it.each([1, 2, 7, 1001])(
    'sums the same normals over %i coordinates, however they are split',
    async (coordinates) => {
      const keys = [0, 1, 2].map((sample) => deriveKey(key, 0, sample));
      const first = Float64Array.of(0.5, -2, 1e-3);
      const second = Float64Array.of(1, 3, -0.25);
      for (const open of pools) {
        expect(await open.normals({ keys, first, second }, coordinates)).toEqual(
          accumulateNormals(keys, first, second, 0, coordinates),
        );
        expect(await open.normals({ keys, first }, coordinates)).toEqual(
          accumulateNormals(keys, first, undefined, 0, coordinates),
        );
      }
    },
  );
});

describe('a task that cannot run', () => {
  const garbage: Plan = {
    ...plan,
    id: 'garbage',
    programs: plan.programs.map((program) => ({ ...program, bytes: new Uint8Array(64).fill(7) })),
  };
  const bad: [string, RunTask, RegExp][] = [
    ['an array is missing', { ...task, feeds: {} }, /^plan: nothing provides the array x$/],
    [
      'a parameter is missing',
      { ...task, layout: layout.slice(0, 1) },
      /^plan: nothing provides the array second$/,
    ],
    [
      'an array has another size',
      { ...task, feeds: { x: x.slice(1) } },
      /^program: input x expects \[4,5\] float32, got 19 values$/,
    ],
    [
      'θ is too short',
      { ...task, theta: theta.slice(0, 13) },
      /^program: input second expects \[3\] float32, got 1 values$/,
    ],
    [
      'the plan names a program that it has not',
      { ...task, plan: { ...plan, id: 'no program', programs: [] } },
      /^plan: no program 0$/,
    ],
    ['a program is no ONNX model', { ...task, plan: garbage }, /./],
  ];
  it.each(bad)('rejects with one line, and the worker goes on: %s', async (_, broken, message) => {
    const error: Error = await pool.run(broken).then(
      () => expect.unreachable('it ran'),
      (reason) => reason,
    );
    expect(error).toBeInstanceOf(Error);
    expect(error.message).toMatch(message);
    expect(error.message.trim().split('\n')).toHaveLength(1);
    const { gradient } = await pool.run(task);
    expect(gradient).toHaveLength(theta.length);
  });

  it('does not hold up the tasks beside it', async () => {
    const results = await Promise.allSettled(
      [0, 1, 2, 3, 4, 5].map((i) => (pools[1] as typeof pool).run(i % 2 ? task : { ...task, feeds: {} })),
    );
    expect(results.map(({ status }) => status)).toEqual([
      'rejected',
      'fulfilled',
      'rejected',
      'fulfilled',
      'rejected',
      'fulfilled',
    ]);
  });
});

describe('a call that takes long', () => {
  // Some seconds of one core.
  const size = 1500;
  const power = (times: number) => {
    const a = input('a', [size, size]);
    let product = a;
    for (let i = 0; i < times; i++) product = gemm(product, a);
    return createPlan([{ kind: 'whole', outputs: { sums: sum(product, [0]) } }]);
  };
  const long: RunTask = {
    plan: power(25),
    feeds: { a: new Float32Array(size * size) },
    theta: new Float32Array(0),
    layout: [],
  };

  it('is left to itself by a pool that goes on with new workers, and still ends', async () => {
    const open = createPool(1);
    await open.run(task);
    let ended = false;
    const left = open.run(long).finally(() => {
      ended = true;
    });
    const bits = await pool.run(task);
    open.renew();
    expect([await open.run(task), ended]).toEqual([bits, false]);
    expect((await left).outputs.sums).toEqual(new Float32Array(size));
    await open.close();
  }, 60_000);

  it('is not waited for where the pool is told so', async () => {
    const open = createPool(1);
    await open.run(task);
    let ended = false;
    const left = open.run(long).finally(() => {
      ended = true;
    });
    await open.close({ waits: false });
    expect(ended).toBe(false);
    expect((await left).outputs.sums).toEqual(new Float32Array(size));
  }, 60_000);

  it('ends before its worker does, though another worker of a closing pool is done before', async () => {
    const open = createPool(2);
    await Promise.all([open.run(task), open.run(task)]);
    const [left, short, refused] = [open.run(long), open.run(task), open.run(task)];
    const reason = refused.catch((error: Error) => error.message);
    await open.close();
    expect((await left).outputs.sums).toEqual(new Float32Array(size));
    expect((await short).gradient).toHaveLength(theta.length);
    expect(await reason).toMatch(/^pool: expected an open one/);
  }, 60_000);
});
