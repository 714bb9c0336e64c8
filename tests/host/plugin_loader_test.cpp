#include "host/plugin_loader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <string>
#include <vector>

#include "host/components/components.h"
#include "registry/error.h"
#include "registry/hook.h"
#include "registry/plugin.h"
#include "tests/temporary_folder.h"

namespace dnc {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

// A plugin that is as it should be. They need no data set and no weights.
const fs::path kGood = fs::path(DNC_PLUGIN_DIR) / "datasets_synthetic.so";

fs::path bad(const std::string& name) { return fs::path(DNC_BAD_PLUGIN_DIR) / (name + ".so"); }

class PluginLoaderTest : public testing::Test {
 protected:
  PluginLoaderTest() {
    Registrar own(registry_, "dnc-host");
    register_components(own);
    before_ = names();
  }

  // What the loader says of a file, without the file's name at the beginning. It must register
  // nothing.
  std::string refusal(const fs::path& path) {
    const auto message = message_of<PluginError>([&] { loader_.load(path); });
    EXPECT_EQ(names(), before_);
    EXPECT_TRUE(loader_.loaded().empty());
    const auto prefix = path.string() + ": ";
    EXPECT_EQ(message.substr(0, prefix.size()), prefix);
    return message.substr(std::min(prefix.size(), message.size()));
  }

  std::vector<std::string> names() const {
    std::vector<std::string> all;
    for (const auto kind : kAllKinds) {
      for (const auto* component : registry_.list(kind)) {
        all.push_back(kind_name(kind) + " " + component->name);
      }
    }
    return all;
  }

