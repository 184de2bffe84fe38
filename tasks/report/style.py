"""How pages look: colours for light and dark, type, tables, and the lines of figures."""

from __future__ import annotations

_LIGHT = """--ink: #1b1f24; --soft: #57606a; --line: #d8dee4; --grid: #e8ecf0; --page: #ffffff;
  --card: #f6f8fa; --accent: #0067a3; --good: #1a7f4b; --warn: #8a5a00; --bad: #b3261e;
  --wash: #e8f1f8; --warn-wash: #fdf3dc; --c0: #0067a3; --c1: #c2570c; --c2: #1a7f4b; --c3: #7a4fc9;
  --c4: #b3261e; --c5: #0f7f86; --c6: #a06b00; --c7: #ad3a7e; --c8: #4f5d75; --c9: #5f7f12;"""
_DARK = """--ink: #e6edf3; --soft: #9aa6b2; --line: #313a45; --grid: #242c36; --page: #0f141a;
  --card: #171d25; --accent: #66b8ea; --good: #5fcf95; --warn: #e6b450; --bad: #ff9a8f;
  --wash: #15283a; --warn-wash: #33290f; --c0: #66b8ea; --c1: #f5a05f; --c2: #5fcf95; --c3: #b99bf0;
  --c4: #ff9a8f; --c5: #5fc9cf; --c6: #e6b450; --c7: #f08cc0; --c8: #a9b6cc; --c9: #b3d35f;"""

COLOURS = f"""
:root {{ color-scheme: light dark; {_LIGHT} }}
@media (prefers-color-scheme: dark) {{ :root {{ {_DARK} }} }}
"""
"""Custom properties that every page and every picture is coloured by."""

BASE = """
* { box-sizing: border-box; }
html { scroll-behavior: smooth; -webkit-text-size-adjust: 100%; }
@media (prefers-reduced-motion: reduce) { html { scroll-behavior: auto; } }
body { margin: 0 auto; max-width: 74rem; padding: 2rem 1.5rem 4rem; background: var(--page);
  color: var(--ink); font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans",
  "DejaVu Sans", sans-serif; }
h1 { font-size: 1.75rem; line-height: 1.2; letter-spacing: -.01em; margin: 0;
  overflow-wrap: anywhere; }
h2 { font-size: 1.25rem; letter-spacing: -.005em; margin: 2.75rem 0 .75rem; padding-bottom: .35rem;
  border-bottom: 1px solid var(--line); scroll-margin-top: 1rem; }
h3 { font-size: 1rem; margin: 1.5rem 0 .4rem; }
p { margin: .6rem 0; max-width: 46rem; } .soft, .dim { color: var(--soft); }
.green { color: var(--good); } .yellow { color: var(--warn); } .red { color: var(--bad); }
.bold { font-weight: 600; }
.kicker { color: var(--accent); font-size: .8rem; font-weight: 600; letter-spacing: .08em;
  text-transform: uppercase; margin: 0 0 .35rem; }
header .soft { margin: .35rem 0 0; overflow-wrap: anywhere; max-width: none; }
nav { display: flex; flex-wrap: wrap; gap: .4rem; margin: 1.1rem 0 0; }
nav a { font-size: .88rem; padding: .2rem .7rem; border: 1px solid var(--line);
  border-radius: 1rem; color: var(--ink); text-decoration: none; }
nav a:hover { border-color: var(--accent); color: var(--accent); }
a { color: var(--accent); }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(10rem, 1fr)); gap: .75rem;
  margin: 1.25rem 0; padding: 0; list-style: none; }
.tiles li { background: var(--card); border: 1px solid var(--line); border-radius: .5rem;
  padding: .75rem 1rem; color: var(--soft); font-size: .92rem; line-height: 1.4; }
.tiles strong { display: block; font-size: 1.45rem; line-height: 1.35; color: var(--ink);
  font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
.findings { margin: 1rem 0; padding: .9rem 1.2rem .9rem 2.2rem; background: var(--wash);
  border-radius: .5rem; } .findings li { margin: .25rem 0; max-width: 62rem; }
.empty { background: var(--card); border: 1px dashed var(--line); border-radius: .5rem;
  padding: .9rem 1.2rem; color: var(--soft); max-width: none; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1.25rem; margin: 1rem 0; }
dt { color: var(--soft); } dd { margin: 0; min-width: 0; overflow-wrap: anywhere; }
.wide { overflow-x: auto; margin: .75rem 0; }
table { border-collapse: collapse; font-size: .92rem; font-variant-numeric: tabular-nums; }
th, td { padding: .32rem .8rem; text-align: right; white-space: nowrap;
  border-bottom: 1px solid var(--line); }
th:first-child, td:first-child { padding-left: .4rem; }
th { color: var(--soft); font-weight: 600; } .left { text-align: left; }
tbody tr:hover { background: var(--card); }
figure { margin: 1.1rem 0; } .beside { display: grid; align-items: center; gap: .5rem 2.5rem;
  grid-template-columns: max-content minmax(14rem, 1fr); }
figcaption { color: var(--soft); font-size: .9rem; margin-top: .5rem;
  max-width: 58rem; }
img { display: block; max-width: 100%; height: auto; background: #fff; padding: .5rem;
  border: 1px solid var(--line); border-radius: .5rem; }
details { border: 1px solid var(--line); border-radius: .5rem; margin: .5rem 0; padding: 0 1rem; }
details[open] { padding-bottom: .6rem; }
summary { cursor: pointer; padding: .6rem 0; }
summary > .chip { display: inline-block; min-width: 1.5rem; padding: 0 .35rem; margin-right: .5rem;
  border-radius: .3rem; color: var(--page); text-align: center; font-weight: 600; }
blockquote { margin: .5rem 0; padding: .1rem 1rem; border-left: 3px solid var(--accent);
  white-space: pre-wrap; overflow-wrap: anywhere; }
pre { background: var(--card); border: 1px solid var(--line); border-radius: .5rem;
  padding: .75rem 1rem; overflow-x: auto; }
footer { margin-top: 3rem; padding-top: 1rem; border-top: 1px solid var(--line);
  color: var(--soft); font-size: .85rem; }
.when-narrow { display: none; }
@media (max-width: 760px) {
  body { padding: 1.25rem 1rem 3rem; } h1 { font-size: 1.45rem; }
  .when-wide { display: none; } .when-narrow { display: block; }
  .beside { grid-template-columns: minmax(0, 1fr); }
  dl { grid-template-columns: 1fr; gap: 0; } dd { margin-bottom: .5rem; }
  .tiles { grid-template-columns: repeat(2, minmax(0, 1fr)); gap: .5rem; }
  .tiles li { padding: .6rem .75rem; } .tiles strong { font-size: 1.15rem; }
  th, td { padding: .3rem .55rem; } }
@media print { body { max-width: none; } nav { display: none; } details { break-inside: avoid; }
  .wide, .grid { overflow: visible; max-height: none; } }
"""
"""Type, boxes and tables."""

