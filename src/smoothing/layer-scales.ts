/**
 * σ relative to the weights that it perturbs: σ_l = s·rms(W_l), of each layer l.
 *
 * A ReLU network computes the same with W_l scaled by c and W_{l+1} by 1/c. Perturbations of one σ for all
 * layers do not, relative ones do. (σ = 1e-3 is 1, 10 and 63 % of the three layers of CNN3 as drawn.)
 * A bias takes the σ of its layer's weights: biases begin at zero, where a σ relative to them would stay.
 */
import type { BatchObjective, Vector } from '../evaluation/batch-objective.js';
import type { GroupedSigma } from '../evaluation/sigma.js';
import type { CoordinateRange } from '../runtime/random/normals.js';

/** Coordinates of one parameter array; of a network it has a name, "<node>.weight" or "<node>.bias". */
export interface ParameterRange extends CoordinateRange {
  readonly name?: string;
}

/** Which parameters are perturbed. */
export const PERTURBED = ['all', 'weights'] as const;
export type Perturbed = (typeof PERTURBED)[number];

/** The parameter arrays, and of each the weights that its σ is relative to: plain data. */
export interface LayerScales {
  readonly groups: readonly ParameterRange[];
  /** Index of the group whose root mean square is the unit of this group's σ. */
  readonly units: readonly number[];
}

const isBias = ({ name }: ParameterRange): boolean => name?.endsWith('.bias') ?? false;

export function layerScales(layers: readonly ParameterRange[]): LayerScales {
  const groups = layers.map(({ name, offset, size }) => ({ ...(name && { name }), offset, size }));
  const unitOf = (layer: ParameterRange, index: number): number => {
    const weights = isBias(layer) ? groups.findIndex(({ name }) => name === weightsOf(layer)) : index;
    return weights < 0 ? index : weights;
  };
  return { groups, units: groups.map(unitOf) };
}

const weightsOf = ({ name = '' }: ParameterRange): string => name.replace(/bias$/, 'weight');

/** s for every array that is perturbed, 0 for the others. */
export const scaleOf = ({ groups }: LayerScales, scale: number, perturbed: Perturbed): Float32Array =>
  Float32Array.from(groups, (group) => (perturbed === 'weights' && isBias(group) ? 0 : scale));

/**
 * σ_l = s_l·rms(W_l) at θ, `scale` holding s of each group.
 * @throws RangeError for a layer whose weights are all zero, as its σ would be
 */
export async function relativeSigma(
  objective: BatchObjective,
  theta: Vector,
  { groups, units }: LayerScales,
  scale: ArrayLike<number>,
): Promise<GroupedSigma> {
  if (objective.rootMeanSquares === undefined)
    throw new TypeError('relative σ: expected an objective that measures its parameters, got none');
  const sizes = await objective.rootMeanSquares(theta, groups);
  const values = Float32Array.from(groups, (group, g) => {
    const unit = sizes[units[g] as number] as number;
    if (!(unit > 0) && (scale[g] as number) > 0)
      throw new RangeError(
        `relative σ: expected weights that are not all zero, got only zeros in ` +
          `${group.name ?? `coordinates ${group.offset} to ${group.offset + group.size - 1}`}; initialise ` +
          'them, or choose sigma-mode global',
      );
    return (scale[g] as number) * unit;
  });
  return { values, groups };
}
