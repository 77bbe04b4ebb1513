/* SPDX-License-Identifier: Apache-2.0 */
/* Which contents are here, their other holders, and what of a running get is served. */
#include <sys/stat.h>

#include "base/monotonic.h"
#include "base/random.h"
#include "blobs/blobs_state.h"
#include "blobs/content_message.h"
#include "blobs/content_message_have.h"
#include "blobs/content_message_holders.h"
#include "blobs/serve/in_progress.h"
#include "blobs/serve/serve.h"
#include "crypto/blake3/blake3.h"
#include "support/check.h"
#include "support/content_duo.h"

#define BIG_LEN	  (9u * BLAKE3_CHUNK_LEN + 12345)
#define REPLY_CAP (BLAKE3_CHUNK_LEN + 8192)

static struct duo duo;
static struct link shared;
static uint8_t bytes[BIG_LEN];
static uint8_t big_id[32], small_id[32], private_id[32];

struct question {
	struct mesh_request *request;
	uint8_t buf[REPLY_CAP];
	bool is_answered;
	int err;
	enum mesh_code code;
	size_t len;
};
static struct question q;

static void on_reply(void *arg, const struct mesh_reply *reply, uint64_t now_ns)
{
	struct question *asked = arg;

	(void)now_ns;
	asked->is_answered = true;
	asked->err = reply->err;
	asked->code = reply->code;
	asked->len = reply->payload_len;
}

/* Node idx asks the other. */
static void ask(struct question *asked, unsigned idx, unsigned type, const struct writer *w,
		const uint8_t *payload)
{
	struct mesh_ask ask = {.type = type,
			       .payload = payload,
			       .payload_len = writer_len(w),
			       .reply_buf = asked->buf,
			       .reply_cap = sizeof(asked->buf),
			       .timeout_ns = 60 * NS_PER_S,
			       .reply = on_reply,
			       .arg = asked};

	asked->is_answered = false;
	(void)!duo_ops()->ask(&duo.nodes[idx].mesh, &ask, duo.now_ns, &asked->request);
}

static bool answered(struct question *asked)
{
	for (unsigned i = 0; i < 2000 && !asked->is_answered; i++)
		if (!duo_turn(&duo))
			duo.now_ns += NS_PER_MS;
	return asked->is_answered;
}

static bool have_ask(unsigned idx, const uint8_t *manifest_id, const uint8_t (*ids)[32],
		     uint32_t id_cnt)
{
	static uint8_t payload[HAVE_REQUEST_CAP];
	struct writer w = writer_of(payload, sizeof(payload));

	if (manifest_id)
		blobs_message_have_ask_manifest(&w, manifest_id, 32);
	else
		blobs_message_have_ask_ids(&w, ids, id_cnt);
	ask(&q, idx, MESH_HAVE_CONTENT, &w, payload);
	return answered(&q);
}

static bool holders_ask(unsigned idx, const uint8_t *id, bool is_serving)
{
	struct message_holders_request request = {.is_serving = is_serving, .addr_cnt = 2};
	static uint8_t payload[HOLDERS_REQUEST_CAP];
	struct writer w = writer_of(payload, sizeof(payload));

	memcpy(request.id, id, 32);
	request.addrs[0] = (struct addr){.ip = {80, 1, 2, 4}, .port = 7001, .family = ADDR_IPV4};
	request.addrs[1] = (struct addr){.ip = {10, 1, 2, 4}, .port = 7001, .family = ADDR_IPV4};
	blobs_message_holders_request_write(&w, &request);
	ask(&q, idx, MESH_HOLDERS, &w, payload);
	return answered(&q);
}

static void file_make(const char *name, size_t len, uint64_t seed, uint8_t id[32])
{
	struct random random;

	random_init_seeded(&random, seed);
	random_fill(&random, bytes, len);
	blake3_hash(bytes, len, id);
	scratch_write(duo_path(&duo, name), bytes, len);
}

