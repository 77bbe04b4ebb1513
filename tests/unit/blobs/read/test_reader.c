/* SPDX-License-Identifier: Apache-2.0 */
/* Reading parts of a file that is here, elsewhere, or not what it was. */
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/monotonic.h"
#include "base/random.h"
#include "blobs/blobs_state.h"
#include "blobs/read/read.h"
#include "crypto/blake3/blake3.h"
#include "support/check.h"
#include "support/content_duo.h"

#define FILE_LEN (9u * BLAKE3_CHUNK_LEN + 12345)
#define TURN_MAX 200000u

static struct duo duo;
static struct link shared;
static uint8_t bytes[FILE_LEN];
static uint8_t content_id[32];

/* What a reader told. */
struct heard {
	struct reader *reader;
	uint8_t *data;
	size_t len;
	unsigned piece_cnt, done_cnt;
	unsigned refuse_cnt; /* pieces not to be taken at first */
	int err;
	char detail[256];
	uint64_t size; /* that it opened with */
	uint64_t want_off, want_len;
	bool is_unwanted;
};

static bool heard_piece(void *arg, const uint8_t *data, size_t len, uint64_t now_ns)
{
	struct heard *heard = arg;

	(void)now_ns;
	if (heard->refuse_cnt > 0) {
		heard->refuse_cnt--;
		return false;
	}
	memcpy(heard->data + heard->len, data, len);
	heard->len += len;
	heard->piece_cnt++;
	return true;
}

static void heard_done(void *arg, int err, const char *detail, uint64_t now_ns)
{
	struct heard *heard = arg;

	(void)now_ns;
	heard->done_cnt++;
	heard->err = err;
	heard->reader = NULL;
	snprintf(heard->detail, sizeof(heard->detail), "%s", detail);
}

static bool heard_opened(void *arg, uint64_t size, uint64_t *out_off, uint64_t *out_len,
			 uint64_t now_ns)
{
	struct heard *heard = arg;

	(void)now_ns;
	heard->size = size;
	*out_off = heard->want_off;
	*out_len = heard->want_len;
	return !heard->is_unwanted;
}

static void heard_init(struct heard *heard)
{
	memset(heard, 0, sizeof(*heard));
	heard->data = malloc(FILE_LEN + 1);
}

/* Two nodes; A shares one file. */
static bool world_begin(void)
{
	struct random random;

	duo_init(&duo);
	mkdir(duo_path(&duo, "in"), 0755);
	random_init_seeded(&random, 7);
	random_fill(&random, bytes, sizeof(bytes));
	blake3_hash(bytes, sizeof(bytes), content_id);
	scratch_write(duo_path(&duo, "in/film.bin"), bytes, sizeof(bytes));
	return duo_share(&duo, duo_path(&duo, "in"), &shared);
}

static struct reader_ask ask_of(struct heard *heard, uint64_t off, uint64_t len)
{
	struct reader_ask ask = {
		.size = FILE_LEN,
		.off = off,
		.len = len,
		.piece = heard_piece,
		.done = heard_done,
		.arg = heard,
	};

	memcpy(ask.content_id, content_id, sizeof(ask.content_id));
	return ask;
}

static struct reader_origin origin_at_a(const struct mesh_peer *hint)
{
	struct reader_origin origin = {.has_manifest = true, .hints = hint, .hint_cnt = 1};

	memcpy(origin.manifest_id, shared.manifest_id, 32);
	memcpy(origin.part_id, shared.manifest_id, 32);
	return origin;
}

static int read_start(unsigned node, struct heard *heard, uint64_t off, uint64_t len)
{
	struct reader_ask ask = ask_of(heard, off, len);
	struct mesh_peer hint = {.addrs = shared.places.addrs, .addr_cnt = shared.places.addr_cnt};
	struct reader_origin origin = origin_at_a(&hint);

	memcpy(hint.key, shared.node_key, sizeof(hint.key));
	ask.origin = node == DUO_B ? &origin : NULL;
	return blobs_reader_start(duo.nodes[node].content, &ask, duo.now_ns, &heard->reader);
}

static void turns(const struct heard *heard)
{
	for (unsigned i = 0; i < TURN_MAX && heard->done_cnt == 0 && duo_turn(&duo); i++)
		;
}

