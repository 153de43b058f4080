/** A network of your own layers, exported and read back: `node examples/own-network.mjs`. */
import { chain, exportOnnx, importOnnx, initialize, keyOf, linearLayer, reluLayer } from 'tautnet';

const hidden = [8, 1, 1];
const layers = [linearLayer([2, 1, 1], 8), reluLayer(hidden), linearLayer(hidden, 3)];
const network = chain('two to three', [2, 1, 1], layers);
const bytes = exportOnnx(network, initialize(network, 'kaiming', keyOf(0)));
const back = importOnnx(bytes);
console.log(`${bytes.length} bytes, ${back.network.nodes.length} layers, ${back.network.classes} classes`);
