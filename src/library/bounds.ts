/** Bounds of a network's outputs over one box, as numbers. */
import { constant, type FloatType, input } from '../graph/index.js';
import { featuresOf } from '../network/layers/layer.js';
import { type Network, parameterInputs } from '../network/network.js';
import type { ParameterArrays } from '../network/parameters.js';
import { relaxationNamed } from '../relaxation/index.js';
import type { Relaxation } from '../relaxation/relaxation.js';
import { createExecutor } from '../runtime/execution/executor.js';
import { createPlan } from '../runtime/plan/compile.js';

/** A box of inputs, lower ≤ x ≤ upper, each [features]. */
export interface InputBox {
  readonly lower: ArrayLike<number>;
  readonly upper: ArrayLike<number>;
}

/** Bounds of the logits, each [classes]. */
export interface OutputBounds {
  readonly lower: Float64Array;
  readonly upper: Float64Array;
}

/** How bounds are computed. */
export interface BoundsOptions {
  /** Float type of the computation (default float64). Rounding is not accounted for: `verify` does that. */
  readonly dtype?: FloatType;
}

/**
 * Bounds every logit over a box: lower_k ≤ min f_k(x), max f_k(x) ≤ upper_k for lower ≤ x ≤ upper.
 *
 * @param relaxation a relaxation, `relaxations.crown` say, or its name, `'ibp+crown-ibp'` say
 * @throws RangeError for a box of another size than the network's input, or with lower > upper
 * @example
 * ```js
 * import { architecture, bounds, initialize, keyOf, relaxations } from 'tautnet';
 *
 * const network = architecture('fc-small', [1, 2, 2], 3);
 * const parameters = initialize(network, 'kaiming', keyOf(0));
 * const box = { lower: [0, 0, 0, 0], upper: [0.1, 0.1, 0.1, 0.1] };
 * const { lower, upper } = await bounds(network, parameters, box, relaxations.crown);
 * console.log(lower, upper);
 * ```
 */
export async function bounds(
  network: Network,
  parameters: ParameterArrays,
  box: InputBox,
  relaxation: Relaxation | string,
  { dtype = 'float64' }: BoundsOptions = {},
): Promise<OutputBounds> {
  const features = featuresOf(network.input);
  checkBox(box, features);
  const { classes } = network;
  // The rows of (I, −I): f_k, and −f_k whose lower bound is minus the upper bound of f_k.
  const signs = new Float64Array(classes * 2 * classes);
  for (let k = 0; k < classes; k++) {
    signs[2 * classes * k + k] = 1;
    signs[2 * classes * k + classes + k] = -1;
  }
  const { stages, margins } = (
    typeof relaxation === 'string' ? relaxationNamed(relaxation) : relaxation
  ).bound({
    network,
    parameters: parameterInputs(network, dtype),
    box: { lower: input('lower', [features, 1], dtype), upper: input('upper', [features, 1], dtype) },
    specification: { kind: 'rows', coefficients: constant(signs, [classes, 2 * classes, 1], dtype) },
  });
  const numbers = dtype === 'float64' ? Float64Array : Float32Array;
  const given = { ...parameters, lower: box.lower, upper: box.upper };
  const feeds = Object.fromEntries(
    Object.entries(given).map(([name, values]) => [name, numbers.from(values)] as const),
  );
  const executor = createExecutor();
  try {
    const { outputs } = await executor.run(
      createPlan([...stages, { kind: 'whole', outputs: { margins } }]),
      feeds,
    );
    const rows = Float64Array.from(outputs.margins as Float64Array);
    return { lower: rows.slice(0, classes), upper: rows.slice(classes).map((row) => -row) };
  } finally {
    await executor.close();
  }
}

function checkBox({ lower, upper }: InputBox, features: number): void {
  if (lower.length !== features || upper.length !== features)
    throw new RangeError(
      `bounds: expected a box of ${features} values, got ${lower.length} lower and ${upper.length} upper ` +
        'ones; give one of each for every input',
    );
  for (let i = 0; i < features; i++)
    if (!((lower[i] as number) <= (upper[i] as number)))
      throw new RangeError(
        `bounds: expected lower ≤ upper, got ${lower[i]} and ${upper[i]} at input ${i}; swap them`,
      );
}
