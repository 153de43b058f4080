// Upper sides of the hulls of neurons and what they read (`src/verification/branch-and-bound/hull.ts`): at θ
//
//   y ≤ π (w·x + b) + θ v·x − π l − θ s + max(0, (1 − θ − π) u + π l + θ (s + r)),
//
// with the best π. Of LINES with sides, arrays 4 and 5 have for each neuron, channels of a pixel together, v on
// the taps of the AFFINE step behind, and the numbers (s + r)/(u − l), l, u − l, s; where a search chooses
// them, shares m of v = m∘w instead.
#pragma once
#include "margin-tables.h"

namespace tautnet {
namespace TAUTNET_SET {
namespace {

// The sides of a neuron for a vector of rows; rows that have decided it have none.
template <class T>
struct Side {
  static constexpr int NUMBERS = 4;
  V<T> theta, lower, width, least, steep, limit, balanced, share, intercept;
  // `line` is that of the triangle, with α at θ's place: the two are the same number.
  Side(const T* numbers, const Line<T>& line) {
    const V<T> zero{};
    theta = line.mu != zero ? line.alpha : zero;
    lower = zero + numbers[1], width = zero + numbers[2], least = zero + numbers[3];
    steep = numbers[0] - line.lambda;
    limit = T(1) - theta;
    balanced = line.lambda + theta * steep;
    share = balanced > zero ? balanced : zero;
    share = share > limit ? limit : share;
    const V<T> left = positive<T>(balanced - share) * width;
    intercept = left - share * lower - theta * least;
  }
  // Makes the line above that of the side. What is returned times a negative coefficient goes to x.
  V<T> moveAbove(Line<T>& line) const {
    const V<T> zero{};
    line.lambda = line.mu != zero ? share : line.lambda;
    line.mu = line.mu != zero ? intercept : zero;
    return theta;
  }
  // The slope in (s + r)/(u − l) by 1/(u − l), of a negative coefficient and y of what passes.
  V<T> ofReach(V<T> negative, V<T> y) const {
    const V<T> zero{}, ofBalanced = balanced < zero ? zero : balanced > limit ? width : y - lower;
    return negative * ofBalanced * theta / width;
  }
  // For negative coefficients: the slope in them, and the one in θ by their size, from y of what passes, g of
  // the constant and z of what goes to x.
  V<T> back(const Line<T>& line, V<T> y, V<T> g, V<T> z, V<T>& ofTheta) const {
    const V<T> zero{};
    const V<T> ofShare = balanced < zero ? zero : balanced > limit ? zero - T(1) : steep;
    const V<T> ofLeft = balanced > limit ? width * (steep - ofShare) : zero;
    const auto isOpen = line.mu != zero;
    ofTheta = isOpen ? y * ofShare + g * (ofLeft - ofShare * lower - least) + z : zero;
    return isOpen ? y * share + g * intercept + z * theta : y * line.lambda + g * line.mu;
  }
};

}  // namespace
}  // namespace TAUTNET_SET
}  // namespace tautnet