static bool duo_begin(void)
{
	duo_init(&duo);
	mkdir(duo_path(&duo, "in"), 0755);
	mkdir(duo_path(&duo, "private"), 0755);
	file_make("private/x", 500, 5, private_id);
	file_make("in/small", 1000, 1, small_id);
	file_make("in/big", BIG_LEN, 2, big_id);
	return duo_share(&duo, duo_path(&duo, "in"), &shared);
}

static void test_sharer_has_all(void)
{
	struct message_have_answer answer;

	CHECK(duo_begin());
	CHECK(have_ask(DUO_B, shared.manifest_id, NULL, 0));
	CHECK_EQ(q.err, 0);
	CHECK_EQ(blobs_message_have_answer_parse(q.buf, q.len, &answer), 0);
	CHECK(answer.has_all);
	duo_fini(&duo);
}

/* By number of the question, also of what no peer may know about. */
static void test_contents_are_listed_one_by_one(void)
{
	static uint8_t ids[200][32];
	struct message_have_answer answer;

	CHECK(duo_begin());
	memcpy(ids[0], private_id, 32);
	memcpy(ids[3], small_id, 32);
	memcpy(ids[199], big_id, 32);
	CHECK(have_ask(DUO_B, NULL, (const uint8_t(*)[32])ids, 200));
	CHECK_EQ(q.err, 0);
	CHECK_EQ(blobs_message_have_answer_parse(q.buf, q.len, &answer), 0);
	CHECK_EQ(answer.whole_len, 25);
	for (uint32_t i = 0; i < 200; i++)
		CHECK_EQ(blobs_message_have_has_item(&answer, i), i == 3 || i == 199);
	duo_fini(&duo);
}

static void test_unknown_manifest_is_absent(void)
{
	CHECK(duo_begin());
	CHECK(have_ask(DUO_B, private_id, NULL, 0));
	CHECK_EQ(q.code, MESH_CODE_ABSENT);
	CHECK(holders_ask(DUO_B, private_id, true));
	CHECK_EQ(q.code, MESH_CODE_ABSENT);
	CHECK_EQ(blobs_member_cnt(duo.nodes[DUO_A].content, private_id), 0);
	duo_fini(&duo);
}

static void test_malformed_questions_are_answered_as_such(void)
{
	static const unsigned types[] = {MESH_HAVE_CONTENT, MESH_HOLDERS};
	static uint8_t payload[1] = {0xa0};
	struct writer w = writer_of(payload, 1);

	w.pos++;
	CHECK(duo_begin());
	for (unsigned i = 0; i < 2; i++) {
		ask(&q, DUO_B, types[i], &w, payload);
		CHECK(answered(&q));
		CHECK_EQ(q.code, MESH_CODE_MALFORMED);
	}
	duo_fini(&duo);
}

/* One question of a peer is looked up at a time. */
static void test_second_question_of_a_peer_is_refused(void)
{
	static uint8_t payload[HAVE_REQUEST_CAP], ids[1024][32];
	static struct question second;
	struct writer w = writer_of(payload, sizeof(payload));

	CHECK(duo_begin());
	blobs_message_have_ask_ids(&w, (const uint8_t(*)[32])ids, 1024);
	ask(&q, DUO_B, MESH_HAVE_CONTENT, &w, payload);
	ask(&second, DUO_B, MESH_HAVE_CONTENT, &w, payload);
	CHECK(answered(&second) && answered(&q));
	CHECK_EQ(second.code, MESH_CODE_BUSY);
	CHECK_EQ(q.err, 0);
	duo_fini(&duo);
}

/* --- the table of questions --- */

/* Of the eight places, as fair_may_hold divides what cannot be taken back. */
#define ADDRESS_PLACES 6u
#define NETWORK_PLACES 7u

static const struct fair_view *places_view(void)
{
	static struct blobs_stats stats;

	blobs_stats(duo.nodes[DUO_A].content, &stats);
	return &stats.pools[BLOBS_POOL_HAVES];
}

