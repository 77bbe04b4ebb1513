/* SPDX-License-Identifier: Apache-2.0 */
#include "support/check.h"
#include "support/mesh_rig.h"

#include "mesh/session/discovery.h"

/*
 * A locator that the test is: it remembers what it was asked and says
 * what the test wants, when it wants.
 */
struct fake {
	struct mesh_locator locator;
	struct mesh_look *look; /* NULL: nothing is being looked for */
	unsigned look_cnt, cancel_cnt, hint_cnt;
	uint8_t hint_byte; /* of the first relay of the last hint */
	uint8_t key_byte;
	uint64_t asked_ns;
	int err; /* of the next look */
};

static struct rig rig;
static struct fake fakes[2];
static struct mesh_step steps[8];
static unsigned step_cnt;
static unsigned connect_cnt;
static int connect_err;

static int fake_look(void *ctx, const uint8_t key[static MESH_KEY_LEN], struct mesh_look *look,
		     uint64_t now_ns, void **out_run)
{
	struct fake *fake = ctx;

	fake->look_cnt++;
	fake->key_byte = key[0];
	fake->asked_ns = now_ns;
	if (fake->err)
		return fake->err;
	fake->look = look;
	*out_run = fake;
	return 0;
}

static void fake_cancel(void *ctx, void *run)
{
	struct fake *fake = ctx;

	CHECK(run == fake);
	fake->look = NULL;
	fake->cancel_cnt++;
}

static void fake_hint(void *ctx, void *run, const struct peer_via *vias, unsigned cnt,
		      uint64_t now_ns)
{
	struct fake *fake = ctx;

	(void)now_ns;
	CHECK(run == fake && cnt);
	fake->hint_cnt++;
	fake->hint_byte = vias[0].key[0];
}

static void note_step(void *ctx, const struct mesh_step *step)
{
	(void)ctx;
	CHECK(step_cnt < sizeof(steps) / sizeof(steps[0]));
	steps[step_cnt++] = *step;
}

static void note_connect(void *arg, int err, const uint8_t *actual_key)
{
	(void)arg, (void)actual_key;
	connect_cnt++;
	connect_err = err;
}

/* Node 0 has fake_cnt locators, the second a second after the first. */
static void nodes_init(unsigned fake_cnt)
{
	static const char *const names[] = {"first", "second"};

	memset(fakes, 0, sizeof(fakes));
	step_cnt = connect_cnt = 0;
	rig_init(&rig, 3);
	rig_on_step(&rig, 0, note_step);
	for (unsigned i = 0; i < fake_cnt; i++) {
		fakes[i].locator = (struct mesh_locator){
			.name = names[i],
			.stagger_ns = PAIR_S,
			.budget_ns = 5 * PAIR_S,
			.look = fake_look,
			.cancel = fake_cancel,
			.ctx = &fakes[i],
		};
		CHECK_EQ(mesh_add_locator(rig.nodes[0].mesh, &fakes[i].locator), 0);
	}
}

static int connect_to(const struct addr *addrs, unsigned addr_cnt)
{
	struct mesh_peer peer = {.addrs = addrs, .addr_cnt = addr_cnt};

	connect_cnt = 0;
	memset(peer.key, 2, sizeof(peer.key));
	return mesh_connect(rig.nodes[0].mesh,
			    &(struct mesh_connect){.peer = &peer,
						   .timeout_ns = 20 * PAIR_S,
						   .done = note_connect,
						   .arg = NULL},
			    rig.net.now_ns);
}

static int find(struct fake *fake, struct addr addr, uint64_t seq)
{
	struct mesh_found found = {.addrs = &addr, .addr_cnt = 1, .seq = seq};

	return fake->look->found(fake->look, &found, rig.net.now_ns);
}

/* A record that names no address, and one relay. */
static int find_via(struct fake *fake, uint8_t first, uint64_t seq)
{
	const struct peer_via via = {.key = {first}, .addr = pair_addr(1)};
	struct mesh_found found = {.vias = &via, .via_cnt = 1, .seq = seq};

	return fake->look->found(fake->look, &found, rig.net.now_ns);
}

static void end(struct fake *fake, int err)
{
	struct mesh_look *look = fake->look;

	fake->look = NULL;
	look->ended(look, err, rig.net.now_ns);
}

