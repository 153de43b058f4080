/** Figures as files: the name's end says what is written. */
import { extname } from 'node:path';
import { UsageError } from '../../experiment/errors.js';
import { writeFileAtomic } from '../../formats/atomic-file.js';
import { figureCsv } from './csv.js';
import type { Figure } from './figure.js';

/** What draws is loaded when something is drawn, as it takes longer than all else of a command's start. */
const svgOf = async (figure: Figure): Promise<string> => (await import('./svg.js')).figureSvg(figure);

const WRITERS: Readonly<Record<string, (figure: Figure) => string | Promise<string | Uint8Array>>> = {
  '.svg': svgOf,
  '.png': async (figure) => (await import('./png.js')).pngOf(await svgOf(figure)),
  '.csv': figureCsv,
};

/** @throws UsageError, before any work, unless the name ends as one of a figure */
export function checkFigureName(path: string, where: string): void {
  if (Object.hasOwn(WRITERS, extname(path))) return;
  throw new UsageError(
    `${where}: expected a name that ends in ${Object.keys(WRITERS).join(', ')}, got ${path}; choose another`,
  );
}

/** Writes a figure as SVG, as PNG or as the table of its numbers. @throws UsageError, Failure, FileError */
export async function writeFigure(path: string, figure: Figure): Promise<void> {
  checkFigureName(path, 'figure');
  const write = WRITERS[extname(path)] as (typeof WRITERS)[string];
  await writeFileAtomic(path, await write(figure));
}
