# `make help` lists what there is to do. Everything is installed inside this folder: .venv/, node_modules/, web/static/.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq
UV := $(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url -q

# Stamps: each says that one step was done with the files it depends on.
PACKAGES := $(VENV)/.packages-installed
PROJECT := $(VENV)/.project-installed
MODULES := node_modules/.installed
ASSETS := web/static/manifest.json

SERVICE := $(wildcard piyue.py cli engine api web workers sandbox)

# For `make test` and `make bench`: T picks files or folders. For `make test`: ARGS adds pytest options, N is the number
# of processes (three for two cores: many a test waits), LONG=1 adds the long runs. Compiled tests are kept even where the
# environment keeps no bytecode: each process would compile all of them anew.
T ?=
ARGS ?=
N ?= $(if $(T),0,$(shell echo $$(( ($$(getconf _NPROCESSORS_ONLN) * 3 + 1) / 2 ))))
LONG ?=
# For `make run`: where the demo answers.
PORT ?= 8000

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup run test check bench pictures lock clean

help:  ## Show this list
	@echo "Piyue 批阅"
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "make test T=tests/engine runs some, ARGS='-k leave' adds pytest options, N=4 sets the processes, LONG=1 adds long runs."
	@echo "make bench T=bench/boxes.py runs one."

setup: $(PROJECT) $(ASSETS)  ## Install everything and build the front end (quick when nothing changed)
	@:

run: setup  ## Start the demo hospital on this machine; Ctrl-C stops it
	@exec $(BIN)/piyue demo --port $(PORT)

test: setup  ## Run every test, on SQLite and PostgreSQL, in the browser too
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n $(N) --maxprocesses 8 --dist worksteal $(if $(LONG),--long) $(ARGS) $(T)

check: setup  ## Check style, types, layers and security
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy $(SERVICE) $(wildcard tests bench docs)
	$(BIN)/lint-imports
	$(BIN)/bandit -q -c pyproject.toml -r $(SERVICE)
	$(BIN)/python -m pytest -q tests/architecture

bench: setup  ## Measure the claims under bench/, each on lines "name value unit"
	@set -e; for script in $(or $(T),$(sort $(wildcard bench/[a-z]*.py))); do echo "# $$script"; $(BIN)/python $$script; done

pictures: setup  ## Draw the diagrams of the processes anew into docs/pictures/processes
	$(BIN)/python -m docs.pictures.draw

lock: $(PACKAGES)  ## Write the lock files anew from requirements*.in and package.json
	$(UV) $(ARGS) requirements.in -o requirements.lock
	$(UV) $(ARGS) -c requirements.lock requirements-dev.in -o requirements-dev.lock
	npm install --package-lock-only

clean:  ## Remove what make made, the demo's database under var/ excepted
	rm -rf $(VENV) node_modules web/static build *.egg-info .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis

$(PACKAGES): requirements-dev.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Piyue needs Python 3.11 or later; name it: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' || { echo "This Python can't make virtual environments; on Debian: apt-get install python3-venv" >&2; exit 1; }
	@echo "Installing the Python packages into $(VENV) (about half a minute) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(PIP) install --require-hashes --no-deps -r requirements-dev.lock
	@touch $@

$(PROJECT): $(PACKAGES) pyproject.toml
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(MODULES): package-lock.json .npmrc
	@node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' || { echo "Piyue's pages are built with Node.js 20 or later" >&2; exit 1; }
	@echo "Installing the front end's packages ..."
	@npm ci --ignore-scripts --silent
	@touch $@

$(ASSETS): $(MODULES) $(wildcard web/ui/* web/ui/*/*)
	@node web/ui/build.mjs
	@touch $@
