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
PYTEST = $(PY) -m pytest -n $(JOBS) --dist worksteal $(ARGS)
MYSQL_STAMP := $(VENV)/.installed-mysql
# The peers' packages never meet the project's.
BENCH_VENV := .venv-bench
BENCH_STAMP := $(BENCH_VENV)/.installed

export PORT MAIL_PORT

.DEFAULT_GOAL := help
.PHONY: help setup run demo test test-all test-postgres test-mariadb test-rabbitmq test-pgbouncer test-matrix prove chaos bench bench-quick bench-peers bench-backlog bench-memory coverage lint format typecheck check readme up down logs ps scale shell test-docker clean

help: ## Show this list
	@echo "Usage: make TARGET [PORT=8000] [MAIL_PORT=8025] [PYTHON=python3.12] [JOBS=3] [ARGS='-k name']"
	@echo
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' Makefile | while IFS='|' read -r name text; do \
		printf '  %-14s %s\n' "$$name" "$$text"; done

setup: $(STAMP) .env ## Make .venv and .env; does nothing when nothing changed

# The recipe runs only when a requirements file is newer than the last complete installation, and then from
# scratch: what is no longer required must not linger.
$(STAMP): requirements/base.txt requirements/dev.txt requirements/telemetry.txt
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "Python 3.11 or newer is needed, and '$(PYTHON)' is $$("$(PYTHON)" -V 2>&1 | tail -n 1)." \
			"Name another: make setup PYTHON=/path/to/python3.12" >&2; exit 1; }
	@"$(PYTHON)" -c 'import venv, ensurepip' 2>/dev/null || { \
		echo "'$(PYTHON)' comes without venv. Install it (on Debian and Ubuntu: apt install python3-venv)." >&2; exit 1; }
	@echo "Installing into $(VENV) ..."
	@"$(PYTHON)" -m venv --clear $(VENV)
	@$(PY) -m pip install --quiet --disable-pip-version-check -r requirements/dev.txt
	@touch $(STAMP)

$(MYSQL_STAMP): requirements/mysql.txt $(STAMP)
	@$(PY) -m pip install --quiet --disable-pip-version-check -r requirements/mysql.txt || { \
		echo "mysqlclient is compiled, and something for it is missing" \
			"(Debian: apt-get install gcc pkg-config python3-dev libmariadb-dev)." >&2; exit 1; }
	@touch $(MYSQL_STAMP)

.env:
	@umask 077; key=$$("$(PYTHON)" -c 'import secrets; print(secrets.token_urlsafe(48))') && \
		printf 'DEBUG=on\nSECRET_KEY=%s\n' "$$key" > .env

run: setup ## The whole site in this terminal: broker, mail, worker, web server, demo data
	@$(PY) -m project.dev.run

demo: setup ## Play a reader's story on a stack of its own and check every effect
	@$(PY) -m project.dev.demo

test: setup ## All tests, real broker and worker processes included; choose some with ARGS
	@$(PYTEST)

test-all: ## All tests on PostgreSQL, on MariaDB, with RabbitMQ as broker, and behind PgBouncer, one after the other
	@failed=; for engine in postgres mariadb rabbitmq pgbouncer; do \
		echo "=== $$engine"; $(MAKE) --no-print-directory test-$$engine || failed="$$failed $$engine"; done; \
	[ -z "$$failed" ] || { echo "Not passed:$$failed" >&2; exit 1; }

test-postgres: setup ## All tests on a PostgreSQL of their own
	@$(PY) -m project.dev.postgres -- $(PYTEST)

test-mariadb: setup $(MYSQL_STAMP) ## All tests on a MariaDB of their own
	@$(PY) -m project.dev.mariadb -- $(PYTEST)

test-rabbitmq: setup ## All tests with RabbitMQ as broker: quorum queues, confirms
	@TEST_BROKER=rabbitmq $(PYTEST)

