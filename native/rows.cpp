// Back-substitution of many rows at once, a row to a lane, carried from its layer to the input in the cache.
//
// Compiled once for each instruction set: TAUTNET_SET names its namespace, TAUTNET_BYTES its vectors' size.
// A row has coefficients m + s of its lower and m − s of its upper bound. A ReLU passes l as S l + D |l| with
// the constant l⁻μ, u as S u − D |u| with u⁺μ. Neurons that pass nothing are left out of the products, and s
// is zero where a row has met one slope only: of a stable neuron the work is none, or half.
#include <limits>

#include "products.h"
#include "site.h"

namespace tautnet {
namespace TAUTNET_SET {
namespace {

template <class T>
struct Pair {
  V<T> lower, upper;
};

// Coefficients over a region, [pixel, channel].
template <class T>
struct Coefficients {
  V<T>*m = nullptr, *s = nullptr;
  void reserve(Arena& arena, int64_t size) {
    m = arena.zeros<V<T>>(size);
    s = arena.zeros<V<T>>(size);
  }
};

// One step of the chain and what it is computed with.
template <class T>
struct Stage {
  const Step* step;
  Coefficients<T> before;
  bool split = false;  // whether s is not all zero before the step
  Relu<T> relu;
  Array<V<T>> slopeSums[3];  // of α, λ, μ for each crossing neuron of a site
  Array<V<T>> boxSums[2];    // of centre and radius of its output, where they are wanted
  std::vector<int64_t> bases;    // AFFINE: the first entry behind each pixel, if all taps lie inside
  std::vector<int64_t> offsets;  // AFFINE: where a tap goes, from its pixel's first
  std::vector<int32_t> destinations;  // of a linear layer: entries in the order of the region behind
  List all;  // every output, for layers that follow no ReLU
  Array<V<T>> weightSums, biasSums;
};

template <class T>
class Rows {
  static constexpr int L = Vector<T>::lanes;
  const Work<T>& work;
  const Chain& chain;
  Arena& arena;
  const Products<T> products;
  std::vector<Stage<T>> stages;
  Coefficients<T> atInput;
  bool splitAtInput = false;
  Turned<T> centres, radii;  // of the input
  Values<T> inputCentre, inputRadius;
  Array<T> startWeights, startSums;  // [entry, channel]
  V<T>*startVectors, *ownStart;      // of channels side by side, [vector, entry]; of others
  int64_t startSize;
  int64_t site = -1;
  V<T> lower, upper;          // constants so far
  Pair<T> best, winner;       // greatest lower and least upper bound so far, and the step that gave it
  Pair<T> cotangent, given;   // of the constants at hand, and of the bounds
  bool bounds = false;        // whether rows are bounded on the way, too
  Coefficients<T> cotangents[2];
  Array<V<T>> patches[2], inputSums[2];
  Array<T> transposed;
  std::vector<int32_t> pixelsOf;

  bool reverse() const { return work.gradients != nullptr; }
  const T* array(int position) const { return position < 0 ? nullptr : work.arrays[position]; }
  T* gradient(int position) const { return position < 0 ? nullptr : work.gradients[position]; }
  bool isWanted(int a, int b) const { return gradient(a) != nullptr || gradient(b) != nullptr; }
  int centre() const { return work.arrayCount - 2; }
  int radius() const { return work.arrayCount - 1; }
  const Region& regionAfter(int k) const {
    return k + 1 < chain.count ? chain.steps[k + 1].region : chain.input;
  }
  static bool isLinear(const Step& s) {
    return s.kernelY == 1 && s.kernelX == 1 && s.region.height == 1 && s.region.width == 1 &&
           s.behind.height == 1 && s.behind.width == 1;
  }
  static int64_t areaOf(const Region& r) { return int64_t(r.height) * r.width; }
  static int64_t tapsOf(const Step& s) { return int64_t(s.behind.channels) * s.kernelY * s.kernelX; }
  // Entry [pixel, channel] of a flat index [channel, pixel].
  static int64_t entryOf(const Region& r, int64_t flat) {
    return flat % areaOf(r) * r.channels + flat / areaOf(r);
  }
  const List& passing(int k) const {
    return k > 0 && chain.steps[k - 1].kind == RELU ? stages[k - 1].relu.passing : stages[k].all;
  }
  // Entries whose s is not zero, where the row is split.
  const List& bent(int k) const {
    const bool afterRelu = k > 0 && chain.steps[k - 1].kind == RELU;
    return afterRelu && !stages[k - 1].split ? stages[k - 1].relu.bent : passing(k);
  }
  Coefficients<T>& after(int k) { return k + 1 < chain.count ? stages[k + 1].before : atInput; }
  bool splitAfter(int k) const { return k + 1 < chain.count ? stages[k + 1].split : splitAtInput; }

