/* SPDX-License-Identifier: Apache-2.0 */
/* Which part of a collection a get wants, when it runs, and its sources. */
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "blobs/manifest/manifest.h"
#include "blobs/content_message.h"
#include "get_rig.h"

static struct link shared;

static bool duo_begin(void)
{
	duo_init(&duo);
	file_make("in/big.iso", BIG_LEN, 2);
	file_make("in/small.txt", 1000, 1);
	file_make("in/docs/a.txt", 2000, 3);
	file_make("in/docs/b.bin", 3000, 4);
	mkdir(duo_path(&duo, "in/empty"), 0755);
	return duo_share(&duo, duo_path(&duo, "in"), &shared);
}

static uint64_t start(const struct blobs_get_ask *asked)
{
	struct blobs_get_ask ask = *asked;
	uint64_t id = 0;

	ask.target = duo_path(&duo, "out");
	(void)!blobs_get_start(duo.nodes[DUO_B].content, &ask, duo.now_ns, &id);
	return id;
}

static const struct blobs_get *run(const struct blobs_get_ask *ask)
{
	return duo_run(&duo, start(ask), TURN_MAX);
}

static bool is_there(const char *name)
{
	return access(duo_path(&duo, name), F_OK) == 0;
}

/* --- sources --- */

/* The same get asked for again learns of nodes that it does not know, as far as there is room. */
static void test_a_get_learns_of_nodes_until_it_has_eight(void)
{
	struct link_node nodes[BLOBS_GET_NODES_MAX + 2] = {0};
	struct blobs_get_ask ask = {.node_cnt = 2, .nodes = nodes};
	const struct blobs_get *get;
	uint64_t id;

	CHECK(duo_begin());
	for (unsigned i = 0; i < BLOBS_GET_NODES_MAX + 2; i++)
		nodes[i].key[0] = (uint8_t)(i + 1);
	ask.manifest_id = shared.manifest_id;
	id = start(&ask);
	CHECK(id > 0);
	get = blobs_get_lookup(duo.nodes[DUO_B].content, id);
	CHECK_EQ(get->node_cnt, 2);
	/* Two that it knows, and five more. */
	ask.node_cnt = BLOBS_GET_NODES_MAX - 1;
	CHECK_EQ(start(&ask), id);
	CHECK_EQ(get->node_cnt, BLOBS_GET_NODES_MAX - 1);
	ask.nodes = nodes + 2;
	ask.node_cnt = BLOBS_GET_NODES_MAX;
	CHECK_EQ(start(&ask), id);
	CHECK_EQ(get->node_cnt, BLOBS_GET_NODES_MAX);
	for (unsigned i = 0; i < BLOBS_GET_NODES_MAX; i++)
		CHECK_EQ(get->nodes[i].key[0], i + 1);
	duo_fini(&duo);
}

/* --- only --- */

static unsigned chunk_answer_cnt;

static void count_chunks(struct duo *d, struct duo_answer *answer)
{
	(void)d;
	chunk_answer_cnt += answer->type == MESH_CHUNK_DATA;
}

static void test_only_what_matches_is_fetched(void)
{
	static const struct {
		const char *only;
		size_t len;
		unsigned item_cnt;
		bool has_big, has_small, has_a, has_b;
	} rows[] = {
		{"*.txt", 6, 2, false, true, true, false},
		{"docs/", 6, 2, false, false, true, true},
		{"docs/*.txt", 11, 1, false, false, true, false},
		{"*/small.txt\0b.*", 16, 1, false, false, false, true},
		{"big.iso\0small.???", 18, 2, true, true, false, false},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct blobs_get_ask ask = {
			.link = &shared, .only = rows[i].only, .only_len = rows[i].len};
		const struct blobs_get *get;

		CHECK(duo_begin());
		chunk_answer_cnt = 0;
		duo.on_answer = count_chunks;
		get = run(&ask);
		CHECK_EQ(get->state, BLOBS_GET_FINISHED);
		CHECK_EQ(get->item_cnt, rows[i].item_cnt);
		CHECK_EQ(get->item_done_cnt, rows[i].item_cnt);
		CHECK_EQ(get->byte_done_cnt, get->byte_cnt);
		CHECK_EQ(is_there("out/big.iso"), rows[i].has_big);
		CHECK_EQ(is_there("out/small.txt"), rows[i].has_small);
		CHECK_EQ(is_there("out/docs/a.txt"), rows[i].has_a);
		CHECK_EQ(is_there("out/docs/b.bin"), rows[i].has_b);
		CHECK(!is_there("out/empty"));
		CHECK_EQ(chunk_answer_cnt, rows[i].item_cnt + (rows[i].has_big ? 3 : 0));
		duo_fini(&duo);
	}
}

