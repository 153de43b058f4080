// Where a group of rows is: its lanes, and what they meet in each layer on the way to the input. Rows of one
// place of one image share it, a number for all lanes; others have a vector of numbers.
#pragma once
#include <vector>

#include "arena.h"
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

// Calls body(e, at, count) for what of a region lies in the layer, line by line: entries from e on are
// numbers of an image, [pixel, channel], from `at` on.
template <class Body>
void inLayer(const Region& r, int32_t y, int32_t x, Body body) {
  const int top = y * r.strideY - r.padY, left = x * r.strideX - r.padX;
  const int x0 = std::max(0, -left), x1 = std::min(r.width, r.layerWidth - left);
  const int y0 = std::max(0, -top), y1 = std::min(r.height, r.layerHeight - top);
  if (x0 >= x1) return;
  const int64_t channels = r.channels;
  for (int i = y0; i < y1; i++)
    body((int64_t(i) * r.width + x0) * channels,
         (int64_t(top + i) * r.layerWidth + left + x0) * channels, (x1 - x0) * channels);
}

// A table [batch, channel, pixel], image by image as [pixel, channel]: sites of one image share it.
template <class T>
class Turned {
  const T* source = nullptr;
  T* numbers = nullptr;
  int64_t channels = 1, area = 1;
  std::vector<uint8_t> isReady;

 public:
  void reserve(const Region& r, int32_t batch, const T* table, Arena& arena) {
    source = table;
    channels = r.channels;
    area = int64_t(r.layerHeight) * r.layerWidth;
    if (channels == 1 || area == 1) return;
    numbers = arena.take<T>(batch * r.features());
    isReady.assign(size_t(batch), 0);
  }
  const T* of(int32_t image) {
    const int64_t from = image * channels * area;
    if (numbers == nullptr) return source + from;
    if (!isReady[size_t(image)]) {
      for (int64_t c = 0; c < channels; c++)
        for (int64_t pixel = 0; pixel < area; pixel++)
          numbers[from + pixel * channels + c] = source[from + c * area + pixel];
      isReady[size_t(image)] = 1;
    }
    return numbers + from;
  }
};

// Values of a table over a region, zero where it leaves the layer.
template <class T>
class Values {
  Array<T> numbers;
  bool same = true;

 public:
  void reserve(const Region& r) { numbers = allocate<T>(r.size() * Vector<T>::lanes); }
  // `of(image)` gives the numbers of an image, [pixel, channel].
  template <class Of>
  void read(const Region& r, const Group<T>& g, bool sameSite, Of of) {
    constexpr int L = Vector<T>::lanes;
    same = sameSite;
    std::memset(numbers.get(), 0, size_t(r.size()) * sizeof(T) * (same ? 1 : L));
    if (same) {
      const T* from = of(g.image[0]);
      T* to = numbers.get();
      inLayer(r, g.y[0], g.x[0], [=](int64_t e, int64_t at, int64_t count) {
        std::memcpy(to + e, from + at, size_t(count) * sizeof(T));
      });
      return;
    }
    for (int l = 0; l < L; l++) {
      const T* from = of(g.image[l]);
      T* to = numbers.get() + l;
      inLayer(r, g.y[l], g.x[l], [=](int64_t e, int64_t at, int64_t count) {
        for (int64_t i = 0; i < count; i++) to[(e + i) * L] = from[at + i];
      });
    }
  }
  template <bool Same>
  V<T> at(int64_t e) const {
    return Same ? V<T>{} + numbers[e] : load<T>(numbers.get() + e * Vector<T>::lanes);
  }
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

// What a neuron does to rows: it passes anything (α or λ is not zero), has two slopes, or a constant or two
// slopes. What passes nothing has no derivative either: λ = 0 on an open set.
enum Passage : uint8_t { PASSING = 1, BENT = 2, CROSSING = 4 };

// S = (α + λ)/2, D = (α − λ)/2 of each neuron of an image and what it does, [pixel, channel].
template <class T>
class ImageLines {
  const T *alpha = nullptr, *lambda = nullptr, *mu = nullptr;
  T *middles = nullptr, *halves = nullptr, *intercepts = nullptr;
  uint8_t* passages = nullptr;
  int64_t channels = 1, area = 1;
  std::vector<uint8_t> isReady;

