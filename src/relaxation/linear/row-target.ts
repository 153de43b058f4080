/** What bounds by rows are asked for, whoever computes them. */
import type { BoundProblem, Bounds } from '../relaxation.js';
import type { RowRule } from './row-rule.js';

/** Bounds by rows that are asked for. */
export interface RowTarget {
  readonly problem: BoundProblem;
  /** The node whose output is bounded. */
  readonly node: number;
  readonly rule: RowRule;
  /** Bounds of the nodes before it. */
  at(node: number): Bounds;
  /** Bounds that decide which neurons get a row, and that the others keep. */
  readonly cheap: Bounds;
  /** Names of the bounds afterwards. */
  readonly refined: Readonly<Record<keyof Bounds, string>>;
  /** Whether every neuron gets a row. */
  readonly all: boolean;
}

/** Names under which stages of rows leave the cheap bounds of a node. */
export const cheapNames = ({
  rule,
  node,
}: Pick<RowTarget, 'rule' | 'node'>): Record<keyof Bounds, string> => ({
  lower: `${rule.name} rows:${node}:cheap lower`,
  upper: `${rule.name} rows:${node}:cheap upper`,
});
