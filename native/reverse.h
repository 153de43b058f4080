// The derivative of `Forward`: from cotangents of what was seen to those of weights, biases and the input,
// with the activations that the forward pass stored.
//
//   ȳ: c̄' = l̄ + ū, r̄' = ū − l̄ where the ReLU passes an end;  W̄ = Σ c̄' cᵀ + sign(W) ∘ Σ r̄' rᵀ,
//   b̄ = Σ c̄';  c̄ = Wᵀ c̄', r̄ = |W|ᵀ r̄';  ū = (c̄ + r̄)/2, l̄ = (c̄ − r̄)/2
//
// The adjoint of a convolution of stride s is one of stride 1 for each of the s² phases of its input, with
// every s-th tap. Gradients of weights have a sum in each lane until the end.
#pragma once
#include <cmath>

#include "forward.h"

namespace tautnet {
namespace TAUTNET_SET {
namespace {

// Outputs and taps of a tile of weights' gradients.
constexpr int PAIR_OUTPUTS = 4, PAIR_TAPS = TAUTNET_BYTES == 64 ? 6 : 3;
// Places whose cotangents and inputs meet in the cache.
constexpr int32_t PLACES = 64;

// sums[m · taps + n] += Σ_p g[m · gStep + at[p]] · x[first[p] + offsets[n]].
template <class T, int M, int N>
void correlateTile(const V<T>* g, int64_t gStep, const int32_t* at, const V<T>* x, const int32_t* first,
                   const int32_t* offsets, int32_t count, V<T>* sums, int64_t taps) {
  V<T> s[M][N];
  TAUTNET_WHOLE
  for (int m = 0; m < M; m++)
    TAUTNET_WHOLE
    for (int n = 0; n < N; n++) s[m][n] = sums[m * taps + n];
  const V<T>* tap[N];
  TAUTNET_WHOLE
  for (int n = 0; n < N; n++) tap[n] = x + offsets[n];
  for (int32_t p = 0; p < count; p++) {
    V<T> v[N];
    TAUTNET_WHOLE
    for (int n = 0; n < N; n++) v[n] = tap[n][first[p]];
    TAUTNET_WHOLE
    for (int m = 0; m < M; m++) {
      const V<T> c = g[m * gStep + at[p]];
      TAUTNET_WHOLE
      for (int n = 0; n < N; n++) s[m][n] += c * v[n];
    }
  }
  TAUTNET_WHOLE
  for (int m = 0; m < M; m++)
    TAUTNET_WHOLE
    for (int n = 0; n < N; n++) sums[m * taps + n] = s[m][n];
}

template <class T, int M>
void correlateOf(int n, const V<T>* g, int64_t gStep, const int32_t* at, const V<T>* x, const int32_t* first,
                 const int32_t* offsets, int32_t count, V<T>* sums, int64_t taps) {
#define TAUTNET_PAIR(N) \
  case N: return correlateTile<T, M, N>(g, gStep, at, x, first, offsets, count, sums, taps)
  switch (n) {
    TAUTNET_PAIR(1);
    TAUTNET_PAIR(2);
    TAUTNET_PAIR(3);
#if TAUTNET_BYTES == 64
    TAUTNET_PAIR(4);
    TAUTNET_PAIR(5);
    TAUTNET_PAIR(6);
#endif
  }
#undef TAUTNET_PAIR
}

// Numbers that each of M × N pairs of rows g and x sum to over vectors of images: row[m · N + n].
template <class T, int M, int N>
void pairTile(const V<T>* const* g, const V<T>* const* x, int64_t vectors, T* row) {
  constexpr int L = Vector<T>::lanes;
  V<T> s[M][N] = {};
  for (int64_t v = 0; v < vectors; v++) {
    V<T> c[N];
    TAUTNET_WHOLE
    for (int n = 0; n < N; n++) c[n] = x[v][n];
    TAUTNET_WHOLE
    for (int m = 0; m < M; m++)
      TAUTNET_WHOLE
      for (int n = 0; n < N; n++) s[m][n] += g[v][m] * c[n];
  }
  V<T> all[M * N];
  TAUTNET_WHOLE
  for (int m = 0; m < M; m++)
    TAUTNET_WHOLE
    for (int n = 0; n < N; n++) all[m * N + n] = s[m][n];
  for (int i = 0; i < M * N; i += L) {
    const int width = std::min(L, M * N - i);
    const V<T> sums = totals<T>(all + i, width);
    for (int l = 0; l < width; l++) row[i + l] = sums[l];
  }
}

// Inputs of one phase of a convolution's adjoint, and the taps that reach them.
template <class T>
struct Phase {
  std::vector<int32_t> offsets;    // of outputs × taps, from a place's first cotangent
  std::vector<int32_t> at;         // of each place: its first cotangent
  std::vector<int32_t> pixels;     // of each place: y · width + x in the input
  Tiles<T> weights, absolute;      // [inputs, outputs · taps]
};

template <class T>
class Reverse : Forward<T> {
  using Base = Forward<T>;
  using Base::activations;
  using Base::arrays;
  using Base::chain;
  using Base::L;
  using Base::places;
  using Base::planes;
  using Base::vectors;
  T* const* gradients;
  // Cotangents of each layer's sums, centre and radius, with zeros around them as the adjoint needs.
  std::vector<Activations<T>> sums;
  std::vector<std::vector<int32_t>> at;  // of each place of a layer: its cotangent within a channel
  std::vector<int64_t> channelStep;      // from one channel's cotangents to the next
  std::vector<std::vector<Phase<T>>> phases;
  std::vector<Array<V<T>>> memory, weightSums, biasSums;

