/**
 * `declare-network` of VNN-LIB 2.0: a network's name, its tensors, of which X[0,1] is an element, and whether
 * it is another network once more.
 *
 * ```
 * network = (declare-network name [(equal-to name) | (isomorphic-to name)] input … hidden … output …)
 * input   = (declare-input name type shape ["ONNX name"])        likewise declare-output
 * hidden  = (declare-hidden name type shape "ONNX name")
 * shape   = [] | [n, n, …]
 * ```
 * Names are letters, digits and _, begin with a letter, and are unique among all tensors of the query.
 * Element types other than real, float32 and float64 are refused by name. Source: the grammar of version 2.0
 * in the repository VNNLIB/VNNLIB-Standard, and sections 3.1 and 3.2 of its document.
 */
import { outputVariable } from './constraint.js';
import { quoted } from './lexer.js';
import {
  ELEMENT_TYPES,
  type ElementType,
  elementsOf,
  type NetworkDeclaration,
  shapeText,
  type TensorDeclaration,
  type TensorKind,
} from './tensor.js';

type Fail = (message: string) => never;

const NAME = /^[A-Za-z][A-Za-z0-9_]*$/;
const NUMBERS = /^\[(?: ?[0-9]{1,9} ?(?:, ?[0-9]{1,9} ?)*)?\s?\]$/;
const ONNX_NAME = /^"([^"\\]+)"$/;
/** Elements of a query's inputs, and of all its other tensors. */
const MOST_ELEMENTS = 2 ** 27;
const KINDS: Readonly<Record<string, TensorKind>> = {
  'declare-input': 'input',
  'declare-hidden': 'hidden',
  'declare-output': 'output',
};
const ORDER: readonly TensorKind[] = ['input', 'hidden', 'output'];

/** The numbers of [1, 2]; undefined for anything else. */
const numbersOf = (text: string): number[] | undefined => {
  if (!NUMBERS.test(text)) return undefined;
  const within = text.slice(1, -1).trim();
  return within === '' ? [] : within.split(',').map(Number);
};

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
    // A type and its extents may stand without a space between them.
    else (open ?? plain).push(...(word.startsWith('"') ? [word] : word.split(/(?=\[)/).map((w) => w.trim())));
  return { plain, inner };
}

/** All networks of a query, as they are declared one after another. */
export interface NetworkDeclarations {
  readonly networks: readonly NetworkDeclaration[];
  /** Elements of all inputs, and of all hidden tensors and outputs. */
  readonly inputs: number;
  readonly outputs: number;
  /** @param words what stands after `declare-network`, inner parentheses as words */
  declare(words: readonly string[], fail: Fail): void;
  /**
   * The tensor that an element such as X[0,1] is of, and the variable that it is, row-major; undefined for
   * what names none.
   */
  elementOf(text: string, fail: Fail): { tensor: TensorDeclaration; variable: number } | undefined;
}

export function createNetworkDeclarations(): NetworkDeclarations {
  const networks: NetworkDeclaration[] = [];
  const tensors = new Map<string, TensorDeclaration>();
  let [inputs, outputs] = [0, 0];

  const declareTensor = (words: readonly string[], network: string, fail: Fail): TensorDeclaration => {
    const read = tensorOf(words, network, fail);
    if (tensors.has(read.name))
      fail(`expected every tensor to have a name of its own, got ${read.name} again`);
    const count = elementsOf(read);
    const first = read.kind === 'input' ? inputs : outputVariable(outputs);
    if (read.kind === 'input') inputs += count;
    else outputs += count;
    if (inputs > MOST_ELEMENTS || outputs > MOST_ELEMENTS)
      fail(`expected at most ${MOST_ELEMENTS} elements of all inputs or outputs, got more with ${read.name}`);
    const tensor = { ...read, first };
    tensors.set(tensor.name, tensor);
    return tensor;
  };

  const declare = (words: readonly string[], fail: Fail): void => {
    const { plain, inner } = groupsOf(words, fail);
    const [name = '', ...others] = plain;
    if (!NAME.test(name)) fail(`expected a name after declare-network, got ${quoted(name) || 'nothing'}`);
    if (others.length > 0) fail(`expected ( after ${name}, got ${quoted(others[0] as string)}`);
    if (networks.some((network) => network.name === name))
      fail(`expected every network to have a name of its own, got ${name} again`);
    const [first = []] = inner;
    const equal = first[0] === 'equal-to' || first[0] === 'isomorphic-to';
    const own = (equal ? inner.slice(1) : inner).map((group) => declareTensor(group, name, fail));
    checkOrder(name, own, fail);
    const declared: NetworkDeclaration = { name, tensors: own };
    networks.push(
      equal ? { ...declared, equivalence: equivalenceOf(declared, first, networks, fail) } : declared,
    );
  };

  const elementOf: NetworkDeclarations['elementOf'] = (text, fail) => {
    const bracket = text.indexOf('[');
    const tensor = tensors.get((bracket < 0 ? text : text.slice(0, bracket)).trim());
    if (tensor === undefined) return undefined;
    const { name, shape, first } = tensor;
    const at = bracket < 0 ? [] : numbersOf(text.slice(bracket));
    const isScalar = shape.length === 0;
    if (
      at === undefined ||
      at.length !== shape.length ||
      (isScalar && bracket >= 0) ||
      at.some((index, axis) => index >= (shape[axis] as number))
    )
      return fail(
        isScalar
          ? `expected ${name} without indices, as it is a scalar, got ${quoted(text)}`
          : `expected an element of ${name}, which is ${shapeText(tensor)}, indices from 0, got ` +
              quoted(text),
      );
    const place = at.reduce((sum, index, axis) => sum * (shape[axis] as number) + index, 0);
    return { tensor, variable: tensor.kind === 'input' ? first + place : first - place };
  };

  return {
    networks,
    get inputs() {
      return inputs;
    },
    get outputs() {
      return outputs;
    },
    declare,
    elementOf,
  };
}

