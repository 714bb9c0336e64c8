#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace dnc {

/// Where this process stands among those that its launcher has started together.
struct RankEnvironment {
  std::string launcher;  // "torchrun", "Open MPI", "MPICH", "Slurm"
  int64_t rank = 0;      // from 0, of `size`
  int64_t size = 1;
  int64_t local_rank = 0;  // among those of this machine: the number of its GPU
  int64_t local_size = 1;
  std::string address;       // of the machine where all meet
  uint16_t port = 0;         // there
  bool agent_store = false;  // the launcher holds the store; else rank 0 does
  int64_t restart = 0;       // times that the launcher has started all of them again

  bool one_machine() const { return local_size == size; }
  /// "rank 1 of 4".
  std::string name() const;
};

/// The value of an environment variable; an empty one counts as not set.
using Variables = std::function<std::optional<std::string>(const std::string&)>;
/// Those of this process.
std::optional<std::string> environment_variable(const std::string& name);

/// Reads what torchrun (or `dnc-host launch`), Open MPI, MPICH or Slurm have set, in this order:
/// torchrun may run inside a Slurm job. Nothing where none of them started this process.
/// MASTER_ADDR and MASTER_PORT decide where all meet; without them it is the first machine of a
/// Slurm job, or this one where all ranks are on it, and a port that follows from the job, or from
/// `parent`, the id of the process that started this one. Throws Error for values that are missing,
/// no numbers or contradict each other; it names the variable.
std::optional<RankEnvironment> read_rank_environment(const Variables& variables, int64_t parent);

/// Takes the variables of all launchers out of the environment: what this process starts is alone.
void forget_launcher();

/// The first machine of a list such as "gpu[003-010,12],login1": "gpu003". Throws Error.
std::string first_host(const std::string& list);

/// How many ranks Slurm put on the machine `node` (from 0) by a list such as "4(x2),3": 4, 4 and 3.
/// Throws Error.
int64_t tasks_of_node(const std::string& list, int64_t node);

}  // namespace dnc
