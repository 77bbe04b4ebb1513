/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROVIDER_CAPABILITIES_H
#define WEFT_PROVIDER_CAPABILITIES_H

#include "base/byte_cursor.h"
#include "provider/provider.h"
#include "provider/tenant/tenant.h"

struct cbor_reader;

/*
 * The capabilities of an offer as its spec declares and its record stores them: the map
 *	{0: user, 1: rows, 2: bytes of rows, 3: [tag...], 4: [counter...]}
 * of which 1 to 4 may be missing. Pure.
 */
struct capabilities {
	struct provider_capabilities view;
	const char *value_tags[PROVIDER_TAG_MAX];
	const char *counters[PROVIDER_COUNTER_MAX];
	char text[PROVIDER_TAG_MAX * (PROVIDER_VALUE_TAG_LEN_MAX + 1) +
		  PROVIDER_COUNTER_MAX * (PROVIDER_COUNTER_NAME_MAX + 1)];
	size_t text_len;
};
#define CAPABILITIES_RECORD_CAP (32 + sizeof(((struct capabilities *)0)->text) + 64)

/* provider_capabilities_are_none: nothing is declared. */
bool provider_capabilities_are_none(const struct provider_capabilities *view);
/* provider_capabilities_fault: what is wrong in a few words, or NULL. */
const char *provider_capabilities_fault(const struct provider_capabilities *view,
					enum provider_kind kind);
void provider_capabilities_write(struct writer *w, const struct provider_capabilities *view);
/* provider_capabilities_read: r is bad when it is no such map; the rules of fault are not checked. */
void provider_capabilities_read(struct cbor_reader *r, struct capabilities *out);
/* provider_capabilities_declare: what a tenant of service and major declares for view. */
struct provider_declaration provider_capabilities_declare(const struct provider_capabilities *view,
							  const char *service, uint32_t major);

#endif
