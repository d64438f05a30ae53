# `make quickstart` and `make test` need Python 3.11 or 3.12 and a package
# index; they make their own environment in .venv and use it again.

PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || \
            command -v python3)
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --disable-pip-version-check

.PHONY: quickstart test test-slow lint bench clean

quickstart: .venv/run.stamp
	$(BIN)/python -m launch.quickstart --output=out/quickstart

test: .venv/dev.stamp
	$(BIN)/ruff check . && $(BIN)/ruff format --check .
	$(BIN)/python -m pytest -n 2 --dist loadfile

test-slow: .venv/dev.stamp
	$(BIN)/python -m pytest -m slow -n 2 --dist loadfile

lint: .venv/dev.stamp
	$(BIN)/ruff check --fix . && $(BIN)/ruff format .

bench: .venv/bench.stamp
	$(BIN)/python -m benchmarks.inference
	$(BIN)/python -m benchmarks.train_step
	$(BIN)/python -m benchmarks.input_pipeline
	$(BIN)/python -m benchmarks.evaluation
	$(BIN)/python -m benchmarks.megaface
	$(BIN)/python -m benchmarks.search
	$(BIN)/python -m benchmarks.search_index

clean:
	rm -rf .venv .cache out

.venv/made.stamp:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' \
	  || { echo 'error: facejax needs Python 3.11 or 3.12: make PYTHON=...'; exit 1; }
	$(PYTHON) -m venv .venv
	@touch $@

.venv/run.stamp: requirements.txt .venv/made.stamp
	@echo 'installing requirements.txt (about a minute, once)'
	$(PIP) -r requirements.txt
	@touch $@

.venv/dev.stamp: requirements-dev.txt .venv/run.stamp
	$(PIP) -r requirements-dev.txt
	@touch $@

.venv/bench.stamp: requirements-bench.txt .venv/run.stamp
	$(PIP) -r requirements-bench.txt
	@touch $@
