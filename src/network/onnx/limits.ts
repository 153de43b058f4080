/**
 * How much a file may make of itself. A few bytes can describe what takes gigabytes or hours to read: a
 * constant of a billion zeros, an element-wise product of a huge image ten thousand times over. Operators
 * check what each of them makes; here it is added up.
 */
import type { OnnxModel } from '../../formats/onnx.js';
import { featuresOf } from '../layers/layer.js';
import { INPUT } from '../network.js';
import type { Draft, DraftNode, Value } from './draft.js';
import { type Call, refuse } from './operator.js';

/**
 * Numbers that drafts and computed constants may hold at once beside what the file itself holds: half a
 * gigabyte of float64.
 */
const MOST_KEPT = 2 ** 26;
/**
 * Numbers that may be computed in all: activations of one image, constants, weights. About ten seconds on a
 * slow processor.
 */
const MOST_MADE = 2 ** 26;
/**
 * Weights are widened to float64, turned round and folded into one another before the last of them is kept.
 */
const [KEPT_OF_FILE, MADE_OF_FILE] = [4, 16];

/** Numbers that a draft node holds in arrays. */
function heldBy(node: DraftNode): number {
  const arrays = Object.values(node).flatMap((part) =>
    ArrayBuffer.isView(part) ? [part as Float64Array] : [],
  );
  const { table, constants } = node.kind === 'selection' ? node.view : {};
  return [...arrays, table, constants].reduce((sum, array) => sum + (array?.length ?? 0), 0);
}

function sizeOfValue(value: Value): number {
  if (value.kind === 'constant') return value.tensor.data.length;
  return (value.view?.table.length ?? 0) + (value.view?.constants?.length ?? 0);
}

/** Counts what reading makes. */
export interface Room {
  /** After an operator was read: what it made. @throws FormatError where that is too much */
  take(call: Call, made: readonly Value[]): void;
}

export function roomFor(model: OnnxModel, draft: Draft): Room {
  const attributes = model.nodes.flatMap((node) => Object.values(node.attributes));
  const arrays = [
    ...model.initializers,
    ...attributes.flatMap((value) => ('tensor' in value ? [value.tensor] : [])),
  ].map(({ data }) => data);
  const inFile = arrays.reduce((sum, { length }) => sum + length, 0);
  const known = new Set<unknown>(arrays);
  const seen: DraftNode[] = [];
  let [kept, made] = [0, 0];
  const measure = (index: number): void => {
    const [before, now] = [seen[index], draft[index] as DraftNode];
    if (before === now) return;
    const held = heldBy(now);
    kept += held - (before ? heldBy(before) : 0);
    made += held + featuresOf(now.output);
    seen[index] = now;
  };
  return {
    take(call, values) {
      // Nodes that were read from may have absorbed what follows them; others are new.
      for (const value of call.inputs)
        if (value?.kind === 'activation' && value.node !== INPUT) measure(value.node);
      for (let index = seen.length; index < draft.length; index++) measure(index);
      for (const value of values) {
        const array = value.kind === 'constant' ? value.tensor.data : value.view;
        if (array === undefined || known.has(array)) continue;
        known.add(array);
        kept += sizeOfValue(value);
        made += sizeOfValue(value);
      }
      const [mostKept, mostMade] = [MOST_KEPT + KEPT_OF_FILE * inFile, MOST_MADE + MADE_OF_FILE * inFile];
      if (kept > mostKept)
        refuse(call, `a file of ${inFile} numbers to need at most ${mostKept} while it is read`, `${kept}`);
      if (made > mostMade)
        refuse(call, `a file of ${inFile} numbers to be read by making at most ${mostMade}`, `${made}`);
    },
  };
}
