/**
 * One workload in a thread of its own, as training runs them: on the main thread, arrays that ONNX Runtime
 * copies out make V8 collect garbage for up to half of the time. Gives its milliseconds and those of u.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { medianTime } from './measure.mjs';
import { unit, workloads } from './workloads.mjs';

const { name, device, runs } = workerData;
const prepared = await workloads[name].prepare(device);
if (prepared === undefined) parentPort.postMessage(null);
else {
  // The unit is measured around every workload, because the machine's speed drifts.
  const reference = unit();
  const before = await medianTime(reference.run, runs);
  const time = await medianTime(prepared.run, runs);
  const after = await medianTime(reference.run, runs);
  await prepared.close();
  await reference.close();
  parentPort.postMessage({ time, units: [before, after] });
}
