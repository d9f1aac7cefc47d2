# The two commands: `make demo` and `make test`. Both set up everything they need; nothing is installed outside this
# folder except, as root, the Debian package chromium for the browser tests.
.DEFAULT_GOAL := help
SHELL := /bin/sh
UV_VERSION := 0.13.9
PORT ?= 8000
SEED ?=
KILLS ?= 40
JOBS ?= 40
PYTEST_OPTIONS ?=
# Most tests wait for processes that start and end: more at a time than a small machine has cores.
PYTEST_WORKERS ?= 4

LAB_CATALOGUES := $(wildcard aiinfn_lab/locale/*/LC_MESSAGES/*.po)
BIN := .venv/bin
UV := .tools/uv/bin/uv
PROXY := deploy/proxy/node_modules/.bin
LABEXTENSION := aiinfn_lab/labextension/static/style.js
BUILDER := labextension/builder/node_modules
LABEXTENSION_SOURCES := $(wildcard labextension/src/*.ts* labextension/src/*/*.ts* labextension/src/*/*/*.ts* labextension/style/* labextension/style/*/* labextension/schema/*) \
	labextension/package.json $(wildcard labextension/builder/*.js)
export PATH := $(CURDIR)/$(PROXY):$(CURDIR)/$(BIN):$(PATH)
export UV_LINK_MODE := copy
# A half-set-up shell of another project must not leak into this one.
unexport VIRTUAL_ENV PYTHONPATH PYTHONHOME

.PHONY: help
help:  ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-20s %s\n", $$1, $$2}'

.PHONY: demo
demo:  ## Set up what the platform needs and run it on this machine (PORT=8000)
	@$(PARALLEL) $(PLATFORM)
	@test -e .venv/.compiled || { $(COMPILE) >/dev/null 2>&1 & } ; exec $(BIN)/aiinfn-hub demo --port $(PORT)

.PHONY: test
test: setup browser  ## Set up everything and run all tests
	$(BIN)/pytest -n $(PYTEST_WORKERS) --no-loadscope-reorder $(PYTEST_OPTIONS)
	cd labextension && ../$(BIN)/jlpm test

.PHONY: test-fast
test-fast: setup  ## Run the tests that start no hub and no browser
	$(BIN)/pytest -n $(PYTEST_WORKERS) tests/unit tests/vkd $(PYTEST_OPTIONS)

.PHONY: test-compat
test-compat: setup  ## Run the tests of what contract-1 promises: its descriptions, and its wheel with today's
	$(BIN)/pytest tests/unit/test_contract_frozen.py tests/lab/test_two_builds.py tests/lab/test_newer_platform.py $(PYTEST_OPTIONS)

.PHONY: drill-kill
drill-kill: setup  ## Kill parts of a running platform at random, and look what is lost (SEED, KILLS=40, JOBS=40)
	$(BIN)/python -m tests.drills.kill $(if $(SEED),--seed $(SEED)) --kills $(KILLS) --jobs $(JOBS)

.PHONY: lint
lint: setup lint-labextension  ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python docs/packages.py --check

.PHONY: picture
picture: setup  ## Draw the packages and their arrows into docs/architecture.md, out of the code
	$(BIN)/python docs/packages.py

.PHONY: lint-labextension
lint-labextension: labextension/node_modules/.installed
	cd labextension && ../$(BIN)/jlpm lint:check

.PHONY: bench
bench: setup browser  ## Measure what the README and the documentation claim
	$(BIN)/python -m bench

.PHONY: contract-snapshot
contract-snapshot: setup  ## Take today's descriptions of the APIs as what contract-1 promises; only before its tag
	@! git rev-parse -q --verify refs/tags/contract-1 >/dev/null || { echo "contract-1 is tagged: its promise stays as it is." >&2; exit 1; }
	UPDATE_GOLDEN=1 $(BIN)/pytest -q tests/unit/test_contract_names.py
	mkdir -p docs/api/contract-1 && cp docs/api/vkd.json docs/api/lab.json docs/api/contract-1/

.PHONY: wheel
wheel: setup  ## Build the wheel, with the labextension in it, into dist/
	$(UV) build --wheel --python $(BIN)/python --no-build-isolation

.PHONY: lock
lock: $(UV)  ## Resolve the Python dependencies anew into requirements.lock
	$(UV) pip compile --quiet --upgrade pyproject.toml --all-extras --universal --python-version 3.11 \
		--generate-hashes --no-annotate --no-header --output-file requirements.lock

UPDATE_CATALOGUES = $(BIN)/pybabel -q update -D aiinfn --no-fuzzy-matching --ignore-obsolete --ignore-pot-creation-date -w 110

.PHONY: messages
messages: setup  ## Bring the catalogues of sentences up to date with the code (docs/languages.md)
	@mkdir -p .cache
	@$(BIN)/pybabel -q extract -F babel.cfg -k marked -k Sentence -k template:2 -k counted:2,3 --add-location file --sort-by-file -o .cache/messages.pot aiinfn_hub
	@$(BIN)/pybabel -q extract -F babel.cfg -k marked -k template:2 -k counted:2,3 --add-location file --sort-by-file \
		-o .cache/lab_server.pot aiinfn_lab
	@$(BIN)/pybabel -q extract -F labextension/babel.cfg --no-default-keywords -k __ -k _n:1,2 -k _p:1c,2 -k _np:1c,2,3 \
		-k pgettext:1c,2 --add-location file --sort-by-file -o .cache/lab.pot labextension
	@$(UPDATE_CATALOGUES) -i .cache/messages.pot -d aiinfn_hub/i18n/locale
	@$(UPDATE_CATALOGUES) -i .cache/lab_server.pot -d aiinfn_lab/i18n/locale
	@$(UPDATE_CATALOGUES) -i .cache/lab.pot -d aiinfn_lab/locale
	@$(BIN)/python hatch_build.py
	@$(BIN)/pytest -q tests/unit/test_language.py tests/unit/test_lab_messages.py tests/unit/test_language_lab.py

include cluster.mk

.PHONY: clean
clean:  ## Remove everything that the other commands made, the demonstration's data too
	@test ! -e .cache/cluster/root/settings.json || { echo "A cluster is up. Take it down first: make cluster-down" >&2; exit 1; }
	rm -rf .cache .venv .tools .demo dist build bench/results tests/ui/pictures aiinfn_lab/labextension \
		labextension/node_modules $(BUILDER) deploy/proxy/node_modules \
		.mypy_cache .ruff_cache .pytest_cache .hypothesis

# --- set-up ------------------------------------------------------------------------------------------------------

# What does not wait for each other is set up at the same time: most of it is waiting for packages.
PARALLEL := +$(MAKE) --no-print-directory $(if $(filter -j%,$(MAKEFLAGS)),,-j 4)
PLATFORM := .venv/.installed $(PROXY)/configurable-http-proxy
COMPILE := nice $(BIN)/python -m compileall -q -j 0 .venv/lib && touch .venv/.compiled

.PHONY: setup
setup:
	@$(PARALLEL) $(PLATFORM) .venv/.compiled labextension/node_modules/.installed

$(UV):
	@deploy/check-prerequisites
	@echo "Setting up Python packages ..."
	@"$$(deploy/find-python)" -m venv .tools/uv
	@.tools/uv/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

# What the platform itself needs; versions and hashes are the lock's.
.venv/.platform: requirements.lock | $(UV)
	@$(UV) venv --quiet --clear --python "$$(deploy/find-python)" .venv
	@$(UV) pip install --quiet --python $(BIN)/python --requirements pyproject.toml \
		--extra hub --extra lab --extra demo --extra build --constraints requirements.lock
	@touch $@

# The rest of the lock: what tests and checks need.
.venv/.synced: .venv/.platform
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --require-hashes --requirements requirements.lock
	@touch $@

# Sessions and jobs of other accounts cannot write bytecode here. The demonstration does this while it runs already.
.venv/.compiled: .venv/.synced
	@$(COMPILE)

$(PROXY)/configurable-http-proxy: deploy/proxy/package-lock.json
	@echo "Setting up the proxy ..."
	@cd deploy/proxy && npm ci --silent --no-audit --no-fund
	@touch $@

# Only those who change the labextension need these: its tests, checks and types.
labextension/node_modules/.installed: labextension/package.json labextension/yarn.lock .venv/.platform
	@echo "Setting up the labextension's tests and checks (two minutes the first time) ..."
	@cd labextension && ../$(BIN)/jlpm install --immutable > node_modules.log 2>&1 \
		|| { tail -n 20 node_modules.log; exit 1; }
	@rm -f labextension/node_modules.log
	@touch $@

$(BUILDER)/.installed: labextension/builder/package.json labextension/builder/package-lock.json
	@deploy/check-prerequisites
	@echo "Setting up what builds the labextension ..."
	@cd labextension/builder && npm ci --silent --no-audit --no-fund
	@touch $@

$(LABEXTENSION): $(LABEXTENSION_SOURCES) $(BUILDER)/.installed
	@echo "Building the labextension ..."
	@cd labextension/builder && npm run --silent build:prod > build.log 2>&1 || { tail -n 40 build.log; exit 1; }
	@rm -f labextension/builder/build.log
	@touch $@

# An editable install copies the built labextension and the server extension's switch into the environment, and makes
# JupyterLab's catalogues. It would build the labextension once more.
.venv/.installed: pyproject.toml hatch_build.py $(LAB_CATALOGUES) .venv/.platform $(LABEXTENSION)
	@SKIP_JUPYTER_BUILDER=1 $(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation \
		--reinstall-package aiinfn --editable .
	@touch $@

.PHONY: browser
browser:
	@deploy/need-chromium
