/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The interface descriptions, put into the program by the assembler so that
 * their files stay the only source: INTERFACE_TEXT is what tools/varlink-c makes of
 * include/varlink/. The paths are those seen from the top folder, where make runs.
 */
#include "control/interface.h"

#include <string.h>

#define INCLUDE_TEXT(symbol, path)                                                                 \
	__asm__(".pushsection .rodata\n"                                                           \
		".type " #symbol ", @object\n" #symbol ":\n"                                       \
		".incbin \"" path "\"\n"                                                           \
		".byte 0\n"                                                                        \
		".size " #symbol ", . - " #symbol "\n"                                             \
		".popsection\n");                                                                  \
	extern const char symbol[] __attribute__((visibility("hidden")))

INCLUDE_TEXT(interface_node_text, INTERFACE_TEXT);
INCLUDE_TEXT(interface_service_text, "include/weft/org.varlink.service.varlink");

const struct interface interfaces[INTERFACE_CNT] = {
	{INTERFACE_SERVICE, interface_service_text},
	{INTERFACE_NODE, interface_node_text},
};

const struct interface *control_interface_lookup(const char *name)
{
	for (size_t i = 0; i < INTERFACE_CNT; i++) {
		if (strcmp(interfaces[i].name, name) == 0)
			return &interfaces[i];
	}
	return NULL;
}