static void test_patterns_that_match_nothing_say_so(void)
{
	const struct blobs_get_ask ask = {.link = &shared, .only = "*.jpg", .only_len = 6};
	const struct blobs_get *get;

	CHECK(duo_begin());
	get = run(&ask);
	CHECK_EQ(get->state, BLOBS_GET_STOPPED);
	CHECK_EQ(get->err, WEFT_EABSENT);
	duo_fini(&duo);
}

static void test_patterns_are_kept_over_a_restart(void)
{
	const struct blobs_get_ask ask = {.link = &shared, .only = "docs/", .only_len = 6};
	const struct blobs_get *get;
	uint64_t id;

	CHECK(duo_begin());
	id = start(&ask);
	for (unsigned i = 0; i < 20; i++)
		(void)duo_turn(&duo);
	duo_node_close(&duo, DUO_B);
	duo_node_open(&duo, DUO_B);
	get = duo_run(&duo, id, TURN_MAX);
	CHECK_EQ(get->state, BLOBS_GET_FINISHED);
	CHECK_EQ(get->item_cnt, 2);
	CHECK(!is_there("out/big.iso"));
	duo_fini(&duo);
}

/* --- exclude, first, in sequence; changed while it runs --- */

static size_t answer_lens[64];
static uint64_t answer_chunks[512];
static unsigned answer_cnt;

static void note_order(struct duo *d, struct duo_answer *answer)
{
	struct message_answer told;

	(void)d;
	if (answer->type != MESH_CHUNK_DATA || answer_cnt == 512 ||
	    blobs_message_answer_parse(MESH_CHUNK_DATA, answer->payload, answer->len, &told) < 0)
		return;
	if (answer_cnt < 64)
		answer_lens[answer_cnt] = told.len;
	answer_chunks[answer_cnt++] = told.first;
}

static void test_excluded_files_are_not_fetched(void)
{
	const struct blobs_get_ask ask = {
		.link = &shared,
		.only = "*.txt\0docs/",
		.only_len = 12,
		.choice = {.exclude = "a.*\0*.iso", .exclude_len = 10},
	};
	const struct blobs_get *get;

	CHECK(duo_begin());
	get = run(&ask);
	CHECK_EQ(get->state, BLOBS_GET_FINISHED);
	CHECK_EQ(get->item_cnt, 2);
	CHECK(is_there("out/small.txt") && is_there("out/docs/b.bin"));
	CHECK(!is_there("out/docs/a.txt") && !is_there("out/big.iso"));
	duo_fini(&duo);
}

static void test_files_that_are_wanted_first_come_first(void)
{
	const struct blobs_get_ask ask = {
		.link = &shared,
		.choice = {.first = "small.*\0b.bin", .first_len = 14},
	};

	CHECK(duo_begin());
	answer_cnt = 0;
	duo.on_answer = note_order;
	CHECK_EQ(run(&ask)->state, BLOBS_GET_FINISHED);
	CHECK(duo_trees_equal(&duo, "in", "out"));
	CHECK(answer_cnt >= 4);
	CHECK_EQ(answer_lens[0] + answer_lens[1], 4000);
	duo_fini(&duo);
}

static void test_in_sequence_chunks_come_from_the_first_to_the_last(void)
{
	static uint8_t bytes[150 * BLAKE3_CHUNK_LEN];
	struct blobs_get_ask ask = {.choice = {.is_sequential = true}};
	struct random random;
	struct link link;
	unsigned late = 0;

	duo_init(&duo);
	file_make("in/b", 10, 1);
	random_init_seeded(&random, 9);
	random_fill(&random, bytes, sizeof(bytes));
	scratch_write(duo_path(&duo, "in/film"), bytes, sizeof(bytes));
	CHECK(duo_share(&duo, duo_path(&duo, "in"), &link));
	ask.link = &link;
	answer_cnt = 0;
	duo.on_answer = note_order;
	CHECK_EQ(run(&ask)->state, BLOBS_GET_FINISHED);
	CHECK_EQ(answer_cnt, 151);
	for (unsigned i = 1; i < answer_cnt; i++)
		late += answer_chunks[i] < answer_chunks[i - 1];
	CHECK(late <= 1);
	duo_fini(&duo);
}

static void slow_files(struct duo *d, struct duo_answer *answer)
{
	(void)d;
	if (answer->type == MESH_CHUNK_DATA)
		answer->delay_ns = NS_PER_S;
}

