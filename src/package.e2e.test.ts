import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ROOT } from './testing/tautnet-process.js';

const execute = promisify(execFile);

interface Pack {
  readonly filename: string;
  readonly size: number;
  readonly files: readonly { readonly path: string }[];
}

let folder: string;
/** A project that has the package, as packed, among its dependencies. */
let app: string;
let pack: Pack;
let files: readonly string[];
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tautnet-package-'));
  app = join(folder, 'app');
  await mkdir(join(app, 'node_modules'), { recursive: true });
  const { stdout } = await execute('npm', ['pack', '--json', '--pack-destination', folder], {
    cwd: ROOT,
    shell: process.platform === 'win32',
  });
  [pack] = JSON.parse(stdout) as [Pack];
  files = pack.files.map(({ path }) => path);
  await execute('tar', ['-xzf', pack.filename], { cwd: folder });
  await rename(join(folder, 'package'), join(app, 'node_modules', 'tautnet'));
  // Dependencies are found one folder up, where nothing else of this repository is in reach.
  await symlink(join(ROOT, 'node_modules'), join(folder, 'node_modules'), 'junction');
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Runs an ES module of the project. */
async function runModule(text: string): Promise<unknown> {
  const path = join(app, 'script.mjs');
  await writeFile(path, text);
  const { stdout } = await execute(process.execPath, [path], { cwd: app });
  return JSON.parse(stdout);
}

describe('the package', () => {
  test('is the build, the presets, its manifest and its licence, without a test', () => {
    expect(files).toEqual(
      expect.arrayContaining([
        'LICENSE',
        'package.json',
        'presets/settings/mnist-0.1.yaml',
        'dist/index.js',
        'dist/index.d.ts',
        'dist/cli/main.js',
        'dist/runtime/pool/worker.js',
        'checker/check.js',
        'checker/main.js',
      ]),
    );
    expect(
      files.filter(
        (path) =>
          !/^(dist\/.*\.(js|d\.ts|js\.map)|dist\/insight\/figure\/(LICENSES\.txt|fonts\/.*\.ttf)|dist\/insight\/dashboard\/page\/(index\.html|style\.css|LICENSES\.txt)|dist\/native\/rows\.node|dist\/web\/LICENSES\.txt|presets\/.*\.yaml|checker\/\w+\.(js|d\.ts)|docs\/.*\.(md|svg|png)|LICENSE|CITATION\.cff|(README|CHANGELOG)\.md|package\.json|tautnet\.schema\.json)$/.test(
            path,
          ),
      ),
    ).toEqual([]);
    expect(files.filter((path) => /\.(test|slow)\.|^dist\/testing\//.test(path))).toEqual([]);
    // Of it the native kernels of this platform, where they were built, for three instruction sets and both
    // float types: 1.8 MB; pictures of the docs: 0.8 MB.
    expect(pack.size).toBeLessThan(4_600_000);
  });

  test('names only files that it has', async () => {
    const manifest = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as {
      bin: Record<string, string>;
      exports: Record<string, string | Record<string, string>>;
    };
    const named = [
      ...Object.values(manifest.bin),
      ...Object.values(manifest.exports).flatMap((conditions) =>
        typeof conditions === 'string' ? [conditions] : Object.values(conditions),
      ),
    ];
    expect(named.length).toBeGreaterThan(2);
    for (const path of named) expect(files).toContain(path.replace(/^\.\//, ''));
  });

  test('runs where only it and its dependencies are', async () => {
    const { version } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as { version: string };
    const { stdout } = await execute(
      process.execPath,
      [join(app, 'node_modules', 'tautnet', 'dist', 'cli', 'main.js'), '--version'],
      { cwd: app },
    );
    expect(stdout).toBe(`${version}\n`);
  });
});

describe('the library', () => {
  test('has the parts by their names', async () => {
    const names = (await runModule(
      "import * as tautnet from 'tautnet'; console.log(JSON.stringify(Object.keys(tautnet)));",
    )) as string[];
    const expected = [
      ...['loadDataset', 'assembleBatch', 'epochBatches'],
      ...[
        'architecture',
        'initialize',
        'parameterLayout',
        'flatten',
        'views',
        'exportOnnx',
        'importOnnx',
        'encodeParameters',
        'decodeParameters',
      ],
      ...[
        'relaxations',
        'createObjective',
        'pooledObjective',
        'evaluateBatch',
        'createPool',
        'createPlan',
        'keyOf',
        'deriveKey',
      ],
      ...[
        'none',
        'rgs',
        'pgpe',
        'createEstimator',
        'adam',
        'sgd',
        'clipup',
        'schedules',
        'training',
        'initialState',
      ],
    ];
    expect(expected.filter((name) => !names.includes(name))).toEqual([]);
  });

  test('trains two steps from its parts: objective, estimator and update rule', async () => {
    const losses = (await runModule(`
      import {
        adam, architecture, createObjective, createPool, evaluateBatch, flatten, initialize, keyOf,
        parameterLayout, pooledObjective, relaxations, rgs,
      } from 'tautnet';

      const network = architecture('fc-small', [1, 4, 4], 3);
      const layout = parameterLayout(network);
      const objective = createObjective({ network, relaxation: relaxations.ibp, microBatch: 4 });
      const batch = {
        images: Float32Array.from({ length: 6 * 16 }, (_, i) => (i * 7 % 11) / 10),
        labels: Int32Array.of(0, 1, 2, 0, 1, 2),
      };
      const scalars = { epsilon: 0.01, kappa: 0.5, regularization: 0 };
      const pool = createPool(1);
      const [estimator, rule] = [rgs({ samples: 2, sigma: 1e-3 }), adam()];
      let theta = flatten(initialize(network, 'ibp', keyOf(0)), layout);
      let [search, moments] = [estimator.init(theta.length, layout), rule.init(theta.length)];
      const losses = [];
      const measure = async () =>
        losses.push((await evaluateBatch(pool, objective, layout, theta, batch, scalars)).loss);
      await measure();
      for (let step = 0; step < 2; step++) {
        const pooled = pooledObjective(pool, objective, layout, batch, scalars);
        const context = { key: keyOf(1), step, epoch: step, epochs: 2 };
        const estimate = await estimator.estimate(search, theta, pooled, context);
        ({ state: moments, theta } = rule.update(moments, theta, estimate.gradient, 1e-3));
        search = estimate.state;
        await measure();
      }
      await pool.close();
      console.log(JSON.stringify(losses));
    `)) as number[];
    expect(losses).toHaveLength(3);
    expect(losses.every((loss) => loss > 0 && Number.isFinite(loss))).toBe(true);
    expect(losses[1]).toBeLessThan(losses[0] as number);
    expect(losses[2]).toBeLessThan(losses[1] as number);
  });
});
