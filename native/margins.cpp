// Lower bounds of linear functions of a network's outputs, carried back to the input: a row of one image to a
// lane, and R vectors of lanes at once.
//
// Compiled once for each instruction set: TAUTNET_SET names its namespace, TAUTNET_BYTES its vectors' size.
// A row a passes a ReLU as α a⁺ + λ a⁻ − σ with the constant a⁻μ, by CROWN's lines of the bounds at hand or
// by lines that are arrays, and is at least a·c − |a|·r over a box of centre c and radius r. Lanes are
// images, so that rows of one image need not fill a vector. Neurons that pass nothing in any lane are left
// out of the products.
#include <chrono>
#include <cmath>
#include <limits>

#include "arena.h"
#include "margin-products.h"
#include "margin-tables.h"
#include "sides.h"

namespace tautnet {
namespace TAUTNET_SET {
namespace {

// One step of the chain and what it is computed with.
template <class T, int R>
struct MarginStage {
  V<T>* before = nullptr;           // coefficients of the step's output side, [entry, R]
  std::vector<int64_t> offsets;     // AFFINE: entries of the taps behind, from the first that a pixel sees
  Outputs outputs;                  // AFFINE: those that count
  T* weightSums = nullptr;          // [tap, output], outputs padded to vectors
  V<T>* biasSums = nullptr;
  // LINES, while α is sought: its values [neuron, R], the line above, λ and μ [neuron, 2 R], and of the
  // `free` neurons the best α and the slopes.
  V<T>*alpha = nullptr, *above = nullptr, *found = nullptr, *slopes = nullptr;
  // Of a dual search: s [neuron, R] and Adam's moments.
  V<T>*signs = nullptr, *means = nullptr, *squares = nullptr;
  std::vector<int64_t> free;
  // LINES with sides: what goes on to what neurons read, [neuron, R], its slopes, and the neurons of those.
  V<T>*beyond = nullptr, *beyondSlopes = nullptr;
  Outputs sided;
  // Sides that a search chooses, of the neurons `chosen` (margins-sides.inc): m and its moments, v, numbers;
  // the points of rows, and those and the ends on the taps of a pixel.
  T *shares = nullptr, *shareMeans = nullptr, *shareSquares = nullptr, *sideWeights = nullptr;
  T *sideNumbers = nullptr, *sent = nullptr, *points = nullptr, *patch = nullptr;
  std::vector<int64_t> chosen;
};

// Adam's numbers at a step of a dual search.
template <class T>
struct AdamStep {
  T size, first, second, ofMeans, ofSquares;
  AdamStep(const DualRule<T>& rule, T length, int64_t step)
      : size(length), first(T(rule.first)), second(T(rule.second)) {
    const double count = double(step + 1);
    ofMeans = T(1 / (1 - std::pow(rule.first, count)));
    ofSquares = T(1 / (1 - std::pow(rule.second, count)));
  }
};

// Where a ReLU's lines come from: bounds, arrays, or arrays with an α that is sought.
enum class Source { BOUNDS, ARRAYS, SEARCH };

// Below any bound: what the first one of a search is compared with.
constexpr double LOWEST = -1e30;

template <class T, int R>
class Margins {
  static constexpr int L = Vector<T>::lanes;
  // Whether so many vectors may be at hand where sides are chosen: for what needs more, no code is made.
  static constexpr bool CHOOSES = (R - 1) * L < MOST_CHOOSING;
  const MarginWork<T>& work;
  const MarginChain& chain;
  Arena& arena;
  const MarginProducts<T, R> products;
  std::vector<MarginStage<T, R>> stages;
  std::vector<Plane> planes;  // of the output, then behind each step
  V<T>*atInput, *cotangents[2];
  T* turned;  // coefficients with outputs along vectors
  std::vector<int64_t> bases, scaled;
  V<T> constant[R], given[R];
  V<T> best[R], bestAt[R];  // nested: the best bound so far, and the number of the step that it was met at
  Lanes lanes[R];
  bool alike = true;      // whether the vectors at hand meet the same images
  bool isListed = false;  // whether outputs that count are known from the step before of a search

