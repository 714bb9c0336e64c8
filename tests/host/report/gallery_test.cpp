#include "host/report/gallery.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "tests/host/report/xml.h"

namespace dnc::report {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

GallerySample sample(int64_t index) {
  return {index, "image <" + std::to_string(index) + ">", 0.75, 0.5, 0.5, {"AAAA", 8, 8}};
}

GalleryClass one_class(int64_t label) {
  GalleryClass shown;
  shown.label = label;
  shown.name = "class <" + std::to_string(label) + ">";
  shown.samples = 100;
  shown.tested = 40;
  shown.right = 30;
  shown.spread = 0.123;
  for (int64_t index = 0; index < 2; ++index) {
    GalleryPrototype prototype;
    prototype.index = index;
    prototype.members = index == 0 ? 100 : 0;
    prototype.mass = index == 0 ? 1 : 0;
    prototype.spread = index == 0 ? 0.123 : std::nan("");
    prototype.decided = index == 0 ? 50 : 0;
    prototype.right = index == 0 ? 30 : 0;
    if (index == 0) {
      prototype.nearest = sample(1);
      prototype.typical = {sample(1), sample(2)};
      prototype.atypical = {sample(3)};
    }
    shown.prototypes.push_back(prototype);
  }
  shown.map.clouds = {{0, {{0, 0}, {1, 1}}}};
  return shown;
}

struct Made {
  Gallery gallery;
  std::vector<GalleryClass> classes;
};

Made gallery(int64_t classes) {
  Made made;
  auto& gallery = made.gallery;
  gallery.title = "a run";
  gallery.searched = 1234;
  gallery.test_split = "test";
  gallery.accuracy = 0.75;
  for (int64_t label = 0; label < classes; ++label) {
    made.classes.push_back(one_class(label));
    gallery.classes.push_back(made.classes.back().name);
  }
  if (classes > 1) {
    made.classes[0].taken_for = {{1, 10, 0.25, {{1, 7}, {0, 3}}}};
    made.classes[1].taken_from = {{0, 10, 0.25, {{1, 7}, {0, 3}}}};
  }
  return made;
}

std::vector<XmlElement> parse(const std::string& html) {
  return parse_xml(html.substr(html.find('\n') + 1));
}

TEST(GalleryPages, OfAClassShowSubCentroidsConfusionsAndMap) {
  const auto made = gallery(3);
  const auto html = parse(class_page(made.gallery, made.classes[0]));
  EXPECT_THAT(texts(html, "h1"), ElementsAre("class <0>"));
  EXPECT_THAT(texts(html, "h2"), ElementsAre("Sub-centroids", "Confusion", "Map"));
  EXPECT_THAT(texts(html, "h3"), ElementsAre("Sub-centroid 0", "Sub-centroid 1"));
  EXPECT_THAT(texts(html, "h4"), ElementsAre("Nearest", "Typical", "Atypical"));
  EXPECT_THAT(select(html, "img"), SizeIs(3)) << "the nearest is not shown again as typical";
  EXPECT_EQ(select(html, "img")[0].attributes.at("title"), "image <1>");
  EXPECT_THAT(
      texts(html, "header")[0],
      HasSubstr("100 training images, spread 0.123; 75.0 % of its 40 images of the test split"));
  EXPECT_THAT(texts(html, "p"), Contains("100.0 % of the class's training images (100), spread "
                                         "0.123; decided 50 of the test split, 60.0 % of them "
                                         "rightly."));
  EXPECT_THAT(texts(html, "p"), Contains("0.0 % of the class's training images (0); decided 0 of "
                                         "the test split."));
  EXPECT_THAT(texts(html, "tr"), Contains("class <1>1025.01 (7), 0 (3)"));
  EXPECT_EQ(select(html, "a")[0].attributes.at("href"), "index.html");
  EXPECT_EQ(select(html, "a")[1].attributes.at("href"), "class_0001.html");
  const auto other = parse(class_page(made.gallery, made.classes[1]));
  EXPECT_THAT(texts(other, "p"),
              Contains("What was taken for class <1>, and by which of its sub-centroids."));
}

TEST(GalleryPages, TheIndexLeadsToAllClasses) {
  const auto made = gallery(3);
  const auto html = parse(index_page(made.gallery, made.classes));
  EXPECT_THAT(texts(html, "h3"), ElementsAre("class <0>", "class <1>", "class <2>"));
  EXPECT_THAT(select(html, "figure"), SizeIs(6)) << "all sub-centroids";
  EXPECT_THAT(select(html, "figure", "dead"), SizeIs(3));
  EXPECT_THAT(texts(html, "header")[0], HasSubstr("3 classes, 1,234 training images looked at; "
                                                  "75.00 % of the images of the test split"));
  EXPECT_THAT(texts(html, "p"), Contains("75.0 % rightspread 0.12325.0 % → class <1>"));
}

TEST(GalleryPages, OfAThousandClassesTheIndexShowsEachOnce) {
  const auto made = gallery(1000);
  const auto page = index_page(made.gallery, made.classes);
  const auto html = parse(page);
  EXPECT_THAT(select(html, "figure"), SizeIs(1000));
  EXPECT_THAT(select(html, "h3"), IsEmpty());
  EXPECT_THAT(texts(html, "figcaption"), Contains("class <999> 75 %"));
  EXPECT_LT(page.size(), 1u << 20);
  EXPECT_THAT(select(html, "tr"), SizeIs(21)) << "the 20 hardest and a heading";
}

TEST(GalleryPages, OfAClassWithoutSamplesSayNothingThatIsNot) {
  auto made = gallery(1);
  auto& empty = made.classes[0];
  empty = GalleryClass{};
  empty.name = "nothing";
  empty.spread = std::nan("");
  empty.prototypes.resize(1);
  empty.prototypes[0].mass = empty.prototypes[0].spread = std::nan("");
  made.gallery.test_split.clear();
  const auto html = parse(class_page(made.gallery, empty));
  EXPECT_THAT(texts(html, "h2"), ElementsAre("Sub-centroids"));
  EXPECT_THAT(texts(html, "img"), IsEmpty());
  const auto index = parse(index_page(made.gallery, made.classes));
  EXPECT_THAT(texts(index, "p"), Contains("no training samples"));
  EXPECT_THAT(select(index, "span", "no-picture"), SizeIs(1));
}

TEST(GalleryJson, HasAllNumbersAndNoPictures) {
  const auto made = gallery(2);
  const auto json = nlohmann::json::parse(to_json(made.gallery, made.classes));
  EXPECT_EQ(json["task"], "images");
  EXPECT_EQ(json["accuracy"], 0.75);
  const auto& first = json["classes"][0];
  EXPECT_EQ(first["page"], "class_0000.html");
  EXPECT_EQ(first["right"], 30);
  EXPECT_EQ(first["sub_centroids"][0]["typical"][1]["name"], "image <2>");
  EXPECT_FALSE(first["sub_centroids"][0]["nearest"].contains("place"));
  EXPECT_TRUE(first["sub_centroids"][1]["nearest"].is_null());
  EXPECT_TRUE(first["sub_centroids"][1]["spread"].is_null());
  EXPECT_EQ(first["taken_for"][0]["by"][0]["count"], 7);
  EXPECT_EQ(json.dump().find("AAAA"), std::string::npos);
}

}  // namespace
}  // namespace dnc::report
