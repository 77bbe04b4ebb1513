/* SPDX-License-Identifier: Apache-2.0 */
/* Profiles of this node's own personas, and of circles. */
#include <string.h>

#include "base/assert.h"
#include "people_state.h"

#define FLAG_SHOWS_FOLLOWS 1u

bool social_profile_own(const struct people *people, unsigned persona, struct profile *out_profile)
{
	const struct persona_row *row = social_persona_row(people, persona);

	return row->profile_len > 0 &&
	       social_profile_read(row->profile, row->profile_len, out_profile) == 0;
}

bool social_profile_shows_follows(const struct people *people, unsigned persona)
{
	return social_persona_row(people, persona)->shows_follows;
}

/* --- signing --- */

static void follows_fill(const struct people *people, unsigned number, struct profile *profile)
{
	const struct list_node *list = &people->follow_list;

	for (const struct list_node *at = list->next;
	     at != list && profile->follow_cnt < PROFILE_FOLLOWS_MAX; at = at->next) {
		const struct follow_row *row = container_of(at, struct follow_row, link);

		if (row->kinds[number] == FOLLOW_PUBLIC && !row->is_frozen)
			memcpy(profile->follows[profile->follow_cnt++], row->key, NODE_KEY_LEN);
	}
}

int social_profile_sign(struct people *people, struct persona_row *persona, struct profile *profile)
{
	uint64_t now_ms = people_wall_ms(people);
	struct writer w = writer_of(people->made, PROFILE_LEN_MAX);

	/* Later than the one before, also where the clock was set back. */
	profile->time_ms = now_ms > profile->time_ms ? now_ms : profile->time_ms + 1;
	memset(profile->follows, 0, sizeof(profile->follows));
	profile->follow_cnt = 0;
	if (persona->shows_follows)
		follows_fill(people, persona->number, profile);
	social_profile_write(&w, profile, persona->key);
	if (w.bad)
		return WEFT_ETOOLARGE;
	persona->profile_len = writer_len(&w);
	memcpy(persona->profile, people->made, persona->profile_len);
	return 0;
}

static void own_touch(struct people *people, const struct persona_row *row, uint64_t now_ns)
{
	social_people_touch(people, PEOPLE_ROW_OWN, node_key_public(row->key), now_ns);
	social_people_tell(people, PEOPLE_OWN_PROFILE, node_key_public(row->key), NULL);
}

void social_profile_follows_changed(struct people *people, unsigned number, uint64_t now_ns)
{
	unsigned idx = social_persona_numbered(people, number);
	struct persona_row *row =
		idx == SOCIAL_PERSONA_NONE ? NULL : social_persona_row(people, idx);

	if (!row || !row->shows_follows || !social_profile_own(people, idx, &people->profile))
		return;
	if (social_profile_sign(people, row, &people->profile) == 0)
		own_touch(people, row, now_ns);
}

int social_profile_adopt(struct people *people, struct persona_row *persona,
			 const struct profile_put *put, uint64_t now_ns)
{
	const uint64_t time_ms = people->profile.time_ms;
	unsigned idx = social_persona_of(people, people->profile.person);
	uint8_t ours[PROFILE_MARK_LEN], theirs[PROFILE_MARK_LEN];

	if (idx == SOCIAL_PERSONA_NONE)
		return WEFT_EEXISTS; /* a former key says nothing any more */
	if (social_profile_own(people, idx, &people->profile)) {
		social_profile_mark(persona->profile, persona->profile_len, ours);
		social_profile_mark(put->bytes, put->len, theirs);
		if (time_ms < people->profile.time_ms ||
		    (time_ms == people->profile.time_ms && memcmp(theirs, ours, sizeof(ours)) <= 0))
			return WEFT_EEXISTS;
	}
	memcpy(persona->profile, put->bytes, put->len);
	persona->profile_len = put->len;
	people->stats.profile_kept_cnt++;
	own_touch(people, persona, now_ns);
	social_people_wait(people, &put->done, now_ns);
	return 0;
}

/* --- changes --- */

static bool picture_is_none(const uint8_t *picture)
{
	static const uint8_t none[BLAKE3_HASH_LEN];

	return memcmp(picture, none, sizeof(none)) == 0;
}

