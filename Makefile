# make run    the main job: installs into .venv, then everything from images to tables, figures and the MLflow database
# make test   installs what the tests need and runs them
# make ui     opens the MLflow UI on this machine
# make docs   the documentation as a site, site/index.html;  make graph  the rule graph in README.md, from the code
# make check  what CI checks beside the tests;  make format;  make lock;  make clean
# make soak   the smallest DAG under random kills, compared with an undisturbed one (docs/benchmarks/soak.md)
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := run

PYTHON ?= python3
UV_VERSION := 0.13.9
VENV := .venv
BIN := $(VENV)/bin
CORES ?= all
UI_PORT ?= 5000
# More for Snakemake, e.g. make run ARGS="--configfile config/paper.yaml"
ARGS ?=

export PATH := $(CURDIR)/$(BIN):$(PATH)
export UV_NO_PROGRESS := 1
export MLFLOW_DISABLE_TELEMETRY := true

.PHONY: run test ui docs graph check soak format lock clean

run: $(VENV)/run.installed
	snakemake --cores $(CORES) $(ARGS)
	$(MAKE) --no-print-directory results/report.html
	@python workflow/scripts/where.py

# The studies are in the report when they have been run.
results/report.html: $(wildcard results/*.csv results/figures/* workflow/report/*)
	snakemake --report $@ $(ARGS) -- all $(if $(and $(wildcard results/ablation.csv),$(wildcard results/sensitivity.csv)),studies)

test: $(VENV)/test.installed
	pytest -n auto --dist loadfile $(ARGS)

ui: $(VENV)/run.installed
	@python workflow/scripts/where.py --port $(UI_PORT)
	@MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false mlflow ui --host 127.0.0.1 --port $(UI_PORT) --workers 1 \
		--backend-store-uri sqlite:///$(CURDIR)/mlflow.db --default-artifact-root $(CURDIR)/mlartifacts

docs: $(VENV)/test.installed
	NO_MKDOCS_2_WARNING=1 mkdocs build --quiet --strict
	@echo "$(CURDIR)/site/index.html"

graph: $(VENV)/test.installed
	python tools/rulegraph.py

check: $(VENV)/test.installed
	ruff check .
	ruff format --check .
	mypy
	snakefmt --check Snakefile workflow
	snakemake --lint

soak: $(VENV)/test.installed
	python tests/soak.py $(ARGS)

format: $(VENV)/test.installed
	ruff check --fix .
	ruff format .
	snakefmt Snakefile workflow

lock: $(BIN)/uv
	uv pip compile -q --universal --generate-hashes --python-version 3.11 --extra workflow \
		pyproject.toml -o requirements.lock
	uv pip compile -q --universal --generate-hashes --python-version 3.11 --extra workflow --extra use --extra docs --extra test \
		-c requirements.lock pyproject.toml -o requirements-test.lock

clean:
	rm -rf .snakemake data results mlruns mlartifacts mlflow.db*

$(BIN)/uv:
	$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or later is needed, this is " + sys.version)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet uv==$(UV_VERSION)

# The tests' packages include the run's, so an installation for the tests serves both.
$(VENV)/run.installed: requirements.lock | $(BIN)/uv
	uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock
	uv pip install --quiet --python $(BIN)/python --no-deps -e .
	touch $@

$(VENV)/test.installed: requirements-test.lock $(VENV)/run.installed | $(BIN)/uv
	uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements-test.lock
	touch $@
