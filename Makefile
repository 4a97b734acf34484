# make run    the main job: installs into .venv, then everything from images to tables, figures and the MLflow database
# make demo   a shorter one: one split of one set, and one page to look at
# make test   installs what the tests need and runs them;  make test-fast  those that take seconds
# make ui     opens MLflow's pages on this machine
# make docs   the documentation as a site, site/index.html;  make graph, make schema  what is drawn and written from the code
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
# Where Python may write no bytecode, each of a run's hundreds of processes would compile what it imports.
ifneq ($(PYTHONDONTWRITEBYTECODE),)
export UV_COMPILE_BYTECODE := 1
endif
export MLFLOW_DISABLE_TELEMETRY := true

# A virtual environment knows its own place: a clone that was copied or moved makes its own.
ifneq ($(wildcard $(VENV)/home),)
ifneq ($(shell cat $(VENV)/home),$(CURDIR))
$(shell rm -rf $(VENV))
endif
endif

.PHONY: run demo test test-fast ui docs schema graph check soak format lock clean

# Shows stages, what runs, the time left and scores, each as soon as it exists; plain lines where there is no terminal.
STAGED := PYTHONPATH="$(CURDIR)/workflow/logger$${PYTHONPATH:+:$$PYTHONPATH}" snakemake --logger stages

run: $(VENV)/run.installed
	@$(STAGED) --cores $(CORES) $(ARGS)
	@out=$$(python workflow/scripts/where.py --folder $(ARGS)) && $(MAKE) --no-print-directory "$$out/report.html" OUT="$$out"
	@python workflow/scripts/where.py $(ARGS)

DEMO := results/experiments/demo
demo: $(VENV)/run.installed
	@$(STAGED) --cores $(CORES) --configfile config/demo.yaml $(ARGS) -- $(DEMO)/regdb_summary.csv \
		$(DEMO)/figures/regdb_ranked.svg $(DEMO)/regdb/data.json $(DEMO)/regdb/msclnet/split1/model.pt
	@python workflow/scripts/demo.py --results $(DEMO) --set regdb --method msclnet --split 1

# Of the experiment whose folder OUT is. The studies that have been run are in the report: each has a table and a figure.
OUT ?= results
STUDIED = $(foreach figure,$(wildcard $(OUT)/figures/*.svg),$(if $(wildcard $(OUT)/$(basename $(notdir $(figure))).csv),$(figure)))
$(OUT)/report.html: $(wildcard $(OUT)/*.csv $(OUT)/figures/* workflow/report/*)
	@$(STAGED) --report $@ $(ARGS) -- all $(STUDIED)
	@python workflow/scripts/finish_report.py $@

test: $(VENV)/test.installed
	pytest -n auto --dist loadfile $(ARGS)

test-fast: $(VENV)/test.installed
	pytest -n auto --dist loadfile -m "not (slow or workflow or browser or cluster)" $(ARGS)

ui: $(VENV)/run.installed
	@python workflow/scripts/ui.py --port $(UI_PORT)

docs: $(VENV)/test.installed
	NO_MKDOCS_2_WARNING=1 mkdocs build --quiet --strict
	@echo "$(CURDIR)/site/index.html"

schema: $(VENV)/test.installed
	python tools/configuration.py

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
	uv pip compile -q --universal --generate-hashes --python-version 3.11 --extra workflow --extra demo --extra timm --extra docs --extra test \
		-c requirements.lock pyproject.toml -o requirements-test.lock

clean:
	rm -rf .snakemake data results mlruns mlartifacts mlflow.db*

$(BIN)/uv:
	$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or later is needed, this is " + sys.version)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet uv==$(UV_VERSION)
	echo "$(CURDIR)" > $(VENV)/home

# The tests' packages include the run's, so an installation for the tests serves both.
$(VENV)/run.installed: requirements.lock pyproject.toml | $(BIN)/uv
	uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock
	uv pip install --quiet --python $(BIN)/python --no-deps -e .
	touch $@

$(VENV)/test.installed: requirements-test.lock $(VENV)/run.installed | $(BIN)/uv
	uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements-test.lock
	touch $@
