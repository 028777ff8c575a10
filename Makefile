# The README's two commands are `make bench` and `make test`; each makes the environment first if it is not there.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
LADDERS := bench-induction-python bench-parens bench-induction
TORCH := $(shell grep '^torch==' constraints.txt)

# Tests start many processes: without bytecode each would compile everything anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup bench $(LADDERS) gate test test-gpu test-pages test-slow check format docs speed bench-peers bench-gpu coverage calibrate families clean

# torch goes first: resolved together with the rest, a bare `torch` would bring several GB of CUDA.
$(VENV)/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet $(TORCH)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[tl]' --group dev
	touch $@

setup: $(VENV)/ready

# Two ladders at a time, each on one thread; the longest first.
bench: setup
	$(MAKE) --no-print-directory -j2 $(LADDERS)

$(LADDERS): bench-%: setup
	OMP_NUM_THREADS=1 $(BIN)/scrub bench $* --alone

gate: setup
	$(BIN)/scrub gate

test: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist worksteal -m 'not slow'
	OMP_NUM_THREADS=1 SCRUBBING_DEVICE=pretend $(BIN)/python -m pytest -n auto -m 'not slow' tests/devices

# The same tests on the first GPU, against the CPU; skipped where there is none.
test-gpu: setup
	SCRUBBING_DEVICE=cuda $(BIN)/python -m pytest -rs tests/devices

# Time, memory and waits on the first GPU, each rung against the CPU; needs one.
bench-gpu: setup
	$(BIN)/python -m benchmarks.speed gpu --device cuda --out docs/design/speed-on-a-gpu.md

# The pages of the docs that take long, and the notebooks: slow tests that CI runs too.
test-pages: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto -m slow tests/docs/test_examples.py tests/docs/test_notebooks.py

test-slow: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto -m slow
	OMP_NUM_THREADS=1 SCRUBBING_DEVICE=pretend $(BIN)/python -m pytest -n auto -m slow tests/devices

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/pyright --pythonpath $(BIN)/python

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: setup
	$(BIN)/python -m pip install --quiet -c constraints.txt --group docs
	$(BIN)/sphinx-build -W -b html docs docs/_build

# The tables of docs/design/speed.md: the paren ladder, the induction ladders, what users wait for, and records.
speed: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.speed
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.speed induction
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.speed waits
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.speed record

# The same beside pyvene, nnsight and TransformerLens and, with DATA=folder of the original study's files, beside rust_circuit.
bench-peers: setup
	$(BIN)/python -m pip install --quiet -c constraints.txt --group peers
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.speed induction --peers --references 100
	$(if $(DATA),OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.speed --data $(DATA) --peer $(BIN)/python)

# How often intervals and verdicts are right, simulated and written into docs/reference/statistics.md; a quarter of an hour on two cores.
coverage: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.statistics

# How often the verdict is right on models in which everything is known; the table of docs/reference/calibration.md.
calibrate: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.groundtruth

# How closely models of every family add up to the logits of transformers; the table of docs/reference/model-families.md.
families: setup
	HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 $(BIN)/python -W ignore tests/conformance/families.py

clean:
	rm -rf $(VENV) docs/_build build dist *.egg-info
