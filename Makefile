# The only makefile. `make help` lists the targets.
#
# BUILD = release | debug | asan | mutable | fuzz picks flags and directory, so variants never mix: build/$(BUILD)/.
# Required flags are kept apart from the user's CXXFLAGS, CPPFLAGS and LDFLAGS.
.DELETE_ON_ERROR:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules
SHELL := /bin/bash
.DEFAULT_GOAL := all

BUILD ?= release
TOOLS := bmp-recv ha-arbiter kafka-gate psql-sink
# Programs that tests and benchmarks use: one directory tests/tools/<name>/ or one file tests/tools/<name>.cc each.
TEST_TOOLS := $(sort $(basename $(notdir $(wildcard tests/tools/*.cc))))
FUZZERS := $(sort $(basename $(notdir $(wildcard tests/fuzz/fuzz_*.cc))))

CXX_BASE := $(if $(filter fuzz,$(BUILD)),clang++-14,g++)
CCACHE := $(shell command -v ccache 2>/dev/null)
CXX := $(CCACHE) $(CXX_BASE)
CXXFLAGS ?=
CPPFLAGS ?=
LDFLAGS ?=

WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wold-style-cast -Wcast-qual \
  -Wnon-virtual-dtor -Wformat=2 -Wundef -Werror
VERSION := 0.1.0

FLAGS_release := -O2 -g1 -DNDEBUG
FLAGS_debug := -O0 -g
# Protocol rules can be switched off one by one (common/rules.h): for tests only, never installed.
FLAGS_mutable := -O1 -g -DBMPHA_MUTABLE
# The instrumented code makes g++ 12 take members of a variant for uninitialized.
FLAGS_asan := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -Wno-maybe-uninitialized
FLAGS_fuzz := -O2 -g1 -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
ifeq ($(origin FLAGS_$(BUILD)),undefined)
$(error BUILD=$(BUILD) is not one of release, debug, asan, mutable, fuzz)
endif
OUT := build/$(BUILD)

# Libraries, once per program.
PKGS_common := libzmq cppzmq spdlog fmt prometheus-cpp-pull prometheus-cpp-core libxxhash
PKGS_bmp-recv := $(PKGS_common) libcrypto
PKGS_ha-arbiter := $(PKGS_common) hiredis libssl libcrypto
PKGS_kafka-gate := $(PKGS_common) rdkafka
PKGS_psql-sink := $(PKGS_common) rdkafka libpq
PKGS_bmp-tap := $(PKGS_bmp-recv) rdkafka
PKGS_all := $(sort $(foreach t,$(TOOLS),$(PKGS_$(t))))

NO_BUILD_GOALS := clean help format install-deps
ifneq ($(filter-out $(NO_BUILD_GOALS),$(or $(MAKECMDGOALS),all)),)
MISSING := $(shell for p in $(PKGS_all); do pkg-config --exists $$p 2>/dev/null || echo $$p; done)
ifneq ($(strip $(MISSING)),)
# The targets that install what they need first run scripts/install-deps and then call make again.
ifeq ($(filter demo test test-long mutants matrix routers explore up bench lint,$(MAKECMDGOALS)),)
$(error missing development packages: $(MISSING); run scripts/install-deps)
endif
endif
PKG_CFLAGS := $(patsubst -I%,-isystem%,$(shell pkg-config --cflags $(PKGS_all) 2>/dev/null))
PKG_LIBS = $(shell pkg-config --libs $(PKGS_$(1)) 2>/dev/null)
endif

REQUIRED := -std=c++20 -I. -pthread -MMD -MP -DBMPHA_VERSION='"$(VERSION)"' $(WARNINGS) $(PKG_CFLAGS)
COMPILE = $(CXX) $(REQUIRED) $(FLAGS_$(BUILD)) $(CPPFLAGS) $(CXXFLAGS)
LINK = $(CXX) -pthread $(FLAGS_$(BUILD)) $(CXXFLAGS) $(LDFLAGS)

# Objects depend on a stamp that changes with compiler and flags.
FLAGS_STAMP := $(OUT)/.flags
FLAGS_NOW := $(COMPILE)
$(shell mkdir -p $(OUT))
# keep FILE, TEXT: writes it when it is not what the file says already. ($(file <) within a conditional was seen to fail in make 4.3.)
keep = $(file >$(1).new,$(2))$(shell cmp -s $(1).new $(1) && rm -f $(1).new || mv -f $(1).new $(1))
$(call keep,$(FLAGS_STAMP),$(FLAGS_NOW))

objects = $(patsubst %.cc,$(OUT)/obj/%.o,$(1))

$(OUT)/obj/%.o: %.cc $(FLAGS_STAMP)
	@mkdir -p $(@D)
	@echo "  CXX $<"
	@$(COMPILE) -c $< -o $@

# archive NAME, SOURCES: a static library with a list stamp, so that a removed source leaves it.
define archive
SRC_$(1) := $(2)
LIB_$(1) := $(OUT)/lib$(1).a
$(call keep,$(OUT)/.list-$(1),$(2))
$$(LIB_$(1)): $$(call objects,$$(SRC_$(1))) $(OUT)/.list-$(1)
	@rm -f $$@
	@ar rcs $$@ $$(filter %.o,$$^)
endef

$(eval $(call archive,common,$(sort $(wildcard common/*.cc))))
$(foreach t,$(TOOLS),$(eval $(call archive,$(t),$(sort $(filter-out $(t)/main.cc,$(wildcard $(t)/*.cc))))))

define program
$(1): $(OUT)/bin/$(1)
$(OUT)/bin/$(1): $(OUT)/obj/$(1)/main.o $$(LIB_$(1)) $$(LIB_common)
	@mkdir -p $$(@D)
	@echo "  LINK $$@"
	@$$(LINK) $$^ $$(call PKG_LIBS,$(1)) -o $$@
endef
# bmp-tap runs the decoder of bmp-recv: it lives beside it and is linked with it.
$(eval $(call archive,bmp-tap,$(sort $(filter-out bmp-recv/tap/main.cc,$(wildcard bmp-recv/tap/*.cc)))))
bmp-tap: $(OUT)/bin/bmp-tap
$(OUT)/bin/bmp-tap: $(OUT)/obj/bmp-recv/tap/main.o $(LIB_bmp-tap) $(LIB_bmp-recv) $(LIB_common)
	@mkdir -p $(@D)
	@echo "  LINK $@"
	@$(LINK) $^ $(call PKG_LIBS,bmp-tap) -o $@

TOOLS_PRESENT := $(foreach t,$(TOOLS),$(if $(wildcard $(t)/main.cc),$(t)))
$(foreach t,$(TOOLS_PRESENT),$(eval $(call program,$(t))))

define test_program
$(OUT)/bin/$(1): $(OUT)/obj/tests/tools/$(1).o $(foreach t,$(TOOLS),$$(LIB_$(t))) $$(LIB_common)
	@mkdir -p $$(@D)
	@echo "  LINK $$@"
	@$$(LINK) $$^ $$(call PKG_LIBS,all) -o $$@
endef
$(foreach t,$(TEST_TOOLS),$(eval $(call test_program,$(t))))

# Preloaded into programs under test: their wall clock can be set.
$(OUT)/lib/wall_clock.so: tests/preload/wall_clock.cc $(FLAGS_STAMP)
	@mkdir -p $(@D)
	@echo "  LINK $@"
	@$(filter-out -MMD -MP,$(COMPILE)) $(LDFLAGS) -shared -fPIC $< -o $@

UNIT_SRC := $(sort $(wildcard tests/unit/*.cc tests/unit/*/*.cc tests/unit/*/*/*.cc tests/support/*.cc tests/compat/*/*/*.cc))
$(OUT)/bin/unit: $(call objects,$(UNIT_SRC)) $(LIB_bmp-tap) $(foreach t,$(TOOLS),$(LIB_$(t))) $(LIB_common)
	@mkdir -p $(@D)
	@echo "  LINK $@"
	@$(LINK) $^ $(call PKG_LIBS,all) -o $@

# Explores the pure classes of three tools in all orders; simulates them in virtual time.
$(OUT)/bin/explore: $(call objects,$(sort $(wildcard tests/explore/*.cc))) $(foreach t,$(TOOLS),$(LIB_$(t))) $(LIB_common)
	@mkdir -p $(@D)
	@echo "  LINK $@"
	@$(LINK) $^ $(call PKG_LIBS,all) -o $@

$(OUT)/bin/simulate: $(call objects,$(sort $(wildcard tests/simulate/*.cc))) $(foreach t,$(TOOLS),$(LIB_$(t))) $(LIB_common)
	@mkdir -p $(@D)
	@echo "  LINK $@"
	@$(LINK) $^ $(call PKG_LIBS,all) -o $@

# A fuzz target links with libFuzzer under BUILD=fuzz, else with a main that replays files. What it checks tells the fuzzer
# nothing about what it tests, and would cost most of its time: it is not traced.
ifeq ($(BUILD),fuzz)
$(OUT)/obj/tests/fuzz/%.o: FLAGS_fuzz += -fno-sanitize=fuzzer-no-link
endif
define fuzz_program
$(OUT)/bin/$(1): $(OUT)/obj/tests/fuzz/$(1).o $(if $(filter fuzz,$(BUILD)),,$(OUT)/obj/tests/fuzz/replay_main.o) \
    $$(LIB_bmp-tap) $$(LIB_bmp-recv) $$(LIB_psql-sink) $$(LIB_common)
	@mkdir -p $$(@D)
	@echo "  LINK $$@"
	@$$(LINK) $(if $(filter fuzz,$(BUILD)),-fsanitize=fuzzer) $$^ $$(call PKG_LIBS,all) -o $$@
endef
$(foreach f,$(FUZZERS),$(eval $(call fuzz_program,$(f))))

.PHONY: all programs unit check check-programs test test-long mutants matrix routers explore demo up down bench lint asan format fuzz-programs clean \
  help install-deps install $(TOOLS) bmp-tap
all: $(TOOLS_PRESENT) bmp-tap
programs: all $(TEST_TOOLS:%=$(OUT)/bin/%) $(OUT)/lib/wall_clock.so
fuzz-programs: $(FUZZERS:%=$(OUT)/bin/%)
check-programs: programs fuzz-programs $(OUT)/bin/unit

unit: $(OUT)/bin/unit  ## unit tests only
	$(OUT)/bin/unit

check: check-programs  ## unit tests and fuzz corpus replay, no servers
	scripts/test-offline $(OUT)

test:  ## everything but the long tests; the last line is "N passed, N failed"
	@scripts/install-deps
	@scripts/test

matrix:  ## the rows of the failure matrix that have a test, the long ones too; ROW=7 picks one, SEEDS=20 repeats
	@scripts/install-deps
	@scripts/matrix

routers:  ## every test with real routers, FRR and GoBGP, the long ones too
	@scripts/install-deps
	@scripts/routers

test-long:  ## the long tests that are no row of the matrix and need no real router: operators, Redis, clusters, versions
	@scripts/install-deps
	@scripts/test-long

explore:  ## arbiter, gate and fence in all orders of events, half an hour; any violation is told with its way
	@scripts/install-deps
	@$(MAKE) --no-print-directory $(OUT)/bin/explore $(OUT)/bin/simulate
	@$(OUT)/bin/explore --trace --window 3 --late 0
	@$(OUT)/bin/explore --trace --only tight --window 2 --max 5000
	@$(OUT)/bin/explore --trace --only tight warm WA/- --window 2 --delays 1 3 over after --max 5000
	@$(OUT)/bin/explore --trace --only slack warm --window 3 --late 0 --collector
	@$(OUT)/bin/explore --trace --only slack warm --window 3 --late 0 --by-age
	@$(OUT)/bin/explore --trace --only tight --window 2 --late 0 --per-object --max 5000
	@$(OUT)/bin/explore --trace --only tight warm W/W --window 2 --late 1 --delays 1 --stages read --partial --max 5000
	@$(OUT)/bin/explore --trace --only tight warm W/W restamp --window 2 --late 1 --any-order --max 5000
	@$(OUT)/bin/explore --trace --only tight warm W/W --nodes 3 --window 2 --late 0 --max 5000
	@$(OUT)/bin/explore --trace --only tight join W/- --nodes 3 --window 2 --late 0 --max 5000
	@$(OUT)/bin/explore --trace --only restamp tight warm W/W --and kill-gate --window 4 --late 0
	@$(OUT)/bin/explore --trace --only force-active join tight W/W --and crash --window 5 --late 0 --max 5000
	@$(OUT)/bin/simulate --seeds 20000
	@$(OUT)/bin/simulate --seeds 20000 --faults 2
	@$(OUT)/bin/simulate --seeds 5000 --fault crash --skew 8000
	@$(OUT)/bin/simulate --seeds 5000 --fault lose-producer

mutants:  ## switches each rule off and shows a test that fails without it, some minutes; RULE="S2-fence ..." picks
	@scripts/install-deps
	@scripts/mutants $(RULE)

demo:  ## two nodes, a real router, a kill -9, a verdict
	@scripts/install-deps
	@scripts/demo

up:  ## servers, one node and a sink for your own routers
	@scripts/install-deps
	@$(MAKE) --no-print-directory all
	@scripts/up

down:  ## stop what `make up` started
	@scripts/down

bench:  ## measure each stage, write build/bench.json
	@scripts/install-deps
	@$(MAKE) --no-print-directory programs
	@scripts/bench

asan:  ## unit tests and corpus replay under address and undefined sanitizers
	$(MAKE) --no-print-directory BUILD=asan check

ALL_SOURCES := $(sort $(wildcard common/*.cc common/*.h $(foreach t,$(TOOLS) bmp-recv/tap,$(t)/*.cc $(t)/*.h) \
  tests/unit/*.cc tests/unit/*/*.cc tests/unit/*/*/*.cc tests/support/*.h tests/support/*.cc tests/fuzz/*.cc tests/fuzz/*.h tests/tools/*.cc tests/preload/*.cc \
  tests/explore/*.cc tests/explore/*.h tests/simulate/*.cc tests/simulate/*.h \
  tests/compat/*/*/*.cc tests/compat/*/*/*.h))
LINT_SOURCES := $(filter %.cc,$(filter common/% $(TOOLS:%=%/%),$(ALL_SOURCES)))
lint:  ## clang-format and clang-tidy; warnings are errors
	@scripts/install-deps
	@$(MAKE) --no-print-directory lint-run
.PHONY: lint-run
lint-run:
	@clang-format-14 --dry-run -Werror $(ALL_SOURCES)
	@printf '%s\n' $(LINT_SOURCES) | xargs -P 2 -I{} clang-tidy-14 --quiet {} -- \
	  $(filter-out -MMD -MP -Werror,$(REQUIRED)) -DSPDLOG_COMPILED_LIB 2> >(grep -v "warnings generated\|Suppressed\|Use -header-filter" >&2)
	@scripts/lint-scripts
	@echo "lint: ok"

format:  ## rewrite sources with clang-format
	clang-format-14 -i $(ALL_SOURCES)

PREFIX ?= /usr/local
install: all  ## install tools, scripts and manual pages (DESTDIR, PREFIX)
	@[[ $(BUILD) != mutable ]] || { echo "BUILD=mutable is for tests: its rules can be switched off" >&2; exit 100; }
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/man/man8
	install -m 755 $(TOOLS:%=$(OUT)/bin/%) $(OUT)/bin/bmp-tap scripts/bmp-ha $(DESTDIR)$(PREFIX)/bin
	install -m 644 $(foreach t,$(TOOLS),$(t)/$(t).8) bmp-recv/tap/bmp-tap.8 scripts/bmp-ha.8 $(DESTDIR)$(PREFIX)/share/man/man8

install-deps:  ## install the Debian packages that are missing
	scripts/install-deps

clean:  ## remove build/
	rm -rf build

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 16

-include $(shell find $(OUT)/obj -name '*.d' 2>/dev/null)
