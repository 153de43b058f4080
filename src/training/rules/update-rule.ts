/**
 * What an update rule is: (state, θ, gradient, learning rate) ↦ (state, θ), pure, in the manner of optax.
 *
 * A rule knows neither the loss nor where the gradient came from, so any rule goes with any estimator.
 * Learning-rate schedules and gradient clipping stand outside: the loop hands in the rate of this step and
 * the gradient it wants followed.
 */
import type { Tensor } from '../../graph/index.js';

/** Tensors or numbers of a step, by name. */
type Named<T> = Readonly<Record<string, T>>;

/**
 * A rule's step as a graph, for devices on which θ and the arrays of the state stay. It computes in float32
 * what `update` computes in double: the same to rounding. Arrays of the state are its typed arrays, by name;
 * whatever else it has are its numbers.
 */
export interface UpdateGraph {
  /** Numbers of the state after the step, and those that the step takes as scalar inputs. */
  numbers(
    state: Named<number>,
    learningRate: number,
  ): { readonly state: Named<number>; readonly inputs: Named<number> };
  /** θ and the arrays of the state after the step, all [parameters]. */
  step(
    theta: Tensor,
    gradient: Tensor,
    arrays: Named<Tensor>,
    inputs: Named<Tensor>,
  ): { readonly theta: Tensor; readonly arrays: Named<Tensor> };
}

/** From a gradient to the next θ; pure, and its state is plain data. */
export interface UpdateRule<State = unknown> {
  readonly name: string;
  /**
   * The state before the first step, for θ of so many coordinates. Plain data (typed arrays, numbers) that a
   * checkpoint can hold.
   */
  init(parameters: number): State;
  /** One step of *descent*. Neither the state nor θ given in is changed. */
  update(
    state: State,
    theta: Float32Array,
    gradient: Float32Array,
    learningRate: number,
  ): { readonly state: State; readonly theta: Float32Array };
  /** Without it θ and the state are the host's between steps, whatever the device. */
  readonly graph?: UpdateGraph;
}

/** Throws unless θ, the gradient and the state all have as many coordinates. */
export function checkSizes(
  rule: string,
  theta: Float32Array,
  gradient: Float32Array,
  stateSize: number,
): void {
  if (theta.length === stateSize && gradient.length === stateSize) return;
  throw new RangeError(
    `${rule}: expected θ and its gradient to have the ${stateSize} coordinates the rule was started ` +
      `with, got ${theta.length} and ${gradient.length}`,
  );
}

/** Throws unless `value` lies in [0, 1), as decay rates and momenta must. */
export function checkRate(rule: string, name: string, value: number): void {
  if (!(value >= 0 && value < 1)) throw new RangeError(`${rule}: expected ${name} in [0, 1), got ${value}`);
}
