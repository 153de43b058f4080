/** Data sets, verified downloads, and batches. */
export * from './augmentation.js';
export * from './batches.js';
export * from './data-error.js';
export * from './dataset.js';
export * from './datasets.js';
export { cacheDirectory } from './fetch/cache.js';
export { type DownloadOptions, type DownloadProgress, download, type WebFile } from './fetch/download.js';
export * from './statistics.js';
export * from './validation.js';
