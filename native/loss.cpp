// The certified loss of many members on the same images: intervals forward, an image to a lane; bounds of
// hidden layers by rows with CROWN (`rows.cpp`); margins from intervals or by back-substitution; losses.
//
// Compiled once for each instruction set, as `rows.cpp` is. A member's numbers do not depend on the others'.
#include <cmath>

#include "products.h"
#include "site.h"

#include "loss-forward.h"

namespace tautnet {
namespace TAUTNET_SET {
namespace {

// Bounds of what a ReLU reads, [place, channel], and its lines α x ≤ relu(x) ≤ λ x + μ.
template <class T>
struct Hidden {
  Array<V<T>> lower, upper, alpha, lambda, mu;
  List passing;  // neurons that are active for an image of the vector
  void reserve(const Shape& s, bool lines) {
    for (auto* a : {&lower, &upper}) *a = allocate<V<T>>(s.features());
    if (!lines) return;
    for (auto* a : {&alpha, &lambda, &mu}) *a = allocate<V<T>>(s.features());
    passing.reserve(s.features());
  }
};

// A vector of images on its way: what layers 1, 2, … read, and what ReLUs do.
template <class T>
struct Images {
  std::vector<Input<T>> inputs;
  std::vector<Hidden<T>> hidden;
};

// max(a, 0), where NaN stays NaN.
template <class T>
inline V<T> relu(V<T> a) {
  return a <= T(0) ? V<T>{} : a;
}
// Whether any lane is above 0; NaN is.
template <class T>
inline bool anyPositive(V<T> v) {
  int64_t words[sizeof(V<T>) / sizeof(int64_t)], isNot = -1;
  const auto mask = v <= T(0);
  std::memcpy(words, &mask, sizeof mask);
  for (int64_t word : words) isNot &= word;
  return isNot != -1;
}
template <class T>
inline V<T> least(V<T> a, V<T> b) {
  return a < b ? a : b;
}

template <class T>
class Losses {
  static constexpr int L = Vector<T>::lanes;
  static constexpr T TINY = T(1e-30);  // as in `slopes.ts`
  LossWork<T> work;
  const LossHead head;
  const Products<T> products;
  std::vector<Shape> shapes;
  std::vector<Weights<T>> weights;
  int last, vectors;               // number of the last layer; vectors of a micro-batch
  std::vector<Input<T>> pixels;    // [part, vector]
  std::vector<V<T>> present;       // [part, vector]: 1 where an image is, else 0
  std::vector<Images<T>> images;   // of one vector, or of all of a micro-batch
  std::vector<Array<V<T>>> coefficients, passed;  // over each layer's input grid, and its output
  Array<V<T>> labelWeights, margins, logits;
  std::vector<int32_t> every;    // inputs of the last layer
  const T* parameters = nullptr;  // of the member at hand
  std::vector<Array<T>> tables;  // CROWN: α, λ, μ of each ReLU, [image, feature]; centre, radius of the input
  std::vector<int32_t> rows;
  std::vector<T> below, above;

  bool isCrown() const { return head.relaxation == CROWN; }
  bool hasLines() const { return head.relaxation != IBP; }
  Images<T>& imagesOf(int v) { return images[images.size() > 1 ? v : 0]; }
  const Input<T>& inputOf(int part, int v, int i) {
    return i == 0 ? pixels[size_t(part) * vectors + v] : imagesOf(v).inputs[i];
  }

