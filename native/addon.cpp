// The door of the kernels for Node. `rows(ints, arrays, rows, lower, upper, gradients)` fills in bounds of
// neurons, `margins(ints, arrays, margins, gradients, steps, thresholds, rule, arrived)` those of rows of the
// outputs, or gradients where they are passed, or with steps the lines that a search finds; `propagate(ints,
// arrays, gradients, stored)` does the same for values or intervals of a chain of layers; `losses(ints, chains,
// floats, labels, sums)` fills in sums of members' losses. `instructionSet` names the one in use.
//
// Callers check shapes (`src/runtime/kernels/`); here only types and lengths are.
#include <algorithm>
#include <node_api.h>

#include <cstring>
#include <new>
#include <string>
#include <vector>

#include "chain.h"
#include "layers.h"
#include "loss.h"
#include "margins.h"

namespace {
using namespace tautnet;

struct View {
  napi_typedarray_type type;
  size_t length = 0;
  void* data = nullptr;
};

bool view(napi_env env, napi_value value, View& out) {
  bool is = false;
  return napi_is_typedarray(env, value, &is) == napi_ok && is &&
         napi_get_typedarray_info(env, value, &out.type, &out.length, &out.data, nullptr, nullptr) == napi_ok;
}

// Typed arrays of a list; an entry that is none is an array of length 0.
std::vector<View> views(napi_env env, napi_value list) {
  uint32_t count = 0;
  bool is = false;
  if (napi_is_array(env, list, &is) != napi_ok || !is) return {};
  napi_get_array_length(env, list, &count);
  std::vector<View> all(count);
  for (uint32_t i = 0; i < count; i++) {
    napi_value entry;
    if (napi_get_element(env, list, i, &entry) != napi_ok || !view(env, entry, all[i])) all[i] = View();
  }
  return all;
}

Region region(const int32_t*& at) {
  Region r;
  std::memcpy(&r, at, sizeof r);
  at += REGION_INTS;
  return r;
}

const char* const SETS[] = {"baseline", "AVX2", "AVX-512"};
int chosenSet() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512dq"))
    return 2;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return 1;
#endif
  return 0;
}
int currentSet = chosenSet();

// Calls a kernel's function of the instruction set in use.
#if defined(__x86_64__)
#define TAUTNET_ON_SET(function, work) \
  currentSet == 2 ? avx512::function(work) : currentSet == 1 ? avx2::function(work) : baseline::function(work)
#else
#define TAUTNET_ON_SET(function, work) baseline::function(work)
#endif

// A chain whose steps are in `steps`.
Chain chainOf(const View& ints, std::vector<Step>& steps) {
  const int32_t* at = static_cast<const int32_t*>(ints.data);
  Chain chain;
  std::memcpy(&chain, at, 6 * sizeof(int32_t));
  at += 6;
  chain.input = region(at);
  steps.resize((ints.length - HEAD_INTS) / STEP_INTS);
  for (Step& s : steps) {
    std::memcpy(&s, at, sizeof s);
    at += STEP_INTS;
  }
  chain.count = int32_t(steps.size());
  chain.steps = steps.data();
  return chain;
}

template <class T>
std::vector<const T*> pointers(const std::vector<View>& arrays) {
  std::vector<const T*> from;
  for (const View& a : arrays) from.push_back(static_cast<const T*>(a.data));
  return from;
}
// Null where nothing is wanted.
template <class T>
std::vector<T*> places(const std::vector<View>& gradients) {
  std::vector<T*> into;
  for (const View& g : gradients) into.push_back(g.length ? static_cast<T*>(g.data) : nullptr);
  return into;
}

template <class T>
void run(const Chain& chain, const std::vector<View>& arrays, const std::vector<View>& gradients,
         const View& rows, const View& lower, const View& upper) {
  const std::vector<const T*> from = pointers<T>(arrays);
  const std::vector<T*> into = places<T>(gradients);
  std::vector<int64_t> sizes;
  for (const View& a : arrays) sizes.push_back(int64_t(a.length));
  const Work<T> work{chain,
                     from.data(),
                     gradients.empty() ? nullptr : into.data(),
                     sizes.data(),
                     int32_t(arrays.size()),
                     static_cast<const int32_t*>(rows.data),
                     int64_t(rows.length),
                     static_cast<T*>(lower.data),
                     static_cast<T*>(upper.data)};
  TAUTNET_ON_SET(run, work);
}

