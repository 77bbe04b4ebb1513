/* SPDX-License-Identifier: Apache-2.0 */
#include "social/sync/sync_message.h"

#include "codec/cbor_fields.h"
#include "crypto/signed.h"

#define GROUP_PROOF_TAG	  "groupproof"
#define PERSONA_PROOF_TAG "persona"

/* --- arrays of byte strings --- */

static void strings_read(struct cbor_reader *r, struct sync_bytes *out, uint16_t *out_cnt,
			 unsigned max, size_t len_max)
{
	uint16_t cnt = 0;

	(void)cbor_enter_array(r);
	while (cbor_next(r)) {
		if (cnt == max) {
			cbor_fail(r);
			return;
		}
		out[cnt].bytes = cbor_read_bytes(r, &out[cnt].len);
		if (out[cnt].len == 0 || out[cnt].len > len_max)
			cbor_fail(r);
		cnt++;
	}
	*out_cnt = cnt;
}

static void strings_write(struct writer *w, const struct sync_bytes *strings, unsigned cnt)
{
	cbor_write_array(w, cnt);
	for (unsigned i = 0; i < cnt; i++)
		cbor_write_bytes(w, strings[i].bytes, strings[i].len);
}

/* Whether bytes are things of len each, the next one above the one before. */
static bool ascend(const uint8_t *bytes, size_t bytes_len, size_t len)
{
	if (bytes_len % len)
		return false;
	for (size_t at = len; at < bytes_len; at += len)
		if (memcmp(bytes + at - len, bytes + at, len) >= 0)
			return false;
	return true;
}

/* --- HELLO --- */

static void proofs_read(struct cbor_reader *r, void *record)
{
	struct sync_hello *hello = record;

	strings_read(r, hello->proofs, &hello->proof_cnt, SYNC_PROOFS_MAX, SYNC_PROOF_LEN_MAX);
}

static void proofs_write(struct writer *w, const void *record)
{
	const struct sync_hello *hello = record;

	strings_write(w, hello->proofs, hello->proof_cnt);
}

#define HELLO(member) CBOR_AT(struct sync_hello, member)
static const struct cbor_field hello_fields[] = {
	{0, CBOR_FIELD_BYTES, CBOR_OPTIONAL, HELLO(follows),
	 CBOR_LEN(struct sync_hello, follows_len), .max = SYNC_FOLLOWS_PER_HELLO * NODE_KEY_LEN},
	{1, CBOR_FIELD_FLAG, CBOR_OPTIONAL, HELLO(more)},
	{2, CBOR_FIELD_CODED, CBOR_WHEN(struct sync_hello, proof_cnt), .read = proofs_read,
	 .write = proofs_write},
	{3, CBOR_FIELD_UINT, CBOR_NEEDED, HELLO(question), .max = SYNC_RANGES},
	{4, CBOR_FIELD_EXACT, CBOR_OPTIONAL, HELLO(author), .max = NODE_KEY_LEN},
	{5, CBOR_FIELD_UINT, CBOR_HAS(struct sync_hello, cursor.is_set), HELLO(cursor.time_ms)},
	{6, CBOR_FIELD_FIXED, CBOR_WHEN(struct sync_hello, cursor.is_set), HELLO(cursor.id)},
	{7, CBOR_FIELD_BYTES, CBOR_OPTIONAL, HELLO(ranges), CBOR_LEN(struct sync_hello, ranges_len),
	 .min = 1, .max = RANGE_MESSAGE_MAX},
};
static const struct cbor_table hello_table = {CBOR_FIELDS(hello_fields)};

/* Both parts of a cursor are there, or none is. */
static bool cursor_is_whole(struct cbor_reader *r, unsigned time_key)
{
	return cbor_has_key(r, time_key) == cbor_has_key(r, time_key + 1);
}

static bool hello_is_sound(const struct sync_hello *hello)
{
	return ascend(hello->follows, hello->follows_len, NODE_KEY_LEN) &&
	       (!hello->more || hello->follows) &&
	       (hello->question == SYNC_RANGES) == (hello->ranges != NULL) &&
	       (hello->question == SYNC_LIST || (!hello->author && !hello->cursor.is_set));
}

