import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { UsageError } from '../../experiment/errors.js';
import { queueAddress, withoutSecrets } from './address.js';

describe('the address of a queue', () => {
  test.each([
    ['redis://localhost', 'redis', 'redis://localhost'],
    ['rediss://ada:s3cret@cache.example:6380/2', 'redis', 'rediss://ada@cache.example:6380/2'],
    ['valkey://localhost:6379', 'redis', 'redis://localhost:6379'],
    ['postgres://ada:s3cret@db/tautnet?sslmode=require', 'postgres', 'postgres://ada@db/tautnet'],
    ['postgresql://db/tautnet?password=s3cret', 'postgres', 'postgres://db/tautnet'],
  ])('%s is read', (text, engine, shown) => {
    expect(queueAddress(text)).toMatchObject({ engine, shown });
  });

  test.each([
    'http://s3cret@localhost',
    'redis:s3cret',
    's3cret',
    'sweep.yaml',
    'redis://:s3cret@',
    '',
    'postgres:///x',
  ])('%j is refused in one line that does not repeat it', (text) => {
    let line = '';
    try {
      queueAddress(text);
    } catch (error) {
      expect(error).toBeInstanceOf(UsageError);
      line = (error as Error).message;
    }
    expect(line).toMatch(/^--queue: expected redis:\/\//);
    expect(line).not.toMatch(/s3cret|\n/);
  });

  test('whatever its password, neither what is shown of it nor an error with it holds the password', () => {
    const password = fc.string({ minLength: 8, maxLength: 20 });
    fc.assert(
      fc.property(password, fc.constantFrom('redis', 'rediss', 'postgres'), (secret, scheme) => {
        const address = queueAddress(`${scheme}://ada:${encodeURIComponent(secret)}@10.0.0.1:77/1`);
        expect(address.shown).toBe(`${scheme}://ada@10.0.0.1:77/1`);
        expect(withoutSecrets(address, `cannot reach ${address.url} as ${secret}`)).not.toContain(
          encodeURIComponent(secret),
        );
      }),
    );
  });
});
