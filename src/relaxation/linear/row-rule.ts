/** What relaxations by rows differ in: how a row passes ReLUs, and what counts as its bounds. */
import { add, constant, type FloatType, greater, mul, sub, where } from '../../graph/index.js';
import type { ActivationName } from '../../network/activations/index.js';
import type { Network, NetworkNode } from '../../network/network.js';
import { activationLines, activationStrip } from '../activation-lines.js';
import type { Bounds } from '../relaxation.js';
import { reluSlopes, type Slopes } from '../slopes.js';

export interface RowRule {
  /** Begins the names of its arrays. */
  readonly name: string;
  /** Lines of a ReLU whose input has these bounds. */
  slopes(bounds: Bounds): Slopes;
  /** Lines of a smooth activation. */
  activation(name: ActivationName, bounds: Bounds): Slopes;
  /** Both lines have the same slope, so that both bounds of a row have the same coefficients. */
  readonly straight?: boolean;
  /** Slopes without a derivative: those of the line below, or all and the intercepts too. */
  readonly constant?: 'below' | 'all';
  /** Rows are bounded at the output of every ReLU on their way, too, and the best bounds count. */
  readonly nested?: boolean;
  /** Bounds are ±Σ|a|r around a centre that is carried forwards by others. */
  readonly reach?: boolean;
  /** Rows may end at a selection of the input. */
  readonly selects?: boolean;
}

/** CROWN's bounds (Zhang et al. 2018, arXiv 1811.00866): two lines, bounds at the input alone. */
export const crownRule: RowRule = {
  name: 'crown',
  slopes: reluSlopes,
  activation: activationLines,
  constant: 'below',
  selects: true,
};

/**
 * DeepPoly as its authors compute it: a row is bounded by every layer that it passes. The bounds of a ReLU's
 * output are at least as tight there as those of its input behind the two lines, so the outputs are enough.
 */
export const deepPolyRule: RowRule = { ...crownRule, name: 'deeppoly', nested: true, selects: false };

/**
 * DeepZ: with λ x and λ x + 2μ around an unstable ReLU both bounds of a row a have the coefficients λ a, and
 * the constants Σ aμ ∓ Σ|a|μ are those of the zonotope's centre and new generator.
 */
export const deepZRule: RowRule = {
  name: 'deepz',
  slopes(bounds) {
    const { upper, intercept } = reluSlopes(bounds);
    return { lower: upper, upper, intercept };
  },
  activation(name, bounds) {
    const { slope, centre, radius } = activationStrip(name, bounds);
    return {
      lower: slope,
      lowerIntercept: sub(centre, radius),
      upper: slope,
      intercept: add(centre, radius),
    };
  },
  straight: true,
};

/** HBox: slope 1 on active neurons and 0 on the others, whose box [0, u] goes forwards. */
export const hybridRule: RowRule = {
  name: 'hbox',
  slopes({ lower }) {
    const dtype = lower.dtype as FloatType;
    const active = where(greater(lower, 0), constant(1, [], dtype), constant(0, [], dtype));
    return { lower: active, upper: active, intercept: mul(lower, 0) };
  },
  activation(name, bounds) {
    const { slope } = activationStrip(name, bounds);
    return { lower: slope, upper: slope, intercept: mul(bounds.lower, 0) };
  },
  straight: true,
  constant: 'all',
  reach: true,
};

/** The lines of node `node`, a ReLU or a smooth activation, on bounds of its input. */
export function linesOf({ nodes }: Network, node: number, bounds: Bounds, rule: RowRule): Slopes {
  const { layer } = nodes[node] as NetworkNode;
  return layer.kind === 'activation' ? rule.activation(layer.function, bounds) : rule.slopes(bounds);
}
