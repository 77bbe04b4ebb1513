/* SPDX-License-Identifier: Apache-2.0 */
/* Getting from a peer that is away, slow, busy, wrong or hostile. */
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "codec/cbor.h"
#include "blobs/manifest/manifest.h"
#include "blobs/content_message.h"
#include "get_rig.h"

static struct link shared;

/* Two nodes; A shares a small and a large file. */
static bool duo_begin(void)
{
	duo_init(&duo);
	file_make("in/big.bin", BIG_LEN, 2);
	file_make("in/small.txt", 1000, 1);
	return duo_share(&duo, duo_path(&duo, "in"), &shared);
}

static const struct blobs_get *get_shared(void)
{
	return duo_run(&duo, duo_get_start(&duo, &shared, "out"), TURN_MAX);
}

static const struct blobs_get *get_again(uint64_t id)
{
	duo.on_answer = NULL;
	duo.hook_cnt = 0;
	(void)!blobs_get_resume(duo.nodes[DUO_B].content, id, duo.now_ns);
	return duo_run(&duo, id, TURN_MAX);
}

/* --- bytes that do not match --- */

static unsigned bad_type;
static unsigned bad_cnt;

/* The last byte of the first bad_cnt answers of a type is wrong. */
static void bad_answers(struct duo *d, struct duo_answer *answer)
{
	if (answer->type == bad_type && d->hook_cnt < bad_cnt) {
		d->hook_cnt++;
		answer->payload[answer->type == MESH_CHUNK_HASH_LIST ? 60 : answer->len - 1] ^= 1;
	}
}

static void check_bad_answers(unsigned type, unsigned cnt, bool is_forgiven)
{
	const struct blobs_get *get;

	CHECK(duo_begin());
	bad_type = type;
	bad_cnt = cnt;
	duo.on_answer = bad_answers;
	get = get_shared();
	CHECK(get);
	CHECK_EQ(duo.nodes[DUO_B].event_cnt[BLOBS_PEER_BAD], get->bad_chunk_cnt);
	if (is_forgiven) {
		CHECK_EQ(get->state, BLOBS_GET_FINISHED);
		CHECK_EQ(get->bad_chunk_cnt, cnt);
	} else {
		CHECK_EQ(get->state, BLOBS_GET_STOPPED);
		CHECK_EQ(get->err, WEFT_EDAMAGED);
		CHECK(strstr(get->detail, "bytes that do not match"));
		CHECK(get->bad_chunk_cnt >= 3);
		get = get_again(get->id);
		CHECK_EQ(get->state, BLOBS_GET_FINISHED);
	}
	CHECK(duo_trees_equal(&duo, "in", "out"));
	CHECK_EQ(get->byte_done_cnt, get->byte_cnt);
	duo_fini(&duo);
}

static void test_few_wrong_bytes_are_asked_for_again(void)
{
	static const unsigned types[] = {MESH_MANIFEST_DATA, MESH_CHUNK_DATA, MESH_CHUNK_HASH_LIST};

	for (size_t i = 0; i < 3 && !check_failed; i++)
		check_bad_answers(types[i], 2, true);
}

static void test_peer_that_keeps_lying_is_left(void)
{
	static const unsigned types[] = {MESH_MANIFEST_DATA, MESH_CHUNK_DATA, MESH_CHUNK_HASH_LIST};

	for (size_t i = 0; i < 3 && !check_failed; i++)
		check_bad_answers(types[i], 1000000, false);
}

static void cut_answers(struct duo *d, struct duo_answer *answer)
{
	if (answer->err == 0 && answer->len > 0)
		answer->len = d->hook_cnt++ % answer->len;
}

/* Answers cut at every length: none is believed, none crashes. */
static void test_cut_answers_are_never_believed(void)
{
	for (unsigned cut = 0; cut < 120 && !check_failed; cut++) {
		const struct blobs_get *get;

		CHECK(duo_begin());
		duo.on_answer = cut_answers;
		duo.hook_cnt = cut;
		get = get_shared();
		CHECK_EQ(get->state, BLOBS_GET_STOPPED);
		CHECK_EQ(get->err, WEFT_EDAMAGED);
		duo_fini(&duo);
		cut += cut / 8;
	}
}

/* Another chunk's bytes, honest in themselves, under the asked one's number. */
static void swapped_chunks(struct duo *d, struct duo_answer *answer)
{
	static uint8_t kept[BLAKE3_CHUNK_LEN];

	if (answer->type != MESH_CHUNK_DATA || answer->len < BLAKE3_CHUNK_LEN)
		return;
	if (d->hook_cnt++ % 2 == 0)
		memcpy(kept, answer->payload + answer->len - sizeof(kept), sizeof(kept));
	else
		memcpy(answer->payload + answer->len - sizeof(kept), kept, sizeof(kept));
}

