# The everyday commands. `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The cargo profile of everything that is tested; `make run` builds `release`.
PROFILE ?= ci

# Evaluated when used: the environment is made first. An explicit choice of the user's wins.
ORT_LIBRARY = $(or $(LATENCY_ORT_DYLIB_PATH),$(firstword $(wildcard $(CURDIR)/$(VENV)/lib/python3*/site-packages/onnxruntime/capi/libonnxruntime.so.* $(CURDIR)/$(VENV)/lib/python3*/site-packages/onnxruntime/capi/libonnxruntime*.dylib)))

.PHONY: help
help: ## Show this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run
run: $(VENV)/.onnxruntime .env ## Serve the bundled model on http://localhost:5000 (installs what it needs)
	cargo build --release --locked -p latency-server
	LATENCY_ORT_DYLIB_PATH="$(ORT_LIBRARY)" exec target/release/latency-server

.PHONY: test
test: test-setup ## Run all tests of all languages, with counts
	LATENCY_ORT_DYLIB_PATH="$(ORT_LIBRARY)" PROFILE=$(PROFILE) $(BIN)/python .ci/test.py rust outside-app python node

.PHONY: test-rust test-python test-node
test-rust: $(VENV)/.onnxruntime ## Run the Rust tests, and an app that uses the packaged crate
	LATENCY_ORT_DYLIB_PATH="$(ORT_LIBRARY)" PROFILE=$(PROFILE) $(BIN)/python .ci/test.py rust outside-app
test-python: wheel target/coverage/pinned.txt ## Run the Python tests, with coverage
	PYTHONPATH="$(CURDIR)/target/coverage" COVERAGE_FILE="$(CURDIR)/target/python.coverage" $(BIN)/python .ci/test.py python
test-node: addon $(VENV)/.onnxruntime ## Run the Node.js tests
	LATENCY_ORT_DYLIB_PATH="$(ORT_LIBRARY)" $(BIN)/python .ci/test.py node

TESTS ?=
.PHONY: test-server
test-server: $(VENV)/.onnxruntime ## Run the server's tests over HTTP (TESTS=page: those whose name has the word)
	LATENCY_ORT_DYLIB_PATH="$(ORT_LIBRARY)" cargo test --locked -p latency-server --profile $(PROFILE) --test http -- $(TESTS)

.PHONY: test-setup
test-setup: wheel addon

# Not part of `make test`: PySpark takes 490 MB, and needs Java.
.PHONY: spark java
spark: java wheel $(VENV)/.spark ## Run the tests on Apache Spark, in local mode (needs Java 17 or later)
	$(BIN)/python .ci/test.py spark
java:
	@[ -x "$${JAVA_HOME:-}/bin/java" ] || command -v java >/dev/null || \
	    { echo "java is missing: install it (Debian: apt-get install openjdk-17-jre-headless)"; exit 1; }

# loom replaces the locks, so it needs a build of its own.
.PHONY: loom
loom: ## Prove the session pool: every order of its threads (loom)
	RUSTFLAGS="--cfg loom" cargo test --locked -p latency-core --profile $(PROFILE) --target-dir target/loom --lib -- runtime::pool_models

# Without the feature `load-dynamic`, and with every other default feature: built without any library, then linked to one.
.PHONY: linked
linked: FEATURES = $(filter-out load-dynamic,$(shell sed -n 's/^default = \[\(.*\)\]$$/\1/p' latency-core/Cargo.toml | tr -d '",'))
linked: CORE = --locked -p latency-core --profile $(PROFILE) --target-dir target/linked --no-default-features --features "$(FEATURES)"
linked: LIBRARY = $(CURDIR)/target/linked/onnxruntime
linked: $(VENV)/.onnxruntime ## Test the core linked to ONNX Runtime when it is built, instead of loading it
	env -u ORT_LIB_PATH -u ORT_LIB_LOCATION cargo build $(CORE) --lib
	mkdir -p "$(LIBRARY)"
	ln -sf "$(ORT_LIBRARY)" "$(LIBRARY)/libonnxruntime.so"
	ln -sf libonnxruntime.so "$(LIBRARY)/libonnxruntime.so.1"
	ORT_LIB_PATH="$(LIBRARY)" ORT_PREFER_DYNAMIC_LINK=1 LD_LIBRARY_PATH="$(LIBRARY)" \
	    env -u LATENCY_ORT_DYLIB_PATH -u ORT_DYLIB_PATH cargo test $(CORE) --tests

