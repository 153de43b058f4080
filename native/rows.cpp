// Back-substitution of many rows at once, a row to a lane, carried from its layer to the input in the cache.
//
// Compiled once for each instruction set: TAUTNET_SET names its namespace, TAUTNET_BYTES its vectors' size.
// A lower bound passes a ReLU as a⁺α + a⁻λ with the constant a⁻μ, an upper bound as a⁺λ + a⁻α with a⁺μ.
// The derivative computes the coefficients again and goes the same way back. NaN stays NaN: a⁻ is a − a⁺.
#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "chain.h"

namespace tautnet {
namespace TAUTNET_SET {
namespace {

template <class T>
struct Vector {
  typedef T type __attribute__((vector_size(TAUTNET_BYTES)));
  static constexpr int lanes = TAUTNET_BYTES / sizeof(T);
};
template <class T>
using V = typename Vector<T>::type;

// Coefficients of the lower and the upper bound of one feature.
template <class T>
struct Pair {
  V<T> lower, upper;
};

template <class T>
inline V<T> positive(V<T> a) {
  return a > T(0) ? a : V<T>{};
}
template <class T>
inline V<T> load(const T* from) {
  V<T> v;
  std::memcpy(&v, from, sizeof v);
  return v;
}
template <class T>
inline void store(T* to, V<T> v) {
  std::memcpy(to, &v, sizeof v);
}
// Sum over the lanes, always in the same order.
template <class T>
inline T total(V<T> v) {
  T x[Vector<T>::lanes];
  std::memcpy(x, &v, sizeof v);
  for (int half = Vector<T>::lanes / 2; half > 0; half /= 2)
    for (int i = 0; i < half; i++) x[i] += x[i + half];
  return x[0];
}

struct Aligned {
  void operator()(void* p) const { ::operator delete[](p, std::align_val_t(64)); }
};
template <class U>
using Array = std::unique_ptr<U[], Aligned>;
template <class U>
Array<U> allocate(int64_t size) {
  const size_t bytes = size_t(std::max<int64_t>(size, 1)) * sizeof(U);
  return Array<U>(static_cast<U*>(::operator new[](bytes, std::align_val_t(64))));
}

// Up to a vector of rows; unused lanes repeat the first and count nothing.
template <class T>
struct Group {
  static constexpr int lanes = Vector<T>::lanes;
  int used;
  bool same;  // all of one place of one image
  int64_t at[lanes];  // position in the list of rows
  int32_t channel[lanes], y[lanes], x[lanes], image[lanes];
};

template <class T>
class Rows {
  static constexpr int L = Vector<T>::lanes;
  const Work<T>& work;
  const Chain& chain;
  std::vector<Array<Pair<T>>> coefficients;  // before each step and at the input
  std::vector<Array<T>> turned;              // weights as [input channel, ky, kx, output channel]
  std::vector<Array<T>> weightSums;          // their gradients, a sum in each lane
  Array<T> startWeights;                     // [region, channel]
  Array<T> gathered[3], scattered[2];        // a lane after another for each element
  Array<Pair<T>> cotangents[2];
  Array<T> transposed;
  V<T> lower, upper, lowerCotangent, upperCotangent;

  bool reverse() const { return work.gradients != nullptr; }
  const T* array(int position) const { return position < 0 ? nullptr : work.arrays[position]; }
  T* gradient(int position) const { return position < 0 ? nullptr : work.gradients[position]; }
  int centre() const { return work.arrayCount - 2; }
  int radius() const { return work.arrayCount - 1; }
  static bool single(const Step& s) {
    return s.kernelY == 1 && s.kernelX == 1 && s.region.height == 1 && s.region.width == 1 &&
           s.behind.height == 1 && s.behind.width == 1;
  }

 public:
  explicit Rows(const Work<T>& w) : work(w), chain(w.chain) {
    int64_t widest = 1;
    const Region* region = chain.count ? &chain.steps[0].region : &chain.input;
    startSize = region->size();
    startWeights = allocate<T>(startSize * chain.channels);
    for (int64_t o = 0; o < chain.channels; o++)
      for (int64_t e = 0; e < startSize; e++)
        startWeights[e * chain.channels + o] = array(chain.weight)[o * startSize + e];
    for (int k = 0; k < chain.count; k++) {
      const Step& s = chain.steps[k];
      coefficients.push_back(allocate<Pair<T>>(s.region.size()));
      widest = std::max(widest, s.region.size());
      turned.emplace_back();
      weightSums.emplace_back();
      if (s.kind != AFFINE) continue;
      turn(s);
    }
    widest = std::max(widest, chain.input.size());
    coefficients.push_back(allocate<Pair<T>>(chain.input.size()));
    for (auto& g : gathered) g = allocate<T>(widest * L);
    if (!reverse()) return;
    for (auto& g : scattered) g = allocate<T>(widest * L);
    for (auto& c : cotangents) c = allocate<Pair<T>>(widest);
    transposed = allocate<T>(widest * L);
  }

