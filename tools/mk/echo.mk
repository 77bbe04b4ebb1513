# SPDX-License-Identifier: Apache-2.0
# weft-echo: the built-in service echo, run as a program. Its code is builtin.a's; what weftd offers
# a service is tools/echo/program_seam.c instead, so service.a is not linked.

ECHO := $(B_DIR)/weft-echo
ECHO_OBJS := $(patsubst %.c,$(B_DIR)/%.o,$(wildcard tools/echo/*.c))
$(ECHO): $(ECHO_OBJS) $(B_DIR)/builtin.a $(B_DIR)/client.a $(B_DIR)/varlink.a $(B_DIR)/codec.a $(B_DIR)/base.a
	$(call say,LINK,$@)
	$(Q)$(LINK) $(OUR_CFLAGS) $(CFLAGS) -o $@ $(filter %.o,$^) $(filter %.a,$^) $(OUR_LDFLAGS) $(LDFLAGS) \
		$(shell pkg-config $(if $(DYNAMIC),,--static) --libs jansson libsodium)

-include $(ECHO_OBJS:.o=.d)
