# Two commands: `make demo`, then `make test`. `make help` explains the rest.
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
.SUFFIXES:
# Where it is set, each process compiles the whole project again: tests and the demo start dozens.
unexport PYTHONDONTWRITEBYTECODE

VENV := .venv
PY := $(VENV)/bin/python
BIN := $(VENV)/bin
INSTALL := $(PY) requirements/install.py
SIZE ?= small
# Frames of a few rows lose more time between threads than they gain.
PYTEST := POLARS_MAX_THREADS=1 $(PY) -m pytest -q
# One more than cores: a worker waits a quarter of its time for the processes that it starts.
WORKERS := 3
# In the order of tests/conftest.py, files with servers first: by default files with few tests come last, and the demo,
# one long test, would end alone.
BY_FILE := --dist loadfile --no-loadscope-reorder

# A virtual environment does not survive a move of its folder: stamps carry the path, so that a moved one is made again.
PLACE := $(shell pwd | cksum | cut -d' ' -f1)
CODE := valueverse serving_api pipelines assets quality clients/python/src
OFFLINE := --metrics off --disable-version-check
MADE := $(VENV)/.made-$(PLACE)
RUN := $(VENV)/.run-$(PLACE)
DEV := $(VENV)/.dev-$(PLACE)
NODE := $(VENV)/.node-$(PLACE)
NODE_LOCKS := $(wildcard clients/*/package-lock.json tests/node/*/package-lock.json)
BENCH := $(VENV)/.bench-$(PLACE)
AUDIT := $(VENV)/.audit-$(PLACE)
SCREENSHOTS := $(VENV)/.screenshots-$(PLACE)
# An environment of its own: semgrep pins packages that Dagster and dbt use at other versions.
SCAN := $(VENV)/scan
SCANNERS := $(VENV)/.scan-$(PLACE)

# Any of them may be a shim without an interpreter behind it, too old, or without venv: asked, not assumed.
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	"$$python" -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' >/dev/null 2>&1 \
	&& { echo "$$python"; break; }; done)

.PHONY: help setup demo dev down status logs test coverage test-unit test-integration test-security test-performance kill-loop mutate mutate-security security-manifest clients decisions docs screenshots bench \
	ci lint format type validate scan audit lock clean

help: ## Show every target
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# ---------------------------------------------------------------------------------------------------- set up and run
setup: $(RUN) ## Make .venv with the locked packages (instant when nothing changed)
	@echo "$(VENV) is ready: next, make demo"

demo: $(RUN) ## Bill one real hour of traffic end to end, on embedded servers; ends with a page that shows everything
	@$(BIN)/valueverse demo

dev: $(RUN) ## Start PostgreSQL, Valkey, Dagster and the API, and print their addresses
	@$(BIN)/valueverse up

down: $(RUN) ## Stop all servers
	@$(BIN)/valueverse down

status: $(RUN) ## Servers, stages, background work, failed runs, held tenants, what was refused or not taken, disk
	@$(BIN)/valueverse status

logs: $(RUN) ## Follow the servers' logs; NAME=api for one
	@$(BIN)/valueverse logs --follow $(NAME)

# --------------------------------------------------------------------------------------------------------------- test
test: $(DEV) $(NODE) ## Every test
	@$(PYTEST) -n $(WORKERS) $(BY_FILE) $(LINTED)

coverage: $(DEV) $(NODE) ## Every test, with branch coverage of every process; fails below 85 %
	@$(PYTEST) -n $(WORKERS) $(BY_FILE) --cov --cov-report=term

test-unit: $(DEV) $(NODE) ## Tests without servers: the pure modules
	@$(PYTEST) -n $(WORKERS) -m "not integration and not security and not performance"

test-integration: $(DEV) $(NODE) ## Tests on real Postgres, Valkey, Dagster and dbt
	@$(PYTEST) -n $(WORKERS) $(BY_FILE) -m integration

test-security: $(DEV) $(NODE) ## Attempts to read or change another tenant's data or to break a credential
	@$(PYTEST) -n $(WORKERS) $(BY_FILE) -m security