static void check_read(unsigned node, uint64_t off, uint64_t len)
{
	struct heard heard;

	heard_init(&heard);
	CHECK_EQ(read_start(node, &heard, off, len), 0);
	CHECK_EQ(heard.piece_cnt, 0);
	turns(&heard);
	CHECK_EQ(heard.done_cnt, 1);
	CHECK_EQ(heard.err, 0);
	CHECK_EQ(heard.len, len);
	CHECK_MEM(heard.data, bytes + off, len);
	free(heard.data);
}

static const uint64_t ranges[][2] = {
	{0, FILE_LEN},
	{0, 1},
	{FILE_LEN - 1, 1},
	{BLAKE3_CHUNK_LEN - 1, 2},
	{3 * BLAKE3_CHUNK_LEN, BLAKE3_CHUNK_LEN},
	{16383, 16386},
	{8 * BLAKE3_CHUNK_LEN + 77, BLAKE3_CHUNK_LEN + 12345 - 77},
	{5, 0},
	{FILE_LEN, 0},
};
#define RANGE_CNT (sizeof(ranges) / sizeof(ranges[0]))

static void test_parts_of_a_file_that_is_here(void)
{
	CHECK(world_begin());
	for (size_t i = 0; i < RANGE_CNT && !check_failed; i++)
		check_read(DUO_A, ranges[i][0], ranges[i][1]);
	CHECK_EQ(duo.asked_cnt, 0);
	duo_fini(&duo);
}

static void test_parts_of_a_file_that_is_elsewhere(void)
{
	struct blobs_stats stats;

	CHECK(world_begin());
	for (size_t i = 0; i < RANGE_CNT && !check_failed; i++)
		check_read(DUO_B, ranges[i][0], ranges[i][1]);
	/* The first range is the file; chunks of the others come again whole. */
	blobs_stats(duo.nodes[DUO_B].content, &stats);
	CHECK(stats.streamed_byte_cnt >= FILE_LEN);
	CHECK_EQ(stats.received_byte_cnt, stats.streamed_byte_cnt);
	blobs_stats(duo.nodes[DUO_A].content, &stats);
	CHECK_EQ(stats.streamed_byte_cnt, 0);
	duo_fini(&duo);
}

static void test_a_seek_asks_for_its_chunks_alone(void)
{
	CHECK(world_begin());
	check_read(DUO_B, 5 * BLAKE3_CHUNK_LEN + 100, 1000);
	/* Two proofs of the one chunk, and at most a few messages about holders. */
	CHECK(duo.asked_cnt <= 6);
	duo_fini(&duo);
}

static unsigned lie_cnt;

static void proofs_lie(struct duo *d, struct duo_answer *answer)
{
	if (answer->type == MESH_RANGE_PROOF && d->hook_cnt < lie_cnt) {
		d->hook_cnt++;
		answer->payload[answer->len - 1] ^= 1;
	}
}

static void test_wrong_bytes_are_never_handed_out(void)
{
	struct heard heard;

	CHECK(world_begin());
	lie_cnt = UINT32_MAX;
	duo.on_answer = proofs_lie;
	heard_init(&heard);
	CHECK_EQ(read_start(DUO_B, &heard, 0, FILE_LEN), 0);
	turns(&heard);
	CHECK_EQ(heard.done_cnt, 1);
	CHECK(heard.err < 0);
	CHECK(heard.detail[0]);
	CHECK_EQ(heard.len, 0);
	free(heard.data);
	duo_fini(&duo);
}

static uint64_t died_ns;

/* The source dies in the middle: whatever is asked of it stalls, four seconds each time. */
static void source_dies(struct duo *d, struct duo_answer *answer)
{
	if (answer->type != MESH_RANGE_PROOF && !died_ns)
		return;
	if (d->hook_cnt++ < 3)
		return;
	if (!died_ns)
		died_ns = d->now_ns;
	answer->err = WEFT_ETIMEOUT;
	answer->delay_ns = 4 * NS_PER_S;
}

static void test_a_stream_from_one_source_ends_within_ten_seconds_of_its_death(void)
{
	struct heard heard;

	CHECK(world_begin());
	heard_init(&heard);
	died_ns = 0;
	duo.on_answer = source_dies;
	CHECK_EQ(read_start(DUO_B, &heard, 0, FILE_LEN), 0);
	turns(&heard);
	CHECK_EQ(heard.done_cnt, 1);
	CHECK_EQ(heard.err, WEFT_ETIMEOUT);
	CHECK(died_ns && duo.now_ns - died_ns < 10 * NS_PER_S);
	CHECK_MEM(heard.data, bytes, heard.len);
	free(heard.data);
	duo_fini(&duo);
}

