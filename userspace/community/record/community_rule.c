/* SPDX-License-Identifier: Apache-2.0 */
/* How storers of the overlay judge records of communities. */
#include "community_rule.h"

#include <string.h>

#include "base/byte_cursor.h"

#define PREFIX_MEMBER "community:member:"
#define PREFIX_SHARE  "community:share:"
#define PREFIX_HINT   "community:info:"

static size_t name_write(const char *prefix, const uint8_t *id, const uint8_t *more,
			 uint8_t name[static COMMUNITY_NAME_CAP])
{
	struct writer w = writer_of(name, COMMUNITY_NAME_CAP);

	writer_bytes(&w, prefix, strlen(prefix));
	writer_bytes(&w, id, COMMUNITY_ID_LEN);
	if (more)
		writer_bytes(&w, more, COMMUNITY_ID_LEN);
	return writer_len(&w);
}

size_t community_name_member(const uint8_t *id, const uint8_t *key,
			     uint8_t name[static COMMUNITY_NAME_CAP])
{
	return name_write(PREFIX_MEMBER, id, key, name);
}

size_t community_name_share(const uint8_t *id, const uint8_t *share_id,
			    uint8_t name[static COMMUNITY_NAME_CAP])
{
	return name_write(PREFIX_SHARE, id, share_id, name);
}

size_t community_name_hint(const uint8_t *id, uint8_t name[static COMMUNITY_NAME_CAP])
{
	return name_write(PREFIX_HINT, id, NULL, name);
}

static bool is_name(const uint8_t *want, size_t want_len, const void *name, size_t len)
{
	return want_len == len && memcmp(want, name, len) == 0;
}

static void claim_set(struct overlay_claim *claim, const uint8_t *writer, uint64_t seq,
		      uint64_t time_s, uint64_t life_s)
{
	memcpy(claim->writer, writer, OVERLAY_WRITER_LEN);
	claim->seq = seq;
	claim->created_s = time_s;
	claim->expires_s = time_s + life_s;
}

static int check_member(void *ctx, const struct overlay_value *value, uint64_t wall_s,
			struct overlay_claim *out_claim)
{
	uint8_t want[COMMUNITY_NAME_CAP];
	struct community_member member;
	int err = community_member_parse(value->bytes + 1, value->len - 1, &member);

	(void)ctx;
	if (err < 0)
		return err;
	if (!is_name(want, community_name_member(member.id, member.key, want), value->name,
		     value->name_len))
		return WEFT_EREFUSED;
	if ((err = community_time_check(member.time_s, COMMUNITY_RECORD_LIFE_S, wall_s)) < 0 ||
	    (err = community_member_verify(value->bytes + 1, value->len - 1)) < 0)
		return err;
	claim_set(out_claim, member.key, member.seq, member.time_s, COMMUNITY_RECORD_LIFE_S);
	return 0;
}

/* A share has one place for all its publishers: its newest record counts, as among members. */
static int check_share(void *ctx, const struct overlay_value *value, uint64_t wall_s,
		       struct overlay_claim *out_claim)
{
	uint8_t want[COMMUNITY_NAME_CAP];
	struct community_share share;
	int err = community_share_parse(value->bytes + 1, value->len - 1, &share);

	(void)ctx;
	if (err < 0)
		return err;
	if (!is_name(want, community_name_share(share.id, share.binding.share_id, want),
		     value->name, value->name_len))
		return WEFT_EREFUSED;
	if ((err = community_time_check(share.time_s, COMMUNITY_RECORD_LIFE_S, wall_s)) < 0 ||
	    (err = community_share_verify(value->bytes + 1, value->len - 1)) < 0)
		return err;
	claim_set(out_claim, share.key, share.seq, share.time_s, COMMUNITY_RECORD_LIFE_S);
	return 0;
}

static int check_hint(void *ctx, const struct overlay_value *value, uint64_t wall_s,
		      struct overlay_claim *out_claim)
{
	uint8_t want[COMMUNITY_NAME_CAP];
	struct community_hint hint;
	int err = community_hint_parse(value->bytes + 1, value->len - 1, &hint);

	(void)ctx;
	if (err < 0)
		return err;
	if (!is_name(want, community_name_hint(hint.id, want), value->name, value->name_len))
		return WEFT_EREFUSED;
	if ((err = community_time_check(hint.time_s, COMMUNITY_HINT_LIFE_S, wall_s)) < 0 ||
	    (err = community_hint_verify(value->bytes + 1, value->len - 1)) < 0)
		return err;
	claim_set(out_claim, hint.key, hint.seq, hint.time_s, COMMUNITY_HINT_LIFE_S);
	return 0;
}

int community_rules_add(const struct overlay_seam *overlay)
{
	static const struct overlay_rule rules[] = {
		{.tag = COMMUNITY_TAG_MEMBER,
		 .prefix = PREFIX_MEMBER,
		 .len_max = 1 + COMMUNITY_MEMBER_LEN_MAX,
		 .key_max = 1,
		 .check = check_member,
		 .pool = "overlay.value_cap: community members"},
		{.tag = COMMUNITY_TAG_SHARE,
		 .prefix = PREFIX_SHARE,
		 .len_max = 1 + COMMUNITY_SHARE_LEN_MAX,
		 .key_max = 4,
		 .check = check_share,
		 .pool = "overlay.value_cap: community shares"},
		{.tag = COMMUNITY_TAG_HINT,
		 .prefix = PREFIX_HINT,
		 .len_max = 1 + COMMUNITY_HINT_LEN_MAX,
		 .key_max = COMMUNITY_HINTS_MAX,
		 .prefix_max = 2,
		 .check = check_hint,
		 .pool = "overlay.value_cap: community hints"},
	};
	int err = 0;

	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]) && err == 0; i++)
		err = overlay->ops->add_rule(overlay->overlay, &rules[i]);
	return err;
}
