import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { compiledUrl } from '../runtime/compiled-file.js';
import { OVERHEAD } from '../runtime/device/memory.js';

const module = (path: string) => JSON.stringify(compiledUrl(path).href);

/**
 * What a process grows by, in MB, while it runs a plan three times, and the footprints of the plan's
 * programs: on the CPU each keeps its own memory. A process of its own, as nothing is given back.
 */
function measured(
  architecture: string,
  relaxation: string,
  batch: number,
  what: 'value' | 'gradient',
): { grown: number; footprint: number } {
  const script = `
    const { readFileSync } = await import('node:fs');
    const { architecture, createObjective, initialize, keyOf, relaxations } =
      await import(${module('index.js')});
    const { createExecutor } = await import(${module('doors/runtime.js')});
    const shape = '${architecture}' === 'cnn3' ? [1, 28, 28] : [3, 32, 32];
    const network = architecture('${architecture}', shape, 10);
    const relaxation = relaxations['${relaxation}'];
    const options = { network, relaxation, microBatch: ${batch}, natural: 'none' };
    const plan = createObjective(options).${what};
    const feeds = {
      ...initialize(network, 'kaiming', keyOf(0)),
      images: new Float32Array(${batch} * shape.reduce((a, b) => a * b)).fill(0.5),
      labels: new Int32Array(${batch}),
      weight: new Float32Array(${batch}).fill(${1 / batch}),
      epsilon: Float32Array.of(0.1),
      kappa: Float32Array.of(1),
      regularization: Float32Array.of(0),
    };
    const kilobytes = (name) => Number(new RegExp(name + ':\\\\s+(\\\\d+)').exec(readFileSync('/proc/self/status', 'utf8'))[1]);
    const executor = createExecutor();
    gc();
    const before = kilobytes('VmRSS');
    for (let i = 0; i < 3; i++) await executor.run(plan, feeds);
    const sum = plan.programs.reduce((sum, { footprint }) => sum + footprint.peak, 0);
    console.log(JSON.stringify({ grown: (kilobytes('VmHWM') - before) / 1024, footprint: sum / 2 ** 20 }));
    process.exit(0);`;
  const { stdout, stderr } = spawnSync(
    process.execPath,
    ['--expose-gc', '--input-type=module', '-e', script],
    // Footprints are those of programs, which batches follow with the row kernel and without.
    { encoding: 'utf8', env: { ...process.env, TAUTNET_ROWS: 'ort' } },
  );
  expect(stderr).toBe('');
  return JSON.parse(stdout);
}

// ONNX Runtime itself, its threads and the garbage that JavaScript leaves.
const RUNTIME_MB = 40;

describe.runIf(process.platform === 'linux')('the memory that a process takes for a plan on the CPU', () => {
  it.each([
    ['cnn3', 'ibp', 256, 'gradient'],
    ['cnn5', 'ibp', 128, 'gradient'],
    ['cnn3', 'crown-ibp', 128, 'gradient'],
    ['cnn5', 'crown-ibp', 32, 'gradient'],
    ['cnn5', 'crown', 8, 'value'],
    ['cnn3', 'deepz', 8, 'value'],
  ] as const)(
    '%s, %s, %i images, %s: is what its footprint says, up to what is allowed for',
    (architecture, relaxation, batch, what) => {
      const { grown, footprint } = measured(architecture, relaxation, batch, what);
      expect(grown).toBeLessThan(OVERHEAD.cpu * footprint + RUNTIME_MB);
      expect(grown).toBeGreaterThan(0.9 * footprint);
    },
  );
});
