/** Queries of random networks against plain loops over what they declare and assert. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createPool, type Pool } from '../runtime/pool/pool.js';
import { runNetwork } from '../testing/onnx-runs.js';
import { modelOf, type TestModel } from '../testing/query-models.js';
import {
  asQuery,
  declared,
  elementNames,
  namesOf,
  networks,
  type TestNetwork,
} from '../testing/vnnlib-queries.js';
import { type Formula, formula, holds, print } from '../testing/vnnlib-text.js';
import { assignmentOf, type Links } from '../verification/property/links.js';
import { type Polytope, violation } from '../verification/property/property.js';
import { verify } from '../verification/search/verify.js';
import type { ModelTask } from './query-task.js';
import { readVerificationTask } from './verification-task.js';

let folder: string;
let pool: Pool;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tautnet-queries-'));
  pool = createPool(1);
});
afterAll(async () => {
  await pool.close();
  await rm(folder, { recursive: true, force: true });
});

const BOX = 4;

/** A network once more, under other names. */
const copyOf = ({ name, tensors }: TestNetwork): TestNetwork => ({
  name: `${name}_copy`,
  relation: `(equal-to ${name})`,
  tensors: tensors.map((tensor) => ({ ...tensor, name: `${tensor.name}_copy` })),
});

/** Equalities of an input with another input, or with an output, by their numbers. */
const link = fc.record({ input: fc.nat(), other: fc.nat(), isInput: fc.boolean() });
const halves = fc.integer({ min: -2, max: 2 }).map((k) => k / 2);
const trial = fc
  .record({
    all: networks.filter((one) => one.length < 3),
    copies: fc.boolean(),
    links: fc.array(link, { maxLength: 3 }),
    seed: fc.nat(10_000),
  })
  .chain(({ all, copies, links, seed }) => {
    // Values of hidden tensors have the names of the network that is copied.
    const first = { ...(all[0] as TestNetwork) };
    const hasHidden = first.tensors.some(({ kind }) => kind === 'hidden');
    const shown = copies && !hasHidden ? [...all, copyOf(first)] : all;
    const names = namesOf(shown);
    return fc.record({
      shown: fc.constant(shown),
      links: fc.constant(links),
      seed: fc.constant(seed),
      formulas: fc.array(formula(names.x.length, names.y.length), { minLength: 1, maxLength: 2 }),
      points: fc.array(fc.array(halves, { minLength: names.x.length, maxLength: names.x.length }), {
        minLength: 25,
        maxLength: 25,
      }),
    });
  });
type Trial = typeof trial extends fc.Arbitrary<infer T> ? T : never;

/** A trial with its models, and what its assertions say by themselves. */
function setUp({ shown, links, seed, formulas }: Trial) {
  const models = new Map<string, TestModel>();
  shown.forEach((network, n) => {
    const target = /equal-to (\w+)/.exec(network.relation ?? '')?.[1];
    models.set(network.name, (target && models.get(target)) || modelOf(network, seed + n));
  });
  const names = namesOf(shown);
  const equal = links.flatMap(({ input, other, isInput }) => {
    const a = input % names.x.length;
    const b = other % (isInput ? names.x : names.y).length;
    return isInput && a === b ? [] : [{ a, b, isInput }];
  });
  const compute = (x: readonly number[]): number[] => {
    let start = 0;
    return shown.flatMap(({ name, tensors }) => {
      const inputs = tensors.filter(({ kind }) => kind === 'input').flatMap(elementNames).length;
      start += inputs;
      return (models.get(name) as TestModel).compute(x.slice(start - inputs, start));
    });
  };
  /** A point moved to where the equalities hold, as far as following them a few times does. */
  const settled = (point: readonly number[]): number[] => {
    const x = [...point];
    for (let round = 0; round < 4; round++)
      for (const { a, b, isInput } of equal) x[a] = (isInput ? x : compute(x))[b] as number;
    return x;
  };
  const linksHold = (x: readonly number[], y: readonly number[]): boolean =>
    equal.every(({ a, b, isInput }) => x[a] === (isInput ? x : y)[b]);
  const truth = (x: readonly number[], y: readonly number[]): boolean =>
    x.every((value) => Math.abs(value) <= BOX) && formulas.every((of: Formula) => holds(of, { x, y }));
  const text =
    `(vnnlib-version <2.0>)\n${shown.map((network) => declared(network, 'float32')).join('')}` +
    names.x.map((x) => `(assert (and (<= -${BOX} ${x}) (<= ${x} ${BOX})))\n`).join('') +
    equal
      .map(({ a, b, isInput }) => `(assert (== ${names.x[a]} ${(isInput ? names.x : names.y)[b]}))\n`)
      .join('') +
    formulas.map((of) => `(assert ${print(asQuery(of, names))})\n`).join('') +
    // So that an output is asserted about at all.
    `(assert (<= ${names.y[0]} 100000))\n`;
  return { models, text, compute, settled, linksHold, truth };
}

