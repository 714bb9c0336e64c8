#include "host/report/run_record.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <optional>

#include "host/files.h"
#include "registry/error.h"

namespace dnc::report {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;  // keeps the order of the figures

constexpr uint64_t kLargestFile = uint64_t{512} << 20;
constexpr int64_t kLargestPictureSide = 1 << 14;
constexpr std::string_view kDamaged =
    "the file is damaged: put it back from a copy, or delete the run folder and train again";

std::string shortened(const Json& json) {
  auto text = json.dump(-1, ' ', true, Json::error_handler_t::replace);
  if (text.size() > 40) text = text.substr(0, 40) + "...";
  return text;
}

/// A JSON value and where it stands. Reading a value of another type throws a dnc::Error that says
/// so; a number that is missing or null is NaN, a text, list or map that is missing is empty.
class Value {
 public:
  Value(const Json& json, std::string file, std::string path)
      : json_(json), file_(std::move(file)), path_(std::move(path)) {}

  Value operator[](const std::string& key) const {
    static const Json nothing;
    expect(json_.is_null() || json_.is_object(), "a map");
    const auto it = json_.is_object() ? json_.find(key) : json_.end();
    const bool found = json_.is_object() && it != json_.end();
    return {found ? *it : nothing, file_, path_.empty() ? key : path_ + "." + key};
  }

  bool missing() const { return json_.is_null(); }

  Value required() const {
    expect(!missing(), "there");
    return *this;
  }

  double number() const {
    expect(missing() || json_.is_number(), "a number");
    return missing() ? kUnknown : json_.get<double>();
  }

  int64_t integer() const {
    const bool fits = json_.is_number_integer() &&
                      (!json_.is_number_unsigned() || json_.get<uint64_t>() <= INT64_MAX);
    expect(fits, "a whole number");
    return json_.get<int64_t>();
  }

  int64_t count() const {
    const auto value = integer();
    expect(value >= 0, "0 or more");
    return value;
  }

  std::string text() const {
    expect(missing() || json_.is_string(), "a text");
    return missing() ? "" : json_.get<std::string>();
  }

  std::vector<Value> list() const {
    expect(missing() || json_.is_array(), "a list");
    std::vector<Value> values;
    values.reserve(json_.size());
    for (const auto& item : json_) {
      values.emplace_back(item, file_, fmt::format("{}[{}]", path_, values.size()));
    }
    return values;
  }

  std::vector<double> numbers() const {
    std::vector<double> numbers;
    for (const auto& value : list()) numbers.push_back(value.number());
    return numbers;
  }

  std::vector<std::string> texts() const {
    std::vector<std::string> texts;
    for (const auto& value : list()) texts.push_back(value.text());
    return texts;
  }

  Figures figures() const {
    expect(missing() || json_.is_object(), "a map");
    Figures figures;
    if (missing()) return figures;
    for (const auto& [name, value] : json_.items()) {
      figures.emplace_back(name, (*this)[name].number());
    }
    return figures;
  }

  void expect(bool good, std::string_view expected) const {
    if (good) return;
    throw Error(fmt::format("{}: {} must be {}, but is {}; {}", file_,
                            path_.empty() ? "the content" : "'" + path_ + "'", expected,
                            json_.is_null() ? "missing" : shortened(json_), kDamaged));
  }

