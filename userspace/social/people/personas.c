/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keys of this node's own. Rows are at fixed places, number 0 the first of them; an index leads to
 * those that are no former ones.
 */
#include "personas.h"

#include <string.h>

#include "base/assert.h"
#include "crypto/key_seal.h"
#include "people_state.h"
#include "social/object/social_text.h"

#define FLAG_FORMER	 1u
#define FLAG_VIA_ANCHORS 2u

/* --- rows --- */

void social_personas_index(struct people *people)
{
	people->persona_cnt = 0;
	for (unsigned number = 0; number < SOCIAL_PERSONAS_MAX; number++)
		for (unsigned i = 0; i < PERSONA_ROWS_MAX; i++) {
			const struct persona_row *row = &people->personas[i];

			if (row->key && !row->is_former && row->number == number)
				people->persona_at[people->persona_cnt++] = i;
		}
}

struct persona_row *social_persona_row(const struct people *people, unsigned idx)
{
	weft_assert(idx < people->persona_cnt);
	return &people->personas[people->persona_at[idx]];
}

struct persona_row *social_persona_row_of(const struct people *people, const uint8_t *key)
{
	for (unsigned i = 0; i < PERSONA_ROWS_MAX; i++) {
		struct persona_row *row = &people->personas[i];

		if (row->key && memcmp(node_key_public(row->key), key, NODE_KEY_LEN) == 0)
			return row;
	}
	return NULL;
}

static struct persona_row *row_free(struct people *people)
{
	for (unsigned i = 0; i < PERSONA_ROWS_MAX; i++)
		if (!people->personas[i].key)
			return &people->personas[i];
	return NULL;
}

static unsigned former_cnt(const struct people *people)
{
	unsigned cnt = 0;

	for (unsigned i = 0; i < PERSONA_ROWS_MAX; i++)
		cnt += people->personas[i].key && people->personas[i].is_former;
	return cnt;
}

/* The lowest number that no persona has. */
static unsigned number_free(const struct people *people)
{
	unsigned number = 0;

	while (number < SOCIAL_PERSONAS_MAX &&
	       social_persona_numbered(people, number) != SOCIAL_PERSONA_NONE)
		number++;
	return number;
}

static void row_clear(struct persona_row *row)
{
	node_key_free(row->drawn);
	node_key_free(row->next);
	memset(row, 0, sizeof(*row));
}

/* --- what is there --- */

unsigned social_persona_cnt(const struct people *people)
{
	return people->persona_cnt;
}

const struct node_key *social_persona(const struct people *people, unsigned idx)
{
	return social_persona_row(people, idx)->key;
}

unsigned social_persona_of(const struct people *people, const uint8_t key[static NODE_KEY_LEN])
{
	for (unsigned idx = 0; idx < people->persona_cnt; idx++)
		if (memcmp(node_key_public(social_persona(people, idx)), key, NODE_KEY_LEN) == 0)
			return idx;
	return SOCIAL_PERSONA_NONE;
}

unsigned social_persona_numbered(const struct people *people, unsigned number)
{
	for (unsigned idx = 0; idx < people->persona_cnt; idx++)
		if (social_persona_row(people, idx)->number == number)
			return idx;
	return SOCIAL_PERSONA_NONE;
}

const struct node_key *social_own_key(const struct people *people,
				      const uint8_t key[static NODE_KEY_LEN])
{
	const struct persona_row *row = social_persona_row_of(people, key);

	return row ? row->key : NULL;
}

const struct node_key *social_former_key(const struct people *people, unsigned idx)
{
	for (unsigned i = 0; i < PERSONA_ROWS_MAX; i++) {
		const struct persona_row *row = &people->personas[i];

		if (row->key && row->is_former && idx-- == 0)
			return row->key;
	}
	return NULL;
}

bool social_people_is_own(const struct people *people, const uint8_t *key)
{
	return social_persona_row_of(people, key) != NULL;
}

