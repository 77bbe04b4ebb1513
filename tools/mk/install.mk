# SPDX-License-Identifier: Apache-2.0
# install runs on the host, where the files are to go, and only builds when
# make was not called before.

INSTALL_TO = $(DESTDIR)$(PREFIX)
MAN_PAGES := $(wildcard docs/man/*.[158])
# Pages that are made of an interface (tools/varlink-man).
INTERFACES := $(INTERFACES_BUILT) include/weft/net.weft.Service.varlink
INTERFACE_PAGES = $(patsubst %.varlink,$(INSTALL_TO)/share/man/man7/%.7,$(notdir $(INTERFACES)))
# libweft's, made of its header (tools/header-man).
HEADER_PAGE = $(INSTALL_TO)/share/man/man3/weft.3
# The index of the control interface, of its areas.
INDEX_PAGE = $(INSTALL_TO)/share/man/man7/weft-api.7
AREAS := include/varlink/node.varlink $(filter-out %/node.varlink,$(wildcard include/varlink/*.varlink))
man_dir = $(INSTALL_TO)/share/man/man$(subst .,,$(suffix $(1)))
VERSION = $(shell sed -n 's/.define WEFT_VERSION "\(.*\)"/\1/p' include/weft/version.h)
# Directories that are ours alone; the others belong to the system.
INSTALLED = $(INSTALL_TO)/include/weft $(wildcard $(INSTALL_TO)/lib/libweft.*) \
	$(INSTALL_TO)/lib/pkgconfig/weft.pc \
	$(INSTALL_TO)/sbin/weftd $(INSTALL_TO)/bin/weft $(INSTALL_TO)/share/weft \
	$(INSTALL_TO)/share/bash-completion/completions/weft \
	$(INSTALL_TO)/lib/systemd/system/weftd.service $(INSTALL_TO)/lib/systemd/user/weftd.service \
	$(INSTALL_TO)/lib/sysusers.d/weft.conf \
	$(foreach m,$(MAN_PAGES),$(call man_dir,$(m))/$(notdir $(m))) $(INTERFACE_PAGES) $(HEADER_PAGE) $(INDEX_PAGE)

install:
	+@test -x build/weftd && test -x build/weft && test -e build/libweft.so || $(MAKE) all
	install -D -m 755 build/weftd $(INSTALL_TO)/sbin/weftd
	install -D -m 755 build/weft $(INSTALL_TO)/bin/weft
	install -D -m 644 -t $(INSTALL_TO)/include/weft include/weft/client.h include/weft/service_offer.h include/weft/err.h
	install -D -m 644 -t $(INSTALL_TO)/lib build/libweft.a build/libweft.so.0
	ln -sf libweft.so.0 $(INSTALL_TO)/lib/libweft.so
	install -d $(INSTALL_TO)/lib/pkgconfig
	sed 's,@PREFIX@,$(PREFIX),; s,@VERSION@,$(VERSION),' tools/packaging/weft.pc \
		>$(INSTALL_TO)/lib/pkgconfig/weft.pc
	install -D -m 644 -t $(INSTALL_TO)/share/weft $(INTERFACES) include/weft/org.varlink.service.varlink tools/packaging/xdp.conf
	install -D -m 644 -t $(INSTALL_TO)/share/weft build/weft.spdx.json
	install -D -m 644 -t $(INSTALL_TO)/share/weft/schemas $(SHIPPED_SCHEMAS)
	install -d $(INSTALL_TO)/lib/systemd/system $(INSTALL_TO)/share/bash-completion/completions
	build/weft completion bash >$(INSTALL_TO)/share/bash-completion/completions/weft
	sed 's,@PREFIX@,$(PREFIX),' tools/packaging/weftd.service >$(INSTALL_TO)/lib/systemd/system/weftd.service
	install -d $(INSTALL_TO)/lib/systemd/user
	sed 's,@PREFIX@,$(PREFIX),' tools/packaging/weftd-user.service >$(INSTALL_TO)/lib/systemd/user/weftd.service
	install -D -m 644 tools/packaging/weft.sysusers $(INSTALL_TO)/lib/sysusers.d/weft.conf
	$(foreach m,$(MAN_PAGES),install -D -m 644 $(m) $(call man_dir,$(m))/$(notdir $(m)) &&) true
	install -d $(dir $(HEADER_PAGE)) $(INSTALL_TO)/share/man/man7
	tools/header-man >$(HEADER_PAGE)
	tools/varlink-man --index $(AREAS) >$(INDEX_PAGE)
	set -e; for i in $(INTERFACES); do page=$${i##*/}; \
		tools/varlink-man $$i >$(INSTALL_TO)/share/man/man7/$${page%.varlink}.7; done

uninstall:
	rm -rf $(INSTALLED)