  Registry registry_;
  PluginLoader loader_{registry_};
  std::vector<std::string> before_;
};

// ---- what is taken ------------------------------------------------------------------------------

TEST_F(PluginLoaderTest, LoadsAPluginAndRemembersItsFile) {
  loader_.load(kGood);
  const auto* component = registry_.find(Kind::kDataset, "Synthetic");
  ASSERT_NE(component, nullptr);
  EXPECT_EQ(component->plugin, fs::canonical(kGood).string());
  ASSERT_EQ(loader_.loaded().size(), 1u);
  EXPECT_EQ(loader_.loaded()[0].file, fs::canonical(kGood));
  EXPECT_EQ(loader_.loaded()[0].stamp, host_stamp());
}

TEST_F(PluginLoaderTest, TheSameFileAgainIsANoOp) {
  const TemporaryFolder folder;
  fs::create_symlink(kGood, folder / "link.so");
  loader_.load(kGood);
  loader_.load(kGood);
  loader_.load(kGood.parent_path() / "." / kGood.filename());
  loader_.load(folder / "link.so");
  EXPECT_EQ(loader_.loaded().size(), 1u);
}

TEST_F(PluginLoaderTest, ACopyOfAPluginIsADuplicate) {
  const TemporaryFolder folder;
  fs::copy_file(kGood, folder / "copy.so");
  loader_.load(kGood);
  const auto copy = (folder / "copy.so").string();
  EXPECT_EQ(message_of<PluginError>([&] { loader_.load(copy); }),
            copy + ": cannot be registered: dataset 'Synthetic' of " + copy +
                " is already registered by " + fs::canonical(kGood).string());
  EXPECT_EQ(loader_.loaded().size(), 1u);
}

TEST_F(PluginLoaderTest, APluginStaysUsableAfterTheRegistryIsGone) {
  std::shared_ptr<Dataset> dataset;
  {
    Registry registry;
    PluginLoader loader(registry);
    loader.load(kGood);
    dataset = registry.build<Dataset>(Node::make_scalar("Synthetic"), Context());
  }
  EXPECT_EQ(dataset->load(3).label, 3);
}

// ---- what is refused, each with its whole message -----------------------------------------------

TEST_F(PluginLoaderTest, RefusesAFileThatIsNotThere) {
  EXPECT_EQ(refusal("/nowhere/tiny.so"), "no such plugin");
}

TEST_F(PluginLoaderTest, RefusesWhatIsNotASharedLibrary) {
  const TemporaryFolder folder;
  put_bytes(folder / "short.so", "not a library\n");
  EXPECT_EQ(refusal(folder / "short.so"), "cannot be loaded: file too short");
  put_bytes(folder / "long.so", std::string(10'000, 'x'));
  EXPECT_EQ(refusal(folder / "long.so"), "cannot be loaded: invalid ELF header");
  fs::create_directory(folder / "folder.so");
  EXPECT_EQ(refusal(folder / "folder.so"),
            "cannot be loaded: cannot read file data: Is a directory");
  put_bytes(folder / "cut.so", bytes_of(kGood).substr(0, 200));
  EXPECT_THAT(refusal(folder / "cut.so"), HasSubstr("cannot be loaded: "));
}

TEST_F(PluginLoaderTest, RefusesALibraryThatLacksAFunction) {
  EXPECT_EQ(refusal(bad("undefined_symbol")),
            "cannot be loaded: undefined symbol: dnc_function_of_another_host\n"
            "  It was built against another dnc-host or LibTorch, or lacks a library; rebuild it.");
}

TEST_F(PluginLoaderTest, RefusesALibraryWithoutAStamp) {
  EXPECT_EQ(refusal(bad("no_stamp")),
            "is a shared library, but not a plugin of dnc-host: it lacks dnc_plugin_stamp. Write "
            "DNC_PLUGIN(registrar) { ... } in it.");
}

TEST_F(PluginLoaderTest, RefusesALibraryWithoutAnEntry) {
  EXPECT_EQ(
      refusal(bad("no_entry")),
      "is a shared library, but not a plugin of dnc-host: it lacks dnc_plugin_register. Write "
      "DNC_PLUGIN(registrar) { ... } in it.");
}

TEST_F(PluginLoaderTest, RefusesAPluginOfAnotherApi) {
  auto other = host_stamp();
  other.replace(other.find("api ") + 4, std::to_string(DNC_PLUGIN_API).size(), "999");
  EXPECT_EQ(refusal(bad("other_stamp")),
            "was built for another dnc-host; rebuild it\n"
            "  plugin:   " +
                other +
                "\n"
                "  dnc-host: " +
                host_stamp());
}

TEST_F(PluginLoaderTest, RefusesAPluginWithAnotherStandardLibrary) {
  auto other = host_stamp();
  other.replace(other.find("stl ") + 4, std::string::npos, "debug");
  EXPECT_EQ(refusal(bad("built_with_debug_stl")),
            "was built for another dnc-host; rebuild it\n"
            "  plugin:   " +
                other +
                "\n"
                "  dnc-host: " +
                host_stamp());
}

TEST_F(PluginLoaderTest, RefusesAPluginThatThrowsWhileRegistering) {
  EXPECT_EQ(refusal(bad("throws_standard")), "failed while registering: the licence has expired");
  EXPECT_EQ(refusal(bad("throws_error")),
            "failed while registering: /data/palette.txt: no such file");
  EXPECT_EQ(refusal(bad("throws_torch_error")), "failed while registering: no kernel for this CPU");
  EXPECT_EQ(refusal(bad("throws_number")), "failed while registering, with an unknown exception");
}

TEST_F(PluginLoaderTest, RefusesANameThatTheHostHasAlready) {
  const auto file = bad("duplicate_name").string();
  EXPECT_EQ(refusal(file), "cannot be registered: schedule 'Constant' of " + file +
                               " is already registered by dnc-host");
}

TEST_F(PluginLoaderTest, ARefusedPluginMayBeTriedAgain) {
  EXPECT_EQ(refusal(bad("throws_standard")), refusal(bad("throws_standard")));
  loader_.load(kGood);
  EXPECT_NE(registry_.find(Kind::kDataset, "Synthetic"), nullptr);
}

TEST(HostStamp, NamesAllThatMustBeEqual) {
  EXPECT_EQ(host_stamp(), "plugin api " + std::to_string(DNC_PLUGIN_API) +
                              ", torch " TORCH_VERSION + ", cxx11 abi " +
                              std::to_string(_GLIBCXX_USE_CXX11_ABI) + ", stl plain");
}

// ---- folders and names --------------------------------------------------------------------------

TEST_F(PluginLoaderTest, AFolderIsLoadedDespitePluginsThatFail) {
  const TemporaryFolder folder;
  fs::copy_file(bad("no_stamp"), folder / "a.so");
  fs::create_symlink(kGood, folder / "b.so");
  put_bytes(folder / "c.so", "not a library\n");
  put_bytes(folder / "notes.txt", "not a plugin\n");
  loader_.load_folder(folder.path());
  EXPECT_NE(registry_.find(Kind::kDataset, "Synthetic"), nullptr);
  ASSERT_EQ(registry_.failures().size(), 2u);
  EXPECT_EQ(registry_.failures()[0].first, "a.so");
  EXPECT_THAT(registry_.failures()[0].second, HasSubstr("it lacks dnc_plugin_stamp"));
  EXPECT_EQ(registry_.failures()[1].first, "c.so");
  EXPECT_EQ(registry_.failures()[1].second,
            (folder / "c.so").string() + ": cannot be loaded: file too short");
  // Who then misses a component is told of them.
  const auto message = message_of<ConfigError>(
      [&] { registry_.find(Kind::kBackbone, Node::make_scalar("TinyNet")); });
  EXPECT_THAT(message, HasSubstr("\n  plugin a.so did not load: "));
  EXPECT_THAT(message, HasSubstr("\n  plugin c.so did not load: "));
}

TEST_F(PluginLoaderTest, AFolderThatIsNotThereHasNoPlugins) {
  loader_.load_folder("/nowhere");
  EXPECT_TRUE(loader_.loaded().empty());
  EXPECT_TRUE(registry_.failures().empty());
}

class PluginNames : public PluginLoaderTest {
 protected:
  ~PluginNames() override { ::unsetenv("DNC_PLUGIN_PATH"); }
};

TEST_F(PluginNames, AreLookedForInThePluginPath) {
  const TemporaryFolder empty, folder;
  fs::create_symlink(kGood, folder / "tiny.so");
  ::setenv("DNC_PLUGIN_PATH", (empty.path().string() + "::" + folder.path().string()).c_str(), 1);
  loader_.load_named("tiny");
  EXPECT_EQ(loader_.loaded().size(), 1u);
  loader_.load_named("tiny.so");
  EXPECT_EQ(loader_.loaded().size(), 1u);
  EXPECT_EQ(message_of<PluginError>([&] { loader_.load_named("huge"); }),
            "plugin 'huge' is not found; searched in " + empty.path().string() + ", " +
                folder.path().string() + " (DNC_PLUGIN_PATH)");
}

TEST_F(PluginNames, WithoutAPluginPathAreNotFound) {
  ::unsetenv("DNC_PLUGIN_PATH");
  EXPECT_EQ(
      message_of<PluginError>([&] { loader_.load_named("tiny"); }),
      "plugin 'tiny' is not found; searched nowhere: set DNC_PLUGIN_PATH, or give a path with a "
      "slash");
}

TEST_F(PluginNames, WithASlashArePaths) {
  loader_.load_named(kGood.string());
  EXPECT_EQ(loader_.loaded().size(), 1u);
  EXPECT_EQ(message_of<PluginError>([&] { loader_.load_named("./nowhere.so"); }),
            "./nowhere.so: no such plugin");
}

TEST_F(PluginNames, MayBeAFileOfTheCurrentFolderButNotAFolder) {
  const TemporaryFolder folder;
  fs::create_symlink(kGood, folder / "tiny.so");
  fs::create_directory(folder / "plugins");
  const auto before = fs::current_path();
  fs::current_path(folder.path());
  loader_.load_named("tiny.so");
  const auto message = message_of<PluginError>([&] { loader_.load_named("plugins"); });
  fs::current_path(before);
  EXPECT_EQ(loader_.loaded().size(), 1u);
  EXPECT_THAT(message, HasSubstr("plugin 'plugins' is not found"));
}

}  // namespace
}  // namespace dnc