.PHONY: valgrind
valgrind: $(VENV)/.onnxruntime ## Run the stress test and random trees in the native engine under valgrind (memory errors, leaks)
	command -v valgrind >/dev/null || { echo "valgrind is missing: install it (Debian: apt-get install valgrind)"; exit 1; }
	cargo test --locked -p latency-core --profile $(PROFILE) --test stress --test engines --no-run
	for name in stress engines; do \
	    test=$$(cargo test --locked -p latency-core --profile $(PROFILE) --test $$name --no-run --message-format json \
	        | sed -n 's/.*"executable":"\([^"]*'$$name'-[^"]*\)".*/\1/p') && \
	    LATENCY_ORT_DYLIB_PATH="$(ORT_LIBRARY)" LATENCY_STRESS_TURNS=4 LATENCY_FORESTS=16 valgrind --tool=memcheck --leak-check=full \
	        --show-leak-kinds=definite --errors-for-leak-kinds=definite --error-exitcode=1 --num-callers=50 \
	        --suppressions=.ci/valgrind.supp "$$test" || exit 1; \
	done

.PHONY: memory
memory: addon $(VENV)/.onnxruntime ## Test that memory stays flat over a million predictions and ten thousand loads
	LATENCY_ORT_DYLIB_PATH="$(ORT_LIBRARY)" cargo test --locked -p latency-core --profile $(PROFILE) --test stress_memory \
	    -- --ignored --nocapture --test-threads=1
	cd latency-node && LATENCY_ORT_DYLIB_PATH="$(ORT_LIBRARY)" LATENCY_MEMORY_LOADS=10000 \
	    node --test --test-name-pattern='memory stays flat' test/process.test.mjs

# The oldest version that messages and guides allow: `OLDEST_MINOR` in latency-core/src/runtime/probe.rs.
.PHONY: oldest
oldest: OLDEST = $(CURDIR)/target/onnxruntime-1.20.1
oldest: $(VENV)/.onnxruntime ## Test the core with the oldest ONNX Runtime that is allowed: the same bits
	test -d "$(OLDEST)" || $(BIN)/pip install --quiet --disable-pip-version-check --no-deps --target "$(OLDEST)" onnxruntime==1.20.1
	LATENCY_ORT_DYLIB_PATH="$(OLDEST)/onnxruntime/capi/libonnxruntime.so.1.20.1" cargo test --locked -p latency-core --profile $(PROFILE) \
	    --test golden --test properties --test decisions --test model_file --test stress

.PHONY: proxy
proxy: $(VENV)/.onnxruntime ## Try the server behind nginx: half heads and bodies, addresses of clients (skipped without nginx)
	cargo build --locked -p latency-server --profile $(PROFILE)
	LATENCY_ORT_DYLIB_PATH="$(ORT_LIBRARY)" $(BIN)/python latency-server/proxy/check target/$(PROFILE)/latency-server

.PHONY: registry
registry: wheel ## Try the server with a model from a real MLflow registry: promote, roll back, tamper, stop MLflow
	cargo build --locked -p latency-server --profile $(PROFILE)
	LATENCY_ORT_DYLIB_PATH="$(ORT_LIBRARY)" $(BIN)/python latency-server/registry/check target/$(PROFILE)/latency-server

# The tests of observations store in files otherwise; those that need PostgreSQL are ignored without it.
SERVER_TESTS = cargo test --locked -p latency-server --profile $(PROFILE) --lib --test http
.PHONY: postgres
postgres: $(VENV)/.onnxruntime ## Try servers that share a real PostgreSQL for observations, and test with it (skipped without PostgreSQL)
	$(SERVER_TESTS) --no-run
	LATENCY_ORT_DYLIB_PATH="$(ORT_LIBRARY)" $(BIN)/python latency-server/postgres/check target/$(PROFILE)/latency-server \
	    $(SERVER_TESTS) -- --include-ignored observe observations postgres

.PHONY: monitoring monitoring-live
monitoring: monitoring/grafana/node_modules/.package-lock.json $(VENV)/.dev ## Check rules, tests of alerts, dashboards and the runbook against each other (needs promtool and amtool)
	$(BIN)/python monitoring/check
