"""The OpenAPI document that a server gives, by Redocly's rules: `openapi.py PROGRAM`. Starts the program on a free port."""

import base64
import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from common import ROOT, run


def fetch(program: str) -> bytes:
    """The document of a server that is started for it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        **os.environ,
        "LATENCY_PORT": str(port),
        "SECRET_KEY": base64.b64encode(secrets.token_bytes(32)).decode(),
    }
    server = subprocess.Popen([program], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
    try:
        for _ in range(200):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/openapi.json", timeout=10) as answer:
                    return bytes(answer.read())
            except urllib.error.URLError:
                if server.poll() is not None:
                    sys.exit(f"{program} ended with exit code {server.returncode}")
                time.sleep(0.05)
        sys.exit(f"{program} did not answer within 10 s")
    finally:
        server.terminate()
        server.wait(30)


document = ROOT / "target" / "openapi.json"
document.write_bytes(fetch(str(Path(sys.argv[1]).resolve())))
redocly = ROOT / ".ci/node/node_modules/.bin/redocly"
sys.exit(run(redocly, "lint", "--config", ".ci/node/redocly.yaml", document))
