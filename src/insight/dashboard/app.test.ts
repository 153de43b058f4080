import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { saveLast } from '../../experiment/run/checkpoint-folder.js';
import { createRun } from '../../experiment/run/run-folder.js';
import { resolveSettings } from '../../experiment/settings/resolve-settings.js';
import { train } from '../../library/train.js';
import type { RunCard } from './answers.js';
import { createDashboard, type Dashboard } from './app.js';
import { RunIndex } from './run-index.js';
import { serveDashboard } from './serve.js';

const HOSTILE = '<img src=x onerror=alert(1)>';
let folder: string;
let outside: string;
let dashboard: Dashboard;
beforeAll(async () => {
  outside = await mkdtemp(join(tmpdir(), 'tautnet-dashboard-'));
  folder = join(outside, 'runs');
  await mkdir(folder);
  await writeFile(join(outside, 'secret'), 'secret-text');
  await writeFile(join(outside, 'config.yaml'), 'secret-text: 1');
  for (const name of ['a', 'b', HOSTILE]) {
    const path = join(folder, name);
    await (await createRun(path, resolveSettings({ seed: name === 'a' ? 0 : 1, out: path }))).release();
  }
  await symlink(outside, join(folder, 'link'));
  const files = { 'index.html': { type: 'text/html', body: new Uint8Array([1]) } };
  const index = await RunIndex.open(folder);
  const scan = { points: 3, samples: 2, sigmas: [0, 0.001] };
  const fast = { cache: outside, exactSeconds: 0.5, scan };
  dashboard = createDashboard({ index, files, hosts: ['localhost'], ...fast });
});
afterAll(async () => {
  await dashboard.close();
  await rm(outside, { recursive: true });
});

const get = async (path: string, headers: Record<string, string> = {}) => {
  const response = await dashboard.app.request(
    new Request(`http://localhost${path}`, { headers: { host: 'localhost:1', ...headers } }),
  );
  return { status: response.status, headers: response.headers, text: await response.text() };
};

