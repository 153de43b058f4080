// The derivative of `Forward`: from cotangents of what was seen to those of weights, biases and the input,
// with the activations that the forward pass stored.
//
//   ȳ: c̄' = l̄ + ū, r̄' = ū − l̄ where the ReLU passes an end;  W̄ = Σ c̄' cᵀ + sign(W) ∘ Σ r̄' rᵀ,
//   b̄ = Σ c̄';  c̄ = Wᵀ c̄', r̄ = |W|ᵀ r̄';  ū = (c̄ + r̄)/2, l̄ = (c̄ − r̄)/2
//
// The adjoint of a convolution of stride s is one of stride 1 for each of the s² phases of its input, with
// every s-th tap.
#pragma once
#include "correlation.h"
#include "forward.h"
#include "outer.h"
#include "phases.h"
#include "staged.h"

namespace tautnet {
namespace TAUTNET_SET {
namespace {

template <class T>
class Reverse : Forward<T> {
  using Base = Forward<T>;
  using Base::activations;
  using Base::arrays;
  using Base::chain;
  using Base::head;
  using Base::L;
  using Base::places;
  using Base::planes;
  using Base::vectors;
  Arena& arena;
  T* const* gradients;
  // Cotangents of each layer's sums, centre and radius, with zeros around them as the adjoint needs.
  std::vector<Activations<T>> sums;
  std::vector<std::vector<int32_t>> at;  // of each place of a layer: its cotangent within a channel
  std::vector<char> isSeen;              // whether there are cotangents of what was seen of a layer
  std::vector<int64_t> channelStep;      // from one channel's cotangents to the next
  std::vector<std::vector<Phase<T>>> phases;
  std::vector<V<T>*> biasSums;
  std::vector<std::vector<Correlation<T>>> weightSums;  // of convolutions, of each plane
  std::vector<MomentSlopes<T>> slopes;
  // Of the tile of the head at hand: from a place among all of the first layer's to its cotangents in memory.
  int64_t sumsShift = 0;
  Staged<T> staged;  // cotangents of what was seen of a convolution's sums