 public:
  Reverse(const Propagation<T>& work)
      : Base(work.chain, work.arrays, work.stored), gradients(work.gradients) {
    for (int k = 0; k < chain.count; k++) {
      layOut(k);
      phases.push_back(phasesOf(k));
      const Layer& l = chain.layers[k];
      const bool ofTaps = !l.isLinear() && gradient(l.weight) != nullptr;
      weightSums.push_back(ofTaps ? allocate<V<T>>(planes * l.outputs * l.taps()) : Array<V<T>>());
      biasSums.push_back(allocate<V<T>>(l.outputs));
    }
  }

  void run() {
    const int last = chain.count - 1;
    for (int64_t v = 0; v < vectors; v++)
      if (chain.layers[last].isLinear()) begin(last, v);
    for (int k = last; k >= 0;) {
      if (chain.layers[k].isLinear()) {
        linear(k--);
        continue;
      }
      int first = k;
      while (first > 0 && !chain.layers[first - 1].isLinear()) first--;
      for (int64_t v = 0; v < vectors; v++) {
        if (k == last) begin(last, v);
        for (int i = k; i >= first; i--) convolve(i, v);
      }
      k = first - 1;
    }
    finish();
  }

 private:
  T* gradient(int32_t position) const { return position < 0 ? nullptr : gradients[position]; }
  bool wantsInput() const { return gradient(chain.input[0]) || gradient(chain.input[1]); }
  static int32_t reach(int32_t kernel, int32_t stride) { return (kernel + stride - 1) / stride - 1; }

  // Cotangents of all images for what a linear layer gives or reads, of one vector elsewhere.
  void layOut(int k) {
    const Layer& l = chain.layers[k];
    const bool ofAll = l.isLinear() || (k + 1 < chain.count && chain.layers[k + 1].isLinear());
    const int32_t top = reach(l.kernelY, l.strideY), left = reach(l.kernelX, l.strideX);
    const int32_t height = top + std::max(l.outputHeight, (l.padY + l.height - 1) / l.strideY + 1);
    const int32_t width = left + std::max(l.outputWidth, (l.padX + l.width - 1) / l.strideX + 1);
    const int64_t size = int64_t(l.outputs) * height * width;
    memory.push_back(allocate<V<T>>(planes * size * (ofAll ? vectors : 1)));
    sums.push_back({memory.back().get(), size, ofAll ? planes * size : 0});
    channelStep.push_back(int64_t(height) * width);
    at.emplace_back();
    for (int32_t y = 0; y < l.outputHeight; y++)
      for (int32_t x = 0; x < l.outputWidth; x++) at.back().push_back((y + top) * width + x + left);
  }

