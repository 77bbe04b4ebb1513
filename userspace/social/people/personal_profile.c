/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a person shows to one reader: the profile of the highest circle that the reader is in, or the public
 * one. It is made when a reader is given it, and sealed for that reader alone; nothing of it is kept
 * here. Its text is the map {0 time ms, 1 name, 2 text, 3 picture 32?}.
 */
#include <string.h>

#include "base/random.h"
#include "codec/cbor_fields.h"
#include "people_state.h"
#include "social/seal/profile_seal.h"

struct personal {
	uint64_t time_ms;
	char name[PROFILE_NAME_CAP];
	char text[PROFILE_TEXT_CAP];
	bool has_picture;
	uint8_t picture[BLAKE3_HASH_LEN];
};
static const struct cbor_field fields[] = {
	{0, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct personal, time_ms)},
	{1, CBOR_FIELD_TEXT, CBOR_NEEDED, CBOR_AT(struct personal, name)},
	{2, CBOR_FIELD_TEXT, CBOR_NEEDED, CBOR_AT(struct personal, text)},
	{3, CBOR_FIELD_FIXED, CBOR_HAS(struct personal, has_picture),
	 CBOR_AT(struct personal, picture)},
};
static const struct cbor_table table = {CBOR_FIELDS(fields)};

/* Both sides know the reader and the words: the same words have the same edition. */
static void edition_make(const struct personal *personal, const uint8_t *reader,
			 uint8_t out_edition[static SOCIAL_EDITION_LEN])
{
	uint8_t words[NODE_KEY_LEN + PROFILE_SEAL_TEXT_MAX];
	struct personal timeless = *personal;
	struct writer w = writer_of(words, sizeof(words));

	timeless.time_ms = 0;
	writer_bytes(&w, reader, NODE_KEY_LEN);
	cbor_fields_write(&w, &table, &timeless);
	blake3_derive_key("mesh/distsoc/profile-edition/v1", words, writer_len(&w), out_edition,
			  SOCIAL_EDITION_LEN);
}

/* --- for a reader --- */

static void circle_take(struct personal *personal, const struct circle_row *circle)
{
	memcpy(personal->name, circle->profile_name, sizeof(personal->name));
	memcpy(personal->text, circle->profile_text, sizeof(personal->text));
	if (!circle->has_picture)
		return;
	personal->has_picture = true;
	memcpy(personal->picture, circle->profile_picture, sizeof(personal->picture));
}

/* false: the persona has no profile. */
static bool personal_of(struct people *people, const struct personal_ask *ask, struct personal *out)
{
	const struct profile *profile = &people->profile;
	const struct circle_row *circle = social_circle_of(
		people, social_persona_row(people, ask->persona)->number, ask->reader);
	uint64_t now_ms = people_wall_ms(people);

	if (!social_profile_own(people, ask->persona, &people->profile))
		return false;
	*out = (struct personal){.time_ms = now_ms > profile->time_ms ? now_ms : profile->time_ms,
				 .has_picture = profile->has_picture};
	memcpy(out->name, profile->name, sizeof(out->name));
	memcpy(out->text, profile->text, sizeof(out->text));
	memcpy(out->picture, profile->picture, sizeof(out->picture));
	if (circle)
		circle_take(out, circle);
	return true;
}

static int personal_seal(struct people *people, const struct personal_ask *ask,
			 const struct personal *personal, struct writer *w)
{
	const struct node_key *own = social_persona(people, ask->persona);
	uint8_t fresh[PROFILE_SEAL_RANDOM_LEN], text[PROFILE_SEAL_TEXT_MAX];
	const struct profile_seal seal = {node_key_public(own), ask->reader, fresh};
	uint8_t sealed[PROFILE_SEAL_LEN];
	/* The rank and the circle stay here: a reader sees zero, and a number of this object alone. */
	struct profile_circle object = {.sealed = sealed, .sealed_len = sizeof(sealed)};
	struct writer words = writer_of(text, sizeof(text));
	int err;

	cbor_fields_write(&words, &table, personal);
	random_fill(people->ground->random, fresh, sizeof(fresh));
	random_fill(people->ground->random, object.circle, sizeof(object.circle));
	err = social_profile_seal(&seal, own, text, writer_len(&words), sealed);
	explicit_bzero(fresh, sizeof(fresh));
	explicit_bzero(text, sizeof(text));
	if (err == 0)
		social_profile_circle_write(w, &object, own);
	return err;
}

int social_personal_write(struct people *people, const struct personal_ask *ask, struct writer *w)
{
	uint8_t edition[SOCIAL_EDITION_LEN];
	struct personal personal;
	int err;

	if (social_is_blocked(people, ask->reader))
		return WEFT_EREFUSED;
	if (!personal_of(people, ask, &personal))
		return WEFT_EABSENT;
	edition_make(&personal, ask->reader, edition);
	if (ask->have && memcmp(ask->have, edition, sizeof(edition)) == 0)
		return WEFT_EEXISTS;
	err = personal_seal(people, ask, &personal, w);
	people->stats.personal_cnt += err == 0;
	return err;
}

/* --- as a reader --- */

/* The persona that opens it; NULL: none. */
static const struct node_key *personal_open(const struct people *people,
					    const struct profile_circle *object,
					    struct personal *out)
{
	uint8_t text[PROFILE_SEAL_TEXT_MAX];
	size_t len;