void social_sync_hello_write(struct writer *w, const struct sync_hello *hello)
{
	if (hello_is_sound(hello))
		cbor_fields_write(w, &hello_table, hello);
	else
		w->bad = true;
}

int social_sync_hello_parse(const void *bytes, size_t len, struct sync_hello *out_hello)
{
	struct cbor_reader r;

	*out_hello = (struct sync_hello){.question = SYNC_GREET};
	cbor_reader_init(&r, bytes, len);
	cbor_fields_read(&r, &hello_table, out_hello);
	if (!cursor_is_whole(&r, 5))
		cbor_fail(&r);
	if (cbor_reader_finish(&r) < 0 || !hello_is_sound(out_hello))
		return WEFT_EMALFORMED;
	return 0;
}

/* --- POSTS --- */

static void profiles_read(struct cbor_reader *r, void *record)
{
	struct sync_answer *answer = record;

	strings_read(r, answer->profiles, &answer->profile_cnt, SYNC_PROFILES_MAX,
		     SYNC_PROFILE_LEN_MAX);
}

static void profiles_write(struct writer *w, const void *record)
{
	const struct sync_answer *answer = record;

	strings_write(w, answer->profiles, answer->profile_cnt);
}

static void deletions_read(struct cbor_reader *r, void *record)
{
	struct sync_answer *answer = record;

	strings_read(r, answer->deletions, &answer->deletion_cnt, SYNC_DELETIONS_MAX,
		     SYNC_DELETION_LEN_MAX);
}

static void deletions_write(struct writer *w, const void *record)
{
	const struct sync_answer *answer = record;

	strings_write(w, answer->deletions, answer->deletion_cnt);
}

static void records_read(struct cbor_reader *r, void *record)
{
	struct sync_answer *answer = record;

	strings_read(r, answer->records, &answer->record_cnt, SYNC_RECORDS_MAX,
		     SYNC_RECORD_LEN_MAX);
}

static void records_write(struct writer *w, const void *record)
{
	const struct sync_answer *answer = record;

	strings_write(w, answer->records, answer->record_cnt);
}

#define ANSWER(member) CBOR_AT(struct sync_answer, member)
static const struct cbor_field answer_fields[] = {
	{0, CBOR_FIELD_BYTES, CBOR_OPTIONAL, ANSWER(follows),
	 CBOR_LEN(struct sync_answer, follows_len), .max = SYNC_FOLLOWS_MAX * NODE_KEY_LEN},
	{1, CBOR_FIELD_CODED, CBOR_WHEN(struct sync_answer, profile_cnt), .read = profiles_read,
	 .write = profiles_write},
	{2, CBOR_FIELD_CODED, CBOR_WHEN(struct sync_answer, deletion_cnt), .read = deletions_read,
	 .write = deletions_write},
	{3, CBOR_FIELD_BYTES, CBOR_OPTIONAL, ANSWER(rows), CBOR_LEN(struct sync_answer, rows_len),
	 .min = 1, .max = SYNC_ROWS_MAX * SYNC_ROW_LEN},
	{4, CBOR_FIELD_UINT, CBOR_HAS(struct sync_answer, cursor.is_set), ANSWER(cursor.time_ms)},
	{5, CBOR_FIELD_FIXED, CBOR_WHEN(struct sync_answer, cursor.is_set), ANSWER(cursor.id)},
	{6, CBOR_FIELD_BYTES, CBOR_OPTIONAL, ANSWER(ranges),
	 CBOR_LEN(struct sync_answer, ranges_len), .min = 1, .max = RANGE_MESSAGE_MAX},
	{7, CBOR_FIELD_CODED, CBOR_WHEN(struct sync_answer, record_cnt), .read = records_read,
	 .write = records_write},
};
static const struct cbor_table answer_table = {CBOR_FIELDS(answer_fields)};

