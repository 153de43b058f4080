/** What requests may ask for: runs that were listed, numbers within limits, words of lists. */
import type { Context } from 'hono';
import { UsageError } from '../../experiment/errors.js';
import { refuseLinksOut } from './inside.js';
import type { RunIndex } from './run-index.js';

/** Time that an answer may spend on reading runs; the rest follows by events. */
export const FIRST_LOOK = 300;

export class NotFound extends Error {}

/** A run that was listed. @throws NotFound; UsageError for links out of the folder */
export async function runAt(index: RunIndex, name: string): Promise<string> {
  if (index.pathOf(name) === undefined) await index.refresh(FIRST_LOOK);
  const path = index.pathOf(name);
  if (path === undefined)
    throw new NotFound('expected the name of a run in the folder, there is none; check it');
  await refuseLinksOut(index.folder, name);
  return path;
}

/** @throws UsageError unless the text is a number from `least` to `most` */
export function numberFrom(
  context: Context,
  name: string,
  least: number,
  most: number,
  whole = false,
): number {
  const text = context.req.query(name) ?? '';
  const value = Number(text);
  const fits = text.trim() !== '' && value >= least && value <= most && (!whole || Number.isInteger(value));
  if (fits) return value;
  throw new UsageError(`${name}: expected a number from ${least} to ${most}, got "${text.slice(0, 40)}"`);
}

/** Words of a list, separated by commas; `otherwise` where none is named. @throws UsageError for another */
export function wordsFrom<Word extends string>(
  context: Context,
  name: string,
  known: readonly Word[],
  otherwise: readonly Word[] = known,
): readonly Word[] {
  const words = [...new Set((context.req.query(name) ?? otherwise.join()).split(','))];
  const wrong = words.find((word) => !(known as readonly string[]).includes(word));
  if (wrong === undefined) return words as Word[];
  throw new UsageError(`${name}: expected some of ${known.join(', ')}, got "${wrong.slice(0, 40)}"`);
}
