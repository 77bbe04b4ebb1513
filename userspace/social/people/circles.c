/* SPDX-License-Identifier: Apache-2.0 */
/* Circles: a persona's own lists of people. Members of one are in order, so a look-up is a bisection. */
#include "circles.h"

#include <string.h>

#include "base/assert.h"
#include "base/random.h"
#include "people_state.h"
#include "social/object/social_text.h"

#define FLAG_PROFILE 1u
#define FLAG_PICTURE 2u

static const uint8_t no_member[NODE_KEY_LEN];

/* --- rows --- */

static bool row_is_used(const struct circle_row *row)
{
	return row->name[0] != '\0';
}

struct circle_row *social_circle_row(const struct people *people, const uint8_t *id)
{
	for (unsigned i = 0; i < SOCIAL_CIRCLES_MAX; i++) {
		struct circle_row *row = &people->circles[i];

		if (row_is_used(row) && memcmp(row->id, id, SOCIAL_CIRCLE_ID_LEN) == 0)
			return row;
	}
	return NULL;
}

static struct circle_row *row_named(const struct people *people, unsigned number, const char *name)
{
	for (unsigned i = 0; i < SOCIAL_CIRCLES_MAX; i++) {
		struct circle_row *row = &people->circles[i];

		if (row_is_used(row) && row->persona == number && strcmp(row->name, name) == 0)
			return row;
	}
	return NULL;
}

static struct circle_row *row_free(const struct people *people)
{
	for (unsigned i = 0; i < SOCIAL_CIRCLES_MAX; i++)
		if (!row_is_used(&people->circles[i]))
			return &people->circles[i];
	return NULL;
}

static void row_clear(struct circle_row *row)
{
	uint8_t(*members)[NODE_KEY_LEN] = row->members;

	memset(row, 0, sizeof(*row));
	row->members = members;
}