static void test_bare_key_is_looked_for_and_reached(void)
{
	nodes_init(2);
	CHECK_EQ(connect_to(NULL, 0), 0);
	CHECK_EQ(fakes[0].look_cnt, 0); /* not inside the call */
	pair_net_run(&rig.net, 300 * PAIR_MS);
	CHECK_EQ(fakes[0].look_cnt, 1);
	CHECK_EQ(fakes[0].key_byte, 2);
	CHECK_EQ(find(&fakes[0], pair_addr(2), 7), 0);
	pair_net_run(&rig.net, 300 * PAIR_MS);
	CHECK_EQ(connect_cnt, 1);
	CHECK_EQ(connect_err, 0);
	/* The race is over: the first is taken back, the second never asked. */
	CHECK_EQ(fakes[0].cancel_cnt, 1);
	CHECK_EQ(fakes[1].look_cnt, 0);
	CHECK_EQ(step_cnt, 1);
	CHECK_STR(steps[0].name, "first");
	CHECK_EQ(steps[0].err, WEFT_ECANCELLED);
	CHECK_EQ(steps[0].addr_cnt, 1);
	CHECK(steps[0].ended_ns - steps[0].started_ns >= 300 * PAIR_MS);
	rig_fini(&rig);
}

static void test_locators_start_one_after_the_other(void)
{
	uint64_t begun_ns;

	nodes_init(2);
	begun_ns = rig.net.now_ns;
	CHECK_EQ(connect_to(NULL, 0), 0);
	pair_net_run(&rig.net, 3 * PAIR_S);
	CHECK_EQ(fakes[0].look_cnt, 1);
	CHECK_EQ(fakes[1].look_cnt, 1);
	CHECK(fakes[1].asked_ns - begun_ns >= PAIR_S);
	CHECK(fakes[1].asked_ns - begun_ns < PAIR_S + 100 * PAIR_MS);
	rig_fini(&rig);
	CHECK_EQ(fakes[0].cancel_cnt + fakes[1].cancel_cnt, 2);
}

static void test_one_that_knows_nothing_makes_room_at_once(void)
{
	nodes_init(2);
	CHECK_EQ(connect_to(NULL, 0), 0);
	pair_net_run(&rig.net, 100 * PAIR_MS);
	end(&fakes[0], 0);
	pair_net_run(&rig.net, PAIR_MS);
	CHECK_EQ(fakes[1].look_cnt, 1);
	end(&fakes[1], 0);
	CHECK_EQ(connect_cnt, 1);
	CHECK_EQ(connect_err, WEFT_EUNREACHABLE);
	rig_fini(&rig);
}

static void test_one_that_refuses_makes_room_at_once(void)
{
	nodes_init(2);
	fakes[0].err = WEFT_EFULL;
	CHECK_EQ(connect_to(NULL, 0), 0);
	pair_net_run(&rig.net, PAIR_MS);
	CHECK_EQ(fakes[1].look_cnt, 1);
	CHECK_EQ(step_cnt, 1);
	CHECK_EQ(steps[0].err, WEFT_EFULL);
	rig_fini(&rig);
}

static void test_budget_ends_a_silent_locator(void)
{
	nodes_init(1);
	CHECK_EQ(connect_to(NULL, 0), 0);
	pair_net_run(&rig.net, 4900 * PAIR_MS);
	CHECK_EQ(fakes[0].cancel_cnt, 0);
	CHECK_EQ(connect_cnt, 0);
	pair_net_run(&rig.net, 200 * PAIR_MS);
	CHECK_EQ(fakes[0].cancel_cnt, 1);
	CHECK_EQ(steps[0].err, WEFT_ETIMEOUT);
	CHECK_EQ(connect_cnt, 1);
	CHECK_EQ(connect_err, WEFT_EUNREACHABLE);
	rig_fini(&rig);
}

static void test_addresses_at_hand_come_first(void)
{
	struct addr good = pair_addr(2), silent = pair_addr(50);

	nodes_init(1);
	CHECK_EQ(connect_to(&good, 1), 0);
	pair_net_run(&rig.net, PAIR_S);
	CHECK_EQ(connect_err, 0);
	CHECK_EQ(fakes[0].look_cnt, 0);
	rig_fini(&rig);

	nodes_init(1);
	pair_net_rule(&rig.net, silent, PAIR_SILENT, 0);
	CHECK_EQ(connect_to(&silent, 1), 0);
	pair_net_run(&rig.net, 1900 * PAIR_MS);
	CHECK_EQ(fakes[0].look_cnt, 0);
	pair_net_run(&rig.net, 200 * PAIR_MS);
	CHECK_EQ(fakes[0].look_cnt, 1);
	CHECK_EQ(find(&fakes[0], good, 0), 0);
	pair_net_run(&rig.net, PAIR_S);
	CHECK_EQ(connect_cnt, 1);
	CHECK_EQ(connect_err, 0);
	rig_fini(&rig);
}

