import { afterEach, describe, expect, it } from 'vitest';
import { absence, chooseDevice, type DeviceReport, fastest, surveyDevices } from './devices.js';
import { differenceFromCpu, speedOf } from './self-test.js';

const usable = (device: DeviceReport['device'], speed: number): DeviceReport => ({
  device,
  usable: true,
  speed,
  difference: 0,
});
const loader = process.env.VK_ICD_FILENAMES;

describe('the devices of a machine', () => {
  afterEach(() => {
    if (loader === undefined) delete process.env.VK_ICD_FILENAMES;
    else process.env.VK_ICD_FILENAMES = loader;
  });

  it('auto is the fastest that is usable, the CPU where no other is faster', () => {
    const unusable: DeviceReport = { device: 'cuda', usable: false, reason: '', enable: '' };
    expect(fastest([usable('cpu', 1), usable('webgpu', 30), unusable])).toBe('webgpu');
    expect(fastest([usable('cpu', 1), usable('webgpu', 0.01), unusable])).toBe('cpu');
    expect(fastest([usable('cpu', 1), usable('webgpu', 30), usable('cuda', 90)])).toBe('cuda');
  });

  // Elsewhere the adapter is not Vulkan's, and no environment variable hides it.
  it.runIf(process.platform === 'linux')(
    'each is listed once, those that are not usable with the reason and the step that would change it',
    async () => {
      process.env.VK_ICD_FILENAMES = '/there/is/no/driver.json';
      const reports = await surveyDevices();
      expect(reports.map(({ device }) => device)).toEqual(['cpu', 'webgpu', 'cuda']);
      const [cpu, webgpu] = reports;
      expect(cpu).toMatchObject({ usable: true, speed: 1 });
      expect(webgpu).toMatchObject({
        usable: false,
        reason: expect.stringContaining('adapter'),
        enable: expect.stringContaining('libvulkan1'),
      });
      await expect(chooseDevice('webgpu')).rejects.toThrow(
        /^--device webgpu: expected a usable device, .*adapter.*; install .*--device cpu$/,
      );
    },
  );

  it.skipIf(absence('cuda') === undefined)(
    'one whose library is missing is refused without trying it',
    async () => {
      await expect(chooseDevice('cuda')).rejects.toThrow(
        /^--device cuda: expected a usable device, ONNX Runtime.*; .*, or use --device cpu$/,
      );
    },
  );

  it('the self-test finds no difference between the CPU and itself, and measures it', async () => {
    expect(await differenceFromCpu('cpu')).toBe(0);
    expect(await speedOf('cpu')).toBeGreaterThan(0.1);
  });
});
