/* SPDX-License-Identifier: Apache-2.0 */
/* Searches over the layers: how far they go, how much they ask, and what they do not say. */
#include <string.h>

#include "base/monotonic.h"
#include "social/slots/social_slots_state.h"
#include "support/check.h"
#include "support/social_slots_lab.h"

static struct {
	unsigned cnt;
	int err;
	bool has_node;
	uint8_t node[MESH_KEY_LEN];
	unsigned hops, question_cnt;
	size_t record_len;
} found;

static struct slots_lab_place *place_at(unsigned number)
{
	return &slots_lab_places[number];
}

static void on_found(void *arg, int err, const struct slots_finding *finding, uint64_t now_ns)
{
	(void)arg, (void)now_ns;
	found.cnt++;
	found.err = err;
	found.has_node = finding->node;
	if (finding->node)
		memcpy(found.node, finding->node, MESH_KEY_LEN);
	found.hops = finding->hops;
	found.question_cnt = finding->question_cnt;
	found.record_len = finding->record_len;
}

static int search(struct slots_lab_place *place, bool is_post, const uint8_t *id)
{
	const struct slots_find find = {.is_post = is_post, .id = id, .done = on_found};
	int err;

	memset(&found, 0, sizeof(found));
	err = social_slots_find(place->slots, &find, slots_lab.now_ns);
	slots_lab_pass(30 * NS_PER_S);
	return err;
}

/* A line of places with slots at the next one alone: 0 - 1 - 2 - ... */
static void line_begin(unsigned cnt)
{
	slots_lab_begin(5);
	for (unsigned i = 0; i < cnt; i++) {
		struct slots_lab_place *place = slots_lab_add();

		place->only = i + 1 < cnt ? i + 1 : i;
		if (i + 1 < cnt)
			place->sources[place->source_cnt++] = i + 1;
	}
	slots_lab_all_up();
	slots_lab_pass(60 * NS_PER_S);
}

static void test_a_post_is_found_three_hops_away_and_not_four(void)
{
	static const uint8_t post[32] = {5};

	line_begin(6);
	place_at(3)->post = post;
	CHECK_EQ(search(place_at(0), true, post), 0);
	CHECK_EQ(found.cnt, 1);
	CHECK_EQ(found.err, 0);
	CHECK_EQ(found.hops, 3);
	CHECK_MEM(found.node, place_at(3)->node->key, MESH_KEY_LEN);
	CHECK_EQ(found.record_len, place_at(3)->record_len);
	CHECK_EQ(found.question_cnt, 1);
	place_at(3)->post = NULL;
	place_at(4)->post = post;
	CHECK_EQ(search(place_at(0), true, post), 0);
	CHECK_EQ(found.cnt, 1);
	CHECK_EQ(found.err, WEFT_EABSENT);
	CHECK(!found.has_node);
	/* Here it is found without a question. */
	CHECK_EQ(search(place_at(4), true, post), 0);
	CHECK_EQ(found.hops, 0);
	CHECK_EQ(found.question_cnt, 0);
	slots_lab_end();
}

static void test_a_person_is_found_at_the_node_that_knows_it(void)
{
	line_begin(6);
	/* 3 has a slot at 4, so 3 knows where 4 is. */
	CHECK_EQ(search(place_at(0), false, place_at(4)->node->key), 0);
	CHECK_EQ(found.err, 0);
	CHECK_EQ(found.hops, 3);
	CHECK_MEM(found.node, place_at(3)->node->key, MESH_KEY_LEN);
	CHECK_EQ(search(place_at(0), false, place_at(5)->node->key), 0);
	CHECK_EQ(found.err, WEFT_EABSENT);
	slots_lab_end();
}

/* The questions that all places asked. */
static uint64_t question_cnt(unsigned first, unsigned end)
{
	uint64_t cnt = 0;

	for (unsigned i = first; i < end; i++)
		cnt += slots_lab_stats(place_at(i)).question_cnt;
	return cnt;
}

