#include "host/rejection/thresholds.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/torch.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "host/files.h"
#include "host/weights/state.h"
#include "registry/config.h"
#include "registry/error.h"

namespace dnc {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMostBytes = 1 << 20;  // of the file

std::string how_to_make(const fs::path& file) {
  return fmt::format("make it with `dnc-host test {} --unknown CONFIG --far 0.05`",
                     file.parent_path().string());
}

void add(Checksum& sum, const std::string& text) { sum.add(text.data(), text.size()); }

// The value of two keys, one in the other, as JSON; empty where there is none.
std::string json_of(const Node& root, const char* first, const char* second) {
  const auto* outer = root.find(first);
  const auto* inner = outer ? outer->find(second) : nullptr;
  return inner ? to_json(*inner) : "";
}

double number(const nlohmann::json& object, const char* key) {
  const auto value = object.at(key).get<double>();
  if (!std::isfinite(value)) throw std::out_of_range(key);
  return value;
}

}  // namespace

std::string digest_for_rejection(const OpenedRun& run) {
  Checksum sum;
  for (const auto& item : state_of(*run.model)) {
    const auto values = item.value().cpu().contiguous();
    add(sum, item.key());
    sum.add(values.const_data_ptr(), values.nbytes());
  }
  const auto& config = run.experiment->resolved();
  add(sum, json_of(config, "model", "preprocess"));
  for (const auto* split : {"test", "val"}) {
    const auto* data = config.find("data");
    add(sum, data ? json_of(*data, split, "transforms") : "");
  }
  return fmt::format("{:08x}-{}", sum.crc, sum.size);
}

fs::path thresholds_file(const OpenedRun& run) { return run.folder / "reject.json"; }

void write_thresholds(const fs::path& file, const RejectionThresholds& thresholds) {
  nlohmann::ordered_json json = {{"model", thresholds.model},
                                 {"unknown", thresholds.unknown},
                                 {"chosen_on", thresholds.chosen_on},
                                 {"measured_on", thresholds.measured_on},
                                 {"thresholds", nlohmann::ordered_json::array()}};
  for (const auto& each : thresholds.thresholds) {
    json["thresholds"].push_back({{"score", each.score},
                                  {"false_accept_rate", each.false_accept_rate},
                                  {"threshold", each.threshold},
                                  {"measured", each.measured},
                                  {"known_rejected", each.known_rejected}});
  }
  write_file(file, json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
}

RejectionThresholds read_thresholds(const fs::path& file) {
  if (!fs::exists(file)) {
    throw Error(fmt::format("{}: there is no such file; {}", file.string(), how_to_make(file)));
  }
  try {
    const auto json = nlohmann::json::parse(read_file(file, kMostBytes));
    RejectionThresholds found;
    found.model = json.at("model").get<std::string>();
    found.unknown = json.at("unknown").get<std::string>();
    found.chosen_on = json.at("chosen_on").get<int64_t>();
    found.measured_on = json.at("measured_on").get<int64_t>();
    for (const auto& each : json.at("thresholds")) {
      found.thresholds.push_back({each.at("score").get<std::string>(),
                                  number(each, "false_accept_rate"), number(each, "threshold"),
                                  number(each, "measured"), number(each, "known_rejected")});
    }
    if (found.thresholds.empty()) throw std::out_of_range("thresholds");
    return found;
  } catch (const Error&) {
    throw;
  } catch (const std::exception&) {
    throw Error(fmt::format("{}: is damaged; {}", file.string(), how_to_make(file)));
  }
}

Threshold find_threshold(const fs::path& file, const std::string& model, const std::string& score,
                         double false_accept_rate) {
  const auto found = read_thresholds(file);
  if (found.model != model) {
    throw Error(
        fmt::format("{}: is of other weights, transforms or preprocessing than this model; {}",
                    file.string(), how_to_make(file)));
  }
  const auto wanted = score.empty() ? found.thresholds.front().score : score;
  std::vector<std::string> known;
  for (const auto& each : found.thresholds) {
    const bool same_rate =
        false_accept_rate < 0 || std::abs(each.false_accept_rate - false_accept_rate) < 1e-9;
    if (each.score == wanted && same_rate) return each;
    known.push_back(fmt::format("{} at {}", each.score, each.false_accept_rate));
  }
  throw Error(fmt::format(
      "{}: has no threshold of {}{}; it has {}. {} is made anew by `dnc-host test {} --unknown {} "
      "--far RATE,RATE`",
      file.string(), wanted,
      false_accept_rate < 0 ? "" : fmt::format(" at a false-accept rate of {}", false_accept_rate),
      fmt::join(known, ", "), file.filename().string(), file.parent_path().string(),
      found.unknown));
}

}  // namespace dnc