 public:
  Reverse(const Propagation<T>& work, Arena& memory)
      : Base(work.chain, work.arrays, work.stored, memory), arena(memory), gradients(work.gradients) {
    if (head.isAny()) this->pack(1);
    for (int k = 0; k < chain.count; k++) {
      layOut(k);
      phases.push_back(phasesOf(k));
      const Layer& l = chain.layers[k];
      isSeen.push_back(gradient(l.sums[0]) || gradient(l.sums[1]) || gradient(l.passed[0]) ||
                       gradient(l.passed[1]));
      weightSums.emplace_back();
      if (!l.isLinear() && gradient(l.weight) != nullptr) {
        weightSums[k].resize(planes);
        for (Correlation<T>& c : weightSums[k]) c.reserve(l, arena);
      }
      biasSums.push_back(arena.zeros<V<T>>(l.outputs));
      slopes.push_back(slopesOf(k));
    }
    phases.emplace_back();  // none behind the last layer
    int64_t most = 0;
    for (int k = 0; k < chain.count; k++) {
      const Layer& l = chain.layers[k];
      if (isStaged(k)) most = std::max<int64_t>(most, int64_t(l.outputs) * l.outputWidth * stagedRows<T>(l, planes));
    }
    staged.reserve(planes * most, arena);
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
        const int low = first == 0 && head.isAny() ? 2 : first;
        for (int i = k; i >= low; i--) convolve(i, v);
        if (low > first) passHead(v);
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
  // Whether an adjoint reads cotangents of a convolution's sums, and the zeros around them.
  bool readsSums(int k) const { return !chain.layers[k].isLinear() && (k > 0 || wantsInput()); }

  // Cotangents of all images for what a linear layer gives or reads, of one vector elsewhere.
  void layOut(int k) {
    const Layer& l = chain.layers[k];
    const bool ofAll = l.isLinear() || (k + 1 < chain.count && chain.layers[k + 1].isLinear());
    const bool isPart = k == 0 && head.isAny() && !readsSums(0);
    const SumsGrid grid = isPart ? SumsGrid{0, 0, head.mostCompleted(), l.outputWidth} : sumsGrid(l);
    const int64_t size = int64_t(l.outputs) * grid.height * grid.width;
    const int64_t all = planes * size * (ofAll ? vectors : 1);
    V<T>* numbers = readsSums(k) ? arena.zeros<V<T>>(all) : arena.take<V<T>>(all);
    sums.push_back({numbers, size, ofAll ? planes * size : 0});
    channelStep.push_back(int64_t(grid.height) * grid.width);
    at.emplace_back();
    for (int32_t y = 0; y < l.outputHeight; y++)
      for (int32_t x = 0; x < l.outputWidth; x++) at.back().push_back((y + grid.top) * grid.width + x + grid.left);
  }

  std::vector<Phase<T>> phasesOf(int k) const {
    const Layer& l = chain.layers[k];
    return readsSums(k) ? tautnet::TAUTNET_SET::phasesOf<T>(l, arrays[l.weight], channelStep[k], planes)
                        : std::vector<Phase<T>>();
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

  V<T> seenSum(int k, int end, int64_t channel, int32_t place, int64_t v) const {
    const Layer& l = chain.layers[k];
    if (gradient(l.sums[end]) == nullptr) return V<T>{};
    return isStaged(k) ? *staged.at(end, channel, place) : seen(l.sums[end], channel * l.area() + place, v);
  }
  // Whether a convolution's adjoint gives the cotangents of a layer's sums, and some of those were seen.
  bool isStaged(int k) const {
    const Layer& l = chain.layers[k];
    return !l.isLinear() && !phases[k + 1].empty() && (gradient(l.sums[0]) || gradient(l.sums[1]));
  }

  // Cotangents of a layer's sums from those of what the next one reads, centre (or value) and radius, at some
  // places of an output channel.
  template <int PLANES>
  void receive(int k, int64_t channel, const int32_t* place, int count, int64_t v, const V<T>* first,
               const V<T>* second) {
    const Layer& l = chain.layers[k];
    V<T>* to = sums[k].of(v) + channel * channelStep[k] - (k == 0 ? sumsShift : 0);
    const V<T>* passed = this->readAt(k + 1, v) + channel * places[k].outputStep;
    const int32_t *into = at[k].data(), *from = places[k].last.data();
    const int64_t plane = activations[k + 1].plane, sumsPlane = sums[k].plane;
    const bool sees = isSeen[k];
    const MomentSlopes<T>& slope = slopes[k];
    const V<T> zero = {}, there = slope.any ? this->presentOf(v) : zero;
    V<T> bias = biasSums[k][channel];
    for (int i = 0; i < count; i++) {
      const int32_t p = place[i];
      const int64_t feature = channel * l.area() + p;
      if (PLANES == 1) {
        V<T> d = first[i];
        if (sees) d += seen(l.passed[0], feature, v);
        if (l.relu) d = passed[from[p]] > T(0) ? d : zero;
        if (sees) d += seenSum(k, 0, channel, p, v);
        to[into[p]] = d;
        bias += d;
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
        up += seenSum(k, 1, channel, p, v);
        low += seenSum(k, 0, channel, p, v);
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
      bias += low + up;
    }
    biasSums[k][channel] = bias;
  }


  void convolve(int k, int64_t v) {
    correlate(k, v, {0, chain.layers[k].outputHeight});
    adjoint(k, v, {0, chain.layers[k].height});
  }
  // The head, tile by tile: activations between its layers are computed anew.
  void passHead(int64_t v) {
    for (int32_t tile = 0; tile < head.tiles(); tile++) {
      const Rows rows = head.completed(tile);
      this->fillWindow(tile, v, chain.layers[0].outputHeight);
      if (!readsSums(0)) sumsShift = int64_t(rows.from) * chain.layers[0].outputWidth;
      correlate(1, v, head.outputs(tile));
      adjoint(1, v, rows);
      correlate(0, v, rows);
    }
    adjoint(0, v, {0, chain.layers[0].height});
  }

  // Gradients of weights from some rows of a layer.
  void correlate(int k, int64_t v, Rows rows) {
    const int32_t width = chain.layers[k].outputWidth;
    const V<T> *g = sums[k].of(v) - (k == 0 ? sumsShift : 0), *x = this->readAt(k, v);
    for (size_t plane = 0; plane < weightSums[k].size(); plane++)
      weightSums[k][plane].add(g + plane * sums[k].plane, channelStep[k], at[k],
                               x + plane * activations[k].plane, places[k], rows.from * width, rows.to * width);
  }

  // Cotangents of what a convolution reads, of some rows.
  void adjoint(int k, int64_t v, Rows rows) {
    if (k == 0 || !isStaged(k - 1)) return adjointRows(k, v, rows);
    const Layer& l = chain.layers[k - 1];
    for (Rows part = {rows.from, rows.from}; part.to < rows.to; part.from = part.to) {
      part.to = std::min(rows.to, part.from + stagedRows<T>(l, planes));
      staged.begin(l, part);
      for (int end = 0; end < planes; end++)
        if (const T* seen = gradient(l.sums[end])) staged.read(end, seen, chain.batch, v);
      adjointRows(k, v, part);
    }
  }
  void adjointRows(int k, int64_t v, Rows rows) {
    const int32_t width = chain.layers[k].width;
    for (const Phase<T>& phase : phases[k]) {
      const auto placeOf = [&](int32_t row) {
        return int32_t(std::lower_bound(phase.pixels.begin(), phase.pixels.end(), row * width) -
                       phase.pixels.begin());
      };
      adjointOf(k, v, phase, placeOf(rows.from), placeOf(rows.to));
    }
  }
  void adjointOf(int k, int64_t v, const Phase<T>& phase, int32_t begin, int32_t end) {
    const Layer& l = chain.layers[k];
    const V<T>* from = sums[k].of(v);
    V<T> first[TILE_OUTPUTS * TILE_PLACES], second[TILE_OUTPUTS * TILE_PLACES];
    for (int32_t place = begin, count = 0; place < end; place += count) {
      count = placesOfTile(end - place);
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
    const T* weight = arrays[l.weight];
    if (T* into = gradient(l.weight)) {
      V<T>* packed = arena.take<V<T>>(outerSize<T>(planes));
      const Matrix<T> w{weight, l.outputs, l.inputs, l.inputs, 1};
      outerProduct(w, sums[k], activations[k], chain.batch, planes, packed, into);
    }
    if (k == 0 && !wantsInput()) return;
    // What a convolution before gave, channel by channel.
    const int64_t area = k > 0 ? chain.layers[k - 1].area() : 1;
    const Matrix<T> w{weight, l.inputs, l.outputs, 1, l.inputs};
    V<T>* products = arena.take<V<T>>(matrixSums(l.inputs, planes));
    matrixProduct(w, sums[k], vectors, planes, products, [&](int64_t i, int64_t v, V<T> c, V<T> r) {
      const int32_t place = int32_t(i % area);
      giveBack(k, i / area, &place, 1, v, &c, &r);
    });
  }
  static T signOf(T w) { return w > T(0) ? T(1) : w < T(0) ? T(-1) : T(0); }

  // Sums go to the arrays of the caller.
  void finish() {
    for (int k = 0; k < chain.count; k++) {
      const Layer& l = chain.layers[k];
      if (T* into = gradient(l.bias))
        for (int64_t i = 0; i < l.outputs; i++) into[i] += total<T>(biasSums[k][i]);
      T* into = gradient(l.weight);
      const T* w = arrays[l.weight];
      for (size_t plane = 0; plane < weightSums[k].size(); plane++)
        weightSums[k][plane].each([=](int64_t i, T sum) {
          into[i] += plane == 0 ? sum : signOf(w[i]) * sum;
        });
    }
  }
};

}  // namespace
}  // namespace TAUTNET_SET
}  // namespace tautnet
