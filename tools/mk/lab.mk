# SPDX-License-Identifier: Apache-2.0
# lab-wire, which tools/lab starts: wires between namespaces that lose and delay.
# pktgen: a generator of live frames, and a sink.

# Each is the C files of one folder that are no BPF programs.
lab_objs = $(patsubst %.c,$(B_DIR)/%.o,$(filter-out %.bpf.c,$(wildcard $(1)/*.c)))
LAB_PROGRAMS := lab-wire pktgen
LAB_OBJS := $(call lab_objs,tools/netlab) $(call lab_objs,bench/pktgen)
$(LAB_OBJS): $(SKELETONS)

$(B_DIR)/lab-wire: $(call lab_objs,tools/netlab)
$(B_DIR)/pktgen: $(call lab_objs,bench/pktgen)
$(LAB_PROGRAMS:%=$(B_DIR)/%): $(B_DIR)/net.a
	$(call say,LINK,$@)
	$(Q)$(LINK) $(OUR_CFLAGS) $(CFLAGS) -o $@ $(filter %.o,$^) $(OUR_LDFLAGS) $(LDFLAGS) \
		$(shell pkg-config $(if $(DYNAMIC),,--static) --libs libbpf) \
		$(if $(DYNAMIC),,$(B_DIR)/net.a)

lab: $(LAB_PROGRAMS:%=build/%)
-include $(LAB_OBJS:.o=.d)
