/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list of a collection's files, read (manifest.h): the fields here, the lists in
 * manifest_list.c and manifest_links.c. One that is signed is the same map in a signed object, with
 * what its publisher says of the share.
 */
#include "manifest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "codec/cbor.h"
#include "share_id.h"
#include "manifest_reading.h"
#include "crypto/blake3/blake3.h"
#include "crypto/signed.h"

enum {
	KEY_VERSION = 0,
	KEY_SHARE_KEY = 1,
	KEY_SHARE_ID = 2,
	KEY_SEQ = 3,
	KEY_CREATED = 4,
	KEY_EXPIRES = 5,
	KEY_TITLE = 6,
	KEY_DESCRIPTION = 7,
	KEY_VISIBILITY = 8,
	KEY_COMMUNITIES = 9,
	KEY_ITEMS = 10,
	KEY_RECOMMENDED = 11,
	KEY_PARTS = 12,
	KEY_DIRS = 13,
	KEY_LINKS = 14,
};

/* What only a share has to say, and what it has to say at least. */
#define SIGNED_KEYS                                                                                \
	(CBOR_KEY(KEY_SHARE_KEY) | CBOR_KEY(KEY_SHARE_ID) | CBOR_KEY(KEY_SEQ) |                    \
	 CBOR_KEY(KEY_EXPIRES) | CBOR_KEY(KEY_DESCRIPTION) | CBOR_KEY(KEY_VISIBILITY) |            \
	 CBOR_KEY(KEY_COMMUNITIES) | CBOR_KEY(KEY_RECOMMENDED))
#define SIGNED_KEYS_NEEDED                                                                         \
	(CBOR_KEY(KEY_SHARE_KEY) | CBOR_KEY(KEY_SHARE_ID) | CBOR_KEY(KEY_SEQ) |                    \
	 CBOR_KEY(KEY_CREATED) | CBOR_KEY(KEY_VISIBILITY))

uint64_t blobs_manifest_chunk_cnt(uint64_t size)
{
	return size / BLAKE3_CHUNK_LEN + (size % BLAKE3_CHUNK_LEN != 0);
}

/* --- fields --- */

static void title_read(struct manifest_reading *reading)
{
	struct manifest *m = reading->manifest;

	cbor_read_text_copy(&reading->r, m->title, sizeof(m->title));
	if (!cbor_is_bad(&reading->r) && !blobs_manifest_title_is_safe(m->title))
		blobs_manifest_reading_fail(reading, WEFT_EUNSAFE);
}

static void description_read(struct manifest_reading *reading)
{
	struct manifest *m = reading->manifest;

	m->description = cbor_read_text(&reading->r, &m->description_len);
	if (cbor_is_bad(&reading->r))
		return;
	if (m->description_len > MANIFEST_DESCRIPTION_LEN_MAX)
		blobs_manifest_reading_fail(reading, WEFT_ETOOLARGE);
	else if (!blobs_manifest_description_is_safe(m->description, m->description_len))
		blobs_manifest_reading_fail(reading, WEFT_EUNSAFE);
}

/* Ids ascend, so that none is there twice. */
static uint32_t ids_read(struct manifest_reading *reading, const uint8_t **ids, uint32_t max)
{
	struct cbor_reader *r = &reading->r;
	uint32_t cnt = 0;

	if (cbor_enter_array(r) > max)
		blobs_manifest_reading_fail(reading, WEFT_ETOOLARGE);
	while (cbor_next(r)) {
		size_t len;

		ids[cnt] = cbor_read_bytes(r, &len);
		if (len != SHARE_ID_LEN ||
		    (cnt && memcmp(ids[cnt - 1], ids[cnt], SHARE_ID_LEN) >= 0))
			cbor_fail(r);
		if (cbor_is_bad(r))
			return 0;
		cnt++;
	}
	return cnt;
}

static void field_read(struct manifest_reading *reading, uint64_t key)
{
	struct cbor_reader *r = &reading->r;
	struct manifest *m = reading->manifest;

	switch (key) {
	case KEY_VERSION:
		if (cbor_read_uint(r) != MANIFEST_VERSION)
			blobs_manifest_reading_fail(reading, WEFT_EUNKNOWN);
		break;
	case KEY_SHARE_KEY:
		cbor_read_fixed(r, m->share_key, sizeof(m->share_key));
		break;
	case KEY_SHARE_ID:
		cbor_read_fixed(r, m->share_id, sizeof(m->share_id));
		break;
	case KEY_SEQ:
		m->seq = cbor_read_uint(r);
		break;
	case KEY_CREATED:
		m->created_s = cbor_read_uint(r);
		break;
	case KEY_EXPIRES:
		m->expires_s = cbor_read_uint(r);
		break;
	case KEY_TITLE:
		title_read(reading);
		break;
	case KEY_DESCRIPTION:
		description_read(reading);
		break;
	case KEY_VISIBILITY:
		m->is_public = cbor_read_uint_max(r, 1) == 1;
		break;
	case KEY_COMMUNITIES:
		m->community_cnt = ids_read(reading, m->communities, MANIFEST_COMMUNITIES_MAX);
		break;
	case KEY_ITEMS:
		blobs_manifest_items_read(reading);
		break;
	case KEY_RECOMMENDED:
		m->recommended_cnt = ids_read(reading, m->recommended, MANIFEST_RECOMMENDED_MAX);
		break;
	case KEY_PARTS:
		blobs_manifest_parts_read(reading);
		break;
	case KEY_DIRS:
		blobs_manifest_dirs_read(reading);
		break;
	case KEY_LINKS:
		blobs_manifest_links_read(reading);
		break;
	default:
		cbor_skip(r);
	}
}