template <class T>
DualRule<T> ruleOf(const View& thresholds, const View& rule, T* const* arrived) {
  if (rule.data == nullptr) return {};
  const double* numbers = static_cast<const double*>(rule.data);
  return {static_cast<const T*>(thresholds.data), numbers[0], numbers[1], numbers[2], numbers[3], arrived};
}

template <class T>
void runMargins(const MarginChain& chain, const std::vector<View>& arrays, const std::vector<View>& gradients,
                const View& margins, const View& sizes, const View& thresholds, const View& rule,
                const std::vector<View>& arrived) {
  const std::vector<const T*> from = pointers<T>(arrays);
  const std::vector<T*> into = places<T>(gradients), seen = places<T>(arrived);
  const MarginWork<T> work{chain,
                           from.data(),
                           gradients.empty() ? nullptr : into.data(),
                           int32_t(arrays.size()),
                           static_cast<T*>(margins.data),
                           static_cast<const T*>(sizes.data),
                           int64_t(sizes.length),
                           ruleOf<T>(thresholds, rule, arrived.empty() ? nullptr : seen.data())};
  TAUTNET_ON_SET(run, work);
}

napi_value refuse(napi_env env, const char* what) {
  napi_throw_type_error(env, nullptr, what);
  return nullptr;
}

// Calls body with a number of a type of arrays; refuses other types, and what there is no memory for.
template <class Body>
napi_value typed(napi_env env, const std::string& kernel, napi_typedarray_type type, Body body) {
  try {
    if (type == napi_float32_array) body(float());
    else if (type == napi_float64_array) body(double());
    else return refuse(env, (kernel + " kernel: expected Float32Array or Float64Array").c_str());
  } catch (const std::bad_alloc&) {
    napi_throw_error(env, nullptr, (kernel + " kernel: not enough memory; use smaller batches").c_str());
  }
  return nullptr;
}

// Whether arrays and their gradients are of one type and of the same lengths.
bool agree(const std::vector<View>& arrays, const std::vector<View>& gradients, napi_typedarray_type type) {
  if (!gradients.empty() && gradients.size() != arrays.size()) return false;
  for (size_t i = 0; i < arrays.size(); i++)
    if (arrays[i].type != type || arrays[i].data == nullptr ||
        (!gradients.empty() && gradients[i].length != 0 &&
         (gradients[i].length != arrays[i].length || gradients[i].type != type)))
      return false;
  return true;
}

napi_value rows(napi_env env, napi_callback_info info) {
  size_t count = 6;
  napi_value args[6];
  napi_get_cb_info(env, info, &count, args, nullptr, nullptr);
  View ints, chosen, lower, upper;
  if (count < 6 || !view(env, args[0], ints) || ints.type != napi_int32_array ||
      !view(env, args[2], chosen) || chosen.type != napi_int32_array || !view(env, args[3], lower) || !view(env, args[4], upper))
    return refuse(env, "row kernel: expected (Int32Array, arrays, Int32Array, lower, upper, gradients)");
  const std::vector<View> arrays = views(env, args[1]), gradients = views(env, args[5]);
  if (lower.length != chosen.length || upper.length != chosen.length || ints.length < HEAD_INTS ||
      (ints.length - HEAD_INTS) % STEP_INTS != 0 || arrays.size() < 3 ||
      (!gradients.empty() && gradients.size() != arrays.size()))
    return refuse(env, "row kernel: lengths of chain, rows or arrays do not go together");
  if (!agree(arrays, gradients, lower.type))
    return refuse(env, "row kernel: expected arrays and gradients of one type and of the same lengths");
  std::vector<Step> steps;
  const Chain chain = chainOf(ints, steps);
  return typed(env, "row", lower.type, [&](auto number) {
    run<decltype(number)>(chain, arrays, gradients, chosen, lower, upper);
  });
}

template <class T>
void run(const LossHead& head, const LossLayer* layers, const Chain* chains, const std::vector<View>& floats,
         const View& labels, const View& sums) {
  const auto array = [&](int k) { return static_cast<const T*>(floats[k].data); };
  const int64_t members = int64_t(sums.length) / (int64_t(head.parts) * SUMS);
  const LossWork<T> work{head,
                         layers,
                         chains,
                         array(0),
                         array(1),
                         members,
                         int64_t(floats[1].length) / members,
                         array(2),
                         static_cast<const int32_t*>(labels.data),
                         array(3),
                         array(4)[0],
                         static_cast<double*>(sums.data)};
  TAUTNET_ON_SET(losses, work);
}

