/** What the dashboard's server answers, as plain data that its page reads, too. */

import type { LayerActivity } from '../../evaluation/neuron-activity.js';
import type { RadiusBracket } from '../../verification/certification/exact-radius.js';
import type { Figure } from '../figure/figure.js';
import type { ComparedRun } from '../runs/comparison.js';

/** Accuracies in [0, 1]; null where nobody has measured it. */
export interface CardAccuracies {
  readonly natural: number | null;
  readonly certified: number | null;
  readonly adversarial: number | null;
}

export type RunState = 'running' | 'finished' | 'unfinished' | 'broken' | 'reading';

/** One run in the list. */
export interface RunCard {
  /** Name of its folder. */
  readonly name: string;
  readonly state: RunState;
  /** Why it cannot be read, in one line. */
  readonly problem?: string;
  /** Settings that differ among the runs of the list, by their names in files. */
  readonly settings: Readonly<Record<string, string>>;
  readonly accuracies: CardAccuracies;
  /** Images that were certified; 0 where the accuracies are those of training's last epoch. */
  readonly images: number;
  readonly epoch: number;
  readonly epochs: number;
  /** Loss over epochs, thinned out. */
  readonly losses: readonly number[];
  /** Time of the last change, in milliseconds since 1970. */
  readonly changed: number;
}

export interface RunList {
  readonly folder: string;
  /** Runs that are still to be read; they are in the list by name. */
  readonly reading: number;
  /** Names of the settings that differ. */
  readonly differing: readonly string[];
  readonly runs: readonly RunCard[];
}

/** One run in full. */
export interface RunDetail {
  readonly name: string;
  readonly state: RunState;
  readonly title: string;
  readonly subtitle: string;
  readonly commands: readonly string[];
  readonly notes: readonly string[];
  readonly accuracies: CardAccuracies;
  readonly images: number;
  readonly epoch: number;
  readonly epochs: number;
  readonly epsilon: number;
  readonly figures: readonly Figure[];
  readonly settings: readonly (readonly [name: string, value: string])[];
}

export interface CompareAnswer {
  readonly differing: readonly string[];
  readonly runs: readonly ComparedRun[];
  readonly figure?: Figure;
}

/** A test image to choose. */
export interface Thumbnail {
  readonly image: number;
  readonly label: number;
  /** A data URI. */
  readonly picture: string;
}

export interface ImagesAnswer {
  readonly count: number;
  readonly thumbnails: readonly Thumbnail[];
}

/** What one relaxation says of an image's ball. */
export interface RelaxationRow {
  readonly relaxation: string;
  /** Lower bounds of f_y − f_j for the wrong classes j, ascending; null where there is no number. */
  readonly margins: readonly (number | null)[];
  /** Whether the bounds prove the image, rounding allowed for. */
  readonly proves: boolean;
  /** Why it was left out. */
  readonly skipped?: string;
}

/** An image and its ball under some relaxations. */
export interface LookAnswer {
  readonly image: number;
  readonly label: number;
  readonly epsilon: number;
  /** Wrong classes in ascending order. */
  readonly classes: readonly number[];
  /** f_y − max over j ≠ y of f_j at the image. */
  readonly margin: number;
  readonly relaxations: readonly RelaxationRow[];
  /** By interval bounds. */
  readonly layers: readonly LayerActivity[];
  /** The image, and the lower and the upper end of its box, as data URIs. */
  readonly pictures: { readonly image: string; readonly lower: string; readonly upper: string };
  readonly milliseconds: number;
}

/** What an attack found. */
export interface AttackAnswer {
  readonly epsilon: number;
  readonly found: boolean;
  /** At the counterexample, by a plain forward pass. */
  readonly margin?: number;
  readonly picture?: string;
  /** Amplified: white is +ε, black is −ε. */
  readonly difference?: string;
}

/** The largest ε at which a relaxation was seen to prove an image; event `radius`. */
export interface RadiusAnswer {
  readonly relaxation: string;
  readonly epsilon: number;
}

/** What attacks and branch and bound know so far of the largest ε of a robust image; event `exact`. */
export interface ExactAnswer extends RadiusBracket {
  /** Whether the search has ended. */
  readonly done: boolean;
  /** Seconds that it may take. */
  readonly seconds: number;
}

/** Relaxations whose landscapes can be looked at, the fast ones first. */
export const LANDSCAPE_RELAXATIONS = ['ibp', 'crown-ibp', 'crown', 'hbox', 'deepz', 'alpha-crown'] as const;
export const LANDSCAPE_DIRECTIONS = ['random', 'gradient'] as const;

/** Curves computed, and all; event `progress`. Event `landscape` has the landscape itself. */
export interface LandscapeProgress {
  readonly done: number;
  readonly total: number;
}

/** What went wrong, in one line. */
export interface Problem {
  readonly problem: string;
}