FIGURE = """
.picture { display: block; max-width: 100%; height: auto; }
.picture text { font: 12.5px system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans",
  "DejaVu Sans", sans-serif; fill: var(--ink); font-variant-numeric: tabular-nums; }
.picture .tick { fill: var(--soft); font-size: 11.5px; }
.picture .axis { fill: var(--soft); font-size: 12px; }
.picture .halo { paint-order: stroke; stroke: var(--page); stroke-width: 3.5px;
  stroke-linejoin: round; } .picture .strong { font-weight: 600; }
.picture .badge { fill: var(--page); }
.picture .small { font-size: 11px; } .picture .quiet { fill: var(--soft); }
.picture line, .picture path { fill: none; stroke: var(--soft); stroke-width: 1; }
.picture .gridline { stroke: var(--grid); } .picture .frame { stroke: var(--line); }
.picture .ideal { stroke: var(--soft); stroke-dasharray: 4 4; }
.picture .leader { stroke: var(--soft); stroke-width: .8; opacity: .7; }
.picture .front { stroke: var(--soft); stroke-width: 1.6; stroke-dasharray: 1 3;
  stroke-linecap: round; }
.picture .whisker { stroke-width: 1.4; opacity: .55; }
.picture .curve { stroke-width: 2.2; stroke-linejoin: round; stroke-linecap: round; }
.picture .pair { fill: var(--c8); opacity: .55; } .picture .pair.best { opacity: 1; }
.picture .point { stroke: var(--page); stroke-width: 1.5; }
.picture .chosen { fill: none; stroke: var(--ink); stroke-width: 1.8; }
.picture .band { opacity: .16; stroke: none; }
.picture .cloud { stroke-linecap: round; fill: none; opacity: .7; }
.picture .region { opacity: .1; }
.picture .bar { fill: var(--c0); } .picture .bar.faint { fill: var(--c0); opacity: .28; }
.picture .bar.held { fill: none; stroke: var(--c0); stroke-width: 1.4; }
.picture .bar.grey { fill: var(--c8); opacity: .45; }
.picture .alarm { fill: var(--bad); stroke: var(--page); stroke-width: 1; }
.picture .invisible { fill: transparent; stroke: none; }
.picture circle:hover, .picture rect:hover { filter: brightness(1.15); }
"""
"""Lines, marks and letters of inline pictures."""

HEAT_STEPS = 21
"""Shades of a heat-map, from the lowest value shown to the highest."""

_RAMP_LIGHT = ("#fbf6e9", "#dcebc9", "#8fcfba", "#3f9fbe", "#2263a5", "#162f6e")
_RAMP_DARK = ("#171f2b", "#1c3350", "#215a80", "#2f8a9c", "#6dc4a4", "#eef2b3")