/* The place of key among the members, or where it would be. */
static unsigned member_place(const struct circle_row *row, const uint8_t *key, bool *out_is_there)
{
	unsigned low = 0, high = row->member_cnt;

	*out_is_there = false;
	while (low < high) {
		unsigned mid = (low + high) / 2;
		int order = memcmp(row->members[mid], key, NODE_KEY_LEN);

		if (order == 0) {
			*out_is_there = true;
			return mid;
		}
		if (order < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static bool row_has(const struct circle_row *row, const uint8_t *key)
{
	bool is_there;

	(void)member_place(row, key, &is_there);
	return is_there;
}

/* There is room for it. */
static void member_insert(struct circle_row *row, const uint8_t *key)
{
	bool is_there;
	unsigned at = member_place(row, key, &is_there);

	if (is_there)
		return;
	memmove(row->members[at + 1], row->members[at],
		(row->member_cnt - at) * sizeof(*row->members));
	memcpy(row->members[at], key, NODE_KEY_LEN);
	row->member_cnt++;
}

static void member_erase(struct circle_row *row, const uint8_t *key)
{
	bool is_there;
	unsigned at = member_place(row, key, &is_there);

	if (!is_there)
		return;
	row->member_cnt--;
	memmove(row->members[at], row->members[at + 1],
		(row->member_cnt - at) * sizeof(*row->members));
}

static void circle_touch(struct people *people, const uint8_t *id, const uint8_t *member,
			 uint64_t now_ns)
{
	uint8_t name[PEOPLE_ROW_NAME_MAX];

	memcpy(name, id, SOCIAL_CIRCLE_ID_LEN);
	memcpy(name + SOCIAL_CIRCLE_ID_LEN, member, NODE_KEY_LEN);
	social_people_touch(people, PEOPLE_ROW_CIRCLE, name, now_ns);
}

/* --- what is there --- */

static struct circle_view view_of(const struct people *people, const struct circle_row *row)
{
	return (struct circle_view){
		.id = row->id,
		.name = row->name,
		.persona = social_persona_numbered(people, row->persona),
		.rank = row->rank,
		.member_cnt = row->member_cnt,
		.made_ms = row->made_ms,
		.has_profile = row->has_profile,
		.profile_name = row->profile_name,
		.profile_text = row->profile_text,
		.profile_picture = row->has_picture ? row->profile_picture : NULL,
	};
}

bool social_circle_lookup(const struct people *people,
			  const uint8_t id[static SOCIAL_CIRCLE_ID_LEN],
			  struct circle_view *out_view)
{
	const struct circle_row *row = social_circle_row(people, id);

	if (row)
		*out_view = view_of(people, row);
	return row != NULL;
}

bool social_circle_find(const struct people *people, unsigned persona, const char *name,
			struct circle_view *out_view)
{
	const struct circle_row *row =
		row_named(people, social_persona_row(people, persona)->number, name);

	if (row)
		*out_view = view_of(people, row);
	return row != NULL;
}

bool social_circle_has(const struct people *people, const uint8_t id[static SOCIAL_CIRCLE_ID_LEN],
		       const uint8_t person[static NODE_KEY_LEN])
{
	const struct circle_row *row = social_circle_row(people, id);

	return row && row_has(row, person);
}

void social_circles_each(const struct people *people, unsigned persona,
			 bool (*fn)(void *arg, const struct circle_view *view), void *arg)
{
	for (int rank = SOCIAL_CIRCLE_RANK_MAX; rank >= 0; rank--)
		for (unsigned i = 0; i < SOCIAL_CIRCLES_MAX; i++) {
			const struct circle_row *row = &people->circles[i];
			struct circle_view view;

			if (!row_is_used(row) || row->rank != rank)
				continue;
			view = view_of(people, row);
			if (persona != SOCIAL_EACH_PERSONA && view.persona != persona)
				continue;
			if (!fn(arg, &view))
				return;
		}
}

void social_circle_members(const struct people *people,
			   const uint8_t id[static SOCIAL_CIRCLE_ID_LEN],
			   bool (*fn)(void *arg, const uint8_t *person), void *arg)
{
	const struct circle_row *row = social_circle_row(people, id);

	for (unsigned i = 0; row && i < row->member_cnt; i++)
		if (!fn(arg, row->members[i]))
			return;
}

/* Of two of one rank it is the older one, so that a reader's does not change by itself. */
static bool is_above(const struct circle_row *row, const struct circle_row *other)
{
	if (!other || row->rank != other->rank)
		return !other || row->rank > other->rank;
	return row->made_ms < other->made_ms;
}

const struct circle_row *social_circle_of(const struct people *people, unsigned number,
					  const uint8_t *reader)
{
	const struct circle_row *best = NULL;

	for (unsigned i = 0; i < SOCIAL_CIRCLES_MAX; i++) {
		const struct circle_row *row = &people->circles[i];

		if (row_is_used(row) && row->persona == number && row->has_profile &&
		    row_has(row, reader) && is_above(row, best))
			best = row;
	}
	return best;
}

/* --- changes --- */

static bool name_is_sound(const char *name)
{
	size_t len = strlen(name);

	return len <= SOCIAL_NAME_MAX && social_text_is_name(name, len);
}

int social_circle_create(struct people *people, const struct circle_draft *draft,
			 const struct people_done *done, uint64_t now_ns,
			 uint8_t out_id[static SOCIAL_CIRCLE_ID_LEN])
{
	unsigned number = social_persona_row(people, draft->persona)->number;
	struct circle_row *row = row_free(people);

	if (!draft->name || !name_is_sound(draft->name))
		return WEFT_EMALFORMED;
	if (row_named(people, number, draft->name))
		return WEFT_EEXISTS;
	if (!row)
		return WEFT_EFULL;
	if (social_people_keep_lags(people))
		return WEFT_EBUSY;
	row_clear(row);
	random_fill(people->ground->random, row->id, sizeof(row->id));
	row->persona = (uint8_t)number;
	row->rank = draft->rank;
	row->made_ms = people_wall_ms(people);
	memcpy(row->name, draft->name, strlen(draft->name) + 1);
	memcpy(out_id, row->id, sizeof(row->id));
	circle_touch(people, row->id, no_member, now_ns);
	social_people_wait(people, done, now_ns);
	social_people_tell(people, PEOPLE_CIRCLE, NULL, NULL);
	return 0;
}

int social_circle_set(struct people *people, const uint8_t id[static SOCIAL_CIRCLE_ID_LEN],
		      const struct circle_draft *draft, const struct people_done *done,
		      uint64_t now_ns)
{
	struct circle_row *row = social_circle_row(people, id), *named;

	if (!row)
		return WEFT_EABSENT;
	if (draft->name && !name_is_sound(draft->name))
		return WEFT_EMALFORMED;
	named = draft->name ? row_named(people, row->persona, draft->name) : NULL;
	if (named && named != row)
		return WEFT_EEXISTS;
	if (social_people_keep_lags(people))
		return WEFT_EBUSY;
	if (draft->name && !named) {
		memset(row->name, 0, sizeof(row->name));
		memcpy(row->name, draft->name, strlen(draft->name));
	}
	row->rank = draft->rank;
	circle_touch(people, row->id, no_member, now_ns);
	social_people_wait(people, done, now_ns);
	social_people_tell(people, PEOPLE_CIRCLE, NULL, NULL);
	return 0;
}

static void row_drop(struct people *people, struct circle_row *row, uint64_t now_ns)
{
	uint8_t id[SOCIAL_CIRCLE_ID_LEN], members[SOCIAL_CIRCLE_MEMBERS_MAX][NODE_KEY_LEN];
	unsigned cnt = row->member_cnt;

	memcpy(id, row->id, sizeof(id));
	memcpy(members, row->members, cnt * sizeof(members[0]));
	row_clear(row);
	circle_touch(people, id, no_member, now_ns);
	for (unsigned i = 0; i < cnt; i++)
		circle_touch(people, id, members[i], now_ns);
}

int social_circle_delete(struct people *people, const uint8_t id[static SOCIAL_CIRCLE_ID_LEN],
			 const struct people_done *done, uint64_t now_ns)
{
	struct circle_row *row = social_circle_row(people, id);

	if (!row)
		return WEFT_EABSENT;
	if (social_people_keep_lags(people))
		return WEFT_EBUSY;
	row_drop(people, row, now_ns);
	social_people_wait(people, done, now_ns);
	social_people_tell(people, PEOPLE_CIRCLE, NULL, NULL);
	return 0;
}

static int add_judge(const struct people *people, const struct circle_row *row,
		     const uint8_t *person)
{
	if (!row)
		return WEFT_EABSENT;
	if (social_people_is_own(people, person) || social_is_blocked(people, person))
		return WEFT_EREFUSED;
	if (!node_key_is_sound(person))
		return WEFT_EMALFORMED;
	if (row_has(row, person))
		return WEFT_EEXISTS;
	if (row->member_cnt == SOCIAL_CIRCLE_MEMBERS_MAX)
		return WEFT_EFULL;
	return social_people_keep_lags(people) ? WEFT_EBUSY : 0;
}

int social_circle_add(struct people *people, const struct circle_member *member,
		      const struct people_done *done, uint64_t now_ns)
{
	struct circle_row *row = social_circle_row(people, member->circle);
	int err = add_judge(people, row, member->person);

	if (err < 0)
		return err;
	member_insert(row, member->person);
	circle_touch(people, row->id, member->person, now_ns);
	social_people_wait(people, done, now_ns);
	social_people_tell(people, PEOPLE_CIRCLE, member->person, NULL);
	return 0;
}

int social_circle_remove(struct people *people, const struct circle_member *member,
			 const struct people_done *done, uint64_t now_ns)
{
	struct circle_row *row = social_circle_row(people, member->circle);
	uint8_t person[NODE_KEY_LEN];

	if (!row || !row_has(row, member->person))
		return WEFT_EABSENT;
	if (social_people_keep_lags(people))
		return WEFT_EBUSY;
	memcpy(person, member->person, sizeof(person));
	member_erase(row, person);
	circle_touch(people, row->id, person, now_ns);
	social_people_wait(people, done, now_ns);
	social_people_tell(people, PEOPLE_CIRCLE, person, NULL);
	return 0;
}

void social_circles_leave(struct people *people, const uint8_t *key, uint64_t now_ns)
{
	for (unsigned i = 0; i < SOCIAL_CIRCLES_MAX; i++) {
		struct circle_row *row = &people->circles[i];

		if (!row_is_used(row) || !row_has(row, key))
			continue;
		member_erase(row, key);
		circle_touch(people, row->id, key, now_ns);
		social_people_tell(people, PEOPLE_CIRCLE, key, NULL);
	}
}

void social_circles_clear(struct people *people, unsigned number, uint64_t now_ns)
{
	for (unsigned i = 0; i < SOCIAL_CIRCLES_MAX; i++)
		if (row_is_used(&people->circles[i]) && people->circles[i].persona == number)
			row_drop(people, &people->circles[i], now_ns);
}

void social_circles_move(struct people *people, const uint8_t *former, const uint8_t *next,
			 uint64_t now_ns)
{
	for (unsigned i = 0; i < SOCIAL_CIRCLES_MAX; i++) {
		struct circle_row *row = &people->circles[i];

		if (!row_is_used(row) || !row_has(row, former))
			continue;
		member_erase(row, former);
		member_insert(row, next);
		circle_touch(people, row->id, former, now_ns);
		circle_touch(people, row->id, next, now_ns);
	}
}

void social_circles_hand(struct people *people, unsigned from, unsigned to, uint64_t now_ns)
{
	for (unsigned i = 0; from != to && i < SOCIAL_CIRCLES_MAX; i++) {
		struct circle_row *row = &people->circles[i];

		if (!row_is_used(row) || row->persona != from)
			continue;
		row->persona = (uint8_t)to;
		circle_touch(people, row->id, no_member, now_ns);
	}
}

/* --- rows in the store ---
 *
 *	number of the persona u8 | rank u8 | made u64be | name | flags u8
 *	name of the profile | length of its text u16be, text | picture 32
 *
 * That of a member is empty.
 */

static bool circle_write(struct people *people, const uint8_t *name, struct writer *w)
{
	const struct circle_row *row = social_circle_row(people, name);
	const uint8_t *member = name + SOCIAL_CIRCLE_ID_LEN;
	size_t text_len;

	if (!row)
		return false;
	if (memcmp(member, no_member, NODE_KEY_LEN) != 0)
		return row_has(row, member);
	writer_u8(w, row->persona);
	writer_u8(w, row->rank);
	writer_be64(w, row->made_ms);
	social_people_text_write(w, row->name);
	writer_u8(w, (uint8_t)((row->has_profile ? FLAG_PROFILE : 0) |
			       (row->has_picture ? FLAG_PICTURE : 0)));
	social_people_text_write(w, row->profile_name);
	text_len = strlen(row->profile_text);
	writer_be16(w, (uint16_t)text_len);
	writer_bytes(w, row->profile_text, text_len);
	writer_bytes(w, row->profile_picture, sizeof(row->profile_picture));
	return true;
}

static bool row_read(struct cursor *c, struct circle_row *row)
{
	uint8_t flags;
	size_t text_len;

	row->persona = cursor_u8(c);
	row->rank = cursor_u8(c);
	row->made_ms = cursor_be64(c);
	if (!social_people_text_read(c, row->name))
		return false;
	flags = cursor_u8(c);
	row->has_profile = flags & FLAG_PROFILE;
	row->has_picture = flags & FLAG_PICTURE;
	if (!social_people_text_read(c, row->profile_name))
		return false;
	text_len = cursor_be16(c);
	if (text_len >= sizeof(row->profile_text))
		return false;
	cursor_copy(c, row->profile_text, text_len);
	cursor_copy(c, row->profile_picture, sizeof(row->profile_picture));
	return !c->bad && row->persona < SOCIAL_PERSONAS_MAX && row_is_used(row);
}

/* The row of a circle comes before those of its members. */
static bool circle_load(struct people *people, const uint8_t *name, struct cursor *c,
			uint64_t now_ns)
{
	const uint8_t *member = name + SOCIAL_CIRCLE_ID_LEN;
	struct circle_row *row = social_circle_row(people, name);

	(void)now_ns;
	if (memcmp(member, no_member, NODE_KEY_LEN) != 0) {
		if (!row || row->member_cnt == SOCIAL_CIRCLE_MEMBERS_MAX)
			return false;
		member_insert(row, member);
		return true;
	}
	row = row_free(people);
	if (!row)
		return false;
	row_clear(row);
	if (!row_read(c, row)) {
		row_clear(row);
		return false;
	}
	memcpy(row->id, name, sizeof(row->id));
	return true;
}

const struct people_codec people_codec_circle = {circle_write, circle_load};
