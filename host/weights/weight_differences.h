#pragma once

#include <string>
#include <vector>

#include "host/weights/safetensors.h"

namespace dnc {

/// What of a model must fit the weights that it gets.
enum class LoadPart {
  kAll,       // the network, to be trained: the backbone whole, of the rest what there is in both
  kBackbone,  // only the backbone, whole; nothing else is looked at
  kModel,     // all of it: a model that is used as it is
};

/// A tensor that is not the same in a file and a model, or is not taken.
struct Difference {
  enum class Kind {
    kMissing,
    kUnexpected,
    kShape,
    kType,
    kClasses,  // of a head, [classes there, ...] for [classes here, ...]
    kResized,
    kNew,      // of the model, in a part that is not loaded
    kLeftOut,  // of the file, in a part that is not loaded; or in both, beside one that differs
    kBehind,   // of the file, behind the end of the model's backbone
  };
  std::string name;
  Kind kind;
  std::string there;  // shape or type in the file
  std::string here;   // in the model
  bool allowed = false;
};

/// "[64, 3, 7, 7]"
std::string shape_of(const torch::Tensor& tensor);

/// All that differs between the tensors of a file, under our names, and those of a model. They are
/// in parts: backbone.*, decode_head.*, head.*, auxiliary_heads.0.*, ... What is `allowed`:
///
/// - LoadPart::kModel: auxiliary heads of the file, where the model has none.
/// - LoadPart::kAll: a part behind the backbone that only one of both has, a new decode head for
///   instance. Of a head, main or auxiliary, everything: it belongs to its classes. Tensors that a
///   head's module has for itself describe each other; where the shape of one differs, none is
///   taken.
/// - LoadPart::kBackbone: everything that is not of the backbone.
/// - With both, what the file has behind the end of the model's backbone: a model for pixels may
///   end at an earlier stage. Behind is what comes later in the order of the names, with numbers by
///   their value.
///
/// Counters of batch norm (num_batches_tracked) may be missing.
std::vector<Difference> compare_weights(const TensorMap& file, const TensorMap& model,
                                        LoadPart part);

/// "2 missing, 1 of another shape"
std::string counts_of(const std::vector<Difference>& differences);
/// Those of a part that is left out are one row.
std::string table_of(const std::vector<Difference>& differences);

}  // namespace dnc
