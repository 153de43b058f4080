// Where the activations of a chain lie.
#pragma once
#include "activations.h"
#include "arena.h"
#include "head.h"

namespace tautnet {
namespace TAUTNET_SET {
namespace {

// `stored` (null: none) has the activations of all images, those that layer k reads at activations[k], padded
// with zeros, but for those within the head; without it, only those that linear layers read or give are of
// all.
template <class T>
class Layout {
 protected:
  static constexpr int L = Vector<T>::lanes;
  const Layers& chain;
  T* const* arrays;
  const int planes;
  const int64_t vectors;  // of images
  const Head head;
  std::vector<Activations<T>> activations;  // what layer k reads; the last entry: what the chain leaves
  // Centres of intervals below zero, else 0, of layers with moments: the derivative reads them.
  std::vector<Activations<T>> inactive;
  T* totals = nullptr;  // MOMENT_TOTALS of each layer
  std::vector<Places> places;
  // Of the tile of the head at hand: from a place among all rows of the layer between to its place in memory.
  int64_t windowShift = 0;

  Layout(const Layers& chain, T* const* arrays, T* stored, Arena& arena)
      : chain(chain),
        arrays(arrays),
        planes(chain.planes),
        vectors((chain.batch + L - 1) / L),
        head(chain) {
    for (int k = 0; k < chain.count; k++)
      places.push_back(placesOf(chain, k, rowsRead(k), k + 1 < chain.count ? rowsRead(k + 1) : 0));
    layOut(stored, arena);
  }

  // What layer k reads, where the first row of its padded input would be.
  V<T>* readAt(int k, int64_t v) const { return activations[k].of(v) - (isWindow(k) ? windowShift : 0); }
  bool isWindow(int k) const { return k == 1 && head.isAny(); }

 private:
  // Rows of a layer's padded input that lie in memory.
  int32_t rowsRead(int k) const {
    return head.isAny() && k == 1 ? head.window() : paddedHeight(chain.layers[k]);
  }
  bool isLinear(int k) const { return k >= 0 && chain.layers[k].isLinear(); }
  int64_t windowSize() const {
    return int64_t(chain.layers[1].inputs) * head.window() * paddedWidth(chain.layers[1]);
  }
  // One vector of images after another, each with what all layers read.
  void layOut(T* stored, Arena& arena) {
    int64_t total = 0;
    for (int k = 0; k <= chain.count; k++)
      if (!isWindow(k)) total += planes * storedFeatures(chain, k);
    for (int k = 0; k < chain.count; k++)
      if (chain.layers[k].moments >= 0) total += chain.layers[k].features();
    // Behind the array's beginning, where its memory is aligned; there is room (`storedSize`).
    const uintptr_t address = (reinterpret_cast<uintptr_t>(stored) + 63) & ~uintptr_t(63);
    V<T>* at = reinterpret_cast<V<T>*>(address);
    for (int k = 0; k <= chain.count; k++) {
      const int64_t size = isWindow(k) ? windowSize() : storedFeatures(chain, k);
      const bool ofAll = k < chain.count && (isLinear(k) || isLinear(k - 1));
      if (stored != nullptr && !isWindow(k)) {
        activations.push_back({at, size, total});
        at += planes * size;
        continue;
      }
      V<T>* zeros = arena.zeros<V<T>>(planes * size * (ofAll ? vectors : 1));
      activations.push_back({zeros, size, ofAll ? planes * size : 0});
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
};

}  // namespace
}  // namespace TAUTNET_SET
}  // namespace tautnet
