// Products of a linear layer, straight from its matrix.
#pragma once
#include "activations.h"
#include "tiles.h"

namespace tautnet {
namespace TAUTNET_SET {
namespace {

// Vectors of images that share each weight of a linear layer: whoever reads a large matrix reads it once.
constexpr int MATRIX_PLACES = TAUTNET_BYTES == 64 ? 4 : 3;
// Outputs of a tile of a linear layer.
constexpr int matrixOutputs(int places, int planes) {
  return (places == 4 ? TILE_OUTPUTS * 3 / 4 : TILE_OUTPUTS) / planes;
}
// Inputs of a linear layer at a time, so that those of several vectors of images stay in the cache. Fewer
// would begin more rows of the matrix, far from each other in memory.
constexpr int64_t BLOCK = 256;

// A linear layer's matrix, or its transpose: the entry (output, tap) is at
// numbers[output · toOutput + tap · toTap].
template <class T>
struct Matrix {
  const T* numbers;
  int64_t outputs, taps, toOutput, toTap;
  const T* at(int64_t output, int64_t tap) const { return numbers + output * toOutput + tap * toTap; }
};

// The product of a linear layer, straight from its matrix, whose entry (m, k) is at
// weight[m · toOutput + k · toTap]:
// sums[(m · P + p) · planes + plane] += Σ_k w x[p][k], and |w| with the radii that lie `plane` further.
template <class T, int M, int P, int PLANES>
void matrixTile(const T* weight, int64_t toOutput, int64_t toTap, int64_t count, const V<T>* const* x,
                int64_t plane, V<T>* sums) {
  for (int64_t from = 0; from < count; from += RUN) {
    const int64_t end = std::min(count, from + RUN);
    V<T> s[M][P][PLANES] = {};
    for (int64_t k = from; k < end; k++) {
      V<T> v[P][PLANES];
      TAUTNET_WHOLE
      for (int p = 0; p < P; p++)
        TAUTNET_WHOLE
        for (int i = 0; i < PLANES; i++) v[p][i] = x[p][k + i * plane];
      TAUTNET_WHOLE
      for (int m = 0; m < M; m++) {
        const V<T> w = broadcast(weight[m * toOutput + k * toTap]);
        TAUTNET_WHOLE
        for (int p = 0; p < P; p++) s[m][p][0] += v[p][0] * w;
        if (PLANES == 1) continue;
        const V<T> a = absolute(w);
        TAUTNET_WHOLE
        for (int p = 0; p < P; p++) s[m][p][PLANES - 1] += v[p][PLANES - 1] * a;
      }
    }
    TAUTNET_WHOLE
    for (int m = 0; m < M; m++)
      TAUTNET_WHOLE
      for (int p = 0; p < P; p++)
        TAUTNET_WHOLE
        for (int i = 0; i < PLANES; i++) sums[(m * P + p) * PLANES + i] += s[m][p][i];
  }
}
template <class T, int PLANES>
void matrixTileOf(int outputs, int places, const T* weight, int64_t toOutput, int64_t toTap, int64_t count,
                  const V<T>* const* x, int64_t plane, V<T>* sums) {
  constexpr int M = matrixOutputs(3, PLANES);
#define TAUTNET_TILE(m, p) \
  return matrixTile<T, m, p, PLANES>(weight, toOutput, toTap, count, x, plane, sums)
#if TAUTNET_BYTES == 64
  if (places == 4) {
    if (outputs == matrixOutputs(4, PLANES)) TAUTNET_TILE(matrixOutputs(4, PLANES), 4);
    TAUTNET_TILE(1, 4);
  }
#endif
  if (outputs == M) {
    if (places == 3) TAUTNET_TILE(M, 3);
    if (places == 2) TAUTNET_TILE(M, 2);
    TAUTNET_TILE(M, 1);
  }
  if (places == 3) TAUTNET_TILE(1, 3);
  if (places == 2) TAUTNET_TILE(1, 2);
  TAUTNET_TILE(1, 1);
#undef TAUTNET_TILE
}


// Outputs whose sums over all inputs are completed before the next ones: few where inputs stay in the cache
// anyway, so that sums do as well, else all.
inline int64_t matrixChunk(int64_t outputs, int64_t taps, int planes) {
  constexpr int64_t ROOM = 320 << 10, FEW = 96;
  return taps * planes * MATRIX_PLACES * TAUTNET_BYTES <= ROOM ? std::min(outputs, FEW) : outputs;
}
// Vectors that `matrixProduct` needs for its sums.
template <class T>
inline int64_t matrixSums(const Matrix<T>& w, int planes) {
  return matrixChunk(w.outputs, w.taps, planes) * planes * MATRIX_PLACES;
}

// Products of outputs [begin, end) with up to MATRIX_PLACES vectors of images:
// sums[((output − begin) · count + vector) · planes + plane].
template <class T>
void matrixPart(const Matrix<T>& w, int64_t begin, int64_t end, const V<T>* const* from, int count,
                int planes, int64_t plane, V<T>* sums) {
  const int tileOutputs = matrixOutputs(count, planes);
  const int64_t each = count * planes;
  std::memset(static_cast<void*>(sums), 0, size_t((end - begin) * each) * sizeof(V<T>));
  for (int64_t tap = 0; tap < w.taps; tap += BLOCK) {
    const int64_t block = std::min(BLOCK, w.taps - tap);
    const V<T>* x[MATRIX_PLACES];
    for (int i = 0; i < count; i++) x[i] = from[i] + tap;
    for (int64_t o = begin; o < end;) {
      const int width = o + tileOutputs <= end ? tileOutputs : 1;
      const T* numbers = w.at(o, tap);
      V<T>* into = sums + (o - begin) * each;
      if (planes == 1) matrixTileOf<T, 1>(width, count, numbers, w.toOutput, w.toTap, block, x, 0, into);
      else matrixTileOf<T, 2>(width, count, numbers, w.toOutput, w.toTap, block, x, plane, into);
      o += width;
    }
  }
}

// Calls done(output, vector, W x or W c, |W| r) for all images side by side, as places are elsewhere; `sums`
// is memory for `matrixSums`.
template <class T, class Done>
void matrixProduct(const Matrix<T>& w, const Activations<T>& from, int64_t vectors, int planes, V<T>* sums,
                   Done done) {
  const int64_t pieces = (vectors + MATRIX_PLACES - 1) / MATRIX_PLACES;
  const int64_t piece = (vectors + pieces - 1) / pieces, chunk = matrixChunk(w.outputs, w.taps, planes);
  for (int64_t v = 0; v < vectors; v += piece) {
    const int count = int(std::min(piece, vectors - v));
    const V<T>* x[MATRIX_PLACES];
    for (int i = 0; i < count; i++) x[i] = from.of(v + i);
    for (int64_t begin = 0; begin < w.outputs; begin += chunk) {
      const int64_t end = std::min(w.outputs, begin + chunk);
      matrixPart(w, begin, end, x, count, planes, from.plane, sums);
      for (int i = 0; i < count; i++)
        for (int64_t o = begin; o < end; o++) {
          const V<T>* found = sums + ((o - begin) * count + i) * planes;
          done(o, v + i, found[0], planes == 2 ? found[1] : V<T>{});
        }
    }
  }
}

}  // namespace
}  // namespace TAUTNET_SET
}  // namespace tautnet