static void test_failed_addresses_hurry_the_search(void)
{
	struct addr nobody = pair_addr(50);

	nodes_init(1);
	CHECK_EQ(connect_to(&nobody, 1), 0);
	pair_net_run(&rig.net, 200 * PAIR_MS);
	CHECK_EQ(fakes[0].look_cnt, 1);
	CHECK_EQ(connect_cnt, 0);
	/* What it finds is not there either. */
	CHECK_EQ(find(&fakes[0], pair_addr(51), 0), 0);
	end(&fakes[0], 0);
	CHECK_EQ(connect_cnt, 0);
	pair_net_run(&rig.net, 200 * PAIR_MS);
	CHECK_EQ(connect_cnt, 1);
	CHECK_EQ(connect_err, WEFT_EUNREACHABLE);
	rig_fini(&rig);
}

static void test_older_record_than_the_owners_is_refused(void)
{
	struct mesh_stats stats;

	nodes_init(1);
	CHECK_EQ(connect_to(NULL, 0), 0);
	pair_net_run(&rig.net, PAIR_MS);
	CHECK_EQ(find(&fakes[0], pair_addr(2), 9), 0);
	CHECK_EQ(find(&fakes[0], pair_addr(50), 8), WEFT_ESTALE); /* in the same search */
	pair_net_run(&rig.net, PAIR_S);
	CHECK_EQ(connect_err, 0);
	pair_net_close_dialled(&rig.net, 0);
	pair_net_run(&rig.net, PAIR_S);

	/* And in any later one: the peer is known by its newest now. */
	rig.nodes[1].end->is_dead = true;
	CHECK_EQ(connect_to(NULL, 0), 0);
	pair_net_run(&rig.net, 2100 * PAIR_MS);
	CHECK_EQ(fakes[0].look_cnt, 2);
	CHECK_EQ(find(&fakes[0], pair_addr(50), 8), WEFT_ESTALE);
	CHECK_EQ(find(&fakes[0], pair_addr(50), 9), 0); /* the same one again is not older */
	end(&fakes[0], 0);
	CHECK_EQ(steps[step_cnt - 1].err, 0);
	mesh_stats(rig.nodes[0].mesh, &stats);
	CHECK_EQ(stats.stale_record_cnt, 2);
	rig_fini(&rig);
}

static void test_only_stale_records_are_reported_as_such(void)
{
	nodes_init(1);
	CHECK_EQ(connect_to(NULL, 0), 0);
	pair_net_run(&rig.net, PAIR_MS);
	CHECK_EQ(find(&fakes[0], pair_addr(2), 9), 0);
	pair_net_run(&rig.net, PAIR_S);
	CHECK_EQ(connect_err, 0);
	pair_net_close_dialled(&rig.net, 0);
	pair_net_run(&rig.net, PAIR_S);
	rig.nodes[1].end->is_dead = true;
	CHECK_EQ(connect_to(NULL, 0), 0);
	pair_net_run(&rig.net, 2100 * PAIR_MS);
	CHECK_EQ(find(&fakes[0], pair_addr(50), 1), WEFT_ESTALE);
	end(&fakes[0], 0);
	CHECK_EQ(steps[step_cnt - 1].err, WEFT_ESTALE);
	rig_fini(&rig);
}

static void test_addresses_of_earlier_sessions_are_the_first_step(void)
{
	struct addr nobody = pair_addr(50);

	nodes_init(1);
	CHECK(rig_connected(&rig, 0, 1));
	pair_net_close_dialled(&rig.net, 0);
	pair_net_run(&rig.net, PAIR_S);
	CHECK_EQ(connect_to(&nobody, 1), 0);
	pair_net_run(&rig.net, PAIR_S);
	CHECK_EQ(connect_cnt, 1);
	CHECK_EQ(connect_err, 0);
	CHECK(step_cnt >= 1);
	CHECK_STR(steps[0].name, "cache");
	CHECK_EQ(steps[0].addr_cnt, 1);
	rig_fini(&rig);
}

