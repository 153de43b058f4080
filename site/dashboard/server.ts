/** What the page knows of the server: answers, and changes as they happen. */
import { type Signal, signal } from '@preact/signals';
import { useEffect, useState } from 'preact/hooks';
import type { Problem } from '../../src/insight/dashboard/answers.js';
import { type Asked, useAsked } from './asked.js';

/** Counts changes of runs: by name, and of any of them under ''. */
const revisions = new Map<string, Signal<number>>();
export const connected = signal(false);

export function revisionOf(name: string): Signal<number> {
  const known = revisions.get(name) ?? signal(0);
  revisions.set(name, known);
  return known;
}

function count(name: string): void {
  revisionOf(name).value++;
}

/** Listens to changes for as long as the page is open; the browser connects again by itself. */
export function listen(): void {
  const events = new EventSource('/api/events');
  events.addEventListener('hello', () => {
    connected.value = true;
    for (const name of revisions.keys()) count(name);
  });
  events.addEventListener('runs', (event) => {
    for (const name of JSON.parse(event.data) as string[]) count(name);
    count('');
  });
  events.addEventListener('error', () => {
    connected.value = false;
  });
}

/** @throws Error with the one line that the server says */
async function responseOf(path: string, signal?: AbortSignal): Promise<Response> {
  const response = await fetch(path, { signal }).catch((error: unknown) => {
    if (signal?.aborted) throw error;
    throw new Error('the server does not answer; start `tautnet dashboard` again');
  });
  if (!response.ok) throw new Error(((await response.json()) as Problem).problem);
  return response;
}

/** @throws as responseOf */
export const ask = async <Answer>(path: string, signal?: AbortSignal): Promise<Answer> =>
  (await responseOf(path, signal)).json() as Promise<Answer>;

/** Something that the server tells on the way to an answer. */
export interface Told {
  readonly event: string;
  readonly value: unknown;
}

/** Server-sent events as they come, until the last. @throws as responseOf; the line of the event `problem` */
async function* eventsOf(path: string, signal: AbortSignal): AsyncGenerator<Told> {
  const { body } = await responseOf(path, signal);
  if (body === null) return;
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    const whole = `${text}${part.value}`.split('\n\n');
    text = whole.pop() ?? '';
    for (const one of whole) {
      const field = (name: string) => one.match(new RegExp(`^${name}: (.*)$`, 'm'))?.[1] ?? '';
      const told = { event: field('event'), value: JSON.parse(field('data') || 'null') as unknown };
      if (told.event === 'problem') throw new Error((told.value as Problem).problem);
      yield told;
    }
  }
}

export interface Following {
  /** All that was told so far. */
  readonly told: readonly Told[];
  readonly problem?: string;
  /** Whether more may come. */
  readonly waiting: boolean;
}

/** Follows what the server tells of `path`; a new path, or leaving, ends its work. undefined asks nothing. */
export function useEvents(path: string | undefined, revision = 0): Following {
  const nothing: Following = { told: [], waiting: true };
  const [state, setState] = useState<Following & { readonly path?: string }>(nothing);
  // A new revision is a new question.
  useEffect(() => {
    if (path === undefined) return;
    const abort = new AbortController();
    setState({ ...nothing, path });
    const follow = async () => {
      for await (const one of eventsOf(path, abort.signal))
        setState((before) => ({ ...before, told: [...before.told, one] }));
      setState((before) => ({ ...before, waiting: false }));
    };
    follow().catch((error: Error) => {
      if (!abort.signal.aborted)
        setState((before) => ({ ...before, problem: error.message, waiting: false }));
    });
    return () => abort.abort();
  }, [path, revision]);
  return state.path === path ? state : nothing;
}

/** Asks for `path` and again whenever `revision` changes; undefined asks nothing. */
export const useAnswer = <Answer>(path: string | undefined, revision = 0): Asked<Answer> =>
  useAsked(path, (signal) => ask<Answer>(path as string, signal), revision);
