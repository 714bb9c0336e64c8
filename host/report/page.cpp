#include "host/report/page.h"

#include "host/report/style.h"

namespace dnc::report {
namespace {

constexpr const char* kStyle = R"css(
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body {
  margin: 0 auto; padding: 3.5rem 1.5rem 3rem; max-width: 72rem;
  background: var(--page); color: var(--text); overflow-wrap: break-word;
  font: 1rem/1.6 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
}
h1 { margin: 0 0 0.8rem; font-size: 2rem; line-height: 1.2; letter-spacing: -0.015em; }
h2 { margin: 3.5rem 0 1rem; font-size: 1.3rem; line-height: 1.3; letter-spacing: -0.005em; }
h1, h2 { font-weight: 650; }
p { margin: 0 0 0.8rem; max-width: 46rem; }
header p { font-size: 1.125rem; }
.small, .caption, figcaption, dl, footer { color: var(--muted); font-size: 0.875rem; }
strong { font-weight: 650; }
code { font: 0.9em ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; }
ul.notes { margin: 1.2rem 0 0; padding: 0.7rem 1rem 0.7rem 2rem; background: var(--faint);
  border-left: 3px solid var(--accent); font-size: 0.9375rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 0.25rem 1.2rem; margin: 1.2rem 0;
  max-width: 60rem; }
dt { color: var(--text); }
dd { margin: 0; min-width: 0; overflow-wrap: anywhere; }

.scroll { overflow-x: auto; margin: 0 0 1.2rem; }
.scroll:focus-visible, summary:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
table { border-collapse: collapse; font-size: 0.9375rem; font-variant-numeric: tabular-nums; }
.caption { margin: 0 0 0.5rem; }
th, td { padding: 0.42rem 0 0.42rem 1.6rem; text-align: right; white-space: nowrap;
  font-weight: 400; vertical-align: baseline; }
th:first-child { padding-left: 0; text-align: left; position: sticky; left: 0; z-index: 1;
  background: var(--page); }
thead th { color: var(--muted); font-size: 0.8125rem; vertical-align: bottom; }
thead tr:last-child th { border-bottom: 1px solid var(--text); }
thead th[scope=colgroup] { text-align: center; color: var(--text); }
tbody tr + tr > * { border-top: 1px solid var(--rule); }
tbody tr:last-child > * { border-bottom: 1px solid var(--rule); }
td.best { font-weight: 650; }
td.best > span { background: var(--best); border-radius: 3px; padding: 0.1rem 0.35rem;
  margin: 0 -0.35rem; }
td.first, th[scope=colgroup] { padding-left: 2.4rem; }
td.text { text-align: left; }
table.wide { width: 100%; }
tbody th { font-weight: 550; }
tbody th:first-child { white-space: normal; max-width: 20rem; overflow-wrap: break-word; }

.charts, .matrices { display: grid; gap: 2rem 3rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); }
.charts figure { margin: 0; max-width: 40rem; }
.charts figcaption { margin: 0 0 0.5rem; color: var(--text); font-weight: 550; }
.charts figure > svg { display: block; width: 100%; height: auto; }
.charts .legend { margin: 0 0 0.4rem; font-size: 0.8125rem; gap: 0.1rem 1.2rem; }
.stacks { display: grid; gap: 1.2rem 1.4rem; margin: 0 0 1.5rem;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 10rem), 1fr)); }
.stacks figure { margin: 0; min-width: 0; }
.stacks figcaption { margin: 0 0 0.3rem; font-size: 0.75rem; line-height: 1.4;
  overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
.stacks svg { display: block; width: 100%; height: 4.5rem; background: var(--faint);
  border-radius: 3px; }
pre { margin: 0; padding: 0.8rem 1rem; overflow-x: auto; background: var(--faint);
  border-radius: 3px; font-size: 0.8125rem; line-height: 1.45; }
.legend { display: flex; flex-wrap: wrap; gap: 0.3rem 1.8rem; margin: 0 0 1.2rem; padding: 0;
  list-style: none; font-size: 0.9375rem; }
.legend li { display: flex; align-items: center; gap: 0.6rem; min-width: 0; }
.legend span { overflow-wrap: anywhere; }
.legend svg { flex: none; }

table.matrix { font-size: 0.8125rem; }
table.matrix th, table.matrix td { padding: 0.2rem 0.3rem; border: 0; }
table.matrix td { min-width: 2.35rem; height: 1.9rem; text-align: center; vertical-align: middle;
  border: 2px solid var(--page); background: rgb(var(--wrong) / var(--shade)); }
table.matrix td.right { background: rgb(var(--right) / var(--shade)); }
table.matrix td.deep { color: var(--on-shade); }
table.matrix td.zero { color: var(--muted); opacity: 0.8; }
table.matrix thead th { border: 0; vertical-align: bottom; }
table.matrix thead th:not(:first-child) > span { writing-mode: vertical-rl;
  transform: rotate(180deg); max-height: 9rem; overflow: hidden; text-overflow: ellipsis; }
table.matrix tbody th { font-weight: 400; text-align: right; padding-right: 0.6rem;
  max-width: 8rem; vertical-align: middle; }
table.matrix thead th:first-child { text-align: right; padding-right: 0.6rem; }

details { margin: 0 0 1rem; }
summary { cursor: pointer; font-weight: 550; padding: 0.25rem 0; }
details > :not(summary) { margin-top: 0.8rem; }
.gallery { --picture: 5.25rem; display: grid; gap: 1.4rem 2.5rem; margin: 0 0 1.5rem;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 30rem), 1fr)); }
.gallery > div { display: grid; grid-template-columns: 7.5rem 1fr; gap: 0.4rem 1rem;
  align-items: start; border-top: 1px solid var(--rule); padding-top: 1rem; }