def heat_style() -> str:
    """A class for every shade, with letters that can be read on it, in light and in dark."""
    light = "".join(_shade(number, _RAMP_LIGHT) for number in range(HEAT_STEPS))
    dark = "".join(_shade(number, _RAMP_DARK) for number in range(HEAT_STEPS))
    return f"\n{light}\n@media (prefers-color-scheme: dark) {{ {dark} }}\n"


def _shade(number: int, ramp: tuple[str, ...]) -> str:
    red, green, blue = _between(ramp, number / (HEAT_STEPS - 1))
    ink = "#fff" if _luminance(red, green, blue) < 0.23 else "#14181d"
    return f".h{number}{{background:#{red:02x}{green:02x}{blue:02x};color:{ink}}}"


def _between(ramp: tuple[str, ...], share: float) -> tuple[int, int, int]:
    place = share * (len(ramp) - 1)
    first = min(int(place), len(ramp) - 2)
    ends = [[int(ramp[first + i][j : j + 2], 16) for j in (1, 3, 5)] for i in (0, 1)]
    mixed = [round(a + (b - a) * (place - first)) for a, b in zip(*ends, strict=True)]
    return mixed[0], mixed[1], mixed[2]


def _luminance(red: int, green: int, blue: int) -> float:
    """Relative luminance of an sRGB colour (WCAG 2.1)."""
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
        for c in (red / 255, green / 255, blue / 255)
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


MAP = """
.grid { overflow: auto; margin: 1rem 0; border: 1px solid var(--line);
  border-radius: .5rem; }
.tall { max-height: min(48rem, 88vh); }
.map { border-collapse: separate; border-spacing: 2px; font-size: .86rem; line-height: 1.2; }
.map th, .map td { border: 0; padding: .3rem .35rem; text-align: center; }
.map thead th { position: sticky; top: 0; z-index: 2; background: var(--page); font-weight: 400;
  font-size: .76rem; vertical-align: bottom; max-width: 6.6rem; white-space: normal;
  overflow-wrap: break-word; line-height: 1.3; }
.map thead th b { display: block; font-size: .95rem; color: var(--ink); }
.map tbody th, .map tfoot th, .map thead th:first-child { position: sticky; left: 0; z-index: 1;
  background: var(--page); text-align: left; font-weight: 400; color: var(--ink);
  max-width: 18rem; white-space: normal; overflow-wrap: anywhere; padding-right: .8rem; }
.map thead th:first-child { z-index: 3; color: var(--soft); }
.map caption { padding: .6rem .6rem .3rem; font-size: .86rem; text-align: left; }
.map td { min-width: 3.1rem; border-radius: .25rem; }
.map td small { display: block; font-size: .7rem; opacity: .82; white-space: nowrap; }
.map .none { color: var(--soft); background: var(--card); }
.map .win { box-shadow: inset 0 0 0 2px var(--page), 0 0 0 2.5px var(--c1); font-weight: 650; }
.map .tie { box-shadow: inset 0 0 0 2px var(--page); outline: 2px dashed var(--c1);
  outline-offset: -.5px; font-weight: 650; }
.map tfoot td, .map tfoot th { color: var(--soft); font-size: .76rem; white-space: normal;
  vertical-align: top; }
.map tbody tr:hover { background: none; } .map tbody tr:hover th { color: var(--accent); }
.map .all { min-width: 3.6rem; } .map td.gap, .map th.gap { min-width: .4rem; padding: 0; }
.dense td { min-width: 2.05rem; padding: .18rem .1rem; } .dense tbody th { padding-block: 0; }
.key { display: flex; flex-wrap: wrap; gap: .3rem 1.4rem; align-items: center; font-size: .86rem;
  color: var(--soft); margin: .6rem 0; padding: 0; list-style: none; }
.key i { display: inline-block; width: .9rem; height: .9rem; margin-right: .35rem;
  vertical-align: -.12em; border-radius: .2rem; font-style: normal; }
.key .ramp { display: inline-flex; margin: 0 .45rem; vertical-align: middle; }
.key .ramp i { width: .55rem; margin: 0; border-radius: 0; }
.key .won { box-shadow: inset 0 0 0 2.5px var(--c1); }
.key .tied { outline: 2px dashed var(--c1); outline-offset: -2px; }
.tag { display: inline-block; font-size: .78rem; padding: 0 .5rem; border-radius: .7rem;
  background: var(--warn-wash); color: var(--warn); white-space: nowrap; }
.tag.sure { background: var(--wash); color: var(--good); }
.sparks { display: grid; grid-template-columns: repeat(auto-fill, minmax(15rem, 1fr)); gap: 1rem; }
.sparks figure { margin: 0; } .columns { display: grid; gap: 1rem 2.5rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr)); align-items: start; }
@media (max-width: 760px) { .map tbody th, .map tfoot th, .map thead th:first-child {
  max-width: 7.6rem; font-size: .78rem; padding-right: .4rem;
  min-width: 0 !important; }
  .tall { max-height: 80vh; } }
"""
"""Heat-maps as tables, their keys, and small figures side by side."""
