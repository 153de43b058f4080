/**
 * Fashion-MNIST: 60,000 + 10,000 articles of clothing, 28×28 grey pixels (Xiao, Rasul, Vollgraf 2017).
 *
 * The sums are those of the compressed files, as TensorFlow Datasets records them
 * (url_checksums/fashion_mnist.txt); files that a user has unpacked are recognised by their length and the
 * mean of their pixels.
 */
import { idxDataset } from './idx-dataset.js';

export const fashionMnist = idxDataset({
  name: 'fashion-mnist',
  classes: 10,
  shape: [1, 28, 28],
  mean: [0.286],
  std: [0.353],
  files: {
    trainImages: {
      name: 'train-images-idx3-ubyte',
      bytes: 47_040_016,
      gzip: { bytes: 26_421_880, sha256: '3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84' },
    },
    trainLabels: {
      name: 'train-labels-idx1-ubyte',
      bytes: 60_008,
      gzip: { bytes: 29_515, sha256: 'a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845' },
    },
    testImages: {
      name: 't10k-images-idx3-ubyte',
      bytes: 7_840_016,
      gzip: { bytes: 4_422_102, sha256: '346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073' },
    },
    testLabels: {
      name: 't10k-labels-idx1-ubyte',
      bytes: 10_008,
      gzip: { bytes: 5148, sha256: '67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5' },
    },
  },
  web: 'http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/',
});
