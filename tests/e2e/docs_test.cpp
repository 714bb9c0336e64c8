#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "tests/e2e/program.h"
#include "tests/temporary_folder.h"

namespace dnc {
namespace {

namespace fs = std::filesystem;

TEST(Docs, CommandsAreThoseOfTheProgram) {
  const auto printed = run_program({"reference"});
  ASSERT_EQ(printed.code, 0) << printed.output;
  const fs::path file = DNC_SOURCE_DIR "/docs/cli.md";
  EXPECT_TRUE(fs::exists(file) && bytes_of(file) == printed.output)
      << file << " is not what the program prints. Renew it:\n"
      << DNC_PROGRAM << " reference > " << file.string();
}

TEST(Docs, EveryCommandIsInTheReadme) {
  const auto readme = bytes_of(DNC_SOURCE_DIR "/README.md");
  const auto printed = run_program({"reference"}).output;
  int commands = 0;
  for (size_t at = 0; (at = printed.find("\n## ", at)) != std::string::npos; ++commands) {
    at += 4;
    const auto name = printed.substr(at, printed.find('\n', at) - at);
    const bool named = readme.find("`dnc-host " + name) != std::string::npos ||
                       readme.find("`" + name) != std::string::npos;
    EXPECT_TRUE(named) << "README.md does not name the command " << name;
  }
  EXPECT_GT(commands, 20);
}

TEST(Docs, SiteBuildsWithAllLinksAndHeadings) {
  const char* given = std::getenv("DNC_PYTHON");
  const std::string python = given ? given : "python3";
  if (std::system((python + " -c 'import mkdocs' >/dev/null 2>&1").c_str()) != 0) {
    GTEST_SKIP() << python << " has no mkdocs (apt-get install mkdocs); name one that has by "
                 << "DNC_PYTHON";
  }
  const TemporaryFolder folder;
  const auto log = (folder / "log").string();
  const auto command = python +
                       " -m mkdocs build --strict --config-file '" DNC_SOURCE_DIR
                       "/mkdocs.yml' --site-dir '" +
                       (folder / "site").string() + "' >'" + log + "' 2>&1";
  EXPECT_EQ(std::system(command.c_str()), 0) << bytes_of(log);
  for (const char* page :
       {"index.html", "config/index.html", "bench/RESULTS/index.html", "registry/context.h"}) {
    EXPECT_TRUE(fs::exists(folder / "site" / fs::path(page))) << page;
  }
}

}  // namespace
}  // namespace dnc
