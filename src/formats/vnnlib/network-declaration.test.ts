import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { asQuery, query } from '../../testing/vnnlib-queries.js';
import { boxAsserts, declarations, formula, print, spaces } from '../../testing/vnnlib-text.js';
import { FormatError } from '../format-error.js';
import {
  type Constraint,
  elementsOf,
  encodeVnnlib,
  parseVnnlib,
  tensorsOf,
  type VnnlibProperty,
} from '../vnnlib.js';
import { variableName } from './constraint.js';
import { decimalText } from './print.js';

const version = '(vnnlib-version <2.0>)';
const f = '(declare-network f (declare-input X float32 [1, 3]) (declare-output Y float32 [2,2] "out"))';
const read = (text: string): VnnlibProperty => parseVnnlib(text, 'q.vnnlib');
const asserted = (text: string, before = version + f): Constraint | undefined => {
  const { constraint } = read(`${before}(assert ${text})`);
  return 'and' in constraint ? constraint.and[0] : undefined;
};
const refusal = (text: string): string => {
  try {
    read(text);
  } catch (error) {
    expect(error).toBeInstanceOf(FormatError);
    return (error as Error).message;
  }
  return 'accepted';
};
const names = {
  x: [0, 1, 2].map((i) => `X[0,${i}]`),
  y: [0, 1, 2, 3].map((j) => `Y[${Math.floor(j / 2)},${j % 2}]`),
};
/** Trees without and within and, and or within or: parentheses that change nothing. */
function flat(constraint: Constraint): Constraint {
  if ('variables' in constraint) return constraint;
  const all = 'and' in constraint;
  const parts = (all ? constraint.and : constraint.or).map(flat).flatMap((part) => {
    const same = all ? 'and' in part && part.and : 'or' in part && part.or;
    return same || [part];
  });
  if (parts.length === 1) return parts[0] as Constraint;
  return all ? { and: parts } : { or: parts };
}

