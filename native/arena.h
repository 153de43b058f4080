// Memory of a thread for arrays that live for one call: the system would map and clear it anew each time,
// which takes as long as the products.
#pragma once
#include <sys/mman.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <vector>

namespace tautnet {
namespace TAUTNET_SET {
namespace {

class Arena {
  static constexpr size_t PAGE = size_t(1) << 21, LINE = 64;
  std::vector<char*> blocks;
  size_t size = 0, used = 0, needed = 0;

  static char* reserve(size_t bytes) {
    void* memory = ::operator new(bytes, std::align_val_t(PAGE));
    madvise(memory, bytes, MADV_HUGEPAGE);
    return static_cast<char*>(memory);
  }
  static size_t pages(size_t bytes) { return (bytes + PAGE - 1) / PAGE * PAGE; }
  void release() {
    for (char* block : blocks) ::operator delete(block, std::align_val_t(PAGE));
    blocks.clear();
    size = 0;
  }

 public:
  ~Arena() { release(); }
  Arena() = default;
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  // Begins a call: what the last one took is free. One block serves calls that need no more than it did.
  void begin() {
    if (blocks.size() > 1 || needed > size) {
      release();
      blocks.push_back(reserve(pages(needed)));
      size = pages(needed);
    }
    used = needed = 0;
  }
  // Numbers of any value.
  template <class U>
  U* take(int64_t count) {
    const size_t bytes = (size_t(count) * sizeof(U) + LINE - 1) / LINE * LINE;
    needed += bytes;
    if (used + bytes > size || blocks.empty()) {
      blocks.push_back(reserve(pages(bytes)));
      size = pages(bytes);
      used = 0;
    }
    char* at = blocks.back() + used;
    used += bytes;
    return reinterpret_cast<U*>(at);
  }
  template <class U>
  U* zeros(int64_t count) {
    U* at = take<U>(count);
    std::memset(static_cast<void*>(at), 0, size_t(count) * sizeof(U));
    return at;
  }
};

}  // namespace
}  // namespace TAUTNET_SET
}  // namespace tautnet
