"""The machine, and the versions of everybody who takes part."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from importlib.metadata import version
from pathlib import Path

from contenders import HERE, ROOT

PACKAGES = (
    "xgboost-cpu", "onnxruntime", "treelite", "tl2cgen", "scikit-learn", "scikit-learn-intelex", "quickgrove", "numpy",
)  # fmt: skip
CRATES = ("ort", "gbdt", "hessboost", "silva")
PEER_OF_NODE = re.compile(r"^const VERSION = '(.*)'$", re.MULTILINE)


def machine() -> dict[str, str]:
    """Processor, cores, programs, and how busy it is."""
    (model,) = set(re.findall(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE))
    return {
        "processor": model,
        "cores": str(os.cpu_count()),
        "system": f"{platform.system()} {platform.machine()}",
        "load": f"{os.getloadavg()[0]:.1f}",
    }


def versions() -> dict[str, str]:
    """By name; crates as the lock file beside the Rust worker has them."""
    locked = re.findall(r'name = "(.*)"\nversion = "(.*)"', (HERE / "rust" / "Cargo.lock").read_text())
    found = {
        "Rust": said("rustc", "--version").split()[1],
        "Python": platform.python_version(),
        "Node.js": said("node", "--version").lstrip("v"),
        "gcc": said("gcc", "-dumpfullversion"),
    }
    found |= {name: number for name, number in locked if name in CRATES}
    found |= {name: version(name) for name in PACKAGES}
    peer = (ROOT / "latency-node" / "benches" / "peer.mjs").read_text()
    return found | {"onnxruntime-node": PEER_OF_NODE.findall(peer)[0]}


def said(*command: str) -> str:
    """What a program prints."""
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
