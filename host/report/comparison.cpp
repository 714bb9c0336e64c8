#include "host/report/comparison.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "host/report/format.h"
#include "registry/error.h"

namespace dnc::report {
namespace {

void add(std::vector<ConfigRuns>& configs, RunRecord run) {
  const auto& result = run.result;
  const auto same_config = [&](const ConfigRuns& config) {
    return config.name == result.name && config.config == result.config;
  };
  auto config = std::ranges::find_if(configs, same_config);
  if (config == configs.end()) {
    config = configs.insert(configs.end(), {result.name, result.config, {}});
  }
  for (const auto& other : config->runs) {
    if (other.result.seed != result.seed) continue;
    throw Error(
        fmt::format("{}: is a run of config '{}' with seed {}, and so is {}; expected one "
                    "run for each config and seed: leave one of the two out",
                    run.folder.string(), result.name, result.seed, other.folder.string()));
  }
  config->runs.push_back(std::move(run));
}

/// Two files may well have one name: then the file tells them apart.
void make_names_unique(std::vector<ConfigRuns>& configs) {
  std::map<std::string, int64_t> uses;
  for (const auto& config : configs) ++uses[config.name];
  for (auto& config : configs) {
    if (uses[config.name] > 1) config.name += " (" + config.config + ")";
  }
}

template <typename Get>
std::vector<double> collect(const ConfigRuns& config, Get get) {
  std::vector<double> values;
  for (const auto& run : config.runs) values.push_back(get(run.result));
  return values;
}

/// The figure by seed. A run whose figure is unknown is left out: it has nothing to pair.
std::map<int64_t, double> by_seed(const ConfigRuns& config, std::string_view figure_name) {
  std::map<int64_t, double> values;
  for (const auto& run : config.runs) {
    const double value = figure(run.result.figures, figure_name);
    if (std::isfinite(value)) values[run.result.seed] = value;
  }
  return values;
}

ConfigSummary summarise(const ConfigRuns& config, const ConfigRuns& reference,
                        std::string_view figure_name) {
  ConfigSummary summary{
      .name = config.name,
      .seeds = {},
      .figure = figure_spread(config, figure_name),
      .difference = {},
      .learnable_parameters = config.runs.front().result.learnable_parameters,
      .step_ms = median(collect(config, [](const auto& r) { return r.step_ms_median; })),
      .images_per_second =
          median(collect(config, [](const auto& r) { return r.images_per_second; })),
      .peak_memory_mib = kUnknown,
      .seconds = spread(collect(config, [](const auto& r) { return r.seconds; })).mean};
  for (const auto& run : config.runs) {
    summary.seeds.push_back(run.result.seed);
    // fmax() leaves out what is unknown.
    summary.peak_memory_mib = std::fmax(summary.peak_memory_mib, run.result.peak_memory_mib);
  }
  if (&config != &reference) {
    summary.difference =
        paired_difference(by_seed(reference, figure_name), by_seed(config, figure_name));
  }
  return summary;
}

std::string seed_list(const std::vector<int64_t>& seeds) {
  return fmt::format("{} {}", seeds.size() == 1 ? "seed" : "seeds", fmt::join(seeds, ", "));
}

void note_seeds(ComparisonSummary& summary) {
  const auto& configs = summary.configs;
  const auto one_seed = [](const auto& config) { return config.seeds.size() < 2; };
  if (configs.size() == 1) return;
  if (std::ranges::all_of(configs, one_seed)) {
    summary.notes.emplace_back(
        "One seed: no spread, so a difference between configs may be chance. Train with several "
        "seeds to tell.");
  } else if (std::ranges::any_of(configs, one_seed)) {
    summary.notes.emplace_back("Some configs have one seed only: no spread.");
  }
  for (const auto& config : configs) {
    if (config.seeds == configs.front().seeds) continue;
    summary.notes.push_back(
        fmt::format("{} has {}, {} has {}: their difference is over the seeds that both have.",
                    configs.front().name, seed_list(configs.front().seeds), config.name,
                    seed_list(config.seeds)));
  }
}

void note_runs(const Comparison& comparison, ComparisonSummary& summary) {
  const auto& first = comparison.configs.front().runs.front().result;
  std::set<std::string> machines, versions;
  for (const auto& config : comparison.configs) {
    for (const auto& run : config.runs) {
      const auto& result = run.result;
      const auto where = fmt::format("{}, seed {}", config.name, result.seed);
      machines.insert(
          fmt::format("{}, {}, {} threads", result.cpu, result.device, grouped(result.threads)));
      versions.insert(result.version);
      if (result.split != first.split) {
        summary.notes.push_back(
            fmt::format("{} was tested on '{}', the first run on '{}': their "
                        "figures cannot be compared.",
                        where, result.split, first.split));
      }
      if (!std::isfinite(figure(result.figures, summary.figure))) {
        summary.notes.push_back(fmt::format("{} has no {}.", where, summary.figure));
      }
      for (const auto& bad : run.metrics.bad_samples) {
        summary.notes.push_back(fmt::format("{}: damaged samples of '{}' that do not count: {}.",
                                            where, bad.split, bad.count));
      }
      const auto& reason = run.metrics.end_reason;
      if (!reason.empty() && reason != "done") {
        summary.notes.push_back(fmt::format("{} ended early: {}.", where, reason));
      }
    }
  }
  if (machines.size() > 1) {
    summary.notes.emplace_back(
        "The runs were made on several machines, devices or numbers of threads: their times cannot "
        "be compared.");
  }
  if (versions.size() > 1) {
    summary.notes.push_back(
        fmt::format("The runs were made by several versions of the program: "
                    "{}.",
                    fmt::join(versions, ", ")));
  }
}

}  // namespace

Comparison read_comparison(const std::vector<std::filesystem::path>& run_folders) {
  if (run_folders.empty()) {
    throw Error("compare: no run folder was given; expected at least one finished run");
  }
  Comparison comparison;
  for (const auto& folder : run_folders) add(comparison.configs, read_run(folder));
  make_names_unique(comparison.configs);
  for (auto& config : comparison.configs) {
    std::ranges::sort(config.runs, {}, [](const RunRecord& run) { return run.result.seed; });
  }
  return comparison;
}

ComparisonSummary summarise(const Comparison& comparison) {
  ComparisonSummary summary;
  const auto& reference = comparison.configs.front();
  const auto& first = reference.runs.front().result;
  summary.figure = first.figures.empty() ? "figure" : first.figures.front().first;
  summary.split = first.split;
  std::vector<double> values;
  for (const auto& config : comparison.configs) {
    summary.configs.push_back(summarise(config, reference, summary.figure));
    for (const auto& [seed, value] : by_seed(config, summary.figure)) values.push_back(value);
  }
  summary.share = is_share(summary.figure, values);
  note_seeds(summary);
  note_runs(comparison, summary);
  return summary;
}

Spread figure_spread(const ConfigRuns& config, std::string_view figure_name) {
  return spread(collect(config, [&](const auto& r) { return figure(r.figures, figure_name); }));
}

bool is_share(std::string_view figure_name, const std::vector<double>& values) {
  if (figure_name.find("loss") != std::string_view::npos) return false;
  return std::ranges::all_of(values, [](double v) { return std::isnan(v) || (v >= 0 && v <= 1); });
}

std::string spread_text(const Spread& spread, double scale, int decimals) {
  const auto mean = fixed(spread.mean * scale, decimals);
  if (!std::isfinite(spread.deviation)) return mean;
  return fmt::format("{} ± {}", mean, fixed(spread.deviation * scale, decimals));
}

std::string difference_text(const PairedDifference& difference, double scale, int decimals) {
  if (difference.pairs == 0) return std::string(kNothing);
  const auto mean = signed_fixed(difference.mean * scale, decimals);
  if (difference.pairs == 1) return mean + " (one seed)";
  return fmt::format("{} [{}, {}]", mean, signed_fixed(difference.low * scale, decimals),
                     signed_fixed(difference.high * scale, decimals));
}

}  // namespace dnc::report
