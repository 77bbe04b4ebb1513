/* SPDX-License-Identifier: Apache-2.0 */
/* Chunks that several ask for, limits of what is sent, and what is counted of it. */
#include <errno.h>

#include "serve_rig.h"

/* Nodes of their own ask for one chunk; each answer has its bytes, the file was read once. */
static void test_one_read_serves_all_requests_for_the_same_chunk(void)
{
	static struct question many[3];
	struct message_answer answer;
	struct blobs_stats stats;

	CHECK(duo_begin());
	for (unsigned i = 0; i < 3; i++)
		ask(&many[i], MESH_GET_CHUNK, big_id, 2, 0);
	for (unsigned i = 0; i < 3; i++) {
		CHECK(answered(&many[i]));
		CHECK_EQ(blobs_message_answer_parse(MESH_CHUNK_DATA, many[i].buf, many[i].len,
						    &answer),
			 0);
		CHECK_MEM(answer.bytes, bytes + 2 * BLAKE3_CHUNK_LEN, BLAKE3_CHUNK_LEN);
	}
	blobs_stats(duo.nodes[DUO_A].content, &stats);
	CHECK_EQ(stats.served_chunk_cnt, 3);
	CHECK_EQ(stats.shared_read_cnt, 2);
	CHECK_EQ(stats.read_byte_cnt, BLAKE3_CHUNK_LEN);
	CHECK_EQ(stats.chunk_buffer_used_cnt, 0);
	CHECK_EQ(duo.lent_cnt, 0);
	duo_fini(&duo);
}

/* A waiter for a read that failed is not left waiting. */
static void test_failed_read_is_reported_to_all_waiters(void)
{
	static struct question many[3];
	struct blobs_stats stats;

	CHECK(duo_begin());
	for (unsigned i = 0; i < 3; i++)
		ask(&many[i], MESH_GET_CHUNK, big_id, 2, 0);
	file_make("in/big", BIG_LEN, 77, private_id);
	for (unsigned i = 0; i < 3; i++) {
		CHECK(answered(&many[i]));
		CHECK_EQ(many[i].code, MESH_CODE_CHANGED);
	}
	blobs_stats(duo.nodes[DUO_A].content, &stats);
	CHECK_EQ(stats.chunk_buffer_used_cnt, 0);
	CHECK_EQ(stats.changed_cnt, 1);
	duo_fini(&duo);
}

/* A job in front of all others, in which an asker leaves. */
struct leaving {
	struct job job; /* first */
	struct mesh_request *request;
};

static void leaving_run(struct job *job)
{
	duo_ops()->cancel(((struct leaving *)job)->request);
}

static void leaving_done(struct job *job)
{
	(void)job;
}

/* The asker leaves while a job reads for it, and for another that stays. */
static void test_reader_that_leaves_reads_for_the_waiters(void)
{
	static struct question many[2];
	struct leaving leaving = {.job = {.run = leaving_run, .done = leaving_done}};
	struct blobs_stats stats;

	CHECK(duo_begin());
	ask(&many[0], MESH_GET_CHUNK, big_id, 2, 0);
	ask(&many[1], MESH_GET_CHUNK, big_id, 2, 0);
	leaving.request = many[0].request;
	CHECK_EQ(jobs_submit(duo.nodes[DUO_A].jobs, &leaving.job), 0);
	duo.now_ns += NS_PER_MS; /* both are handed over in the next turn */
	CHECK(answered(&many[1]));
	CHECK_EQ(many[1].err, 0);
	CHECK(!many[0].is_answered);
	blobs_stats(duo.nodes[DUO_A].content, &stats);
	CHECK_EQ(stats.read_byte_cnt, BLAKE3_CHUNK_LEN);
	CHECK_EQ(stats.served_chunk_cnt, 1);
	CHECK_EQ(stats.chunk_buffer_used_cnt, 0);
	CHECK_EQ(duo.lent_cnt, 0);
	duo_fini(&duo);
}

static bool is_kept;

static void on_kept(void *arg, int err)
{
	(void)arg;
	is_kept = err == 0;
}

/* Two chunks at a time, until cnt were answered. */
static void chunks_ask(unsigned cnt)
{
	static struct question many[2];

	for (unsigned i = 0; i < cnt; i += 2) {
		ask(&many[0], MESH_GET_CHUNK, big_id, 0, 0);
		ask(&many[1], MESH_GET_CHUNK, big_id, 1, 0);
		CHECK(answered(&many[0]) && answered(&many[1]));
		CHECK(many[0].err == 0 && many[1].err == 0);
	}
}

