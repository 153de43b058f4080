// Gradients of weights: sums of products of cotangents with what the layer read, over places and images.
#pragma once
#include "tiles.h"

namespace tautnet {
namespace TAUTNET_SET {
namespace {

// Outputs and taps of a tile of weights' gradients.
constexpr int PAIR_OUTPUTS = 4, PAIR_TAPS = TAUTNET_BYTES == 64 ? 6 : 3;
// Places whose cotangents and inputs meet in the cache.
constexpr int32_t PLACES = 128;
// Rows of a matrix that are fetched before they are needed.
constexpr int64_t AHEAD = 8;

// sums[m · taps + n] += Σ_p g[m · gStep + at[p]] · x[first[p] + offsets[n]], summed over the lanes.
template <class T, int M, int N>
void correlateTile(const V<T>* g, int64_t gStep, const int32_t* at, const V<T>* x, const int32_t* first,
                   const int32_t* offsets, int32_t count, T* sums, int64_t taps) {
  constexpr int L = Vector<T>::lanes;
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
  for (int i = 0; i < M * N; i += L) {
    const int width = std::min(L, M * N - i);
    const V<T> found = totals<T>(all + i, width);
    for (int l = 0; l < width; l++) sums[(i + l) / N * taps + (i + l) % N] += found[l];
  }
}

template <class T, int M>
void correlateOf(int n, const V<T>* g, int64_t gStep, const int32_t* at, const V<T>* x, const int32_t* first,
                 const int32_t* offsets, int32_t count, T* sums, int64_t taps) {
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

// Lane n: the sum over vectors of images of g · x[n], for N ≤ lanes neighbours of x.
template <class T, int N>
V<T> pairTile(const V<T>* g, int64_t gStep, const V<T>* x, int64_t xStep, int64_t vectors) {
  V<T> s[N] = {};
  for (int64_t v = 0; v < vectors; v++) {
    const V<T> c = g[v * gStep];
    const V<T>* from = x + v * xStep;
    TAUTNET_WHOLE
    for (int n = 0; n < N; n++) s[n] += c * from[n];
  }
  V<T> all[N];
  TAUTNET_WHOLE
  for (int n = 0; n < N; n++) all[n] = s[n];
  return totals<T>(all, N);
}

}  // namespace
}  // namespace TAUTNET_SET
}  // namespace tautnet
