# Requires make and Python 3.11 or later. Run `make` to list the targets.
#
#   PYTHON=python3.12  Python that creates the environment (default: the first that works)
#   VENV=.venv         folder of the environment
#   ARGS="-k admin"    arguments for the command
#   PROCESSES=0        number of processes that run tests (default: two more than processors, if there is memory)

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?=
VENV ?= .venv
ARGS ?=
PROCESSES ?= auto
SAM_VERSION := 1.170.0
CHECKOV_VERSION := 3.3.30
MUTMUT_VERSION := 3.8.1
PYRIGHT_VERSION := 1.40.2

BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export SAM_CLI_TELEMETRY := 0

# A misspelt variable would have no effect and no message.
VARIABLES := ARCHITECTURE ARGS ARTIFACTS_DIR DRIVERS PLAIN PROCESSES PYTHON REQUIREMENTS SAM_VERSION SERVICES TRUST VENV
UNKNOWN := $(strip $(foreach name,$(filter-out $(VARIABLES),$(.VARIABLES)),$(if $(filter command,$(origin $(name))),$(name))))
ifneq ($(UNKNOWN),)
$(error There is no variable $(UNKNOWN); choose from: $(VARIABLES))
endif
ifneq ($(words $(VENV)),1)
$(error VENV must name one folder, without spaces)
endif
# Without this check, an environment of another Python would be used without a message.
version = $(shell $(1) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
ifneq ($(and $(PYTHON),$(wildcard $(BIN)/python),$(filter-out clean help,$(or $(MAKECMDGOALS),help))),)
ifneq ($(call version,$(PYTHON)),$(call version,$(BIN)/python))
$(error $(VENV) has another Python than $(PYTHON); name another folder, such as VENV=.venv-other, or run `make clean` first)
endif
endif

# The name of a stamp contains a digest of its inputs and of the path, because environments cannot be moved.
# A changed lock is installed again; an unchanged one is not.
digest = $(firstword $(shell cat $(1) 2>/dev/null | { cat; pwd; } | cksum))
LOCAL := $(VENV)/.local-$(call digest,locks/local.txt pyproject.toml)
DEV := $(VENV)/.dev-$(call digest,locks/dev.txt pyproject.toml)
SAM := .venv-sam/.sam-$(SAM_VERSION)-$(call digest,/dev/null)
PYRIGHT := .venv-pyright/.pyright-$(PYRIGHT_VERSION)-$(call digest,/dev/null)
MUTMUT := .venv-mutmut/.mutmut-$(MUTMUT_VERSION)-$(call digest,locks/dev.txt pyproject.toml)
CHECKOV := .venv-checkov/.checkov-$(CHECKOV_VERSION)-$(call digest,/dev/null)
UV := .venv-uv/.uv-$(call digest,locks/uv.txt)
BUILD := .venv-build/.build-$(call digest,locks/build.txt)
SBOM := .venv-sbom/.sbom-$(call digest,locks/sbom.txt)
RUNTIME := .venv-lambda/.runtime-$(call digest,locks/runtime.txt)

# Runs each Python before it is used: version managers leave commands whose interpreter is missing,
# and Debian puts the requirements of `venv` into a separate package.
define find_python
set -e; found=; bare=; \
for python in $(or $(PYTHON),python3.13 python3.12 python3.11 python3.14 python3); do \
  "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 || continue; \
  if "$$python" -c 'import venv, ensurepip' >/dev/null 2>&1; then found=$$python; break; fi; \
  bare=$${bare:-$$python}; \
done; \
if [ -z "$$found" ] && [ -n "$$bare" ]; then \
  echo "$$bare cannot create virtual environments. On Debian and Ubuntu:" >&2; \
  "$$bare" -c 'import sys; print("  apt-get install python3.%d-venv" % sys.version_info[1])' >&2; \
  exit 1; \
fi; \
if [ -z "$$found" ]; then \
  echo "No Python 3.11 or later works here (tried: $(or $(PYTHON),python3.13 python3.12 python3.11 python3.14 python3))." >&2; \
  echo "Install one, or name it: make PYTHON=..." >&2; \
  exit 1; \
fi
endef

# $(1): the folder. An environment whose interpreter does not work is created again; any other folder is not changed.
define make_venv
if [ -n "$$(ls -A $(1) 2>/dev/null)" ] && [ ! -e $(1)/pyvenv.cfg ]; then \
  echo "$(1) is not empty and not a virtual environment; name another folder: make ... VENV=.venv" >&2; exit 2; \
fi; \
if ! $(1)/bin/python -m pip --version >/dev/null 2>&1; then "$$found" -m venv --clear $(1); fi; \
echo '*' > $(1)/.gitignore
endef

# $(1): a stamp. uv is only needed if it is missing: make would look for it at each call, also without a network.
uv_for = $(if $(wildcard $(1)),,$(UV))

# $(1): an interpreter, in whose environment $(2) is installed. uv takes a tenth of pip's time; pip also knows an index
# that is only in pip's configuration.
define pip_install
{ .venv-uv/bin/uv pip install --quiet --python $(1) $(2) 2>/dev/null || $(1) -m pip install -qq $(2); }
endef

# $(1): the lock's name. Both sets share one environment, so the stamp of the other set is removed: it may be outdated.
define install
@$(find_python); \
echo "Installing the $(1) set into $(VENV) (once, about a minute) ..."; \
$(call make_venv,$(VENV)); \
rm -f $(VENV)/.local-* $(VENV)/.dev-*; \
$(call pip_install,$(BIN)/python,--require-hashes -r locks/$(1).txt); \
$(call pip_install,$(BIN)/python,--no-deps -e .); \
touch $@
endef

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

# The dev set includes the local one.
COMMAND := $(or $(wildcard $(DEV)),$(LOCAL))

.PHONY: install
install: $(COMMAND) ## Install the command `rotators` on this machine, and print how to use it
	@echo "Installed: $(BIN)/rotators. To call it by its short name in this terminal:"
	@echo "  . $(BIN)/activate"
	@echo "Next: \`rotators demo\` for a rotation on this machine, \`rotators --help\` for all commands."

.PHONY: demo
demo: $(COMMAND) ## Rotate a real database's password on this machine, and show each step
	@$(BIN)/rotators demo $(ARGS)

# With this variable, each process that a test starts would compile all modules again.
unexport PYTHONDONTWRITEBYTECODE

# The tests of a module or class share its fixtures, so they run in one process. A process that dies ends the run,
# because xdist would wait for the rest of its tests forever.
PYTEST := $(BIN)/python -m pytest -n $(PROCESSES) --dist loadscope --no-loadscope-reorder --max-worker-restart=0 \
  --durations=10

.PHONY: test
test: $(DEV) ## Run all tests that this machine can run (ARGS go to pytest)
	@$(PYTEST) $(ARGS)

.PHONY: test-unit
test-unit: $(DEV) ## Run the tests that need no server and start no process
	@$(PYTEST) -m unit $(ARGS)

# The folders with tests of the packages in [tool.coverage.run], on real servers. `make test` does not trace, because tracing is slow.
ENGINES := $(patsubst rotators/engines/%/__init__.py,tests/%,$(wildcard rotators/engines/*/__init__.py))
COVERING := tests/core tests/engines $(ENGINES) tests/recovery tests/testing \
  tests/cli/test_check.py tests/cli/test_schema.py tests/client/test_drivers.py

.PHONY: coverage
coverage: $(DEV) ## Measure the branches that tests reach; fails below the level in pyproject.toml
	@$(PYTEST) --cov --cov-report=term:skip-covered $(COVERING) $(ARGS)

.PHONY: mutation
mutation: $(MUTMUT) ## Run mutation tests; list and count the mutants that no test detects (ARGS: e.g. "rotators.core.steps*")
	@.venv-mutmut/bin/mutmut run $(ARGS); .venv-mutmut/bin/mutmut results --all true | awk -f tests/mutants.awk

.PHONY: lint
lint: $(DEV) ## Check style and types
	@$(BIN)/python -m ruff check .
	@$(BIN)/python -m ruff format --check .
	@$(BIN)/python -m mypy

.PHONY: types
types: $(DEV) $(PYRIGHT) ## Check the types of the public API with a second checker (pyright)
	@.venv-pyright/bin/basedpyright --pythonpath $(BIN)/python

.PHONY: crash-matrix
crash-matrix: $(DEV) ## Stop rotations at every crash point and recover them (ARGS: e.g. --json)
	@$(BIN)/rotators matrix $(ARGS)

.PHONY: bench
bench: $(DEV) ## Measure the calls and logins of rotations (ARGS go to the benchmarks)
	@$(BIN)/python -m benchmarks $(ARGS)

.PHONY: bench-cache
bench-cache: $(DEV) ## Compare the cache with two other caches (ARGS go to the benchmark)
	@$(BIN)/python -m benchmarks.cache $(ARGS)

.PHONY: bench-manage
bench-manage: $(DEV) ## Measure the commands about all secrets, with 2,000 of them (ARGS go to the benchmark)
	@$(BIN)/python -m benchmarks.manage $(ARGS)

.PHONY: bench-audit
bench-audit: $(DEV) ## Measure the questions of `rotators audit` over 500,000 records (ARGS go to the benchmark)
	@$(BIN)/python -m benchmarks.audit $(ARGS)

.PHONY: bench-availability
bench-availability: $(DEV) ## Count applications' failed logins while rotations run (about half an hour)
	@$(BIN)/python -m benchmarks.availability $(ARGS)

.PHONY: docs
docs: $(DEV) ## Generate docs/reference/errors.md from the code
	@$(BIN)/python docs/errors.py > docs/reference/errors.md

.PHONY: picture
picture: $(DEV) ## Record `rotators demo` as docs/images/demo.svg
	@$(BIN)/python docs/picture.py

.PHONY: screenshots
screenshots: $(DEV) ## Take the pictures of the page in docs/images (requires chromium and chromium-driver)
	@PYTHONPATH=. $(BIN)/python docs/screenshots.py

# dev is locked first; the other locks use its versions, so all locks contain the tested versions.
.PHONY: lock
lock: $(UV) ## Generate locks/ from pyproject.toml (ARGS: e.g. --upgrade)
	@set -e; compile() { \
	  .venv-uv/bin/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url \
	    --no-emit-find-links --no-header --python-version 3.11 $(ARGS) pyproject.toml "$$@"; }; \
	compile --all-extras --group dev -o locks/dev.txt; \
	for extra in local $$(.venv-uv/bin/python artifact/extras.py); do \
	  compile --extra "$$extra" --constraint locks/dev.txt -o "locks/$$extra.txt"; \
	done; \
	.venv-uv/bin/uv pip compile --quiet --generate-hashes --no-emit-index-url --no-header --python-version 3.13 \
	  $(ARGS) --group runtime -o locks/runtime.txt; \
	for tools in build sbom uv; do \
	  .venv-uv/bin/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header \
	    --python-version 3.11 $(ARGS) --group $$tools -o locks/$$tools.txt; \
	done; \
	.venv-uv/bin/uv run --quiet --no-project --with-requirements locks/handlers.txt python -c \
	  'from botocore.session import Session; print(*sorted(Session().get_available_services()), sep="\n")' \
	  > .venv-uv/services.txt; \
	mv .venv-uv/services.txt artifact/services.txt

.PHONY: validate
validate: $(SAM) ## Check template.yaml
	@.venv-sam/bin/sam validate --lint

.PHONY: scan
scan: $(CHECKOV) ## Check template.yaml and the examples with a policy scanner (checkov)
	@.venv-checkov/bin/python tests/scan.py template.yaml examples/*/template.yaml

.PHONY: clean
clean: ## Remove all files that make created
	@if [ -e $(VENV)/pyvenv.cfg ]; then rm -rf $(VENV); fi
	rm -rf mutants .coverage .venv-mutmut .venv-sam .venv-checkov .venv-pyright .venv-uv .venv-build .venv-sbom .venv-lambda .aws-sam build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .servers

# If an interpreter is missing, for example after an upgrade of the system, its environment is installed again.
$(BIN)/python .venv-mutmut/bin/python .venv-sam/bin/python .venv-checkov/bin/python .venv-pyright/bin/python .venv-uv/bin/python .venv-build/bin/python .venv-sbom/bin/python:
	@$(find_python); $(call make_venv,$(@:/bin/python=))

$(LOCAL): $(BIN)/python | $(call uv_for,$(LOCAL))
	$(call install,local)

$(DEV): $(BIN)/python | $(call uv_for,$(DEV))
	$(call install,dev)

# Each tool has a separate environment, so that its requirements do not affect the versions that the tests use.
# Stamps of other versions are removed first, because the installation replaces those versions.
$(SAM): .venv-sam/bin/python | $(call uv_for,$(SAM))
	@echo "Installing aws-sam-cli $(SAM_VERSION) (once, about a minute) ..."; rm -f .venv-sam/.sam-*; \
	$(call pip_install,$<,aws-sam-cli==$(SAM_VERSION)) && touch $@

$(CHECKOV): .venv-checkov/bin/python | $(call uv_for,$(CHECKOV))
	@echo "Installing checkov $(CHECKOV_VERSION) (once, about two minutes) ..."; rm -f .venv-checkov/.checkov-*; \
	$(call pip_install,$<,checkov==$(CHECKOV_VERSION)) && touch $@

# mutmut runs the tests in its own process, so its environment contains their requirements.
$(MUTMUT): .venv-mutmut/bin/python | $(call uv_for,$(MUTMUT))
	@echo "Installing mutmut $(MUTMUT_VERSION) (once, about a minute) ..."; rm -f .venv-mutmut/.mutmut-*; \
	$(call pip_install,$<,--require-hashes -r locks/dev.txt) && \
	$(call pip_install,$<,-c locks/dev.txt mutmut==$(MUTMUT_VERSION)) && \
	$(call pip_install,$<,--no-deps -e .) && touch $@

# basedpyright is pyright with an included Node.js, so it downloads nothing when it runs.
$(PYRIGHT): .venv-pyright/bin/python | $(call uv_for,$(PYRIGHT))
	@echo "Installing pyright $(PYRIGHT_VERSION) (once) ..."; rm -f .venv-pyright/.pyright-*; \
	$(call pip_install,$<,basedpyright==$(PYRIGHT_VERSION)) && touch $@

# Without uv, pip installs everything; only `make lock` needs uv.
$(UV): .venv-uv/bin/python
	@rm -f .venv-uv/.uv-*; if $< -m pip install -qq --require-hashes -r locks/uv.txt; then touch $@; fi

$(BUILD): .venv-build/bin/python | $(call uv_for,$(BUILD))
	@rm -f .venv-build/.build-*; $(call pip_install,$<,--require-hashes -r locks/build.txt) && touch $@

$(SBOM): .venv-sbom/bin/python | $(call uv_for,$(SBOM))
	@rm -f .venv-sbom/.sbom-*; $(call pip_install,$<,--require-hashes -r locks/sbom.txt) && touch $@

# uv is the last resort if no Python of Lambda's version is installed.
define find_lambda_python
"$$found" artifact/pythons.py >/dev/null 2>&1 || $(MAKE) --silent $(UV)
endef

# --- Artifact for Lambda ----------------------------------------------------------------------------------------
# The functions differ only in their handlers, so they are copies of one artifact. See docs/reference/artifact.md.
#
#   ARCHITECTURE=x86_64          the processor (default arm64)
#   DRIVERS=postgres             the drivers, by the names of the extras in pyproject.toml (default: those of `lambda`)
#   REQUIREMENTS=mine.txt        additional packages, such as your own rotators
#   SERVICES=dynamodb            AWS services that they need, by boto3's names
#   TRUST=global-bundle.pem      a file to add, such as trusted roots
#   PLAIN=1                      without byte code, as pip installs it

ARCHITECTURE ?= arm64
DRIVERS ?=
REQUIREMENTS ?=
SERVICES ?=
TRUST ?=
PLAIN ?=
export ARCHITECTURE DRIVERS REQUIREMENTS SERVICES TRUST PLAIN

ifneq ($(filter dist,$(MAKECMDGOALS)),)
ifneq ($(filter command,$(origin ARCHITECTURE)),)
$(error `make dist` builds for both processors; remove ARCHITECTURE)
endif
endif

# Check the variables above before anything is installed or built.
.PHONY: choices
choices:
	@$(find_python); "$$found" artifact/inputs.py >/dev/null

# The folder's name contains a digest of all inputs of the artifact, so nothing is built twice.
define make_artifact
$(find_python); folder="$$("$$found" artifact/inputs.py)"; \
if [ ! -d "$$folder" ]; then $(find_lambda_python); .venv-build/bin/python artifact/build.py "$$folder"; fi
endef

.PHONY: build
build: choices $(BUILD) $(SAM) ## Build the artifact for Lambda, into .aws-sam/build
	@.venv-sam/bin/sam build $(ARGS) --build-dir .aws-sam/build --parameter-overrides Architecture=$(ARCHITECTURE)
	@$(find_python); "$$found" artifact/record.py .aws-sam/build/template.yaml

.PHONY: artifact
artifact: choices $(BUILD) ## Build the artifact into a folder below build/, and print the folder
	@$(make_artifact); echo "$$folder"

# `sam build` calls these, once per function, with ARTIFACTS_DIR.
.PHONY: build-RotateFunction build-StoreFunction build-RetrieveFunction build-OperateFunction build-NotifyFunction build-ReceiptFunction build-WidgetFunction
build-RotateFunction build-StoreFunction build-RetrieveFunction build-OperateFunction build-NotifyFunction build-ReceiptFunction build-WidgetFunction: choices $(BUILD)
	@$(make_artifact); cp -R "$$folder"/. "$(ARTIFACTS_DIR)"

.PHONY: tools
tools: $(BUILD) $(SBOM) $(UV) ## Install the tools of `make dist` and of the package tests
	@:

.PHONY: dist
dist: choices $(BUILD) $(SBOM) ## Create the files of a release in dist/, with an SBOM and checksums
	@$(find_python); $(find_lambda_python); .venv-build/bin/python artifact/dist.py

.PHONY: sizes
sizes: $(BUILD) ## Measure the artifact with each driver, and write the table in docs/reference/artifact.md
	@$(find_python); $(find_lambda_python); .venv-build/bin/python artifact/sizes.py

# A Python of Lambda's version with Lambda's runtime client, which runs the artifact locally. The client gets byte code
# at once: otherwise the first function that may write it does, and cold starts before and after that differ.
.PHONY: runtime
runtime: $(RUNTIME) ## Install the runtime that runs the artifact on this machine

.venv-lambda/bin/python:
	@$(find_python); $(find_lambda_python); python="$$("$$found" artifact/pythons.py)"; \
	rm -rf .venv-lambda; "$$python" -m venv .venv-lambda; echo '*' > .venv-lambda/.gitignore

$(RUNTIME): .venv-lambda/bin/python | $(call uv_for,$(RUNTIME))
	@echo "Installing Lambda's runtime client into .venv-lambda (once) ..."; rm -f .venv-lambda/.runtime-*; \
	$(call pip_install,$<,--require-hashes --only-binary=:all: -r locks/runtime.txt) && \
	$< -m compileall -q .venv-lambda/lib && touch $@

.PHONY: deploy-local
deploy-local: $(DEV) $(RUNTIME) ## Deploy the template into a local AWS, and rotate with the artifact
	@$(BIN)/rotators deploy-local $(ARGS)

.PHONY: bench-cold
bench-cold: $(DEV) $(RUNTIME) ## Compare the cold starts of the artifact and a plain one (ARGS go to the benchmark)
	@$(BIN)/python -m benchmarks.cold $(ARGS)
