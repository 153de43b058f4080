/** The route of a run's landscape: progress while it is computed, then the landscape. */
import type { Hono } from 'hono';
import { LANDSCAPE_DIRECTIONS, LANDSCAPE_RELAXATIONS } from './answers.js';
import { eventStream } from './event-stream.js';
import type { Landscapes } from './landscapes.js';
import { runAt, wordsFrom } from './queries.js';
import type { RunIndex } from './run-index.js';

/** Relaxations that are looked at unless others are named. */
const FAST = LANDSCAPE_RELAXATIONS.slice(0, 3);

export function landscapeRoute(app: Hono, index: RunIndex, landscapes: Landscapes): void {
  app.get('/api/runs/:name/landscape', async (context) => {
    const path = await runAt(index, context.req.param('name'));
    const [direction] = wordsFrom(context, 'direction', LANDSCAPE_DIRECTIONS, ['random']);
    const relaxations = wordsFrom(context, 'relaxations', LANDSCAPE_RELAXATIONS, FAST);
    return eventStream(context, async (tell, signal) => {
      const told = (done: number, total: number) => tell('progress', { done, total });
      tell(
        'landscape',
        await landscapes.of(path, { direction: direction ?? 'random', relaxations }, told, signal),
      );
    });
  });
}
