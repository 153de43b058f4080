/** What the page knows of the server: answers, and changes as they happen. */
import { type Signal, signal } from '@preact/signals';
import { useEffect, useState } from 'preact/hooks';
import type { Problem } from '../../src/insight/dashboard/answers.js';

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
export async function ask<Answer>(path: string, signal?: AbortSignal): Promise<Answer> {
  const response = await fetch(path, { signal }).catch((error: unknown) => {
    if (signal?.aborted) throw error;
    throw new Error('the server does not answer; start `tautnet dashboard` again');
  });
  const answer = (await response.json()) as Answer | Problem;
  if (!response.ok) throw new Error((answer as Problem).problem);
  return answer as Answer;
}

export interface Asked<Answer> {
  /** The last answer, also while the next one is under way. */
  readonly answer?: Answer;
  readonly problem?: string;
  readonly waiting: boolean;
}

/** Asks for `path` and again whenever `revision` changes; undefined asks nothing. */
export function useAnswer<Answer>(path: string | undefined, revision = 0): Asked<Answer> {
  const [asked, setAsked] = useState<Asked<Answer> & { readonly path?: string }>({ waiting: true });
  // A new revision is a new question.
  useEffect(() => {
    if (path === undefined) return;
    const abort = new AbortController();
    setAsked((before) => (before.path === path ? { ...before, waiting: true } : { waiting: true, path }));
    ask<Answer>(path, abort.signal).then(
      (answer) => setAsked({ answer, waiting: false, path }),
      (error: Error) => {
        if (!abort.signal.aborted) setAsked({ problem: error.message, waiting: false, path });
      },
    );
    return () => abort.abort();
  }, [path, revision]);
  return asked.path === path ? asked : { waiting: true };
}
