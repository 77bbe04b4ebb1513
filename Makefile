# SPDX-License-Identifier: Apache-2.0
#
# `make help` lists the targets. Every profile (OPT, SAN, COV) has its own
# build/<profile>/; build/weftd and build/weft are the release profile's,
# linked statically so that they run wherever they were built, unless DYNAMIC=1.

SAN ?=
OPT ?= release
COV ?=
FUZZING ?=
T ?=
B ?=
TIME ?= 60
FROM ?=
V ?=
DESTDIR ?=
PREFIX ?= /usr/local

comma := ,
Q := $(if $(V),,@)
say = $(if $(V),@:,@printf '  %-5s %s\n' $(1) $(2))
PROFILE := $(or $(if $(COV),cov),$(if $(FUZZING),fuzz),$(if $(SAN),san-$(subst $(comma),-,$(SAN))),$(OPT)$(if $(DYNAMIC),-dynamic))
B_DIR := build/$(PROFILE)

ifeq ($(MAKELEVEL)$(filter -j%,$(MAKEFLAGS)),0)
MAKEFLAGS += -j$(shell nproc)
endif
MAKEFLAGS += --no-builtin-rules
.SUFFIXES:
.SECONDARY:
.DELETE_ON_ERROR:

.PHONY: all programs check check-dht check-user test nightly healing demo lab bench fuzz cov tidy format install uninstall clean help
all:

# Where the host lacks a package of tools/packages, make enters the private root
# (tools/in-root) with the same goals; these few need no compiler:
HOST_GOALS := install uninstall clean help
GOALS := $(or $(MAKECMDGOALS),all)
ifneq ($(filter-out $(HOST_GOALS),$(GOALS)),)
WHERE := $(shell tools/setup --where $(if $(filter-out all test demo $(HOST_GOALS),$(GOALS)),check,build))
ifeq ($(WHERE),)
$(error tools/setup says above why nothing can be built here)
endif
endif

ifneq ($(filter-out host,$(WHERE)),)
.PHONY: $(GOALS) enter-root
$(GOALS): enter-root
	@:
enter-root:
	+@tools/in-root $(MAKE) --no-print-directory $(GOALS)
else
include tools/mk/build.mk
include tools/mk/client.mk
include tools/mk/bpf.mk
include tools/mk/test.mk
include tools/mk/lab.mk
include tools/mk/echo.mk
endif

include tools/mk/install.mk

clean:
	rm -rf build

help:
	@echo 'all        build/weftd, build/weft, build/libweft.a and .so (the default)'
	@echo 'demo       share a folder between two nodes on this machine and tell the story'
	@echo 'lab        what tools/lab needs to make networks of namespaces, and pktgen'
	@echo 'check      the tree'"'"'s rules, unit, simulator, corpus replay, system tests'
	@echo '           T=NAME one group or test: T=codec, T=system, T=layers'
	@echo 'check-user the system tests once more as an ordinary user, where root runs make'
	@echo 'check-dht  the system tests once more where the DHT alone finds nodes; T=fabric one of them'
	@echo 'programs   builds all that check runs, and runs nothing'
	@echo 'test       the part of check that needs neither root nor tools'
	@echo 'nightly    the simulator over 200 seeds a test: T=test_swarm one program, SEEDS=20'
	@echo '           FROM=1 the first seed; check runs 3 of each'
	@echo 'healing    500 nodes, relays that come and go, partitions, loss: minutes, and 3 GB'
	@echo 'bench      all measurements; B=hash one of them'
	@echo 'fuzz       libFuzzer on every target; T=cbor one of them, TIME=60 seconds each'
	@echo 'cov        line coverage of the tests by folder'
	@echo 'mutants    random wrong changes, and which of them the tests notice; T=userspace/kad,'
	@echo '           COUNT=60, SEED=1 (tools/mutate --help tells more)'
	@echo 'tidy       clang-tidy; format: clang-format in place'
	@echo 'install    to $$(DESTDIR)$$(PREFIX), PREFIX=/usr/local; uninstall takes it back'
	@echo 'clean      removes build/'
	@echo
	@echo 'OPT=release|debug  SAN=address,undefined  SAN=thread  V=1 shows commands'
	@echo 'tools/setup --check tells what the machine lacks and what make will do about it'
