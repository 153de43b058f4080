/** Which test images are certified: `--images start:end`, or the first ones, `--limit count`. */
import { UsageError } from '../experiment/errors.js';
import { wholeNumber } from './flag-values.js';

/** Images start, …, end − 1 of a split; without an end all from `start` on. */
export interface ImageRange {
  readonly start: number;
  readonly end?: number;
  /** The flag and its text, for errors and notices. */
  readonly flag: string;
}

const FORM = /^(\d{0,9}):(\d{0,9})$/;

/**
 * The images that the flags ask for; undefined for all of them.
 * @throws UsageError for text of another form, an empty range, or both flags
 */
export function imageRange(images: string | undefined, limit: string | undefined): ImageRange | undefined {
  const end = wholeNumber('limit', limit);
  if (images === undefined)
    return end === undefined ? undefined : { start: 0, end, flag: `--limit ${limit}` };
  if (end !== undefined)
    throw new UsageError(`--images: expected no --limit beside it, got both; leave out one of them`);
  const [, from, to] = FORM.exec(images) ?? [];
  const range = { start: Number(from), ...(to && { end: Number(to) }), flag: `--images ${images}` };
  if (from === undefined || images === ':' || (range.end ?? Number.POSITIVE_INFINITY) <= range.start)
    throw new UsageError(
      `--images: expected start:end, the images start, …, end − 1 such as 100:200, got "${images}"`,
    );
  return range;
}

/**
 * The range within a split of `count` images, and a notice where it reached beyond them.
 * @throws UsageError if the split has none of them
 */
export function withinSplit(
  { start, end = Number.POSITIVE_INFINITY, flag }: ImageRange,
  count: number,
  name: string,
): { readonly indices: readonly number[]; readonly notice?: string } {
  if (start >= count)
    throw new UsageError(
      `${flag.split(' ')[0]}: expected a start below ${count}, the number of test images of ${name}, ` +
        `got ${start}`,
    );
  const indices = Array.from({ length: Math.min(end, count) - start }, (_, i) => start + i);
  return end === Number.POSITIVE_INFINITY || end <= count
    ? { indices }
    : { indices, notice: `${flag}: ${name} has ${count} test images, ${indices.length} are certified` };
}

/**
 * The file of verdicts on a part of a run's images, so that ranges do not replace one another:
 * `certificate.jsonl` → `images-100-200.certificate.jsonl`.
 */
export const fileOfRange = (certificate: string, { start, end }: ImageRange): string =>
  certificate.replace(/certificate\.jsonl$/, `images-${start}-${end ?? 'end'}.certificate.jsonl`);
