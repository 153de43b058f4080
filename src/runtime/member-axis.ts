/**
 * Which arrays of a plan differ between the members of a population. Those have a leading axis of members; all others are shared, made
 * once and fed once.
 */
import { type EncodedProgram, encodeProgram } from '../graph/encode.js';
import type { Lifting } from '../graph/lift.js';
import { input, inputName, isInput } from '../graph/operators/leaves.js';
import { type Tensor, topologicalOrder } from '../graph/tensor.js';

export interface MemberAxis {
  /** Says of named arrays that they have the axis. */
  mark(names: Iterable<string>): void;
  isMarked(name: string): boolean;
  /** A program of the plan. Its outputs have the axis where they depend on something that has it, or all of them, or those that `every` names. */
  encode(outputs: Readonly<Record<string, Tensor>>, every?: 'all' | ((name: string) => boolean)): EncodedProgram;
}

/** Without a population no array has the axis. `always` tells names that have it whoever makes them. */
export function memberAxis(lifting: Lifting | undefined, always: (name: string) => boolean): MemberAxis {
  const marked = new Set(lifting?.inputs.keys());
  return {
    mark(names) {
      for (const name of names) marked.add(name);
    },
    isMarked: (name) => marked.has(name),
    encode(outputs, every = always) {
      if (lifting === undefined) return encodeProgram(outputs);
      const { members } = lifting;
      const inputs = new Map(lifting.inputs);
      for (const x of topologicalOrder(Object.values(outputs)).filter(isInput)) {
        const name = inputName(x);
        if (!inputs.has(name) && (marked.has(name) || always(name))) inputs.set(name, input(name, [members, ...x.shape], x.dtype));
      }
      return encodeProgram(outputs, { lifting: { members, inputs }, everyMember: every === 'all' ? () => true : every });
    },
  };
}
