/* SPDX-License-Identifier: Apache-2.0 */
/* What a caller hears of a get holds after a crash in the same moment. */
#include "get_rig.h"

static struct link link_of_in;

static bool begin(void)
{
	duo_init(&duo);
	file_make("in/one.bin", BIG_LEN, 9);
	return duo_share(&duo, duo_path(&duo, "in"), &link_of_in);
}

static struct blobs *content(void)
{
	return duo.nodes[DUO_B].content;
}

static const struct blobs_get *get_of(uint64_t id)
{
	return blobs_get_lookup(content(), id);
}

/* kill -9: what the store has not committed is gone. */
static void crash(void)
{
	store_freeze(duo.nodes[DUO_B].store);
	duo_node_close(&duo, DUO_B);
	duo_node_open(&duo, DUO_B);
}

static uint64_t start_slowly(void)
{
	uint64_t id;

	duo.hook_cnt = 0;
	duo.on_answer = only_first_chunks;
	id = duo_get_start(&duo, &link_of_in, "out");
	for (unsigned i = 0; i < 5000 && get_of(id)->byte_done_cnt < BLAKE3_CHUNK_LEN; i++)
		turns(1);
	duo.on_answer = NULL;
	return id;
}

static void note_done(void *arg, int err)
{
	*(bool *)arg = err == 0;
}

/* As a reply is that waits for what was given to the store before it. */
static void turns_until_stored(void)
{
	struct store *store = duo.nodes[DUO_B].store;
	bool is_stored = false;

	if (store_submit(store, store_batch_new(store), note_done, &is_stored) < 0)
		abort();
	while (!is_stored)
		turns(1);
}

static bool turns_until_shown(uint64_t id, enum blobs_get_state state)
{
	for (unsigned i = 0; i < TURN_MAX && get_of(id)->shown_state != state; i++)
		turns(1);
	return get_of(id)->shown_state == state;
}

enum way { RUNS_ON, PAUSE, CANCEL };

static void way_go(uint64_t id, enum way way)
{
	if (way == PAUSE)
		(void)!blobs_get_pause(content(), id, duo.now_ns);
	else if (way == CANCEL)
		(void)!blobs_get_cancel(content(), id, false, duo.now_ns);
}

static const struct {
	enum way way;
	enum blobs_get_state state;
} ends[] = {
	{RUNS_ON, BLOBS_GET_FINISHED},
	{PAUSE, BLOBS_GET_PAUSED},
	{CANCEL, BLOBS_GET_TAKEN_BACK},
};

static void test_an_end_that_is_shown_is_one_after_a_crash(void)
{
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		uint64_t id;

		CHECK(begin());
		if (ends[i].way == RUNS_ON)
			id = duo_get_start(&duo, &link_of_in, "out");
		else
			id = start_slowly();
		way_go(id, ends[i].way);
		CHECK(turns_until_shown(id, ends[i].state));
		crash();
		CHECK_EQ(get_of(id)->state, ends[i].state);
		duo_fini(&duo);
	}
}

/* Also of a get that does not run, whose state is another one at once. */
static void test_a_paused_get_that_is_cancelled_shows_so_when_it_is_stored(void)
{
	uint64_t id;

	CHECK(begin());
	id = start_slowly();
	way_go(id, PAUSE);
	CHECK(turns_until_shown(id, BLOBS_GET_PAUSED));
	way_go(id, CANCEL);
	CHECK_EQ(get_of(id)->state, BLOBS_GET_TAKEN_BACK);
	CHECK_EQ(get_of(id)->shown_state, BLOBS_GET_PAUSED);
	crash();
	CHECK_EQ(get_of(id)->state, BLOBS_GET_PAUSED);
	way_go(id, CANCEL);
	CHECK(turns_until_shown(id, BLOBS_GET_TAKEN_BACK));
	crash();
	CHECK_EQ(get_of(id)->state, BLOBS_GET_TAKEN_BACK);
	duo_fini(&duo);
}

