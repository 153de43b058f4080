/**
 * What may be read: a run is a folder directly in the folder of runs, and neither it nor one of its files
 * may be a link that leads out of there. Names come from a listing of the folder, never from a request.
 */
import { lstatSync } from 'node:fs';
import { realpath } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { UsageError } from '../../experiment/errors.js';

/** Files of a run that the dashboard reads. */
export const RUN_FILES = [
  ...['config.yaml', 'metrics.jsonl', 'certification.json', 'certificate.jsonl', 'summary.md'],
  ...['parameters.safetensors', 'network.onnx', 'checkpoints'],
] as const;

const isBelow = (root: string, path: string): boolean => {
  const way = relative(root, path);
  return way !== '' && way !== '..' && !way.startsWith(`..${sep}`);
};

/**
 * Refuses a run whose folder, or a file of which, leads out of `root`.
 * @param root without links, as `realpath` gives it
 * @throws UsageError naming the link
 */
export async function refuseLinksOut(root: string, name: string): Promise<void> {
  for (const path of [name, ...RUN_FILES.map((file) => join(name, file))]) {
    const found = lstatSync(join(root, path), { throwIfNoEntry: false });
    if (!found?.isSymbolicLink()) continue;
    const target = await realpath(join(root, path)).catch(() => root);
    if (!isBelow(root, target))
      throw new UsageError(`${path}: expected a file below the folder of runs, got a link out of it`);
  }
}
