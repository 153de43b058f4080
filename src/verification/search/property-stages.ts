/** The stages that a property's polytopes climb: an attack, bounds of whole boxes, the complete search. */
import { crownIsAffordable } from '../../relaxation/linear/crown.js';
import { splitsInputs } from '../branch-and-bound/search.js';
import type { Counterexample } from '../proof/counterexample.js';
import { renumbered } from '../proof/trace.js';
import type { Polytope } from '../property/property.js';
import { createCompleteSearch } from './complete-search.js';
import { modelAttack } from './model-attack.js';
import { outOfRange } from './output-range.js';
import type { PropertyClimb, PropertyStage } from './property-climb.js';
import { type RootProblem, type RootStage, rootBounds } from './root-bounds.js';

/** A counterexample that was found among the open polytopes, by its number in the property. */
const ofProperty = (open: readonly number[], counterexample: Counterexample): Counterexample => ({
  ...counterexample,
  polytope: open[counterexample.polytope] as number,
});

/** What the last layer alone excludes, before anybody attacks it. */
const rangeStage: PropertyStage = {
  name: 'ibp',
  async run(open, { context, polytopes }, decide) {
    for (const index of open)
      if (outOfRange(context.network, polytopes[index] as Polytope)) decide(index, { stage: 'ibp' });
  },
};

const attackStage: PropertyStage = {
  name: 'attack',
  async run(open, climb, decide) {
    climb.tell('attack');
    const { deadline } = climb.limits;
    const polytopes = climb.openPolytopes(open);
    const found =
      (await climb.attack.next(polytopes, { deadline })) ??
      (await modelAttack(climb.context, polytopes, deadline));
    if (found === undefined) return;
    const counterexample = ofProperty(open, found);
    decide(counterexample.polytope, { stage: 'attack', counterexample });
  },
};

/** Boxes that are bounded one by one before the search. */
const MANY_BOXES = 16;

/** Reason for which bounds by one relaxation are left out, if they are. */
function whyUnbounded(stage: RootStage, climb: PropertyClimb): string | undefined {
  const { context, polytopes, limits } = climb;
  if (limits.sound && stage === 'crown' && !limits.boundsFirst)
    return 'the search bounds only what is unstable, which takes less in float64';
  const many = new Set(polytopes.map(({ box }) => box)).size > MANY_BOXES;
  if (many && splitsInputs(context.network, polytopes) && !(limits.boundsFirst && stage === 'ibp'))
    return 'a search that bounds many boxes at once does so sooner';
  if (climb.late()) return 'no time is left';
  return stage === 'crown' && !crownIsAffordable(context.network)
    ? 'the network is too large for it'
    : undefined;
}

const boundStage = (stage: RootStage): PropertyStage => ({
  name: stage,
  skipped: (climb) => whyUnbounded(stage, climb),
  async run(open, climb, decide) {
    const { signal } = climb.context;
    climb.tell(stage);
    const problem: RootProblem = {
      ...climb.context,
      over: () => climb.late() || signal?.aborted === true,
      sound: climb.limits.sound,
      ...(climb.limits.boundsFirst && stage === 'ibp' && { columns: MANY_BOXES }),
    };
    const polytopes = climb.openPolytopes(open);
    const found = await rootBounds(problem, stage, polytopes);
    signal?.throwIfAborted();
    if (found === undefined) return;
    climb.subproblems = Math.max(climb.subproblems, new Set(polytopes.map(({ box }) => box)).size);
    open.forEach((index, k) => {
      climb.raise(index, found[k]?.lower ?? Number.NEGATIVE_INFINITY);
      if (found[k]?.proved) decide(index, { stage });
    });
    climb.tell(stage);
  },
});

/** α-CROWN, then branch and bound, which share their programs: one stage, whose verdicts name the part. */
const searchStage: PropertyStage = {
  name: 'branch-and-bound',
  skipped: (climb) => (climb.late() ? 'no time is left' : undefined),
  async run(open, climb, decide) {
    const { context, attack, limits } = climb;
    const { deadline, memoryBytes, sound, traced } = limits;
    const before = climb.subproblems;
    const { verdict, stage, reason, traces, ...found } = await createCompleteSearch(context, sound)(
      climb.openPolytopes(open),
      {
        deadline,
        memoryBytes,
        attack,
        traced: traced !== undefined,
        progress: (state) =>
          climb.tell(state.stage, before + state.subproblems, climb.lowerBound(open, state.lowerBound)),
      },
    );
    climb.subproblems = before + found.subproblems;
    climb.unfinished = reason ?? 'leaves';
    if (found.counterexample) {
      // A search that a counterexample ends knows no bound of what it leaves.
      const counterexample = ofProperty(open, found.counterexample);
      decide(counterexample.polytope, { stage, counterexample });
      return;
    }
    for (const index of open) climb.raise(index, found.lowerBound);
    traced?.((traces ?? []).map((trace) => renumbered(trace, (k) => open[k] as number)));
    if (verdict === 'proved') for (const index of open) decide(index, { stage });
  },
};

const boundStages = [boundStage('ibp'), boundStage('crown')] as const;

/** Cheapest first; an attack before bounds of whole boxes, or behind them. */
export const propertyStages = (boundsFirst: boolean): readonly PropertyStage[] =>
  boundsFirst
    ? [rangeStage, ...boundStages, attackStage, searchStage]
    : [rangeStage, attackStage, ...boundStages, searchStage];