monitoring-live: wheel target/monitoring/pinned.txt monitoring/grafana/node_modules/.package-lock.json ## Plant faults in them; start a server, MLflow, Prometheus, Alertmanager: every panel has data, an alert arrives
	$(BIN)/python monitoring/check faults
	cargo build --locked -p latency-server --profile $(PROFILE)
	PYTHONPATH="$(CURDIR)/target/monitoring" LATENCY_ORT_DYLIB_PATH="$(ORT_LIBRARY)" $(BIN)/python monitoring/check live \
	    target/$(PROFILE)/latency-server

# What builds the program for checks. In a row of checks, where the tests of the workspace were built before, those have it.
SERVER_BUILD ?= cargo build --locked -p latency-server --profile $(PROFILE)

.PHONY: openapi
openapi: .ci/node/node_modules/.package-lock.json $(VENV)/.onnxruntime ## Check the OpenAPI document that the server gives
	$(SERVER_BUILD)
	LATENCY_ORT_DYLIB_PATH="$(ORT_LIBRARY)" $(BIN)/python .ci/own/openapi.py target/$(PROFILE)/latency-server

.PHONY: node-versions
node-versions: addon $(VENV)/.onnxruntime ## Run the tests of the addon on every Node.js that it is for
	LATENCY_ORT_DYLIB_PATH="$(ORT_LIBRARY)" .ci/node-versions

.PHONY: browser
browser: latency-server/browser/node_modules/.package-lock.json $(VENV)/.onnxruntime ## Open every page of the server in Chromium: scripts, axe-core (LATENCY_SCREENSHOTS: a folder for pictures)
	@[ -x "$${CHROMIUM:-/usr/bin/chromium}" ] || { echo "Chromium is missing: install it (Debian: apt-get install chromium), or name it in CHROMIUM"; exit 1; }
	$(SERVER_BUILD)
	cd latency-server/browser && LATENCY_ORT_DYLIB_PATH="$(ORT_LIBRARY)" LATENCY_SERVER="$(CURDIR)/target/$(PROFILE)/latency-server" npm test

# Packages in a folder of their own, which comes first: some want other versions than the environment has.
target/%/pinned.txt: .ci/%.txt $(VENV)/.dev
	rm -rf target/$*
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --target target/$* -r $<
	cp $< $@

.PHONY: clients
clients: target/clients/pinned.txt ## Ask the server with the clients of other protocols: Triton's and MLflow's, from PyPI
	cargo build --locked -p latency-server --profile $(PROFILE)
	PYTHONPATH="$(CURDIR)/target/clients" LATENCY_ORT_DYLIB_PATH="$(ORT_LIBRARY)" $(BIN)/python latency-server/clients/check \
	    target/$(PROFILE)/latency-server

.PHONY: hostile
hostile: target/hostile/pinned.txt $(VENV)/.onnxruntime ## Send the server 100,000 hostile requests, and what schemathesis makes of its OpenAPI (minutes)
	cargo build --locked -p latency-server --profile $(PROFILE)
	PYTHONPATH="$(CURDIR)/target/hostile" LATENCY_ORT_DYLIB_PATH="$(ORT_LIBRARY)" $(BIN)/python latency-server/hostile/check \
	    target/$(PROFILE)/latency-server

.PHONY: kubernetes
kubernetes: target/kubernetes/pinned.txt ## Check the Kubernetes manifests by their schemas
	PYTHONPATH="$(CURDIR)/target/kubernetes" $(BIN)/python latency-server/deploy/check

.PHONY: bench
bench: $(VENV)/.onnxruntime ## Compare latency-core with a bare ONNX Runtime session, the server's counting with a prediction, and requests with traces and without
	LATENCY_ORT_DYLIB_PATH="$(ORT_LIBRARY)" cargo bench --locked -p latency-core --bench overhead
	LATENCY_ORT_DYLIB_PATH="$(ORT_LIBRARY)" cargo bench --locked -p latency-core --bench engine
	LATENCY_ORT_DYLIB_PATH="$(ORT_LIBRARY)" cargo bench --locked -p latency-server --bench recording --bench tracing