  bool searches() const { return work.stepCount > 0; }
  bool reverse() const { return work.gradients != nullptr && !searches(); }
  const T* array(int position) const { return position < 0 ? nullptr : work.arrays[position]; }
  T* gradient(int position) const { return position < 0 || !reverse() ? nullptr : work.gradients[position]; }
  int lowest() const { return work.arrayCount - 2; }  // the box's ends
  int highest() const { return work.arrayCount - 1; }
  bool isAffine(int k) const { return chain.steps[k].kind == AFFINE; }
  bool hasSidesBefore(int k) const { return k > 0 && chain.steps[k - 1].hasSides(); }
  V<T>* coefficients(int k) { return k < chain.count ? stages[k].before : atInput; }
  bool isWanted(int a, int b) const { return gradient(a) != nullptr || gradient(b) != nullptr; }
  static int64_t paddedOutputs(const MarginStep& s) { return (s.out.channels + L - 1) / L * L; }

 public:
  Margins(const MarginWork<T>& w, Arena& memory)
      : work(w), chain(w.chain), arena(memory), stages(w.chain.count) {
    planes.push_back({chain.output, chain.output.height, chain.output.width, 0, 0});
    for (int k = 0; k < chain.count; k++) planes.push_back(planeBehind(chain.steps[k]));
    int64_t widest = planes.back().size(), turning = 1;
    for (int k = 0; k < chain.count; k++) {
      const MarginStep& s = chain.steps[k];
      stages[k].before = arena.take<V<T>>(planes[k].size() * R);
      widest = std::max(widest, planes[k].size());
      if (s.kind == AFFINE) {
        reserveAffine(k);
        turning = std::max(turning, isAlongTaps(s) ? s.taps() : s.out.area() * paddedOutputs(s));
      }
      if (placeOf(k) != nullptr) reserveSearch(k);
      if (s.hasSides())
        for (V<T>** numbers : {&stages[k].beyond, &stages[k].beyondSlopes})
          *numbers = arena.take<V<T>>(planes[k].layer.features() * R);
    }
    if constexpr (CHOOSES)
      for (int k = 0; k < chain.count && searches(); k++) reserveSides(k);
    atInput = arena.take<V<T>>(planes.back().size() * R);
    if (!reverse() && !searches()) return;
    for (auto& d : cotangents) d = arena.take<V<T>>(widest * R);
    if (!reverse()) return;
    turned = arena.take<T>(turning * R * L);
  }

  void all(const std::vector<Lanes>& vectors) {
    for (size_t i = 0; i < vectors.size(); i += R) {
      const int used = int(std::min<size_t>(R, vectors.size() - i));
      take(vectors.data() + i, used);
      if (searches()) {
        search(used);
        continue;
      }
      V<T> values[R];
      forward(used);
      if (!reverse() || chain.nested) bound(values);
      if (reverse()) back(used);
      else write(values, used);
    }
    if (reverse()) finish();
  }

 private:
  static Plane planeBehind(const MarginStep& s) {
    if (s.kind != AFFINE) return {s.in, s.in.height, s.in.width, 0, 0};
    const int32_t height = (s.out.height - 1) * s.strideY + s.kernelY;
    const int32_t width = (s.out.width - 1) * s.strideX + s.kernelX;
    return {s.in, std::max(s.padY + s.in.height, height), std::max(s.padX + s.in.width, width), s.padY,
            s.padX};
  }

  void reserveAffine(int k) {
    const MarginStep& s = chain.steps[k];
    MarginStage<T, R>& stage = stages[k];
    const Plane& behind = planes[k + 1];
    for (int32_t c = 0; c < s.in.channels; c++)
      for (int32_t ky = 0; ky < s.kernelY; ky++)
        for (int32_t kx = 0; kx < s.kernelX; kx++)
          stage.offsets.push_back((int64_t(ky) * behind.width + kx) * s.in.channels + c);
    stage.outputs.fill(s.out);
    if (gradient(s.arrays[0]) != nullptr && !isAlongTaps(s))
      stage.weightSums = arena.zeros<T>(s.taps() * paddedOutputs(s));
    if (gradient(s.arrays[1]) != nullptr) stage.biasSums = arena.zeros<V<T>>(s.out.channels);
  }

