// Cotangents on their way back through a chain: from those of what a layer reads, and of what was seen of the
// layer before, to those of that one's sums.
//
//   ȳ: c̄' = l̄ + ū, r̄' = ū − l̄ where the ReLU passes an end;  ū = (c̄ + r̄)/2, l̄ = (c̄ − r̄)/2
#pragma once
#include "forward.h"
#include "phases.h"
#include "staged.h"

namespace tautnet {
namespace TAUTNET_SET {
namespace {

template <class T>
class Cotangents : protected Forward<T> {
 protected:
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
  std::vector<V<T>*> biasSums;
  std::vector<MomentSlopes<T>> slopes;
  // Of the tile of the head at hand: from a place among all of the first layer's to its cotangents in memory.
  int64_t sumsShift = 0;
  Staged<T> staged;  // cotangents of what was seen of a convolution's sums

  Cotangents(const Propagation<T>& work, Arena& memory)
      : Base(work.chain, work.arrays, work.stored, memory), arena(memory), gradients(work.gradients) {
    int64_t most = 0;
    for (int k = 0; k < chain.count; k++) {
      const Layer& l = chain.layers[k];
      layOut(k);
      isSeen.push_back(gradient(l.sums[0]) || gradient(l.sums[1]) || gradient(l.passed[0]) ||
                       gradient(l.passed[1]));
      biasSums.push_back(arena.zeros<V<T>>(l.outputs));
      slopes.push_back(slopesOf(k));
      const int64_t row = int64_t(l.outputs) * l.outputWidth;
      if (isStaged(k)) most = std::max<int64_t>(most, row * stagedRows<T>(l, planes));
    }
    staged.reserve(planes * most, arena);
  }

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
      for (int32_t x = 0; x < l.outputWidth; x++)
        at.back().push_back((y + grid.top) * grid.width + x + grid.left);
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
    const bool isRead = !l.isLinear() && k + 1 < chain.count && readsSums(k + 1);
    return isRead && (gradient(l.sums[0]) || gradient(l.sums[1]));
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
};

}  // namespace
}  // namespace TAUTNET_SET
}  // namespace tautnet