// floats: normalization, points, images, weight, epsilon.
napi_value losses(napi_env env, napi_callback_info info) {
  size_t count = 5;
  napi_value args[5];
  napi_get_cb_info(env, info, &count, args, nullptr, nullptr);
  View ints, labels, sums;
  if (count < 5 || !view(env, args[0], ints) || ints.type != napi_int32_array ||
      !view(env, args[3], labels) || labels.type != napi_int32_array || !view(env, args[4], sums) ||
      sums.type != napi_float64_array)
    return refuse(env, "loss kernel: expected (Int32Array, chains, arrays, Int32Array, Float64Array)");
  const std::vector<View> encoded = views(env, args[1]), floats = views(env, args[2]);
  if (ints.length < LOSS_INTS + LOSS_LAYER_INTS || floats.size() != 5 || sums.length == 0)
    return refuse(env, "loss kernel: lengths of chain, arrays or sums do not go together");
  for (const View& f : floats)
    if (f.type != floats[0].type || f.length == 0)
      return refuse(env, "loss kernel: expected arrays of one type, none of them empty");
  for (const View& c : encoded)
    if (c.type != napi_int32_array || c.length < HEAD_INTS || (c.length - HEAD_INTS) % STEP_INTS != 0)
      return refuse(env, "loss kernel: expected a chain for each hidden layer but the first");
  LossHead head;
  std::memcpy(&head, ints.data, sizeof head);
  if (head.layers < 1 || ints.length != size_t(LOSS_INTS) + size_t(head.layers) * LOSS_LAYER_INTS)
    return refuse(env, "loss kernel: expected as many layers as it says");
  std::vector<LossLayer> layers(head.layers);
  const int32_t* at = static_cast<const int32_t*>(ints.data) + LOSS_INTS;
  std::memcpy(layers.data(), at, layers.size() * sizeof(LossLayer));
  std::vector<std::vector<Step>> steps(encoded.size());
  std::vector<Chain> chains;
  for (size_t i = 0; i < encoded.size(); i++) chains.push_back(chainOf(encoded[i], steps[i]));
  return typed(env, "loss", floats[0].type, [&](auto number) {
    run<decltype(number)>(head, layers.data(), chains.data(), floats, labels, sums);
  });
}

napi_value margins(napi_env env, napi_callback_info info) {
  size_t count = 8;
  napi_value args[8];
  napi_get_cb_info(env, info, &count, args, nullptr, nullptr);
  View ints, values, sizes, thresholds, rule;
  if (count < 4 || !view(env, args[0], ints) || ints.type != napi_int32_array || !view(env, args[2], values))
    return refuse(env, "margin kernel: expected (Int32Array, arrays, margins, gradients, steps)");
  const std::vector<View> arrays = views(env, args[1]), gradients = views(env, args[3]);
  if (ints.length < MARGIN_HEAD_INTS + MARGIN_STEP_INTS || arrays.size() < 3 ||
      (ints.length - MARGIN_HEAD_INTS) % MARGIN_STEP_INTS != 0 || !agree(arrays, gradients, values.type))
    return refuse(env, "margin kernel: chain, arrays or gradients do not go together");
  if (count >= 5 && view(env, args[4], sizes) && (sizes.type != values.type || gradients.empty()))
    return refuse(env, "margin kernel: expected steps of the margins' type and places for what is found");
  if (count >= 7 && view(env, args[5], thresholds) && view(env, args[6], rule) &&
      (sizes.length == 0 || thresholds.type != values.type || thresholds.length != values.length ||
       rule.type != napi_float64_array || rule.length != DUAL_NUMBERS))
    return refuse(env, "margin kernel: expected a threshold for each margin, and moments of the search");
  const std::vector<View> arrived = count >= 8 ? views(env, args[7]) : std::vector<View>();
  const auto isOther = [&](const View& place) { return place.length != 0 && place.type != values.type; };
  if (!arrived.empty() && (rule.data == nullptr || arrived.size() != arrays.size() ||
                           std::any_of(arrived.begin(), arrived.end(), isOther)))
    return refuse(env, "margin kernel: expected places for coefficients of a dual search");
  const int32_t* at = static_cast<const int32_t*>(ints.data);
  std::vector<MarginStep> steps((ints.length - MARGIN_HEAD_INTS) / MARGIN_STEP_INTS);
  std::memcpy(steps.data(), at + MARGIN_HEAD_INTS, steps.size() * sizeof(MarginStep));
  const MarginChain chain{at[0], at[1], at[2], {at[3], at[4], at[5]}, int32_t(steps.size()), steps.data()};
  if (values.length != size_t(chain.batch) * size_t(chain.rows))
    return refuse(env, "margin kernel: expected a margin for each row of each image");
  return typed(env, "margin", values.type, [&](auto number) {
    runMargins<decltype(number)>(chain, arrays, gradients, values, sizes, thresholds, rule, arrived);
  });
}

