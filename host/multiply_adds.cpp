#include "host/multiply_adds.h"

#include <ATen/core/ivalue.h>
#include <ATen/record_function.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string_view>

namespace dnc {
namespace {

using Inputs = c10::ArrayRef<const c10::IValue>;

at::IntArrayRef shape(const c10::IValue& input) {
  return input.isTensor() && input.toTensor().defined() ? input.toTensor().sizes()
                                                        : at::IntArrayRef();
}

int64_t product(at::IntArrayRef sizes) { return c10::multiply_integers(sizes); }

// [..., n, k] by [..., k, m], or by a vector [k].
int64_t matrix_product(const c10::IValue& left, const c10::IValue& right) {
  const auto a = shape(left), b = shape(right);
  if (a.empty() || b.empty()) return 0;
  return product(a) * (b.size() > 1 ? b.back() : 1);
}

// (input, weight, bias, stride, padding, dilation, transposed, output_padding, groups). A weight is
// [C_out, C_in / groups, kernel...], or [C_in, C_out / groups, kernel...] where it is transposed.
int64_t convolution(Inputs inputs) {
  const auto input = shape(inputs[0]), weight = shape(inputs[1]);
  if (input.size() < 3 || weight.size() != input.size()) return 0;
  const auto per_place = product(weight.slice(1));
  if (inputs[6].toBool()) return product(input) * per_place;
  const auto stride = inputs[3].toIntVector(), padding = inputs[4].toIntVector(),
             dilation = inputs[5].toIntVector();
  const auto of_dimension = [](const std::vector<int64_t>& values, size_t i) {
    return values[std::min(i, values.size() - 1)];  // one value may stand for all
  };
  int64_t places = input[0] * weight[0];  // N * C_out * H_out * W_out
  for (size_t i = 0; i + 2 < input.size(); ++i) {
    const auto kernel = of_dimension(dilation, i) * (weight[i + 2] - 1) + 1;
    places *= (input[i + 2] + 2 * of_dimension(padding, i) - kernel) / of_dimension(stride, i) + 1;
  }
  return places * per_place;
}

// (query [N, heads, L, E], key [N, heads, S, E], value [N, heads, S, E_v], ...)
int64_t attention(Inputs inputs) {
  const auto query = shape(inputs[0]), key = shape(inputs[1]), value = shape(inputs[2]);
  if (query.size() != 4 || key.size() != 4 || value.size() != 4) return 0;
  return query[0] * query[1] * query[2] * key[2] * (query[3] + value[3]);
}

// Only operators that no other one in the list is made of, or they would count twice.
int64_t cost(std::string_view name, Inputs inputs) {
  if (name == "convolution") return convolution(inputs);
  if (name == "mm" || name == "bmm" || name == "mv" || name == "dot") {
    return matrix_product(inputs[0], inputs[1]);
  }
  if (name == "addmm" || name == "baddbmm" || name == "addmv" || name == "_addmm_activation") {
    return matrix_product(inputs[1], inputs[2]);
  }
  const bool fused = name.starts_with("_scaled_dot_product_") &&
                     name.find("_attention") != name.npos && name.find("_math") == name.npos &&
                     name.find("_backward") == name.npos;
  return fused ? attention(inputs) : 0;
}

using Costs = std::map<std::string, OperatorCost, std::less<>>;
thread_local Costs* counted = nullptr;  // callbacks are plain functions: this is their state

std::unique_ptr<at::ObserverContext> count(const at::RecordFunction& call) {
  std::string_view name = call.name();
  if (!counted || !name.starts_with("aten::")) return nullptr;
  name.remove_prefix(6);
  if (const auto number = cost(name, call.inputs()); number > 0) {
    auto& entry = (*counted)[std::string(name)];
    ++entry.calls;
    entry.multiply_adds += number;
  }
  return nullptr;
}

// Watches this thread's operators while it lives.
class Watch {
 public:
  explicit Watch(Costs& costs)
      : before_(std::exchange(counted, &costs)),
        handle_(
            at::addThreadLocalCallback(at::RecordFunctionCallback(count).needsInputs(true).scopes(
                {at::RecordScope::FUNCTION}))) {}
  ~Watch() {
    at::removeCallback(handle_);
    counted = before_;
  }
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

 private:
  Costs* before_;
  at::CallbackHandle handle_;
};

}  // namespace

std::vector<OperatorCost> count_multiply_adds(const std::function<void()>& work) {
  Costs costs;
  {
    const Watch watch(costs);
    work();
  }
  std::vector<OperatorCost> sorted;
  for (auto& [name, cost] : costs) {
    cost.name = name;
    sorted.push_back(cost);
  }
  std::ranges::stable_sort(sorted, std::greater<>(), &OperatorCost::multiply_adds);
  return sorted;
}

int64_t multiply_adds(const std::vector<OperatorCost>& costs) {
  int64_t sum = 0;
  for (const auto& cost : costs) sum += cost.multiply_adds;
  return sum;
}

}  // namespace dnc
