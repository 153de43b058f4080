/**
 * Random queries of VNN-LIB 2.0 for tests: networks with several tensors of small shapes, and assertions over
 * their elements, with a meaning of their own at points.
 */
import fc from 'fast-check';
import { type Formula, formula, type Point, print } from './vnnlib-text.js';

/** A tensor as a test declares it. */
export interface TestTensor {
  readonly kind: 'input' | 'hidden' | 'output';
  readonly name: string;
  readonly shape: readonly number[];
}

export interface TestNetwork {
  readonly name: string;
  readonly relation?: string;
  readonly tensors: readonly TestTensor[];
}

const sizeOf = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

/** Text of `declare-network`; hidden tensors are values "the NAME". */
export const declared = ({ name, relation, tensors }: TestNetwork, type = 'real'): string =>
  `(declare-network ${name} ${relation ?? ''}\n${tensors
    .map(
      (t) =>
        `  (declare-${t.kind} ${t.name} ${type} [${t.shape.join(', ')}]${t.kind === 'hidden' ? ` "the ${t.name}"` : ''})`,
    )
    .join('\n')})\n`;

/** Names of the elements of a tensor, row-major. */
export const elementNames = ({ name, shape }: TestTensor): string[] =>
  shape.length === 0
    ? [name]
    : Array.from({ length: sizeOf(shape) }, (_, at) => {
        let rest = at;
        const indices = [...shape].reverse().map((extent) => {
          const index = rest % extent;
          rest = (rest - index) / extent;
          return index;
        });
        return `${name}[${indices.reverse().join(',')}]`;
      });

/** Names of all inputs, and of all hidden tensors and outputs, as a query numbers them. */
export const namesOf = (networks: readonly TestNetwork[]): { x: string[]; y: string[] } => {
  const tensors = networks.flatMap((network) => network.tensors);
  return {
    x: tensors.filter(({ kind }) => kind === 'input').flatMap(elementNames),
    y: tensors.filter(({ kind }) => kind !== 'input').flatMap(elementNames),
  };
};

const shape = fc.constantFrom<readonly number[]>([], [2], [1, 2], [2, 1, 2], [1], [2, 3]);

/** One to three networks, each with inputs, hidden tensors and outputs. */
export const networks: fc.Arbitrary<TestNetwork[]> = fc
  .array(
    fc.record({
      inputs: fc.array(shape, { minLength: 1, maxLength: 2 }),
      hidden: fc.array(shape, { maxLength: 1 }),
      outputs: fc.array(shape, { minLength: 1, maxLength: 2 }),
    }),
    { minLength: 1, maxLength: 3 },
  )
  .map((all) =>
    all.map(({ inputs, hidden, outputs }, n) => ({
      name: `net${n}`,
      tensors: [
        ...inputs.map((s, k) => ({ kind: 'input' as const, name: `in_${n}_${k}`, shape: s })),
        ...hidden.map((s, k) => ({ kind: 'hidden' as const, name: `H${n}x${k}`, shape: s })),
        ...outputs.map((s, k) => ({ kind: 'output' as const, name: `out_${n}_${k}`, shape: s })),
      ],
    })),
  );

/** A formula of version 1.0 as version 2.0 has it: pairs instead of chains, == for =, tensors' elements. */
export function asQuery(of: Formula, names: { x: readonly string[]; y: readonly string[] }): Formula {
  if ('text' in of) {
    const [, letter, index] = /^([XY])_(\d+)$/.exec(of.text) ?? [];
    if (letter === undefined) return of;
    return { ...of, text: (letter === 'X' ? names.x : names.y)[Number(index)] as string };
  }
  const operands = of.operands.map((operand) => asQuery(operand, names));
  if (!/^[<>]?=$/.test(of.operator)) return { operator: of.operator, operands };
  const operator = of.operator === '=' ? '==' : of.operator;
  const pairs = operands
    .slice(1)
    .map((right, k) => ({ operator, operands: [operands[k] as Formula, right] }));
  return pairs.length === 1 ? (pairs[0] as Formula) : { operator: 'and', operands: pairs };
}

/** A query: its text, what it declares, and its assertions as formulas over X_i and Y_j. */
export const query = networks.chain((all) => {
  const names = namesOf(all);
  return fc
    .array(formula(names.x.length, names.y.length), { minLength: 1, maxLength: 3 })
    .map((formulas) => ({
      networks: all,
      names,
      formulas,
      text:
        `(vnnlib-version <2.0>)\n${all.map((network) => declared(network)).join('')}` +
        formulas.map((of) => `(assert ${print(asQuery(of, names))})\n`).join(''),
    }));
});

export type { Formula, Point };
