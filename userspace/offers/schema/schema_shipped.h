/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_OFFERS_SCHEMA_SHIPPED_H
#define WEFT_OFFERS_SCHEMA_SHIPPED_H

#include <stddef.h>

/*
 * The texts of userspace/offers/shipped/, which the build puts into the program (tools/text-c).
 * A daemon needs no file to have the core services.
 */
struct schema_shipped {
	const char *name;
	const char *text;
	size_t len;
};
extern const struct schema_shipped offers_schema_shipped[]; /* until name NULL */

#endif
