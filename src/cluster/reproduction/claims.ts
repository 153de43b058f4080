/**
 * The claims of the paper as experiments: in which setting, which rows are trained, what of each is tuned,
 * and which differences would show a claim.
 *
 * 1. paradox: with plain gradients a tighter relaxation trains a worse network than IBP (Jovanović 2022).
 * 2. pgpe: with PGPE tighter is better.
 * 3. rgs: RGS with a tight relaxation beats the best of the IBP-based methods on the same architecture.
 *
 * beyond: what the paper has not, each against the row that it would improve: antithetic and unbiased RGS, σ
 * relative to the weights, SABR with a tight bound and RGS, a curriculum from IBP to the tight bound, PGPE
 * with a control variate.
 *
 * Every row of a setting gets the same number of steps, and as many tuning trials as any other.
 */
import type { GivenSettings } from '../../experiment/settings/settings.js';
import type { Assignment } from '../search/parameter.js';
import type { Space } from '../search/space.js';

export const CLAIMS = ['paradox', 'pgpe', 'rgs', 'beyond'] as const;
export type ClaimName = (typeof CLAIMS)[number];
export const SCALES = ['smoke', 'small', 'paper'] as const;
export type Scale = (typeof SCALES)[number];

/** One way to train. */
export interface Row {
  readonly name: string;
  readonly claims: readonly ClaimName[];
  readonly settings: GivenSettings;
  /** What is tuned, and where tuning begins. */
  readonly tune: Space;
  readonly start: Assignment;
}

/** A difference of certified accuracy, `better` minus `worse`, that a claim says is above 0. */
export interface Comparison {
  readonly claim: ClaimName;
  readonly better: string;
  readonly worse: string;
}

/** A data set, a radius, a network and a budget, with all rows that are trained there. */
export interface Experiment {
  readonly name: string;
  /** One line about it. */
  readonly title: string;
  readonly settings: GivenSettings;
  readonly rows: readonly Row[];
  /** Names of those that are run unless the user says which (default: all); the others cost too much. */
  readonly usualRows?: readonly string[];
  /** Every row of this setting, also those that were not asked for: reported where a folder has them. */
  readonly allRows?: readonly Row[];
  readonly comparisons: readonly Comparison[];
  /** Tuning trials of each row: points of its space. */
  readonly trials: number;
  /** Trainings of each of them (default 1): what one lucky seed shows is not what others reach. */
  readonly tuningSeeds?: number;
  /** Seeds unless the user says how many. */
  readonly seeds: number;
  /** Test images (default: all) and seconds of branch and bound for each (default: none). */
  readonly images?: number;
  readonly complete?: number;
  /** Relaxations under which the loss of every trained network is measured, and on how many images. */
  readonly losses: readonly string[];
  readonly lossImages: number;
  /** Run only where it is named: a wider search than the claims need. */
  readonly optional?: true;
}
