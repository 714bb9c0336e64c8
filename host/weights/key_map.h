#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "host/weights/name_pattern.h"
#include "host/weights/safetensors.h"

namespace dnc {

/// What else than its name differs between a tensor here and elsewhere.
enum class Rearrange {
  kNothing,
  // Ours: the four pixels of a 2x2 patch, column by column, each with all its channels. Theirs, the
  // order of nn.Unfold: the channels, each with its four pixels, row by row. In the last dimension,
  // [..., 4C].
  kUnfold,
  // Ours [C, 1, 1], theirs [C].
  kScale,
  // A linear layer [D, C] here, the 1x1 convolution [D, C, 1, 1] that it is for pixels there; and
  // the other way round.
  kPixels,
  kLinear,
  // Ours [3C, ...], queries, keys and values behind each other; theirs one of them, [C, ...], or
  // the last two, [2C, ...]. Several tensors of theirs are one of ours.
  kQueries,
  kKeys,
  kValues,
  kKeysValues,
  // Ours [(2w - 1)^2, heads], a bias for each offset between two of the w x w positions of a
  // window. Theirs [w^2, w^2], the row of that table for each pair of positions; and the same as a
  // list.
  kWindowIndex,
  kWindowIndexList,
};

/// How a tensor that depends on the size of an image or window becomes one for another size.
enum class Resize {
  kWindow,  // [(2w - 1)^2, heads], a bias for each offset in a window; bicubic
  kTokens,  // [1, 1 + h^2, D], an embedding for the class token and each patch; bicubic,
            // antialiased
};

/// One row of a table: what a tensor is called here and elsewhere.
struct KeyRow {
  NamePattern ours;
  NamePattern theirs;
  Rearrange rearrange = Rearrange::kNothing;
};

/// How other programs name the tensors of one family of networks.
struct KeyForm {
  std::string family;                 // the table's name
  std::vector<std::string> names;     // "torchvision", "timm", ...
  std::vector<NamePattern> known_by;  // a file that has a tensor for each of them is of this form
  std::vector<KeyRow> rows;           // for each tensor the first row that fits counts, and for a
                                      // packed one of ours also those of its other parts
  std::vector<NamePattern> drop;      // theirs that nobody needs
  std::vector<KeyRow> derive;         // theirs that follow from ours: not read, but written
};

/// Tensors with other names.
struct RenamedTensors {
  TensorMap tensors;
  std::vector<std::string> unknown;  // those that no row knows, with their names as they were
  std::vector<std::string> dropped;  // those that nobody needs
};

/// The tables of a folder, FAMILY.yaml each:
///
///   ours: [backbone.conv1.weight]       # how a file with our names is known
///   resize: [backbone.attn.table via window]
///   forms:
///     - names: [torchvision, timm]
///       known_by: [layer1.0.conv1.weight]
///       rows:
///         - head.fc.{*} = fc.{*}
///         - backbone.{*} = {*}
///       drop: [attn_mask]
///       derive:
///         - backbone.attn.table = attn.index via window_index
///
/// A row is "OURS = THEIRS", and behind it "via unfold", "via scale", "via pixels", "via linear",
/// "via queries", "via keys", "via values", "via keys_values", "via window_index" or "via
/// window_index_list", see Rearrange. `resize` names tensors of ours that are resized for a model
/// of another size, "via window" or "via tokens", see Resize. So tables are data: no code knows a
/// network.
///
/// A table without `ours` says how a program names what stands behind any backbone. Its forms are
/// put before those of the same names in all other tables: a file is of the form that comes of it
/// where it has what both are known by, and its rows are those of the one and then of the other.
class KeyMaps {
 public:
  /// Throws ConfigError for a table that is wrong, and Error where the folder is not there.
  explicit KeyMaps(const std::filesystem::path& folder);

  /// The form of a file's names; nullptr where they are ours, or of no table.
  const KeyForm* recognise(const TensorMap& tensors) const;
  /// The form NAME of the family to which our names belong; nullptr where there is none.
  const KeyForm* find(const TensorMap& ours, const std::string& name) const;
  /// A tensor in the size that the model has under `name`; undefined where no table of the model's
  /// names says how, or its shape is not of that kind.
  torch::Tensor resized(const TensorMap& model, const std::string& name,
                        const torch::Tensor& tensor) const;
  /// Every name that a form has: "mmcls", "timm", "torchvision".
  std::vector<std::string> names() const;

 private:
  struct Family {
    std::vector<NamePattern> ours;
    std::vector<std::pair<NamePattern, Resize>> resize;
    std::vector<KeyForm> forms;
  };
  void add(const std::filesystem::path& file);
  void put_before_backbones(const std::vector<KeyForm>& heads);

  std::vector<Family> families_;
};

/// A file's tensors under our names. Throws CheckpointError, which begins with the origin, where
/// two get the same name, or the shape of one cannot be rearranged.
RenamedTensors to_ours(const TensorMap& theirs, const KeyForm& form, const std::string& origin);
/// The other way round.
RenamedTensors from_ours(const TensorMap& ours, const KeyForm& form, const std::string& origin);

/// Where the tables are that come with the program: ../share/dnc-host/keymaps beside it.
std::filesystem::path builtin_keymap_folder();

}  // namespace dnc