.gallery h3 { margin: 0; font-size: 0.9375rem; font-weight: 550; overflow-wrap: anywhere; }
.prototypes { display: flex; flex-wrap: wrap; gap: 0.8rem; }
.prototypes figure { margin: 0; width: var(--picture); }
.prototypes img { display: block; width: var(--picture); height: var(--picture); object-fit: contain;
  background: var(--faint); border-radius: 3px; }
.prototypes img.small-image { image-rendering: pixelated; }
.prototypes figcaption { font-size: 0.75rem; line-height: 1.4; margin-top: 0.35rem;
  font-variant-numeric: tabular-nums; }
.prototypes .dead img { opacity: 0.5; }
.prototypes .no-picture { width: var(--picture); }
.sub-centroid { --picture: 5.25rem; margin: 0 0 1.8rem; padding-top: 0.9rem;
  border-top: 1px solid var(--rule); }
.sub-centroid h3 { margin: 0 0 0.4rem; }
.sub-centroid h3::before { content: ""; display: inline-block; width: 0.7em; height: 0.7em;
  margin-right: 0.45em; border-radius: 50%; background: currentColor; }
.sub-centroid .bar { max-width: 20rem; }
.strips { display: flex; flex-wrap: wrap; gap: 1rem 2.2rem; }
.strips h4 { margin: 0 0 0.4rem; font-size: 0.8125rem; font-weight: 550; color: var(--muted); }
.map { max-width: 44rem; }
.map svg { display: block; width: 100%; height: auto; }
a { color: var(--accent); text-decoration-thickness: 1px; text-underline-offset: 0.15em; }
nav { margin: 0 0 1rem; font-size: 0.9375rem; }
.pictures { display: grid; gap: 1.4rem 1.2rem; margin: 0 0 1.5rem;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 8.5rem), 1fr)); }
.pictures.dense { gap: 1rem 0.9rem;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 5.5rem), 1fr)); }
.pictures figure { margin: 0; min-width: 0; }
.pictures img { display: block; width: 100%; height: auto; aspect-ratio: 1; object-fit: contain;
  background: var(--faint); border-radius: 3px; }
.pictures figcaption { margin-top: 0.35rem; font-size: 0.75rem; line-height: 1.4;
  overflow-wrap: anywhere; }
.pictures strong { color: var(--text); }
.pictures img.small-image, .sheet img.small-image { image-rendering: pixelated; }
.views { display: grid; gap: 1.4rem 1.6rem; margin: 0 0 1.5rem; align-items: start;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 14rem), 20rem)); }
.views.large { grid-template-columns: repeat(auto-fit, minmax(min(100%, 22rem), 1fr)); }
.views figure { margin: 0; min-width: 0; }
.views img { display: block; width: 100%; height: auto; background: var(--faint);
  border-radius: 3px; }
.views img.small-image { image-rendering: pixelated; }
.views figcaption { margin-top: 0.4rem; }
.decision { display: grid; gap: 1.2rem 2.4rem; margin: 0 0 1.5rem; align-items: start;
  grid-template-columns: minmax(0, 18rem) minmax(0, 1fr); }
.decision.large { grid-template-columns: minmax(0, 27rem) minmax(0, 1fr); }
.decision .views { grid-template-columns: minmax(0, 1fr); margin: 0; }
.reasons > :first-child { margin-top: 0; }
.reasons .pictures { margin-bottom: 0; }
.rule { margin: 0 0 0.8rem; padding: 0.7rem 1rem; max-width: 60rem; background: var(--faint);
  border-left: 3px solid var(--accent); overflow-wrap: anywhere; }
h3 { margin: 1.8rem 0 0.8rem; font-size: 1rem; font-weight: 600; }
.reasons h4 { margin: 1.4rem 0 0.7rem; font-size: 0.875rem; font-weight: 600; }
.swatch { display: inline-block; width: 0.9em; height: 0.9em; margin-right: 0.4em;
  border: 1px solid var(--rule); border-radius: 2px; vertical-align: -0.1em; }
