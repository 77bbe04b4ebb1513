/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Profiles of people: what is shown of each is in memory, the whole of it on the disk. A profile of a
 * person that is followed or accepted has a place of its own. Those of others share places by network
 * and key.
 */
#include "person_profiles.h"

#include <string.h>

#include "base/assert.h"
#include "codec/cbor.h"
#include "crypto/signed.h"
#include "people_state.h"
#include "social/object/social_text.h"

/* --- rows --- */

struct profile_row *social_profile_row(const struct people *people, const uint8_t *key)
{
	return map_lookup(&people->profile_by_key, key);
}

static void row_forget(struct people *people, struct profile_row *row)
{
	map_delete(&people->profile_by_key, row->key);
	fair_release(&people->profile_places.fair, &row->share, people->now_ns);
	pool_release(&people->profiles, row);
}

static void row_drop(struct people *people, struct profile_row *row, uint64_t now_ns)
{
	uint8_t key[NODE_KEY_LEN];

	memcpy(key, row->key, sizeof(key));
	row_forget(people, row);
	social_people_touch(people, PEOPLE_ROW_PROFILE, key, now_ns);
	social_people_touch(people, PEOPLE_ROW_PERSONAL, key, now_ns);
}

/* A place among those of unknown people; false: there is none. */
static bool share_take(struct people *people, struct profile_row *row, uint64_t now_ns)
{
	struct fair_path path = social_people_path(&people->profile_places, &row->origin, row->key);
	struct fair_item *victim = NULL;
	enum fair_verdict verdict =
		fair_take(&people->profile_places.fair, &path, &row->share, now_ns, &victim);

	people->stats.profile_full_cnt += verdict != FAIR_TAKEN;
	if (verdict == FAIR_TAKEN_FROM)
		row_drop(people, container_of(victim, struct profile_row, share), now_ns);
	return verdict != FAIR_BUSY;
}

/* NULL: no place. */
static struct profile_row *row_add(struct people *people, const uint8_t *key,
				   const struct people_origin *origin, uint64_t now_ns)
{
	struct profile_row *row = pool_acquire(&people->profiles);
	int err;

	weft_assert(row != NULL);
	memcpy(row->key, key, NODE_KEY_LEN);
	row->origin = *origin;
	if (!social_is_acquainted(people, key) && !share_take(people, row, now_ns)) {
		pool_release(&people->profiles, row);
		return NULL;
	}
	err = map_put(&people->profile_by_key, row->key, row);
	weft_assert(err == 0);
	return row;
}

void social_profile_drop(struct people *people, const uint8_t *key, uint64_t now_ns)
{
	struct profile_row *row = social_profile_row(people, key);

	if (row)
		row_drop(people, row, now_ns);
}

void social_profile_move(struct people *people, const uint8_t *key, uint64_t now_ns)
{
	struct profile_row *row = social_profile_row(people, key);
	bool is_acquainted = social_is_acquainted(people, key);

	if (!row)
		return;
	if (is_acquainted)
		fair_release(&people->profile_places.fair, &row->share, now_ns);
	else if (!fair_item_holds(&row->share) && !share_take(people, row, now_ns))
		row_drop(people, row, now_ns);
}

/* --- what is in them --- */

void social_profile_mark(const void *bytes, size_t len, uint8_t out_mark[static PROFILE_MARK_LEN])
{
	uint8_t hash[BLAKE3_HASH_LEN];

	blake3_hash(bytes, len, hash);
	memcpy(out_mark, hash, PROFILE_MARK_LEN);
}

bool social_profile_is_sound(const char *name, const char *text)
{
	return social_text_is_name(name, strlen(name)) && social_text_is_shown(text, strlen(text));
}

/* The first time that a next key was seen counts; the youngest of too many gives way. */
static void commitment_note(struct profile_row *row, const uint8_t *hash, uint64_t seen_ms)
{
	unsigned at = row->commitment_cnt;

	for (unsigned i = 0; i < row->commitment_cnt; i++)
		if (memcmp(row->commitments[i].hash, hash, BLAKE3_HASH_LEN) == 0)
			return;
	if (at == COMMITMENTS_MAX)
		at = COMMITMENTS_MAX - 1;
	else
		row->commitment_cnt++;
	memcpy(row->commitments[at].hash, hash, BLAKE3_HASH_LEN);
	row->commitments[at].seen_ms = seen_ms;
}

