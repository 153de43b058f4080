/** Questions that a component asks, and asks again when they change. */
import { useEffect, useState } from 'preact/hooks';

export interface Asked<Answer> {
  /** The last answer, also while the next one is under way. */
  readonly answer?: Answer;
  readonly problem?: string;
  readonly waiting: boolean;
}

/**
 * Asks the question of a name, and again whenever `revision` changes; undefined asks nothing. The signal is
 * aborted when nobody waits any more.
 */
export function useAsked<Answer>(
  name: string | undefined,
  ask: (signal: AbortSignal) => Promise<Answer>,
  revision = 0,
): Asked<Answer> {
  const [asked, setAsked] = useState<Asked<Answer> & { readonly name?: string }>({ waiting: true });
  // A new revision is a new question.
  useEffect(() => {
    if (name === undefined) return;
    const abort = new AbortController();
    setAsked((before) => (before.name === name ? { ...before, waiting: true } : { waiting: true, name }));
    ask(abort.signal).then(
      (answer) => {
        if (!abort.signal.aborted) setAsked({ answer, waiting: false, name });
      },
      (error: Error) => {
        if (!abort.signal.aborted) setAsked({ problem: error.message, waiting: false, name });
      },
    );
    return () => abort.abort();
  }, [name, revision]);
  return asked.name === name ? asked : { waiting: true };
}