let trials = 0;
/** The task of a trial, read from files. */
async function taskOf(models: ReadonlyMap<string, TestModel>, shown: readonly TestNetwork[], text: string) {
  const at = join(folder, `${trials++}`);
  await writeFile(`${at}.vnnlib`, text);
  const own = shown.filter(({ relation }) => relation === undefined);
  const named = own.map(({ name }) => ({ name, path: `${at}${name}.onnx` }));
  for (const { name, path } of named) await writeFile(path, (models.get(name) as TestModel).bytes);
  return readVerificationTask(named, `${at}.vnnlib`);
}

const positiveZeros = (values: ArrayLike<number>): number[] => Array.from(values, (value) => value + 0);
const contains = ({ box, unsafe }: Polytope, z: readonly number[], y: readonly number[]): boolean =>
  z.every((value, k) => (box.lower[k] as number) <= value && value <= (box.upper[k] as number)) &&
  violation({ box, unsafe }, z, y) <= 0;

test('networks, files and polytopes are what the query says, at every point where its equalities hold', async () => {
  let [held, free] = [0, 0];
  await fc.assert(
    fc.asyncProperty(trial, async (one) => {
      const { models, text, compute, settled, linksHold, truth } = setUp(one);
      const task = await taskOf(models, one.shown, text);
      const points = one.points.map(settled).filter((x) => linksHold(x, compute(x)));
      const links = task.links as Links;
      for (const [k, x] of points.entries()) {
        const y = compute(x);
        const z = Array.from(links.free, (i) => x[i] as number);
        expect(positiveZeros(await task.model.run(z))).toEqual(positiveZeros(y));
        if (k === 0) {
          const parameters = task.parameters as Readonly<Record<string, Float32Array>>;
          const read = await runNetwork(task.network, parameters, Float32Array.from(z), 1);
          expect(positiveZeros(read)).toEqual(positiveZeros(y));
        }
        expect(task.property.polytopes.some((polytope) => contains(polytope, z, y))).toBe(truth(x, y));
        const tensors = assignmentOf(task.query?.networks ?? [], links, z, y);
        const kinds = one.shown.flatMap(({ tensors: all }) => all.map(({ kind }) => kind));
        const inputs = tensors.flatMap(({ values }, t) => (kinds[t] === 'input' ? Array.from(values) : []));
        expect(positiveZeros(inputs)).toEqual(positiveZeros(x));
        held++;
        if (links.free.length < x.length) free++;
      }
      await task.model.close();
    }),
    { numRuns: 80 },
  );
  expect([held > 200, free > 50]).toEqual([true, true]);
}, 180_000);

/** Whether a verdict agrees with the plain meaning of the query. */
async function check(one: Trial, task: ModelTask, counts: Record<string, number>): Promise<void> {
  const { compute, settled, linksHold, truth } = setUp(one);
  const found = await verify({
    ...task,
    ...{ evaluate: (x) => task.model.run(x), pool, timeoutSeconds: 2, sound: one.seed % 2 === 0 },
  });
  counts[found.verdict] = (counts[found.verdict] ?? 0) + 1;
  if (found.verdict === 'unsat')
    for (const x of one.points.map(settled))
      expect(linksHold(x, compute(x)) && truth(x, compute(x))).toBe(false);
  if (found.counterexample === undefined) return;
  const { input, output } = found.counterexample;
  const tensors = assignmentOf(task.query?.networks ?? [], task.links as Links, input, output);
  const kinds = one.shown.flatMap(({ tensors: all }) => all.map(({ kind }) => kind));
  const valuesOf = (isInput: boolean) =>
    tensors.flatMap(({ values }, k) => ((kinds[k] === 'input') === isInput ? Array.from(values) : []));
  const [x, y] = [valuesOf(true), valuesOf(false)];
  expect(truth(x, y)).toBe(true);
  const plain = compute(x.map(Math.fround));
  expect(y.every((value, j) => Math.abs(value - (plain[j] as number)) <= 1e-4 * (1 + Math.abs(value)))).toBe(
    true,
  );
}

test('no verdict contradicts plain loops: proofs at points, counterexamples at themselves', async () => {
  const counts: Record<string, number> = {};
  await fc.assert(
    fc.asyncProperty(trial, async (one) => {
      const { models, text } = setUp(one);
      const task = await taskOf(models, one.shown, text);
      await check(one, task, counts);
      await task.model.close();
    }),
    { numRuns: 30 },
  );
  expect([(counts.unsat ?? 0) > 2, (counts.sat ?? 0) > 2]).toEqual([true, true]);
}, 180_000);
