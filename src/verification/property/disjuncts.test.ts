import { describe, expect, it } from 'vitest';
import type { Constraint, LinearConstraint } from '../../formats/vnnlib.js';
import { type Conjunction, forEachDisjunct } from './disjuncts.js';

const atom = (bound: number): LinearConstraint => ({ variables: [0], coefficients: [1], bound });
const or = (...parts: Constraint[]): Constraint => ({ or: parts });
const and = (...parts: Constraint[]): Constraint => ({ and: parts });

/** A list of bounds; a negative one contradicts everything. */
function bounds(): Conjunction<number> & { list: number[]; assumed: number } {
  const list: number[] = [];
  return {
    list,
    assumed: 0,
    assume({ bound }) {
      this.assumed++;
      list.push(bound);
      return bound >= 0;
    },
    mark: () => list.length,
    restore(mark) {
      list.length = mark;
    },
  };
}
function disjuncts(constraint: Constraint, limit = 1000) {
  const conjunction = bounds();
  const found: string[] = [];
  const complete = forEachDisjunct(
    constraint,
    conjunction,
    () => found.push(conjunction.list.join('')) * 0,
    limit,
  );
  return { found, complete, assumed: conjunction.assumed };
}

describe('the disjunctive normal form', () => {
  it('has one conjunction for each choice, in the order of the formula', () => {
    const formula = and(
      or(atom(1), atom(2)),
      atom(0),
      or(atom(3), and(atom(4), or(atom(5), atom(6)))),
      atom(7),
    );
    expect(disjuncts(formula).found).toEqual(['0713', '07145', '07146', '0723', '07245', '07246']);
  });

  it('holds all that ands within ands demand', () => {
    const nested = and(and(atom(1), and(atom(2), and(atom(3), atom(4)), atom(5))), atom(6));
    expect(disjuncts(nested).found).toEqual(['123456']);
    expect(disjuncts(or(nested, and(and(and(atom(7)), atom(8))))).found).toEqual(['123456', '78']);
  });

  it('leaves out what contradicts itself, before it is multiplied', () => {
    const tens = or(...Array.from({ length: 10 }, (_, i) => atom(i)));
    const { found, assumed } = disjuncts(and(or(atom(-1), atom(1)), tens, tens, atom(2)));
    expect(found).toHaveLength(100);
    expect(assumed).toBe(1 + 2 + 10 + 100);
    expect(disjuncts(and(atom(-1), tens))).toEqual({ found: [], complete: true, assumed: 1 });
  });

  it('stops at the limit of steps, also where nothing is ever found', () => {
    const twice = or(atom(1), atom(2));
    const many = Array.from({ length: 60 }, () => twice);
    const { complete, assumed } = disjuncts(and(...many, or(atom(-1), atom(-2))), 10_000);
    expect(complete).toBe(false);
    expect(assumed).toBeLessThanOrEqual(10_000);
  });

  it('goes down 100,000 nested choices without recursion', () => {
    let formula: Constraint = atom(1);
    for (let k = 0; k < 1e5; k++) formula = or(and(formula, atom(0)), atom(-1));
    expect(disjuncts(formula, 1e6).found).toHaveLength(1);
  });
});
