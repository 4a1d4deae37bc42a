# `make` lists the targets. Everything works on a fresh Debian with only the Rust toolchain: what else a target needs,
# it installs first.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

CARGO ?= cargo
# Every step uses the versions of Cargo.lock.
LOCKED := --locked
# How long `make fuzz` runs each target, in seconds.
SECONDS_PER_TARGET ?= 60

.PHONY: help
help: ## List the targets.
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  \033[1m%-14s\033[0m %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: ## Build, make a small bucket of real blocks, start the store gateway on it and show what it serves.
	@scripts/run.sh

.PHONY: test
test: lint test-servers ## Lint, then all tests, against real servers too.
	$(CARGO) test $(LOCKED) --workspace --no-fail-fast

.PHONY: build
build: ## Build the programs as they are released.
	$(CARGO) build $(LOCKED) --release --bins --workspace --exclude rutile-sim

.PHONY: fmt
fmt: ## Format the code.
	$(CARGO) fmt --all

.PHONY: lint
lint: ## Formatting, tidy, clippy and documentation, warnings denied.
	$(CARGO) fmt --all --check
	$(CARGO) xtask tidy
	$(CARGO) clippy $(LOCKED) --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc $(LOCKED) --workspace --no-deps --document-private-items

.PHONY: test-servers
test-servers: ## Install the servers that the tests start: storage, caches, Prometheus.
	crates/testkit/servers/install.sh

.PHONY: web
web: ## Build the web page of web/ into crates/ui/dist, which is committed.
	scripts/web.sh build

.PHONY: web-test
web-test: ## Check that the committed web page is what web/ says, and use it in a real browser.
	scripts/web.sh test

.PHONY: fuzz
fuzz: ## Replay the corpora and fuzz every decoder for SECONDS_PER_TARGET (60).
	fuzz/run.sh $(SECONDS_PER_TARGET)

.PHONY: sim
sim: ## Simulate SEEDS (1000) seeds from FIRST_SEED (1) in PROFILE (strong, s3-like, eventual, hostile; all); LIMIT_SECONDS ends it, KEEP_GOING=yes lists all failures.
	SEEDS=$(SEEDS) FIRST_SEED=$(FIRST_SEED) PROFILE=$(PROFILE) LIMIT_SECONDS=$(LIMIT_SECONDS) KEEP_GOING=$(KEEP_GOING) \
	  $(CARGO) run --quiet $(LOCKED) --profile sim -p rutile-sim

.PHONY: e2e
e2e: ## Run the suites of e2e/suites (SUITES names some) with real processes in containers; needs Docker, or root to install it.
	SUITES="$(SUITES)" e2e/run.sh

.PHONY: soak
soak: ## Run the suite of SIGKILLs and failing S3 at ten times its size: 300, 10,000 faults, 216 uploads, 57 compactions.
	SOAK=yes SUITES=havoc e2e/run.sh

.PHONY: image
image: ## Build the container image `rutile` of deploy/Dockerfile.
	$(CARGO) build $(LOCKED) --release -p rutile
	docker build -t rutile -f deploy/Dockerfile $${CARGO_TARGET_DIR:-target}/release

.PHONY: bench
bench: ## Measure speed and memory on 2 GB of blocks; takes a while, 6 GB of disk, and Go to make the blocks.
	scripts/bench.sh

.PHONY: proto
proto: ## Generate the code of crates/proto from proto/.
	$(CARGO) xtask proto

.PHONY: docs
docs: ## Build the documentation of the code.
	$(CARGO) doc $(LOCKED) --workspace --no-deps --document-private-items
	@echo "open target/doc/rutile_store/index.html"
