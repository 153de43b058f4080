/**
 * SVHN: 73,257 + 26,032 house numbers, cropped to one digit, 32×32 pixels in three colours (Netzer, Wang,
 * Coates, Bissacco, Wu, Ng 2011).
 *
 * The sums are those that TensorFlow Datasets records (url_checksums/svhn_cropped.txt).
 */
import { svhnDataset } from './svhn-dataset.js';

export const svhn = svhnDataset({
  name: 'svhn',
  classes: 10,
  shape: [3, 32, 32],
  mean: [0.4377, 0.4438, 0.4728],
  std: [0.198, 0.201, 0.197],
  files: {
    train: {
      name: 'train_32x32.mat',
      url: 'http://ufldl.stanford.edu/housenumbers/train_32x32.mat',
      bytes: 182_040_794,
      sha256: '435e94d69a87fde4fd4d7f3dd208dfc32cb6ae8af2240d066de1df7508d083b8',
    },
    test: {
      name: 'test_32x32.mat',
      url: 'http://ufldl.stanford.edu/housenumbers/test_32x32.mat',
      bytes: 64_275_384,
      sha256: 'cdce80dfb2a2c4c6160906d0bd7c68ec5a99d7ca4831afa54f09182025b6a75b',
    },
  },
});
