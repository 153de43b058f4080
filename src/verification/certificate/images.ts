/** The certificate of certified images: each proof again by the checker, so far as that succeeds. */
import { ballPolytopes, digest, plain } from '../../../checker/check.js';
import { readOnnx } from '../../../checker/onnx.js';
import type { Split } from '../../data/dataset.js';
import type { Verdict } from '../certification/verdict.js';
import type { BoxTrace } from '../proof/trace.js';
import type { Ball } from '../property/robustness.js';
import type { CertifiedProofs, HiddenMethod, Proof, Tree } from './format.js';
import { proofOf } from './proofs.js';

/** What was certified, and how long its proofs may be looked for. */
export interface ImageCertificateOptions {
  /** The bytes of the ONNX file that the certificate is about. */
  readonly model: Uint8Array;
  readonly split: Split;
  readonly ball: Ball;
  readonly verdicts: readonly Verdict[];
  /** How the search proved images, if it said so (`complete.traced` of `certify`). */
  readonly traces?: ReadonlyMap<number, readonly BoxTrace[]>;
  /** Seconds that an image may take (default 30). */
  readonly secondsPerImage?: number;
  readonly progress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

const SECONDS = 30;

/**
 * The certificate of the verdicts that are `certified`, each proved again by the checker's bounds.
 * @throws the reason of `signal`; Error where the checker does not read the model
 */
export async function imageCertificate(options: ImageCertificateOptions): Promise<CertifiedProofs> {
  const { split, ball, verdicts, traces, progress, signal, secondsPerImage = SECONDS } = options;
  const bytes = await plain(options.model);
  const nodes = readOnnx(bytes);
  const features = split.images.length / split.count;
  const certified = verdicts.filter(({ verdict }) => verdict === 'certified');
  const simple: Record<HiddenMethod, number[]> = { ibp: [], crown: [] };
  const trees: Proof[] = [];
  const without = new Map<string, number>();
  for (const [done, { image, label, stage }] of certified.entries()) {
    if (done % 16 === 0) {
      await new Promise((resume) => setImmediate(resume));
      signal?.throwIfAborted();
      progress?.(done, certified.length);
    }
    const pixels = split.images.subarray(image * features, (image + 1) * features);
    const polytopes = ballPolytopes(pixels, label, nodes.at(-1)?.size as number, ball);
    const deadline = performance.now() + 1000 * secondsPerImage;
    const over = () => performance.now() > deadline || signal?.aborted === true;
    const from = stage === 'ibp' || stage === 'crown-ibp' ? 'ibp' : 'crown';
    const trace = traces?.get(image)?.[0];
    const proof = proofOf(nodes, polytopes, { from, over, ...(trace && { trace }) });
    if (proof === undefined) {
      const reason = `the checker's bounds did not prove them within ${secondsPerImage} s each`;
      without.set(reason, (without.get(reason) ?? 0) + 1);
    } else if (proof.tree === 0 && typeof proof.bounds === 'string') simple[proof.bounds].push(image);
    else trees.push({ of: [image], ...proof });
  }
  signal?.throwIfAborted();
  const grouped = (['ibp', 'crown'] as const).map((bounds) => ({
    of: simple[bounds],
    bounds,
    tree: 0 as Tree,
  }));
  const proofs = [...grouped.filter(({ of }) => of.length > 0), ...trees];
  const images = await digest(split.images, Uint8Array.from(split.labels));
  const { epsilon, clip } = ball;
  const certificate = { model: await digest(bytes), claim: { images, epsilon, clip }, proofs };
  return { certificate, proved: proofs.reduce((sum, { of }) => sum + of.length, 0), without };
}
