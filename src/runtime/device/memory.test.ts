import { afterEach, describe, expect, it, vi } from 'vitest';
import { adapterName } from './adapter.js';
import { DEFAULT_BYTES, memoryBudget, OVERHEAD } from './memory.js';
import type { System } from './system.js';

const MB = 2 ** 20;
const GB = 2 ** 30;

/** A system with these files and this tool of NVIDIA. */
function system(
  files: Record<string, string> = {},
  nvidia?: string,
  platform: NodeJS.Platform = 'linux',
): System {
  const inside = (path: string) => [
    ...new Set(
      Object.keys(files).flatMap((file) =>
        file.startsWith(`${path}/`) ? [file.slice(path.length + 1).split('/')[0] as string] : [],
      ),
    ),
  ];
  return {
    platform,
    read: (path) => files[path],
    list: inside,
    output: async (program) => (program === 'nvidia-smi' ? nvidia : undefined),
    free: () => 6 * GB,
    processor: () => 'Some CPU',
  };
}
const card = (name: string, numbers: Record<string, number>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(numbers).map(([key, value]) => [
      `/sys/class/drm/${name}/device/mem_info_${key}`,
      `${value}\n`,
    ]),
  );
const meminfo = {
  '/proc/meminfo': 'MemTotal:       24684000 kB\nMemFree:         1000000 kB\nMemAvailable:   16777216 kB\n',
};

afterEach(() => {
  vi.unstubAllEnvs();
});

describe('memory that programs may take', () => {
  it('is what the user says', async () => {
    expect(await memoryBudget('webgpu', 300, system(meminfo, '80000'))).toMatchObject({
      bytes: 300 * MB,
      source: '--memory',
    });
  });

  it('on NVIDIA’s processors is most of what is free on the first', async () => {
    for (const device of ['cuda', 'webgpu'] as const) {
      vi.stubEnv('VK_ICD_FILENAMES', undefined);
      vi.stubEnv('VK_DRIVER_FILES', undefined);
      expect(await memoryBudget(device, undefined, system(meminfo, '80000\n40000\n'))).toMatchObject({
        bytes: 0.85 * 80000 * MB,
        source: 'nvidia-smi',
      });
    }
  });

  it('on AMD’s processors is most of what is free on the largest, or of what one without its own may take', async () => {
    vi.stubEnv('VK_ICD_FILENAMES', undefined);
    vi.stubEnv('VK_DRIVER_FILES', undefined);
    const gtt = { gtt_total: 12 * GB, gtt_used: 0 };
    const cards = {
      ...card('card0', { vram_total: GB / 2, vram_used: 0, ...gtt }),
      ...card('card1', { vram_total: 20 * GB, vram_used: 4 * GB, ...gtt }),
    };
    expect((await memoryBudget('webgpu', undefined, system({ ...meminfo, ...cards }))).bytes).toBe(
      Math.floor(0.85 * 16 * GB),
    );
    const integrated = card('card0', { vram_total: GB / 2, vram_used: 0, ...gtt });
    expect((await memoryBudget('webgpu', undefined, system({ ...meminfo, ...integrated }))).bytes).toBe(
      Math.floor(0.85 * 12 * GB),
    );
  });

  it('is half of the host’s on the CPU, on processors in software and on integrated ones', async () => {
    expect((await memoryBudget('cpu', undefined, system(meminfo, '80000'))).bytes).toBe(8 * GB);
    vi.stubEnv('VK_ICD_FILENAMES', '/usr/lib/chromium/vk_swiftshader_icd.json');
    expect((await memoryBudget('webgpu', undefined, system(meminfo, '80000'))).bytes).toBe(8 * GB);
    vi.stubEnv('VK_ICD_FILENAMES', undefined);
    vi.stubEnv('VK_DRIVER_FILES', undefined);
    expect(
      (
        await memoryBudget(
          'webgpu',
          undefined,
          system({ ...meminfo, '/sys/class/drm/card0/device/vendor': '0x8086' }),
        )
      ).bytes,
    ).toBe(8 * GB);
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

  it('holds footprints of a fraction of it, as the runtime adds to them, and arrays as long as the device allows', async () => {
    for (const device of ['cpu', 'webgpu', 'cuda'] as const) {
      const { memory, array } = await memoryBudget(device, 600, system(meminfo));
      expect(memory).toBe((600 * MB) / OVERHEAD[device]);
      expect(array < GB).toBe(device === 'webgpu');
    }
  });

  it('is some of this machine’s', async () => {
    const { bytes } = await memoryBudget('cpu');
    expect(bytes).toBeGreaterThan(100 * MB);
    expect(bytes).toBeLessThan(2 ** 50);
  });
});

describe('the name of a device', () => {
  it('is that of the processor, of the driver in software, or of the graphics processor as the system names it', async () => {
    vi.stubEnv('VK_ICD_FILENAMES', undefined);
    vi.stubEnv('VK_DRIVER_FILES', undefined);
    const named = {
      '/sys/class/drm/card0/device/vendor': '0x1002',
      '/sys/class/drm/card1/device/product_name': 'Some GPU\n',
    };
    expect(await adapterName('cpu', system({}, 'NVIDIA H100'))).toBe('Some CPU');
    expect(await adapterName('cuda', system(named, 'NVIDIA H100\nNVIDIA A100\n'))).toBe('NVIDIA H100');
    expect(await adapterName('webgpu', system(named))).toBe('Some GPU');
    expect(await adapterName('webgpu', system())).toContain('does not name');
    vi.stubEnv('VK_DRIVER_FILES', '/usr/share/vulkan/icd.d/lvp_icd.x86_64.json');
    expect(await adapterName('webgpu', system(named, 'NVIDIA H100'))).toBe('lvp_icd.x86_64.json (software)');
    expect(await adapterName('cuda', system(named, 'NVIDIA H100'))).toBe('NVIDIA H100');
  });
});
