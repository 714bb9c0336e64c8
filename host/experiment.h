#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "host/components/schedules.h"
#include "host/data/loader.h"
#include "host/inference.h"
#include "host/model.h"
#include "host/train/ema.h"
#include "host/train/grad_scaler.h"
#include "host/train/parameter_groups.h"
#include "host/weights/weight_differences.h"
#include "registry/batch_transform.h"
#include "registry/fields.h"
#include "registry/hook.h"
#include "registry/loss.h"
#include "registry/metric.h"
#include "registry/optimizer.h"
#include "registry/registry.h"
#include "registry/schedule.h"
#include "registry/transform.h"

namespace dnc {

struct PreprocessOptions : Preprocess {
  void fields(Fields& f);
};

/// A second branch on the same features, whose losses help the backbone in training.
struct AuxiliaryHeadOptions {
  Slot<DecodeHead> decode_head;
  Slot<Head> head;
  std::vector<Slot<Loss>> losses{Slot<Loss>("CrossEntropy")};
  double weight = 0.4;
  void fields(Fields& f);
};

struct ModelOptions {
  PreprocessOptions preprocess;
  Slot<Backbone> backbone;
  Slot<DecodeHead> decode_head;
  Slot<Head> head;
  std::vector<Slot<Loss>> losses{Slot<Loss>("CrossEntropy")};
  std::vector<AuxiliaryHeadOptions> auxiliary_heads;
  InferenceOptions inference;
  void fields(Fields& f);
};

/// One part of the data: where samples come from and what is done to them.
struct SplitOptions {
  Slot<Dataset> dataset;
  std::vector<Slot<Transform>> transforms;
  void fields(Fields& f);
};

/// The training data, with what is done to whole batches of it.
struct TrainSplitOptions : SplitOptions {
  std::vector<Slot<BatchTransform>> batch_transforms;
  void fields(Fields& f);
};

/// A class whose images are files: what `dnc-host add-class` adds.
struct AddedClassOptions {
  std::string name;
  Path images;       // a list of files, of the training data
  Path test_images;  // the same of the validation and test data; may be empty
  void fields(Fields& f);
};

struct DataOptions {
  TrainSplitOptions train;
  SplitOptions val;                  // without a dataset: the test split
  SplitOptions test;                 // without a dataset: the validation split
  std::vector<std::string> classes;  // empty: those of the training data
  std::vector<AddedClassOptions> added_classes;
  int64_t batch_size = 128;
  int64_t eval_batch_size = 256;
  int64_t workers = 1;
  int64_t prefetch = 4;
  bool drop_last = true;
  int64_t shuffle_buffer = 10'000;
  int64_t repeats = 1;
  int64_t max_bad_samples = 0;
  void fields(Fields& f);
};

/// How often: every so many epochs or steps.
struct Every {
  std::optional<double> epochs;
  std::optional<int64_t> steps;
  void fields(Fields& f);
  /// In steps, at least 1.
  int64_t in_steps(int64_t steps_per_epoch) const;
};

struct EarlyStopOptions {
  std::string metric;     // empty: no early stop
  int64_t patience = 10;  // evaluations without improvement
  double min_change = 0;
  void fields(Fields& f);
};

enum class Precision { kFloat32, kBFloat16, kFloat16 };
enum class CudaGraph { kOff, kAuto, kOn };

struct TrainOptions {
  std::optional<double> epochs;
  std::optional<int64_t> steps;
  Precision precision = Precision::kFloat32;
  bool channels_last = true;
  CudaGraph cuda_graph = CudaGraph::kOff;
  int64_t accumulate = 1;
  double clip_norm = 0;
  int64_t base_batch_size = 0;
  bool ema = false;
  EmaOptions ema_options;
  GradScalerOptions grad_scaler;
  EarlyStopOptions early_stop;
  double time_limit = 0;  // minutes
  int64_t anchor_epochs = 0;
  Every evaluate{1.0, {}};
  Every save{1.0, {}};
  int64_t keep = 2;
  int64_t log_every = 50;
  std::string best;  // the metric of the best checkpoint; empty: the first figure
  void fields(Fields& f);
};

/// A whole config.
struct ExperimentOptions {
  std::vector<std::string> plugins;
  int64_t seed = 0;
  std::string device = "auto";
  int64_t threads = 0;
  bool deterministic = true;
  ModelOptions model;
  DataOptions data;
  Slot<Optimizer> optimizer;
  ParameterRules parameters;
  Slot<Schedule> schedule{"Constant"};
  Warmup warmup;
  TrainOptions train;
  std::vector<Slot<Metric>> metrics{Slot<Metric>("Accuracy"), Slot<Metric>("ClassReport"),
                                    Slot<Metric>("Confusion")};
  std::vector<Slot<Hook>> hooks;
  Path load_from;
  LoadPart load_part = LoadPart::kAll;
  std::vector<std::string> load_allow;
  void fields(Fields& f);
};

/// A part of the data, built.
struct Split {
  std::string name;  // "train", "val", "test"
  std::shared_ptr<const Dataset> dataset;
  std::vector<std::shared_ptr<const Transform>> transforms;
};

/// Reads a config and builds what it names. Everything is checked before the first batch: the
/// constructor checks every key and value without building anything.
class Experiment {
 public:
  /// `config` is resolved (load_config). Plugins that it names must be in the registry already; see
  /// plugins_of. Throws ConfigError.
  Experiment(const Registry& registry, const ImageReader& images, Node config);

