/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_OFFERS_SHARED_SCHEMA_POINTER_H
#define WEFT_OFFERS_SHARED_SCHEMA_POINTER_H

#include <stddef.h>
#include <stdint.h>

#include "weft/err.h"

/*
 * A TXT record of DNS that points to a schema (weft-schema(5), IN DNS):
 *
 *	v=mesh-schema1 id=0xe31436e3 b3=<64 hexadecimal digits> u=https://example.org/boats.ini
 *
 * id is the service's, b3 the BLAKE3 of the text, and so its content id. u may be missing: the text
 * is looked for in the mesh by its content id. DNS is not authenticated, so b3 is what a person
 * compares. Pure.
 */
#define SCHEMA_POINTER_LEN_MAX 1024u /* of a record, its strings together */
#define SCHEMA_POINTER_URL_CAP 513u

struct schema_pointer {
	uint32_t id;
	uint8_t hash[32];
	char url[SCHEMA_POINTER_URL_CAP]; /* "": none */
};

/*
 * offers_schema_pointer_parse: 0, or
 *   WEFT_EUNKNOWN    the record is of something else
 *   WEFT_EMALFORMED  it lacks a part, or has one twice, or one that is not as above
 */
WEFT_MUST_CHECK
int offers_schema_pointer_parse(const char *text, size_t len, struct schema_pointer *out);

#endif
