/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SERVICE_DIRECTORY_DESCRIPTION_H
#define WEFT_SERVICE_DIRECTORY_DESCRIPTION_H

#include <stddef.h>

#include <jansson.h>

#include "service/service.h"

/*
 * The description of a service, as JSON:
 *	{"about": TEXT, "methods": [{"name": METHOD, "about": TEXT, "stream": BOOL,
 *	 "read_only": BOOL, "takes": [FIELD...], "gives": [FIELD...], "example": {...}}...]}
 *	FIELD: {"name": TEXT, "type": TEXT, "about": TEXT}
 * where only names and types must be there. A type is as varlink writes it, "?string" for an
 * optional field. The method "*" stands for any name.
 *
 * Owners give it with their offer, and any caller is answered it under SERVICE_DESCRIBE in an
 * envelope with what the offer itself says:
 *	{"name": ..., "version": ..., "read_only": [METHOD...], "needs_signature": BOOL,
 *	 "http": BOOL, "description": {...}}
 * Both are read here, from owners and from unknown peers alike. The bounds below apply, fields of
 * later versions are left out, and all texts are on one line. Pure.
 */
#define SERVICE_DESCRIBED_METHODS_MAX 64u
#define SERVICE_DESCRIBED_FIELDS_MAX  32u /* that a method takes, and that it gives */
#define SERVICE_DESCRIBED_NAME_MAX    64u /* bytes of a field's name */
#define SERVICE_DESCRIBED_TEXT_MAX    500u
#define SERVICE_DESCRIBED_LEN_MAX     (SERVICE_DESCRIPTION_LEN_MAX + 8192) /* of an answer */

/*
 * service_description_load: *out_description has all fields of the form above but "example" and
 * "read_only" where they were missing, sound and in the caller's hands. 0, -ENOMEM or
 * WEFT_EMALFORMED with *out_why in a few words.
 */
WEFT_MUST_CHECK
int service_description_load(const char *text, size_t len, json_t **out_description,
			     const char **out_why);

/*
 * service_described_load reads an answer: {"name", "version", "needs_signature", "http",
 * "about", "methods"}, whose methods also have "read_only"; read-only ones that the owner does not
 * describe are there by name. 0, -ENOMEM or WEFT_EMALFORMED with *out_why.
 */
WEFT_MUST_CHECK
int service_described_load(const char *text, size_t len, json_t **out_described,
			   const char **out_why);

/*
 * service_describe answers call, of SERVICE_DESCRIBE, for its offer: every offer has an answer.
 */
void service_describe(struct service_call *call, uint64_t now_ns);

#endif
