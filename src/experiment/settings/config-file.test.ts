import { expect, test } from 'vitest';
import { UsageError } from '../errors.js';
import { parseConfig } from './config-file.js';

test('an alias without an anchor is a mistake with a place', () => {
  const parse = () => parseConfig('seed: 1\nepsilon: *a\n', 'a.yaml');
  expect(parse).toThrow(UsageError);
  expect(parse).toThrow('a.yaml, line 2, column 1: expected YAML; Unresolved alias');
});
