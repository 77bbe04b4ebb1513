/* SPDX-License-Identifier: Apache-2.0 */
/* What communities give unknown peers, and what liars can do to one. */
#include "communities_rig.h"

/* --- what unknown peers are told --- */

static struct mesh_lab_ask ask;
static uint8_t request[COMMUNITY_REQUEST_CAP];
static const unsigned questions[] = {MESH_ASK_COMMUNITY,    MESH_LIST_OWN_SHARES,
				     MESH_LIST_MEMBERS,	    MESH_LIST_COMMUNITY_SHARES,
				     MESH_SEARCH_COMMUNITY, MESH_ASK_EVENTS};
#define QUESTION_CNT (sizeof(questions) / sizeof(questions[0]))

static int ask_as(struct community_lab_node *asker, struct community_lab_node *of, unsigned type,
		  const struct community_request *fields)
{
	size_t len = community_lab_request(asker, id, fields, request);

	mesh_lab_ask(asker->mesh, of->mesh, type, request, len, &ask);
	return ask.reply.err;
}

static struct community_bytes record_make(const struct node_key *signer, const uint8_t *of,
					  uint64_t time_s, const uint8_t *token, size_t token_len)
{
	static uint8_t record[COMMUNITY_MEMBER_LEN_MAX];
	struct community_member member = {.seq = 1, .is_joined = true, .time_s = time_s};
	struct writer w = writer_of(record, sizeof(record));

	memcpy(member.id, of, sizeof(member.id));
	if (token_len) {
		member.token = token;
		member.token_len = token_len;
	}
	community_member_write(&w, signer, &member);
	return (struct community_bytes){record, writer_len(&w)};
}

static void test_unknown_peers_hear_of_no_community(void)
{
	struct community_lab_node *a, *b, *s;
	struct community_request fields = {.words = "maps", .words_len = 4};
	uint8_t token[COMMUNITY_TOKEN_LEN_MAX], real[COMMUNITY_ID_LEN];
	uint64_t wall_s;
	size_t len;

	community_lab_init(&lab, 12, 3);
	a = node_up(false), b = node_up(false), s = node_up(false);
	CHECK_EQ(community_lab_create(a, "club", true, id), 0);
	CHECK(!community_lab_run(&lab, MINUTES(1), NULL, NULL));
	wall_s = community_lab_wall_s(&lab);
	for (unsigned i = 0; i < QUESTION_CNT; i++) {
		/* Without a token; with another's record; with a token of another community. */
		CHECK_EQ(ask_as(s, a, questions[i], &fields), WEFT_EABSENT);
		fields.record = record_make(b->key, id, wall_s, NULL, 0);
		CHECK_EQ(ask_as(s, a, questions[i], &fields), WEFT_EABSENT);
		len = token_for(a, s, 3600, token);
		token[len - 1] ^= 1;
		fields.record = record_make(s->key, id, wall_s, token, len);
		CHECK_EQ(ask_as(s, a, questions[i], &fields), WEFT_EABSENT);
		/* And the same words for what was never joined. */
		fields.record = (struct community_bytes){0};
		memcpy(real, id, sizeof(id));
		id[0] ^= 1;
		CHECK_EQ(ask_as(s, a, questions[i], &fields), WEFT_EABSENT);
		memcpy(id, real, sizeof(id));
		/* A token of it that has expired is told so; one that is valid is answered. */
		len = token_for(a, s, 1, token);
		CHECK(!community_lab_run(&lab, 3 * NS_PER_S, NULL, NULL));
		fields.record = record_make(s->key, id, wall_s, token, len);
		CHECK_EQ(ask_as(s, a, questions[i], &fields), WEFT_EREFUSED);
		len = token_for(a, s, 3600, token);
		fields.record = record_make(s->key, id, wall_s, token, len);
		CHECK_EQ(ask_as(s, a, questions[i], &fields), 0);
		fields.record = (struct community_bytes){0};
	}
	CHECK(community_lab_knows(a, id, s));
	community_lab_fini(&lab);
}

