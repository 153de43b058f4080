/**
 * `node scripts/bundle-figures.mjs`, part of `npm run build`: what figures are drawn with, put into `dist/`
 * as one file and a folder of fonts.
 *
 * Plot and linkedom stand on some fifty packages. Bundled they weigh 200 kB compressed and add nothing to an
 * installation; their licences stand beside them. Inter is unpacked from WOFF, which PNG is not drawn with.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { inflateSync } from 'node:zlib';
import { rolldown } from 'rolldown';
import { licencesOf, packagesIn } from './licence-texts.mjs';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const FIGURES = join(ROOT, 'dist', 'insight', 'figure');
const { resolve } = createRequire(import.meta.url);

/** Bundles one entry into its compiled place, and returns the packages in it. */
async function bundled(entry, output) {
  const bundle = await rolldown({
    input: entry,
    platform: 'node',
    logLevel: 'silent',
    // linkedom draws canvases with a native package, where there is one; figures have none.
    external: ['canvas'],
  });
  const { output: chunks } = await bundle.write({ file: output, format: 'esm', minify: true });
  return packagesIn(chunks);
}

/** An OpenType font from its WOFF 1.0 file: the same tables, inflated. https://www.w3.org/TR/WOFF/ */
function unpacked(woff) {
  const tables = woff.readUInt16BE(12);
  const head = Buffer.alloc(12 + 16 * tables);
  woff.copy(head, 0, 4, 8);
  head.writeUInt16BE(tables, 4);
  const power = Math.floor(Math.log2(tables));
  head.writeUInt16BE(16 * 2 ** power, 6);
  head.writeUInt16BE(power, 8);
  head.writeUInt16BE(16 * tables - 16 * 2 ** power, 10);
  const parts = [head];
  let offset = head.length;
  for (let t = 0; t < tables; t++) {
    const at = 44 + 20 * t;
    const [from, packed, size] = [4, 8, 12].map((field) => woff.readUInt32BE(at + field));
    const bytes = woff.subarray(from, from + packed);
    const data = packed < size ? inflateSync(bytes) : bytes;
    woff.copy(head, 12 + 16 * t, at, at + 4);
    woff.copy(head, 16 + 16 * t, at + 16, at + 20);
    head.writeUInt32BE(offset, 20 + 16 * t);
    head.writeUInt32BE(size, 24 + 16 * t);
    const padded = Buffer.alloc(Math.ceil(size / 4) * 4);
    data.copy(padded);
    parts.push(padded);
    offset += padded.length;
  }
  return Buffer.concat(parts);
}

const entry = join(FIGURES, 'plot-library.js');
const marker = '// bundled\n';
if (!(await readFile(entry, 'utf8')).startsWith(marker)) {
  const inter = dirname(resolve('@fontsource/inter/package.json'));
  const packages = await bundled(entry, entry);
  await writeFile(entry, marker + (await readFile(entry, 'utf8')));
  await mkdir(join(FIGURES, 'fonts'), { recursive: true });
  for (const name of ['latin-400', 'greek-400']) {
    const woff = await readFile(join(inter, 'files', `inter-${name}-normal.woff`));
    await writeFile(join(FIGURES, 'fonts', `inter-${name}.ttf`), unpacked(woff));
  }
  await writeFile(join(FIGURES, 'LICENSES.txt'), await licencesOf([...packages, inter]));
}
