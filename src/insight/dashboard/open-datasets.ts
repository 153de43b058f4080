/** Data sets that runs are looked at with, kept in memory. Nothing is downloaded. */
import type { Dataset } from '../../data/dataset.js';
import { readDataset } from '../../experiment/read-dataset.js';

export interface DatasetChoice {
  readonly dataset?: string;
  readonly pool?: string;
  /** Folder with its files, unless the server was given one. */
  readonly dataDir?: string;
}

export class OpenDatasets {
  readonly #dataDir: string | undefined;
  readonly #known = new Map<string, Promise<Dataset>>();

  constructor(dataDir?: string) {
    this.#dataDir = dataDir;
  }

  /** @throws UsageError, DataError: one line for what cannot be read */
  of({ dataset = 'mnist', pool = 'none', dataDir }: DatasetChoice): Promise<Dataset> {
    const folder = this.#dataDir ?? dataDir;
    const key = JSON.stringify([dataset, pool, folder]);
    const known = this.#known.get(key) ?? readDataset(dataset, { pool, dataDir: folder, offline: true });
    this.#known.set(key, known);
    known.catch(() => this.#known.delete(key));
    return known;
  }
}
