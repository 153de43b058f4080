// The certified loss of chains of convolutions, linear layers and ReLUs, values only, for many members: sets
// of parameters evaluated on the same images.
//
// `src/runtime/kernels/loss-chain.ts` encodes and checks the chain; `loss.cpp` computes.
#pragma once
#include "chain.h"

namespace tautnet {

enum Relaxation : int32_t { IBP = 0, CROWN_IBP = 1, CROWN = 2 };
enum Natural : int32_t { NO_NATURAL = 0, NATURAL_ACCURACY = 1, NATURAL_LOSS = 2 };

// A convolution, y = W ∗ x + b; a linear layer is one whose kernel is its whole input. Between each two of
// them is a ReLU. `weight` and `bias` are where their arrays begin in a member's parameters.
struct LossLayer {
  int32_t channels, height, width;  // of its input
  int32_t outputs, rows, columns;   // of its output: channels, height, width
  int32_t kernelY, kernelX, strideY, strideX, padY, padX;
  int32_t weight, bias;
  int64_t taps() const { return int64_t(channels) * kernelY * kernelX; }
  int64_t places() const { return int64_t(rows) * columns; }
  int64_t features() const { return places() * outputs; }
};

struct LossHead {
  int32_t relaxation, natural, clip, batch, parts, isNormalized, hasNorm, hasRegularizer, layers;
};
constexpr int LOSS_LAYER_INTS = 14, LOSS_INTS = 9;

// What comes back of each micro-batch: sums over images, with their weights and without.
enum Sum : int32_t {
  NATURAL_WEIGHTED,
  NATURAL_SUM,
  NATURAL_COUNT,
  ROBUST_WEIGHTED,
  ROBUST_SUM,
  CERTIFIED_COUNT,
  REGULARIZER,
  NORM,
  SUMS
};

template <class T>
struct LossWork {
  LossHead head;
  const LossLayer* layers;
  // CROWN: rows of hidden layer i + 1. Arrays: weight, bias; then from the ReLU before to the first, α, λ, μ
  // of the ReLU and weight, bias of the layer that it follows; centre, radius of the input.
  const Chain* chains;
  const T* normalization;  // scale and shift of each channel of the input
  const T* points;         // [members, coordinates]
  int64_t members, coordinates;
  const T* images;  // [parts · batch, features], pixels
  const int32_t* labels;
  const T* weight;  // of each image in the loss; 0: not there
  T epsilon;
  double* sums;  // [members, parts, SUMS]
};

#define TAUTNET_LOSSES(name) \
  namespace name { void losses(const LossWork<float>&); void losses(const LossWork<double>&); }
TAUTNET_LOSSES(baseline)
TAUTNET_LOSSES(avx2)
TAUTNET_LOSSES(avx512)

}  // namespace tautnet