static void test_a_flood_of_addresses_is_cut_off(void)
{
	struct addr addrs[40];
	struct mesh_found found = {.addrs = addrs, .addr_cnt = 40};

	nodes_init(1);
	for (unsigned i = 0; i < 40; i++) {
		addrs[i] = pair_addr(60 + i);
	}
	CHECK_EQ(connect_to(NULL, 0), 0);
	pair_net_run(&rig.net, PAIR_MS);
	CHECK_EQ(fakes[0].look->found(fakes[0].look, &found, rig.net.now_ns), 0);
	end(&fakes[0], 0);
	CHECK_EQ(steps[0].addr_cnt, 2 * MESH_PEER_ADDRS_MAX);
	pair_net_run(&rig.net, 20 * PAIR_S);
	CHECK_EQ(rig.nodes[0].end->dial_cnt, 2 * MESH_PEER_ADDRS_MAX);
	CHECK_EQ(connect_err, WEFT_EUNREACHABLE);
	rig_fini(&rig);
}

static void test_a_caller_that_gives_up_cancels_the_search(void)
{
	struct rig_ask ask;
	struct mesh_ask call = {.type = MESH_GET_CHUNK, .timeout_ns = 20 * PAIR_S};

	nodes_init(1);
	memset(call.peer.key, 2, MESH_KEY_LEN);
	CHECK_EQ(rig_ask_with(&rig, &ask, 0, &call), 0);
	pair_net_run(&rig.net, PAIR_MS);
	CHECK(fakes[0].look);
	rig.nodes[0].seam.ops->cancel(ask.request);
	CHECK_EQ(fakes[0].cancel_cnt, 1);
	rig_ask_fini(&ask);
	rig_fini(&rig);
}

static void hinted_nodes_init(void)
{
	nodes_init(1);
	fakes[1].locator = (struct mesh_locator){
		.name = "hinted",
		.stagger_ns = 3 * PAIR_S,
		.budget_ns = 5 * PAIR_S,
		.look = fake_look,
		.cancel = fake_cancel,
		.hint = fake_hint,
		.ctx = &fakes[1],
	};
	CHECK_EQ(mesh_add_locator(rig.nodes[0].mesh, &fakes[1].locator), 0);
}

static void hinted_init(void)
{
	hinted_nodes_init();
	CHECK_EQ(connect_to(NULL, 0), 0);
	pair_net_run(&rig.net, 300 * PAIR_MS);
	CHECK_EQ(fakes[0].look_cnt, 1);
	CHECK_EQ(fakes[1].look_cnt, 0);
}

static void test_relays_of_a_record_have_a_locator_asked_before_its_turn(void)
{
	hinted_init();
	CHECK_EQ(find_via(&fakes[0], 5, 7), 0);
	CHECK_EQ(fakes[1].look_cnt, 1);
	CHECK_EQ(fakes[1].hint_cnt, 1);
	CHECK_EQ(fakes[1].hint_byte, 5);
	/* The same again says nothing new; another is said to the look that runs. */
	CHECK_EQ(find_via(&fakes[0], 5, 7), 0);
	CHECK_EQ(fakes[1].hint_cnt, 1);
	CHECK_EQ(find_via(&fakes[0], 6, 8), 0);
	CHECK_EQ(fakes[1].look_cnt, 1);
	CHECK_EQ(fakes[1].hint_byte, 6);
	/* An old record does not replace it. */
	CHECK_EQ(find_via(&fakes[0], 4, 7), WEFT_ESTALE);
	CHECK_EQ(fakes[1].hint_cnt, 2);
	/* Its turn is over when it comes. */
	end(&fakes[0], 0);
	pair_net_run(&rig.net, 4 * PAIR_S);
	CHECK_EQ(fakes[1].look_cnt, 1);
	end(&fakes[1], WEFT_EUNREACHABLE);
	CHECK_EQ(connect_cnt, 1);
	CHECK_EQ(connect_err, WEFT_EUNREACHABLE);
	rig_fini(&rig);
}

