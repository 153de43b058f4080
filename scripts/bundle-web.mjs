/**
 * `node scripts/bundle-web.mjs`, part of `npm run build`: `tautnet/web`, the library for browsers, as one
 * file in `dist/web/`. Its packages are bundled but for ONNX Runtime; their licences stand beside it.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';
import { browserVariants } from './browser-variants.mjs';
import { licencesOf, packagesIn } from './licence-texts.mjs';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const WEB = join(ROOT, 'dist', 'web');
/** Bytes that the library may have in a browser. */
const MOST = 600_000;

await mkdir(WEB, { recursive: true });
const bundle = await rolldown({
  input: join(ROOT, 'dist', 'doors', 'web.js'),
  platform: 'browser',
  logLevel: 'silent',
  plugins: [browserVariants({ external: true })],
});
const file = join(WEB, 'index.js');
const { output } = await bundle.write({ file, format: 'esm', minify: true });
await bundle.close();
await writeFile(join(WEB, 'LICENSES.txt'), await licencesOf(packagesIn(output)));
const bytes = (await readFile(file)).length;
if (bytes > MOST) throw new Error(`bundle-web: expected at most ${MOST} bytes of script, got ${bytes}`);
