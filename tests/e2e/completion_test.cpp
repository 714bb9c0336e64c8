#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <stdexcept>

#include "tests/e2e/program.h"
#include "tests/temporary_folder.h"

namespace dnc {
namespace {

namespace fs = std::filesystem;
using Words = std::set<std::string>;

class Completion : public testing::Test {
 protected:
  Completion() {
    std::ofstream(folder_ / "script") << run_program({"completion", "bash"}).output;
    std::ofstream(folder_ / "my.yaml") << "seed: 1\n";
    std::ofstream(folder_ / "notes.txt") << "nothing\n";
    fs::create_directory(folder_ / "more");
  }

  // What bash offers for the last of these words, in a folder with a config, a text and a folder.
  Words offered(const std::vector<std::string>& words) const {
    std::ofstream file(folder_ / "ask");
    file << "set -u\ncd " << folder_.path().string() << "\nsource ./script\nCOMP_WORDS=('"
         << DNC_PROGRAM << "'";
    for (const auto& word : words) file << " '" << word << "'";
    file << ")\nCOMP_CWORD=" << words.size()
         << "\n_dnc_host\nprintf '%s\\n' \"${COMPREPLY[@]-}\"\n";
    file.close();
    const auto command = "bash " + (folder_ / "ask").string() + " 2>&1";
    FILE* pipe = popen(command.c_str(), "r");
    if (!pipe) throw std::runtime_error("bash cannot be started");
    std::string output;
    char buffer[4096];
    while (const auto size = std::fread(buffer, 1, sizeof buffer, pipe))
      output.append(buffer, size);
    EXPECT_EQ(pclose(pipe), 0) << output;
    Words found;
    std::istringstream lines(output);
    for (std::string line; std::getline(lines, line);) {
      if (!line.empty()) found.insert(line);
    }
    return found;
  }

  TemporaryFolder folder_;
};

TEST_F(Completion, OffersCommands) {
  EXPECT_EQ(offered({"tr"}), Words{"train"});
  EXPECT_EQ(offered({"co"}), (Words{"compare", "config", "completion", "convert"}));
  EXPECT_EQ(offered({"--ver"}), Words{"--version"});
}

TEST_F(Completion, OffersTheOptionsOfTheCommand) {
  EXPECT_EQ(offered({"train", "--"}),
            (Words{"--help", "--work-dir", "--seed", "--set", "--cfg-options", "--rank-timeout",
                   "--log-ranks", "--check-ranks"}));
  EXPECT_EQ(offered({"predict", "run", "a.png", "--fo"}), Words{"--format"});
}

TEST_F(Completion, OffersConfigsAndFoldersWhereAConfigStands) {
  EXPECT_EQ(offered({"train", ""}), (Words{"my.yaml", "more"}));
  EXPECT_EQ(offered({"compare", "my.yaml", "my"}), Words{"my.yaml"}) << "it takes several";
  EXPECT_EQ(offered({"train", "--seed", "3", "my"}), Words{"my.yaml"})
      << "the value of an option is no argument";
}

TEST_F(Completion, OffersWhatAnOptionOrArgumentTakes) {
  EXPECT_EQ(offered({"train", "my.yaml", "-o", ""}), Words{"more"});
  EXPECT_EQ(offered({"predict", "--format", ""}), (Words{"table", "jsonl", "csv"}));
  EXPECT_EQ(offered({"list", "ba"}), (Words{"backbone", "batch_transform"}));
  EXPECT_EQ(offered({"compare", "my.yaml", "-o", "m"}), Words{"more"}) << "a folder";
  EXPECT_EQ(offered({"test", "m"}), (Words{"my.yaml", "more"})) << "a config, or a run's folder";
  EXPECT_EQ(offered({"predict", "more", "no"}), Words{"notes.txt"}) << "any file";
  EXPECT_EQ(offered({"train", "my.yaml", "--set", ""}), Words{});
}

TEST_F(Completion, OffersTheNamesOfComponents) {
  EXPECT_EQ(offered({"describe", "ResNetC"}), Words{"ResNetCifar"});
  EXPECT_EQ(offered({"describe", "conf"}), Words{"config"});
}

TEST_F(Completion, OtherShellsHaveTheSameCommands) {
  const auto zsh = run_program({"completion", "zsh"}).output;
  EXPECT_EQ(zsh.find("autoload -U +X bashcompinit && bashcompinit\n"), 0u);
  EXPECT_NE(zsh.find(bytes_of(folder_ / "script")), std::string::npos);
  const auto fish = run_program({"completion", "fish"}).output;
  EXPECT_NE(fish.find("complete -c dnc-host -n __fish_use_subcommand -a train -d 'Train a model"),
            std::string::npos)
      << fish;
  EXPECT_NE(fish.find("-n '__fish_seen_subcommand_from predict' -l format -x -a 'table jsonl csv'"),
            std::string::npos);
  EXPECT_EQ(run_program({"completion", "tcsh"}).code, 1);
}

}  // namespace
}  // namespace dnc