static void test_what_is_wanted_changes_while_the_get_runs(void)
{
	const struct blobs_get_selection docs = {.only = "docs/", .only_len = 6},
					 all = {.choice = {.exclude = "b.bin", .exclude_len = 6}};
	struct blobs *content;
	const struct blobs_get *get;
	const struct blobs_get_ask ask = {.link = &shared};
	uint64_t id;

	CHECK(duo_begin());
	duo.on_answer = slow_files;
	id = start(&ask);
	content = duo.nodes[DUO_B].content;
	for (unsigned i = 0; i < 1000; i++) {
		get = blobs_get_lookup(content, id);
		if (get->state == BLOBS_GET_RECEIVING)
			break;
		turns(1);
	}
	CHECK_EQ(get->state, BLOBS_GET_RECEIVING);
	CHECK_EQ(blobs_get_choose(content, id, &docs, duo.now_ns), 0);
	/* Stored at once: also when the next thing is the node's end. */
	turns(3);
	duo_node_close(&duo, DUO_B);
	duo_node_open(&duo, DUO_B);
	content = duo.nodes[DUO_B].content;
	CHECK_STR(blobs_get_lookup(content, id)->only, "docs/");
	get = duo_run(&duo, id, TURN_MAX);
	CHECK_EQ(get->state, BLOBS_GET_FINISHED);
	CHECK_EQ(get->item_cnt, 2);
	CHECK(is_there("out/docs/a.txt") && is_there("out/docs/b.bin"));
	CHECK(!is_there("out/big.iso"));
	/* One that has finished goes on, and what is not wanted any more stays. */
	CHECK_EQ(blobs_get_choose(content, id, &all, duo.now_ns), 0);
	CHECK_EQ(blobs_get_lookup(content, id)->state, BLOBS_GET_QUEUED);
	get = duo_run(&duo, id, TURN_MAX);
	CHECK_EQ(get->state, BLOBS_GET_FINISHED);
	CHECK_EQ(get->item_cnt, 3);
	CHECK(is_there("out/big.iso") && is_there("out/small.txt") && is_there("out/docs/b.bin"));
	CHECK_EQ(blobs_get_choose(content, 99, &all, duo.now_ns), WEFT_EABSENT);
	duo_fini(&duo);
}

static void test_unsound_options_are_refused(void)
{
	static const struct blobs_range ranges[BLOBS_GET_RANGES_MAX + 1] = {
		{0, 1}, {1, 1},	 {2, 1},  {3, 1},  {4, 1},  {5, 1},  {6, 1},  {7, 1}, {8, 1},
		{9, 1}, {10, 1}, {11, 1}, {12, 1}, {13, 1}, {14, 1}, {15, 1}, {16, 1}};
	static const struct blobs_range twice[] = {{5, 10}, {0, 1}, {5, 10}};
	static char long_only[BLOBS_GET_ONLY_LEN_MAX + 1];
	const struct blobs_get_ask rows[] = {
		{.only = "", .only_len = 0},
		{.only = "", .only_len = 1},
		{.only = "ab", .only_len = 2},
		{.only = "a\0\0b", .only_len = 5},
		{.only = "a\0", .only_len = 3},
		{.only = long_only, .only_len = sizeof(long_only)},
		{.priority = BLOBS_GET_PRIORITY_MAX + 1},
		{.ranges = ranges, .range_cnt = BLOBS_GET_RANGES_MAX + 1},
		{.ranges = twice, .range_cnt = 3},
		{.ranges = &(struct blobs_range){2, UINT64_MAX}, .range_cnt = 1},
	};

	CHECK(duo_begin());
	memset(long_only, 'a', sizeof(long_only) - 1);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct blobs_get_ask ask = rows[i];
		uint64_t id;

		ask.link = &shared;
		ask.target = duo_path(&duo, "out");
		CHECK_EQ(blobs_get_start(duo.nodes[DUO_B].content, &ask, duo.now_ns, &id),
			 WEFT_EMALFORMED);
	}
	duo_fini(&duo);
}

/* --- ranges --- */

