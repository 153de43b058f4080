/**
 * Reads tokens into a property, without recursion: what is open is a list of frames, one for each
 * parenthesis, so that depth costs memory and no stack.
 *
 * ```
 * command    = (declare-const X_i Real) | (declare-fun X_i () Real) | (assert constraint)
 *            | a command that says nothing of the property
 * constraint = (and constraint …) | (or constraint …) | (<= term term …), likewise >=, <, >, =
 * term       = number | variable | (+ term …) | (- term …) | (* term …) | (/ term constant …)
 * ```
 * `<` and `>` are marked as strict: a proof is one of the closure, a counterexample lies
 * in the open set. Comparisons of more than two terms hold for each neighbouring pair, as in
 * SMT-LIB. `not`, `=>`, `ite`, `let` and definitions are refused.
 *
 * Version 2.0 says so first, then declares networks (`network-declaration.ts`), then asserts:
 *
 * ```
 * query      = (vnnlib-version <2.0>) network … (assert constraint) …
 * constraint = as above, and (== term term), (!= term term); comparisons are of two terms of one type
 * variable   = X | X[n, n, …]
 * ```
 * An x != y is x < y or x > y. Beyond the standard a query may leave out its version, write = for ==, divide
 * by constants and give numbers an exponent.
 */

import { FormatError } from '../format-error.js';
import type { Constraint, VnnlibProperty } from './constraint.js';
import { createDeclarations } from './declarations.js';
import { exactOf } from './exact.js';
import { createLexer, errorAt, type Lexer, quoted, type TokenSink } from './lexer.js';
import { createNetworkDeclarations } from './network-declaration.js';
import { parseNumber } from './number.js';
import type { TensorDeclaration } from './tensor.js';
import { ARITHMETIC, createLessOrEqual, type Linear, type Operator, type Term } from './term.js';

const COMPARISONS = new Set(['<=', '>=', '<', '>', '=']);
/** What version 2.0 has beside them. */
const COMPARISONS_2 = new Set(['==', '!=']);
/** Commands for solvers that change nothing about the property. */
const IGNORED = new Set([
  'set-logic',
  'set-info',
  'set-option',
  'check-sat',
  'get-model',
  'get-value',
  'get-info',
  'get-option',
  'echo',
  'exit',
]);
/**
 * Operands and open parentheses that are kept at once: some 10⁹ bytes of memory, from files of more than 100
 * MB.
 */
const LARGEST = 2 ** 23;

/** Words of a network's declaration. */
const LARGEST_DECLARATION = 4096;

/** What a parenthesis holds; `new-…` where its first word has not come. */
type Kind =
  | 'new-command'
  | 'new-constraint'
  | 'new-term'
  | 'ignored'
  | 'declaration'
  | 'network'
  | 'assert'
  | 'junction'
  | 'comparison'
  | 'arithmetic';

interface Frame {
  kind: Kind;
  operator: string;
  readonly line: number;
  readonly column: number;
  /** How many constraints it holds so far. */
  count: number;
  /**
   * Of and, or and assert; the list of a parent with the same operator, so that (and (and a) b) is one list.
   */
  constraints?: Constraint[];
  terms?: Term[];
  words?: string[];
}

/** What errors expect as the first word. */
const FIRST_WORD: Readonly<Record<string, string>> = {
  'new-command': 'assert or declare-const',
  'new-constraint': 'and, or, <=, >=, <, > or =',
  'new-term': '+, -, * or /',
};

/** What a ( within a parenthesis begins. */
const WITHIN: Readonly<Partial<Record<Kind, Kind>>> = {
  ignored: 'ignored',
  assert: 'new-constraint',
  junction: 'new-constraint',
  comparison: 'new-term',
  arithmetic: 'new-term',
};

const joined = (operator: string, constraints: readonly Constraint[]): Constraint =>
  constraints.length === 1
    ? (constraints[0] as Constraint)
    : operator === 'and'
      ? { and: constraints }
      : { or: constraints };

/** What `compute` makes; constants that grow too long are refused at their place. */
function exactly<T>(fail: (message: string) => never, compute: () => T): T {
  try {
    return compute();
  } catch (error) {
    return error instanceof RangeError ? fail(`expected ${error.message}, got longer ones`) : raise(error);
  }
}
const raise = (error: unknown): never => {
  throw error;
};

