// Products of one place: coefficients of some outputs (a list) with weights [outputs, taps].
#pragma once
#include "vector.h"

// Whole, so that sums are registers: compilers leave loops of more than sixteen turns as they are.
#define TAUTNET_UNROLL _Pragma("GCC unroll 32")

namespace tautnet {
namespace TAUTNET_SET {
namespace {

// s[n] += Σ over the list's e of a[e] · weight[e, n], n < N; inlined, so that s stays in registers.
template <class T, int N>
inline __attribute__((always_inline)) void weigh(const V<T>* a, const int32_t* list, int64_t count,
                                                 const T* weight, int64_t taps, V<T>* s) {
  for (int64_t i = 0; i < count; i++) {
    const V<T> x = a[list[i]];
    const T* row = weight + list[i] * taps;
    TAUTNET_UNROLL
    for (int n = 0; n < N; n++) s[n] += x * row[n];
  }
}

// sums[n] = Σ over the list's e of a[e] · weight[e, n], n < N.
template <class T, int N>
void spread(const V<T>* a, const int32_t* list, int64_t count, const T* weight, int64_t taps, V<T>* sums) {
  V<T> s[N] = {};
  weigh<T, N>(a, list, count, weight, taps, s);
  TAUTNET_UNROLL
  for (int n = 0; n < N; n++) sums[n] = s[n];
}

// The same added to to[offsets[n]].
template <class T, int N>
void spreadOn(const V<T>* a, const int32_t* list, int64_t count, const T* weight, int64_t taps,
              const int64_t* offsets, V<T>* to) {
  V<T> s[N] = {};
  weigh<T, N>(a, list, count, weight, taps, s);
  TAUTNET_UNROLL
  for (int n = 0; n < N; n++) to[offsets[n]] += s[n];
}

// sums[n] += Σ over the list's p of a[p · stride] · patches[p · taps + n]: gradients of an output's weights.
template <class T, int N>
void correlate(const V<T>* a, int64_t stride, const int32_t* list, int64_t count, const V<T>* patches,
               int64_t taps, V<T>* sums) {
  V<T> s[N];
  TAUTNET_UNROLL
  for (int n = 0; n < N; n++) s[n] = sums[n];
  for (int64_t i = 0; i < count; i++) {
    const V<T> x = a[list[i] * stride];
    const V<T>* patch = patches + list[i] * taps;
    TAUTNET_UNROLL
    for (int n = 0; n < N; n++) s[n] += x * patch[n];
  }
  TAUTNET_UNROLL
  for (int n = 0; n < N; n++) sums[n] = s[n];
}

// The same with patches where they lie: d[bases[p] + offsets[n]].
template <class T, int N>
void correlateOn(const V<T>* a, int64_t stride, const int32_t* list, int64_t count, const V<T>* d,
                 const int64_t* bases, const int64_t* offsets, V<T>* sums) {
  V<T> s[N];
  TAUTNET_UNROLL
  for (int n = 0; n < N; n++) s[n] = sums[n];
  for (int64_t i = 0; i < count; i++) {
    const V<T> x = a[list[i] * stride];
    const V<T>* patch = d + bases[list[i]];
    TAUTNET_UNROLL
    for (int n = 0; n < N; n++) s[n] += x * patch[offsets[n]];
  }
  TAUTNET_UNROLL
  for (int n = 0; n < N; n++) sums[n] = s[n];
}

// into[e] = Σ_t d[offsets[t]] · weight[e, t] for N entries e of the list.
template <class T, int N>
void collectOn(const V<T>* d, const int64_t* offsets, const T* weight, int64_t taps, const int32_t* list,
               V<T>* into) {
  const T* rows[N];
  TAUTNET_UNROLL
  for (int n = 0; n < N; n++) rows[n] = weight + list[n] * taps;
  V<T> s[N] = {};
  for (int64_t t = 0; t < taps; t++) {
    const V<T> x = d[offsets[t]];
    TAUTNET_UNROLL
    for (int n = 0; n < N; n++) s[n] += x * rows[n][t];
  }
  TAUTNET_UNROLL
  for (int n = 0; n < N; n++) into[list[n]] = s[n];
}

// into[e] = Σ_t patch[t] · weight[e, t] for N entries e of the list.
template <class T, int N>
void collect(const V<T>* patch, const T* weight, int64_t taps, const int32_t* list, V<T>* into) {
  const T* rows[N];
  TAUTNET_UNROLL
  for (int n = 0; n < N; n++) rows[n] = weight + list[n] * taps;
  V<T> s[N] = {};
  for (int64_t t = 0; t < taps; t++) {
    const V<T> x = patch[t];
    TAUTNET_UNROLL
    for (int n = 0; n < N; n++) s[n] += x * rows[n][t];
  }
  TAUTNET_UNROLL
  for (int n = 0; n < N; n++) into[list[n]] = s[n];
}

template <class T>
struct Products {
  typedef void (*Spread)(const V<T>*, const int32_t*, int64_t, const T*, int64_t, V<T>*);
  typedef void (*Correlate)(const V<T>*, int64_t, const int32_t*, int64_t, const V<T>*, int64_t, V<T>*);
  typedef void (*Add)(const V<T>*, const int32_t*, int64_t, const T*, int64_t, const int64_t*, V<T>*);
  typedef void (*CorrelateOn)(const V<T>*, int64_t, const int32_t*, int64_t, const V<T>*, const int64_t*,
                              const int64_t*, V<T>*);
  typedef void (*Collect)(const V<T>*, const int64_t*, const T*, int64_t, const int32_t*, V<T>*);
  // Entries whose products are collected at a time.
  static constexpr int MOST = 12;
  Spread spreads[WIDEST + 1] = {};
  CorrelateOn correlatesOn[WIDEST + 1] = {};
  Collect collects[MOST + 1] = {};
  Add adds[WIDEST + 1] = {};
  Correlate correlates[WIDEST + 1] = {};
  Products() {
    fill(std::make_index_sequence<WIDEST>());
    fillCollects(std::make_index_sequence<MOST>());
  }
  template <size_t... I>
  void fillCollects(std::index_sequence<I...>) {
    ((collects[I + 1] = collectOn<T, int(I) + 1>), ...);
  }
  template <size_t... I>
  void fill(std::index_sequence<I...>) {
    ((spreads[I + 1] = spread<T, int(I) + 1>, adds[I + 1] = spreadOn<T, int(I) + 1>,
      correlates[I + 1] = correlate<T, int(I) + 1>,
      correlatesOn[I + 1] = correlateOn<T, int(I) + 1>), ...);
  }
  // Taps at a time, so that all pieces are of about the same size.
  static int piece(int64_t taps) {
    const int64_t pieces = (taps + WIDEST - 1) / WIDEST;
    return int((taps + pieces - 1) / pieces);
  }
};

template <class T>
void collectAll(const V<T>* patch, const T* weight, int64_t taps, const int32_t* list, int64_t count,
                V<T>* into) {
  int64_t i = 0;
  for (; i + 8 <= count; i += 8) collect<T, 8>(patch, weight, taps, list + i, into);
  for (; i + 4 <= count; i += 4) collect<T, 4>(patch, weight, taps, list + i, into);
  for (; i + 2 <= count; i += 2) collect<T, 2>(patch, weight, taps, list + i, into);
  for (; i < count; i++) collect<T, 1>(patch, weight, taps, list + i, into);
}

}  // namespace
}  // namespace TAUTNET_SET
}  // namespace tautnet
