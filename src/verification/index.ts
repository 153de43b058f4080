/** Certification: verdicts for images, with proofs and counterexamples. */
export * from './cascade.js';
export * from './certificate.js';
export * from './verdict.js';
