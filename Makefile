# Everything that a newcomer needs: make demo, make test. Each makes .venv first, once.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Where the zip files of the real data sets lie.
DATASETS ?= ../shared/data

export ZENML_ANALYTICS_OPT_IN := false
export MLFLOW_DISABLE_TELEMETRY := true

.PHONY: help setup stack demo test test-slow lint reference data-omniglot data-faces omniglot faces results bench study ui clean

help: ## Show what there is to make
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

setup: $(READY) ## Make .venv with everything in it

$(READY): pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "This needs Python 3.11; name it with make PYTHON=/path/to/python3.11"; exit 1; }
	@echo "Making $(VENV): about 6 GB, 2 to 5 minutes, this time only."
	@echo "  1/3 virtual environment"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt uv
	@echo "  2/3 packages (PyTorch is the largest)"
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --editable '.[dev]'
	@echo "  3/3 compiling them, so that every command starts faster"
	@PYTHONDONTWRITEBYTECODE= $(BIN)/python -m compileall -q -j 0 $(VENV)/lib >/dev/null 2>&1 || true
	@touch $(READY)
	@echo "$(VENV) is ready."

stack: $(READY) ## Make the ZenML stack for this checkout
	@$(BIN)/python -m infra.bootstrap_stack

demo: $(READY) ## Train, register and try a verifier on characters; no download
	@PATH="$(CURDIR)/$(BIN):$$PATH" bash infra/demo.sh

test: $(READY) ## Lint, type-check and test (under 15 minutes on 2 cores)
	@PATH="$(CURDIR)/$(BIN):$$PATH" bash infra/test.sh

test-slow: $(READY) ## The tests that take long, on the real data sets where they are
	@$(BIN)/python -m pytest -m slow

lint: $(READY) ## Format, lint and type-check
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix . && $(BIN)/mypy

reference: $(READY) ## Write configs/schema.json and docs/configuration.md anew
	@$(BIN)/python -m infra.reference

data-omniglot: data/omniglot_background ## Unpack the Omniglot background set

data/omniglot_background:
	@$(call unpack,omniglot_background)

data-faces: data/faces_split.csv ## Unpack LFW view 1

data/lfw_view1:
	@$(call unpack,lfw_view1)

data/faces_split.csv: | data/lfw_view1
	@(echo identity,split; cd data/lfw_view1 && printf '%s,test\n' test/*) > $@

define unpack
test -f "$(DATASETS)/$(1).zip" || { echo "$(DATASETS)/$(1).zip is missing; name its folder with make DATASETS=/path"; exit 1; }
mkdir -p data && $(if $(wildcard $(READY)),$(BIN)/python,$(PYTHON)) -m zipfile -e "$(DATASETS)/$(1).zip" data/.unpacking && mv data/.unpacking/$(1) data/$(1) && rmdir data/.unpacking
endef

# Colours only where somebody sees them.
TRAIN = [ -t 1 ] || export ZENML_LOGGING_COLORS_DISABLED=true; $(BIN)/zenml pipeline run pipelines.training.training_pipeline -c

omniglot: $(READY) stack data-omniglot ## Train on Omniglot (about 15 minutes on 2 cores)
	@$(TRAIN) configs/omniglot.yaml

faces: $(READY) stack data-faces ## Train on LFW (about 20 minutes on 2 cores)
	@$(TRAIN) configs/faces.yaml

results: $(READY) ## Print the README's table of results
	@$(BIN)/python -m benchmarks.results glyphs omniglot faces

bench: $(VENV)/.bench ## Measure ours against the peers (BENCH="mining --write FILE" for less or more)
	@$(BIN)/python -m benchmarks $(BENCH)

study: $(READY) data-omniglot data-faces ## How often the rates that calibration states hold (docs/calibration.md)
	@$(BIN)/python -m benchmarks.intervals --plot docs/intervals.svg

$(VENV)/.bench: $(READY)
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --editable '.[bench]'
	@touch $@

ui: $(READY) ## Open MLflow's pages on http://127.0.0.1:5000
	@$(BIN)/mlflow ui --backend-store-uri "$$($(BIN)/siamese tracking-uri)"

clean: ## Remove .venv, data and caches; runs and models in ZenML's folder stay
	rm -rf $(VENV) data reports .zen .pytest_cache .mypy_cache .ruff_cache .hypothesis
