VENV := .venv
PYTHON ?= python3
BIN := $(VENV)/bin
# One more than there are cores: many tests wait for a service, a container or a terminal.
WORKERS ?= $(shell cores=$$(nproc); echo $$((cores < 4 ? cores + 1 : 4)))

.PHONY: help test test-cluster test-stack test-bench go-trees findings prompts scenarios team-edits lint diff bench pins images-exist dist clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

test: $(VENV)/.complete ## Test everything that this machine can; says what it skipped
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

test-cluster: $(VENV)/.complete ## Deliver to a real API server, and write docs/measured/cluster.md
	nice $(BIN)/python -m pytest $(addprefix tests/onrequest/cluster/,overlays.py rollouts.py histories.py sequences.py ways.py) $(ARGS)

test-stack: $(VENV)/.complete ## Let the Compose stack fail under load, and write docs/measured/stack.md (needs root)
	nice $(BIN)/python -m pytest $(addprefix tests/onrequest/stack/,failures.py neighbours.py observed.py traces.py broker.py) $(ARGS)

test-bench: $(VENV)/.complete ## Let every bench run through, in its quick form
	nice $(BIN)/python -m pytest tests/onrequest/benches/through.py $(ARGS)

go-trees: $(VENV)/.complete ## Give every Go tree, of all combinations of choices, every check
	GO_TREES=all $(BIN)/python -m pytest tests/service/test_go.py tests/service/test_start.py $(ARGS)

findings: $(VENV)/.complete ## Lint every manifest, and write docs/measured/manifests.md
	PYTHONPATH=tests $(BIN)/python -m helpers.findings

scenarios: $(VENV)/.complete ## Try each update scenario with Copier too, and write docs/measured/update-scenarios.md
	SCENARIOS=all $(BIN)/python -m pytest tests/update/test_update_scenarios.py $(ARGS)

prompts: $(VENV)/.complete ## Go through the wizard, and write docs/measured/prompts.md
	PYTHONPATH=tests $(BIN)/python -m helpers.prompts

team-edits: $(VENV)/.complete ## Build each service that a team has edited after its update, and write docs/measured/team-edits.md
	TEAM_EDITS=all nice $(BIN)/python -m pytest tests/update/test_team_edits.py $(ARGS)

lint: $(VENV)/.complete ## Check format, style, types and which module may import which
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.complete ## Measure, and write docs/measured/performance.md (needs root for the Docker engine)
	$(BIN)/python -m bench

diff: $(VENV)/.complete ## Show what a change of the template does to rendered services
	@PYTHONPATH=src:tests $(BIN)/python -m tools.diff $(ARGS)

pins: $(VENV)/.complete ## Raise the template's Go modules (ARGS=--no-refresh only tidies)
	PYTHONPATH=src $(BIN)/python -m tools.pins $(ARGS)

images-exist: $(VENV)/.complete ## Ask the registries for every image that a render names
	@PYTHONPATH=src:tests $(BIN)/python -m tools.images_exist $(ARGS)

dist: $(VENV)/.complete ## Build the sdist and the wheel
	$(BIN)/python -m build

clean: ## Remove what make has made
	rm -rf $(VENV) .cache dist

$(VENV)/.complete: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable . --group test --group maintain
	touch $@
