/**
 * What a query of VNN-LIB 2.0 declares of a network, held against the network's ONNX file: which value each
 * tensor is, and that element types and extents fit.
 *
 * Inputs and outputs are those of the file in its order, or those of the names that the query gives; a hidden
 * tensor is the value of its name, or the only output of the node of its name. The type real fits float32 and
 * float64, other types themselves alone. Source: sections 3.1.3, 3.3.3 and 5.3 of the standard's document.
 */
import { FormatError } from '../../formats/format-error.js';
import type { OnnxModel, OnnxValue } from '../../formats/onnx.js';
import {
  elementsOf,
  type NetworkDeclaration,
  shapeText,
  type TensorDeclaration,
} from '../../formats/vnnlib.js';

/** The values of a file that a network's tensors are, with the extents that inputs are given. */
export interface Interface {
  readonly inputs: readonly { readonly name: string; readonly shape: readonly number[] }[];
  /** Hidden tensors and outputs, as they are declared, with the number of the first element of each. */
  readonly results: readonly {
    readonly name: string;
    readonly type: TensorDeclaration['type'];
    readonly elements: number;
    readonly first: number;
  }[];
  /** FLOAT or DOUBLE. */
  readonly type: string;
}

const TYPES: Readonly<Record<TensorDeclaration['type'], readonly string[]>> = {
  real: ['FLOAT', 'DOUBLE'],
  float32: ['FLOAT'],
  float64: ['DOUBLE'],
};

/** Values by the names that are declared, or in the order of the file. */
function valuesOf(
  what: string,
  declared: readonly TensorDeclaration[],
  values: readonly OnnxValue[],
  source: string,
): OnnxValue[] {
  if (declared.length !== values.length)
    throw new FormatError(
      `${source}: expected ${declared.length} ${what}s as the query declares, got ${values.length}: ` +
        values.map(({ name }) => name).join(', '),
    );
  const found = declared.map(({ name, onnxName }, k) => {
    if (onnxName === undefined) return values[k] as OnnxValue;
    const value = values.find((one) => one.name === onnxName);
    if (value !== undefined) return value;
    throw new FormatError(
      `${source}: expected an ${what} "${onnxName}" for ${name}, got ` +
        values.map((one) => `"${one.name}"`).join(', '),
    );
  });
  const twice = found.find((value, k) => found.indexOf(value) !== k);
  if (twice !== undefined)
    throw new FormatError(`${source}: expected each ${what} to be declared once, got "${twice.name}" again`);
  return found;
}

function checkType({ name, type }: TensorDeclaration, value: OnnxValue, source: string): void {
  if (!TYPES[type].includes(value.type))
    throw new FormatError(
      `${source}: expected ${name} to be ${type} as the query declares, got ${value.type} of ` +
        `"${value.name}"; declare its own type, or real`,
    );
}

const withoutOnes = (shape: readonly number[]): string => shape.filter((extent) => extent !== 1).join('×');

/**
 * The extents of a value, symbolic ones as the query has them. Those of the query may differ in extents of 1,
 * and be one for all where it has the elements flat: that leaves their order as it is.
 */
function extentsOf(tensor: TensorDeclaration, { name, shape }: OnnxValue, source: string): readonly number[] {
  const declared = tensor.shape;
  if (shape === undefined) return declared;
  const same = shape.length === declared.length;
  const own = shape.map((extent, k) =>
    typeof extent === 'number' && extent > 0 ? extent : same ? (declared[k] as number) : 1,
  );
  const flat = declared.filter((extent) => extent !== 1).length <= 1;
  const size = own.reduce((a, b) => a * b, 1);
  if (size === elementsOf(tensor) && (flat || withoutOnes(own) === withoutOnes(declared))) return own;
  throw new FormatError(
    `${source}: expected ${tensor.name} to be ${shapeText(tensor)} as the query declares, got ` +
      `[${shape.map((extent) => extent || '?').join(',')}] of "${name}"`,
  );
}

/** The value inside the graph that a hidden tensor is. */
function hiddenValue({ name, onnxName = '' }: TensorDeclaration, model: OnnxModel, source: string): string {
  const made = model.nodes.flatMap(({ outputs }) => outputs).includes(onnxName);
  const nodes = model.nodes.filter((node) => node.name === onnxName);
  const ofNode = nodes.flatMap(({ outputs }) => outputs.filter((output) => output !== ''));
  const candidates = new Set([...(made ? [onnxName] : []), ...ofNode]);
  if (candidates.size === 1) return [...candidates][0] as string;
  throw new FormatError(
    `${source}: expected one value "${onnxName}" inside the graph for ${name}, got ` +
      `${candidates.size === 0 ? 'none' : [...candidates].map((one) => `"${one}"`).join(', ')}`,
  );
}

/**
 * The values of a model that a declared network's tensors are.
 * @throws FormatError, one line, where the model has others or another type or extents
 */
export function interfaceOf(network: NetworkDeclaration, model: OnnxModel, source: string): Interface {
  const constants = new Set(model.initializers.map(({ name }) => name));
  const ofKind = (kind: TensorDeclaration['kind']) => network.tensors.filter((one) => one.kind === kind);
  const given = model.inputs.filter(({ name }) => !constants.has(name));
  const inputs = valuesOf('input', ofKind('input'), given, source);
  const outputs = valuesOf('output', ofKind('output'), model.outputs, source);
  const resultOf = (tensor: TensorDeclaration, name: string) => ({
    name,
    type: tensor.type,
    elements: elementsOf(tensor),
    first: -1 - tensor.first,
  });
  ofKind('input').forEach((tensor, k) => {
    checkType(tensor, inputs[k] as OnnxValue, source);
  });
  ofKind('output').forEach((tensor, k) => {
    checkType(tensor, outputs[k] as OnnxValue, source);
    extentsOf(tensor, outputs[k] as OnnxValue, source);
  });
  const types = new Set([...inputs, ...outputs].map(({ type }) => type));
  if (types.size > 1)
    throw new FormatError(
      `${source}: expected inputs and outputs of one type, got ${[...types].join(' and ')}`,
    );
  return {
    inputs: ofKind('input').map((tensor, k) => {
      const value = inputs[k] as OnnxValue;
      return { name: value.name, shape: extentsOf(tensor, value, source) };
    }),
    results: [
      ...ofKind('hidden').map((tensor) => resultOf(tensor, hiddenValue(tensor, model, source))),
      ...ofKind('output').map((tensor, k) => resultOf(tensor, (outputs[k] as OnnxValue).name)),
    ],
    type: [...types][0] as string,
  };
}
