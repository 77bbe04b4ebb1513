/* SPDX-License-Identifier: Apache-2.0 */
/* What a peer is answered, whatever it asks. */
#include "base/byte_cursor.h"
#include "blobs/object.h"
#include "blobs/serve/serve_file.h"
#include "blobs/blobs_state.h"
#include "blobs/serve/serve_state.h"
#include "store/store.h"
#include "serve_rig.h"

static struct question q;

static void test_chunk_is_answered_with_its_bytes(void)
{
	struct message_answer answer;

	CHECK(duo_begin());
	for (uint64_t idx = 0; idx < 4; idx++) {
		ask(&q, MESH_GET_CHUNK, big_id, idx, 0);
		CHECK(answered(&q));
		CHECK_EQ(q.err, 0);
		CHECK_EQ(blobs_message_answer_parse(MESH_CHUNK_DATA, q.buf, q.len, &answer), 0);
		CHECK_EQ(answer.len, idx < 3 ? BLAKE3_CHUNK_LEN : 12345);
		CHECK_EQ(answer.first, idx);
		CHECK_MEM(answer.bytes, bytes + idx * BLAKE3_CHUNK_LEN, answer.len);
	}
	duo_fini(&duo);
}

static void test_chunk_list_leads_to_the_content_id(void)
{
	struct message_answer answer;
	uint8_t root[32];

	CHECK(duo_begin());
	ask(&q, MESH_GET_CHUNK_HASHES, big_id, 0, MESSAGE_HASHES_MAX);
	CHECK(answered(&q));
	CHECK_EQ(blobs_message_answer_parse(MESH_CHUNK_HASH_LIST, q.buf, q.len, &answer), 0);
	CHECK_EQ(answer.total, 4);
	CHECK_EQ(answer.len, 4 * 32);
	blake3_cvs_combine(answer.bytes, 4, true, root);
	CHECK_MEM(root, big_id, sizeof(root));
	/* A page from the middle, cut at its count; and of a file of one chunk. */
	ask(&q, MESH_GET_CHUNK_HASHES, big_id, 1, 2);
	CHECK(answered(&q));
	CHECK_EQ(blobs_message_answer_parse(MESH_CHUNK_HASH_LIST, q.buf, q.len, &answer), 0);
	CHECK_EQ(answer.len, 2 * 32);
	ask(&q, MESH_GET_CHUNK_HASHES, small_id, 0, 5);
	CHECK(answered(&q));
	CHECK_EQ(blobs_message_answer_parse(MESH_CHUNK_HASH_LIST, q.buf, q.len, &answer), 0);
	CHECK_EQ(answer.len, 32);
	CHECK_MEM(answer.bytes, small_id, 32);
	duo_fini(&duo);
}

static void test_proof_proves_a_range(void)
{
	static uint8_t got[MESSAGE_GROUPS_MAX * BLAKE3_GROUP_LEN];
	struct blake3_range range = {.file_len = BIG_LEN, .first_group = 13, .group_cnt = 8};
	struct message_answer answer;
	struct cursor proof;

	CHECK(duo_begin());
	ask(&q, MESH_RANGE_PROOF, big_id, range.first_group, range.group_cnt);
	CHECK(answered(&q));
	CHECK_EQ(q.err, 0);
	CHECK_EQ(blobs_message_answer_parse(MESH_RANGE_PROOF, q.buf, q.len, &answer), 0);
	CHECK_EQ(answer.total, BIG_LEN);
	proof = cursor_of(answer.bytes, answer.len);
	CHECK_EQ(blake3_proof_verify(big_id, &range, &proof, got), 0);
	CHECK_MEM(got, bytes + 13 * BLAKE3_GROUP_LEN, sizeof(got));
	duo_fini(&duo);
}

