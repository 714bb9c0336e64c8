#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "plugins/datasets/image_folder/dataset.h"
#include "tests/plugins/component.h"
#include "tests/plugins/datasets/files_testing.h"

namespace dnc {
namespace {

using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// Takes any file for an image as wide as the file is long; "damaged" in it makes it unreadable.
class FakeReader : public ImageReader {
 public:
  Image open(const std::string& path) const override {
    const auto content = read_file(path);
    if (content == "damaged" || content.empty()) throw DataError(path + ": cannot be decoded");
    return Image(1, static_cast<int64_t>(content.size()), 3);
  }
  Image open(std::vector<uint8_t>, const std::string& name) const override {
    throw DataError(name + ": not read from memory here");
  }
  Image open_labels(const std::string& path) const override {
    throw DataError(path + ": has no labels");
  }
};

class ImageFolderTest : public ::testing::Test {
 protected:
  std::string root() const { return folder_.path().string(); }
  std::shared_ptr<Dataset> build(const std::string& options) const {
    return build_component<Dataset, ImageFolder>("{type: T, " + options + "}", context_);
  }
  std::string error(const std::string& options) const {
    return data_error([&] { build(options); });
  }
  std::string option_error(const std::string& options) const {
    return build_error<Dataset, ImageFolder>("{type: T, " + options + "}", context_);
  }
  // Paths from the root, and labels.
  std::vector<std::pair<std::string, int64_t>> contents(const Dataset& data) const {
    std::vector<std::pair<std::string, int64_t>> all;
    for (int64_t i = 0; i < data.size(); ++i) {
      all.emplace_back(std::filesystem::relative(data.name(i), folder_.path()).string(),
                       data.load(i).label);
    }
    return all;
  }

  // The same of files that need not be there.
  std::vector<std::pair<std::string, int64_t>> contents_without_loading(const Dataset& data) const {
    std::vector<std::pair<std::string, int64_t>> all;
    for (int64_t i = 0; i < data.size(); ++i) {
      all.emplace_back(std::filesystem::relative(data.name(i), folder_.path()).string(),
                       data.label(i));
    }
    return all;
  }

