/** Queries of VNN-LIB 2.0 from the command line: models, words, assignments. */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { encodeOnnx, type OnnxModel, type OnnxTensor } from '../formats/onnx.js';
import { decodeTensor } from '../formats/onnx-tensor.js';
import { recordedIo } from '../testing/io.js';
import { model, op } from '../testing/onnx-models.js';
import { run } from './program.js';
import { makeVerifyCommand } from './verify.js';

const floats = (name: string, shape: readonly number[], values: readonly number[]): OnnxTensor => ({
  name,
  shape,
  data: Float32Array.from(values),
});

/** h = (x₀ + x₁ + s, x₀ − x₁), y = relu(h). */
const small = (s = 0, changes: Partial<OnnxModel> = {}): Uint8Array =>
  encodeOnnx(
    model({
      input: ['batch', 2],
      nodes: [op('Gemm', ['x', 'w', 'b'], 'h'), op('Relu', ['h'], 'y')],
      constants: [floats('w', [2, 2], [1, 1, 1, -1]), floats('b', [2], [s, 0])],
      changes,
    }),
  );

/** sum = a + b, twice = 2 a. */
const two = encodeOnnx(
  model({
    input: [],
    nodes: [op('Add', ['a', 'b'], 'sum'), op('Mul', ['a', 'c'], 'twice')],
    constants: [floats('c', [1], [2])],
    changes: {
      inputs: ['a', 'b'].map((name) => ({ name, type: 'FLOAT', shape: [1, 2] })),
      outputs: ['sum', 'twice'].map((name) => ({ name, type: 'FLOAT', shape: [1, 2] })),
    },
  }),
);

const version = '(vnnlib-version <2.0>)\n';
const network = (name: string, tensors: string, relation = ''): string =>
  `(declare-network ${name} ${relation} ${tensors})\n`;
const io = (x: string, y: string, type = 'float32') =>
  `(declare-input ${x} ${type} [1,2])(declare-output ${y} ${type} [1,2])`;
const within = (name: string, low = -1, high = 1) =>
  [0, 1].map((i) => `(assert (and (<= ${low} ${name}[0,${i}]) (<= ${name}[0,${i}] ${high})))\n`).join('');
const f = version + network('f', io('X', 'Y'));

let folder: string;
const at = (name: string): string => join(folder, name);
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tautnet-query-'));
  await writeFile(at('small.onnx'), small());
  await writeFile(at('shifted.onnx.gz'), gzipSync(small(0.5)));
  await writeFile(at('two.onnx'), two);
  await writeFile(at('image.onnx'), encodeOnnx(model({ input: [1, 2, 3], nodes: [op('Relu', ['x'], 'y')] })));
  await writeFile(
    at('double.onnx'),
    encodeOnnx(model({ input: ['batch', 2], nodes: [op('Relu', ['x'], 'y')], double: true })),
  );
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function verify(...argv: string[]) {
  const { io: terminal, stdout, stderr } = recordedIo();
  const code = await run(['verify', ...argv, '--threads', '1'], [makeVerifyCommand], terminal);
  return { code, stdout: stdout(), stderr: stderr() };
}

let written = 0;
/** Decides a query by the models of its networks. */
async function decide(query: string, models: Readonly<Record<string, string>>, ...flags: string[]) {
  const path = at(`query${written++}.vnnlib`);
  await writeFile(path, query);
  const networks = Object.entries(models).flatMap(([name, file]) => ['--network', `${name}=${at(file)}`]);
  return verify(path, ...networks, '--timeout', '20', ...flags);
}

/** Tensors of an assignment as the standard has it printed, read by what the standard says. */
function assignment(text: string): Record<string, { type: string; shape: string; values: number[] }> {
  const [verdict, ...lines] = text.trimEnd().split('\n');
  expect(verdict).toBe('sat');
  const tensors: ReturnType<typeof assignment> = {};
  let last = '';
  for (const line of lines) {
    const [, name, type = '', shape = ''] = /^([A-Za-z]\w*) (\w+) (\[[\d,]*\])$/.exec(line) ?? [];
    if (name !== undefined) {
      last = name;
      tensors[name] = { type, shape, values: [] };
    } else {
      expect(line).toMatch(/^-?\d+(\.\d+)?$/);
      tensors[last]?.values.push(Number(line));
    }
  }
  return tensors;
}