 public:
  Rows(const Work<T>& w, Arena& memory) : work(w), chain(w.chain), arena(memory), stages(w.chain.count) {
    const Region& start = chain.count ? chain.steps[0].region : chain.input;
    startSize = start.size();
    startWeights = allocate<T>(startSize * chain.channels);
    for (int64_t o = 0; o < chain.channels; o++)
      for (int64_t e = 0; e < startSize; e++)
        startWeights[entryOf(start, e) * chain.channels + o] = array(chain.weight)[o * startSize + e];
    ownStart = arena.take<V<T>>(startSize);
    startVectors = arena.take<V<T>>(chain.channels / L * startSize);
    for (int64_t o = 0; o + L <= chain.channels; o += L)
      for (int64_t e = 0; e < startSize; e++)
        startVectors[o / L * startSize + e] = load<T>(startWeights.get() + e * chain.channels + o);
    int64_t widest = std::max(startSize, chain.input.size()), mostTaps = 1;
    for (int k = 0; k < chain.count; k++) {
      const Step& s = chain.steps[k];
      stages[k].step = &s;
      stages[k].before.reserve(arena, s.region.size());
      widest = std::max(widest, s.region.size());
      if (s.kind == RELU) reserveRelu(k, s);
      else reserveAffine(k, s, mostTaps);
    }
    atInput.reserve(arena, chain.input.size());
    centres.reserve(chain.input, chain.batch, array(centre()), arena);
    radii.reserve(chain.input, chain.batch, array(radius()), arena);
    inputCentre.reserve(chain.input);
    inputRadius.reserve(chain.input);
    if (!reverse()) return;
    for (auto& c : cotangents) c.reserve(arena, widest);
    for (auto& p : patches) p = allocate<V<T>>(std::max(mostTaps, BLOCK));
    if (isWanted(centre(), radius()))
      for (auto& i : inputSums) i = allocate<V<T>>(chain.input.size());
    transposed = allocate<T>(widest * L);
    startSums = allocate<T>(startSize * chain.channels);
  }

  void all() {
    const int64_t places = int64_t(chain.gridY) * chain.gridX * chain.batch;
    std::vector<int64_t> rest;
    for (int64_t i = 0; i < work.rowCount;) {
      const int64_t place = work.rows[i] % places;
      int64_t end = i + 1;
      while (end < work.rowCount && work.rows[end] % places == place) end++;
      // Rows of one site are fast even in a vector that is not full.
      while (end - i >= LEAST_OF_SITE) {
        const int used = int(std::min<int64_t>(L, end - i));
        int64_t at[L];
        for (int l = 0; l < used; l++) at[l] = i + l;
        one<true>(group(at, used), place);
        i += used;
      }
      for (; i < end; i++) rest.push_back(i);
    }
    for (size_t i = 0; i < rest.size(); i += L)
      one<false>(group(rest.data() + i, int(std::min<size_t>(L, rest.size() - i))), -1);
    if (reverse()) finish();
  }

 private:
  static constexpr int64_t LEAST_OF_SITE = L > 4 ? L / 4 : 1;
  // Vectors of the patches that are correlated at a time: they stay in the cache.
  static constexpr int64_t BLOCK = 512;

  void reserveRelu(int k, const Step& s) {
    stages[k].relu.reserve(s, chain.batch, work.arrays, arena);
    bounds |= stages[k].relu.bounds;
    if (!reverse()) return;
    for (auto& sums : stages[k].slopeSums) sums = allocate<V<T>>(s.region.size());
    if (isWanted(s.arrays[3], s.arrays[4]))
      for (auto& sums : stages[k].boxSums) sums = allocate<V<T>>(s.region.size());
  }

