// Where a group of rows is: its lanes, and what they meet in each layer on the way to the input. Rows of one
// place of one image share it, a number for all lanes; others have a vector of numbers.
#pragma once
#include <vector>

#include "chain.h"
#include "vector.h"

namespace tautnet {
namespace TAUTNET_SET {
namespace {

// Up to a vector of rows; unused lanes repeat the first and count nothing.
template <class T>
struct Group {
  static constexpr int lanes = Vector<T>::lanes;
  int used;
  int64_t at[lanes];  // position in the list of rows
  int32_t channel[lanes], y[lanes], x[lanes], image[lanes];
};

// Calls body(e, feature) for what of a region lies in the layer: e = pixel · channels + channel.
template <class Body>
void inLayer(const Region& r, int32_t y, int32_t x, Body body) {
  const int top = y * r.strideY - r.padY, left = x * r.strideX - r.padX;
  const int x0 = std::max(0, -left), x1 = std::min(r.width, r.layerWidth - left);
  const int y0 = std::max(0, -top), y1 = std::min(r.height, r.layerHeight - top);
  const int64_t area = int64_t(r.layerHeight) * r.layerWidth;
  const int64_t channels = r.channels;
  for (int i = y0; i < y1; i++)
    for (int j = x0; j < x1; j++) {
      const int64_t e = (int64_t(i) * r.width + j) * channels;
      const int64_t feature = int64_t(top + i) * r.layerWidth + left + j;
      for (int64_t c = 0; c < channels; c++) body(e + c, feature + c * area);
    }
}

// Values of a table [batch, features] over a region, zero where it leaves the layer.
template <class T>
class Values {
  Array<T> numbers;
  bool same = true;

 public:
  void reserve(const Region& r) { numbers = allocate<T>(r.size() * Vector<T>::lanes); }
  void read(const Region& r, const Group<T>& g, bool sameSite, const T* table) {
    constexpr int L = Vector<T>::lanes;
    same = sameSite;
    std::memset(numbers.get(), 0, size_t(r.size()) * sizeof(T) * (same ? 1 : L));
    if (same) {
      const T* from = table + g.image[0] * r.features();
      T* to = numbers.get();
      inLayer(r, g.y[0], g.x[0], [=](int64_t e, int64_t feature) { to[e] = from[feature]; });
      return;
    }
    for (int l = 0; l < L; l++) {
      const T* from = table + g.image[l] * r.features();
      T* to = numbers.get() + l;
      inLayer(r, g.y[l], g.x[l], [=](int64_t e, int64_t feature) { to[e * L] = from[feature]; });
    }
  }
  template <bool Same>
  V<T> at(int64_t e) const {
    return Same ? V<T>{} + numbers[e] : load<T>(numbers.get() + e * Vector<T>::lanes);
  }
  // Of rows of one site.
  T& number(int64_t e) { return numbers[e]; }
  // Of rows of several.
  void set(int64_t e, V<T> v) { store<T>(numbers.get() + e * Vector<T>::lanes, v); }
};

// Entries of a region that count, pixel by pixel: their places e, their channels, and where those of each
// pixel end. Entries are written first and counted if they are meant, so that nothing branches.
struct List {
  Array<int32_t> entries, channels;
  std::vector<int64_t> ends;
  int64_t size = 0;
  void reserve(int64_t most) {
    entries = allocate<int32_t>(most + 1);
    channels = allocate<int32_t>(most + 1);
  }
  void clear() {
    ends.clear();
    size = 0;
  }
  void add(int64_t e, int32_t channel, bool counts) {
    entries[size] = int32_t(e);
    channels[size] = channel;
    size += counts;
  }
  void endPixel() { ends.push_back(size); }
  const int32_t* of(int64_t pixel) const { return channels.get() + (pixel ? ends[pixel - 1] : 0); }
  int64_t count(int64_t pixel) const { return ends[pixel] - (pixel ? ends[pixel - 1] : 0); }
  // Calls body(e, channel, index in the list).
  template <class Body>
  void each(Body body) const {
    for (int64_t i = 0; i < size; i++) body(int64_t(entries[i]), channels[i], i);
  }
};

// A ReLU as a site meets it: S = (α + λ)/2, D = (α − λ)/2 and μ of each neuron, and which neurons pass
// anything (`passing`: α or λ is not zero), have two slopes (`bent`), or a constant or two slopes (`crossing`).
// What passes nothing has no derivative either: λ = 0 on an open set.
template <class T>
struct Relu {
  Values<T> middle, half, intercept, centre, radius;
  List passing, bent, crossing;
  bool bounds = false;  // whether rows are bounded at its output, too

  void reserve(const Step& s) {
    for (auto* v : {&middle, &half, &intercept}) v->reserve(s.region);
    for (List* list : {&passing, &bent, &crossing}) list->reserve(s.region.size());
    bounds = s.arrays[3] >= 0;
    if (bounds) centre.reserve(s.region), radius.reserve(s.region);
  }

  template <bool Same>
  void meet(const Step& s, const Group<T>& g, const T* const* arrays) {
    const Region& r = s.region;
    middle.read(r, g, Same, arrays[s.arrays[0]]);
    half.read(r, g, Same, arrays[s.arrays[1]]);
    intercept.read(r, g, Same, arrays[s.arrays[2]]);
    if (bounds) {
      centre.read(r, g, Same, arrays[s.arrays[3]]);
      radius.read(r, g, Same, arrays[s.arrays[4]]);
    }
    for (List* list : {&passing, &bent, &crossing}) list->clear();
    const int64_t area = int64_t(r.height) * r.width;
    for (int64_t pixel = 0; pixel < area; pixel++) {
      for (int32_t c = 0; c < r.channels; c++) classify<Same>(pixel * r.channels + c, c);
      for (List* list : {&passing, &bent, &crossing}) list->endPixel();
    }
  }

 private:
  template <bool Same>
  void classify(int64_t e, int32_t c) {
    bool passes, bends, crosses;
    if (Same) {
      const T alpha = middle.number(e), lambda = half.number(e);
      bends = !(alpha == lambda);
      crosses = bends | !(intercept.number(e) == T(0));
      passes = !(alpha == T(0)) | !(lambda == T(0)) | crosses;
      middle.number(e) = (alpha + lambda) * T(0.5);
      half.number(e) = (alpha - lambda) * T(0.5);
    } else {
      const V<T> alpha = middle.template at<false>(e), lambda = half.template at<false>(e);
      bends = any<T>(alpha - lambda);
      crosses = bends || any<T>(intercept.template at<false>(e));
      passes = crosses || any<T>(alpha) || any<T>(lambda);
      middle.set(e, (alpha + lambda) * T(0.5));
      half.set(e, (alpha - lambda) * T(0.5));
    }
    passing.add(e, c, passes);
    bent.add(e, c, bends);
    crossing.add(e, c, crosses);
  }
};

}  // namespace
}  // namespace TAUTNET_SET
}  // namespace tautnet