# Both stay below target/: the load generator, and MLServer, which wants packages of its own. The other servers are in
# the environment.
.PHONY: bench-server
bench-server: ## Compare the server, under load, with Flask, MLflow's server and MLServer (minutes)
	$(MAKE) wheel PROFILE=release
	cargo build --release --locked -p latency-server
	cargo bench --locked --profile ci -p latency-server --bench steady --no-run
	test -x target/oha/bin/oha || cargo install --quiet --locked --version 1.16.0 --root target/oha oha
	cmp -s latency-server/benches/peers/requirements.txt target/peers/pinned.txt || { rm -rf target/peers && \
	    $(PYTHON) -m venv target/peers && \
	    target/peers/bin/pip install --quiet --disable-pip-version-check -r latency-server/benches/peers/requirements.txt && \
	    cp latency-server/benches/peers/requirements.txt target/peers/pinned.txt; }
	LATENCY_ORT_DYLIB_PATH="$(ORT_LIBRARY)" $(BIN)/python latency-server/benches/peers/run.py \
	    target/release/latency-server target/oha/bin/oha target/peers/bin/mlserver

# All of it below target/, with the package and the addon as they are released: nothing is installed into the environment.
PEERS := target/peers-engine
.PHONY: bench-engine
bench-engine: latency-node/node_modules/.package-lock.json ## Compare the native engine with all else that evaluates the same trees, into docs/benchmarks.md (a quarter of an hour)
	cmp -s latency-core/benches/peers/requirements.txt $(PEERS)/pinned.txt || { rm -rf $(PEERS) && \
	    $(PYTHON) -m venv $(PEERS) && \
	    $(PEERS)/bin/pip install --quiet --disable-pip-version-check --no-deps -r latency-core/benches/peers/requirements.txt && \
	    cp latency-core/benches/peers/requirements.txt $(PEERS)/pinned.txt; }
	rm -rf $(PEERS)/wheel
	cd latency-py && ../$(PEERS)/bin/maturin build --quiet --locked --release --out ../$(PEERS)/wheel
	$(PEERS)/bin/pip install --quiet --disable-pip-version-check --no-deps --force-reinstall $(PEERS)/wheel/*.whl
	cd latency-node && npm exec -- napi build --platform --release --no-js --dts index.d.ts
	cargo build --release --manifest-path latency-core/benches/peers/rust/Cargo.toml --target-dir $(PEERS)-rust
	LATENCY_ORT_DYLIB_PATH="$$(echo $(CURDIR)/$(PEERS)/lib/python3*/site-packages/onnxruntime/capi/libonnxruntime.so.*)" \
	    $(PEERS)/bin/python latency-core/benches/peers/run.py $(PEERS)-rust/release/latency-core-peers $(BENCH)

.PHONY: bench-python
bench-python: ## Compare the wheel with XGBoost and onnxruntime on the same matrix (minutes)
	$(MAKE) wheel PROFILE=release
	OMP_WAIT_POLICY=passive $(BIN)/python latency-py/benches/throughput.py

.PHONY: bench-node
bench-node: latency-node/node_modules/.package-lock.json $(VENV)/.onnxruntime ## Compare the addon, as it is released, with onnxruntime-node (minutes)
	cd latency-node && npm run --silent pack
	cd latency-node && LATENCY_ORT_DYLIB_PATH="$(ORT_LIBRARY)" \
	    NAPI_RS_NATIVE_LIBRARY_PATH="$$(ls -t "$(CURDIR)"/target/pack/addon/*/latency.*.node | head -n 1)" node benches/run.mjs

# All checks stand in one list, .ci/checks/table.py; each run leaves ci_results/<time>/.
CHECKS = PYTHONPATH="$(CURDIR)/.ci" $(BIN)/python -m checks
.PHONY: ci ci-full ci-list ci-setup ci-watch lint
ci: ci-tools ## Run every check but the slow ones, and keep what came of them in ci_results/
	$(CHECKS) run
ci-full: ci-tools target/deny/bin/cargo-deny ## Run every check, and the slow proofs: a fresh clone, the models trained again
	$(CHECKS) run --tier full
ci-list: $(VENV)/bin/python ## List the checks: `make ci-NAME` runs one
	$(CHECKS) list
ci-watch: ci-tools ## Run what a change can affect, as soon as a file is saved, until Ctrl-C
	@PYTHONPATH="$(CURDIR)/.ci:$(CURDIR)/target/checks" exec $(BIN)/python -m checks watch
ci-setup: ci-tools ## Install what the checks need, and say what is missing
	$(CHECKS) setup
lint: ci-tools ## Check formatting, lints and types of all languages
	$(CHECKS) run fmt ruff mypy eslint tsc shellcheck clippy doc
ci-%: ci-tools
	$(CHECKS) run $*

