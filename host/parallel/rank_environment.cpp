#include "host/parallel/rank_environment.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <limits>
#include <tuple>
#include <utility>

#include "registry/error.h"

namespace dnc {
namespace {

// Ports of a job that names none: above those of services, below those that systems hand out.
constexpr int64_t kFirstPort = 15'000;
constexpr int64_t kPorts = 17'000;

std::optional<int64_t> number_in(const std::string& text) {
  int64_t value = 0;
  const auto* end = text.data() + text.size();
  const auto result = std::from_chars(text.data(), end, value);
  if (result.ec != std::errc() || result.ptr != end) return std::nullopt;
  return value;
}

/// The variables of one launcher.
class Reader {
 public:
  Reader(const Variables& variables, std::string launcher)
      : variables_(variables), launcher_(std::move(launcher)) {}

  std::string text(const std::string& name, const std::string& how) const {
    if (auto value = variables_(name)) return *value;
    throw Error(
        fmt::format("{}: is not set, though {} started this process; {}", name, launcher_, how));
  }
  int64_t number(const std::string& name, int64_t low, int64_t high) const {
    const auto value = text(name, "set it, or start without the launcher's variables");
    const auto number = number_in(value);
    if (!number || *number < low || *number > high) {
      throw Error(fmt::format("{}: is '{}', expected {}", name, value, range(low, high)));
    }
    return *number;
  }
  std::optional<int64_t> optional_number(const std::string& name, int64_t low, int64_t high) const {
    if (!variables_(name)) return std::nullopt;
    return number(name, low, high);
  }
  /// Rank and size of the job, or of its part on this machine.
  std::pair<int64_t, int64_t> rank_of(const std::string& rank, const std::string& size) const {
    const auto ranks = number(size, 1, kMost);
    const auto own = number(rank, 0, kMost);
    if (own >= ranks) {
      throw Error(
          fmt::format("{}: is {}, but {} is {}; ranks are counted from 0", rank, own, size, ranks));
    }
    return {own, ranks};
  }
  static constexpr int64_t kMost = 1'000'000;

