/**
 * Licences of what `npm install tautnet` brings: `npm run licenses`. Fails where a licence is not permissive,
 * or where the installation has more packages than LIMIT. `--quiet` prints the failures only.
 *
 * Packages are read from package-lock.json; of packages for one platform each, as one program has them, one
 * is installed: they count once.
 */
import { readFile } from 'node:fs/promises';
import process from 'node:process';

const PERMISSIVE = new Set([
  '0BSD',
  'Apache-2.0',
  'BlueOak-1.0.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'CC0-1.0',
  'ISC',
  'MIT',
  'Python-2.0',
  'Unlicense',
  'Zlib',
]);
const LIMIT = 60;

/** Whether one alternative of an SPDX expression consists of permissive licences only. */
const isPermissive = (expression) =>
  expression
    .replace(/[()]/g, '')
    .split(/ OR /)
    .some((alternative) => alternative.split(/ AND /).every((licence) => PERMISSIVE.has(licence.trim())));

const { packages } = JSON.parse(await readFile(new URL('../package-lock.json', import.meta.url), 'utf8'));
const production = Object.entries(packages)
  .filter(([path, { dev, devOptional, link }]) => path !== '' && !dev && !devOptional && !link)
  .map(([path, { version, license, optional, cpu, os }]) => ({
    name: `${path.replace(/^.*node_modules\//, '')}@${version}`,
    license: license ?? 'unknown',
    platform: Boolean(optional && (cpu ?? os)),
  }));
const installed = production.filter(({ platform }) => !platform).length;
const platforms = production.length - installed;
const refused = production.filter(({ license }) => !isPermissive(license));

if (!process.argv.includes('--quiet')) {
  for (const license of [...new Set(production.map((one) => one.license))].sort())
    process.stdout.write(
      `${license}: ${production
        .filter((one) => one.license === license && !one.platform)
        .map(({ name }) => name)
        .sort()
        .join(', ')}\n`,
    );
  process.stdout.write(`${installed} packages, and one of ${platforms} for the platform; at most ${LIMIT}\n`);
}
for (const { name, license } of refused)
  process.stderr.write(`${name}: expected a permissive licence, got ${license}; replace the package\n`);
if (installed + 1 > LIMIT)
  process.stderr.write(
    `expected at most ${LIMIT} packages in production, got ${installed + 1}; leave some out\n`,
  );
process.exitCode = refused.length > 0 || installed + 1 > LIMIT ? 1 : 0;
