// Moments of a layer's intervals (MOMENTS in layers.h), and their derivative.
#pragma once
#include "layers.h"
#include "vector.h"

namespace tautnet {
namespace TAUTNET_SET {
namespace {

// Sums in vectors that are added up in double.
template <class T>
class Tally {
  static constexpr int L = Vector<T>::lanes;
  enum { WIDTH, CENTRE, ACTIVE, INACTIVE, ACTIVE_SQUARES, INACTIVE_SQUARES, ACTIVES, INACTIVES, COUNT };
  V<T> sums[COUNT] = {};
  double all[COUNT] = {};

 public:
  // Gives the centre where the interval is below zero, else 0.
  V<T> see(V<T> low, V<T> up) {
    const V<T> zero = {}, one = zero + T(1), centre = (low + up) * T(0.5);
    const V<T> active = low > T(0) ? centre : zero, inactive = up < T(0) ? centre : zero;
    sums[WIDTH] += up - low;
    sums[CENTRE] += centre;
    sums[ACTIVE] += active;
    sums[INACTIVE] += inactive;
    sums[ACTIVE_SQUARES] += active * active;
    sums[INACTIVE_SQUARES] += inactive * inactive;
    sums[ACTIVES] += low > T(0) ? one : zero;
    sums[INACTIVES] += up < T(0) ? one : zero;
    return inactive;
  }
  // Adds what was seen of one vector of images, with their weights.
  void add(V<T> weight) {
    for (int i = 0; i < COUNT; i++) {
      double sum = 0;
      for (int l = 0; l < L; l++) sum += double(sums[i][l]) * double(weight[l]);
      all[i] += sum;
      sums[i] = V<T>{};
    }
  }
  // `count`: features times images. Writes MOMENTS, and where it is asked for MOMENT_TOTALS.
  void finish(T count, T* moments, T* totals) const {
    const double m = all[CENTRE] / double(count);
    const auto squares = [&](int i) {
      const double sum = all[ACTIVE_SQUARES + i] - 2 * m * all[ACTIVE + i] + m * m * all[ACTIVES + i];
      return T(sum > 0 ? sum : 0);
    };
    const T found[MOMENTS] = {T(all[WIDTH]), T(all[ACTIVE]), T(all[INACTIVE]), squares(0), squares(1)};
    std::copy(found, found + MOMENTS, moments);
    if (totals == nullptr) return;
    const T needed[MOMENT_TOTALS] = {T(m), found[1], found[2], T(all[ACTIVES]), T(all[INACTIVES])};
    std::copy(needed, needed + MOMENT_TOTALS, totals);
  }
};

// The derivative of a layer's moments in its intervals' ends, from cotangents g of MOMENTS.
//
//   of both ends: ½(g₁ + 2 g₃ (c − m)) where l > 0, ½(g₂ + 2 g₄ (c − m)) where u < 0, and everywhere, as m is
//   the mean of n centres, −(g₃ Σ (c − m) + g₄ Σ (c − m))/n, sums over where l > 0 and where u < 0
template <class T>
struct MomentSlopes {
  bool any = false;
  T width = 0, mean = 0, everywhere = 0, active = 0, inactive = 0, activeBend = 0, inactiveBend = 0;
  MomentSlopes() = default;
  MomentSlopes(const T* g, const T* totals, T count)
      : any(true), width(g[0]), mean(totals[0]), active(g[1] / 2), inactive(g[2] / 2), activeBend(g[3]),
        inactiveBend(g[4]) {
    const T above = totals[1] - mean * totals[3], below = totals[2] - mean * totals[4];
    everywhere = -(g[3] * above + g[4] * below) / count;
  }
  // `isActive`: whether l > 0; `below`: the centre where u < 0, else 0.
  template <class Mask>
  V<T> ofCentre(V<T> centre, Mask isActive, V<T> below) const {
    const V<T> zero = {};
    const V<T> down = below < T(0) ? inactive + inactiveBend * (below - mean) : zero;
    return (isActive ? active + activeBend * (centre - mean) : down) + everywhere;
  }
};

}  // namespace
}  // namespace TAUTNET_SET
}  // namespace tautnet
