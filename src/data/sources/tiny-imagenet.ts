/**
 * TinyImageNet: 100,000 training and 10,000 validation photographs of 200 classes of ImageNet, 64×64 pixels
 * in three colours (Le, Yang 2015).
 *
 * Its authors published no sum of the archive; its MD5 is the one that common loaders record. Of an unpacked
 * folder, what is checked is the number of images of each class, their size, and the mean of their pixels.
 * Standard deviations are those of the certified-training literature.
 */
import { tinyImageNetDataset } from './tiny-imagenet-dataset.js';

export const tinyImageNet = tinyImageNetDataset({
  name: 'tiny-imagenet',
  classes: 200,
  shape: [3, 64, 64],
  mean: [0.4802, 0.4481, 0.3975],
  std: [0.2302, 0.2265, 0.2262],
  archive: {
    url: 'http://cs231n.stanford.edu/tiny-imagenet-200.zip',
    bytes: 248_100_043,
    md5: '90528d7ca1a48142e341f4ef8d21d0de',
  },
  perClass: 500,
  testImages: 10_000,
  meanTolerance: 0.002,
});
