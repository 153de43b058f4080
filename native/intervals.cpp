// Values and intervals of a chain of layers, forward and reverse, for one instruction set (TAUTNET_SET,
// TAUTNET_BYTES as in rows.cpp).
#include "reverse.h"

namespace tautnet {
namespace TAUTNET_SET {
namespace {

template <class T>
void run(const Propagation<T>& work) {
  static thread_local Arena arena;
  arena.begin();
  if (work.gradients == nullptr) Forward<T>(work.chain, work.arrays, work.stored, arena).run();
  else Reverse<T>(work, arena).run();
}

}  // namespace

void propagate(const Propagation<float>& work) { run(work); }
void propagate(const Propagation<double>& work) { run(work); }

}  // namespace TAUTNET_SET
}  // namespace tautnet
