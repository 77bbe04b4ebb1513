/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/monotonic.h"
#include "social/anchors/social_anchors.h"
#include "social/routes/social_search.h"
#include "support/check.h"
#include "support/social_lab.h"

/*
 * Node ME looks for the node of PERSON. Each other node is one helper of one stage, and may be down. So a
 * test lets a single stage succeed, and sees which nodes were asked on the way there.
 */
enum { ME, PERSON, THEIR_ANCHOR, CONTACT, CONTACT_ANCHOR, OWN_ANCHOR, LAST_RESORT, NODE_CNT };

struct party {
	struct social_routes *routes;
	struct social_anchors *anchors;
};

static struct social_lab lab;
static struct party parties[NODE_CNT];
static struct social_searches *searches;
static bool is_private, is_on_lan;
static unsigned done_cnt, stepped_cnt;
static struct social_found found;
static struct social_step steps[SOCIAL_STAGE_CNT];

static const uint8_t *key(unsigned idx)
{
	return social_lab_key(&lab, idx);
}

/* --- what people say --- */

static enum social_tier tier_of(void *ctx, const uint8_t *of)
{
	if (ctx == &parties[ME] && memcmp(of, key(PERSON), NODE_KEY_LEN) == 0)
		return SOCIAL_TIER_FOLLOW;
	for (unsigned i = THEIR_ANCHOR; i < lab.cnt; i++)
		if (ctx == &parties[ME] && memcmp(of, key(i), NODE_KEY_LEN) == 0)
			return SOCIAL_TIER_ANCHOR;
	return ctx == &parties[CONTACT] ? SOCIAL_TIER_FOLLOW : SOCIAL_TIER_NONE;
}

static unsigned helpers(void *ctx, enum social_stage stage, const uint8_t *of,
			uint8_t (*out)[NODE_KEY_LEN], unsigned cap)
{
	static const unsigned nodes[SOCIAL_STAGE_CNT] = {
		[SOCIAL_STAGE_THEIR_ANCHORS] = THEIR_ANCHOR,
		[SOCIAL_STAGE_CONTACTS] = CONTACT,
		[SOCIAL_STAGE_CONTACT_ANCHORS] = CONTACT_ANCHOR,
		[SOCIAL_STAGE_OWN_ANCHORS] = OWN_ANCHOR,
		[SOCIAL_STAGE_LAST_RESORT] = LAST_RESORT,
	};

	(void)ctx, (void)of, (void)cap;
	if (is_private && (stage == SOCIAL_STAGE_CONTACTS || stage == SOCIAL_STAGE_CONTACT_ANCHORS))
		return 0;
	memcpy(out[0], key(nodes[stage]), NODE_KEY_LEN);
	return 1;
}

static unsigned lan(void *ctx, const uint8_t *of, struct addr out[static MESH_PEER_ADDRS_MAX])
{
	(void)ctx, (void)of;
	out[0] = lab.nodes[PERSON].mesh->addr;
	return is_on_lan;
}

static void places(void *ctx, struct peer_places *out_places)
{
	const unsigned idx = (unsigned)((struct party *)ctx - parties);

	*out_places = (struct peer_places){.addr_cnt = 1};
	out_places->addrs[0] = lab.nodes[idx].mesh->addr;
}

static bool may_tell(void *ctx, const uint8_t *asker, const uint8_t *of)
{
	(void)asker, (void)of;
	return ctx == &parties[CONTACT];
}

/* --- a run --- */

static void party_open(unsigned idx)
{
	struct party *party = &parties[idx];
	const struct social_routes_params routes = {.ground = &lab.nodes[idx].ground,
						    .tier_of = tier_of,
						    .ctx = party,
						    .now_ns = lab.mesh.now_ns};
	struct social_anchors_params anchors = {.ground = &lab.nodes[idx].ground,
						.places = places,
						.may_tell = may_tell,
						.ctx = party,
						.now_ns = lab.mesh.now_ns};

	CHECK_EQ(social_routes_open(&routes, &party->routes), 0);
	social_anchors_config_defaults(&anchors.config);
	anchors.config.role = idx == PERSON || idx == CONTACT ? ANCHOR_ROLE_NO : ANCHOR_ROLE_YES;
	anchors.routes = party->routes;
	CHECK_EQ(social_anchors_open(&anchors, &party->anchors), 0);
}

static int note_at(unsigned at, unsigned idx)
{
	const struct peer_places where = {.addrs = {lab.nodes[idx].mesh->addr}, .addr_cnt = 1};
	const struct social_route_hint hint = {
		.key = key(idx), .tier = SOCIAL_TIER_ANCHOR, .places = &where};

	return social_route_note(parties[at].routes, &hint, lab.mesh.now_ns);
}