function tensorOf(words: readonly string[], network: string, fail: Fail): Omit<TensorDeclaration, 'first'> {
  const [word = 'nothing', name = '', type = '', extents = '', ...more] = words;
  const kind = KINDS[word];
  if (kind === undefined)
    return fail(
      `expected ${Object.keys(KINDS).join(', ')} in network ${network}, got ${quoted(word)}` +
        (/^(equal|isomorphic)-to$/.test(word) ? '; it stands once, before all tensors' : ''),
    );
  if (!NAME.test(name)) fail(`expected a name after ${word}, got ${quoted(name) || 'nothing'}`);
  const known = type.toLowerCase() as ElementType;
  if (!ELEMENT_TYPES.includes(known))
    fail(
      `expected ${name} of type ${ELEMENT_TYPES.join(', ')}, got ${quoted(type) || 'nothing'}; it is not ` +
        'decided',
    );
  const shape = numbersOf(extents);
  if (shape === undefined || shape.includes(0))
    return fail(`expected the extents of ${name}, such as [1,3], got ${quoted(extents) || 'nothing'}`);
  const [onnxText, rest] = more;
  const onnxName = onnxText === undefined ? undefined : ONNX_NAME.exec(onnxText)?.[1];
  if (rest !== undefined || (onnxText !== undefined && onnxName === undefined))
    fail(
      `expected ) or the name of an ONNX value after ${name}, got ${quoted(rest ?? (onnxText as string))}`,
    );
  if (kind === 'hidden' && onnxName === undefined)
    fail(`expected the name of an ONNX value after the extents of ${name}, got none`);
  return { kind, name, type: known, shape, ...(onnxName !== undefined && { onnxName }) };
}

/** Inputs, then hidden tensors, then outputs; names of ONNX values for all of several inputs or for none. */
function checkOrder(name: string, tensors: readonly TensorDeclaration[], fail: Fail): void {
  tensors.forEach(({ kind, name: late }, i) => {
    const before = tensors[i - 1]?.kind ?? 'input';
    if (ORDER.indexOf(kind) < ORDER.indexOf(before))
      fail(
        `expected inputs, hidden tensors and outputs of ${name} in this order, got ${late} after a ${before}`,
      );
  });
  for (const kind of ['input', 'output'] as const) {
    const all = tensors.filter((tensor) => tensor.kind === kind);
    if (all.length === 0) fail(`expected a declare-${kind} in network ${name}, got none`);
    const unnamed = all.find(({ onnxName }) => onnxName === undefined);
    // One is found without a name; of several, names and the order of the file could contradict each other.
    if (all.length > 1 && unnamed !== undefined && all.some(({ onnxName }) => onnxName !== undefined))
      fail(`expected ONNX names for every ${kind} of ${name} or for none, got none for ${unnamed.name}`);
  }
}

function equivalenceOf(
  { name, tensors }: NetworkDeclaration,
  [word, target = '', ...more]: readonly string[],
  networks: readonly NetworkDeclaration[],
  fail: Fail,
): NonNullable<NetworkDeclaration['equivalence']> {
  const kind = word as 'equal-to' | 'isomorphic-to';
  const other = networks.find((network) => network.name === target);
  if (other === undefined || more.length > 0)
    return fail(
      `expected a network declared above after ${kind}, got ${quoted([target, ...more].join(' '))}`,
    );
  if (other.equivalence !== undefined)
    fail(`expected ${kind} a network that is none itself, got ${target}; write ${other.equivalence.network}`);
  const fits = (a: TensorDeclaration, b: TensorDeclaration): boolean =>
    shapeText(a) === shapeText(b) && (kind === 'isomorphic-to' || a.type === b.type);
  const ends = (of: readonly TensorDeclaration[]) => of.filter((tensor) => tensor.kind !== 'hidden');
  const [own, others] = [ends(tensors), ends(other.tensors)];
  const odd = own.find((tensor, i) => {
    const twin = others[i];
    return twin === undefined || twin.kind !== tensor.kind || !fits(tensor, twin);
  });
  if (odd !== undefined || own.length !== others.length)
    fail(`expected inputs and outputs of ${name} as those of ${target}, got ${odd?.name ?? 'fewer'}`);
  for (const hidden of tensors) {
    const twin = other.tensors.find((t) => t.kind === 'hidden' && t.onnxName === hidden.onnxName);
    if (hidden.kind === 'hidden' && twin !== undefined && !fits(hidden, twin))
      fail(
        `expected ${hidden.name} as ${twin.name}, which is the same ONNX value, got another type or shape`,
      );
  }
  return { kind, network: target };
}