void social_persona_view(const struct people *people, unsigned idx, struct persona_view *out_view)
{
	const struct persona_row *row = social_persona_row(people, idx);

	*out_view = (struct persona_view){
		.number = row->number,
		.key = node_key_public(row->key),
		.label = row->label,
		.is_via_anchors = row->is_via_anchors,
		.made_ms = row->made_ms,
		.committed_ms = row->next ? row->committed_ms : 0,
		.next = row->next,
		.shows_follows = row->shows_follows,
	};
}

bool social_persona_is_via_anchors(const struct people *people, unsigned idx)
{
	return social_persona_row(people, idx)->is_via_anchors;
}

/* --- changes --- */

static void row_touch(struct people *people, const struct persona_row *row, uint64_t now_ns)
{
	social_people_touch(people, PEOPLE_ROW_PERSONA, node_key_public(row->key), now_ns);
}

static bool label_is_sound(const char *label)
{
	size_t len = label ? strlen(label) : 0;

	return len == 0 || (len <= SOCIAL_NAME_MAX && social_text_is_name(label, len));
}

static void label_set(struct persona_row *row, const char *label)
{
	if (label)
		memcpy(row->label, label, strlen(label) + 1);
}

/* The rest of adding a row: key is taken. */
static void row_begin(struct people *people, struct persona_row *row,
		      const struct persona_draft *draft, struct node_key *key)
{
	row->key = row->drawn = key;
	row->is_via_anchors = draft->is_via_anchors;
	row->made_ms = people_wall_ms(people);
	label_set(row, draft->label);
}

static void row_added(struct people *people, const struct persona_row *row,
		      const struct people_done *done, uint64_t now_ns)
{
	social_personas_index(people);
	row_touch(people, row, now_ns);
	social_people_wait(people, done, now_ns);
	social_people_tell(people, PEOPLE_PERSONA, node_key_public(row->key), NULL);
}

int social_persona_add(struct people *people, const struct persona_draft *draft,
		       const struct people_done *done, uint64_t now_ns,
		       uint8_t out_key[static NODE_KEY_LEN])
{
	struct persona_row *row = row_free(people);
	struct node_key *key;
	int err;

	if (!label_is_sound(draft->label))
		return WEFT_EMALFORMED;
	if (!row || people->persona_cnt == SOCIAL_PERSONAS_MAX)
		return WEFT_EFULL;
	if (social_people_keep_lags(people))
		return WEFT_EBUSY;
	if ((err = node_key_generate(&key)) < 0)
		return err;
	row_begin(people, row, draft, key);
	row->number = (uint8_t)number_free(people);
	memcpy(out_key, node_key_public(key), NODE_KEY_LEN);
	row_added(people, row, done, now_ns);
	return 0;
}

/* One that has a next key, or a successor, keeps it. 0, WEFT_EEXISTS or -errno. */
static int next_restore(struct persona_row *row, const struct persona_restore *restore)
{
	int err;

	if (!restore->next_seed || row->next || row->successor_len)
		return WEFT_EEXISTS;
	err = node_key_from_seed(restore->next_seed, &row->next);
	if (err == 0)
		row->committed_ms = restore->committed_ms;
	return err;
}

/* Of a key that is of this node already. */
static int own_restore(struct people *people, const uint8_t *key,
		       const struct persona_restore *restore, const struct people_done *done,
		       uint64_t now_ns)
{
	struct persona_row *row = social_persona_row_of(people, key);
	int err = row->is_former ? WEFT_EEXISTS : next_restore(row, restore);

	if (err < 0)
		return err;
	row_touch(people, row, now_ns);
	social_people_wait(people, done, now_ns);
	return 0;
}