describe('a query of VNN-LIB 2.0', () => {
  test('says what the same property of version 1.0 says', () => {
    fc.assert(
      fc.property(formula(3, 4), spaces, (of, space) => {
        const box = boxAsserts(3, 0, 1);
        const old = read(`${declarations(3, 4)}${box}(assert ${print(of)})`);
        const boxes = box.replace(/X_(\d+)/g, (_, i) => names.x[Number(i)] as string);
        const { networks, ...rest } = read(
          `${version}${f}${boxes}(assert ${print(asQuery(of, names), space)})`,
        );
        expect({ ...rest, constraint: flat(rest.constraint) }).toEqual({
          ...old,
          constraint: flat(old.constraint),
        });
        expect(networks?.map(({ name }) => name)).toEqual(['f']);
      }),
    );
  });

  test('is printed as a text that says the same, within the standard’s grammar', () => {
    fc.assert(
      fc.property(query, ({ text }) => {
        const property = read(text);
        const printed = encodeVnnlib(property);
        const again = read(printed);
        expect({ ...again, constraint: flat(again.constraint) }).toEqual({
          ...property,
          constraint: flat(property.constraint),
        });
        expect(printed).not.toMatch(/\d[eE]|[=/(] *\/|\(= /);
      }),
    );
  });

  test('of version 1.0 is printed as version 1.0', () => {
    fc.assert(
      fc.property(formula(2, 2), (of) => {
        const property = read(`${declarations(2, 2)}(assert ${print(of)})`);
        const again = read(encodeVnnlib(property));
        expect(flat(again.constraint)).toEqual(flat(property.constraint));
        expect([again.inputs, again.outputs, again.networks]).toEqual([2, 2, undefined]);
      }),
    );
  });

  test('numbers its variables row-major, inputs and other tensors apart, in the order of the file', () => {
    fc.assert(
      fc.property(query, ({ text, names: { x, y } }) => {
        const { inputs, outputs, networks } = read(text);
        expect([inputs, outputs]).toEqual([x.length, y.length]);
        const elements = [...x, ...y].map((name) => `(assert (<= ${name} 1))`).join('');
        const { constraint } = read(`${text}${elements}`);
        const last = 'and' in constraint ? constraint.and.slice(-x.length - y.length) : [];
        expect(last.map((one) => ('variables' in one ? one.variables[0] : undefined))).toEqual([
          ...x.keys(),
          ...y.map((_, j) => -1 - j),
        ]);
        expect(x.map((_, i) => variableName(i, networks))).toEqual(x);
        expect(y.map((_, j) => variableName(-1 - j, networks))).toEqual(y);
        expect(tensorsOf(networks ?? []).reduce((sum, tensor) => sum + elementsOf(tensor), 0)).toBe(
          inputs + outputs,
        );
      }),
    );
  });

  test('prints every float64 as a decimal without exponent that is read as it', () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
        expect(decimalText(value)).toMatch(/^-?\d+(\.\d+)?$/);
        expect(Number(decimalText(value)) + 0).toBe(value + 0);
      }),
    );
  });

  test('has == for both inequalities and != for either strict one', () => {
    const [below, above] = [
      { variables: [0], coefficients: [1], bound: 0.5 },
      { variables: [0], coefficients: [-1], bound: -0.5 },
    ];
    expect(asserted('(== X[0,0] 0.5)')).toEqual({ and: [below, above] });
    expect(asserted('(!= X[0,0] 0.5)')).toEqual({
      or: [
        { ...below, strict: true },
        { ...above, strict: true },
      ],
    });
  });

  test.each(['X[0,1]', 'X [0,1]', 'X[ 0 , 1 ]', 'X\n[0 ,1 ]', 'X[00,1]'])(
    'lets white space stand between all tokens of %j',
    (element) => {
      const one = { variables: [1], coefficients: [1], bound: 2 };
      expect(asserted(`(<= ${element} 2)`)).toEqual(one);
    },
  );

  test('types and extents may stand without white space', () => {
    const { networks } = read(
      `${version}(declare-network g(declare-input X real[1,3]"in")(declare-output Y Real[]))(assert (<= Y 1))`,
    );
    expect(networks?.[0]?.tensors).toEqual([
      { kind: 'input', name: 'X', type: 'real', shape: [1, 3], onnxName: 'in', first: 0 },
      { kind: 'output', name: 'Y', type: 'real', shape: [], first: -1 },
    ]);
  });

  test('keeps hidden tensors, names of ONNX values and what networks are to each other', () => {
    const { networks, inputs, outputs } = read(
      `${version}
      (declare-network f (declare-input X real [2] "in put") (declare-hidden H real [3] "/re;lu_1")
        (declare-output Y real [1] "out"))
      (declare-network g (equal-to f) (declare-input A real [2] "x") (declare-output B real [1] "y"))
      (declare-network h (isomorphic-to f) (declare-input C real [2]) (declare-output D real [1]))
      (assert (<= B[0] 1))`,
    );
    expect([inputs, outputs]).toEqual([6, 6]);
    expect(networks?.map(({ equivalence }) => equivalence)).toEqual([
      undefined,
      { kind: 'equal-to', network: 'f' },
      { kind: 'isomorphic-to', network: 'f' },
    ]);
    const hidden = networks?.[0]?.tensors[1];
    expect(hidden).toMatchObject({ kind: 'hidden', name: 'H', onnxName: '/re;lu_1', first: -1 });
    expect(networks?.[2]?.tensors.map(({ first }) => first)).toEqual([4, -6]);
  });
});