static void answers_crawl(struct duo *d, struct duo_answer *answer)
{
	(void)d;
	if (answer->type == MESH_RANGE_PROOF)
		answer->delay_ns = 9 * NS_PER_S;
}

static void test_a_slow_source_is_no_dead_one(void)
{
	CHECK(world_begin());
	duo.on_answer = answers_crawl;
	check_read(DUO_B, 0, 3 * BLAKE3_CHUNK_LEN);
	duo_fini(&duo);
}

static void test_what_is_not_taken_comes_again(void)
{
	struct heard heard;

	CHECK(world_begin());
	heard_init(&heard);
	heard.refuse_cnt = 1;
	CHECK_EQ(read_start(DUO_B, &heard, 0, FILE_LEN), 0);
	for (unsigned i = 0; i < 2000 && duo_turn(&duo); i++)
		;
	CHECK_EQ(heard.len, 0);
	CHECK_EQ(heard.done_cnt, 0);
	CHECK_EQ(heard.refuse_cnt, 0);
	blobs_reader_resume(heard.reader, duo.now_ns);
	turns(&heard);
	CHECK_EQ(heard.err, 0);
	CHECK_EQ(heard.len, FILE_LEN);
	CHECK_MEM(heard.data, bytes, FILE_LEN);
	free(heard.data);
	duo_fini(&duo);
}

static void test_a_cancelled_reader_calls_no_callback(void)
{
	struct heard heard;

	CHECK(world_begin());
	for (unsigned turn_cnt = 0; turn_cnt < 40; turn_cnt++) {
		heard_init(&heard);
		CHECK_EQ(read_start(DUO_B, &heard, 0, FILE_LEN), 0);
		for (unsigned i = 0; i < turn_cnt && heard.done_cnt == 0; i++)
			duo_turn(&duo);
		if (heard.done_cnt == 0) {
			size_t len = heard.len;

			blobs_reader_cancel(heard.reader);
			for (unsigned i = 0; i < 50; i++)
				duo_turn(&duo);
			CHECK_EQ(heard.len, len);
			CHECK_EQ(heard.done_cnt, 0);
		}
		CHECK_EQ(blobs_readers_cnt(duo.nodes[DUO_B].content->readers), 0);
		free(heard.data);
	}
	duo_fini(&duo);
}

static void test_a_file_that_changed_here_is_not_believed(void)
{
	struct heard heard;

	CHECK(world_begin());
	bytes[4 * BLAKE3_CHUNK_LEN] ^= 1;
	scratch_write(duo_path(&duo, "in/film.bin"), bytes, sizeof(bytes));
	heard_init(&heard);
	CHECK_EQ(read_start(DUO_A, &heard, 0, FILE_LEN), 0);
	turns(&heard);
	CHECK_EQ(heard.done_cnt, 1);
	CHECK(heard.err == WEFT_ECHANGED || heard.err == WEFT_EABSENT);
	CHECK(heard.detail[0]);
	free(heard.data);
	duo_fini(&duo);
}

static void test_a_file_that_is_no_longer_shared_is_not_read(void)
{
	struct heard heard;

	CHECK(world_begin());
	CHECK_EQ(blobs_share_remove(duo.nodes[DUO_A].content, shared.manifest_id, NULL, NULL), 0);
	for (unsigned i = 0; i < 20; i++)
		duo_turn(&duo);
	heard_init(&heard);
	CHECK_EQ(read_start(DUO_A, &heard, 0, FILE_LEN), 0);
	turns(&heard);
	CHECK_EQ(heard.err, WEFT_EABSENT);
	CHECK_EQ(heard.len, 0);
	free(heard.data);
	duo_fini(&duo);
}

