# Everything that a newcomer needs: make demo, make test. Each makes .venv first, once, with what it needs itself.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
READY_TO_TEST := $(VENV)/.ready-to-test
# A build of torch and torchvision other than the registry's: a folder with the two wheels, or a package index.
TORCH ?=
# Where the zip files of the real data sets lie.
DATASETS ?= ../shared/data

export ZENML_ANALYTICS_OPT_IN := false
export MLFLOW_DISABLE_TELEMETRY := true

.PHONY: help setup stack demo test coverage test-quick test-slow lint reference data-omniglot data-faces omniglot faces results bench study ui dashboard clean

help: ## Show what there is to make
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'
	@echo
	@echo "  PYTHON=FILE    the Python 3.11 of .venv"
	@echo "  TORCH=PLACE    your own build of torch and torchvision, such as the one for CPUs, without 4 GB of CUDA:"
	@echo "                 a folder with both wheels, or the address of a package index; make clean first"

setup: $(READY_TO_TEST) ## Make .venv for development: pipelines, tests, linters

# $(call install,EXTRAS): this checkout, editable. A build of torch of one's own has no pins; what it needs comes after it.
define install
$(BIN)/uv pip install --quiet --python $(BIN)/python --editable '.[$(1)]' \
	--constraint $(if $(TORCH),<(grep -vE '^(torch|torchvision|triton|nvidia-.*|cuda-.*)==' constraints.txt),constraints.txt)
endef

# With byte code every command starts faster.
COMPILE = PYTHONDONTWRITEBYTECODE= $(BIN)/python -m compileall -q -j 0 $(VENV)/lib >/dev/null 2>&1 || true

$(READY): pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "This needs Python 3.11; name it with make PYTHON=/path/to/python3.11"; exit 1; }
	@echo "Making $(VENV): $(if $(TORCH),with PyTorch from $(TORCH),about 6 GB), 2 to 5 minutes, this time only."
	@echo "  1/3 virtual environment"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt uv
	@echo "  2/3 packages (PyTorch is the largest)"
	@$(if $(TORCH),$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps \
		$(if $(wildcard $(TORCH)),--no-index --find-links,--default-index) '$(TORCH)' torch torchvision)
	@$(call install,pipelines)
	@echo "  3/3 compiling them, so that every command starts faster"
	@$(COMPILE)
	@touch $@
	@echo "$(VENV) is ready."

$(READY_TO_TEST): $(READY)
	@echo "Adding what the tests need to $(VENV): a minute, this time only."
	@$(call install,dev)
	@$(COMPILE)
	@touch $@

stack: $(READY) ## Make the ZenML stack for this checkout
	@$(BIN)/python -m infra.bootstrap_stack

demo: $(READY) ## Train, register and try a verifier on characters; no download
	@PATH="$(CURDIR)/$(BIN):$$PATH" bash infra/demo.sh

test: $(READY_TO_TEST) ## Lint, type-check, test and measure coverage (under 15 minutes on 2 cores)
	@PATH="$(CURDIR)/$(BIN):$$PATH" bash infra/test.sh

coverage: $(READY_TO_TEST) ## The same, with the coverage of pipelines, steps and command (a third longer)
	@COVERAGE=all PATH="$(CURDIR)/$(BIN):$$PATH" bash infra/test.sh

test-quick: $(READY_TO_TEST) ## The tests that start no pipeline and no server (about a minute)
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 tests/siamese_core

test-slow: $(READY_TO_TEST) ## The tests that take long, on the real data sets where they are
	@$(BIN)/python -m pytest -m slow

lint: $(READY_TO_TEST) ## Format, lint, type-check and hold the layers
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix . && $(BIN)/mypy && $(BIN)/lint-imports

reference: $(READY) ## Write configs/schema.json and docs/configuration.md anew
	@$(BIN)/python -m infra.config_reference

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
	@$(call install,bench)
	@touch $@

dashboard: $(READY) ## Open ZenML's pages on http://127.0.0.1:8237 (Ctrl-C ends them)
	@ZENML_LOGGING_VERBOSITY=WARN $(BIN)/zenml login --local --blocking

ui: $(READY) ## Open MLflow's pages on http://127.0.0.1:5000
	@$(BIN)/mlflow ui --backend-store-uri "$$($(BIN)/siamese tracking-uri)"

clean: ## Remove .venv, data and caches; runs and models in ZenML's folder stay
	rm -rf $(VENV) data reports .zen .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage*
