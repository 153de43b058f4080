/**
 * Where a queue is: `redis://…` or `postgres://…`, with `rediss://` and `sslmode=require` for TLS. The
 * password of a URL is for the connection alone: it is never printed and never written.
 */
import { UsageError } from '../../experiment/errors.js';

/** The servers that carry work. */
export type EngineName = 'redis' | 'postgres';

export interface Address {
  readonly engine: EngineName;
  /** With its password: for the driver only. */
  readonly url: string;
  /** Without password and parameters: for people. */
  readonly shown: string;
  /** What may not be shown, as it is in the URL and as it is meant. */
  readonly secrets: readonly string[];
}

/** Scheme of a URL → engine and scheme of its driver. */
const SCHEMES: Readonly<Record<string, readonly [EngineName, string]>> = {
  'redis:': ['redis', 'redis:'],
  'rediss:': ['redis', 'rediss:'],
  'valkey:': ['redis', 'redis:'],
  'valkeys:': ['redis', 'rediss:'],
  'postgres:': ['postgres', 'postgres:'],
  'postgresql:': ['postgres', 'postgres:'],
};

const ADVICE = 'expected redis://host:6379 or postgres://user@host/database';

/** Text as a URL says it; text with a broken escape stays as it is. */
function unescaped(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/**
 * The address of a queue from its URL.
 * @param where what errors call it, "--queue"
 * @throws UsageError for text that is no such URL; it never repeats the text, which may hold a password
 */
export function queueAddress(text: string, where = '--queue'): Address {
  if (!URL.canParse(text)) throw new UsageError(`${where}: ${ADVICE}, got text that is no URL`);
  const url = new URL(text);
  const scheme = SCHEMES[url.protocol];
  if (scheme === undefined)
    throw new UsageError(`${where}: ${ADVICE}, got a URL of ${url.protocol}//; choose one of the two`);
  if (url.hostname === '' && !url.searchParams.has('host'))
    throw new UsageError(`${where}: ${ADVICE}, got a URL without a host; name one`);
  const [engine, protocol] = scheme;
  const hidden = [url.password, url.searchParams.get('password') ?? ''];
  const secrets = hidden.flatMap((secret) => [secret, unescaped(secret)]).filter((secret) => secret !== '');
  const user = url.username === '' ? '' : `${url.username}@`;
  return {
    engine,
    url: text.replace(/^[a-z]+:/i, protocol),
    shown: `${protocol}//${user}${url.host}${url.pathname === '/' ? '' : url.pathname}`,
    secrets: [...new Set(secrets)].sort((a, b) => b.length - a.length),
  };
}

/** Text, such as a driver's error, in one line and without the secrets of an address. */
export const withoutSecrets = ({ secrets }: Pick<Address, 'secrets'>, text: string): string =>
  secrets.reduce((line, secret) => line.replaceAll(secret, '***'), text.split('\n')[0] ?? '');