test-pgbouncer: setup ## Those with real processes, which find PostgreSQL behind PgBouncer in transaction mode
	@TEST_PGBOUNCER=on $(PY) -m project.dev.postgres -- $(PYTEST) $(if $(ARGS),,tests/processes tests/project/test_pgbouncer.py)

test-matrix: setup ## All tests on each Python and Django that is promised, in .venv-matrix
	@$(PY) -m project.dev.matrix -n $(JOBS) --dist worksteal $(ARGS)

prove: setup ## Switch each guarantee's mechanism off in a copy: the test that misses it has to fail
	@$(PY) -m tests.proofs $(ARGS)

chaos: setup ## Break things under load and compare a ledger; CHAOS_MINUTES, CHAOS_SEED …: see docs/chaos.md
	@$(PY) -m tests.chaos $(ARGS)

bench: bench-peers ## Speed against Celery alone and against the peers, 15 minutes; choose with ARGS: see --help
	@$(PY) -m benchmarks $(ARGS)

bench-quick: setup ## A minute of it, on SQLite against Celery alone: too little to be believed
	@$(PY) -m benchmarks --rows request,drain-bulk,latency --databases sqlite --subjects ours,baseline \
		--rounds 1 --scale 0.1 $(ARGS)

bench-peers: setup $(BENCH_STAMP) ## Make .venv-bench, with the peers that are measured

$(BENCH_STAMP): requirements/base.txt requirements/bench.txt
	@echo "Installing into $(BENCH_VENV) ..."
	@"$(PYTHON)" -m venv --clear $(BENCH_VENV)
	@$(BENCH_VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r requirements/bench.txt
	@touch $(BENCH_STAMP)

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

readme: setup ## Write the tables of signals and of benchmarks in README.md anew
	@$(PY) -m project.dev.readme
	@$(PY) -m benchmarks.readme

# --- In containers: docs/containers.md -----------------------------------------------------------------------

PROFILES ?=
SERVICE ?= web
# What `make up` was given is in .env: our own defaults must not win over it.
GIVEN := $(foreach name,PORT MAIL_PORT,$(if $(filter file,$(origin $(name))),,$(name)))
COMPOSE := env $(foreach name,$(filter-out $(GIVEN),PORT MAIL_PORT),-u $(name)) docker compose

up: ## The site in containers, at PORT; PROFILES=rabbitmq,observability for more. Writes what .env lacks
	@$(COMPOSE) version >/dev/null 2>&1 || { \
		echo "Docker with Compose v2 is needed: docker compose version should answer." >&2; exit 1; }
	@deploy/env.sh "$(PROFILES)" $(foreach name,$(GIVEN),$(name)=$($(name)))
	@$(COMPOSE) up --build --detach --wait $(ARGS)
	@echo "The library: http://$$($(COMPOSE) port web 8000)/    Its mail: http://$$($(COMPOSE) port mail 8025)/"
	@echo "Books, readers and an admin to begin with: docker compose exec web python manage.py demo_data"

down: ## Stop and remove the containers; the data stay in their volumes
	@$(COMPOSE) --profile "*" down $(ARGS)

logs: ## What the containers say, from now on; of some with ARGS='web worker-emails'
	@$(COMPOSE) logs --follow --tail 100 $(ARGS)

ps: ## Which containers run, and whether they are healthy
	@$(COMPOSE) ps --all $(ARGS)

scale: ## More workers of a kind, or fewer: make scale ARGS=worker-emails=3
	@$(COMPOSE) scale $(ARGS)

shell: ## A shell in a container: of web, or SERVICE=worker-emails
	@$(COMPOSE) exec $(SERVICE) bash

test-docker: setup ## The compose stack and workers in containers, killed under load; needs Docker
	@$(PY) -m pytest tests/docker -n 0 $(ARGS)

clean: ## Remove .venv, caches and all local data in var/
	@rm -rf $(VENV) $(BENCH_VENV) .venv-matrix var .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .coverage htmlcov
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