/* 120 places that all know each other: a search asks at most 101 of them for each hop. */
static void test_a_search_asks_101_questions_for_each_hop_at_most(void)
{
	static const uint8_t nothing[32] = {9};
	uint64_t before;

	slots_lab_begin(5);
	for (unsigned i = 0; i < 120; i++) {
		struct slots_lab_place *place = slots_lab_add();

		place->sources[place->source_cnt++] = i ? i - 1 : 119;
	}
	slots_lab_all_up();
	slots_lab_pass(600 * NS_PER_S);
	CHECK(slots_lab_total(place_at(0)) > 60);
	before = question_cnt(0, 120);
	CHECK_EQ(search(place_at(0), true, nothing), 0);
	CHECK_EQ(found.err, WEFT_EABSENT);
	CHECK(found.question_cnt <= WORM_BURST_MAX);
	CHECK(question_cnt(1, 120) > 0);
	CHECK(question_cnt(0, 120) - before <= 3 * WORM_BURST_MAX);
	slots_lab_end();
}

/* A query from outside of the slots of from. */
static int query_send(struct slots_lab_place *from, struct slots_lab_place *to, uint8_t token,
		      const uint8_t *post)
{
	uint8_t bytes[WORM_QUERY_LEN_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct worm_query query = {.token = {token}, .kind = WORM_POST, .hops = 2, .budget = 101};

	memcpy(query.id, post, sizeof(query.id));
	social_worm_query_write(&w, &query);
	return slots_lab_send(from, to, MESH_WORM_QUERY, &w);
}

static void test_a_question_is_answered_once(void)
{
	static const uint8_t post[32] = {5};

	line_begin(3);
	place_at(2)->post = post;
	CHECK_EQ(query_send(place_at(0), place_at(1), 1, post), 0);
	CHECK(slots_lab_answer.is_found);
	CHECK_EQ(query_send(place_at(0), place_at(1), 1, post), 0);
	CHECK(!slots_lab_answer.is_found);
	CHECK_EQ(query_send(place_at(0), place_at(1), 2, post), 0);
	CHECK(slots_lab_answer.is_found);
	slots_lab_end();
}

/* --- searches that wait --- */

struct waiting {
	bool is_done;
	int err;
	uint8_t reply[WORM_ANSWER_LEN_MAX + MESH_FRAME_OVERHEAD];
};

static void on_waited(void *arg, const struct mesh_reply *reply, uint64_t now_ns)
{
	struct waiting *waiting = arg;

	(void)now_ns;
	waiting->is_done = true;
	waiting->err = reply->err;
}

static void query_begin(struct slots_lab_place *from, struct slots_lab_place *to, uint8_t token,
			const uint8_t *post, struct waiting *waiting)
{
	uint8_t bytes[WORM_QUERY_LEN_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct worm_query query = {.token = {token}, .kind = WORM_POST, .hops = 2, .budget = 101};
	struct mesh_ask ask = {.type = MESH_WORM_QUERY,
			       .payload = bytes,
			       .reply_buf = waiting->reply,
			       .reply_cap = sizeof(waiting->reply),
			       .timeout_ns = 30 * NS_PER_S,
			       .reply = on_waited,
			       .arg = waiting};
	struct mesh_request *request;

	memcpy(query.id, post, sizeof(query.id));
	social_worm_query_write(&w, &query);
	ask.payload_len = writer_len(&w);
	memcpy(ask.peer.key, to->node->key, MESH_KEY_LEN);
	CHECK_EQ(
		mesh_lab_seam_of(from->node).ops->ask(from->node, &ask, slots_lab.now_ns, &request),
		0);
}

/* The next hop is silent, and all places are taken. */
static void test_a_search_that_is_refused_may_be_asked_again(void)
{
	static struct waiting waitings[SLOTS_SEARCH_CAP + 1];
	static const uint8_t post[32] = {5};
	unsigned refused = 0, refused_cnt = 0;

	line_begin(3);
	memset(waitings, 0, sizeof(waitings));
	mesh_lab_down(place_at(2)->node);
	for (unsigned i = 0; i <= SLOTS_SEARCH_CAP; i++)
		query_begin(place_at(0), place_at(1), (uint8_t)(i + 1), post, &waitings[i]);
	slots_lab_pass(2 * NS_PER_S);
	for (unsigned i = 0; i <= SLOTS_SEARCH_CAP; i++)
		if (waitings[i].is_done) {
			CHECK_EQ(waitings[i].err, WEFT_EBUSY);
			refused = i;
			refused_cnt++;
		}
	CHECK_EQ(refused_cnt, 1);
	slots_lab_pass(30 * NS_PER_S);
	place_at(1)->post = post;
	CHECK_EQ(query_send(place_at(0), place_at(1), (uint8_t)(refused + 1), post), 0);
	CHECK(slots_lab_answer.is_found);
	/* Another one was answered. */
	CHECK_EQ(query_send(place_at(0), place_at(1), refused ? 1 : 2, post), 0);
	CHECK(!slots_lab_answer.is_found);
	slots_lab_end();
}

static void test_a_node_without_a_slot_finds_nothing(void)
{
	static const uint8_t post[32] = {5};
	struct slots_lab_place *outsider;

	line_begin(3);
	place_at(1)->post = post;
	outsider = slots_lab_add();
	mesh_lab_up(outsider->node);
	CHECK_EQ(query_send(outsider, place_at(1), 1, post), 0);
	CHECK(!slots_lab_answer.is_found);
	CHECK_EQ(slots_lab_stats(place_at(1)).question_cnt, 0);
	slots_lab_end();
}

static void test_a_blocked_node_finds_nothing(void)
{
	static const uint8_t post[32] = {5};

	line_begin(3);
	place_at(1)->post = post;
	place_at(1)->blocked = 0;
	CHECK_EQ(query_send(place_at(0), place_at(1), 1, post), 0);
	CHECK(!slots_lab_answer.is_found);
	slots_lab_end();
}

/* One peer asks on and on while the next hop is silent. */
static void test_a_node_has_eight_searches_of_its_own_and_no_ninth(void)
{
	static const uint8_t nothing[32] = {9};
	const struct slots_find find = {.is_post = true, .id = nothing, .done = on_found};

	line_begin(3);
	mesh_lab_down(place_at(1)->node);
	memset(&found, 0, sizeof(found));
	for (unsigned n = 0; n < SLOTS_SEARCH_OWN_MAX; n++)
		CHECK_EQ(social_slots_find(place_at(0)->slots, &find, slots_lab.now_ns), 0);
	CHECK_EQ(social_slots_find(place_at(0)->slots, &find, slots_lab.now_ns), WEFT_EFULL);
	CHECK_EQ(found.cnt, 0);
	place_at(0)->node->due_ns = 0;
	slots_lab_pass(30 * NS_PER_S);
	CHECK_EQ(found.cnt, SLOTS_SEARCH_OWN_MAX);
	CHECK_EQ(found.err, WEFT_EABSENT);
	slots_lab_end();
}

static void test_a_search_ends_with_its_node(void)
{
	static const uint8_t nothing[32] = {9};
	const struct slots_find find = {.is_post = true, .id = nothing, .done = on_found};

	line_begin(3);
	memset(&found, 0, sizeof(found));
	CHECK_EQ(social_slots_find(place_at(0)->slots, &find, slots_lab.now_ns), 0);
	CHECK_EQ(found.cnt, 0);
	slots_lab_down(place_at(0));
	CHECK_EQ(found.cnt, 1);
	CHECK_EQ(found.err, WEFT_EABSENT);
	slots_lab_end();
}

int main(void)
{
	RUN(test_a_post_is_found_three_hops_away_and_not_four);
	RUN(test_a_person_is_found_at_the_node_that_knows_it);
	RUN(test_a_search_asks_101_questions_for_each_hop_at_most);
	RUN(test_a_question_is_answered_once);
	RUN(test_a_search_that_is_refused_may_be_asked_again);
	RUN(test_a_node_without_a_slot_finds_nothing);
	RUN(test_a_blocked_node_finds_nothing);
	RUN(test_a_node_has_eight_searches_of_its_own_and_no_ninth);
	RUN(test_a_search_ends_with_its_node);
	return check_done();
}
