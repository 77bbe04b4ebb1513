/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys that take the place of others. One that the former key committed to long enough ago, as this node
 * saw it, is accepted by itself. So the thief of a key cannot name another one at once. The owner has
 * 30 days to see the new commitment, and to use the older one. What the former key signs without that is for the
 * person at this node to accept. Two keys that claim the same place freeze both.
 */
#include <string.h>

#include "base/assert.h"
#include "people_state.h"
#include "social/object/successor.h"

static struct succession_row *row_of(const struct people *people, const uint8_t *former)
{
	return map_lookup(&people->succession_by_key, former);
}

static bool in_circle(const struct people *people, const uint8_t *key)
{
	for (unsigned i = 0; i < SOCIAL_CIRCLES_MAX; i++)
		if (people->circles[i].name[0] &&
		    social_circle_has(people, people->circles[i].id, key))
			return true;
	return false;
}

/* NULL: they are SOCIAL_SUCCESSIONS_MAX. */
static struct succession_row *row_add(struct people *people, const uint8_t *former,
				      const uint8_t *next)
{
	struct succession_row *row;
	int err;

	if (people->successions.used_cnt == SOCIAL_SUCCESSIONS_MAX)
		return NULL;
	row = pool_acquire(&people->successions);
	weft_assert(row != NULL);
	memcpy(row->former, former, NODE_KEY_LEN);
	memcpy(row->next, next, NODE_KEY_LEN);
	row->came_ms = people_wall_ms(people);
	list_push_back(&people->succession_list, &row->link);
	err = map_put(&people->succession_by_key, row->former, row);
	weft_assert(err == 0);
	return row;
}

/* --- what it changes --- */

/* next is followed as former was, and as it was itself; both may be the same row's key. */
static void follow_move(struct people *people, const uint8_t *former, const uint8_t *next,
			uint64_t now_ns)
{
	struct follow_row *from = social_follow_row(people, former), *to, was;

	if (!from)
		return;
	was = *from;
	map_delete(&people->follow_by_key, former);
	list_unlink(&from->link);
	pool_release(&people->follows, from);
	social_people_touch(people, PEOPLE_ROW_FOLLOW, former, now_ns);
	to = social_follow_row_get(people, next, was.since_ms);
	weft_assert(to != NULL); /* the place of former is free */
	for (unsigned i = 0; i < SOCIAL_PERSONAS_MAX; i++)
		if (to->kinds[i] == FOLLOW_NONE)
			to->kinds[i] = was.kinds[i];
	if (!to->petname[0])
		memcpy(to->petname, was.petname, sizeof(to->petname));
	to->is_frozen = false;
	social_people_touch(people, PEOPLE_ROW_FOLLOW, next, now_ns);
}

static void accepted_move(struct people *people, const uint8_t *former, const uint8_t *next,
			  uint64_t now_ns)
{
	struct mark_row *mark = social_mark_lookup(&people->accepted, former);
	uint64_t since_ms;

	if (!mark)
		return;
	since_ms = mark->since_ms;
	social_mark_drop(&people->accepted, mark);
	if (!social_mark_lookup(&people->accepted, next))
		(void)social_mark_add(&people->accepted, next, since_ms);
	social_people_touch(people, PEOPLE_ROW_ACCEPTED, former, now_ns);
	social_people_touch(people, PEOPLE_ROW_ACCEPTED, next, now_ns);
}

static void frozen_set(struct people *people, const uint8_t *key, bool is_frozen, uint64_t now_ns)
{
	struct follow_row *row = social_follow_row(people, key);

	if (!row || row->is_frozen == is_frozen)
		return;
	row->is_frozen = is_frozen;
	social_people_touch(people, PEOPLE_ROW_FOLLOW, key, now_ns);
}

/* former and next are no pointers into rows that move. */
static void person_move(struct people *people, const uint8_t *former, const uint8_t *next,
			uint64_t now_ns)
{
	follow_move(people, former, next, now_ns);
	accepted_move(people, former, next, now_ns);
	social_circles_move(people, former, next, now_ns);
	social_profile_move(people, former, now_ns);
	social_profile_move(people, next, now_ns);
	for (unsigned i = 0; i < SOCIAL_PERSONAS_MAX; i++)
		social_profile_follows_changed(people, i, now_ns);
}

