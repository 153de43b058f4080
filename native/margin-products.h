// Products of the margin kernel. Coefficients are [entry, R] vectors; taps lie at `offsets` entries from the
// first that a pixel sees.
#pragma once
#include "vector.h"

#ifndef TAUTNET_UNROLL
#define TAUTNET_UNROLL _Pragma("GCC unroll 32")
#endif

namespace tautnet {
namespace TAUTNET_SET {
namespace {

// Outputs whose terms are added up before a sum goes on: proofs count on it (`running-error.ts`).
constexpr int64_t RUN = 32;

// to[offsets[n]] += Σ over the list's o of a[o] · weight[o, n], n < N.
template <class T, int R, int N>
void spreadTaps(const V<T>* a, const int32_t* list, int64_t count, const T* weight, int64_t taps,
                const int64_t* offsets, V<T>* to) {
  V<T> s[N][R] = {};
  for (int64_t i = 0; i < count; i++) {
    V<T> x[R];
    TAUTNET_UNROLL
    for (int v = 0; v < R; v++) x[v] = a[list[i] * R + v];
    const T* row = weight + list[i] * taps;
    TAUTNET_UNROLL
    for (int n = 0; n < N; n++) {
      TAUTNET_UNROLL
      for (int v = 0; v < R; v++) s[n][v] += x[v] * row[n];
    }
  }
  TAUTNET_UNROLL
  for (int n = 0; n < N; n++) {
    TAUTNET_UNROLL
    for (int v = 0; v < R; v++) to[offsets[n] * R + v] += s[n][v];
  }
}

// to[o] = Σ_t d[offsets[t]] · weight[o, t] for N outputs o of the list.
template <class T, int R, int N>
void collectTaps(const V<T>* d, const int64_t* offsets, const T* weight, int64_t taps, const int32_t* list,
                 V<T>* to) {
  const T* rows[N];
  TAUTNET_UNROLL
  for (int n = 0; n < N; n++) rows[n] = weight + list[n] * taps;
  V<T> s[N][R] = {};
  for (int64_t t = 0; t < taps; t++) {
    V<T> x[R];
    TAUTNET_UNROLL
    for (int v = 0; v < R; v++) x[v] = d[offsets[t] * R + v];
    TAUTNET_UNROLL
    for (int n = 0; n < N; n++) {
      TAUTNET_UNROLL
      for (int v = 0; v < R; v++) s[n][v] += x[v] * rows[n][t];
    }
  }
  TAUTNET_UNROLL
  for (int n = 0; n < N; n++) {
    TAUTNET_UNROLL
    for (int v = 0; v < R; v++) to[list[n] * R + v] = s[n][v];
  }
}

// The products of the gradient of weights: which numbers meet.
template <class T>
struct Meeting {
  const T* a;               // coefficients of the outputs, [lane, pixel, output], padded to vectors
  int64_t lanes, pixels, outputs;
  const T* d;               // cotangents behind, [entry, lane]
  const int64_t* bases;     // first entry that each pixel sees, times `lanes`
  const int64_t* offsets;   // of taps, times `lanes`
};

// sums[n, o] += Σ over pixels and lanes of a[o] · d[offsets[n]], for O vectors of outputs and N taps.
template <class T, int O, int N>
void meetTaps(const Meeting<T>& m, int64_t output, int64_t tap, T* sums) {
  V<T> s[N][O];
  TAUTNET_UNROLL
  for (int n = 0; n < N; n++) {
    TAUTNET_UNROLL
    for (int o = 0; o < O; o++) s[n][o] = load<T>(sums + n * m.outputs + o * Vector<T>::lanes);
  }
  const int64_t* offsets = m.offsets + tap;
  for (int64_t pixel = 0; pixel < m.pixels; pixel++) {
    const T* a = m.a + pixel * m.outputs + output;
    const T* d = m.d + m.bases[pixel];
    for (int64_t lane = 0; lane < m.lanes; lane++) {
      V<T> x[O];
      TAUTNET_UNROLL
      for (int o = 0; o < O; o++) x[o] = load<T>(a + lane * m.pixels * m.outputs + o * Vector<T>::lanes);
      TAUTNET_UNROLL
      for (int n = 0; n < N; n++) {
        const T y = d[offsets[n] + lane];
        TAUTNET_UNROLL
        for (int o = 0; o < O; o++) s[n][o] += x[o] * y;
      }
    }
  }
  TAUTNET_UNROLL
  for (int n = 0; n < N; n++) {
    TAUTNET_UNROLL
    for (int o = 0; o < O; o++) store<T>(sums + n * m.outputs + o * Vector<T>::lanes, s[n][o]);
  }
}

// The products by how many sums they have at a time.
template <class T, int R>
struct MarginProducts {
  static constexpr int TAPS = std::max(1, WIDEST / R), OUTPUTS = std::max(1, std::min(8, WIDEST / R));
  typedef void (*Spread)(const V<T>*, const int32_t*, int64_t, const T*, int64_t, const int64_t*, V<T>*);
  typedef void (*Collect)(const V<T>*, const int64_t*, const T*, int64_t, const int32_t*, V<T>*);
  typedef void (*Meet)(const Meeting<T>&, int64_t, int64_t, T*);
  Spread spreads[TAPS + 1] = {};
  Collect collects[OUTPUTS + 1] = {};
  Meet single[WIDEST + 1] = {}, twice[WIDEST / 2 + 1] = {};
  MarginProducts() {
    fill(std::make_index_sequence<TAPS>(), std::make_index_sequence<OUTPUTS>());
    fillMeetings(std::make_index_sequence<WIDEST>(), std::make_index_sequence<WIDEST / 2>());
  }
  template <size_t... I, size_t... J>
  void fill(std::index_sequence<I...>, std::index_sequence<J...>) {
    ((spreads[I + 1] = spreadTaps<T, R, int(I) + 1>), ...);
    ((collects[J + 1] = collectTaps<T, R, int(J) + 1>), ...);
  }
  template <size_t... I, size_t... J>
  void fillMeetings(std::index_sequence<I...>, std::index_sequence<J...>) {
    ((single[I + 1] = meetTaps<T, 1, int(I) + 1>), ...);
    ((twice[J + 1] = meetTaps<T, 2, int(J) + 1>), ...);
  }
};

// Pieces of about the same size, each at most `most`.
inline int64_t evenPiece(int64_t count, int64_t most) {
  const int64_t pieces = (count + most - 1) / most;
  return (count + pieces - 1) / pieces;
}

template <class T, size_t... I>
inline void interleave(V<T> a, V<T> b, V<T>& low, V<T>& high, std::index_sequence<I...>) {
  constexpr size_t L = Vector<T>::lanes;
  low = __builtin_shufflevector(a, b, (I / 2 + (I % 2) * L)...);
  high = __builtin_shufflevector(a, b, (I / 2 + L / 2 + (I % 2) * L)...);
}
// The transpose of a square of numbers, a vector a line.
template <class T>
inline void transposeSquare(V<T>* lines) {
  constexpr int L = Vector<T>::lanes;
  V<T> other[L];
  for (int n = 1; n < L; n *= 2) {
    TAUTNET_UNROLL
    for (int i = 0; i < L / 2; i++)
      interleave<T>(lines[i], lines[i + L / 2], other[2 * i], other[2 * i + 1], std::make_index_sequence<L>());
    TAUTNET_UNROLL
    for (int i = 0; i < L; i++) lines[i] = other[i];
  }
}

}  // namespace
}  // namespace TAUTNET_SET
}  // namespace tautnet
