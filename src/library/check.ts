/** Certificates checked as one call: a certificate and what it is about in, what is proved out. */
import { availableParallelism } from 'node:os';
import { Piscina } from 'piscina';
import { type CheckOutcome, check, type Given } from '../../checker/check.js';
import type { Split } from '../data/dataset.js';
import { Failure } from '../experiment/errors.js';

export type { CheckOutcome } from '../../checker/check.js';

/** What a certificate is about, and how it is checked. */
export interface CheckOptions {
  /** Bytes of the VNN-LIB file. */
  readonly property?: Uint8Array;
  /** Or the images. */
  readonly images?: Split;
  /** Worker threads (default: as many as the processor runs at once). */
  readonly threads?: number;
  readonly signal?: AbortSignal;
}

const CHECKER = new URL('../../checker/check.js', import.meta.url);

/**
 * Proves again what a certificate says is proved, by the independent checker in `checker/`: in float64 with
 * every rounding taken off, from the ONNX file itself.
 *
 * @param certificate bytes of a file of `--certificate`, or of `encodeCertificate`
 * @param model bytes of the ONNX file
 * @returns how many images or sets of unsafe outputs are proved
 * @throws Failure, one line, for what is not proved; the reason of `signal`
 * @example
 * ```js
 * import { architecture, exportOnnx, initialize, keyOf } from 'tautnet';
 * import { checkCertificate, encodeCertificate, imageCertificate } from 'tautnet/verify';
 *
 * const network = architecture('fc-small', [1, 2, 2], 3);
 * const model = exportOnnx(network, initialize(network, 'kaiming', keyOf(0)));
 * const split = { images: Uint8Array.of(10, 200, 30, 90), labels: Uint8Array.of(0), count: 1 };
 * const verdicts = [{ image: 0, label: 0, verdict: 'certified', stage: 'ibp', margin: 1 }];
 * const ball = { epsilon: 0.01, clip: true };
 * const { certificate } = await imageCertificate({ model, split, ball, verdicts });
 * const { proved } = await checkCertificate(encodeCertificate(certificate), model, { images: split });
 * console.log(proved); // 1
 * ```
 */
export async function checkCertificate(
  certificate: Uint8Array,
  model: Uint8Array,
  options: CheckOptions,
): Promise<CheckOutcome> {
  const { property, images, threads = availableParallelism(), signal } = options;
  const given: Given = { certificate, model, ...(property && { property }), ...(images && { images }) };
  const pool = new Piscina({ filename: CHECKER.href, minThreads: threads, maxThreads: threads });
  try {
    const shares = Array.from({ length: threads }, (_, k): Given => ({ ...given, share: [k, threads] }));
    const outcomes = await Promise.all(shares.map((share) => pool.run(share, { name: check.name, signal })));
    const proved = (outcomes as CheckOutcome[]).reduce((sum, one) => sum + one.proved, 0);
    const [first] = outcomes as [CheckOutcome];
    return { what: first.what, proved, of: images ? images.count : proved };
  } catch (error) {
    signal?.throwIfAborted();
    throw new Failure((error as Error).message, { cause: error });
  } finally {
    await pool.destroy();
  }
}