  void all() {
    const int64_t places = int64_t(chain.gridY) * chain.gridX * chain.batch;
    std::vector<int64_t> rest;
    for (int64_t i = 0; i < work.rowCount;) {
      int64_t end = i + 1;
      while (end < work.rowCount && work.rows[end] % places == work.rows[i] % places) end++;
      // A vector half full of one place of one image reads its tables faster than a full one of several.
      while (end - i > L / 2) {
        const int used = int(std::min<int64_t>(L, end - i));
        int64_t at[L];
        for (int l = 0; l < used; l++) at[l] = i + l;
        one(group(at, used, true));
        i += used;
      }
      for (; i < end; i++) rest.push_back(i);
    }
    for (size_t i = 0; i < rest.size(); i += L)
      one(group(rest.data() + i, int(std::min<size_t>(L, rest.size() - i)), false));
    if (reverse()) finish();
  }

 private:
  int64_t startSize;

  void turn(const Step& s) {
    const int64_t outputs = s.region.channels, taps = int64_t(s.behind.channels) * s.kernelY * s.kernelX;
    turned.back() = allocate<T>(outputs * taps);
    const T* weight = array(s.arrays[0]);
    for (int64_t o = 0; o < outputs; o++)
      for (int64_t t = 0; t < taps; t++) turned.back()[t * outputs + o] = weight[o * taps + t];
    if (!reverse() || single(s) || gradient(s.arrays[0]) == nullptr) return;
    weightSums.back() = allocate<T>(outputs * taps * L);
    std::memset(weightSums.back().get(), 0, size_t(outputs * taps) * sizeof(V<T>));
  }

  Group<T> group(const int64_t* at, int used, bool same) const {
    Group<T> g;
    g.used = used;
    g.same = same;
    for (int l = 0; l < L; l++) {
      g.at[l] = at[l < used ? l : 0];
      const int32_t row = work.rows[g.at[l]];
      const int32_t feature = row / chain.batch, area = chain.gridY * chain.gridX;
      g.image[l] = row % chain.batch;
      g.channel[l] = feature / area;
      g.y[l] = feature % area / chain.gridX;
      g.x[l] = feature % chain.gridX;
    }
    return g;
  }

  void one(const Group<T>& g) {
    begin(g);
    for (int k = 0; k < chain.count; k++) {
      const Step& s = chain.steps[k];
      if (s.kind == AFFINE) affine(k, s);
      else if (g.same) relu<true>(g, k, s);
      else relu<false>(g, k, s);
    }
    if (reverse()) {
      g.same ? back<true>(g) : back<false>(g);
      return;
    }
    g.same ? concretize<true>(g) : concretize<false>(g);
    for (int l = 0; l < g.used; l++) {
      work.lower[g.at[l]] = lower[l];
      work.upper[g.at[l]] = upper[l];
    }
  }

  void begin(const Group<T>& g) {
    bool neighbours = true;
    for (int l = 0; l < L; l++) neighbours &= g.channel[l] == g.channel[0] + l;
    Pair<T>* a = coefficients[0].get();
    for (int64_t e = 0; e < startSize; e++) {
      const T* weights = startWeights.get() + e * chain.channels;
      V<T> v;
      if (neighbours) v = load<T>(weights + g.channel[0]);
      else
        for (int l = 0; l < L; l++) v[l] = weights[g.channel[l]];
      a[e] = {v, v};
    }
    lower = V<T>{};
    if (const T* bias = array(chain.bias))
      for (int l = 0; l < L; l++) lower[l] = bias[g.channel[l]];
    upper = lower;
    if (!reverse()) return;
    lowerCotangent = upperCotangent = V<T>{};
    for (int l = 0; l < g.used; l++) {
      lowerCotangent[l] = work.lower[g.at[l]];
      upperCotangent[l] = work.upper[g.at[l]];
    }
  }

