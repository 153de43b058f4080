/** The certificate of a property: its polytopes proved again by the checker, those of a box together. */
import { digest, plain } from '../../../checker/check.js';
import { readOnnx } from '../../../checker/onnx.js';
import { type Polytope, readVnnlib } from '../../../checker/vnnlib.js';
import { type BoxTrace, renumbered } from '../proof/trace.js';
import type { CertifiedProofs, Proof } from './format.js';
import { proofOf } from './proofs.js';

/** What was verified, and how long its proofs may be looked for. */
export interface PropertyCertificateOptions {
  /** Bytes of the ONNX and the VNN-LIB file that the certificate is about. */
  readonly model: Uint8Array;
  readonly property: Uint8Array;
  /** Seconds that it may take (default 60). */
  readonly seconds?: number;
  /** How the search proved it, if it said so (`traced` of `verify`). */
  readonly traces?: readonly BoxTrace[];
  readonly progress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

const SECONDS = 60;

/**
 * The certificate of a property: each polytope proved again by the checker's bounds.
 * @throws Error where the checker does not read the model or the property; the reason of `signal`
 */
export async function propertyCertificate(options: PropertyCertificateOptions): Promise<CertifiedProofs> {
  const { seconds = SECONDS, traces = [], signal, progress } = options;
  const [model, property] = await Promise.all([plain(options.model), plain(options.property)]);
  const nodes = readOnnx(model);
  const [inputs, outputs] = [nodes[0]?.size as number, nodes.at(-1)?.size as number];
  const polytopes = readVnnlib(new TextDecoder().decode(property), inputs, outputs);
  const deadline = performance.now() + 1000 * seconds;
  const over = () => performance.now() > deadline || signal?.aborted === true;
  const without = new Map<string, number>();
  const proofs: Proof[] = [];
  for (const group of sharingBoxes(polytopes)) {
    progress?.(proofs.length, polytopes.length);
    const some = group.map((index) => polytopes[index] as Polytope);
    const trace = traces.find(({ polytopes: of }) => of.some((index) => group.includes(index)));
    const of = trace && renumbered(trace, (index) => group.indexOf(index));
    const found = proofOf(nodes, some, { over, ...(of && { trace: of }) });
    if (found !== undefined) proofs.push({ of: group, ...found });
    else {
      const reason = `the checker's bounds did not prove them within ${seconds} s`;
      without.set(reason, (without.get(reason) ?? 0) + group.length);
    }
  }
  signal?.throwIfAborted();
  const claim = { property: await digest(property) };
  const proved = proofs.reduce((sum, { of }) => sum + of.length, 0);
  return { certificate: { model: await digest(model), claim, proofs }, proved, without };
}

/** Numbers of polytopes whose boxes are equal. */
function sharingBoxes(polytopes: readonly Polytope[]): number[][] {
  const groups = new Map<string, number[]>();
  polytopes.forEach(({ lower, upper }, index) => {
    const key = `${lower} ${upper}`;
    const group = groups.get(key) ?? [];
    groups.set(key, group);
    group.push(index);
  });
  return [...groups.values()];
}
