PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/installed
# the tests of a file stay in one process; each has one thread, since there is a process for every core
TEST = HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n logical --maxprocesses 4 --dist loadfile

.PHONY: help quickstart test test-slow gpu-check lint clean

help:
	@echo "make quickstart   build a suite, tune the embedded model on it, evaluate it before and after, write its card"
	@echo "make test         lint, then run every test that takes less than a minute"
	@echo "make test-slow    run the other tests"
	@echo "make gpu-check    compare this machine's accelerator with its CPU and measure it, in eight minutes, offline"
	@echo "make lint         check style and format"
	@echo "make clean        remove .venv and caches, but no suites and outputs"

quickstart: $(INSTALLED)
	HF_HUB_OFFLINE=1 $(BIN)/python quickstart.py

test: lint
	$(TEST) -m "not slow"

test-slow: $(INSTALLED)
	$(TEST) -m slow

gpu-check: $(INSTALLED)
	HF_HUB_OFFLINE=1 $(BIN)/python -m benchmarks.gpu

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

$(INSTALLED): requirements.txt requirements-no-deps.txt pyproject.toml setup.py | $(BIN)/python
	$(BIN)/python -m pip install --disable-pip-version-check --requirement requirements.txt
	$(BIN)/python -m pip install --disable-pip-version-check --no-deps --requirement requirements-no-deps.txt
	$(BIN)/python -m pip install --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "error: '$(PYTHON)' is not Python 3.11 or newer: name one, e.g. 'make test PYTHON=python3.11'" >&2; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' || { \
	    echo "error: '$(PYTHON)' cannot make a .venv: install its venv and ensurepip modules, e.g. 'apt install python3-venv'" >&2; exit 2; }
	$(PYTHON) -m venv .venv

clean:
	rm -rf .venv .pytest_cache .ruff_cache build *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
