/** A differentiable graph of ONNX operators and its derivative: `node examples/own-graph.mjs`. */
import { gradient, input, mul, total } from 'tautnet/graph';
import { createExecutor, programPlan } from 'tautnet/runtime';

const x = input('x', [3]);
const loss = total(mul(x, x));
const [slope] = gradient(loss, [x]);
const executor = createExecutor();
const { outputs } = await executor.run(programPlan({ loss, slope }), { x: Float32Array.of(1, 2, 3) });
await executor.close();
console.log(Number(outputs.loss), Array.from(outputs.slope));