export interface PropertyParser extends Lexer {
  /** The property, once all bytes have been pushed and ended. @throws FormatError */
  finish(): VnnlibProperty;
}

/** @param source what errors call the bytes, normally the file's path */
export function createParser(source: string): PropertyParser {
  const reader = new PropertyReader(source);
  const lexer = createLexer(source, reader);
  return { push: lexer.push, end: lexer.end, finish: () => reader.finish() };
}

type Fail = (message: string) => never;

/** Tokens in, a property out: the parentheses that are open are a stack of frames. */
class PropertyReader implements TokenSink {
  readonly #declarations = createDeclarations();
  readonly #networks = createNetworkDeclarations();
  /** Which version the file is of, once it is known. */
  #version: 1 | 2 | undefined;
  /** Parentheses open within declare-network. */
  #depth = 0;
  /** In version 2.0 a word that brackets may follow, or one whose bracket is open, as in X [0, 1]. */
  #begun = { text: '', line: 0, column: 0 };
  /** The first variable of the comparison at hand, whose type the others have. */
  #typed: TensorDeclaration | undefined;
  readonly #lessOrEqual = createLessOrEqual();
  readonly #frames: Frame[] = [];
  readonly #asserted: Constraint[] = [];
  #top: Frame | undefined;
  #held = 0;

  constructor(readonly source: string) {}

  readonly open = (line: number, column: number): void => {
    this.#finishBegun();
    const top = this.#top;
    if (top?.kind === 'declaration' || top?.kind === 'network') {
      if (top.kind === 'network') this.#depth++;
      this.#whole('(', line, column);
      return;
    }
    const kind = top === undefined ? 'new-command' : WITHIN[top.kind];
    if (kind === undefined)
      throw errorAt(
        this.source,
        line,
        column,
        `expected ${FIRST_WORD[top?.kind as string]} after (, got another (`,
      );
    this.#hold(line, column);
    this.#top = { kind, operator: '', line, column, count: 0 };
    this.#frames.push(this.#top);
  };

  readonly word = (part: string, line: number, column: number): void => {
    if (this.#version !== 2) {
      this.#whole(part, line, column);
      return;
    }
    const { text } = this.#begun;
    const isOpen = text.includes('[');
    if (isOpen || (text !== '' && part.startsWith('['))) {
      this.#begun.text = isOpen ? `${text} ${part}` : `${text}${part}`;
      if (part.includes(']')) this.#finishBegun();
      return;
    }
    this.#finishBegun();
    const waits = part.includes('[') ? !part.includes(']') : /^[A-Za-z]/.test(part);
    if (waits) this.#begun = { text: part, line, column };
    else this.#whole(part, line, column);
  };