.PHONY: ci-tools
ci-tools: $(VENV)/.dev target/checks/pinned.txt .ci/node/node_modules/.package-lock.json latency-node/node_modules/.package-lock.json
target/deny/bin/cargo-deny:
	cargo install --quiet --locked --version 0.20.2 --root target/deny --target-dir target/deny/build cargo-deny
	rm -rf target/deny/build

.PHONY: advisories
advisories: ci-tools target/audit/pinned.txt ## Ask for known holes in Python and npm packages, where that can be reached
	$(BIN)/python .ci/own/advisories.py

.PHONY: doc
doc: ## Build the pages of latency-core with every set of features, warnings denied
	for features in "" --no-default-features --all-features; do \
	    RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --locked --profile $(PROFILE) -p latency-core $$features; done

.PHONY: release-check
release-check: ci-tools ## Check that a release can be made: one version, changelog, clean tree, packages (TAG=v0.1.0)
	$(CHECKS) run versions package licences model-sum budgets workflows
	$(BIN)/python .ci/own/release.py --ready $(TAG)

.PHONY: features
FEATURES ?=
features: ## Build latency-core with every combination of its cargo features (FEATURES=--few: with each alone)
	PROFILE=$(PROFILE) .ci/features $(FEATURES)

.PHONY: fuzz
FUZZ_SECONDS ?= 20
fuzz: $(VENV)/.onnxruntime ## Feed hostile input to schemas, rows and names of places (FUZZ_SECONDS=20 each)
	LATENCY_ORT_DYLIB_PATH="$(ORT_LIBRARY)" .ci/fuzz $(FUZZ_SECONDS)

.PHONY: format
format: $(VENV)/.dev .ci/node/node_modules/.package-lock.json ## Format all sources
	cargo fmt --all
	$(BIN)/python .ci/own/ruff.py --fix
	.ci/node/node_modules/.bin/eslint -c .ci/node/eslint.config.mjs --fix latency-node latency-server .ci/node

.PHONY: data
data: wheel ## Fetch, check and clean the measurements (LATENCY_DATA_MIRROR: a folder that has them)
	$(BIN)/latency data

.PHONY: model
model: data ## Train the bundled model again, judge it, and write its card and pictures (about half an hour)
	$(BIN)/latency train --out models/latency.onnx
	$(MAKE) wheel golden evaluate

MLFLOW_PORT ?= 5001
MLFLOW_TRACKING_URI ?= http://localhost:$(MLFLOW_PORT)

.PHONY: train
train: data ## Train the paths model (a minute and a half), and log it to MLflow if a server is up
	MLFLOW_TRACKING_URI="$(MLFLOW_TRACKING_URI)" $(BIN)/latency train --out data/cache/latency.onnx

# MLFLOW_ARTIFACT_ROOT is where the server itself writes (a path, s3://...): clients only ever see mlflow-artifacts:/.
.PHONY: mlflow-ui
mlflow-ui: export MLFLOW_SERVER_ENABLE_JOB_EXECUTION := $(or $(MLFLOW_SERVER_ENABLE_JOB_EXECUTION),false)
mlflow-ui: $(VENV)/.dev ## Start the MLflow server on http://localhost:5001 (MLFLOW_PORT), its data in mlflow-data/
	mkdir -p mlflow-data
	PATH="$(CURDIR)/$(BIN):$$PATH" exec $(BIN)/mlflow server --host 127.0.0.1 --port $(MLFLOW_PORT) --workers 1 \
		--backend-store-uri "$${MLFLOW_BACKEND_STORE_URI:-sqlite:///mlflow-data/mlflow.db}" \
		--artifacts-destination "$${MLFLOW_ARTIFACT_ROOT:-mlflow-data/artifacts}"

.PHONY: mlflow-deploy
mlflow-deploy: wheel ## Register the newest logged model, and make the newest good version @champion
	MLFLOW_TRACKING_URI="$(MLFLOW_TRACKING_URI)" $(BIN)/latency mlflow register
	MLFLOW_TRACKING_URI="$(MLFLOW_TRACKING_URI)" $(BIN)/latency mlflow promote --newest

.PHONY: evaluate
evaluate: data ## Judge how the bundled model is made, and write its card and pictures
	$(BIN)/latency evaluate --studies --model models/latency.onnx --out models/evaluation.json --card models/README.md \
		--figures docs/figures/model