/* At four chunks a second forty take ten seconds, through a restart as well. */
static void test_upload_limit_holds_and_is_kept(void)
{
	struct blobs_limit_view view;
	struct blobs_traffic traffic;
	uint64_t began_ns;

	CHECK(duo_begin());
	for (unsigned i = 0; i < 2; i++) {
		if (i == 0) {
			CHECK_EQ(blobs_limit_set(duo.nodes[DUO_A].content, BLOBS_LIMIT_UPLOAD,
						 4 * BLAKE3_CHUNK_LEN, on_kept, NULL),
				 0);
			for (unsigned k = 0; k < 50; k++)
				(void)duo_turn(&duo);
			CHECK(is_kept);
		}
		began_ns = duo.now_ns;
		chunks_ask(40);
		CHECK(duo.now_ns - began_ns >= 95 * NS_PER_S / 10);
		CHECK(duo.now_ns - began_ns <= 105 * NS_PER_S / 10);
		blobs_traffic(duo.nodes[DUO_A].content, duo.now_ns, &traffic);
		CHECK(traffic.upload_per_s > 2 * BLAKE3_CHUNK_LEN);
		CHECK_EQ(traffic.upload_slot_cnt, 1);
		blobs_limit_show(duo.nodes[DUO_A].content, BLOBS_LIMIT_UPLOAD, &view);
		CHECK(view.is_kept && view.configured == 0);
		CHECK_EQ(view.value, 4 * BLAKE3_CHUNK_LEN);
		duo_node_close(&duo, DUO_A);
		duo_node_open(&duo, DUO_A);
	}
	CHECK_EQ(blobs_limit_reset(duo.nodes[DUO_A].content, BLOBS_LIMIT_UPLOAD, on_kept, NULL), 0);
	began_ns = duo.now_ns;
	chunks_ask(40);
	CHECK(duo.now_ns - began_ns < NS_PER_S);
	duo_node_close(&duo, DUO_A);
	duo_node_open(&duo, DUO_A);
	blobs_limit_show(duo.nodes[DUO_A].content, BLOBS_LIMIT_UPLOAD, &view);
	CHECK(!view.is_kept && view.value == 0);
	duo_fini(&duo);
}

static int kept_err;

static void on_kept_err(void *arg, int err)
{
	++*(unsigned *)arg;
	kept_err = err;
}

static void test_a_limit_that_cannot_be_kept_is_not_in_force(void)
{
	struct blobs_limit_view view;
	struct blobs *content;
	unsigned told_cnt = 0;

	CHECK(duo_begin());
	content = duo.nodes[DUO_A].content;
	CHECK_EQ(blobs_limit_set(content, BLOBS_LIMIT_UPLOAD, BLAKE3_CHUNK_LEN, on_kept_err,
				 &told_cnt),
		 0);
	blobs_limit_show(content, BLOBS_LIMIT_UPLOAD, &view);
	CHECK_EQ(view.value, 0);
	for (unsigned i = 0; i < 50; i++)
		(void)duo_turn(&duo);
	CHECK(told_cnt == 1 && kept_err == 0);
	blobs_limit_show(content, BLOBS_LIMIT_UPLOAD, &view);
	CHECK_EQ(view.value, BLAKE3_CHUNK_LEN);
	/* Two at once: each is told, and neither is in force. */
	store_freeze(duo.nodes[DUO_A].store);
	CHECK_EQ(blobs_limit_set(content, BLOBS_LIMIT_UPLOAD, 9 * BLAKE3_CHUNK_LEN, on_kept_err,
				 &told_cnt),
		 0);
	CHECK_EQ(blobs_limit_reset(content, BLOBS_LIMIT_UPLOAD, on_kept_err, &told_cnt), 0);
	for (unsigned i = 0; i < 50; i++)
		(void)duo_turn(&duo);
	CHECK_EQ(told_cnt, 3);
	CHECK_EQ(kept_err, -EIO);
	blobs_limit_show(content, BLOBS_LIMIT_UPLOAD, &view);
	CHECK(view.is_kept);
	CHECK_EQ(view.value, BLAKE3_CHUNK_LEN);
	duo_fini(&duo);
}

static void test_limit_beyond_the_largest_is_refused(void)
{
	CHECK(duo_begin());
	for (unsigned i = 0; i < BLOBS_LIMIT_CNT; i++) {
		uint64_t max = blobs_limit_max((enum blobs_limit)i);

		CHECK_EQ(blobs_limit_set(duo.nodes[DUO_A].content, (enum blobs_limit)i, max + 1,
					 NULL, NULL),
			 WEFT_ETOOLARGE);
		CHECK_EQ(blobs_limit_set(duo.nodes[DUO_A].content, (enum blobs_limit)i, max, NULL,
					 NULL),
			 0);
	}
	duo_fini(&duo);
}

