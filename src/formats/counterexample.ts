/**
 * Counterexamples as the verification competition writes them: the input, then the network's output at it,
 * one value a line.
 *
 * ```
 * ((X_0 0.25)
 * (X_1 -1e-7)
 * (Y_0 3.5))
 * ```
 * In a results file the verdict `sat` stands on a line of its own before it.
 * Source: rules of VNN-COMP 2022 and later.
 */
import { FormatError } from './format-error.js';
import { createLexer, errorAt, quoted } from './vnnlib/lexer.js';
import { parseNumber } from './vnnlib/number.js';

/** An input and the outputs there, flat, in the file's order. */
export interface Counterexample {
  readonly inputs: ArrayLike<number>;
  readonly outputs: ArrayLike<number>;
}

/**
 * The text, with a line break at its end; every float64 is read back as it was.
 * @throws FormatError for a value that is not finite
 */
export function encodeCounterexample({ inputs, outputs }: Counterexample): string {
  const lines = (letter: string, values: ArrayLike<number>) =>
    Array.from(values, (value, i) => {
      if (!Number.isFinite(value))
        throw new FormatError(`counterexample: expected finite values, got ${value} for ${letter}_${i}`);
      return `(${letter}_${i} ${value})`;
    });
  return `(${[...lines('X', inputs), ...lines('Y', outputs)].join('\n')})\n`;
}

/**
 * Reads what `encodeCounterexample` writes, in any order and layout, with or without the verdict before it.
 * @throws FormatError "source:line:column: …"
 */
export function decodeCounterexample(
  text: string,
  source = 'counterexample',
): { inputs: Float64Array; outputs: Float64Array } {
  const values = { X: new Map<number, number>(), Y: new Map<number, number>() };
  let depth = 0;
  let pair: string[] = [];
  let complete = false;
  const fail = (line: number, column: number, got: string): never => {
    throw errorAt(source, line, column, `expected ((X_0 value) … (Y_0 value) …), got ${quoted(got)}`);
  };
  const lexer = createLexer(source, {
    open(line, column) {
      if (++depth > 2 || complete) fail(line, column, '(');
      pair = [];
    },
    close(line, column) {
      if (--depth < 0) fail(line, column, ')');
      if (depth === 0) complete = true;
      if (depth !== 1) return;
      const [, letter, index] = /^([XY])_(0|[1-9][0-9]{0,8})$/.exec(pair[0] ?? '') ?? [];
      const value = parseNumber(pair[1] ?? '');
      if (pair.length !== 2 || index === undefined || !Number.isFinite(value))
        return fail(line, column, `(${pair.join(' ')})`);
      const known = values[letter as 'X' | 'Y'];
      if (known.has(Number(index))) fail(line, column, `${pair[0]} again`);
      known.set(Number(index), value as number);
    },
    word(word, line, column) {
      if (depth === 2) pair.push(word);
      else if (depth > 0 || complete || word !== 'sat') fail(line, column, word);
    },
  });
  lexer.push(Buffer.from(text));
  lexer.end();
  if (!complete)
    throw new FormatError(
      `${source}: expected ((X_0 value) … (Y_0 value) …), got ` +
        `${depth > 0 ? 'a text that is cut short' : 'none'}`,
    );
  const arrayOf = (letter: 'X' | 'Y') =>
    Float64Array.from({ length: values[letter].size }, (_, i) => {
      const value = values[letter].get(i);
      if (value === undefined)
        throw new FormatError(
          `${source}: expected a value for each of ${values[letter].size} ${letter}, got no ${letter}_${i}`,
        );
      return value;
    });
  return { inputs: arrayOf('X'), outputs: arrayOf('Y') };
}
