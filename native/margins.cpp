// Lower bounds of linear functions of a network's outputs, carried back to the input: a row of one image to a
// lane, and R vectors of lanes at once.
//
// Compiled once for each instruction set: TAUTNET_SET names its namespace, TAUTNET_BYTES its vectors' size.
// A row a passes a ReLU as α a⁺ + λ a⁻ with the constant a⁻μ, CROWN's lines of the bounds at hand, and is at
// least a·c − |a|·r over a box of centre c and radius r. Lanes are images, so that rows of one image need not fill a vector. Neurons that pass
// nothing in any lane are left out of the products.
#include "arena.h"
#include "margin-products.h"
#include "margin-tables.h"

namespace tautnet {
namespace TAUTNET_SET {
namespace {

// One step of the chain and what it is computed with.
template <class T, int R>
struct MarginStage {
  V<T>* before = nullptr;           // coefficients of the step's output side, [entry, R]
  std::vector<int64_t> offsets;     // AFFINE: entries of the taps behind, from the first that a pixel sees
  Outputs outputs;                  // AFFINE: those that count
  Met<T> met[R];                    // RELU: what each vector meets; the first serves all where they are alike
  T* weightSums = nullptr;          // [tap, output], outputs padded to vectors
  V<T>* biasSums = nullptr;
};

template <class T, int R>
class Margins {
  static constexpr int L = Vector<T>::lanes;
  const MarginWork<T>& work;
  const MarginChain& chain;
  Arena& arena;
  const MarginProducts<T, R> products;
  std::vector<MarginStage<T, R>> stages;
  std::vector<Plane> planes;  // of the output, then behind each step
  V<T>*atInput, *cotangents[2];
  V<T>*box[R] = {}, *boxSums[R] = {};  // centre, radius; [neuron, 2]
  T* turned;                           // coefficients with outputs along vectors
  std::vector<int64_t> bases, scaled;
  V<T> constant[R], given[R];
  Lanes lanes[R];
  bool alike = true;  // whether the vectors at hand meet the same images
  bool isMet = false;

  bool reverse() const { return work.gradients != nullptr; }
  const T* array(int position) const { return position < 0 ? nullptr : work.arrays[position]; }
  T* gradient(int position) const { return position < 0 || !reverse() ? nullptr : work.gradients[position]; }
  int lowest() const { return work.arrayCount - 2; }  // the box's ends
  int highest() const { return work.arrayCount - 1; }
  bool isRelu(int k) const { return chain.steps[k].kind == RELU; }
  V<T>* coefficients(int k) { return k < chain.count ? stages[k].before : atInput; }
  int sameAs(int v) const { return alike ? 0 : v; }
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
        turning = std::max(turning, s.out.area() * paddedOutputs(s));
      }
    }
    atInput = arena.take<V<T>>(planes.back().size() * R);
    if (!reverse()) return;
    for (auto& d : cotangents) d = arena.take<V<T>>(widest * R);
    turned = arena.take<T>(turning * R * L);
  }

  void all(const std::vector<Lanes>& vectors) {
    for (size_t i = 0; i < vectors.size(); i += R) {
      const int used = int(std::min<size_t>(R, vectors.size() - i));
      take(vectors.data() + i, used);
      begin(used);
      for (int k = 0; k < chain.count; k++)
        if (isRelu(k)) relu(k);
        else affine(k);
      if (reverse()) back(used);
      else bound(used);
    }
    if (reverse()) finish();
  }

 private:
  static Plane planeBehind(const MarginStep& s) {
    if (s.kind == RELU) return {s.in, s.in.height, s.in.width, 0, 0};
    const int32_t height = (s.out.height - 1) * s.strideY + s.kernelY;
    const int32_t width = (s.out.width - 1) * s.strideX + s.kernelX;
    return {s.in, std::max(s.padY + s.in.height, height), std::max(s.padX + s.in.width, width), s.padY, s.padX};
  }

