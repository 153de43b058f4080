/**
 * What an attack asks of a network: margins of a batch, and the direction in which a loss grows.
 *
 * One plan per network, batch size and loss; the attack itself is a loop over an evaluator, so a program may
 * run in this thread, in a worker or on a pool. Images are [batch, features] as data sets give them.
 */
import {
  equalRows,
  greater,
  input,
  logSumExp,
  mul,
  neg,
  reduceMax,
  reshape,
  sub,
  sum,
  type Tensor,
  total,
  transpose,
  where,
} from '../graph/index.js';
import { featuresOf } from '../network/layers/layer.js';
import { logits, type Network, parameterInputs } from '../network/network.js';
import type { Executor } from '../runtime/execution/executor.js';
import { createPlan } from '../runtime/plan/compile.js';
import type { Plan } from '../runtime/plan/plan.js';

/**
 * The loss per image that grows towards a wrong answer:
 *
 * - `margin`: max over j ≠ y of f_j(x) − f_y(x) (Carlini, Wagner 2017), which does not saturate;
 * - `cross-entropy`: log Σ_j exp f_j(x) − f_y(x) (Madry et al. 2018);
 * - `targeted`: f_t(x) − f_y(x) for a class t given for each image.
 */
export const attackLosses = ['margin', 'cross-entropy', 'targeted'] as const;
/**
 * What an attack ascends: `margin`, max over j ≠ y of f_j(x) − f_y(x), which does not saturate;
 * `cross-entropy`; or `targeted`, f_t(x) − f_y(x) for a class t of each image.
 */
export type AttackLoss = (typeof attackLosses)[number];

/** Margins and the gradient of the attack's loss at a batch of points. */
export interface Evaluation {
  /** f_y − max over j ≠ y of f_j, [batch]; ≤ 0 where the label does not hold. */
  readonly margins: Float32Array;
  /** ∂(Σ loss)/∂x, [batch, features]. */
  readonly gradient: Float32Array;
}

/**
 * Margins and gradient at x [batch, features] for labels [batch] and, with a targeted loss, targets [batch].
 */
export type Evaluator = (x: Float32Array, labels: Int32Array, targets?: Int32Array) => Promise<Evaluation>;

/** A compiled plan that evaluates an attack's loss and its gradient for batches of one size. */
export interface AttackProgram {
  readonly plan: Plan;
  readonly loss: AttackLoss;
  readonly batch: number;
  readonly classes: number;
}

/** Below every logit, and still far from overflow. */
const BELOW = -1e30;

/** Loss and margin, each [1, batch], from logits [classes, batch]. */
function losses(
  outputs: Tensor,
  own: Tensor,
  targets: Tensor | undefined,
  loss: AttackLoss,
): { loss: Tensor; margin: Tensor } {
  const chosen = sum(mul(outputs, own), [0]);
  const best = reduceMax(where(greater(own, 0), BELOW, outputs), [0]);
  const margin = sub(chosen, best);
  if (loss === 'cross-entropy') return { loss: sub(logSumExp(outputs, [0]), chosen), margin };
  return { loss: targets === undefined ? neg(margin) : sub(sum(mul(outputs, targets), [0]), chosen), margin };
}

/**
 * The plan (parameters by name, `x` [batch, features], `labels` [batch], for a targeted loss `targets`
 * [batch]) → margins [batch] and the gradient of the summed loss in x.
 * @throws RangeError for a network with fewer than two classes
 */
export function attackProgram(net: Network, batch: number, loss: AttackLoss = 'margin'): AttackProgram {
  if (net.classes < 2)
    throw new RangeError(`attack: expected a network with at least 2 classes, got ${net.classes}`);
  if (!attackLosses.includes(loss))
    throw new RangeError(`attack: expected a loss of ${attackLosses.join(', ')}, got ${String(loss)}`);
  const x = input('x', [batch, featuresOf(net.input)]);
  const hot = (name: string) => equalRows(input(name, [batch], 'int32'), net.classes, 'float32');
  const outputs = logits(net, parameterInputs(net), transpose(x));
  const made = losses(outputs, hot('labels'), loss === 'targeted' ? hot('targets') : undefined, loss);
  const plan = createPlan(
    [{ kind: 'whole', outputs: { loss: total(made.loss), margins: reshape(made.margin, [batch]) } }],
    ['x'],
  );
  return { plan, loss, batch, classes: net.classes };
}

function checkClasses(what: string, values: Int32Array | undefined, { batch, classes }: AttackProgram): void {
  if (values?.length !== batch)
    throw new RangeError(
      `attack: expected ${batch} ${what}, got ${values?.length ?? 'none'}; build the program for the ` +
        'batch at hand',
    );
  const wrong = values.find((c) => c < 0 || c >= classes);
  if (wrong !== undefined)
    throw new RangeError(`attack: expected ${what} from 0 to ${classes - 1}, got ${wrong}`);
}

/** Evaluates an attack's program with what runs plans: an executor, or anything with its `run`. */
export function evaluatorOf(
  run: Executor['run'],
  program: AttackProgram,
  parameters: Readonly<Record<string, Float32Array>>,
): Evaluator {
  return async (x, labels, targets) => {
    checkClasses('labels', labels, program);
    if (program.loss === 'targeted') checkClasses('targets', targets, program);
    const { outputs, gradients } = await run(program.plan, {
      ...parameters,
      x,
      labels,
      ...(targets && { targets }),
    });
    return { margins: outputs.margins as Float32Array, gradient: gradients[0] as Float32Array };
  };
}
