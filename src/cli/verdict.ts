/**
 * Verdicts as `verify` prints them: in the form of the competition's tools, or, of queries of VNN-LIB 2.0, in
 * that of the standard.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { ModelTask } from '../experiment/query-task.js';
import { writeFileAtomic } from '../formats/atomic-file.js';
import { encodeCounterexample } from '../formats/counterexample.js';
import { encodeAssignment, encodeTensorFile, type TensorAssignment, tensorsOf } from '../formats/vnnlib.js';
import { assignmentOf } from '../verification/property/links.js';
import type { Verification } from '../verification/search/verify.js';

/** What was verified, as far as its form matters. */
type Asked = Pick<ModelTask, 'query' | 'links' | 'double'>;

/** A verdict, or that there is none. */
export type Ending = Verification['verdict'] | 'error';

/** The standard's word where it has another than the competition. */
const STANDARD: Readonly<Partial<Record<Ending, string>>> = { timeout: 'timed-out' };

/** An ending in the words of the standard's command line, or in the competition's. */
export const wordOf = (verdict: Ending, standard: boolean): string =>
  (standard ? STANDARD[verdict] : undefined) ?? verdict;

/** The values of a query's tensors at a counterexample; undefined of a property of version 1.0. */
function tensorsAt(
  { query, links }: Asked,
  { counterexample }: Verification,
): TensorAssignment[] | undefined {
  if (query?.networks === undefined || links === undefined || counterexample === undefined) return undefined;
  return assignmentOf(query.networks, links, counterexample.input, counterexample.output);
}

/** The verdict's line, and below `sat` the counterexample. */
export function resultText(asked: Asked, verification: Verification, standard: boolean): string {
  const word = `${wordOf(verification.verdict, standard)}\n`;
  const { counterexample } = verification;
  if (counterexample === undefined) return word;
  const tensors = tensorsAt(asked, verification);
  if (tensors !== undefined) return `${word}${encodeAssignment(tensors)}`;
  return `${word}${encodeCounterexample({ inputs: counterexample.input, outputs: counterexample.output })}`;
}

/** A verification with plain arrays. */
export function resultJson(asked: Asked, verification: Verification, standard: boolean) {
  const { counterexample, verdict, ...rest } = verification;
  const tensors = tensorsAt(asked, verification);
  return {
    verdict: wordOf(verdict, standard),
    ...rest,
    ...(counterexample && {
      counterexample: {
        input: Array.from(counterexample.input),
        output: Array.from(counterexample.output),
        polytope: counterexample.polytope,
        ...(tensors && { tensors: tensors.map((one) => ({ ...one, values: Array.from(one.values) })) }),
      },
    }),
  };
}

/** Writes each tensor of a counterexample as a TensorProto, NAME.pb, into a folder that is made for them. */
export async function serialiseAssignments(
  folder: string,
  asked: Asked,
  verification: Verification,
): Promise<void> {
  const tensors = tensorsAt(asked, verification);
  if (tensors === undefined) return;
  await mkdir(folder, { recursive: true });
  for (const tensor of tensors) {
    const own = asked.double === true ? 'float64' : 'float32';
    const bytes = encodeTensorFile(tensor, tensor.type === 'real' ? own : tensor.type);
    await writeFileAtomic(join(folder, `${tensor.name}.pb`), bytes);
  }
}

/** What a proof does not say of a query whose types are floats; undefined where it says all. */
export function caveatOf({ query }: Asked, { verdict }: Verification): string | undefined {
  const type = tensorsOf(query?.networks ?? []).find((tensor) => tensor.type !== 'real')?.type;
  if (verdict !== 'unsat' || type === undefined) return undefined;
  return (
    'unsat is proved of functions of real numbers; what the networks round in ' +
    `${type} is not in the proof`
  );
}
