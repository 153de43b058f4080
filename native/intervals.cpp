// Values and intervals of a chain of layers, forward and reverse, for one instruction set (TAUTNET_SET,
// TAUTNET_BYTES as in rows.cpp).
#include "reverse.h"

namespace tautnet {
namespace TAUTNET_SET {
namespace {

template <class T>
void run(const Propagation<T>& work) {
  if (work.gradients == nullptr) Forward<T>(work.chain, work.arrays, work.stored).run();
  else Reverse<T>(work).run();
}

}  // namespace

void propagate(const Propagation<float>& work) { run(work); }
void propagate(const Propagation<double>& work) { run(work); }

}  // namespace TAUTNET_SET
}  // namespace tautnet
