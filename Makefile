# Everything a person types here. Long stages say what they do, about how long
# that takes, and how long it took. Extra words for a command: ARGS='...'.
.DEFAULT_GOAL := help
.PHONY: help build demo test test-all bench clean

TARGET := $(or $(CARGO_TARGET_DIR),target)
STAGE := scripts/stage.sh
# What is built belongs to whoever builds; only what makes namespaces runs as root.
AS_ROOT := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

help: ## this list
	@echo "make TARGET [ARGS='...']"
	@awk -F':.*## ' '/^[a-z-]+:.*## / { printf "  %-9s %s\n", $$1, $$2 }' Makefile

build: ## target/release/lace, with what it needs to be built
	@scripts/install.sh --for build
	@$(STAGE) "bundling the dashboard" 15 scripts/bundle.sh
	@$(STAGE) "building lace" 300 cargo build --release --locked

demo: ## the whole story on this machine: build, three nodes, failover, upgrade
	@[ "$$(id -u)" = 0 ] || sudo -v || { echo "make demo: light nodes need root or sudo" >&2; exit 2; }
	@scripts/install.sh --for host
	@mkdir -p $(TARGET)
	@scripts/install.sh --for demo --background --status $(TARGET)/install.json
	@$(STAGE) "bundling the dashboard" 15 scripts/bundle.sh
	@$(STAGE) "building lace" 300 cargo build --release --locked
	@$(AS_ROOT) env LACE_INSTALL_STATUS=$(TARGET)/install.json $(TARGET)/release/lace demo $(ARGS)

test: ## all tests, with what they need; root is wanted for light nodes
	@scripts/test.sh

test-all: ## the tests and their long versions
	@LACE_TEST_LONG=1 scripts/test.sh

bench: ## the benchmarks, each prints its figures; ARGS=--quick bounds them, ARGS='--only single' takes one
	@scripts/install.sh --for bench
	@$(STAGE) "building the benchmarks" 600 scripts/bench.sh --build
	@scripts/bench.sh $(ARGS)

clean: ## removes what was built
	@cargo clean
