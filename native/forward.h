// Forward passes of images, values (one plane) or intervals (two: centre and radius), layer by layer:
//
//   y = W x + b;   c' = W c + b, r' = |W| r;   [l, u] ↦ [max(l, 0), max(u, 0)]
//
// A vector is one feature of as many images as it has lanes. Convolutions are products of each place's taps
// with tiles of weights, outputs × places in registers; inputs lie with their zeros around them, so that no
// tap branches. Images of one vector go through all convolutions within the cache; linear layers take all
// vectors side by side. The order of sums depends on the chain alone.
#pragma once
#include <vector>

#include "layers.h"
#include "moments.h"
#include "tiles.h"

namespace tautnet {
namespace TAUTNET_SET {
namespace {

// Activations that a layer reads: plane after plane, in vectors of features; `step` vectors from those of one
// vector of images to the next, 0 where all use the same.
template <class T>
struct Activations {
  V<T>* at = nullptr;
  int64_t plane = 0, step = 0;
  V<T>* of(int64_t images) const { return at + images * step; }
};

// Where a layer reads and writes, the same for all images.
struct Places {
  std::vector<int32_t> offsets;       // of the taps, from a place's first input
  std::vector<int32_t> first, last;   // of each place: its first input; its output, in the next layer's input
  int64_t outputStep = 0;             // from one output channel to the next, there
};

inline Places placesOf(const Layers& chain, int k) {
  const Layer& l = chain.layers[k];
  const int32_t height = paddedHeight(l), width = paddedWidth(l);
  Places p;
  for (int32_t c = 0; c < l.inputs; c++)
    for (int32_t y = 0; y < l.kernelY; y++)
      for (int32_t x = 0; x < l.kernelX; x++) p.offsets.push_back((c * height + y) * width + x);
  const Layer* next = k + 1 < chain.count ? &chain.layers[k + 1] : nullptr;
  // A linear layer, or the caller, reads the features as they follow one another.
  const bool spatial = next != nullptr && !next->isLinear();
  const int32_t wide = spatial ? paddedWidth(*next) : l.outputWidth;
  const int32_t top = spatial ? next->padY : 0, left = spatial ? next->padX : 0;
  p.outputStep = spatial ? int64_t(paddedHeight(*next)) * wide : l.area();
  for (int32_t y = 0; y < l.outputHeight; y++)
    for (int32_t x = 0; x < l.outputWidth; x++) {
      p.first.push_back(y * l.strideY * width + x * l.strideX);
      p.last.push_back((y + top) * wide + x + left);
    }
  return p;
}

// A feature of a vector of images in an array [features, batch]; lanes beyond the batch are zero.
template <class T>
inline V<T> lanesOf(const T* array, int64_t feature, int64_t batch, int64_t images) {
  constexpr int L = Vector<T>::lanes;
  const T* from = array + feature * batch + images * L;
  if ((images + 1) * L <= batch) return load<T>(from);
  V<T> v = {};
  for (int64_t l = 0; images * L + l < batch; l++) v[l] = from[l];
  return v;
}
template <class T>
inline void setLanes(T* array, int64_t feature, int64_t batch, int64_t images, V<T> v) {
  constexpr int L = Vector<T>::lanes;
  T* to = array + feature * batch + images * L;
  if ((images + 1) * L <= batch) return store<T>(to, v);
  for (int64_t l = 0; images * L + l < batch; l++) to[l] = v[l];
}

// The forward pass. `stored` (null: none) has the activations of all images afterwards, those that layer k
// reads at activations[k], padded with zeros; without it, only those that linear layers read are of all.
template <class T>
class Forward {
 protected:
  static constexpr int L = Vector<T>::lanes;
  const Layers& chain;
  T* const* arrays;
  const int planes;
  const int64_t vectors;  // of images
  std::vector<Activations<T>> activations;  // what layer k reads; the last entry: what the chain leaves
  // Centres of intervals below zero, else 0, of layers with moments: the derivative reads them.
  std::vector<Activations<T>> inactive;
  T* totals = nullptr;  // MOMENT_TOTALS of each layer
  std::vector<Places> places;
  std::vector<Tiles<T>> weights, absolute;

