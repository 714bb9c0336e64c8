#pragma once

namespace dnc::report {

// What pages and charts in files of their own share.

/// Colours, for light and dark screens. Those of the curves are told apart by people who see red
/// and green alike, and have a contrast of 3 to 1 or more to the page (WCAG 2.1, 1.4.11).
inline constexpr const char* kPageColours = R"css(
:root {
  color-scheme: light dark;
  --page: #ffffff; --text: #1d2329; --muted: #5b6570; --rule: #d8dde3; --faint: #f4f6f8;
  --accent: #0b62a8; --best: #e3f0fa; --right: 11 98 168; --wrong: 192 72 20; --on-shade: #ffffff;
  --series-0: #0b62a8; --series-1: #c04814; --series-2: #0f7b5f; --series-3: #8a4fa3;
  --series-4: #8a6a00; --series-5: #b02a5b; --series-6: #3a7f96; --series-7: #4d4d4d;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #14181c; --text: #e3e7eb; --muted: #9aa5b0; --rule: #333b43; --faint: #1c2228;
    --accent: #6cb4ee; --best: #17344b; --right: 84 160 222; --wrong: 232 122 70;
    --on-shade: #0b0e11;
    --series-0: #6cb4ee; --series-1: #f2905c; --series-2: #4cc9a0; --series-3: #cda2e6;
    --series-4: #e0bd4f; --series-5: #f287ad; --series-6: #7fc7dc; --series-7: #c4c4c4;
  }
}
)css";

/// What line_chart() draws.
inline constexpr const char* kChartStyle = R"css(
.tick, .axis-title { fill: var(--muted); font-size: 12.5px; font-variant-numeric: tabular-nums; }
.grid { stroke: var(--rule); stroke-width: 1; }
.axis { stroke: var(--muted); stroke-width: 1; }
.line { fill: none; stroke: currentColor; stroke-width: 2; stroke-linejoin: round; }
.band { fill: currentColor; fill-opacity: 0.15; }
.marker { fill: currentColor; }
.cloud { fill: none; stroke: currentColor; stroke-width: 3.4; stroke-linecap: round;
  stroke-opacity: 0.5; }
.mark { fill: currentColor; stroke: var(--page); stroke-width: 1.5; }
.mark.hollow { fill: var(--page); stroke: currentColor; stroke-width: 2; }
.mark-label { fill: var(--text); font-size: 12.5px; font-weight: 550; paint-order: stroke;
  stroke: var(--page); stroke-width: 3px; stroke-linejoin: round; }
.stack { fill: currentColor; stroke: var(--page); stroke-width: 1;
  vector-effect: non-scaling-stroke; }
.series-0 { color: var(--series-0); } .series-1 { color: var(--series-1); }
.series-2 { color: var(--series-2); } .series-3 { color: var(--series-3); }
.series-4 { color: var(--series-4); } .series-5 { color: var(--series-5); }
.series-6 { color: var(--series-6); } .series-7 { color: var(--series-7); }
)css";

}  // namespace dnc::report