static void test_open_communities_answer_every_node_that_claims_membership(void)
{
	struct community_lab_node *a, *s;
	struct community_request fields = {0};

	community_lab_init(&lab, 13, 2);
	a = node_up(false), s = node_up(false);
	CHECK_EQ(community_lab_create(a, "open", false, id), 0);
	CHECK(!community_lab_run(&lab, MINUTES(1), NULL, NULL));
	CHECK_EQ(ask_as(s, a, MESH_LIST_MEMBERS, &fields), 0);
	/* By which it is one: it is listed. */
	CHECK(!community_lab_run(&lab, NS_PER_S, NULL, NULL));
	CHECK(community_lab_knows(a, id, s));
	/* In an open community, too, a record is the asker's own, signed, and young. */
	fields.record = record_make(a->key, id, community_lab_wall_s(&lab), NULL, 0);
	CHECK_EQ(ask_as(s, a, MESH_LIST_MEMBERS, &fields), WEFT_EABSENT);
	fields.record =
		record_make(s->key, id, community_lab_wall_s(&lab) + COMMUNITY_SKEW_S + 9, NULL, 0);
	CHECK_EQ(ask_as(s, a, MESH_LIST_MEMBERS, &fields), WEFT_EABSENT);
	fields.record = record_make(s->key, id,
				    community_lab_wall_s(&lab) - COMMUNITY_RECORD_LIFE_S, NULL, 0);
	CHECK_EQ(ask_as(s, a, MESH_LIST_MEMBERS, &fields), WEFT_EABSENT);
	community_lab_fini(&lab);
}

/* mesh_lab ends the program where a request is spoken of that was answered. */
static void test_a_search_that_was_answered_is_forgotten(void)
{
	struct community_lab_node *a, *s;
	struct community_request fields = {.words = "maps", .words_len = 4};

	community_lab_init(&lab, 19, 2);
	a = node_up(false), s = node_up(false);
	CHECK_EQ(community_lab_create(a, "open", false, id), 0);
	CHECK(!community_lab_run(&lab, MINUTES(1), NULL, NULL));
	CHECK_EQ(ask_as(s, a, MESH_SEARCH_COMMUNITY, &fields), 0);
	community_lab_stop(a);
	community_lab_fini(&lab);
}

/* One holds as many answers as one may; others are answered, also what they search. */
static void test_one_that_acknowledges_nothing_leaves_others_their_answers(void)
{
	struct community_lab_node *a, *silent, *s;
	struct community_request words = {.words = "maps", .words_len = 4}, fields = {0};

	community_lab_init(&lab, 23, 3);
	a = node_up(false), silent = node_up(false), s = node_up(false);
	CHECK_EQ(community_lab_create(a, "open", false, id), 0);
	CHECK(!community_lab_run(&lab, MINUTES(1), NULL, NULL));
	a->mesh->is_unacknowledged = true;
	for (unsigned i = 0; i < 4; i++)
		CHECK_EQ(ask_as(silent, a, MESH_SEARCH_COMMUNITY, &words), 0);
	CHECK_EQ(ask_as(silent, a, MESH_SEARCH_COMMUNITY, &words), WEFT_EBUSY);
	CHECK_EQ(ask_as(silent, a, MESH_LIST_MEMBERS, &fields), WEFT_EBUSY);
	CHECK_EQ(ask_as(s, a, MESH_SEARCH_COMMUNITY, &words), 0);
	CHECK_EQ(ask_as(s, a, MESH_LIST_MEMBERS, &fields), 0);
	mesh_lab_acknowledge(a->mesh);
	CHECK_EQ(ask_as(silent, a, MESH_LIST_MEMBERS, &fields), 0);
	community_lab_fini(&lab);
}

