/* SPDX-License-Identifier: Apache-2.0 */
/* The people that personas follow, their petnames, and blocks. */
#include "person_follows.h"

#include <string.h>

#include "base/assert.h"
#include "people_state.h"
#include "social/object/social_text.h"

#define FLAG_FROZEN 1u

/* --- rows --- */

struct follow_row *social_follow_row(const struct people *people, const uint8_t *key)
{
	return map_lookup(&people->follow_by_key, key);
}

struct follow_row *social_follow_row_get(struct people *people, const uint8_t *key,
					 uint64_t since_ms)
{
	struct follow_row *row = social_follow_row(people, key);
	struct list_node *at = people->follow_list.prev;
	int err;

	if (row)
		return row;
	if (people->follows.used_cnt == SOCIAL_FOLLOWS_MAX)
		return NULL;
	row = pool_acquire(&people->follows);
	weft_assert(row != NULL);
	memcpy(row->key, key, NODE_KEY_LEN);
	row->since_ms = since_ms;
	while (at != &people->follow_list &&
	       container_of(at, struct follow_row, link)->since_ms > since_ms)
		at = at->prev;
	list_push_back(at->next, &row->link);
	err = map_put(&people->follow_by_key, row->key, row);
	weft_assert(err == 0);
	return row;
}

bool social_follow_row_is_empty(const struct follow_row *row)
{
	static const uint8_t none[SOCIAL_PERSONAS_MAX];

	return memcmp(row->kinds, none, sizeof(none)) == 0;
}

void social_follow_row_drop(struct people *people, struct follow_row *row, uint64_t now_ns)
{
	uint8_t key[NODE_KEY_LEN];

	memcpy(key, row->key, NODE_KEY_LEN);
	map_delete(&people->follow_by_key, key);
	list_unlink(&row->link);
	pool_release(&people->follows, row);
	social_people_touch(people, PEOPLE_ROW_FOLLOW, key, now_ns);
	social_profile_move(people, key, now_ns);
	social_people_tell(people, PEOPLE_UNFOLLOWED, key, NULL);
}

/* --- what is there --- */

static enum follow_kind kind_of(const struct people *people, const struct follow_row *row,
				unsigned persona)
{
	enum follow_kind kind = FOLLOW_NONE;

	if (persona != SOCIAL_EACH_PERSONA)
		return row->kinds[social_persona_row(people, persona)->number];
	for (unsigned i = 0; i < SOCIAL_PERSONAS_MAX && kind != FOLLOW_PUBLIC; i++)
		if (row->kinds[i] != FOLLOW_NONE)
			kind = row->kinds[i];
	return kind;
}

enum follow_kind social_follow_of(const struct people *people, unsigned persona,
				  const uint8_t person[static NODE_KEY_LEN])
{
	const struct follow_row *row = social_follow_row(people, person);

	return row && !row->is_frozen ? kind_of(people, row, persona) : FOLLOW_NONE;
}

void social_follows_each(const struct people *people, unsigned persona,
			 bool (*fn)(void *arg, const struct follow_view *view), void *arg)
{
	const struct list_node *list = &people->follow_list;

	for (const struct list_node *at = list->next; at != list; at = at->next) {
		const struct follow_row *row = container_of(at, struct follow_row, link);
		const struct follow_view view = {.person = row->key,
						 .kind = kind_of(people, row, persona),
						 .petname = row->petname,
						 .since_ms = row->since_ms,
						 .is_frozen = row->is_frozen};

		if (view.kind != FOLLOW_NONE && !fn(arg, &view))
			return;
	}
}

bool social_is_acquainted(const struct people *people, const uint8_t person[static NODE_KEY_LEN])
{
	return social_follow_row(people, person) || social_is_accepted(people, person);
}

/* --- changes --- */

static int follow_judge(const struct people *people, const struct person_follow *change)
{
	const struct follow_row *row = social_follow_row(people, change->person);
	enum follow_kind was = row ? kind_of(people, row, change->persona) : FOLLOW_NONE;

	if (social_people_is_own(people, change->person) ||
	    (change->kind != FOLLOW_NONE && social_is_blocked(people, change->person)))
		return WEFT_EREFUSED;
	if (!node_key_is_sound(change->person))
		return WEFT_EMALFORMED;
	if (was == change->kind)
		return was == FOLLOW_NONE ? WEFT_EABSENT : WEFT_EEXISTS;
	if (!row && people->follows.used_cnt == SOCIAL_FOLLOWS_MAX)
		return WEFT_EFULL;
	return social_people_keep_lags(people) ? WEFT_EBUSY : 0;
}

static void follow_happened(struct people *people, const struct follow_row *row)
{
	const struct social_event event = {.kind = SOCIAL_PERSON_FOLLOWED, .person = row->key};

	if (people->ground->happened)
		people->ground->happened(people->ground->ctx, &event);
	social_people_tell(people, PEOPLE_FOLLOWED, row->key, NULL);
}

int social_follow_set(struct people *people, const struct person_follow *change,
		      const struct people_done *done, uint64_t now_ns)
{
	unsigned number = social_persona_row(people, change->persona)->number;
	struct follow_row *row;
	int err = follow_judge(people, change);

	if (err < 0)
		return err;
	row = social_follow_row_get(people, change->person, people_wall_ms(people));
	row->kinds[number] = (uint8_t)change->kind;
	if (social_follow_row_is_empty(row)) {
		social_follow_row_drop(people, row, now_ns);
	} else {
		social_people_touch(people, PEOPLE_ROW_FOLLOW, row->key, now_ns);
		social_request_drop(people, row->key, now_ns);
		social_profile_move(people, row->key, now_ns);
		follow_happened(people, row);
	}
	social_profile_follows_changed(people, number, now_ns);
	social_people_wait(people, done, now_ns);
	return 0;
}

