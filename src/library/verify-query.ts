/** Queries of VNN-LIB 2.0 as one call: a file and its networks' models in, a proof or an assignment out. */
import { readVerification, verifyTask } from '../experiment/verification-task.js';
import type { TensorAssignment } from '../formats/vnnlib.js';
import { assignmentOf } from '../verification/property/links.js';
import type { Verification } from '../verification/search/verify.js';
import type { VerifyOptions } from './verify.js';

/** The outcome of a query: a verification, and where it is `sat` the values of all tensors. */
export interface QueryVerification extends Verification {
  /** Of the query's networks, in its order. */
  readonly tensors?: readonly TensorAssignment[];
}

/**
 * Decides whether values of all inputs fulfil every assertion of a query of VNN-LIB 2.0, over its networks
 * with their several inputs, outputs and hidden tensors.
 *
 * `unsat` is a proof for the networks as functions of real numbers; `sat` comes with the values of all
 * tensors, as ONNX Runtime gives them running the files.
 *
 * @param query path of a VNN-LIB file, plain or gzip-compressed
 * @param models for each network that is not `equal-to` another the path of an ONNX file or of a run
 * @throws UsageError, one line, for what cannot be read, is not decided or does not fit
 * @example
 * ```js
 * import { writeFile } from 'node:fs/promises';
 * import { architecture, exportOnnx, initialize, keyOf } from 'tautnet';
 * import { verifyQuery } from 'tautnet/verify';
 *
 * const network = architecture('fc-small', [1, 1, 1], 1);
 * await writeFile('f.onnx', exportOnnx(network, initialize(network, 'kaiming', keyOf(0))));
 * await writeFile('query.vnnlib', `(vnnlib-version <2.0>)
 * (declare-network f (declare-input X real [1,1,1,1]) (declare-output Y real [1,1]))
 * (assert (and (>= X[0,0,0,0] 0) (<= X[0,0,0,0] 1) (>= Y[0,0] 1000)))`);
 * const { verdict } = await verifyQuery('query.vnnlib', { f: 'f.onnx' });
 * console.log(verdict); // unsat
 * ```
 */
export async function verifyQuery(
  query: string,
  models: Readonly<Record<string, string>>,
  options: VerifyOptions = {},
): Promise<QueryVerification> {
  const named = Object.entries(models).map(([name, path]) => ({ name, path }));
  const limits = { most: options.memoryBytes, signal: options.signal };
  const task = await readVerification(named, query, limits);
  const { model, links, query: { networks = [] } = {} } = task;
  try {
    const found = await verifyTask(task, options);
    const { counterexample } = found;
    if (counterexample === undefined || links === undefined) return found;
    return { ...found, tensors: assignmentOf(networks, links, counterexample.input, counterexample.output) };
  } finally {
    await model.close();
  }
}
