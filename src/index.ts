/** tautnet as a library: everything the command line does, and the parts it is made of. */
export * from './attack/attack-program.js';
export * from './attack/multi-target.js';
export * from './attack/pgd.js';
export * from './data/index.js';
export type { PooledBatch } from './evaluation/batch-feeds.js';
export * from './evaluation/on-batch.js';
export * from './formats/safetensors.js';
export * from './graph/index.js';
export {
  type ActivationFunction,
  type ActivationName,
  activationFunctions,
} from './network/activations/index.js';
export * from './network/architectures.js';
export * from './network/folding.js';
export * from './network/initialization.js';
export * from './network/layers/convolution.js';
export * from './network/layers/grouped-convolution.js';
export * from './network/layers/layer.js';
// The data room has a function of the same name; both count the values of one image.
export { featuresOf } from './network/layers/layer.js';
export * from './network/layers/linear.js';
export * from './network/layers/normalize.js';
export * from './network/layers/pooling.js';
export * from './network/layers/selection.js';
export * from './network/layers/transposed-convolution.js';
export * from './network/network.js';
export * from './network/onnx/export.js';
export * from './network/onnx/import.js';
export * from './network/parameters.js';
export { ccIbp } from './objective/cc-ibp.js';
export { type CertifiedOptions, certified } from './objective/certified.js';
export { expIbp } from './objective/exp-ibp.js';
export type { ExpressiveOptions } from './objective/expressive.js';
export * from './objective/input-box.js';
export * from './objective/losses.js';
export { mtlIbp } from './objective/mtl-ibp.js';
export * from './objective/objective.js';
export { pgdTraining } from './objective/pgd-training.js';
export * from './objective/robust-loss.js';
export { type SabrOptions, sabr } from './objective/sabr.js';
export { type StapsOptions, staps } from './objective/staps.js';
export { type TapsOptions, taps } from './objective/taps.js';
export * from './relaxation/index.js';
export * from './runtime/device/device.js';
export * from './runtime/execution/executor.js';
export * from './runtime/plan/compile.js';
export * from './runtime/plan/plan.js';
export * from './runtime/pool/pool.js';
export type { KeptVector } from './runtime/pool/task.js';
export * from './runtime/random/keys.js';
export * from './runtime/survey/devices.js';
export * from './smoothing/index.js';
export * from './training/deployed-network.js';
export * from './training/loop.js';
export { devicePlacement } from './training/placement/device.js';
export { hostPlacement } from './training/placement/host.js';
export * from './training/placement/placement.js';
export * from './training/rules/adam.js';
export * from './training/rules/clipup.js';
export * from './training/rules/sgd.js';
export * from './training/rules/update-rule.js';
export * as schedules from './training/schedules.js';
export * from './training/weight-average.js';
export * from './verification/index.js';