  // First entry behind an output's pixel.
  int64_t baseOf(int k, int64_t pixel) const {
    const MarginStep& s = chain.steps[k];
    const int64_t y = pixel / s.out.width * s.strideY, x = pixel % s.out.width * s.strideX;
    return (y * planes[k + 1].width + x) * s.in.channels;
  }
  // First entry of an output's pixel.
  int64_t entryOf(int k, int64_t pixel) const {
    const Plane& p = planes[k];
    return p.at(int32_t(pixel / p.layer.width), int32_t(pixel % p.layer.width));
  }

  // Makes vectors the ones at hand; where there are fewer than R the last stands for the rest.
  void take(const Lanes* vectors, int used) {
    alike = true;
    for (int v = 0; v < R; v++) {
      lanes[v] = vectors[std::min(v, used - 1)];
      alike = alike && lanes[v].meetsSame(lanes[0]);
    }
  }

  // Reads or adds to a table [features, rows, batch] of the rows at hand.
  V<T> readRows(const T* table, int64_t feature, int v) const {
    const Lanes& at = lanes[v];
    const T* from = table + (feature * chain.rows + at.row) * chain.batch + at.first;
    if (at.images == L) return load<T>(from);
    V<T> value{};
    for (int l = 0; l < at.images * at.perVector && at.row + l / at.images < chain.rows; l++)
      value[l] = from[l / at.images * chain.batch + l % at.images];
    return value;
  }
  template <bool Add>
  void writeRows(T* table, int64_t feature, int v, V<T> value) const {
    const Lanes& at = lanes[v];
    T* to = table + (feature * chain.rows + at.row) * chain.batch + at.first;
    if (at.images == L) return store<T>(to, Add ? load<T>(to) + value : value);
    for (int l = 0; l < at.images * at.perVector && at.row + l / at.images < chain.rows; l++) {
      T& number = to[l / at.images * chain.batch + l % at.images];
      number = Add ? number + value[l] : value[l];
    }
  }

  // Carries the rows at hand to the input.
  void forward(int used) {
    begin(used);
    for (int k = 0; k < chain.count; k++) {
      if (chain.nested && !isAffine(k)) meet(k);
      if (isAffine(k)) affine(k);
      else if (chain.steps[k].kind == RELU) relu<Source::BOUNDS>(k);
      else if (stages[k].alpha == nullptr) relu<Source::ARRAYS>(k);
      else relu<Source::SEARCH>(k);
    }
  }

  // Coefficients of the rows; vectors beyond the last are of zeros.
  void begin(int used) {
    V<T>* a = coefficients(0);
    planes[0].each([&](int64_t e, int64_t feature, int64_t) {
      for (int v = 0; v < R; v++) a[e * R + v] = v < used ? readRows(array(0), feature, v) : V<T>{};
    });
    for (int v = 0; v < R; v++) {
      constant[v] = V<T>{};
      best[v] = V<T>{} - std::numeric_limits<T>::infinity();
      bestAt[v] = V<T>{};
      given[v] = reverse() && v < used ? readRows(work.margins, 0, v) : V<T>{};
    }
  }

  Lines<T> linesOf(int k, int64_t feature, int v) const {
    const int32_t* of = chain.steps[k].arrays;
    const Access<T> at(lanes[v], chain.batch);
    Lines<T> lines(at.read(array(of[0]), feature), at.read(array(of[1]), feature));
    if (chain.steps[k].isStraight()) lines.alpha = lines.lambda;
    return lines;
  }

