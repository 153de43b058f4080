import { afterAll, describe, expect, test } from 'vitest';
import { featuresOf } from '../data/dataset.js';
import { datasets } from '../data/datasets.js';
import { type ArchitectureName, architecture } from '../network/architectures.js';
import { initialize } from '../network/initialization.js';
import { parameterLayout } from '../network/parameters.js';
import { createPool } from '../runtime/pool/pool.js';
import { keyOf } from '../runtime/random/keys.js';
import { certify } from './certification/cascade.js';

const pool = createPool(1);
afterAll(() => pool.close());
/** One for each shape and number of classes. */
const distinct = new Map(
  [...datasets.values()].map((source) => [`${source.shape} ${source.classes}`, source]),
);

describe('the networks of every data set', () => {
  test.each(
    [...distinct.values()].flatMap((source) =>
      (['fc-small', 'cnn3'] as const).map((name) => [name, source.name, source] as const),
    ),
  )(
    '%s on %s: what no ball changes is certified, what is classified wrong is not',
    async (name, _, { shape, classes, mean, std }) => {
      const network = architecture(name as ArchitectureName, shape, classes, { mean, std });
      const count = 4;
      const images = Uint8Array.from(
        { length: count * featuresOf(shape) },
        (_value, i) => (i * 97 + (i >> 7)) % 256,
      );
      const favoured = classes - 1;
      const parameters = initialize(network, 'kaiming', keyOf(1));
      const bias = parameters[parameterLayout(network).at(-1)?.name as string] as Float32Array;
      expect(bias.length).toBe(classes);
      bias[favoured] = 1000;
      const verdicts = async (label: number) => {
        const split = { images, labels: new Uint8Array(count).fill(label), count };
        return certify({
          network,
          parameters,
          split,
          epsilon: 1 / 255,
          pool,
          attack: { steps: 1, restarts: 1 },
        });
      };
      expect(await verdicts(favoured)).toMatchObject({
        images: count,
        natural: 1,
        certified: 1,
        adversarial: 1,
      });
      expect(await verdicts(0)).toMatchObject({ images: count, natural: 0, certified: 0, adversarial: 0 });
    },
  );
});
