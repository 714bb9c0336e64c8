#include "host/weights/key_map.h"

#include <ATen/ops/_upsample_bicubic2d_aa.h>
#include <ATen/ops/upsample_bicubic2d.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "host/plugin_loader.h"
#include "registry/config.h"
#include "registry/error.h"
#include "registry/fields.h"
#include "registry/text.h"

namespace dnc {
namespace {

namespace fs = std::filesystem;

struct FormOptions {
  std::vector<std::string> names;
  std::vector<std::string> known_by;
  std::vector<std::string> rows;
  std::vector<std::string> drop;
  std::vector<std::string> derive;
  void fields(Fields& f) {
    f("names", names, "Programs that use these names.").required();
    f("known_by", known_by, "Tensors that a file of this form has, all of them.").required();
    f("rows", rows, "OURS = THEIRS, with `via` and how to rearrange the tensor.").required();
    f("drop", drop, "Tensors that are not needed.");
    f("derive", derive, "Rows for tensors of theirs that follow from ours.");
  }
};

struct TableOptions {
  std::vector<std::string> ours;
  std::vector<std::string> resize;
  std::vector<FormOptions> forms;
  void fields(Fields& f) {
    f("ours", ours,
      "Tensors that a file with our names has, all of them; none in a table for heads.");
    f("resize", resize, "Tensors that are resized for another size, with `via` and how.");
    f.list("forms", forms, "The names elsewhere.").required();
  }
};

const std::map<std::string, Rearrange> kRearrange = {
    {"unfold", Rearrange::kUnfold},
    {"scale", Rearrange::kScale},
    {"pixels", Rearrange::kPixels},
    {"linear", Rearrange::kLinear},
    {"queries", Rearrange::kQueries},
    {"keys", Rearrange::kKeys},
    {"values", Rearrange::kValues},
    {"keys_values", Rearrange::kKeysValues},
    {"window_index", Rearrange::kWindowIndex},
    {"window_index_list", Rearrange::kWindowIndexList}};
const std::map<std::string, Resize> kResize = {{"window", Resize::kWindow},
                                               {"tokens", Resize::kTokens}};

/// Takes " via NAME" off the text and gives what NAME stands for; `otherwise` where there is none.
template <typename How>
How take_via(std::string& text, const std::map<std::string, How>& known, How otherwise) {
  const auto via = text.find(" via ");
  if (via == std::string::npos) return otherwise;
  const auto name = text.substr(via + 5);
  text.resize(via);
  if (const auto found = known.find(name); found != known.end()) return found->second;
  std::vector<std::string> names;
  for (const auto& item : known) names.push_back(item.first);
  throw Error(fmt::format("'via {}' is not known{}", name, suggestion(name, names)));
}

KeyRow parse_row(std::string text) {
  const auto rearrange = take_via(text, kRearrange, Rearrange::kNothing);
  const auto equal = text.find(" = ");
  if (equal == std::string::npos) throw Error(fmt::format("'{}' is not 'OURS = THEIRS'", text));
  KeyRow row{NamePattern(text.substr(0, equal)), NamePattern(text.substr(equal + 3)), rearrange};
  if (!row.ours.has_the_places_of(row.theirs)) {
    throw Error(fmt::format("'{}': both sides need the same places {{...}}", text));
  }
  return row;
}

std::vector<NamePattern> parse_patterns(const std::vector<std::string>& texts) {
  return {texts.begin(), texts.end()};
}

bool has_all(const TensorMap& tensors, const std::vector<NamePattern>& patterns) {
  return std::all_of(patterns.begin(), patterns.end(), [&](const NamePattern& pattern) {
    return std::any_of(tensors.begin(), tensors.end(),
                       [&](const auto& item) { return pattern.match(item.key()).has_value(); });
  });
}

/// The side of a square of so many; 0 where they are no square.
int64_t side_of(int64_t count) {
  if (count < 0) return 0;
  const auto side = static_cast<int64_t>(std::lround(std::sqrt(static_cast<double>(count))));
  return side * side == count ? side : 0;
}

/// [(2w - 1)^2, heads] for another w.
torch::Tensor resized_window(const torch::Tensor& table, at::IntArrayRef shape) {
  if (table.dim() != 2 || shape.size() != 2 || table.size(1) != shape[1]) return {};
  const auto from = side_of(table.size(0));
  const auto to = side_of(shape[0]);
  if (from % 2 == 0 || to % 2 == 0) return {};
  const auto maps = table.to(torch::kFloat).t().reshape({1, table.size(1), from, from});
  return at::upsample_bicubic2d(maps, {to, to}, false).flatten(2)[0].t().contiguous();
}

/// [1, 1 + h^2, D] for another h. The class token stays as it is.
torch::Tensor resized_tokens(const torch::Tensor& tokens, at::IntArrayRef shape) {
  if (tokens.dim() != 3 || shape.size() != 3 || tokens.size(0) != 1 || tokens.size(2) != shape[2]) {
    return {};
  }
  const auto from = side_of(tokens.size(1) - 1);
  const auto to = side_of(shape[1] - 1);
  if (from == 0 || to == 0) return {};
  const auto map =
      tokens.slice(1, 1).to(torch::kFloat).transpose(1, 2).reshape({1, shape[2], from, from});
  const auto patches = at::_upsample_bicubic2d_aa(map, {to, to}, false).flatten(2).transpose(1, 2);
  return torch::cat({tokens.slice(1, 0, 1).to(torch::kFloat), patches}, 1);
}

/// For each two positions of a window the row of the table with the bias of their offset, (dy, dx)
/// from (1 - w, 1 - w) to (w - 1, w - 1).
torch::Tensor window_index(const torch::Tensor& table) {
  const auto side = table.dim() == 2 ? side_of(table.size(0)) : 0;
  if (side % 2 == 0) return {};
  const auto w = (side + 1) / 2;
  const auto position = torch::arange(w * w, torch::kLong);
  const auto y = position.floor_divide(w);
  const auto x = position.remainder(w);
  const auto dy = y.unsqueeze(1) - y.unsqueeze(0) + (w - 1);
  const auto dx = x.unsqueeze(1) - x.unsqueeze(0) + (w - 1);
  return dy * side + dx;
}

/// Which thirds of a packed tensor of ours are one of theirs.
struct Thirds {
  int64_t begin = 0;
  int64_t end = 0;
};

/// Nothing where a row is not of that kind.
std::optional<Thirds> thirds_of(Rearrange how) {
  switch (how) {
    case Rearrange::kQueries:
      return Thirds{0, 1};
    case Rearrange::kKeys:
      return Thirds{1, 2};
    case Rearrange::kValues:
      return Thirds{2, 3};
    case Rearrange::kKeysValues:
      return Thirds{1, 3};
    default:
      return std::nullopt;
  }
}

/// A tensor of theirs is a part of ours and stays as it is until all parts are there; of ours that
/// part is taken.
torch::Tensor part_of(const torch::Tensor& tensor, const Thirds& thirds, bool to_ours) {
  if (tensor.dim() == 0) return {};
  if (to_ours) return tensor;
  if (tensor.size(0) % 3 != 0) return {};
  const auto third = tensor.size(0) / 3;
  return tensor.narrow(0, thirds.begin * third, (thirds.end - thirds.begin) * third).contiguous();
}

/// A matrix as the 1x1 convolution that it is.
torch::Tensor to_convolution(const torch::Tensor& tensor) {
  return tensor.dim() == 2 ? tensor.view({tensor.size(0), tensor.size(1), 1, 1}) : torch::Tensor();
}

torch::Tensor to_matrix(const torch::Tensor& tensor) {
  const bool fits = tensor.dim() == 4 && tensor.size(2) == 1 && tensor.size(3) == 1;
  return fits ? tensor.flatten(1) : torch::Tensor();
}

/// The tensor as the other side has it; undefined where its shape does not fit.
torch::Tensor rearranged(const torch::Tensor& tensor, Rearrange how, bool to_ours) {
  if (const auto thirds = thirds_of(how)) return part_of(tensor, *thirds, to_ours);
  const auto dim = tensor.dim();
  switch (how) {
    case Rearrange::kNothing:
      return tensor;
    case Rearrange::kUnfold: {
      if (dim == 0 || tensor.size(-1) % 4 != 0) return {};
      // Pixels (row, column): ours 00 10 01 11, nn.Unfold's 00 01 10 11. The swap is its own
      // inverse.
      const auto swap = torch::tensor({0, 2, 1, 3}, torch::kLong);
      const auto channels = tensor.size(-1) / 4;
      auto pixels = to_ours ? tensor.unflatten(-1, {channels, 4}).transpose(-1, -2)
                            : tensor.unflatten(-1, {4, channels});
      pixels = pixels.index_select(-2, swap);
      if (!to_ours) pixels = pixels.transpose(-1, -2);
      return pixels.flatten(-2).contiguous();
    }
    case Rearrange::kScale:
      if (to_ours) return dim == 1 ? tensor.view({-1, 1, 1}) : torch::Tensor();
      return dim == 3 && tensor.size(1) == 1 && tensor.size(2) == 1 ? tensor.flatten()
                                                                    : torch::Tensor();
    case Rearrange::kPixels:
      return to_ours ? to_matrix(tensor) : to_convolution(tensor);
    case Rearrange::kLinear:
      return to_ours ? to_convolution(tensor) : to_matrix(tensor);
    case Rearrange::kWindowIndex:
      return to_ours ? torch::Tensor() : window_index(tensor);
    case Rearrange::kWindowIndexList:
      if (const auto index = window_index(tensor); !to_ours && index.defined()) {
        return index.flatten();
      }
      return {};
    default:
      return {};
  }
}

/// Our packed tensors on the way: by name, their parts by the third with which each begins.
using PackedParts = std::map<std::string, std::map<int64_t, torch::Tensor>>;

void add_packed(const PackedParts& packed, const std::string& origin, TensorMap& renamed) {
  for (const auto& [name, parts] : packed) {
    std::vector<torch::Tensor> tensors;
    for (const auto& part : parts) tensors.push_back(part.second);
    const auto rest = tensors.front().sizes().slice(1);
    const int64_t third = tensors.front().size(0);
    int64_t rows = 0;
    bool fits = true;
    for (const auto& [begin, tensor] : parts) {
      fits = fits && rows == begin * third && tensor.sizes().slice(1) == rest;
      rows += tensor.size(0);
    }
    if (!fits || rows != 3 * third) {
      throw CheckpointError(
          fmt::format("{}: '{}' is made of queries, keys and values, which are not all there or do "
                      "not fit each other",
                      origin, name));
    }
    renamed.insert(name, torch::cat(tensors));
  }
}

void add_renamed(const TensorMap::Item& item, const KeyRow& row, const KeyForm& form, bool to_ours,
                 const std::string& origin, TensorMap& renamed, PackedParts& packed) {
  const auto& source = to_ours ? row.theirs : row.ours;
  const auto& target = to_ours ? row.ours : row.theirs;
  const auto name = target.fill(*source.match(item.key()));
  const auto tensor = rearranged(item.value(), row.rearrange, to_ours);
  if (!tensor.defined()) {
    throw CheckpointError(
        fmt::format("{}: '{}' has the shape {}, which the row '{} = {}' of the "
                    "table {} cannot rearrange",
                    origin, item.key(), c10::str(item.value().sizes()), row.ours.text(),
                    row.theirs.text(), form.family));
  }
  const auto thirds = to_ours ? thirds_of(row.rearrange) : std::nullopt;
  if (renamed.contains(name) || (thirds && packed[name].contains(thirds->begin))) {
    throw CheckpointError(
        fmt::format("{}: two tensors are both '{}' under the names of {}; one of "
                    "them is '{}'",
                    origin, name, to_ours ? "dnc-host" : join(form.names), item.key()));
  }
  if (thirds) {
    packed[name][thirds->begin] = tensor;
  } else {
    renamed.insert(name, tensor);
  }
}

RenamedTensors rename(const TensorMap& from, const KeyForm& form, bool to_ours,
                      const std::string& origin) {
  RenamedTensors renamed;
  PackedParts packed;
  for (const auto& item : from) {
    const auto& name = item.key();
    const auto fits = [&](const NamePattern& pattern) { return pattern.match(name).has_value(); };
    const bool derived = std::any_of(form.derive.begin(), form.derive.end(),
                                     [&](const KeyRow& row) { return fits(row.theirs); });
    if (to_ours && derived) continue;
    if (to_ours && std::any_of(form.drop.begin(), form.drop.end(), fits)) {
      renamed.dropped.push_back(name);
      continue;
    }
    const auto row_fits = [&](const KeyRow& row) { return fits(to_ours ? row.theirs : row.ours); };
    auto row = std::find_if(form.rows.begin(), form.rows.end(), row_fits);
    if (row == form.rows.end()) {
      renamed.unknown.push_back(name);
      continue;
    }
    add_renamed(item, *row, form, to_ours, origin, renamed.tensors, packed);
    // A packed tensor of ours is several of theirs.
    if (to_ours || !thirds_of(row->rearrange)) continue;
    while ((row = std::find_if(row + 1, form.rows.end(), row_fits)) != form.rows.end()) {
      if (!thirds_of(row->rearrange)) continue;
      add_renamed(item, *row, form, to_ours, origin, renamed.tensors, packed);
    }
  }
  add_packed(packed, origin, renamed.tensors);
  for (const auto& row : form.derive) {
    for (const auto& item : from) {
      if (to_ours || !row.ours.match(item.key())) continue;
      add_renamed(item, row, form, to_ours, origin, renamed.tensors, packed);
    }
  }
  return renamed;
}

}  // namespace

KeyMaps::KeyMaps(const fs::path& folder) {
  std::error_code error;
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (entry.path().extension() == ".yaml") files.push_back(entry.path());
  }
  if (error) {
    throw Error(
        fmt::format("{}: the tables of tensor names cannot be read: {}. They belong beside "
                    "the program; install it again.",
                    folder.string(), error.message()));
  }
  std::sort(files.begin(), files.end());  // the order decides where two tables know a file
  for (const auto& file : files) add(file);
  std::vector<KeyForm> heads;
  std::erase_if(families_, [&](const Family& family) {
    if (!family.ours.empty()) return false;
    heads.insert(heads.end(), family.forms.begin(), family.forms.end());
    return true;
  });
  put_before_backbones(heads);
}

