#include "host/commands/rank_options.h"

#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <iostream>
#include <thread>

#include "host/parallel/agreement.h"
#include "host/parallel/job.h"

namespace dnc {
namespace {

std::optional<RankEnvironment> environment_of_ranks() {
  return read_rank_environment(environment_variable, getppid());
}

}  // namespace

void add_rank_options(CLI::App& command, RankOptions& options) {
  command
      .add_option("--rank-timeout", options.timeout,
                  "With several processes: seconds after which one that does not answer ends all")
      ->check(CLI::Range(5, 86400))
      ->type_name("SECONDS")
      ->capture_default_str();
}

int on_all_ranks(const RankOptions& options, const std::function<int(Ranks&)>& body) {
  const auto environment = environment_of_ranks();
  if (!environment || environment->size == 1) {
    OneRank alone;
    return body(alone);
  }
  return run_job(*environment, std::chrono::seconds(options.timeout), body);
}

void use_ranks(Program& program, Ranks& ranks) {
  if (ranks.size() == 1) return;
  program.prepare_experiments([&](Experiment& experiment) {
    const auto environment = environment_of_ranks().value();
    experiment.use_ranks(ranks.modules(), environment.local_rank, environment.local_size);
    check_agreement(ranks, facts_of(experiment, program.plugins()));
    ranks.use_device(experiment.device());
    if (experiment.options().threads == 0 && !environment_variable("OMP_NUM_THREADS")) {
      const auto cores = std::max<int64_t>(1, std::thread::hardware_concurrency());
      at::set_num_threads(static_cast<int>(std::max<int64_t>(1, cores / environment.local_size)));
    }
  });
}

bool leave_to_rank_0(const std::string& command) {
  const auto environment = environment_of_ranks();
  if (!environment || environment->size == 1) return false;
  if (environment->rank != 0) return true;
  std::cerr << fmt::format(
      "warning: `dnc-host {}` runs in one process; {} started {}, and rank 0 does it alone\n",
      command, environment->launcher, environment->size);
  forget_launcher();
  return false;
}

}  // namespace dnc