static void test_what_is_not_there_is_refused(void)
{
	const struct {
		unsigned type;
		const uint8_t *id;
		uint64_t first, cnt;
	} rows[] = {
		{MESH_GET_MANIFEST, big_id, 0, 0},
		{MESH_GET_CHUNK, big_id, 4, 0},
		{MESH_GET_CHUNK, big_id, UINT64_MAX, 0},
		{MESH_GET_CHUNK, big_id, UINT64_MAX / BLAKE3_CHUNK_LEN + 1, 0},
		{MESH_GET_CHUNK, private_id, 0, 0},
		{MESH_GET_CHUNK, shared.manifest_id, 0, 0},
		{MESH_GET_CHUNK_HASHES, big_id, 4, 1},
		{MESH_GET_CHUNK_HASHES, big_id, 0, 0},
		{MESH_GET_CHUNK_HASHES, big_id, UINT64_MAX, UINT64_MAX},
		{MESH_GET_CHUNK_HASHES, private_id, 0, 1},
		{MESH_RANGE_PROOF, big_id, 0, MESSAGE_GROUPS_MAX + 1},
		{MESH_RANGE_PROOF, big_id, 0, 0},
		{MESH_RANGE_PROOF, big_id, UINT64_MAX, 1},
		{MESH_RANGE_PROOF, big_id, 48, 2},
		{MESH_RANGE_PROOF, private_id, 0, 1},
	};

	CHECK(duo_begin());
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		ask(&q, rows[i].type, rows[i].id, rows[i].first, rows[i].cnt);
		CHECK(answered(&q));
		if (q.code != MESH_CODE_ABSENT)
			printf("# row %zu\n", i);
		CHECK_EQ(q.code, MESH_CODE_ABSENT);
	}
	duo_fini(&duo);
}

static void test_malformed_request_is_answered_as_such(void)
{
	CHECK(duo_begin());
	ask_raw(&q, MESH_GET_CHUNK, "\xa1\x00\x40", 3);
	CHECK(answered(&q));
	CHECK_EQ(q.code, MESH_CODE_MALFORMED);
	duo_fini(&duo);
}

static void test_known_but_unshared_file_is_not_served(void)
{
	struct link other;

	CHECK(duo_begin());
	CHECK(duo_share(&duo, duo_path(&duo, "private"), &other));
	ask(&q, MESH_GET_CHUNK, private_id, 0, 0);
	CHECK(answered(&q));
	CHECK_EQ(q.err, 0);
	CHECK_EQ(blobs_share_remove(duo.nodes[DUO_A].content, other.manifest_id, NULL, NULL), 0);
	for (unsigned i = 0; i < 100; i++)
		(void)duo_turn(&duo);
	ask(&q, MESH_GET_CHUNK, private_id, 0, 0);
	CHECK(answered(&q));
	CHECK_EQ(q.code, MESH_CODE_ABSENT);
	ask(&q, MESH_GET_MANIFEST, other.manifest_id, 0, 0);
	CHECK(answered(&q));
	CHECK_EQ(q.code, MESH_CODE_ABSENT);
	duo_fini(&duo);
}

/* Copies of it stand in many places that are no longer shared, most of them before it. */
static void test_file_is_found_behind_copies_that_are_not_shared(void)
{
	struct link other;
	char name[32];

	CHECK(duo_begin());
	for (unsigned i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "private/copy%u", i);
		file_make(name, 1000, 1, small_id);
	}
	CHECK(duo_share(&duo, duo_path(&duo, "private"), &other));
	CHECK_EQ(blobs_share_remove(duo.nodes[DUO_A].content, other.manifest_id, NULL, NULL), 0);
	for (unsigned i = 0; i < 100; i++)
		(void)duo_turn(&duo);
	ask(&q, MESH_GET_CHUNK, small_id, 0, 0);
	CHECK(answered(&q));
	CHECK_EQ(q.err, 0);
	duo_fini(&duo);
}

static void slow_way(struct duo *d, struct duo_answer *answer)
{
	(void)d;
	answer->delay_ns = 5 * NS_PER_S;
}

