#include "plugins/datasets/web_dataset/shard_index.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <optional>
#include <utility>

#include "plugins/datasets/common/json.h"
#include "plugins/datasets/web_dataset/tar_reader.h"
#include "registry/error.h"
#include "registry/text.h"

namespace dnc {
namespace {

constexpr int64_t kMaxLabelBytes = 1 << 20;
constexpr int64_t kMaxImageBytes = 256 << 20;

struct MemberName {
  std::string key;
  std::string suffix;  // in lower case
};

std::optional<MemberName> split_name(const std::string& name) {
  const auto slash = name.rfind('/');
  const auto file = slash == std::string::npos ? 0 : slash + 1;
  const auto dot = name.find('.', file);
  if (dot == std::string::npos || dot == file || name.compare(file, 2, "__") == 0) {
    return std::nullopt;
  }
  MemberName split{name.substr(0, dot), name.substr(dot + 1)};
  for (auto& c : split.suffix) {
    c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return split;
}

std::string trimmed(std::string text) {
  constexpr const char* kSpaces = " \t\r\n";
  text.erase(0, text.find_first_not_of(kSpaces));
  text.erase(text.find_last_not_of(kSpaces) + 1);
  return text;
}

/// Puts members together to samples.
class Indexer {
 public:
  Indexer(const ShardFile& file, const SampleLayout& layout, const LabelParser& labels)
      : file_(file),
        layout_(layout),
        labels_(labels),
        label_suffix_(layout.json_key.empty() ? "cls" : "json") {}

  void add(const TarMember& member) {
    const auto name = split_name(member.name);
    if (!name) return;
    const bool is_image = std::find(layout_.images.begin(), layout_.images.end(), name->suffix) !=
                          layout_.images.end();
    if (!is_image && name->suffix != label_suffix_) return;
    if (samples_.empty() || samples_.back().key != name->key) begin(name->key);
    if (is_image) {
      add_image(member);
    } else {
      add_label(member);
    }
  }

  bool has_good_sample() const {
    return std::any_of(samples_.begin(), samples_.end(), [this](const auto& sample) {
      return sample.fault.empty() && (&sample != &samples_.back() || is_whole());
    });
  }

  // The rest of the file is one more sample, that of the members before it where that has not all
  // of its own.
  std::vector<ShardSample> finish_at(const TarDamage& damage) {
    const auto place = fmt::format("at byte {}", damage.offset());
    if (samples_.empty() || is_whole()) begin(place);
    auto& rest = samples_.back();
    const auto what = fmt::format("{}: {}", place, damage.reason());
    rest.fault = rest.key == place ? damage.what() : where(rest.key) + ": " + what;
    return std::move(samples_);
  }

  std::vector<ShardSample> finish() {
    end();
    if (samples_.empty()) {
      throw DataError(fmt::format("{}: has no samples; expected members NAME.{} and NAME.{}",
                                  file_.path(), layout_.images.front(), label_suffix_));
    }
    return std::move(samples_);
  }

 private:
  std::string where(const std::string& key) const {
    return fmt::format("{}: {}", file_.path(), key);
  }
  // Notes the first thing that is wrong with the sample.
  void fault(const TarMember& at, const std::string& what) {
    auto& sample = samples_.back();
    if (!sample.fault.empty()) return;
    sample.fault = fmt::format("{}: at byte {}: {}", where(sample.key), at.offset, what);
  }

  bool is_whole() const { return has_image_ && has_label_; }

  void begin(const std::string& key) {
    end();
    samples_.emplace_back();
    samples_.back().key = key;
    has_image_ = has_label_ = false;
  }
  void end() {
    if (samples_.empty() || is_whole()) return;
    fault(last_, has_image_ ? fmt::format("the sample has no label (.{})", label_suffix_)
                            : fmt::format("the sample has no image (looked for .{})",
                                          join(layout_.images, ", .")));
  }

  void add_image(const TarMember& member) {
    if (has_image_) fault(member, "the sample has two images");
    has_image_ = true;
    if (member.size > kMaxImageBytes) {
      fault(member, fmt::format("an image of {} bytes (limit {})", member.size, kMaxImageBytes));
    }
    samples_.back().offset = member.offset;
    samples_.back().size = member.size;
    last_ = member;
  }

  void add_label(const TarMember& member) {
    if (has_label_) fault(member, "the sample has two labels");
    has_label_ = true;
    last_ = member;
    if (member.size > kMaxLabelBytes) {
      return fault(member, fmt::format("a label of {} bytes", member.size));
    }
    std::string text(static_cast<size_t>(member.size), '\0');
    file_.read(member.offset, text.data(), member.size);
    auto& sample = samples_.back();
    try {
      const auto at = fmt::format("{}: at byte {}", where(sample.key), member.offset);
      if (!layout_.json_key.empty()) text = json_values(text, {layout_.json_key}, at).front();
      sample.label = labels_.parse(trimmed(std::move(text)), at);
    } catch (const DataError& error) {
      if (sample.fault.empty()) sample.fault = error.what();
    }
  }

  const ShardFile& file_;
  const SampleLayout& layout_;
  const LabelParser& labels_;
  std::string label_suffix_;
  std::vector<ShardSample> samples_;
  bool has_image_ = false;  // of the last sample
  bool has_label_ = false;
  TarMember last_;  // the last image or label
};

}  // namespace

std::vector<ShardSample> index_shard(const std::filesystem::path& path, const SampleLayout& layout,
                                     const LabelParser& labels, DamagedShards damaged) {
  const ShardFile file(path);
  TarReader reader(file);
  Indexer indexer(file, layout, labels);
  try {
    while (const auto member = reader.next()) indexer.add(*member);
  } catch (const TarDamage& damage) {
    if (damaged == DamagedShards::kUse) return indexer.finish_at(damage);
    if (!indexer.has_good_sample()) throw;
    throw DataError(
        fmt::format("{}; or use the samples before it with `damaged_shards: use`", damage.what()));
  }
  return indexer.finish();
}

}  // namespace dnc