  /// The `plugins:` of a config, paths made absolute: what to load before the constructor runs.
  static std::vector<std::string> plugins_of(const Node& config);

  const ExperimentOptions& options() const { return options_; }
  /// Complete, defaults filled in, with the origin of each value.
  const Node& resolved() const { return resolved_; }

  /// "train", "val" or "test". The classes of the first split that is built are those of the
  /// experiment; another split with other classes is an error. Throws ConfigError, DataError.
  const Split& split(const std::string& name);
  bool has_split(const std::string& name) const;
  /// What the config says of a split; of one that stands for another, what it says of that one.
  const SplitOptions& split_options(const std::string& name) const;
  /// Those of the test split, without its data: what an image goes through to be classified.
  std::vector<std::shared_ptr<const Transform>> test_transforms();

  /// From the train split's size; needs no data on disk once steps are known.
  int64_t steps_per_epoch();
  int64_t steps();

  /// Builds the model with the weights that the seed gives. Classes come from the data.
  std::shared_ptr<Model> build_model();
  /// With classes known from elsewhere (a checkpoint), so that no data is needed.
  void set_classes(ClassInfo classes, Task task);
  const ClassInfo& classes();
  Task task();

  std::vector<std::shared_ptr<BatchTransform>> build_batch_transforms();
  std::shared_ptr<Optimizer> build_optimizer(Model& model);
  /// What the schedule's factor multiplies: the optimizer's lr, scaled to the batch size. Needs no
  /// data.
  double base_lr();
  std::shared_ptr<Schedule> build_schedule();
  /// For a run of that length; needs no data.
  std::shared_ptr<Schedule> build_schedule(int64_t steps, int64_t steps_per_epoch);
  std::vector<std::shared_ptr<Loss>> build_losses();
  std::vector<std::shared_ptr<Loss>> build_auxiliary_losses(size_t branch);
  std::vector<std::shared_ptr<Metric>> build_metrics();
  std::vector<std::shared_ptr<Hook>> build_hooks();

  /// `device: auto` is the first GPU, or that of this rank; else the CPU. Throws ConfigError for
  /// one that is not there.
  torch::Device device() const;

  /// This process is one of `local_ranks` on this machine, the `local_rank`-th from 0; modules that
  /// compute over all ranks get `modules`. To be called before anything is built.
  void use_ranks(Communicator* modules, int64_t local_rank, int64_t local_ranks);

 private:
  std::vector<std::shared_ptr<const Transform>> build_transforms(const SplitOptions& options);
  void use_classes(const Split& split, const SplitOptions& options);
  std::shared_ptr<const Dataset> with_named_classes(const Split& split);
  std::shared_ptr<Optimizer> build_scaled_optimizer(const Context& context);
  Context context();

  const Registry& registry_;
  const ImageReader& images_;
  Node config_;
  Node resolved_;
  ExperimentOptions options_;
  std::deque<Split> splits_;  // a deque: references to splits stay valid
  bool has_classes_ = false;
  Context context_;
  int64_t local_rank_ = 0;
  int64_t local_ranks_ = 1;
};

}  // namespace dnc