describe('the standard’s rules', () => {
  const one = (tensors: string, name = 'f') => `(declare-network ${name} ${tensors})`;
  const [x, y] = ['(declare-input X real [1])', '(declare-output Y real [1])'];
  const [a, b] = ['(declare-input A real [1])', '(declare-output B real [1])'];
  const yes = '(assert (<= Y[0] 1))';

  test.each([
    // All indices are needed, from 0, within the extents; scalars have none.
    [`${f}(assert (<= X[0,3] 1))`, 'expected an element of X, which is [1,3], indices from 0, got X[0,3]'],
    [`${f}(assert (<= X[0] 1))`, 'expected an element of X, which is [1,3]'],
    [`${f}(assert (<= X 1))`, 'expected an element of X, which is [1,3]'],
    [`${f}(assert (<= X[0 2] 1))`, 'expected an element of X, which is [1,3], indices from 0, got X[0 2]'],
    [`${f}(assert (<= X[0,-1] 1))`, 'expected an element of X'],
    [`${one(`${x}(declare-output Y real [])`)}(assert (<= Y[] 1))`, 'expected Y without indices'],
    [`${f}(assert (<= Z[0,0] 1))`, 'expected a number or a variable that is declared above, got Z[0,0]'],
    [`${f}(assert (<= X[0,0 1))`, 'expected ] after X[0,0 1, got none'],
    // Names begin with a letter and are unique.
    [one(`(declare-input _X real [1])${y}`), 'expected a name after declare-input, got _X'],
    [one(`${x}${y}`, 'f-copy'), 'expected a name after declare-network, got f-copy'],
    [one(`${x}(declare-output X real [1])`), 'expected every tensor to have a name of its own, got X again'],
    [one(x + y) + one(a + b), 'expected every network to have a name of its own, got f again'],
    // Inputs, then hidden nodes, then outputs; one input and one output at least.
    [one(y + x), 'expected inputs, hidden tensors and outputs of f in this order, got X after a output'],
    [one(x), 'expected a declare-output in network f, got none'],
    [one(y), 'expected a declare-input in network f, got none'],
    // Extents are positive, separated by commas.
    [one(`(declare-input X real [0])${y}`), 'expected the extents of X'],
    [one(`(declare-input X real [1 4])${y}`), 'expected the extents of X, such as [1,3], got [1 4]'],
    // A hidden node has the name of an ONNX value.
    [one(`${x}(declare-hidden H real [1])${y}`), 'expected the name of an ONNX value after the extents of H'],
    [one(`${x}(declare-input Z real [1] "z")${y}`), 'expected ONNX names for every input of f or for none'],
    // Variables of one type in a comparison; types by their ONNX names.
    [
      `${one('(declare-input X float32 [1])(declare-output Y float64 [1])')}(assert (<= X[0] Y[0]))`,
      'expected one type in a comparison, got float32 of X and float64 of Y',
    ],
    [one(`(declare-input X float16 [1])${y}`), 'expected X of type real, float32, float64, got float16'],
    [one(`(declare-input X int32 [1])${y}`), 'got int32; it is not decided'],
    // Networks equal or are isomorphic to one above that is none itself, with the same interface.
    [
      one(x + y) + one(`(equal-to h)${a}${b}`, 'g'),
      'expected a network declared above after equal-to, got h',
    ],
    [
      one(x + y) +
        one(`(equal-to f)${a}${b}`, 'g') +
        one('(equal-to g)(declare-input C real [1])(declare-output D real [1])', 'h'),
      'expected equal-to a network that is none itself, got g; write f',
    ],
    [
      one(x + y) + one(`(isomorphic-to f)(declare-input A real [2])${b}`, 'g'),
      'expected inputs and outputs of g as those of f, got A',
    ],
    [
      one(x + y) + one(`(equal-to f)(declare-input A float32 [1])${b}`, 'g'),
      'expected inputs and outputs of g as those of f, got A',
    ],
    [one(x + y) + one(`${a}(equal-to f)${b}`, 'g'), 'it stands once, before all tensors'],
    [
      one(`${x}(declare-hidden H real [1] "h")${y}`) +
        one(`(equal-to f)${a}(declare-hidden K real [2] "h")${b}`, 'g'),
      'expected K as H, which is the same ONNX value',
    ],
    // The version comes first, then networks, then assertions; comparisons are of two terms.
    [one(x + y) + version, 'expected vnnlib-version once, before all else'],
    [one(x + y) + yes + one(a + b, 'g'), 'expected all networks before the first assert'],
    [`${one(x + y)}(assert (<= 0 Y[0] 1))`, 'expected two operands of <=, got 3'],
    [`${one(x + y)}(assert (<= (* X[0] Y[0]) 1))`, 'at most one factor that is not constant'],
    ['(declare-const X_0 Real)', 'expected declare-network or assert in version 2.0, got declare-const'],
    [yes, 'expected a number or a variable that is declared above'],
  ])('%#: %s', (text, message) => {
    const before = text.startsWith('(declare-const') || text === yes ? version : '';
    expect(refusal(before + text)).toContain(message);
  });

  test('an equal network may declare other hidden nodes, an isomorphic one other types', () => {
    expect(refusal(one(x + y) + one(`(equal-to f)${a}(declare-hidden K real [2] "h")${b}`, 'g') + yes)).toBe(
      'accepted',
    );
    const other = '(declare-input A float32 [1])(declare-output B float32 [1])';
    expect(refusal(one(x + y) + one(`(isomorphic-to f)${other}`, 'g') + yes)).toBe('accepted');
  });

  test.each([
    ['(vnnlib-version <3.0>)', 'expected VNN-LIB <1.0> or <2.0>, got <3.0>'],
    ['(vnnlib-version <2.0>)(assert (<= 1 2))', 'expected a declare-network in a query of VNN-LIB 2.0'],
    ['(declare-const X_0 Real)(declare-network f)', 'expected variables of version 1.0 alone'],
  ])('%s is refused', (text, message) => {
    expect(refusal(text)).toContain(message);
  });

  test('a later minor version is read as far as it is known', () => {
    expect(refusal(`(vnnlib-version <2.3>)${one(x + y)}${yes}`)).toBe('accepted');
  });
});
