/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/fair/fair_path.h"
#include "base/monotonic.h"
#include "social/anchors/social_anchors.h"
#include "social/routes/anchor_message.h"
#include "support/check.h"
#include "support/social_lab.h"

/* One anchor, whose handlers the test calls as the mesh would, for askers at any address. */
static struct social_lab lab;
static struct social_routes *routes;
static struct social_anchors *anchors;
static struct mesh_ops ops;
static struct {
	mesh_handler_fn fn;
	void *ctx;
} handlers[2];
static struct addr asker_at;
static bool may_tell_all, is_placed;		     /* the anchor may say where it is */
static uint8_t named_record[SOCIAL_ADDRESS_LEN_MAX]; /* of node 1, which is named to node 2 */
static size_t named_len;

static struct {
	unsigned type; /* 0: an error */
	enum mesh_code code;
	uint64_t wait_ms;
	uint8_t bytes[ANCHOR_ANSWER_LEN_MAX];
	size_t len;
} answer;

static int on_handle(struct mesh *mesh, unsigned type, mesh_handler_fn fn, void *ctx)
{
	(void)mesh;
	handlers[type == MESH_CHECK_IN].fn = fn;
	handlers[type == MESH_CHECK_IN].ctx = ctx;
	return 0;
}

static int on_answer(struct mesh_incoming *incoming, unsigned type, const void *head, size_t len,
		     const struct transport_span *tail)
{
	(void)incoming, (void)tail;
	answer.type = type;
	answer.len = len;
	memcpy(answer.bytes, head, len);
	return 0;
}

static void on_answer_error(struct mesh_incoming *incoming, enum mesh_code code, const char *text,
			    uint64_t wait_ms)
{
	(void)incoming, (void)text;
	answer.type = 0;
	answer.code = code;
	answer.wait_ms = wait_ms;
}

static void on_asker_path(const struct mesh_incoming *incoming, struct fair_path *out)
{
	static const struct fair_paths paths = {.secret = {1, 2}};

	(void)incoming;
	fair_path_of_addr(&paths, &asker_at, FAIR_UNKNOWN, out);
	fair_path_add(&paths, out, &asker_at.port, sizeof(asker_at.port));
}

static enum social_tier tier_of(void *ctx, const uint8_t *key)
{
	(void)ctx, (void)key;
	return SOCIAL_TIER_FOLLOW;
}

static void places(void *ctx, struct peer_places *out_places)
{
	(void)ctx;
	*out_places = (struct peer_places){
		.addrs = {{.family = ADDR_IPV4, .ip = {40, 1, 1, 9}, .port = 9}},
		.addr_cnt = is_placed};
}

static bool may_tell(void *ctx, const uint8_t *asker, const uint8_t *key)
{
	(void)ctx, (void)asker, (void)key;
	return may_tell_all;
}

static size_t named(void *ctx, const uint8_t *asker, const uint8_t *key,
		    uint8_t out[static SOCIAL_ADDRESS_LEN_MAX])
{
	(void)ctx;
	if (memcmp(asker, social_lab_key(&lab, 2), NODE_KEY_LEN) != 0 ||
	    memcmp(key, social_lab_key(&lab, 1), NODE_KEY_LEN) != 0)
		return 0;
	memcpy(out, named_record, named_len);
	return named_len;
}

static void begin(enum anchor_role role)
{
	struct social_routes_params routes_params = {.tier_of = tier_of};
	struct social_anchors_params params = {
		.places = places, .may_tell = may_tell, .named = named};

	may_tell_all = false;
	named_len = 0;
	social_lab_init(&lab, 3);
	ops = *lab.nodes[0].ground.mesh.ops;
	ops.handle = on_handle;
	ops.answer = on_answer;
	ops.answer_error = on_answer_error;
	ops.asker_path = on_asker_path;
	lab.nodes[0].ground.mesh.ops = &ops;
	routes_params.ground = params.ground = &lab.nodes[0].ground;
	CHECK_EQ(social_routes_open(&routes_params, &routes), 0);
	social_anchors_config_defaults(&params.config);
	params.config.role = role;
	params.routes = routes;
	CHECK_EQ(social_anchors_open(&params, &anchors), 0);
	asker_at = (struct addr){.family = ADDR_IPV4, .ip = {30, 1, 1, 1}, .port = 7000};
}

static void end(void)
{
	social_anchors_close(anchors);
	social_routes_close(routes);
	social_lab_fini(&lab);
}

static struct social_anchors_stats stats(void)
{
	struct social_anchors_stats out;

	social_anchors_stats(anchors, &out);
	return out;
}

static uint64_t wall_ms(void)
{
	return social_wall_ms(&lab.nodes[0].ground);
}

