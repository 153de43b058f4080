// Layers of a loss as it computes them: an image to a lane, activations [row, column, channel] with zeros
// around a layer's input, so that no tap leaves it.
#pragma once
#include "loss.h"
#include "vector.h"

namespace tautnet {
namespace TAUTNET_SET {
namespace {

// A layer and the grid of its input. Taps are in the order (y, x, channel).
struct Shape : LossLayer {
  int64_t gridWidth, gridSize;  // entries of a row, and of all
  std::vector<int32_t> offsets;  // of each tap from its place's first
  explicit Shape(const LossLayer& l) : LossLayer(l) {
    gridWidth = std::max<int64_t>(int64_t(columns - 1) * strideX + kernelX, width + padX) * channels;
    gridSize = std::max<int64_t>(int64_t(rows - 1) * strideY + kernelY, height + padY) * gridWidth;
    for (int y = 0; y < kernelY; y++)
      for (int64_t t = 0; t < run(); t++) offsets.push_back(int32_t(y * gridWidth + t));
  }
  // Taps of one row of the kernel, side by side in the grid too.
  int64_t run() const { return int64_t(kernelX) * channels; }
  // The first entry that an output place sees.
  int64_t base(int64_t place) const {
    return place / columns * strideY * gridWidth + place % columns * strideX * channels;
  }
  // The first entry of a place of the input itself.
  int64_t inner(int64_t place) const {
    return (place / width + padY) * gridWidth + (place % width + padX) * channels;
  }
  int64_t area() const { return int64_t(height) * width; }
};

// |a|, by its bits.
inline V<float> absolute(V<float> a) {
  typedef int32_t Words __attribute__((vector_size(TAUTNET_BYTES)));
  return V<float>(Words(a) & int32_t(0x7fffffff));
}
inline V<double> absolute(V<double> a) {
  typedef int64_t Words __attribute__((vector_size(TAUTNET_BYTES)));
  return V<double>(Words(a) & int64_t(0x7fffffffffffffff));
}

// Weights of the member at hand, laid out anew.
template <class T>
struct Weights {
  // Tiles of up to `width` outputs, each [tap, output], one behind the other.
  Array<T> forward;
  int64_t width;
  // Where rows go back: tiles of up to `depth` taps, each [output, tap].
  Array<T> adjoint;
  int64_t depth;
  const T* bias;

  Weights(const Shape& s, int64_t outputs, int64_t taps) : width(outputs), depth(taps) {
    forward = allocate<T>(s.taps() * s.outputs);
    if (depth > 0) adjoint = allocate<T>(s.taps() * s.outputs);
  }
  void read(const Shape& s, const T* parameters) {
    const int64_t taps = s.taps(), window = int64_t(s.kernelY) * s.kernelX;
    const T* from = parameters + s.weight;
    bias = parameters + s.bias;
    T* to = forward.get();
    for (int64_t o = 0; o < s.outputs; o += width) {
      const int64_t n = std::min(width, s.outputs - o);
      for (int64_t k = 0; k < window; k++)
        for (int64_t c = 0; c < s.channels; c++)
          for (int64_t i = o; i < o + n; i++) *to++ = from[i * taps + c * window + k];
    }
    if (depth == 0) return;
    T* back = adjoint.get();
    for (int64_t t = 0; t < taps; t += depth)
      for (int64_t o = 0; o < s.outputs; o++)
        for (int64_t i = t; i < std::min(taps, t + depth); i++)
          *back++ = from[o * taps + i % s.channels * window + i / s.channels];
  }
};

// A layer's input: the images, and centre and radius of their boxes; zero outside.
template <class T>
struct Input {
  Array<V<T>> natural, centre, radius;
  void reserve(const Shape& s) {
    for (auto* a : {&natural, &centre, &radius}) *a = allocate<V<T>>(s.gridSize);
  }
};

// Three sums for each of N outputs of a place: of the images, of centres, of radii with |W|.
template <class T, int N, bool Natural>
void sumPlace(const Shape& s, const V<T>* x, const V<T>* c, const V<T>* r, const T* w, V<T>* into) {
  V<T> natural[N] = {}, centre[N] = {}, radius[N] = {};
  const int64_t run = s.run();
  for (int y = 0; y < s.kernelY; y++) {
    const int64_t from = y * s.gridWidth;
    for (int64_t t = from; t < from + run; t++) {
      const V<T> ct = c[t], rt = r[t];
      V<T> xt;
      if (Natural) xt = x[t];
      _Pragma("GCC unroll 16")
      for (int n = 0; n < N; n++) {
        const V<T> weight = V<T>{} + w[n];
        if (Natural) natural[n] += xt * weight;
        centre[n] += ct * weight;
        radius[n] += rt * absolute(weight);
      }
      w += N;
    }
  }
  _Pragma("GCC unroll 16")
  for (int n = 0; n < N; n++) {
    if (Natural) into[n] = natural[n];
    into[N + n] = centre[n];
    into[2 * N + n] = radius[n];
  }
}

// Outputs at a time: three sums of each stay in registers.
constexpr int OUTPUTS = WIDEST >= 24 ? 8 : WIDEST >= 12 ? 4 : 1;
// The same in pieces of about the same size.
inline int64_t tileOf(const Shape& s) {
  const int64_t pieces = (s.outputs + OUTPUTS - 1) / OUTPUTS;
  return (s.outputs + pieces - 1) / pieces;
}

template <class T>
struct PlaceSums {
  typedef void (*Sums)(const Shape&, const V<T>*, const V<T>*, const V<T>*, const T*, V<T>*);
  Sums all[2][OUTPUTS + 1] = {};
  PlaceSums() { fill(std::make_index_sequence<OUTPUTS>()); }
  template <size_t... I>
  void fill(std::index_sequence<I...>) {
    ((all[0][I + 1] = sumPlace<T, int(I) + 1, false>, all[1][I + 1] = sumPlace<T, int(I) + 1, true>), ...);
  }
};

// Calls body(place, output, n, sums) for n outputs at a time of every place.
template <class T, class Body>
void eachPlace(const Shape& s, const Weights<T>& w, const Input<T>& in, bool natural, Body body) {
  static const PlaceSums<T> sums;
  V<T> found[3 * OUTPUTS];
  for (int64_t o = 0; o < s.outputs; o += w.width) {
    const int n = int(std::min<int64_t>(w.width, s.outputs - o));
    const auto sum = sums.all[natural][n];
    for (int64_t place = 0; place < s.places(); place++) {
      const int64_t at = s.base(place);
      sum(s, in.natural.get() + at, in.centre.get() + at, in.radius.get() + at, w.forward.get() + o * s.taps(),
          found);
      body(place, o, n, found);
    }
  }
}

}  // namespace
}  // namespace TAUTNET_SET
}  // namespace tautnet
