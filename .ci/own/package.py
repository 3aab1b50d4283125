"""The crate's package has the files that it must, and no others. The app of `make test-rust` builds with it."""

import subprocess

from common import ROOT, end

MUST = {
    "Cargo.toml",
    "Cargo.toml.orig",
    "Cargo.lock",
    "LICENSE",
    "README.md",
    "GUIDE.md",
    "src/lib.rs",
    "assets/latency.onnx",
}
MAY = ("src/", "assets/")
# Written by cargo.
ALSO = {".cargo_vcs_info.json"}

command = ["cargo", "package", "--package", "latency-core", "--list", "--allow-dirty", "--locked"]
listed = set(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout.split())
wrong = [f"{name} is not in the package" for name in sorted(MUST - listed)]
wrong += [
    f"{name} is in the package, and no user needs it: see `include` in latency-core/Cargo.toml"
    for name in sorted(listed - MUST - ALSO)
    if not name.startswith(MAY)
]
end(wrong, f"{len(listed)} files")