.PHONY: tune
tune: data ## Search again for the bundled model's settings (TRIALS=20 per search; can be stopped and taken up again)
	$(BIN)/latency tune --trials $(or $(TRIALS),20) --out latency-py/python/latency_predictor/training/tuned.json

.PHONY: golden
golden: wheel ## Write the golden vectors of the bundled model
	$(BIN)/python data/golden/make_golden.py

.PHONY: models
models: wheel ## Show on 200 random models that both engines give XGBoost's bits
	cd latency-py && LATENCY_MODELS=200 ../$(BIN)/python -m pytest -q -p no:cacheprovider -n auto -k any_model tests/test_export.py

.PHONY: own-model
own-model: wheel ## Train the small model without places that tests and examples use
	$(BIN)/python latency-core/tests/models/make_own.py

# MLFLOW_TRACKING_URI names the server (default: http://localhost:5001); DOCTOR takes more options, such as DOCTOR="--json".
.PHONY: debug-mlflow
debug-mlflow: wheel ## Find out why MLflow shows no artifacts: evidence, cause, cure
	MLFLOW_TRACKING_URI="$(MLFLOW_TRACKING_URI)" $(BIN)/latency mlflow doctor $(DOCTOR)

.PHONY: fix-mlflow
fix-mlflow: wheel ## Show what a repair of MLflow's artifacts would copy; YES=1 does it
	MLFLOW_TRACKING_URI="$(MLFLOW_TRACKING_URI)" $(BIN)/latency mlflow doctor --repair $(if $(filter 1,$(YES)),--yes) $(DOCTOR)

.PHONY: wheel
wheel: $(VENV)/.dev ## Build the Python package into the environment
	cd latency-py && VIRTUAL_ENV=$(CURDIR)/$(VENV) ../$(BIN)/maturin develop --quiet --locked --profile $(PROFILE)

# The command line, where any version of it does.
$(BIN)/latency:
	$(MAKE) wheel

.PHONY: addon
addon: latency-node/node_modules/.package-lock.json ## Build the Node.js addon
	cd latency-node && npm exec -- napi build --platform --profile $(PROFILE) --no-js --dts index.d.ts

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV) || { echo "python3 cannot make a virtual environment: install it (Debian: apt-get install python3-venv)"; exit 1; }

# ONNX Runtime alone is all that `make run` takes from PyPI. pip compares the SHA-256.
$(VENV)/.onnxruntime: .ci/onnxruntime.txt | $(VENV)/bin/python
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $<
	touch $@

$(VENV)/.dev: .ci/requirements.txt $(VENV)/.onnxruntime
	$(BIN)/pip install --quiet --disable-pip-version-check -r $<
	touch $@

$(VENV)/.spark: .ci/spark.txt $(VENV)/.dev
	$(BIN)/pip install --quiet --disable-pip-version-check -r $<
	touch $@

latency-node/node_modules/.package-lock.json: latency-node/package-lock.json latency-node/package.json
	cd latency-node && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error

latency-server/browser/node_modules/.package-lock.json: latency-server/browser/package-lock.json latency-server/browser/package.json
	cd latency-server/browser && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error

monitoring/grafana/node_modules/.package-lock.json: monitoring/grafana/package-lock.json monitoring/grafana/package.json
	cd monitoring/grafana && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error

.ci/node/node_modules/.package-lock.json: .ci/node/package-lock.json .ci/node/package.json
	cd .ci/node && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error

# What is not in it yet: the secret of sessions, and Grafana's first password.
.PHONY: .env
.env:
	@umask 077 && touch .env && $(PYTHON) .ci/secrets .env

# A name of one's own, and of the registry that it is pushed to: DOCKER_USERNAME=name.
DOCKER_USERNAME ?=
VERSION = $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml)
IMAGE = $(if $(DOCKER_USERNAME),$(DOCKER_USERNAME)/)latency-predictor
# What the image says of itself, and the name of the one that Compose builds and starts.
docker-build start-all: export BUILD_COMMIT = $(shell git rev-parse HEAD 2>/dev/null)
docker-build start-all: export BUILD_DATE = $(shell git log -1 --format=%cI 2>/dev/null)
docker-build start-all: export BUILD_VERSION = $(VERSION)
start-all: export APP_IMAGE ?= $(IMAGE):latest