 public:
  explicit Losses(const LossWork<T>& w)
      : work(w), head(w.head), last(w.head.layers - 1), vectors((w.head.batch + L - 1) / L) {
    for (int i = 0; i <= last; i++) shapes.emplace_back(w.layers[i]);
    for (int i = 0; i <= last; i++) {
      const Shape& s = shapes[i];
      const int64_t depth = i == last ? s.taps() : Products<T>::piece(s.taps());
      weights.emplace_back(s, i == last ? s.outputs : tileOf(s), hasLines() ? depth : 0);
    }
    images.resize(isCrown() || head.hasRegularizer ? vectors : 1);
    for (Images<T>& one : images) {
      one.inputs.resize(shapes.size());
      one.hidden.resize(shapes.size());
      for (int i = 0; i <= last; i++) {
        if (i > 0) one.inputs[i].reserve(shapes[i]);
        if (i < last) one.hidden[i].reserve(shapes[i], hasLines());
      }
    }
    for (const Shape& s : shapes) {
      coefficients.push_back(allocate<V<T>>(hasLines() ? s.gridSize : 0));
      passed.push_back(allocate<V<T>>(hasLines() ? s.features() : 0));
    }
    labelWeights = allocate<V<T>>(shapes[last].taps());
    for (int64_t e = 0; e < shapes[last].taps(); e++) every.push_back(int32_t(e));
    for (auto* a : {&margins, &logits}) *a = allocate<V<T>>(shapes[last].outputs);
    for (int k = 0; k < head.parts * vectors; k++) pixels.emplace_back().reserve(shapes[0]);
    present.resize(pixels.size());
    if (isCrown()) reserveTables();
  }

  // Whether the memory at hand is that of the same shapes.
  bool fits(const LossWork<T>& w) const {
    const auto same = [](const LossLayer& a, const LossLayer& b) { return !std::memcmp(&a, &b, sizeof a); };
    return !std::memcmp(&head, &w.head, sizeof head) &&
           std::equal(shapes.begin(), shapes.end(), w.layers, same);
  }

  void all(const LossWork<T>& w) {
    work = w;
    readPixels();
    if (isCrown()) writeBoxes();
    for (int64_t member = 0; member < work.members; member++) {
      parameters = work.points + member * work.coordinates;
      for (int i = 0; i <= last; i++) weights[i].read(shapes[i], parameters);
      const double norm = head.hasNorm ? weightNorm() : 0;
      for (int part = 0; part < head.parts; part++) {
        double* sums = work.sums + (member * head.parts + part) * SUMS;
        std::fill(sums, sums + SUMS, 0.0);
        sums[NORM] = norm;
        if (const int count = countOf(part)) one(part, (count + L - 1) / L, sums);
      }
    }
  }

 private:
  // Images up to the last that is there.
  int countOf(int part) const {
    const T* weight = work.weight + int64_t(part) * head.batch;
    int count = head.batch;
    while (count > 0 && !(weight[count - 1] > T(0))) count--;
    return count;
  }

  double weightNorm() const {
    double norm = 0;
    for (const Shape& s : shapes) {
      const T* w = parameters + s.weight;
      const int64_t size = s.taps() * s.outputs;
      double sums[8] = {};  // so that none waits for the one before
      int64_t k = 0;
      for (; k + 8 <= size; k += 8)
        for (int n = 0; n < 8; n++) sums[n] += std::abs(double(w[k + n]));
      for (; k < size; k++) sums[0] += std::abs(double(w[k]));
      for (double sum : sums) norm += sum;
    }
    return norm;
  }

  // Boxes of all images, behind the normalisation.
  void readPixels() {
    const Shape& s = shapes[0];
    const int64_t area = s.area(), features = area * s.channels;
    for (int part = 0; part < head.parts; part++)
      for (int v = 0; v < vectors; v++) {
        Input<T>& in = pixels[size_t(part) * vectors + v];
        V<T>& there = present[size_t(part) * vectors + v];
        there = V<T>{};
        for (int l = 0; l < std::min(L, head.batch - v * L); l++) {
          const int64_t image = int64_t(part) * head.batch + v * L + l;
          there[l] = work.weight[image] > T(0) ? T(1) : T(0);
          const T* x = work.images + image * features;
          for (int64_t c = 0; c < s.channels; c++)
            for (int64_t p = 0; p < area; p++)
              readPixel(in, s.inner(p) + c * s.step(), l, c, x[c * area + p]);
        }
      }
  }
  void readPixel(Input<T>& in, int64_t e, int lane, int64_t channel, T x) {
    T lower = x - work.epsilon, upper = x + work.epsilon;
    if (head.clip) lower = lower > T(0) ? lower : T(0), upper = upper < T(1) ? upper : T(1);
    const T scale = head.isNormalized ? work.normalization[channel] : T(1);
    const T shift = head.isNormalized ? work.normalization[shapes[0].channels + channel] : T(0);
    in.natural[e][lane] = x * scale + shift;
    in.centre[e][lane] = (lower + upper) * T(0.5) * scale + shift;
    in.radius[e][lane] = (upper - lower) * T(0.5) * scale;
  }

