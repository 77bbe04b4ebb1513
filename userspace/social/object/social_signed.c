/* SPDX-License-Identifier: Apache-2.0 */
#include "social/object/social_signed.h"

#include <errno.h>
#include <stdlib.h>

static int object_parse(const struct social_kind *kind, const void *bytes, size_t len,
			void *out_record, struct signed_object *out_object)
{
	int err;

	if (len > kind->len_max)
		return WEFT_ETOOLARGE;
	if ((err = signed_parse(bytes, len, out_object)) < 0)
		return err;
	return cbor_fields_parse(out_object->body, out_object->body_len, kind->table, out_record);
}

int social_signed_parse(const struct social_kind *kind, const void *bytes, size_t len,
			void *out_record, const uint8_t **out_signer)
{
	struct signed_object object;
	int err = object_parse(kind, bytes, len, out_record, &object);

	if (err == 0)
		*out_signer = object.signer;
	return err;
}

int social_signed_read(const struct social_kind *kind, const void *bytes, size_t len,
		       void *out_record, const uint8_t **out_signer)
{
	struct signed_object object;
	int err = object_parse(kind, bytes, len, out_record, &object);

	if (err < 0)
		return err;
	*out_signer = object.signer;
	return signed_verify(&object, kind->tag);
}

void social_signed_write(struct writer *w, const struct social_kind *kind, const void *record,
			 const struct node_key *signer)
{
	uint8_t *body = malloc(kind->len_max);
	struct writer b = writer_of(body, body ? kind->len_max : 0);

	cbor_fields_write(&b, kind->table, record);
	if (b.bad)
		w->bad = true;
	else
		signed_write(w, signer, kind->tag, body, writer_len(&b));
	free(body);
}
