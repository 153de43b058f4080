/**
 * `node scripts/bundle-dashboard.mjs`, part of `npm run build`: the dashboard's page of `site/dashboard/`, as
 * three files in `dist/`. Its packages are bundled; their licences stand beside them.
 */
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';
import { licencesOf, packagesIn } from './licence-texts.mjs';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const SOURCE = join(ROOT, 'site', 'dashboard');
const PAGE = join(ROOT, 'dist', 'insight', 'dashboard', 'page');

await mkdir(PAGE, { recursive: true });
const bundle = await rolldown({
  input: join(SOURCE, 'main.tsx'),
  platform: 'browser',
  logLevel: 'silent',
  tsconfig: join(SOURCE, 'tsconfig.json'),
  resolve: { extensionAlias: { '.js': ['.ts', '.tsx', '.js'] } },
});
const { output } = await bundle.write({ file: join(PAGE, 'app.js'), format: 'esm', minify: true });
await bundle.close();
for (const name of ['index.html', 'style.css']) await copyFile(join(SOURCE, name), join(PAGE, name));
const texts = await licencesOf(packagesIn(output));
await writeFile(join(PAGE, 'LICENSES.txt'), texts);
const bytes = (await readFile(join(PAGE, 'app.js'))).length;
if (bytes > 200_000)
  throw new Error(`bundle-dashboard: expected at most 200 kB of script, got ${bytes} bytes`);
