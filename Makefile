# Everything happens in .venv, which is made when it is missing and refreshed when a lock file changes.
# `make PYTHON=python3.13 test` uses another interpreter.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOCK_COMMAND = uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
	--custom-compile-command 'make lock' pyproject.toml

# nft and ip live in sbin, which is not on every user's path.
export PATH := $(PATH):/usr/local/sbin:/usr/sbin:/sbin
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_NO_INPUT := 1
export PIP_ROOT_USER_ACTION := ignore
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.NOTPARALLEL:
MAKEFLAGS += --no-print-directory

# A .venv of another interpreter, or one that was copied along with its tree, is made anew.
ORIGIN := $(CURDIR) $(PYTHON)
ifneq ($(file < $(VENV)/origin),$(ORIGIN))
STALE := stale
endif

# Random tests start from a seed that is printed; `make SEED=… test` repeats a run.
ifndef SEED
SEED := $(shell od -An -N4 -tu4 /dev/urandom | tr -d ' ')
endif

.PHONY: stale
.PHONY: help demo page test test-docker test-kernels bench soak fuzz lint style types imports format image reproducible packages catalog release reference docs lock clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

demo: $(VENV)/runtime.stamp ## Run the sandbox: a small Rancher, real agents, real packets (no root needed)
	@$(BIN)/corral demo --yes

# What the page is made of; the packages are those that page/package-lock.json pins.
PAGE := src/corral/web/dist/index.html
PAGE_SOURCES := $(shell find page -name node_modules -prune -o -type f -print)

page: $(PAGE) ## Check and build the page into the package (needs Node.js 18 or newer; installs it by apt)

$(PAGE): page/node_modules/stamp $(PAGE_SOURCES)
	@npm --prefix page run --silent check
	@npm --prefix page run --silent build

page/node_modules/stamp: page/package-lock.json page/.npmrc
	@{ command -v node && command -v npm; } >/dev/null || tools/apt-install nodejs npm
	@npm --prefix page ci --loglevel=error
	@touch $@

test: $(VENV)/dev.stamp $(PAGE) ## Run every test (needs root for network namespaces; installs nftables by apt)
	@{ command -v nft && command -v ip; } >/dev/null || tools/apt-install nftables iproute2
	@{ command -v iptables-legacy && command -v ipset; } >/dev/null || tools/apt-install iptables ipset
	@command -v conntrack >/dev/null || tools/apt-install conntrack
	@command -v chromium >/dev/null || tools/apt-install chromium
	@command -v systemd-analyze >/dev/null || tools/apt-install systemd
	@ldconfig -p | grep libatomic.so.1 >/dev/null || tools/apt-install libatomic1 # of what drives the browser
	@echo "Random tests start from seed $(SEED): \`make SEED=$(SEED) test\` repeats them."
	@$(BIN)/python -m pytest --hypothesis-seed=$(SEED)

# On a host of their own, which is a few namespaces of this machine: TESTS=tests/docker/test_policy.py runs some of them.
test-docker: image ## Test the image and the stack with a real Docker engine (needs root; installs Docker by apt)
	@{ command -v dockerd && command -v tini; } >/dev/null || tools/apt-install docker.io
	@command -v docker-compose >/dev/null || tools/apt-install docker-compose
	@{ command -v nft && command -v ip; } >/dev/null || tools/apt-install nftables iproute2
	@{ command -v iptables-legacy && command -v ipset; } >/dev/null || tools/apt-install iptables ipset
	@$(BIN)/python -m tests.docker $(or $(TESTS),tests/docker)

# KERNELS="6.1 6.18" names others of Debian's kernels, TESTS=tests/kernel other tests (docs/kernels.md).
test-kernels: $(VENV)/dev.stamp $(PAGE) ## Run kernel tests on the oldest supported kernel and another, in qemu (installs it by apt)
	@command -v qemu-system-x86_64 >/dev/null || tools/apt-install qemu-system-x86
	@{ command -v modprobe && command -v depmod; } >/dev/null || tools/apt-install kmod
	@{ command -v nft && command -v ip && command -v tc; } >/dev/null || tools/apt-install nftables iproute2
	@{ command -v iptables-legacy && command -v ipset; } >/dev/null || tools/apt-install iptables ipset
	@command -v conntrack >/dev/null || tools/apt-install conntrack
	@CORRAL_GUESTS=yes $(BIN)/python -m pytest -q tests/oldkernels
	@$(BIN)/python -m tests.oldkernels --seed $(SEED) $(if $(KERNELS),--kernels "$(KERNELS)") $(if $(TESTS),--tests "$(TESTS)")

