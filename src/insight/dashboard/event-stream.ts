/** Answers that take long: server-sent events, cancelled when whoever asked has gone. */
import type { Context } from 'hono';
import { streamSSE } from 'hono/streaming';
import type { Problem } from './answers.js';
import { oneLine } from './run-entry.js';

/** Sends one event with a value as JSON. */
export type Tell = (event: string, value: unknown) => void;

/**
 * Streams what `work` tells, and its failure as the event `problem`; then ends.
 * @param work stops soon after its signal is aborted: nobody listens any more
 */
export const eventStream = (
  context: Context,
  work: (tell: Tell, signal: AbortSignal) => Promise<void>,
): Response =>
  streamSSE(context, async (stream) => {
    const gone = new AbortController();
    stream.onAbort(() => gone.abort(new Error('nobody listens')));
    // Events in their order: each waits for the one before it.
    let sent: Promise<unknown> = Promise.resolve();
    const tell: Tell = (event, value) => {
      const data = JSON.stringify(value);
      sent = sent.then(() => stream.writeSSE({ event, data })).catch(() => undefined);
    };
    await work(tell, gone.signal).catch((error: unknown) => {
      tell('problem', { problem: oneLine(error) } satisfies Problem);
    });
    await sent;
  });
