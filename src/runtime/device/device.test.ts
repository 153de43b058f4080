import { describe, expect, it } from 'vitest';
import { DeviceError, firstSentence } from './device.js';

const ADAPTER =
  '/onnxruntime_src/onnxruntime/core/providers/webgpu/webgpu_context.cc:136 onnxruntime::webgpu::WebGpuContext::Initialize(const Config&)::<lambda()> adapter_result.status == wgpu::RequestAdapterStatus::Success was false. Failed to get a WebGPU adapter: No supported adapters\n';

// As users of CUDA's provider report it.
const ARENA =
  "Non-zero status code returned while running Mul node. Name:'Mul_8702' Status Message: /workspace/onnxruntime/onnxruntime/core/framework/bfc_arena.cc:368 void* onnxruntime::BFCArena::AllocateRawInternal(size_t, bool, onnxruntime::Stream*, bool, onnxruntime::WaitNotificationFn) Failed to allocate memory for requested buffer of size 2830172160\n";
const ARENA_ON_WINDOWS =
  "Non-zero status code returned while running Conv node. Name:'347_nchwc' Status Message: D:\\a\\_work\\1\\s\\onnxruntime\\core\\framework\\bfc_arena.cc:330 onnxruntime::BFCArena::AllocateRawInternal Failed to allocate memory for requested buffer of size 285081600";
const DOWNLOAD =
  '/onnxruntime_src/onnxruntime/core/providers/webgpu/buffer_manager.cc:641 void onnxruntime::webgpu::BufferManager::Download(WGPUBuffer, void*, size_t) const map_async_result.status == wgpu::MapAsyncStatus::Success was false. Failed to download data from buffer. wgpu::MapAsyncStatus value: 3, message: [Invalid Buffer (unlabeled)] is invalid due to a previous error.';

describe('what a device says when it stops', () => {
  it.each([
    ['WebGPU device lost (2): the device is gone', 'lost'],
    ['CUDA failure 719: unspecified launch failure', 'lost'],
    ['Non-zero status code: Out of memory', 'memory'],
    [
      'WebGPU validation failed. [Invalid Buffer (unlabeled)] is invalid due to a previous error.\n - While validating entries[1]',
      'memory',
    ],
    ['CUDA failure 2: out of memory', 'memory'],
    [
      'CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED ; GPU=0 ; hostname=node ; file=/onnxruntime_src/cuda_call.cc ; line=182',
      'memory',
    ],
    ['CUDNN failure 2: CUDNN_STATUS_ALLOC_FAILED ; GPU=0', 'memory'],
    [ARENA, 'memory'],
    [ARENA_ON_WINDOWS, 'memory'],
    [
      'WebGPU validation failed. Buffer size (1153433600) exceeds the max buffer size limit (1073741824).\n - While calling [Device].CreateBuffer',
      'memory',
    ],
    ['WebGPU device error(3): vkAllocateMemory failed with VK_ERROR_OUT_OF_DEVICE_MEMORY', 'memory'],
    ['WebGPU device error(3): Allocation size too large', 'memory'],
    [DOWNLOAD, 'memory'],
    [
      'This session contains graph nodes that are assigned to the default CPU EP, but fallback to CPU EP has been explicitly disabled by the user.',
      'fallback',
    ],
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
    expect(firstSentence(ARENA)).toBe('Failed to allocate memory for requested buffer of size 2830172160');
    expect(firstSentence(ARENA_ON_WINDOWS)).toBe(
      'Failed to allocate memory for requested buffer of size 285081600',
    );
    expect(firstSentence(DOWNLOAD)).toMatch(/^Failed to download data from buffer/);
  });
});
