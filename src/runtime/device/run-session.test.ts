import ort from 'onnxruntime-node';
import { expect, test } from 'vitest';
import { encodeProgram } from '../../graph/encode.js';
import { add, input, mul } from '../../graph/index.js';
import * as browser from './run-session.browser.js';
import * as node from './run-session.js';

test.each([
  ['given to the runtime', node],
  ['copied to afterwards', browser],
])('arrays of outputs are %s, an input among them', async (_, { runSession }) => {
  const x = input('x', [3]);
  const { bytes } = encodeProgram({ sum: add(x, 1), product: mul(x, 2) });
  const session = await ort.InferenceSession.create(bytes.slice());
  const tensor = (data: Float32Array) => new ort.Tensor('float32', data, [3]);
  const [data, product] = [Float32Array.of(1, 2, 3), new Float32Array(3)];
  await runSession(session, { x: tensor(data) }, { sum: tensor(data), product: tensor(product) });
  expect([[...data], [...product]]).toEqual([
    [2, 3, 4],
    [2, 4, 6],
  ]);
  await session.release();
});
