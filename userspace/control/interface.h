/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CONTROL_INTERFACE_H
#define WEFT_CONTROL_INTERFACE_H

#include <stddef.h>

#define INTERFACE_NODE	  "net.weft.Node"
#define INTERFACE_SERVICE "org.varlink.service"

/*
 * The interface descriptions this program carries, as they stand in
 * include/weft/ at build time.
 */
struct interface {
	const char *name;
	const char *text; /* NUL-terminated */
};

#define INTERFACE_CNT 2
extern const struct interface interfaces[INTERFACE_CNT];

/* control_interface_lookup by name, or NULL. */
const struct interface *control_interface_lookup(const char *name);

#endif