  // Calls body(e, from, count) for the runs of one lane's region that lie in the layer: from is a feature.
  template <class Body>
  static void runs(const Region& r, int32_t y, int32_t x, Body body) {
    const int top = y * r.strideY - r.padY, left = x * r.strideX - r.padX;
    const int x0 = std::max(0, -left), x1 = std::min(r.width, r.layerWidth - left);
    const int y0 = std::max(0, -top), y1 = std::min(r.height, r.layerHeight - top);
    for (int64_t c = 0; c < r.channels; c++)
      for (int i = y0; i < y1; i++)
        if (x1 > x0)
          body((c * r.height + i) * r.width + x0,
               (c * r.layerHeight + top + i) * r.layerWidth + left + x0, x1 - x0);
  }

  static bool inside(const Region& r, const Group<T>& g) {
    const int top = g.y[0] * r.strideY - r.padY, left = g.x[0] * r.strideX - r.padX;
    return top >= 0 && left >= 0 && top + r.height <= r.layerHeight && left + r.width <= r.layerWidth;
  }

  // Lanes of several places and images: their values side by side, zero where a region leaves the layer.
  void gather(const Region& r, const Group<T>& g, int count, const T* const* tables) {
    for (int t = 0; t < count; t++) {
      T* into = gathered[t].get();
      std::memset(into, 0, size_t(r.size()) * sizeof(V<T>));
      for (int l = 0; l < L; l++) {
        const T* from = tables[t] + g.image[l] * r.features();
        runs(r, g.y[l], g.x[l], [&](int64_t e, int64_t feature, int n) {
          for (int i = 0; i < n; i++) into[(e + i) * L + l] = from[feature + i];
        });
      }
    }
  }

  // Calls body(e, feature, values of the tables there) for every element of the region that counts.
  template <bool Same, class Body>
  void read(const Region& r, const Group<T>& g, const T* const* tables, int count, Body body) {
    if (!Same) {
      gather(r, g, count, tables);
      for (int64_t e = 0; e < r.size(); e++)
        body(e, e, load<T>(gathered[0].get() + e * L), load<T>(gathered[1].get() + e * L),
             count > 2 ? load<T>(gathered[2].get() + e * L) : V<T>{});
      return;
    }
    const int64_t image = g.image[0] * r.features();
    runs(r, g.y[0], g.x[0], [&](int64_t e, int64_t feature, int n) {
      for (int i = 0; i < n; i++) {
        const int64_t at = image + feature + i;
        body(e + i, at, V<T>{} + tables[0][at], V<T>{} + tables[1][at],
             count > 2 ? V<T>{} + tables[2][at] : V<T>{});
      }
    });
  }

  template <bool Same>
  void relu(const Group<T>& g, int k, const Step& s) {
    const Pair<T>* a = coefficients[k].get();
    Pair<T>* to = coefficients[k + 1].get();
    if (Same && !inside(s.region, g)) std::memset(to, 0, size_t(s.region.size()) * sizeof(Pair<T>));
    const T* tables[] = {array(s.arrays[0]), array(s.arrays[1]), array(s.arrays[2])};
    V<T> low = lower, up = upper;
    read<Same>(s.region, g, tables, 3, [&](int64_t e, int64_t, V<T> alpha, V<T> lambda, V<T> mu) {
      const V<T> lp = positive<T>(a[e].lower), ln = a[e].lower - lp;
      const V<T> up_ = positive<T>(a[e].upper), un = a[e].upper - up_;
      to[e] = {lp * alpha + ln * lambda, up_ * lambda + un * alpha};
      low += ln * mu;
      up += up_ * mu;
    });
    lower = low;
    upper = up;
  }

  template <bool Same>
  void concretize(const Group<T>& g) {
    const Pair<T>* a = coefficients[chain.count].get();
    const T* tables[] = {array(centre()), array(radius())};
    V<T> low = lower, up = upper;
    read<Same>(chain.input, g, tables, 2, [&](int64_t e, int64_t, V<T> c, V<T> r, V<T>) {
      const V<T> lp = positive<T>(a[e].lower), up_ = positive<T>(a[e].upper);
      low += a[e].lower * c - (lp + lp - a[e].lower) * r;
      up += a[e].upper * c + (up_ + up_ - a[e].upper) * r;
    });
    lower = low;
    upper = up;
  }

