# Llamarium: two commands. `make run` sets up what is missing and opens the window; `make test` tests it.
# What "set up" means stands in packaging/setup_steps/command.py; where it is done, it costs a look at a stamp.

.DEFAULT_GOAL := help
.PHONY: help run setup test gpu-test check bench screenshots lock clean
MAKEFLAGS += --no-print-directory

# GPU=cuda|vulkan|rocm|metal|cpu compiles the engine for that; remembered until another is named.
GPU ?= $(LLAMARIUM_GPU)
# PYTHON=/path/to/python3.11 makes .venv with that one.
PYTHON ?=
# ARGS="--page memory" goes to the program, ARGS="-k wire" to pytest.
ARGS ?=

python := .venv/bin/python
set-up := packaging/start.sh $(if $(GPU),--gpu "$(GPU)") $(if $(PYTHON),--python "$(PYTHON)")

help:
	@echo "make run          set up what is missing, then open the window   (GPU=cuda|vulkan|rocm|metal|cpu, PYTHON=, ARGS=)"
	@echo "make test         set up, check, then run the tests              (ARGS= for pytest, ARGS=-n0: one process)"
	@echo "make gpu-test     where a GPU's bytes go, on one that the processor plays (an engine of its own in .venv-vulkan)"
	@echo "make setup        the set-up alone"
	@echo "make check        style, types, floors"
	@echo "make bench        speed and memory, as ratios to the plain engine"
	@echo "make screenshots  every page, light and dark, into screenshots/"
	@echo "make lock         resolve the locked versions anew               (ARGS=--upgrade for newer ones)"
	@echo "make clean        remove .venv, .venv-vulkan and build/; models, conversations and the compiled engine stay"

run:
	@$(set-up)
	@$(python) main.py $(ARGS)

setup:
	@$(set-up)

.PHONY: set-up-for-tests
set-up-for-tests:
	@$(set-up) --for test

.PHONY: style
style: set-up-for-tests
	$(python) -m ruff check .
	$(python) -m ruff format --check .
	$(python) -m mypy
	.venv/bin/lint-imports --no-cache

check: style
	QT_QPA_PLATFORM=offscreen $(python) -m pytest tests/architecture

# One process for each core (tests/conftest.py); one that is done takes over half of what another still has to do.
# ARGS=-n0 runs all in one process. The floors are among the tests, so they are not run twice.
# They start the engine's process some hundred times, so it must find its modules compiled.
test: export PYTHONDONTWRITEBYTECODE =
test: style
	QT_QPA_PLATFORM=offscreen $(python) -m pytest -n auto --dist worksteal $(ARGS)

# Mesa's software Vulkan device: slow, and truthful about memory. It is no part of `make test`, which would compile twice.
gpu-test:
	@packaging/start.sh --for gpu-test $(if $(PYTHON),--python "$(PYTHON)")
	QT_QPA_PLATFORM=offscreen .venv-vulkan/bin/python -m pytest tests/gpu $(ARGS)

bench: set-up-for-tests
	$(python) -m tests.benchmarks $(ARGS)

screenshots: set-up-for-tests
	xvfb-run --auto-servernum --server-args="-screen 0 2560x1600x24" $(python) -m tests.screenshots $(ARGS)

lock: setup
	packaging/lock.sh $(ARGS)

clean:
	rm -rf .venv .venv-vulkan build screenshots .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