  std::vector<Phase<T>> phasesOf(int k) const {
    const Layer& l = chain.layers[k];
    std::vector<Phase<T>> all;
    if (l.isLinear() || (k == 0 && !wantsInput())) return all;
    for (int32_t y = 0; y < l.strideY; y++)
      for (int32_t x = 0; x < l.strideX; x++) all.push_back(phaseOf(k, y, x));
    return all;
  }

  // Inputs whose place in the padded input is (phaseY, phaseX) modulo the stride.
  Phase<T> phaseOf(int k, int32_t phaseY, int32_t phaseX) const {
    const Layer& l = chain.layers[k];
    const int32_t top = reach(l.kernelY, l.strideY), left = reach(l.kernelX, l.strideX);
    const int32_t width = left + std::max(l.outputWidth, (l.padX + l.width - 1) / l.strideX + 1);
    Phase<T> p;
    std::vector<int32_t> taps;
    for (int32_t o = 0; o < l.outputs; o++)
      for (int32_t y = phaseY; y < l.kernelY; y += l.strideY)
        for (int32_t x = phaseX; x < l.kernelX; x += l.strideX) {
          const int32_t back = y / l.strideY * width + x / l.strideX;
          p.offsets.push_back(int32_t(o * channelStep[k]) - back);
          taps.push_back(int32_t(o * l.taps()) + y * l.kernelX + x);
        }
    for (int32_t y = 0; y < l.height; y++)
      for (int32_t x = 0; x < l.width; x++) {
        const int32_t py = y + l.padY, px = x + l.padX;
        if (py % l.strideY != phaseY || px % l.strideX != phaseX) continue;
        p.at.push_back((py / l.strideY + top) * width + px / l.strideX + left);
        p.pixels.push_back(y * l.width + x);
      }
    const T* w = arrays[l.weight];
    const int64_t window = int64_t(l.kernelY) * l.kernelX, count = int64_t(taps.size());
    const auto entry = [&](int64_t c, int64_t t) { return w[taps[t] + c * window]; };
    p.weights.fill(l.inputs, count, entry);
    if (planes == 2)
      p.absolute.fill(l.inputs, count, [&](int64_t c, int64_t t) { return std::abs(entry(c, t)); });
    return p;
  }

  // What the chain leaves has the cotangents of the caller alone.
  void begin(int k, int64_t v) {
    for (int64_t feature = 0; feature < chain.layers[k].features(); feature++)
      receive(k, feature, v, V<T>{}, V<T>{});
  }

  V<T> seen(int32_t position, int64_t feature, int64_t v) const {
    const T* from = gradient(position);
    return from == nullptr ? V<T>{} : lanesOf<T>(from, feature, chain.batch, v);
  }

  // Cotangents of a layer's sums from those of what the next one reads, centre (or value) and radius.
  void receive(int k, int64_t feature, int64_t v, V<T> first, V<T> second) {
    const Layer& l = chain.layers[k];
    const int64_t channel = feature / l.area(), place = feature % l.area();
    V<T>* to = sums[k].of(v) + channel * channelStep[k] + at[k][size_t(place)];
    const V<T>* passed = activations[k + 1].of(v) + storedAt(k, channel, place);
    const V<T> zero = {};
    if (planes == 1) {
      V<T> d = first + seen(l.passed[0], feature, v);
      if (l.relu) d = passed[0] > T(0) ? d : zero;
      *to = d + seen(l.sums[0], feature, v);
      return;
    }
    V<T> up = (first + second) * T(0.5) + seen(l.passed[1], feature, v);
    V<T> low = (first - second) * T(0.5) + seen(l.passed[0], feature, v);
    if (l.relu) {
      // c > 0 where the upper end passes; c > r where the lower one does, too.
      const V<T> radius = passed[activations[k + 1].plane];
      up = passed[0] > T(0) ? up : zero;
      low = passed[0] > radius ? low : zero;
    }
    up += seen(l.sums[1], feature, v);
    low += seen(l.sums[0], feature, v);
    to[0] = low + up;
    to[sums[k].plane] = up - low;
  }
  int64_t storedAt(int k, int64_t channel, int64_t place) const {
    return channel * places[k].outputStep + places[k].last[size_t(place)];
  }