static void test_chunk_of_another_place_is_not_believed(void)
{
	const struct blobs_get *get;

	CHECK(duo_begin());
	duo.on_answer = swapped_chunks;
	get = get_shared();
	CHECK(get->bad_chunk_cnt > 0);
	CHECK_EQ(get_again(get->id)->state, BLOBS_GET_FINISHED);
	CHECK(duo_trees_equal(&duo, "in", "out"));
	duo_fini(&duo);
}

/* A list, hash by hash. */
static void short_lists(struct duo *d, struct duo_answer *answer)
{
	static uint8_t bytes[MESSAGE_HEAD_CAP + BLAKE3_HASH_LEN + MESSAGE_END_CAP];
	struct message_answer list;
	struct writer w = writer_of(bytes, sizeof(bytes));

	if (answer->type != MESH_CHUNK_HASH_LIST ||
	    blobs_message_answer_parse(answer->type, answer->payload, answer->len, &list) < 0)
		return;
	d->hook_cnt++;
	list.len = BLAKE3_HASH_LEN;
	blobs_message_answer_write_head(&w, answer->type, &list);
	writer_bytes(&w, list.bytes, list.len);
	answer->len = writer_len(&w);
	answer->len += blobs_message_answer_write_end(answer->type, &list, bytes + answer->len);
	memcpy(answer->payload, bytes, answer->len);
}

static void test_list_in_shorter_pages_than_asked_for_is_not_taken(void)
{
	const struct blobs_get *get;

	CHECK(duo_begin());
	duo.on_answer = short_lists;
	get = get_shared();
	CHECK_EQ(get->state, BLOBS_GET_STOPPED);
	CHECK_EQ(get->err, WEFT_EDAMAGED);
	CHECK_EQ(duo.hook_cnt, 3);
	CHECK_EQ(get_again(get->id)->state, BLOBS_GET_FINISHED);
	CHECK(duo_trees_equal(&duo, "in", "out"));
	duo_fini(&duo);
}

/* --- a peer that is away, slow or busy --- */

static void test_peer_that_is_off_is_named_soon(void)
{
	const struct blobs_get *get;
	uint64_t began_ns;

	CHECK(duo_begin());
	duo_node_close(&duo, DUO_A);
	began_ns = duo.now_ns;
	get = get_shared();
	CHECK_EQ(get->state, BLOBS_GET_STOPPED);
	CHECK_EQ(get->err, WEFT_ETIMEOUT);
	CHECK(strstr(get->detail, "no answer"));
	CHECK(duo.now_ns - began_ns < 120 * NS_PER_S);
	CHECK_EQ(duo.asked_cnt, 2);
	duo_node_open(&duo, DUO_A);
	CHECK_EQ(get_again(get->id)->state, BLOBS_GET_FINISHED);
	CHECK(duo_trees_equal(&duo, "in", "out"));
	duo_fini(&duo);
}

static void silent_after_two(struct duo *d, struct duo_answer *answer)
{
	if (answer->type == MESH_CHUNK_DATA && ++d->hook_cnt > 2)
		answer->delay_ns = 7200 * NS_PER_S;
}

static void test_peer_that_falls_silent_is_given_up(void)
{
	const struct blobs_get *get;
	uint64_t began_ns;

	CHECK(duo_begin());
	duo.on_answer = silent_after_two;
	began_ns = duo.now_ns;
	get = get_shared();
	CHECK_EQ(get->state, BLOBS_GET_STOPPED);
	CHECK_EQ(get->err, WEFT_ETIMEOUT);
	CHECK(duo.now_ns - began_ns < 300 * NS_PER_S);
	get = get_again(get->id);
	CHECK_EQ(get->state, BLOBS_GET_FINISHED);
	CHECK(get->reused_byte_cnt > 0);
	CHECK(duo_trees_equal(&duo, "in", "out"));
	duo_fini(&duo);
}

/* Nodes lose each other for a minute in the middle: the get does not end for that. */
static void away_for_a_minute(struct duo *d, struct duo_answer *answer)
{
	static uint64_t since_ns;

	if (answer->type != MESH_CHUNK_DATA)
		return;
	if (d->hook_cnt++ == 1)
		since_ns = d->now_ns;
	if (d->hook_cnt > 1 && d->now_ns < since_ns + 60 * NS_PER_S)
		answer->err = WEFT_ECLOSED;
}