int social_petname_set(struct people *people, const uint8_t person[static NODE_KEY_LEN],
		       const char *petname, const struct people_done *done, uint64_t now_ns)
{
	struct follow_row *row = social_follow_row(people, person);
	size_t len = strlen(petname);

	if (!row)
		return WEFT_EABSENT;
	if (len > SOCIAL_NAME_MAX || (len > 0 && !social_text_is_name(petname, len)))
		return WEFT_EMALFORMED;
	if (social_people_keep_lags(people))
		return WEFT_EBUSY;
	memset(row->petname, 0, sizeof(row->petname));
	memcpy(row->petname, petname, len);
	social_people_touch(people, PEOPLE_ROW_FOLLOW, row->key, now_ns);
	social_people_wait(people, done, now_ns);
	return 0;
}

/* --- blocks --- */

bool social_is_blocked(const struct people *people, const uint8_t person[static NODE_KEY_LEN])
{
	return social_mark_lookup(&people->blocks, person) != NULL;
}

/* A blocked person is in nothing else. */
static void block_clear(struct people *people, const uint8_t *person, uint64_t now_ns)
{
	struct follow_row *row = social_follow_row(people, person);
	struct mark_row *accepted = social_mark_lookup(&people->accepted, person);
	unsigned numbers = 0;

	for (unsigned i = 0; row && i < SOCIAL_PERSONAS_MAX; i++)
		numbers |= row->kinds[i] == FOLLOW_PUBLIC ? 1u << i : 0;
	if (row)
		social_follow_row_drop(people, row, now_ns);
	if (accepted) {
		social_mark_drop(&people->accepted, accepted);
		social_people_touch(people, PEOPLE_ROW_ACCEPTED, person, now_ns);
	}
	for (unsigned i = 0; i < SOCIAL_PERSONAS_MAX; i++)
		if (numbers & 1u << i)
			social_profile_follows_changed(people, i, now_ns);
	social_circles_leave(people, person, now_ns);
	social_audience_drop(people, person, now_ns);
	social_request_drop(people, person, now_ns);
	social_profile_drop(people, person, now_ns);
}

static int block_judge(const struct people *people, const uint8_t *person, bool is_blocked)
{
	if (social_people_is_own(people, person))
		return WEFT_EREFUSED;
	if (is_blocked && !node_key_is_sound(person))
		return WEFT_EMALFORMED;
	if (social_is_blocked(people, person) == is_blocked)
		return is_blocked ? WEFT_EEXISTS : WEFT_EABSENT;
	if (is_blocked && people->blocks.rows.used_cnt == SOCIAL_BLOCKS_MAX)
		return WEFT_EFULL;
	return social_people_keep_lags(people) ? WEFT_EBUSY : 0;
}

int social_block_set(struct people *people, const uint8_t person[static NODE_KEY_LEN],
		     bool is_blocked, const struct people_done *done, uint64_t now_ns)
{
	struct mark_row *mark = social_mark_lookup(&people->blocks, person);
	uint8_t key[NODE_KEY_LEN];
	int err = block_judge(people, person, is_blocked);

	if (err < 0)
		return err;
	/* person may lie in a row that goes. */
	memcpy(key, person, NODE_KEY_LEN);
	if (is_blocked) {
		mark = social_mark_add(&people->blocks, key, people_wall_ms(people));
		weft_assert(mark != NULL);
		block_clear(people, key, now_ns);
	} else {
		social_mark_drop(&people->blocks, mark);
	}
	social_people_touch(people, PEOPLE_ROW_BLOCK, key, now_ns);
	social_people_wait(people, done, now_ns);
	social_people_tell(people, is_blocked ? PEOPLE_BLOCKED : PEOPLE_UNBLOCKED, key, NULL);
	return 0;
}

void social_blocks_each(const struct people *people, people_mark_fn fn, void *arg)
{
	social_mark_each(&people->blocks, fn, arg);
}

/* --- rows in the store: kinds u8 for each number | since u64be | flags u8 | petname --- */

static bool follow_write(struct people *people, const uint8_t *name, struct writer *w)
{
	const struct follow_row *row = social_follow_row(people, name);

	if (!row)
		return false;
	writer_bytes(w, row->kinds, sizeof(row->kinds));
	writer_be64(w, row->since_ms);
	writer_u8(w, row->is_frozen ? FLAG_FROZEN : 0);
	social_people_text_write(w, row->petname);
	return true;
}

static bool follow_load(struct people *people, const uint8_t *name, struct cursor *c,
			uint64_t now_ns)
{
	uint8_t kinds[SOCIAL_PERSONAS_MAX], flags;
	char petname[SOCIAL_NAME_CAP];
	struct follow_row *row;
	uint64_t since_ms;

	(void)now_ns;
	cursor_copy(c, kinds, sizeof(kinds));
	since_ms = cursor_be64(c);
	flags = cursor_u8(c);
	if (!social_people_text_read(c, petname) || c->bad)
		return false;
	for (unsigned i = 0; i < SOCIAL_PERSONAS_MAX; i++)
		if (kinds[i] > FOLLOW_PRIVATE)
			return false;
	row = social_follow_row_get(people, name, since_ms);
	if (!row)
		return false;
	memcpy(row->kinds, kinds, sizeof(kinds));
	memcpy(row->petname, petname, sizeof(petname));
	row->is_frozen = flags & FLAG_FROZEN;
	return true;
}

const struct people_codec people_codec_follow = {follow_write, follow_load};
