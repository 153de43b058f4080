// Forward passes of images, values (one plane) or intervals (two: centre and radius), layer by layer:
//
//   y = W x + b;   c' = W c + b, r' = |W| r;   [l, u] ↦ [max(l, 0), max(u, 0)]
//
// A vector is one feature of as many images as it has lanes. Convolutions are products of each place's taps
// with tiles of weights, outputs × places in registers; inputs lie with their zeros around them, so that no
// tap branches. Images of one vector go through all convolutions within the cache; linear layers take all
// vectors side by side. The order of sums depends on the chain alone.
#pragma once
#include "layout.h"
#include "matrix.h"
#include "moments.h"

namespace tautnet {
namespace TAUTNET_SET {
namespace {

template <class T>
class Forward : protected Layout<T> {
 protected:
  using Base = Layout<T>;
  using Base::activations;
  using Base::arrays;
  using Base::chain;
  using Base::head;
  using Base::inactive;
  using Base::isWindow;
  using Base::L;
  using Base::places;
  using Base::planes;
  using Base::readAt;
  using Base::totals;
  using Base::vectors;
  using Base::windowShift;

 private:
  Arena& arena;
  std::vector<Tiles<T>> weights, absolute;
  std::vector<Tally<T>> tallies;  // of each layer with moments

 public:
  Forward(const Layers& chain, T* const* arrays, T* stored, Arena& memory)
      : Base(chain, arrays, stored, memory), arena(memory), tallies(chain.count) {}

  void run() {
    pack(chain.count);
    for (int k = 0; k < chain.count;) {
      if (chain.layers[k].isLinear()) {
        if (k == 0) for (int64_t v = 0; v < vectors; v++) readInput(v);
        linear(k++);
        continue;
      }
      int end = k;
      while (end < chain.count && !chain.layers[end].isLinear()) end++;
      for (int64_t v = 0; v < vectors; v++) {
        if (k == 0) readInput(v);
        int i = k;
        if (k == 0 && head.isAny()) {
          for (int32_t tile = 0; tile < head.tiles(); tile++) passHead(tile, v);
          i = 2;
        }
        for (; i < end; i++) convolve(i, v, {0, chain.layers[i].outputHeight}, 0);
      }
      k = end;
    }
    for (int k = 0; k < chain.count; k++)
      if (T* into = momentsOf(k)) {
        const T count = T(chain.layers[k].features()) * std::max(imagesPresent(), T(1));
        tallies[k].finish(count, into, totals == nullptr ? nullptr : totals + k * MOMENT_TOTALS);
      }
  }

 protected:
  // What the head's second layer reads for a tile; the caller sees rows from `fresh` on.
  void fillWindow(int32_t tile, int64_t v, int32_t fresh) {
    const Layer& l = chain.layers[1];
    const Rows r = head.inputs(tile);
    const int32_t width = paddedWidth(l), begin = head.begin(tile), rows = head.window();
    windowShift = int64_t(begin) * width;
    for (int plane = 0; plane < planes; plane++)
      for (int32_t c = 0; c < l.inputs; c++) {
        V<T>* channel = activations[1].of(v) + plane * activations[1].plane + int64_t(c) * rows * width;
        const int32_t above = r.from + l.padY - begin, below = r.to + l.padY - begin;
        std::fill(channel, channel + above * width, V<T>{});
        std::fill(channel + below * width, channel + rows * width, V<T>{});
      }
    convolve(0, v, r, fresh);
  }
  void pack(int count) {
    weights.resize(count);
    absolute.resize(count);
    for (int k = 0; k < count; k++) {
      const Layer& l = chain.layers[k];
      if (l.isLinear()) continue;
      const int64_t taps = l.taps();
      const T* w = arrays[l.weight];
      weights[k].fill(l.outputs, taps, [=](int64_t o, int64_t t) { return w[o * taps + t]; });
      if (planes == 1) continue;
      absolute[k].fill(l.outputs, taps, [=](int64_t o, int64_t t) {
        const T value = w[o * taps + t];
        return value < T(0) ? -value : value;
      });
    }
  }
  T* momentsOf(int k) const {
    const int32_t position = chain.layers[k].moments;
    return position < 0 ? nullptr : arrays[position];
  }
  V<T> presentOf(int64_t v) const { return lanesOf<T>(arrays[chain.present], 0, chain.batch, v); }
  T imagesPresent() const {
    T sum = 0;
    for (int32_t i = 0; i < chain.batch; i++) sum += arrays[chain.present][i];
    return sum;
  }

