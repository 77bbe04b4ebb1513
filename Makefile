# SPDX-License-Identifier: Apache-2.0
#
# `make help` lists the targets. Every profile (OPT, SAN, COV) has its own
# build/<profile>/; build/weftd and build/weft are the release profile's,
# linked statically so that they run wherever they were built.

SAN ?=
OPT ?= release
COV ?=
T ?=
B ?=
TIME ?= 60
V ?=
DESTDIR ?=
PREFIX ?= /usr/local

comma := ,
Q := $(if $(V),,@)
say = $(if $(V),@:,@printf '  %-5s %s\n' $(1) $(2))
PROFILE := $(if $(COV),cov,$(if $(SAN),san-$(subst $(comma),-,$(SAN)),$(OPT)))
B_DIR := build/$(PROFILE)

ifeq ($(filter -j%,$(MAKEFLAGS)),)
MAKEFLAGS += -j$(shell nproc)
endif
MAKEFLAGS += --no-builtin-rules
.SUFFIXES:
.SECONDARY:
.DELETE_ON_ERROR:

.PHONY: all check test unit demo bench fuzz cov tidy format format-check layers headers \
	install uninstall clean help
all:

# Where the host lacks a package of tools/packages, make enters the private root
# (tools/in-root) with the same goals; these few need no compiler:
HOST_GOALS := install uninstall clean help
GOALS := $(or $(MAKECMDGOALS),all)
ifneq ($(filter-out $(HOST_GOALS),$(GOALS)),)
WHERE := $(shell tools/setup --where $(if $(filter-out all test $(HOST_GOALS),$(GOALS)),check,build))
endif

ifneq ($(filter-out host,$(WHERE)),)
.PHONY: $(GOALS) enter-root
$(GOALS): enter-root
	@:
enter-root:
	+@tools/in-root $(MAKE) --no-print-directory $(GOALS)
else
include tools/mk/build.mk
include tools/mk/test.mk
endif