/* Reads at node, with nothing but the content id, and maybe the nodes to ask. */
static int open_start(unsigned node, struct heard *heard, bool has_hint)
{
	struct reader_ask ask = ask_of(heard, 0, 0);
	struct mesh_peer hint = {.addrs = shared.places.addrs, .addr_cnt = shared.places.addr_cnt};
	struct reader_origin origin = {.hints = &hint, .hint_cnt = 1};

	memcpy(hint.key, shared.node_key, sizeof(hint.key));
	ask.size = READER_SIZE_UNTOLD;
	ask.opened = heard_opened;
	ask.origin = has_hint ? &origin : NULL;
	return blobs_reader_start(duo.nodes[node].content, &ask, duo.now_ns, &heard->reader);
}

static void check_open(unsigned node, uint64_t off, uint64_t len)
{
	struct heard heard;

	heard_init(&heard);
	heard.want_off = off;
	heard.want_len = len;
	CHECK_EQ(open_start(node, &heard, node == DUO_B), 0);
	turns(&heard);
	CHECK_EQ(heard.err, 0);
	CHECK_EQ(heard.size, FILE_LEN);
	CHECK_EQ(heard.len, len);
	CHECK_MEM(heard.data, bytes + off, len);
	free(heard.data);
}

static void test_a_file_of_which_only_the_hash_is_known(void)
{
	struct heard heard;

	CHECK(world_begin());
	for (size_t i = 0; i < RANGE_CNT && !check_failed; i++) {
		check_open(DUO_A, ranges[i][0], ranges[i][1]);
		check_open(DUO_B, ranges[i][0], ranges[i][1]);
	}
	heard_init(&heard);
	CHECK_EQ(open_start(DUO_B, &heard, false), 0);
	turns(&heard);
	CHECK_EQ(heard.err, WEFT_EABSENT);
	CHECK_EQ(heard.size, 0);
	free(heard.data);
	duo_fini(&duo);
}

static void test_an_empty_file_needs_no_source(void)
{
	struct heard heard;

	CHECK(world_begin());
	blake3_hash("", 0, content_id);
	heard_init(&heard);
	heard.size = 1;
	CHECK_EQ(open_start(DUO_B, &heard, false), 0);
	turns(&heard);
	CHECK_EQ(heard.err, 0);
	CHECK_EQ(heard.size, 0);
	CHECK_EQ(heard.done_cnt, 1);
	free(heard.data);
	duo_fini(&duo);
}

static void test_what_is_not_wanted_ends_untold(void)
{
	struct heard heard;

	CHECK(world_begin());
	heard_init(&heard);
	heard.is_unwanted = true;
	CHECK_EQ(open_start(DUO_A, &heard, false), 0);
	for (unsigned i = 0; i < 100; i++)
		duo_turn(&duo);
	CHECK_EQ(heard.size, FILE_LEN);
	CHECK_EQ(heard.done_cnt, 0);
	CHECK_EQ(blobs_readers_cnt(duo.nodes[DUO_A].content->readers), 0);
	free(heard.data);
	duo_fini(&duo);
}

static void test_a_range_beyond_the_end_is_refused(void)
{
	struct heard heard;

	CHECK(world_begin());
	heard_init(&heard);
	heard.want_off = FILE_LEN;
	heard.want_len = 1;
	CHECK_EQ(open_start(DUO_A, &heard, false), 0);
	turns(&heard);
	CHECK_EQ(heard.err, WEFT_EMALFORMED);
	CHECK_EQ(heard.len, 0);
	free(heard.data);
	duo_fini(&duo);
}

/* The length is one byte of the answer's CBOR head, at a place that follows from its fields. */
static void sizes_lie(struct duo *d, struct duo_answer *answer)
{
	if (answer->type == MESH_RANGE_PROOF && d->hook_cnt++ == 0)
		for (size_t i = 0; i + 4 < 60; i++)
			if (answer->payload[i] == 0x1a &&
			    answer->payload[i + 1] == (uint8_t)(FILE_LEN >> 24) &&
			    answer->payload[i + 2] == (uint8_t)(FILE_LEN >> 16))
				answer->payload[i + 4] ^= 1;
}

static void test_a_length_counts_when_it_is_proved(void)
{
	struct heard heard;

	CHECK(world_begin());
	duo.on_answer = sizes_lie;
	heard_init(&heard);
	heard.want_len = 10;
	CHECK_EQ(open_start(DUO_B, &heard, true), 0);
	turns(&heard);
	CHECK_EQ(heard.err, 0);
	CHECK_EQ(heard.size, FILE_LEN);
	CHECK(duo.nodes[DUO_B].event_cnt[BLOBS_PEER_BAD] > 0);
	free(heard.data);
	duo_fini(&duo);
}

