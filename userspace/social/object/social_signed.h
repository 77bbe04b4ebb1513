/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SOCIAL_OBJECT_SOCIAL_SIGNED_H
#define WEFT_SOCIAL_OBJECT_SOCIAL_SIGNED_H

#include "codec/cbor_fields.h"
#include "crypto/signed.h"

/* Private to this room: a signed object whose body is one table of fields. Thread-safe. */
struct social_kind {
	const char *tag;
	const struct cbor_table *table;
	size_t len_max; /* of the object */
};

/* social_signed_read: 0, WEFT_ETOOLARGE, WEFT_EMALFORMED, WEFT_EDAMAGED or -ENOMEM. */
WEFT_MUST_CHECK
int social_signed_read(const struct social_kind *kind, const void *bytes, size_t len,
		       void *out_record, const uint8_t **out_signer);
/* social_signed_parse: the same of bytes whose signature was verified before: it is not looked at. */
WEFT_MUST_CHECK
int social_signed_parse(const struct social_kind *kind, const void *bytes, size_t len,
			void *out_record, const uint8_t **out_signer);
void social_signed_write(struct writer *w, const struct social_kind *kind, const void *record,
			 const struct node_key *signer);

#endif
