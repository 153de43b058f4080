import { describe, expect, test } from 'vitest';
import { devicesTable, rowsLine } from './devices.js';

describe('tautnet devices', () => {
  test('shows what is usable with its speed, and below what would make the others so', () => {
    const table = devicesTable(
      [
        { device: 'cpu', usable: true, speed: 1, difference: 0 },
        { device: 'webgpu', usable: true, speed: 41.7, difference: 3e-7 },
        { device: 'cuda', usable: false, reason: 'no library', enable: 'install it' },
      ],
      'webgpu',
    );
    const lines = table.split('\n').map((line) => line.replace(/ +/g, ' '));
    expect(lines).toContain('cpu usable 1.0 × 0.0');
    expect(lines).toContain('webgpu usable 42 × 3.0e-7');
    expect(lines).toContain('cuda not usable');
    expect(lines).toContain('auto: webgpu');
    expect(lines).toContain('cuda: no library; to use it, install it');
  });

  test('says what computes rows, and what would make it faster', () => {
    expect(rowsLine('native, AVX-512')).toBe(
      'layers and rows on the cpu: the native kernels (native, AVX-512)',
    );
    expect(rowsLine('ort')).toMatch(
      /ONNX Runtime \(ort\).*slower; for the native kernels, run `npm run build`/,
    );
  });
});
