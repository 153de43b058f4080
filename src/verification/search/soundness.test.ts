import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { encodeOnnx, type OnnxModel, type OnnxTensor } from '../../formats/onnx.js';
import { parseVnnlib } from '../../formats/vnnlib.js';
import { featuresOf } from '../../network/layers/layer.js';
import { importOnnx } from '../../network/onnx/import.js';
import { openModel } from '../../runtime/execution/model.js';
import { model, op } from '../../testing/onnx-models.js';
import { propertyFor } from '../property/from-vnnlib.js';
import { verify } from './verify.js';

const floats = (name: string, shape: readonly number[], values: readonly number[]): OnnxTensor => ({
  name,
  shape,
  data: Float32Array.from(values),
});
const doubles = (name: string, shape: readonly number[], values: readonly number[]): OnnxTensor => ({
  name,
  shape,
  data: Float64Array.from(values),
});

/** 0 ≤ X_0 ≤ 1 and an assertion about Y_0. */
const unit = (assertion: string): string =>
  '(declare-const X_0 Real)(declare-const Y_0 Real)(assert (>= X_0 0))(assert (<= X_0 1))' +
  `(assert ${assertion})`;

/** As the command does it: the file itself judges counterexamples, float64 files are proved in float64. */
async function verdictOf(bytes: Uint8Array, property: string, sound: boolean, timeoutSeconds = 2) {
  const { network, parameters, exact, double } = importOnnx(bytes);
  const sizes = { inputs: featuresOf(network.input), outputs: network.classes };
  const file = await openModel(bytes, sizes, 'model');
  try {
    const { verdict } = await verify({
      network,
      parameters,
      exact,
      sound,
      double,
      property: propertyFor(parseVnnlib(property), sizes),
      evaluate: (x) => file.run(x),
      threads: 1,
      timeoutSeconds,
    });
    return verdict;
  } finally {
    await file.close();
  }
}

const clipped: OnnxModel = model({
  input: ['batch', 1],
  nodes: [op('Gemm', ['x', 'w', 'b'], 'h'), op('Clip', ['h', 'low', 'high'], 'y')],
  constants: [
    floats('w', [1, 1], [1]),
    floats('b', [1], [0.3]),
    floats('low', [], [-1e6]),
    floats('high', [], [1e6]),
  ],
});
const floored: OnnxModel = model({
  input: ['batch', 1],
  nodes: [op('Gemm', ['x', 'w', 'b'], 'h'), op('Max', ['h', 'low'], 'y')],
  constants: [floats('w', [1, 1], [1]), floats('b', [1], [0.3]), floats('low', [1], [-1e6])],
});
/** y = 10⁹ ((1 + 10⁻⁹) x − x) in float64. */
const double: OnnxModel = model({
  double: true,
  input: ['batch', 1],
  nodes: [op('Gemm', ['x', 'w'], 'h'), op('MatMul', ['h', 'v'], 'y')],
  constants: [doubles('w', [1, 2], [1 + 1e-9, 1]), doubles('v', [2, 1], [1e9, -1e9])],
});
const links = Array.from({ length: 18 }, (_, k) => k);
/** y = x: nine weights 10⁻³⁸, then nine 10³⁸, with ReLUs between them. */
const vanishing: OnnxModel = model({
  input: ['batch', 1],
  nodes: links.flatMap((k) => [
    op('MatMul', [k === 0 ? 'x' : `r${k - 1}`, `w${k}`], k === 17 ? 'y' : `h${k}`),
    ...(k === 17 ? [] : [op('Relu', [`h${k}`], `r${k}`)]),
  ]),
  constants: links.map((k) => floats(`w${k}`, [1, 1], [k < 9 ? 1e-38 : 1e38])),
});
/** y = x − 1 behind a normalisation whose offset is 2·10⁴ deviations: (x/σ − μ/σ), cancelled by a Gemm. */
const tabular: OnnxModel = model({
  input: ['batch', 1],
  nodes: [
    op('Sub', ['x', 'mean'], 'c'),
    op('Div', ['c', 'std'], 'n'),
    op('Relu', ['n'], 'r'),
    op('Gemm', ['r', 'w', 'b'], 'y'),
  ],
  constants: [
    floats('mean', [1], [20000]),
    floats('std', [1], [0.7]),
    floats('w', [1, 1], [1]),
    floats('b', [1], [0]),
  ],
});
const identity: OnnxModel = model({
  input: ['batch', 1],
  nodes: [op('Gemm', ['x', 'w'], 'y')],
  constants: [floats('w', [1, 1], [1])],
});