 private:
  std::vector<Array<V<T>>> memory;
  std::vector<Tally<T>> tallies;  // of each layer with moments
  Array<V<T>> products;
  int64_t productSize = 0;

 public:
  Forward(const Layers& chain, T* const* arrays, T* stored)
      : chain(chain), arrays(arrays), planes(chain.planes), vectors((chain.batch + L - 1) / L) {
    for (int k = 0; k < chain.count; k++) places.push_back(placesOf(chain, k));
    tallies.resize(chain.count);
    layOut(stored);
  }

  void run() {
    pack();
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
        for (int i = k; i < end; i++) convolve(i, v);
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
  // Calls done(output, vector, W x or W c, |W| r) for all images side by side, as places are elsewhere; the
  // matrix's entry (o, k) is at weight[o · toOutput + k · toTap].
  template <class Done>
  void matrixProduct(const T* weight, int64_t outputs, int64_t taps, int64_t toOutput, int64_t toTap,
                     const Activations<T>& from, Done done) {
    const int64_t size = outputs * planes * MATRIX_PLACES;
    if (productSize < size) products = allocate<V<T>>(productSize = size);
    const int64_t pieces = (vectors + MATRIX_PLACES - 1) / MATRIX_PLACES;
    const int64_t piece = (vectors + pieces - 1) / pieces;
    for (int64_t v = 0; v < vectors; v += piece) {
      const int count = int(std::min(piece, vectors - v)), tileOutputs = matrixOutputs(count, planes);
      const int64_t each = count * planes;
      std::memset(products.get(), 0, size_t(outputs * each) * sizeof(V<T>));
      for (int64_t tap = 0; tap < taps; tap += BLOCK) {
        const int64_t block = std::min(BLOCK, taps - tap);
        const V<T>* x[MATRIX_PLACES];
        for (int i = 0; i < count; i++) x[i] = from.of(v + i) + tap;
        for (int64_t o = 0; o < outputs;) {
          const int width = o + tileOutputs <= outputs ? tileOutputs : 1;
          const T* w = weight + o * toOutput + tap * toTap;
          V<T>* sums = products.get() + o * each;
          if (planes == 1) matrixTileOf<T, 1>(width, count, w, toOutput, toTap, block, x, 0, sums);
          else matrixTileOf<T, 2>(width, count, w, toOutput, toTap, block, x, from.plane, sums);
          o += width;
        }
      }
      for (int64_t o = 0; o < outputs; o++)
        for (int i = 0; i < count; i++) {
          const V<T>* sums = products.get() + o * each + i * planes;
          done(o, v + i, sums[0], planes == 2 ? sums[1] : V<T>{});
        }
    }
  }

 private:
  // One vector of images after another, each with what all layers read.
  void layOut(T* stored) {
    int64_t total = 0;
    for (int k = 0; k <= chain.count; k++) total += planes * storedFeatures(chain, k);
    for (int k = 0; k < chain.count; k++)
      if (chain.layers[k].moments >= 0) total += chain.layers[k].features();
    // Behind the array's beginning, where its memory is aligned; there is room (`storedSize`).
    const uintptr_t address = (reinterpret_cast<uintptr_t>(stored) + 63) & ~uintptr_t(63);
    V<T>* at = reinterpret_cast<V<T>*>(address);
    for (int k = 0; k <= chain.count; k++) {
      const int64_t size = storedFeatures(chain, k);
      const bool ofAll = k < chain.count && chain.layers[k].isLinear();
      if (stored != nullptr) {
        activations.push_back({at, size, total});
        at += planes * size;
        continue;
      }
      memory.push_back(allocate<V<T>>(planes * size * (ofAll ? vectors : 1)));
      activations.push_back({memory.back().get(), size, ofAll ? planes * size : 0});
    }
    inactive.resize(chain.count);
    if (stored == nullptr) return;
    for (int k = 0; k < chain.count; k++) {
      if (chain.layers[k].moments < 0) continue;
      inactive[k] = {at, 0, total};
      at += chain.layers[k].features();
    }
    totals = reinterpret_cast<T*>(reinterpret_cast<V<T>*>(address) + vectors * total);
  }

  void pack() {
    weights.resize(chain.count);
    absolute.resize(chain.count);
    for (int k = 0; k < chain.count; k++) {
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

  void convolve(int k, int64_t v) {
    const Layer& l = chain.layers[k];
    const Places& p = places[k];
    const V<T>* from = activations[k].of(v);
    V<T>* into = activations[k + 1].of(v);
    const Tiles<T>&w = weights[k], &a = absolute[k];
    V<T> first[TILE_OUTPUTS * TILE_PLACES], second[TILE_OUTPUTS * TILE_PLACES];
    const int32_t area = l.area();
    for (int32_t place = 0; place < area; place += TILE_PLACES) {
      const int count = std::min(TILE_PLACES, area - place);
      const V<T>*x[TILE_PLACES], *radii[TILE_PLACES];
      for (int i = 0; i < count; i++) {
        x[i] = from + p.first[place + i];
        radii[i] = x[i] + activations[k].plane;
      }
      for (int64_t o = 0; o < w.outputs;) {
        const int width = Tiles<T>::widthAt(w.outputs, o);
        fetch<T>(into + o * p.outputStep, p.outputStep, activations[k + 1].plane, planes, width,
                 p.last.data() + place, count);
        tileAt(w, o, p.offsets.data(), x, count, first);
        if (planes == 2) tileAt(a, o, p.offsets.data(), radii, count, second);
        for (int m = 0; m < width; m++) {
          V<T>* to = into + (o + m) * p.outputStep;
          const int32_t* last = p.last.data() + place;
          const V<T>*c = first + m * count, *r = second + m * count;
          if (planes == 1) passAll<1>(k, o + m, place, count, v, to, last, c, r);
          else passAll<2>(k, o + m, place, count, v, to, last, c, r);
        }
        o += width;
      }
      if (l.moments >= 0) tallies[k].add(presentOf(v));
    }
  }

  void linear(int k) {
    const Layer& l = chain.layers[k];
    matrixProduct(arrays[l.weight], l.outputs, l.inputs, l.inputs, 1, activations[k],
                  [&](int64_t o, int64_t v, V<T> first, V<T> second) {
                    const int32_t here = 0;
                    V<T>* to = activations[k + 1].of(v) + o;
                    if (planes == 1) passAll<1>(k, o, 0, 1, v, to, &here, &first, &second);
                    else passAll<2>(k, o, 0, 1, v, to, &here, &first, &second);
                    if (l.moments >= 0) tallies[k].add(presentOf(v));
                  });
  }

  // Bias, ReLU and what the caller sees of some places of an output channel.
  template <int PLANES>
  void passAll(int k, int64_t channel, int64_t place, int count, int64_t v, V<T>* into, const int32_t* last,
               const V<T>* first, const V<T>* second) {
    const Layer& l = chain.layers[k];
    const V<T> bias = V<T>{} + (l.bias >= 0 ? arrays[l.bias][channel] : T(0));
    const bool isSeen = l.sums[0] >= 0 || l.sums[1] >= 0 || l.passed[0] >= 0 || l.passed[1] >= 0;
    const int64_t plane = activations[k + 1].plane;
    for (int i = 0; i < count; i++) {
      const V<T> c = first[i] + bias;
      V<T> low = c, up = c;
      if (PLANES == 2) {
        low = c - second[i];
        up = c + second[i];
      }
      if (isSeen) see(l, l.sums, channel, place + i, v, low, up);
      if (PLANES == 2 && l.moments >= 0) {
        const V<T> centre = tallies[k].see(low, up);
        if (inactive[k].at != nullptr) inactive[k].of(v)[channel * l.area() + place + i] = centre;
      }
      if (l.relu) {
        low = positive<T>(low);
        up = positive<T>(up);
        if (isSeen) see(l, l.passed, channel, place + i, v, low, up);
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