	if (object->sealed_len != PROFILE_SEAL_LEN)
		return NULL;
	for (unsigned idx = 0; idx < people->persona_cnt; idx++) {
		const struct node_key *own = social_persona(people, idx);
		const struct profile_seal seal = {object->person, node_key_public(own), NULL};

		if (social_profile_unseal(&seal, own, object->sealed, text, &len) < 0)
			continue;
		memset(out, 0, sizeof(*out));
		return cbor_fields_parse(text, len, &table, out) == 0 ? own : NULL;
	}
	return NULL;
}

static void row_fill(struct profile_row *row, const struct personal *personal,
		     const struct node_key *reader)
{
	row->has_personal = true;
	row->is_personal_read = true;
	row->personal_ms = personal->time_ms;
	memcpy(row->personal_name, personal->name, sizeof(row->personal_name));
	row->has_personal_picture = personal->has_picture;
	memcpy(row->personal_picture, personal->picture, sizeof(row->personal_picture));
	edition_make(personal, node_key_public(reader), row->edition);
}

void social_personal_read(struct people *people, struct profile_row *row,
			  char out_text[static PROFILE_TEXT_CAP])
{
	struct store_snapshot *snapshot = NULL;
	struct profile_circle object;
	const struct node_key *reader = NULL;
	struct personal personal;
	struct cursor c;
	int err = social_people_stored(people, PEOPLE_ROW_PERSONAL, row->key, &snapshot, &c);

	if (err == 0)
		err = social_profile_circle_read(c.pos, cursor_left(&c), &object);
	if (err == 0 && memcmp(object.person, row->key, NODE_KEY_LEN) == 0)
		reader = personal_open(people, &object, &personal);
	store_snapshot_close(snapshot);
	if (!reader || (row->is_personal_read && personal.time_ms != row->personal_ms))
		return; /* not yet on the disk, or for a persona that is gone */
	row_fill(row, &personal, reader);
	memcpy(out_text, personal.text, sizeof(personal.text));
}

void social_personal_edition(struct people *people, const uint8_t key[static NODE_KEY_LEN],
			     uint8_t out_edition[static SOCIAL_EDITION_LEN])
{
	struct profile_row *row = social_profile_row(people, key);
	char text[PROFILE_TEXT_CAP];

	memset(out_edition, 0, SOCIAL_EDITION_LEN);
	if (row && row->has_personal && !row->is_personal_read)
		social_personal_read(people, row, text);
	if (row && row->is_personal_read)
		memcpy(out_edition, row->edition, SOCIAL_EDITION_LEN);
}

static int personal_judge(struct people *people, const struct profile_row *row,
			  const struct personal *personal)
{
	if (!social_profile_is_sound(personal->name, personal->text))
		return WEFT_EMALFORMED;
	if (personal->time_ms > people_wall_ms(people) + SOCIAL_AHEAD_MS)
		return WEFT_ESTALE;
	if (row->is_personal_read && personal->time_ms <= row->personal_ms)
		return WEFT_EEXISTS;
	return social_people_keep_lags(people) ? WEFT_EBUSY : 0;
}

int social_personal_put(struct people *people, const struct profile_put *put, uint64_t now_ns)
{
	struct profile_circle object;
	const struct node_key *reader;
	struct personal personal;
	struct profile_row *row;
	char text[PROFILE_TEXT_CAP];
	int err = social_profile_circle_read(put->bytes, put->len, &object);

	people->stats.profile_put_cnt++;
	if (err < 0) {
		people->stats.profile_refused_cnt++;
		return err;
	}
	if (social_is_blocked(people, object.person))
		return WEFT_EREFUSED;
	row = social_profile_row(people, object.person);
	if (!row)
		return WEFT_EABSENT;
	if (!(reader = personal_open(people, &object, &personal)))
		return WEFT_EDAMAGED;
	if (row->has_personal && !row->is_personal_read)
		social_personal_read(people, row, text);
	if ((err = personal_judge(people, row, &personal)) < 0)
		return err;
	row_fill(row, &personal, reader);
	people->putting = put;
	social_people_touch(people, PEOPLE_ROW_PERSONAL, row->key, now_ns);
	people->putting = NULL;
	social_people_wait(people, &put->done, now_ns);
	people->stats.profile_kept_cnt++;
	social_people_tell(people, PEOPLE_PROFILE, row->key, NULL);
	return 0;
}

/* --- rows in the store: the object as it came --- */

static bool personal_write(struct people *people, const uint8_t *name, struct writer *w)
{
	struct profile_row *row = social_profile_row(people, name);
	const struct profile_put *put = people->putting;
	struct store_snapshot *snapshot = NULL;
	struct cursor c;

	if (!row || !row->has_personal)
		return false;
	if (put) {
		writer_bytes(w, put->bytes, put->len);
		return true;
	}
	/* The disk did not take it: what is there holds still. */
	row->is_personal_read = false;
	row->has_personal =
		social_people_stored(people, PEOPLE_ROW_PERSONAL, name, &snapshot, &c) == 0;
	if (row->has_personal) {
		size_t len = cursor_left(&c);

		writer_bytes(w, cursor_bytes(&c, len), len);
	}
	store_snapshot_close(snapshot);
	return row->has_personal;
}

/* It is opened when it is wanted. */
static bool personal_load(struct people *people, const uint8_t *name, struct cursor *c,
			  uint64_t now_ns)
{
	struct profile_row *row = social_profile_row(people, name);

	(void)now_ns;
	if (!row || cursor_left(c) > PROFILE_CIRCLE_LEN_MAX)
		return false;
	row->has_personal = true;
	return true;
}

const struct people_codec people_codec_personal = {personal_write, personal_load};
