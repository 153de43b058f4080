/** Routes of looking inside an image. */
import type { Context, Hono } from 'hono';
import { boundStages } from '../../verification/proof/batch-size.js';
import { eventStream } from './event-stream.js';
import type { OpenLooks } from './open-looks.js';
import { numberFrom, runAt, wordsFrom } from './queries.js';
import type { RunIndex } from './run-index.js';

const THUMBNAILS = 24;

export function lookRoutes(app: Hono, index: RunIndex, looks: OpenLooks): void {
  const lookAt = async (context: Context<object, '/api/runs/:name/look'>) => {
    const path = await runAt(index, context.req.param('name'));
    const look = await looks.of(path);
    return { look, image: numberFrom(context, 'image', 0, look.count - 1, true) };
  };
  app.get('/api/runs/:name/look', async (context) => {
    const { look, image } = await lookAt(context);
    const stages = wordsFrom(context, 'relaxations', boundStages);
    return context.json(await look.step(image, numberFrom(context, 'epsilon', 0, 1), stages));
  });
  app.get('/api/runs/:name/attack', async (context) => {
    const { look, image } = await lookAt(context);
    return context.json(await look.attack(image, numberFrom(context, 'epsilon', 0, 1)));
  });
  app.get('/api/runs/:name/radii', async (context) => {
    const { look, image } = await lookAt(context);
    return eventStream(context, (tell, signal) => look.radii(image, tell, signal));
  });
  app.get('/api/runs/:name/images', async (context) => {
    const look = await looks.of(await runAt(index, context.req.param('name')));
    return context.json(look.images(numberFrom(context, 'from', 0, look.count - 1, true), THUMBNAILS));
  });
}
