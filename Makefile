# Everything below needs Python 3.11 or newer, make and git; the rest is installed into .venv from a file of locks/.
# AIRFLOW names another file of locks than 3.3, which gets an environment of its own: make test AIRFLOW=3.1

PYTHON ?= python3
AIRFLOW ?= 3.3
UV_VERSION := 0.13.9

# The newest patch of each minor. Those below 3.3 do not start with packages that are much newer than the day.
PATCHES := 3.1.8 3.2.2 3.3.2
OLD_DAY := 2026-06-05
# The lowest set has the lower bounds of setup.cfg and Airflow's other packages of this day, with the tools of OLD_DAY.
LOWEST_DAY := 2026-04-01

TOUCH_AIRFLOW := $(addprefix tests/,airflow compat config feed hooks hub notifications operators sensors stored task \
	triggers wiring)

# On the lowest set, each test that may depend on a library counts.
SHORT := $(if $(filter %-lowest,$(AIRFLOW)),tests,$(TOUCH_AIRFLOW) tests/e2e)

LOCK := locks/airflow-$(AIRFLOW).lock
$(if $(wildcard $(LOCK)),,$(error Airflow $(AIRFLOW) has no lock; there are $(wildcard locks/*.lock)))
VENV := .venv$(if $(filter-out 3.3,$(AIRFLOW)),-$(AIRFLOW))
BIN := $(VENV)/bin
UV := VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/uv
COMPILE = $(UV) pip compile setup.cfg --universal --python-version 3.11 --upgrade --quiet --no-emit-index-url \
	--custom-compile-command "make lock"
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help demo unit test short chaos bench check docs hooks dist lock clean

help: ## Show what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(READY) ## Run the example DAGs on a real Airflow against the sandbox (KEEP=1 leaves Airflow up)
	@$(BIN)/python -m demo

unit: $(READY) ## Run the tests that start no Airflow
	$(BIN)/pytest -n 5 --dist worksteal -m "not e2e and not process" --hypothesis-profile quick --durations 20

test: $(READY) ## Run every test, the end-to-end tests on a real Airflow included
	$(BIN)/pytest -n 5 --dist worksteal -m "not e2e and not process" --durations 20
	$(BIN)/pytest -n 2 --dist loadfile -m "e2e or process" --durations 20

short: $(READY) ## Run what depends on Airflow, a few end-to-end tests included, as .ci/run does on 3.1-lowest and 3.2
	$(BIN)/pytest -n 5 --dist loadfile -m "every_airflow or not e2e and not process" --hypothesis-profile quick $(SHORT)

chaos: $(READY) ## Kill workers, triggerers, schedulers in mid-run and balance the books (LONG=1, FAULT=name, JOBS=n)
	$(BIN)/python -m tests.chaos $(if $(LONG),--long) $(addprefix --fault ,$(FAULT)) $(addprefix --jobs ,$(JOBS))

bench: $(READY) ## Measure what a wait costs inside a real triggerer (half an hour; ONLY=bare,single, OUT=folder)
	$(BIN)/python -m benchmarks.watch_cost $(addprefix --only ,$(ONLY)) $(addprefix --out ,$(OUT))
	$(BIN)/python benchmarks/schedule.py

check: $(READY) ## Run ruff, mypy and import-linter
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(READY) ## Write docs/reference.md and docs/presets.md anew from the code and the presets
	$(BIN)/python -m docs.make_reference
	$(BIN)/python -m docs.make_presets

hooks: $(READY) ## Have git run the checks of a change before each commit
	$(BIN)/pre-commit install

dist: $(READY) ## Build wheel and sdist into dist/ from what git tracks, and check them
	rm -rf build/source dist
	mkdir -p build/source
	git ls-files -z | tar --create --null --files-from - | tar --extract --directory build/source
	$(UV) build --quiet --no-build-isolation --out-dir dist build/source
	$(BIN)/twine check --strict dist/*

lock: $(PATCHES:%=lock-%) lock-lowest ## Resolve the files of locks/ anew from setup.cfg

lock-%: MINOR = $(basename $*)
lock-%: $(BIN)/uv
	echo apache-airflow==$* | $(COMPILE) - --extra dev --output-file locks/airflow-$(MINOR).lock \
		$(if $(filter-out 3.3,$(MINOR)),--exclude-newer $(OLD_DAY))

lock-lowest: $(BIN)/uv
	mkdir -p build
	echo apache-airflow==$(firstword $(PATCHES)) | $(COMPILE) - --output-file build/lowest.txt \
		--resolution lowest-direct --exclude-newer $(LOWEST_DAY)
	$(COMPILE) build/lowest.txt --extra dev --output-file locks/airflow-3.1-lowest.lock --exclude-newer $(OLD_DAY)

clean: ## Remove the environments and everything that was built
	rm -rf .venv .venv-* build dist *.egg-info .coverage .*_cache .hypothesis htmlcov

$(READY): $(LOCK) setup.cfg setup.py airflow_provider_taskwatch/__init__.py $(BIN)/uv
	$(UV) pip sync --quiet --compile-bytecode $(LOCK)
	$(UV) pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(BIN)/uv:
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0] + \
		"; name another with PYTHON=...") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
