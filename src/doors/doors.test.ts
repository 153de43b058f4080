import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { declarationOf, exportedNames, hasStar, mentioned } from '../testing/declarations.js';
import { DOORS } from '../testing/door-names.js';
import { ROOT } from '../testing/tautnet-process.js';

const namesIn = (text: string): string[] => text.split(/\s+/).filter((name) => name !== '');

describe.each(Object.entries(DOORS))('the door %s', (_, { file, values, types }) => {
  const door = join(ROOT, 'dist', `${file}.d.ts`);

  test('has the names that are listed, values and types', () => {
    expect(exportedNames(door)).toEqual([...namesIn(values), ...namesIn(types)].sort());
  });

  test('says each name: no `export *`', () => {
    expect(hasStar(door)).toBe(false);
  });

  test('names every exported type that the signature of one of its values mentions', () => {
    const at = new Set(exportedNames(door).map((name) => keyOf(door, name)));
    const missing = namesIn(values).flatMap((name) => {
      const declared = declarationOf(door, name);
      return (declared ? mentioned(declared) : [])
        .filter((type) => /^\s*export (interface|type|declare class)/.test(type.text.trim()))
        .filter((type) => !at.has(`${type.file}#${type.name}`))
        .map((type) => `${name}: ${type.name}`);
    });
    expect(missing).toEqual([]);
  });

  test('has no value and no type without a docstring', () => {
    const bare = [...namesIn(values), ...namesIn(types)].filter(
      (name) => declarationOf(door, name)?.documented !== true,
    );
    expect(bare).toEqual([]);
  });
});

const keyOf = (door: string, name: string): string | undefined => {
  const declared = declarationOf(door, name);
  return declared && `${declared.file}#${declared.name}`;
};
