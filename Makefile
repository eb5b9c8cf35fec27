# Everything starts here and needs Python >= 3.11, git and make; nothing else has to be installed by hand.
#   make train   set up .venv and train the CNN on MNIST
#   make test    set up .venv and run all tests and doctests
#   make check   what CI runs: format, lint, types, tests
#   make bench   the benchmark table (installs the peers: jax, torch, autograd, optax)

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
TRAIN_ARGS ?=
# the tests spend their time in small arrays: one BLAS thread for each test process
TEST_ENV := OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1

.PHONY: train test check format lint types bench notebook clean

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "fnets needs Python >= 3.11, found " + sys.version.split()[0] + "; name another with make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.examples: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[examples]'
	@touch $@

$(VENV)/.dev: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

$(VENV)/.bench: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[bench]'
	@touch $@

train: $(VENV)/.examples
	$(BIN)/python examples/mnist_cnn.py $(TRAIN_ARGS)

test: $(VENV)/.dev
	$(TEST_ENV) $(BIN)/python -m pytest -n auto --dist loadfile

format: $(VENV)/.dev
	$(BIN)/ruff format --check .

lint: $(VENV)/.dev
	$(BIN)/ruff check .

types: $(VENV)/.dev
	$(BIN)/pyright --pythonpath $(BIN)/python

check: format lint types test

bench: $(VENV)/.bench
	$(BIN)/python -m benchmarks

clean:
	rm -rf $(VENV) out .pytest_cache .ruff_cache .hypothesis
