# The doors of the house: make run, make test, make bench. Needs python3 with venv (Debian: python3-venv), nothing else.

VENV ?= .venv
PORT ?= 8080
STATE ?= var
# What make bench is asked for; nothing: everything.
BENCH ?=
PYTHON = $(VENV)/bin/python
PIP = $(PYTHON) -m pip --disable-pip-version-check install --quiet --editable

.PHONY: run test bench clean

run: $(VENV)/.installed
	@mkdir -p -m 700 $(STATE)
	@echo 'MegaComet: http://127.0.0.1:$(PORT)/, the API at http://127.0.0.1:$(PORT)/api/, its key in $(STATE)/api-key'
	@echo 'Push to the client sue, who polls http://127.0.0.1:$(PORT)/sue.js:'
	@echo '  curl -H "Authorization: Bearer $$(cat $(STATE)/api-key)" --json '\''{"client": "sue", "data": "hello"}'\'' http://127.0.0.1:$(PORT)/api/push'
	@MEGACOMET_STATE_DIR=$(STATE) exec $(VENV)/bin/twistd --nodaemon --pidfile=$(STATE)/twistd.pid megacomet --port $(PORT)

test: $(VENV)/.installed-test
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(PYTHON) -m pytest --cov --cov-branch

bench: $(VENV)/.installed-bench
	$(PYTHON) -m bench $(BENCH)

# The set-up, done again when what is installed has changed.
$(VENV)/.installed: setup.py pyproject.toml
	@echo 'Setting up $(VENV)'
	python3 -m venv $(VENV)
	$(PIP) .
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(PIP) '.[test]'
	@touch $@

$(VENV)/.installed-bench: $(VENV)/.installed-test
	$(PIP) '.[bench]'
	@touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage
