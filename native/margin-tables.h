// What vectors of rows meet: which image and row each lane is, and the slopes of ReLUs, laid out as
// coefficients are.
#pragma once
#include <vector>

#include "arena.h"
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
  // Calls body(feature, number) for every neuron in the order of the layer's tables.
  template <class Body>
  void eachFeature(Body body) const {
    const int64_t area = layer.area();
    for (int32_t c = 0; c < layer.channels; c++)
      for (int64_t pixel = 0; pixel < area; pixel++) body(c * area + pixel, pixel * layer.channels + c);
  }
  // Calls body(entry, feature, number) for every neuron.
  template <class Body>
  void each(Body body) const {
    const int64_t area = layer.area();
    int64_t number = 0;
    for (int32_t y = 0; y < layer.height; y++)
      for (int32_t x = 0; x < layer.width; x++) {
        const int64_t e = at(y, x), feature = int64_t(y) * layer.width + x;
        for (int32_t c = 0; c < layer.channels; c++) body(e + c, feature + c * area, number++);
      }
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
  int32_t first, images, used;
  int64_t batch;
  Access(const Lanes& lanes, int64_t batch)
      : first(lanes.first), images(lanes.images), used(lanes.images * lanes.perVector), batch(batch) {}
  V<T> read(const T* table, int64_t feature) const {
    const T* from = table + feature * batch + first;
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

// CROWN's lines of a ReLU on [l, u] (`slopes.ts`): α x below, λ x + μ above. NaN stays NaN.
template <class T>
struct Lines {
  V<T> above, below, width, slope;  // relu(u), relu(−l), their sum, λ
  Lines(V<T> l, V<T> u) {
    const V<T> zero{}, tiny = V<T>{} + T(1e-30);
    above = u < zero ? zero : u;
    below = l > zero ? zero : -l;
    width = above + below;
    width = width < tiny ? tiny : width;
    slope = above / width;
  }
};

// A ReLU as one vector meets it, neuron by neuron: α, λ, μ next to each other, and whether any lane passes
// anything. What passes nothing has no derivative either: λ = 0 on an open set.
template <class T>
struct Met {
  V<T>* slopes = nullptr;  // [neuron, 3]
  V<T>* sums = nullptr;    // of the cotangents of λ and μ, [neuron, 2]
  std::vector<uint8_t> passes;
  void reserve(Arena& arena, int64_t neurons, bool isWanted) {
    slopes = arena.take<V<T>>(3 * neurons);
    if (isWanted) sums = arena.zeros<V<T>>(2 * neurons);
    passes.resize(size_t(neurons));
  }
  void read(const Plane& plane, const Access<T>& access, const T* lower, const T* upper) {
    uint8_t* pass = passes.data();
    plane.eachFeature([&](int64_t feature, int64_t i) {
      const V<T> l = access.read(lower, feature), u = access.read(upper, feature);
      const Lines<T> lines(l, u);
      slopes[3 * i] = l + u > T(0) ? V<T>{} + T(1) : V<T>{};
      slopes[3 * i + 1] = lines.slope;
      slopes[3 * i + 2] = lines.slope * lines.below;
      pass[i] = any<T>(lines.slope);
    });
  }
  // Cotangents of the bounds from those of λ and μ; α has no derivative. Only unstable neurons have some.
  void give(const Plane& plane, const Access<T>& access, const T* lower, const T* upper, T* toLower, T* toUpper) {
    plane.eachFeature([&](int64_t feature, int64_t i) {
      const V<T> l = access.read(lower, feature), u = access.read(upper, feature);
      const Lines<T> lines(l, u);
      const V<T> mu = sums[2 * i + 1], share = (sums[2 * i] + mu * lines.below) / lines.width;
      const V<T> above = share * (T(1) - lines.slope), below = (mu - share) * lines.slope;
      if (toUpper != nullptr) access.add(toUpper, feature, u > T(0) ? above : V<T>{});
      if (toLower != nullptr) access.add(toLower, feature, (l < T(0) && u > T(0)) ? -below : V<T>{});
      sums[2 * i] = sums[2 * i + 1] = V<T>{};
    });
  }
};

// Outputs of a convolution that count: all of a layer, or those that some vector of a group passes.
struct Outputs {
  std::vector<int32_t> channels;
  std::vector<int64_t> ends;
  bool every = true;
  const int32_t* of(int64_t pixel) const { return channels.data() + (pixel ? ends[size_t(pixel) - 1] : 0); }
  int64_t count(int64_t pixel) const {
    return ends[size_t(pixel)] - (pixel ? ends[size_t(pixel) - 1] : 0);
  }
  template <class Counts>
  void fill(const Extents& layer, Counts counts) {
    channels.clear();
    ends.clear();
    for (int64_t pixel = 0; pixel < layer.area(); pixel++) {
      for (int32_t c = 0; c < layer.channels; c++)
        if (counts(pixel * layer.channels + c)) channels.push_back(c);
      ends.push_back(int64_t(channels.size()));
    }
    every = int64_t(channels.size()) == layer.features();
  }
};

}  // namespace
}  // namespace TAUTNET_SET
}  // namespace tautnet
