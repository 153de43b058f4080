// Shape of a row kernel's chain, as `src/runtime/kernels/row-chain.ts` encodes and checks it.
//
// A row is one neuron of one image. Its coefficients lie over a region of each layer on the way to the
// input: a window that moves with the neuron's place, or the whole layer. Steps run from the layer before
// the neuron's own to the input.
#pragma once
#include <cstdint>

namespace tautnet {

// Region [channels, height, width] of a layer of extents [channels, layerHeight, layerWidth]; the window of
// place (p, q) begins at (p · strideY − padY, q · strideX − padX).
struct Region {
  int32_t channels, height, width, layerHeight, layerWidth, strideY, strideX, padY, padX;
  int64_t size() const { return int64_t(channels) * height * width; }
  int64_t features() const { return int64_t(channels) * layerHeight * layerWidth; }
};

constexpr int STEP_ARRAYS = 5;

enum Kind : int32_t { RELU = 0, AFFINE = 1 };

// RELU: `region` alone. AFFINE: from `region` (its output) to `behind` (its input) with a kernel; a linear
// layer is a convolution of 1 × 1 with a kernel of 1 × 1.
struct Step {
  int32_t kind;
  Region region, behind;
  int32_t kernelY, kernelX, strideY, strideX, padY, padX;
  // Positions of this step's arrays, −1 for none. RELU: α, λ, μ, and centre and radius of its output where
  // rows are bounded there as well; AFFINE: weight, bias.
  int32_t arrays[STEP_ARRAYS];
};

// Numbers of int32 in an encoded region and step, and before the steps.
constexpr int REGION_INTS = 9, STEP_INTS = 1 + 2 * REGION_INTS + 6 + STEP_ARRAYS, HEAD_INTS = 6 + REGION_INTS;

struct Chain {
  int32_t batch, channels, gridY, gridX;
  int32_t weight, bias;  // positions of the start layer's arrays; those of the box come last: centre, radius
  Region input;
  int32_t count;
  const Step* steps;
};

// Arrays by position. Weights as layers have them; α, λ, μ, centres and radii are [batch, features].
// `gradients` has an array for each that is to be differentiated, null for others.
template <class T>
struct Work {
  Chain chain;
  const T* const* arrays;
  T* const* gradients;  // null: values only
  const int64_t* sizes;
  int32_t arrayCount;
  const int32_t* rows;  // feature · batch + image
  int64_t rowCount;
  T* lower;  // bounds of each row; with `gradients` their cotangents
  T* upper;
};

#define TAUTNET_KERNELS(name) \
  namespace name { void run(const Work<float>&); void run(const Work<double>&); }
TAUTNET_KERNELS(baseline)
TAUTNET_KERNELS(avx2)
TAUTNET_KERNELS(avx512)

}  // namespace tautnet