  // The line of a neuron for a vector of rows, into that of the vector before, of which much may hold on.
  template <Source From>
  void readLine(int k, int64_t feature, int64_t i, int v, Line<T>& line) const {
    const bool isFresh = v == 0 || !alike;
    if constexpr (From == Source::BOUNDS) {
      if (!isFresh) return;
      const Lines<T> lines = linesOf(k, feature, v);
      line.alpha = lines.alpha, line.lambda = lines.lambda, line.mu = lines.mu;
      return;
    }
    if constexpr (From == Source::SEARCH) {
      const MarginStage<T, R>& stage = stages[k];
      line.alpha = stage.alpha[i * R + v];
      const V<T>* above = stage.above + (i * R + (alike && stage.signs == nullptr ? 0 : v)) * 2;
      line.lambda = above[0], line.mu = above[1];
      if (stage.signs == nullptr) return readPart(k, 3, feature, v, isFresh, line.shift);
      line.shift = line.alpha * stage.signs[i * R + v];
      line.alpha = line.mu != V<T>{} ? line.alpha : line.lambda;
      return;
    }
    V<T>* const parts[] = {&line.alpha, &line.lambda, &line.mu, &line.shift};
    for (int j = 0; j < 4; j++) readPart(k, j, feature, v, isFresh, *parts[j]);
  }
  // The same where p and signs stand for lines; `read` stays as it was read.
  template <Source From>
  Line<T> lineOf(int k, int64_t feature, int64_t i, int v, Line<T>& read) const {
    readLine<From>(k, feature, i, v, read);
    if (From != Source::ARRAYS || !chain.steps[k].isDual()) return read;
    Line<T> line = read;
    line.decide();
    line.shift = line.alpha * read.shift;
    line.alpha = line.mu != V<T>{} ? line.alpha : line.lambda;
    return line;
  }
  void readPart(int k, int part, int64_t feature, int v, bool isFresh, V<T>& into) const {
    const MarginStep& s = chain.steps[k];
    const T* table = array(s.arrays[part]);
    if (table == nullptr) return;
    if (s.isPerRow(part)) into = readRows(table, feature, v);
    else if (isFresh) into = Access<T>(lanes[v], chain.batch).read(table, feature);
  }

  // Whether a row that a search moves may come to pass.
  bool mayPass(int k, int64_t i, int v, const Line<T>& line) const {
    return any<T>(line.mu) || (stages[k].signs != nullptr && any<T>(stages[k].signs[i * R + v]));
  }

  template <Source From>
  void relu(int k) {
    constexpr bool isComputed = From == Source::BOUNDS;
    const V<T>* a = coefficients(k);
    V<T>* to = coefficients(k + 1);
    Outputs* outputs = k + 1 < chain.count && isAffine(k + 1) ? &stages[k + 1].outputs : nullptr;
    if (From == Source::SEARCH && isListed) outputs = nullptr;
    if (outputs != nullptr) outputs->clear();
    const MarginStep& s = chain.steps[k];
    MarginStage<T, R>& stage = stages[k];
    const bool hasSides = s.hasSides();
    if (hasSides && outputs != nullptr) stage.sided.clear();
    const int32_t channels = s.out.channels, *of = s.arrays;
    // Slopes of zero may have a derivative, or rise.
    const bool all = !isComputed && !s.zerosStay() && (isWanted(of[0], of[1]) || isWanted(of[3], -1));
    V<T> sums[R] = {}, run[R] = {};
    planes[k].each(
        [&](int64_t e, int64_t feature, int64_t i) {
          Line<T> read;
          bool passes = all, isSided = false;
          TAUTNET_UNROLL
          for (int v = 0; v < R; v++) {
            Line<T> line = lineOf<From>(k, feature, i, v, read);
            if (outputs != nullptr && (v == 0 || !alike || !(isComputed || passes)))
              passes |= line.template passes<isComputed>() ||
                        (From == Source::SEARCH && mayPass(k, i, v, line));
            const V<T> x = a[e * R + v], p = positive<T>(x), n = x - p;
            if (!isComputed && hasSides) {
              isSided |= any<T>(line.mu);
              stage.beyond[i * R + v] = sideOf(k, i, line).moveAbove(line) * n;
            }
            to[i * R + v] = line.alpha * p + line.lambda * n;
            if constexpr (!isComputed) to[i * R + v] -= line.shift;
            run[v] += line.mu * n;
          }
          if (passes && outputs != nullptr) outputs->channels.push_back(int32_t(i % channels));
          if (isSided && outputs != nullptr) stage.sided.channels.push_back(int32_t(i % channels));
          if (i % RUN == RUN - 1) goOn(sums, run);
        },
        [&](int64_t) {
          if (outputs != nullptr) outputs->endPixel();
          if (hasSides && outputs != nullptr) stage.sided.endPixel();
        });
    goOn(sums, run);
    for (int v = 0; v < R; v++) constant[v] += sums[v];
  }
  // Adds sums of a few terms to those of all.
  static void goOn(V<T>* sums, V<T>* run) {
    for (int v = 0; v < R; v++) sums[v] += run[v], run[v] = V<T>{};
  }