  void one(int part, int used, double* sums) {
    const bool natural = head.natural != NO_NATURAL;
    if (isCrown()) {
      if (head.hasRegularizer) {
        for (int v = 0; v < used; v++)
          for (int i = 0; i < last; i++) forward(part, v, i, false), activate(v, i, false);
        sums[REGULARIZER] = regularizer(part, used);
      }
      for (int i = 0; i < last; i++) {
        for (int v = 0; v < used; v++) forward(part, v, i, natural);
        if (i > 0) refine(part, used, i);
        for (int v = 0; v < used; v++) activate(v, i, true), writeTables(v, i);
      }
      for (int v = 0; v < used; v++) finish(part, v, sums);
      return;
    }
    for (int v = 0; v < used; v++) {
      for (int i = 0; i < last; i++) forward(part, v, i, natural), activate(v, i, hasLines());
      finish(part, v, sums);
    }
    if (head.hasRegularizer) sums[REGULARIZER] = regularizer(part, used);
  }

  // Layer i < last: bounds of its output, and the images behind its ReLU.
  void forward(int part, int v, int i, bool natural) {
    const Shape &s = shapes[i], &next = shapes[i + 1];
    Hidden<T>& h = imagesOf(v).hidden[i];
    V<T>* behind = imagesOf(v).inputs[i + 1].natural.get();
    const T* bias = weights[i].bias;
    eachPlace<T>(s, weights[i], inputOf(part, v, i), natural,
                 [&](int64_t place, int64_t o, int n, const V<T>* found) {
                   const int64_t at = place * s.outputs + o, step = next.step();
                   V<T>* to = behind + next.inner(place) + o * step;
                   for (int k = 0; k < n; k++) {
                     const V<T> centre = found[n + k] + bias[o + k], radius = found[2 * n + k];
                     h.lower[at + k] = centre - radius;
                     h.upper[at + k] = centre + radius;
                     if (natural) to[k * step] = relu<T>(found[k] + bias[o + k]);
                   }
                 });
  }

  // ReLU i: its lines, and the box behind it.
  void activate(int v, int i, bool lines) {
    const Shape &s = shapes[i], &next = shapes[i + 1];
    Hidden<T>& h = imagesOf(v).hidden[i];
    Input<T>& in = imagesOf(v).inputs[i + 1];
    if (lines) h.passing.clear();
    for (int64_t place = 0; place < s.places(); place++) {
      const int64_t from = place * s.outputs, first = next.inner(place);
      for (int64_t o = 0; o < s.outputs; o++) {
        const V<T> lower = relu<T>(h.lower[from + o]), upper = relu<T>(h.upper[from + o]);
        const int64_t to = first + o * next.step();
        in.centre[to] = (lower + upper) * T(0.5);
        in.radius[to] = (upper - lower) * T(0.5);
        if (lines) line(h, from + o, int32_t(o));
      }
      if (lines) h.passing.endPixel();
    }
  }
  void line(Hidden<T>& h, int64_t e, int32_t channel) {
    const V<T> lower = h.lower[e], upper = h.upper[e];
    const V<T> up = relu<T>(upper), down = relu<T>(-lower), width = up + down;
    const V<T> slope = up / (width > TINY ? width : V<T>{} + TINY);
    h.lambda[e] = slope;
    h.mu[e] = slope * down;
    h.alpha[e] = upper + lower > T(0) ? V<T>{} + T(1) : V<T>{};
    h.passing.add(e, channel, anyPositive<T>(upper));
  }

#include "loss-rows.inc"
#include "loss-margins.inc"
#include "loss-sums.inc"
};

// The memory of a thread's last call serves the next of the same shapes: the system would map and clear it
// anew each time.
template <class T>
void compute(const LossWork<T>& work) {
  static thread_local std::unique_ptr<Losses<T>> last;
  if (!last || !last->fits(work)) {
    last.reset();
    last = std::make_unique<Losses<T>>(work);
  }
  last->all(work);
}

}  // namespace

void losses(const LossWork<float>& work) { compute(work); }
void losses(const LossWork<double>& work) { compute(work); }

}  // namespace TAUTNET_SET
}  // namespace tautnet