/* key is taken. 0, WEFT_EFULL or -errno. */
static int row_restore(struct people *people, struct node_key *key,
		       const struct persona_restore *restore, const struct people_done *done,
		       uint64_t now_ns)
{
	struct persona_row *row = row_free(people);
	int err = 0;

	if (!row || (restore->is_former ? former_cnt(people) == SOCIAL_FORMER_KEYS_MAX
					: people->persona_cnt == SOCIAL_PERSONAS_MAX)) {
		node_key_free(key);
		return WEFT_EFULL;
	}
	row_begin(people, row, &restore->draft, key);
	if (restore->next_seed && (err = next_restore(row, restore)) < 0) {
		row_clear(row);
		return err;
	}
	row->is_former = restore->is_former;
	row->shows_follows = restore->shows_follows;
	row->number = restore->is_former ? 0 : (uint8_t)number_free(people);
	row_added(people, row, done, now_ns);
	return 0;
}

int social_persona_restore(struct people *people, const struct persona_restore *restore,
			   const struct people_done *done, uint64_t now_ns)
{
	struct node_key *key;
	int err;

	if (!label_is_sound(restore->draft.label))
		return WEFT_EMALFORMED;
	if (social_people_keep_lags(people))
		return WEFT_EBUSY;
	if ((err = node_key_from_seed(restore->seed, &key)) < 0)
		return err;
	if (!social_people_is_own(people, node_key_public(key)))
		return row_restore(people, key, restore, done, now_ns);
	err = own_restore(people, node_key_public(key), restore, done, now_ns);
	node_key_free(key);
	return err;
}

int social_persona_set(struct people *people, unsigned idx, const struct persona_draft *draft,
		       const struct people_done *done, uint64_t now_ns)
{
	struct persona_row *row = social_persona_row(people, idx);

	if (!label_is_sound(draft->label))
		return WEFT_EMALFORMED;
	if (social_people_keep_lags(people))
		return WEFT_EBUSY;
	label_set(row, draft->label);
	row->is_via_anchors = draft->is_via_anchors;
	row_touch(people, row, now_ns);
	social_people_wait(people, done, now_ns);
	return 0;
}

/* What a persona follows; rows without any follow go. */
static void follows_clear(struct people *people, unsigned number, uint64_t now_ns)
{
	struct follow_row *row = NULL;

	while ((row = pool_next(&people->follows, row))) {
		if (row->kinds[number] == FOLLOW_NONE)
			continue;
		row->kinds[number] = FOLLOW_NONE;
		if (social_follow_row_is_empty(row))
			social_follow_row_drop(people, row, now_ns);
		else
			social_people_touch(people, PEOPLE_ROW_FOLLOW, row->key, now_ns);
	}
}

int social_persona_remove(struct people *people, unsigned idx, const struct people_done *done,
			  uint64_t now_ns)
{
	struct persona_row *row = social_persona_row(people, idx);
	uint8_t key[NODE_KEY_LEN];
	unsigned number = row->number;

	if (!row->drawn)
		return WEFT_EREFUSED;
	if (social_people_keep_lags(people))
		return WEFT_EBUSY;
	memcpy(key, node_key_public(row->key), NODE_KEY_LEN);
	follows_clear(people, number, now_ns);
	social_circles_clear(people, number, now_ns);
	social_audience_clear(people, number, now_ns);
	social_requests_clear(people, key, now_ns);
	row_clear(row);
	social_personas_index(people);
	social_people_touch(people, PEOPLE_ROW_PERSONA, key, now_ns);
	social_people_touch(people, PEOPLE_ROW_OWN, key, now_ns);
	social_people_wait(people, done, now_ns);
	social_people_tell(people, PEOPLE_PERSONA, key, NULL);
	return 0;
}

/* --- the next key --- */

int social_persona_commit(struct people *people, unsigned idx, const struct people_done *done,
			  uint64_t now_ns)
{
	struct persona_row *row = social_persona_row(people, idx);
	struct profile *profile = &people->profile;
	struct node_key *next;
	int err;

	if (row->next || row->successor_len)
		return WEFT_EEXISTS;
	if (!social_profile_own(people, idx, profile))
		return WEFT_EABSENT;
	if (social_people_keep_lags(people))
		return WEFT_EBUSY;
	if ((err = node_key_generate(&next)) < 0)
		return err;
	profile->has_next_key = true;
	social_successor_hash(node_key_public(next), profile->next_key);
	if ((err = social_profile_sign(people, row, profile)) < 0) {
		node_key_free(next);
		return err;
	}
	row->next = next;
	row->committed_ms = people_wall_ms(people);
	row_touch(people, row, now_ns);
	social_people_touch(people, PEOPLE_ROW_OWN, node_key_public(row->key), now_ns);
	social_people_wait(people, done, now_ns);
	social_people_tell(people, PEOPLE_OWN_PROFILE, node_key_public(row->key), NULL);
	return 0;
}