void KeyMaps::put_before_backbones(const std::vector<KeyForm>& heads) {
  const auto append = [](auto& to, const auto& from) {
    to.insert(to.end(), from.begin(), from.end());
  };
  for (auto& family : families_) {
    std::vector<KeyForm> forms;
    for (const auto& backbone : family.forms) {
      for (const auto& head : heads) {
        KeyForm both = head;
        both.family = backbone.family;
        std::erase_if(both.names, [&](const std::string& name) {
          return std::find(backbone.names.begin(), backbone.names.end(), name) ==
                 backbone.names.end();
        });
        if (both.names.empty()) continue;
        append(both.known_by, backbone.known_by);
        append(both.rows, backbone.rows);
        append(both.drop, backbone.drop);
        append(both.derive, backbone.derive);
        forms.push_back(std::move(both));
      }
      forms.push_back(backbone);
    }
    family.forms = std::move(forms);
  }
}

void KeyMaps::add(const fs::path& file) {
  const auto config = load_config(file.string());
  TableOptions options;
  Fields fields;
  options.fields(fields);
  fields.read(config);
  try {
    Family family;
    family.ours = parse_patterns(options.ours);
    for (auto row : options.resize) {
      const auto how = take_via(row, kResize, Resize::kWindow);
      family.resize.emplace_back(NamePattern(row), how);
    }
    for (const auto& given : options.forms) {
      KeyForm form{file.stem().string(),       given.names, parse_patterns(given.known_by), {},
                   parse_patterns(given.drop), {}};
      for (const auto& row : given.rows) form.rows.push_back(parse_row(row));
      for (const auto& row : given.derive) form.derive.push_back(parse_row(row));
      family.forms.push_back(std::move(form));
    }
    families_.push_back(std::move(family));
  } catch (const Error& wrong) {
    throw ConfigError(fmt::format("{}: {}", file.string(), wrong.what()));
  }
}