/* The caller was answered while the run was still ending: what it fetched stays, too. */
static void test_what_was_asked_holds_before_the_run_has_ended(void)
{
	for (size_t i = 1; i < sizeof(ends) / sizeof(ends[0]); i++) {
		uint64_t id;

		CHECK(begin());
		id = start_slowly();
		way_go(id, ends[i].way);
		turns_until_stored();
		crash();
		CHECK_EQ(get_of(id)->state, ends[i].state);
		turns(1000);
		CHECK_EQ(get_of(id)->state, ends[i].state);
		CHECK_EQ(blobs_get_resume(content(), id, duo.now_ns), 0);
		CHECK_EQ(duo_run(&duo, id, TURN_MAX)->state, BLOBS_GET_FINISHED);
		CHECK(get_of(id)->reused_byte_cnt >= BLAKE3_CHUNK_LEN);
		CHECK(duo_trees_equal(&duo, "in", "out"));
		duo_fini(&duo);
	}
}

static void note_told_cnt(void *arg, int err)
{
	(void)err;
	*(unsigned *)arg = duo.nodes[DUO_B].event_cnt[BLOBS_GET_CANCELLED];
}

static void test_a_batch_of_an_earlier_run_ends_no_get(void)
{
	unsigned told_cnt = 99;
	struct store *store;
	uint64_t id;

	CHECK(begin());
	duo_node_close(&duo, DUO_B);
	duo.nodes[DUO_B].config.get_active_cap = 1;
	duo_node_open(&duo, DUO_B);
	(void)start_slowly();
	id = duo_get_start(&duo, &link_of_in, "waits");
	turns_until_stored();
	CHECK_EQ(get_of(id)->shown_state, BLOBS_GET_QUEUED);
	CHECK_EQ(blobs_get_prioritise(content(), id, 4, duo.now_ns), 0);
	store = duo.nodes[DUO_B].store;
	CHECK_EQ(store_submit(store, store_batch_new(store), note_told_cnt, &told_cnt), 0);
	way_go(id, CANCEL);
	turns_until_stored();
	CHECK_EQ(told_cnt, 0);
	CHECK_EQ(duo.nodes[DUO_B].event_cnt[BLOBS_GET_CANCELLED], 1);
	CHECK_EQ(get_of(id)->shown_state, BLOBS_GET_TAKEN_BACK);
	duo_fini(&duo);
}

static void test_a_resumed_get_begins_when_that_is_stored(void)
{
	unsigned *started_cnt = &duo.nodes[DUO_B].event_cnt[BLOBS_GET_STARTED];
	unsigned before_cnt;
	uint64_t id;

	CHECK(begin());
	id = start_slowly();
	way_go(id, PAUSE);
	CHECK(turns_until_shown(id, BLOBS_GET_PAUSED));
	before_cnt = *started_cnt;
	CHECK_EQ(blobs_get_resume(content(), id, duo.now_ns), 0);
	CHECK_EQ(get_of(id)->shown_state, BLOBS_GET_PAUSED);
	CHECK_EQ(*started_cnt, before_cnt);
	while (*started_cnt == before_cnt)
		turns(1);
	crash();
	CHECK(get_of(id)->state != BLOBS_GET_PAUSED);
	CHECK_EQ(duo_run(&duo, id, TURN_MAX)->state, BLOBS_GET_FINISHED);
	duo_fini(&duo);
}

static void test_a_new_get_is_one_when_it_is_stored(void)
{
	uint64_t id;

	CHECK(begin());
	id = duo_get_start(&duo, &link_of_in, "out");
	CHECK(!get_of(id)->is_stored);
	turns_until_stored();
	CHECK(get_of(id)->is_stored);
	crash();
	CHECK(get_of(id) && get_of(id)->is_stored);
	duo_fini(&duo);
}

int main(void)
{
	RUN(test_an_end_that_is_shown_is_one_after_a_crash);
	RUN(test_a_paused_get_that_is_cancelled_shows_so_when_it_is_stored);
	RUN(test_what_was_asked_holds_before_the_run_has_ended);
	RUN(test_a_batch_of_an_earlier_run_ends_no_get);
	RUN(test_a_resumed_get_begins_when_that_is_stored);
	RUN(test_a_new_get_is_one_when_it_is_stored);
	return check_done();
}
