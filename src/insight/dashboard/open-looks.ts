/** Networks that are looked into: the last two stay open with their workers. */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { UsageError } from '../../experiment/errors.js';
import { misfitOf } from '../../experiment/misfit.js';
import { trainedNetwork } from '../../experiment/trained-network.js';
import { ImageLook } from './look.js';
import type { OpenDatasets } from './open-datasets.js';

const OPEN = 2;

export class OpenLooks {
  readonly #datasets: OpenDatasets;
  readonly #exactSeconds: number | undefined;
  readonly #looks = new Map<string, Promise<ImageLook>>();

  constructor(datasets: OpenDatasets, exactSeconds?: number) {
    this.#datasets = datasets;
    this.#exactSeconds = exactSeconds;
  }

  /**
   * The network of a finished run, opened anew where its parameters have changed. Nothing is downloaded.
   * @throws UsageError, Failure, DataError: one line for what cannot be read
   */
  async of(path: string): Promise<ImageLook> {
    const { mtimeMs = 0, size = 0 } =
      (await stat(join(path, 'parameters.safetensors')).catch(() => null)) ?? {};
    const key = `${path} ${mtimeMs} ${size}`;
    const known = this.#looks.get(key) ?? this.#open(path);
    this.#looks.delete(key);
    this.#looks.set(key, known);
    known.catch(() => this.#looks.delete(key));
    for (const [old, look] of [...this.#looks].slice(0, -OPEN)) {
      this.#looks.delete(old);
      void look.then((one) => one.close()).catch(() => undefined);
    }
    return known;
  }

  async #open(path: string): Promise<ImageLook> {
    const { network, parameters, trainedFor } = await trainedNetwork(path);
    const { clipBox = true } = trainedFor;
    const dataset = await this.#datasets.of(trainedFor);
    const misfit = misfitOf(network, dataset);
    if (misfit !== undefined) throw new UsageError(`${path}: ${misfit}`);
    const look = new ImageLook({
      ...{ network, parameters, dataset, clip: clipBox },
      exactSeconds: this.#exactSeconds,
    });
    await look.warm();
    return look;
  }

  async close(): Promise<void> {
    const looks = await Promise.allSettled(this.#looks.values());
    await Promise.all(looks.map((look) => (look.status === 'fulfilled' ? look.value.close() : undefined)));
  }
}
