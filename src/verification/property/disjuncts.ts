/**
 * Disjunctive normal form, one conjunction after the other: `and` is distributed over `or` by a search that
 * goes down one alternative of each `or` at a time, in the order of the file, and turns back where
 * constraints contradict each other.
 *
 * Nothing of the normal form is kept here but the path to the conjunction at hand, and nothing recurses.
 */
import type { Constraint, LinearConstraint } from '../../formats/vnnlib.js';

/** The conjunction at hand. */
export interface Conjunction<Mark> {
  /** Adds a constraint; false if it contradicts what is there. */
  assume(constraint: LinearConstraint): boolean;
  mark(): Mark;
  /** Takes back what was added since. */
  restore(mark: Mark): void;
}

interface Choice<Mark> {
  readonly alternatives: readonly Constraint[];
  next: number;
  /** The state before the choice. */
  readonly mark: Mark;
  readonly ors: number;
  readonly chosen: number;
}

/**
 * Calls `found` at each conjunction that `assume` does not refute.
 * @param found returns the steps that it took
 * @param limit of the steps in all, one for each constraint added
 * @returns false if the limit was reached
 */
export function forEachDisjunct<Mark>(
  constraint: Constraint,
  conjunction: Conjunction<Mark>,
  found: () => number,
  limit: number,
): boolean {
  const agenda: { items: readonly Constraint[]; next: number }[] = [{ items: [constraint], next: 0 }];
  /** The ors of this path in the order they were met; the first `chosen` have an alternative chosen. */
  const ors: (readonly Constraint[])[] = [];
  let chosen = 0;
  const choices: Choice<Mark>[] = [];
  let left = limit;

  const conjoinAgenda = (): boolean => {
    for (let cursor = agenda.at(-1); cursor !== undefined; cursor = agenda.at(-1)) {
      const item = cursor.items[cursor.next++];
      if (item === undefined) agenda.pop();
      else if (left-- <= 0) return false;
      else if ('and' in item) agenda.push({ items: item.and, next: 0 });
      else if ('or' in item) ors.push(item.or);
      else if (!conjunction.assume(item)) return false;
    }
    return true;
  };

  for (;;) {
    const consistent = conjoinAgenda();
    const alternatives = ors[chosen];
    if (consistent && alternatives !== undefined) {
      choices.push({ alternatives, next: 0, mark: conjunction.mark(), ors: ors.length, chosen: ++chosen });
    } else if (consistent) left -= found();
    if (left <= 0) return false;
    let choice = choices.at(-1);
    while (choice !== undefined && choice.next === choice.alternatives.length) {
      choices.pop();
      choice = choices.at(-1);
    }
    if (choice === undefined) return true;
    conjunction.restore(choice.mark);
    ors.length = choice.ors;
    chosen = choice.chosen;
    agenda.length = 0;
    agenda.push({ items: [choice.alternatives[choice.next++] as Constraint], next: 0 });
  }
}
