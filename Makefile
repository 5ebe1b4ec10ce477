# Thin: tools/ does the set-up, meson and ninja the building, tools/check.py the checking.
# `make help` lists the targets. Every one does the set-up it needs.

BUILD := build
PREFIX ?= /usr/local
FUZZ_SECONDS ?= 60
ARGS ?=

.PHONY: all run check release asan fuzz lint format install clean distclean help bench setup setup-check setup-bench
all: setup ## build build/reprise
	@tools/configure.sh $(BUILD)
	@ninja -C $(BUILD)

run: all ## build and start: a demonstration on 127.0.0.1:8443 (ARGS="-c FILE")
	@exec $(BUILD)/reprise run $(ARGS)

check: setup-check ## lint, unit tests, program tests, the same under sanitizers
	@tools/check.py all

release: setup ## build build/release/reprise, optimised by a run under load: the one to install
	@tools/release.sh

asan: setup-check ## unit and program tests under AddressSanitizer and UBSan only
	@tools/check.py asan

lint: setup-check ## format, clang-tidy, headers, layers, shell scripts
	@tools/check.py lint

format: setup-check ## let clang-format rewrite the sources
	@git ls-files -co --exclude-standard 'src/*.[ch]' 'tests/*.[ch]' | xargs clang-format-14 -i

fuzz: setup-check ## run each fuzz target for FUZZ_SECONDS (60)
	@tools/fuzz.sh $(FUZZ_SECONDS)

bench: setup-bench release ## measure beside the floor and Debian's terminators, into build/bench
	@/usr/bin/python3 tests/bench/run.py $(ARGS)

install: release ## install under PREFIX (/usr/local), below DESTDIR if given
	@meson configure $(BUILD)/release -Dprefix=$(PREFIX)
	@ninja -C $(BUILD)/release build.ninja >/dev/null # takes the prefix up
	@meson install -C $(BUILD)/release --no-rebuild

clean: ## remove what was built, but not AWS-LC
	@if [ -d $(BUILD) ]; then find $(BUILD) -mindepth 1 -maxdepth 1 ! -name deps -exec rm -rf {} +; fi

distclean: ## remove everything that was built
	rm -rf $(BUILD)

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

setup:
	@tools/setup.sh build

setup-check:
	@tools/setup.sh check

setup-bench:
	@tools/setup.sh bench