  void reserveAffine(int k, const Step& s, int64_t& mostTaps) {
    Stage<T>& stage = stages[k];
    const int64_t taps = tapsOf(s);
    if (isLinear(s)) {
      for (int64_t t = 0; t < taps; t++)
        stage.destinations.push_back(int32_t(entryOf(regionAfter(k), t)));
    } else
      for (int64_t c = 0; c < s.behind.channels; c++)
        for (int ky = 0; ky < s.kernelY; ky++)
          for (int kx = 0; kx < s.kernelX; kx++)
            stage.offsets.push_back((int64_t(ky) * s.behind.width + kx) * s.behind.channels + c);
    bool inside = !isLinear(s);
    for (int64_t pixel = 0; pixel < areaOf(s.region); pixel++) inside = inside && placeOf(s, pixel).whole;
    for (int64_t pixel = 0; inside && pixel < areaOf(s.region); pixel++)
      stage.bases.push_back(placeOf(s, pixel).base);
    stage.all.reserve(s.region.size());
    for (int64_t pixel = 0; pixel < areaOf(s.region); pixel++) {
      for (int32_t c = 0; c < s.region.channels; c++) stage.all.add(pixel * s.region.channels + c, c, true);
      stage.all.endPixel();
    }
    mostTaps = std::max(mostTaps, taps);
    if (!reverse()) return;
    if (gradient(s.arrays[0]) != nullptr && !isLinear(s))
      stage.weightSums = allocate<V<T>>(s.region.channels * taps);
    stage.biasSums = allocate<V<T>>(s.region.channels);
  }

  Group<T> group(const int64_t* at, int used) const {
    Group<T> g;
    g.used = used;
    const int32_t area = chain.gridY * chain.gridX;
    for (int l = 0; l < L; l++) {
      g.at[l] = at[l < used ? l : 0];
      const int32_t row = work.rows[g.at[l]], feature = row / chain.batch;
      g.image[l] = row % chain.batch;
      g.channel[l] = feature / area;
      g.y[l] = feature % area / chain.gridX;
      g.x[l] = feature % chain.gridX;
    }
    return g;
  }

  template <bool Same>
  void one(const Group<T>& g, int64_t place) {
    if (!Same || site != place) meet<Same>(g, place);
    begin(g);
    for (int k = 0; k < chain.count; k++)
      if (chain.steps[k].kind == RELU) relu<Same>(k);
      else affine(k);
    if (!reverse() || bounds) bound<Same>(chain.count, atInput, splitAtInput, chain.input, inputCentre, inputRadius);
    if (reverse()) {
      back<Same>(g);
      if (!Same) flush<false>(g);
      return;
    }
    for (int l = 0; l < g.used; l++) {
      work.lower[g.at[l]] = best.lower[l];
      work.upper[g.at[l]] = best.upper[l];
    }
  }

  template <bool Same>
  void meet(const Group<T>& g, int64_t place) {
    if (reverse() && site >= 0) flush<true>(siteGroup);
    site = place;
    siteGroup = g;
    bool split = false;
    for (int k = 0; k < chain.count; k++) {
      stages[k].split = split;
      if (chain.steps[k].kind != RELU) continue;
      stages[k].relu.template meet<Same>(chain.steps[k], g);
      split |= stages[k].relu.bent.size > 0;
    }
    splitAtInput = split;
    inputCentre.read(chain.input, g, Same, [&](int32_t image) { return centres.of(image); });
    inputRadius.read(chain.input, g, Same, [&](int32_t image) { return radii.of(image); });
  }
  Group<T> siteGroup;

  static bool neighbours(const Group<T>& g) {
    bool all = true;
    for (int l = 0; l < L; l++) all &= g.channel[l] == g.channel[0] + l;
    return all;
  }

