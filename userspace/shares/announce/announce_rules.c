/* SPDX-License-Identifier: Apache-2.0 */
#include "announce_rules.h"

#include <string.h>

#include "base/byte_cursor.h"
#include "holder_record.h"
#include "golomb_set.h"

#define PREFIX_MANIFEST "manifest:loc:"
#define PREFIX_CONTENT	"content:prov:"
#define PREFIX_SET	"content:set:"

size_t shares_announce_name_of_id(enum announce_tag tag, const uint8_t id[static 32],
				  uint8_t out_name[static ANNOUNCE_NAME_CAP])
{
	const char *prefix = tag == ANNOUNCE_MANIFEST ? PREFIX_MANIFEST : PREFIX_CONTENT;
	struct writer w = writer_of(out_name, ANNOUNCE_NAME_CAP);

	writer_bytes(&w, prefix, strlen(prefix));
	writer_bytes(&w, id, HOLDER_RECORD_ID_LEN);
	return writer_len(&w);
}

size_t shares_announce_name_of_region(unsigned depth, uint32_t region,
				      uint8_t out_name[static ANNOUNCE_NAME_CAP])
{
	struct writer w = writer_of(out_name, ANNOUNCE_NAME_CAP);

	writer_bytes(&w, PREFIX_SET, strlen(PREFIX_SET));
	writer_u8(&w, (uint8_t)depth);
	writer_be32(&w, region);
	return writer_len(&w);
}

static bool names_equal(const uint8_t *own, size_t own_len, const void *name, size_t len)
{
	return own_len == len && memcmp(own, name, len) == 0;
}

static void claim_make(const uint8_t *key, uint64_t time_s, struct overlay_claim *out_claim)
{
	*out_claim = (struct overlay_claim){
		.seq = time_s,
		.created_s = time_s,
		.expires_s = time_s + HOLDER_RECORD_LIFE_S,
	};
	memcpy(out_claim->writer, key, sizeof(out_claim->writer));
}

/* The signature costs most: it is looked at last. */
static int record_check(enum announce_tag tag, const struct overlay_value *value, uint64_t wall_s,
			struct overlay_claim *out_claim)
{
	uint8_t own[ANNOUNCE_NAME_CAP];
	struct holder holder;
	int err;

	if (value->len == 0 || value->bytes[0] != tag)
		return WEFT_EMALFORMED;
	if ((err = shares_holder_record_parse(value->bytes + 1, value->len - 1, &holder)) < 0 ||
	    (err = shares_holder_record_check_time(holder.time_s, wall_s)) < 0)
		return err;
	if (!names_equal(own, shares_announce_name_of_id(tag, holder.id, own), value->name,
			 value->name_len))
		return WEFT_EREFUSED;
	if ((err = shares_holder_record_verify_signature(value->bytes + 1, value->len - 1)) < 0)
		return err;
	claim_make(holder.key, holder.time_s, out_claim);
	return 0;
}

static int manifest_check(void *ctx, const struct overlay_value *value, uint64_t wall_s,
			  struct overlay_claim *out_claim)
{
	(void)ctx;
	return record_check(ANNOUNCE_MANIFEST, value, wall_s, out_claim);
}

static int content_check(void *ctx, const struct overlay_value *value, uint64_t wall_s,
			 struct overlay_claim *out_claim)
{
	(void)ctx;
	return record_check(ANNOUNCE_CONTENT, value, wall_s, out_claim);
}

static int set_check(void *ctx, const struct overlay_value *value, uint64_t wall_s,
		     struct overlay_claim *out_claim)
{
	uint8_t own[ANNOUNCE_NAME_CAP];
	struct golomb_set set;
	int err;

	(void)ctx;
	if (value->len == 0 || value->bytes[0] != ANNOUNCE_SET)
		return WEFT_EMALFORMED;
	if ((err = shares_golomb_set_parse(value->bytes + 1, value->len - 1, &set)) < 0 ||
	    (err = shares_holder_record_check_time(set.time_s, wall_s)) < 0)
		return err;
	if (!names_equal(own, shares_announce_name_of_region(set.depth, set.region, own),
			 value->name, value->name_len))
		return WEFT_EREFUSED;
	if ((err = shares_golomb_set_verify_signature(value->bytes + 1, value->len - 1)) < 0)
		return err;
	claim_make(set.key, set.time_s, out_claim);
	return 0;
}

int shares_announce_rules_add(const struct overlay_seam *overlay)
{
	static const struct overlay_rule rules[] = {
		{.tag = ANNOUNCE_MANIFEST,
		 .prefix = PREFIX_MANIFEST,
		 .len_max = 1 + HOLDER_RECORD_LEN_MAX,
		 .key_max = ANNOUNCE_HOLDERS_MAX,
		 .prefix_max = ANNOUNCE_PER_PREFIX_MAX,
		 .check = manifest_check,
		 .pool = "overlay.value_cap: holder hints"},
		{.tag = ANNOUNCE_CONTENT,
		 .prefix = PREFIX_CONTENT,
		 .len_max = 1 + HOLDER_RECORD_LEN_MAX,
		 .key_max = ANNOUNCE_HOLDERS_MAX,
		 .prefix_max = ANNOUNCE_PER_PREFIX_MAX,
		 .check = content_check,
		 .pool = "overlay.value_cap: holder hints"},
		{.tag = ANNOUNCE_SET,
		 .prefix = PREFIX_SET,
		 .len_max = 1 + GOLOMB_SET_LEN_MAX,
		 .key_max = ANNOUNCE_HOLDERS_MAX,
		 .prefix_max = ANNOUNCE_PER_PREFIX_MAX,
		 .check = set_check,
		 .pool = "overlay.value_cap: holder hints"},
	};
	int err = 0;

	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]) && err == 0; i++)
		err = overlay->ops->add_rule(overlay->overlay, &rules[i]);
	return err;
}