  // Pairs of output and kernel coordinate that meet input coordinate i.
  static int meets(int i, int kernel, int stride, int pad, int extent, int32_t (*pairs)[2]) {
    int count = 0;
    for (int k = 0; k < kernel; k++) {
      const int at = i + pad - k;
      if (at < 0 || at % stride || at / stride >= extent) continue;
      pairs[count][0] = at / stride;
      pairs[count++][1] = k;
    }
    return count;
  }

  void affine(int k, const Step& s) {
    const Region &r = s.region, &b = s.behind;
    const Pair<T>* a = coefficients[k].get();
    Pair<T>* to = coefficients[k + 1].get();
    if (const T* bias = array(s.arrays[1])) {
      const int64_t area = int64_t(r.height) * r.width;
      for (int64_t o = 0; o < r.channels; o++) {
        Pair<T> sum{};
        for (int64_t i = o * area; i < (o + 1) * area; i++) sum.lower += a[i].lower, sum.upper += a[i].upper;
        lower += sum.lower * bias[o];
        upper += sum.upper * bias[o];
      }
    }
    std::vector<int32_t> store(size_t(s.kernelY + s.kernelX) * 2 + size_t(s.kernelY) * s.kernelX * 2);
    auto ys = reinterpret_cast<int32_t(*)[2]>(store.data()), xs = ys + s.kernelY, taps = xs + s.kernelX;
    for (int y = 0; y < b.height; y++) {
      const int ny = meets(y, s.kernelY, s.strideY, s.padY, r.height, ys);
      for (int x = 0; x < b.width; x++) {
        const int nx = meets(x, s.kernelX, s.strideX, s.padX, r.width, xs);
        int count = 0;
        for (int i = 0; i < ny; i++)
          for (int j = 0; j < nx; j++) {
            taps[count][0] = ys[i][0] * r.width + xs[j][0];
            taps[count++][1] = ys[i][1] * s.kernelX + xs[j][1];
          }
        int c = 0;
        const int64_t at = int64_t(y) * b.width + x;
        for (; c + 4 <= b.channels; c += 4) pixel<4, 1>(k, s, a, to, c, at, taps, count);
        for (; c + 2 <= b.channels; c += 2) pixel<2, 2>(k, s, a, to, c, at, taps, count);
        for (; c < b.channels; c++) pixel<1, 4>(k, s, a, to, c, at, taps, count);
      }
    }
  }

  // One pixel of the input in C channels; U partial sums each, as a sum's latency is several products long.
  template <int C, int U>
  void pixel(int k, const Step& s, const Pair<T>* a, Pair<T>* to, int64_t c, int64_t at,
             const int32_t (*taps)[2], int count) {
    const int64_t outputs = s.region.channels, area = int64_t(s.region.height) * s.region.width;
    const int64_t perChannel = int64_t(s.kernelY) * s.kernelX * outputs;
    Pair<T> sums[C][U] = {};
    for (int t = 0; t < count; t++) {
      const Pair<T>* from = a + taps[t][0];
      const T* weight = turned[k].get() + c * perChannel + taps[t][1] * outputs;
      int64_t o = 0;
      for (; o + U <= outputs; o += U)
        for (int u = 0; u < U; u++) {
          const Pair<T> p = from[(o + u) * area];
          for (int i = 0; i < C; i++) {
            const T w = weight[i * perChannel + o + u];
            sums[i][u].lower += p.lower * w;
            sums[i][u].upper += p.upper * w;
          }
        }
      for (; o < outputs; o++)
        for (int i = 0; i < C; i++) {
          const T w = weight[i * perChannel + o];
          sums[i][0].lower += from[o * area].lower * w;
          sums[i][0].upper += from[o * area].upper * w;
        }
    }
    const int64_t pixels = int64_t(s.behind.height) * s.behind.width;
    for (int i = 0; i < C; i++) {
      Pair<T> sum = sums[i][0];
      for (int u = 1; u < U; u++) sum.lower += sums[i][u].lower, sum.upper += sums[i][u].upper;
      to[(c + i) * pixels + at] = sum;
    }
  }

#include "rows-reverse.inc"
};

}  // namespace

void run(const Work<float>& work) { Rows<float>(work).all(); }
void run(const Work<double>& work) { Rows<double>(work).all(); }

}  // namespace TAUTNET_SET
}  // namespace tautnet
