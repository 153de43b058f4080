/** What the files of tautnet are: properties, tensors, checkpoints, verdicts, metrics. */
import { percent } from '../../experiment/percent.js';
import { quoted } from '../../experiment/run/summary.js';
import type { SafetensorsArray } from '../../formats/safetensors.js';
import { decodeSafetensors } from '../../formats/safetensors.js';
import { parseVnnlib, shapeText } from '../../formats/vnnlib.js';
import type { CertificateLine } from '../../verification/certification/certificate-lines.js';
import { accuraciesOf } from '../../verification/certification/verdict.js';
import { linkedPropertyOf, propertyOf } from '../../verification/property/from-vnnlib.js';
import { linksOf } from '../../verification/property/links.js';
import { counted, type Description } from './description.js';

type Described = Omit<Description, 'path' | 'bytes'>;

/** @throws FormatError with line and column where it is not VNN-LIB */
export function describeVnnlib(path: string, bytes: Uint8Array): Described {
  const query = parseVnnlib(bytes, path);
  const { networks, outputs } = query;
  const { inputs, polytopes } = networks ? linkedPropertyOf(query, linksOf(query)) : propertyOf(query);
  const boxes = new Set(polytopes.map(({ box }) => `${box.lower.join()}/${box.upper.join()}`)).size;
  const models = (networks ?? []).filter(({ equivalence }) => equivalence?.kind !== 'equal-to');
  const declared = (networks ?? []).map(({ name, tensors }) => {
    const each = tensors.map((one) => `${one.kind} ${one.name} ${shapeText(one)}`);
    return [`network ${name}`, each.join(', ')] as const;
  });
  const named = models.map(({ name }) => `--network ${name}=<model.onnx>`);
  return {
    kind: networks ? 'VNN-LIB 2.0 query' : 'VNN-LIB property',
    facts: [
      ...declared,
      [networks ? 'free inputs' : 'inputs', counted(inputs)],
      ['outputs', counted(outputs)],
      ['input boxes', counted(boxes)],
      ['unsafe sets', counted(polytopes.length)],
    ],
    next: [
      networks
        ? `tautnet verify ${[quoted(path), ...named].join(' ')}`
        : `tautnet verify <network.onnx> ${quoted(path)}`,
    ],
  };
}

const tensorFact = ([name, { dtype, shape }]: readonly [string, SafetensorsArray]) =>
  [name, `${dtype} [${shape.join(', ')}]`] as const;

/** Tensors shown; the rest are counted. */
const SHOWN = 24;

/** @throws FormatError for bytes that are torn */
export function describeSafetensors(path: string, bytes: Uint8Array): Described {
  const { tensors, metadata } = decodeSafetensors(bytes, path);
  const named = Object.entries(tensors);
  const isCheckpoint = metadata.checkpoint !== undefined;
  const isCounterexamples = tensors.counterexamples !== undefined && tensors.images !== undefined;
  const numbers = named.reduce((sum, [, { data }]) => sum + data.length, 0);
  const about = Object.entries(metadata).filter(([name]) => !['state', 'sha256'].includes(name));
  return {
    kind: isCheckpoint
      ? 'checkpoint of a run (safetensors)'
      : isCounterexamples
        ? 'counterexamples (safetensors)'
        : 'tensors (safetensors)',
    facts: [
      ['tensors', counted(named.length)],
      ['numbers', counted(numbers)],
      ...about,
      ...named.slice(0, SHOWN).map(tensorFact),
      ...(named.length > SHOWN ? ([['…', `${named.length - SHOWN} more`]] as const) : []),
    ],
    bounds: 'nothing by itself: bounds need the network, in the folder of its run or as ONNX',
    next: isCheckpoint ? ['tautnet train --resume <folder of the run>'] : [],
  };
}

/** @param records of a TensorBoard event file */
export const describeEvents = (records: number): Described => ({
  kind: 'TensorBoard events of a run',
  facts: [['records', counted(records)]],
  next: ['tensorboard --logdir <folder of the run>', 'tautnet export-metrics <folder of the run>'],
});

export function describeVerdicts(lines: readonly CertificateLine[]): Described {
  const { natural, certified, adversarial } = accuraciesOf(lines);
  const count = (of: CertificateLine['verdict']) =>
    counted(lines.filter(({ verdict }) => verdict === of).length);
  return {
    kind: 'verdicts on images (certificate)',
    facts: [
      ['images', counted(lines.length)],
      ['certified', count('certified')],
      ['falsified', count('falsified')],
      ['undecided', count('undecided')],
      [
        'accuracies',
        `natural ${percent(natural)}, certified ${percent(certified)}, adversarial ${percent(adversarial)}`,
      ],
    ],
    next: ['tautnet report <folder of the run>'],
  };
}