  void convolve(int k, int64_t v) {
    const Layer& l = chain.layers[k];
    addBias(k, v);
    if (weightSums[k])
      for (int plane = 0; plane < planes; plane++)
        correlate(k, sums[k].of(v) + plane * sums[k].plane, activations[k].of(v) + plane * activations[k].plane,
                  weightSums[k].get() + plane * l.outputs * l.taps());
    for (const Phase<T>& phase : phases[k]) adjoint(k, v, phase);
  }

  void addBias(int k, int64_t v) {
    const Layer& l = chain.layers[k];
    if (gradient(l.bias) == nullptr) return;
    for (int32_t o = 0; o < l.outputs; o++) {
      const V<T>* from = sums[k].of(v) + o * channelStep[k];
      V<T> sum = biasSums[k][o];
      for (int32_t e : at[k]) sum += from[e];
      biasSums[k][o] = sum;
    }
  }

  // One plane's share of the weights' gradients, from one vector of images.
  void correlate(int k, const V<T>* g, const V<T>* x, V<T>* into) {
    const Layer& l = chain.layers[k];
    const Places& p = places[k];
    const int64_t taps = l.taps(), pieces = (taps + PAIR_TAPS - 1) / PAIR_TAPS;
    const int piece = int((taps + pieces - 1) / pieces);
    for (int32_t place = 0; place < l.area(); place += PLACES) {
      const int32_t count = std::min(PLACES, l.area() - place);
      for (int32_t o = 0; o < l.outputs;) {
        const int width = o + PAIR_OUTPUTS <= l.outputs ? PAIR_OUTPUTS : 1;
        const V<T>* from = g + o * channelStep[k];
        for (int64_t t = 0; t < taps; t += piece) {
          const int n = int(std::min<int64_t>(piece, taps - t));
          V<T>* sum = into + o * taps + t;
          const auto tile = width == 1 ? correlateOf<T, 1> : correlateOf<T, PAIR_OUTPUTS>;
          tile(n, from, channelStep[k], at[k].data() + place, x, p.first.data() + place, p.offsets.data() + t,
               count, sum, taps);
        }
        o += width;
      }
    }
  }

  // Cotangents of what a convolution reads, of the inputs of one phase.
  void adjoint(int k, int64_t v, const Phase<T>& phase) {
    const Layer& l = chain.layers[k];
    const int32_t area = l.height * l.width, total = int32_t(phase.at.size());
    const V<T>* from = sums[k].of(v);
    V<T> first[TILE_OUTPUTS * TILE_PLACES], second[TILE_OUTPUTS * TILE_PLACES];
    for (int32_t place = 0; place < total; place += TILE_PLACES) {
      const int count = std::min(TILE_PLACES, total - place);
      const V<T>*x[TILE_PLACES], *radii[TILE_PLACES];
      for (int i = 0; i < count; i++) {
        x[i] = from + phase.at[place + i];
        radii[i] = x[i] + sums[k].plane;
      }
      for (int64_t c = 0; c < l.inputs;) {
        const int width = Tiles<T>::widthAt(l.inputs, c);
        tileAt(phase.weights, c, phase.offsets.data(), x, count, first);
        if (planes == 2) tileAt(phase.absolute, c, phase.offsets.data(), radii, count, second);
        for (int m = 0; m < width; m++)
          for (int i = 0; i < count; i++)
            giveBack(k, (c + m) * area + phase.pixels[place + i], v, first[m * count + i],
                     planes == 2 ? second[m * count + i] : V<T>{});
        c += width;
      }
    }
  }

