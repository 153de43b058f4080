/**
 * `npm run docs:settings`: writes docs/reference/settings.md from the settings' schema; a test holds the page
 * against it.
 */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { DEFAULTS } from '../dist/experiment/settings/defaults.js';
import { expectationOf, kebab, textFromValue } from '../dist/experiment/settings/setting-text.js';
import { informationOf, SETTING_NAMES } from '../dist/experiment/settings/settings.js';

const cell = (text) => text.replaceAll('|', '\\|').replaceAll('<', '&lt;').replaceAll('\n', ' ');

function row(name) {
  const { description, unit, only, changeable } = informationOf(name);
  const initial = DEFAULTS[name];
  const notes = [
    unit && `in ${unit}`,
    only && `only with ${only.join(', ')}`,
    changeable && 'may differ when a run is resumed',
  ];
  const meaning = [description, ...notes.filter(Boolean)].join('; ');
  const standard = 'value' in initial ? textFromValue(initial.value) : initial.text;
  const cells = [`\`${kebab(name)}\``, cell(meaning), cell(expectationOf(name)), cell(String(standard))];
  return `| ${cells.join(' | ')} |`;
}

export const settingsPage = () => `# Settings

Flags of \`tautnet train\`, names in its YAML files, and in camelCase of \`train({ … })\`. Generated from the
schema by \`npm run docs:settings\`.

| setting | meaning | value | default |
| --- | --- | --- | --- |
${SETTING_NAMES.map(row).join('\n')}
`;

const path = fileURLToPath(new URL('../docs/reference/settings.md', import.meta.url));
if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(path, settingsPage());