/* Another peer at that address asks for more contents than one turn looks up. 0: it has a place. */
static enum mesh_code question_refusal(struct question *asked, uint8_t key, const struct addr *addr)
{
	static uint8_t payload[HAVE_REQUEST_CAP], ids[HAVE_IDS_MAX][32];
	struct writer w = writer_of(payload, sizeof(payload));
	uint32_t held_cnt = places_view()->held_cnt;

	blobs_message_have_ask_ids(&w, (const uint8_t(*)[32])ids, HAVE_IDS_MAX);
	duo.nodes[DUO_B].key[0] = key;
	duo.nodes[DUO_B].addr = *addr;
	ask(asked, DUO_B, MESH_HAVE_CONTENT, &w, payload);
	for (unsigned i = 0; i < 9 && !asked->is_answered && places_view()->held_cnt == held_cnt;
	     i++)
		(void)duo_turn(&duo);
	return asked->is_answered ? asked->code : 0;
}

static void test_table_of_questions_is_shared_by_address_and_network(void)
{
	static struct question many[NETWORK_PLACES + 4];
	struct addr addr = {.ip = {80, 1, 2, 3}, .port = 7000, .family = ADDR_IPV4};
	struct question *next = many;
	uint8_t key = 'c';

	CHECK(duo_begin());
	for (unsigned i = 0; i < ADDRESS_PLACES; i++)
		CHECK_EQ(question_refusal(next++, key++, &addr), 0);
	CHECK_EQ(question_refusal(next++, key++, &addr), MESH_CODE_BUSY);
	addr.ip[3] = 4;
	CHECK_EQ(question_refusal(next++, key++, &addr), 0);
	addr.ip[3] = 5;
	CHECK_EQ(question_refusal(next++, key++, &addr), MESH_CODE_BUSY);
	addr.ip[0] = 90;
	CHECK_EQ(question_refusal(next++, key++, &addr), 0);
	/* The table is full: no network finds a place. */
	CHECK_EQ(places_view()->held_cnt, places_view()->cap_cnt);
	addr.ip[0] = 91;
	CHECK_EQ(question_refusal(next++, key++, &addr), MESH_CODE_BUSY);
	for (unsigned i = 0; i < sizeof(many) / sizeof(many[0]); i++)
		CHECK(answered(&many[i]));
	CHECK_EQ(places_view()->held_cnt, 0);
	duo_fini(&duo);
}

/* --- peers that acknowledge nothing --- */

#define HUGE_CHUNKS (1u << 18) /* of which one part is here: 32 KiB of bits */
#define SILENT_CNT  9u	       /* more than can be answered at once */

static void never_acknowledged(struct duo *d, struct duo_answer *answer)
{
	d->hook_cnt++;
	answer->delay_ns = 3600 * NS_PER_S;
}

/* Each is another peer, and has the answer lent to it as long as the test runs. */
static void silent_ask(const struct writer *w, const uint8_t *payload)
{
	static struct question silent[SILENT_CNT];

	duo.on_answer = never_acknowledged;
	for (unsigned i = 0; i < SILENT_CNT; i++) {
		duo.nodes[DUO_B].key[0] = (uint8_t)('c' + i);
		ask(&silent[i], DUO_B, MESH_HAVE_CONTENT, w, payload);
		for (unsigned turn = 0; turn < 100 && duo.hook_cnt <= i; turn++)
			(void)duo_turn(&duo);
	}
	duo.on_answer = NULL;
	duo.nodes[DUO_B].key[0] = 'b';
}

