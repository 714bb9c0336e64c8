#include "host/plugin_template.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "host/components/components.h"
#include "host/plugin_loader.h"
#include "registry/error.h"
#include "tests/temporary_folder.h"

namespace dnc {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

TEST(PluginName, IsThatOfATypeAndOfAFile) {
  const auto is = [](const std::string& given, const std::string& type, const std::string& file) {
    const auto name = plugin_name(given);
    EXPECT_EQ(name.type, type) << given;
    EXPECT_EQ(name.file, file) << given;
  };
  is("MyNet", "MyNet", "my_net");
  is("my_net", "MyNet", "my_net");
  is("HRNetW18", "HRNetW18", "hr_net_w18");
  is("My_Net", "MyNet", "my_net");
  is("net2", "Net2", "net2");
  is("A", "A", "a");
  is("VGG", "VGG", "vgg");
}

TEST(PluginName, RefusesWhatIsNone) {
  for (const std::string bad :
       {"", "3d", "_net", "my-net", "my net", "n\u00e9t", "../net", "a/b"}) {
    EXPECT_EQ(message_of<Error>([&] { plugin_name(bad); }),
              "'" + bad +
                  "' cannot be the name of a plugin; expected up to 64 letters, digits and "
                  "underscores, a letter first, such as MyNet");
  }
  EXPECT_THAT(message_of<Error>([] { plugin_name(std::string(65, 'a')); }),
              HasSubstr("cannot be the name of a plugin"));
  EXPECT_EQ(message_of<Error>([] { plugin_name("Test"); }),
            "'Test' cannot be the name of a plugin: CMake has a target 'test' of its own; choose "
            "another name");
  EXPECT_THAT(message_of<Error>([] { plugin_name("Torch"); }), HasSubstr("has a target 'torch'"));
  EXPECT_EQ(message_of<Error>([] { plugin_name("options"); }),
            "'options' cannot be the name of a plugin: its class has a member Options; choose "
            "another name");
}

class NewPlugin : public testing::Test {
 protected:
  NewPlugin() {
    Registrar own(registry_, "dnc-host");
    register_components(own);
  }
  std::string error(Kind kind, const fs::path& folder, const std::string& name = "MyNet") {
    return message_of<Error>([&] { write_plugin(registry_, kind, plugin_name(name), folder); });
  }

  Registry registry_;
  TemporaryFolder folder_;
};

TEST_F(NewPlugin, HasItsFilesUnderItsName) {
  write_plugin(registry_, Kind::kBackbone, plugin_name("TinyNet"), folder_ / "deep/tiny");
  std::vector<std::string> files;
  for (const auto& entry : fs::directory_iterator(folder_ / "deep/tiny")) {
    files.push_back(entry.path().filename().string());
    const auto text = bytes_of(entry.path());
    EXPECT_THAT(text, Not(HasSubstr("my_plugin"))) << entry.path();
    EXPECT_THAT(text, Not(HasSubstr("MyPlugin"))) << entry.path();
  }
  EXPECT_THAT(files, testing::UnorderedElementsAre("CMakeLists.txt", "README.md", "tiny_net.cpp",
                                                   "tiny_net.yaml"));
  EXPECT_THAT(bytes_of(folder_ / "deep/tiny/tiny_net.cpp"),
              HasSubstr("class TinyNet final : public dnc::Backbone"));
  EXPECT_THAT(bytes_of(folder_ / "deep/tiny/CMakeLists.txt"),
              HasSubstr("dnc_add_plugin(tiny_net tiny_net.cpp)"));
}

TEST_F(NewPlugin, DoesNotTouchWhatIsThere) {
  EXPECT_EQ(error(Kind::kHead, folder_.path()),
            folder_.path().string() + ": exists already; choose another folder by --out");
  put_bytes(folder_ / "file", "mine");
  EXPECT_THAT(error(Kind::kHead, folder_ / "file"), HasSubstr("exists already"));
  fs::create_symlink("nowhere", folder_ / "link");
  EXPECT_THAT(error(Kind::kHead, folder_ / "link"), HasSubstr("exists already"));
}

TEST_F(NewPlugin, RefusesANameThatIsTaken) {
  PluginLoader(registry_).load_folder(DNC_PLUGIN_DIR);
  EXPECT_THAT(error(Kind::kBackbone, folder_ / "a", "ResNetCifar"),
              StartsWith("'ResNetCifar' is a backbone of "));
  EXPECT_FALSE(fs::exists(folder_ / "a"));
  EXPECT_EQ(error(Kind::kHead, folder_ / "b", "ResNetCifar"), "") << "of another kind";
}

TEST_F(NewPlugin, SaysWhichKindsThereAre) {
  EXPECT_EQ(error(Kind::kHook, folder_ / "a"),
            "there is no template of a hook (known: backbone, decode_head, head, dataset, "
            "transform); docs/writing_a_plugin.md has an example of each kind");
}

}  // namespace
}  // namespace dnc