  /** The word that waited for brackets, now that it is whole. */
  #finishBegun(): void {
    const { text, line, column } = this.#begun;
    if (text === '') return;
    if (text.includes('[') && !text.includes(']'))
      this.#failAt(line, column, `expected ] after ${quoted(text)}, got none`);
    this.#begun = { text: '', line, column };
    this.#whole(text, line, column);
  }

  /** A word with its brackets. */
  #whole(text: string, line: number, column: number): void {
    const top = this.#top;
    if (top === undefined) this.#failAt(line, column, `expected ( and a command, got ${quoted(text)}`);
    else if (top.terms !== undefined) {
      this.#hold(line, column);
      top.terms.push(this.#termOf(text, line, column));
    } else if (top.words !== undefined) {
      if (top.words.push(text) > (top.kind === 'network' ? LARGEST_DECLARATION : 4))
        this.#failAt(line, column, `expected ) after the declaration, got ${quoted(text)}`);
    } else if (top.constraints !== undefined)
      this.#failAt(line, column, `expected a constraint such as (<= X_0 1), got ${quoted(text)}`);
    else if (top.kind !== 'ignored') this.#begin(top, text, (message) => this.#failAt(line, column, message));
  }

  readonly close = (line: number, column: number): void => {
    this.#finishBegun();
    const frame = this.#top;
    if (frame === undefined)
      throw errorAt(this.source, line, column, 'expected ( and a command, got ) that closes nothing');
    if (frame.kind === 'network' && this.#depth > 0) {
      this.#depth--;
      this.#whole(')', line, column);
      return;
    }
    if (frame.kind === 'declaration' && frame.words?.at(-1) === '(') {
      this.#whole(')', line, column);
      return;
    }
    if (frame.kind.startsWith('new-'))
      this.#failAt(line, column, `expected ${FIRST_WORD[frame.kind]} after (, got )`);
    const fail = this.#failIn(frame);
    this.#frames.pop();
    this.#top = this.#frames[this.#frames.length - 1];
    // What a sum holds stays until the comparison around it is complete.
    if (frame.kind !== 'arithmetic') this.#held--;
    if (frame.kind === 'declaration') this.#declare(frame, fail);
    else if (frame.kind === 'network') this.#networks.declare(frame.words as string[], fail);
    else if (frame.kind === 'arithmetic') this.#closeSum(frame, fail, line, column);
    else if (frame.kind !== 'ignored') this.#closeConstraint(frame, fail, line, column);
  };

  /** The property, once all bytes have been read. @throws FormatError */
  finish(): VnnlibProperty {
    const { source } = this;
    const open = this.#frames.length;
    if (this.#top !== undefined)
      this.#failIn(this.#top)(
        `expected ) for the ( here, got the end of the file (${open} ` +
          `${open === 1 ? 'is' : 'are'} open); the file may be cut short`,
      );
    const { networks } = this.#networks;
    if (this.#version === 2 && networks.length === 0)
      throw new FormatError(`${source}: expected a declare-network in a query of VNN-LIB 2.0, got none`);
    const { inputs, outputs } = this.#version === 2 ? this.#networks : this.#declarations.sizes(source);
    if (this.#asserted.length === 0)
      throw new FormatError(
        `${source}: expected at least one assert, got none; a property bounds the inputs and says which ` +
          'outputs are unsafe',
      );
    const constraint = { and: this.#asserted };
    return { source, inputs, outputs, constraint, ...(this.#version === 2 && { networks }) };
  }

  #failAt(line: number, column: number, message: string): never {
    throw errorAt(this.source, line, column, message);
  }

  #failIn({ line, column }: Frame): Fail {
    return (message) => this.#failAt(line, column, message);
  }

  #hold(line: number, column: number): void {
    if (++this.#held > LARGEST)
      this.#failAt(
        line,
        column,
        `expected at most ${LARGEST} operands and open parentheses, got more; split the property into ` +
          'several files',
      );
  }

  /** The first word of a parenthesis. */
  #begin(frame: Frame, text: string, fail: Fail): void {
    const expected = FIRST_WORD[frame.kind];
    frame.operator = text;
    if (frame.kind === 'new-command') this.#beginCommand(frame, text, fail);
    else if (frame.kind === 'new-term') {
      if (!Object.hasOwn(ARITHMETIC, text)) fail(`expected ${expected}, got ${quoted(text)}`);
      frame.kind = 'arithmetic';
      frame.terms = [];
    } else if (text === 'and' || text === 'or') {
      const parent = this.#frames[this.#frames.length - 2];
      const shared = parent?.operator === text || (text === 'and' && parent?.kind === 'assert');
      frame.kind = 'junction';
      frame.constraints = shared ? parent?.constraints : [];
    } else if (COMPARISONS.has(text) || (this.#version === 2 && COMPARISONS_2.has(text))) {
      frame.kind = 'comparison';
      frame.terms = [];
      this.#typed = undefined;
    } else {
      fail(
        `expected ${expected}, got ${quoted(text)}${text === 'not' ? '; write the opposite comparison' : ''}`,
      );
    }
  }

  #beginCommand(frame: Frame, text: string, fail: Fail): void {
    if (text === 'assert') {
      frame.kind = 'assert';
      frame.constraints = this.#asserted;
    } else if (text === 'declare-const' || text === 'declare-fun') {
      if (this.#version === 2) fail(`expected declare-network or assert in version 2.0, got ${text}`);
      this.#version = 1;
      frame.kind = 'declaration';
      frame.words = [];
    } else if (text === 'declare-network') {
      if (this.#version === 1) fail('expected variables of version 1.0 alone, got declare-network');
      if (this.#asserted.length > 0) fail('expected all networks before the first assert, got one after it');
      this.#version = 2;
      frame.kind = 'network';
      frame.words = [];
    } else if (text === 'vnnlib-version') {
      if (this.#version !== undefined) fail('expected vnnlib-version once, before all else, got it later');
      frame.kind = 'declaration';
      frame.words = [];
    } else if (IGNORED.has(text)) frame.kind = 'ignored';
    else fail(`expected ${FIRST_WORD['new-command']}, got ${quoted(text)}`);
  }

  /** Variables of version 1.0, or the version itself. */
  #declare({ operator, words = [] }: Frame, fail: Fail): void {
    if (operator !== 'vnnlib-version') {
      this.#declarations.declare(words, fail);
      return;
    }
    const text = words.join(' ');
    const [, version] = /^<?(1|2)\.\d{1,9}>?$/.exec(text) ?? [];
    if (version === undefined) fail(`expected VNN-LIB <1.0> or <2.0>, got ${quoted(text)}`);
    this.#version = version === '2' ? 2 : 1;
  }

  #termOf(text: string, line: number, column: number): Term {
    const fail: Fail = (message) => this.#failAt(line, column, message);
    const value =
      parseNumber(text) ??
      (this.#version === 2 ? this.#elementOf(text, fail) : this.#declarations.find(text));
    if (value === undefined)
      return fail(`expected a number or a variable that is declared above, got ${quoted(text)}`);
    if (typeof value === 'object') return value;
    return Number.isFinite(value)
      ? exactOf(text, value)
      : fail(`expected a finite number within float64, got ${quoted(text)}`);
  }

  /** An element of a tensor, of the type that the comparison around it has. */
  #elementOf(text: string, fail: Fail): Linear | undefined {
    const found = this.#networks.elementOf(text, fail);
    if (found === undefined) return undefined;
    const { tensor, variable } = found;
    this.#typed ??= tensor;
    if (this.#typed.type !== tensor.type)
      fail(
        `expected one type in a comparison, got ${this.#typed.type} of ${this.#typed.name} and ` +
          `${tensor.type} of ${tensor.name}`,
      );
    return { factor: 1, variable };
  }

  #compare({ terms = [], operator }: Frame, fail: Fail): Constraint {
    if (terms.length < 2 || (terms.length > 2 && this.#version === 2))
      fail(`expected two operands of ${operator}, got ${terms.length}`);
    const parts: Constraint[] = [];
    const strict = operator === '<' || operator === '>' || operator === '!=';
    for (let k = 1; k < terms.length; k++) {
      const [left, right] = [terms[k - 1] as Term, terms[k] as Term];
      if (operator === '!=') {
        const [below, above] = [
          this.#lessOrEqual(left, right, fail, strict),
          this.#lessOrEqual(right, left, fail, strict),
        ];
        parts.push({ or: [below, above] });
        continue;
      }
      if (operator !== '>=' && operator !== '>') parts.push(this.#lessOrEqual(left, right, fail, strict));
      if (operator !== '<=' && operator !== '<') parts.push(this.#lessOrEqual(right, left, fail, strict));
    }
    return parts.length === 1 ? (parts[0] as Constraint) : { and: parts };
  }

  #closeSum({ operator, terms }: Frame, fail: Fail, line: number, column: number): void {
    if (terms?.length === 0) this.#failAt(line, column, `expected an operand of ${operator}, got none`);
    this.#top?.terms?.push(exactly(fail, () => (ARITHMETIC[operator] as Operator)(terms as Term[], fail)));
  }

  #closeConstraint(frame: Frame, fail: Fail, line: number, column: number): void {
    const { kind, operator, constraints } = frame;
    if (kind !== 'comparison' && frame.count === 0)
      this.#failAt(line, column, `expected a constraint in ${operator}, got none`);
    if (kind === 'assert') return;
    const parent = this.#top as Frame;
    if (++parent.count > 1 && parent.kind === 'assert')
      fail('expected one constraint in assert, got another; join them by and');
    if (kind === 'comparison') parent.constraints?.push(exactly(fail, () => this.#compare(frame, fail)));
    else if (constraints !== parent.constraints)
      parent.constraints?.push(joined(operator, constraints as Constraint[]));
  }
}