.no-picture { display: flex; aspect-ratio: 1; align-items: center; justify-content: center;
  background: var(--faint); border-radius: 3px; font-size: 1.4rem; color: var(--muted); }
.matrix-picture img { max-width: 100%; height: auto; border: 1px solid var(--rule); }
table.sheet td { padding: 0.3rem 0.3rem 0.3rem 0.9rem; vertical-align: middle; }
table.sheet tbody th { vertical-align: middle; font-size: 0.8125rem; font-weight: 400;
  white-space: normal; min-width: 9rem; overflow-wrap: anywhere; }
table.sheet thead th:not(:first-child) { text-align: left; padding-left: 0.9rem; }
table.sheet .small { font-size: 0.75rem; }
table.sheet img { display: block; max-width: none; }
.bar { display: block; height: 4px; margin-bottom: 0.25rem; background: var(--rule);
  border-radius: 2px; overflow: hidden; }
.bar > span { display: block; height: 100%; background: var(--accent); }
footer { margin-top: 4rem; padding-top: 0.4rem; border-top: 1px solid var(--rule); }

@media (prefers-color-scheme: dark) {
  .matrix-picture img { filter: invert(0.92) hue-rotate(180deg); }
}
@media (max-width: 60rem) {
  .decision, .decision.large { grid-template-columns: minmax(0, 1fr); }
  .decision .views { grid-template-columns: repeat(auto-fit, minmax(min(100%, 9rem), 20rem)); }
  .decision.large .views {
    grid-template-columns: repeat(auto-fit, minmax(min(100%, 18rem), 1fr)); }
}
@media (max-width: 44rem) {
  body { padding: 2rem 1rem; }
  h1 { font-size: 1.6rem; }
  header p { font-size: 1rem; }
  h2 { margin-top: 2.6rem; }
  dl { grid-template-columns: 1fr; gap: 0; }
  dd { margin-bottom: 0.5rem; }
  .gallery { --picture: 4.6rem; }
  .gallery > div { grid-template-columns: 1fr; }
  th, td { padding-left: 1.1rem; }
  td.first, th[scope=colgroup] { padding-left: 1.6rem; }
  table.matrix { font-size: 0.6875rem; }
  table.matrix th, table.matrix td { padding: 0.1rem; }
  table.matrix td { min-width: 1.7rem; height: 1.7rem; border-width: 1px; }
  tbody th:first-child { max-width: 9.5rem; }
  table.matrix thead th:first-child { white-space: normal; }
  table.sheet tbody th { min-width: 7rem; }
  table.cards, table.cards tbody, table.cards tr, table.cards td,
  table.cards tbody th { display: block; }
  table.cards thead { display: none; }
  table.cards tbody tr { padding: 0.8rem 0; border-top: 1px solid var(--rule); }
  table.cards tbody th, table.cards tbody td { border: 0; padding: 0.15rem 0; white-space: normal; }
  table.cards tbody th { position: static; max-width: none; }
  table.cards tbody td { display: flex; justify-content: space-between; gap: 1rem; }
  table.cards tbody td::before { content: attr(data-label); color: var(--muted); }
}
@media print {
  body { max-width: none; padding: 0; font-size: 10pt; }
  .scroll { overflow: visible; }
  section, figure, tr { break-inside: avoid-page; }
}
)css";

}  // namespace

std::string to_html(const Page& page) {
  const auto line_end = Markup::trusted("\n");
  Markup head = empty_element("meta", {{"charset", "utf-8"}});
  head += empty_element("meta",
                        {{"name", "viewport"}, {"content", "width=device-width, initial-scale=1"}});
  head += empty_element("meta", {{"name", "color-scheme"}, {"content", "light dark"}});
  // Nothing but the page itself: whatever a name from a file contains, it is never run or loaded.
  head += empty_element("meta", {{"http-equiv", "Content-Security-Policy"},
                                 {"content",
                                  "default-src 'none'; style-src 'unsafe-inline'; "
                                  "img-src data:"}});
  head += element("title", page.title);
  head += element("style", Markup::trusted(std::string(kPageColours) + kStyle + kChartStyle));
  const auto header = element("header", element("h1", page.title) + page.header);
  auto body = header + line_end + element("main", page.body) + line_end;
  if (!page.footer.empty()) body += element("footer", page.footer) + line_end;
  return "<!DOCTYPE html>\n" +
         element("html", element("head", head) + line_end + element("body", body), {{"lang", "en"}})
             .html() +
         "\n";
}

Markup section(const std::string& title, const Markup& content) {
  if (content.empty()) return {};
  return element("section", element("h2", title) + content) + Markup::trusted("\n");
}

Markup details(const Markup& summary, const Markup& content, bool open) {
  Attributes attributes;
  if (open) attributes.push_back({"open", "open"});
  return element("details", element("summary", summary) + content, attributes);
}

}  // namespace dnc::report
