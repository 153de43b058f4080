// Gradients of a linear layer's weights: sums over images of products of cotangents with what it read. Inputs
// are the lanes, so that no sum goes over them.
#pragma once
#include "activations.h"
#include "matrix.h"

namespace tautnet {
namespace TAUTNET_SET {
namespace {

// Outputs, and vectors of inputs, of a tile of a matrix's gradients.
constexpr int OUTER_OUTPUTS = TAUTNET_BYTES == 64 ? 6 : 4, OUTER_VECTORS = TAUTNET_BYTES == 64 ? 4 : 3;

// Cotangents of a linear layer's sums, and of images what it reads: rows of OUTER_VECTORS vectors of inputs.
template <class T>
struct Outer {
  int planes;
  int64_t images;
  Activations<T> g;
  const V<T>* x;    // [planes, images, OUTER_VECTORS]
  int64_t xPlane;
};

// into[m, i] += Σ over images of g[m] x[i], and sign(W[m, i]) times that of radii, for M outputs and P
// vectors of inputs; rows of `into` and `weight` are `step` apart.
template <class T, int M, int P>
void outerTile(const Outer<T>& all, int64_t output, int64_t from, const T* weight, T* into, int64_t step) {
  constexpr int L = Vector<T>::lanes;
  V<T> s[M][P] = {};
  for (int plane = all.planes - 1; plane >= 0; plane--) {
    const V<T>* x = all.x + plane * all.xPlane + from;
    for (int64_t v = 0; v * L < all.images; v++) {
      const T* g = reinterpret_cast<const T*>(all.g.of(v) + plane * all.g.plane + output);
      const int count = int(std::min<int64_t>(L, all.images - v * L));
      for (int b = 0; b < count; b++, x += OUTER_VECTORS) {
        V<T> read[P];
        TAUTNET_WHOLE
        for (int p = 0; p < P; p++) read[p] = x[p];
        TAUTNET_WHOLE
        for (int m = 0; m < M; m++) {
          const V<T> c = broadcast(g[m * L + b]);
          TAUTNET_WHOLE
          for (int p = 0; p < P; p++) s[m][p] += c * read[p];
        }
      }
    }
    if (plane == 0) break;
    TAUTNET_WHOLE
    for (int m = 0; m < M; m++)
      TAUTNET_WHOLE
      for (int p = 0; p < P; p++) s[m][p] *= sign<T>(load<T>(weight + m * step + p * L));
  }
  TAUTNET_WHOLE
  for (int m = 0; m < M; m++)
    TAUTNET_WHOLE
    for (int p = 0; p < P; p++) {
      T* to = into + m * step + p * L;
      store<T>(to, load<T>(to) + s[m][p]);
    }
}

// The same for what is no whole vector: `left` inputs.
template <class T, int M>
void outerRest(const Outer<T>& all, int64_t output, int64_t from, const T* weight, T* into, int64_t step,
               int left) {
  constexpr int L = Vector<T>::lanes;
  alignas(64) T w[M * L] = {}, sums[M * L] = {};
  for (int m = 0; m < M; m++) std::copy(weight + m * step, weight + m * step + left, w + m * L);
  outerTile<T, M, 1>(all, output, from, w, sums, L);
  for (int m = 0; m < M; m++)
    for (int n = 0; n < left; n++) into[m * step + n] += sums[m * L + n];
}

template <class T, int M>
void outerOf(const Outer<T>& all, int64_t output, const T* weight, T* into, int64_t step, int64_t inputs) {
  constexpr int L = Vector<T>::lanes;
  if (inputs == OUTER_VECTORS * L)
    return outerTile<T, M, OUTER_VECTORS>(all, output, 0, weight, into, step);
  int64_t i = 0;
  for (; i + L <= inputs; i += L) outerTile<T, M, 1>(all, output, i / L, weight + i, into + i, step);
  if (i < inputs) outerRest<T, M>(all, output, i / L, weight + i, into + i, step, int(inputs - i));
}

// Lanes of vectors 2i, 2i + 1 of the transpose, from vectors i and i + L/2.
template <class T, size_t... I>
inline V<T> interleaved(V<T> a, V<T> b, bool second, std::index_sequence<I...>) {
  constexpr int L = Vector<T>::lanes;
  return second ? __builtin_shufflevector(a, b, (I / 2 + I % 2 * L + L / 2)...)
                : __builtin_shufflevector(a, b, (I / 2 + I % 2 * L)...);
}
// to[b · step] has lane b of each of the vectors at `from`, zeros beyond `count` ≤ lanes.
template <class T>
void transpose(const V<T>* from, int count, V<T>* to, int64_t step) {
  constexpr int L = Vector<T>::lanes;
  constexpr auto lanes = std::make_index_sequence<L>();
  V<T> v[L], w[L];
  for (int i = 0; i < L; i++) v[i] = i < count ? from[i] : V<T>{};
  for (int n = 1; n < L; n *= 2) {
    TAUTNET_WHOLE
    for (int i = 0; i < L / 2; i++) {
      w[2 * i] = interleaved<T>(v[i], v[i + L / 2], false, lanes);
      w[2 * i + 1] = interleaved<T>(v[i], v[i + L / 2], true, lanes);
    }
    std::copy(w, w + L, v);
  }
  for (int i = 0; i < L; i++) to[i * step] = v[i];
}

// Bytes of what images read that stay in the innermost cache while all outputs pass, and of a line of it.
constexpr int64_t NEAR = 32768, LINE = 64;
// Vectors of images at a time, so that what they read of a tile's inputs stays in the innermost cache.
constexpr int64_t outerImages(int planes, int lanes) {
  return std::max<int64_t>(1, NEAR / (planes * OUTER_VECTORS * TAUTNET_BYTES * lanes));
}
// Tiles of inputs that an output's tile meets one after the other: rows of weights are far from each other in
// memory, so that it reads long pieces of them.
constexpr int64_t STRIPS = 4;
// Vectors that `outerProduct` needs for what images read.
template <class T>
inline int64_t outerSize(int planes) {
  constexpr int L = Vector<T>::lanes;
  return STRIPS * planes * outerImages(planes, L) * L * OUTER_VECTORS;
}

// What images read of the inputs from i on, `inputs` of them, with inputs as lanes.
template <class T>
void packInputs(const Outer<T>& all, const Activations<T>& x, int64_t i, int64_t inputs, V<T>* to) {
  constexpr int L = Vector<T>::lanes;
  for (int plane = 0; plane < all.planes; plane++)
    for (int64_t v = 0; v * L < all.images; v++)
      for (int64_t n = 0; n < inputs; n += L)
        transpose<T>(x.of(v) + plane * x.plane + i + n, int(std::min<int64_t>(L, inputs - n)),
                     to + plane * all.xPlane + v * L * OUTER_VECTORS + n / L, OUTER_VECTORS);
}

// Prefetches some rows, of `step` numbers, of weights' gradients and of the weights.
template <class T>
void fetchRows(const T* weight, T* into, int64_t rows, int64_t step, int64_t inputs, int planes) {
  for (int64_t m = 0; m < rows; m++)
    for (int64_t n = 0; n < inputs; n += LINE / int64_t(sizeof(T))) {
      __builtin_prefetch(into + m * step + n, 1);
      if (planes == 2) __builtin_prefetch(weight + m * step + n);
    }
}

// into[o, i] += Σ over images of g[o] x[i], and sign(W[o, i]) times that of radii; `packed` is memory for
// `outerSize`.
template <class T>
void outerProduct(const Matrix<T>& w, const Activations<T>& g, const Activations<T>& x, int64_t batch,
                  int planes, V<T>* packed, T* into) {
  constexpr int L = Vector<T>::lanes;
  constexpr int64_t WIDTH = OUTER_VECTORS * L;
  const int64_t most = outerImages(planes, L), plane = most * L * OUTER_VECTORS;
  for (int64_t v = 0; v * L < batch; v += most) {
    Outer<T> all{planes, std::min(most * L, batch - v * L), {g.of(v), g.plane, g.step}, packed, plane};
    for (int64_t from = 0; from < w.taps; from += STRIPS * WIDTH) {
      const int64_t end = std::min(w.taps, from + STRIPS * WIDTH);
      for (int64_t i = from; i < end; i += WIDTH)
        packInputs<T>(all, {x.of(v), x.plane, x.step}, i, std::min(WIDTH, end - i),
                      packed + (i - from) / WIDTH * planes * plane);
      for (int64_t o = 0; o < w.outputs;) {
        const int width = o + OUTER_OUTPUTS <= w.outputs ? OUTER_OUTPUTS : o + 2 <= w.outputs ? 2 : 1;
        const auto tile = width == OUTER_OUTPUTS ? outerOf<T, OUTER_OUTPUTS>
                          : width == 2           ? outerOf<T, 2>
                                                 : outerOf<T, 1>;
        for (int64_t i = from; i < end; i += WIDTH) {
          const T* weight = w.at(o, i);
          T* to = into + o * w.taps + i;
          const int64_t inputs = std::min(WIDTH, end - i);
          const int64_t next = std::min<int64_t>(width, w.outputs - o - width);
          fetchRows(weight + width * w.taps, to + width * w.taps, next, w.taps, inputs, planes);
          all.x = packed + (i - from) / WIDTH * planes * plane;
          tile(all, o, weight, to, w.taps, inputs);
        }
        o += width;
      }
    }
  }
}

}  // namespace
}  // namespace TAUTNET_SET
}  // namespace tautnet
