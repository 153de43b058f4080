/**
 * Networks that stand for a model on the boxes of a property, where none does so everywhere: a product of two
 * computed tensors is affine once a box fixes what one of them depends on, and a number where it fixes both.
 * Boxes that fix the same numbers of those that make factors share a network.
 */
import { FormatError } from '../formats/format-error.js';
import type { OnnxModel } from '../formats/onnx.js';
import type { BoxReading } from '../network/onnx/box-reading.js';
import { countingModel, type Side } from '../network/onnx/counting.js';
import { importModel } from '../network/onnx/import.js';
import type { Property } from '../verification/property/property.js';
import type { NetworkOfBoxes } from '../verification/search/verify-boxes.js';

/**
 * The networks, each read when it is asked for, and the polytopes whose boxes they stand for. An input counts
 * as fixed where all boxes leave it one number each.
 * @throws FormatError as `importModel`, for the first box
 */
export function networksOfBoxes(model: OnnxModel, property: Property, source: string): NetworkOfBoxes[] {
  const { polytopes, inputs, outputs } = property;
  const single = model.inputs.every(({ type }) => type !== 'DOUBLE');
  const isFixed = new Uint8Array(inputs).fill(1);
  for (const { lower, upper } of new Set(polytopes.map(({ box }) => box)))
    lower.forEach((low, i) => {
      if (low !== upper[i]) isFixed[i] = 0;
    });
  const counting = countingModel(model, sideOf(property) ?? 'below');
  if (counting && sideOf(property) === undefined) return [];
  const networkAt = (polytope: number) => {
    const { lower } = (polytopes[polytope] as Property['polytopes'][number]).box;
    const used = new Set<number>();
    const numbers = lower.map((low, i) => (isFixed[i] ? low : Number.NaN));
    const { ofBoxes, ...read } = importModel(counting ?? model, source, {
      fixed: { numbers, single, used },
    });
    if (counting && [...used].some((i) => numbers[i] !== 0 && numbers[i] !== 1))
      throw new FormatError(`${source}: expected zeros and ones to count with, got other numbers in a box`);
    return { ...read, ...(ofBoxes as BoxReading), used };
  };
  if (polytopes.length === 0) return [];
  const first = networkAt(0);
  if (first.inputs !== inputs || first.network.classes !== outputs) return [];
  const used = [...first.used];
  const groups = new Map<string, number[]>();
  polytopes.forEach(({ box: { lower } }, index) => {
    const key = used.map((i) => lower[i]).join(' ');
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [index]);
    else group.push(index);
  });
  return [...groups.values()].map((group) => ({
    polytopes: group,
    read: () => networkAt(group[0] as number),
  }));
}

/**
 * The side of a count on which a sum proves a property: below it where all that is unsafe are small counts,
 * above it where they are large ones; undefined where both are.
 */
function sideOf({ outputs, polytopes }: Property): Side | undefined {
  const signs = new Set(
    polytopes.flatMap(({ unsafe }) => unsafe.map((row) => Math.sign(row.outputs[0] as number))),
  );
  signs.delete(0);
  if (outputs !== 1 || signs.size > 1) return undefined;
  return signs.has(-1) ? 'above' : 'below';
}
