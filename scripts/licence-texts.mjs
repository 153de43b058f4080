/** Licences of what is bundled, for the bundle's side. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Folders of the packages in a bundle. */
export function packagesIn(chunks) {
  const modules = chunks.flatMap((chunk) => chunk.moduleIds ?? []);
  const folder = /^.*node_modules\/(@[^/]+\/)?[^/]+/;
  return [...new Set(modules.map((id) => id.replace(/^\0/, '').match(folder)?.[0]).filter(Boolean))].sort();
}

/** Name, version, licence and its text for each package. */
export async function licencesOf(folders) {
  const texts = await Promise.all(
    folders.map(async (folder) => {
      const { name, version, license } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'));
      const names = ['LICENSE', 'LICENSE.md', 'LICENSE.txt', 'license'];
      const found = await Promise.all(
        names.map((file) => readFile(join(folder, file), 'utf8').catch(() => '')),
      );
      return `${name} ${version} (${license})\n\n${found.find((text) => text !== '') ?? ''}`.trim();
    }),
  );
  return `${texts.join(`\n\n${'-'.repeat(80)}\n\n`)}\n`;
}
