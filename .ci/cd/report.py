"""What a run did: `report.json` after every step, and the same to read, `index.html`."""

from __future__ import annotations

import html
import json
import shutil
import time
from pathlib import Path
from typing import Any

from .settings import RESULTS, Failed, Settings

KEPT = 20
STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; padding: .4rem .6rem; border-bottom: 1px solid #8885 }
td:nth-child(3) { text-align: right } pre { white-space: pre-wrap; overflow-wrap: anywhere; font-size: .85rem }
.done { color: #1a7f37 } .failed { color: #cf222e; font-weight: bold } .skipped, .planned { color: #777 }
"""


class Report:
    """A folder of cd_results/, and what is in it."""

    def __init__(self, folder: Path, content: dict[str, Any]) -> None:
        self.folder = folder
        self.content = content

    @staticmethod
    def begin(settings: Settings) -> Report:
        folder = RESULTS / time.strftime("%Y-%m-%dT%H-%M-%SZ", time.gmtime())
        if folder.exists():
            raise Failed(f"{folder.name}: another run began in this second; start again")
        folder.mkdir(parents=True)
        report = Report(
            folder,
            {
                "commit": settings.commit,
                "version": settings.version,
                "image": settings.image,
                "tags": settings.tags,
                "dry_run": settings.dry_run,
                "begun": folder.name,
                "result": "running",
                "steps": [],
            },
        )
        report.write()
        _link_and_prune(folder)
        return report

    @staticmethod
    def last(settings: Settings) -> Report:
        """The newest run of this commit and image that did not end well."""
        for file in sorted(RESULTS.glob("*/report.json"), reverse=True):
            content = json.loads(file.read_text())
            if (content["commit"], content["image"], content["dry_run"]) == (settings.commit, settings.image, False):
                if content["result"] == "done":
                    break
                return Report(file.parent, content | {"result": "running"})
        raise Failed(f"found no run of {settings.commit[:12]} to take up again; start it without RESUME=1")

    def is_done(self, name: str) -> bool:
        return any(step["name"] == name and step["status"] in {"done", "skipped"} for step in self.content["steps"])

    def add(self, name: str, status: str, seconds: float, found: Any) -> None:
        self.content["steps"] = [step for step in self.content["steps"] if step["name"] != name]
        self.content["steps"].append(
            {"name": name, "status": status, "seconds": round(seconds, 1), "log": f"{name}.log", "found": found}
        )
        self.write()

    def end(self, result: str) -> None:
        self.content["result"] = result
        self.write()

    def write(self) -> None:
        (self.folder / "report.json").write_text(json.dumps(self.content, indent=1) + "\n")
        (self.folder / "index.html").write_text(_page(self.content))


def _page(content: dict[str, Any]) -> str:
    rows = "".join(
        f'<tr><td><a href="{step["log"]}">{step["name"]}</a></td><td class="{step["status"]}">{step["status"]}</td>'
        f"<td>{step['seconds']:.1f} s</td><td><pre>{html.escape(_prose(step['found']))}</pre></td></tr>"
        for step in content["steps"]
    )
    title = f"Deployment of {content['version']}, {content['commit'][:12]}: {content['result']}"
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{title}</title><style>{STYLE}</style><h1>{title}</h1>"
        f"<p>{html.escape(content['image'])}: {', '.join(content['tags'])}. Begun {content['begun']}"
        f"{', without doing anything' if content['dry_run'] else ''}.</p>"
        f"<table><tr><th>step<th>status<th>time<th>found</tr>{rows}</table>"
        '<p><a href="report.json">report.json</a></html>\n'
    )


def _prose(found: Any) -> str:
    return found if isinstance(found, str) else json.dumps(found, indent=1)


def _link_and_prune(folder: Path) -> None:
    link = RESULTS / "latest"
    link.unlink(missing_ok=True)
    link.symlink_to(folder.name)
    for old in sorted(path for path in RESULTS.iterdir() if path.is_dir() and not path.is_symlink())[:-KEPT]:
        shutil.rmtree(old)