/* A network of price 0 is served beside the limit. */
static void test_free_zone_is_not_limited(void)
{
	uint64_t began_ns;

	CHECK(duo_begin());
	duo_node_close(&duo, DUO_A);
	duo.nodes[DUO_A].config.limits[BLOBS_LIMIT_UPLOAD] = 4 * BLAKE3_CHUNK_LEN;
	snprintf(duo.nodes[DUO_A].config.zones, ZONES_TEXT_CAP, "10.0.0.0/8=0");
	duo_node_open(&duo, DUO_A);
	duo.nodes[DUO_B].addr =
		(struct addr){.ip = {10, 1, 2, 3}, .port = 7000, .family = ADDR_IPV4};
	began_ns = duo.now_ns;
	chunks_ask(40);
	CHECK(duo.now_ns - began_ns < NS_PER_S);
	duo_fini(&duo);
}

/* The asker leaves while a limit holds what it asked for. */
static void test_a_peer_that_leaves_the_queue_leaves_nothing(void)
{
	static struct question many[3];
	struct blobs_traffic traffic;

	CHECK(duo_begin());
	CHECK_EQ(blobs_limit_set(duo.nodes[DUO_A].content, BLOBS_LIMIT_UPLOAD, BLAKE3_CHUNK_LEN,
				 NULL, NULL),
		 0);
	for (unsigned i = 0; i < 3; i++)
		ask(&many[i], MESH_GET_CHUNK, big_id, i, 0);
	CHECK(answered(&many[0]));
	blobs_traffic(duo.nodes[DUO_A].content, duo.now_ns, &traffic);
	CHECK_EQ(traffic.upload_waiting_cnt, 2);
	duo_ops()->cancel(many[1].request);
	blobs_traffic(duo.nodes[DUO_A].content, duo.now_ns, &traffic);
	CHECK_EQ(traffic.upload_waiting_cnt, 1);
	CHECK(answered(&many[2]));
	CHECK_EQ(many[2].err, 0);
	ask(&many[0], MESH_GET_CHUNK, big_id, 0, 0);
	ask(&many[1], MESH_GET_CHUNK, big_id, 1, 0);
	for (unsigned i = 0; i < 30; i++)
		(void)duo_turn(&duo);
	/* Shut down with one that waits. */
	duo_fini(&duo);
}

static void test_what_was_sent_is_counted_by_peer_and_content(void)
{
	struct blobs_usage_iter peers, contents;
	struct blobs_usage usage, none;
	char path[BLOBS_PATH_CAP];

	CHECK(duo_begin());
	chunks_ask(4);
	peers = (struct blobs_usage_iter){.content = duo.nodes[DUO_A].content,
					  .kind = BLOBS_USAGE_PEER,
					  .now_ns = duo.now_ns};
	contents = peers;
	contents.kind = BLOBS_USAGE_CONTENT;
	CHECK(blobs_usages_next(&peers, &usage));
	CHECK_MEM(usage.key, duo.nodes[DUO_B].key, 32);
	CHECK_EQ(usage.byte_cnt, 4 * BLAKE3_CHUNK_LEN);
	CHECK_EQ(usage.chunk_cnt, 4);
	CHECK(!blobs_usages_next(&peers, &none));
	CHECK(blobs_usages_next(&contents, &usage));
	CHECK_MEM(usage.key, big_id, 32);
	CHECK(!blobs_usages_next(&contents, &none));
	CHECK(blobs_path_of(duo.nodes[DUO_A].content, usage.key, path));
	CHECK_STR(path, duo_path(&duo, "in/big"));
	CHECK(!blobs_path_of(duo.nodes[DUO_A].content, private_id, path));
	duo_fini(&duo);
}

int main(void)
{
	RUN(test_one_read_serves_all_requests_for_the_same_chunk);
	RUN(test_failed_read_is_reported_to_all_waiters);
	RUN(test_reader_that_leaves_reads_for_the_waiters);
	RUN(test_upload_limit_holds_and_is_kept);
	RUN(test_a_limit_that_cannot_be_kept_is_not_in_force);
	RUN(test_limit_beyond_the_largest_is_refused);
	RUN(test_free_zone_is_not_limited);
	RUN(test_a_peer_that_leaves_the_queue_leaves_nothing);
	RUN(test_what_was_sent_is_counted_by_peer_and_content);
	return check_done();
}
