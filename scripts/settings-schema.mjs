/**
 * `npm run docs:settings`: writes tautnet.schema.json, the JSON Schema of configuration files, from the
 * settings' schema, so that editors complete and check them; a test holds the file against it.
 */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { DEFAULTS } from '../dist/experiment/settings/defaults.js';
import { kebab } from '../dist/experiment/settings/setting-text.js';
import { informationOf, SETTING_NAMES, schemaOf } from '../dist/experiment/settings/settings.js';

/** "2/255": numbers of files may be fractions. */
const FRACTION = { type: 'string', pattern: '^[0-9.eE+-]+ */ *[0-9.eE+-]+$' };

/** Names, or several of them joined, as enumerations that an editor completes. */
const joined = (choices, joinedBy) => {
  const parts = choices.filter((name) => name !== 'none').join('|');
  return {
    anyOf: [{ enum: choices }, { type: 'string', pattern: `^(${parts})(\\${joinedBy}(${parts}))+$` }],
  };
};

/** The values of a setting; an intersection has the limits of all its parts. */
function valuesOf(name) {
  const { $schema: _, allOf = [], ...own } = z.toJSONSchema(schemaOf(name));
  const { choices, joinedBy, form: _form, factorOf, ...limits } = Object.assign({}, own, ...allOf);
  if (joinedBy !== undefined) return joined(choices, joinedBy);
  if (choices !== undefined) return { anyOf: [{ enum: choices }, limits] };
  if (factorOf !== undefined) return { anyOf: [...limits.anyOf, FRACTION] };
  return limits.type === 'number' ? { anyOf: [limits, FRACTION] } : limits;
}

function property(name) {
  const { description, unit, only } = informationOf(name);
  const initial = DEFAULTS[name];
  const notes = [
    unit && `in ${unit}`,
    only && `only with ${only.join(', ')}`,
    `default: ${'value' in initial ? initial.value : initial.text}`,
  ];
  return {
    description: [description, ...notes.filter(Boolean)].join('; '),
    ...valuesOf(name),
    ...('value' in initial && { default: initial.value }),
  };
}

export const settingsSchemaText = () => {
  const properties = Object.fromEntries(SETTING_NAMES.map((name) => [kebab(name), property(name)]));
  const schema = {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'tautnet settings',
    description: 'A configuration file of `tautnet train --config`; what is left out has its default.',
    type: 'object',
    additionalProperties: false,
    properties: {
      tautnet: {
        description: 'who wrote the configuration of a run',
        type: 'object',
        properties: { format: { type: 'integer' }, version: { type: 'string' } },
      },
      ...properties,
    },
  };
  return `${JSON.stringify(schema, null, 2)}\n`;
};

const path = fileURLToPath(new URL('../tautnet.schema.json', import.meta.url));
if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(path, settingsSchemaText());
