#pragma once

#include <gtest/gtest.h>
#include <torch/types.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <fstream>
#include <limits>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace dnc {

/// Named tensors that a script in tests/golden wrote with the PyTorch packages, e.g.
///
///   const Golden golden = Golden::load("backbones.txt");
///   EXPECT_TRUE(is_close(net->forward(images), golden["resnet18/out"], 1e-5));
///
/// The file is text, one tensor a line: `name [2,3]: 0.5 1 -2 ...`, row by row; `[]` is a scalar
/// and a line that begins with `#` a comment. golden.py writes it.
class Golden {
 public:
  /// Reads tests/golden/FILE. Throws std::runtime_error with file and line where it is not of that
  /// form, so that a damaged fixture never passes a test.
  static Golden load(const std::string& file) {
    const std::string path = std::string(DNC_SOURCE_DIR "/tests/golden/") + file;
    std::ifstream stream(path);
    if (!stream) throw std::runtime_error(path + ": cannot be opened");
    Golden golden(path);
    int64_t number = 0;
    for (std::string line; std::getline(stream, line);) {
      ++number;
      if (line.empty() || line.front() == '#') continue;
      try {
        golden.add(line);
      } catch (const std::exception& error) {
        throw std::runtime_error(path + ":" + std::to_string(number) + ": " + error.what());
      }
    }
    return golden;
  }

  /// float64, in the shape that was written; a copy. Throws std::out_of_range where there is none.
  torch::Tensor operator[](const std::string& name) const {
    const auto found = tensors_.find(name);
    if (found == tensors_.end()) throw std::out_of_range(path_ + ": has no '" + name + "'");
    return found->second.clone();
  }

  bool contains(const std::string& name) const { return tensors_.count(name) != 0; }

  /// The names that begin with `prefix`, in the order of the file, without the prefix.
  std::vector<std::string> names(const std::string& prefix = "") const {
    std::vector<std::string> found;
    for (const auto& name : names_) {
      if (name.rfind(prefix, 0) == 0) found.push_back(name.substr(prefix.size()));
    }
    return found;
  }

 private:
  explicit Golden(std::string path) : path_(std::move(path)) {}

  void add(std::string_view line) {
    const size_t bracket = line.find(" [");
    const size_t colon = line.find("]:");
    if (bracket == std::string_view::npos || colon == std::string_view::npos || colon < bracket) {
      throw std::runtime_error("is not 'name [shape]: values'");
    }
    const std::string name(line.substr(0, bracket));
    const auto shape = numbers<int64_t>(line.substr(bracket + 2, colon - bracket - 2), ',');
    const auto values = numbers<double>(line.substr(colon + 2), ' ');
    int64_t count = 1;
    for (const int64_t size : shape) count *= size;
    if (count != static_cast<int64_t>(values.size())) {
      throw std::runtime_error("'" + name + "' has " + std::to_string(values.size()) +
                               " values, its shape asks for " + std::to_string(count));
    }
    const auto tensor = torch::tensor(values, torch::kFloat64).reshape(shape);
    if (!tensors_.emplace(name, tensor).second) {
      throw std::runtime_error("'" + name + "' is there twice");
    }
    names_.push_back(name);
  }

  template <typename T>
  static std::vector<T> numbers(std::string_view text, char separator) {
    std::vector<T> found;
    const char* const end = text.data() + text.size();
    for (const char* at = text.data(); at != end;) {
      if (*at == separator) {
        ++at;
        continue;
      }
      T value{};
      const auto [next, error] = std::from_chars(at, end, value);
      if (error != std::errc() || (next != end && *next != separator)) {
        throw std::runtime_error("no number at '" + std::string(at, std::min(at + 20, end)) + "'");
      }
      found.push_back(value);
      at = next;
    }
    return found;
  }

  std::string path_;
  std::map<std::string, torch::Tensor> tensors_;
  std::vector<std::string> names_;
};

/// Values in [-1, 1) that depend only on the name and the position: golden.py's `values` gives the
/// same ones, so weights and inputs need not be written to a file. Float32, each exact.
inline torch::Tensor golden_values(std::string_view name, at::IntArrayRef shape) {
  uint32_t seed = 2166136261u;  // FNV-1a
  for (const char c : name) seed = (seed ^ static_cast<uint8_t>(c)) * 16777619u;
  auto tensor = torch::empty(shape, torch::kFloat32);
  float* const data = tensor.data_ptr<float>();
  for (int64_t i = 0; i < tensor.numel(); ++i) {
    uint32_t h =
        seed + static_cast<uint32_t>(i) * 0x9e3779b9u;  // then the finalizer of MurmurHash3
    h = (h ^ (h >> 16)) * 0x85ebca6bu;
    h = (h ^ (h >> 13)) * 0xc2b2ae35u;
    h ^= h >> 16;
    data[i] = static_cast<float>(h >> 8) * 0x1p-23f - 1.0f;
  }
  return tensor;
}

/// Whether two tensors have one shape and differ nowhere by more than `tolerance` times the largest
/// magnitude in `expected`. NaN and infinity are close to nothing.
inline testing::AssertionResult is_close(const torch::Tensor& actual, const torch::Tensor& expected,
                                         double tolerance) {
  if (actual.sizes() != expected.sizes()) {
    std::ostringstream text;
    text << "shape " << actual.sizes() << ", expected " << expected.sizes();
    return testing::AssertionFailure() << text.str();
  }
  if (expected.numel() == 0) return testing::AssertionFailure() << "nothing to compare";
  const auto to_flat = [](const torch::Tensor& tensor) {
    return tensor.detach().to(torch::kCPU, torch::kFloat64).reshape(-1);
  };
  const auto got = to_flat(actual);
  const auto want = to_flat(expected);
  const auto difference = (got - want).abs();
  const double bound = tolerance * want.abs().max().item<double>();
  if ((difference <= bound).all().item<bool>()) return testing::AssertionSuccess();
  const int64_t worst =
      difference.nan_to_num(std::numeric_limits<double>::infinity()).argmax().item<int64_t>();
  return testing::AssertionFailure()
         << "element " << worst << " of " << want.numel() << " is " << got[worst].item<double>()
         << ", expected " << want[worst].item<double>() << "; they differ by "
         << difference[worst].item<double>() << ", allowed is " << bound;
}

}  // namespace dnc