void social_sync_answer_write(struct writer *w, const struct sync_answer *answer)
{
	cbor_fields_write(w, &answer_table, answer);
}

int social_sync_answer_parse(const void *bytes, size_t len, struct sync_answer *out_answer)
{
	struct cbor_reader r;

	*out_answer = (struct sync_answer){.follows = NULL};
	cbor_reader_init(&r, bytes, len);
	cbor_fields_read(&r, &answer_table, out_answer);
	if (!cursor_is_whole(&r, 4))
		cbor_fail(&r);
	if (cbor_reader_finish(&r) < 0 || out_answer->rows_len % SYNC_ROW_LEN ||
	    !ascend(out_answer->follows, out_answer->follows_len, NODE_KEY_LEN))
		return WEFT_EMALFORMED;
	return 0;
}

/* --- POST_GET --- */

#define GET(member) CBOR_AT(struct sync_get, member)
static const struct cbor_field get_fields[] = {
	{0, CBOR_FIELD_BYTES, CBOR_OPTIONAL, GET(posts), CBOR_LEN(struct sync_get, posts_len),
	 .min = POST_ID_LEN, .max = SYNC_GET_MAX * POST_ID_LEN},
	{1, CBOR_FIELD_BYTES, CBOR_OPTIONAL, GET(visibilities),
	 CBOR_LEN(struct sync_get, visibilities_len), .min = POST_ID_LEN,
	 .max = SYNC_GET_MAX * POST_ID_LEN},
	{2, CBOR_FIELD_EXACT, CBOR_OPTIONAL, GET(author), .max = NODE_KEY_LEN},
};
static const struct cbor_table get_table = {CBOR_FIELDS(get_fields)};

void social_sync_get_write(struct writer *w, const struct sync_get *get)
{
	cbor_fields_write(w, &get_table, get);
}

int social_sync_get_parse(const void *bytes, size_t len, struct sync_get *out_get)
{
	*out_get = (struct sync_get){.posts = NULL};
	if (cbor_fields_parse(bytes, len, &get_table, out_get) < 0 ||
	    out_get->posts_len % POST_ID_LEN || out_get->visibilities_len % POST_ID_LEN)
		return WEFT_EMALFORMED;
	return 0;
}

/* --- POST_DATA --- */

#define POST(member) CBOR_AT(struct sync_post, member)
static const struct cbor_field post_fields[] = {
	{0, CBOR_FIELD_EXACT, CBOR_NEEDED, POST(id), .max = POST_ID_LEN},
	{1, CBOR_FIELD_BYTES, CBOR_NEEDED, POST(post.bytes), CBOR_LEN(struct sync_post, post.len),
	 .max = POST_LEN_MAX},
	{2, CBOR_FIELD_BYTES, CBOR_NEEDED, POST(claim.bytes), CBOR_LEN(struct sync_post, claim.len),
	 .max = SYNC_DELETION_LEN_MAX},
	{3, CBOR_FIELD_BYTES, CBOR_NEEDED, POST(visibility.bytes),
	 CBOR_LEN(struct sync_post, visibility.len), .min = 1, .max = POST_LEN_MAX},
};
static const struct cbor_table post_table = {CBOR_FIELDS(post_fields)};

static const struct cbor_field page_fields[] = {
	{0, CBOR_FIELD_ROWS, CBOR_NEEDED, CBOR_ROWS(struct sync_page, posts, post_table),
	 CBOR_LEN(struct sync_page, post_cnt)},
	{1, CBOR_FIELD_FLAG, CBOR_OPTIONAL, CBOR_AT(struct sync_page, has_rest)},
};
static const struct cbor_table page_table = {CBOR_FIELDS(page_fields)};

void social_sync_page_write(struct writer *w, const struct sync_page *page)
{
	cbor_fields_write(w, &page_table, page);
}

