// Gradients of a convolution's weights: sums over places and images of products of cotangents with what it
// read.
#pragma once
#include "activations.h"
#include "tiles.h"

namespace tautnet {
namespace TAUTNET_SET {
namespace {

// Outputs and taps of a tile.
constexpr int PAIR_OUTPUTS = 4, PAIR_TAPS = TAUTNET_BYTES == 64 ? 6 : 3;
// Places whose cotangents and inputs meet in the cache.
constexpr int32_t PLACES = 128;

// into has Σ over lanes of each of COUNT vectors, added.
template <class T, int COUNT>
inline void addTotals(const V<T>* from, V<T>* into) {
  constexpr int L = Vector<T>::lanes, REST = COUNT % L;
  TAUTNET_WHOLE
  for (int i = 0; i < COUNT / L; i++) into[i] += totals<T>(from + i * L, L);
  if (REST > 0) into[COUNT / L] += totals<T>(from + COUNT / L * L, REST);
}

// Lane m · N + n, over vectors: Σ_p g[m · gStep + at[p]] · x[first[p] + offsets[n]], added.
template <class T, int M, int N>
void correlateTile(const V<T>* g, int64_t gStep, const int32_t* at, const V<T>* x, const int32_t* first,
                   const int32_t* offsets, int32_t count, V<T>* into) {
  V<T> s[M][N] = {};
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
  V<T> all[M * N];
  TAUTNET_WHOLE
  for (int m = 0; m < M; m++)
    TAUTNET_WHOLE
    for (int n = 0; n < N; n++) all[m * N + n] = s[m][n];
  addTotals<T, M * N>(all, into);
}

template <class T, int M>
void correlateOf(int n, const V<T>* g, int64_t gStep, const int32_t* at, const V<T>* x, const int32_t* first,
                 const int32_t* offsets, int32_t count, V<T>* into) {
#define TAUTNET_PAIR(N) \
  case N: return correlateTile<T, M, N>(g, gStep, at, x, first, offsets, count, into)
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

// Sums for the gradients of a convolution's weights, tile by tile: outputs of a tile, then its taps.
template <class T>
class Correlation {
  static constexpr int L = Vector<T>::lanes;
  static constexpr int64_t EACH = (PAIR_OUTPUTS * PAIR_TAPS + L - 1) / L;  // vectors of a tile
  int64_t outputs = 0, taps = 0, piece = 1;
  V<T>* sums = nullptr;

  int64_t whole() const { return outputs / PAIR_OUTPUTS; }
  int64_t tiles() const { return whole() + outputs % PAIR_OUTPUTS; }
  V<T>* at(int64_t tap, int64_t tile) const { return sums + (tap / piece * tiles() + tile) * EACH; }

 public:
  // Whether there are sums at all.
  bool isAny() const { return sums != nullptr; }
  template <class Memory>
  void reserve(const Layer& l, Memory& memory) {
    outputs = l.outputs;
    taps = l.taps();
    const int64_t pieces = (taps + PAIR_TAPS - 1) / PAIR_TAPS;
    piece = (taps + pieces - 1) / pieces;
    sums = memory.template zeros<V<T>>(pieces * tiles() * EACH);
  }

  // Adds the products of places [from, to), of one vector of images: of cotangents at g + gStep · output +
  // at[place] with what lies at x + the place's first input.
  void add(const V<T>* g, int64_t gStep, const std::vector<int32_t>& gAt, const V<T>* x, const Places& places,
           int32_t from, int32_t to) {
    const int32_t blocks = (to - from + PLACES - 1) / PLACES;
    for (int32_t i = 0; i < blocks; i++) {
      const int32_t place = from + int32_t(int64_t(to - from) * i / blocks);
      const int32_t count = from + int32_t(int64_t(to - from) * (i + 1) / blocks) - place;
      // What a few taps read stays in the innermost cache while all outputs pass.
      for (int64_t t = 0; t < taps; t += piece) {
        const int n = int(std::min(piece, taps - t));
        const int32_t* offsets = places.offsets.data() + t;
        for (int64_t o = 0, tile = 0; o < outputs; tile++) {
          const int width = tile < whole() ? PAIR_OUTPUTS : 1;
          const auto correlate = width == 1 ? correlateOf<T, 1> : correlateOf<T, PAIR_OUTPUTS>;
          correlate(n, g + o * gStep, gStep, gAt.data() + place, x, places.first.data() + place, offsets,
                    count, at(t, tile));
          o += width;
        }
      }
    }
  }

  // Calls done(weight, sum) for all weights [outputs, taps].
  template <class Done>
  void each(Done done) const {
    for (int64_t o = 0, weight = 0; o < outputs; o++) {
      const int64_t tile = std::min(o / PAIR_OUTPUTS, whole()), single = o - tile * PAIR_OUTPUTS;
      const bool isWhole = tile < whole();
      for (int64_t t = 0; t < taps; t += piece) {
        const int64_t n = std::min(piece, taps - t);
        const V<T>* sum = at(t, isWhole ? tile : tile + single);
        const T* found = reinterpret_cast<const T*>(sum) + (isWhole ? single * n : 0);
        for (int64_t i = 0; i < n; i++) done(weight++, found[i]);
      }
    }
  }
};

}  // namespace
}  // namespace TAUTNET_SET
}  // namespace tautnet