static void test_peers_that_acknowledge_nothing_leave_others_their_answer(void)
{
	static uint8_t payload[HAVE_REQUEST_CAP], hashes[1][32], huge_id[1][32] = {{7}};
	struct writer w = writer_of(payload, sizeof(payload));
	struct message_have_answer answer;
	struct in_progress *in_progress;
	struct in_progress_file *partial;

	CHECK(duo_begin());
	in_progress = blobs_serve_in_progress(duo.nodes[DUO_A].content->serve);
	partial = blobs_in_progress_add(in_progress, huge_id[0],
					(uint64_t)HUGE_CHUNKS * BLAKE3_CHUNK_LEN, 0, hashes[0]);
	CHECK(partial);
	blobs_in_progress_file_set_manifest(partial, shared.manifest_id);
	for (uint64_t i = 0; i < HUGE_CHUNKS / 2; i++)
		blobs_in_progress_file_note(in_progress, partial, i);
	blobs_message_have_ask_ids(&w, (const uint8_t(*)[32])huge_id, 1);
	silent_ask(&w, payload);
	CHECK(duo.lent_cnt > 0);
	CHECK(have_ask(DUO_B, NULL, (const uint8_t(*)[32])huge_id, 1));
	CHECK_EQ(q.err, 0);
	CHECK_EQ(blobs_message_have_answer_parse(q.buf, q.len, &answer), 0);
	/* In longer runs, but told. */
	CHECK(q.len <= 1024);
	CHECK_EQ(answer.in_progress_cnt, 1);
	CHECK(blobs_message_have_has_chunk(&answer, 0, HUGE_CHUNKS / 2 - 1));
	CHECK(!blobs_message_have_has_chunk(&answer, 0, HUGE_CHUNKS / 2));
	blobs_in_progress_drop(in_progress, partial);
	duo_fini(&duo);
}

/* The last chunks of the big file take their time. */
#define HELD_BACK     4u
#define HELD_BACK_LEN (3u * BLAKE3_CHUNK_LEN + 12345)

static void slow_end(struct duo *d, struct duo_answer *answer)
{
	if (answer->request_type == MESH_GET_CHUNK && ++d->hook_cnt > 11 - HELD_BACK)
		answer->delay_ns = 5 * NS_PER_S;
}

/* Runs a get of B until only what slow_end holds back is on its way. */
static uint64_t get_begin(void)
{
	const uint64_t all = BIG_LEN + 1000;
	const struct blobs_get *get;
	uint64_t id;

	duo.on_answer = slow_end;
	id = duo_get_start(&duo, &shared, "out");
	for (unsigned i = 0; i < 3000; i++) {
		(void)duo_turn(&duo);
		get = blobs_get_lookup(duo.nodes[DUO_B].content, id);
		if (get->byte_done_cnt + HELD_BACK_LEN == all)
			break;
	}
	duo.on_answer = NULL;
	return id;
}

/* What is verified of a file that is on its way is told and served; the rest is not. */
static void test_running_get_serves_what_it_has(void)
{
	static uint8_t told[REPLY_CAP]; /* what the answer borrows */
	struct message_have_answer answer;
	unsigned told_cnt = 0, served_cnt = 0;
	uint64_t id;

	CHECK(duo_begin());
	id = get_begin();
	CHECK(have_ask(DUO_A, shared.manifest_id, NULL, 0));
	CHECK_EQ(q.err, 0);
	memcpy(told, q.buf, q.len);
	CHECK_EQ(blobs_message_have_answer_parse(told, q.len, &answer), 0);
	CHECK(!answer.has_all);
	CHECK_EQ(answer.in_progress_cnt, 1);
	for (uint64_t chunk = 0; chunk < 10; chunk++) {
		uint8_t payload[MESSAGE_REQUEST_CAP];
		struct message_request request = {.first = chunk};
		struct message_answer got;
		struct writer w = writer_of(payload, sizeof(payload));
		bool is_told =
			blobs_message_have_has_chunk(&answer, answer.in_progress[0].item, chunk);

		memcpy(request.id, big_id, 32);
		w.pos += blobs_message_request_write(MESH_GET_CHUNK, &request, payload);
		ask(&q, DUO_A, MESH_GET_CHUNK, &w, payload);
		CHECK(answered(&q));
		CHECK_EQ(q.err == 0, is_told);
		told_cnt += is_told;
		if (q.err)
			continue;
		served_cnt++;
		CHECK_EQ(blobs_message_answer_parse(MESH_CHUNK_DATA, q.buf, q.len, &got), 0);
		CHECK_MEM(got.bytes, bytes + chunk * BLAKE3_CHUNK_LEN, got.len);
	}
	CHECK(told_cnt > 0 && told_cnt < 10);
	CHECK_EQ(served_cnt, told_cnt);
	CHECK_EQ(duo_run(&duo, id, 100000)->state, BLOBS_GET_FINISHED);
	CHECK(have_ask(DUO_A, shared.manifest_id, NULL, 0));
	CHECK_EQ(blobs_message_have_answer_parse(q.buf, q.len, &answer), 0);
	CHECK(answer.has_all);
	duo_fini(&duo);
}

