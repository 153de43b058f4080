/**
 * The dashboard's routes. Everything is a GET; nothing is written, and no request leaves the machine.
 *
 * A browser may show pages of strangers beside this one: a page is answered only where it was asked for by
 * the name that the server listens to, and never to another site.
 */
import { type Context, Hono } from 'hono';
import { streamSSE } from 'hono/streaming';
import { UsageError } from '../../experiment/errors.js';
import { type BoundStage, boundStages } from '../../verification/proof/batch-size.js';
import type { Problem, RunList } from './answers.js';
import { Changes } from './changes.js';
import { refuseLinksOut } from './inside.js';
import { OpenLooks } from './open-looks.js';
import { compareAnswer, runDetail } from './run-detail.js';
import { oneLine } from './run-entry.js';
import type { RunIndex } from './run-index.js';

const POLICY = [
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'",
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
].join('; ');

const HEADERS = {
  'content-security-policy': POLICY,
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
  'cross-origin-opener-policy': 'same-origin',
  'cache-control': 'no-store',
} as const;

/** Time that the first answer may spend on reading runs; the rest follows by events. */
const FIRST_LOOK = 300;
const THUMBNAILS = 24;

/** Files of the page: name in the address, its bytes and type. */
export type PageFiles = Readonly<
  Record<string, { readonly type: string; readonly body: Uint8Array<ArrayBuffer> }>
>;

export interface DashboardOptions {
  readonly index: RunIndex;
  readonly files: PageFiles;
  readonly dataDir?: string;
  /** Names by which the server may be asked; any where it listens to other machines. */
  readonly hosts?: readonly string[];
}

export interface Dashboard {
  readonly app: Hono;
  close(): Promise<void>;
}

/** "127.0.0.1:80", "[::1]:80", "localhost" without their port. */
const hostOf = (header: string): string => header.replace(/:\d+$/, '').toLowerCase();

class NotFound extends Error {}

/** A run that was listed. @throws NotFound; UsageError for links out of the folder */
async function runAt(index: RunIndex, name: string): Promise<string> {
  if (index.pathOf(name) === undefined) await index.refresh(FIRST_LOOK);
  const path = index.pathOf(name);
  if (path === undefined)
    throw new NotFound('expected the name of a run in the folder, there is none; check it');
  await refuseLinksOut(index.folder, name);
  return path;
}

/** @throws UsageError unless the text is a number from `least` to `most` */
function numberFrom(context: Context, name: string, least: number, most: number, whole = false): number {
  const text = context.req.query(name) ?? '';
  const value = Number(text);
  const fits = text.trim() !== '' && value >= least && value <= most && (!whole || Number.isInteger(value));
  if (fits) return value;
  throw new UsageError(`${name}: expected a number from ${least} to ${most}, got "${text.slice(0, 40)}"`);
}

function stagesFrom(context: Context): BoundStage[] {
  const names = (context.req.query('relaxations') ?? boundStages.join()).split(',');
  const known: readonly string[] = boundStages;
  const wrong = names.find((name) => !known.includes(name));
  if (wrong === undefined) return names as BoundStage[];
  throw new UsageError(`relaxations: expected some of ${known.join(', ')}, got "${wrong.slice(0, 40)}"`);
}

function lookRoutes(app: Hono, index: RunIndex, looks: OpenLooks): void {
  const lookAt = async (context: Context<object, '/api/runs/:name/look'>) => {
    const path = await runAt(index, context.req.param('name'));
    const look = await looks.of(path);
    return { look, image: numberFrom(context, 'image', 0, look.count - 1, true) };
  };
  app.get('/api/runs/:name/look', async (context) => {
    const { look, image } = await lookAt(context);
    return context.json(await look.step(image, numberFrom(context, 'epsilon', 0, 1), stagesFrom(context)));
  });
  app.get('/api/runs/:name/attack', async (context) => {
    const { look, image } = await lookAt(context);
    return context.json(await look.attack(image, numberFrom(context, 'epsilon', 0, 1)));
  });
  app.get('/api/runs/:name/radii', async (context) => {
    const { look, image } = await lookAt(context);
    return context.json(await look.radii(image));
  });
  app.get('/api/runs/:name/images', async (context) => {
    const look = await looks.of(await runAt(index, context.req.param('name')));
    return context.json(look.images(numberFrom(context, 'from', 0, look.count - 1, true), THUMBNAILS));
  });
}

function runRoutes(app: Hono, index: RunIndex): void {
  app.get('/api/runs', async (context) => {
    await index.refresh(FIRST_LOOK);
    return context.json(index.list() satisfies RunList);
  });
  app.get('/api/compare', async (context) => {
    await index.refresh(FIRST_LOOK);
    const names = context.req.queries('run') ?? [];
    if (names.length === 0)
      throw new UsageError('compare: expected the names of runs, got none; choose some');
    return context.json(await compareAnswer(await Promise.all(names.map((name) => runAt(index, name)))));
  });
  app.get('/api/runs/:name', async (context) => {
    const name = context.req.param('name');
    const path = await runAt(index, name);
    await index.refresh(FIRST_LOOK);
    const entry = index.entryOf(name);
    if (entry === undefined) throw new NotFound('expected a run, it is gone; go back to the list');
    return context.json(await runDetail(path, entry));
  });
}

/** Server-sent events: `runs` with the names that have changed. */
function eventRoute(app: Hono, changes: Changes): void {
  app.get('/api/events', (context) =>
    streamSSE(context, async (stream) => {
      const aborted = new Promise<void>((done) => stream.onAbort(done));
      const stop = changes.listen((names) => {
        void stream.writeSSE({ event: 'runs', data: JSON.stringify(names) }).catch(() => undefined);
      });
      await stream.writeSSE({ event: 'hello', data: '' });
      await aborted;
      stop();
    }),
  );
}

/** The dashboard of an index; close it after use. */
export function createDashboard({ index, files, dataDir, hosts }: DashboardOptions): Dashboard {
  const app = new Hono();
  const looks = new OpenLooks(dataDir);
  const changes = new Changes(index);
  app.use(async (context, next) => {
    const stranger = hosts !== undefined && !hosts.includes(hostOf(context.req.header('host') ?? ''));
    if (stranger || context.req.header('sec-fetch-site') === 'cross-site')
      context.res = context.json({ problem: 'expected a request of this page' } satisfies Problem, 403);
    else await next();
    for (const [name, value] of Object.entries(HEADERS)) context.res.headers.set(name, value);
  });
  runRoutes(app, index);
  lookRoutes(app, index, looks);
  eventRoute(app, changes);
  app.get('*', (context) => {
    const name = context.req.path === '/' ? 'index.html' : context.req.path.slice(1);
    const file = Object.hasOwn(files, name) ? files[name] : undefined;
    if (file === undefined) return context.json({ problem: 'there is nothing here' } satisfies Problem, 404);
    return context.body(file.body, 200, { 'content-type': file.type });
  });
  app.notFound((context) => context.json({ problem: 'there is nothing here' } satisfies Problem, 404));
  app.onError((error, context) =>
    context.json({ problem: oneLine(error) } satisfies Problem, error instanceof NotFound ? 404 : 422),
  );
  return {
    app,
    async close() {
      changes.close();
      await looks.close();
    },
  };
}
