# make demo   simulate spectra, classify them and compare with the truth
# make test   the whole test suite, against the built wheel, from an empty folder
# make docs   the documentation, warnings as errors
# make lint   ruff, import-linter        make typecheck   mypy
# make bench  all benchmarks, as tables and JSON in BENCH; one by one: bench-forward, bench-endtoend,
#             bench-scaling, bench-readers, bench-survey, bench-train, bench-hot
#
# make fuzz   damaged files to every reader for FUZZ_SECONDS (3600); findings in FUZZ
#
# Each makes what it needs in virtual environments of its own. PYTHON chooses the interpreter, JOBS how
# many processes share the tests.

PYTHON ?= python3
VENV ?= .venv
DEMO_VENV ?= .venv-demo
DOCS_VENV ?= .venv-docs
JOBS ?= 2
BENCH ?= build/bench
FUZZ ?= build/fuzz
FUZZ_SECONDS ?= 3600
# Less than the default of benchmarks/train.py where there is no accelerator; it takes minutes so.
BENCH_TRAIN_ARGS ?= --nspec 2048 --repeats 5

ROOT := $(CURDIR)
SOURCES := pyproject.toml README.md LICENSE $(shell find src -name '*.py' -o -name '*.safetensors')

# Test dependencies that import numpy, TensorFlow or the like must not touch the user's site.
export PYTHONNOUSERSITE = 1

# One thread, and the kernels that BLAS chooses for this machine.
BENCH_ENV = env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE \
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1

.PHONY: demo test docs lint typecheck clean fuzz
.PHONY: bench bench-forward bench-endtoend bench-scaling bench-readers bench-survey bench-train bench-hot

demo: $(DEMO_VENV)/.installed
	@$(DEMO_VENV)/bin/python examples/demo.py

test: $(VENV)/.installed
	@folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && cd "$$folder" && \
	OMP_NUM_THREADS=1 $(abspath $(VENV))/bin/python -m pytest -p no:cacheprovider -n $(JOBS) --dist worksteal \
	"$(ROOT)/tests" $(PYTEST_ARGS)

docs: $(DOCS_VENV)/.installed
	$(DOCS_VENV)/bin/python -m sphinx -W --keep-going -n -b html docs docs/_build/html

lint: $(VENV)/.installed
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/lint-imports --no-cache

typecheck: $(VENV)/.installed
	$(VENV)/bin/mypy

bench: bench-forward bench-endtoend bench-scaling bench-readers bench-survey bench-train bench-hot

bench-forward: $(VENV)/.bench
	$(BENCH_ENV) $(VENV)/bin/python benchmarks/forward.py --output "$(BENCH)/forward.json"

bench-endtoend: $(VENV)/.bench
	$(BENCH_ENV) $(VENV)/bin/python benchmarks/endtoend.py --output "$(BENCH)/endtoend.json"

bench-scaling: $(VENV)/.bench
	$(BENCH_ENV) $(VENV)/bin/python benchmarks/scaling.py --output "$(BENCH)/scaling.json"

bench-readers: $(VENV)/.bench
	$(BENCH_ENV) $(VENV)/bin/python benchmarks/readers.py --output "$(BENCH)/readers.json"

bench-survey: $(VENV)/.bench
	$(BENCH_ENV) $(VENV)/bin/python benchmarks/survey.py --output "$(BENCH)/survey.json"

bench-train: $(VENV)/.bench
	for backend in tensorflow jax; do KERAS_BACKEND=$$backend $(VENV)/bin/python \
	benchmarks/train.py --output "$(BENCH)/train-$$backend.json" $(BENCH_TRAIN_ARGS) || exit 1; done

bench-hot: $(VENV)/.bench
	$(BENCH_ENV) $(VENV)/bin/python -m pytest -p no:cacheprovider -o pythonpath=benchmarks benchmarks/hot_functions.py \
	--benchmark-json "$(BENCH)/hot_functions.json"

fuzz: $(VENV)/.installed
	$(VENV)/bin/python -m pip install --quiet "$$(ls $(VENV)/wheel/*.whl)[fuzz]"
	PYTHONPATH=tests nice $(VENV)/bin/python fuzz/run.py --seconds $(FUZZ_SECONDS) --findings "$(FUZZ)"

$(VENV)/.bench: $(VENV)/.installed
	$(VENV)/bin/python -m pip install --quiet "$$(ls $(VENV)/wheel/*.whl)[bench]"
	@mkdir -p "$(BENCH)"
	touch $@

$(VENV)/.installed: $(SOURCES)
	$(PYTHON) -m venv --clear $(VENV)
	$(VENV)/bin/python -m pip install --quiet --upgrade pip
	$(VENV)/bin/python -m pip wheel --quiet --no-deps --wheel-dir $(VENV)/wheel .
	wheel=$$(ls $(VENV)/wheel/*.whl) && \
	$(VENV)/bin/python -m pip install --quiet "$$wheel[test,train,dev]"
	touch $@

$(DOCS_VENV)/.installed: $(SOURCES)
	$(PYTHON) -m venv --clear $(DOCS_VENV)
	$(DOCS_VENV)/bin/python -m pip install --quiet --upgrade pip
	$(DOCS_VENV)/bin/python -m pip install --quiet ".[docs]"
	touch $@

$(DEMO_VENV)/.installed: $(SOURCES)
	$(PYTHON) -m venv --clear $(DEMO_VENV)
	$(DEMO_VENV)/bin/python -m pip install --quiet --upgrade pip
	$(DEMO_VENV)/bin/python -m pip install --quiet .
	touch $@

clean:
	rm -rf $(VENV) $(DEMO_VENV) $(DOCS_VENV) docs/_build docs/reference/generated build dist
