# `make run` starts the gateway, `make test` runs the suite. Both set everything up on the first call.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
CONFIG ?= config/portfolio.yaml

.PHONY: run test lint lock clean

run: $(READY)
	$(BIN)/locus serve --config $(CONFIG)

test: $(READY)
	$(BIN)/python -m pytest

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The stamp depends on the lock, so a second call installs nothing, and a changed lock installs what changed.
$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Locus Gateway needs Python 3.11 or newer")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $(READY)

# Newest versions that pyproject.toml allows, but for torch: a plain `torch` brings several GB of CUDA libraries.
lock:
	rm -rf $(VENV) && $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet torch==2.13.0 setuptools --editable '.[dev]'
	(head -n 1 requirements.lock; $(BIN)/python -m pip freeze --all --exclude-editable --exclude pip \
		| sed 's/^\(torch==[0-9.]*\)+.*/\1/') > requirements.lock.new
	mv requirements.lock.new requirements.lock
	touch $(READY)

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache *.egg-info