static void row_fill(struct profile_row *row, const struct profile *profile, const void *bytes,
		     size_t len)
{
	row->time_ms = profile->time_ms;
	social_profile_mark(bytes, len, row->mark);
	memcpy(row->name, profile->name, sizeof(row->name));
	memcpy(row->anchors, profile->anchors, sizeof(row->anchors));
	row->anchor_cnt = (uint8_t)profile->anchor_cnt;
	row->has_picture = profile->has_picture;
	memcpy(row->picture, profile->picture, sizeof(row->picture));
}

/* --- what comes --- */

/* All but the signature is judged of a profile that was read. */
static int put_judge(const struct people *people, const struct profile *profile)
{
	if (!social_profile_is_sound(profile->name, profile->text))
		return WEFT_EMALFORMED;
	if (profile->time_ms > people_wall_ms(people) + SOCIAL_AHEAD_MS)
		return WEFT_ESTALE;
	return 0;
}

static bool is_newer(const struct profile_row *row, const struct profile *profile,
		     const uint8_t *mark)
{
	if (profile->time_ms != row->time_ms)
		return profile->time_ms > row->time_ms;
	return memcmp(mark, row->mark, PROFILE_MARK_LEN) > 0;
}

static void put_happened(struct people *people, const struct profile_row *row)
{
	const struct social_event event = {
		.kind = SOCIAL_PERSON_PROFILE, .person = row->key, .text = row->name};

	if (people->ground->happened)
		people->ground->happened(people->ground->ctx, &event);
	social_people_tell(people, PEOPLE_PROFILE, row->key, NULL);
}

static int put_keep(struct people *people, const struct profile_put *put, uint64_t now_ns)
{
	const struct people_origin origin = social_people_origin(&put->source);
	const struct profile *profile = &people->profile;
	struct profile_row *row = social_profile_row(people, profile->person);
	uint8_t mark[PROFILE_MARK_LEN];

	social_profile_mark(put->bytes, put->len, mark);
	if (row && !is_newer(row, profile, mark))
		return WEFT_EEXISTS;
	if (!row && !(row = row_add(people, profile->person, &origin, now_ns)))
		return WEFT_EFULL;
	row_fill(row, profile, put->bytes, put->len);
	if (profile->has_next_key)
		commitment_note(row, profile->next_key, people_wall_ms(people));
	people->putting = put;
	social_people_touch(people, PEOPLE_ROW_PROFILE, row->key, now_ns);
	people->putting = NULL;
	social_people_wait(people, &put->done, now_ns);
	people->stats.profile_kept_cnt++;
	put_happened(people, row);
	return 0;
}

/* The same bytes once more cost no signature. */
static bool is_same(const struct people *people, const struct profile_put *put)
{
	struct signed_object object;
	const struct profile_row *row;
	uint8_t mark[PROFILE_MARK_LEN];

	if (signed_parse(put->bytes, put->len, &object) < 0)
		return false;
	row = social_profile_row(people, object.signer);
	social_profile_mark(put->bytes, put->len, mark);
	return row && memcmp(row->mark, mark, sizeof(mark)) == 0;
}

int social_profile_put(struct people *people, const struct profile_put *put, uint64_t now_ns)
{
	struct persona_row *own;
	int err;

	people->stats.profile_put_cnt++;
	if (put->len <= PROFILE_LEN_MAX && is_same(people, put))
		return WEFT_EEXISTS;
	err = social_profile_read(put->bytes, put->len, &people->profile);
	if (err == 0)
		err = put_judge(people, &people->profile);
	if (err < 0) {
		people->stats.profile_refused_cnt++;
		return err;
	}
	if (social_is_blocked(people, people->profile.person))
		return WEFT_EREFUSED;
	if (social_people_keep_lags(people))
		return WEFT_EBUSY;
	own = social_persona_row_of(people, people->profile.person);
	return own ? social_profile_adopt(people, own, put, now_ns) : put_keep(people, put, now_ns);
}

/* By their first fields: a person and a time; a rank; two keys. */
static bool said_begins(const struct signed_object *object, enum cbor_type first,
			enum cbor_type second)
{
	struct cbor_reader r;
	uint64_t key;

	cbor_reader_init(&r, object->body, object->body_len);
	cbor_enter_map(&r);
	if (!cbor_next_key(&r, &key) || key != 0 || cbor_peek(&r) != first)
		return false;
	cbor_skip(&r);
	return cbor_next_key(&r, &key) && key == 1 && cbor_peek(&r) == second;
}