static void test_forged_and_old_cursors_are_refused(void)
{
	struct community_lab_node *a, *s, *t;
	uint8_t cursor[COMMUNITY_CURSOR_LEN];
	struct community_request fields = {0};
	struct community_state state;

	community_lab_init(&lab, 14, 3);
	a = node_up(false), s = node_up(false), t = node_up(false);
	CHECK_EQ(community_lab_create(a, "open", false, id), 0);
	CHECK(!community_lab_run(&lab, MINUTES(1), NULL, NULL));
	CHECK_EQ(ask_as(s, a, MESH_ASK_COMMUNITY, &fields), 0);
	CHECK_EQ(community_state_parse(ask.reply.payload, ask.reply.payload_len, &state), 0);
	CHECK_EQ(state.cursor.len, COMMUNITY_CURSOR_LEN);
	memcpy(cursor, state.cursor.data, sizeof(cursor));
	fields.cursor = (struct community_bytes){cursor, sizeof(cursor)};
	CHECK_EQ(ask_as(s, a, MESH_ASK_EVENTS, &fields), 0);
	/* One bit, another question, another asker, another length, and a week later. */
	cursor[17] ^= 1;
	CHECK_EQ(ask_as(s, a, MESH_ASK_EVENTS, &fields), WEFT_EMALFORMED);
	cursor[17] ^= 1;
	CHECK_EQ(ask_as(s, a, MESH_LIST_MEMBERS, &fields), WEFT_EMALFORMED);
	CHECK_EQ(ask_as(t, a, MESH_ASK_EVENTS, &fields), WEFT_EMALFORMED);
	fields.cursor.len--;
	CHECK_EQ(ask_as(s, a, MESH_ASK_EVENTS, &fields), WEFT_EMALFORMED);
	fields.cursor.len++;
	lab.skew_s = COMMUNITY_EVENTS_LIFE_S;
	CHECK_EQ(ask_as(s, a, MESH_ASK_EVENTS, &fields), WEFT_ECHANGED);
	community_lab_fini(&lab);
}

static void test_one_request_a_minute_too_many_is_refused(void)
{
	struct community_lab_node *a, *s, *t;
	struct community_request fields = {0};

	community_lab_init(&lab, 15, 3);
	a = community_lab_add(&lab);
	a->config.requests_per_min = 5;
	community_lab_start(a);
	s = node_up(false), t = node_up(false);
	CHECK_EQ(community_lab_create(a, "open", false, id), 0);
	CHECK(!community_lab_run(&lab, MINUTES(1), NULL, NULL));
	for (unsigned i = 0; i < 5; i++)
		CHECK_EQ(ask_as(s, a, MESH_LIST_MEMBERS, &fields), 0);
	CHECK_EQ(ask_as(s, a, MESH_LIST_MEMBERS, &fields), WEFT_EREFUSED);
	/* The limit is each peer's own. */
	for (unsigned i = 0; i < 5; i++)
		CHECK_EQ(ask_as(t, a, MESH_LIST_MEMBERS, &fields), 0);
	CHECK_EQ(ask_as(t, a, MESH_LIST_MEMBERS, &fields), WEFT_EREFUSED);
	CHECK_EQ(ask_as(s, a, MESH_LIST_MEMBERS, &fields), WEFT_EREFUSED);
	CHECK(!community_lab_run(&lab, MINUTES(1), NULL, NULL));
	CHECK_EQ(ask_as(s, a, MESH_LIST_MEMBERS, &fields), 0);
	community_lab_fini(&lab);
}

/* --- liars --- */

struct liar {
	struct community_lab_node *node;
	bool is_forging; /* else its inventions are signed by the invented */
	bool is_endless; /* it invents no member: each page is its own record once more */
	unsigned asked_cnt;
	uint64_t began_ns, longest_ns; /* from a question for its state to the last for a page */
};

static void liar_answer(struct mesh_incoming *incoming, struct liar *liar, unsigned type,
			const uint8_t *bytes, size_t len)
{
	struct transport_span span = {.data = bytes, .len = len};

	if (mesh_lab_seam_of(liar->node->mesh).ops->answer(incoming, type, NULL, 0, &span) < 0)
		abort();
}