 private:
  void passHead(int32_t tile, int64_t v) {
    fillWindow(tile, v, tile > 0 ? head.inputs(tile - 1).to : 0);
    convolve(1, v, head.outputs(tile), 0);
  }
  // Values, or bounds as centre and radius, into the first layer's input.
  void readInput(int64_t v) {
    const Layer& l = chain.layers[0];
    const Activations<T>& to = activations[0];
    const int32_t height = paddedHeight(l), width = paddedWidth(l);
    const T *first = arrays[chain.input[0]], *second = planes == 2 ? arrays[chain.input[1]] : nullptr;
    V<T>* into = to.of(v);
    int64_t feature = 0;
    for (int32_t c = 0; c < l.inputs; c++)
      for (int32_t y = 0; y < l.height; y++)
        for (int32_t x = 0; x < l.width; x++, feature++) {
          const int64_t e = (int64_t(c) * height + y + l.padY) * width + x + l.padX;
          const V<T> low = lanesOf<T>(first, feature, chain.batch, v);
          if (second == nullptr) into[e] = low;
          else setEnds(into, to.plane, e, low, lanesOf<T>(second, feature, chain.batch, v));
        }
  }
  static void setEnds(V<T>* into, int64_t plane, int64_t e, V<T> low, V<T> up) {
    into[e] = (up + low) * T(0.5);
    into[plane + e] = (up - low) * T(0.5);
  }

  // Prefetches what some outputs of places are written to.
  void fetch(int k, int64_t o, int width, const int32_t* place, int count, V<T>* into) const {
    const int64_t step = places[k].outputStep, plane = activations[k + 1].plane;
    for (int i = 0; i < planes; i++)
      for (int m = 0; m < width; m++)
        for (int p = 0; p < count; p++)
          __builtin_prefetch(into + i * plane + (o + m) * step + place[p], 1);
  }

  // Rows of a layer; the caller sees those from `fresh` on.
  void convolve(int k, int64_t v, Rows rows, int32_t fresh) {
    const Layer& l = chain.layers[k];
    const Places& p = places[k];
    const V<T>* from = readAt(k, v);
    V<T>* into = readAt(k + 1, v);
    const Tiles<T>&w = weights[k], &a = absolute[k];
    V<T> first[TILE_OUTPUTS * TILE_PLACES], second[TILE_OUTPUTS * TILE_PLACES];
    const int32_t end = rows.to * l.outputWidth, seen = fresh * l.outputWidth;
    const T* bias = l.bias < 0 ? nullptr : arrays[l.bias];
    const int64_t plane = activations[k + 1].plane;
    const bool isShown = isSeen(l) || l.moments >= 0;
    for (int32_t place = rows.from * l.outputWidth, count = 0; place < end; place += count) {
      count = placesOfTile(end - place);
      const V<T>*x[TILE_PLACES], *radii[TILE_PLACES];
      for (int i = 0; i < count; i++) {
        x[i] = from + p.first[place + i];
        radii[i] = x[i] + activations[k].plane;
      }
      for (int64_t o = 0; o < w.outputs;) {
        const int width = Tiles<T>::widthAt(w.outputs, o);
        if (!isWindow(k + 1)) fetch(k, o, width, p.last.data() + place, count, into);
        tileAt(w, o, p.offsets.data(), x, count, first);
        if (planes == 2) tileAt(a, o, p.offsets.data(), radii, count, second);
        for (int m = 0; m < width; m++) {
          V<T>* to = into + (o + m) * p.outputStep;
          const int32_t* last = p.last.data() + place;
          const V<T>*c = first + m * count, *r = second + m * count;
          if (!isShown || place + count <= seen) {
            const V<T> b = broadcast(bias == nullptr ? T(0) : bias[o + m]);
            if (planes == 1) passPlain<1>(b, l.relu != 0, count, to, plane, last, c, r);
            else passPlain<2>(b, l.relu != 0, count, to, plane, last, c, r);
          } else if (planes == 1) {
            passAll<1>(k, o + m, place, count, v, to, last, c, r, seen);
          } else {
            passAll<2>(k, o + m, place, count, v, to, last, c, r, seen);
          }
        }
        o += width;
      }
      if (l.moments >= 0) tallies[k].add(presentOf(v));
    }
  }