describe('the standard’s command line', () => {
  test('sat is followed by the tensors in the order of the query, and the same is in the result file', async () => {
    const query = `${f}${within('X')}(assert (>= Y[0,0] 1.5))`;
    const { code, stdout } = await decide(query, { f: 'small.onnx' }, '--out', at('result.txt'));
    expect(code).toBe(1);
    expect(await readFile(at('result.txt'), 'utf8')).toBe(stdout);
    const { X, Y, ...others } = assignment(stdout);
    expect(others).toEqual({});
    expect([X?.type, X?.shape, Y?.type, Y?.shape]).toEqual(['float32', '[1,2]', 'float32', '[1,2]']);
    const [a = Number.NaN, b = Number.NaN] = X?.values ?? [];
    expect(Y?.values[0]).toBeCloseTo(Math.max(0, a + b), 5);
    expect(Y?.values[0]).toBeGreaterThanOrEqual(1.5);
  });

  test('unsat, and what it does not say of float32, goes to stderr', async () => {
    const query = `${f}${within('X')}(assert (>= Y[0,0] 2.5))`;
    const { code, stdout, stderr } = await decide(query, { f: 'small.onnx' });
    expect([code, stdout]).toEqual([0, 'unsat\n']);
    expect(stderr).toContain('what the networks round in float32 is not in the proof');
    const real = await decide(query.replaceAll('float32', 'real'), { f: 'small.onnx' });
    expect([real.code, real.stderr]).toEqual([0, expect.not.stringContaining('float32')]);
  });

  test('the word for a timeout is timed-out', async () => {
    const query = `${f}${within('X')}(assert (>= (+ Y[0,0] Y[0,1]) 2.000001))`;
    const late = await decide(query, { f: 'small.onnx' }, '--timeout', '0.001', '--out', at('late.txt'));
    expect([late.code, late.stdout, await readFile(at('late.txt'), 'utf8')]).toEqual([
      3,
      'timed-out\n',
      'timed-out\n',
    ]);
    // In the order of the competition's tools its word stays.
    const path = at(`query${written - 1}.vnnlib`);
    expect((await verify(at('small.onnx'), path, '--timeout', '0.001')).stdout).toBe('timeout\n');
  });

  test('--serialise-assignments leaves each tensor as a TensorProto and prints the verdict alone', async () => {
    const query = `${f}${within('X')}(assert (>= Y[0,0] 1.5))`;
    const flags = ['--serialise-assignments', at('tensors')];
    expect(await decide(query, { f: 'small.onnx' }, ...flags)).toMatchObject({ code: 1, stdout: 'sat\n' });
    expect((await readdir(at('tensors'))).sort()).toEqual(['X.pb', 'Y.pb']);
    const [x, y] = await Promise.all(
      ['X', 'Y'].map(async (name) => decodeTensor(await readFile(at(`tensors/${name}.pb`)), name)),
    );
    expect([x?.name, x?.shape, x?.data instanceof Float32Array]).toEqual(['X', [1, 2], true]);
    expect(Number(y?.data[0])).toBe(Math.max(0, Math.fround(Number(x?.data[0]) + Number(x?.data[1]))));
  });

  test('JSON has the tensors by name', async () => {
    const query = `${f}${within('X')}(assert (>= Y[0,0] 1.5))`;
    const { stdout } = await decide(query, { f: 'small.onnx' }, '--json');
    expect(JSON.parse(stdout)).toMatchObject({
      verdict: 'sat',
      counterexample: {
        tensors: [
          { name: 'X', type: 'float32', shape: [1, 2], values: [expect.any(Number), expect.any(Number)] },
          { name: 'Y' },
        ],
      },
    });
  });
});