/* As many buffers as there are answers on their way: one more is refused with a time. */
static void test_buffer_references_are_bounded(void)
{
	static struct question many[4];
	struct blobs_stats stats;

	CHECK(duo_begin());
	duo_node_close(&duo, DUO_A);
	duo.nodes[DUO_A].config.chunk_buffer_cnt = 3;
	duo_node_open(&duo, DUO_A);
	duo.on_answer = slow_way;
	for (unsigned i = 0; i < 3; i++) {
		duo.nodes[DUO_B].key[0]++; /* each asks as a node of its own */
		ask(&many[i], MESH_GET_CHUNK, big_id, i, 0);
		for (unsigned k = 0; k < 100 && duo.lent_cnt < i + 1; k++)
			(void)duo_turn(&duo);
	}
	blobs_stats(duo.nodes[DUO_A].content, &stats);
	CHECK_EQ(stats.chunk_buffer_used_cnt, 3);
	CHECK_EQ(stats.pools[BLOBS_POOL_CHUNKS].held_cnt, 3);
	CHECK(addr_equal(&stats.pools_largest[BLOBS_POOL_CHUNKS], &duo.nodes[DUO_B].addr));
	CHECK_EQ(stats.pools_largest[BLOBS_POOL_MANIFESTS].family, ADDR_NONE);
	duo.on_answer = NULL;
	ask(&many[3], MESH_GET_CHUNK, big_id, 3, 0);
	CHECK(answered(&many[3]));
	CHECK_EQ(many[3].code, MESH_CODE_BUSY);
	CHECK_STR(duo.refused_pool, "calls with chunk buffers");
	CHECK(many[3].not_before_ns > duo.now_ns - NS_PER_MS);
	for (unsigned i = 0; i < 3; i++)
		CHECK(answered(&many[i]) && many[i].err == 0);
	ask(&many[3], MESH_GET_CHUNK, big_id, 3, 0);
	CHECK(answered(&many[3]));
	CHECK_EQ(many[3].err, 0);
	blobs_stats(duo.nodes[DUO_A].content, &stats);
	CHECK_EQ(stats.chunk_buffer_used_cnt, 0);
	CHECK_EQ(stats.refused_busy_cnt, 1);
	CHECK_EQ(stats.served_chunk_cnt, 4);
	CHECK_EQ(stats.served_byte_cnt, BIG_LEN);
	duo_fini(&duo);
}

/* Until long after a waiter is refused, and before the asker gives up. */
static void slow_unless_refused(struct duo *d, struct duo_answer *answer)
{
	(void)d;
	answer->delay_ns = answer->err ? 0 : 50 * NS_PER_S;
}

/* How many of cnt questions at once, from a key of its own, take a buffer each; the rest is refused. */
static unsigned peer_takes(struct question *questions, unsigned cnt, unsigned first_len)
{
	unsigned before_cnt = duo.lent_cnt, refused_cnt = 0;

	duo.nodes[DUO_B].key[0]++;
	/* Lists of different lengths: askers of the same one share a buffer. */
	for (unsigned i = 0; i < cnt; i++)
		ask(&questions[i], MESH_GET_CHUNK_HASHES, big_id, 0, first_len + i);
	for (unsigned turn = 0; turn < 200 && duo.lent_cnt - before_cnt + refused_cnt < cnt;
	     turn++) {
		(void)duo_turn(&duo);
		refused_cnt = 0;
		for (unsigned i = 0; i < cnt; i++)
			refused_cnt +=
				questions[i].is_answered && questions[i].code == MESH_CODE_BUSY;
	}
	return duo.lent_cnt - before_cnt;
}

