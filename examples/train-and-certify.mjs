/** A small training on MNIST and its proofs: `node examples/train-and-certify.mjs [folder]`. */
import { certify, train } from 'tautnet';

const run = await train({
  architecture: 'fc-small',
  epsilon: 0.05,
  smoothing: 'rgs',
  trainLimit: 512,
  validation: 128,
  epochs: 2,
  out: process.argv[2] ?? 'runs/example',
});
const { natural, certified, adversarial } = await certify(run, { limit: 200, save: true });
console.log({ natural, certified, adversarial });
