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
  for (int i = y0; i < y1; i++)
    for (int j = x0; j < x1; j++) {
      const int64_t e = (int64_t(i) * r.width + j) * r.channels;
      const int64_t feature = int64_t(top + i) * r.layerWidth + left + j;
      for (int64_t c = 0; c < r.channels; c++) body(e + c, feature + c * area);
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
      inLayer(r, g.y[0], g.x[0], [&](int64_t e, int64_t feature) { numbers[e] = from[feature]; });
      return;
    }
    for (int l = 0; l < L; l++) {
      const T* from = table + g.image[l] * r.features();
      inLayer(r, g.y[l], g.x[l], [&](int64_t e, int64_t feature) { numbers[e * L + l] = from[feature]; });
    }
  }
  template <bool Same>
  V<T> at(int64_t e) const {
    return Same ? V<T>{} + numbers[e] : load<T>(numbers.get() + e * Vector<T>::lanes);
  }
  template <bool Same>
  void set(int64_t e, V<T> v) {
    if (Same) numbers[e] = v[0];
    else store<T>(numbers.get() + e * Vector<T>::lanes, v);
  }
};

// Entries of a region that count, by pixel: channel numbers, and where those of each pixel end.
struct List {
  std::vector<int32_t> channels;
  std::vector<int64_t> ends;
  void clear() {
    channels.clear();
    ends.clear();
  }
  const int32_t* of(int64_t pixel) const { return channels.data() + (pixel ? ends[pixel - 1] : 0); }
  int64_t count(int64_t pixel) const { return ends[pixel] - (pixel ? ends[pixel - 1] : 0); }
  // Calls body(e, channel, index in the list).
  template <class Body>
  void each(int64_t perPixel, Body body) const {
    int64_t i = 0;
    for (size_t pixel = 0; pixel < ends.size(); pixel++)
      for (; i < ends[pixel]; i++) body(int64_t(pixel) * perPixel + channels[i], channels[i], i);
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
      for (List* list : {&passing, &bent, &crossing}) list->ends.push_back(int64_t(list->channels.size()));
    }
  }

 private:
  template <bool Same>
  void classify(int64_t e, int32_t c) {
    const V<T> alpha = middle.template at<Same>(e), lambda = half.template at<Same>(e);
    const V<T> mu = intercept.template at<Same>(e);
    bool passes, bends, crosses;
    if (Same) {
      passes = !(alpha[0] == T(0) && lambda[0] == T(0));
      bends = !(alpha[0] == lambda[0]);
      crosses = bends || !(mu[0] == T(0));
    } else {
      bends = any<T>(alpha - lambda);
      crosses = bends || any<T>(mu);
      passes = any<T>(alpha) || any<T>(lambda);
    }
    if (!passes && !crosses) return;
    passing.channels.push_back(c);
    if (bends) bent.channels.push_back(c);
    if (crosses) crossing.channels.push_back(c);
    middle.template set<Same>(e, (alpha + lambda) * T(0.5));
    half.template set<Same>(e, (alpha - lambda) * T(0.5));
  }
};

}  // namespace
}  // namespace TAUTNET_SET
}  // namespace tautnet
