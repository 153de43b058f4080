/**
 * The dashboard's routes. Everything is a GET, nothing is written but the cache of landscapes, and no request
 * leaves the machine.
 *
 * A browser may show pages of strangers beside this one: a page is answered only where it was asked for by
 * the name that the server listens to, and never to another site.
 */
import { Hono } from 'hono';
import { streamSSE } from 'hono/streaming';
import { UsageError } from '../../experiment/errors.js';
import type { Problem, RunList } from './answers.js';
import { Changes } from './changes.js';
import { landscapeRoute } from './landscape-route.js';
import { Landscapes, type LandscapesOptions } from './landscapes.js';
import { lookRoutes } from './look-routes.js';
import { OpenDatasets } from './open-datasets.js';
import { OpenLooks } from './open-looks.js';
import { FIRST_LOOK, NotFound, runAt } from './queries.js';
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

/** Files of the page: name in the address, its bytes and type. */
export type PageFiles = Readonly<
  Record<string, { readonly type: string; readonly body: Uint8Array<ArrayBuffer> }>
>;

export interface DashboardOptions {
  readonly index: RunIndex;
  readonly files: PageFiles;
  readonly dataDir?: string;
  /** Folder where landscapes are kept (default: the user's cache). */
  readonly cache?: string;
  /** Seconds for the exact radius of an image (default 20). */
  readonly exactSeconds?: number;
  /** What of landscapes is computed, where it should differ. */
  readonly scan?: LandscapesOptions['scan'];
  /** Names by which the server may be asked; any where it listens to other machines. */
  readonly hosts?: readonly string[];
}

export interface Dashboard {
  readonly app: Hono;
  close(): Promise<void>;
}

/** "127.0.0.1:80", "[::1]:80", "localhost" without their port. */
const hostOf = (header: string): string => header.replace(/:\d+$/, '').toLowerCase();

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
export function createDashboard(options: DashboardOptions): Dashboard {
  const { index, files, dataDir, cache, exactSeconds, scan, hosts } = options;
  const app = new Hono();
  const datasets = new OpenDatasets(dataDir);
  const looks = new OpenLooks(datasets, exactSeconds);
  const landscapes = new Landscapes({ datasets, cache, scan });
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
  landscapeRoute(app, index, landscapes);
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
      await Promise.all([looks.close(), landscapes.close()]);
    },
  };
}