static void begin(void)
{
	struct social_searches_params params = {.lan = lan, .helpers = helpers};

	is_private = is_on_lan = false;
	done_cnt = stepped_cnt = 0;
	social_lab_init(&lab, NODE_CNT);
	for (unsigned i = 0; i < NODE_CNT; i++)
		party_open(i);
	for (unsigned i = THEIR_ANCHOR; i < NODE_CNT; i++)
		CHECK_EQ(note_at(ME, i), 0);
	params.routes = parties[ME].routes;
	params.ground = &lab.nodes[ME].ground;
	CHECK_EQ(social_searches_open(&params, &searches), 0);
}

static void end(void)
{
	social_searches_close(searches);
	for (unsigned i = 0; i < NODE_CNT; i++) {
		social_anchors_close(parties[i].anchors);
		social_routes_close(parties[i].routes);
	}
	social_lab_fini(&lab);
}

/* PERSON checks in with anchor idx, as its list of anchors says. */
static void check_in_at(unsigned idx)
{
	const struct peer_places where = {.addrs = {lab.nodes[idx].mesh->addr}, .addr_cnt = 1};
	const struct social_route_hint hint = {
		.key = key(idx), .tier = SOCIAL_TIER_ANCHOR, .places = &where};
	struct social_anchors_stats stats;
	uint8_t named[1][NODE_KEY_LEN];

	memcpy(named[0], hint.key, NODE_KEY_LEN);
	CHECK_EQ(social_route_note(parties[PERSON].routes, &hint, lab.mesh.now_ns), 0);
	social_own_anchors_set(parties[PERSON].anchors, (const uint8_t(*)[NODE_KEY_LEN])named, 1,
			       lab.mesh.now_ns);
	social_lab_pass(&lab, NS_PER_S);
	social_anchors_stats(parties[PERSON].anchors, &stats);
	CHECK_EQ(stats.checked_in_cnt, 1);
}