static void liar_state(void *ctx, const struct mesh_call *call, uint64_t now_ns)
{
	static uint8_t bytes[COMMUNITY_STATE_CAP];
	struct liar *liar = ctx;
	struct writer w = writer_of(bytes, sizeof(bytes));
	uint8_t cursor[COMMUNITY_CURSOR_LEN] = {1};
	struct community_state state = {
		.record = record_make(liar->node->key, id, community_lab_wall_s(&lab), NULL, 0),
		.member_cnt = 1000000,
		.cursor = {cursor, sizeof(cursor)},
	};

	liar->asked_cnt++;
	liar->began_ns = now_ns;
	memset(&state.members, 0x77, sizeof(state.members));
	community_state_write(&w, &state);
	liar_answer(call->incoming, liar, MESH_COMMUNITY_STATE, bytes, writer_len(&w));
}

/* Ten members that are not there, and always more. */
static void liar_members(void *ctx, const struct mesh_call *call, uint64_t now_ns)
{
	static uint8_t bytes[COMMUNITY_PAGE_LEN_MAX], records[10][COMMUNITY_MEMBER_LEN_MAX];
	static uint32_t next;
	struct liar *liar = ctx;
	struct writer w = writer_of(bytes, sizeof(bytes));
	uint8_t cursor[COMMUNITY_CURSOR_LEN] = {2};
	struct community_page page = {.cursor = {cursor, sizeof(cursor)}, .has_more = true};

	liar->asked_cnt++;
	if (now_ns - liar->began_ns > liar->longest_ns)
		liar->longest_ns = now_ns - liar->began_ns;
	if (liar->is_endless)
		page.members[page.member_cnt++] =
			record_make(liar->node->key, id, community_lab_wall_s(&lab), NULL, 0);
	for (unsigned i = 0; i < 10 && !liar->is_endless; i++) {
		const uint8_t seed[NODE_KEY_SEED_LEN] = {
			0xee, (uint8_t)++next, (uint8_t)(next >> 8), (uint8_t)(next >> 16)};
		struct community_bytes record;
		struct node_key *key;

		if (node_key_from_seed(seed, &key) < 0)
			abort();
		record = record_make(key, id, community_lab_wall_s(&lab), NULL, 0);
		node_key_free(key);
		memcpy(records[i], record.data, record.len);
		if (liar->is_forging)
			records[i][record.len - 1] ^= 1;
		page.members[page.member_cnt++] = (struct community_bytes){records[i], record.len};
	}
	community_page_write(&w, &page);
	liar_answer(call->incoming, liar, MESH_MEMBERS, bytes, writer_len(&w));
}

static struct liar liar_up(bool is_forging)
{
	struct liar liar = {.node = community_lab_add(&lab), .is_forging = is_forging};

	mesh_lab_up(liar.node->mesh);
	return liar;
}

static void liar_listen(struct liar *liar)
{
	struct mesh_seam seam = mesh_lab_seam_of(liar->node->mesh);

	if (seam.ops->handle(seam.mesh, MESH_ASK_COMMUNITY, liar_state, liar) < 0 ||
	    seam.ops->handle(seam.mesh, MESH_LIST_MEMBERS, liar_members, liar) < 0)
		abort();
}

static struct link link_to(const struct liar *liar, struct community_lab_node *a)
{
	struct link link = link_of(a, id);

	memcpy(link.nodes[0].key, node_key_public(liar->node->key), 32);
	link.nodes[0].places.addrs[0] = liar->node->mesh->addr;
	return link;
}

static void test_unsigned_members_are_refused(void)
{
	struct community_lab_node *a, *b;
	struct community_stats stats;
	struct liar liar;
	struct link link;

	community_lab_init(&lab, 16, 3);
	a = node_up(false), b = node_up(false);
	liar = liar_up(true);
	liar_listen(&liar);
	CHECK_EQ(community_lab_create(a, "open", false, id), 0);
	link = link_to(&liar, a);
	CHECK_EQ(community_lab_join(b, "open", &link, NULL, 0), 0);
	CHECK(!community_lab_run(&lab, MINUTES(3), NULL, NULL));
	CHECK(liar.asked_cnt >= 2);
	communities_stats(b->communities, &stats);
	CHECK(stats.reasons[COMMUNITY_BAD_SIGNATURE] >= 10);
	CHECK(community_lab_info(b, id).member_cnt <= 2); /* a, and b itself */
	CHECK_EQ(community_lab_info(b, id).member_row_cnt, community_lab_info(b, id).member_cnt);
	community_lab_fini(&lab);
}

