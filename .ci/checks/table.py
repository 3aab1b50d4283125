"""The one list of checks. `make ci-list` shows it; CI, the watcher and the workflows read it."""

from __future__ import annotations

from .model import EVERYDAY, FULL, PART, QUICK, Check

PYTHON = ".venv/bin/python"
TOOLS = "target/checks/bin"
NODE = ".ci/node/node_modules/.bin"

# What can change a result. The core stands below everything, and so do the versions and the bundled model.
CARGO = ("Cargo.toml", "Cargo.lock", "*/Cargo.toml", "*/build.rs", ".rustfmt.toml")
RUST = (*CARGO, "latency-*.rs")
CORE = (
    "Cargo.toml", "Cargo.lock", "latency-core/*", "models/latency.onnx", "data/golden/*", "!*.md",
    "!latency-core/fuzz/*", "!latency-core/benches/*",
)  # fmt: skip
PYTHON_FILES = ("*.py", "*.pyi", ".ruff.toml", "latency-py/pyproject.toml")
PYTHON_SCRIPTS = (".ci/*", "latency-server/*/check", "monitoring/check")
PAGES = ("latency-server/templates/*", "latency-server/static/*", "latency-server/src/page/*")
SERVER = ("latency-server/src/*", "latency-server/build.rs", "latency-server/Cargo.toml")
NODE_FILES = ("*.js", "*.mjs", "*.cjs", "*package.json", "*package-lock.json")
EVERYTHING = ("*",)
# The program as `test-rust` has built it: built alone, its dependencies have other features, and are built again.
AS_TESTED = 'SERVER_BUILD="cargo test --workspace --locked --profile ${PROFILE:-ci} --no-run"'


def own(name: str) -> str:
    """One of the checks in `.ci/own`."""
    return f"{PYTHON} .ci/own/{name}"