/* CONTACT follows PERSON, and has the record that it signed. */
static void contact_knows(void)
{
	uint8_t bytes[SOCIAL_ADDRESS_LEN_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct social_address address;
	struct social_record record = {.bytes = bytes};

	CHECK(social_anchors_write_record(parties[PERSON].anchors, &w));
	record.len = writer_len(&w);
	CHECK_EQ(social_route_take_record(parties[CONTACT].routes, &record, &address,
					  lab.mesh.now_ns),
		 0);
}

static void on_reached(void *arg, const struct social_found *what, uint64_t now_ns)
{
	(void)arg, (void)now_ns;
	done_cnt++;
	found = *what;
	memcpy(steps, what->steps, what->step_cnt * sizeof(steps[0]));
}

/* Each call has one stage more, and none comes after the end. */
static void on_stepped(void *arg, const struct social_step *so_far, unsigned step_cnt,
		       uint64_t now_ns)
{
	(void)arg, (void)now_ns;
	CHECK_EQ(done_cnt, 0);
	CHECK_EQ(step_cnt, ++stepped_cnt);
	CHECK_EQ(so_far[step_cnt - 1].stage, step_cnt - 1);
}

static int look_for(const uint8_t *of, void *arg)
{
	const struct social_search_ask ask = {
		.key = of, .done = on_reached, .stepped = arg ? NULL : on_stepped, .arg = arg};

	return social_search(searches, &ask, lab.mesh.now_ns);
}

static void search(void)
{
	CHECK_EQ(look_for(key(PERSON), NULL), 0);
	CHECK_EQ(done_cnt, 0);
	social_lab_pass(&lab, 90 * NS_PER_S);
	CHECK_EQ(done_cnt, 1);
}

/* The stages that came before were tried in order, and each came to nothing. */
static void check_order(enum social_stage last)
{
	CHECK_EQ(found.step_cnt, last + 1u);
	for (unsigned i = 0; i < found.step_cnt; i++) {
		CHECK_EQ(steps[i].stage, i);
		CHECK_EQ(steps[i].err == 0, i == last && found.err == 0);
	}
}

static void check_reached(enum social_stage stage)
{
	CHECK_EQ(found.err, 0);
	CHECK_EQ(found.stage, stage);
	check_order(stage);
	CHECK_EQ(stepped_cnt, stage); /* the one that found it is told with the end */
}

/* --- one stage with all others blocked --- */

static void test_a_session_that_is_there_is_enough(void)
{
	begin();
	social_lab_meet(&lab, ME, PERSON);
	search();
	check_reached(SOCIAL_STAGE_SESSION);
	end();
}

static void test_the_lan_comes_first(void)
{
	begin();
	is_on_lan = true;
	CHECK_EQ(note_at(ME, PERSON), 0); /* its route would do as well */
	search();
	check_reached(SOCIAL_STAGE_LAN);
	end();
}

static void test_a_stored_address_comes_second(void)
{
	struct social_search_stats stats;

	begin();
	CHECK_EQ(note_at(ME, PERSON), 0);
	check_in_at(THEIR_ANCHOR); /* which is not asked */
	search();
	check_reached(SOCIAL_STAGE_STORED);
	social_searches_stats(searches, &stats);
	CHECK_EQ(stats.question_cnt, 0);
	CHECK_EQ(stats.stored_cnt, 1);
	end();
}

static void search_by_anchor(unsigned idx, enum social_stage stage)
{
	struct social_route route;

	begin();
	check_in_at(idx);
	search();
	check_reached(stage);
	CHECK_EQ(steps[stage].asked_cnt, 1);
	CHECK_EQ(steps[stage].answered_cnt, 1);
	/* It is kept, and the node that gave it with it. */
	CHECK(social_route_look(parties[ME].routes, key(PERSON), &route));
	CHECK(route.is_introduced);
	CHECK_MEM(route.introduced_by, key(idx), NODE_KEY_LEN);
	end();
}

static void test_their_anchors_come_third(void)
{
	search_by_anchor(THEIR_ANCHOR, SOCIAL_STAGE_THEIR_ANCHORS);
}

static void test_a_mutual_contact_comes_fourth(void)
{
	begin();
	contact_knows();
	search();
	check_reached(SOCIAL_STAGE_CONTACTS);
	end();
}

static void test_anchors_of_contacts_come_fifth(void)
{
	search_by_anchor(CONTACT_ANCHOR, SOCIAL_STAGE_CONTACT_ANCHORS);
}

static void test_own_anchors_come_sixth(void)
{
	search_by_anchor(OWN_ANCHOR, SOCIAL_STAGE_OWN_ANCHORS);
}

static void test_the_last_resort_comes_seventh(void)
{
	search_by_anchor(LAST_RESORT, SOCIAL_STAGE_LAST_RESORT);
}

/* The lab has no relays: what is dialled by them is seen. */
static struct mesh_ops seen_ops;
static unsigned relayed_cnt, told_cnt, sought_cnt;

static int see_connect(struct mesh *mesh, const struct mesh_connect *connect, uint64_t now_ns,
		       struct mesh_request **out_request)
{
	const struct mesh_peer *peer = connect->peer;

	relayed_cnt += peer->via_cnt > 0;
	told_cnt += peer->told_cnt > 0;
	sought_cnt += !peer->is_unsought;
	if (peer->via_cnt) {
		const struct mesh_peer there = {.addrs = &lab.nodes[PERSON].mesh->addr,
						.addr_cnt = 1};
		struct mesh_connect direct = *connect;
		struct mesh_peer to = there;

		memcpy(to.key, peer->key, sizeof(to.key));
		direct.peer = &to;
		return lab.nodes[THEIR_ANCHOR].ground.mesh.ops->connect(mesh, &direct, now_ns,
									out_request);
	}
	return lab.nodes[THEIR_ANCHOR].ground.mesh.ops->connect(mesh, connect, now_ns, out_request);
}

static void relays_open(void)
{
	relayed_cnt = told_cnt = sought_cnt = 0;
	seen_ops = *lab.nodes[ME].ground.mesh.ops;
	seen_ops.connect = see_connect;
	lab.nodes[ME].ground.mesh.ops = &seen_ops;
}

static void test_relays_that_the_record_names_come_after_all(void)
{
	struct social_address address = {.time_ms = 5000, .places.via_cnt = 1};
	uint8_t bytes[SOCIAL_ADDRESS_LEN_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct social_record record = {.bytes = bytes};

	begin();
	relays_open();
	address.places.vias[0] = (struct peer_via){
		.key = {5}, .addr = {.family = ADDR_IPV4, .ip = {9, 9, 9, 9}, .port = 9}};
	social_address_write(&w, &address, lab.nodes[PERSON].key);
	record.len = writer_len(&w);
	CHECK_EQ(social_route_take_record(parties[ME].routes, &record, &address, lab.mesh.now_ns),
		 0);
	search();
	check_reached(SOCIAL_STAGE_RELAY);
	CHECK_EQ(relayed_cnt, 1);
	end();
}

/* --- privacy, liars and limits --- */

static void test_no_stage_tells_the_key_to_a_locator(void)
{
	begin();
	relays_open();
	check_in_at(OWN_ANCHOR);
	search();
	check_reached(SOCIAL_STAGE_OWN_ANCHORS);
	CHECK_EQ(sought_cnt, 0);
	/* What an anchor says is hearsay, so its dials are few. */
	CHECK_EQ(told_cnt, 1);
	end();
}

static void test_contacts_do_not_hear_of_a_private_follow(void)
{
	begin();
	is_private = true;
	contact_knows();
	search();
	CHECK_EQ(found.err, WEFT_EUNREACHABLE);
	CHECK_EQ(steps[SOCIAL_STAGE_CONTACTS].err, WEFT_EABSENT);
	CHECK_EQ(steps[SOCIAL_STAGE_CONTACT_ANCHORS].err, WEFT_EABSENT);
	CHECK_EQ(lab.nodes[CONTACT].mesh->session_cnt, 0);
	CHECK_EQ(lab.nodes[CONTACT_ANCHOR].mesh->session_cnt, 0);
	end();
}

static void test_a_node_that_no_stage_reaches_is_reported_once(void)
{
	struct social_search_stats stats;

	begin();
	mesh_lab_down(lab.nodes[THEIR_ANCHOR].mesh);
	search();
	CHECK_EQ(found.err, WEFT_EUNREACHABLE);
	check_order(SOCIAL_STAGE_RELAY);
	social_searches_stats(searches, &stats);
	CHECK_EQ(stats.failed_cnt, 1);
	CHECK_EQ(stats.running_cnt, 0);
	CHECK_EQ(stats.question_cnt, 5);
	end();
}

/* A record of where it is no more: its dial fails, and the next stage has the new one. */
static void test_an_old_answer_is_followed_by_the_next_stage(void)
{
	struct social_address address = {.time_ms = 1, .places.addr_cnt = 1};
	uint8_t bytes[SOCIAL_ADDRESS_LEN_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct social_record record = {.bytes = bytes};

	begin();
	address.places.addrs[0] =
		(struct addr){.family = ADDR_IPV4, .ip = {99, 9, 9, 9}, .port = 9};
	social_address_write(&w, &address, lab.nodes[PERSON].key);
	record.len = writer_len(&w);
	CHECK_EQ(social_route_take_record(parties[CONTACT].routes, &record, &address,
					  lab.mesh.now_ns),
		 0);
	check_in_at(OWN_ANCHOR);
	search();
	check_reached(SOCIAL_STAGE_OWN_ANCHORS);
	CHECK_EQ(steps[SOCIAL_STAGE_CONTACTS].answered_cnt, 1);
	end();
}

static void test_askers_for_one_node_share_one_search(void)
{
	static int args[SEARCH_WAITERS_MAX + 1];

	begin();
	CHECK_EQ(note_at(ME, PERSON), 0);
	for (unsigned i = 0; i < SEARCH_WAITERS_MAX; i++)
		CHECK_EQ(look_for(key(PERSON), &args[i]), 0);
	CHECK_EQ(look_for(key(PERSON), &args[SEARCH_WAITERS_MAX]), WEFT_EBUSY);
	social_search_forget(searches, &args[0]);
	social_lab_pass(&lab, 5 * NS_PER_S);
	CHECK_EQ(done_cnt, SEARCH_WAITERS_MAX - 1);
	CHECK_EQ(lab.nodes[ME].mesh->dial_cnt, 1);
	end();
}

static void test_one_search_too_many_is_refused(void)
{
	uint8_t other[NODE_KEY_LEN] = {0};

	begin();
	for (unsigned i = 0; i < SOCIAL_SEARCHES_MAX; i++) {
		other[0] = (uint8_t)(i + 1);
		CHECK_EQ(look_for(other, NULL), 0);
	}
	other[0] = SOCIAL_SEARCHES_MAX + 1;
	CHECK_EQ(look_for(other, NULL), WEFT_EBUSY);
	CHECK_EQ(look_for(key(ME), NULL), WEFT_EMALFORMED);
	social_searches_stop(searches);
	CHECK_EQ(done_cnt, SOCIAL_SEARCHES_MAX);
	CHECK_EQ(found.err, WEFT_ECLOSED);
	end();
}

int main(void)
{
	RUN(test_a_session_that_is_there_is_enough);
	RUN(test_the_lan_comes_first);
	RUN(test_a_stored_address_comes_second);
	RUN(test_their_anchors_come_third);
	RUN(test_a_mutual_contact_comes_fourth);
	RUN(test_anchors_of_contacts_come_fifth);
	RUN(test_own_anchors_come_sixth);
	RUN(test_the_last_resort_comes_seventh);
	RUN(test_relays_that_the_record_names_come_after_all);
	RUN(test_no_stage_tells_the_key_to_a_locator);
	RUN(test_contacts_do_not_hear_of_a_private_follow);
	RUN(test_a_node_that_no_stage_reaches_is_reported_once);
	RUN(test_an_old_answer_is_followed_by_the_next_stage);
	RUN(test_askers_for_one_node_share_one_search);
	RUN(test_one_search_too_many_is_refused);
	return check_done();
}
