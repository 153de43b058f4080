/** `tautnet/verify`: properties, proofs, counterexamples and certificates. */

export type { AttackLoss, AttackProgram, Evaluation, Evaluator } from '../attack/attack-program.js';
export { attackProgram, evaluatorOf } from '../attack/attack-program.js';
export { multiTargetPgd } from '../attack/multi-target.js';
export type { AttackResult, PgdOptions } from '../attack/pgd.js';
export { pgd } from '../attack/pgd.js';
export type { TrainedNetwork } from '../experiment/trained-network.js';
export type { TensorAssignment } from '../formats/vnnlib/assignment.js';
export type { VnnlibProperty } from '../formats/vnnlib/constraint.js';
export type { BoundsOptions, InputBox, OutputBounds } from '../library/bounds.js';
export { bounds } from '../library/bounds.js';
export type { CertifyOptions } from '../library/certify.js';
export { certify } from '../library/certify.js';
export type { CheckOptions, CheckOutcome } from '../library/check.js';
export { checkCertificate } from '../library/check.js';
export type { Model } from '../library/read-network.js';
export { readNetwork, readProperty } from '../library/read-network.js';
export type { RobustnessOptions, VerifyOptions } from '../library/verify.js';
export { robustness, verify } from '../library/verify.js';
export type { QueryVerification } from '../library/verify-query.js';
export { verifyQuery } from '../library/verify-query.js';
export type { Network } from '../network/network.js';
export type { ParameterArrays } from '../network/parameters.js';
export type { Relaxation } from '../relaxation/relaxation.js';
export type { Executor } from '../runtime/execution/executor.js';
export type {
  Certificate,
  CertifiedProofs,
  Claim,
  HiddenBounding,
  HiddenMethod,
  Leaf,
  Proof,
  Tree,
} from '../verification/certificate/format.js';
export { encodeCertificate } from '../verification/certificate/format.js';
export type { ImageCertificateOptions } from '../verification/certificate/images.js';
export { imageCertificate } from '../verification/certificate/images.js';
export type { PropertyCertificateOptions } from '../verification/certificate/property.js';
export { propertyCertificate } from '../verification/certificate/property.js';
export type { CertificateFiles } from '../verification/certification/certificate.js';
export { certificateFiles, writeCertificate } from '../verification/certification/certificate.js';
export type {
  CertificationProgress,
  CompleteOptions,
  VerdictStore,
} from '../verification/certification/options.js';
export type {
  Accuracies,
  CertificationReport,
  Certified,
  Falsified,
  StageReport,
  Undecided,
  Verdict,
} from '../verification/certification/verdict.js';
export { accuraciesOf } from '../verification/certification/verdict.js';
export type { Counterexample, Evaluate } from '../verification/proof/counterexample.js';
export { clampInto, confirm } from '../verification/proof/counterexample.js';
export type { BoxTrace } from '../verification/proof/trace.js';
export { propertyOf } from '../verification/property/from-vnnlib.js';
export type { Box, Inequality, Polytope, Property } from '../verification/property/property.js';
export type { VerificationStage, VerifyProgress } from '../verification/search/property-climb.js';
export type { Verification } from '../verification/search/verify.js';
