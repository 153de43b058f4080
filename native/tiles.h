// Products of a convolution's tiles, outputs × places in registers, with packed weights.
#pragma once
#include "vector.h"

// Whole, so that sums are registers.
#define TAUTNET_WHOLE _Pragma("GCC unroll 32")

namespace tautnet {
namespace TAUTNET_SET {
namespace {

// Outputs and places of a tile: their product of sums stays in registers.
constexpr int TILE_OUTPUTS = TAUTNET_BYTES == 64 ? 8 : 4, TILE_PLACES = 3;
// Places of the next tile of so many: one alone would leave most of the registers empty.
inline int placesOfTile(int32_t left) {
  return left == TILE_PLACES + 1 ? 2 : std::min(left, int32_t(TILE_PLACES));
}
// Taps that are added up before they go on, so that errors of long sums grow less (`proof/running-error.ts`).
constexpr int64_t RUN = 32;

// sums[m · P + p] = Σ_k weight[k · M + m] · x[p][offsets[k]].
template <class T, int M, int P>
void tile(const T* weight, int64_t count, const int32_t* offsets, const V<T>* const* x, V<T>* sums) {
  V<T> all[M * P] = {};
  for (int64_t from = 0; from < count; from += RUN) {
    const int64_t end = std::min(count, from + RUN);
    V<T> s[M][P] = {};
    for (int64_t k = from; k < end; k++) {
      V<T> v[P];
      TAUTNET_WHOLE
      for (int p = 0; p < P; p++) v[p] = x[p][offsets[k]];
      TAUTNET_WHOLE
      for (int m = 0; m < M; m++) {
        const T w = weight[k * M + m];
        TAUTNET_WHOLE
        for (int p = 0; p < P; p++) s[m][p] += v[p] * w;
      }
    }
    TAUTNET_WHOLE
    for (int m = 0; m < M; m++)
      TAUTNET_WHOLE
      for (int p = 0; p < P; p++) all[m * P + p] += s[m][p];
  }
  TAUTNET_WHOLE
  for (int i = 0; i < M * P; i++) sums[i] = all[i];
}

template <class T, int M>
void tileOf(int places, const T* weight, int64_t count, const int32_t* offsets, const V<T>* const* x,
            V<T>* sums) {
  if (places == 3) tile<T, M, 3>(weight, count, offsets, x, sums);
  else if (places == 2) tile<T, M, 2>(weight, count, offsets, x, sums);
  else tile<T, M, 1>(weight, count, offsets, x, sums);
}

// A matrix [outputs, taps] in tiles of outputs: each [taps, its outputs], one behind the other.
template <class T>
struct Tiles {
  int64_t outputs = 0, taps = 0;
  Array<T> numbers;
  // Outputs of the tile that begins at one.
  static int widthAt(int64_t outputs, int64_t at) {
    const int64_t left = outputs - at;
    if (left >= TILE_OUTPUTS) return TILE_OUTPUTS;
    return left >= 4 ? 4 : left >= 2 ? 2 : 1;
  }
  // entry(o, k) is the number at output o and tap k.
  template <class Entry>
  void fill(int64_t o, int64_t k, Entry entry) {
    if (!numbers || outputs * taps < o * k) numbers = allocate<T>(o * k);
    outputs = o;
    taps = k;
    T* to = numbers.get();
    for (int64_t at = 0; at < o;) {
      const int width = widthAt(o, at);
      for (int64_t t = 0; t < k; t++)
        for (int m = 0; m < width; m++) *to++ = entry(at + m, t);
      at += width;
    }
  }
};

// sums[m · places + p] for the outputs of the tile that begins at one, at up to TILE_PLACES places.
template <class T>
void tileAt(const Tiles<T>& tiles, int64_t at, const int32_t* offsets, const V<T>* const* x, int places,
            V<T>* sums) {
  const int width = Tiles<T>::widthAt(tiles.outputs, at);
  const T* weight = tiles.numbers.get() + at * tiles.taps;
  if (width == 8) tileOf<T, 8>(places, weight, tiles.taps, offsets, x, sums);
  else if (width == 4) tileOf<T, 4>(places, weight, tiles.taps, offsets, x, sums);
  else if (width == 2) tileOf<T, 2>(places, weight, tiles.taps, offsets, x, sums);
  else tileOf<T, 1>(places, weight, tiles.taps, offsets, x, sums);
}

}  // namespace
}  // namespace TAUTNET_SET
}  // namespace tautnet
