"""How the page of the API's description looks: one sheet, for light and dark, for any width from 320 px on."""

from __future__ import annotations

from typing import Final

STYLE: Final = """\
:root {
  color-scheme: light dark;
  --ground: #fdfdfc; --raised: #f3f2ef; --line: #dcdad5; --text: #1d1f21; --quiet: #5a5e63;
  --link: #0b57a4; --get: #0b6135; --post: #0b57a4; --delete: #a3231b;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #15171a; --raised: #1e2125; --line: #343941; --text: #e6e7e8; --quiet: #a2a8b0;
    --link: #86bdf7; --get: #7fd3a4; --post: #86bdf7; --delete: #f2a097;
  }
}
* { box-sizing: border-box; }
html { scroll-padding-top: 1rem; -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body {
  margin: 0; background: var(--ground); color: var(--text); overflow-wrap: anywhere;
  font: 1rem/1.55 system-ui, "Segoe UI", Roboto, "Helvetica Neue", "Liberation Sans", sans-serif;
}
code, pre { font-family: ui-monospace, "SF Mono", Menlo, Consolas, "Liberation Mono", monospace; font-size: .9em; }
p { margin: .5rem 0; max-width: 42rem; }
a { color: var(--link); text-underline-offset: .15em; }
:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; border-radius: 2px; }
.skip { position: absolute; left: -100vw; padding: .5rem 1rem; background: var(--ground); }
.skip:focus { left: 0; z-index: 1; }
header, main, nav { padding: 0 1rem; }
header { padding-top: 2rem; }
h1 { margin: 0; font-size: 1.75rem; line-height: 1.2; }
h1 small { margin-left: .4rem; color: var(--quiet); font-size: 1rem; font-weight: normal; }
h2 { margin: 3rem 0 0; font-size: 1.3rem; }
h3 { margin: 0; font-size: 1.05rem; line-height: 1.4; }
h4 { margin: 1.25rem 0 .35rem; color: var(--quiet); font-size: .875rem; font-weight: 600; }
nav { margin-top: 1.5rem; font-size: .9rem; }
nav h2 { margin: 1rem 0 .25rem; font-size: .875rem; color: var(--quiet); }
nav ul { margin: 0; padding: 0; list-style: none; }
nav a { display: block; padding: .2rem 0; color: inherit; text-decoration: none; }
nav a:hover { color: var(--link); text-decoration: underline; }
section > article { margin-top: 1rem; padding: 1.1rem 0 1.4rem; border-top: 1px solid var(--line); }
article:target h3 { text-decoration: underline; text-decoration-color: var(--link); text-underline-offset: .35em; }
h3 a { color: inherit; text-decoration: none; }
h3 a:hover { color: var(--link); }
.method { margin-right: .35rem; font: 700 .8rem/1 ui-monospace, Menlo, Consolas, "Liberation Mono", monospace; }
.get { color: var(--get); } .post { color: var(--post); } .delete { color: var(--delete); }
.title { margin: .15rem 0 0; font-weight: 600; }
.key { margin: .15rem 0 0; color: var(--quiet); font-size: .875rem; }
pre {
  margin: .75rem 0 0; padding: .7rem .9rem; background: var(--raised); border-radius: .4rem;
  white-space: pre-wrap; line-height: 1.45;
}
dl { margin: 0; display: grid; grid-template-columns: minmax(0, 1fr); }
dt { padding-top: .4rem; }
dd { margin: 0 0 .4rem; max-width: 42rem; }
dl .what { color: var(--quiet); font-size: .875rem; }
dd p { margin: 0; }
footer { margin: 4rem 1rem 2rem; color: var(--quiet); font-size: .875rem; }
@media (min-width: 44rem) {
  dl { grid-template-columns: minmax(9rem, 13rem) minmax(0, 1fr); column-gap: 1.25rem; }
  dt, dd { padding: .4rem 0; margin: 0; border-top: 1px solid var(--line); }
  dl > :nth-child(-n + 2) { border-top: 0; }
  dt .what { display: block; }
}
@media (min-width: 64rem) {
  body { display: grid; grid-template-columns: 17rem minmax(0, 1fr); max-width: 78rem; margin: 0 auto; }
  nav {
    grid-row: 1 / span 3; margin: 0; padding: 2rem 1rem; position: sticky; top: 0; align-self: start;
    max-height: 100vh; overflow-y: auto; border-right: 1px solid var(--line);
  }
  header, main { padding-left: 2.5rem; padding-right: 2rem; }
  footer { margin-left: 2.5rem; }
}
@media print { nav, .skip { display: none; } article { break-inside: avoid; } }
"""
