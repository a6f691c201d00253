# What people and the checks run. Everything lands in .venv; system packages come by `make system`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo test lint types imports check system docs bench targets fuzz fuzz-long kill air books soak storm cuts semester city mutants clean

demo: $(VENV)/.core ## top up, enter and exit, in process and over nfcpy's UDP air
	$(BIN)/tapbench tap --via inproc,udp

test: system $(VENV)/.dev ## install what is missing, then every check and test
	.ci/pcsc-extra $(VENV)
	$(MAKE) --no-print-directory lint types imports check

lint:
	$(BIN)/ruff format --check --quiet
	$(BIN)/ruff check --quiet

types:
	$(BIN)/mypy

imports:
	$(BIN)/lint-imports --no-cache > $(VENV)/imports.log || { cat $(VENV)/imports.log; exit 1; }

check:
	$(BIN)/coverage run -m pytest -q -n auto --dist worksteal
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

system: ## Debian packages the tests need; says in one sentence what it cannot install
	.ci/system-packages

docs: $(VENV)/.core ## write the generated pages of docs/; a test fails when one is stale
	$(BIN)/python -m bench.docs

bench: $(VENV)/.dev ## ratios to floors, kept in build/bench.json and held to the baseline; half a minute
	mkdir -p build
	$(BIN)/tapbench bench ratios --out build/bench.json --force --baseline fixtures/bench/baseline.json $(if $(filter true,$(CI)),--every)

targets: $(VENV)/.dev ## every performance target, measured in one run
	$(BIN)/tapbench bench targets

fuzz: $(VENV)/.dev ## a million commands into the card
	$(BIN)/python -m tests.property.campaign --count 1000000 --seed 1

fuzz-long: $(VENV)/.fuzz ## ten million commands judged by the fuzzer, then an hour of atheris
	$(BIN)/python -m bench.conformance.fuzz --count 10000000 --seed 1 --workers 2
	$(BIN)/python -m tests.fuzz.long --minutes 60

kill: $(VENV)/.dev ## kill -9 a card in a file 2000 times, a PSAM 1000 times, and an office at each step of an opening
	$(BIN)/python -m tests.interop.kills --count 2000 --seed 1
	$(BIN)/python -m tests.interop.psam_kills --count 1000 --seed 1
	$(BIN)/python -m tests.interop.opening_kills --database both

air: $(VENV)/.dev ## noisy conversations and torn taps over the simulated air, 10,000 of each
	$(BIN)/python -m tests.property.noisy --count 10000 --seed 1
	$(BIN)/python -m tests.property.torn --count 10000 --seed 1

books: $(VENV)/.dev ## kill gates and validators, and clearing, 300 times each, clear 100,000 honest records, plant every fraud
	$(BIN)/python -m tests.interop.gate_kills --count 300 --seed 1
	$(BIN)/python -m tests.interop.clearing_kills --count 300 --seed 1
	$(BIN)/python -m tests.interop.planted --count 100000 --seed 1
	$(BIN)/python -m tests.interop.postgres_speed --count 22000

soak: $(VENV)/.dev ## 100,000 taps on one gate with everything that goes wrong in years
	$(BIN)/python -m tests.property.soak --count 100000 --seed 1

storm: $(VENV)/.dev ## 50 clients top up 100 times each while clients, services and cards fail; payments equal credits
	$(BIN)/python -m tests.interop.topup_storm --clients 50 --count 100 --database sqlite
	$(BIN)/python -m tests.interop.topup_storm --clients 50 --count 100 --database postgresql

cuts: $(VENV)/.dev ## a card, an office and a disk cut at every step, and every test of the office on PostgreSQL
	$(BIN)/python -m pytest -q -n auto --dist worksteal --whole tests/unit tests/property

semester: $(VENV)/.dev ## 200 students live a school year, and the books are balanced
	$(BIN)/tapbench semester --students 200 --days 400 --seed 1

city: $(VENV)/.dev ## 100,000 trips by 1, 2 and 3 workers and by Ray with a worker killed; then how a day grows, in build/city.html
	$(BIN)/python -m tests.interop.city_proof --trips 100000 --seed 1
	mkdir -p build
	$(BIN)/tapbench bench city --scale-study --trips 300000 --workers 2 --seed 1 --html build/city.html --force

mutants: $(VENV)/.core ## break card and gate in every declared way, and count what the suite catches
	$(BIN)/tapbench conformance mutants card
	$(BIN)/tapbench conformance mutants gate

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.core: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) -e .
	touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) -e '.[dev]'
	touch $@ $(VENV)/.core

$(VENV)/.fuzz: $(VENV)/.dev
	$(PIP) -e '.[dev,fuzz]'
	touch $@

clean:
	rm -rf $(VENV) build *.egg-info .coverage* .mypy_cache .pytest_cache .ruff_cache .hypothesis
