/* SPDX-License-Identifier: Apache-2.0 */
#include "social/bundle/bundle_record.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "social/object/group_epoch.h"
#include "social/object/post_judge.h"
#include "social/object/profile.h"
#include "social/object/social_text.h"

/* The next len bytes of c as text that ends with a NUL: false, it is too long, or has one inside. */
static bool text_take(struct cursor *c, size_t len, char *dst, size_t cap)
{
	const char *text = (const char *)cursor_bytes(c, len);

	if (c->bad || len >= cap || memchr(text, '\0', len))
		return false;
	memcpy(dst, text, len);
	dst[len] = '\0';
	return true;
}

static void text_put(struct writer *w, const char *text)
{
	writer_u8(w, (uint8_t)strlen(text));
	writer_bytes(w, text, strlen(text));
}

void social_bundle_follow_write(struct writer *w, const struct bundle_follow *follow)
{
	writer_bytes(w, follow->persona, NODE_KEY_LEN);
	writer_bytes(w, follow->person, NODE_KEY_LEN);
	writer_u8(w, (uint8_t)follow->kind);
	writer_bytes(w, follow->petname, strlen(follow->petname));
}

int social_bundle_follow_parse(const struct bundle_record *record, struct bundle_follow *out_follow)
{
	struct cursor c = cursor_of(record->bytes, record->len);
	struct bundle_follow follow = {.persona = cursor_bytes(&c, NODE_KEY_LEN)};
	uint8_t kind;

	follow.person = cursor_bytes(&c, NODE_KEY_LEN);
	kind = cursor_u8(&c);
	follow.kind = (enum follow_kind)kind;
	if (c.bad || (kind != FOLLOW_PUBLIC && kind != FOLLOW_PRIVATE) ||
	    !text_take(&c, cursor_left(&c), follow.petname, sizeof(follow.petname)))
		return WEFT_EMALFORMED;
	*out_follow = follow;
	return 0;
}

void social_bundle_circle_write(struct writer *w, const struct bundle_circle *circle)
{
	writer_bytes(w, circle->persona, NODE_KEY_LEN);
	writer_u8(w, circle->rank);
	writer_u8(w, circle->has_profile);
	writer_bytes(w, circle->picture, BLAKE3_HASH_LEN);
	text_put(w, circle->name);
	text_put(w, circle->profile_name);
	writer_bytes(w, circle->profile_text, strlen(circle->profile_text));
}

int social_bundle_circle_parse(const struct bundle_record *record, struct bundle_circle *out_circle)
{
	struct cursor c = cursor_of(record->bytes, record->len);
	struct bundle_circle circle = {.persona = cursor_bytes(&c, NODE_KEY_LEN)};

	circle.rank = cursor_u8(&c);
	circle.has_profile = cursor_u8(&c) != 0;
	circle.picture = cursor_bytes(&c, BLAKE3_HASH_LEN);
	if (!text_take(&c, cursor_u8(&c), circle.name, sizeof(circle.name)) ||
	    !text_take(&c, cursor_u8(&c), circle.profile_name, sizeof(circle.profile_name)) ||
	    !text_take(&c, cursor_left(&c), circle.profile_text, sizeof(circle.profile_text)))
		return WEFT_EMALFORMED;
	*out_circle = circle;
	return 0;
}

void social_bundle_persona_write(struct writer *w, const struct bundle_persona *persona)
{
	writer_bytes(w, persona->seed, NODE_KEY_SEED_LEN);
	writer_u8(w, persona->flags);
	if (persona->flags & BUNDLE_PERSONA_HAS_NEXT) {
		writer_bytes(w, persona->next_seed, NODE_KEY_SEED_LEN);
		writer_be64(w, persona->committed_ms);
	}
	writer_bytes(w, persona->label, strlen(persona->label));
}

int social_bundle_persona_parse(const struct bundle_record *record,
				struct bundle_persona *out_persona)
{
	struct cursor c = cursor_of(record->bytes, record->len);
	struct bundle_persona persona = {.seed = cursor_bytes(&c, NODE_KEY_SEED_LEN)};

	persona.flags = cursor_u8(&c);
	if (persona.flags & BUNDLE_PERSONA_HAS_NEXT) {
		persona.next_seed = cursor_bytes(&c, NODE_KEY_SEED_LEN);
		persona.committed_ms = cursor_be64(&c);
	}
	if (c.bad || !text_take(&c, cursor_left(&c), persona.label, sizeof(persona.label)))
		return WEFT_EMALFORMED;
	*out_persona = persona;
	return 0;
}

void social_bundle_feed_write(struct writer *w, const struct bundle_feed *feed)
{
	writer_u8(w, (uint8_t)feed->name_len);
	writer_bytes(w, feed->name, feed->name_len);
	writer_bytes(w, feed->filter, feed->filter_len);
}

int social_bundle_feed_parse(const struct bundle_record *record, struct bundle_feed *out_feed)
{
	struct cursor c = cursor_of(record->bytes, record->len);
	struct bundle_feed feed = {.name_len = cursor_u8(&c)};

	feed.name = (const char *)cursor_bytes(&c, feed.name_len);
	feed.filter_len = cursor_left(&c);
	feed.filter = (const char *)c.pos;
	if (c.bad)
		return WEFT_EMALFORMED;
	*out_feed = feed;
	return 0;
}