  void linear(int k) {
    const Layer& l = chain.layers[k];
    const Matrix<T> w{arrays[l.weight], l.outputs, l.inputs, l.inputs, 1};
    V<T>* products = arena.take<V<T>>(matrixSums(w, planes));
    matrixProduct(w, activations[k], vectors, planes, products, [&](int64_t o, int64_t v, V<T> c, V<T> r) {
      const int32_t* here = places[k].last.data();
      V<T>* to = activations[k + 1].of(v) + o * places[k].outputStep;
      if (planes == 1) passAll<1>(k, o, 0, 1, v, to, here, &c, &r, 0);
      else passAll<2>(k, o, 0, 1, v, to, here, &c, &r, 0);
      if (l.moments >= 0) tallies[k].add(presentOf(v));
    });
  }

  static bool isSeen(const Layer& l) {
    return l.sums[0] >= 0 || l.sums[1] >= 0 || l.passed[0] >= 0 || l.passed[1] >= 0;
  }
  // Bias and ReLU of some places of an output channel.
  template <int PLANES>
  static void passPlain(V<T> bias, bool relu, int count, V<T>* into, int64_t plane, const int32_t* last,
                        const V<T>* first, const V<T>* second) {
    for (int i = 0; i < count; i++) {
      const V<T> c = first[i] + bias;
      if (PLANES == 1) {
        into[last[i]] = relu ? positive<T>(c) : c;
        continue;
      }
      const V<T> low = c - second[i], up = c + second[i];
      if (relu) setEnds(into, plane, last[i], positive<T>(low), positive<T>(up));
      else setEnds(into, plane, last[i], low, up);
    }
  }
  // The same and what the caller sees of some places of an output channel: of those from `seen` on.
  template <int PLANES>
  void passAll(int k, int64_t channel, int64_t place, int count, int64_t v, V<T>* into, const int32_t* last,
               const V<T>* first, const V<T>* second, int64_t seen) {
    const Layer& l = chain.layers[k];
    const V<T> bias = broadcast(l.bias >= 0 ? arrays[l.bias][channel] : T(0));
    const bool isSeen = this->isSeen(l);
    const int64_t plane = activations[k + 1].plane;
    for (int i = 0; i < count; i++) {
      const V<T> c = first[i] + bias;
      V<T> low = c, up = c;
      if (PLANES == 2) {
        low = c - second[i];
        up = c + second[i];
      }
      const bool isFresh = place + i >= seen;
      if (isSeen && isFresh) see(l, l.sums, channel, place + i, v, low, up);
      if (PLANES == 2 && l.moments >= 0 && isFresh) {
        const V<T> centre = tallies[k].see(low, up);
        if (inactive[k].at != nullptr) inactive[k].of(v)[channel * l.area() + place + i] = centre;
      }
      if (l.relu) {
        low = positive<T>(low);
        up = positive<T>(up);
        if (isSeen && isFresh) see(l, l.passed, channel, place + i, v, low, up);
      }
      if (PLANES == 2) setEnds(into, plane, last[i], low, up);
      else into[last[i]] = low;
    }
  }
  void see(const Layer& l, const int32_t* positions, int64_t channel, int64_t place, int64_t v, V<T> low,
           V<T> up) {
    const int64_t feature = channel * l.area() + place;
    if (positions[0] >= 0) setLanes<T>(arrays[positions[0]], feature, chain.batch, v, low);
    if (positions[1] >= 0) setLanes<T>(arrays[positions[1]], feature, chain.batch, v, up);
  }
};

}  // namespace
}  // namespace TAUTNET_SET
}  // namespace tautnet
