/**
 * The variables of a VNN-LIB file: inputs X_0 … X_{n−1} and outputs Y_0 … Y_{m−1}, all Real, in any order.
 *
 * They stand for the network's input and output tensors in row-major order, so their numbers must have no
 * gap.
 */
import { FormatError } from '../format-error.js';
import { outputVariable } from './constraint.js';
import { quoted } from './lexer.js';
import type { Linear } from './term.js';

const NAME = /^([XY])_(0|[1-9][0-9]{0,8})$/;

export interface Declarations {
  /** The words after `declare-const` or `declare-fun`; `fail` throws what is wrong with them. */
  declare(words: readonly string[], fail: (message: string) => never): void;
  /** The variable of that name, undefined where it is not declared. */
  find(name: string): Linear | undefined;
  /** How many inputs and outputs there are. @throws FormatError when one is missing */
  sizes(source: string): { inputs: number; outputs: number };
}

export function createDeclarations(): Declarations {
  const variables = new Map<string, Linear>();
  const counts = { X: 0, Y: 0 };

  const declare = (words: readonly string[], fail: (message: string) => never): void => {
    const [name = '', ...type] = words;
    const match = NAME.exec(name);
    if (match === null) fail(`expected a variable X_0, X_1, … or Y_0, Y_1, …, got ${quoted(name) || 'none'}`);
    const sort = type.join('') === '()Real' ? 'Real' : type.join(' ');
    if (sort !== 'Real') fail(`expected ${name} to be declared Real, got ${quoted(sort) || 'nothing'}`);
    if (variables.has(name)) fail(`expected every variable to be declared once, got ${name} again`);
    const [letter, index] = [match?.[1] as 'X' | 'Y', Number(match?.[2])];
    counts[letter]++;
    variables.set(name, { factor: 1, variable: letter === 'X' ? index : outputVariable(index) });
  };

  const sizeOf = (letter: 'X' | 'Y', source: string): number => {
    // n names without a gap are exactly those below n.
    for (let i = 0; i < Math.max(1, counts[letter]); i++) {
      if (variables.has(`${letter}_${i}`)) continue;
      const others =
        counts[letter] === 0
          ? `no ${letter === 'X' ? 'input' : 'output'} is declared`
          : `${counts[letter]} others are declared`;
      throw new FormatError(
        `${source}: expected ${letter === 'X' ? 'inputs' : 'outputs'} numbered from ${letter}_0 on ` +
          `without a gap, got no ${letter}_${i} (${others})`,
      );
    }
    return counts[letter];
  };

  return {
    declare,
    find: (name) => variables.get(name),
    sizes: (source) => ({ inputs: sizeOf('X', source), outputs: sizeOf('Y', source) }),
  };
}
