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

// Weights of the member at hand, laid out anew.
template <class T>
struct Weights {
  Array<T> forward, magnitude;  // [tap, output]
  Array<T> adjoint;             // [output, tap]
  const T* bias;

  explicit Weights(const Shape& s) {
    for (Array<T>* a : {&forward, &magnitude, &adjoint}) *a = allocate<T>(s.taps() * s.outputs);
  }
  void read(const Shape& s, const T* parameters) {
    const T* from = parameters + s.weight;
    bias = parameters + s.bias;
    const int64_t taps = s.taps(), outputs = s.outputs;
    for (int64_t o = 0; o < outputs; o++)
      for (int64_t c = 0; c < s.channels; c++)
        for (int64_t k = 0; k < int64_t(s.kernelY) * s.kernelX; k++) {
          const T w = *from++;
          const int64_t tap = k * s.channels + c;
          adjoint[o * taps + tap] = w;
          forward[tap * outputs + o] = w;
          magnitude[tap * outputs + o] = w < T(0) ? -w : w;
        }
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
void sumPlace(const Shape& s, const V<T>* x, const V<T>* c, const V<T>* r, const T* w, const T* m, V<T>* into) {
  V<T> natural[N] = {}, centre[N] = {}, radius[N] = {};
  const int64_t run = s.run(), outputs = s.outputs;
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
        radius[n] += rt * m[n];
      }
      w += outputs;
      m += outputs;
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

template <class T>
struct PlaceSums {
  typedef void (*Sums)(const Shape&, const V<T>*, const V<T>*, const V<T>*, const T*, const T*, V<T>*);
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
  const int64_t pieces = (s.outputs + OUTPUTS - 1) / OUTPUTS, piece = (s.outputs + pieces - 1) / pieces;
  V<T> found[3 * OUTPUTS];
  for (int64_t o = 0; o < s.outputs; o += piece) {
    const int n = int(std::min<int64_t>(piece, s.outputs - o));
    const auto sum = sums.all[natural][n];
    for (int64_t place = 0; place < s.places(); place++) {
      const int64_t at = s.base(place);
      sum(s, in.natural.get() + at, in.centre.get() + at, in.radius.get() + at, w.forward.get() + o,
          w.magnitude.get() + o, found);
      body(place, o, n, found);
    }
  }
}

}  // namespace
}  // namespace TAUTNET_SET
}  // namespace tautnet