static void test_several_ranges_arrive(void)
{
	static const struct blobs_range ranges[] = {
		{100, 5000}, {BLAKE3_CHUNK_LEN - 10, 20}, {BIG_LEN - 5, 500}};
	const struct blobs_get_ask ask = {.link = &shared, .ranges = ranges, .range_cnt = 3};
	static const char command[] =
		"cd '%s' && f=in/big.iso && for r in 100-5000 262134-20 %u-5; do "
		"tail -c +$((${r%%-*} + 1)) $f | head -c ${r#*-} | cmp - out/big.iso.$r || exit 1; "
		"done";
	char text[SCRATCH_CAP + sizeof(command) + 20];
	const struct blobs_get *get;

	CHECK(duo_begin());
	CHECK(duo_share(&duo, duo_path(&duo, "in/big.iso"), &shared));
	get = run(&ask);
	CHECK_EQ(get->state, BLOBS_GET_FINISHED);
	CHECK_EQ(get->byte_done_cnt, 5000 + 20 + 5);
	CHECK_EQ(get->item_done_cnt, 3);
	snprintf(text, sizeof(text), command, duo.dir, BIG_LEN - 5);
	CHECK_EQ(system(text), 0);
	duo_fini(&duo);
}

/* --- when --- */

static void slow_chunks(struct duo *d, struct duo_answer *answer)
{
	(void)d;
	if (answer->type == MESH_CHUNK_DATA)
		answer->delay_ns = 100 * NS_PER_MS;
}

static void test_a_paused_get_waits_over_a_restart_and_goes_on(void)
{
	const struct blobs_get_ask ask = {.link = &shared};
	const struct blobs_get *get;
	uint64_t id;

	CHECK(duo_begin());
	duo.on_answer = slow_chunks;
	id = start(&ask);
	for (unsigned i = 0; i < 1000; i++) {
		get = blobs_get_lookup(duo.nodes[DUO_B].content, id);
		if (get->state == BLOBS_GET_RECEIVING && get->byte_done_cnt > BLAKE3_CHUNK_LEN)
			break;
		turns(1);
	}
	CHECK_EQ(blobs_get_pause(duo.nodes[DUO_B].content, id, duo.now_ns), 0);
	turns(200);
	get = blobs_get_lookup(duo.nodes[DUO_B].content, id);
	CHECK_EQ(get->state, BLOBS_GET_PAUSED);
	CHECK_EQ(get->err, 0);
	CHECK_EQ(blobs_get_pause(duo.nodes[DUO_B].content, id, duo.now_ns), 0);
	duo_node_close(&duo, DUO_B);
	duo_node_open(&duo, DUO_B);
	turns(200);
	get = blobs_get_lookup(duo.nodes[DUO_B].content, id);
	CHECK_EQ(get->state, BLOBS_GET_PAUSED);
	CHECK_EQ(blobs_get_resume(duo.nodes[DUO_B].content, id, duo.now_ns), 0);
	get = duo_run(&duo, id, TURN_MAX);
	CHECK_EQ(get->state, BLOBS_GET_FINISHED);
	CHECK(get->reused_byte_cnt >= BLAKE3_CHUNK_LEN);
	CHECK(duo_trees_equal(&duo, "in", "out"));
	CHECK_EQ(blobs_get_pause(duo.nodes[DUO_B].content, id, duo.now_ns), WEFT_EBUSY);
	CHECK_EQ(blobs_get_pause(duo.nodes[DUO_B].content, 99, duo.now_ns), WEFT_EABSENT);
	duo_fini(&duo);
}

/* One runs at a time; of those that wait the one of highest priority is next. */
static void test_higher_priority_begins_first(void)
{
	struct blobs_get_ask ask = {.link = &shared, .target = NULL};
	struct blobs *content;
	uint64_t first, low, high;

	CHECK(duo_begin());
	duo_node_close(&duo, DUO_B);
	duo.nodes[DUO_B].config.get_active_cap = 1;
	duo_node_open(&duo, DUO_B);
	content = duo.nodes[DUO_B].content;
	duo.on_answer = slow_chunks;
	ask.target = duo_path(&duo, "out1");
	ask.priority = BLOBS_GET_PRIORITY;
	CHECK_EQ(blobs_get_start(content, &ask, duo.now_ns, &first), 0);
	ask.target = duo_path(&duo, "out2");
	CHECK_EQ(blobs_get_start(content, &ask, duo.now_ns, &low), 0);
	ask.target = duo_path(&duo, "out3");
	CHECK_EQ(blobs_get_start(content, &ask, duo.now_ns, &high), 0);
	CHECK_EQ(blobs_get_prioritise(content, high, 4, duo.now_ns), 0);
	CHECK_EQ(blobs_get_prioritise(content, high, 5, duo.now_ns), WEFT_EMALFORMED);
	CHECK_EQ(blobs_get_prioritise(content, 99, 1, duo.now_ns), WEFT_EABSENT);
	CHECK_EQ(duo_run(&duo, high, TURN_MAX)->state, BLOBS_GET_FINISHED);
	CHECK_EQ(duo_run(&duo, low, TURN_MAX)->state, BLOBS_GET_FINISHED);
	CHECK(blobs_get_lookup(content, high)->ended_ns <
	      blobs_get_lookup(content, low)->started_ns + NS_PER_MS);
	CHECK(blobs_get_lookup(content, first)->ended_ns <=
	      blobs_get_lookup(content, high)->started_ns);
	duo_fini(&duo);
}