/* Keys of one address that take all they get and never read leave something for another. */
static void test_no_address_takes_all_buffers(void)
{
	static const unsigned takes[] = {4, 2, 0, 0};
	static struct question many[5][8];

	CHECK(duo_begin());
	duo_node_close(&duo, DUO_A);
	duo.nodes[DUO_A].config.chunk_buffer_cnt = 8;
	duo_node_open(&duo, DUO_A);
	duo.nodes[DUO_B].addr =
		(struct addr){.ip = {192, 0, 2, 1}, .port = 7000, .family = ADDR_IPV4};
	duo.on_answer = slow_unless_refused;
	for (unsigned i = 0; i < sizeof(takes) / sizeof(takes[0]); i++)
		CHECK_EQ(peer_takes(many[i], 8, 1 + 8 * i), takes[i]);
	duo.nodes[DUO_B].addr.ip[0] ^= 1;
	CHECK_EQ(peer_takes(many[4], 8, 100), 1);
	duo_fini(&duo);
}

/* More than there are buffers for manifests, and none of them reads. */
static void test_askers_of_one_manifest_share_a_buffer(void)
{
	static struct question many[20];

	CHECK(duo_begin());
	duo.on_answer = slow_unless_refused;
	for (unsigned i = 0; i < 20; i++) {
		duo.nodes[DUO_B].key[0]++;
		ask(&many[i], MESH_GET_MANIFEST, shared.manifest_id, 0, 0);
	}
	for (unsigned turn = 0; turn < 300 && duo.lent_cnt < 20; turn++)
		(void)duo_turn(&duo);
	CHECK_EQ(duo.lent_cnt, 20);
	for (unsigned i = 0; i < 20; i++)
		CHECK(answered(&many[i]) && many[i].err == 0);
	CHECK_EQ(duo.lent_cnt, 0);
	duo_fini(&duo);
}

/* The asker leaves while a job reads for it. */
static void test_abandoned_question_gives_its_buffer_back(void)
{
	struct blobs_stats stats;

	CHECK(duo_begin());
	for (unsigned turn = 1; turn < 8; turn++) {
		ask(&q, MESH_GET_CHUNK_HASHES, big_id, 0, 4);
		for (unsigned i = 0; i < turn && !q.is_answered; i++)
			(void)duo_turn(&duo);
		if (!q.is_answered)
			duo_ops()->cancel(q.request);
		for (unsigned i = 0; i < 20; i++)
			(void)duo_turn(&duo);
		blobs_stats(duo.nodes[DUO_A].content, &stats);
		CHECK_EQ(stats.chunk_buffer_used_cnt, 0);
	}
	CHECK_EQ(duo.lent_cnt, 0);
	duo_fini(&duo);
}

/* As each proof is answered: whether one waits for a room, and how many have one. */
static unsigned proof_wait_cnt, proof_room_peak;

static void note_rooms(struct duo *d, struct duo_answer *answer)
{
	const struct blobs *content = d->nodes[DUO_A].content;
	struct blobs_stats stats;

	(void)answer;
	blobs_stats(content, &stats);
	CHECK_EQ(stats.pools[BLOBS_POOL_PROOFS].cap_cnt, PROOF_ROOMS);
	if (stats.pools[BLOBS_POOL_PROOFS].held_cnt > proof_room_peak)
		proof_room_peak = stats.pools[BLOBS_POOL_PROOFS].held_cnt;
	proof_wait_cnt += !list_is_empty(&content->serve->proofs.waiting);
}

/* As many proofs as there are rooms are in work together; one more waits, and is made. */
static void test_proof_beyond_the_rooms_waits_for_one(void)
{
	static struct question many[PROOF_ROOMS + 1];

	for (unsigned more = 0; more < 2; more++) {
		CHECK(duo_begin());
		proof_wait_cnt = proof_room_peak = 0;
		duo.on_answer = note_rooms;
		for (unsigned i = 0; i < PROOF_ROOMS + more; i++)
			ask(&many[i], MESH_RANGE_PROOF, big_id, i, 1);
		for (unsigned i = 0; i < PROOF_ROOMS + more; i++) {
			CHECK(answered(&many[i]));
			CHECK_EQ(many[i].err, 0);
		}
		/* The first is answered when it has left its room. */
		CHECK_EQ(proof_room_peak, PROOF_ROOMS - 1);
		CHECK_EQ(proof_wait_cnt, more);
		note_rooms(&duo, NULL);
		CHECK_EQ(proof_wait_cnt, more);
		duo_fini(&duo);
	}
}

