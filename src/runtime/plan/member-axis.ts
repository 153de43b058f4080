/**
 * Which arrays of a plan differ between the members of a population. Those have a leading axis of members;
 * all others are shared, made once and fed once.
 */
import { type EncodedProgram, encodeProgram } from '../../graph/encode.js';
import type { Lifting } from '../../graph/lift.js';
import { broadcastTo } from '../../graph/operators/broadcasting.js';
import { reshape } from '../../graph/operators/layout.js';
import { input, inputName, isInput } from '../../graph/operators/leaves.js';
import { type Tensor, topologicalOrder } from '../../graph/tensor.js';

/** The name of the first value of an array of a state. */
export const firstName = (name: string): string => `first ${name}`;

export interface MemberAxis {
  /** Says of named arrays that they have the axis. */
  mark(names: Iterable<string>): void;
  /**
   * Once for each member, arrays of a `state` that begin as ones which members share, by `firstName`; `next`
   * tells their shapes. Undefined where there is none.
   */
  repeated(
    state: Readonly<Record<string, string>>,
    next: Readonly<Record<string, Tensor>>,
  ): Readonly<Record<string, Tensor>> | undefined;
  /**
   * A program of the plan. Its outputs have the axis where they depend on something that has it, or all of
   * them, or those that `every` names.
   */
  encode(
    outputs: Readonly<Record<string, Tensor>>,
    every?: 'all' | ((name: string) => boolean),
  ): EncodedProgram;
}

/** Without a population no array has the axis. `always` tells names that have it whoever makes them. */
export function memberAxis(lifting: Lifting | undefined, always: (name: string) => boolean): MemberAxis {
  const marked = new Set(lifting?.inputs.keys());
  return {
    mark(names) {
      for (const name of names) marked.add(name);
    },
    repeated(state, next) {
      const shared = Object.entries(state).filter(([, from]) => !marked.has(from));
      if (lifting === undefined || shared.length === 0) return undefined;
      const ofEach = ([name, from]: readonly [string, string]) => {
        const { shape, dtype } = next[name] as Tensor;
        return [
          firstName(name),
          broadcastTo(reshape(input(from, shape, dtype), [1, ...shape]), [lifting.members, ...shape]),
        ] as const;
      };
      return Object.fromEntries(shared.map(ofEach));
    },
    encode(outputs, every = always) {
      if (lifting === undefined) return encodeProgram(outputs);
      const { members } = lifting;
      const inputs = new Map(lifting.inputs);
      for (const x of topologicalOrder(Object.values(outputs)).filter(isInput)) {
        const name = inputName(x);
        if (!inputs.has(name) && (marked.has(name) || always(name)))
          inputs.set(name, input(name, [members, ...x.shape], x.dtype));
      }
      return encodeProgram(outputs, {
        lifting: { members, inputs },
        everyMember: every === 'all' ? () => true : every,
      });
    },
  };
}