 private:
  const Json& json_;
  std::string file_;
  std::string path_;
};

Json parse_file(const fs::path& file) {
  auto json = Json::parse(read_file(file, kLargestFile), nullptr, false);
  if (json.is_discarded()) {
    throw Error(fmt::format("{}: is not JSON; {}", file.string(), kDamaged));
  }
  return json;
}

/// Calls `see` with each line of a file of JSON maps; see read_metrics() for damage.
template <typename See>
void for_each_line(const fs::path& file, std::vector<std::string>* damage, const See& see) {
  const auto content = read_file(file, kLargestFile);
  std::string_view rest = content;
  for (int64_t number = 1; !rest.empty(); ++number) {
    const auto end = rest.find('\n');
    const auto line = rest.substr(0, end);
    const bool last = end == std::string_view::npos;
    rest.remove_prefix(last ? rest.size() : end + 1);
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    const auto where = fmt::format("{}:{}", file.string(), number);
    const auto json = Json::parse(line, nullptr, false);
    // A last line without an end was being written when the run was killed.
    if (!json.is_object() && last) return;
    try {
      if (!json.is_object())
        throw Error(fmt::format("{}: is not a JSON object; {}", where, kDamaged));
      see(Value(json, where, ""));
    } catch (const Error& error) {
      if (damage == nullptr) throw;
      damage->emplace_back(error.what());
    }
  }
}

/// Of a step that a resumed run did again, only the last telling counts; and what came after it
/// the first time did not happen.
template <typename Event>
void forget_after(std::vector<Event>& events, int64_t step) {
  while (!events.empty() && events.back().step > step) events.pop_back();
}

void add(Metrics& metrics, TrainEvent event) {
  forget_after(metrics.evaluations, event.step);
  forget_after(metrics.train, event.step - 1);
  metrics.train.push_back(std::move(event));
}

void add(Metrics& metrics, EvaluationEvent event) {
  forget_after(metrics.evaluations, event.step);
  forget_after(metrics.train, event.step);
  std::erase_if(metrics.evaluations, [&](const auto& old) {
    return old.step == event.step && old.split == event.split;
  });
  metrics.evaluations.push_back(std::move(event));
}

void add(Metrics& metrics, BadSamplesEvent event) {
  std::erase_if(metrics.bad_samples, [&](const auto& old) { return old.split == event.split; });
  metrics.bad_samples.push_back(std::move(event));
}

void add_line(Metrics& metrics, const Value& line) {
  const auto kind = line["event"].text();
  if (kind == "train") {
    metrics.end_reason.clear();  // a later training goes on from there
    add(metrics, TrainEvent{.step = line["step"].count(),
                            .epoch = line["epoch"].number(),
                            .lr = line["lr"].number(),
                            .losses = line["losses"].figures(),
                            .step_ms = line["step_ms"].number(),
                            .wait_ms = line["wait_ms"].number()});
  } else if (kind == "evaluation") {
    add(metrics, EvaluationEvent{.split = line["split"].text(),
                                 .step = line["step"].count(),
                                 .epoch = line["epoch"].number(),
                                 .figures = line["figures"].figures(),
                                 .prototypes = line["prototypes"].figures()});
  } else if (kind == "bad_samples") {
    add(metrics, BadSamplesEvent{.split = line["split"].text(),
                                 .step = line["step"].count(),
                                 .count = line["count"].count(),
                                 .first = line["first"].text()});
  } else if (kind == "end") {
    metrics.end_reason = line["reason"].text();
  }  // Another kind is of a later version, or of a plugin's hook.
}

Table to_table(const Value& value) {
  Table table{.name = value["name"].required().text(),
              .columns = value["columns"].texts(),
              .rows = value["rows"].texts(),
              .values = value["values"].numbers()};
  value["values"].expect(
      table.values.size() == table.rows.size() * table.columns.size(),
      fmt::format("{} numbers ({} rows of {})", table.rows.size() * table.columns.size(),
                  table.rows.size(), table.columns.size()));
  return table;
}

/// Whether `text` has only base64's characters, with at most two '=' at the end.
bool is_base64(std::string_view text) {
  for (int i = 0; i < 2 && text.ends_with('='); ++i) text.remove_suffix(1);
  return std::ranges::all_of(text, [](unsigned char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' ||
           c == '/';
  });
}

/// Width and height of a PNG in base64 by its header; nothing where it is no PNG.
std::optional<std::array<int64_t, 2>> png_size(std::string_view base64) {
  constexpr std::string_view alphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  constexpr std::string_view start("\x89PNG\r\n\x1a\n\0\0\0\rIHDR", 16);
  if (base64.size() < 32 || base64.size() % 4 != 0 || !is_base64(base64)) return std::nullopt;
  std::string header;  // the first 24 bytes
  uint32_t bits = 0;
  for (size_t i = 0; i < 32; ++i) {
    const auto digit = alphabet.find(base64[i]);
    if (digit == std::string_view::npos) return std::nullopt;
    bits = (bits << 6) | static_cast<uint32_t>(digit);
    if (i % 4 == 3) {
      for (const int shift : {16, 8, 0}) header += static_cast<char>(bits >> shift & 0xFF);
    }
  }
  if (!header.starts_with(start)) return std::nullopt;
  const auto big_endian = [&](size_t at) {
    int64_t value = 0;
    for (size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<unsigned char>(header[at + i]);
    return value;
  };
  const std::array<int64_t, 2> size{big_endian(16), big_endian(20)};
  for (const auto side : size) {
    if (side < 1 || side > kLargestPictureSide) return std::nullopt;
  }
  return size;
}

/// A PNG file in base64, or none for an empty text.
Picture read_picture(const Value& value) {
  Picture picture{.png = value.text()};
  if (picture.png.empty()) return picture;
  const auto size = png_size(picture.png);
  value.expect(size.has_value(), "a PNG file in base64");
  picture.width = (*size)[0];
  picture.height = (*size)[1];
  return picture;
}

}  // namespace

double figure(const Figures& figures, std::string_view name) {
  const auto it = std::ranges::find(figures, name, &Figures::value_type::first);
  return it == figures.end() ? kUnknown : it->second;
}

Metrics read_metrics(const fs::path& file, std::vector<std::string>* damage) {
  Metrics metrics;
  for_each_line(file, damage, [&](const Value& line) { add_line(metrics, line); });
  return metrics;
}

std::vector<MassEvent> read_mass(const fs::path& file, std::vector<std::string>* damage) {
  std::vector<MassEvent> events;
  for_each_line(file, damage, [&](const Value& line) {
    MassEvent event{.step = line["step"].count(), .mass = {}};
    for (const auto& row : line["mass"].list()) event.mass.push_back(row.numbers());
    forget_after(events, event.step - 1);
    events.push_back(std::move(event));
  });
  return events;
}

RunResult read_result(const fs::path& file) {
  const Json json = parse_file(file);
  const Value root(json, file.string(), "");
  root.expect(json.is_object(), "a map");
  const auto parameters = root["parameters"];
  const auto machine = root["machine"];
  RunResult result{.name = root["name"].required().text(),
                   .config = root["config"].text(),
                   .seed = root["seed"].integer(),
                   .steps = root["steps"].number(),
                   .epochs = root["epochs"].number(),
                   .seconds = root["seconds"].number(),
                   .step_ms_median = root["step_ms"]["median"].number(),
                   .step_ms_p90 = root["step_ms"]["p90"].number(),
                   .images_per_second = root["images_per_second"].number(),
                   .peak_memory_mib = root["peak_memory_mib"].number(),
                   .learnable_parameters = parameters["learnable"].number(),
                   .total_parameters = parameters["total"].number(),
                   .buffers = parameters["buffers"].number(),
                   .split = root["split"].text(),
                   .figures = root["figures"].required().figures(),
                   .tables = {},
                   .prototype_figures = root["prototypes"]["figures"].figures(),
                   .mass = {},
                   .cpu = machine["cpu"].text(),
                   .threads = machine["threads"].number(),
                   .device = machine["device"].text(),
                   .version = root["version"].text(),
                   .date = root["date"].text()};
  for (const auto& table : root["tables"].list()) result.tables.push_back(to_table(table));
  for (const auto& row : root["prototypes"]["mass"].list()) result.mass.push_back(row.numbers());
  return result;
}

void read_prototypes(const fs::path& file, RunRecord& record) {
  const Json json = parse_file(file);
  const Value root(json, file.string(), "");
  record.prototype_classes = root["classes"].texts();
  const auto classes = static_cast<int64_t>(record.prototype_classes.size());
  for (const auto& value : root["prototypes"].list()) {
    PrototypeImage image{.class_index = value["class"].integer(),
                         .index = value["index"].count(),
                         .mass = value["mass"].number(),
                         .similarity = value["similarity"].number(),
                         .sample = value["name"].text(),
                         .png = value["png"].text()};
    value["class"].expect(image.class_index >= 0 && image.class_index < classes,
                          fmt::format("one of {} classes", classes));
    const auto picture = read_picture(value["png"]);
    image.width = picture.width;
    image.height = picture.height;
    record.prototypes.push_back(std::move(image));
  }
}

ShownMistakes read_mistakes(const fs::path& file) {
  const Json json = parse_file(file);
  const Value root(json, file.string(), "");
  ShownMistakes mistakes{.in_all = root["in_all"].count(), .worst = {}};
  for (const auto& value : root["worst"].list()) {
    mistakes.worst.push_back({.sample = value["sample"].text(),
                              .label = value["label"].text(),
                              .prediction = value["prediction"].text(),
                              .score = value["score"].number(),
                              .label_score = value["label_score"].number(),
                              .picture = read_picture(value["png"])});
  }
  return mistakes;
}

std::vector<std::pair<std::string, std::string>> read_environment(const fs::path& file) {
  const Json json = parse_file(file);
  Value(json, file.string(), "").expect(json.is_object(), "a map");
  std::vector<std::pair<std::string, std::string>> entries;
  for (const auto& [name, value] : json.items()) {
    entries.emplace_back(name, value.is_string() ? value.get<std::string>() : shortened(value));
  }
  return entries;
}

RunRecord read_run(const fs::path& folder) {
  for (const auto& file : {folder / "metrics.jsonl", folder / "result.json"}) {
    std::error_code unreadable;
    if (fs::exists(file, unreadable)) continue;
    throw Error(
        fmt::format("{}: is missing; expected the folder of a finished run: let the run "
                    "finish, or give another folder",
                    file.string()));
  }
  RunRecord record{.folder = folder,
                   .metrics = read_metrics(folder / "metrics.jsonl"),
                   .result = read_result(folder / "result.json"),
                   .prototype_classes = {},
                   .prototypes = {}};
  const auto prototypes = folder / "prototypes.json";
  if (fs::exists(prototypes)) read_prototypes(prototypes, record);
  if (record.result.figures.empty() && !record.metrics.evaluations.empty()) {
    record.result.split = record.metrics.evaluations.back().split;
    record.result.figures = record.metrics.evaluations.back().figures;
  }
  return record;
}

const Table* find_table(const RunResult& result, std::string_view name) {
  const auto it = std::ranges::find(result.tables, name, &Table::name);
  return it == result.tables.end() ? nullptr : &*it;
}

}  // namespace dnc::report