  TemporaryFolder folder_;
  FakeReader reader_;
  Context context_ = [this] {
    Context context;
    context.images = &reader_;
    return context;
  }();
};

using Contents = std::vector<std::pair<std::string, int64_t>>;

TEST_F(ImageFolderTest, FoldersAreClassesInTheOrderOfTheirNames) {
  folder_.write("dog/b.jpg", "12345");
  folder_.write("dog/a.PNG", "123");
  folder_.write("dog/notes.txt", "no image");
  folder_.write("cat/deep/c.jpeg", "1");
  folder_.write(".cache/d.jpg", "1");
  folder_.write("readme.md", "no class");
  const auto data = build("root: " + root());
  EXPECT_THAT(data->classes().names, ElementsAre("cat", "dog"));
  EXPECT_EQ(contents(*data),
            (Contents{{"cat/deep/c.jpeg", 0}, {"dog/a.PNG", 1}, {"dog/b.jpg", 1}}));
  EXPECT_EQ(data->load(2).image.width(), 5);
  EXPECT_EQ(data->load(2).index, 2);
  EXPECT_THROW(data->load(3), std::out_of_range);
}

TEST_F(ImageFolderTest, ClassesSelectAndOrderTheFolders) {
  folder_.write("a/1.jpg", "1");
  folder_.write("b/2.jpg", "1");
  folder_.write("c/3.jpg", "1");
  EXPECT_EQ(contents(*build("classes: [c, a], root: " + root())),
            (Contents{{"c/3.jpg", 0}, {"a/1.jpg", 1}}));
  const auto names = folder_.write("names.txt", "b\nc\n");
  EXPECT_EQ(contents(*build("class_file: " + names + ", root: " + root())),
            (Contents{{"b/2.jpg", 0}, {"c/3.jpg", 1}}));
  EXPECT_EQ(error("classes: [a, z], root: " + root()),
            root() + "/z: no such folder, but `classes` names it");
}

TEST_F(ImageFolderTest, ExtensionsCanBeSet) {
  folder_.write("a/1.jpg", "1");
  folder_.write("a/2.raw", "1");
  EXPECT_EQ(contents(*build("extensions: [RAW], root: " + root())), (Contents{{"a/2.raw", 0}}));
  EXPECT_EQ(contents(*build("extensions: .raw, root: " + root())), (Contents{{"a/2.raw", 0}}));
}

TEST_F(ImageFolderTest, DeeperFoldersCanBeLeftOut) {
  folder_.write("a/1.jpg", "1");
  folder_.write("a/deep/2.jpg", "1");
  EXPECT_EQ(contents(*build("recursive: false, root: " + root())), (Contents{{"a/1.jpg", 0}}));
}

TEST_F(ImageFolderTest, EmptyClassIsRefusedUnlessAllowed) {
  folder_.write("a/1.jpg", "1");
  folder_.write("b/notes.txt", "1");
  EXPECT_EQ(error("extensions: [jpg, png], root: " + root()),
            root() +
                "/b: no images (looked for .jpg, .png); remove the folder, set `extensions`, "
                "or set `allow_empty: true`");
  const auto data = build("allow_empty: true, root: " + root());
  EXPECT_EQ(data->size(), 1);
  EXPECT_THAT(data->classes().names, ElementsAre("a", "b"));
}

TEST_F(ImageFolderTest, NoImagesAtAllAreRefused) {
  folder_.write("a/notes.txt", "1");
  EXPECT_EQ(error("allow_empty: true, root: " + root()),
            root() + ": no images in any of its 1 class folders");
}

TEST_F(ImageFolderTest, FolderWithoutClassesIsRefused) {
  folder_.write("1.jpg", "1");
  EXPECT_EQ(error("root: " + root()),
            root() +
                ": has no folders; expected one folder of images for each class, or set "
                "`list` to a file with lines PATH LABEL");
}

TEST_F(ImageFolderTest, MissingRootSaysWhatToDo) {
  EXPECT_EQ(error("root: /no/such"),
            "/no/such: no such folder; set `root` to a folder with one folder of images for each "
            "class");
  EXPECT_THAT(option_error("recursive: true"), HasSubstr("'root'"));
}

TEST_F(ImageFolderTest, DamagedFileIsNamedWhenItIsLoaded) {
  folder_.write("a/1.jpg", "damaged");
  const auto data = build("root: " + root());
  EXPECT_EQ(data_error([&] { data->load(0); }), root() + "/a/1.jpg: cannot be decoded");
}

TEST_F(ImageFolderTest, SymbolicLinksThatTurnInCirclesEnd) {
  folder_.write("a/1.jpg", "1");
  std::filesystem::create_directory_symlink(folder_.path(), folder_.path() / "a" / "again");
  EXPECT_EQ(build("root: " + root())->size(), 1);
}

TEST_F(ImageFolderTest, FirstSamplesOfEachClassAreKept) {
  for (const auto* name : {"a/1.jpg", "a/2.jpg", "b/3.jpg", "b/4.jpg"}) folder_.write(name, "1");
  EXPECT_EQ(contents(*build("samples_per_class: 1, root: " + root())),
            (Contents{{"a/1.jpg", 0}, {"b/3.jpg", 1}}));
}

TEST_F(ImageFolderTest, ListWithNumbers) {
  folder_.write("x/1.jpg", "1");
  folder_.write("x/my photo.jpg", "1");
  const auto list = folder_.write("list.txt", "x/1.jpg 2\r\n\nx/my photo.jpg 0\n");
  const auto data = build("list: " + list);
  EXPECT_EQ(contents(*data), (Contents{{"x/1.jpg", 2}, {"x/my photo.jpg", 0}}));
  EXPECT_THAT(data->classes().names, ElementsAre("0", "1", "2"));
  EXPECT_THAT(build("classes: [a, b, c, d], list: " + list)->classes().names,
              ElementsAre("a", "b", "c", "d"));
}

TEST_F(ImageFolderTest, ListWithNames) {
  folder_.write("x/1.jpg", "1");
  folder_.write("x/2.jpg", "1");
  const auto list = folder_.write("lists/train.txt", "1.jpg\tpolar bear\n2.jpg\tant\n");
  const auto data = build("list: " + list + ", root: " + root() + "/x");
  EXPECT_THAT(data->classes().names, ElementsAre("ant", "polar bear"));
  EXPECT_EQ(contents(*data), (Contents{{"x/1.jpg", 1}, {"x/2.jpg", 0}}));
  EXPECT_EQ(error("classes: [ant, bear], root: " + root() + "/x, list: " + list),
            list + ":1: no class is called 'polar bear' (known: ant, bear)");
}

TEST_F(ImageFolderTest, NamesOfOpenMmlabAreUnderstood) {
  folder_.write("x/1.jpg", "1");
  const auto list = folder_.write("lists/train.txt", "1.jpg 0\n");
  EXPECT_EQ(build("ann_file: " + list + ", data_prefix: " + root() + "/x")->size(), 1);
}

TEST_F(ImageFolderTest, BadListsAreRefused) {
  folder_.write("1.jpg", "1");
  const auto list = folder_.file("list.txt");
  const auto error_of = [&](const std::string& content, const std::string& more = "") {
    folder_.write("list.txt", content);
    return error("list: " + list + more);
  };
  EXPECT_EQ(error_of(""), list + ": empty; expected lines PATH LABEL");
  EXPECT_EQ(error_of("1.jpg 0\n1.jpg\n"), list + ":2: '1.jpg' is no line of the form PATH LABEL");
  EXPECT_EQ(error_of("1.jpg 0\n1.jpg 2\n", ", classes: [a, b]"),
            list + ":2: label 2 is not within the 2 classes (0 to 1)");
  EXPECT_EQ(error_of("1.jpg -1\n"), list + ":1: label -1 is not from 0 to 999999");
  EXPECT_EQ(error_of("1.jpg 99999999999\n"),
            list + ":1: label 99999999999 is not from 0 to 999999");
  EXPECT_EQ(error_of("2.jpg 0\n"), list + ":1: " + root() +
                                       "/2.jpg does not exist; set `root` to the folder that the "
                                       "paths in the list start from");
  EXPECT_THAT(error("list: /no/such.txt"),
              StartsWith("/no/such.txt: no such file; set `list` to a text file"));
}

TEST_F(ImageFolderTest, PathThatIsListedTwiceIsRefused) {
  folder_.write("1.jpg", "1");
  const auto list = folder_.write("list.txt", "1.jpg 0\n2.jpg 1\n\n1.jpg 1\n");
  EXPECT_EQ(error("list: " + list),
            list +
                ":4: 1.jpg is in line 1 as well; the data sets ClassBalanced and Repeat show "
                "samples more often");
}

// ---- CSV ----

TEST_F(ImageFolderTest, CsvWithAHeader) {
  folder_.write("x/1.jpg", "1");
  const auto list = folder_.write(
      "train.csv",
      "\xEF\xBB\xBFlabel,comment,file\r\n"
      "dog,\"big, \"\"very\"\" big\nand old\",x/1.jpg\r\n\r\ncat,,\"x/my, photo.jpg\"");
  const auto data = build("list: " + list);
  EXPECT_EQ(contents_without_loading(*data), (Contents{{"x/1.jpg", 1}, {"x/my, photo.jpg", 0}}));
  EXPECT_THAT(data->classes().names, ElementsAre("cat", "dog"));
}

TEST_F(ImageFolderTest, CsvWithOtherColumnsOrWithoutHeader) {
  folder_.write("1.jpg", "1");
  const auto named = folder_.write("named.csv", "id,path,class\n7,1.jpg,1\n");
  EXPECT_EQ(contents_without_loading(*build("columns: [path, class], list: " + named)),
            (Contents{{"1.jpg", 1}}));
  const auto plain = folder_.write("plain.csv", "1.jpg,1,more\n2.jpg,0\n");
  EXPECT_EQ(contents_without_loading(*build("header: false, list: " + plain)),
            (Contents{{"1.jpg", 1}, {"2.jpg", 0}}));
}

TEST_F(ImageFolderTest, BadCsvIsRefused) {
  folder_.write("1.jpg", "1");
  const auto list = folder_.file("list.csv");
  const auto error_of = [&](const std::string& content, const std::string& more = "") {
    folder_.write("list.csv", content);
    return error("list: " + list + more);
  };
  EXPECT_EQ(error_of(""), list + ": empty; expected the columns file, label");
  EXPECT_EQ(error_of("file,label\n"), list + ": empty; expected the columns file, label");
  EXPECT_EQ(error_of("file,lable\n1.jpg,1\n"),
            list +
                ":1: has no column 'label'; did you mean 'lable'? (known: file, lable); set "
                "`columns`, or `header: false` where the list begins without names");
  EXPECT_EQ(error_of("file,label\n1.jpg,0\n2.jpg\n"),
            list + ":3: has 1 fields, but at least 2 are needed");
  EXPECT_EQ(error_of("file,label\n\"1.jpg,0\n2.jpg,1\n"), list + ":2: a quote that is not closed");
  EXPECT_EQ(error_of("file,label\n\"1\".jpg,0\n"),
            list + ":2: text behind the quote that ends a field");
  EXPECT_EQ(error_of("file,label\n1\".jpg,0\n"),
            list + ":2: a quote inside a field that is not in quotes; write it twice, in quotes");
  // The line of a record counts the line breaks inside quotes before it.
  EXPECT_EQ(error_of("file,label,note\n1.jpg,0,\"a\n\nb\"\n1.jpg,5,\n", ", classes: [a, b]"),
            list + ":5: label 5 is not within the 2 classes (0 to 1)");
  EXPECT_EQ(error_of("file,label\n1.jpg,polar bear\n", ", classes: [a, b]"),
            list + ":2: no class is called 'polar bear' (known: a, b)");
  EXPECT_EQ(error_of("file,label\n1.jpg,0\n1.jpg,0\n"),
            list +
                ":3: 1.jpg is in line 2 as well; the data sets ClassBalanced and Repeat show "
                "samples more often");
}

// ---- JSON lines ----

TEST_F(ImageFolderTest, JsonLinesWithNamesOrNumbers) {
  folder_.write("x/1.jpg", "1");
  const auto list = folder_.write("list.jsonl",
                                  "{\"file\": \"x/1.jpg\", \"label\": \"dog\"}\r\n\n"
                                  "{\"label\": 0, \"file\": \"2.jpg\", \"more\": [1]}\n");
  EXPECT_EQ(contents_without_loading(*build("classes: [cat, dog], list: " + list)),
            (Contents{{"x/1.jpg", 1}, {"2.jpg", 0}}));
  const auto named = folder_.write("named.ndjson", "{\"path\": \"x/1.jpg\", \"class\": 3}");
  const auto data = build("columns: [path, class], list: " + named);
  EXPECT_EQ(contents_without_loading(*data), (Contents{{"x/1.jpg", 3}}));
  EXPECT_EQ(data->classes().size(), 4);
}

TEST_F(ImageFolderTest, BadJsonLinesAreRefused) {
  folder_.write("1.jpg", "1");
  const auto list = folder_.file("list.jsonl");
  const auto error_of = [&](const std::string& content) {
    folder_.write("list.jsonl", content);
    return error("list: " + list);
  };
  EXPECT_EQ(error_of("\n"), list + ": empty; expected lines with the keys file, label");
  EXPECT_EQ(error_of("{\"file\": \"1.jpg\", \"label\": 0}\n{\"file\""),
            list + ":2: is no JSON object ({\"file\": ...})");
  EXPECT_EQ(error_of("[\"1.jpg\", 0]"), list + ":1: is no JSON object ({\"file\": ...})");
  EXPECT_EQ(error_of("{\"file\": \"1.jpg\"}"), list + ":1: has no key 'label' (known: file)");
  EXPECT_EQ(error_of("{\"file\": \"1.jpg\", \"label\": 1.5}"),
            list + ":1: 'label' must be a text or an integer, not number");
  EXPECT_EQ(error_of("{\"file\": null, \"label\": 1}"),
            list + ":1: 'file' must be a text or an integer, not null");
  EXPECT_EQ(error_of(std::string(100000, '[')), list + ":1: is no JSON object ({\"file\": ...})");
}

TEST_F(ImageFolderTest, ClassesMustNotBeGivenTwice) {
  const auto names = folder_.write("names.txt", "b\nc\n");
  EXPECT_THAT(option_error("classes: [a], class_file: " + names + ", root: " + root()),
              HasSubstr("is given beside `classes`; leave one of them out"));
  EXPECT_THAT(option_error("classes: [a, a], root: " + root()),
              EndsWith("classes 0 and 1 have the same name 'a'"));
  folder_.write("names.txt", "");
  EXPECT_EQ(error("class_file: " + names + ", root: " + root()),
            names + ": empty, but one class name a line was expected");
}

}  // namespace
}  // namespace dnc