test-performance: $(DEV) ## Tests that assert a ratio measured in the same run
	@$(PYTEST) -m performance || [ $$? -eq 5 ]

kill-loop: $(DEV) ## Kill -9 runs, Postgres and Valkey at random moments, then compare with a calm run; ROUNDS=30 SEED=1
	@$(PY) -m tests.kill_loop --rounds $(or $(ROUNDS),30) --seed $(or $(SEED),1)

mutate: $(DEV) ## Mutation score of money, rating, subscriptions, invoicing; SAMPLE=300 (an hour or more) or all (days)
	@$(PY) -m tests.mutation --sample $(or $(SAMPLE),300)

mutate-security: $(DEV) ## Weaken every rule of the database one at a time; each must be noticed. KIND=policy for one kind
	@$(PY) -m tests.security_mutation $(if $(KIND),--kind "$(KIND)")

security-manifest: $(DEV) ## Write what the migrations made of rights and policies, after a change of them
	@$(PY) -m tests.security_manifest

docs: $(DEV) ## Write the documents that are made from code, then the whole documentation as one site in build/site
	@$(PY) -m tests.diagrams
	@$(PY) -m tests.reference_documents
	@$(PY) -m tests.site.build

screenshots: $(SCREENSHOTS) ## Take the pictures of the runbooks from the Dagster UI that runs (make demo, valueverse up); needs Chromium
	@$(PY) -m tests.site.screenshots

clients: $(DEV) $(NODE) ## Write the generated parts of the clients, after a change of routes or of their shapes
	@$(PY) -m tests.client_code

decisions: $(DEV) ## Write the list of decisions, docs/decisions/README.md
	@$(PY) -m tests.decision_index

bench: $(BENCH) ## Print the ratios of the hot paths; SIZE=small or full
	@$(PY) -W ignore -m bench --size $(SIZE)

# ------------------------------------------------------------------------------------------------------------ quality
# `lint` has run these.
ci: LINTED := --ignore=tests/architecture
ci: lint type validate scan test ## All that has to be green before a change is merged; .ci/run runs it

lint: $(DEV) ## ruff, import contracts, SQL style, workflows, no float near money
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports
	@$(PY) -m sqlfluff lint dbt_project/models
	@$(BIN)/actionlint
	@$(PYTEST) tests/architecture

format: $(DEV) ## Format Python and SQL in place
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .
	@$(PY) -m sqlfluff fix dbt_project/models

type: $(DEV) ## Strict static typing
	@$(PY) -m mypy

validate: $(DEV) ## Load the Dagster definitions and parse the dbt project, as a deployment would
	@folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT \
	&& DO_NOT_TRACK=1 DAGSTER_HOME="$$folder" VALUEVERSE_HOME="$$folder/home" $(PY) -m dagster definitions validate -w workspace.yaml \
	&& DO_NOT_TRACK=1 $(PY) -m dbt.cli.main --quiet parse --project-dir dbt_project --profiles-dir dbt_project --target-path "$$folder/target" \
	&& echo "dbt project parses"

scan: $(SCANNERS) ## Weaknesses that bandit and the rules of .semgrep find, and secrets in any commit
	@$(SCAN)/bin/bandit --quiet --recursive --configfile pyproject.toml $(CODE)
	@$(SCAN)/bin/semgrep scan --test $(OFFLINE) --quiet --config .semgrep/rules.yaml .semgrep/rules.py
	@$(SCAN)/bin/semgrep scan $(OFFLINE) --quiet --error --config .semgrep/rules.yaml $(CODE)
	@$(SCAN)/bin/gitleaks git --no-banner --redact --verbose --log-level warn .
	@echo "bandit, semgrep and gitleaks find nothing"

audit: $(AUDIT) ## Known vulnerabilities of the locked packages; asks PyPI, so it needs the network
	@for part in uv run dev scan bench audit screenshots; do \
		echo "requirements/$$part.txt" && $(BIN)/pip-audit --strict --progress-spinner off --disable-pip --require-hashes -r requirements/$$part.txt || exit 1; done