/* --- sources --- */

static void test_a_get_without_a_link_asks_its_nodes(void)
{
	struct link_node nodes[2] = {{.places = {.addr_cnt = 1}}, {.key = {0}}};
	struct blobs_get_ask ask = {.nodes = nodes, .node_cnt = 1};
	const struct blobs_get *get;
	uint64_t id;

	CHECK(duo_begin());
	memcpy(nodes[0].key, shared.node_key, sizeof(nodes[0].key));
	nodes[0].places.addrs[0] = shared.places.addrs[0];
	ask.manifest_id = shared.manifest_id;
	id = start(&ask);
	nodes[1].key[0] = 7;
	ask.node_cnt = 2;
	/* The same again learns of another node, and is remembered so. */
	CHECK_EQ(start(&ask), id);
	get = duo_run(&duo, id, TURN_MAX);
	CHECK_EQ(get->state, BLOBS_GET_FINISHED);
	CHECK_EQ(get->node_cnt, 2);
	duo_node_close(&duo, DUO_B);
	duo_node_open(&duo, DUO_B);
	get = blobs_get_lookup(duo.nodes[DUO_B].content, id);
	CHECK_EQ(get->node_cnt, 2);
	CHECK_EQ(get->nodes[1].key[0], 7);
	CHECK_MEM(get->manifest_id, shared.manifest_id, sizeof(shared.manifest_id));
	duo_fini(&duo);
}

static void test_a_get_without_known_holders_says_so(void)
{
	struct blobs_get_ask ask = {.node_cnt = 0};
	const struct blobs_get *get;

	CHECK(duo_begin());
	ask.manifest_id = shared.manifest_id;
	get = run(&ask);
	CHECK_EQ(get->state, BLOBS_GET_STOPPED);
	CHECK_EQ(get->err, WEFT_EABSENT);
	CHECK(strstr(get->detail, "nobody"));
	duo_fini(&duo);
}

/* A manifest says how long its file is, true or not. */
static void test_a_range_longer_than_any_file_is_refused(void)
{
	static const uint8_t content_id[32] = {7};
	const struct manifest_item item = {
		.content_id = content_id, .size = 1ull << 50, .path = "huge", .path_len = 4};
	static const struct blobs_range range = {0, 1ull << 40};
	struct blobs_get_ask ask = {.ranges = &range, .range_cnt = 1};
	struct manifest_builder *builder;
	const struct blobs_get *get;
	struct store_batch *batch;
	struct store *store;
	const uint8_t *encoded;
	uint8_t id[32];
	size_t len;

	CHECK(duo_begin());
	store = duo.nodes[DUO_B].store;
	CHECK_EQ(blobs_manifest_builder_new(&builder), 0);
	CHECK_EQ(blobs_manifest_builder_add_item(builder, &item), 0);
	encoded = blobs_manifest_builder_encode(builder, MANIFEST_WHOLE, 1, "", &len);
	blake3_hash(encoded, len, id);
	batch = store_batch_new(store);
	store_batch_put_blob(batch, id, encoded, len);
	CHECK_EQ(store_submit(store, batch, NULL, NULL), 0);
	store_flush(store);
	blobs_manifest_builder_free(builder);
	ask.manifest_id = id;
	get = run(&ask);
	CHECK(get && get->err == WEFT_ETOOLARGE);
	duo_fini(&duo);
}

int main(void)
{
	RUN(test_a_get_learns_of_nodes_until_it_has_eight);
	RUN(test_only_what_matches_is_fetched);
	RUN(test_patterns_that_match_nothing_say_so);
	RUN(test_patterns_are_kept_over_a_restart);
	RUN(test_excluded_files_are_not_fetched);
	RUN(test_files_that_are_wanted_first_come_first);
	RUN(test_in_sequence_chunks_come_from_the_first_to_the_last);
	RUN(test_what_is_wanted_changes_while_the_get_runs);
	RUN(test_unsound_options_are_refused);
	RUN(test_several_ranges_arrive);
	RUN(test_a_range_longer_than_any_file_is_refused);
	RUN(test_a_paused_get_waits_over_a_restart_and_goes_on);
	RUN(test_higher_priority_begins_first);
	RUN(test_a_get_without_a_link_asks_its_nodes);
	RUN(test_a_get_without_known_holders_says_so);
	return check_done();
}