static void test_relays_of_an_earlier_record_are_remembered(void)
{
	const struct peer_via via = {.key = {5}, .addr = pair_addr(1)};
	const struct addr addr = pair_addr(2), nobody = pair_addr(50);
	const struct mesh_found found = {
		.addrs = &addr, .addr_cnt = 1, .vias = &via, .via_cnt = 1, .seq = 7};
	struct mesh_peer_info peer;
	struct mesh_walk walk = {0};

	hinted_init();
	CHECK_EQ(fakes[0].look->found(fakes[0].look, &found, rig.net.now_ns), 0);
	pair_net_run(&rig.net, PAIR_S);
	CHECK_EQ(connect_err, 0);
	CHECK(mesh_peers_next(rig.nodes[0].mesh, &walk, &peer));
	CHECK(peer_vias_equal(peer.vias, peer.via_cnt, &via, 1));
	pair_net_close_dialled(&rig.net, 0);
	pair_net_run(&rig.net, PAIR_S);
	fakes[1].hint_cnt = 0;
	CHECK_EQ(connect_to(&nobody, 1), 0);
	pair_net_run(&rig.net, PAIR_S);
	CHECK_EQ(fakes[1].hint_cnt, 1);
	CHECK_EQ(fakes[1].hint_byte, 5);
	rig_fini(&rig);
}

/* As connect_to, by an asker that names the relay of first, too. */
static void connect_by_relay(const struct addr *addr, uint8_t first)
{
	const struct peer_via via = {.key = {first}, .addr = pair_addr(1)};
	struct mesh_peer peer = {
		.addrs = addr, .addr_cnt = addr != NULL, .vias = &via, .via_cnt = 1};
	const struct mesh_connect connect = {
		.peer = &peer, .timeout_ns = 20 * PAIR_S, .done = note_connect};

	memset(peer.key, 2, sizeof(peer.key));
	CHECK_EQ(mesh_connect(rig.nodes[0].mesh, &connect, rig.net.now_ns), 0);
}

static void test_relays_that_an_asker_names_are_asked_at_once_without_an_address(void)
{
	hinted_nodes_init();
	connect_by_relay(NULL, 6);
	pair_net_run(&rig.net, PAIR_S / 10);
	CHECK_EQ(fakes[1].look_cnt, 1);
	CHECK_EQ(fakes[1].hint_byte, 6);
	/* Another asker names the same relay: nothing is new. */
	connect_by_relay(NULL, 6);
	pair_net_run(&rig.net, PAIR_S / 10);
	CHECK_EQ(fakes[1].hint_cnt, 1);
	rig_fini(&rig);
}

static void test_relays_that_an_asker_names_are_asked_behind_the_last_address(void)
{
	const struct addr nobody = pair_addr(50);
	struct mesh_config config;
	uint64_t began_ns;

	hinted_nodes_init();
	mesh_config_defaults(&config);
	began_ns = rig.net.now_ns;
	connect_by_relay(&nobody, 6);
	pair_net_run(&rig.net, PAIR_S);
	CHECK_EQ(fakes[1].look_cnt, 1);
	CHECK_EQ(fakes[1].asked_ns, began_ns + config.dial_stagger_ns);
	CHECK_EQ(fakes[1].hint_cnt, 1);
	rig_fini(&rig);
}

/* What others say of a peer is used, and not remembered as if the peer had said it. */
static void test_relays_that_an_asker_names_are_not_kept_with_the_peer(void)
{
	const struct addr addr = pair_addr(2);
	struct mesh_peer_info peer;
	struct mesh_walk walk = {0};

	hinted_nodes_init();
	connect_by_relay(&addr, 6);
	pair_net_run(&rig.net, PAIR_S);
	CHECK_EQ(connect_err, 0);
	CHECK(mesh_peers_next(rig.nodes[0].mesh, &walk, &peer));
	CHECK_EQ(peer.via_cnt, 0);
	rig_fini(&rig);
}

static void test_more_relays_than_a_peer_can_have_are_refused(void)
{
	const struct peer_via vias[PEER_VIAS_MAX + 1] = {{.key = {6}}, {.key = {7}}, {.key = {8}}};
	const struct mesh_peer peer = {.key = {2}, .vias = vias, .via_cnt = PEER_VIAS_MAX + 1};
	const struct mesh_connect connect = {
		.peer = &peer, .timeout_ns = PAIR_S, .done = note_connect};

	hinted_nodes_init();
	CHECK_EQ(mesh_connect(rig.nodes[0].mesh, &connect, rig.net.now_ns), WEFT_EMALFORMED);
	rig_fini(&rig);
}

