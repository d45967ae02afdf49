# make demo     a whole company's mail on 127.0.0.1, from an empty machine
# make test     the tests, with everything they need
# make install  what both start with: Debian packages, .venv, locked Python packages
# make docs     the generated pages of docs/reference
# make check    lint, types and formatting        make dist   wheel and source archive
SHELL := /bin/bash
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# tests wait a third of their time
WORKERS ?= $(shell echo $$(( $$(nproc) + 1 )))
STAMPS := .stamps
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
RUN_PACKAGES := slapd
TEST_PACKAGES := ldap-utils libevent-2.1-7 postfix swaks libnet-ssleay-perl isync offlineimap3 mutt msmtp curl openssl strace systemd rspamd opendkim opendkim-tools iproute2 chromium fonts-dejavu-core fonts-wqy-zenhei thunderbird dovecot-imapd dovecot-pop3d

.PHONY: demo stop test check format install install-dev docs dist clean apt-run apt-test

demo: install
	$(BIN)/gatepost demo --dir .demo

stop:
	$(BIN)/gatepost stop --dir .demo

test: install-dev
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup --no-loadscope-reorder $(PYTEST_ARGS)

check: install-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: install-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

install: apt-run $(STAMPS)/runtime

install-dev: apt-run apt-test $(STAMPS)/dev

docs: install-dev
	$(BIN)/gatepost describe --markdown > docs/reference/configuration.md
	$(BIN)/gatepost describe --commands > docs/reference/commands.md

dist: install-dev
	$(PIP) install --require-hashes --no-deps -r locks/build.txt
	$(BIN)/python -m hatchling build

clean:
	rm -rf $(VENV) $(STAMPS) dist build

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Gatepost needs Python 3.11 or newer, this is " + sys.version.split()[0])'
	$(PYTHON) -m venv $(VENV)

$(STAMPS)/runtime: locks/runtime.txt locks/build.txt pyproject.toml | $(BIN)/python
	@echo "installing locked packages into $(VENV)"
	@mkdir -p $(STAMPS)
	$(PIP) install --require-hashes --no-deps -r locks/runtime.txt
	$(PIP) install --require-hashes --no-deps -r locks/build.txt
	$(PIP) install --no-deps --no-build-isolation -e .
	@# where PYTHONDONTWRITEBYTECODE is set pip leaves no bytecode and every start compiles again
	@env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m compileall -q $(VENV)/lib gateway directory webadmin || true
	@touch $@

$(STAMPS)/dev: locks/dev.txt $(STAMPS)/runtime
	$(PIP) install --require-hashes --no-deps -r locks/dev.txt
	@env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m compileall -q $(VENV)/lib || true
	@touch $@

apt-run:
	@$(MAKE) --no-print-directory .apt WANTED="$(RUN_PACKAGES)"

apt-test:
	@$(MAKE) --no-print-directory .apt WANTED="$(TEST_PACKAGES)"

# Installs what is missing of $(WANTED). Debian starts its own slapd on the world's port 389 when the
# package is new; the debconf answer keeps it from configuring one, so only Gatepost's private slapd runs.
# Nor is any other daemon started because its package is new (policy-rc.d): tests start what they need.
.PHONY: .apt
.apt:
	@missing=; for p in $(WANTED); do dpkg-query -W -f='$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || missing="$$missing $$p"; done; \
	[ -z "$$missing" ] && exit 0; \
	if [ "$$(id -u)" = 0 ]; then root=; elif sudo -n true 2>/dev/null; then root="sudo -n"; \
	else echo "Please install as root:  apt-get install$$missing" >&2; exit 1; fi; \
	command -v apt-get >/dev/null || { echo "Please install these packages:$$missing" >&2; exit 1; }; \
	echo "installing Debian packages:$$missing"; \
	log=$$(mktemp); policy=; \
	[ -e /usr/sbin/policy-rc.d ] || { policy=/usr/sbin/policy-rc.d; printf '#!/bin/sh\nexit 101\n' | $$root tee $$policy >/dev/null && $$root chmod 755 $$policy; }; \
	case "$$missing" in *slapd*) echo 'slapd slapd/no_configuration boolean true' | $$root debconf-set-selections;; esac; \
	case "$$missing" in *postfix*) echo 'postfix postfix/main_mailer_type select No configuration' | $$root debconf-set-selections;; esac; \
	{ $$root apt-get update -qq && $$root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing; } >$$log 2>&1 \
	|| { cat $$log >&2; failed=1; }; rm -f $$log; [ -z "$$policy" ] || $$root rm -f $$policy; [ -z "$$failed" ]
