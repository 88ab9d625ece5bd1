# Everything that this project can do. `make` or `make help` prints the list.
.DEFAULT_GOAL := help
.PHONY: help run train serve test lint ui move lab data reference bench lock clean

READY := .venv/ready
PY := .venv/bin/python
NOTEBOOKS := $(if $(ONLY),--only $(ONLY)) $(if $(FROM),--from $(FROM))
ALIKE := $(if $(SOURCE),--source $(SOURCE)) $(if $(BUDGET),--budget $(BUDGET)) $(if $(SEED),--seed $(SEED))
PARAMETERS := $(ALIKE) $(if $(DATASETS),--datasets $(DATASETS))

# The tests have a worker on every core: libraries that start a thread a core would only wait for each other.
ONE_THREAD := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 POLARS_MAX_THREADS=1 TF_NUM_INTRAOP_THREADS=1

# Compiled modules are kept whatever the environment says: each kernel and worker would compile all it imports again.
unexport PYTHONDONTWRITEBYTECODE

# A moved or copied folder brings the environment of its origin along, whose notebooks would import the code there.
ifneq ($(shell test -L .venv && pwd -P || cat .venv/made-in 2>/dev/null || pwd -P),$(shell pwd -P))
.PHONY: $(READY)
endif

help: ## Print this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "  make run takes ONLY=01,03  FROM=04  SOURCE=auto|real|simulated  BUDGET=fast|full  DATASETS=api,hdfs  SEED=42"
	@echo "  make train takes MODEL=api|all, SOURCE, BUDGET and SEED; make ui PORT=5000; make serve PORT=8000; set-up (.venv) is part of every command and costs nothing the second time"

$(READY): requirements.txt pyproject.toml setup.sh
	@./setup.sh

run: $(READY) ## Run the notebooks in order; reports/ and the MLflow store hold the results
	@$(PY) -m utils.runner $(NOTEBOOKS) $(PARAMETERS)

train: $(READY) ## Retrain the champion of a data set, MODEL=api, or MODEL=all; it takes over only if it is better
	@$(PY) -m utils.retraining $(MODEL) $(ALIKE)

serve: $(READY) ## Serve the champions over HTTP on this machine (PORT=8000)
	@$(PY) -m utils.serving $(if $(PORT),--port $(PORT))

test: $(READY) ## Run all tests (real files are read where ANOMALY_DATA_MIRROR names them)
	@$(ONE_THREAD) $(PY) -m pytest -n auto --dist loadfile --no-loadscope-reorder --cov --cov-report=term --cov-fail-under=90

lint: $(READY) ## Check style and types
	@.venv/bin/ruff check . && .venv/bin/ruff format --check . && .venv/bin/mypy

ui: $(READY) ## Browse runs, figures, models and executed notebooks in the MLflow UI
	@$(PY) -m utils.tracking ui $(if $(PORT),--port $(PORT))

move: $(READY) ## Copy the local store to a tracking server (TO=its database, ARTIFACTS=its address, DRY=1 counts only)
	@$(PY) -m utils.tracking move --to "$(TO)" --artifacts "$(ARTIFACTS)" $(if $(DRY),--dry-run)

lab: $(READY) ## Open JupyterLab on the notebooks
	@.venv/bin/jupyter lab --notebook-dir=notebooks

data: $(READY) ## Fetch every data file that can be had and say what is missing and why
	@$(PY) -m utils.datasets

reference: $(READY) ## Run all on real data with the full budget and refresh the committed outputs
	@$(PY) -m utils.runner --source real --budget full --in-place
	@$(PY) -m utils.leaderboard readme

bench: $(READY) ## Measure the speed claims side by side with their baselines
	@$(PY) -m benchmarks

lock: $(READY) ## Remake requirements.txt from pyproject.toml
	@.venv/bin/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --no-annotate \
	    --custom-compile-command "make lock" --quiet --upgrade --output-file requirements.txt

clean: ## Remove reports and caches; data, the store and .venv stay
	@rm -rf reports .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage .coverage.*
	@find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