describe('what a query may be of', () => {
  test('a network with several inputs and outputs, in the order of the file or by name', async () => {
    const tensors = (a: string, b: string, sum: string, twice: string) =>
      `(declare-input A real [1,2]${a})(declare-input B real [1,2]${b})` +
      `(declare-output S real [1,2]${sum})(declare-output T real [1,2]${twice})`;
    const asserts = `${within('A')}${within('B', 2, 3)}`;
    const ordered = version + network('n', tensors('', '', '', '')) + asserts;
    expect((await decide(`${ordered}(assert (>= S[0,0] 4.1))`, { n: 'two.onnx' })).stdout).toBe('unsat\n');
    const { A, B, S, T } = assignment(
      (await decide(`${ordered}(assert (>= S[0,0] 3.9))(assert (<= T[0,1] -1.9))`, { n: 'two.onnx' })).stdout,
    );
    expect(S?.values).toEqual(
      [0, 1].map((i) => Math.fround((A?.values[i] as number) + (B?.values[i] as number))),
    );
    expect(T?.values[1]).toBeCloseTo(2 * (A?.values[1] as number), 6);
    // A is the file's second input, S its second output.
    const named = version + network('n', tensors(' "b"', ' "a"', ' "twice"', ' "sum"')) + asserts;
    expect((await decide(`${named}(assert (<= S[0,0] 3.9))`, { n: 'two.onnx' })).stdout).toBe('unsat\n');
    expect((await decide(`${named}(assert (>= S[0,0] 4.1))`, { n: 'two.onnx' })).stdout).toMatch(/^sat\n/);
  });

  test('values inside a network, by their name or their node’s', async () => {
    const hidden = (name: string) =>
      version +
      network(
        'f',
        `(declare-input X real [1,2])(declare-hidden H real [1,2] "${name}")(declare-output Y real [1,2])`,
      ) +
      within('X');
    expect((await decide(`${hidden('h')}(assert (< H[0,0] -2.1))`, { f: 'small.onnx' })).stdout).toBe(
      'unsat\n',
    );
    const query = `${hidden('the h')}(assert (< H[0,0] -1.9))(assert (<= Y[0,0] 0))`;
    const { X, H, Y } = assignment((await decide(query, { f: 'small.onnx' })).stdout);
    expect(H?.values[0]).toBeCloseTo((X?.values[0] as number) + (X?.values[1] as number), 5);
    expect(Y?.values).toEqual(H?.values.map((h) => Math.max(0, h)));
  });

  const pair = (relation: string) =>
    version + network('f', io('X', 'Y', 'real')) + network('g', io('U', 'V', 'real'), relation) + within('X');
  const equalInputs = '(assert (== X[0,0] U[0,0]))(assert (== U[0,1] X[0,1]))';

  test('an equal network needs no model, and the same inputs give it the same outputs', async () => {
    const query = `${pair('(equal-to f)')}${equalInputs}`;
    expect((await decide(`${query}(assert (!= Y[0,0] V[0,0]))`, { f: 'small.onnx' })).stdout).not.toMatch(
      /^sat/,
    );
    const differ = `${query}(assert (> (- Y[0,0] V[0,0]) 0.001))`;
    expect((await decide(differ, { f: 'small.onnx' })).stdout).toBe('unsat\n');
  });

  test('an equal network may show other values of its inside', async () => {
    const query =
      version +
      network('f', io('X', 'Y', 'real')) +
      network(
        'g',
        '(declare-input U real [1,2])(declare-hidden H real [1,2] "h")(declare-output V real [1,2])',
        '(equal-to f)',
      ) +
      within('X') +
      equalInputs;
    const models = { f: 'small.onnx' };
    expect((await decide(`${query}(assert (> (- H[0,0] Y[0,0]) 0.01))`, models)).stdout).toBe('unsat\n');
    const { X, H, V } = assignment(
      (await decide(`${query}(assert (< (- H[0,0] Y[0,0]) -1.5))`, models)).stdout,
    );
    const sum = (X?.values[0] as number) + (X?.values[1] as number);
    expect([H?.values[0], V?.values[0]]).toEqual([expect.closeTo(sum, 5), 0]);
  });

  test('isomorphic networks with equal inputs', async () => {
    const query = `${pair('(isomorphic-to f)')}${equalInputs}`;
    const models = { f: 'small.onnx', g: 'shifted.onnx.gz' };
    expect((await decide(`${query}(assert (> V[0,0] (+ Y[0,0] 0.6)))`, models)).stdout).toBe('unsat\n');
    const { X, U, Y, V } = assignment(
      (await decide(`${query}(assert (> V[0,0] (+ Y[0,0] 0.4)))`, models)).stdout,
    );
    expect(U?.values).toEqual(X?.values);
    expect((V?.values[0] as number) - (Y?.values[0] as number)).toBeGreaterThan(0.4);
  });

  test('inputs in an order, whose bounds follow from it', async () => {
    const query =
      `${pair('(equal-to f)')}(assert (== X[0,1] U[0,1]))` +
      '(assert (<= U[0,0] X[0,0]))(assert (>= (- U[0,0] X[0,0]) -0.5))';
    expect((await decide(`${query}(assert (> (- V[0,0] Y[0,0]) 0.001))`, { f: 'small.onnx' })).stdout).toBe(
      'unsat\n',
    );
    const { X, U, Y, V } = assignment(
      (await decide(`${query}(assert (< (- V[0,0] Y[0,0]) -0.3))`, { f: 'small.onnx' })).stdout,
    );
    expect(U?.values[0]).toBeLessThanOrEqual(X?.values[0] as number);
    expect((V?.values[0] as number) - (Y?.values[0] as number)).toBeLessThan(-0.3);
  });

  test('assertions that exclude each other are unsat, those of inputs alone are decided', async () => {
    const models = { f: 'small.onnx' };
    const exclusive = `${f}${within('X')}(assert (>= X[0,0] 2))(assert (>= Y[0,0] 0))`;
    expect((await decide(exclusive, models)).stdout).toBe('unsat\n');
    const strict = `${f}${within('X')}(assert (and (< X[0,0] 0.5) (>= X[0,0] 0.5)))(assert (>= Y[0,0] 0))`;
    expect((await decide(strict, models)).stdout).not.toMatch(/^sat/);
    const { X } = assignment(
      (await decide(`${f}${within('X')}(assert (>= (- X[0,0] X[0,1]) 1.5))`, models)).stdout,
    );
    expect((X?.values[0] as number) - (X?.values[1] as number)).toBeGreaterThanOrEqual(1.5);
  });

  test('models of float64, in their own type', async () => {
    const query = `${f.replaceAll('float32', 'float64')}${within('X')}`;
    const models = { f: 'double.onnx' };
    expect((await decide(`${query}(assert (> Y[0,0] 1))`, models)).stdout).not.toMatch(/^sat/);
    expect((await decide(`${query}(assert (> Y[0,0] 1.0001))`, models)).stdout).toBe('unsat\n');
    const { Y } = assignment((await decide(`${query}(assert (> Y[0,0] 0.9))`, models)).stdout);
    expect([Y?.type, (Y?.values[0] as number) > 0.9]).toEqual(['float64', true]);
  });

  test('a network whose inputs are the outputs of another', async () => {
    const query = `${pair('')}(assert (== Y[0,0] U[0,0]))(assert (== Y[0,1] U[0,1]))`;
    const models = { f: 'small.onnx', g: 'shifted.onnx.gz' };
    // v₀ = relu(y₀ + y₁ + 0.5), y₀ + y₁ ≤ 2.
    expect((await decide(`${query}(assert (> V[0,0] 2.6))`, models)).stdout).toBe('unsat\n');
    const { Y, U, V } = assignment((await decide(`${query}(assert (> V[0,0] 2.4))`, models)).stdout);
    expect(U?.values).toEqual(Y?.values);
    expect(V?.values[0]).toBeGreaterThan(2.4);
  });
});