# -------------------------------------------------------------------------------------------------------- maintenance
lock: $(DEV) ## Write the lock files from pyproject.toml
	@for part in uv run dev scan bench audit screenshots; do \
		case $$part in uv|scan) from="--group $$part";; run) from=pyproject.toml;; *) from="pyproject.toml --extra $$part";; esac; \
		$(PY) -m uv pip compile --quiet $$from --python-version 3.11 --universal --upgrade --generate-hashes \
			--no-strip-extras --no-header --no-annotate --no-emit-index-url --no-emit-find-links -o requirements/$$part.txt; done

clean: ## Stop the servers; remove their data, caches and reports, after asking (YES=1: unasked; ALL=1: .venv too)
	@if [ -d .valueverse ] && [ -z "$(YES)" ]; then \
		printf 'Delete .valueverse (%s: events, invoices, keys of this checkout)? [y/N] ' "$$(du -sh .valueverse | cut -f1)"; \
		read -r answer || answer=; \
		case "$$answer" in y|Y|yes) ;; *) echo; echo "Nothing was deleted. YES=1 deletes without asking."; exit 1;; esac; fi
	@[ ! -x $(BIN)/valueverse ] || $(BIN)/valueverse down || true
	@rm -rf .valueverse .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage .coverage.* htmlcov \
		dbt_project/target dbt_project/logs bench/data build
	@rm -rf "/var/tmp/valueverse-$$(printf %s "$(CURDIR)/.valueverse" | sha256sum | cut -c1-12)"
	@find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
	@if [ -n "$(ALL)" ]; then rm -rf $(VENV) *.egg-info; echo "Data, caches, reports and $(VENV) are deleted."; \
	else echo "Data, caches and reports are deleted; $(VENV) stays (ALL=1 deletes it too)."; fi

$(MADE):
	@[ -n "$(PYTHON)" ] || { echo "Python 3.11, 3.12 or 3.13 with venv is needed (python3 here: $$(python3 -V 2>&1 || true))."; \
		echo "Install it (Debian: apt install python3 python3-venv) or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python3.12"; exit 1; }
	@if grep -qs "$(CURDIR)/$(VENV)" $(BIN)/activate && $(PY) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
		echo "1/3 $(VENV) is there"; \
	else \
		echo "1/3 making $(VENV) with $$($(PYTHON) -V)"; rm -rf $(VENV) && $(PYTHON) -m venv $(VENV); \
	fi
	@touch $@

$(RUN): requirements/run.txt requirements/uv.txt pyproject.toml | $(MADE)
	@echo "2/3 installing the locked packages (450 MB the first time)"
	@$(INSTALL) --require-hashes -r requirements/run.txt
	@echo "3/3 installing valueverse itself"
	@$(INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

$(DEV): requirements/dev.txt $(RUN)
	@echo "installing the locked development tools"
	@$(INSTALL) --require-hashes -r requirements/dev.txt
	@touch $@

$(NODE): $(NODE_LOCKS) | $(DEV)
	@$(PY) -m tests.support.node
	@touch $@

$(BENCH): requirements/bench.txt $(RUN)
	@echo "installing the locked benchmark tools"
	@$(INSTALL) --require-hashes -r requirements/bench.txt
	@touch $@

$(SCANNERS): requirements/scan.txt requirements/uv.txt | $(MADE)
	@echo "installing the locked scanners"
	@$(PY) -m venv $(SCAN)
	@$(SCAN)/bin/python requirements/install.py --require-hashes -r requirements/scan.txt
	@touch $@

$(AUDIT): requirements/audit.txt $(RUN)
	@echo "installing the locked audit tool"
	@$(INSTALL) --require-hashes -r requirements/audit.txt
	@touch $@

$(SCREENSHOTS): requirements/screenshots.txt $(RUN)
	@echo "installing the locked driver of a browser"
	@$(INSTALL) --require-hashes -r requirements/screenshots.txt
	@touch $@