int social_sync_page_parse(const void *bytes, size_t len, struct sync_page *out_page)
{
	out_page->post_cnt = 0;
	out_page->has_rest = false;
	if (cbor_fields_parse(bytes, len, &page_table, out_page) < 0)
		return WEFT_EMALFORMED;
	for (unsigned i = 0; i < out_page->post_cnt; i++)
		if (!out_page->posts[i].post.len != !out_page->posts[i].claim.len)
			return WEFT_EMALFORMED;
	return 0;
}

/* --- one object --- */

static const struct cbor_field object_fields[] = {
	{0, CBOR_FIELD_BYTES, CBOR_NEEDED, CBOR_AT(struct sync_bytes, bytes),
	 CBOR_LEN(struct sync_bytes, len), .min = 1, .max = SYNC_OBJECT_LEN_MAX},
};
static const struct cbor_table object_table = {CBOR_FIELDS(object_fields)};

void social_sync_object_write(struct writer *w, const void *object, size_t len)
{
	const struct sync_bytes bytes = {object, len};

	cbor_fields_write(w, &object_table, &bytes);
}

int social_sync_object_parse(const void *bytes, size_t len, struct sync_bytes *out_object)
{
	return cbor_fields_parse(bytes, len, &object_table, out_object) < 0 ? WEFT_EMALFORMED : 0;
}

/* --- proofs --- */

struct proof_body {
	uint8_t group[32];
	uint64_t epoch;
	uint8_t session[SYNC_SESSION_LEN];
};
static const struct cbor_field group_proof_fields[] = {
	{0, CBOR_FIELD_FIXED, CBOR_NEEDED, CBOR_AT(struct proof_body, group)},
	{1, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct proof_body, epoch)},
	{2, CBOR_FIELD_FIXED, CBOR_NEEDED, CBOR_AT(struct proof_body, session)},
};
static const struct cbor_table group_proof_table = {CBOR_FIELDS(group_proof_fields),
						    .is_closed = true};
static const struct cbor_field persona_fields[] = {
	{0, CBOR_FIELD_FIXED, CBOR_NEEDED, CBOR_AT(struct proof_body, session)},
};
static const struct cbor_table persona_table = {CBOR_FIELDS(persona_fields), .is_closed = true};

void social_sync_proof_write(struct writer *w, const struct sync_proof *proof,
			     const uint8_t session[static SYNC_SESSION_LEN],
			     const struct node_key *key)
{
	struct proof_body body = {.epoch = proof->epoch};
	uint8_t bytes[sizeof(body) + 16];
	struct writer b = writer_of(bytes, sizeof(bytes));

	memcpy(body.group, proof->group, sizeof(body.group));
	memcpy(body.session, session, sizeof(body.session));
	cbor_fields_write(&b, proof->is_group ? &group_proof_table : &persona_table, &body);
	w->bad |= b.bad;
	signed_write(w, key, proof->is_group ? GROUP_PROOF_TAG : PERSONA_PROOF_TAG, bytes,
		     writer_len(&b));
}

int social_sync_proof_read(const struct sync_bytes *bytes,
			   const uint8_t session[static SYNC_SESSION_LEN],
			   struct sync_proof *out_proof)
{
	struct signed_object object;
	struct proof_body body = {.epoch = 0};
	bool is_group = true;

	if (signed_parse(bytes->bytes, bytes->len, &object) < 0)
		return WEFT_EMALFORMED;
	if (cbor_fields_parse(object.body, object.body_len, &group_proof_table, &body) < 0) {
		is_group = false;
		if (cbor_fields_parse(object.body, object.body_len, &persona_table, &body) < 0)
			return WEFT_EMALFORMED;
	}
	if (memcmp(body.session, session, sizeof(body.session)) != 0)
		return WEFT_EREFUSED;
	*out_proof = (struct sync_proof){.is_group = is_group, .epoch = body.epoch};
	memcpy(out_proof->key, object.signer, sizeof(out_proof->key));
	memcpy(out_proof->group, body.group, sizeof(out_proof->group));
	return signed_verify(&object, is_group ? GROUP_PROOF_TAG : PERSONA_PROOF_TAG);
}
