// The first two convolutions, some rows of the second at a time: what lies between them stays in the cache
// and is computed anew for the derivative, as memory takes longer than the few taps of a first layer.
#pragma once
#include "layers.h"
#include "vector.h"

namespace tautnet {
namespace TAUTNET_SET {
namespace {

// Rows [from, to) of a layer's outputs.
struct Rows {
  int32_t from, to;
};

class Head {
  // Bytes of a vector of images between the layers: what the cache has room for, and above which it pays.
  // Times that the second layer has the multiplications of the first, at least.
#ifdef TAUTNET_SMALL
  static constexpr int64_t ROOM = 8 << 10, LEAST = 0, FEW = 0;  // also in the small networks of tests
#else
  static constexpr int64_t ROOM = 400 << 10, LEAST = 512 << 10, FEW = 6;
#endif
  const Layers& chain;
  int32_t rows = 0;  // of the second layer at a time; 0: both are computed whole

  const Layer& second() const { return chain.layers[1]; }
  int32_t within(int32_t row) const { return std::min(std::max(row, 0), second().height); }

 public:
  explicit Head(const Layers& c) : chain(c) {
    if (c.count < 2 || c.layers[0].isLinear() || c.layers[1].isLinear()) return;
    const Layer &l = c.layers[0], &next = second();
    const int64_t row = int64_t(next.inputs) * paddedWidth(next) * c.planes * TAUTNET_BYTES;
    if (row * paddedHeight(next) <= LEAST) return;
    if (FEW * l.taps() * l.features() > next.taps() * next.features()) return;
    // Every row of the first layer is read, and none only in part.
    if (next.kernelY < next.strideY || next.padY >= next.kernelY) return;
    if ((next.outputHeight - 1) * next.strideY + next.kernelY < next.padY + next.height) return;
    const int64_t most = (ROOM / row - next.kernelY) / next.strideY + 1;
    // Rows that two tiles read are computed twice.
    if (most * next.strideY * 2 < (most - 1) * next.strideY + next.kernelY) return;
    rows = int32_t(std::max<int64_t>(0, std::min<int64_t>(most, next.outputHeight)));
  }

  bool isAny() const { return rows > 0; }
  int32_t tiles() const { return (second().outputHeight + rows - 1) / rows; }
  // Rows of the second layer's padded input that a tile reads.
  int32_t window() const { return (rows - 1) * second().strideY + second().kernelY; }
  // The first of them.
  int32_t begin(int32_t tile) const { return tile * rows * second().strideY; }
  // A tile's rows of the second layer.
  Rows outputs(int32_t tile) const {
    return {tile * rows, std::min((tile + 1) * rows, second().outputHeight)};
  }
  // The rows of the first layer that it reads.
  Rows inputs(int32_t tile) const {
    const Rows r = outputs(tile);
    const int32_t from = begin(tile) - second().padY, last = (r.to - r.from - 1) * second().strideY;
    return {within(from), within(from + last + second().kernelY)};
  }
  // Those whose cotangents it completes: each is of one tile.
  Rows completed(int32_t tile) const {
    const int32_t end = tile + 1 < tiles() ? within(begin(tile + 1) - second().padY) : second().height;
    return {tile > 0 ? within(begin(tile) - second().padY) : 0, end};
  }
  int32_t mostCompleted() const {
    int32_t most = 0;
    for (int32_t tile = 0; tile < tiles(); tile++)
      most = std::max(most, completed(tile).to - completed(tile).from);
    return most;
  }
};

}  // namespace
}  // namespace TAUTNET_SET
}  // namespace tautnet
