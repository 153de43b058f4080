/** Data sets, verified downloads, and batches. */
export * from './batches.js';
export { cacheDirectory } from './cache.js';
export * from './data-error.js';
export * from './dataset.js';
export * from './datasets.js';
export * from './validation.js';
