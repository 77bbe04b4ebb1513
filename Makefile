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

include tools/mk/build.mk
include tools/mk/test.mk
