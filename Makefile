# The commands of this project; `make` alone lists them. Each does its own set-up first.

SHELL := /bin/bash
PYTHON := .venv/bin/python
# Some environments forbid the bytecode cache; without it every command would compile Django anew (3 s).
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help up password test check format bench guest lock clean

help:  ## list these commands
	@sed -n 's/^\([a-z]*\):.*##/\1/p' $(MAKEFILE_LIST) | while read -r name text; do printf '  make %-10s %s\n' "$$name" "$$text"; done

up:  ## set up and start the whole portal; Ctrl-C stops it (KVWEB_PORT=8000, KVWEB_HOST, KVWEB_HOME)
	@tools/setup.sh
	@exec $(PYTHON) -m tools.up

password:  ## set a new password (USER_NAME=admin)
	@$(PYTHON) manage.py changepassword $(or $(USER_NAME),admin)

test:  ## set up and run all tests (ARGS="-k name" goes to pytest)
	@tools/setup.sh --tests
	@exec $(PYTHON) -m tools.test $(ARGS)

check:  ## format, lint, types, import rules, migrations
	@tools/setup.sh --tests
	@exec $(PYTHON) -m tools.check

format:  ## put the code into its form
	@tools/setup.sh --tests
	@.venv/bin/ruff format --quiet
	@.venv/bin/ruff check --fix

bench:  ## measure, each value beside its baseline; writes var/bench.jsonl (ARGS="name" picks some)
	@tools/setup.sh --tests
	@exec $(PYTHON) -m tools.bench $(ARGS)

guest:  ## build the small guest image that tests and first virtual machines use
	@tools/setup.sh --tests
	@exec $(PYTHON) -m guest.build --out var/guest/kvweb-guest.qcow2

lock:  ## choose current versions of all dependencies anew
	@tools/setup.sh --tests
	@exec tools/lock.sh

clean:  ## remove caches and what set-up installed; the portal's state in var/ stays
	@rm -rf .venv node_modules var/cache var/stamps
