/**
 * tautnet: certified training of neural networks, and proofs of their robustness.
 *
 * Whole tasks: `train`, `resume`, `openRun`, `certify`, `verify`, `bounds`, `estimate`. Below them the parts
 * of a training loop: networks, data, relaxations, methods, estimators, update rules and schedules. Further
 * doors: `tautnet/verify`, `tautnet/graph`, `tautnet/runtime`, `tautnet/formats`.
 */
export type {
  Assignment,
  Choice,
  Condition,
  Parameter,
  ParameterValue,
  Range,
} from './cluster/search/parameter.js';
export type { FinishedTrial, Halving, Search, SearchOptions, Told, Trial } from './cluster/search/search.js';
export { createSearch } from './cluster/search/search.js';
export type { Space } from './cluster/search/space.js';
export type { Augmentation } from './data/augmentation.js';
export type { Augmented, EpochOptions } from './data/batches.js';
export { assembleBatch, type Batch, epochBatches } from './data/batches.js';
export { DataError } from './data/data-error.js';
export type { DataOptions, Dataset, DatasetDescription, ImageShape, Split } from './data/dataset.js';
export { loadDataset } from './data/datasets.js';
export type { DownloadProgress } from './data/fetch/download.js';
export type { BatchValues, PooledBatch } from './evaluation/batch-feeds.js';
export type {
  BatchObjective,
  GradientPerturbations,
  LossAndGradient,
  Pairs,
  Perturbations,
  PointEvaluation,
  SigmaStep,
  SigmaWeights,
  Vector,
  WeightedScores,
} from './evaluation/batch-objective.js';
export type { CpuObjective, EvaluatedBatch } from './evaluation/cpu.js';
export type { PooledOptions } from './evaluation/on-batch.js';
export { evaluateBatch, pooledObjective } from './evaluation/on-batch.js';
export type { Sigma } from './evaluation/sigma.js';
export { Failure, UsageError } from './experiment/errors.js';
export type { MetricsRecord } from './experiment/run/metrics.js';
export type { GivenSettings, Settings } from './experiment/settings/settings.js';
export type { TrainingWatch } from './experiment/train-run.js';
export type { TrainedNetwork } from './experiment/trained-network.js';
export { FileError } from './formats/file-error.js';
export { FormatError } from './formats/format-error.js';
export type { Lifting } from './graph/lift.js';
export type { Direction, Objectives } from './insight/runs/pareto.js';
export { hypervolume, paretoFront } from './insight/runs/pareto.js';
export type { BoundsOptions, InputBox, OutputBounds } from './library/bounds.js';
export { bounds } from './library/bounds.js';
export type { CertifyOptions } from './library/certify.js';
export { certify } from './library/certify.js';
export type { EstimateOptions, HostEstimate } from './library/estimate.js';
export { estimate } from './library/estimate.js';
export type { OpenedRun } from './library/open-run.js';
export { openRun } from './library/open-run.js';
export type { Model } from './library/read-network.js';
export { readNetwork, readProperty } from './library/read-network.js';
export type { CallOptions, ResumeOptions, TrainOptions } from './library/train.js';
export { resume, train } from './library/train.js';
export type { RobustnessOptions, VerifyOptions } from './library/verify.js';
export { robustness, verify } from './library/verify.js';
export type { ArchitectureName } from './network/architectures.js';
export { architecture } from './network/architectures.js';
export type { InitializationScheme } from './network/initialization.js';
export { initialize } from './network/initialization.js';
export type { ConvolutionGeometry } from './network/layers/convolution.js';
export { convolutionLayer } from './network/layers/convolution.js';
export type {
  ActivationLayer,
  AffineLayer,
  Extents,
  JoinLayer,
  Layer,
  ReluLayer,
  Weights,
} from './network/layers/layer.js';
export { reluLayer } from './network/layers/layer.js';
export { linearLayer } from './network/layers/linear.js';
export type { Normalization } from './network/layers/normalize.js';
export type { Network, NetworkNode } from './network/network.js';
export { chain, network } from './network/network.js';
export type { OnnxExportOptions } from './network/onnx/export.js';
export { exportOnnx } from './network/onnx/export.js';
export type { ImportedNetwork, OnnxImportOptions } from './network/onnx/import.js';
export { importOnnx } from './network/onnx/import.js';
export type { ParameterArrays, ParameterSlot } from './network/parameters.js';
export {
  decodeParameters,
  encodeParameters,
  flatten,
  parameterLayout,
  views,
} from './network/parameters.js';
export type { AscentOptions, PixelAttack } from './objective/ascent.js';
export { ccIbp } from './objective/cc-ibp.js';
export type { CertifiedOptions } from './objective/certified.js';
export { certified } from './objective/certified.js';
export { expIbp } from './objective/exp-ibp.js';
export type { ExpressiveOptions } from './objective/expressive.js';
export { mtlIbp } from './objective/mtl-ibp.js';
export type { Objective, ObjectiveOptions, ObjectiveScalars } from './objective/objective.js';
export { createObjective } from './objective/objective.js';
export { pgdTraining } from './objective/pgd-training.js';
export type { RobustGraph, RobustLoss, RobustProblem } from './objective/robust-loss.js';
export type { SabrOptions } from './objective/sabr.js';
export { sabr } from './objective/sabr.js';
export type { StapsOptions } from './objective/staps.js';
export { staps } from './objective/staps.js';
export type { TapsOptions } from './objective/taps.js';
export { taps } from './objective/taps.js';
export { intersection, relaxationNamed, relaxations } from './relaxation/index.js';
export { mixture } from './relaxation/mixture.js';
export type {
  BoundProblem,
  BoundResult,
  Bounds,
  Relaxation,
  Specification,
} from './relaxation/relaxation.js';
export type { Device, DeviceTrouble } from './runtime/device/device.js';
export { DeviceError } from './runtime/device/device.js';
export { createPlan } from './runtime/plan/compile.js';
export type { Plan, Stage } from './runtime/plan/plan.js';
export type { Pool } from './runtime/pool/pool.js';
export { createPool } from './runtime/pool/pool.js';
export type { ParameterSlice } from './runtime/pool/task.js';
export { deriveKey, keyOf } from './runtime/random/keys.js';
export type { CoordinateRange } from './runtime/random/normals.js';
export type { Key } from './runtime/random/threefry.js';
export type { Estimate, EstimateContext, Estimator } from './smoothing/estimator.js';
export type { EstimatorName, EstimatorOptions } from './smoothing/index.js';
export { createEstimator, none, pgpe, rgs, searchGradient } from './smoothing/index.js';
export type { ParameterRange } from './smoothing/layer-scales.js';
export type { NoneOptions } from './smoothing/none.js';
export type { PgpeOptions } from './smoothing/pgpe.js';
export type { RgsOptions, RgsState } from './smoothing/rgs.js';
export type { SearchDistribution } from './smoothing/search-distribution.js';
export type {
  SearchGradient,
  SearchGradientOptions,
  Shaping,
  SigmaGroups,
} from './smoothing/search-gradient.js';
export type { StepReport, TrainingOptions, TrainingState } from './training/loop.js';
export { DivergenceError, initialState, training } from './training/loop.js';
export type { AdamOptions, AdamState } from './training/rules/adam.js';
export { adam } from './training/rules/adam.js';
export type { ClipUpOptions, ClipUpState } from './training/rules/clipup.js';
export { clipup } from './training/rules/clipup.js';
export type { SgdOptions, SgdState } from './training/rules/sgd.js';
export { sgd } from './training/rules/sgd.js';
export type { UpdateGraph, UpdateRule } from './training/rules/update-rule.js';
export type { Schedule } from './training/schedules.js';
export * as schedules from './training/schedules.js';
export type { CertificateLine } from './verification/certification/certificate-lines.js';
export type { CertificationProgress, CompleteOptions } from './verification/certification/options.js';
export type { CertificationReport, Verdict } from './verification/certification/verdict.js';
export type { Counterexample } from './verification/proof/counterexample.js';
export type { Box, Inequality, Polytope, Property } from './verification/property/property.js';
export type { VerifyProgress } from './verification/search/property-climb.js';
export type { Verification } from './verification/search/verify.js';
