/**
 * Nested bounds once more, independently: plain loops over float64 arrays, one image at a time, chains of
 * affine layers and ReLUs only. What `nested-crown-ibp` and `deeppoly` must equal.
 *
 * A row c over the outputs of an affine layer is bounded below at the output of every ReLU on its way down,
 * min c·a over the box of a, and at the input; the best counts. A ReLU with l < 0 < u is replaced by
 * u/(u − l)·(z − l) above and by s·z below, s = 1 where u > −l, else 0.
 */

/** An affine layer: for each output its indices of inputs, their weights, and a bias. */
export function convolution({ weight, bias, inChannels, size, kernel, stride, padding }) {
  const side = Math.floor((size + 2 * padding - kernel) / stride) + 1;
  const rows = [];
  for (let o = 0; o < bias.length; o++)
    for (let y = 0; y < side; y++)
      for (let x = 0; x < side; x++) {
        const [indices, weights] = [[], []];
        for (let c = 0; c < inChannels; c++)
          for (let i = 0; i < kernel; i++)
            for (let j = 0; j < kernel; j++) {
              const [row, column] = [y * stride - padding + i, x * stride - padding + j];
              if (row < 0 || column < 0 || row >= size || column >= size) continue;
              indices.push((c * size + row) * size + column);
              weights.push(weight[((o * inChannels + c) * kernel + i) * kernel + j]);
            }
        rows.push({ indices, weights, bias: bias[o] });
      }
  return { rows, width: inChannels * size * size, side };
}

export function linear({ weight, bias }) {
  const width = weight.length / bias.length;
  const indices = Array.from({ length: width }, (_, i) => i);
  const rows = Array.from(bias, (b, o) => ({
    indices,
    weights: weight.slice(o * width, (o + 1) * width),
    bias: b,
  }));
  return { rows, width };
}

/** min of c·v + constant over a box. */
function least(c, constant, { lower, upper }) {
  let sum = constant;
  for (let i = 0; i < c.length; i++) if (c[i] !== 0) sum += c[i] * (c[i] > 0 ? lower[i] : upper[i]);
  return sum;
}

const rectified = ({ lower, upper }) => ({
  lower: lower.map((v) => Math.max(v, 0)),
  upper: upper.map((v) => Math.max(v, 0)),
});

/** Replaces the outputs of a ReLU by lines in its inputs, whose box is given; changes c. */
function throughRelu(c, { lower, upper }) {
  let constant = 0;
  for (let i = 0; i < c.length; i++) {
    const [l, u] = [lower[i], upper[i]];
    if (c[i] === 0 || l >= 0) continue;
    if (u <= 0) c[i] = 0;
    else if (c[i] > 0) c[i] *= u > -l ? 1 : 0;
    else {
      const slope = u / (u - l);
      constant -= c[i] * slope * l;
      c[i] *= slope;
    }
  }
  return constant;
}

/** Lower bound of row · (outputs of layer k) + constant; `boxes` are those before the ReLUs below k. */
function lowerBound(row, k, layers, boxes, input) {
  let [c, constant, best] = [row, 0, Number.NEGATIVE_INFINITY];
  for (let layer = k; ; layer--) {
    const { rows, width } = layers[layer];
    const next = new Float64Array(width);
    for (let o = 0; o < c.length; o++) {
      if (c[o] === 0) continue;
      const { indices, weights, bias } = rows[o];
      constant += c[o] * bias;
      for (let t = 0; t < indices.length; t++) next[indices[t]] += c[o] * weights[t];
    }
    c = next;
    const below = layer === 0 ? input : rectified(boxes[layer - 1]);
    best = Math.max(best, least(c, constant, below));
    if (layer === 0) return best;
    constant += throughRelu(c, boxes[layer - 1]);
  }
}

const unit = (size, at, value) => {
  const row = new Float64Array(size);
  row[at] = value;
  return row;
};

/** Boxes before each ReLU: by intervals, or the better of intervals and of rows through the boxes before. */
function boxesBefore(layers, input, byRows) {
  const boxes = [];
  for (let k = 0; k + 1 < layers.length; k++) {
    const size = layers[k].rows.length;
    const below = k === 0 ? input : rectified(boxes[k - 1]);
    const bound = (sign) =>
      Float64Array.from(layers[k].rows, ({ indices, weights, bias }, o) => {
        if (byRows) return sign * lowerBound(unit(size, o, sign), k, layers, boxes, input);
        const box = { lower: indices.map((i) => below.lower[i]), upper: indices.map((i) => below.upper[i]) };
        return (
          sign *
          least(
            Array.from(weights, (w) => sign * w),
            sign * bias,
            box,
          )
        );
      });
    boxes.push({ lower: bound(1), upper: bound(-1) });
  }
  return boxes;
}

/**
 * Lower bounds of z_y − z_j, j ascending over the classes ≠ y.
 * @returns {{ nestedCrownIbp: Float64Array, deepPoly: Float64Array }}
 */
export function nestedMargins(layers, input, label) {
  const last = layers.length - 1;
  const classes = layers[last].rows.length;
  const margins = (boxes) =>
    Float64Array.from(
      Array.from({ length: classes }, (_, j) => j).filter((j) => j !== label),
      (j) => {
        const row = unit(classes, label, 1);
        row[j] = -1;
        return lowerBound(row, last, layers, boxes, input);
      },
    );
  const nestedCrownIbp = margins(boxesBefore(layers, input, false));
  const own = margins(boxesBefore(layers, input, true));
  return { nestedCrownIbp, deepPoly: own.map((v, i) => Math.max(v, nestedCrownIbp[i])) };
}
