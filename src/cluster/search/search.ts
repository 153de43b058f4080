/**
 * Ask and tell: which trial comes next, given what earlier ones reached. It knows no network and no process,
 * so anything may be searched with it, and anything may run the trials.
 *
 * - grid: every point once;
 * - list: points that are given;
 * - random: `trials` points drawn from the space;
 * - halving: asynchronous successive halving (Li et al. 2020, arXiv 1810.05934). A trial runs to the first
 *   rung's budget; of those that finished a rung the best 1/factor are promoted to the next, without waiting
 *   for the others. Only if nobody can be promoted a new trial begins. Several objectives are ranked by
 *   nondominated sorting (Schmucker et al. 2021, arXiv 2106.12639).
 */

import { type Objectives, oriented, paretoFront, ranked } from '../../insight/runs/pareto.js';
import type { Assignment } from './parameter.js';
import { checkSpace, gridPoints, randomPoint, type Space } from './space.js';

/** Budgets of successive halving: first, first·factor, first·factor², … up to last, which is always one. */
export interface Halving {
  readonly first: number;
  readonly factor: number;
  readonly last: number;
}

/** What is searched, and how. Plain data. */
export interface SearchOptions {
  readonly search: 'grid' | 'list' | 'random' | 'halving';
  readonly parameters?: Space;
  /** Points of a list. */
  readonly points?: readonly Assignment[];
  /** Values that are the same in all trials, for conditions to name. */
  readonly known?: Assignment;
  /** Number of trials of random and halving (default 10). */
  readonly trials?: number;
  /** Seed of draws (default 0). */
  readonly seed?: number;
  readonly objectives: Objectives;
  /** Budgets of halving. */
  readonly halving?: Halving;
}

/** One trial as it is asked for. */
export interface Trial {
  /** From 0; with the seed it says all of the trial's point. */
  readonly number: number;
  /** Rung of halving, else 0. A promoted trial comes again with the next one. */
  readonly rung: number;
  /** Budget of the rung; undefined: all of it. */
  readonly budget?: number;
  readonly point: Assignment;
}

/** What a trial reached, or that it could not be done. */
export type Told = { readonly values: Readonly<Record<string, number>> } | { readonly failed: string };

/** A trial with what it reached at the highest rung that it has finished. */
export interface FinishedTrial extends Trial {
  readonly values: Readonly<Record<string, number>>;
}

interface Entry extends Trial {
  told?: Told;
}

/** Budgets from the first rung to the last. */
export function budgetsOf({ first, factor, last }: Halving): number[] {
  const budgets: number[] = [];
  for (let budget = first; budget < last; budget *= factor) budgets.push(Math.floor(budget));
  return [...budgets, last];
}

const idOf = (trial: Pick<Trial, 'number' | 'rung'>): string => `${trial.number}/${trial.rung}`;

/** A search with what it has asked and been told so far. */
export class Search {
  readonly options: SearchOptions;
  readonly #points: readonly Assignment[] | undefined;
  readonly #budgets: readonly (number | undefined)[];
  readonly #entries = new Map<string, Entry>();
  #next = 0;

  constructor(options: SearchOptions) {
    checkOptions(options);
    this.options = options;
    const { search, parameters = {}, points, known, halving } = options;
    this.#points = search === 'grid' ? gridPoints(parameters, known) : search === 'list' ? points : undefined;
    this.#budgets = search === 'halving' && halving ? budgetsOf(halving) : [undefined];
  }

  /** Trials in all; of halving, those that begin. */
  get trials(): number {
    return this.#points?.length ?? this.options.trials ?? 10;
  }

