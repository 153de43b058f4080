// Vectors of the instruction set that this file is compiled for (TAUTNET_BYTES), a row to a lane, and aligned
// memory.
#pragma once
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <utility>
#if TAUTNET_BYTES > 16
#include <immintrin.h>
#endif

namespace tautnet {
namespace TAUTNET_SET {
namespace {

template <class T>
struct Vector {
  typedef T type __attribute__((vector_size(TAUTNET_BYTES)));
  static constexpr int lanes = TAUTNET_BYTES / sizeof(T);
};
template <class T>
using V = typename Vector<T>::type;

// Sums that stay in registers: of 32 with AVX-512, of 16 otherwise.
#ifdef TAUTNET_WIDEST
constexpr int WIDEST = TAUTNET_WIDEST;
#else
constexpr int WIDEST = TAUTNET_BYTES == 64 ? 26 : 12;
#endif

template <class T>
inline V<T> load(const T* from) {
  V<T> v;
  std::memcpy(&v, from, sizeof v);
  return v;
}
template <class T>
inline void store(T* to, V<T> v) {
  std::memcpy(to, &v, sizeof v);
}
// x in every lane, straight from memory: 0 + x would be computed, as it differs for −0.
template <class T>
inline V<T> broadcast(T x) {
  return x - V<T>{};
}
template <class T>
inline V<T> positive(V<T> a) {
  return a > T(0) ? a : V<T>{};
}
template <class T>
inline V<T> magnitude(V<T> a) {
  return a < T(0) ? -a : a;
}
// |a|, by its bits.
inline V<float> absolute(V<float> a) {
  typedef int32_t Words __attribute__((vector_size(TAUTNET_BYTES)));
  return V<float>(Words(a) & int32_t(0x7fffffff));
}
inline V<double> absolute(V<double> a) {
  typedef int64_t Words __attribute__((vector_size(TAUTNET_BYTES)));
  return V<double>(Words(a) & int64_t(0x7fffffffffffffff));
}

// −1, 0 or 1.
template <class T>
inline V<T> sign(V<T> a) {
  const V<T> one = V<T>{} + T(1);
  return (a > T(0) ? one : V<T>{}) - (a < T(0) ? one : V<T>{});
}
// Whether any lane differs from zero; NaN does.
template <class T>
inline bool any(V<T> v) {
#if TAUTNET_BYTES == 64
  if constexpr (sizeof(T) == 4) return _mm512_cmp_ps_mask((__m512)v, _mm512_setzero_ps(), _CMP_NEQ_UQ) != 0;
  else return _mm512_cmp_pd_mask((__m512d)v, _mm512_setzero_pd(), _CMP_NEQ_UQ) != 0;
#elif TAUTNET_BYTES == 32
  if constexpr (sizeof(T) == 4)
    return _mm256_movemask_ps(_mm256_cmp_ps((__m256)v, _mm256_setzero_ps(), _CMP_NEQ_UQ)) != 0;
  else return _mm256_movemask_pd(_mm256_cmp_pd((__m256d)v, _mm256_setzero_pd(), _CMP_NEQ_UQ)) != 0;
#endif
  int differs = 0;
  for (int l = 0; l < Vector<T>::lanes; l++) differs |= !(v[l] == T(0));
  return differs != 0;
}

// [a0 + a1, a2 + a3, …, b0 + b1, …]
template <class T, size_t... I>
inline V<T> pairSums(V<T> a, V<T> b, std::index_sequence<I...>) {
  return __builtin_shufflevector(a, b, (2 * I)...) + __builtin_shufflevector(a, b, (2 * I + 1)...);
}
// Sums over the lanes of `count` ≤ lanes vectors, always in the same order.
template <class T>
inline V<T> totals(const V<T>* from, int count) {
  constexpr int L = Vector<T>::lanes;
  V<T> v[L];
  for (int i = 0; i < L; i++) v[i] = i < count ? from[i] : V<T>{};
  for (int n = L / 2; n > 0; n /= 2)
    for (int i = 0; i < n; i++) v[i] = pairSums<T>(v[2 * i], v[2 * i + 1], std::make_index_sequence<L>());
  return v[0];
}
template <class T>
inline T total(V<T> v) {
  return totals<T>(&v, 1)[0];
}

struct Aligned {
  void operator()(void* p) const { ::operator delete[](p, std::align_val_t(64)); }
};
template <class U>
using Array = std::unique_ptr<U[], Aligned>;
// Zeros.
template <class U>
Array<U> allocate(int64_t size) {
  const size_t bytes = size_t(std::max<int64_t>(size, 1)) * sizeof(U);
  void* memory = ::operator new[](bytes, std::align_val_t(64));
  std::memset(memory, 0, bytes);
  return Array<U>(static_cast<U*>(memory));
}

}  // namespace
}  // namespace TAUTNET_SET
}  // namespace tautnet
