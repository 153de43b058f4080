/**
 * The linear relaxation of any layer that is not affine, ReLU or smooth: what back-substitution replaces it
 * by.
 */
import type { ActivationLayer, Layer, ReluLayer } from '../../network/layers/layer.js';
import type { Network, NetworkNode } from '../../network/network.js';
import { activationLines } from '../activation-lines.js';
import type { Bounds } from '../relaxation.js';
import { reluSlopes, type Slopes } from '../slopes.js';

export type NonlinearLayer = ReluLayer | ActivationLayer;

export const isNonlinear = (layer: Layer): layer is NonlinearLayer =>
  layer.kind === 'relu' || layer.kind === 'activation';

/** The lines of node `node`, a ReLU or a smooth activation, on bounds of its input. */
export function slopesOf({ nodes }: Network, node: number, bounds: Bounds): Slopes {
  const { layer } = nodes[node] as NetworkNode;
  return layer.kind === 'activation' ? activationLines(layer.function, bounds) : reluSlopes(bounds);
}

/** @throws RangeError naming `method` and the layer, for a network with a smooth activation */
export function onlyRelus(method: string, { name, nodes }: Network): void {
  const found = nodes.findIndex(({ layer }) => layer.kind === 'activation');
  if (found >= 0)
    throw new RangeError(
      `${method}: expected ReLUs as the only activations, got ${nodes[found]?.layer.name} at node ` +
        `${found} of ${name}; take another relaxation, such as crown`,
    );
}
