# Everything works on a bare machine with Python 3.11 or newer, pip and make:
#   make demo    environment, then phantom slides through the released model
#   make test    environment with the development tools, then all tests, in three processes
#   make test-gpu  what needs a GPU: answers, whole commands, memory that runs out, training
#   make lint    the same checks that the commit hooks run
#   make faults  bad slides, full disks, killed workers: what must be survived, and 1,000 mutated slides
#   make bench   how fast this machine reads, computes, and does both
#   make bench-peers   other systems on the same slide, each in an environment of its own
#   make clean   removes the environment, what was built, and what demo wrote
# Another interpreter: make PY=python3.12 test

PY ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
GPU_TESTS := tests/inference/test_gpu.py tests/inference/test_gpu_runs.py tests/inference/test_torch_streams.py tests/training/fitting/test_on_gpu.py

# Hundreds of processes are started: without bytecode on the disk each of them compiles nodescan anew.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help demo test test-gpu lint faults bench bench-peers clean

help:
	@sed -n 's/^#   //p' Makefile

demo: $(VENV)/.ready
	$(BIN)/nodescan demo

test: $(VENV)/.ready-dev
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder

test-gpu: $(VENV)/.ready-dev
	$(BIN)/python -m pytest -ra $(GPU_TESTS)

lint: $(VENV)/.ready-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/basedpyright --level error
	$(BIN)/lint-imports

faults: $(VENV)/.ready-dev
	$(BIN)/python -m tests.faults --fuzz 1000

bench: $(VENV)/.ready
	$(BIN)/nodescan bench

bench-peers: $(VENV)/.ready
	$(BIN)/python -m tests.peers

clean:
	rm -rf $(VENV) build dist nodescan-demo

# The stamps say that an environment fits this pyproject.toml, so that a second call is quick.
$(VENV)/.ready: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(VENV)/.ready-dev: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $(VENV)/.ready $@

$(BIN)/python:
	@$(PY) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "error: $(PY) is older than Python 3.11; name a newer one: make PY=python3.12" >&2; exit 1; }
	$(PY) -m venv $(VENV)
