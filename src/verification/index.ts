/** Certification: verdicts for images, with proofs and counterexamples. */
export * from './cascade.js';
export * from './certificate.js';
export { type Counterexample, clampInto, confirm, type Evaluate } from './counterexample.js';
export * from './property.js';
export * from './property-attack.js';
export * from './verdict.js';
export * from './verify.js';