static void call(unsigned type, const uint8_t *asker, const uint8_t *payload, size_t len)
{
	const struct mesh_call ask = {
		.peer_key = asker, .type = type, .payload = payload, .payload_len = len};
	const unsigned idx = type == MESH_CHECK_IN;

	handlers[idx].fn(handlers[idx].ctx, &ask, lab.mesh.now_ns);
}

/* The record of signer, which asker leaves. */
static void check_in_as(const uint8_t *asker, const struct node_key *signer, uint64_t time_ms)
{
	const struct social_address address = {
		.time_ms = time_ms,
		.places = {.addrs = {{.family = ADDR_IPV4, .ip = {40, 1, 1, 1}, .port = 1}},
			   .addr_cnt = 1}};
	uint8_t record[SOCIAL_ADDRESS_LEN_MAX], payload[SOCIAL_ADDRESS_LEN_MAX + 16];
	struct writer r = writer_of(record, sizeof(record)),
		      w = writer_of(payload, sizeof(payload));

	social_address_write(&r, &address, signer);
	social_check_in_write(&w, &(struct check_in){record, writer_len(&r)});
	call(MESH_CHECK_IN, asker, payload, writer_len(&w));
}

static void check_in(unsigned idx, uint64_t time_ms)
{
	check_in_as(social_lab_key(&lab, idx), lab.nodes[idx].key, time_ms);
}

/* Asks for key; an answer that is none has an age that no answer has. */
static struct anchor_answer query(const uint8_t *asker, const uint8_t *key)
{
	struct anchor_answer out = {.record = NULL};
	uint8_t payload[ANCHOR_QUERY_LEN_MAX];
	struct writer w = writer_of(payload, sizeof(payload));

	social_anchor_query_write(&w, key);
	call(MESH_ANCHOR_QUERY, asker, payload, writer_len(&w));
	if (answer.type != MESH_ANCHOR_ANSWER ||
	    social_anchor_answer_parse(answer.bytes, answer.len, &out) < 0)
		out.age_s = UINT64_MAX;
	return out;
}

static void test_an_anchor_tells_the_record_and_its_age_and_then_forgets(void)
{
	struct anchor_answer heard;
	struct check_in_answer taken;
	struct social_address address;

	begin(ANCHOR_ROLE_YES);
	is_placed = true;
	check_in(1, wall_ms());
	is_placed = false;
	CHECK_EQ(answer.type, MESH_CHECK_IN);
	CHECK_EQ(social_check_in_answer_parse(answer.bytes, answer.len, &taken), 0);
	CHECK_EQ(taken.keep_s, 24 * 3600);
	/* Where the anchor is, signed by itself, for its people's profiles. */
	CHECK(taken.record);
	CHECK_EQ(social_address_read(taken.record, taken.record_len, &address), 0);
	CHECK_MEM(address.node, social_lab_key(&lab, 0), NODE_KEY_LEN);
	social_lab_pass(&lab, 3600 * NS_PER_S);
	heard = query(social_lab_key(&lab, 2), social_lab_key(&lab, 1));
	CHECK(heard.record);
	CHECK_EQ(heard.age_s, 3600);
	CHECK_EQ(social_address_read(heard.record, heard.record_len, &address), 0);
	CHECK_MEM(address.node, social_lab_key(&lab, 1), NODE_KEY_LEN);
	social_lab_pass(&lab, (23 * 3600 - 1) * NS_PER_S);
	CHECK(query(social_lab_key(&lab, 2), social_lab_key(&lab, 1)).record);
	social_lab_pass(&lab, NS_PER_S);
	heard = query(social_lab_key(&lab, 2), social_lab_key(&lab, 1));
	CHECK(!heard.record);
	CHECK_EQ(heard.age_s, 0);
	CHECK_EQ(stats().expired_cnt, 1);
	CHECK_EQ(stats().held_cnt, 0);
	end();
}

static void test_a_check_in_is_of_the_peer_alone(void)
{
	begin(ANCHOR_ROLE_YES);
	check_in_as(social_lab_key(&lab, 2), lab.nodes[1].key, wall_ms());
	CHECK_EQ(answer.code, MESH_CODE_MALFORMED);
	check_in(1, wall_ms() + SOCIAL_ROUTE_AHEAD_MS + 1);
	CHECK_EQ(answer.code, MESH_CODE_MALFORMED);
	call(MESH_CHECK_IN, social_lab_key(&lab, 1), (const uint8_t *)"", 0);
	CHECK_EQ(answer.code, MESH_CODE_MALFORMED);
	call(MESH_ANCHOR_QUERY, social_lab_key(&lab, 1), (const uint8_t *)"x", 1);
	CHECK_EQ(answer.code, MESH_CODE_MALFORMED);
	CHECK_EQ(stats().malformed_cnt, 4);
	CHECK_EQ(stats().held_cnt, 0);
	end();
}

