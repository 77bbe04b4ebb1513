/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROVIDER_TENANT_PROGRAM_VALUE_H
#define WEFT_PROVIDER_TENANT_PROGRAM_VALUE_H

#include <stddef.h>
#include <stdint.h>

#include "mesh/seam_overlay.h"
#include "weft/err.h"

struct node_key;
struct writer;

/*
 * The value that a program's service puts into the overlay (docs/wire/program_value.md). It is the
 * overlay's tag, then a signed object (crypto/signed.h) of tag "program" with the body
 *
 *	{0: name, 1: number, 2: created s, 3: expires s, 4: bytes}
 *
 * under the name "app:" SERVICE ":" TAG ":" KEY, where TAG is one that the service declares. The
 * signer is the node of the program. Of one node the highest number counts. Pure.
 */
#define PROGRAM_VALUE_OVERLAY_TAG 0x51
#define PROGRAM_VALUE_KEY_LEN_MAX 128u
#define PROGRAM_VALUE_LEN_MAX	  4096u /* of the program's bytes */
#define PROGRAM_VALUE_LIFE_MIN_S  60u
#define PROGRAM_VALUE_LIFE_MAX_S  (7u * 86400)
#define PROGRAM_VALUE_CAP	  (PROGRAM_VALUE_LEN_MAX + OVERLAY_NAME_LEN_MAX + 160)
#define PROGRAM_VALUE_WRITERS_MAX 32u /* under a key */

/* Borrowed, as name and bytes are of what was parsed. */
struct program_value {
	const uint8_t *name;
	size_t name_len;
	uint64_t number, created_s, expires_s;
	const uint8_t *bytes;
	size_t len;
	const uint8_t *signer; /* of parse */
};

/* provider_program_value_name returns its length, or 0 for a key that is empty or too long. */
size_t provider_program_value_name(const char *service, const char *tag, const void *key,
				   size_t key_len, uint8_t out_name[static OVERLAY_NAME_LEN_MAX]);
/* provider_program_value_write: w is bad when bytes are too many, or it has no room. */
void provider_program_value_write(struct writer *w, const struct program_value *value,
				  const struct node_key *key);
/* provider_program_value_parse checks the form: 0 or WEFT_EMALFORMED. The signature is the rule's to check. */
WEFT_MUST_CHECK
int provider_program_value_parse(const uint8_t *bytes, size_t len, struct program_value *out_value);
/* provider_program_value_rule: by which every node judges such values. */
struct overlay_rule provider_program_value_rule(void);

#endif