/* false: too long, or not to be shown. */
static bool text_take(const char *text, char *dst, size_t cap)
{
	size_t len = text ? strlen(text) : 0;

	if (!text)
		return true;
	if (len >= cap)
		return false;
	memset(dst, 0, cap);
	memcpy(dst, text, len);
	return true;
}

/* No anchor is that of another persona, nor a key of this node's own: it would tell them to be one. */
static bool anchor_is_free(struct people *people, const struct persona_row *persona,
			   const uint8_t *anchor)
{
	const struct persona_row *own = social_persona_row_of(people, anchor);

	if (own && own != persona)
		return false;
	for (unsigned idx = 0; idx < people->persona_cnt; idx++) {
		if (social_persona_row(people, idx) == persona ||
		    !social_profile_own(people, idx, &people->profile))
			continue;
		for (unsigned i = 0; i < people->profile.anchor_cnt; i++)
			if (memcmp(people->profile.anchors[i], anchor, NODE_KEY_LEN) == 0)
				return false;
	}
	return true;
}

static int anchors_judge(struct people *people, const struct profile_change *change)
{
	const struct persona_row *persona = social_persona_row(people, change->persona);

	if (change->anchor_cnt > PROFILE_ANCHORS_MAX)
		return WEFT_ETOOLARGE;
	for (unsigned i = 0; change->anchors && i < change->anchor_cnt; i++) {
		if (!node_key_is_sound(change->anchors[i]))
			return WEFT_EMALFORMED;
		if (!anchor_is_free(people, persona, change->anchors[i]))
			return WEFT_EREFUSED;
	}
	return 0;
}

/* The profile as it is to be, in people->profile. */
static int profile_change(struct people *people, const struct profile_change *change)
{
	struct profile *profile = &people->profile;
	int err = anchors_judge(people, change);

	if (err < 0)
		return err;
	if (!social_profile_own(people, change->persona, profile)) {
		*profile = (struct profile){.time_ms = 0};
		memcpy(profile->person, node_key_public(social_persona(people, change->persona)),
		       NODE_KEY_LEN);
	}
	if (!text_take(change->name, profile->name, sizeof(profile->name)) ||
	    !text_take(change->text, profile->text, sizeof(profile->text)))
		return WEFT_ETOOLARGE;
	if (change->picture) {
		profile->has_picture = !picture_is_none(change->picture);
		memcpy(profile->picture, change->picture, sizeof(profile->picture));
	}
	if (change->anchors) {
		memset(profile->anchors, 0, sizeof(profile->anchors));
		memcpy(profile->anchors, change->anchors, change->anchor_cnt * NODE_KEY_LEN);
		profile->anchor_cnt = change->anchor_cnt;
	}
	return social_profile_is_sound(profile->name, profile->text) ? 0 : WEFT_EMALFORMED;
}

static int public_set(struct people *people, const struct profile_change *change, uint64_t now_ns)
{
	struct persona_row *persona = social_persona_row(people, change->persona);
	bool showed = persona->shows_follows;
	int err = profile_change(people, change);

	if (err < 0)
		return err;
	if (change->has_shows_follows)
		persona->shows_follows = change->shows_follows;
	err = social_profile_sign(people, persona, &people->profile);
	if (err < 0) {
		persona->shows_follows = showed;
		return err;
	}
	own_touch(people, persona, now_ns);
	return 0;
}

static void circle_own_touch(struct people *people, const struct circle_row *row, uint64_t now_ns)
{
	uint8_t name[PEOPLE_ROW_NAME_MAX] = {0};

	memcpy(name, row->id, sizeof(row->id));
	social_people_touch(people, PEOPLE_ROW_CIRCLE, name, now_ns);
	social_people_tell(people, PEOPLE_CIRCLE, NULL, NULL);
}

static int circle_set(struct people *people, const struct profile_change *change, uint64_t now_ns)
{
	struct circle_row *row = social_circle_row(people, change->circle);
	struct circle_row changed;

	if (!row)
		return WEFT_EABSENT;
	changed = *row;
	if (change->is_unset) {
		row->has_profile = false;
		circle_own_touch(people, row, now_ns);
		return 0;
	}
	if (!text_take(change->name, changed.profile_name, sizeof(changed.profile_name)) ||
	    !text_take(change->text, changed.profile_text, sizeof(changed.profile_text)))
		return WEFT_ETOOLARGE;
	if (change->picture) {
		changed.has_picture = !picture_is_none(change->picture);
		memcpy(changed.profile_picture, change->picture, BLAKE3_HASH_LEN);
	}
	if (change->anchors || change->has_shows_follows ||
	    !social_profile_is_sound(changed.profile_name, changed.profile_text))
		return WEFT_EMALFORMED;
	changed.has_profile = true;
	*row = changed;
	circle_own_touch(people, row, now_ns);
	return 0;
}

