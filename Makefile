# make demo   a campaign of real SIP calls to simulated people, start to finish
# make test   every test, on SQLite and PostgreSQL
# make lint   style, types, and the rule of the house (imports run one way)
# make bench  the figures, each beside a peer measured in the same run

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
WHAT ?=
JOBS ?= 2

.PHONY: demo test unit lint format bench docs pythons clean

demo: $(VENV)/.runtime
	@tools/need demo
	@$(BIN)/tongdai demo --home demo-home

test: $(VENV)/.dev
	@tools/need test
	@tests/with-postgres $(BIN)/python -m pytest --numprocesses $(JOBS) --dist worksteal $(WHAT)

unit: $(VENV)/.dev
	@$(BIN)/python -m pytest -m "not peer and not slow" --numprocesses $(JOBS) --dist worksteal $(WHAT)

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.dev
	@tools/need test
	@$(BIN)/python -m benchmarks

docs: $(VENV)/.runtime
	@$(BIN)/python -m cli.reference

# The unit tests on every other supported Python that is installed beside this one.
pythons: $(VENV)/.dev
	@tools/each-python

$(VENV)/bin/python:
	@tools/need demo
	@$$(tools/python) -m venv $(VENV)

$(VENV)/.runtime: $(VENV)/bin/python pyproject.toml constraints.txt
	@echo "tongdai: installing into $(VENV)"
	@$(PIP) --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/bin/python pyproject.toml constraints.txt
	@echo "tongdai: installing into $(VENV), with what the tests need"
	@$(PIP) --editable '.[dev]'
	@touch $(VENV)/.runtime $@

clean:
	rm -rf $(VENV) demo-home .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info
