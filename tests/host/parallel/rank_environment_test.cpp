#include "host/parallel/rank_environment.h"

#include <gtest/gtest.h>

#include <map>

#include "registry/error.h"

namespace dnc {
namespace {

using Values = std::map<std::string, std::string>;

std::optional<RankEnvironment> read(const Values& values, int64_t parent = 4242) {
  return read_rank_environment(
      [&](const std::string& name) -> std::optional<std::string> {
        const auto found = values.find(name);
        if (found == values.end() || found->second.empty()) return std::nullopt;
        return found->second;
      },
      parent);
}

std::string error_of(const Values& values) {
  try {
    read(values);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

const Values kTorchrun{{"RANK", "5"},
                       {"WORLD_SIZE", "8"},
                       {"LOCAL_RANK", "1"},
                       {"LOCAL_WORLD_SIZE", "4"},
                       {"MASTER_ADDR", "node7"},
                       {"MASTER_PORT", "29501"}};

Values with(Values values, const Values& more) {
  for (const auto& [name, value] : more) values[name] = value;
  return values;
}

TEST(RankEnvironmentTest, WithoutALauncherThereIsNone) {
  EXPECT_FALSE(read({}));
  EXPECT_FALSE(read({{"MASTER_ADDR", "node7"}}));
  EXPECT_FALSE(read({{"RANK", ""}}));
  // The shell of a batch script, not a step of it.
  EXPECT_FALSE(read({{"SLURM_JOB_ID", "7"}, {"SLURM_PROCID", "0"}, {"SLURM_NTASKS", "8"}}));
}

TEST(RankEnvironmentTest, Torchrun) {
  const auto found = read(kTorchrun).value();
  EXPECT_EQ(found.launcher, "torchrun");
  EXPECT_EQ(found.rank, 5);
  EXPECT_EQ(found.size, 8);
  EXPECT_EQ(found.local_rank, 1);
  EXPECT_EQ(found.local_size, 4);
  EXPECT_EQ(found.address, "node7");
  EXPECT_EQ(found.port, 29501);
  EXPECT_FALSE(found.agent_store);
  EXPECT_EQ(found.restart, 0);
  EXPECT_FALSE(found.one_machine());
  EXPECT_EQ(found.name(), "rank 5 of 8");
}

TEST(RankEnvironmentTest, TorchrunsStoreAndRestarts) {
  const auto found = read(with(kTorchrun, {{"TORCHELASTIC_USE_AGENT_STORE", "True"},
                                           {"TORCHELASTIC_RESTART_COUNT", "2"}}))
                         .value();
  EXPECT_TRUE(found.agent_store);
  EXPECT_EQ(found.restart, 2);
}

TEST(RankEnvironmentTest, TorchrunInsideOfSlurmIsTorchrun) {
  EXPECT_EQ(read(with(kTorchrun, {{"SLURM_PROCID", "1"}, {"SLURM_STEP_ID", "0"}}))->launcher,
            "torchrun");
}

const Values kOpenMpi{{"OMPI_COMM_WORLD_RANK", "1"},
                      {"OMPI_COMM_WORLD_SIZE", "2"},
                      {"OMPI_COMM_WORLD_LOCAL_RANK", "1"},
                      {"OMPI_COMM_WORLD_LOCAL_SIZE", "2"}};

TEST(RankEnvironmentTest, OpenMpiOnOneMachineMeetsThereAtAPortOfItsParent) {
  const auto found = read(kOpenMpi).value();
  EXPECT_EQ(found.launcher, "Open MPI");
  EXPECT_EQ(found.rank, 1);
  EXPECT_EQ(found.address, "127.0.0.1");
  EXPECT_GE(found.port, 15000);
  EXPECT_LT(found.port, 32000);
  EXPECT_NE(read(kOpenMpi, 4243)->port, found.port);
}

TEST(RankEnvironmentTest, OpenMpiOnSeveralMachinesNeedsAPlaceToMeet) {
  const auto spread = with(kOpenMpi, {{"OMPI_COMM_WORLD_SIZE", "4"}});
  EXPECT_NE(error_of(spread).find("MASTER_ADDR: is not set, but Open MPI started ranks on several"),
            std::string::npos)
      << error_of(spread);
  EXPECT_EQ(error_of(with(spread, {{"MASTER_ADDR", "node7"}})),
            "MASTER_PORT: is not set, though MASTER_ADDR is needed here; give both");
  const auto found = read(with(spread, {{"MASTER_ADDR", "node7"}, {"MASTER_PORT", "29500"}}));
  EXPECT_EQ(found->address, "node7");
  EXPECT_EQ(found->port, 29500);
}

TEST(RankEnvironmentTest, Mpich) {
  const auto found = read({{"PMI_RANK", "2"},
                           {"PMI_SIZE", "3"},
                           {"MPI_LOCALRANKID", "2"},
                           {"MPI_LOCALNRANKS", "3"}})
                         .value();
  EXPECT_EQ(found.launcher, "MPICH");
  EXPECT_EQ(found.rank, 2);
  EXPECT_EQ(found.local_size, 3);
}

const Values kSlurm{{"SLURM_PROCID", "5"},  {"SLURM_STEP_NUM_TASKS", "7"},
                    {"SLURM_LOCALID", "1"}, {"SLURM_STEP_TASKS_PER_NODE", "4,3"},
                    {"SLURM_NODEID", "1"},  {"SLURM_JOB_ID", "123456"},
                    {"SLURM_STEP_ID", "0"}, {"SLURM_STEP_NODELIST", "gpu[003-004]"},
                    {"PMI_RANK", "5"}};

TEST(RankEnvironmentTest, Slurm) {
  const auto found = read(kSlurm).value();
  EXPECT_EQ(found.launcher, "Slurm");
  EXPECT_EQ(found.rank, 5);
  EXPECT_EQ(found.size, 7);
  EXPECT_EQ(found.local_rank, 1);
  EXPECT_EQ(found.local_size, 3);
  EXPECT_EQ(found.address, "gpu003");
  EXPECT_NE(found.port, read(with(kSlurm, {{"SLURM_STEP_ID", "1"}}))->port);
  EXPECT_EQ(read(with(kSlurm, {{"MASTER_ADDR", "here"}, {"MASTER_PORT", "7777"}}))->address,
            "here");
}

TEST(RankEnvironmentTest, MissingOrContradictoryValuesAreNamed) {
  auto without = kTorchrun;
  without.erase("WORLD_SIZE");
  EXPECT_EQ(
      error_of(without),
      "WORLD_SIZE: is not set, though torchrun started this process; set it, or start without "
      "the launcher's variables");
  without = kTorchrun;
  without.erase("MASTER_ADDR");
  EXPECT_EQ(error_of(without),
            "MASTER_ADDR: is not set, though torchrun started this process; give the machine and a "
            "free port of rank 0");
  EXPECT_EQ(error_of(with(kTorchrun, {{"RANK", "8"}})),
            "RANK: is 8, but WORLD_SIZE is 8; ranks are counted from 0");
  EXPECT_EQ(error_of(with(kTorchrun, {{"RANK", "two"}})),
            "RANK: is 'two', expected an integer from 0 on");
  EXPECT_EQ(error_of(with(kTorchrun, {{"RANK", "-1"}})),
            "RANK: is '-1', expected an integer from 0 on");
  EXPECT_EQ(error_of(with(kTorchrun, {{"LOCAL_WORLD_SIZE", "16"}})),
            "torchrun says that 16 ranks are on this machine, but there are 8 in all");
  EXPECT_EQ(error_of(with(kTorchrun, {{"MASTER_PORT", "123456"}})),
            "MASTER_PORT: is '123456', expected an integer from 1 to 65535");
  EXPECT_EQ(error_of(with(kSlurm, {{"SLURM_LOCALID", "3"}})),
            "SLURM_LOCALID: is 3, but by SLURM_STEP_TASKS_PER_NODE there are 3 ranks on this "
            "machine");
}

TEST(RankEnvironmentTest, FirstHostOfSlurmsLists) {
  EXPECT_EQ(first_host("node7"), "node7");
  EXPECT_EQ(first_host("node7,node9"), "node7");
  EXPECT_EQ(first_host("node[003-010,12],gpu1"), "node003");
  EXPECT_EQ(first_host("rack1-node[7,9]"), "rack1-node7");
  EXPECT_EQ(first_host("login1,gpu[1-2]"), "login1");
  EXPECT_EQ(first_host("r[1-2]n.cluster,x"), "r1n.cluster");
  for (const char* bad : {"", ",a", "node[", "node[]", "node[a-b]"}) {
    EXPECT_THROW(first_host(bad), Error) << bad;
  }
}

TEST(RankEnvironmentTest, TasksOfANodeOfSlurmsLists) {
  EXPECT_EQ(tasks_of_node("2", 0), 2);
  EXPECT_EQ(tasks_of_node("4(x2),3", 1), 4);
  EXPECT_EQ(tasks_of_node("4(x2),3", 2), 3);
  for (const char* bad : {"", "x", "4(x", "4(x2", "0", "4(x0)"}) {
    EXPECT_THROW(tasks_of_node(bad, 0), Error) << bad;
  }
  EXPECT_THROW(tasks_of_node("4(x2),3", 3), Error);
}

}  // namespace
}  // namespace dnc
