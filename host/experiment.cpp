#include "host/experiment.h"

#include <torch/torch.h>

#include <algorithm>
#include <cmath>

#include "host/choose_gpu.h"
#include "host/cuda_library.h"
#include "host/data/named_classes.h"
#include "registry/error.h"
#include "registry/text.h"

namespace dnc {
namespace {

// So that the steps of a run fit into an int64 with any data set.
constexpr double kMostEpochs = 1e9;

}  // namespace

void PreprocessOptions::fields(Fields& f) {
  f("mean", mean, "Subtracted from each channel (R, G, B), in 0 to 255.").length(3, 3);
  f("std", std, "Divides each channel after that, in 0 to 255.").above(0).length(3, 3);
}

void ModelOptions::fields(Fields& f) {
  f.group("preprocess", preprocess, "From bytes to the network's input, on the device.");
  f.component("backbone", backbone, "Images to feature maps.").required();
  f.component("decode_head", decode_head, "Feature maps to embeddings.").required().alias("neck");
  f.component("head", head, "Embeddings to class scores.").required();
  f.components("losses", losses, "What training minimises: the sum of these.").alias("loss");
  f.list("auxiliary_heads", auxiliary_heads,
         "Further branches on the same features, whose losses help the backbone in training.")
      .alias("auxiliary_head");
  f.group("inference", inference, "How the trained network looks at an image.").alias("test_cfg");
}

void AuxiliaryHeadOptions::fields(Fields& f) {
  f.component("decode_head", decode_head, "Feature maps to embeddings.").required();
  f.component("head", head, "Embeddings to class scores.").required();
  f.components("losses", losses, "Of this branch: the sum of these.").alias("loss");
  f("weight", weight, "Of these losses in the sum of all.").above(0);
}

void SplitOptions::fields(Fields& f) {
  f.component("dataset", dataset, "Where the samples come from.");
  f.components("transforms", transforms, "What is done to each sample, in this order.")
      .alias("pipeline");
}

void TrainSplitOptions::fields(Fields& f) {
  SplitOptions::fields(f);
  f.components("batch_transforms", batch_transforms,
               "What is done to each batch after that, on the device: Mixup, CutMix.");
}

void AddedClassOptions::fields(Fields& f) {
  f("name", name, "Of the class; one of data.classes.").required();
  f("images", images, "Text file with the path of a training image in each line.").required();
  f("test_images", test_images, "The same with images of the validation and test data.");
}

void DataOptions::fields(Fields& f) {
  f.group("train", train, "What the model learns from.");
  f.group("val", val, "Evaluated during training; the test split where it has no dataset.");
  f.group("test", test, "Evaluated at the end; the val split where it has no dataset.");
  f("classes", classes,
    "The classes of the model, in the order of their labels. Data sets are mapped to them by name; "
    "samples of other classes do not count. Empty for those of the training data.");
  f.list("added_classes", added_classes, "Some of these, whose images are files.");
  f("batch_size", batch_size, "Samples a step, over all processes.").at_least(1);
  f("eval_batch_size", eval_batch_size, "Samples a batch in evaluation.").at_least(1);
  f("workers", workers, "Threads that load and transform; 0 does it in the training thread.")
      .between(0, 256);
  f("prefetch", prefetch, "Batches that are kept ready.").between(1, 1024);
  f("drop_last", drop_last, "Leave out the last batch of an epoch if it is not full.");
  f("shuffle_buffer", shuffle_buffer,
    "Samples that are mixed when training data lies in shards (WebDataset), which is read nearly "
    "in "
    "order.")
      .at_least(1);
  f("repeats", repeats,
    "Times that each training sample comes in a row, with another augmentation each time; an epoch "
    "stays as long and sees fewer samples.")
      .between(1, 1000);
  f("max_bad_samples", max_bad_samples,
    "Damaged samples that are counted and replaced before the run stops.")
      .at_least(0);
}

void Every::fields(Fields& f) {
  f("epochs", epochs, "Every so many epochs.").above(0).at_most(kMostEpochs);
  f("steps", steps, "Every so many steps, instead of epochs.").at_least(1);
}

int64_t Every::in_steps(int64_t steps_per_epoch) const {
  if (steps) return *steps;
  const double wanted = epochs.value_or(1.0) * static_cast<double>(steps_per_epoch);
  return std::max<int64_t>(1, std::llround(wanted));
}

void EarlyStopOptions::fields(Fields& f) {
  f("metric", metric, "Figure that must improve, e.g. accuracy/top1; empty for no early stop.");
  f("patience", patience, "Evaluations without improvement after which the run ends.").at_least(1);
  f("min_change", min_change, "What counts as an improvement.").at_least(0);
}

void TrainOptions::fields(Fields& f) {
  f("epochs", epochs, "Length of the run in passes over the training data.")
      .above(0)
      .at_most(kMostEpochs);
  f("steps", steps, "Length of the run in optimizer steps, instead of epochs.").at_least(1);
  f.choice("precision", precision,
           {{"float32", Precision::kFloat32},
            {"bfloat16", Precision::kBFloat16},
            {"float16", Precision::kFloat16}},
           "Number format of the forward pass; parameters stay float32.");
  f("channels_last", channels_last, "Memory layout of images and convolutions.");
  f.choice("cuda_graph", cuda_graph,
           {{"off", CudaGraph::kOff}, {"auto", CudaGraph::kAuto}, {"on", CudaGraph::kOn}},
           "On a GPU, record the forward and backward passes once and replay them: never, where "
           "that gives the same (the log says why not), or as a must.");
  f("accumulate", accumulate, "Parts into which a batch is split to save memory.").at_least(1);
  f("clip_norm", clip_norm, "Largest norm of all gradients together; 0 does not clip.").at_least(0);
  f("base_batch_size", base_batch_size,
    "Batch size that the optimizer's lr is meant for: lr is scaled by batch_size over this. 0 does "
    "not scale.")
      .at_least(0);
  f("ema", ema, "Evaluate a moving average of the parameters, and predict with it.");
  f.group("ema_options", ema_options, "The moving average.");
  f.group("grad_scaler", grad_scaler, "Loss scaling of float16.");
  f.group("early_stop", early_stop, "Ends a run that no longer improves.");
  f("time_limit", time_limit, "Minutes after which the run saves and ends; 0 for none.")
      .at_least(0);
  f("anchor_epochs", anchor_epochs,
    "At the end of each of so many last epochs the head's prototypes become their nearest training "
    "images; 0 for never.")
      .at_least(0);
  f.group("evaluate", evaluate, "How often the validation split is evaluated.");
  f.group("save", save, "How often a checkpoint is written.");
  f("keep", keep, "Newest checkpoints that stay; the best one stays as well.").at_least(1);
  f("log_every", log_every, "Steps between two lines of metrics.jsonl.").at_least(1);
  f("best", best, "Figure of the best checkpoint; empty for the first of the first metric.");
}

void ExperimentOptions::fields(Fields& f) {
  f("plugins", plugins,
    "Shared libraries with more components: paths, or names that are looked "
    "for in $DNC_PLUGIN_PATH.");
  f("seed", seed, "Decides the initial weights, the order of samples and the augmentation.")
      .at_least(0);
  f("device", device, "auto, cpu, cuda or cuda:N.");
  f("threads", threads, "Threads of one operator; 0 for the number of cores.").between(0, 4096);
  f("deterministic", deterministic, "Only algorithms that repeat bit for bit (matters on a GPU).");
  f.group("model", model, "The network.");
  f.group("data", data, "The data.");
  f.component("optimizer", optimizer, "Changes parameters by their gradients.");
  f.group("parameters", parameters, "Which parameters have another lr or weight decay.");
  f.component("schedule", schedule, "The learning rate over the run.");
  f.group("warmup", warmup, "Ramp at the start of the run, on top of the schedule.");
  f.group("train", train, "The training loop.");
  f.components("metrics", metrics, "What an evaluation counts.");
  f.components("hooks", hooks, "Watch the run.");
  f("load_from", load_from,
    "Weights to start from: a run, a checkpoint, a .safetensors file, or one of PyTorch.");
  f.choice(
      "load_part", load_part, {{"all", LoadPart::kAll}, {"backbone", LoadPart::kBackbone}},
      "What is taken of load_from: the network, but for a head of other classes and parts that "
      "are new, or the backbone alone.");
  f("load_allow", load_allow,
    "Tensors of load_from or the model that may be missing or differ: patterns such as head.*");
}

namespace {

void check_classes(const DataOptions& data, const Node& node) {
  auto names = data.classes;
  std::sort(names.begin(), names.end());
  const auto twice = std::adjacent_find(names.begin(), names.end());
  if (twice != names.end()) node.fail("classes", "names '" + *twice + "' twice");
  for (size_t i = 0; i < data.added_classes.size(); ++i) {
    const auto& name = data.added_classes[i].name;
    if (std::binary_search(names.begin(), names.end(), name)) continue;
    node.find("added_classes")
        ->items[i]
        .fail("name", "is '" + name + "', which is not in data.classes; name it there too" +
                          suggestion(name, data.classes));
  }
}

// What one option alone cannot know. The resolved config has each key under its own name, and
// knows where it was written, under whichever name.
void check_together(const ExperimentOptions& options, const Node& config) {
  const auto& train = options.train;
  if (train.epochs && train.steps) {
    config.find("train")->fail("steps", "is given as well as 'epochs'; give one of them");
  }
  if (train.accumulate > options.data.batch_size) {
    config.find("train")->fail(
        "accumulate", "must be at most the batch size, " + std::to_string(options.data.batch_size));
  }
  try {
    options.warmup.length(1);
  } catch (const OptionError& error) {
    config.fail("warmup." + error.option(), error.what());
  }
  try {
    options.model.inference.check();
  } catch (const OptionError& error) {
    config.fail("model.inference." + error.option(), error.what());
  }
  const auto& data = options.data;
  if (data.train.dataset.empty() && data.val.dataset.empty() && data.test.dataset.empty()) {
    config.fail("data", "has no dataset: give data.train.dataset and data.test.dataset");
  }
  check_classes(data, *config.find("data"));
  const auto& device = options.device;
  if (device != "auto" && device != "cpu" && !gpu_number(device)) {
    config.fail("device", "must be auto, cpu, cuda or cuda:N, not '" + device + "'");
  }
}

}  // namespace

std::vector<std::string> Experiment::plugins_of(const Node& config) {
  const auto* node = config.find("plugins");
  if (!node || node->is_null()) return {};
  std::vector<std::string> names;
  Fields fields;
  fields("plugins", names, "");
  Node only = Node::make_map();
  only.set("plugins", *node);
  fields.read(only);
  // A path is relative to the file that names it.
  const auto& items = node->is_list() ? node->items : std::vector<Node>{*node};
  for (size_t i = 0; i < names.size(); ++i) {
    if (names[i].find('/') == std::string::npos || names[i].front() == '/') continue;
    // On the command line it is relative to the current folder.
    const auto folder = items[i].origin.line == 0
                            ? std::filesystem::path()
                            : std::filesystem::path(items[i].origin.file).parent_path();
    names[i] = std::filesystem::absolute(folder / names[i]).lexically_normal().string();
  }
  return names;
}

Experiment::Experiment(const Registry& registry, const ImageReader& images, Node config)
    : registry_(registry), images_(images), config_(std::move(config)) {
  Fields fields;
  options_.fields(fields);
  fields.read(config_);
  resolved_ = resolve_fields(fields, registry_, config_);
  check_together(options_, resolved_);
  resolved_.find("plugins")->items.clear();
  for (const auto& plugin : plugins_of(config_)) {
    resolved_.find("plugins")->items.push_back(Node::make_scalar(plugin));
  }
  context_.registry = &registry_;
  context_.images = &images_;
  context_.seed = static_cast<uint64_t>(options_.seed);
  context_.run.batch_size = options_.data.batch_size;
}

const SplitOptions& Experiment::split_options(const std::string& name) const {
  const auto& data = options_.data;
  if (name == "train") return data.train;
  if (name == "val") return data.val.dataset.empty() ? data.test : data.val;
  if (name == "test") return data.test.dataset.empty() ? data.val : data.test;
  throw ConfigError("there is no split '" + name + "' (known: train, val, test)");
}

bool Experiment::has_split(const std::string& name) const {
  return !split_options(name).dataset.empty();
}

const Split& Experiment::split(const std::string& name) {
  for (const auto& split : splits_) {
    if (split.name == name) return split;
  }
  const auto& options = split_options(name);
  if (options.dataset.empty()) config_.fail("data." + name, "has no dataset");
  // val and test may be the same data: it is loaded once.
  for (const auto& split : splits_) {
    if (&split_options(split.name) != &options) continue;
    Split same = split;
    same.name = name;
    return splits_.emplace_back(std::move(same));
  }
  Split split;
  split.name = name;
  split.dataset = options.dataset.build(context_);
  if (split.dataset->size() == 0) {
    options.dataset.node().fail("has no sample; check its root and split");
  }
  if (!options_.data.classes.empty()) split.dataset = with_named_classes(split);
  use_classes(split, options);
  split.transforms = build_transforms(options);
  return splits_.emplace_back(std::move(split));
}

std::vector<std::shared_ptr<const Transform>> Experiment::build_transforms(
    const SplitOptions& options) {
  std::vector<std::shared_ptr<const Transform>> transforms;
  for (const auto& slot : options.transforms) transforms.push_back(slot.build(context_));
  return transforms;
}

std::vector<std::shared_ptr<const Transform>> Experiment::test_transforms() {
  return build_transforms(split_options("test"));
}

void Experiment::use_classes(const Split& split, const SplitOptions& options) {
  const auto& classes = split.dataset->classes();
  if (!has_classes_) {
    set_classes(classes, split.dataset->task());
    return;
  }
  if (classes.names == context_.classes.names) return;
  std::string what = "has " + std::to_string(classes.size()) + " classes, but the model has " +
                     std::to_string(context_.classes.size());
  if (classes.size() == context_.classes.size()) {
    const auto differ =
        std::mismatch(classes.names.begin(), classes.names.end(), context_.classes.names.begin());
    what = "calls class " + std::to_string(differ.first - classes.names.begin()) + " '" +
           *differ.first + "', but for the model it is '" + *differ.second + "'";
  }
  options.dataset.node().fail(what + "; all splits need the same classes in the same order");
}

// The data set of a split under data.classes, with the images of the added ones.
std::shared_ptr<const Dataset> Experiment::with_named_classes(const Split& split) {
  const bool train = split.name == "train";
  if (split.dataset->task() == Task::kPixels && !options_.data.added_classes.empty()) {
    resolved_.fail("data.added_classes", "has classes of whole images, but the data is of pixels");
  }
  const auto& source = split.dataset->classes();
  auto known = source.names;
  ClassInfo classes{options_.data.classes, {}};
  std::vector<ClassFiles> further;
  for (const auto& added : options_.data.added_classes) {
    known.push_back(added.name);
    const auto& list = train ? added.images : added.test_images;
    if (list.empty()) continue;
    const auto label = std::find(classes.names.begin(), classes.names.end(), added.name);
    further.push_back({label - classes.names.begin(), read_file_list(list.value)});
  }
  for (const auto& name : classes.names) {
    const auto found = std::find(known.begin(), known.end(), name);
    if (train && found == known.end()) {
      resolved_.fail("data.classes", "names '" + name +
                                         "', but the training data has no such class" +
                                         suggestion(name, known));
    }
    const auto place = static_cast<size_t>(found - known.begin());
    if (place < source.palette.size()) classes.palette.push_back(source.palette[place]);
  }
  if (classes.palette.size() < classes.names.size()) classes.palette.clear();
  return std::make_shared<NamedClasses>(split.dataset, std::move(classes), further, images_);
}

void Experiment::set_classes(ClassInfo classes, Task task) {
  context_.classes = std::move(classes);
  context_.task = task;
  has_classes_ = true;
}

const ClassInfo& Experiment::classes() {
  if (!has_classes_) split(has_split("train") ? "train" : "test");
  return context_.classes;
}

Task Experiment::task() {
  classes();
  return context_.task;
}

int64_t Experiment::steps_per_epoch() {
  const auto size = split("train").dataset->size();
  const auto batch = options_.data.batch_size;
  const auto steps = options_.data.drop_last ? size / batch : (size + batch - 1) / batch;
  if (steps == 0) {
    config_.fail("data.batch_size", "is " + std::to_string(batch) + ", but the training data has " +
                                        std::to_string(size) +
                                        " samples; make it smaller, or set data.drop_last: false");
  }
  return steps;
}

int64_t Experiment::steps() {
  const auto& train = options_.train;
  if (train.steps) return *train.steps;
  if (!train.epochs) config_.fail("train.epochs", "is missing: give train.epochs or train.steps");
  const double steps = *train.epochs * static_cast<double>(steps_per_epoch());
  return std::max<int64_t>(1, std::llround(steps));
}

Context Experiment::context() {
  classes();
  return context_;
}

std::shared_ptr<Model> Experiment::build_model() {
  auto context = this->context();
  // The same seed gives the same weights, whatever was drawn before.
  torch::manual_seed(context.seed);
  const auto& options = options_.model;
  auto backbone = options.backbone.build(context);
  context.features = backbone->shapes();
  const auto branch = [&](const Slot<DecodeHead>& decode_head, const Slot<Head>& head) {
    Branch built;
    built.decode_head = decode_head.build(context);
    context.channels = built.decode_head->channels();
    built.head = head.build(context);
    return built;
  };
  auto main = branch(options.decode_head, options.head);
  if (options_.train.anchor_epochs > 0 && !dynamic_cast<Prototypes*>(main.head.get())) {
    resolved_.fail("train.anchor_epochs", "is " + std::to_string(options_.train.anchor_epochs) +
                                              ", but the head, " + options.head.type() +
                                              ", has no prototypes; set it to 0, or name a head "
                                              "that has them");
  }
  std::vector<Branch> auxiliary;
  for (const auto& each : options.auxiliary_heads) {
    auxiliary.push_back(branch(each.decode_head, each.head));
  }
  return std::make_shared<Model>(options.preprocess, std::move(backbone), std::move(main),
                                 std::move(auxiliary));
}

std::shared_ptr<Optimizer> Experiment::build_scaled_optimizer(const Context& context) {
  if (options_.optimizer.empty()) config_.fail("optimizer", "is missing: training needs one");
  auto optimizer = options_.optimizer.build(context);
  if (const auto base = options_.train.base_batch_size; base > 0) {
    optimizer->set_base_lr(optimizer->base_lr() * static_cast<double>(options_.data.batch_size) /
                           static_cast<double>(base));
  }
  return optimizer;
}

double Experiment::base_lr() { return build_scaled_optimizer(context_)->base_lr(); }

std::shared_ptr<Optimizer> Experiment::build_optimizer(Model& model) {
  auto optimizer = build_scaled_optimizer(context());
  try {
    optimizer->set_groups(make_parameter_groups(model, options_.parameters));
  } catch (const OptionError& error) {
    resolved_.fail("parameters." + error.option(), error.what());
  }
  return optimizer;
}

std::shared_ptr<Schedule> Experiment::build_schedule() {
  return build_schedule(steps(), steps_per_epoch());
}

std::shared_ptr<Schedule> Experiment::build_schedule(int64_t steps, int64_t steps_per_epoch) {
  auto context = context_;
  context.run.steps = steps;
  context.run.steps_per_epoch = steps_per_epoch;
  return options_.schedule.build(context);
}

namespace {

template <typename I>
std::vector<std::shared_ptr<I>> build_all(const std::vector<Slot<I>>& slots,
                                          const Context& context) {
  std::vector<std::shared_ptr<I>> components;
  for (const auto& slot : slots) components.push_back(slot.build(context));
  return components;
}

}  // namespace

std::vector<std::shared_ptr<BatchTransform>> Experiment::build_batch_transforms() {
  return build_all(options_.data.train.batch_transforms, context());
}

std::vector<std::shared_ptr<Loss>> Experiment::build_losses() {
  return build_all(options_.model.losses, context());
}

std::vector<std::shared_ptr<Loss>> Experiment::build_auxiliary_losses(size_t branch) {
  return build_all(options_.model.auxiliary_heads[branch].losses, context());
}

std::vector<std::shared_ptr<Metric>> Experiment::build_metrics() {
  return build_all(options_.metrics, context());
}

std::vector<std::shared_ptr<Hook>> Experiment::build_hooks() {
  auto context = this->context();
  context.run.steps = steps();
  context.run.steps_per_epoch = steps_per_epoch();
  return build_all(options_.hooks, context);
}

void Experiment::use_ranks(Communicator* modules, int64_t local_rank, int64_t local_ranks) {
  context_.ranks = modules;
  local_rank_ = local_rank;
  local_ranks_ = local_ranks;
}

torch::Device Experiment::device() const {
  const auto& name = options_.device;
  if (name == "cpu") return torch::kCPU;
  const auto facts = cuda_facts();
  const auto problem = gpu_problem(facts);
  if (name == "auto" && !problem.empty()) return torch::kCPU;
  if (!problem.empty()) {
    config_.fail("device",
                 "is '" + name + "', but no GPU is usable here: " + problem + "; use cpu");
  }
  try {
    const auto index = choose_gpu(name, facts.devices, local_rank_, local_ranks_);
    return torch::Device(torch::kCUDA, static_cast<torch::DeviceIndex>(index));
  } catch (const OptionError& error) {
    config_.fail(error.option(), error.what());
  }
}

}  // namespace dnc
