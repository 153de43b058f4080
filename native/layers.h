// Shape of a chain of layers whose values, or intervals, are carried forward and differentiated, as
// `src/runtime/kernels/layer-chain.ts` encodes and checks it.
//
// Images are the lanes of a vector. Arrays are [features, batch] with features = channels · height · width.
#pragma once
#include <cstdint>

namespace tautnet {

// y = W ∗ x + b, then perhaps the ReLU. A linear layer is a convolution of 1 × 1 whose inputs are the
// features of the layer before.
struct Layer {
  int32_t inputs, height, width;                    // channels and extents of the input
  int32_t outputs, outputHeight, outputWidth;
  int32_t kernelY, kernelX, strideY, strideX, padY, padX;
  int32_t relu;
  // Positions of arrays, −1 for none: weight, bias; then what the caller wants to see, lower and upper
  // bounds (or the value, in the place of the lower) of the layer's sums, and of what its ReLU passes.
  int32_t weight, bias, sums[2], passed[2];
  int32_t moments;  // position of the sums below over all images of what its ReLU reads, with two planes
  int64_t taps() const { return int64_t(inputs) * kernelY * kernelX; }
  int32_t area() const { return outputHeight * outputWidth; }
  int64_t features() const { return int64_t(outputs) * area(); }
  // One place, all of the input: layers that many images go through side by side.
  bool isLinear() const { return height * width * kernelY * kernelX * area() == 1 && padY + padX == 0; }
};

// Numbers of int32 in an encoded layer, and before the layers: batch, planes, positions of the input and of
// the images' weights in moments.
constexpr int LAYER_INTS = 20, INTERVAL_HEAD_INTS = 5;

// Sums of a layer's intervals [l, u] with centres c = (l + u)/2, over features and weighted images: of widths
// u − l; of c where l > 0 and where u < 0; of (c − m)² there, m the mean centre of all.
constexpr int MOMENTS = 5;
// What the derivative of moments needs: m, the sums of c where l > 0 and where u < 0, and of weights there.
constexpr int MOMENT_TOTALS = 5;

// `planes` is 1 for values, 2 for intervals (centre and radius inside, lower and upper bound outside).
struct Layers {
  int32_t batch, planes;
  int32_t input[2];  // positions of the input's values, or of its lower and upper bounds
  int32_t present;   // position of the images' weights in moments, −1 for none
  int32_t count;
  const Layer* layers;
};

// Arrays by position: of the input, weights, biases and of what is seen. `gradients` has an array for each
// that is to be differentiated, and the cotangents of what is seen; null elsewhere.
template <class T>
struct Propagation {
  Layers chain;
  T* const* arrays;
  T* const* gradients;  // null: forward
  // Activations, forward to reverse, and behind them MOMENT_TOTALS of each layer; null: none are stored.
  T* stored;
};

// Extents of a layer's input with its zeros around it.
inline int32_t paddedHeight(const Layer& l) {
  const int32_t seen = (l.outputHeight - 1) * l.strideY + l.kernelY, own = l.padY + l.height;
  return seen > own ? seen : own;
}
inline int32_t paddedWidth(const Layer& l) {
  const int32_t seen = (l.outputWidth - 1) * l.strideX + l.kernelX, own = l.padX + l.width;
  return seen > own ? seen : own;
}
// Numbers of one image and plane that layer k reads, and for k = count those that the last one leaves.
inline int64_t storedFeatures(const Layers& c, int k) {
  if (k == c.count) return c.layers[k - 1].features();
  const Layer& l = c.layers[k];
  return int64_t(l.inputs) * paddedHeight(l) * paddedWidth(l);
}

#define TAUTNET_PROPAGATIONS(name)             \
  namespace name {                             \
  void propagate(const Propagation<float>&);   \
  void propagate(const Propagation<double>&);  \
  }
TAUTNET_PROPAGATIONS(baseline)
TAUTNET_PROPAGATIONS(avx2)
TAUTNET_PROPAGATIONS(avx512)

}  // namespace tautnet
