# The two commands that matter: `make app` and `make test`. Nothing has to be installed first but Python 3.11 or later.
SHELL := /bin/bash
VENV := .venv
PY := $(VENV)/bin/python
PORT ?= 8501
# A browser window is opened where there is a desktop to open it on.
HEADLESS := $(if $(or $(DISPLAY),$(WAYLAND_DISPLAY),$(filter Darwin,$(shell uname -s))),false,true)

.PHONY: help app test bench lint format clean
.DEFAULT_GOAL := help

help:  ## Show what can be made
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | while IFS=$$'\t' read -r name what; do \
		printf '  make %-8s %s\n' "$$name" "$$what"; done
	@echo
	@echo "  PORT=8600 make app             another port than 8501"
	@echo "  ECG_REVIEW_DATA=folder         where studies and decisions are kept"
	@echo "  DATABASE_URL=postgresql://...  keep decisions in PostgreSQL instead of SQLite"

app: $(VENV)/.app  ## Set everything up and open the app with a demo study
	@$(PY) -m state.demo
	@echo "The app is at http://127.0.0.1:$(PORT) (stop it with Ctrl-C)"
	@$(PY) -m streamlit run app.py --server.port $(PORT) --server.headless $(HEADLESS) --server.showEmailPrompt false

test: $(VENV)/.dev  ## Set everything up and run all tests
	$(PY) -m pytest

lint: $(VENV)/.dev  ## Check style and types
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

format: $(VENV)/.dev  ## Put the code in the house style
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

bench: $(VENV)/.dev  ## Print the figures that the docs quote (needs the real ECG in ../shared/data)
	$(PY) -m bench

clean:  ## Remove the virtual environment and caches (studies and decisions stay)
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(PY):
	@python=""; for name in python3.11 python3.12 python3.13 python3; do \
		if command -v $$name >/dev/null 2>&1 && $$name -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then \
			python=$$name; break; fi; done; \
	if [ -z "$$python" ]; then \
		echo "Python 3.11 or later was not found. Install it from python.org or your package manager, then try again."; \
		exit 1; fi; \
	$$python -m venv $(VENV) || { rm -rf $(VENV); \
		echo "Python's venv module is missing. On Debian or Ubuntu: apt install python3-venv, then try again."; exit 1; }

$(VENV)/.app: requirements.txt | $(PY)
	@echo "Installing what the app needs (once; a few minutes)"
	@$(PY) -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/.dev: requirements-dev.txt requirements.txt | $(PY)
	@echo "Installing what the tests need (once; a few minutes)"
	@$(PY) -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $(VENV)/.app $@
