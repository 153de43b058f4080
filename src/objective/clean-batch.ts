/**
 * The network that a micro-batch's bounds and attacks see: batch normalisation folded away with the
 * statistics of its clean images.
 *
 * An objective of one graph finds the folded weights itself, so that nothing is run twice for the derivative.
 * Where there are several stages, they are arrays of the plan, computed by its first stage: rows programs and
 * the steps of attacks do not find them again.
 */
import { input, type Tensor } from '../graph/index.js';
import { batchForward, normalizedForward, type StatisticsOf } from '../network/batch-statistics.js';
import { batchNormNodes, foldedNetwork, foldedParameters } from '../network/folding.js';
import { logitsOfRuns } from '../network/layer-runs.js';
import type { Network, Parameters } from '../network/network.js';
import type { Stage } from '../runtime/plan/plan.js';

export interface CleanBatch {
  /** The network without batch normalisation, and its parameters. */
  readonly network: Network;
  readonly parameters: Parameters;
  /** Logits of the clean images, [classes, batch]. */
  logits(): Tensor;
  /** The stages that read these, with the one before them that makes the arrays. */
  complete(stages: readonly Stage[]): readonly Stage[];
}

export interface CleanBatchOptions {
  /** Folded parameters are arrays of a plan (default false). */
  readonly staged?: boolean;
  /** Statistics to normalise with (default: those of x). */
  readonly statistics?: StatisticsOf;
}

/** For x [features, batch], of which `present` [1, batch] marks the images that are not padding. */
export function cleanBatch(
  net: Network,
  parameters: Parameters,
  x: Tensor,
  present: Tensor,
  { staged = false, statistics: given }: CleanBatchOptions = {},
): CleanBatch {
  if (batchNormNodes(net).length === 0)
    return {
      network: net,
      parameters,
      logits: () => logitsOfRuns(net, parameters, x),
      complete: (stages) => stages,
    };

  const { values, statistics } = given
    ? normalizedForward(net, parameters, x, given)
    : batchForward(net, parameters, x, present);
  const folded = foldedParameters(net, parameters, statistics);
  const own = values.at(-1) as Tensor;
  if (!staged)
    return {
      network: foldedNetwork(net),
      parameters: folded,
      logits: () => own,
      complete: (stages) => stages,
    };

  const made = new Map<string, Tensor>();
  const array = (name: string, value: Tensor): Tensor => {
    made.set(name, value);
    return input(name, value.shape, value.dtype);
  };
  // What is not folded is fed already.
  const fed = new Set(Object.values(parameters));
  let outputs: Tensor | undefined;
  return {
    network: foldedNetwork(net),
    parameters: Object.fromEntries(
      Object.entries(folded).map(([name, value]) => [
        name,
        fed.has(value) ? value : array(`folded ${name}`, value),
      ]),
    ),
    logits() {
      outputs ??= array('clean logits', own);
      return outputs;
    },
    complete: (stages) => [{ kind: 'whole', outputs: Object.fromEntries(made) }, ...stages],
  };
}
