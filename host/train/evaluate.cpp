#include "host/train/evaluate.h"

#include <torch/torch.h>

#include <map>
#include <nlohmann/json.hpp>

#include "host/parallel/gather_text.h"
#include "host/train/autocast.h"
#include "registry/error.h"

namespace dnc {

std::unique_ptr<Loader> evaluation_loader(const Split& split, const DataOptions& options,
                                          uint64_t seed, const Communicator& communicator) {
  LoaderOptions loader;
  loader.batch_size = options.eval_batch_size * communicator.size();
  loader.workers = options.workers;
  loader.prefetch = options.prefetch;
  loader.shuffle = false;
  loader.drop_last = false;
  loader.seed = seed;
  loader.rank = communicator.rank();
  loader.ranks = communicator.size();
  loader.max_bad_samples = options.max_bad_samples;
  loader.replace_bad = false;
  loader.free_label_size = true;
  return std::make_unique<Loader>(split.dataset, split.transforms, loader);
}

void for_each_batch(Model& model, Loader& loader, torch::Device device, Precision precision,
                    const UseBatch& use, const Views& views) {
  const torch::NoGradGuard no_grad;
  const bool was_training = model.is_training();
  model.eval();
  loader.start(0);
  while (auto batch = loader.next()) {
    if (batch->size() == 0) continue;
    batch->images = batch->images.to(device, /*non_blocking=*/true);
    batch->labels = batch->labels.to(device, /*non_blocking=*/true);
    const Autocast autocast(precision, device);
    use(*batch, forward_views(model, batch->images, views, label_size(batch->labels)));
  }
  model.train(was_training);
}

void share_bad_samples(Loader& loader, Communicator& communicator) {
  if (communicator.size() == 1) return;
  auto own = nlohmann::json::array();
  for (const auto& sample : loader.bad_samples()) own.push_back({sample.index, sample.reason});
  const auto text = own.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  std::map<int64_t, BadSample> all;  // in the same order on each rank
  for (const auto& gathered : gather_text(communicator, text)) {
    for (const auto& sample : nlohmann::json::parse(gathered)) {
      const auto index = sample[0].get<int64_t>();
      all.try_emplace(index, BadSample{index, sample[1].get<std::string>()});
    }
  }
  std::vector<BadSample> bad;
  for (auto& [index, sample] : all) bad.push_back(std::move(sample));
  loader.add_bad_samples(bad);
}

Evaluation evaluate(Model& model, Loader& loader, const std::string& split,
                    const std::vector<std::shared_ptr<Metric>>& metrics, torch::Device device,
                    Precision precision, Communicator& communicator, const Views& views,
                    const UseBatch& also_use) {
  for (const auto& metric : metrics) metric->reset();
  int64_t samples = 0;
  for_each_batch(
      model, loader, device, precision,
      [&](const Batch& batch, const Model::Output& output) {
        samples += batch.size();
        for (const auto& metric : metrics) metric->update(output.scores, batch.labels);
        if (also_use) also_use(batch, output);
      },
      views);
  share_bad_samples(loader, communicator);
  const auto all = torch::tensor({samples});
  communicator.sum({all});
  if (all.item<int64_t>() == 0 && !loader.bad_samples().empty()) {
    throw DataError(loader.bad_samples().front().reason + "; and no other sample of '" + split +
                    "' is good");
  }
  Evaluation result;
  result.split = split;
  for (const auto& metric : metrics) {
    communicator.sum(metric->counts());
    const auto figures = metric->compute();
    result.figures.insert(result.figures.end(), figures.begin(), figures.end());
    const auto tables = metric->tables();
    result.tables.insert(result.tables.end(), tables.begin(), tables.end());
  }
  return result;
}

}  // namespace dnc