template <class T>
void run(const Layers& chain, const std::vector<View>& arrays, const std::vector<View>& gradients,
         const View& stored) {
  std::vector<T*> data, into;
  for (const View& a : arrays) data.push_back(static_cast<T*>(a.data));
  for (const View& g : gradients) into.push_back(g.length ? static_cast<T*>(g.data) : nullptr);
  const Propagation<T> work{chain, data.data(), gradients.empty() ? nullptr : into.data(),
                            static_cast<T*>(stored.length ? stored.data : nullptr)};
  TAUTNET_ON_SET(propagate, work);
}

// Forward without gradients; `stored` is an array, or none where no reverse follows.
napi_value propagate(napi_env env, napi_callback_info info) {
  size_t count = 4;
  napi_value args[4];
  napi_get_cb_info(env, info, &count, args, nullptr, nullptr);
  View ints, stored;
  if (count < 4 || !view(env, args[0], ints) || ints.type != napi_int32_array ||
      ints.length < INTERVAL_HEAD_INTS + LAYER_INTS || (ints.length - INTERVAL_HEAD_INTS) % LAYER_INTS != 0)
    return refuse(env, "interval kernel: expected (Int32Array of a chain, arrays, gradients, stored)");
  const std::vector<View> arrays = views(env, args[1]), gradients = views(env, args[2]);
  const bool stores = view(env, args[3], stored);
  if (!gradients.empty() && (gradients.size() != arrays.size() || !stores))
    return refuse(env, "interval kernel: expected gradients for all arrays, and what the forward pass stored");
  if (!arrays.empty() && !agree(arrays, gradients, arrays[0].type))
    return refuse(env, "interval kernel: expected arrays and gradients of one type and of the same lengths");
  if (arrays.empty() || (stores && stored.type != arrays[0].type))
    return refuse(env, "interval kernel: expected what is stored in the arrays' type");
  const int32_t* at = static_cast<const int32_t*>(ints.data);
  Layers chain;
  std::memcpy(&chain, at, INTERVAL_HEAD_INTS * sizeof(int32_t));
  std::vector<Layer> layers((ints.length - INTERVAL_HEAD_INTS) / LAYER_INTS);
  std::memcpy(layers.data(), at + INTERVAL_HEAD_INTS, layers.size() * sizeof(Layer));
  chain.count = int32_t(layers.size());
  chain.layers = layers.data();
  return typed(env, "interval", arrays[0].type, [&](auto number) {
    run<decltype(number)>(chain, arrays, gradients, stored);
  });
}

// The instruction set in use; a name selects one of those that this machine has (for tests).
napi_value instructionSet(napi_env env, napi_callback_info info) {
  size_t count = 1, length = 0;
  napi_value wanted, result;
  char name[16] = "";
  napi_get_cb_info(env, info, &count, &wanted, nullptr, nullptr);
  if (count > 0 && napi_get_value_string_utf8(env, wanted, name, sizeof name, &length) == napi_ok)
    for (int i = 0; i <= chosenSet(); i++)
      if (std::strcmp(name, SETS[i]) == 0) currentSet = i;
  napi_create_string_utf8(env, SETS[currentSet], NAPI_AUTO_LENGTH, &result);
  return result;
}

napi_value init(napi_env env, napi_value exports) {
  napi_value function;
  napi_create_function(env, "rows", NAPI_AUTO_LENGTH, rows, nullptr, &function);
  napi_set_named_property(env, exports, "rows", function);
  napi_create_function(env, "losses", NAPI_AUTO_LENGTH, losses, nullptr, &function);
  napi_set_named_property(env, exports, "losses", function);
  napi_create_function(env, "margins", NAPI_AUTO_LENGTH, margins, nullptr, &function);
  napi_set_named_property(env, exports, "margins", function);
  napi_create_function(env, "propagate", NAPI_AUTO_LENGTH, propagate, nullptr, &function);
  napi_set_named_property(env, exports, "propagate", function);
  napi_create_function(env, "instructionSet", NAPI_AUTO_LENGTH, instructionSet, nullptr, &function);
  napi_set_named_property(env, exports, "instructionSet", function);
  return exports;
}
}  // namespace

NAPI_MODULE(tautnet, init)
