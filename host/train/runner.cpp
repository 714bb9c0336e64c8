#include "host/train/runner.h"

#include <fmt/format.h>
#include <torch/torch.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <nlohmann/json.hpp>

#include "host/environment.h"
#include "host/explain/anchors.h"
#include "host/out_of_memory.h"
#include "host/parallel/divergence.h"
#include "host/parallel/gather_text.h"
#include "host/report/run_page.h"
#include "host/report/run_result.h"
#include "host/train/mistakes.h"
#include "host/train/phase.h"
#include "host/train/result.h"
#include "host/train/signals.h"
#include "host/train/start_model.h"
#include "host/weights/state.h"
#include "registry/config.h"
#include "registry/error.h"

namespace dnc {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMistakes = 24;  // that the report of a run shows
constexpr const char* kInterrupted = "interrupted";
constexpr const char* kTerminated = "terminated";

int signal_of(const std::string& reason) {
  return reason == kInterrupted ? SIGINT : reason == kTerminated ? SIGTERM : 0;
}

TensorMap to_map(const std::vector<std::pair<std::string, torch::Tensor>>& tensors) {
  TensorMap map;
  for (const auto& [name, tensor] : tensors) map.insert(name, tensor);
  return map;
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// What needs less memory than a step with these options.
std::string memory_advice(const ExperimentOptions& options) {
  const auto& train = options.train;
  auto advice = fmt::format(
      "Try train.accumulate={} (the same batch in more parts), a smaller data.batch_size",
      2 * train.accumulate);
  if (train.precision == Precision::kFloat32) advice += ", train.precision=bfloat16";
  return advice + ", smaller images, or checkpoint_blocks of the backbone.";
}

// Rank 0 has the folder.
RunFolder open_folder(const fs::path& folder, const Experiment& experiment, torch::Device device,
                      const Communicator& ranks) {
  const auto config = to_yaml(experiment.resolved());
  return ranks.rank() == 0 ? RunFolder(folder, config, environment_json(device))
                           : RunFolder(folder, config);
}

}  // namespace

LoaderOptions train_loader_options(const ExperimentOptions& options, torch::Device device,
                                   const Communicator& communicator) {
  LoaderOptions loader;
  loader.batch_size = options.data.batch_size;
  loader.workers = options.data.workers;
  loader.prefetch = options.data.prefetch;
  loader.shuffle = true;
  loader.drop_last = options.data.drop_last;
  loader.shuffle_buffer = options.data.shuffle_buffer;
  loader.repeats = options.data.repeats;
  loader.seed = static_cast<uint64_t>(options.seed);
  loader.rank = communicator.rank();
  loader.ranks = communicator.size();
  loader.equal_parts = communicator.size() > 1;
  loader.max_bad_samples = options.data.max_bad_samples;
  loader.pin = device.is_cuda();
  return loader;
}

Runner::Runner(Experiment& experiment, const fs::path& folder, std::string name, Ranks& ranks,
               std::ostream& out)
    : experiment_(experiment),
      options_(experiment.options()),
      name_(std::move(name)),
      communicator_(ranks),
      device_(experiment.device()),
      model_(experiment.build_model()),
      metrics_(experiment.build_metrics()),
      hooks_(ranks.rank() == 0 ? experiment.build_hooks() : decltype(hooks_)()),
      pictures_(hooks_, experiment),
      steps_per_epoch_(experiment.steps_per_epoch()),
      steps_(experiment.steps()),
      folder_(open_folder(folder, experiment, device_, ranks)),
      line_(
          out, isatty(STDOUT_FILENO) != 0,
          {.columns = report::terminal_columns(STDOUT_FILENO), .plain_seconds = 30, .clock = {}}) {
  model_->to(device_);
  if (options_.train.channels_last) model_->to_channels_last();
  const auto& train = experiment_.split("train");
  if (experiment_.has_split("val")) experiment_.split("val");
  // Before the step is made: its averages begin with the weights that the model has then.
  const bool first = communicator_.rank() == 0;
  if (first && find_checkpoints(folder_.checkpoints()).empty()) start();
  step_ = std::make_unique<TrainStep>(experiment_, model_, device_, communicator_);
  step_->log_to([this](const std::string& text) {
    line_.message(text);
    folder_.log(text);
  });
  if (const auto learnable = step_->learnable(); !learnable.empty()) {
    step_->reduce_by(communicator_.reducer(learnable));
  }
  loader_ = std::make_unique<Loader>(train.dataset, train.transforms,
                                     train_loader_options(options_, device_, communicator_));
  if (first) {
    write_classes(folder_.path() / "classes.json", experiment_.classes(), experiment_.task());
    write_file(folder_.path() / "config_origins.yaml", to_yaml(experiment_.resolved(), true));
  }
  progress_.seed = static_cast<uint64_t>(options_.seed);
  progress_.batch_size = options_.data.batch_size;
  progress_.world_size = communicator_.size();
  progress_.config_digest = folder_.config_digest();
  state_.folder = folder_.path();
  state_.steps = steps_;
  state_.steps_per_epoch = steps_per_epoch_;
  state_.epochs = (steps_ + steps_per_epoch_ - 1) / steps_per_epoch_;
  state_.prototypes = model_->prototypes();
}

RunEnd Runner::run() {
  const StopSignals signals;
  start_ = Clock::now();
  resume();
  model_->train();
  for (const auto& hook : hooks_) hook->before_run(state_);
  if (pictures_.wanted()) {
    step_->look_at_next_batch([this](const Batch& batch) { pictures_.show_batch(state_, batch); });
  }
  while (progress_.step < steps_ && !should_stop()) {
    for (const auto& hook : hooks_) hook->before_epoch(state_);
    run_epoch();
  }
  const auto reason = state_.stop_reason.empty() ? "done" : state_.stop_reason;
  finish(reason);
  return {reason, communicator_.size() == 1 ? StopSignals::requested() : signal_of(reason)};
}

void Runner::resume() {
  share_state(communicator_.rank() == 0 && load_newest());
  if (!saved_) {
    folder_.metrics().rewind(-1);
    return;
  }
  progress_.world_size = communicator_.size();
  seconds_before_ = progress_.seconds;
  folder_.metrics().rewind(progress_.step);
  state_.step = progress_.step;
  state_.epoch = progress_.epoch;
  stop_if_stale();
  const auto text =
      fmt::format("{}: goes on at step {} of {}", folder_.path().string(), progress_.step, steps_);
  line_.message(text);
  folder_.log(text);
}

// False where there is no checkpoint.
bool Runner::load_newest() {
  const auto warn = [&](const std::string& text) {
    line_.message("warning: " + text);
    folder_.log("warning: " + text);
  };
  const auto found = load_newest_checkpoint(folder_.checkpoints(), warn);
  if (!found) return false;
  const auto& [path, checkpoint] = *found;
  load_state(*model_, checkpoint.model, (path / "model.safetensors").string());
  copy_tensors(checkpoint.state, to_map(step_->state()), (path / "state.safetensors").string(),
               "the optimizer");
  progress_ = checkpoint.progress;
  return true;
}

// What rank 0 has, of a checkpoint if it `found` one, goes to all.
void Runner::share_state(bool found) {
  const auto own = found ? to_json(progress_) : std::string();
  const auto progress = gather_text(communicator_, own).front();
  saved_ = !progress.empty();
  if (saved_) progress_ = progress_from_json(progress, "the progress of rank 0");
  std::vector<torch::Tensor> tensors;
  for (const auto& item : state_of(*model_)) tensors.push_back(item.value());
  for (const auto& [name, tensor] : step_->state()) tensors.push_back(tensor);
  communicator_.broadcast(tensors);
  check_ranks();
}

// Batch norms of each rank follow its own samples; those of rank 0 count, as in PyTorch's
// DistributedDataParallel, and only they are saved.
void Runner::share_batch_statistics() { communicator_.broadcast(model_->batch_statistics()); }

// Statistics of batches are each rank's own; all else that training changes must be the same.
void Runner::check_ranks() {
  check_same(communicator_, step_->shared(), fmt::format("at step {}", progress_.step));
}

void Runner::start() {
  const auto text = start_model(experiment_, *model_);
  if (text.empty()) return;
  line_.message(text);
  folder_.log(text);
}

void Runner::run_epoch() {
  loader_->start(progress_.epoch, progress_.batch);
  waited_ = 0;
  for (bool epoch_done = false; !epoch_done && progress_.step < steps_ && !should_stop();) {
    const auto begin = Clock::now();
    auto losses = take_step();
    ++progress_.step;
    ++progress_.batch;
    epoch_done = progress_.batch == steps_per_epoch_;
    if (epoch_done) {
      ++progress_.epoch;
      progress_.batch = 0;
    }
    saved_ = false;
    after_step(std::move(losses), seconds_since(begin));
    end_exchange();
    if (check_every_ > 0 && progress_.step % check_every_ == 0) check_ranks();
    if (anchors_due()) anchor_now();
    if (due(options_.train.evaluate)) evaluate_now();
    if (due(options_.train.save) || is_best_now()) save_now();
    if (epoch_done) {
      for (const auto& hook : hooks_) hook->after_epoch(state_);
    }
  }
  if (loader_->bad_samples().size() > bad_noted_) note_bad_samples("train", *loader_);
  bad_noted_ = loader_->bad_samples().size();
}

ReadBack Runner::take_step() {
  std::optional<Batch> batch;
  {
    const Phase phase("data");
    batch = loader_->next();
  }
  if (!batch) throw Error("the loader ended before its epoch did");
  begin_exchange();
  const auto doing =
      fmt::format("step {} of training, with {} images of {} x {}", progress_.step + 1,
                  batch->images.size(0), batch->images.size(2), batch->images.size(3));
  std::optional<ReadBack> losses;
  with_memory_advice(doing, memory_advice(options_),
                     [&] { losses.emplace(step_->run(std::move(*batch), progress_.step)); });
  return std::move(*losses);
}

void Runner::after_step(ReadBack losses, double seconds) {
  // The losses of the step before are read while the device works on this one.
  read_back();
  pending_ = Pending{progress_.step - 1, std::move(losses)};
  if (device_.is_cpu()) read_back();
  step_seconds_.push_back(seconds);
  log_seconds_ += seconds;
  state_.step = progress_.step;
  state_.epoch = progress_.epoch;
  state_.lr = step_->lr(progress_.step - 1);
  state_.seconds = seconds_in_all();
  for (const auto& hook : hooks_) hook->after_step(state_);
  if (progress_.step % options_.train.log_every == 0 || progress_.step == steps_) log_train();
  show_progress();
}

void Runner::read_back() {
  if (!pending_) return;
  const auto pending = std::exchange(pending_, std::nullopt);
  state_.losses = pending->losses.values();
  const double loss = state_.losses.front().second;
  if (!std::isfinite(loss)) {
    const auto good = find_checkpoints(folder_.checkpoints());
    throw Error(fmt::format(
        "{}: the loss became {} at step {} (epoch {:.2f}, lr {:.3g}). {}. Try a lower lr, a "
        "warm-up, "
        "train.clip_norm or, with precision float16, bfloat16; `dnc-host check` looks at the data.",
        folder_.path().string(), loss, pending->step + 1, epoch_now(), step_->lr(pending->step),
        good.empty() ? "There is no checkpoint yet"
                     : "The last good checkpoint is " + good.front().string()));
  }
  if (loss_sums_.size() != state_.losses.size()) {
    loss_sums_.assign(state_.losses.begin(), state_.losses.end());
    for (auto& sum : loss_sums_) sum.second = 0;
    loss_count_ = 0;
  }
  for (size_t i = 0; i < loss_sums_.size(); ++i) loss_sums_[i].second += state_.losses[i].second;
  ++loss_count_;
}

void Runner::log_train() {
  read_back();
  if (loss_count_ == 0) return;
  const auto count = static_cast<double>(loss_count_);
  report::TrainEvent event;
  event.step = progress_.step;
  event.epoch = epoch_now();
  event.lr = state_.lr;
  for (const auto& [name, sum] : loss_sums_) event.losses.emplace_back(name, sum / count);
  event.step_ms = log_seconds_ / count * 1e3;
  event.wait_ms = (loader_->waited() - waited_) / count * 1e3;
  folder_.metrics().append(event);
  loss_sums_.clear();
  loss_count_ = 0;
  log_seconds_ = 0;
  waited_ = loader_->waited();
}

void Runner::show_progress() {
  report::TaskProgress shown;
  shown.label = "train";
  shown.step = progress_.step;
  shown.steps = steps_;
  shown.epoch = epoch_now();
  if (!state_.losses.empty()) shown.loss = state_.losses.front().second;
  shown.lr = state_.lr;
  const auto recent = std::min<size_t>(step_seconds_.size(), 50);
  double seconds = 0;
  for (size_t i = step_seconds_.size() - recent; i < step_seconds_.size(); ++i) {
    seconds += step_seconds_[i];
  }
  const double a_step = seconds / static_cast<double>(recent);
  shown.images_per_second = static_cast<double>(options_.data.batch_size) / a_step;
  shown.seconds_left = a_step * static_cast<double>(steps_ - progress_.step);
  line_.update(shown);
}

Evaluation Runner::evaluate_split(const std::string& name, const UseBatch& also_use) {
  communicator_.note(fmt::format("evaluating {} at step {}", name, progress_.step));
  share_batch_statistics();
  const AveragedParameters averaged(step_->ema());
  const auto loader =
      evaluation_loader(experiment_.split(name), options_.data, progress_.seed, communicator_);
  Views views;
  views.inference = options_.model.inference;
  Evaluation evaluation;
  with_memory_advice(
      fmt::format("the evaluation of {}, with data.eval_batch_size={}", name,
                  options_.data.eval_batch_size),
      "Try a smaller data.eval_batch_size or, for large images, model.inference.mode=slide.", [&] {
        evaluation = evaluate(*model_, *loader, name, metrics_, device_, options_.train.precision,
                              communicator_, views, also_use);
      });
  if (!loader->bad_samples().empty()) note_bad_samples(name, *loader);
  return evaluation;
}

void Runner::note_bad_samples(const std::string& split, const Loader& loader) {
  const auto& bad = loader.bad_samples();
  folder_.metrics().append(report::BadSamplesEvent{.split = split,
                                                   .step = progress_.step,
                                                   .count = static_cast<int64_t>(bad.size()),
                                                   .first = bad.front().reason});
  const auto text = "warning: " + bad_samples_text(split, bad);
  line_.message(text);
  folder_.log(text);
}

// At the end of each of the last epochs, as many as the config says; the last one may be cut short.
bool Runner::anchors_due() const {
  const bool epoch_ends = progress_.batch == 0 || progress_.step == steps_;
  const auto epoch = (progress_.step + steps_per_epoch_ - 1) / steps_per_epoch_;  // from 1
  return epoch_ends && epoch > state_.epochs - options_.train.anchor_epochs;
}

// A function of the weights and the data alone, so that a resumed run does the same.
void Runner::anchor_now() {
  read_back();
  const auto begin = Clock::now();
  auto data = experiment_.split("train");
  data.transforms = experiment_.test_transforms();
  Anchors anchors;
  share_batch_statistics();
  {
    const AveragedParameters averaged(step_->ema());  // the ones that the model is used with
    anchors = anchor_prototypes(*model_, data, options_, device_, communicator_,
                                [this](int64_t done, int64_t all) {
                                  report::TaskProgress shown;
                                  shown.label = "anchors";
                                  shown.step = done;
                                  shown.steps = all;
                                  line_.update(shown);
                                });
  }
  if (communicator_.rank() == 0) {
    write_file(folder_.path() / "anchors.json",
               to_json(anchors, experiment_.classes(), experiment_.task()));
  }
  const auto text = fmt::format(
      "epoch {:.4g}  step {}  {} of {} sub-centroids are training images now, similarity {:.4f} in "
      "the mean, {:.4f} at least  ({:.1f} s)",
      epoch_now(), progress_.step, anchors.count(), anchors.samples.nearest.samples.numel(),
      anchors.mean_similarity(), anchors.least_similarity(), seconds_since(begin));
  line_.message(text);
  folder_.log(text);
}

void Runner::evaluate_now() {
  read_back();
  if (!experiment_.has_split("val")) return;
  const auto begin = Clock::now();
  last_evaluation_ = evaluate_split("val", [this](const auto& batch, const auto& output) {
    pictures_.add_predictions(batch, output);
  });
  report::EvaluationEvent event;
  event.split = "val";
  event.step = progress_.step;
  event.epoch = epoch_now();
  event.figures = last_evaluation_->figures;
  if (state_.prototypes) event.prototypes = state_.prototypes->figures();
  folder_.metrics().append(event);
  remember_best(*last_evaluation_);
  std::string text = fmt::format("epoch {:.4g}  step {}", epoch_now(), progress_.step);
  for (const auto* figures : {&event.figures, &event.prototypes}) {
    for (const auto& [name, value] : *figures) text += fmt::format("  {} {:.4f}", name, value);
  }
  text += fmt::format("  ({:.1f} s)", seconds_since(begin));
  line_.message(text);
  folder_.log(text);
  pictures_.show_predictions(state_);
  for (const auto& hook : hooks_) hook->after_evaluation(state_, *last_evaluation_);
}

void Runner::remember_best(const Evaluation& evaluation) {
  const auto& stop = options_.train.early_stop;
  auto wanted = stop.metric.empty() ? options_.train.best : stop.metric;
  if (wanted.empty() && !evaluation.figures.empty()) wanted = evaluation.figures.front().first;
  const auto figure = std::find_if(evaluation.figures.begin(), evaluation.figures.end(),
                                   [&](const auto& item) { return item.first == wanted; });
  if (figure == evaluation.figures.end()) {
    std::string known;
    for (const auto& item : evaluation.figures) known += " " + item.first;
    throw ConfigError(fmt::format("{}: '{}' names no figure; the evaluation has{}", name_,
                                  stop.metric.empty() ? "train.best" : "train.early_stop.metric",
                                  known));
  }
  const double least = progress_.best ? progress_.best->value + stop.min_change : 0;
  if (!progress_.best || figure->second > least) {
    progress_.best = Best{wanted, figure->second, progress_.step};
    progress_.stale = 0;
  } else {
    ++progress_.stale;
    stop_if_stale();
  }
}

// The best weights are saved when they are found, or nobody could have them later.
bool Runner::is_best_now() const {
  return progress_.best && progress_.best->step == progress_.step;
}

void Runner::stop_if_stale() {
  const auto& stop = options_.train.early_stop;
  if (stop.metric.empty() || !progress_.best || progress_.stale < stop.patience) return;
  state_.stop_reason = fmt::format("early stop: {} did not rise above {:.4f} in {} evaluations",
                                   stop.metric, progress_.best->value, progress_.stale);
  stop_agreed_ = true;  // the figures are the same on all ranks
}

void Runner::save_now() {
  if (saved_) return;
  read_back();
  saved_ = true;
  if (communicator_.rank() != 0) return;
  communicator_.note(fmt::format("saving at step {}", progress_.step));
  folder_.metrics().sync();
  progress_.seconds = seconds_in_all();
  const Checkpoint checkpoint{state_of(*model_), to_map(step_->state()), progress_};
  const auto path = save_checkpoint(folder_.checkpoints(), checkpoint, options_.train.keep);
  for (const auto& hook : hooks_) hook->after_save(state_, path);
}

// With several ranks one stops when it has told the others.
bool Runner::should_stop() {
  if (state_.stop_reason.empty()) state_.stop_reason = own_reason_to_stop();
  return communicator_.size() == 1 ? !state_.stop_reason.empty() : stop_agreed_;
}

std::string Runner::own_reason_to_stop() const {
  if (const int signal = StopSignals::requested()) {
    return signal == SIGINT ? kInterrupted : kTerminated;
  }
  const double minutes = options_.train.time_limit;
  if (minutes > 0 && seconds_since(start_) > minutes * 60) {
    return fmt::format("time limit of {} minutes", minutes);
  }
  return "";
}

// What the ranks tell each other travels while they compute: who wants to stop, and how many
// damaged samples were met.
void Runner::begin_exchange() {
  if (communicator_.size() == 1) return;
  communicator_.note(fmt::format("step {}", progress_.step + 1));
  const auto bad = static_cast<int64_t>(loader_->bad_samples().size());
  communicator_.begin_sum({state_.stop_reason.empty() ? 0 : 1, bad - bad_shared_});
}

void Runner::end_exchange() {
  if (communicator_.size() == 1) return;
  const auto sums = communicator_.end_sum();
  if (sums[1] > 0) {
    share_bad_samples(*loader_, communicator_);
    bad_shared_ = static_cast<int64_t>(loader_->bad_samples().size());
  }
  if (sums[0] == 0) return;
  for (const auto& reason : gather_text(communicator_, state_.stop_reason)) {
    if (!stop_agreed_ && !reason.empty()) {
      state_.stop_reason = reason;  // of the first rank that has one
      stop_agreed_ = true;
    }
  }
}

void Runner::finish(const std::string& reason) {
  const auto result_file = folder_.path() / "result.json";
  const auto finished = torch::tensor({step_seconds_.empty() && fs::exists(result_file) ? 1 : 0});
  communicator_.broadcast({finished});
  if (finished.item<int>() == 1) {
    line_.finish();
    return;  // it was finished before
  }
  log_train();
  const bool complete = progress_.step >= steps_ || reason.rfind("early stop", 0) == 0;
  if (complete) {
    if (!due(options_.train.evaluate)) evaluate_now();
    save_now();
    const auto found = result();
    if (communicator_.rank() == 0) write_result(result_file, found);
    folder_.metrics().append_end(progress_.step, reason);
  } else {
    save_now();
  }
  for (const auto& hook : hooks_) hook->after_run(state_);
  line_.finish();
  folder_.metrics().append_end(progress_.step, reason);
  folder_.log("ended: " + reason);
  write_report();
}

// A report that cannot be written is no reason to end a run with an error.
void Runner::write_report() {
  if (communicator_.rank() != 0) return;
  try {
    report::write_run_report(folder_.path());
  } catch (const Error& error) {
    line_.message(fmt::format("warning: {}", error.what()));
  }
}

// What it does worst goes into mistakes.json.
Evaluation Runner::test() {
  if (experiment_.task() != Task::kImages) return evaluate_split("test");
  report::WorstMistakes own(kMistakes);
  auto evaluation = evaluate_split(
      "test", [&](const auto& batch, const auto& output) { add_mistakes(own, batch, output); });
  const auto mistakes = gather_mistakes(own, communicator_, device_);
  if (communicator_.rank() == 0) {
    report::write_mistakes(
        folder_.path() / "mistakes.json",
        show_mistakes(mistakes, *experiment_.split("test").dataset, experiment_.classes()));
  }
  return evaluation;
}

report::RunResult Runner::result() {
  Evaluation tested;
  if (experiment_.has_split("test")) tested = test();
  auto result = result_of(*model_, options_, device_, name_);
  result.steps = static_cast<double>(progress_.step);
  result.epochs = epoch_now();
  result.seconds = seconds_in_all();
  if (!step_seconds_.empty()) {
    std::vector<double> sorted = step_seconds_;
    std::sort(sorted.begin(), sorted.end());
    result.step_ms_median = sorted[sorted.size() / 2] * 1e3;
    result.step_ms_p90 = sorted[sorted.size() * 9 / 10] * 1e3;
    result.images_per_second =
        static_cast<double>(options_.data.batch_size) / sorted[sorted.size() / 2];
  }
  result.split = tested.split;
  result.figures = tested.figures;
  result.tables = tested.tables;
  return result;
}

bool Runner::due(const Every& every) const {
  return progress_.step % every.in_steps(steps_per_epoch_) == 0;
}

double Runner::epoch_now() const {
  return static_cast<double>(progress_.step) / static_cast<double>(steps_per_epoch_);
}

double Runner::seconds_in_all() const { return seconds_before_ + seconds_since(start_); }

void write_classes(const fs::path& file, const ClassInfo& classes, Task task) {
  nlohmann::json json;
  json["task"] = task == Task::kPixels ? "pixels" : "images";
  json["names"] = classes.names;
  json["palette"] = classes.palette;
  write_file(file, json.dump(1) + "\n");
}

std::pair<ClassInfo, Task> read_classes(const fs::path& file) {
  try {
    const auto json = nlohmann::json::parse(read_file(file, 64 << 20));
    ClassInfo classes;
    classes.names = json.at("names").get<std::vector<std::string>>();
    classes.palette = json.at("palette").get<std::vector<std::array<uint8_t, 3>>>();
    const bool pixels = json.at("task").get<std::string>() == "pixels";
    return {std::move(classes), pixels ? Task::kPixels : Task::kImages};
  } catch (const nlohmann::json::exception& error) {
    throw CheckpointError(file.string() + ": is damaged: " + error.what());
  }
}

}  // namespace dnc
