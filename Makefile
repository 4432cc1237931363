.DEFAULT_GOAL := help
.PHONY: help demo test soak conformance bench memory lint format clean

VENV := .venv/bin
PYTEST_ARGS ?=
BENCH_ARGS ?=
CONFORMANCE_ARGS ?=
SOAK_SECONDS ?= 600
FUZZ_SECONDS ?= 300

help: ## say what can be made
	@sed -n 's/^\([a-z]*\):.*## /make \1\t/p' Makefile | expand -t 16

demo: ## build an image, unpack and mount it, change it, throw the change away
	@tools/setup.sh demo
	@$(VENV)/python -m tools.demo

test: lint ## all checks: style, types and tests (PYTEST_ARGS chooses tests)
	$(VENV)/pytest $(PYTEST_ARGS)

soak: ## what takes long: every kill in every form, more of the random tests, ten minutes (SOAK_SECONDS) of mixed load
	@tools/setup.sh test
	UNIONFS_SOAK=1 $(VENV)/pytest tests/crash tests/safety --timeout=7200 $(PYTEST_ARGS)
	POSIX_VARIANTS=1 $(VENV)/pytest tests/posix -k 'writeback or passthrough' $(PYTEST_ARGS)
	FUZZ_SECONDS=$(FUZZ_SECONDS) $(VENV)/pytest tests/fuzz $(PYTEST_ARGS)
	SOAK_SECONDS=$(SOAK_SECONDS) $(VENV)/pytest tests/soak $(PYTEST_ARGS)

conformance: ## run suites of others from checkouts: PJDFSTEST=DIR UNIONMOUNT=DIR (docs/testing.md)
	@tools/setup.sh conformance
	$(VENV)/python -m tools.conformance $(if $(PJDFSTEST),--pjdfstest '$(PJDFSTEST)') \
		$(if $(UNIONMOUNT),--unionmount '$(UNIONMOUNT)') $(CONFORMANCE_ARGS)

bench: ## compare with overlayfs and others (BENCH_ARGS='--only untar', FUSE_OVERLAYFS=PATH; docs/performance.md)
	@tools/setup.sh bench
	$(VENV)/python -m tools.bench $(BENCH_ARGS)

memory: ## measure what a daemon needs for a million files (takes minutes)
	@tools/setup.sh demo
	$(VENV)/python -m tools.memory

lint: ## style and types alone
	@tools/setup.sh test
	$(VENV)/ruff check
	$(VENV)/mypy

format: ## lay out the code
	@tools/setup.sh test
	$(VENV)/ruff format

clean: ## remove .venv, caches and what was built
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