 public:
  void reserve(const Step& s, int32_t batch, const T* const* arrays, Arena& arena) {
    const Region& r = s.region;
    alpha = arrays[s.arrays[0]];
    lambda = arrays[s.arrays[1]];
    mu = arrays[s.arrays[2]];
    channels = r.channels;
    area = int64_t(r.layerHeight) * r.layerWidth;
    for (T** of : {&middles, &halves, &intercepts}) *of = arena.take<T>(batch * r.features());
    passages = arena.take<uint8_t>(batch * r.features());
    isReady.assign(size_t(batch), 0);
  }
  void prepare(int32_t image) {
    if (isReady[size_t(image)]) return;
    isReady[size_t(image)] = 1;
    const int64_t first = image * channels * area;
    for (int64_t c = 0; c < channels; c++)
      for (int64_t pixel = 0; pixel < area; pixel++) {
        const int64_t from = first + c * area + pixel, to = first + pixel * channels + c;
        const T a = alpha[from], l = lambda[from], m = mu[from];
        const bool bends = !(a == l), crosses = bends | !(m == T(0));
        const bool passes = !(a == T(0)) | !(l == T(0)) | crosses;
        middles[to] = (a + l) * T(0.5);
        halves[to] = (a - l) * T(0.5);
        intercepts[to] = m;
        passages[to] = uint8_t(PASSING * passes | BENT * bends | CROSSING * crosses);
      }
  }
  int64_t features() const { return channels * area; }
  const T* middle(int32_t image) const { return middles + image * features(); }
  const T* half(int32_t image) const { return halves + image * features(); }
  const T* intercept(int32_t image) const { return intercepts + image * features(); }
  const uint8_t* passage(int32_t image) const { return passages + image * features(); }
};

// A ReLU as a site meets it.
template <class T>
struct Relu {
  ImageLines<T> lines;
  Turned<T> centres, radii;
  Values<T> middle, half, intercept, centre, radius;
  std::vector<uint8_t> passages;
  List passing, bent, crossing;
  bool bounds = false;  // whether rows are bounded at its output, too

  void reserve(const Step& s, int32_t batch, const T* const* arrays, Arena& arena) {
    lines.reserve(s, batch, arrays, arena);
    for (auto* v : {&middle, &half, &intercept}) v->reserve(s.region);
    for (List* list : {&passing, &bent, &crossing}) list->reserve(s.region.size());
    passages.resize(size_t(s.region.size()));
    bounds = s.arrays[3] >= 0;
    if (!bounds) return;
    centres.reserve(s.region, batch, arrays[s.arrays[3]], arena);
    radii.reserve(s.region, batch, arrays[s.arrays[4]], arena);
    centre.reserve(s.region);
    radius.reserve(s.region);
  }

  template <bool Same>
  void meet(const Step& s, const Group<T>& g) {
    const Region& r = s.region;
    std::fill(passages.begin(), passages.end(), uint8_t(0));
    for (int l = 0; l < (Same ? 1 : g.used); l++) {
      lines.prepare(g.image[l]);
      const uint8_t* from = lines.passage(g.image[l]);
      inLayer(r, g.y[l], g.x[l], [&](int64_t e, int64_t at, int64_t count) {
        for (int64_t i = 0; i < count; i++) passages[size_t(e + i)] |= from[at + i];
      });
    }
    middle.read(r, g, Same, [&](int32_t image) { return lines.middle(image); });
    half.read(r, g, Same, [&](int32_t image) { return lines.half(image); });
    intercept.read(r, g, Same, [&](int32_t image) { return lines.intercept(image); });
    if (bounds) {
      centre.read(r, g, Same, [&](int32_t image) { return centres.of(image); });
      radius.read(r, g, Same, [&](int32_t image) { return radii.of(image); });
    }
    for (List* list : {&passing, &bent, &crossing}) list->clear();
    const int64_t area = int64_t(r.height) * r.width;
    for (int64_t pixel = 0; pixel < area; pixel++) {
      const uint8_t* of = passages.data() + pixel * r.channels;
      for (int32_t c = 0; c < r.channels; c++) {
        passing.add(pixel * r.channels + c, c, of[c] & PASSING);
        bent.add(pixel * r.channels + c, c, of[c] & BENT);
        crossing.add(pixel * r.channels + c, c, of[c] & CROSSING);
      }
      for (List* list : {&passing, &bent, &crossing}) list->endPixel();
    }
  }
};

}  // namespace
}  // namespace TAUTNET_SET
}  // namespace tautnet