 private:
  static std::string range(int64_t low, int64_t high) {
    return high >= kMost ? fmt::format("an integer from {} on", low)
                         : fmt::format("an integer from {} to {}", low, high);
  }
  const Variables& variables_;
  std::string launcher_;
};

void check_local(const RankEnvironment& found) {
  if (found.local_size > found.size) {
    throw Error(fmt::format("{} says that {} ranks are on this machine, but there are {} in all",
                            found.launcher, found.local_size, found.size));
  }
}

uint16_t port_of(uint64_t job) {
  return static_cast<uint16_t>(kFirstPort + static_cast<int64_t>(job % kPorts));
}

/// Where the ranks meet, if nobody but MASTER_ADDR and MASTER_PORT says so.
void meet(RankEnvironment& found, const Variables& variables, const Reader& reader, uint64_t job) {
  const auto port = reader.optional_number("MASTER_PORT", 1, 65535);
  found.port = port ? static_cast<uint16_t>(*port) : port_of(job);
  if (auto address = variables("MASTER_ADDR")) {
    found.address = *address;
  } else if (found.one_machine()) {
    found.address = "127.0.0.1";
  } else if (auto hosts = variables("SLURM_STEP_NODELIST")) {
    found.address = first_host(*hosts);
  } else if (auto all = variables("SLURM_JOB_NODELIST")) {
    found.address = first_host(*all);
  } else {
    throw Error(fmt::format(
        "MASTER_ADDR: is not set, but {} started ranks on several machines. Give the name of the "
        "first one, and a free port there: `mpirun -x MASTER_ADDR=HOST -x MASTER_PORT=29500` "
        "(Open MPI) or `mpiexec -genv MASTER_ADDR HOST -genv MASTER_PORT 29500` (MPICH)",
        found.launcher));
  }
  if (!port && !found.one_machine() && found.launcher != "Slurm") {
    throw Error("MASTER_PORT: is not set, though MASTER_ADDR is needed here; give both");
  }
}

RankEnvironment of_torchrun(const Variables& variables) {
  const Reader reader(variables, "torchrun");
  RankEnvironment found;
  found.launcher = "torchrun";
  std::tie(found.rank, found.size) = reader.rank_of("RANK", "WORLD_SIZE");
  std::tie(found.local_rank, found.local_size) = reader.rank_of("LOCAL_RANK", "LOCAL_WORLD_SIZE");
  const auto* const how = "give the machine and a free port of rank 0";
  found.address = reader.text("MASTER_ADDR", how);
  found.port = static_cast<uint16_t>(reader.number("MASTER_PORT", 1, 65535));
  found.agent_store = variables("TORCHELASTIC_USE_AGENT_STORE") == "True";
  found.restart =
      reader.optional_number("TORCHELASTIC_RESTART_COUNT", 0, Reader::kMost).value_or(0);
  return found;
}

/// What an MPI calls rank and size of the job, and of its part on this machine.
struct MpiNames {
  std::string launcher, rank, size, local_rank, local_size;
};
const MpiNames kOpenMpi{"Open MPI", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE",
                        "OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE"};
const MpiNames kMpich{"MPICH", "PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "MPI_LOCALNRANKS"};

RankEnvironment of_mpi(const MpiNames& names, const Variables& variables, int64_t parent) {
  const Reader reader(variables, names.launcher);
  RankEnvironment found;
  found.launcher = names.launcher;
  std::tie(found.rank, found.size) = reader.rank_of(names.rank, names.size);
  std::tie(found.local_rank, found.local_size) = reader.rank_of(names.local_rank, names.local_size);
  meet(found, variables, reader, static_cast<uint64_t>(parent));
  return found;
}

RankEnvironment of_slurm(const Variables& variables) {
  const Reader reader(variables, "Slurm");
  RankEnvironment found;
  found.launcher = "Slurm";
  std::tie(found.rank, found.size) = reader.rank_of("SLURM_PROCID", "SLURM_STEP_NUM_TASKS");
  const auto node = reader.number("SLURM_NODEID", 0, Reader::kMost);
  found.local_rank = reader.number("SLURM_LOCALID", 0, Reader::kMost);
  found.local_size = tasks_of_node(reader.text("SLURM_STEP_TASKS_PER_NODE", "srun sets it"), node);
  if (found.local_rank >= found.local_size) {
    throw Error(fmt::format(
        "SLURM_LOCALID: is {}, but by SLURM_STEP_TASKS_PER_NODE there are {} ranks on this machine",
        found.local_rank, found.local_size));
  }
  const auto job = reader.number("SLURM_JOB_ID", 0, std::numeric_limits<int64_t>::max());
  const auto step = reader.number("SLURM_STEP_ID", 0, std::numeric_limits<int64_t>::max());
  meet(found, variables, reader, static_cast<uint64_t>(job) * 7 + static_cast<uint64_t>(step));
  return found;
}

/// The launcher that has started this process.
std::optional<RankEnvironment> find(const Variables& variables, int64_t parent) {
  if (variables("RANK") || variables("WORLD_SIZE")) return of_torchrun(variables);
  if (variables(kOpenMpi.rank)) return of_mpi(kOpenMpi, variables, parent);
  // srun sets PMI_RANK too, but MPI_LOCALRANKID is MPICH's own.
  if (variables(kMpich.rank) && variables(kMpich.local_rank)) {
    return of_mpi(kMpich, variables, parent);
  }
  // In a batch script SLURM_PROCID is set as well; only srun begins a step.
  if (variables("SLURM_PROCID") && variables("SLURM_STEP_ID")) return of_slurm(variables);
  return std::nullopt;
}

}  // namespace

std::string RankEnvironment::name() const { return fmt::format("rank {} of {}", rank, size); }

std::optional<std::string> environment_variable(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  if (!value || !*value) return std::nullopt;
  return value;
}

std::optional<RankEnvironment> read_rank_environment(const Variables& variables, int64_t parent) {
  const auto found = find(variables, parent);
  if (found) check_local(*found);
  return found;
}

void forget_launcher() {
  for (const char* name :
       {"RANK", "WORLD_SIZE", "OMPI_COMM_WORLD_RANK", "PMI_RANK", "SLURM_STEP_ID"}) {
    unsetenv(name);
  }
}

std::string first_host(const std::string& list) {
  const auto fail = [&]() -> std::string {
    throw Error(fmt::format(
        "the list of Slurm's machines is '{}', expected something like gpu[003-010,12]; give "
        "MASTER_ADDR and MASTER_PORT instead",
        list));
  };
  const auto open = list.find('[');
  const auto comma = list.find(',');
  if (list.empty() || comma == 0) return fail();
  if (open == std::string::npos || comma < open) return list.substr(0, comma);
  const auto close = list.find(']', open);
  if (close == std::string::npos) return fail();
  const auto inside = list.substr(open + 1, close - open - 1);
  const auto first = inside.substr(0, inside.find_first_of("-,"));
  if (first.empty() || first.find_first_not_of("0123456789") != std::string::npos) return fail();
  const auto rest = list.substr(close + 1);
  return list.substr(0, open) + first + rest.substr(0, rest.find(','));
}

int64_t tasks_of_node(const std::string& list, int64_t node) {
  const auto fail = [&](const char* what) -> int64_t {
    throw Error(fmt::format("SLURM_STEP_TASKS_PER_NODE: is '{}', {}", list, what));
  };
  int64_t passed = 0;
  for (size_t begin = 0; begin <= list.size();) {
    const auto end = std::min(list.find(',', begin), list.size());
    const auto item = list.substr(begin, end - begin);
    const auto bracket = item.find("(x");
    const auto tasks = number_in(item.substr(0, bracket));
    auto nodes = std::optional<int64_t>(1);
    if (bracket != std::string::npos) {
      const auto inside = item.substr(bracket + 2);
      nodes = inside.empty() || inside.back() != ')'
                  ? std::nullopt
                  : number_in(inside.substr(0, inside.size() - 1));
    }
    if (!tasks || !nodes || *tasks < 1 || *nodes < 1) return fail("expected one like 4(x2),3");
    passed += *nodes;
    if (node < passed) return *tasks;
    begin = end + 1;
  }
  return fail("which has fewer machines than SLURM_NODEID says");
}

}  // namespace dnc