  void reserveAffine(int k) {
    const MarginStep& s = chain.steps[k];
    MarginStage<T, R>& stage = stages[k];
    const Plane& behind = planes[k + 1];
    for (int32_t c = 0; c < s.in.channels; c++)
      for (int32_t ky = 0; ky < s.kernelY; ky++)
        for (int32_t kx = 0; kx < s.kernelX; kx++)
          stage.offsets.push_back((int64_t(ky) * behind.width + kx) * s.in.channels + c);
    stage.outputs.fill(s.out, [](int64_t) { return true; });
    if (gradient(s.arrays[0]) != nullptr) stage.weightSums = arena.zeros<T>(s.taps() * paddedOutputs(s));
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

  // Makes vectors the ones at hand, and reads what they meet if those before met other images. Where there
  // are fewer than R the last stands for the rest.
  void take(const Lanes* vectors, int used) {
    bool same = isMet;
    for (int v = 0; v < R; v++) same = same && lanes[v].meetsSame(vectors[std::min(v, used - 1)]);
    if (!same && isMet && reverse()) flush();
    alike = true;
    for (int v = 0; v < R; v++) {
      lanes[v] = vectors[std::min(v, used - 1)];
      alike = alike && lanes[v].meetsSame(lanes[0]);
    }
    if (!same) meet();
    isMet = true;
  }

  void meet() {
    for (int v = 0; v < (alike ? 1 : R); v++) {
      const Access<T> access(lanes[v], chain.batch);
      for (int k = 0; k < chain.count; k++) {
        if (!isRelu(k)) continue;
        const MarginStep& s = chain.steps[k];
        Met<T>& met = stages[k].met[v];
        if (met.passes.empty()) met.reserve(arena, s.out.features(), isWanted(s.arrays[0], s.arrays[1]));
        met.read(planes[k], access, array(s.arrays[0]), array(s.arrays[1]));
      }
      const Plane& input = planes.back();
      if (!box[v]) box[v] = arena.take<V<T>>(2 * input.layer.features());
      if (!boxSums[v] && isWanted(lowest(), highest())) boxSums[v] = arena.zeros<V<T>>(2 * input.layer.features());
      input.eachFeature([&](int64_t feature, int64_t i) {
        const V<T> l = access.read(array(lowest()), feature), u = access.read(array(highest()), feature);
        box[v][2 * i] = (l + u) * T(0.5);
        box[v][2 * i + 1] = (u - l) * T(0.5);
      });
    }
    for (int k = 1; k < chain.count; k++)
      if (!isRelu(k) && isRelu(k - 1))
        stages[k].outputs.fill(chain.steps[k].out, [&](int64_t i) {
          uint8_t passes = 0;
          for (int v = 0; v < (alike ? 1 : R); v++) passes |= stages[k - 1].met[v].passes[size_t(i)];
          return passes != 0;
        });
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

  // Coefficients of the rows; vectors beyond the last are of zeros.
  void begin(int used) {
    V<T>* a = coefficients(0);
    planes[0].each([&](int64_t e, int64_t feature, int64_t) {
      for (int v = 0; v < R; v++) a[e * R + v] = v < used ? readRows(array(0), feature, v) : V<T>{};
    });
    for (int v = 0; v < R; v++) {
      constant[v] = V<T>{};
      given[v] = reverse() && v < used ? readRows(work.margins, 0, v) : V<T>{};
    }
  }

  void relu(int k) {
    const V<T>* a = coefficients(k);
    V<T>* to = coefficients(k + 1);
    for (int v = 0; v < R; v++) {
      const V<T>* slopes = stages[k].met[sameAs(v)].slopes;
      V<T> sum{}, run{};
      planes[k].each([&](int64_t e, int64_t, int64_t i) {
        const V<T> x = a[e * R + v], p = positive<T>(x), n = x - p;
        to[i * R + v] = slopes[3 * i] * p + slopes[3 * i + 1] * n;
        run += slopes[3 * i + 2] * n;
        if (i % RUN == RUN - 1) sum += run, run = V<T>{};
      });
      constant[v] += sum + run;
    }
  }

  static void clear(V<T>* a, const Plane& plane) {
    std::memset(static_cast<void*>(a), 0, size_t(plane.size()) * R * sizeof(V<T>));
  }

  void affine(int k) {
    const MarginStep& s = chain.steps[k];
    const MarginStage<T, R>& stage = stages[k];
    const T *weight = array(s.arrays[0]), *bias = array(s.arrays[1]);
    const V<T>* from = coefficients(k);
    V<T>* to = coefficients(k + 1);
    clear(to, planes[k + 1]);
    const int64_t taps = s.taps(), piece = evenPiece(taps, products.TAPS);
    for (int64_t pixel = 0; pixel < s.out.area(); pixel++) {
      const V<T>* a = from + entryOf(k, pixel) * R;
      V<T>* base = to + baseOf(k, pixel) * R;
      const int32_t* list = stage.outputs.of(pixel);
      const int64_t count = stage.outputs.count(pixel);
      for (int64_t i = 0; i < count; i += RUN) {
        const int64_t some = std::min(RUN, count - i);
        if (bias != nullptr) addBias(a, list + i, some, bias);
        for (int64_t t = 0; t < taps; t += piece) {
          const int64_t n = std::min(piece, taps - t);
          products.spreads[n](a, list + i, some, weight + t, taps, stage.offsets.data() + t, base);
        }
      }
    }
  }

  void addBias(const V<T>* a, const int32_t* list, int64_t count, const T* bias) {
    V<T> sums[R] = {};
    for (int64_t i = 0; i < count; i++)
      for (int v = 0; v < R; v++) sums[v] += a[list[i] * R + v] * bias[list[i]];
    for (int v = 0; v < R; v++) constant[v] += sums[v];
  }

  void bound(int used) {
    const V<T>* a = coefficients(chain.count);
    for (int v = 0; v < used; v++) {
      const V<T>* c = box[sameAs(v)];
      V<T> sum = constant[v], run{};
      planes.back().each([&](int64_t e, int64_t, int64_t i) {
        const V<T> x = a[e * R + v];
        run += x * c[2 * i] - magnitude<T>(x) * c[2 * i + 1];
        if (i % RUN == RUN - 1) sum += run, run = V<T>{};
      });
      writeRows<false>(work.margins, 0, v, sum + run);
    }
  }

#include "margins-reverse.inc"
};

// Vectors at a time: as many as share weights well, unless the last ones would be mostly empty.
template <class T>
void choose(const MarginWork<T>& work) {
  const auto vectors = vectorsOf(work.chain.batch, work.chain.rows, Vector<T>::lanes);
  static thread_local Arena arena;
  arena.begin();
  if (vectors.size() % 3 == 0) Margins<T, 3>(work, arena).all(vectors);
  else if (vectors.size() > 1) Margins<T, 2>(work, arena).all(vectors);
  else Margins<T, 1>(work, arena).all(vectors);
}

}  // namespace

void run(const MarginWork<float>& work) { choose<float>(work); }
void run(const MarginWork<double>& work) { choose<double>(work); }

}  // namespace TAUTNET_SET
}  // namespace tautnet