int social_said_put(struct people *people, const struct profile_put *put, uint64_t now_ns)
{
	struct signed_object object;
	int err = signed_parse(put->bytes, put->len, &object);

	if (err < 0)
		return err;
	if (said_begins(&object, CBOR_UINT, CBOR_BYTES))
		return social_personal_put(people, put, now_ns);
	if (!said_begins(&object, CBOR_BYTES, CBOR_BYTES))
		return social_profile_put(people, put, now_ns);
	err = social_successor_put(people, put->bytes, put->len, now_ns);
	if (err == 0)
		social_people_wait(people, &put->done, now_ns);
	return err;
}

/* --- what is shown --- */

static void person_of_own(struct people *people, const uint8_t *key)
{
	struct person *person = &people->person;
	const struct profile *profile = &people->profile;
	unsigned idx = social_persona_of(people, key);

	*person = (struct person){.key = key, .name = "", .petname = "", .own_name = ""};
	if (idx == SOCIAL_PERSONA_NONE || !social_profile_own(people, idx, &people->profile))
		return;
	person->name = person->own_name = profile->name;
	person->updated_ms = profile->time_ms;
	person->anchors = profile->anchors;
	person->anchor_cnt = profile->anchor_cnt;
	person->picture = profile->has_picture ? profile->picture : NULL;
}

static void person_of_profile(struct people *people, struct profile_row *row)
{
	struct person *person = &people->person;
	char text[PROFILE_TEXT_CAP];

	person->own_name = row->name;
	person->updated_ms = row->time_ms;
	person->anchors = row->anchors;
	person->anchor_cnt = row->anchor_cnt;
	person->picture = row->has_picture ? row->picture : NULL;
	if (row->has_personal && !row->is_personal_read)
		social_personal_read(people, row, text);
	if (!row->is_personal_read)
		return;
	person->is_personal = true;
	person->own_name = row->personal_name;
	person->picture = row->has_personal_picture ? row->personal_picture : NULL;
}

const struct person *social_person(struct people *people, const uint8_t key[static NODE_KEY_LEN])
{
	const struct persona_row *own = social_persona_row_of(people, key);
	const struct follow_row *follow = social_follow_row(people, key);
	struct profile_row *row = social_profile_row(people, key);
	struct person *person = &people->person;

	if (own) {
		person_of_own(people, node_key_public(own->key));
		return person;
	}
	if (!row && !follow)
		return NULL;
	*person = (struct person){.key = row ? row->key : follow->key,
				  .petname = follow ? follow->petname : "",
				  .own_name = "",
				  .is_frozen = follow && follow->is_frozen};
	if (row)
		person_of_profile(people, row);
	person->name = person->petname[0] ? person->petname : person->own_name;
	return person;
}

uint64_t social_profile_time(const struct people *people, const uint8_t key[static NODE_KEY_LEN])
{
	const struct profile_row *row = social_profile_row(people, key);

	return row ? row->time_ms : 0;
}

/* --- the whole of it: on the disk --- */

/* origin | commitments: count u8, hash 32 and seen u64be of each | the profile */
static bool head_read(struct cursor *c, struct profile_row *row)
{
	if (!social_people_origin_read(c, &row->origin))
		return false;
	row->commitment_cnt = cursor_u8(c);
	if (row->commitment_cnt > COMMITMENTS_MAX)
		return false;
	for (unsigned i = 0; i < row->commitment_cnt; i++) {
		cursor_copy(c, row->commitments[i].hash, BLAKE3_HASH_LEN);
		row->commitments[i].seen_ms = cursor_be64(c);
	}
	return !c->bad;
}

static void head_write(struct writer *w, const struct profile_row *row)
{
	social_people_origin_write(w, &row->origin);
	writer_u8(w, row->commitment_cnt);
	for (unsigned i = 0; i < row->commitment_cnt; i++) {
		writer_bytes(w, row->commitments[i].hash, BLAKE3_HASH_LEN);
		writer_be64(w, row->commitments[i].seen_ms);
	}
}

int social_people_stored(struct people *people, enum people_kind kind, const uint8_t *name,
			 struct store_snapshot **out_snapshot, struct cursor *out_value)
{
	uint8_t key[PEOPLE_ROW_NAME_MAX + 1];
	enum store_db db;
	size_t key_len = social_people_row_key(kind, name, &db, key), len;
	const void *value;
	int err = store_snapshot_open(people->ground->store, out_snapshot);