bench: $(VENV)/dev.stamp ## Measure the compiler and the kernel path
	@$(BIN)/python -m tests.bench

# The short one is among the tests; CHANGES, CHECKPOINT and SEED may be given.
soak: $(VENV)/dev.stamp ## Change a million things, with faults, and see that nothing drifts, grows or is left behind
	@$(BIN)/python -m tests.soak --changes $(or $(CHANGES),1000000) --checkpoint $(or $(CHECKPOINT),20000) --seed $(SEED)

# A short one is among the tests. An input that breaks something is left in build/fuzz/TARGET;
# `python -m tests.fuzz TARGET --replay FILE` repeats it.
fuzz: $(VENV)/dev.stamp ## Fuzz each kind of input, guided by coverage (FUZZ_SECONDS each, 600 if not given)
	@for target in policy metadata events selector settings; do \
		$(BIN)/python -m tests.fuzz $$target --seconds $(or $(FUZZ_SECONDS),600); \
	done

lint: style types imports ## Run all static checks

style: $(VENV)/dev.stamp ## Check rules and format with ruff
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check

types: $(VENV)/dev.stamp ## Check types with mypy
	@$(BIN)/mypy

imports: $(VENV)/dev.stamp ## Check that imports go one way
	@$(BIN)/lint-imports --no-logo

format: $(VENV)/dev.stamp ## Put the source into its format, and fix what ruff can fix
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

# BASE_IMAGE and BASE_DIGEST name another base; without a registry it is made by debootstrap.
image: $(VENV)/dev.stamp $(PAGE) ## Build the image into build/image, with its bill of materials and what each part costs
	@tools/engine $(BIN)/python -m tools.image

reproducible: image ## Build the image again, elsewhere and from scratch, and compare the layers
	@tools/engine $(BIN)/python -m tools.image --again

packages: $(VENV)/dev.stamp $(PAGE) ## Build what installing by hand takes, in build/packages
	@$(BIN)/python tools/release.py packages

# IMAGE is the image's name where hosts pull it from, without a version.
catalog: $(VENV)/dev.stamp ## Write a catalog for Rancher with corral as its one entry, in build/catalog
	@$(BIN)/python tools/release.py catalog --image $(or $(IMAGE),corral)

release: $(VENV)/dev.stamp $(PAGE) ## Build all that is released, in dist, or refuse (see CONTRIBUTING.md)
	@$(BIN)/python tools/release.py check
	@$(MAKE) image
	@$(BIN)/python tools/release.py release --image $(or $(IMAGE),corral)

reference: $(VENV)/dev.stamp ## Write the pages of docs/reference from the code
	@$(BIN)/python tools/reference.py

docs: $(VENV)/dev.stamp ## Build the documentation as a site, in build/site
	@$(BIN)/python tools/reference.py --check
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict # --quiet would count no warning

lock: ## Pin the dependencies anew (needs uv; LOCK_FLAGS=--upgrade takes the newest versions)
	@$(LOCK_COMMAND) $(LOCK_FLAGS) --group dev --output-file requirements.lock
	@$(LOCK_COMMAND) $(LOCK_FLAGS) --group build --constraint requirements.lock --output-file requirements-runtime.lock
	@$(LOCK_COMMAND) $(LOCK_FLAGS) --constraint requirements.lock --output-file requirements-agent.lock
	@$(MAKE) $(VENV)/dev.stamp
	@$(BIN)/python -m tools.image.wheels

$(VENV)/dev.stamp: requirements.lock pyproject.toml tools/venv $(STALE)
	@tools/venv "$(PYTHON)" $(VENV) $<
	@touch $(VENV)/runtime.stamp $@

$(VENV)/runtime.stamp: requirements-runtime.lock pyproject.toml tools/venv $(STALE)
	@tools/venv "$(PYTHON)" $(VENV) $<
	@touch $@

clean: ## Remove the virtual environment and all caches
	@rm -rf $(VENV) page/node_modules src/corral/web/dist build dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	@find src tests -name __pycache__ -type d -exec rm -rf {} +