static void test_a_locator_that_had_ended_is_asked_again_with_a_hint(void)
{
	hinted_init();
	pair_net_run(&rig.net, 3 * PAIR_S);
	CHECK_EQ(fakes[1].look_cnt, 1);
	end(&fakes[1], WEFT_EUNREACHABLE);
	CHECK_EQ(find_via(&fakes[0], 5, 7), 0);
	CHECK_EQ(fakes[1].look_cnt, 2);
	CHECK_EQ(fakes[1].hint_cnt, 1);
	/* It is no more patient than any. */
	pair_net_run(&rig.net, 6 * PAIR_S);
	CHECK_EQ(fakes[1].cancel_cnt, 1);
	CHECK_EQ(connect_err, WEFT_EUNREACHABLE);
	rig_fini(&rig);
}

/* A record may be published anew while a dial lasts. */
static void test_a_dial_that_lasts_asks_its_locators_again(void)
{
	struct addr silent = pair_addr(50);

	nodes_init(1);
	pair_net_rule(&rig.net, silent, PAIR_SILENT, 0);
	CHECK_EQ(connect_to(&silent, 1), 0);
	pair_net_run(&rig.net, 2100 * PAIR_MS);
	CHECK_EQ(fakes[0].look_cnt, 1);
	end(&fakes[0], 0);
	pair_net_run(&rig.net, 900 * PAIR_MS);
	CHECK_EQ(fakes[0].look_cnt, 1);
	pair_net_run(&rig.net, 200 * PAIR_MS);
	CHECK_EQ(fakes[0].look_cnt, 2);
	CHECK_EQ(connect_cnt, 0);
	CHECK_EQ(find(&fakes[0], pair_addr(2), 7), 0);
	pair_net_run(&rig.net, 600 * PAIR_MS);
	CHECK_EQ(connect_cnt, 1);
	CHECK_EQ(connect_err, 0);
	rig_fini(&rig);
}

/* What is asked for the second time is not waited for; with relays to ask it is. */
static void test_a_dial_without_hope_waits_for_no_second_answer(void)
{
	hinted_init();
	end(&fakes[0], 0);
	pair_net_run(&rig.net, 1500 * PAIR_MS);
	CHECK_EQ(fakes[0].look_cnt, 2);
	CHECK_EQ(fakes[1].look_cnt, 1);
	end(&fakes[1], WEFT_EUNREACHABLE);
	CHECK_EQ(connect_cnt, 1);
	CHECK_EQ(connect_err, WEFT_EUNREACHABLE);
	rig_fini(&rig);
}

static void test_one_locator_too_many_is_refused(void)
{
	nodes_init(1);
	for (unsigned i = 1; i < MESH_LOCATORS_MAX; i++)
		CHECK_EQ(mesh_add_locator(rig.nodes[0].mesh, &fakes[0].locator), 0);
	CHECK_EQ(mesh_add_locator(rig.nodes[0].mesh, &fakes[0].locator), WEFT_EFULL);
	rig_fini(&rig);
}

int main(void)
{
	RUN(test_bare_key_is_looked_for_and_reached);
	RUN(test_locators_start_one_after_the_other);
	RUN(test_one_that_knows_nothing_makes_room_at_once);
	RUN(test_one_that_refuses_makes_room_at_once);
	RUN(test_budget_ends_a_silent_locator);
	RUN(test_addresses_at_hand_come_first);
	RUN(test_failed_addresses_hurry_the_search);
	RUN(test_older_record_than_the_owners_is_refused);
	RUN(test_only_stale_records_are_reported_as_such);
	RUN(test_addresses_of_earlier_sessions_are_the_first_step);
	RUN(test_a_flood_of_addresses_is_cut_off);
	RUN(test_a_caller_that_gives_up_cancels_the_search);
	RUN(test_relays_of_a_record_have_a_locator_asked_before_its_turn);
	RUN(test_relays_of_an_earlier_record_are_remembered);
	RUN(test_a_locator_that_had_ended_is_asked_again_with_a_hint);
	RUN(test_relays_that_an_asker_names_are_asked_at_once_without_an_address);
	RUN(test_relays_that_an_asker_names_are_asked_behind_the_last_address);
	RUN(test_relays_that_an_asker_names_are_not_kept_with_the_peer);
	RUN(test_more_relays_than_a_peer_can_have_are_refused);
	RUN(test_a_dial_that_lasts_asks_its_locators_again);
	RUN(test_a_dial_without_hope_waits_for_no_second_answer);
	RUN(test_one_locator_too_many_is_refused);
	return check_done();
}