  void begin(const Group<T>& g) {
    V<T>*& a = (chain.count ? stages[0].before : atInput).m;
    if (neighbours(g) && g.channel[0] % L == 0) a = startVectors + g.channel[0] / L * startSize;
    else {
      a = ownStart;
      for (int64_t e = 0; e < startSize; e++)
        for (int l = 0; l < L; l++) a[e][l] = startWeights[e * chain.channels + g.channel[l]];
    }
    lower = V<T>{};
    if (const T* bias = array(chain.bias))
      for (int l = 0; l < L; l++) lower[l] = bias[g.channel[l]];
    upper = lower;
    const T infinite = std::numeric_limits<T>::infinity();
    best = {V<T>{} - infinite, V<T>{} + infinite};
    winner = {V<T>{} - T(1), V<T>{} - T(1)};
    if (!reverse()) return;
    given = Pair<T>{};
    for (int l = 0; l < g.used; l++) {
      given.lower[l] = work.lower[g.at[l]];
      given.upper[l] = work.upper[g.at[l]];
    }
  }

  // Bounds of the rows over a box of what they are coefficients of; the best so far are kept. The first
  // come through whatever they are: NaN stays NaN.
  template <bool Same>
  void bound(int k, const Coefficients<T>& a, bool split, const Region& r, const Values<T>& c,
             const Values<T>& radii) {
    // Some sums by turns: one after the other they would wait for each other.
    constexpr int TURNS = 4;
    V<T> lowers[TURNS] = {lower}, uppers[TURNS] = {upper};
    const auto add = [&](int64_t e, int turn) {
      const V<T> ce = c.template at<Same>(e), re = radii.template at<Same>(e);
      if (split) {
        const V<T> l = a.m[e] + a.s[e], u = a.m[e] - a.s[e];
        lowers[turn] += l * ce - magnitude<T>(l) * re;
        uppers[turn] += u * ce + magnitude<T>(u) * re;
      } else {
        const V<T> straight = a.m[e] * ce, reach = magnitude<T>(a.m[e]) * re;
        lowers[turn] += straight - reach;
        uppers[turn] += straight + reach;
      }
    };
    int64_t e = 0;
    for (; e + TURNS <= r.size(); e += TURNS) {
      TAUTNET_UNROLL
      for (int i = 0; i < TURNS; i++) add(e + i, i);
    }
    for (; e < r.size(); e++) add(e, 0);
    const Pair<T> value{(lowers[0] + lowers[1]) + (lowers[2] + lowers[3]),
                        (uppers[0] + uppers[1]) + (uppers[2] + uppers[3])};
    const V<T> here = V<T>{} + T(k);
    // Written so that a bound that is NaN replaces any other.
    winner.lower = value.lower <= best.lower ? winner.lower : here;
    winner.upper = value.upper >= best.upper ? winner.upper : here;
    best.lower = value.lower <= best.lower ? best.lower : value.lower;
    best.upper = value.upper >= best.upper ? best.upper : value.upper;
  }

  template <bool Same>
  void relu(int k) {
    const Stage<T>& stage = stages[k];
    const Relu<T>& x = stage.relu;
    const Region& r = stage.step->region;
    const V<T>*m = stage.before.m, *s = stage.before.s;
    if (x.bounds) bound<Same>(k, stage.before, stage.split, r, x.centre, x.radius);
    Coefficients<T>& to = after(k);
    if (k + 1 == chain.count || chain.steps[k + 1].kind == RELU) {
      std::memset(to.m, 0, size_t(r.size()) * sizeof(V<T>));
      std::memset(to.s, 0, size_t(r.size()) * sizeof(V<T>));
    }
    V<T> low = lower, up = upper;
    if (stage.split) {
      x.passing.each([&](int64_t e, int32_t, int64_t) {
        const V<T> S = x.middle.template at<Same>(e), D = x.half.template at<Same>(e) * T(0.5);
        const V<T> l = magnitude<T>(m[e] + s[e]), u = magnitude<T>(m[e] - s[e]);
        to.m[e] = S * m[e] + D * (l - u);
        to.s[e] = S * s[e] + D * (l + u);
      });
      x.crossing.each([&](int64_t e, int32_t, int64_t) {
        const V<T> mu = x.intercept.template at<Same>(e), l = m[e] + s[e];
        low += (l - positive<T>(l)) * mu;
        up += positive<T>(m[e] - s[e]) * mu;
      });
    } else {
      x.passing.each([&](int64_t e, int32_t, int64_t) { to.m[e] = m[e] * x.middle.template at<Same>(e); });
      x.bent.each([&](int64_t e, int32_t, int64_t) {
        to.s[e] = magnitude<T>(m[e]) * x.half.template at<Same>(e);
      });
      x.crossing.each([&](int64_t e, int32_t, int64_t) {
        const V<T> mu = x.intercept.template at<Same>(e), p = positive<T>(m[e]);
        low += (m[e] - p) * mu;
        up += p * mu;
      });
    }
    lower = low;
    upper = up;
  }