static void test_peer_that_comes_back_is_asked_again(void)
{
	const struct blobs_get *get;

	CHECK(duo_begin());
	duo.on_answer = away_for_a_minute;
	get = get_shared();
	CHECK_EQ(get->state, BLOBS_GET_FINISHED);
	CHECK(duo_trees_equal(&duo, "in", "out"));
	CHECK_EQ(get->bad_chunk_cnt, 0);
	/* It was asked ever less often meanwhile. */
	CHECK(duo.asked_cnt < 120);
	duo_fini(&duo);
}

static uint64_t not_before_ns;

static void busy_at_first(struct duo *d, struct duo_answer *answer)
{
	if (answer->type != MESH_CHUNK_DATA || d->hook_cnt++ > 4)
		return;
	not_before_ns = d->now_ns + 3 * NS_PER_S;
	answer->err = WEFT_EBUSY;
	answer->code = MESH_CODE_BUSY;
	answer->not_before_ns = not_before_ns;
}

static void test_busy_peer_is_left_alone_until_its_time(void)
{
	CHECK(duo_begin());
	duo.on_answer = busy_at_first;
	CHECK_EQ(get_shared()->state, BLOBS_GET_FINISHED);
	CHECK(duo_trees_equal(&duo, "in", "out"));
	CHECK(duo.now_ns >= not_before_ns);
	/*
	 * Manifest, list, five chunks, each refused one once more; some times, the other holders.
	 */
	CHECK(duo.asked_cnt >= 7 + 5 && duo.asked_cnt <= 7 + 5 + 4);
	duo_fini(&duo);
}

static void always_busy(struct duo *d, struct duo_answer *answer)
{
	(void)d;
	answer->err = WEFT_EBUSY;
	answer->code = MESH_CODE_BUSY;
}

static void test_peer_that_is_always_busy_is_given_up(void)
{
	const struct blobs_get *get;

	CHECK(duo_begin());
	duo.on_answer = always_busy;
	get = get_shared();
	CHECK_EQ(get->state, BLOBS_GET_STOPPED);
	CHECK_EQ(get->err, WEFT_EBUSY);
	duo_fini(&duo);
}

/* --- a peer that says no --- */

static const uint8_t other_key[32] = {1, 2, 3};

static void wrong_key(struct duo *d, struct duo_answer *answer)
{
	(void)d;
	answer->err = WEFT_EWRONGKEY;
	answer->actual_key = other_key;
}

static void test_wrong_key_names_both(void)
{
	const struct blobs_get *get;

	CHECK(duo_begin());
	duo.on_answer = wrong_key;
	get = get_shared();
	CHECK_EQ(get->state, BLOBS_GET_STOPPED);
	CHECK_EQ(get->err, WEFT_EWRONGKEY);
	CHECK_MEM(get->actual_key, other_key, sizeof(other_key));
	CHECK(strstr(get->detail, "wanted node c"));
	CHECK(strstr(get->detail, "but yrbyg"));
	CHECK_EQ(duo.asked_cnt, 1);
	duo_fini(&duo);
}

static void test_unknown_collection_is_reported(void)
{
	const struct blobs_get *get;

	CHECK(duo_begin());
	shared.manifest_id[0] ^= 1;
	get = get_shared();
	CHECK_EQ(get->state, BLOBS_GET_STOPPED);
	CHECK_EQ(get->err, WEFT_EABSENT);
	duo_fini(&duo);
}

static void test_file_changed_at_the_sharer_is_reported(void)
{
	const struct blobs_get *get;

	CHECK(duo_begin());
	file_make("in/small.txt", 1000, 99);
	get = get_shared();
	CHECK_EQ(get->state, BLOBS_GET_STOPPED);
	CHECK_EQ(get->err, WEFT_ECHANGED);
	CHECK(strstr(get->detail, "small.txt"));
	CHECK_EQ(duo.nodes[DUO_A].event_cnt[BLOBS_FILE_CHANGED], 1);
	duo_fini(&duo);
}

static void test_own_link_is_served_from_this_disk(void)
{
	struct blobs_get_ask ask = {.link = &shared};
	const struct blobs_get *get;
	uint64_t id;

	CHECK(duo_begin());
	ask.target = duo_path(&duo, "out");
	CHECK_EQ(blobs_get_start(duo.nodes[DUO_A].content, &ask, duo.now_ns, &id), 0);
	for (unsigned i = 0; i < 10000; i++)
		(void)duo_turn(&duo);
	get = blobs_get_lookup(duo.nodes[DUO_A].content, id);
	CHECK_EQ(get->state, BLOBS_GET_FINISHED);
	CHECK_EQ(duo.asked_cnt, 0);
	CHECK(duo_trees_equal(&duo, "in", "out"));
	duo_fini(&duo);
}

/* --- a hostile manifest --- */

static uint8_t *forged;
static size_t forged_len;

