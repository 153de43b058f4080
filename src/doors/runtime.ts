/** `tautnet/runtime`: plans, executors, pools, devices and counter-based random numbers. */

export type { Lifting } from '../graph/lift.js';
export type { Tensor } from '../graph/tensor.js';
export type { Device, DeviceChoice, DeviceTrouble } from '../runtime/device/device.js';
export { DEVICE_CHOICES, DEVICES, DeviceError } from '../runtime/device/device.js';
export type { Executor, PlanResult } from '../runtime/execution/executor.js';
export { createExecutor } from '../runtime/execution/executor.js';
export type { Model, ModelSizes } from '../runtime/execution/model.js';
export { openModel } from '../runtime/execution/model.js';
export type { SessionOptions } from '../runtime/execution/session.js';
export { createPlan, programPlan } from '../runtime/plan/compile.js';
export type {
  HostStage,
  IterateStage,
  Plan,
  RowsStage,
  Stage,
  Step,
  WholeStage,
} from '../runtime/plan/plan.js';

export type { Pool } from '../runtime/pool/pool.js';
export { createPool } from '../runtime/pool/pool.js';
export type { PairsTask, RunResult, RunTask } from '../runtime/pool/task.js';
export {
  accumulateNormals,
  deriveKey,
  fillNormals,
  keyOf,
  permutation,
  perturb,
  perturbPair,
  randomIntegers,
  uniforms,
} from '../runtime/random/keys.js';
export type { Key } from '../runtime/random/threefry.js';
export type { DeviceReport } from '../runtime/survey/devices.js';
export { chooseDevice, surveyDevices } from '../runtime/survey/devices.js';