static void test_an_older_record_does_not_replace_a_newer_one(void)
{
	struct social_address address;
	struct anchor_answer heard;

	begin(ANCHOR_ROLE_YES);
	check_in(1, 6000);
	check_in(1, 5000);
	CHECK_EQ(answer.type, MESH_CHECK_IN);
	heard = query(social_lab_key(&lab, 2), social_lab_key(&lab, 1));
	CHECK_EQ(social_address_read(heard.record, heard.record_len, &address), 0);
	CHECK_EQ(address.time_ms, 6000);
	CHECK_EQ(stats().held_cnt, 1);
	end();
}

static void test_a_node_is_an_anchor_while_others_can_dial_it(void)
{
	begin(ANCHOR_ROLE_AUTO);
	CHECK_EQ(lab.nodes[0].mesh->caps & MESH_CAP_ANCHOR, 0);
	check_in(1, wall_ms());
	CHECK_EQ(answer.type, 0);
	CHECK_EQ(answer.code, MESH_CODE_REFUSED);
	social_anchors_set_direct(anchors, true);
	CHECK(lab.nodes[0].mesh->caps & MESH_CAP_ANCHOR);
	check_in(1, wall_ms());
	CHECK_EQ(answer.type, MESH_CHECK_IN);
	social_anchors_set_direct(anchors, false);
	CHECK_EQ(lab.nodes[0].mesh->caps & MESH_CAP_ANCHOR, 0);
	end();
	begin(ANCHOR_ROLE_NO);
	social_anchors_set_direct(anchors, true);
	CHECK_EQ(lab.nodes[0].mesh->caps & MESH_CAP_ANCHOR, 0);
	end();
}

