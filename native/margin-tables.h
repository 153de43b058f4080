// What vectors of rows meet: which image and row each lane is, and the lines of ReLUs.
#pragma once
#include <cmath>
#include <vector>

#include "margins.h"
#include "vector.h"

namespace tautnet {
namespace TAUTNET_SET {
namespace {

// Coefficients of a layer, [pixel, channel], with a margin of entries around it that convolutions reach.
struct Plane {
  Extents layer;
  int32_t height, width, top, left;
  bool whole() const { return height == layer.height && width == layer.width; }
  int64_t size() const { return int64_t(height) * width * layer.channels; }
  int64_t at(int32_t y, int32_t x) const { return (int64_t(y + top) * width + x + left) * layer.channels; }
  // Calls body(entry, feature, number) for every neuron, and after(pixel) behind each pixel.
  template <class Body, class After>
  void each(Body body, After after) const {
    const int64_t area = layer.area();
    int64_t number = 0;
    for (int32_t y = 0; y < layer.height; y++)
      for (int32_t x = 0; x < layer.width; x++) {
        const int64_t e = at(y, x), feature = int64_t(y) * layer.width + x;
        for (int32_t c = 0; c < layer.channels; c++) body(e + c, feature + c * area, number++);
        after(feature);
      }
  }
  template <class Body>
  void each(Body body) const {
    each(body, [](int64_t) {});
  }
};

// Images of a vector's lanes: lane l is of image first + l % images, row row + l / images.
struct Lanes {
  int32_t first, images, perVector, row;
  bool meetsSame(const Lanes& other) const { return first == other.first && images == other.images; }
};

// The vectors of all rows. Lanes are images of one row where there are enough; else several rows share one.
inline std::vector<Lanes> vectorsOf(int32_t batch, int32_t rows, int lanes) {
  std::vector<Lanes> all;
  for (int32_t first = 0; first < batch; first += lanes) {
    const int32_t images = std::min(batch - first, lanes), perVector = lanes / images;
    for (int32_t row = 0; row < rows; row += perVector) all.push_back({first, images, perVector, row});
  }
  return all;
}

// Numbers of a table [features, batch] for a vector, and back.
template <class T>
struct Access {
  static constexpr int L = Vector<T>::lanes;
  // Pixels: tables have channels far apart, more streams than processors follow by themselves.
  static constexpr int AHEAD = 4;
  int32_t first, images, used;
  int64_t batch;
  Access(const Lanes& lanes, int64_t batch)
      : first(lanes.first), images(lanes.images), used(lanes.images * lanes.perVector), batch(batch) {}
  V<T> read(const T* table, int64_t feature) const {
    const T* from = table + feature * batch + first;
    __builtin_prefetch(from + AHEAD * batch);
    if (images == L) return load<T>(from);
    if (images == 1) return V<T>{} + from[0];
    V<T> v = V<T>{} + from[0];
    for (int l = 0; l < used; l++) v[l] = from[l % images];
    return v;
  }
  void add(T* table, int64_t feature, V<T> v) const {
    T* to = table + feature * batch + first;
    if (images == L) return store<T>(to, load<T>(to) + v);
    for (int l = 0; l < used; l++) to[l % images] += v[l];
  }
};

// √a of each lane.
template <class T>
inline V<T> root(V<T> a) {
  for (int l = 0; l < Vector<T>::lanes; l++) a[l] = std::sqrt(a[l]);
  return a;
}

// Slopes below and above a ReLU, the intercept above, and what is taken off.
template <class T>
struct Line {
  V<T> alpha{}, lambda{}, mu{}, shift{};
  // By the sign in `shift`: the line of a decided neuron is 1 or 0.
  void decide() {
    const V<T> zero{}, one = zero + T(1);
    lambda = shift > zero ? one : shift < zero ? zero : lambda;
    mu = shift != zero ? zero : mu;
  }
  // CROWN's slopes are zero together.
  template <bool IsComputed>
  bool passes() const {
    return any<T>(lambda) || (!IsComputed && (any<T>(alpha) || any<T>(shift)));
  }
};

// CROWN's lines of a ReLU on [l, u] (`slopes.ts`): α x below, λ x + μ above. NaN stays NaN.
template <class T>
struct Lines {
  V<T> lower, upper, under, width, alpha, lambda, mu;  // under: relu(−l); width: relu(u) + relu(−l)
  Lines(V<T> l, V<T> u) : lower(l), upper(u) {
    const V<T> zero{}, tiny = V<T>{} + T(1e-30);
    const V<T> above = u < zero ? zero : u;
    under = l > zero ? zero : -l;
    width = above + under;
    width = width < tiny ? tiny : width;
    lambda = above / width;
    mu = lambda * under;
    alpha = l + u > zero ? V<T>{} + T(1) : zero;
  }
  // Cotangents of l and u from those of λ and μ; α has no derivative. Only unstable neurons have some.
  void back(V<T> ofLambda, V<T> ofMu, V<T>& ofLower, V<T>& ofUpper) const {
    const V<T> zero{}, share = (ofLambda + ofMu * under) / width;
    ofUpper = upper > zero ? share * (T(1) - lambda) : zero;
    ofLower = lower < zero ? (upper > zero ? (share - ofMu) * lambda : zero) : zero;
  }
};

// Outputs of a convolution that count: all of a layer, or those that some vector of a group passes.
struct Outputs {
  std::vector<int32_t> channels;
  std::vector<int64_t> ends;
  const int32_t* of(int64_t pixel) const { return channels.data() + (pixel ? ends[size_t(pixel) - 1] : 0); }
  int64_t count(int64_t pixel) const {
    return ends[size_t(pixel)] - (pixel ? ends[size_t(pixel) - 1] : 0);
  }
  bool every(const Extents& layer) const { return int64_t(channels.size()) == layer.features(); }
  void clear() {
    channels.clear();
    ends.clear();
  }
  void endPixel() { ends.push_back(int64_t(channels.size())); }
  void fill(const Extents& layer) {
    for (int64_t pixel = 0; pixel < layer.area(); pixel++) {
      for (int32_t c = 0; c < layer.channels; c++) channels.push_back(c);
      endPixel();
    }
  }
};

}  // namespace
}  // namespace TAUTNET_SET
}  // namespace tautnet
