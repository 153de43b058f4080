import { existsSync, readdirSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { boxAsserts, declarations, formula, print, spaces } from '../testing/vnnlib-text.js';
import { FileError } from './file-error.js';
import { FormatError } from './format-error.js';
import { createParser } from './vnnlib/parser.js';
import { type Constraint, parseVnnlib, readVnnlib } from './vnnlib.js';

const header = declarations(2, 2);
/** What is asserted after two inputs and two outputs are declared. */
const asserted = (text: string): readonly Constraint[] => {
  const { constraint } = parseVnnlib(header + text, 'p.vnnlib');
  return 'and' in constraint ? constraint.and : [];
};
/** The message for a text, the only kind of error that reading it may give. */
const refusal = (text: string): string => {
  try {
    parseVnnlib(text, 'p.vnnlib');
  } catch (error) {
    expect(error).toBeInstanceOf(FormatError);
    return (error as Error).message;
  }
  return 'accepted';
};
const at = (text: string): string => refusal(header + text);

describe('VNN-LIB', () => {
  it('counts inputs and outputs and keeps each constraint as a linear one', () => {
    const property = parseVnnlib(
      `; a comment\n${header}(assert (>= X_1 -0.5))(assert (<= Y_0 Y_1))`,
      'p.vnnlib',
    );
    expect(property).toEqual({
      source: 'p.vnnlib',
      inputs: 2,
      outputs: 2,
      constraint: {
        and: [
          { variables: [1], coefficients: [-1], bound: 0.5 },
          { variables: [-2, -1], coefficients: [-1, 1], bound: 0 },
        ],
      },
    });
  });

  it.each([
    ['(<= X_0 1e-3)', [0], [1], 0.001],
    ['(<= X_0 (- 2.5E+1))', [0], [1], -25],
    ['(>= 1 X_0)', [0], [1], 1],
    ['(< (* 2 (+ X_0 (/ X_0 2) 1)) (- 3 X_0))', [0], [4], 1, true],
    ['(<= (- X_0) (- 5 1 2))', [0], [-1], 2],
    ['(<= (- Y_0 Y_0) 3)', [], [], 3],
    ['(<= (* (- 2) (* 3 (- Y_1 1))) 0)', [-2], [-6], -6],
  ])('reads %s', (text, variables, coefficients, bound, strict = false) => {
    expect(asserted(`(assert ${text})`)).toEqual([
      { variables, coefficients, bound, ...(strict && { strict }) },
    ]);
  });

  it.each([
    ['(<= (+ Y_0 1e17) (+ 1e17 0.9))', 1, 0.9],
    ['(<= (+ Y_0 0.1 0.2) 0.3)', 1, 0],
    ['(<= (* 3 (/ Y_0 3)) (- 1e300 1e300 -7))', 1, 7],
    ['(<= (* 1e200 (* 1e200 (/ Y_0 1e300))) 1e100)', 1e100, 1e100],
    ['(<= (+ Y_0 1e-400) 0)', 1, -0 + 0],
  ])('folds the constants of %s exactly', (text, coefficient, bound) => {
    const [found] = asserted(`(assert ${text})`);
    expect(found).toMatchObject({ variables: [-1], coefficients: [coefficient] });
    expect((found as { bound: number }).bound).toBeCloseTo(bound, 15);
  });

  it('rounds decimals to the nearest float64, however long they are', () => {
    const [long] = asserted(
      `(assert (<= X_0 0.1000000000000000055511151231257827021181583404541015625${'0'.repeat(900)}1))`,
    );
    expect(long).toMatchObject({ bound: 0.1 });
    const [above] = asserted('(assert (<= X_0 0.10000000000000001249000902703301107976585626602172851563))');
    expect(above).toMatchObject({ bound: 0.1 + 2 ** -56 });
  });

  it('joins nested junctions of one kind into one list, and drops those of one member', () => {
    const [or] = asserted('(assert (and (or (or (<= X_0 1)) (or (<= X_0 2) (and (and (<= X_0 3)))))))');
    expect(or).toMatchObject({ or: [{ bound: 1 }, { bound: 2 }, { bound: 3 }] });
  });

  it('passes over commands for solvers, quoted text and a byte order mark', () => {
    const commands =
      '\ufeff(set-logic QF_LRA)(set-info :source |a ) ( \n b|)(set-info :x (1 (2 "3)")))(declare-fun X_0 () Real)(declare-const Y_0 Real)';
    expect(parseVnnlib(`${commands}(assert (<= X_0 Y_0))(check-sat)(get-model)(exit)`)).toMatchObject({
      inputs: 1,
      outputs: 1,
    });
  });

  it('reads the same from bytes cut anywhere', () => {
    fc.assert(
      fc.property(formula(2, 2), spaces, fc.array(fc.nat(40), { minLength: 1 }), (tree, space, cuts) => {
        const bytes = Buffer.from(`${header}; Größe\n(set-info :a |x\ny|)(assert ${print(tree, space)})`);
        const parser = createParser('p.vnnlib');
        for (let from = 0, k = 0; from < bytes.length; k++) {
          const size = (cuts[k % cuts.length] as number) + (k % 2);
          parser.push(bytes.subarray(from, from + size));
          from += size;
        }
        parser.end();
        expect(parser.finish()).toEqual(parseVnnlib(bytes, 'p.vnnlib'));
      }),
    );
  });

  it.each([
    [
      'an undeclared variable',
      '(assert (<= X_2 1))',
      'p.vnnlib:5:13: expected a number or a variable that is declared above, got X_2',
    ],
    [
      'a variable declared twice',
      '(declare-const X_1 Real)',
      'p.vnnlib:5:1: expected every variable to be declared once, got X_1 again',
    ],
    [
      'a type other than Real',
      '(declare-const X_2 Int)',
      'p.vnnlib:5:1: expected X_2 to be declared Real, got Int',
    ],
    [
      'a name that is no variable',
      '(declare-const Z Real)',
      'p.vnnlib:5:1: expected a variable X_0, X_1, … or Y_0, Y_1, …, got Z',
    ],
    [
      'a number with a leading zero as index',
      '(declare-const X_02 Real)',
      'p.vnnlib:5:1: expected a variable',
    ],
    [
      'a product of variables',
      '(assert (<= (* X_0 Y_0) 1))',
      'p.vnnlib:5:13: expected a product with at most one factor that is not constant',
    ],
    [
      'a division by a variable',
      '(assert (<= (/ 1 Y_0) 1))',
      'p.vnnlib:5:13: expected a division by a constant, got a non-linear one',
    ],
    [
      'a division by zero',
      '(assert (<= (/ Y_0 (- 1 1)) 1))',
      'p.vnnlib:5:13: expected a division by a constant other than 0',
    ],
    ['NaN', '(assert (<= X_0 NaN))', 'p.vnnlib:5:17: expected a finite number within float64, got NaN'],
    [
      'infinity',
      '(assert (<= X_0 -inf))',
      'p.vnnlib:5:17: expected a finite number within float64, got -inf',
    ],
    [
      'a huge exponent',
      '(assert (<= X_0 1e400))',
      'p.vnnlib:5:17: expected a finite number within float64, got 1e400',
    ],
    [
      'arithmetic that overflows',
      '(assert\n (<= (* 1e200 1e200) X_0))',
      'p.vnnlib:6:2: expected a comparison whose constants stay within float64',
    ],
    [
      'a missing parenthesis',
      '(assert (<= X_0 1)',
      'p.vnnlib:5:1: expected ) for the ( here, got the end of the file (1 is open)',
    ],
    [
      'a parenthesis too many',
      '(assert (<= X_0 1)))',
      'p.vnnlib:5:20: expected ( and a command, got ) that closes nothing',
    ],
    ['a word between commands', 'assert', 'p.vnnlib:5:1: expected ( and a command, got assert'],
    [
      'not',
      '(assert (not (<= X_0 1)))',
      'p.vnnlib:5:10: expected and, or, <=, >=, <, > or =, got not; write the opposite comparison',
    ],
    [
      'an unknown command',
      '(define-fun f () Real 1)',
      'p.vnnlib:5:2: expected assert or declare-const, got define-fun',
    ],
    ['a comparison of one', '(assert (<= X_0))', 'p.vnnlib:5:9: expected two operands of <=, got 1'],
    ['an empty or', '(assert (or))', 'p.vnnlib:5:12: expected a constraint in or, got none'],
    ['an empty assert', '(assert)', 'p.vnnlib:5:8: expected a constraint in assert, got none'],
    [
      'two constraints in an assert',
      '(assert (<= X_0 1) (>= X_0 0))',
      'p.vnnlib:5:20: expected one constraint in assert, got another',
    ],
    ['an empty sum', '(assert (<= (+) 1))', 'p.vnnlib:5:15: expected an operand of +, got none'],
    [
      'a term as a constraint',
      '(assert X_0)',
      'p.vnnlib:5:9: expected a constraint such as (<= X_0 1), got X_0',
    ],
    ['a constraint as a term', '(assert (<= (and X_0) 1))', 'p.vnnlib:5:14: expected +, -, * or /, got and'],
    [
      'a name of Object',
      '(assert (<= (constructor X_0) 1))',
      'p.vnnlib:5:14: expected +, -, * or /, got constructor',
    ],
    [
      'bytes that are not ASCII',
      '(assert (<= X_0 ½))',
      'p.vnnlib:5:17: expected ASCII text outside of comments, got the byte 0xc2',
    ],
    ['an open quotation', '(set-info :a |b', 'p.vnnlib:5:14: expected a closing |, got the end of the file'],
    ['no assert', '', 'p.vnnlib: expected at least one assert, got none'],
  ])('refuses %s in one line that says where', (_, text, message) => {
    expect(at(text)).toContain(message);
    expect(at(text)).not.toContain('\n');
  });

  it('refuses gaps between variables, and files without inputs or outputs', () => {
    expect(refusal('(declare-const X_0 Real)(declare-const X_2 Real)(declare-const Y_0 Real)')).toBe(
      'p.vnnlib: expected inputs numbered from X_0 on without a gap, got no X_1 (2 others are declared)',
    );
    expect(refusal('(declare-const X_999999999 Real)')).toContain('got no X_0');
    expect(refusal('(declare-const X_0 Real)')).toContain('got no Y_0 (no output is declared)');
    expect(refusal('')).toContain('got no X_0 (no input is declared)');
  });

  it('answers token soup with a property or a FormatError', () => {
    const words = [
      '(',
      ')',
      '(',
      ')',
      'assert',
      'and',
      'or',
      '<=',
      '>=',
      '=',
      '+',
      '-',
      '*',
      '/',
      'X_0',
      'Y_1',
      '1',
      '-2e3',
      '(assert',
      '(<= X_0 1)',
      '|',
      ';',
      '\n',
      '\0',
    ];
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...words), { maxLength: 30 }), (soup) => {
        at(soup.join(' '));
        refusal(soup.join(''));
      }),
      { numRuns: 1000 },
    );
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 60 }),
        (bytes) => void refusal(Buffer.from(bytes).toString('latin1')),
      ),
    );
  });

  it('answers a damaged file with a property or a FormatError', () => {
    fc.assert(
      fc.property(
        formula(2, 2),
        fc.nat(),
        fc.nat(20),
        fc.string({ maxLength: 3 }),
        (tree, place, removed, inserted) => {
          const text = `${header}(assert ${print(tree)})`;
          const from = place % text.length;
          refusal(text.slice(0, from) + inserted + text.slice(from + removed));
        },
      ),
      { numRuns: 500 },
    );
  });

  it('has no limit of depth: a million parentheses do not recurse', () => {
    const deep = (operator: string, inner: string, depth = 1e5) =>
      `(${operator} `.repeat(depth) + inner + ')'.repeat(depth);
    expect(asserted(`(assert ${deep('and', '(<= X_0 1)', 1e6)})`)).toHaveLength(1);
    expect(asserted(`(assert ${'(and (or '.repeat(1e5)}(<= X_0 1)${'))'.repeat(1e5)})`)).toHaveLength(1);
    expect(asserted(`(assert (<= ${deep('-', 'X_0')} 1))`)).toMatchObject([
      { variables: [0], coefficients: [1] },
    ]);
    expect(asserted(`(assert (<= ${deep('* 1', '(+ X_0 X_1)')} 1))`)).toMatchObject([
      { coefficients: [1, 1] },
    ]);
    expect(asserted(`(assert (<= ${deep('+ X_1', 'X_0')} 1))`)).toMatchObject([
      { variables: [0, 1], coefficients: [1, 1e5] },
    ]);
    expect(at('('.repeat(1e6))).toContain(
      'p.vnnlib:5:2: expected assert or declare-const after (, got another (',
    );
    expect(at('(assert (and '.repeat(1e5))).toContain('got assert');
    expect(at(`(assert ${'(or '.repeat(1e5)}`)).toContain('100001 are open');
  });

  describe('as a file', () => {
    let folder: string;
    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'tautnet-vnnlib-'));
    });
    afterAll(() => rm(folder, { recursive: true }));
    const text = header + boxAsserts(2, 0, 1);

    it('is read plain or gzip-compressed, whatever its name', async () => {
      const plain = join(folder, 'p.vnnlib.gz');
      const packed = join(folder, 'p.vnnlib');
      await writeFile(plain, text);
      await writeFile(packed, gzipSync(text));
      expect(await readVnnlib(plain)).toEqual(parseVnnlib(text, plain));
      expect(await readVnnlib(packed)).toEqual(parseVnnlib(text, packed));
    });

    it('is refused in one line when it is missing, a folder, cut short or broken', async () => {
      await expect(readVnnlib(join(folder, 'none'))).rejects.toThrow(FileError);
      await expect(readVnnlib(folder)).rejects.toThrow(FileError);
      const cut = join(folder, 'cut.gz');
      await writeFile(cut, gzipSync(text).subarray(0, -9));
      await expect(readVnnlib(cut)).rejects.toThrow(
        /^.*cut\.gz: expected a whole gzip file, got one that does not unfold \([^\n]*\)$/,
      );
      const wrong = join(folder, 'wrong.gz');
      await writeFile(wrong, gzipSync(`${text}(assert x)`));
      await expect(readVnnlib(wrong)).rejects.toThrow(`${wrong}:9:9: expected a constraint`);
      await writeFile(cut, '');
      await expect(readVnnlib(cut)).rejects.toThrow('got no X_0');
    });
  });

  const shared = fileURLToPath(new URL('../../../shared/vnncomp2022/', import.meta.url));
  it('reads the properties of the competition', async (context) => {
    if (!existsSync(shared)) context.skip(`no ${shared}`);
    const sizes = { acasxu: [5, 5], mnist_fc: [784, 10], oval21: [3072, 10], rl_benchmarks: [4, 2] };
    for (const [benchmark, [inputs, outputs]] of Object.entries(sizes)) {
      for (const file of readdirSync(join(shared, benchmark)).filter((name) => name.endsWith('.vnnlib')))
        expect(await readVnnlib(join(shared, benchmark, file))).toMatchObject({ inputs, outputs });
    }
  });
});