  static void clear(V<T>* a, const Plane& plane) {
    std::memset(static_cast<void*>(a), 0, size_t(plane.size()) * R * sizeof(V<T>));
  }

  void affine(int k) {
    const MarginStep& s = chain.steps[k];
    const T *weight = array(s.arrays[0]), *bias = array(s.arrays[1]);
    const V<T>* from = coefficients(k);
    clear(coefficients(k + 1), planes[k + 1]);
    for (int64_t pixel = 0; pixel < s.out.area(); pixel++) {
      spread(k, pixel, from + entryOf(k, pixel) * R, stages[k].outputs, weight, bias);
      if (hasSidesBefore(k))
        spread(k, pixel, beyondOf(k, pixel), stages[k - 1].sided, sideWeights(k, pixel), nullptr);
    }
  }

  // Adds what a pixel's outputs of a list send on.
  void spread(int k, int64_t pixel, const V<T>* a, const Outputs& outputs, const T* weight, const T* bias) {
    const int64_t taps = chain.steps[k].taps(), count = outputs.count(pixel);
    const int64_t* offsets = stages[k].offsets.data();
    const int32_t* list = outputs.of(pixel);
    V<T>* base = coefficients(k + 1) + baseOf(k, pixel) * R;
    for (int64_t i = 0; i < count; i += RUN) {
      const int64_t some = std::min(RUN, count - i);
      if (bias != nullptr) addBias(a, list + i, some, bias);
      for (int64_t t = 0, n = 0; t < taps; t += n) {
        n = products.next(taps - t, products.TAPS);
        products.spreads[n](a, list + i, some, weight + t, taps, offsets + t, base);
      }
    }
  }

  // Of the LINES before AFFINE step k, whose neurons are its outputs, pixel by pixel.
  const V<T>* beyondOf(int k, int64_t pixel) const {
    return stages[k - 1].beyond + pixel * chain.steps[k].out.channels * R;
  }
  const T* sideWeights(int k, int64_t pixel) const {
    const T* chosen = stages[k - 1].sideWeights;
    return (chosen ? chosen : array(chain.steps[k - 1].arrays[4])) +
           pixel * chain.steps[k].out.channels * chain.steps[k].taps();
  }
  Side<T> sideOf(int k, int64_t i, const Line<T>& line) const {
    const T* chosen = stages[k].sideNumbers;
    return Side<T>((chosen ? chosen : array(chain.steps[k].arrays[5])) + i * Side<T>::NUMBERS, line);
  }

  void addBias(const V<T>* a, const int32_t* list, int64_t count, const T* bias) {
    V<T> sums[R] = {};
    for (int64_t i = 0; i < count; i++)
      for (int v = 0; v < R; v++) sums[v] += a[list[i] * R + v] * bias[list[i]];
    for (int v = 0; v < R; v++) constant[v] += sums[v];
  }