/* A source that is asked by a name other than A's answers a wrong length. */
static void others_lie_about_sizes(struct duo *d, struct duo_answer *answer)
{
	if (memcmp(answer->asked_key, d->nodes[DUO_A].key, sizeof(answer->asked_key)) == 0)
		return;
	d->hook_cnt = 0;
	sizes_lie(d, answer);
}

static void test_a_source_that_lied_about_the_length_is_not_asked_for_it_again(void)
{
	static const struct addr liar_addr = {
		.ip = {192, 0, 2, 9}, .port = 7000, .family = ADDR_IPV4};
	struct mesh_peer hints[] = {
		{.key = {9}, .addrs = &liar_addr, .addr_cnt = 1},
		{.addrs = shared.places.addrs},
	};
	struct reader_origin origin = {.hints = hints, .hint_cnt = 2};
	struct heard heard;
	struct reader_ask ask;

	CHECK(world_begin());
	duo.on_answer = others_lie_about_sizes;
	heard_init(&heard);
	heard.want_len = 10;
	memcpy(hints[1].key, shared.node_key, sizeof(hints[1].key));
	hints[1].addr_cnt = shared.places.addr_cnt;
	ask = ask_of(&heard, 0, 0);
	ask.size = READER_SIZE_UNTOLD;
	ask.opened = heard_opened;
	ask.origin = &origin;
	CHECK_EQ(blobs_reader_start(duo.nodes[DUO_B].content, &ask, duo.now_ns, &heard.reader), 0);
	turns(&heard);
	CHECK_EQ(heard.err, 0);
	CHECK_EQ(heard.size, FILE_LEN);
	CHECK_MEM(heard.data, bytes, 10);
	CHECK(duo.nodes[DUO_B].event_cnt[BLOBS_PEER_BAD] > 0);
	free(heard.data);
	duo_fini(&duo);
}

static void test_limits(void)
{
	struct heard heard[READERS_MAX + 1];

	CHECK(world_begin());
	for (unsigned i = 0; i <= READERS_MAX; i++)
		heard_init(&heard[i]);
	CHECK_EQ(read_start(DUO_A, &heard[0], 0, FILE_LEN + 1), WEFT_EMALFORMED);
	CHECK_EQ(read_start(DUO_A, &heard[0], FILE_LEN + 1, 0), WEFT_EMALFORMED);
	CHECK_EQ(read_start(DUO_A, &heard[0], UINT64_MAX, 2), WEFT_EMALFORMED);
	for (unsigned i = 0; i < READERS_MAX; i++)
		CHECK_EQ(read_start(DUO_A, &heard[i], 0, 1), 0);
	CHECK_EQ(read_start(DUO_A, &heard[READERS_MAX], 0, 1), WEFT_EFULL);
	for (unsigned i = 0; i < READERS_MAX; i++)
		turns(&heard[i]);
	CHECK_EQ(read_start(DUO_A, &heard[READERS_MAX], 0, 1), 0);
	/* The last is under way still when its node goes. */
	duo_fini(&duo);
	for (unsigned i = 0; i <= READERS_MAX; i++)
		free(heard[i].data);
}

int main(void)
{
	RUN(test_parts_of_a_file_that_is_here);
	RUN(test_parts_of_a_file_that_is_elsewhere);
	RUN(test_a_seek_asks_for_its_chunks_alone);
	RUN(test_wrong_bytes_are_never_handed_out);
	RUN(test_a_stream_from_one_source_ends_within_ten_seconds_of_its_death);
	RUN(test_a_slow_source_is_no_dead_one);
	RUN(test_what_is_not_taken_comes_again);
	RUN(test_a_cancelled_reader_calls_no_callback);
	RUN(test_a_file_that_changed_here_is_not_believed);
	RUN(test_a_file_that_is_no_longer_shared_is_not_read);
	RUN(test_a_file_of_which_only_the_hash_is_known);
	RUN(test_an_empty_file_needs_no_source);
	RUN(test_what_is_not_wanted_ends_untold);
	RUN(test_a_range_beyond_the_end_is_refused);
	RUN(test_a_length_counts_when_it_is_proved);
	RUN(test_a_source_that_lied_about_the_length_is_not_asked_for_it_again);
	RUN(test_limits);
	return check_done();
}
