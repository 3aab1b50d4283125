"""Links from Markdown files to files of the repository, and to headings in them, lead somewhere. Nothing is fetched."""

import sys

from common import ROOT, TOOLS, files, run

pages = [path for path in files() if path.endswith(".md")]
# The guide of the crate is docs/rust.md, and a copy that ships with the crate: its links are relative to docs/.
guide = (ROOT / "docs/rust.md").read_bytes() if "docs/rust.md" in pages else None
read = [path for path in pages if path.startswith("docs/") or (ROOT / path).read_bytes() != guide]
sys.exit(run(TOOLS / "bin/lychee", "--offline", "--include-fragments", "--no-progress", "--root-dir", ROOT, *read))
