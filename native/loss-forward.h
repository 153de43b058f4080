// Layers of a loss as it computes them: an image to a lane, activations [row, column, channel] with zeros
// around a layer's input, so that no tap leaves it.
#pragma once
#include "loss.h"
#include "vector.h"

namespace tautnet {
namespace TAUTNET_SET {
namespace {

// A layer and the grid of its input, [row, column, channel]; taps are in the same order. What a linear layer
// reads lies as its weights do, [channel, row, column].
struct Shape : LossLayer {
  bool isLinear;
  int64_t gridWidth, gridSize;    // entries of a row, and of all
  std::vector<int32_t> offsets;   // of each tap from its place's first
  std::vector<int32_t> sources;   // where each tap's weight lies among those of its output
  explicit Shape(const LossLayer& l) : LossLayer(l) {
    isLinear = places() == 1 && padY == 0 && padX == 0 && kernelY == height && kernelX == width;
    gridWidth = std::max<int64_t>(int64_t(columns - 1) * strideX + kernelX, width + padX) * channels;
    gridSize = std::max<int64_t>(int64_t(rows - 1) * strideY + kernelY, height + padY) * gridWidth;
    for (int32_t y = 0; y < kernelY; y++)
      for (int32_t x = 0; x < kernelX; x++)
        for (int32_t c = 0; c < channels; c++) {
          const int32_t tap = int32_t(offsets.size());
          offsets.push_back(isLinear ? tap : int32_t(y * gridWidth) + x * channels + c);
          sources.push_back(isLinear ? tap : (c * kernelY + y) * kernelX + x);
        }
  }
  // Taps side by side in the grid, and how often.
  int64_t run() const { return isLinear ? taps() : int64_t(kernelX) * channels; }
  int runs() const { return isLinear ? 1 : kernelY; }
  // The first entry that an output place sees.
  int64_t base(int64_t place) const {
    return place / columns * strideY * gridWidth + place % columns * strideX * channels;
  }
  // The first entry of a place of the input itself, and from one of its channels to the next.
  int64_t inner(int64_t place) const {
    return isLinear ? place : (place / width + padY) * gridWidth + (place % width + padX) * channels;
  }
  int64_t step() const { return isLinear ? area() : 1; }
  int64_t area() const { return int64_t(height) * width; }
};

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
    const int64_t taps = s.taps();
    const T* from = parameters + s.weight;
    bias = parameters + s.bias;
    T* to = forward.get();
    for (int64_t o = 0; o < s.outputs; o += width) {
      const int64_t n = std::min(width, s.outputs - o);
      for (int64_t t = 0; t < taps; t++) {
        const T* first = from + o * taps + s.sources[t];
        for (int64_t i = 0; i < n; i++) *to++ = first[i * taps];
      }
    }
    if (depth == 0) return;
    T* back = adjoint.get();
    for (int64_t t = 0; t < taps; t += depth)
      for (int64_t o = 0; o < s.outputs; o++)
        for (int64_t i = t; i < std::min(taps, t + depth); i++) *back++ = from[o * taps + s.sources[i]];
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
  for (int y = 0; y < s.runs(); y++) {
    const int64_t from = y * s.gridWidth;
    for (int64_t t = from; t < from + run; t++) {
      const V<T> ct = c[t], rt = r[t];
      V<T> xt;
      if (Natural) xt = x[t];
      _Pragma("GCC unroll 16")
      for (int n = 0; n < N; n++) {
        const V<T> weight = broadcast(w[n]);
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
      const T* tile = w.forward.get() + o * s.taps();
      sum(s, in.natural.get() + at, in.centre.get() + at, in.radius.get() + at, tile, found);
      body(place, o, n, found);
    }
  }
}

}  // namespace
}  // namespace TAUTNET_SET
}  // namespace tautnet