void social_bundle_answer_write(struct writer *w, const struct request_answer *answer)
{
	writer_bytes(w, answer->person, NODE_KEY_LEN);
	writer_u8(w, answer->is_accepted);
	writer_be64(w, answer->since_ms);
}

int social_bundle_answer_parse(const struct bundle_record *record,
			       struct request_answer *out_answer)
{
	struct cursor c = cursor_of(record->bytes, record->len);
	struct request_answer answer = {.person = cursor_bytes(&c, NODE_KEY_LEN)};
	uint8_t is_accepted = cursor_u8(&c);

	answer.is_accepted = is_accepted != 0;
	answer.since_ms = cursor_be64(&c);
	if (c.bad || cursor_left(&c) || is_accepted > 1)
		return WEFT_EMALFORMED;
	*out_answer = answer;
	return 0;
}

/* --- judgement --- */

static int post_judge(const struct bundle_record *record, uint8_t *out_id)
{
	struct bundle_post post;
	struct judged_post *judged;
	struct post_parts parts;
	int err = social_bundle_post_parse(record, &post);

	if (err < 0)
		return err;
	parts = (struct post_parts){.post = post.post,
				    .claim = post.claim,
				    .visibility = post.visibility,
				    .post_len = post.post_len,
				    .claim_len = post.claim_len,
				    .visibility_len = post.visibility_len};
	social_post_id(post.post, post.post_len, out_id);
	if ((err = social_post_judge(&parts, &judged)) < 0)
		return err;
	social_judged_free(judged);
	return 0;
}

static int deletion_judge(const struct bundle_record *record, uint8_t *out_id)
{
	struct post_deletion deletion;
	int err = social_deletion_parse(record->bytes, record->len, &deletion);

	if (err < 0)
		return err;
	memcpy(out_id, deletion.post, POST_ID_LEN);
	return social_deletion_read(record->bytes, record->len, &deletion);
}

static int profile_judge(const struct bundle_record *record, uint8_t *out_id)
{
	struct profile *profile = malloc(sizeof(*profile));
	int err = profile ? social_profile_read(record->bytes, record->len, profile) : -ENOMEM;

	if (err == 0)
		memcpy(out_id, profile->person, NODE_KEY_LEN);
	free(profile);
	return err;
}

static int state_judge(const struct bundle_record *record, uint8_t *out_id)
{
	struct group_state *state = malloc(sizeof(*state));
	int err = state ? social_group_read(record->bytes, record->len, state) : -ENOMEM;

	if (err == 0)
		memcpy(out_id, state->group, 32);
	free(state);
	return err;
}

static int len_judge(const struct bundle_record *record, size_t min, size_t max)
{
	return record->len >= min && record->len <= max ? 0 : WEFT_EMALFORMED;
}

static int small_judge(const struct bundle_record *record)
{
	struct bundle_follow follow;
	struct bundle_circle circle;
	struct bundle_persona persona;
	struct bundle_feed feed;
	struct request_answer answer;

	switch (record->kind) {
	case BUNDLE_FOLLOW:
		return social_bundle_follow_parse(record, &follow);
	case BUNDLE_CIRCLE:
		return social_bundle_circle_parse(record, &circle);
	case BUNDLE_PERSONA:
		return social_bundle_persona_parse(record, &persona);
	case BUNDLE_FEED:
		return social_bundle_feed_parse(record, &feed);
	case BUNDLE_MEMBER:
	case BUNDLE_BLOCK:
		return len_judge(record, NODE_KEY_LEN, NODE_KEY_LEN);
	case BUNDLE_DRAFT:
		return len_judge(record, 17, SIZE_MAX);
	case BUNDLE_GROUP:
		return len_judge(record, 64, 64 + SOCIAL_NAME_MAX);
	case BUNDLE_SECRET:
		return len_judge(record, 44, 44);
	case BUNDLE_ANSWER:
		return social_bundle_answer_parse(record, &answer);
	default:
		return WEFT_EUNKNOWN;
	}
}

int social_bundle_judge(const struct bundle_record *record, uint8_t out_id[static 32],
			const char **out_why)
{
	int err;

	memset(out_id, 0, 32);
	if (record->kind == BUNDLE_POST)
		err = post_judge(record, out_id);
	else if (record->kind == BUNDLE_DELETION)
		err = deletion_judge(record, out_id);
	else if (record->kind == BUNDLE_PROFILE)
		err = profile_judge(record, out_id);
	else if (record->kind == BUNDLE_STATE)
		err = state_judge(record, out_id);
	else
		err = small_judge(record);
	*out_why = err == WEFT_EDAMAGED	   ? "its signature does not match"
		   : err == WEFT_EWRONGKEY ? "another key than the author's signed it"
		   : err == WEFT_ETOOLARGE ? "it is longer than any may be"
		   : err == WEFT_EUNKNOWN  ? "a later version wrote it"
		   : err == -ENOMEM	   ? "there is no memory"
					   : "it follows no format";
	return err;
}