/* The list proves itself, so a holder of part of a file can pass it on. */
static void test_running_get_serves_the_chunk_list(void)
{
	uint8_t payload[MESSAGE_REQUEST_CAP], root[32];
	struct message_request request = {.cnt = MESSAGE_HASHES_MAX};
	struct message_answer got;
	struct writer w = writer_of(payload, sizeof(payload));

	CHECK(duo_begin());
	CHECK(get_begin());
	memcpy(request.id, big_id, 32);
	w.pos += blobs_message_request_write(MESH_GET_CHUNK_HASHES, &request, payload);
	ask(&q, DUO_A, MESH_GET_CHUNK_HASHES, &w, payload);
	CHECK(answered(&q));
	CHECK_EQ(blobs_message_answer_parse(MESH_CHUNK_HASH_LIST, q.buf, q.len, &got), 0);
	CHECK_EQ(got.total, 10);
	blake3_cvs_combine(got.bytes, 10, true, root);
	CHECK_MEM(root, big_id, 32);
	duo_fini(&duo);
}

/* B says that it serves; the next asker, of another key, is told B. */
static void test_a_serving_peer_is_announced_to_the_next(void)
{
	static struct message_holder told[HOLDERS_MAX];

	CHECK(duo_begin());
	duo.nodes[DUO_B].addr =
		(struct addr){.ip = {80, 1, 2, 3}, .port = 7000, .family = ADDR_IPV4};
	CHECK(holders_ask(DUO_B, shared.manifest_id, true));
	CHECK_EQ(blobs_message_holders_parse(q.buf, q.len, told), 0);
	CHECK_EQ(blobs_member_cnt(duo.nodes[DUO_A].content, shared.manifest_id), 1);
	duo.nodes[DUO_B].key[0]++;
	CHECK(holders_ask(DUO_B, shared.manifest_id, false));
	CHECK_EQ(blobs_message_holders_parse(q.buf, q.len, told), 1);
	CHECK_EQ(told[0].key[0], 'b');
	/* Where it asked from; what else it names may be a victim's address. */
	CHECK_EQ(told[0].addr_cnt, 1);
	CHECK_EQ(told[0].addrs[0].port, 7000);
	CHECK_EQ(blobs_member_cnt(duo.nodes[DUO_A].content, shared.manifest_id), 1);
	CHECK(holders_ask(DUO_B, small_id, false));
	CHECK_EQ(blobs_message_holders_parse(q.buf, q.len, told), 0);
	duo_fini(&duo);
}

int main(void)
{
	RUN(test_sharer_has_all);
	RUN(test_contents_are_listed_one_by_one);
	RUN(test_unknown_manifest_is_absent);
	RUN(test_malformed_questions_are_answered_as_such);
	RUN(test_second_question_of_a_peer_is_refused);
	RUN(test_table_of_questions_is_shared_by_address_and_network);
	RUN(test_peers_that_acknowledge_nothing_leave_others_their_answer);
	RUN(test_running_get_serves_what_it_has);
	RUN(test_running_get_serves_the_chunk_list);
	RUN(test_a_serving_peer_is_announced_to_the_next);
	return check_done();
}
