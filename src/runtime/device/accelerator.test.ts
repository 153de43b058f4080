import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { encodeOnnx } from '../../formats/onnx.js';
import {
  addAll,
  broadcastTo,
  encodeProgram,
  exp,
  gemm,
  input,
  mul,
  sum,
  tanh,
  total,
} from '../../graph/index.js';
import { deviceForTests } from '../../testing/devices.js';
import { normalNumbers } from '../../testing/numbers.js';
import { distance } from '../../testing/operator-check.js';
import { isSoftware } from '../../testing/software-device.js';
import { compiledUrl } from '../compiled-file.js';
import { openSession } from '../execution/session.js';
import { createPlan } from '../plan/compile.js';
import { createPool } from '../pool/pool.js';
import { keyOf } from '../random/keys.js';
import { differenceFromCpu, TOLERANCE } from '../survey/self-test.js';
import type { Device } from './device.js';

const present = await deviceForTests();
const device = present as Device;

describe.skipIf(present === undefined)(`programs on ${present}`, () => {
  it('pass the self-test', async () => {
    expect(await differenceFromCpu(device)).toBeLessThan(TOLERANCE);
  });

  it('in float64 run on the CPU, to the same bits', async () => {
    const x = input('x', [4], 'float64');
    const program = encodeProgram({ y: addAll([exp(x), mul(x, 1 / 3), tanh(x)]) });
    const feeds = { x: normalNumbers('x', 4) };
    const [here, there] = [await openSession(program), await openSession(program, { device })];
    expect((await there.run(feeds)).y).toEqual((await here.run(feeds)).y);
    expect((await there.run(feeds)).y).toBeInstanceOf(Float64Array);
    await Promise.all([here.close(), there.close()]);
  });

  it('are refused if an operator would fall back to the CPU', async () => {
    // WebGPU's provider has no kernel for random numbers, CUDA's has one.
    const shape = { type: 'FLOAT', shape: [2] };
    const bytes = encodeOnnx({
      irVersion: 8,
      opset: 18,
      producer: '',
      description: '',
      metadata: {},
      name: 'graph',
      inputs: [{ name: 'x', ...shape }],
      outputs: [{ name: 'y', ...shape }],
      nodes: [
        {
          opType: device === 'webgpu' ? 'RandomNormalLike' : 'Hardmax',
          inputs: ['x'],
          outputs: ['y'],
          attributes: {},
        },
      ],
      initializers: [],
    });
    const value = { shape: [2], dtype: 'float32' as const };
    const footprint = { peak: 16, largest: 8 };
    await expect(
      openSession(
        { bytes, inputs: [{ name: 'x', ...value }], outputs: [{ name: 'y', ...value }], footprint },
        { device },
      ),
    ).rejects.toThrow(
      new RegExp(`^${device}: an operator of the program would fall back to the CPU .*; use the device cpu`),
    );
  });

  it.runIf(isSoftware())('that need more memory than there can be say so', async () => {
    // Two gigabytes in one buffer are more than a software device gives, not more than every other.
    const [rows, columns] = [2 ** 17, 2 ** 12];
    const row = input('x', [1, columns]);
    const session = await openSession(
      encodeProgram({ y: sum(exp(broadcastTo(row, [rows, columns])), [1]) }),
      { device },
    );
    await expect(session.run({ x: new Float32Array(columns) })).rejects.toThrow(
      /^webgpu: the memory of the device does not suffice .*; take a smaller micro-batch/,
    );
    await session.close();
  });

  it.runIf(isSoftware())('write nothing beside what they throw', () => {
    const module = (path: string) => JSON.stringify(compiledUrl(path).href);
    const script = `
      const { encodeProgram, input, mul, total } = await import(${module('graph/index.js')});
      const { openSession } = await import(${module('runtime/execution/session.js')});
      const session = await openSession(
        encodeProgram({ y: total(mul(input('a', [${2 ** 17}, 1]), input('b', [1, ${2 ** 12}]))) }),
        { device: '${device}' },
      );
      await session.run({
        a: new Float32Array(${2 ** 17}),
        b: new Float32Array(${2 ** 12}),
      }).catch(({ trouble }) => console.log(trouble));
      await session.close();`;
    const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
      encoding: 'utf8',
    });
    expect({ stdout, stderr }).toEqual({ stdout: 'memory\n', stderr: '' });
  });

  it('are run by the one worker of a pool that owns the device: values, gradients and perturbations as on the CPU', async () => {
    const [a, x] = [input('a', [3, 4]), input('x', [4, 2])];
    const loss = total(tanh(gemm(a, x)));
    const plan = createPlan([{ kind: 'whole', outputs: { loss } }], ['a']);
    const task = {
      plan,
      feeds: { x: Float32Array.from(normalNumbers('x', 8)) },
      theta: Float32Array.from(normalNumbers('θ', 12)),
      layout: [{ name: 'a', offset: 0, size: 12 }],
      perturbation: { key: keyOf(1), sigma: 0.1 },
    };
    const [cpu, pool] = [createPool(1), createPool(2, device)];
    expect([cpu.device, pool.device]).toEqual(['cpu', device]);
    const [expected, got] = [await cpu.run(task), await pool.run(task)];
    expect(distance(got.outputs.loss as Float32Array, expected.outputs.loss as Float32Array)).toBeLessThan(
      1e-5,
    );
    expect(distance(got.gradient as Float32Array, expected.gradient as Float32Array)).toBeLessThan(1e-5);
    const drawn = { keys: [keyOf(5)], first: Float64Array.of(1) };
    expect(await pool.normals(drawn, 7)).toEqual(await cpu.normals(drawn, 7));
    await Promise.all([cpu.close(), pool.close()]);
  });
});