/* A node that is no anchor has no record of others but those of its routes. */
static void test_a_route_is_shown_to_peers_that_may_see_it(void)
{
	struct social_address said = {.places.addr_cnt = 0};
	uint8_t bytes[SOCIAL_ADDRESS_LEN_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct social_record record = {.bytes = bytes};
	struct social_address address;

	begin(ANCHOR_ROLE_NO);
	said.time_ms = wall_ms();
	social_address_write(&w, &said, lab.nodes[1].key);
	record.len = writer_len(&w);
	CHECK_EQ(social_route_take_record(routes, &record, &address, lab.mesh.now_ns), 0);
	CHECK(!query(social_lab_key(&lab, 2), social_lab_key(&lab, 1)).record);
	may_tell_all = true;
	CHECK(query(social_lab_key(&lab, 2), social_lab_key(&lab, 1)).record);
	end();
}

static void test_one_question_too_many_within_a_minute_is_refused(void)
{
	begin(ANCHOR_ROLE_YES);
	for (unsigned i = 0; i < ANCHOR_QUERIES_PER_MIN; i++)
		CHECK_EQ(query(social_lab_key(&lab, 2), social_lab_key(&lab, 1)).age_s, 0);
	(void)query(social_lab_key(&lab, 2), social_lab_key(&lab, 1));
	CHECK_EQ(answer.type, 0);
	CHECK_EQ(answer.code, MESH_CODE_REFUSED);
	CHECK(answer.wait_ms > 0);
	/* Another peer asks on, and checks in. */
	CHECK_EQ(query(social_lab_key(&lab, 1), social_lab_key(&lab, 2)).age_s, 0);
	for (unsigned i = 0; i <= ANCHOR_CHECK_INS_PER_MIN; i++)
		check_in(1, wall_ms());
	CHECK_EQ(answer.type, 0);
	CHECK_EQ(stats().check_in_cnt, ANCHOR_CHECK_INS_PER_MIN);
	end();
}

static struct node_key *key_of(uint32_t number)
{
	uint8_t seed[NODE_KEY_SEED_LEN] = {200};
	struct node_key *key;

	memcpy(seed + 1, &number, sizeof(number));
	return node_key_from_seed(seed, &key) < 0 ? NULL : key;
}

static void check_in_of(uint32_t number)
{
	struct node_key *key = key_of(number);

	check_in_as(node_key_public(key), key, wall_ms());
	node_key_free(key);
}

static void test_a_flood_of_keys_takes_no_place_of_another_network(void)
{
	begin(ANCHOR_ROLE_YES);
	check_in(1, wall_ms());
	asker_at.ip[0] = 66;
	for (uint32_t i = 0; i < ANCHOR_CHECK_INS_CAP - 1; i++) {
		asker_at.port = (uint16_t)i;
		check_in_of(i);
	}
	CHECK_EQ(stats().held_cnt, ANCHOR_CHECK_INS_CAP);
	/* One more of the same network is refused, and one of a third has its place. */
	check_in_of(999999);
	CHECK_EQ(answer.type, 0);
	CHECK_EQ(answer.code, MESH_CODE_REFUSED);
	asker_at.ip[0] = 77;
	check_in(2, wall_ms());
	CHECK_EQ(answer.type, MESH_CHECK_IN);
	CHECK_EQ(stats().evicted_cnt, 1);
	CHECK(query(social_lab_key(&lab, 2), social_lab_key(&lab, 1)).record);
	end();
}

static void test_every_message_is_refused_when_it_is_cut(void)
{
	static const uint8_t record[SOCIAL_ADDRESS_LEN_MAX + 1] = {1};
	uint8_t bytes[ANCHOR_ANSWER_LEN_MAX + 16], key[NODE_KEY_LEN];
	struct anchor_answer heard;
	struct check_in said;
	struct writer w = writer_of(bytes, sizeof(bytes));
	size_t len;

	social_anchor_answer_write(&w, &(struct anchor_answer){record, SOCIAL_ADDRESS_LEN_MAX, 77});
	len = writer_len(&w);
	CHECK(len <= ANCHOR_ANSWER_LEN_MAX);
	CHECK_EQ(social_anchor_answer_parse(bytes, len, &heard), 0);
	CHECK_EQ(heard.record_len, SOCIAL_ADDRESS_LEN_MAX);
	CHECK_EQ(heard.age_s, 77);
	for (size_t cut = 0; cut < len; cut++)
		CHECK_EQ(social_anchor_answer_parse(bytes, cut, &heard), WEFT_EMALFORMED);
	w = writer_of(bytes, sizeof(bytes));
	social_anchor_answer_write(&w,
				   &(struct anchor_answer){record, SOCIAL_ADDRESS_LEN_MAX + 1, 0});
	CHECK_EQ(social_anchor_answer_parse(bytes, writer_len(&w), &heard), WEFT_EMALFORMED);
	w = writer_of(bytes, sizeof(bytes));
	social_check_in_write(&w, &(struct check_in){record, 5});
	CHECK_EQ(social_check_in_parse(bytes, writer_len(&w), &said), 0);
	CHECK_EQ(said.record_len, 5);
	for (size_t cut = 0; cut < writer_len(&w); cut++)
		CHECK_EQ(social_check_in_parse(bytes, cut, &said), WEFT_EMALFORMED);
	w = writer_of(bytes, sizeof(bytes));
	social_anchor_query_write(&w, record);
	CHECK_EQ(social_anchor_query_parse(bytes, writer_len(&w), key), 0);
	CHECK_MEM(key, record, sizeof(key));
	for (size_t cut = 0; cut < writer_len(&w); cut++)
		CHECK_EQ(social_anchor_query_parse(bytes, cut, key), WEFT_EMALFORMED);
}

static void test_a_reporter_says_where_a_node_is_that_it_named(void)
{
	const struct social_address address = {
		.places = {.addrs = {{.family = ADDR_IPV4, .ip = {40, 1, 1, 1}, .port = 1}},
			   .addr_cnt = 1}};
	struct social_address said = address;
	struct writer w = writer_of(named_record, sizeof(named_record));
	struct anchor_answer heard;

	begin(ANCHOR_ROLE_NO);
	said.time_ms = wall_ms() - 7000;
	social_address_write(&w, &said, lab.nodes[1].key);
	named_len = writer_len(&w);
	heard = query(social_lab_key(&lab, 2), social_lab_key(&lab, 1));
	CHECK_EQ(heard.record_len, named_len);
	CHECK_EQ(heard.age_s, 7);
	/* No other asker hears of it, and nothing of another node. */
	CHECK(!query(social_lab_key(&lab, 1), social_lab_key(&lab, 1)).record);
	CHECK(!query(social_lab_key(&lab, 2), social_lab_key(&lab, 0)).record);
	end();
}

int main(void)
{
	RUN(test_a_reporter_says_where_a_node_is_that_it_named);
	RUN(test_an_anchor_tells_the_record_and_its_age_and_then_forgets);
	RUN(test_a_check_in_is_of_the_peer_alone);
	RUN(test_an_older_record_does_not_replace_a_newer_one);
	RUN(test_a_node_is_an_anchor_while_others_can_dial_it);
	RUN(test_a_route_is_shown_to_peers_that_may_see_it);
	RUN(test_one_question_too_many_within_a_minute_is_refused);
	RUN(test_a_flood_of_keys_takes_no_place_of_another_network);
	RUN(test_every_message_is_refused_when_it_is_cut);
	return check_done();
}