const KeyForm* KeyMaps::recognise(const TensorMap& tensors) const {
  for (const auto& family : families_) {
    for (const auto& form : family.forms) {
      if (has_all(tensors, form.known_by)) return &form;
    }
  }
  return nullptr;
}

const KeyForm* KeyMaps::find(const TensorMap& ours, const std::string& name) const {
  for (const auto& family : families_) {
    if (!has_all(ours, family.ours)) continue;
    for (const auto& form : family.forms) {
      if (std::find(form.names.begin(), form.names.end(), name) != form.names.end()) return &form;
    }
  }
  return nullptr;
}

torch::Tensor KeyMaps::resized(const TensorMap& model, const std::string& name,
                               const torch::Tensor& tensor) const {
  for (const auto& family : families_) {
    if (!has_all(model, family.ours)) continue;
    for (const auto& [pattern, how] : family.resize) {
      if (!pattern.match(name)) continue;
      return how == Resize::kWindow ? resized_window(tensor, model[name].sizes())
                                    : resized_tokens(tensor, model[name].sizes());
    }
  }
  return {};
}

std::vector<std::string> KeyMaps::names() const {
  std::set<std::string> names;
  for (const auto& family : families_) {
    for (const auto& form : family.forms) names.insert(form.names.begin(), form.names.end());
  }
  return {names.begin(), names.end()};
}

RenamedTensors to_ours(const TensorMap& theirs, const KeyForm& form, const std::string& origin) {
  return rename(theirs, form, true, origin);
}

RenamedTensors from_ours(const TensorMap& ours, const KeyForm& form, const std::string& origin) {
  return rename(ours, form, false, origin);
}

fs::path builtin_keymap_folder() {
  // PREFIX/lib/dnc-host/plugins
  const auto prefix = builtin_plugin_folder().parent_path().parent_path().parent_path();
  return prefix / "share" / "dnc-host" / "keymaps";
}

}  // namespace dnc
