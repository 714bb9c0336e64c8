#include "host/train/runner.h"

#include <fmt/format.h>
#include <torch/torch.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <nlohmann/json.hpp>

#include "host/environment.h"
#include "host/report/run_result.h"
#include "host/train/result.h"
#include "host/train/signals.h"
#include "host/train/start_model.h"
#include "host/weights/state.h"
#include "registry/config.h"
#include "registry/error.h"

namespace dnc {
namespace {

namespace fs = std::filesystem;

TensorMap to_map(const std::vector<std::pair<std::string, torch::Tensor>>& tensors) {
  TensorMap map;
  for (const auto& [name, tensor] : tensors) map.insert(name, tensor);
  return map;
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
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
  loader.max_bad_samples = options.data.max_bad_samples;
  loader.pin = device.is_cuda();
  return loader;
}

Runner::Runner(Experiment& experiment, const fs::path& folder, std::string name,
               Communicator& communicator, std::ostream& out)
    : experiment_(experiment),
      options_(experiment.options()),
      name_(std::move(name)),
      communicator_(communicator),
      device_(experiment.device()),
      model_(experiment.build_model()),
      metrics_(experiment.build_metrics()),
      hooks_(experiment.build_hooks()),
      pictures_(hooks_, experiment),
      steps_per_epoch_(experiment.steps_per_epoch()),
      steps_(experiment.steps()),
      folder_(folder, to_yaml(experiment.resolved()), environment_json(device_)),
      line_(
          out, isatty(STDOUT_FILENO) != 0,
          {.columns = report::terminal_columns(STDOUT_FILENO), .plain_seconds = 30, .clock = {}}) {
  model_->to(device_);
  if (options_.train.channels_last) model_->to_channels_last();
  const auto& train = experiment_.split("train");
  if (experiment_.has_split("val")) experiment_.split("val");
  // Before the step is made: its averages begin with the weights that the model has then.
  if (find_checkpoints(folder_.checkpoints()).empty()) start();
  step_ = std::make_unique<TrainStep>(experiment_, model_, device_, communicator_);
  loader_ = std::make_unique<Loader>(train.dataset, train.transforms,
                                     train_loader_options(options_, device_, communicator_));
  write_classes(folder_.path() / "classes.json", experiment_.classes(), experiment_.task());
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
  return {reason, StopSignals::requested()};
}

void Runner::resume() {
  const auto warn = [&](const std::string& text) {
    line_.message("warning: " + text);
    folder_.log("warning: " + text);
  };
  const auto found = load_newest_checkpoint(folder_.checkpoints(), warn);
  if (!found) {
    folder_.metrics().rewind(-1);
    return;
  }
  const auto& [path, checkpoint] = *found;
  load_state(*model_, checkpoint.model, (path / "model.safetensors").string());
  copy_tensors(checkpoint.state, to_map(step_->state()), (path / "state.safetensors").string(),
               "the optimizer");
  progress_ = checkpoint.progress;
  progress_.world_size = communicator_.size();
  seconds_before_ = progress_.seconds;
  folder_.metrics().rewind(progress_.step);
  saved_ = true;
  state_.step = progress_.step;
  state_.epoch = progress_.epoch;
  stop_if_stale();
  const auto text =
      fmt::format("{}: goes on at step {} of {}", folder_.path().string(), progress_.step, steps_);
  line_.message(text);
  folder_.log(text);
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
    auto batch = loader_->next();
    if (!batch) throw Error("the loader ended before its epoch did");
    auto losses = step_->run(std::move(*batch), progress_.step);
    ++progress_.step;
    ++progress_.batch;
    epoch_done = progress_.batch == steps_per_epoch_;
    if (epoch_done) {
      ++progress_.epoch;
      progress_.batch = 0;
    }
    saved_ = false;
    after_step(std::move(losses), seconds_since(begin));
    if (due(options_.train.evaluate)) evaluate_now();
    if (due(options_.train.save) || is_best_now()) save_now();
    if (epoch_done) {
      for (const auto& hook : hooks_) hook->after_epoch(state_);
    }
  }
  if (loader_->bad_samples().size() > bad_noted_) note_bad_samples("train", *loader_);
  bad_noted_ = loader_->bad_samples().size();
}

void Runner::after_step(std::vector<std::pair<std::string, torch::Tensor>> losses, double seconds) {
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
  state_.losses.clear();
  for (const auto& [name, tensor] : pending->losses) {
    state_.losses.emplace_back(name, tensor.item<double>());
  }
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
  const AveragedParameters averaged(step_->ema());
  const auto loader =
      evaluation_loader(experiment_.split(name), options_.data, progress_.seed, communicator_);
  Views views;
  views.inference = options_.model.inference;
  auto evaluation = evaluate(*model_, *loader, name, metrics_, device_, options_.train.precision,
                             communicator_, views, also_use);
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
}

void Runner::save_now() {
  if (saved_) return;
  read_back();
  if (communicator_.rank() != 0) return;
  folder_.metrics().sync();
  progress_.seconds = seconds_in_all();
  const Checkpoint checkpoint{state_of(*model_), to_map(step_->state()), progress_};
  const auto path = save_checkpoint(folder_.checkpoints(), checkpoint, options_.train.keep);
  saved_ = true;
  for (const auto& hook : hooks_) hook->after_save(state_, path);
}

bool Runner::should_stop() {
  if (!state_.stop_reason.empty()) return true;
  if (const int signal = StopSignals::requested()) {
    state_.stop_reason = signal == SIGINT ? "interrupted" : "terminated";
  } else if (options_.train.time_limit > 0 &&
             seconds_since(start_) > options_.train.time_limit * 60) {
    state_.stop_reason = fmt::format("time limit of {} minutes", options_.train.time_limit);
  }
  return !state_.stop_reason.empty();
}

void Runner::finish(const std::string& reason) {
  const auto result_file = folder_.path() / "result.json";
  if (step_seconds_.empty() && fs::exists(result_file)) {
    line_.finish();
    return;  // it was finished before
  }
  log_train();
  const bool complete = progress_.step >= steps_ || reason.rfind("early stop", 0) == 0;
  if (complete) {
    if (!due(options_.train.evaluate)) evaluate_now();
    save_now();
    write_result(result_file, result());
    folder_.metrics().append_end(progress_.step, reason);
  } else {
    save_now();
  }
  for (const auto& hook : hooks_) hook->after_run(state_);
  line_.finish();
  folder_.metrics().append_end(progress_.step, reason);
  folder_.log("ended: " + reason);
}

report::RunResult Runner::result() {
  Evaluation tested;
  if (experiment_.has_split("test")) tested = evaluate_split("test");
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
