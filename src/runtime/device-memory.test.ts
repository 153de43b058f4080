import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { Footprint } from '../graph/footprint.js';
import { DEFAULT_BYTES, type MemoryBudget, membersThatFit, memoryBudget, OVERHEAD, planFootprint, type System } from './device-memory.js';

const MB = 2 ** 20;
const GB = 2 ** 30;

/** A system with these files and this tool of NVIDIA. */
function system(files: Record<string, string> = {}, nvidia?: string, platform: NodeJS.Platform = 'linux'): System {
  const inside = (path: string) => [
    ...new Set(Object.keys(files).flatMap((file) => (file.startsWith(`${path}/`) ? [file.slice(path.length + 1).split('/')[0] as string] : []))),
  ];
  return {
    platform,
    read: (path) => files[path],
    list: inside,
    output: async (program) => (program === 'nvidia-smi' ? nvidia : undefined),
    free: () => 6 * GB,
  };
}
const card = (name: string, numbers: Record<string, number>): Record<string, string> =>
  Object.fromEntries(Object.entries(numbers).map(([key, value]) => [`/sys/class/drm/${name}/device/mem_info_${key}`, `${value}\n`]));
const meminfo = { '/proc/meminfo': 'MemTotal:       24684000 kB\nMemFree:         1000000 kB\nMemAvailable:   16777216 kB\n' };

afterEach(() => {
  vi.unstubAllEnvs();
});

describe('memory that programs may take', () => {
  it('is what the user says', async () => {
    expect(await memoryBudget('webgpu', 300, system(meminfo, '80000'))).toMatchObject({ bytes: 300 * MB, source: '--memory' });
  });

  it('on NVIDIA’s processors is most of what is free on the first', async () => {
    for (const device of ['cuda', 'webgpu'] as const) {
      vi.stubEnv('VK_ICD_FILENAMES', undefined);
      vi.stubEnv('VK_DRIVER_FILES', undefined);
      expect(await memoryBudget(device, undefined, system(meminfo, '80000\n40000\n'))).toMatchObject({ bytes: 0.85 * 80000 * MB, source: 'nvidia-smi' });
    }
  });

  it('on AMD’s processors is most of what is free on the largest, or of what one without its own may take', async () => {
    vi.stubEnv('VK_ICD_FILENAMES', undefined);
    vi.stubEnv('VK_DRIVER_FILES', undefined);
    const gtt = { gtt_total: 12 * GB, gtt_used: 0 };
    const cards = { ...card('card0', { vram_total: GB / 2, vram_used: 0, ...gtt }), ...card('card1', { vram_total: 20 * GB, vram_used: 4 * GB, ...gtt }) };
    expect((await memoryBudget('webgpu', undefined, system({ ...meminfo, ...cards }))).bytes).toBe(Math.floor(0.85 * 16 * GB));
    const integrated = card('card0', { vram_total: GB / 2, vram_used: 0, ...gtt });
    expect((await memoryBudget('webgpu', undefined, system({ ...meminfo, ...integrated }))).bytes).toBe(Math.floor(0.85 * 12 * GB));
  });

  it('is half of the host’s on the CPU, on processors in software and on integrated ones', async () => {
    expect((await memoryBudget('cpu', undefined, system(meminfo, '80000'))).bytes).toBe(8 * GB);
    vi.stubEnv('VK_ICD_FILENAMES', '/usr/lib/chromium/vk_swiftshader_icd.json');
    expect((await memoryBudget('webgpu', undefined, system(meminfo, '80000'))).bytes).toBe(8 * GB);
    vi.stubEnv('VK_ICD_FILENAMES', undefined);
    vi.stubEnv('VK_DRIVER_FILES', undefined);
    expect((await memoryBudget('webgpu', undefined, system({ ...meminfo, '/sys/class/drm/card0/device/vendor': '0x8086' }))).bytes).toBe(8 * GB);
    expect((await memoryBudget('webgpu', undefined, system({}, undefined, 'darwin'))).bytes).toBe(3 * GB);
  });

  it('is a documented number where nothing is known, and says so', async () => {
    vi.stubEnv('VK_ICD_FILENAMES', undefined);
    vi.stubEnv('VK_DRIVER_FILES', undefined);
    for (const nvidia of [undefined, '', 'No devices were found', '[N/A]']) {
      const { bytes, source } = await memoryBudget('cuda', undefined, system(meminfo, nvidia, 'win32'));
      expect(bytes).toBe(DEFAULT_BYTES);
      expect(source).toContain('2048 MB');
    }
  });

  it('is some of this machine’s', async () => {
    const { bytes } = await memoryBudget('cpu');
    expect(bytes).toBeGreaterThan(100 * MB);
    expect(bytes).toBeLessThan(2 ** 50);
  });
});

describe('a population', () => {
  const budget = (bytes: number, largest = Number.MAX_SAFE_INTEGER): MemoryBudget => ({ bytes, largest, source: '--memory' });
  const size = fc.integer({ min: 1, max: 10_000 });

  it('has as many members in one call as fit, and not one more, found in a few steps', () => {
    // The greatest of several even growths, as peaks at different places of a program are.
    const growths = fc.array(fc.tuple(size, size), { minLength: 1, maxLength: 3 });
    fc.assert(
      fc.property(growths, size, fc.integer({ min: 1, max: 512 }), fc.integer({ min: 1, max: 10_000_000 }), (lines, item, wanted, bytes) => {
        const of = (members: number): Footprint => ({ peak: Math.max(...lines.map(([a, b]) => a + b * members)), largest: item * members });
        let asked = 0;
        const counting = (members: number) => {
          asked++;
          return of(members);
        };
        const allowed = budget(bytes, 100_000);
        const fits = (members: number) => OVERHEAD.webgpu * of(members).peak <= bytes && of(members).largest <= allowed.largest;
        if (!fits(1)) {
          expect(() => membersThatFit(wanted, counting, 'webgpu', allowed)).toThrow(/^webgpu: expected .*; take a smaller micro-batch/);
          return;
        }
        const members = membersThatFit(wanted, counting, 'webgpu', allowed);
        expect(fits(members)).toBe(true);
        expect(members === wanted || !fits(members + 1)).toBe(true);
        expect(asked).toBeLessThan(20);
      }),
    );
  });

  it('of which no member fits is refused in one line that says why', () => {
    const of = (members: number): Footprint => ({ peak: 100 * MB * members, largest: 20 * MB * members });
    expect(() => membersThatFit(8, of, 'cuda', budget(100 * MB))).toThrow(
      'cuda: expected programs within 100 MB (--memory), one set of parameters needs about 300 MB; take a smaller micro-batch, or allow more with --memory',
    );
    expect(() => membersThatFit(1, of, 'webgpu', budget(GB, 10 * MB))).toThrow(
      'webgpu: expected arrays of at most 10 MB, which is what the device takes, one set of parameters needs one of 20 MB; take a smaller micro-batch',
    );
  });

  it('needs the memory of all programs of its plan, which stay open, and the largest array of any', () => {
    const programs = [{ footprint: { peak: 10, largest: 4 } }, { footprint: { peak: 7, largest: 6 } }] as unknown as Parameters<
      typeof planFootprint
    >[0]['programs'];
    expect(planFootprint({ programs })).toEqual({ peak: 17, largest: 6 });
  });
});