const MODES = [false, true];
/** Seconds for what is decided in one where the machine is idle. */
const PATIENT = 60;
describe.each(MODES)('with sound %s', (sound) => {
  test.each([
    ['far ends of Clip', clipped, unit('(<= Y_0 0.305)')],
    ['a far end of Max', floored, unit('(<= Y_0 0.305)')],
    ['float64 weights', double, unit('(>= Y_0 0.5)')],
    ['weights whose products underflow', vanishing, unit('(>= Y_0 0.5)')],
    ['constants that cancel', identity, unit('(<= (+ Y_0 1e17) (+ 1e17 0.9))')],
  ])('%s: what is reached is not proved', async (_, made, property) => {
    expect(await verdictOf(encodeOnnx(made), property, sound)).not.toBe('unsat');
  });

  test('a normalisation by 20,000 deviations: what is reached by less than its rounding is not proved', async () => {
    // max y = 1/0.7 rounded: reached; thresholds within float32's rounding of 20000/0.7 are not decided by it.
    const box =
      '(declare-const X_0 Real)(declare-const Y_0 Real)(assert (>= X_0 20000))(assert (<= X_0 20001))';
    const top = 1 / Math.fround(0.7);
    expect(await verdictOf(encodeOnnx(tabular), `${box}(assert (>= Y_0 ${top - 1e-9}))`, sound)).not.toBe(
      'unsat',
    );
    if (!sound)
      expect(await verdictOf(encodeOnnx(tabular), `${box}(assert (>= Y_0 ${top + 1e-4}))`, sound)).not.toBe(
        'unsat',
      );
    const above = `${box}(assert (>= Y_0 ${top + 0.1}))`;
    expect(await verdictOf(encodeOnnx(tabular), above, sound, PATIENT)).toBe('unsat');
  });

  test('equality fulfils no strict inequality, of outputs or inputs', async () => {
    const bytes = encodeOnnx(identity);
    expect(await verdictOf(bytes, unit('(< Y_0 0.0)'), sound)).not.toBe('sat');
    expect(await verdictOf(bytes, unit('(and (> X_0 0.5) (<= Y_0 0.5))'), sound)).not.toBe('sat');
    expect(await verdictOf(bytes, unit('(< Y_0 0.5)'), sound, PATIENT)).toBe('sat');
    expect(await verdictOf(bytes, unit('(< Y_0 -0.5)'), sound, PATIENT)).toBe('unsat');
  });

  test('a strict inequality at the least output of a ReLU is proved, the closed one is reached', async () => {
    const bytes = encodeOnnx(model({ input: ['batch', 1], nodes: [op('Relu', ['x'], 'y')] }));
    expect(await verdictOf(bytes, unit('(< Y_0 0.0)'), sound, PATIENT)).toBe('unsat');
    expect(await verdictOf(bytes, unit('(<= Y_0 0.0)'), sound, PATIENT)).toBe('sat');
  });
});

const shared = fileURLToPath(new URL('../../../../shared/soundness/', import.meta.url));
describe.skipIf(!existsSync(shared))('on the files of found cases', () => {
  const file = (name: string) => readFileSync(new URL(name, `file://${shared}`));
  const boxOf = (name: string): string => {
    const { lo, hi, bound } = JSON.parse(file(name).toString()) as Record<'lo' | 'hi', number[]> & {
      bound: number;
    };
    const ends = lo.map((low, i) => `(assert (>= X_${i} ${low}))(assert (<= X_${i} ${hi[i]}))`).join('');
    const declared = lo.map((_, i) => `(declare-const X_${i} Real)`).join('');
    return `${declared}(declare-const Y_0 Real)${ends}(assert (<= Y_0 ${bound}))`;
  };
  const text = (name: string) => file(name).toString();
  test.each([
    ['clip1e6.onnx', () => text('clip1e6.vnnlib'), 'unsat'],
    ['maxfar.onnx', () => text('clip1e6.vnnlib'), 'unsat'],
    ['double.onnx', () => text('double.vnnlib'), 'unsat'],
    ['tab.onnx', () => text('tab.vnnlib'), 'unsat'],
    ['underflow.onnx', () => text('underflow.vnnlib'), 'unsat'],
    ['id.onnx', () => text('cancel.vnnlib'), 'unsat'],
    ['tab_sub-div_1000_3_d.onnx', () => boxOf('tab_sub-div_1000_3_d.json'), 'unsat'],
    ['tabs_bn_10000_1_s.onnx', () => boxOf('tabs_bn_10000_1_s.json'), 'unsat'],
    ['relu.onnx', () => text('strict.vnnlib'), 'sat'],
  ])('%s: neither mode says %3$s', async (network, property, wrong) => {
    for (const sound of MODES) expect(await verdictOf(file(network), property(), sound, 1.5)).not.toBe(wrong);
  });

  // Real numbers reach the bound, the file in ONNX Runtime at no float32 of the box: `sat` is what the file
  // does, `unsat` what real numbers do not, and so neither is true.
  test.each([
    ['underflow.onnx', () => text('underflow.vnnlib')],
    ['tab_sub-div_1000_3_d.onnx', () => boxOf('tab_sub-div_1000_3_d.json')],
    ['tabs_bn_10000_1_s.onnx', () => boxOf('tabs_bn_10000_1_s.json')],
  ])(
    '%s: what real numbers reach and the file does not is neither proved nor refuted',
    async (network, of) => {
      for (const sound of MODES)
        expect(['timeout', 'unknown']).toContain(await verdictOf(file(network), of(), sound, 3));
    },
  );

  test.each([
    ['tab.onnx', 'tab.vnnlib', 'sat'],
    ['relu.onnx', 'strict.vnnlib', 'unsat'],
  ])('%s, %s: both modes say %s', async (network, property, right) => {
    for (const sound of MODES)
      expect(await verdictOf(file(network), text(property), sound, PATIENT)).toBe(right);
  });
});