/* There would be more for as long as pages are asked for; others are to have their turn. */
static void test_one_that_comes_to_no_end_is_left_after_five_minutes(void)
{
	struct community_lab_node *a, *b;
	struct liar liar;
	struct link link;

	community_lab_init(&lab, 24, 3);
	a = node_up(false);
	b = community_lab_add(&lab);
	b->config.share_cap = 200000; /* so many pages may be there */
	community_lab_start(b);
	liar = liar_up(false);
	liar.is_endless = true;
	liar_listen(&liar);
	CHECK_EQ(community_lab_create(a, "open", false, id), 0);
	link = link_to(&liar, a);
	CHECK_EQ(community_lab_join(b, "open", &link, NULL, 0), 0);
	CHECK(!community_lab_run(&lab, MINUTES(30), NULL, NULL));
	CHECK(liar.longest_ns >= MINUTES(4));
	CHECK(liar.longest_ns <= MINUTES(5) + 30 * NS_PER_S);
	CHECK(community_lab_knows(b, id, a));
	community_lab_fini(&lab);
}

/* Keys cost nothing: in an open community a liar can invent members, up to the cap and no more. */
static void test_invented_members_are_bounded(void)
{
	struct community_lab_node *a, *b;
	struct community_stats stats;
	struct liar liar;
	struct link link;

	community_lab_init(&lab, 17, 3);
	a = node_up(false);
	b = community_lab_add(&lab);
	b->config.member_cap = 100;
	community_lab_start(b);
	liar = liar_up(false);
	liar_listen(&liar);
	CHECK_EQ(community_lab_create(a, "open", false, id), 0);
	link = link_to(&liar, a);
	CHECK_EQ(community_lab_join(b, "open", &link, NULL, 0), 0);
	CHECK(!community_lab_run(&lab, MINUTES(3), NULL, NULL));
	CHECK_EQ(community_lab_info(b, id).member_row_cnt, 100);
	communities_stats(b->communities, &stats);
	CHECK(stats.reasons[COMMUNITY_MEMBERS_FULL] > 0);
	community_lab_fini(&lab);
}

static void test_invented_members_do_not_get_into_a_strict_community(void)
{
	struct community_lab_node *a, *b;
	uint8_t token[COMMUNITY_TOKEN_LEN_MAX];
	struct liar liar;
	struct link link;
	size_t len;

	community_lab_init(&lab, 18, 3);
	a = node_up(false), b = node_up(false);
	liar = liar_up(false);
	liar_listen(&liar);
	CHECK_EQ(community_lab_create(a, "club", true, id), 0);
	link = link_to(&liar, a);
	len = token_for(a, b, 3600, token);
	CHECK_EQ(community_lab_join(b, "club", &link, token, len), 0);
	CHECK(!community_lab_run(&lab, MINUTES(3), NULL, NULL));
	CHECK(liar.asked_cnt >= 1);
	CHECK(community_lab_info(b, id).member_row_cnt <= 2);
	community_lab_fini(&lab);
}

int main(void)
{
	RUN(test_unknown_peers_hear_of_no_community);
	RUN(test_open_communities_answer_every_node_that_claims_membership);
	RUN(test_a_search_that_was_answered_is_forgotten);
	RUN(test_one_that_acknowledges_nothing_leaves_others_their_answers);
	RUN(test_forged_and_old_cursors_are_refused);
	RUN(test_one_request_a_minute_too_many_is_refused);
	RUN(test_unsigned_members_are_refused);
	RUN(test_one_that_comes_to_no_end_is_left_after_five_minutes);
	RUN(test_invented_members_are_bounded);
	RUN(test_invented_members_do_not_get_into_a_strict_community);
	return check_done();
}