static void forged_manifest(struct duo *d, struct duo_answer *answer)
{
	struct writer w;

	(void)d;
	if (answer->request_type != MESH_GET_MANIFEST)
		return;
	free(answer->payload);
	answer->payload = malloc(forged_len + 128);
	w = writer_of(answer->payload, forged_len + 128);
	cbor_write_map(&w, 2);
	cbor_write_uint(&w, 0);
	cbor_write_bytes(&w, shared.manifest_id, 32);
	cbor_write_uint(&w, 1);
	cbor_write_bytes(&w, forged, forged_len);
	answer->len = writer_len(&w);
	answer->type = MESH_MANIFEST_DATA;
	answer->err = 0;
	answer->code = 0;
}

/* A whole manifest with one file of ten bytes at path. */
static size_t manifest_forge(uint8_t *out, size_t cap, const char *path)
{
	struct writer w = writer_of(out, cap);
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	uint8_t id[32] = {7};

	cbor_write_map(&w, 3);
	cbor_write_uint(&w, 0);
	cbor_write_uint(&w, 1);
	cbor_write_uint(&w, 4);
	cbor_write_uint(&w, 1000);
	cbor_write_uint(&w, 10);
	cbor_write_array(&w, 1);
	cbor_write_map(&w, slash ? 5 : 4);
	cbor_write_uint(&w, 0);
	cbor_write_bytes(&w, id, 32);
	cbor_write_uint(&w, 1);
	cbor_write_uint(&w, 10);
	cbor_write_uint(&w, 2);
	cbor_write_text(&w, name, strlen(name));
	if (slash) {
		cbor_write_uint(&w, 3);
		cbor_write_text(&w, path, strlen(path));
	}
	cbor_write_uint(&w, 6);
	cbor_write_uint(&w, 1);
	return writer_len(&w);
}

static void check_forged(int err)
{
	const struct blobs_get *get;

	blake3_hash(forged, forged_len, shared.manifest_id);
	duo.on_answer = forged_manifest;
	get = get_shared();
	CHECK_EQ(get->state, BLOBS_GET_STOPPED);
	CHECK_EQ(get->err, err);
}

static void test_hostile_paths_are_refused(void)
{
	static const char *const paths[] = {
		"../x",	   "/etc/x", "a/../../x", "a//x",   "./x",	 "a/./x",
		"..",	   ".",	     "a/",	  "a\nb/x", ".weft-x/x", "a/.weft-partial-1/x",
		"a\x7f/x",
	};
	uint8_t bytes[512];

	CHECK(duo_begin());
	forged = bytes;
	forged_len = manifest_forge(bytes, sizeof(bytes), "good/x");
	check_forged(WEFT_EABSENT); /* only its content is not to be had */
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]) && !check_failed; i++) {
		forged_len = manifest_forge(bytes, sizeof(bytes), paths[i]);
		check_forged(WEFT_EUNSAFE);
		if (check_failed)
			printf("# path %s\n", paths[i]);
	}
	CHECK(access(duo_path(&duo, "x"), F_OK) != 0);
	CHECK(access(duo_path(&duo, "out/good/x"), F_OK) != 0);
	duo_fini(&duo);
}

static void test_manifest_of_rubbish_is_refused(void)
{
	static uint8_t bytes[MANIFEST_LEN_MAX + 1];

	CHECK(duo_begin());
	forged = bytes;
	forged_len = 0;
	check_forged(WEFT_EMALFORMED);
	forged_len = sizeof(bytes) - 1;
	memset(bytes, 0x80, sizeof(bytes));
	check_forged(WEFT_EMALFORMED);
	duo_fini(&duo);
}

int main(void)
{
	RUN(test_few_wrong_bytes_are_asked_for_again);
	RUN(test_peer_that_keeps_lying_is_left);
	RUN(test_cut_answers_are_never_believed);
	RUN(test_chunk_of_another_place_is_not_believed);
	RUN(test_list_in_shorter_pages_than_asked_for_is_not_taken);
	RUN(test_peer_that_is_off_is_named_soon);
	RUN(test_peer_that_falls_silent_is_given_up);
	RUN(test_peer_that_comes_back_is_asked_again);
	RUN(test_busy_peer_is_left_alone_until_its_time);
	RUN(test_peer_that_is_always_busy_is_given_up);
	RUN(test_wrong_key_names_both);
	RUN(test_unknown_collection_is_reported);
	RUN(test_file_changed_at_the_sharer_is_reported);
	RUN(test_own_link_is_served_from_this_disk);
	RUN(test_hostile_paths_are_refused);
	RUN(test_manifest_of_rubbish_is_refused);
	return check_done();
}
