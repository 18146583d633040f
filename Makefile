# make demo   simulate spectra, classify them and compare with the truth
# make test   the whole test suite, against the built wheel, from an empty folder
# make docs   the documentation, warnings as errors
# make lint   ruff, import-linter        make typecheck   mypy
# make bench  speed of the forward pass and of whole files, one thread, as tables and JSON in BENCH
#
# Each makes what it needs in virtual environments of its own. PYTHON chooses the interpreter.

PYTHON ?= python3
VENV ?= .venv
DEMO_VENV ?= .venv-demo
BENCH ?= build/bench

ROOT := $(CURDIR)
SOURCES := pyproject.toml README.md LICENSE $(shell find src -name '*.py' -o -name '*.safetensors')

# Test dependencies that import numpy, TensorFlow or the like must not touch the user's site.
export PYTHONNOUSERSITE = 1

.PHONY: demo test docs lint typecheck bench clean

demo: $(DEMO_VENV)/.installed
	@$(DEMO_VENV)/bin/python examples/demo.py

test: $(VENV)/.installed
	@folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && cd "$$folder" && \
	$(abspath $(VENV))/bin/python -m pytest -p no:cacheprovider "$(ROOT)/tests" $(PYTEST_ARGS)

docs: $(VENV)/.installed
	$(VENV)/bin/python -m sphinx -W --keep-going -n -b html docs docs/_build/html

lint: $(VENV)/.installed
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/lint-imports --no-cache

typecheck: $(VENV)/.installed
	$(VENV)/bin/mypy

bench: $(VENV)/.installed
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 \
	$(VENV)/bin/python benchmarks/forward.py --output "$(BENCH)/forward.json"
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 \
	$(VENV)/bin/python benchmarks/endtoend.py --output "$(BENCH)/endtoend.json"

$(VENV)/.installed: $(SOURCES)
	$(PYTHON) -m venv --clear $(VENV)
	$(VENV)/bin/python -m pip install --quiet --upgrade pip
	$(VENV)/bin/python -m pip wheel --quiet --no-deps --wheel-dir $(VENV)/wheel .
	wheel=$$(ls $(VENV)/wheel/*.whl) && \
	$(VENV)/bin/python -m pip install --quiet "$$wheel[test,train,docs,dev]"
	touch $@

$(DEMO_VENV)/.installed: $(SOURCES)
	$(PYTHON) -m venv --clear $(DEMO_VENV)
	$(DEMO_VENV)/bin/python -m pip install --quiet --upgrade pip
	$(DEMO_VENV)/bin/python -m pip install --quiet .
	touch $@

clean:
	rm -rf $(VENV) $(DEMO_VENV) docs/_build docs/reference/generated build dist
