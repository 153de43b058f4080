// The derivative of `Forward`: from cotangents of what was seen to those of weights, biases and the input,
// with the activations that the forward pass stored.
//
//   W̄ = Σ c̄' cᵀ + sign(W) ∘ Σ r̄' rᵀ,  b̄ = Σ c̄';  c̄ = Wᵀ c̄', r̄ = |W|ᵀ r̄'
//
// The adjoint of a convolution of stride s is one of stride 1 for each of the s² phases of its input, with
// every s-th tap.
#pragma once
#include "correlation.h"
#include "cotangents.h"
#include "outer.h"

namespace tautnet {
namespace TAUTNET_SET {
namespace {

template <class T>
class Reverse : Cotangents<T> {
  using Base = Cotangents<T>;
  using Base::activations;
  using Base::arena;
  using Base::arrays;
  using Base::at;
  using Base::biasSums;
  using Base::chain;
  using Base::channelStep;
  using Base::gradient;
  using Base::head;
  using Base::L;
  using Base::places;
  using Base::planes;
  using Base::staged;
  using Base::sums;
  using Base::sumsShift;
  using Base::vectors;
  std::vector<std::vector<Phase<T>>> phases;
  std::vector<std::vector<Correlation<T>>> weightSums;  // of convolutions, of each plane

 public:
  Reverse(const Propagation<T>& work, Arena& memory) : Base(work, memory) {
    if (head.isAny()) this->pack(1);
    for (int k = 0; k < chain.count; k++) {
      const Layer& l = chain.layers[k];
      phases.push_back(this->readsSums(k) ? phasesOf<T>(l, arrays[l.weight], channelStep[k], planes)
                                          : std::vector<Phase<T>>());
      weightSums.emplace_back();
      if (l.isLinear() || gradient(l.weight) == nullptr) continue;
      weightSums[k].resize(planes);
      for (Correlation<T>& c : weightSums[k]) c.reserve(l, memory);
    }
  }

  void run() {
    const int last = chain.count - 1;
    for (int64_t v = 0; v < vectors; v++)
      if (chain.layers[last].isLinear()) this->begin(last, v);
    for (int k = last; k >= 0;) {
      if (chain.layers[k].isLinear()) {
        linear(k--);
        continue;
      }
      int first = k;
      while (first > 0 && !chain.layers[first - 1].isLinear()) first--;
      for (int64_t v = 0; v < vectors; v++) {
        if (k == last) this->begin(last, v);
        const int low = first == 0 && head.isAny() ? 2 : first;
        for (int i = k; i >= low; i--) convolve(i, v);
        if (low > first) passHead(v);
      }
      k = first - 1;
    }
    finish();
  }

 private:
  void convolve(int k, int64_t v) {
    correlate(k, v, {0, chain.layers[k].outputHeight});
    adjoint(k, v, {0, chain.layers[k].height});
  }
  // The head, tile by tile: activations between its layers are computed anew.
  void passHead(int64_t v) {
    for (int32_t tile = 0; tile < head.tiles(); tile++) {
      const Rows rows = head.completed(tile);
      this->fillWindow(tile, v, chain.layers[0].outputHeight);
      if (!this->readsSums(0)) sumsShift = int64_t(rows.from) * chain.layers[0].outputWidth;
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
                               x + plane * activations[k].plane, places[k], rows.from * width,
                               rows.to * width);
  }

  // Cotangents of what a convolution reads, of some rows.
  void adjoint(int k, int64_t v, Rows rows) {
    if (k == 0 || !this->isStaged(k - 1)) return adjointRows(k, v, rows);
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
          this->giveBack(k, c + m, phase.pixels.data() + place, count, v, first + m * count,
                         second + m * count);
        c += width;
      }
    }
  }

  void linear(int k) {
    const Layer& l = chain.layers[k];
    const T* weight = arrays[l.weight];
    if (T* into = gradient(l.weight)) {
      V<T>* packed = arena.template take<V<T>>(outerSize<T>(planes));
      const Matrix<T> w{weight, l.outputs, l.inputs, l.inputs, 1};
      outerProduct(w, sums[k], activations[k], chain.batch, planes, packed, into);
    }
    if (k == 0 && !this->wantsInput()) return;
    // What a convolution before gave, channel by channel.
    const int64_t area = k > 0 ? chain.layers[k - 1].area() : 1;
    const Matrix<T> w{weight, l.inputs, l.outputs, 1, l.inputs};
    V<T>* products = arena.template take<V<T>>(matrixSums(w, planes));
    matrixProduct(w, sums[k], vectors, planes, products, [&](int64_t i, int64_t v, V<T> c, V<T> r) {
      const int32_t place = int32_t(i % area);
      this->giveBack(k, i / area, &place, 1, v, &c, &r);
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