static void succession_happened(struct people *people, const struct succession_row *row)
{
	static const char *const words[] = {
		[SUCCESSION_ACCEPTED] = "accepted",
		[SUCCESSION_ASKED] = "asked",
		[SUCCESSION_FROZEN] = "frozen",
	};
	const struct social_event event = {
		.kind = SOCIAL_PERSON_SUCCESSOR, .person = row->former, .text = words[row->state]};

	if (people->ground->happened)
		people->ground->happened(people->ground->ctx, &event);
	if (row->state == SUCCESSION_ACCEPTED)
		social_people_tell(people, PEOPLE_SUCCEEDED, row->former, row->next);
	else if (row->state == SUCCESSION_FROZEN)
		social_people_tell(people, PEOPLE_FROZEN, row->former, row->next);
}

static void row_accept(struct people *people, struct succession_row *row, uint64_t now_ns)
{
	row->state = SUCCESSION_ACCEPTED;
	people->stats.successor_cnt++;
	person_move(people, row->former, row->next, now_ns);
	social_people_touch(people, PEOPLE_ROW_SUCCESSION, row->former, now_ns);
	succession_happened(people, row);
}

static void row_freeze(struct people *people, struct succession_row *row, const uint8_t *other,
		       uint64_t now_ns)
{
	row->state = SUCCESSION_FROZEN;
	memcpy(row->other, other, NODE_KEY_LEN);
	people->stats.frozen_cnt++;
	frozen_set(people, row->former, true, now_ns);
	frozen_set(people, row->next, true, now_ns);
	frozen_set(people, row->other, true, now_ns);
	for (unsigned i = 0; i < SOCIAL_PERSONAS_MAX; i++)
		social_profile_follows_changed(people, i, now_ns);
	social_people_touch(people, PEOPLE_ROW_SUCCESSION, row->former, now_ns);
	succession_happened(people, row);
}

/* --- what comes --- */

/* Whether the former key named the hash of next long ago, as this node saw it. */
static bool is_committed(const struct people *people, const struct successor *said)
{
	const struct profile_row *row = social_profile_row(people, said->former);
	uint64_t now_ms = people_wall_ms(people);
	uint8_t hash[BLAKE3_HASH_LEN];

	social_successor_hash(said->next, hash);
	for (unsigned i = 0; row && i < row->commitment_cnt; i++)
		if (memcmp(row->commitments[i].hash, hash, sizeof(hash)) == 0)
			return now_ms >= row->commitments[i].seen_ms + SOCIAL_SUCCESSION_MS;
	return false;
}

/* A claim on a place that another one is known of. */
static int known_put(struct people *people, struct succession_row *row,
		     const struct successor *said, uint64_t now_ns)
{
	static const uint8_t none[NODE_KEY_LEN];
	bool is_next = memcmp(row->next, said->next, NODE_KEY_LEN) == 0;

	if (is_next && row->state == SUCCESSION_ASKED && is_committed(people, said)) {
		row_accept(people, row, now_ns);
		return 0;
	}
	/* The person has said which one it is, or both are frozen already. */
	if (is_next || memcmp(row->other, none, sizeof(none)) != 0)
		return WEFT_EEXISTS;
	row_freeze(people, row, said->next, now_ns);
	return 0;
}

static int judge(const struct people *people, const struct successor *said)
{
	if (social_people_is_own(people, said->former) || social_people_is_own(people, said->next))
		return WEFT_EABSENT;
	if (!social_is_acquainted(people, said->former) && !in_circle(people, said->former) &&
	    !row_of(people, said->former))
		return WEFT_EABSENT;
	if (social_is_blocked(people, said->next) || social_is_blocked(people, said->former) ||
	    (!said->is_signed_by_former && !is_committed(people, said)))
		return WEFT_EREFUSED;
	return social_people_keep_lags(people) ? WEFT_EBUSY : 0;
}

int social_successor_put(struct people *people, const void *bytes, size_t len, uint64_t now_ns)
{
	struct succession_row *row;
	struct successor said;
	int err = social_successor_read(bytes, len, &said);

	if (err == 0)
		err = judge(people, &said);
	if (err < 0)
		return err;
	if ((row = row_of(people, said.former)))
		return known_put(people, row, &said, now_ns);
	row = row_add(people, said.former, said.next);
	if (!row)
		return WEFT_EFULL;
	if (is_committed(people, &said)) {
		row_accept(people, row, now_ns);
		return 0;
	}
	row->state = SUCCESSION_ASKED;
	social_people_touch(people, PEOPLE_ROW_SUCCESSION, row->former, now_ns);
	succession_happened(people, row);
	return 0;
}