  // To the layer before, or to the caller's input.
  void giveBack(int k, int64_t feature, int64_t v, V<T> first, V<T> second) {
    if (k > 0) return receive(k - 1, feature, v, first, second);
    T *low = gradient(chain.input[0]), *up = gradient(chain.input[1]);
    if (planes == 1) return addLanes(low, feature, v, first);
    if (low != nullptr) addLanes(low, feature, v, (first - second) * T(0.5));
    if (up != nullptr) addLanes(up, feature, v, (first + second) * T(0.5));
  }
  void addLanes(T* array, int64_t feature, int64_t v, V<T> d) {
    setLanes<T>(array, feature, chain.batch, v, lanesOf<T>(array, feature, chain.batch, v) + d);
  }

  void linear(int k) {
    const Layer& l = chain.layers[k];
    for (int64_t v = 0; v < vectors; v++) addBias(k, v);
    if (T* into = gradient(l.weight))
      for (int32_t o = 0; o < l.outputs;) {
        const int width = o + 4 <= l.outputs ? 4 : 1;
        for (int32_t i = 0; i < l.inputs;) {
          const int wide = i + 4 <= l.inputs ? 4 : 1;
          if (width == 4 && wide == 4) addPairs<4, 4>(k, o, i, into);
          else if (width == 4) addPairs<4, 1>(k, o, i, into);
          else if (wide == 4) addPairs<1, 4>(k, o, i, into);
          else addPairs<1, 1>(k, o, i, into);
          i += wide;
        }
        o += width;
      }
    if (k == 0 && !wantsInput()) return;
    this->matrixProduct(arrays[l.weight], l.inputs, l.outputs, 1, l.inputs, sums[k],
                        [&](int64_t i, int64_t v, V<T> first, V<T> second) { giveBack(k, i, v, first, second); });
  }

  // Gradients of M × N weights of a linear layer.
  template <int M, int N>
  void addPairs(int k, int64_t o, int64_t i, T* into) {
    const int64_t inputs = chain.layers[k].inputs;
    const T* w = arrays[chain.layers[k].weight];
    std::vector<const V<T>*>&g = rows[0], &x = rows[1];
    T found[2][M * N];
    for (int plane = 0; plane < planes; plane++) {
      g.resize(size_t(vectors));
      x.resize(size_t(vectors));
      for (int64_t v = 0; v < vectors; v++) {
        g[v] = sums[k].of(v) + plane * sums[k].plane + o;
        x[v] = activations[k].of(v) + plane * activations[k].plane + i;
      }
      pairTile<T, M, N>(g.data(), x.data(), vectors, found[plane]);
    }
    for (int m = 0; m < M; m++)
      for (int n = 0; n < N; n++) {
        const int64_t e = (o + m) * inputs + i + n;
        into[e] += found[0][m * N + n];
        if (planes == 2) into[e] += signOf(w[e]) * found[1][m * N + n];
      }
  }
  static T signOf(T w) { return w > T(0) ? T(1) : w < T(0) ? T(-1) : T(0); }
  std::vector<const V<T>*> rows[2];

  // Sums in lanes go to the arrays' own layout.
  void finish() {
    for (int k = 0; k < chain.count; k++) {
      const Layer& l = chain.layers[k];
      if (T* into = gradient(l.bias)) add(into, biasSums[k].get(), l.outputs, nullptr);
      if (!weightSums[k]) continue;
      const int64_t size = l.outputs * l.taps();
      add(gradients[l.weight], weightSums[k].get(), size, nullptr);
      if (planes == 2) add(gradients[l.weight], weightSums[k].get() + size, size, arrays[l.weight]);
    }
  }
  // With `signs`, each times the sign of its weight.
  static void add(T* into, const V<T>* from, int64_t count, const T* signs) {
    for (int64_t i = 0; i < count; i += L) {
      const int width = int(std::min<int64_t>(L, count - i));
      const V<T> values = totals<T>(from + i, width);
      for (int l = 0; l < width; l++) into[i + l] += signs ? signOf(signs[i + l]) * values[l] : values[l];
    }
  }
};

}  // namespace
}  // namespace TAUTNET_SET
}  // namespace tautnet