/* The next key's persona, with what was the former one's. */
static void row_succeed(struct people *people, struct persona_row *former, struct persona_row *row,
			unsigned number)
{
	row->key = row->drawn = former->next;
	former->next = NULL;
	row->number = (uint8_t)number;
	row->is_via_anchors = former->is_via_anchors;
	row->shows_follows = former->shows_follows;
	row->made_ms = people_wall_ms(people);
	memcpy(row->label, former->label, sizeof(row->label));
	former->committed_ms = 0;
}

static void successor_sign(struct people *people, struct persona_row *former,
			   const struct node_key *next)
{
	struct writer w = writer_of(former->successor, sizeof(former->successor));
	const struct successor said = {.former = node_key_public(former->key),
				       .next = node_key_public(next),
				       .time_ms = people_wall_ms(people)};

	social_successor_write(&w, &said, next, former->key);
	weft_assert(!w.bad);
	former->successor_len = writer_len(&w);
}

/* The next key says of the person what the former one said, but for a next key of its own. */
static int profile_succeed(struct people *people, const struct persona_row *former,
			   struct persona_row *row)
{
	struct profile *profile = &people->profile;

	if (social_profile_read(former->profile, former->profile_len, profile) < 0)
		return 0; /* none */
	memcpy(profile->person, node_key_public(row->key), NODE_KEY_LEN);
	profile->has_next_key = false;
	memset(profile->next_key, 0, sizeof(profile->next_key));
	return social_profile_sign(people, row, profile);
}

/* Of all personas but the node's own the former one is none any more; follows are by number. */
static void follows_succeed(struct people *people, unsigned former, unsigned number,
			    uint64_t now_ns)
{
	struct follow_row *row = NULL;

	while (former != number && (row = pool_next(&people->follows, row))) {
		if (row->kinds[former] == FOLLOW_NONE)
			continue;
		row->kinds[number] = row->kinds[former];
		row->kinds[former] = FOLLOW_NONE;
		social_people_touch(people, PEOPLE_ROW_FOLLOW, row->key, now_ns);
	}
}

int social_persona_rotate(struct people *people, unsigned idx, const struct people_done *done,
			  uint64_t now_ns, uint8_t out_key[static NODE_KEY_LEN])
{
	struct persona_row *former = social_persona_row(people, idx), *row = row_free(people);
	bool is_node = !former->drawn;
	unsigned was = former->number, number = is_node ? number_free(people) : was;

	if (!former->next)
		return WEFT_EABSENT;
	if (!row || (is_node ? number == SOCIAL_PERSONAS_MAX
			     : former_cnt(people) == SOCIAL_FORMER_KEYS_MAX))
		return WEFT_EFULL;
	if (social_people_keep_lags(people))
		return WEFT_EBUSY;
	row_succeed(people, former, row, number);
	successor_sign(people, former, row->key);
	former->is_former = !is_node;
	social_personas_index(people);
	(void)!profile_succeed(people, former, row);
	follows_succeed(people, was, number, now_ns);
	social_circles_hand(people, was, number, now_ns);
	memcpy(out_key, node_key_public(row->key), NODE_KEY_LEN);
	row_touch(people, former, now_ns);
	row_touch(people, row, now_ns);
	social_people_touch(people, PEOPLE_ROW_OWN, out_key, now_ns);
	social_people_wait(people, done, now_ns);
	social_people_tell(people, PEOPLE_PERSONA, node_key_public(former->key), out_key);
	return 0;
}

