#include "host/report/html.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "host/report/page.h"
#include "tests/host/report/xml.h"

namespace dnc::report {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(XmlOfTheTests, FindsWhatIsNotWellFormed) {
  EXPECT_NO_THROW(parse_xml("<a><b x=\"1\"/>t &amp; u</a>"));
  EXPECT_THAT(texts(parse_xml("<a>x &lt; <b>y</b></a>"), "a"), ElementsAre("x < y"));
  EXPECT_ANY_THROW(parse_xml("<a><b></a></b>"));
  EXPECT_ANY_THROW(parse_xml("<a></a></a>"));
  EXPECT_ANY_THROW(parse_xml("<a><b/>"));
  EXPECT_ANY_THROW(parse_xml("<a b=\"1\" b=\"2\"/>"));
  EXPECT_ANY_THROW(parse_xml("<a b=\"<\"/>"));
  EXPECT_ANY_THROW(parse_xml("<a><b></a>"));
  EXPECT_ANY_THROW(parse_xml("<a>t & u</a>"));
  EXPECT_ANY_THROW(parse_xml("<a>t < u</a>"));
}

TEST(Markup, TextIsEscapedWhereverItComesFrom) {
  const std::string hostile = "<script>'&\"</script>";
  const std::string escaped = "&lt;script&gt;&#39;&amp;&quot;&lt;/script&gt;";
  EXPECT_EQ(escape(hostile), escaped);
  EXPECT_EQ(Markup(hostile).html(), escaped);
  EXPECT_EQ(Markup("<b>").html(), "&lt;b&gt;");
  EXPECT_EQ(element("p", hostile).html(), "<p>" + escaped + "</p>");
  EXPECT_EQ(empty_element("img", {{"alt", hostile}}).html(), "<img alt=\"" + escaped + "\"/>");
  EXPECT_EQ(escape("\x1b[0m \xff"), "\uFFFD[0m \uFFFD");
}

TEST(Markup, ElementsNestWithoutBeingEscapedAgain) {
  const auto markup = element("p", Markup("a & ") + element("b", "c"), {{"class", "x"}});
  EXPECT_EQ(markup.html(), "<p class=\"x\">a &amp; <b>c</b></p>");
  EXPECT_TRUE(Markup().empty());
}

TEST(HtmlTable, HasHeadingsForColumnsAndRows) {
  DataTable data{.caption = "A <caption>",
                 .css_class = "wide",
                 .head = {{}, plain_cells({"class", "f1", "recall"})},
                 .body = {plain_cells({"Bag", "0.5", "0.7"})}};
  data.head[0].emplace_back("");
  data.head[0].emplace_back("centroids").columns = 2;
  data.body[0][1].css_class = "best";
  data.body[0][2].label = "recall \"share\"";
  data.body[0][2].style = "--shade:0.5";
  const auto page = parse_xml("<body>" + table(data).html() + "</body>");
  EXPECT_THAT(texts(page, "p", "caption"), ElementsAre("A <caption>"));
  EXPECT_THAT(texts(page, "th"), ElementsAre("", "centroids", "class", "f1", "recall", "Bag"));
  const auto headings = select(page, "th");
  EXPECT_EQ(headings[1].attributes.at("colspan"), "2");
  EXPECT_EQ(headings[1].attributes.at("scope"), "colgroup");
  EXPECT_EQ(headings[3].attributes.at("scope"), "col");
  EXPECT_EQ(headings[5].attributes.at("scope"), "row");
  EXPECT_THAT(texts(page, "td"), ElementsAre("0.5", "0.7"));
  EXPECT_THAT(texts(page, "td", "best"), ElementsAre("0.5"));
  EXPECT_EQ(select(page, "td")[1].attributes.at("data-label"), "recall \"share\"");
  EXPECT_EQ(select(page, "td")[1].attributes.at("style"), "--shade:0.5");
  EXPECT_EQ(select(page, "div", "scroll")[0].attributes.at("aria-label"), "A <caption>");
}

TEST(Page, IsWholeSelfContainedAndForLightAndDark) {
  const auto html = to_html(Page{.title = "A & B",
                                 .header = element("p", "in short"),
                                 .body = section("Results", element("p", "long")),
                                 .footer = element("p", "where")});
  const std::string doctype = "<!DOCTYPE html>\n";
  ASSERT_EQ(html.substr(0, doctype.size()), doctype);
  const auto page = parse_xml(html.substr(doctype.size()));
  EXPECT_EQ(page[0].tag, "html");
  EXPECT_EQ(page[0].attributes.at("lang"), "en");
  EXPECT_THAT(texts(page, "title"), ElementsAre("A & B"));
  EXPECT_THAT(texts(page, "h1"), ElementsAre("A & B"));
  EXPECT_THAT(texts(page, "h2"), ElementsAre("Results"));
  EXPECT_THAT(texts(page, "header"), ElementsAre("A & Bin short"));
  EXPECT_THAT(texts(page, "footer"), ElementsAre("where"));
  ASSERT_EQ(texts(page, "style").size(), 1u);
  EXPECT_THAT(texts(page, "style")[0], HasSubstr("prefers-color-scheme: dark"));
  EXPECT_THAT(html, HasSubstr("width=device-width"));
  EXPECT_THAT(html, HasSubstr("default-src &#39;none&#39;"));
  for (const char* outside : {"http:", "https:", "url(", "@import", "<script", "<link"}) {
    EXPECT_EQ(html.find(outside), std::string::npos) << outside;
  }
}

TEST(Page, StyleSheetHasBalancedBraces) {
  const auto style = texts(parse_xml(to_html(Page{}).substr(16)), "style")[0];
  int depth = 0;
  for (const char c : style) {
    depth += c == '{' ? 1 : c == '}' ? -1 : 0;
    ASSERT_GE(depth, 0);
  }
  EXPECT_EQ(depth, 0);
}

TEST(Page, EmptySectionIsLeftOut) {
  EXPECT_TRUE(section("Nothing", {}).empty());
  EXPECT_THAT(details("more", "text", true).html(), HasSubstr("<details open=\"open\">"));
  EXPECT_THAT(details("more", "text", false).html(), HasSubstr("<details><summary>more</summary>"));
}

}  // namespace
}  // namespace dnc::report
