// Cotangents of what was seen of a convolution's sums, of some rows: copied channel by channel, as they lie
// in arrays [features, batch]. In the order of an adjoint's tiles, which jump from channel to channel, each
// would be waited for.
#pragma once
#include "activations.h"
#include "head.h"

namespace tautnet {
namespace TAUTNET_SET {
namespace {

// Rows at a time, so that they stay in the cache.
template <class T>
inline int32_t stagedRows(const Layer& l, int planes) {
  constexpr int64_t ROOM = 240 << 10;
  const int64_t row = int64_t(planes) * l.outputs * l.outputWidth * int64_t(sizeof(V<T>));
  return int32_t(std::min<int64_t>(std::max<int64_t>(1, ROOM / row), l.outputHeight));
}

template <class T>
class Staged {
  V<T>* numbers = nullptr;  // [planes, channels, places]
  int64_t channels = 0, step = 0, first = 0, area = 0;

 public:
  // Memory for `most` numbers.
  template <class Memory>
  void reserve(int64_t most, Memory& memory) {
    numbers = memory.template take<V<T>>(most);
  }
  void begin(const Layer& l, Rows rows) {
    channels = l.outputs;
    area = l.area();
    first = int64_t(rows.from) * l.outputWidth;
    step = int64_t(rows.to - rows.from) * l.outputWidth;
  }
  // The number of an end of a channel at a place of the layer.
  V<T>* at(int end, int64_t channel, int64_t place) const {
    return numbers + (end * channels + channel) * step + place - first;
  }
  void read(int end, const T* array, int64_t batch, int64_t images) {
    for (int64_t channel = 0; channel < channels; channel++)
      for (int64_t p = first; p < first + step; p++)
        *at(end, channel, p) = lanesOf<T>(array, channel * area + p, batch, images);
  }
};

}  // namespace
}  // namespace TAUTNET_SET
}  // namespace tautnet