describe('what is refused, in one line', () => {
  const yes = `${within('X')}(assert (>= Y[0,0] 1))`;
  const both = version + network('f', io('X', 'Y')) + network('g', io('U', 'V'), '(equal-to f)') + yes;
  test.each([
    // Models that are missing, unnecessary, or of no network.
    [f + yes, { g: 'small.onnx' }, 'expected a model of f, the network of'],
    [f + yes, { f: 'small.onnx', g: 'small.onnx' }, 'got one of g'],
    [both, { f: 'small.onnx', g: 'small.onnx' }, 'got one of g, which equals f; leave it out'],
    [
      version + network('f', io('X', 'Y')) + network('g', io('U', 'V'), '(isomorphic-to f)') + yes,
      { f: 'small.onnx' },
      'expected a model of g, a network of',
    ],
    // Types other than the file's, unless they are real.
    [f + yes, { f: 'double.onnx' }, 'expected X to be float32 as the query declares, got DOUBLE of "x"'],
    [
      f.replaceAll('float32', 'float64') + yes,
      { f: 'small.onnx' },
      'expected X to be float64 as the query declares, got FLOAT of "x"; declare its own type, or real',
    ],
    [
      version + network('f', io('X', 'Y', 'real')) + network('g', io('U', 'V', 'real')) + yes + within('U'),
      { f: 'small.onnx', g: 'double.onnx' },
      'expected models of one element type, got FLOAT and DOUBLE',
    ],
    // Extents, numbers of tensors and names that the file does not have.
    [
      `${version + network('f', '(declare-input X real [3])(declare-output Y real [2])')}${[0, 1, 2]
        .map((i) => `(assert (and (<= 0 X[${i}]) (<= X[${i}] 1)))`)
        .join('')}(assert (>= Y[0] 1))`,
      { f: 'small.onnx' },
      'expected X to be [3] as the query declares, got [batch,2] of "x"',
    ],
    // As many elements in another order.
    [
      `${version + network('f', '(declare-input X real [1,3,2])(declare-output Y real [6])')}${[
        0, 1, 2, 3, 4, 5,
      ]
        .map((i) => `X[0,${i >> 1},${i & 1}]`)
        .map((x) => `(assert (and (<= 0 ${x}) (<= ${x} 1)))`)
        .join('')}(assert (>= Y[0] 1))`,
      { f: 'image.onnx' },
      'expected X to be [1,3,2] as the query declares, got [1,2,3] of "x"',
    ],
    [f + yes, { f: 'two.onnx' }, 'expected'],
    [
      version + network('f', '(declare-input X real [1,2] "z")(declare-output Y real [1,2])') + yes,
      { f: 'small.onnx' },
      'expected an input "z" for X, got "x"',
    ],
    [
      version +
        network(
          'f',
          '(declare-input X real [1,2])(declare-hidden H real [1,2] "k")(declare-output Y real [1,2])',
        ) +
        yes,
      { f: 'small.onnx' },
      'expected one value "k" inside the graph for H, got none',
    ],
    [
      version +
        network(
          'f',
          '(declare-input X real [1,2])(declare-hidden H real [1,3] "h")(declare-output Y real [1,2])',
        ) +
        yes,
      { f: 'small.onnx' },
      'a reshape of 2 values, got [1,3]',
    ],
    // Inputs without bounds.
    [both, { f: 'small.onnx' }, 'expected finite bounds of every input, got no lower bound of U[0,0]'],
  ])('%#', async (query, models, message) => {
    const { code, stdout, stderr } = await decide(query, models as Record<string, string>);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr.trimEnd().split('\n')).toEqual([expect.stringContaining(message)]);
  });

  test('a query of several networks names those whose models are missing', async () => {
    await writeFile(at('both.vnnlib'), both);
    const { code, stderr } = await verify(at('small.onnx'), at('both.vnnlib'));
    // One model is that of the one network that needs one.
    expect([code, stderr]).toEqual([2, expect.stringContaining('no lower bound of U[0,0]')]);
  });

  test('an instance that cannot be read leaves unknown in the results and in JSON', async () => {
    await writeFile(
      at('unknown.onnx'),
      encodeOnnx(model({ input: ['batch', 2], nodes: [op('Nonsense', ['x'], 'y')] })),
    );
    const flags = ['--json', '--out', at('refused.txt')];
    const { code, stdout } = await decide(f + yes, { f: 'unknown.onnx' }, ...flags);
    expect(code).toBe(2);
    expect(JSON.parse(stdout)).toMatchObject({
      verdict: 'unknown',
      reason: expect.stringContaining('Nonsense'),
    });
    expect(await readFile(at('refused.txt'), 'utf8')).toBe('unknown\n');
  });
});
