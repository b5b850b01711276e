# Everything sets itself up: the first target that needs it makes .venv with pip.
#   make train task=stock optimizer=rmsprop seed=3            any group=choice or key=value
#   make train ARGS="-m" optimizer=sgd,adam clip=none,norm    Hydra's flags go through ARGS
PYTHON ?= python3
VENV   ?= .venv
ARGS   ?=
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

# The key=value words of make's own command line, each quoted for the shell, whatever its value holds.
quote     = '$(subst ','\'',$(1))'
ours     := PYTHON VENV ARGS FUZZ
given    := $(filter-out $(ours),$(foreach v,$(.VARIABLES),$(if $(filter command,$(firstword $(origin $v))),$v)))
overrides = $(foreach v,$(sort $(given)),$(call quote,$v=$(value $v)))

.DEFAULT_GOAL := help
.PHONY: help setup train study tune report runs predict promote ui site test testlong fuzz break selftest lint audit bench neighbours clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## make the environment (.venv) and nothing else

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

train: $(READY) ## train a recipe and its twin: make train task=stock [group=choice] [key=value] [ARGS="-m ..."]
	@$(BIN)/upgate train $(ARGS) $(overrides)

study: $(READY) ## which part helps, by how much: make study task=stock [study=parts] [study.seeds=6] [ARGS=--yes]
	@$(BIN)/upgate study $(ARGS) $(overrides)

tune: $(READY) ## search hyperparameters by cross-validation: make tune task=stock [search=tpe] [tune.trials=30] [ARGS=--yes]
	@$(BIN)/upgate tune $(ARGS) $(overrides)

report: $(READY) ## the study as one HTML page: make report study=latest [report.language=zh]
	@$(BIN)/upgate report $(ARGS) $(overrides)

runs: $(READY) ## list what the store holds: make runs [task=stock] [recipe=upgraded] [ARGS=--json]
	@$(BIN)/upgate runs $(ARGS) $(overrides)

predict: $(READY) ## forecast with a stored run: make predict run=latest data.path=prices.csv
	@$(BIN)/upgate predict $(ARGS) $(overrides)

promote: $(READY) ## a run as a model of MLflow's registry: make promote run=latest [alias=champion]
	@$(BIN)/upgate promote $(overrides)

ui: $(READY) ## open the MLflow UI on the same store
	@$(BIN)/upgate ui $(overrides)

site: $(READY) ## the documentation as a site, in site/
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict  # with --quiet it would not be strict

# Many tests start a process: each would compile the sources anew where no bytecode is kept.
PYTEST := PYTHONDONTWRITEBYTECODE= OMP_WAIT_POLICY=passive OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses=2 --dist=loadfile --no-loadscope-reorder
test: $(READY) lint ## lint, types and the tests, in two processes
	$(PYTEST) -m "not long" $(ARGS)

testlong: $(READY) ## the long tests: kills of studies and searches, databases, clusters, foreign tools
	$(PYTEST) -m long $(ARGS)

FUZZ ?= 50
fuzz: $(READY) ## drawn words, files, logs and stores, FUZZ=50 times as many as in make test
	UPGATE_FUZZ=$(FUZZ) $(PYTEST) tests/fuzz $(ARGS)

break: $(READY) ## a sweep killed and broken in every way, 200 times by kill -9, into docs/results/trust.md
	@OMP_NUM_THREADS=1 $(BIN)/python bench/break_store.py $(or $(overrides),tries=200) $(ARGS)

selftest: $(READY) ## 1,000 simulated studies of most scenarios into docs/results/selftest.md
	@$(BIN)/python -m upgate.study.simulation 1000 docs/results/selftest.md

lint: $(READY)
	$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo --no-cache

audit: $(READY) ## published vulnerabilities of the pinned dependencies, by pip-audit
	@.ci/audit $(BIN)/pip-audit

bench: $(READY) ## our training step against a bare PyTorch loop, in one run
	@$(BIN)/python bench/step.py $(ARGS) $(overrides)

neighbours: $(READY) ## our training epoch beside skorch, darts, neuralforecast, Keras: installs them (3 GB)
	@$(BIN)/python bench/neighbours.py $(ARGS) $(overrides)

clean: ## remove the environment, caches and site; runs and data stay
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache site
