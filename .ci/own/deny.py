"""cargo deny: licences, bans and sources always; advisories if their database can be reached, said plainly if not."""

import subprocess
import sys

from common import ROOT, end, run

DENY = [str(ROOT / "target/deny/bin/cargo-deny"), "--config", ".ci/deny.toml", "--locked"]

code = run(*DENY, "check", "--hide-inclusion-graph", "licenses", "bans", "sources")
fetched = subprocess.run([*DENY, "fetch"], cwd=ROOT, capture_output=True, text=True, check=False)
if fetched.returncode:
    print("the database of advisories cannot be reached: NOT checked for known holes")
else:
    code |= run(*DENY, "check", "--disable-fetch", "advisories")
sys.exit(code) if code else end([], "cargo deny")
