// The adjoint of a convolution of stride s: one of stride 1 for each of the s² phases of its input, with
// every s-th tap.
#pragma once
#include <vector>

#include "layers.h"
#include "tiles.h"

namespace tautnet {
namespace TAUTNET_SET {
namespace {

// Grid of the cotangents of a layer's sums with the zeros around them that the adjoint reads.
struct SumsGrid {
  int32_t top, left, height, width;
};
inline int32_t reach(int32_t kernel, int32_t stride) { return (kernel + stride - 1) / stride - 1; }
inline SumsGrid sumsGrid(const Layer& l) {
  const int32_t top = reach(l.kernelY, l.strideY), left = reach(l.kernelX, l.strideX);
  return {top, left, top + std::max(l.outputHeight, (l.padY + l.height - 1) / l.strideY + 1),
          left + std::max(l.outputWidth, (l.padX + l.width - 1) / l.strideX + 1)};
}

// Inputs of one phase of a convolution's adjoint, and the taps that reach them.
template <class T>
struct Phase {
  std::vector<int32_t> offsets;    // of outputs × taps, from a place's first cotangent
  std::vector<int32_t> at;         // of each place: its first cotangent
  std::vector<int32_t> pixels;     // of each place: y · width + x in the input
  Tiles<T> weights, absolute;      // [inputs, outputs · taps]
};

// Inputs whose place in the padded input is (phaseY, phaseX) modulo the stride; `channelStep` from one
// channel's cotangents to the next.
template <class T>
Phase<T> phaseOf(const Layer& l, const T* weight, int64_t channelStep, int planes, int32_t phaseY,
                 int32_t phaseX) {
  const SumsGrid grid = sumsGrid(l);
  Phase<T> p;
  std::vector<int32_t> taps;
  for (int32_t o = 0; o < l.outputs; o++)
    for (int32_t y = phaseY; y < l.kernelY; y += l.strideY)
      for (int32_t x = phaseX; x < l.kernelX; x += l.strideX) {
        const int32_t back = y / l.strideY * grid.width + x / l.strideX;
        p.offsets.push_back(int32_t(o * channelStep) - back);
        taps.push_back(int32_t(o * l.taps()) + y * l.kernelX + x);
      }
  for (int32_t y = 0; y < l.height; y++)
    for (int32_t x = 0; x < l.width; x++) {
      const int32_t py = y + l.padY, px = x + l.padX;
      if (py % l.strideY != phaseY || px % l.strideX != phaseX) continue;
      p.at.push_back((py / l.strideY + grid.top) * grid.width + px / l.strideX + grid.left);
      p.pixels.push_back(y * l.width + x);
    }
  const int64_t window = int64_t(l.kernelY) * l.kernelX, count = int64_t(taps.size());
  const auto entry = [&](int64_t c, int64_t t) { return weight[taps[t] + c * window]; };
  p.weights.fill(l.inputs, count, entry);
  if (planes == 2)
    p.absolute.fill(l.inputs, count, [&](int64_t c, int64_t t) {
      const T value = entry(c, t);
      return value < T(0) ? -value : value;
    });
  return p;
}

template <class T>
std::vector<Phase<T>> phasesOf(const Layer& l, const T* weight, int64_t channelStep, int planes) {
  std::vector<Phase<T>> all;
  for (int32_t y = 0; y < l.strideY; y++)
    for (int32_t x = 0; x < l.strideX; x++)
      all.push_back(phaseOf<T>(l, weight, channelStep, planes, y, x));
  return all;
}

}  // namespace
}  // namespace TAUTNET_SET
}  // namespace tautnet