static bool has(const struct manifest_reading *reading, unsigned key)
{
	return cbor_has_key(&reading->r, key);
}

static int shape_take(struct manifest_reading *reading)
{
	struct manifest *m = reading->manifest;

	if (!has(reading, KEY_VERSION) || has(reading, KEY_ITEMS) == has(reading, KEY_PARTS))
		return WEFT_EMALFORMED;
	if (has(reading, KEY_PARTS)) {
		m->shape = MANIFEST_ROOT;
		return has(reading, KEY_CREATED) && m->part_cnt && !m->dir_cnt && !m->link_cnt
			       ? 0
			       : WEFT_EMALFORMED;
	}
	m->shape = has(reading, KEY_CREATED) ? MANIFEST_WHOLE : MANIFEST_PART;
	if (m->shape == MANIFEST_PART && has(reading, KEY_TITLE))
		return WEFT_EMALFORMED;
	return blobs_manifest_lists_are_apart(m) ? 0 : WEFT_EUNSAFE;
}

static int body_parse(struct manifest_reading *reading, const void *bytes, size_t len)
{
	uint64_t key;
	int err;

	cbor_reader_init(&reading->r, bytes, len);
	cbor_enter_map(&reading->r);
	while (cbor_next_key(&reading->r, &key))
		field_read(reading, key);
	err = cbor_reader_finish(&reading->r);
	if (reading->err < 0)
		return reading->err;
	return err < 0 ? err : shape_take(reading);
}

/* --- signed ones --- */

/* is_signed: field 0 is bytes that hold the manifest, and not its version. */
static bool is_signed(const void *bytes, size_t len)
{
	struct cbor_reader r;
	uint64_t key;

	cbor_reader_init(&r, bytes, len);
	cbor_enter_map(&r);
	return cbor_next_key(&r, &key) && key == 0 && cbor_peek(&r) == CBOR_BYTES;
}

static int share_check(const struct manifest_reading *reading, const uint8_t *signer)
{
	const struct manifest *m = reading->manifest;
	uint8_t id[SHARE_ID_LEN];

	if ((reading->r.seen & SIGNED_KEYS_NEEDED) != SIGNED_KEYS_NEEDED || m->seq == 0 ||
	    m->seq == HEAD_SEQ_REVOKED ||
	    (has(reading, KEY_EXPIRES) && m->expires_s <= m->created_s))
		return WEFT_EMALFORMED;
	share_id_of(m->share_key, id);
	if (memcmp(m->share_key, signer, sizeof(m->share_key)) != 0 ||
	    memcmp(m->share_id, id, sizeof(id)) != 0)
		return WEFT_EDAMAGED;
	return 0;
}

static int signed_manifest_parse(struct manifest_reading *reading, const void *bytes, size_t len)
{
	struct signed_object object;
	int err = signed_parse(bytes, len, &object);

	reading->manifest->is_signed = true;
	if (err == 0)
		err = body_parse(reading, object.body, object.body_len);
	if (err == 0)
		err = share_check(reading, object.signer);
	return err < 0 ? err : signed_verify(&object, MANIFEST_TAG);
}

static int unsigned_manifest_parse(struct manifest_reading *reading, const void *bytes, size_t len)
{
	int err = body_parse(reading, bytes, len);

	/* No signature vouches for what it says of a share. */
	return err == 0 && (reading->r.seen & SIGNED_KEYS) ? WEFT_EMALFORMED : err;
}

int blobs_manifest_parse(const void *bytes, size_t len, struct manifest **out_manifest)
{
	struct manifest_reading reading = {0};
	int err;

	if (len > MANIFEST_LEN_MAX)
		return WEFT_ETOOLARGE;
	reading.manifest = calloc(1, sizeof(*reading.manifest));
	if (!reading.manifest)
		return -ENOMEM;
	err = is_signed(bytes, len) ? signed_manifest_parse(&reading, bytes, len)
				    : unsigned_manifest_parse(&reading, bytes, len);
	if (err < 0) {
		blobs_manifest_free(reading.manifest);
		return err;
	}
	*out_manifest = reading.manifest;
	return 0;
}

void blobs_manifest_free(struct manifest *manifest)
{
	if (!manifest)
		return;
	free(manifest->items);
	free(manifest->tags);
	free(manifest->parts);
	free(manifest->dirs);
	free(manifest->links);
	free(manifest);
}

int blobs_manifest_part_ids(const struct manifest *manifest, uint8_t **out_ids)
{
	uint8_t *ids = NULL;

	if (manifest->part_cnt && !(ids = malloc((size_t)manifest->part_cnt * 32)))
		return -ENOMEM;
	for (uint32_t i = 0; i < manifest->part_cnt; i++)
		memcpy(ids + (size_t)i * 32, manifest->parts[i].manifest_id, 32);
	*out_ids = ids;
	return 0;
}