  /** Trials that were asked for and not told yet. */
  get running(): number {
    return [...this.#entries.values()].filter(({ told }) => told === undefined).length;
  }

  /**
   * The next trial to run. Undefined: there is none now; with none running, the search is over, otherwise one
   * may come of the next result.
   */
  ask(): Trial | undefined {
    const trial = this.#promotion() ?? this.#beginning();
    if (trial !== undefined) this.begin(trial);
    return trial;
  }

  /** Counts a trial as running without having asked for it: one that an earlier process began. */
  begin(trial: Trial): void {
    this.#entries.set(idOf(trial), { ...trial });
  }

  /** @throws RangeError for a trial that is not running, or values that lack an objective */
  tell(trial: Pick<Trial, 'number' | 'rung'>, told: Told): void {
    const entry = this.#entries.get(idOf(trial));
    if (entry === undefined || entry.told !== undefined)
      throw new RangeError(
        `tell: expected a running trial, got trial ${trial.number} of rung ${trial.rung}; ask for it first`,
      );
    if ('values' in told) {
      const missing = Object.keys(this.options.objectives).find(
        (name) => !Number.isFinite(told.values[name]),
      );
      if (missing !== undefined)
        throw new RangeError(
          `tell: expected a number for each objective, got ${told.values[missing]} for ${missing}; tell a ` +
            'failure instead',
        );
    }
    entry.told = told;
  }

  /** Results of the highest rung that each trial has finished, by number. */
  finished(): FinishedTrial[] {
    const best = new Map<number, Entry>();
    for (const entry of this.#entries.values())
      if (entry.told && 'values' in entry.told && entry.rung >= (best.get(entry.number)?.rung ?? 0))
        best.set(entry.number, entry);
    return [...best.values()]
      .sort((a, b) => a.number - b.number)
      .map(({ told, ...trial }) => ({
        ...trial,
        values: (told as { values: Readonly<Record<string, number>> }).values,
      }));
  }

  /** The finished trials that no other beats in all objectives; of the highest rung reached. */
  front(): FinishedTrial[] {
    const all = this.finished();
    const top = all.filter(({ rung }) => rung === Math.max(...all.map((each) => each.rung)));
    const points = top.map(({ values }) => oriented(values, this.options.objectives));
    return paretoFront(points).map((i) => top[i] as FinishedTrial);
  }

  /** A trial of the best 1/factor of a rung, the highest rung first. */
  #promotion(): Trial | undefined {
    const factor = this.options.halving?.factor ?? 1;
    for (let rung = this.#budgets.length - 2; rung >= 0; rung--) {
      const done = [...this.#entries.values()]
        .filter((entry) => entry.rung === rung && entry.told !== undefined && 'values' in entry.told)
        .sort((a, b) => a.number - b.number);
      const points = done.map(({ told }) =>
        oriented((told as { values: Readonly<Record<string, number>> }).values, this.options.objectives),
      );
      const best = ranked(points).slice(0, Math.floor(done.length / factor));
      const promoted = best
        .map((i) => done[i] as Entry)
        .find(({ number }) => !this.#entries.has(idOf({ number, rung: rung + 1 })));
      if (promoted !== undefined) {
        const { number, point } = promoted;
        return { number, rung: rung + 1, budget: this.#budgets[rung + 1], point };
      }
    }
    return undefined;
  }

  #beginning(): Trial | undefined {
    while (this.#entries.has(idOf({ number: this.#next, rung: 0 }))) this.#next++;
    const number = this.#next;
    if (number >= this.trials) return undefined;
    const { parameters = {}, seed = 0, known } = this.options;
    const point = this.#points?.[number] ?? randomPoint(parameters, seed, number, known);
    return { number, rung: 0, budget: this.#budgets[0], point };
  }
}

function checkOptions({
  search,
  parameters = {},
  points,
  known,
  trials,
  objectives,
  halving,
}: SearchOptions) {
  checkSpace(parameters, known);
  const refuse = (expected: string, got: string, advice: string): never => {
    throw new RangeError(`search: expected ${expected}, got ${got}; ${advice}`);
  };
  if (Object.keys(objectives).length === 0) refuse('an objective', 'none', 'name at least one');
  if (trials !== undefined && !(Number.isInteger(trials) && trials >= 1))
    refuse('a whole number of trials', String(trials), 'give at least 1');
  if (search === 'list' && points === undefined) refuse('points with search list', 'none', 'give points');
  if (search !== 'halving') return;
  if (halving === undefined) return refuse('budgets with search halving', 'none', 'give halving');
  const { first, factor, last } = halving;
  if (!(Number.isInteger(first) && first >= 1 && Number.isInteger(last) && first <= last))
    refuse('whole budgets 1 ≤ first ≤ last', `${first} and ${last}`, 'change them');
  if (!(factor >= 2)) refuse('a factor of at least 2', String(factor), 'raise it');
}

/**
 * Begins a search: grid, list, random, or asynchronous successive halving over parameters with conditions.
 *
 * @returns `ask()` gives the next trial, `tell(trial, { values })` takes what it reached, `front()` the
 *  trials that no other beats in all objectives
 * @throws RangeError, in one line, for a space or options that cannot be
 * @example
 * ```js
 * import { createSearch } from 'tautnet';
 *
 * const parameters = {
 *   method: { values: ['plain', 'smoothed'] },
 *   sigma: { from: 0.001, to: 0.1, scale: 'log', when: { method: ['smoothed'] } },
 * };
 * const search = createSearch({ search: 'random', trials: 8, parameters, objectives: { loss: 'minimize' } });
 * for (let trial = search.ask(); trial !== undefined; trial = search.ask())
 *   search.tell(trial, { values: { loss: Math.abs(0.02 - (trial.point.sigma ?? 1)) } });
 * console.log(search.front());
 * ```
 */
export const createSearch = (options: SearchOptions): Search => new Search(options);