  // First entry behind a pixel, and which of its taps lie in the region behind.
  struct Place {
    int64_t base;
    int y0, y1, x0, x1;
    bool whole;
  };
  static Place placeOf(const Step& s, int64_t pixel) {
    const Region& b = s.behind;
    const int top = int(pixel / s.region.width) * s.strideY - s.padY;
    const int left = int(pixel % s.region.width) * s.strideX - s.padX;
    Place p{(int64_t(top) * b.width + left) * b.channels, std::max(0, -top), std::min(s.kernelY, b.height - top),
            std::max(0, -left), std::min(s.kernelX, b.width - left), false};
    p.whole = p.y0 == 0 && p.x0 == 0 && p.y1 == s.kernelY && p.x1 == s.kernelX;
    return p;
  }
  static bool lies(const Step& s, const Place& p, int64_t tap) {
    const int kx = int(tap % s.kernelX), ky = int(tap / s.kernelX % s.kernelY);
    return ky >= p.y0 && ky < p.y1 && kx >= p.x0 && kx < p.x1;
  }

  void affine(int k) {
    const Stage<T>& stage = stages[k];
    const Step& s = *stage.step;
    const List &straight = passing(k), &split = bent(k);
    Coefficients<T>& to = after(k);
    if (const T* bias = array(s.arrays[1])) count(k, bias);
    const size_t bytes = size_t(regionAfter(k).size()) * sizeof(V<T>);
    std::memset(to.m, 0, bytes);
    if (stage.split) std::memset(to.s, 0, bytes);
    for (int64_t pixel = 0; pixel < areaOf(s.region); pixel++) {
      const int64_t from = pixel * s.region.channels;
      spreadPixel(k, pixel, stage.before.m + from, straight.of(pixel), straight.count(pixel), to.m);
      if (stage.split)
        spreadPixel(k, pixel, stage.before.s + from, split.of(pixel), split.count(pixel), to.s);
    }
  }

  // Adds the bias of a layer to the constants.
  void count(int k, const T* bias) {
    const Stage<T>& stage = stages[k];
    V<T> m{}, s{};
    passing(k).each([&](int64_t e, int32_t o, int64_t) { m += stage.before.m[e] * bias[o]; });
    if (stage.split)
      bent(k).each([&](int64_t e, int32_t o, int64_t) { s += stage.before.s[e] * bias[o]; });
    lower += m + s;
    upper += m - s;
  }

  void spreadPixel(int k, int64_t pixel, const V<T>* a, const int32_t* list, int64_t count, V<T>* to) {
    if (count == 0) return;
    const Stage<T>& stage = stages[k];
    const Step& s = *stage.step;
    const int64_t taps = tapsOf(s);
    const int piece = Products<T>::piece(taps);
    const T* weight = array(s.arrays[0]);
    const Place p = placeOf(s, pixel);
    V<T> sums[WIDEST];
    for (int64_t t = 0; t < taps; t += piece) {
      const int n = int(std::min<int64_t>(piece, taps - t));
      if (p.whole && stage.destinations.empty()) {
        products.adds[n](a, list, count, weight + t, taps, stage.offsets.data() + t, to + p.base);
        continue;
      }
      products.spreads[n](a, list, count, weight + t, taps, sums);
      if (!stage.destinations.empty())
        for (int i = 0; i < n; i++) to[stage.destinations[t + i]] = sums[i];
      else
        for (int i = 0; i < n; i++)
          if (lies(s, p, t + i)) to[p.base + stage.offsets[t + i]] += sums[i];
    }
  }

#include "rows-reverse.inc"
};

template <class T>
void bound(const Work<T>& work) {
  static thread_local Arena arena;
  arena.begin();
  Rows<T>(work, arena).all();
}

}  // namespace

void run(const Work<float>& work) { bound(work); }
void run(const Work<double>& work) { bound(work); }

}  // namespace TAUTNET_SET
}  // namespace tautnet
