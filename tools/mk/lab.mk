# SPDX-License-Identifier: Apache-2.0
# lab-wire, which tools/lab starts: wires between namespaces that lose and delay.

LAB_OBJS := $(patsubst %.c,$(B_DIR)/%.o,$(filter-out %.bpf.c,$(wildcard tools/netlab/*.c)))
$(LAB_OBJS): | $(SKELETONS)

$(B_DIR)/lab-wire: $(LAB_OBJS) $(B_DIR)/net.a
	$(call say,LINK,$@)
	$(Q)$(LINK) $(CFLAGS) -o $@ $(LAB_OBJS) $(LDFLAGS) \
		$(shell pkg-config $(if $(DYNAMIC),,--static) --libs libbpf) \
		$(if $(DYNAMIC),,$(B_DIR)/net.a)

lab: build/lab-wire
-include $(LAB_OBJS:.o=.d)