.PHONY: docker-build
docker-build: ## Build the server's image (DOCKER_USERNAME=name), and say how large it is
	docker build --target app --build-arg BUILD_COMMIT --build-arg BUILD_DATE --build-arg BUILD_VERSION \
	    -t $(IMAGE):$(VERSION) -t $(IMAGE):latest .
	.ci/image size $(IMAGE):latest

.PHONY: docker-run
docker-run: .env ## Run that image on http://localhost:5000 (LATENCY_PORT), confined
	SECRET_KEY="$$(sed -n 's/^SECRET_KEY=//p' .env | tail -n 1)" docker run --rm --name latency-predictor \
	    --read-only --cap-drop ALL --security-opt no-new-privileges --stop-timeout 20 -e SECRET_KEY \
	    -p 127.0.0.1:$(or $(LATENCY_PORT),5000):5000 $(IMAGE):latest

.PHONY: docker-reproducible
docker-reproducible: ## Build that image twice, the second time from nothing, and compare file by file (DOCKER_LAB)
	$(DOCKER_LAB) sh -c '$(MAKE) --no-print-directory docker-build && docker build --no-cache --target app -t $(IMAGE):again . && \
	    .ci/image same $(IMAGE):latest $(IMAGE):again && docker rmi $(IMAGE):again'

.PHONY: docker-info
docker-info: ## Say how large that image is, which packages are in it, and how long it takes to start
	.ci/image size packages start $(IMAGE):latest

.PHONY: sbom
sbom: target/sbom-tools/pinned.txt target/cyclonedx/bin/cargo-cyclonedx ## Write what that image is made of: target/sbom/latency-server.cdx.json
	PYTHONPATH="$(CURDIR)/target/sbom-tools" $(BIN)/python .ci/sbom $(or $(SBOM_IMAGE),$(IMAGE):latest) target/sbom/latency-server.cdx.json
target/cyclonedx/bin/cargo-cyclonedx:
	cargo install --quiet --locked --version 0.5.9 --root target/cyclonedx cargo-cyclonedx

.PHONY: start-all stop-all
start-all: .env ## Start everything with Docker Compose, and wait until it is healthy (GRAFANA=off leaves Grafana out)
	.ci/stack up
stop-all: ## Stop everything that start-all started; the volumes stay
	.ci/stack down

.PHONY: setup-monitoring start-monitoring
setup-monitoring: .env ## Fetch the images of Prometheus, Alertmanager and Grafana, and check the configuration with them
	.ci/stack pull prometheus alertmanager $(if $(filter off,$(GRAFANA)),,grafana)
	.ci/stack compose run --rm --no-deps --entrypoint promtool prometheus check config /etc/prometheus/prometheus.yml
	.ci/stack compose run --rm --no-deps --entrypoint amtool alertmanager check-config /etc/alertmanager/alertmanager.yml
start-monitoring: .env ## Start Prometheus, Alertmanager and Grafana alone
	.ci/stack up prometheus alertmanager $(if $(filter off,$(GRAFANA)),,grafana)

# REGISTRY=host:port, DOCKER_PASSWORD (or docker login), DRY_RUN=1, RESUME=1, SKIP_CI=reason, WATCH_SECONDS=30.
.PHONY: cd-pipeline
cd-pipeline: .env $(BIN)/latency ## Build, tag, test and push the image, analyse MLflow's models, deploy with a roll-back (DOCKER_USERNAME=name)
	@DOCKER_USERNAME="$(DOCKER_USERNAME)" REGISTRY="$(REGISTRY)" DRY_RUN="$(DRY_RUN)" RESUME="$(RESUME)" SKIP_CI="$(SKIP_CI)" \
	    WATCH_SECONDS="$(WATCH_SECONDS)" PYTHONPATH=.ci $(BIN)/python -m cd

.PHONY: test-cd
test-cd: wheel ## Try the deployments on a real Docker Engine with a registry: good ones, bad ones, roll-back under load (DOCKER_LAB)
	$(DOCKER_LAB) $(BIN)/python .ci/test-cd

.PHONY: test-containers
test-containers: wheel ## Try the images and the whole stack on a real Docker Engine (DOCKER_LAB: a program that gives one)
	$(DOCKER_LAB) sh -c '$(BIN)/python .ci/test-containers && $(BIN)/python .ci/test-postgres'

.PHONY: clean
clean: ## Delete everything that is built (not .env)
	rm -rf target $(VENV) latency-node/node_modules latency-node/dist latency-node/*.node latency-py/python/latency_predictor/*.so data/cache
