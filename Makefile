# Everything starts from `make setup`, which the other targets run by themselves.
# All paths are relative: the directory's own name may hold spaces.

PYTHON ?= python3
PORT ?= 8000
MAIL_PORT ?= 8025
# Side by side: the tests with real processes wait more than they compute.
JOBS ?= 3
ARGS ?=

VENV := .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.installed

export PORT MAIL_PORT

.DEFAULT_GOAL := help
.PHONY: help setup run demo test prove chaos bench bench-quick bench-backlog bench-memory coverage lint format typecheck check readme clean

help: ## Show this list
	@echo "Usage: make TARGET [PORT=8000] [MAIL_PORT=8025] [PYTHON=python3.12] [JOBS=3] [ARGS='-k name']"
	@echo
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' Makefile | while IFS='|' read -r name text; do \
		printf '  %-13s %s\n' "$$name" "$$text"; done

setup: $(STAMP) .env ## Make .venv and .env; does nothing when nothing changed

# The recipe runs only when a requirements file is newer than the last complete installation, and then from
# scratch: what is no longer required must not linger.
$(STAMP): requirements/base.txt requirements/dev.txt
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "Python 3.11 or newer is needed, and '$(PYTHON)' is $$("$(PYTHON)" -V 2>&1 | tail -n 1)." \
			"Name another: make setup PYTHON=/path/to/python3.12" >&2; exit 1; }
	@"$(PYTHON)" -c 'import venv, ensurepip' 2>/dev/null || { \
		echo "'$(PYTHON)' comes without venv. Install it (on Debian and Ubuntu: apt install python3-venv)." >&2; exit 1; }
	@echo "Installing into $(VENV) ..."
	@"$(PYTHON)" -m venv --clear $(VENV)
	@$(PY) -m pip install --quiet --disable-pip-version-check -r requirements/dev.txt
	@touch $(STAMP)

.env:
	@umask 077; key=$$("$(PYTHON)" -c 'import secrets; print(secrets.token_urlsafe(48))') && \
		printf 'DEBUG=on\nSECRET_KEY=%s\n' "$$key" > .env

run: setup ## The whole site in this terminal: broker, mail, worker, web server, demo data
	@$(PY) -m project.dev.run

demo: setup ## Play a reader's story on a stack of its own and check every effect
	@$(PY) -m project.dev.demo

test: setup ## All tests, real broker and worker processes included; choose some with ARGS
	@$(PY) -m pytest -n $(JOBS) --dist worksteal $(ARGS)

prove: setup ## Switch each guarantee's mechanism off in a copy: the test that misses it has to fail
	@$(PY) -m tests.proofs $(ARGS)

chaos: setup ## Break things under load and compare a ledger; CHAOS_MINUTES, CHAOS_SEED …: see docs/chaos.md
	@$(PY) -m tests.chaos $(ARGS)

bench: setup ## Speed against Celery alone and against the peers; choose rows with ARGS: see --help
	@$(PY) -m benchmarks $(ARGS)

bench-quick: setup ## The most important rows of it in a minute, too small to be believed
	@$(PY) -m benchmarks --rows request,bulk-save,drain-bulk,drain-single,latency --rounds 1 --scale 0.1 $(ARGS)

bench-backlog: setup ## Messages that a backlog of 100,000 deliveries costs, for each needed; 10 minutes
	@$(PY) -m benchmarks.backlog $(ARGS)

bench-memory: setup ## Memory after a million deliveries against after ten thousand
	@$(PY) -m benchmarks.memory $(ARGS)

coverage: setup ## The tests, then what they did not reach
	@$(PY) -m coverage run -m pytest $(ARGS)
	@$(PY) -m coverage report --skip-covered --show-missing

lint: setup ## Style, and the directions of imports
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(VENV)/bin/lint-imports

format: setup ## Repair what lint finds, where that is safe
	@$(PY) -m ruff check --fix .
	@$(PY) -m ruff format .

typecheck: setup ## mypy --strict on the bus
	@$(PY) -m mypy

check: lint typecheck ## Everything that needs no running process
	@$(PY) manage.py check
	@$(PY) manage.py makemigrations --check --dry-run

readme: setup ## Write the table of signals in README.md anew
	@$(PY) -m project.dev.readme

clean: ## Remove .venv, caches and all local data in var/
	@rm -rf $(VENV) var .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .coverage htmlcov
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
