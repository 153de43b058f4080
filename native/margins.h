// Shape of a margin kernel's chain, as `src/runtime/kernels/margin-chain.ts` encodes and checks it.
//
// A row is a linear function of the network's outputs for one image: coefficients [outputs, rows, batch].
// Steps run from the last layer to the input; coefficients lie over whole layers.
#pragma once
#include <cstdint>

#include "chain.h"

namespace tautnet {

struct Extents {
  int32_t channels, height, width;
  int64_t area() const { return int64_t(height) * width; }
  int64_t features() const { return channels * area(); }
};

// A ReLU whose lines are arrays; one with bounds is of kind RELU.
constexpr int32_t LINES = 2;

// AFFINE: from its output to its input; a linear layer is a convolution whose kernel is its whole input.
// Positions of arrays, −1 for none. RELU: lower and upper bounds of its input, [features, batch]; LINES:
// slopes α below and λ above, intercept μ above, what is taken off, [features, batch], or [features, rows,
// batch] for those whose bit is set in `flags`, and, if its neurons have upper sides of hulls, two arrays of
// theirs (`sides.h`), and where a search is to choose them the ends of what they read, [features]; AFFINE:
// weight [out channels, in channels, kernelY, kernelX], bias.
struct MarginStep {
  int32_t kind;
  Extents out, in;
  int32_t kernelY, kernelX, strideY, strideX, padY, padX;
  int32_t arrays[8];
  int32_t flags;
  bool isPerRow(int part) const { return flags >> part & 1; }
  // LINES: slopes that are zero have no derivative.
  bool zerosStay() const { return flags & 16; }
  // LINES: what is taken off is a sign s, and α is p (`DualRule`). They have no derivative.
  bool isDual() const { return flags & 64; }
  // RELU: both lines have the slope of the one above, as DeepZ's.
  bool isStraight() const { return flags & 32; }
  // LINES that are dual, with an AFFINE step behind.
  bool hasSides() const { return kind == LINES && arrays[4] >= 0; }
  // Their weights are shares m at first, of the numbers only l and u − l are read; batch 1, at most 8 rows.
  bool choosesSides() const { return hasSides() && arrays[6] >= 0; }
  int64_t taps() const { return int64_t(in.channels) * kernelY * kernelX; }
};

// Numbers of int32 in an encoded step, and before the steps.
constexpr int MARGIN_STEP_INTS = 22, MARGIN_HEAD_INTS = 6;
static_assert(sizeof(MarginStep) == MARGIN_STEP_INTS * sizeof(int32_t), "steps are numbers of int32");

// Arrays: the rows' coefficients at position 0, the box's lower and upper ends [features, batch]
// last.
struct MarginChain {
  int32_t batch, rows;
  // Rows are bounded at the output of every ReLU on their way, too, and the best bound counts; no LINES.
  int32_t nested;
  Extents output;
  int32_t count;
  const MarginStep* steps;
};

// Rows, at most, where a search chooses sides.
constexpr int MOST_CHOOSING = 8;

// Numbers of a `DualRule` beside thresholds.
constexpr size_t DUAL_NUMBERS = 4;

// β-CROWN's search (`src/verification/branch-and-bound/dual-program.ts`). Numbers p of a neuron with s = 0
// are its α, in [0, 1]; of one with the sign s they are β ≥ 0, its line is 1 or 0 and p s is taken off. Adam with
// these moments; β's steps are `share` of α's. A group of rows ends where all bounds exceed their thresholds,
// [rows, batch], all groups after `deadline`, milliseconds since 1970. `arrived` has places for the coefficients
// of rows at the last p, [features, rows, batch]: at what LINES give by the position of their p, at the input by
// that of the box's upper ends; null for others, and for none.
template <class T>
struct DualRule {
  const T* thresholds = nullptr;  // null: α-CROWN's search
  double first = 0, second = 0, share = 0, deadline = 0;
  T* const* arrived = nullptr;
};

// `gradients` has an array for each that is to be differentiated, null for others. With sizes of steps, α of
// LINES is sought instead, and `gradients` has places for the best, null for those that stay.
template <class T>
struct MarginWork {
  MarginChain chain;
  const T* const* arrays;
  T* const* gradients;  // null: values only
  int32_t arrayCount;
  T* margins;  // lower bounds [rows, batch]; with `gradients` and no steps their cotangents
  const T* steps;
  int64_t stepCount;  // 0: no search
  DualRule<T> dual;   // finds the last p, not the best
};

#define TAUTNET_MARGINS(name) \
  namespace name { void run(const MarginWork<float>&); void run(const MarginWork<double>&); }
TAUTNET_MARGINS(baseline)
TAUTNET_MARGINS(avx2)
TAUTNET_MARGINS(avx512)

}  // namespace tautnet
