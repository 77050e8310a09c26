# make repro: measure every horizon. make test: check that all of it works. Both set up .venv first, once.
# make test-long: before a release; the same tests with other draws (TEST_SEED=7 draws those again), more of them, whether
# the committed results are of this code, and every fault.
# make tune: settings for each pair. make retune: how much of a horizon is the luck of that choice.
# make atlas: every cell on every task (hours; killed and started again, it goes on).
# make papers: published experiments and ours. make bench: the ratios that are claimed. make ui: MLflow on this machine.
# make notebooks: notebooks/ in JupyterLab, which it installs first.
VENV := .venv
READY := $(VENV)/.ready
SPREAD := --numprocesses auto --dist loadgroup
TEST_SEED ?= $(shell date +%s)
INPUT_CASES ?= 5000
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

.PHONY: repro test test-long check bench ui notebooks papers tune retune atlas

repro: $(READY)
	$(VENV)/bin/dvc repro
	@$(VENV)/bin/python -m pipeline.reports.ending

test: $(READY)
	$(VENV)/bin/python -m pytest $(SPREAD)

test-long: $(READY)
	@echo "draws by TEST_SEED=$(TEST_SEED)"
	TEST_SEED=$(TEST_SEED) INPUT_CASES=$(INPUT_CASES) $(VENV)/bin/python -m pytest $(SPREAD) -m ""
	$(VENV)/bin/python -m tests.benchmarks.faults

check: $(READY)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

papers: $(READY)
	$(VENV)/bin/dvc repro pipeline/dvc/papers/dvc.yaml

bench: $(READY)
	$(VENV)/bin/python -m tests.benchmarks

tune: $(READY)
	$(VENV)/bin/dvc repro pipeline/dvc/tuning/dvc.yaml:tune

retune: $(READY)
	$(VENV)/bin/dvc repro pipeline/dvc/tuning/dvc.yaml:retune

atlas: $(READY)
	$(VENV)/bin/dvc repro pipeline/dvc/atlas/dvc.yaml

ui: $(READY)
	$(VENV)/bin/python -m pipeline.ui

notebooks: $(READY)
	$(VENV)/bin/python -m pip install --quiet --editable '.[dev,notebooks]' --constraint constraints.txt
	$(VENV)/bin/jupyter lab notebooks

$(READY): pyproject.toml constraints.txt
	python3 -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --editable '.[dev]' --constraint constraints.txt
	touch $(READY)
