"""A run as one page: no scripts, nothing from elsewhere, light and dark."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

STYLE = """
:root { color-scheme: light dark; --line: light-dark(#d8dce2, #3a3f47); --soft: light-dark(#5a6270, #a2a9b4) }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
  background: light-dark(#fff, #16181c); color: light-dark(#16181c, #e8eaed) }
h1 { font-size: 1.5rem } p, small { color: var(--soft) }
details, .row { border-top: 1px solid var(--line); padding: .5rem 0 }
summary, .row { display: grid; grid-template-columns: 6rem 10rem 1fr auto; gap: .75rem; align-items: baseline }
summary { cursor: pointer; list-style: none } code { overflow-wrap: anywhere }
pre { overflow: auto; max-height: 30rem; padding: .75rem; background: light-dark(#f3f4f6, #1f2228); font-size: .8rem }
.passed { color: light-dark(#176b2c, #6ed391) } .failed, .stopped { color: light-dark(#b3141d, #ff8b8b) }
.skipped { color: light-dark(#7a5200, #e8bf6a) } b { font-weight: 600 }
@media (max-width: 40rem) { summary, .row { grid-template-columns: 5rem 1fr auto } .about { grid-column: 1 / -1 } }
"""


def write(summary: Mapping[str, Any], logs: Mapping[str, str]) -> str:
    """The page of a run, what failed first."""
    checks = sorted(summary["checks"], key=lambda check: check["status"] in ("passed", "skipped"))
    bad = sum(check["status"] not in ("passed", "skipped") for check in checks)
    title = f"{bad} of {len(checks)} checks failed" if bad else f"{len(checks)} checks passed"
    where = f"{summary['branch']} at {str(summary['commit'])[:12]}" + (", with changes" if summary["dirty"] else "")
    return (
        f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>{escape(title)}</title>\n'
        f"<style>{STYLE}</style>\n<main>\n<h1>{escape(title)}</h1>\n"
        f"<p>{escape(where)} · {escape(summary['time'])} · {escape(summary['what'])} · {summary['seconds']:.0f} s</p>\n"
        + "".join(row(check, logs.get(check["name"], "")) for check in checks)
        + "</main>\n</html>\n"
    )


def row(check: Mapping[str, Any], log: str) -> str:
    """A check: open if it failed."""
    bad = check["status"] not in ("passed", "skipped")
    facts = [check["why"]] if check.get("why") else []
    if tests := check.get("tests"):
        facts.append(f"{tests['passed']} passed, {tests['failed']} failed, {tests['skipped']} skipped")
    if (coverage := check.get("coverage_percent")) is not None:
        facts.append(f"{coverage} % of lines covered")
    about = escape(check["about"]) + (f"<br><small>{escape('; '.join(facts))}</small>" if facts else "")
    return (
        f"<details{' open' if bad else ''}><summary><b class={check['status']}>{check['status']}</b>"
        f'<b>{escape(check["name"])}</b><span class="about">{about}</span><span>{check["seconds"]:.1f} s</span></summary>\n'
        f"<p>Alone: <code>{escape(check['again'])}</code>, which runs <code>{escape(check['command'])}</code>"
        f' · <a href="{escape(check["log"])}">log</a></p>\n<pre>{escape(log)}</pre></details>\n'
    )