int social_successor_bytes(const struct people *people, const uint8_t former[static NODE_KEY_LEN],
			   struct writer *w)
{
	const struct persona_row *row = social_persona_row_of(people, former);

	if (!row || row->successor_len == 0)
		return WEFT_EABSENT;
	writer_bytes(w, row->successor, row->successor_len);
	return 0;
}

/* --- rows in the store ---
 *
 *	number u8 | flags u8 | made u64be | committed u64be | label | key, next key: length u8, sealed
 *	length of the successor u16be, successor
 *
 * That of the node's own key has no key in it.
 */

static void key_write(const struct people *people, const struct node_key *key, struct writer *w)
{
	uint8_t sealed[KEY_SEAL_LEN_MAX];
	size_t len = 0;

	if (key)
		len = key_seal_write(people->seal, node_key_seed(key), sealed);
	writer_u8(w, (uint8_t)len);
	writer_bytes(w, sealed, len);
}

static bool key_load(const struct people *people, struct cursor *c, struct node_key **out_key)
{
	uint8_t len = cursor_u8(c), seed[NODE_KEY_SEED_LEN];
	const uint8_t *sealed = cursor_bytes(c, len);
	bool is_read;

	*out_key = NULL;
	if (!sealed || len == 0)
		return !c->bad;
	is_read = key_seal_open(people->seal, sealed, len, seed) == 0 &&
		  node_key_from_seed(seed, out_key) == 0;
	explicit_bzero(seed, sizeof(seed));
	return is_read;
}

static bool persona_write(struct people *people, const uint8_t *name, struct writer *w)
{
	const struct persona_row *row = social_persona_row_of(people, name);

	if (!row)
		return false;
	writer_u8(w, row->number);
	writer_u8(w, (uint8_t)((row->is_former ? FLAG_FORMER : 0) |
			       (row->is_via_anchors ? FLAG_VIA_ANCHORS : 0)));
	writer_be64(w, row->made_ms);
	writer_be64(w, row->committed_ms);
	social_people_text_write(w, row->label);
	key_write(people, row->drawn, w);
	key_write(people, row->next, w);
	writer_be16(w, (uint16_t)row->successor_len);
	writer_bytes(w, row->successor, row->successor_len);
	return true;
}

static bool row_read(const struct people *people, struct cursor *c, struct persona_row *row)
{
	uint8_t flags;

	row->number = cursor_u8(c);
	flags = cursor_u8(c);
	row->made_ms = cursor_be64(c);
	row->committed_ms = cursor_be64(c);
	row->is_former = flags & FLAG_FORMER;
	row->is_via_anchors = flags & FLAG_VIA_ANCHORS;
	if (!social_people_text_read(c, row->label) || !key_load(people, c, &row->drawn) ||
	    !key_load(people, c, &row->next))
		return false;
	row->successor_len = cursor_be16(c);
	if (row->successor_len > sizeof(row->successor))
		return false;
	cursor_copy(c, row->successor, row->successor_len);
	return !c->bad && row->number < SOCIAL_PERSONAS_MAX;
}

static bool persona_load(struct people *people, const uint8_t *name, struct cursor *c,
			 uint64_t now_ns)
{
	const struct node_key *node = people->ground->key;
	bool is_node = memcmp(name, node_key_public(node), NODE_KEY_LEN) == 0;
	struct persona_row *row = is_node ? &people->personas[0] : row_free(people);
	bool is_read = row && row_read(people, c, row);

	(void)now_ns;
	if (!row)
		return false;
	row->key = is_node ? node : row->drawn;
	is_read = is_read && row->key && is_node == !row->drawn &&
		  memcmp(node_key_public(row->key), name, NODE_KEY_LEN) == 0;
	if (!is_read)
		row_clear(row);
	if (!is_read && is_node)
		row->key = node;
	social_personas_index(people);
	return is_read;
}

const struct people_codec people_codec_persona = {persona_write, persona_load};