  struct Interval {
    V<T> centre, radius;
  };
  Interval boxOf(int64_t feature, int v) const {
    const Access<T> at(lanes[v], chain.batch);
    const V<T> l = at.read(array(lowest()), feature), u = at.read(array(highest()), feature);
    return {(l + u) * T(0.5), (u - l) * T(0.5)};
  }

  // The rows over the box: bounds, with those on the way the best.
  void bound(V<T>* values) {
    const V<T>* a = coefficients(chain.count);
    V<T> sums[R] = {}, run[R] = {};
    planes.back().each([&](int64_t e, int64_t feature, int64_t i) {
      Interval box = boxOf(feature, 0);
      TAUTNET_UNROLL
      for (int v = 0; v < R; v++) {
        if (v > 0 && !alike) box = boxOf(feature, v);
        const V<T> x = a[e * R + v];
        run[v] += x * box.centre - magnitude<T>(x) * box.radius;
      }
      if (i % RUN == RUN - 1) goOn(sums, run);
    });
    goOn(sums, run);
    for (int v = 0; v < R; v++) values[v] = constant[v] + sums[v];
    if (!chain.nested) return;
    keepBest(chain.count, values);
    for (int v = 0; v < R; v++) values[v] = best[v];
  }
  void write(const V<T>* values, int used) const {
    for (int v = 0; v < used; v++) writeRows<false>(work.margins, 0, v, values[v]);
  }

  // What a ReLU gives on the bounds of its input.
  Interval passedBy(int k, int64_t feature, int v) const {
    const int32_t* of = chain.steps[k].arrays;
    const Access<T> at(lanes[v], chain.batch);
    const V<T> l = at.read(array(of[0]), feature), u = at.read(array(of[1]), feature), zero{};
    const V<T> low = l < zero ? zero : l, high = u < zero ? zero : u;
    return {(low + high) * T(0.5), (high - low) * T(0.5)};
  }

  // The rows over what ReLU k gives.
  void meet(int k) {
    const V<T>* a = coefficients(k);
    V<T> sums[R] = {}, run[R] = {};
    planes[k].each([&](int64_t e, int64_t feature, int64_t i) {
      Interval box = passedBy(k, feature, 0);
      for (int v = 0; v < R; v++) {
        if (v > 0 && !alike) box = passedBy(k, feature, v);
        const V<T> x = a[e * R + v];
        run[v] += x * box.centre - magnitude<T>(x) * box.radius;
      }
      if (i % RUN == RUN - 1) goOn(sums, run);
    });
    goOn(sums, run);
    for (int v = 0; v < R; v++) sums[v] += constant[v];
    keepBest(k, sums);
  }
  // Of equal bounds the one nearer to the input counts; NaN stays NaN.
  void keepBest(int k, const V<T>* values) {
    for (int v = 0; v < R; v++) {
      const auto stays = (best[v] > values[v]) | (best[v] != best[v]);
      best[v] = stays ? best[v] : values[v];
      bestAt[v] = stays ? bestAt[v] : V<T>{} + T(k);
    }
  }

#include "margins-reverse.inc"
#include "margins-search.inc"
#include "margins-sides.inc"
};

// Vectors at a time: as many as share weights well and leave none of the last ones empty.
template <class T>
void choose(const MarginWork<T>& work) {
  const auto vectors = vectorsOf(work.chain.batch, work.chain.rows, Vector<T>::lanes);
  static thread_local Arena arena;
  arena.begin();
  if (vectors.size() % 3 == 0) Margins<T, 3>(work, arena).all(vectors);
  else if (vectors.size() % 4 == 0) Margins<T, 4>(work, arena).all(vectors);
  else if (vectors.size() > 1) Margins<T, 2>(work, arena).all(vectors);
  else Margins<T, 1>(work, arena).all(vectors);
}

}  // namespace

void run(const MarginWork<float>& work) { choose<float>(work); }
void run(const MarginWork<double>& work) { choose<double>(work); }

}  // namespace TAUTNET_SET
}  // namespace tautnet
