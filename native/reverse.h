// The derivative of `Forward`: from cotangents of what was seen to those of weights, biases and the input,
// with the activations that the forward pass stored.
//
//   ȳ: c̄' = l̄ + ū, r̄' = ū − l̄ where the ReLU passes an end;  W̄ = Σ c̄' cᵀ + sign(W) ∘ Σ r̄' rᵀ,
//   b̄ = Σ c̄';  c̄ = Wᵀ c̄', r̄ = |W|ᵀ r̄';  ū = (c̄ + r̄)/2, l̄ = (c̄ − r̄)/2
//
// The adjoint of a convolution of stride s is one of stride 1 for each of the s² phases of its input, with
// every s-th tap.
#pragma once
#include <cmath>

#include "forward.h"
#include "pairs.h"

namespace tautnet {
namespace TAUTNET_SET {
namespace {

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
  std::vector<char> isSeen;              // whether there are cotangents of what was seen of a layer
  std::vector<int64_t> channelStep;      // from one channel's cotangents to the next
  std::vector<std::vector<Phase<T>>> phases;
  std::vector<Array<V<T>>> memory, biasSums;
  std::vector<Array<T>> weightSums;
  std::vector<MomentSlopes<T>> slopes;

 public:
  Reverse(const Propagation<T>& work)
      : Base(work.chain, work.arrays, work.stored), gradients(work.gradients) {
    for (int k = 0; k < chain.count; k++) {
      layOut(k);
      phases.push_back(phasesOf(k));
      const Layer& l = chain.layers[k];
      isSeen.push_back(gradient(l.sums[0]) || gradient(l.sums[1]) || gradient(l.passed[0]) ||
                       gradient(l.passed[1]));
      const bool ofTaps = !l.isLinear() && gradient(l.weight) != nullptr;
      weightSums.push_back(ofTaps ? allocate<T>(planes * l.outputs * l.taps()) : Array<T>());
      biasSums.push_back(allocate<V<T>>(l.outputs));
      slopes.push_back(slopesOf(k));
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
  MomentSlopes<T> slopesOf(int k) const {
    const T* cotangents = gradient(chain.layers[k].moments);
    if (cotangents == nullptr) return {};
    const T count = T(chain.layers[k].features()) * std::max(this->imagesPresent(), T(1));
    return {cotangents, this->totals + k * MOMENT_TOTALS, count};
  }
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
    const V<T> zero = {};
    for (int32_t channel = 0; channel < chain.layers[k].outputs; channel++)
      for (int32_t place = 0; place < chain.layers[k].area(); place++)
        receiveOf(k, channel, &place, 1, v, &zero, &zero);
  }
  void receiveOf(int k, int64_t channel, const int32_t* place, int count, int64_t v, const V<T>* first,
                 const V<T>* second) {
    if (planes == 1) receive<1>(k, channel, place, count, v, first, second);
    else receive<2>(k, channel, place, count, v, first, second);
  }

  V<T> seen(int32_t position, int64_t feature, int64_t v) const {
    const T* from = gradient(position);
    return from == nullptr ? V<T>{} : lanesOf<T>(from, feature, chain.batch, v);
  }

  // Cotangents of a layer's sums from those of what the next one reads, centre (or value) and radius, at some
  // places of an output channel.
  template <int PLANES>
  void receive(int k, int64_t channel, const int32_t* place, int count, int64_t v, const V<T>* first,
               const V<T>* second) {
    const Layer& l = chain.layers[k];
    V<T>* to = sums[k].of(v) + channel * channelStep[k];
    const V<T>* passed = activations[k + 1].of(v) + channel * places[k].outputStep;
    const int32_t *into = at[k].data(), *from = places[k].last.data();
    const int64_t plane = activations[k + 1].plane, sumsPlane = sums[k].plane;
    const bool sees = isSeen[k];
    const MomentSlopes<T>& slope = slopes[k];
    const V<T> zero = {}, there = slope.any ? this->presentOf(v) : zero;
    for (int i = 0; i < count; i++) {
      const int32_t p = place[i];
      const int64_t feature = channel * l.area() + p;
      if (PLANES == 1) {
        V<T> d = first[i];
        if (sees) d += seen(l.passed[0], feature, v);
        if (l.relu) d = passed[from[p]] > T(0) ? d : zero;
        if (sees) d += seen(l.sums[0], feature, v);
        to[into[p]] = d;
        continue;
      }
      V<T> up = (first[i] + second[i]) * T(0.5), low = (first[i] - second[i]) * T(0.5);
      if (sees) {
        up += seen(l.passed[1], feature, v);
        low += seen(l.passed[0], feature, v);
      }
      if (l.relu) {
        // c > 0 where the upper end passes; c > r where the lower one does, too.
        const V<T> centre = passed[from[p]], radius = passed[plane + from[p]];
        up = centre > T(0) ? up : zero;
        low = centre > radius ? low : zero;
      }
      if (sees) {
        up += seen(l.sums[1], feature, v);
        low += seen(l.sums[0], feature, v);
      }
      if (slope.any) {
        const V<T> centre = passed[from[p]], below = this->inactive[k].of(v)[feature];
        const V<T> both = slope.ofCentre(centre, centre > passed[plane + from[p]], below) * there;
        const V<T> width = there * slope.width;
        up += both + width;
        low += both - width;
      }
      to[into[p]] = low + up;
      to[sumsPlane + into[p]] = up - low;
    }
  }
  void convolve(int k, int64_t v) {
    const Layer& l = chain.layers[k];
    addBias(k, v);
    if (weightSums[k])
      for (int plane = 0; plane < planes; plane++)
        correlate(k, sums[k].of(v) + plane * sums[k].plane,
                  activations[k].of(v) + plane * activations[k].plane,
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
  void correlate(int k, const V<T>* g, const V<T>* x, T* into) {
    const Layer& l = chain.layers[k];
    const Places& p = places[k];
    const int64_t taps = l.taps(), pieces = (taps + PAIR_TAPS - 1) / PAIR_TAPS;
    const int piece = int((taps + pieces - 1) / pieces);
    const int32_t blocks = (l.area() + PLACES - 1) / PLACES, block = (l.area() + blocks - 1) / blocks;
    for (int32_t place = 0; place < l.area(); place += block) {
      const int32_t count = std::min(block, l.area() - place);
      // What a few taps read stays in the innermost cache while all outputs pass.
      for (int64_t t = 0; t < taps; t += piece) {
        const int n = int(std::min<int64_t>(piece, taps - t));
        for (int32_t o = 0; o < l.outputs;) {
          const int width = o + PAIR_OUTPUTS <= l.outputs ? PAIR_OUTPUTS : 1;
          const auto tile = width == 1 ? correlateOf<T, 1> : correlateOf<T, PAIR_OUTPUTS>;
          tile(n, g + o * channelStep[k], channelStep[k], at[k].data() + place, x, p.first.data() + place,
               p.offsets.data() + t, count, into + o * taps + t, taps);
          o += width;
        }
      }
    }
  }

  // Cotangents of what a convolution reads, of the inputs of one phase.
  void adjoint(int k, int64_t v, const Phase<T>& phase) {
    const Layer& l = chain.layers[k];
    const int32_t total = int32_t(phase.at.size());
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
          giveBack(k, c + m, phase.pixels.data() + place, count, v, first + m * count, second + m * count);
        c += width;
      }
    }
  }

  // To the layer before, or to the caller's input.
  void giveBack(int k, int64_t channel, const int32_t* place, int count, int64_t v, const V<T>* first,
                const V<T>* second) {
    if (k > 0) return receiveOf(k - 1, channel, place, count, v, first, second);
    const Layer& l = chain.layers[0];
    T *low = gradient(chain.input[0]), *up = gradient(chain.input[1]);
    for (int i = 0; i < count; i++) {
      const int64_t feature = channel * l.height * l.width + place[i];
      if (planes == 1) {
        addLanes(low, feature, v, first[i]);
        continue;
      }
      if (low != nullptr) addLanes(low, feature, v, (first[i] - second[i]) * T(0.5));
      if (up != nullptr) addLanes(up, feature, v, (first[i] + second[i]) * T(0.5));
    }
  }
  void addLanes(T* array, int64_t feature, int64_t v, V<T> d) {
    setLanes<T>(array, feature, chain.batch, v, lanesOf<T>(array, feature, chain.batch, v) + d);
  }

  void linear(int k) {
    const Layer& l = chain.layers[k];
    for (int64_t v = 0; v < vectors; v++) addBias(k, v);
    if (T* into = gradient(l.weight)) {
      // Inputs of one vector stay in the cache while all outputs pass.
      int64_t i = 0;
      for (; i + L <= l.inputs; i += L)
        for (int64_t o = 0; o < l.outputs; o++) addPairs<L>(k, o, i, into);
      for (; i < l.inputs; i++)
        for (int64_t o = 0; o < l.outputs; o++) addPairs<1>(k, o, i, into);
    }
    if (k == 0 && !wantsInput()) return;
    // What a convolution before gave, channel by channel.
    const int64_t area = k > 0 ? chain.layers[k - 1].area() : 1;
    this->matrixProduct(arrays[l.weight], l.inputs, l.outputs, 1, l.inputs, sums[k],
                        [&](int64_t i, int64_t v, V<T> first, V<T> second) {
                          const int32_t place = int32_t(i % area);
                          giveBack(k, i / area, &place, 1, v, &first, &second);
                        });
  }

  // Gradients of N weights of an output of a linear layer.
  template <int N>
  void addPairs(int k, int64_t o, int64_t i, T* into) {
    const Activations<T>&g = sums[k], &x = activations[k];
    const int64_t e = o * chain.layers[k].inputs + i;
    const T* w = arrays[chain.layers[k].weight] + e;
    // The next rows are far away; beyond the last one nothing is read.
    const int64_t ahead = AHEAD * chain.layers[k].inputs;
    __builtin_prefetch(into + e + ahead, 1);
    if (planes == 2) __builtin_prefetch(w + ahead);
    const V<T> first = pairTile<T, N>(g.at + o, g.step, x.at + i, x.step, vectors);
    const V<T> second =
        planes == 1 ? V<T>{}
                    : pairTile<T, N>(g.at + g.plane + o, g.step, x.at + x.plane + i, x.step, vectors);
    if (N == L) return store<T>(into + e, load<T>(into + e) + first + sign<T>(load<T>(w)) * second);
    for (int n = 0; n < N; n++) into[e + n] += first[n] + signOf(w[n]) * second[n];
  }
  static T signOf(T w) { return w > T(0) ? T(1) : w < T(0) ? T(-1) : T(0); }

  // Sums go to the arrays of the caller.
  void finish() {
    for (int k = 0; k < chain.count; k++) {
      const Layer& l = chain.layers[k];
      if (T* into = gradient(l.bias))
        for (int64_t i = 0; i < l.outputs; i++) into[i] += total<T>(biasSums[k][i]);
      if (!weightSums[k]) continue;
      T* into = gradients[l.weight];
      const T *w = arrays[l.weight], *first = weightSums[k].get();
      const int64_t size = l.outputs * l.taps();
      for (int64_t i = 0; i < size; i++) into[i] += first[i];
      if (planes == 2)
        for (int64_t i = 0; i < size; i++) into[i] += signOf(w[i]) * first[size + i];
    }
  }
};

}  // namespace
}  // namespace TAUTNET_SET
}  // namespace tautnet
