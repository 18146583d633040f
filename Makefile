# make demo   classify sample spectra and show the result
# make test   the whole test suite, against the built wheel, from an empty folder
# make docs   the documentation, warnings as errors
# make lint   ruff, import-linter        make typecheck   mypy
#
# Each makes what it needs in virtual environments of its own. PYTHON chooses the interpreter.

PYTHON ?= python3
VENV ?= .venv
DEMO_VENV ?= .venv-demo
SAMPLE_DATA ?= ../shared/data

ROOT := $(CURDIR)
SOURCES := pyproject.toml README.md LICENSE $(shell find src -name '*.py')

# Test dependencies that import numpy, TensorFlow or the like must not touch the user's site.
export PYTHONNOUSERSITE = 1

.PHONY: demo test docs lint typecheck clean

demo: $(DEMO_VENV)/.installed
	@$(DEMO_VENV)/bin/python examples/demo.py --data "$(SAMPLE_DATA)"

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
