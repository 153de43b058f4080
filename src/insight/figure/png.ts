/** A figure as PNG, by resvg (an optional package) with the font of the package: the same everywhere. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Failure } from '../../experiment/errors.js';

/** The build puts the font here; sources find it there, too. */
const FONTS = ['./fonts', '../../../dist/insight/figure/fonts'].map((path) =>
  fileURLToPath(new URL(path, import.meta.url)),
);

function fontFiles(): string[] {
  const folder = FONTS.find((path) => existsSync(path));
  if (folder === undefined)
    throw new Failure(`${FONTS[0]}: expected the font of figures, there is none; run \`npm run build\``);
  return readdirSync(folder).map((name) => join(folder, name));
}

/**
 * Pixels of a drawing, on white unless it is dark itself.
 * @param scale pixels of the picture for one of the drawing (default 2)
 * @throws Failure where resvg is not installed
 */
export async function pngOf(svg: string, scale = 2): Promise<Uint8Array> {
  const { Resvg } = await import('@resvg/resvg-js').catch((error: unknown) => {
    throw new Failure(
      'PNG: expected the package @resvg/resvg-js, it is not installed; `npm install @resvg/resvg-js`, or ' +
        'take the SVG',
      { cause: error },
    );
  });
  const font = { fontFiles: fontFiles(), loadSystemFonts: false, defaultFontFamily: 'Inter' };
  return new Resvg(svg, { font, fitTo: { mode: 'zoom', value: scale } }).render().asPng();
}
