/** Our verdicts held against those of a certified set. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { readDataset } from '../../dist/experiment/read-dataset.js';
import { trainedNetwork } from '../../dist/experiment/trained-network.js';
import { certify } from '../../dist/verification/certification/cascade.js';
import { agreement, readCertifiedSet } from '../../dist/verification/certification/expected-verdicts.js';

/** The images of these indices, and no others. */
function chosen({ images, labels, count }, indices) {
  const features = images.length / count;
  const own = new Uint8Array(indices.length * features);
  indices.forEach((index, i) => {
    own.set(images.subarray(index * features, (index + 1) * features), i * features);
  });
  return { images: own, labels: Int32Array.from(indices, (index) => labels[index]), count: indices.length };
}

/** Seconds of branch and bound for each image that bounds leave open. */
const SECONDS = 10;

/**
 * One line about a set, and whether no verdict contradicts it.
 * @param isOwn whether the set is the repository's, whose networks may be missing
 */
export async function checkSet(path, isOwn = false) {
  const set = readCertifiedSet(readFileSync(path, 'utf8'), path);
  const model = join(dirname(path), set.network);
  if (isOwn && !existsSync(model)) return { line: `${path}: skipped, ${model} is not there`, holds: true };
  const { network, parameters } = await trainedNetwork(model);
  const { test } = await readDataset(set.dataset, { pool: set.pool });
  const indices = set.images.map(({ image }) => image);
  const beyond = indices.find((index) => index >= test.count);
  if (beyond !== undefined)
    throw new Error(`${path}: expected test images of ${set.dataset}, 0 to ${test.count - 1}, got ${beyond}`);
  const { epsilon, clipBox } = set;
  const split = chosen(test, indices);
  const { verdicts } = await certify({
    ...{ network, parameters, split, epsilon, clipBox },
    complete: { secondsPerImage: SECONDS },
  });
  const named = verdicts.map(({ image, verdict }) => ({ image: indices[image], verdict }));
  const { same, undecided, contradicted } = agreement(set, named);
  const of = `${indices.length} images of ${set.dataset}, ε = ${epsilon} (${set.source})`;
  const contradiction =
    contradicted.length === 0 ? 'none contradicted' : `CONTRADICTED: ${contradicted.join(', ')}`;
  return {
    line: `${path}: ${of}: ${same} agree, ${undecided} undecided, ${contradiction}`,
    holds: contradicted.length === 0,
  };
}
