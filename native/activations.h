// Where activations of images lie, and where layers read and write them: a vector is one feature of as many
// images as it has lanes.
#pragma once
#include <vector>

#include "layers.h"
#include "vector.h"

namespace tautnet {
namespace TAUTNET_SET {
namespace {

// Activations that a layer reads: plane after plane, in vectors of features; `step` vectors from those of one
// vector of images to the next, 0 where all use the same.
template <class T>
struct Activations {
  V<T>* at = nullptr;
  int64_t plane = 0, step = 0;
  V<T>* of(int64_t images) const { return at + images * step; }
};

// Where a layer reads and writes, the same for all images.
struct Places {
  std::vector<int32_t> offsets;       // of the taps, from a place's first input
  std::vector<int32_t> first, last;   // of each place: its first input; its output, in the next layer's input
  int64_t outputStep = 0;             // from one output channel to the next, there
};

// `read` and `written`: rows of the layer's padded input, and of the next one's, that lie in memory.
inline Places placesOf(const Layers& chain, int k, int32_t read, int32_t written) {
  const Layer& l = chain.layers[k];
  const int32_t width = paddedWidth(l);
  Places p;
  for (int32_t c = 0; c < l.inputs; c++)
    for (int32_t y = 0; y < l.kernelY; y++)
      for (int32_t x = 0; x < l.kernelX; x++) p.offsets.push_back((c * read + y) * width + x);
  const Layer* next = k + 1 < chain.count ? &chain.layers[k + 1] : nullptr;
  // A linear layer, or the caller, reads the features as they follow one another.
  const bool spatial = next != nullptr && !next->isLinear();
  const int32_t wide = spatial ? paddedWidth(*next) : l.outputWidth;
  const int32_t top = spatial ? next->padY : 0, left = spatial ? next->padX : 0;
  p.outputStep = spatial ? int64_t(written) * wide : l.area();
  for (int32_t y = 0; y < l.outputHeight; y++)
    for (int32_t x = 0; x < l.outputWidth; x++) {
      p.first.push_back(y * l.strideY * width + x * l.strideX);
      p.last.push_back((y + top) * wide + x + left);
    }
  return p;
}

// A feature of a vector of images in an array [features, batch]; lanes beyond the batch are zero.
template <class T>
inline V<T> lanesOf(const T* array, int64_t feature, int64_t batch, int64_t images) {
  constexpr int L = Vector<T>::lanes;
  const T* from = array + feature * batch + images * L;
  if ((images + 1) * L <= batch) return load<T>(from);
  V<T> v = {};
  for (int64_t l = 0; images * L + l < batch; l++) v[l] = from[l];
  return v;
}
template <class T>
inline void setLanes(T* array, int64_t feature, int64_t batch, int64_t images, V<T> v) {
  constexpr int L = Vector<T>::lanes;
  T* to = array + feature * batch + images * L;
  if ((images + 1) * L <= batch) return store<T>(to, v);
  for (int64_t l = 0; images * L + l < batch; l++) to[l] = v[l];
}

}  // namespace
}  // namespace TAUTNET_SET
}  // namespace tautnet
