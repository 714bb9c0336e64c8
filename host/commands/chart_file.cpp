#include "host/commands/chart_file.h"

#include "host/files.h"
#include "host/report/page.h"
#include "registry/error.h"

namespace dnc {

void check_chart_file(const std::filesystem::path& file) {
  if (file.extension() == ".svg" || file.extension() == ".html") return;
  throw Error("--out: '" + file.string() + "' must end with .svg or .html");
}

void write_chart_file(const std::filesystem::path& file, const std::string& title,
                      const report::LineChart& chart, const std::string& text) {
  using report::element;
  if (file.extension() == ".svg") {
    write_file(file, report::svg_file(chart));
    return;
  }
  std::vector<std::string> names;
  for (const auto& curve : chart.curves) names.push_back(curve.name);
  const auto figure = element("figure", element("figcaption", chart.title) + line_chart(chart));
  report::Page page;
  page.title = title;
  if (!text.empty()) page.header = element("p", text);
  page.body = (names.size() > 1 ? report::legend(names) : report::Markup()) +
              element("div", figure, {{"class", "charts"}});
  write_file(file, report::to_html(page));
}

}  // namespace dnc