/* The one that the person did not choose is remembered, so that it asks no more. */
static void row_choose(struct people *people, struct succession_row *row, const uint8_t *next,
		       uint64_t now_ns)
{
	uint8_t chosen[NODE_KEY_LEN], other[NODE_KEY_LEN];
	bool is_next = memcmp(row->next, next, NODE_KEY_LEN) == 0;

	memcpy(chosen, next, sizeof(chosen));
	memcpy(other, is_next ? row->other : row->next, sizeof(other));
	frozen_set(people, row->former, false, now_ns);
	frozen_set(people, chosen, false, now_ns);
	frozen_set(people, other, false, now_ns);
	/* The other one may have been accepted before the second claim came. */
	if (row->state == SUCCESSION_FROZEN && !is_next)
		person_move(people, other, chosen, now_ns);
	memcpy(row->next, chosen, sizeof(chosen));
	memcpy(row->other, other, sizeof(other));
	row_accept(people, row, now_ns);
}

int social_successor_accept(struct people *people, const uint8_t former[static NODE_KEY_LEN],
			    const uint8_t next[static NODE_KEY_LEN], const struct people_done *done,
			    uint64_t now_ns)
{
	struct succession_row *row = row_of(people, former);

	if (!row || row->state == SUCCESSION_ACCEPTED || !node_key_is_sound(next) ||
	    (memcmp(row->next, next, NODE_KEY_LEN) != 0 &&
	     memcmp(row->other, next, NODE_KEY_LEN) != 0))
		return WEFT_EABSENT;
	if (social_people_keep_lags(people))
		return WEFT_EBUSY;
	row_choose(people, row, next, now_ns);
	social_people_wait(people, done, now_ns);
	return 0;
}

/* --- what is there --- */

void social_successions_each(const struct people *people,
			     bool (*fn)(void *arg, const struct succession_view *view), void *arg)
{
	static const uint8_t none[NODE_KEY_LEN];
	const struct list_node *list = &people->succession_list;

	for (const struct list_node *at = list->next; at != list; at = at->next) {
		const struct succession_row *row = container_of(at, struct succession_row, link);
		bool has_other = memcmp(row->other, none, sizeof(none)) != 0;
		const struct succession_view view = {
			.former = row->former,
			.next = row->next,
			.other = has_other ? row->other : NULL,
			.state = row->state,
			.came_ms = row->came_ms,
		};

		if (!fn(arg, &view))
			return;
	}
}

const uint8_t *social_successor_of(const struct people *people,
				   const uint8_t key[static NODE_KEY_LEN])
{
	const struct succession_row *row = row_of(people, key);

	return row && row->state == SUCCESSION_ACCEPTED ? row->next : NULL;
}

/* --- rows in the store: state u8 | next 32 | other 32 | came u64be --- */

static bool succession_write(struct people *people, const uint8_t *name, struct writer *w)
{
	const struct succession_row *row = row_of(people, name);

	if (!row)
		return false;
	writer_u8(w, (uint8_t)row->state);
	writer_bytes(w, row->next, sizeof(row->next));
	writer_bytes(w, row->other, sizeof(row->other));
	writer_be64(w, row->came_ms);
	return true;
}

static bool succession_load(struct people *people, const uint8_t *name, struct cursor *c,
			    uint64_t now_ns)
{
	uint8_t state = cursor_u8(c), next[NODE_KEY_LEN], other[NODE_KEY_LEN];
	struct succession_row *row;
	uint64_t came_ms;

	(void)now_ns;
	cursor_copy(c, next, sizeof(next));
	cursor_copy(c, other, sizeof(other));
	came_ms = cursor_be64(c);
	if (c->bad || state > SUCCESSION_FROZEN || !(row = row_add(people, name, next)))
		return false;
	row->state = state;
	row->came_ms = came_ms;
	memcpy(row->other, other, sizeof(row->other));
	return true;
}

const struct people_codec people_codec_succession = {succession_write, succession_load};
