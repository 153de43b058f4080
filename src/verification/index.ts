/** Certification: verdicts for images, with proofs and counterexamples. */
export * from './certification/cascade.js';
export * from './certification/certificate.js';
export * from './certification/options.js';
export * from './certification/verdict.js';
export { type BatchStage, type BoundStage, batchStages, boundStages } from './proof/batch-size.js';
export { type ContextOptions, createContext, type VerificationContext } from './proof/context.js';
export { type Counterexample, clampInto, confirm, type Evaluate } from './proof/counterexample.js';
export * from './property/property.js';
export * from './search/property-attack.js';
export * from './search/property-climb.js';
export * from './search/verify.js';