describe("the dashboard's server", () => {
  test.each([
    ...['/../secret', '/%2e%2e/secret', '/..%2fsecret', '/%2e%2e%2fsecret', '/..%5csecret', '//etc/passwd'],
    ...[
      '/api/runs/..',
      '/api/runs/%2e%2e',
      '/api/runs/..%2fsecret',
      '/api/runs/%2e%2e%2fruns%2fa',
      '/api/runs/a%2f..',
    ],
    ...[
      '/api/runs/%2fetc%2fpasswd',
      '/api/runs/a%00',
      '/api/runs/link',
      '/api/runs/link/look?image=0&epsilon=0.1',
      '/api/runs/link/landscape',
      '/api/runs/%2e%2e/radii?image=0',
    ],
    ...['/api/runs/%ff', '/api/compare?run=..', '/api/compare?run=/etc/passwd', '/api/compare?run=../secret'],
    ...['/config.yaml', '/a/config.yaml', '/__proto__', '/constructor', '/file:///etc/passwd'],
  ])('serves nothing outside the folder: %s', async (path) => {
    const { status, text } = await get(path);
    expect(status).toBeGreaterThanOrEqual(400);
    expect(text).not.toContain('secret-text');
    expect(text).not.toContain('root:');
    expect(Object.keys(JSON.parse(text))).toEqual(['problem']);
  });

  test('has a strict policy on every answer, errors and streams too, and is not cached', async () => {
    for (const path of ['/', '/api/runs', '/api/runs/none', '/nothing']) {
      const { headers } = await get(path);
      const policy = headers.get('content-security-policy') ?? '';
      expect(policy).toContain("default-src 'none'; script-src 'self'");
      expect(policy).not.toMatch(/unsafe|\*|https?:/);
      expect(headers.get('cache-control')).toBe('no-store');
      expect(headers.get('access-control-allow-origin')).toBeNull();
    }
  });

  test('answers neither other names of this machine nor pages of other sites', async () => {
    expect((await get('/api/runs', { host: 'evil.example:1' })).status).toBe(403);
    expect((await get('/api/runs', { 'sec-fetch-site': 'cross-site' })).status).toBe(403);
    expect((await get('/api/runs')).status).toBe(200);
    const post = await dashboard.app.request(
      new Request('http://localhost/api/runs', { method: 'POST', headers: { host: 'localhost' } }),
    );
    expect(post.status).toBe(404);
  });

  test('lists, details and compares; names are text in JSON, never HTML', async () => {
    const list = JSON.parse((await get('/api/runs')).text);
    expect(list.runs.map(({ name }: { name: string }) => name).sort()).toEqual(
      [HOSTILE, 'a', 'b', 'link'].sort(),
    );
    expect(list.differing).toEqual(['seed']);
    const detail = await get(`/api/runs/${encodeURIComponent(HOSTILE)}`);
    expect(detail.headers.get('content-type')).toContain('application/json');
    expect(JSON.parse(detail.text)).toMatchObject({
      name: HOSTILE,
      state: 'unfinished',
      notes: ['No epoch has ended yet.'],
    });
    const compared = JSON.parse((await get('/api/compare?run=a&run=b')).text);
    expect(compared).toMatchObject({ differing: ['seed'], runs: [{ run: 'a' }, { run: 'b' }] });
  });

  test.each([
    ['/api/runs/none', 'expected the name of a run in the folder, there is none'],
    ['/api/runs/a/look?image=0&epsilon=0.1', 'expected a finished run, it is unfinished'],
    ['/api/runs/a/radii?image=0', 'expected a finished run, it is unfinished'],
    ['/api/runs/a/landscape?direction=up', 'direction: expected some of random, gradient, got "up"'],
    ['/api/runs/a/landscape?relaxations=ibp,lp', 'relaxations: expected some of ibp, crown-ibp, crown, hbox'],
    ['/api/compare', 'expected the names of runs, got none'],
  ])('%s is one line: %s', async (path, line) => {
    const { problem } = JSON.parse((await get(path)).text);
    expect(problem).toContain(line);
    expect(problem.split('\n')).toHaveLength(1);
  });

  test('runs that cannot be read, and networks that cannot, are one line each, the others stay', async () => {
    const broken = async (name: string) => {
      const path = join(folder, name);
      await (await createRun(path, resolveSettings({ out: path }))).release();
      return path;
    };
    const old = await broken('old');
    const text = await readFile(join(old, 'config.yaml'), 'utf8');
    await writeFile(join(old, 'config.yaml'), text.replace(/format: \d+/, 'format: 1'));
    await writeFile(join(await broken('torn'), 'metrics.jsonl'), 'nonsense\n{"step":1,"epoch":1}\n');
    await writeFile(join(await broken('cut'), 'parameters.safetensors'), 'x');
    const foreign = join(await broken('foreign'), 'checkpoints');
    await mkdir(foreign, { recursive: true });
    await saveLast(foreign, { step: 1 });
    const last = join(foreign, 'last.safetensors');
    const bytes = (await readFile(last)).toString('latin1');
    await writeFile(last, bytes.replace(/"checkpoint":"./, '"checkpoint":"9'), 'latin1');
    for (const [path, line] of [
      ['old', 'expected run format 2, got 1'],
      ['torn', 'line 1: expected a JSON object with a step'],
      ['cut/look?image=0&epsilon=0.1', 'it is damaged'],
      ['cut/landscape', 'it is damaged'],
      ['foreign/look?image=0&epsilon=0.1', 'got 9; read it with the version that wrote it'],
      ['foreign/landscape', 'got 9; read it with the version that wrote it'],
    ] as const) {
      const said = (await get(`/api/runs/${path}`)).text;
      const { problem } = JSON.parse(said.split('data: ').at(-1) ?? '');
      expect([path, problem]).toEqual([path, expect.stringContaining(line)]);
      expect(problem.split('\n')).toHaveLength(1);
    }
    const { runs } = JSON.parse((await get('/api/runs')).text);
    const states = Object.fromEntries(runs.map((run: RunCard) => [run.name, run.state]));
    expect(states).toMatchObject({ old: 'broken', torn: 'broken', a: 'unfinished', foreign: 'unfinished' });
    for (const name of ['old', 'torn', 'cut', 'foreign']) await rm(join(folder, name), { recursive: true });
    expect(JSON.parse((await get('/api/runs')).text).runs).toHaveLength(runs.length - 4);
  });

  test('tells changes as they happen, by events', async () => {
    const response = await dashboard.app.request(
      new Request('http://localhost/api/events', { headers: { host: 'localhost' } }),
    );
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    let text = '';
    const until = async (wanted: string) => {
      while (!text.includes(wanted)) text += new TextDecoder().decode((await reader.read()).value);
    };
    await until('event: hello');
    await writeFile(join(folder, 'a', 'metrics.jsonl'), '{"step":1,"epoch":1,"loss":2}\n');
    await until('event: runs\ndata: ["a"]');
    await reader.cancel();
  });

  test('says in one line that a port is in use, and where a folder is missing', async () => {
    const served = await serveDashboard({ folder, port: 0 });
    const port = Number(new URL(served.url).port);
    expect(served.url).toMatch(/^http:\/\/127\.0\.0\.1:/);
    await expect(serveDashboard({ folder, port })).rejects.toThrow(
      `expected to listen on 127.0.0.1, port ${port}, it is in use; choose another with --port`,
    );
    await served.close();
    await expect(serveDashboard({ folder: join(folder, 'none'), port: 0 })).rejects.toThrow('there is none');
  });
});

describe('inside an image, over the server', () => {
  test('a finished run answers steps, attacks and radii; wrong numbers are one line', async () => {
    const short = { architecture: 'fc-small', trainLimit: 200, batchSize: 50, epochs: 1 } as const;
    await train({ ...short, method: 'natural', out: join(folder, 'trained') });
    const at = '/api/runs/trained';
    const step = JSON.parse((await get(`${at}/look?image=3&epsilon=0.01`)).text);
    expect(step.relaxations.map(({ relaxation }: { relaxation: string }) => relaxation)).toEqual([
      'ibp',
      'crown-ibp',
      'crown',
    ]);
    expect(step.classes).toHaveLength(9);
    expect(JSON.parse((await get(`${at}/images?from=9990`)).text).thumbnails).toHaveLength(10);
    expect(JSON.parse((await get(`${at}/attack?image=3&epsilon=0.5`)).text)).toMatchObject({ found: true });
    for (const [query, line] of [
      ['image=-1&epsilon=0', 'image: expected a number from 0 to 9999, got "-1"'],
      ['image=1.5&epsilon=0', 'image: expected'],
      ['image=1&epsilon=NaN', 'epsilon: expected a number from 0 to 1, got "NaN"'],
      ['image=1&epsilon=0.1&relaxations=lp', 'relaxations: expected some of ibp, crown-ibp, crown, got "lp"'],
    ])
      expect(JSON.parse((await get(`${at}/look?${query}`)).text).problem).toContain(line);
    const radii = await get(`${at}/radii?image=3`);
    expect(radii.headers.get('content-type')).toContain('text/event-stream');
    expect(radii.text.match(/^event: radius$/gm)).toHaveLength(3);
    const seen = await get(`${at}/landscape?relaxations=ibp`);
    expect(seen.text).toContain('event: progress\ndata: {"done":0,"total":4}');
    const last = seen.text.trimEnd().split('\n').at(-1) ?? '';
    expect(JSON.parse(last.slice('data: '.length))).toMatchObject({ network: 'fc-small', images: 2 });
  });

  test('an unfinished run has no landscape: one line, as an event', async () => {
    expect((await get('/api/runs/a/landscape')).text).toMatch(
      /^event: problem\ndata: .*expected a finished run, it is unfinished.*\n\n$/,
    );
  });
});
