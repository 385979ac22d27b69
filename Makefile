# Each target does everything it needs on a fresh machine; `make help` lists them.
.DEFAULT_GOAL := help
BIN := .venv/bin

.PHONY: help
help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup
setup:  ## Make .venv with what physlab needs
	@.ci/setup

.PHONY: demo
demo: setup  ## Run the hydrogen experiment and write its report
	@$(BIN)/physlab run examples/hydrogen_2p.yaml --report

.PHONY: test
test:  ## Set up the tests' needs; check style, types and everything else
	@.ci/setup test
	@trap '$(REPORT_MISSING)' EXIT; \
	set -ex; \
	$(BIN)/ruff check .; \
	$(BIN)/ruff format --check .; \
	$(BIN)/mypy; \
	$(BIN)/pytest -n 4 --dist loadscope --no-loadscope-reorder

REPORT_MISSING = if [ -s .venv/.missing ]; then \
	echo "Not installed here, so their tests were skipped:"; sed "s/^/  /" .venv/.missing; fi

.PHONY: lint
lint:  ## Mend and check style and types
	@.ci/setup test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/mypy

.PHONY: drill
drill:  ## Run the long drills: kill, starve, race and fuzz, with many seeds
	@.ci/setup test
	@[ "$$(uname)" != Linux ] || .ci/setup fuzz
	$(BIN)/pytest -m drill --seeds 50 --override-ini timeout=3600

.PHONY: bench
bench:  ## Measure (figures only, nothing is asserted)
	@.ci/setup bench
	@for program in bench/*.py; do echo "== $$program"; $(BIN)/python "$$program" || exit 1; done

.PHONY: docs
docs: setup  ## Write the generated pages of docs/reference from the code
	$(BIN)/python docs/generate.py

.PHONY: manifests
manifests:  ## Write the Kubernetes manifests from their Helm chart
	@.ci/setup test
	$(BIN)/python deployments/kubernetes/render.py

.PHONY: lock
lock:  ## Lock the newest versions that pyproject.toml allows
	@.ci/setup lock
