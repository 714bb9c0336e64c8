#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

#include "tests/temporary_folder.h"

namespace dnc {
namespace {

/// A Python with torch, or nothing.
std::string python() {
  const char* given = std::getenv("DNC_PYTHON");
  const std::string program = given ? given : "python3";
  return std::system((program + " -c 'import torch' 2>/dev/null").c_str()) == 0 ? program : "";
}

/// Runs a script with the library and expects its last words.
void expect_output(const std::string& script, const std::string& words) {
  const auto program = python();
  if (program.empty()) GTEST_SKIP() << "no torch in python3; name one that has by DNC_PYTHON";
  const TemporaryFolder folder;
  const auto output = (folder / "output").string();
  const auto command = program + " -W ignore " DNC_SOURCE_DIR "/" + script +
                       " " DNC_BUILD_DIR "/lib/libdnc_ops.so > '" + output + "' 2>&1";
  const auto code = std::system(command.c_str());
  std::ifstream file(output);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  EXPECT_EQ(code, 0) << text;
  EXPECT_NE(text.find(words), std::string::npos) << text;
}

// opcheck (schema, autograd registration, fake tensors, ahead-of-time tracing with free sizes),
// gradcheck, and torch.compile(fullgraph=True).
TEST(OperatorsInPython, PassOpcheckAndCompile) {
  expect_output("tests/golden/operators.py", "all operators pass");
}

TEST(OperatorsInPython, ExampleTrains) {
  expect_output("examples/python_ops.py", "accuracy of nearest centroids: 1.00");
}

}  // namespace
}  // namespace dnc