CHECKS = (
    # Seconds each, side by side.
    Check("fmt", QUICK, "Rust is formatted",
          "cargo fmt --all --check && for crate in fuzz benches/peers/rust; do "
          "cargo fmt --manifest-path latency-core/$crate/Cargo.toml --check || exit; done", RUST, ("cargo",)),
    Check("ruff", QUICK, "Python is formatted; lints, and bandit's security rules (S); scripts without an ending too",
          own("ruff.py"), (*PYTHON_FILES, *PYTHON_SCRIPTS), ("environment",)),
    Check("mypy", QUICK, "Python's types are true", f"cd latency-py && ../{PYTHON} -m mypy",
          ("latency-py/python/*", "latency-py/pyproject.toml", ".ci/requirements.txt"), ("environment",)),
    Check("eslint", QUICK, "JavaScript is formatted (ESLint Stylistic); lints",
          f"{NODE}/eslint -c .ci/node/eslint.config.mjs --max-warnings 0 latency-node latency-server .ci/node",
          (*NODE_FILES, ".ci/node/*"), ("node", "node-tools")),
    Check("tsc", QUICK, "index.d.ts is true: TypeScript with the tests of types",
          "cd latency-node && node_modules/.bin/tsc --noEmit --strict --exactOptionalPropertyTypes --target es2022 "
          "--module nodenext --types node test/types.ts test/types.cts",
          ("latency-node/*.ts", "latency-node/test/*.cts", "latency-node/package*.json"), ("node",)),
    Check("shellcheck", QUICK, "shell scripts, found by their first line", own("shellcheck.py"),
          (".ci/*", "*.sh"), ("tools",)),
    Check("workflows", QUICK, "GitHub's workflows: actionlint, and zizmor for pins and permissions", own("workflows.py"),
          (".github/*", ".ci/own/workflows.py"), ("tools", "node-tools")),
    Check("spelling", QUICK, "spelling of code and prose (typos)",
          f"{TOOLS}/typos --config .ci/typos.toml --format brief", EVERYTHING, ("tools",)),
    Check("links", QUICK, "links and anchors between Markdown files lead somewhere (lychee, offline)", own("links.py"),
          EVERYTHING, ("tools",)),
    Check("secrets", QUICK, "no secret is committed (detect-secrets, beside .ci/secrets.baseline)", own("no_secrets.py"),
          EVERYTHING, ("tools",)),
    Check("large-files", QUICK, "no file is larger than it needs to be", own("large_files.py"), EVERYTHING),
    Check("budgets", QUICK, "the model, and the crate, wheel and binary if built, are within their budgets",
          own("budgets.py"), ("models/*", "latency-core/assets/*", ".ci/own/budgets.py")),
    Check("model-sum", QUICK, "the bundled model is the one that was judged: its SHA-256", own("model_sum.py"),
          ("models/*", "latency-core/assets/latency.onnx"), ("environment",)),
    Check("licences", QUICK, "licences and sources of all crates by deny.toml; `deny` looks closer", own("licences.py"),
          ("Cargo.lock", "*Cargo.toml", ".ci/deny.toml"), ("cargo",)),
    Check("versions", QUICK, "one version in all packages, and the changelog has it", own("release.py"),
          ("*Cargo.toml", "*pyproject.toml", "*package.json", "CHANGELOG.md", ".ci/own/release.py")),
    Check("package", QUICK, "the crate's package has the files that it must, and no others", own("package.py"),
          ("latency-core/*", "Cargo.toml", "!latency-core/fuzz/*", "!latency-core/tests/*"), ("cargo",)),
    Check("monitoring", QUICK, "Prometheus' rules and their tests, Alertmanager, dashboards and the runbook agree",
          "make monitoring", ("monitoring/*", "docs/monitoring.md", "docs/server.md"), ("promtool", "amtool", "node")),
    Check("kubernetes", QUICK, "the Kubernetes manifests, by their schemas", "make kubernetes",
          ("latency-server/deploy/*",), ("environment",)),
    Check("own", QUICK, "the tests of this list, its runner and its watcher",
          f"PYTHONPATH=target/checks {PYTHON} -m pytest -q -p no:cacheprovider -p no:xdist .ci/tests",
          (".ci/checks/*", ".ci/own/*", ".ci/tests/*", "Makefile"), ("environment", "tools")),
    # Build something.
    Check("clippy", EVERYDAY, "clippy on every target, warnings denied",
          "cargo clippy --workspace --all-targets --locked --profile ${PROFILE:-ci} -- -D warnings", RUST, ("cargo",)),
    Check("doc", EVERYDAY, "the crate's pages, warnings denied", "make doc", ("Cargo.*", "latency-core/src/*", "latency-core/*.md"), ("cargo",)),
    Check("features", EVERYDAY, "the crate with none of its features, each alone and all", "make features FEATURES=--few",
          ("Cargo.*", "latency-core/src/*", "latency-core/Cargo.toml", ".ci/features"), ("cargo",)),
    Check("test-rust", EVERYDAY, "all Rust tests, and an app outside the workspace that uses the package",
          "make test-rust", (*CORE, ".ci/outside-app", ".ci/test.py"), ("cargo",)),
    # stubtest is one of its tests: tests/test_typing.py.
    Check("test-python", EVERYDAY, "all Python tests with coverage, stubtest among them", "make test-python",
          (*CORE, "latency-py/*", "data/*", "docs/*", ".ci/requirements.txt", ".ci/test.py", "!*/benches/*",
           "!latency-py/tests/spark/*"), ("cargo", "environment")),
    Check("own-model", EVERYDAY, "the small model without places is what its script makes",
          f"make wheel && {PYTHON} latency-core/tests/models/make_own.py --check",
          ("latency-core/tests/models/*", "latency-py/python/latency_predictor/training/*"), ("cargo", "environment")),
    # `make addon` writes index.d.ts.
    Check("test-node", EVERYDAY, "all Node.js tests; index.d.ts is what the crate's types give",
          "before=$(cksum <latency-node/index.d.ts); make test-node; [ \"$before\" = \"$(cksum <latency-node/index.d.ts)\" ] "
          "|| { echo 'latency-node/index.d.ts was not what the types of the crate give; it is now: commit it'; exit 1; }",
          (*CORE, "latency-node/*", "docs/node.md", "!latency-node/benches/*"), ("cargo", "node")),
    Check("openapi", EVERYDAY, "the OpenAPI document that the server gives, by Redocly's rules", f"make openapi {AS_TESTED}",
          (*CORE, *SERVER, ".ci/node/redocly.yaml", "!latency-server/src/page/*"), ("cargo", "node-tools")),
    Check("browser", EVERYDAY, "every page in Chromium: scripts, and accessibility by axe-core", f"make browser {AS_TESTED}",
          (*PAGES, "latency-server/browser/*"), ("cargo", "node", "chromium")),
    # Parts of test-rust, for the watcher.
    Check("pages", PART, "the server's page tests, a part of test-rust", "make test-server TESTS=page",
          (*PAGES, "latency-server/tests/http/page.rs"), ("cargo", "environment")),
    Check("test-server", PART, "the server's tests, a part of test-rust", "make test-server",
          (*SERVER, "latency-server/tests/*", "!latency-server/src/page/*", "!latency-server/tests/http/page.rs"),
          ("cargo", "environment")),
    # Slow, or need what few have.
    Check("deny", FULL, "cargo deny: licences, bans, sources; advisories if their database can be reached", own("deny.py"),
          ("Cargo.lock", ".ci/deny.toml"), ("cargo-deny",)),
    Check("advisories", FULL, "known holes in Python and npm packages, if the registries' services can be reached",
          "make advisories", (".ci/*.txt", "*package-lock.json"), ("environment", "node")),
    Check("plant", FULL, "planted faults: each is caught by its check, which passes without it", f"{PYTHON} .ci/plant --slow",
          (".ci/*",), ("environment", "tools", "node-tools")),
    Check("every-feature", FULL, "every combination of the crate's features", "make features",
          ("Cargo.*", "latency-core/src/*", "latency-core/Cargo.toml", ".ci/features"), ("cargo",)),
    Check("models", FULL, "200 random models of XGBoost: both engines give its bits", "make models",
          (*CORE, "latency-py/python/latency_predictor/training/*"), ("cargo", "environment")),
    Check("fuzz", FULL, "hostile schemas, rows and names of places", "make fuzz",
          ("latency-core/fuzz/*", ".ci/fuzz"), ("cargo",)),
    Check("spark", FULL, "the tests on Apache Spark", "make spark", ("latency-py/*",), ("cargo", "java")),
    Check("loom", FULL, "every order of the session pool's threads", "make loom", CORE, ("cargo",)),
    Check("linked", FULL, "the core linked to ONNX Runtime", "make linked", CORE, ("cargo",)),
    Check("oldest", FULL, "the core with the oldest ONNX Runtime that is allowed", "make oldest", CORE, ("cargo",)),
    Check("valgrind", FULL, "memory errors and leaks", "make valgrind", CORE, ("cargo", "valgrind")),
    Check("memory", FULL, "memory stays flat over a million predictions", "make memory", CORE, ("cargo", "node")),
    Check("proxy", FULL, "the server behind nginx", "make proxy", SERVER, ("cargo", "nginx"), optional=True),
    Check("clients", FULL, "Triton's and MLflow's clients against the server", "make clients", SERVER, ("cargo",)),
    Check("hostile", FULL, "100,000 hostile requests, and schemathesis", "make hostile", SERVER, ("cargo",)),
    Check("registry", FULL, "the server with a real MLflow registry", "make registry", SERVER, ("cargo",)),
    Check("postgres", FULL, "servers that share a real PostgreSQL for observations, and their tests with it",
          "make postgres", (*SERVER, "latency-server/postgres/*"), ("cargo", "postgres"), optional=True),
    Check("monitoring-live", FULL, "Prometheus and Alertmanager with the server: every panel has data",
          "make monitoring-live", ("monitoring/*",), ("cargo", "promtool", "amtool")),
    Check("bench", FULL, "the benchmarks run", "make bench", CORE, ("cargo",)),
    Check("wheel", FULL, "the wheel as it is released: size, glibc 2.28, a fresh environment", ".ci/wheel", CORE, ("cargo",)),
    Check("addon", FULL, "the npm packages as they are released: sizes, glibc 2.28, npm, pnpm and Yarn", ".ci/addon",
          CORE, ("cargo", "node")),
    Check("node-versions", FULL, "the addon on every Node.js that it is for", "make node-versions", ("latency-node/*",),
          ("cargo", "node")),
    Check("containers", FULL, "the images and the whole stack on a real Docker Engine", "make test-containers",
          ("Dockerfile", "docker-compose.yml"), ("cargo", "docker"), optional=True),
    Check("image", FULL, "the server's image, built twice from nothing: the same files", "make docker-reproducible",
          ("Dockerfile",), ("docker",), optional=True),
    Check("cd", FULL, "deployments on a real Docker Engine with a registry: good ones, bad ones, back under load",
          "make test-cd", (".ci/cd/*", "Dockerfile"), ("cargo", "docker"), optional=True),
    Check("peers", FULL, "the server, the wheel and the addon beside others", "make bench-server bench-python bench-node",
          ("*/benches/*",), ("cargo", "node")),
    Check("reproducible", FULL, "the bundled model trained again: the same bytes", ".ci/reproducible",
          ("models/*",), ("environment",)),
    Check("fresh-clone", FULL, "a newcomer's first minutes: clone, make run, a prediction", ".ci/fresh-clone",
          EVERYTHING, ("cargo",)),
)  # fmt: skip

BY_NAME = {check.name: check for check in CHECKS}
