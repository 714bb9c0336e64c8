#include "host/parallel/agreement.h"

#include <fmt/format.h>
#include <torch/version.h>

#include <cmath>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>

#include "host/files.h"
#include "host/parallel/gather_text.h"
#include "registry/error.h"
#include "registry/text.h"

namespace dnc {
namespace {

constexpr size_t kShown = 3;  // differences of a rank

std::string file_digest(const std::filesystem::path& path) {
  const InputFile file(path);
  return fmt::format("{} bytes with checksum {:08x}", file.size(), checksum(file).crc);
}

void add_values(const Node& node, const std::string& path, Facts& facts) {
  const auto below = [&](const std::string& key) { return path.empty() ? key : path + "." + key; };
  if (node.is_map()) {
    for (const auto& entry : node.entries) add_values(entry.value, below(entry.key), facts);
  } else if (node.is_list()) {
    for (size_t i = 0; i < node.items.size(); ++i) {
      add_values(node.items[i], below(std::to_string(i)), facts);
    }
  } else {
    facts.emplace_back("config key " + path, node.is_null() ? "nothing" : node.scalar);
  }
}

std::string to_text(const Facts& facts) {
  return nlohmann::json(facts).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::map<std::string, std::string> from_text(const std::string& text) {
  const auto facts = nlohmann::json::parse(text).get<Facts>();
  return {facts.begin(), facts.end()};
}

std::string quoted(const std::map<std::string, std::string>& facts, const std::string& name) {
  const auto found = facts.find(name);
  return found == facts.end() ? "nothing" : "'" + found->second + "'";
}

/// "config key optimizer.lr is '0.2', on rank 0 '0.1'", the first of them.
std::string differences(const std::map<std::string, std::string>& own,
                        const std::map<std::string, std::string>& first) {
  auto names = first;
  names.insert(own.begin(), own.end());
  std::vector<std::string> found;
  for (const auto& [name, value] : names) {
    const auto here = quoted(own, name);
    const auto there = quoted(first, name);
    if (here != there) found.push_back(fmt::format("{} is {}, on rank 0 {}", name, here, there));
  }
  const auto all = found.size();
  found.resize(std::min(all, kShown));
  const auto more = all > kShown ? fmt::format("; and {} more", all - kShown) : std::string();
  return join(found, "; ") + more;
}

}  // namespace

Facts facts_of(const Experiment& experiment, const PluginLoader& plugins) {
  Facts facts{{"dnc-host version", DNC_VERSION},
              {"program", file_digest(std::filesystem::canonical("/proc/self/exe"))},
              {"LibTorch", TORCH_VERSION},
              {"kind of device", experiment.device().is_cuda() ? "cuda" : "cpu"}};
  for (const auto& plugin : plugins.loaded()) {
    facts.emplace_back("plugin " + plugin.file.filename().string(),
                       plugin.stamp + ", " + file_digest(plugin.file));
  }
  add_values(experiment.resolved(), "", facts);
  return facts;
}

void check_agreement(Communicator& ranks, const Facts& facts) {
  const auto own = to_text(facts);
  Checksum sum;
  sum.add(own.data(), own.size());
  const auto digests =
      ranks.gather(torch::tensor({static_cast<int64_t>(sum.crc), static_cast<int64_t>(own.size())})
                       .view({1, 2}));
  if (digests.eq(digests[0]).all().item<bool>()) return;
  const auto texts = gather_text(ranks, own);
  const auto first = from_text(texts.front());
  std::vector<std::string> lines;
  for (size_t rank = 1; rank < texts.size(); ++rank) {
    if (texts[rank] == texts.front()) continue;
    lines.push_back(fmt::format("rank {}: {}", rank, differences(from_text(texts[rank]), first)));
  }
  throw Error("the ranks do not train the same: " + join(lines, "\n  ") +
              "\nStart all of them with the same program, plugins, config and --set.");
}

}  // namespace dnc