int social_profile_set(struct people *people, const struct profile_change *change,
		       const struct people_done *done, uint64_t now_ns)
{
	int err;

	if (social_people_keep_lags(people))
		return WEFT_EBUSY;
	err = change->circle ? circle_set(people, change, now_ns)
			     : public_set(people, change, now_ns);
	if (err == 0)
		social_people_wait(people, done, now_ns);
	return err;
}

/* --- to a reader --- */

/* A reader of a former key follows the persona that has its number. */
static bool successors_say(const struct people *people, unsigned number,
			   bool (*fn)(void *arg, const void *bytes, size_t len), void *arg)
{
	for (unsigned i = 0; i < PERSONA_ROWS_MAX; i++) {
		const struct persona_row *row = &people->personas[i];

		if (row->key && row->number == number && row->successor_len &&
		    !fn(arg, row->successor, row->successor_len))
			return false;
	}
	return true;
}

bool social_persona_names(struct people *people, unsigned idx,
			  const uint8_t key[static NODE_KEY_LEN])
{
	const struct person *self =
		social_person(people, node_key_public(social_persona(people, idx)));

	for (unsigned i = 0; self && i < self->anchor_cnt; i++)
		if (memcmp(self->anchors[i], key, NODE_KEY_LEN) == 0)
			return true;
	return false;
}

bool social_persona_is_hidden(struct people *people, unsigned idx,
			      const uint8_t key[static NODE_KEY_LEN])
{
	return social_persona_is_via_anchors(people, idx) &&
	       !social_persona_names(people, idx, key);
}

/* The personal profile is made now, so it lies on the stack. */
static bool persona_say(struct people *people, unsigned idx, const uint8_t *reader,
			bool (*fn)(void *arg, const void *bytes, size_t len), void *arg)
{
	const struct persona_row *row = social_persona_row(people, idx);
	const struct personal_ask ask = {.persona = idx, .reader = reader};
	uint8_t bytes[PROFILE_CIRCLE_LEN_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));

	if (!successors_say(people, row->number, fn, arg))
		return false;
	if (row->profile_len == 0)
		return true;
	if (!fn(arg, row->profile, row->profile_len))
		return false;
	return social_personal_write(people, &ask, &w) < 0 || w.bad ||
	       fn(arg, bytes, writer_len(&w));
}

void social_said_to(struct people *people, const uint8_t reader[static NODE_KEY_LEN],
		    bool (*fn)(void *arg, const void *bytes, size_t len), void *arg)
{
	uint32_t followed = social_audience_of(people, reader) | 1u;

	if (social_is_blocked(people, reader))
		return;
	for (unsigned idx = 0; idx < people->persona_cnt; idx++)
		if (followed & 1u << idx && !social_persona_is_hidden(people, idx, reader) &&
		    !persona_say(people, idx, reader, fn, arg))
			return;
}

/* --- rows in the store: flags u8 | the profile --- */

static bool own_write(struct people *people, const uint8_t *name, struct writer *w)
{
	const struct persona_row *row = social_persona_row_of(people, name);

	if (!row || row->profile_len == 0)
		return false;
	writer_u8(w, row->shows_follows ? FLAG_SHOWS_FOLLOWS : 0);
	writer_bytes(w, row->profile, row->profile_len);
	return true;
}

static bool own_load(struct people *people, const uint8_t *name, struct cursor *c, uint64_t now_ns)
{
	struct persona_row *row = social_persona_row_of(people, name);
	uint8_t flags = cursor_u8(c);
	size_t len = cursor_left(c);

	(void)now_ns;
	if (!row || c->bad || len == 0 || len > sizeof(row->profile) ||
	    social_profile_read(c->pos, len, &people->profile) < 0)
		return false;
	row->shows_follows = flags & FLAG_SHOWS_FOLLOWS;
	row->profile_len = len;
	cursor_copy(c, row->profile, len);
	return true;
}

const struct people_codec people_codec_own = {own_write, own_load};