	if (err < 0)
		return err;
	err = store_get(*out_snapshot, db, store_key(key, key_len), &value, &len);
	if (err < 0) {
		store_snapshot_close(*out_snapshot);
		*out_snapshot = NULL;
		return err;
	}
	*out_value = cursor_of(value, len);
	return cursor_u8(out_value) == PEOPLE_ROW_LAYOUT ? 0 : WEFT_EDAMAGED;
}

int social_profile_bytes(struct people *people, const uint8_t key[static NODE_KEY_LEN],
			 struct writer *w)
{
	const struct persona_row *own = social_persona_row_of(people, key);
	struct store_snapshot *snapshot = NULL;
	struct profile_row head;
	struct cursor c;
	size_t len;
	int err;

	if (own) {
		writer_bytes(w, own->profile, own->profile_len);
		return own->profile_len ? 0 : WEFT_EABSENT;
	}
	if (!social_profile_row(people, key))
		return WEFT_EABSENT;
	err = social_people_stored(people, PEOPLE_ROW_PROFILE, key, &snapshot, &c);
	if (err == 0 && !head_read(&c, &head))
		err = WEFT_EDAMAGED;
	if (err == 0) {
		len = cursor_left(&c);
		writer_bytes(w, cursor_bytes(&c, len), len);
	}
	store_snapshot_close(snapshot);
	return err;
}

int social_person_profile(struct people *people, const uint8_t key[static NODE_KEY_LEN],
			  struct profile *out_profile)
{
	struct profile_row *row = social_profile_row(people, key);
	struct writer w = writer_of(people->made, sizeof(people->made));
	char text[PROFILE_TEXT_CAP] = "";
	int err = social_profile_bytes(people, key, &w);

	if (err == 0)
		err = social_profile_read(people->made, writer_len(&w), out_profile);
	if (err < 0 || !row || !row->has_personal)
		return err;
	social_personal_read(people, row, text);
	if (!row->is_personal_read)
		return 0;
	memcpy(out_profile->name, row->personal_name, sizeof(out_profile->name));
	memcpy(out_profile->text, text, sizeof(out_profile->text));
	out_profile->has_picture = row->has_personal_picture;
	memcpy(out_profile->picture, row->personal_picture, sizeof(out_profile->picture));
	return 0;
}

/* The disk did not take it: what is there still holds, and what is lost comes with the next sync. */
static bool profile_revert(struct people *people, struct profile_row *row, struct writer *w)
{
	struct store_snapshot *snapshot = NULL;
	struct cursor c;
	bool is_there =
		social_people_stored(people, PEOPLE_ROW_PROFILE, row->key, &snapshot, &c) == 0;

	if (is_there) {
		size_t len = cursor_left(&c);
		const uint8_t *value = cursor_bytes(&c, len);

		writer_bytes(w, value, len);
		c = cursor_of(value, len);
		is_there = head_read(&c, row) &&
			   social_profile_read(c.pos, cursor_left(&c), &people->profile) == 0;
		if (is_there)
			row_fill(row, &people->profile, c.pos, cursor_left(&c));
	}
	store_snapshot_close(snapshot);
	if (!is_there)
		row_forget(people, row);
	return is_there;
}

static bool profile_write(struct people *people, const uint8_t *name, struct writer *w)
{
	struct profile_row *row = social_profile_row(people, name);
	const struct profile_put *put = people->putting;

	if (!row)
		return false;
	if (!put)
		return profile_revert(people, row, w);
	head_write(w, row);
	writer_bytes(w, put->bytes, put->len);
	return true;
}

static bool profile_load(struct people *people, const uint8_t *name, struct cursor *c,
			 uint64_t now_ns)
{
	struct profile_row head, *row;

	if (!head_read(c, &head) ||
	    social_profile_read(c->pos, cursor_left(c), &people->profile) < 0 ||
	    memcmp(people->profile.person, name, NODE_KEY_LEN) != 0)
		return false;
	row = row_add(people, name, &head.origin, now_ns);
	if (!row)
		return false;
	row->commitment_cnt = head.commitment_cnt;
	memcpy(row->commitments, head.commitments, sizeof(row->commitments));
	row_fill(row, &people->profile, c->pos, cursor_left(c));
	return true;
}

const struct people_codec people_codec_profile = {profile_write, profile_load};
