/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SERVICE_DIRECTORY_NAMED_H
#define WEFT_SERVICE_DIRECTORY_NAMED_H

#include "service/service.h"
#include "codec/text/semver.h"

/* A service as users name it, with its provider and its version. Pure. */
struct service_named {
	char name[SERVICE_NAME_LEN_MAX + 1];
	bool has_provider;
	uint8_t provider[MESH_KEY_LEN];
	char version[SEMVER_RANGE_LEN_MAX + 1]; /* a range; "": any */
};

/*
 * service_named_parse reads NAME[@NODE][@VERSION], in this order: NODE is the 52 letters of a
 * key. Whether there can be such a name or range is seen where they are used. WEFT_EMALFORMED.
 */
WEFT_MUST_CHECK
int service_named_parse(const char *text, struct service_named *out_named);

#endif
