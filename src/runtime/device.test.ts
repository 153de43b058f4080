import { describe, expect, it } from 'vitest';
import { DeviceError, firstSentence } from './device.js';

const ADAPTER =
  '/onnxruntime_src/onnxruntime/core/providers/webgpu/webgpu_context.cc:136 onnxruntime::webgpu::WebGpuContext::Initialize(const Config&)::<lambda()> adapter_result.status == wgpu::RequestAdapterStatus::Success was false. Failed to get a WebGPU adapter: No supported adapters\n';

describe('what a device says when it stops', () => {
  it.each([
    ['WebGPU device lost (2): the device is gone', 'lost'],
    ['CUDA failure 719: unspecified launch failure', 'lost'],
    ['Non-zero status code: Out of memory', 'memory'],
    ['WebGPU validation failed. [Invalid Buffer (unlabeled)] is invalid due to a previous error.\n - While validating entries[1]', 'memory'],
    ['CUDA failure 2: out of memory', 'memory'],
    ['This session contains graph nodes that are assigned to the default CPU EP, but fallback to CPU EP has been explicitly disabled by the user.', 'fallback'],
    [ADAPTER, 'other'],
  ])('%s is %s, in one line that says what to do', (said, trouble) => {
    const error = new DeviceError('webgpu', new Error(said));
    expect(error.trouble).toBe(trouble);
    expect(error.message).toMatch(/^webgpu: .*\(.*\); .*cpu/);
    expect(error.message).not.toMatch(/\n|onnxruntime_src/);
  });

  it('is said once, however many hands it passes through', () => {
    const first = new DeviceError('webgpu', new Error('Device lost'));
    // As it comes from a worker thread: a plain error with its line.
    const second = new DeviceError('webgpu', new Error(first.message));
    expect([second.message, second.trouble]).toEqual([first.message, 'lost']);
  });

  it('is told without the place in the sources', () => {
    expect(firstSentence(ADAPTER)).toBe('Failed to get a WebGPU adapter: No supported adapters');
  });
});
