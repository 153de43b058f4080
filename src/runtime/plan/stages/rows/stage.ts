/** The data of a rows stage: as it is written, and as it is sent to workers. */
import type { FloatType, Tensor } from '../../../../graph/tensor.js';
import type { Step } from '../../step.js';

/** A computation for unstable neurons alone: as many rows as there are, in programs of fixed sizes. */
export interface RowsStage {
  readonly kind: 'rows';
  /** Bounds [features, batch] that decide which neurons are unstable (lower < 0 < upper), by name. */
  readonly cheap: { readonly lower: string; readonly upper: string };
  /** Names of the bounds after this stage. */
  readonly refined: { readonly lower: string; readonly upper: string };
  readonly shape: readonly [features: number, batch: number];
  /**
   * A neuron f of image b is given to the graph as channel ⌊f / places⌋, place (f mod places) · batch + b and
   * position f · batch + b.
   */
  readonly places: number;
  readonly dtype: FloatType;
  /** Row counts of the programs to choose from, ascending. */
  readonly capacities: readonly number[];
  /** The graph over as many rows as the indices, int32 [rows], have; bounds [rows]. */
  build(row: RowIndices): RowBounds;
  /** Every neuron gets a row, also those that the cheap bounds prove stable. */
  readonly all?: boolean;
}

export interface RowBounds {
  readonly lower: Tensor;
  readonly upper: Tensor;
}

/** Which neuron of which image each row bounds. */
export interface RowIndices {
  readonly channel: Tensor;
  readonly place: Tensor;
  readonly position: Tensor;
}

/** The serialisable part of a rows stage. */
export interface RowsData extends Omit<RowsStage, 'kind' | 'build' | 'capacities'> {
  /** Where cotangents of the cheap bounds go, if anything upstream wants them. */
  readonly passThrough: boolean;
  /**
   * Members of a population: bounds are [members, features, batch], and a program has rows of every member.
   */
  readonly members?: number;
}

/** A program over a fixed number of rows, by its number in the plan. */
export interface RowsProgram {
  readonly rows: number;
  readonly program: number;
}

export interface RowsStep extends Step {
  readonly kind: 'rows';
  /** Whether this is the derivative. */
  readonly reverse: boolean;
  readonly programs: readonly RowsProgram[];
  readonly rows: RowsData;
}

/** Which neuron each row bounds: arrays of these names. */
export const ROW_INDICES = ['channel', 'place', 'position'] as const;

/**
 * Prefix sums of so many ones are exact in float32; places in the sums of all members, twice as many as
 * neurons at most, fit int32.
 */
const [MOST_NEURONS, MOST_OF_ALL] = [2 ** 24, 2 ** 30];

/** Whether programs on a device can choose the rows of a stage. */
export const choosesOnDevice = ({ dtype, shape: [features, batch], members = 1 }: RowsData): boolean =>
  dtype === 'float32' && features * batch <= MOST_NEURONS && members * features * batch < MOST_OF_ALL;