static void hold_proofs(struct duo *d, struct duo_answer *answer)
{
	(void)d;
	answer->delay_ns = answer->request_type == MESH_RANGE_PROOF ? 50 * NS_PER_S : 0;
}

/* Peers hold three of four buffers; the last is theirs too, but the get must go on. */
static void test_peers_that_hold_buffers_do_not_stop_a_get(void)
{
	static struct question many[3];
	struct blobs_get_ask get = {.link = &shared};
	const struct blobs_get *got;
	struct link other;
	uint64_t id;

	CHECK(duo_begin());
	CHECK(duo_share(&duo, duo_path(&duo, "private"), &other));
	duo_node_close(&duo, DUO_B);
	duo.nodes[DUO_B].config.chunk_buffer_cnt = 4;
	duo_node_open(&duo, DUO_B);
	get.target = duo_path(&duo, "out1");
	CHECK_EQ(blobs_get_start(duo.nodes[DUO_B].content, &get, duo.now_ns, &id), 0);
	CHECK_EQ(duo_run(&duo, id, 100000)->state, BLOBS_GET_FINISHED);
	duo.on_answer = hold_proofs;
	for (unsigned i = 0; i < 3; i++) {
		struct mesh_request *request;
		uint8_t payload[MESSAGE_REQUEST_CAP];
		struct message_request asked = {.cnt = 1};
		struct mesh_ask ask = {
			.type = MESH_RANGE_PROOF,
			.payload = payload,
			.reply_buf = many[i].buf,
			.reply_cap = sizeof(many[i].buf),
			.timeout_ns = 60 * NS_PER_S,
			.reply = on_reply,
			.arg = &many[i],
		};

		memcpy(asked.id, big_id, sizeof(asked.id));
		ask.payload_len = blobs_message_request_write(ask.type, &asked, payload);
		duo.nodes[DUO_A].key[0]++;
		CHECK_EQ(duo_ops()->ask(&duo.nodes[DUO_A].mesh, &ask, duo.now_ns, &request), 0);
		for (unsigned k = 0; k < 100 && duo.lent_cnt < i + 1; k++)
			(void)duo_turn(&duo);
	}
	CHECK_EQ(duo.lent_cnt, 3);
	get.target = duo_path(&duo, "out2");
	get.link = &other;
	CHECK_EQ(blobs_get_start(duo.nodes[DUO_B].content, &get, duo.now_ns, &id), 0);
	got = duo_run(&duo, id, 100000);
	CHECK_EQ(got->state, BLOBS_GET_FINISHED);
	CHECK(got->ended_ns - got->started_ns < 40 * NS_PER_S);
	duo_fini(&duo);
}

int main(void)
{
	RUN(test_chunk_is_answered_with_its_bytes);
	RUN(test_chunk_list_leads_to_the_content_id);
	RUN(test_proof_proves_a_range);
	RUN(test_proof_beyond_the_rooms_waits_for_one);
	RUN(test_what_is_not_there_is_refused);
	RUN(test_malformed_request_is_answered_as_such);
	RUN(test_known_but_unshared_file_is_not_served);
	RUN(test_file_is_found_behind_copies_that_are_not_shared);
	RUN(test_buffer_references_are_bounded);
	RUN(test_no_address_takes_all_buffers);
	RUN(test_askers_of_one_manifest_share_a_buffer);
	RUN(test_abandoned_question_gives_its_buffer_back);
	RUN(test_peers_that_hold_buffers_do_not_stop_a_get);
	return check_done();
}
