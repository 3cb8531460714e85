# make demo needs Python 3.11 or newer and nothing else. make PYTHON=python3.12 demo chooses another one.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# PyTorch's CPU builds; where this index does not answer, pip takes torch from its usual places.
# With an NVIDIA GPU: make install TORCH_INDEX= (an empty index: the CUDA builds)
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
ASSETS := src/dagan/assets
# Tests run in two processes, each with one thread, which then do not wait for each other.
WORKERS ?= 2
PYTEST := OMP_NUM_THREADS=1 $(BIN)/pytest -n $(WORKERS) --dist worksteal

FUZZ_EXAMPLES ?= 100000

.PHONY: help install install-dev demo test test-slow fuzz lint docs clean
.DELETE_ON_ERROR:

help:
	@echo "make demo       animate the bundled photo: out/demo.mp4"
	@echo "make test       ruff, mypy and the fast tests (WORKERS=2 processes)"
	@echo "make test-slow  the tests that take longer"
	@echo "make fuzz       every parser of files and options on $(FUZZ_EXAMPLES) damaged inputs a test (FUZZ_EXAMPLES)"
	@echo "make lint       mend format and lint"
	@echo "make docs       the pages as a site: out/site/index.html"
	@echo "make install    .venv with pinned dependencies and dagan"
	@echo "make clean      remove caches and out/ (not .venv)"

install: $(VENV)/.installed

install-dev: $(VENV)/.installed-dev

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "dagan needs Python 3.11 or newer; try make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)

# torch goes first and alone, so that only this one lookup is made at TORCH_INDEX.
$(VENV)/.installed: requirements.txt pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --no-deps --retries 1 --timeout 20 \
		--extra-index-url $(TORCH_INDEX) "$$(grep '^torch==' requirements.txt)"
	$(BIN)/python -m pip install --quiet -r requirements.txt
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	@touch $@

$(VENV)/.installed-dev: requirements-dev.txt $(VENV)/.installed
	$(BIN)/python -m pip install --quiet -r requirements-dev.txt
	@touch $@

demo: install
	@mkdir -p out
	$(BIN)/dagan animate $(ASSETS)/astronaut.png $(ASSETS)/driver.safetensors -o out/demo.mp4

test: install-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(PYTEST) -m "not slow and not data and not gpu"

test-slow: install-dev
	$(PYTEST) -m "slow or data or gpu"

fuzz: install-dev
	DAGAN_FUZZ_EXAMPLES=$(FUZZ_EXAMPLES) $(BIN)/pytest tests/fuzz

lint: install-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/mypy

docs: $(VENV)/.installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict
	@echo "out/site/index.html; to search in it: python3 -m http.server -d out/site"

$(VENV)/.installed-docs: requirements-docs.txt $(VENV)/.installed
	$(BIN)/python -m pip install --quiet -r requirements-docs.txt
	@touch $@

clean:
	rm -rf out .pytest_cache .mypy_cache .ruff_cache
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
