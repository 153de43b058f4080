/**
 * `declare-network` of VNN-LIB 2.0: a network's name and its tensors, of which X[0,1] is an element.
 *
 * ```
 * (declare-network f
 *   (declare-input X float32 [1,3])
 *   (declare-output Y float32 [1,2]))
 * ```
 * One network with one input and one output is read. Further ones, hidden variables and other element types
 * are refused by name. Source: the VNNLIB-Standard's grammar of version 2.0.
 */
import { outputVariable } from './constraint.js';
import { quoted } from './lexer.js';
import type { Linear } from './term.js';

type Fail = (message: string) => never;

/** A tensor and its extents; [] is a scalar. */
interface TensorDeclaration {
  readonly name: string;
  readonly shape: readonly number[];
}

export interface NetworkDeclaration {
  readonly name: string;
  readonly input: TensorDeclaration;
  readonly output: TensorDeclaration;
}

/** Element types whose arithmetic proofs are of. */
export const ELEMENT_TYPES = ['real', 'float32', 'float64'] as const;
const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;
const SHAPE = /^\[(?:[1-9][0-9]{0,8}(?:,[1-9][0-9]{0,8})*)?\]$/;
const ELEMENT = /^([A-Za-z_][A-Za-z0-9_]*)(?:\[((?:0|[1-9][0-9]{0,8})(?:,(?:0|[1-9][0-9]{0,8}))*|)\])?$/;
/** Elements of a tensor. */
const MOST_ELEMENTS = 2 ** 27;

export const elementsOf = ({ shape }: TensorDeclaration): number => shape.reduce((a, b) => a * b, 1);

/** Splits the words between the parentheses: those outside of any, and those of each inner one. */
function groupsOf(words: readonly string[], fail: Fail): { plain: string[]; inner: string[][] } {
  const plain: string[] = [];
  const inner: string[][] = [];
  let open: string[] | undefined;
  for (const word of words)
    if (word === '(') {
      if (open !== undefined) fail(`expected ) after ${open[0] ?? '('}, got another (`);
      open = [];
      inner.push(open);
    } else if (word === ')') open = undefined;
    else (open ?? plain).push(word);
  return { plain, inner };
}

function tensorOf(
  [kind = '', name = '', type = '', shape = '', ...more]: string[],
  fail: Fail,
): TensorDeclaration {
  if (!NAME.test(name)) fail(`expected a name after ${kind}, got ${quoted(name) || 'nothing'}`);
  if (!(ELEMENT_TYPES as readonly string[]).includes(type.toLowerCase()))
    fail(
      `expected ${name} of type ${ELEMENT_TYPES.join(', ')}, got ${quoted(type) || 'nothing'}; ` +
        'it is not decided',
    );
  if (!SHAPE.test(shape))
    fail(`expected the extents of ${name}, such as [1,3], got ${quoted(shape) || 'nothing'}`);
  // A last word may be the tensor's name in the ONNX file.
  if (more.length > 1) fail(`expected ) after the extents of ${name}, got ${quoted(more[1] as string)}`);
  const tensor = { name, shape: shape === '[]' ? [] : shape.slice(1, -1).split(',').map(Number) };
  if (elementsOf(tensor) > MOST_ELEMENTS)
    fail(`expected at most ${MOST_ELEMENTS} elements of ${name}, got ${shape}`);
  return tensor;
}

/** @param words what stands between the parentheses, after `declare-network`, inner parentheses as words */
export function networkDeclaration(words: readonly string[], fail: Fail): NetworkDeclaration {
  const { plain, inner } = groupsOf(words, fail);
  const [name = '', ...others] = plain;
  if (!NAME.test(name)) fail(`expected a name after declare-network, got ${quoted(name) || 'nothing'}`);
  if (others.length > 0) fail(`expected ( after ${name}, got ${quoted(others[0] as string)}`);
  const of = (kind: string): TensorDeclaration => {
    const found = inner.filter(([word]) => word === kind);
    if (found.length !== 1)
      fail(`expected one ${kind} in network ${name}, got ${found.length}; others are not decided`);
    return tensorOf(found[0] as string[], fail);
  };
  for (const [kind = 'nothing', first = ''] of inner)
    if (kind !== 'declare-input' && kind !== 'declare-output')
      fail(
        `expected declare-input or declare-output in network ${name}, got ` +
          `${quoted(`${kind} ${first}`)}; it is not decided`,
      );
  const [input, output] = [of('declare-input'), of('declare-output')];
  if (input.name === output.name) fail(`expected two names in network ${name}, got ${input.name} twice`);
  return { name, input, output };
}

/** The variable that an element such as X[0,1] is, row-major; undefined for what names none. */
export function elementOf(
  text: string,
  { input, output }: NetworkDeclaration,
  fail: Fail,
): Linear | undefined {
  const [, name, indices] = ELEMENT.exec(text) ?? [];
  const tensor = name === input.name ? input : name === output.name ? output : undefined;
  if (tensor === undefined) return undefined;
  const at = indices ? indices.split(',').map(Number) : [];
  const { shape } = tensor;
  if (at.length !== shape.length || at.some((index, axis) => index >= (shape[axis] as number)))
    fail(
      `expected an element of ${name}, which is [${shape.join(',')}], indices from 0, got ${quoted(text)}`,
    );
  const place = at.reduce((sum, index, axis) => sum * (shape[axis] as number) + index, 0);
  return { factor: 1, variable: tensor === input ? place : outputVariable(place) };
}
