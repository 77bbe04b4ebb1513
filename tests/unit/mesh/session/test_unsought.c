/* SPDX-License-Identifier: Apache-2.0 */
#include "support/check.h"
#include "support/mesh_rig.h"

#include "mesh/session/discovery.h"

/*
 * Two locators of node 0 count what they are asked. One tells the key to others, and one keeps it
 * to the relays of a hint. No other node may learn an unsought key.
 */
struct counter {
	struct mesh_locator locator;
	struct mesh_look *look; /* the last one */
	unsigned look_cnt, hint_cnt;
	bool was_unsought; /* the last look was */
	bool is_wrong;	   /* another key was looked for */
};

static struct rig rig;
static struct counter teller, keeper;
static struct rig_kept kept;
static unsigned connect_cnt;
static int connect_err;

static int on_look(void *ctx, const uint8_t key[static MESH_KEY_LEN], struct mesh_look *look,
		   uint64_t now_ns, void **out_run)
{
	struct counter *counter = ctx;

	(void)now_ns;
	counter->look = look;
	counter->look_cnt++;
	counter->is_wrong |= key[0] != 2;
	counter->was_unsought = look->is_unsought;
	*out_run = counter;
	return 0;
}

static void on_cancel(void *ctx, void *run)
{
	CHECK(ctx == run);
}

static void on_hint(void *ctx, void *run, const struct peer_via *vias, unsigned cnt,
		    uint64_t now_ns)
{
	struct counter *counter = ctx;

	(void)run, (void)vias, (void)now_ns;
	CHECK(cnt);
	counter->hint_cnt++;
}

static void note_connect(void *arg, int err, const uint8_t *actual_key)
{
	(void)arg, (void)actual_key;
	connect_cnt++;
	connect_err = err;
}

static void locator_add(struct counter *counter, const char *name, bool keeps)
{
	*counter = (struct counter){.locator = {.name = name,
						.stagger_ns = PAIR_S,
						.budget_ns = 5 * PAIR_S,
						.look = on_look,
						.cancel = on_cancel,
						.hint = on_hint,
						.keeps_unsought = keeps,
						.ctx = counter}};
	CHECK_EQ(mesh_add_locator(rig.nodes[0].mesh, &counter->locator), 0);
}

static void handle_all(void)
{
	kept.ops = rig.nodes[1].seam.ops;
	kept.wants_gone = true;
	CHECK_EQ(kept.ops->handle(rig.nodes[1].mesh, MESH_GET_CHUNK_HASHES, rig_keep, &kept), 0);
	CHECK_EQ(kept.ops->handle(rig.nodes[1].mesh, MESH_GET_CHUNK, rig_echo, &rig.nodes[1]), 0);
}

static void nodes_init(void)
{
	memset(&kept, 0, sizeof(kept));
	connect_cnt = 0;
	rig_init(&rig, 2);
	handle_all();
	locator_add(&teller, "teller", false);
	locator_add(&keeper, "keeper", true);
}

static void connect_with(struct mesh_peer peer)
{
	const struct mesh_connect connect = {
		.peer = &peer, .timeout_ns = 30 * PAIR_S, .done = note_connect};

	memset(peer.key, 2, sizeof(peer.key));
	connect_cnt = 0;
	CHECK_EQ(mesh_connect(rig.nodes[0].mesh, &connect, rig.net.now_ns), 0);
}

static unsigned told_cnt(void)
{
	return teller.look_cnt + teller.hint_cnt + keeper.look_cnt + keeper.hint_cnt;
}

static void test_an_unsought_key_is_given_to_no_locator(void)
{
	const struct addr silent = pair_addr(50);

	nodes_init();
	connect_with((struct mesh_peer){.is_unsought = true});
	CHECK_EQ(connect_cnt, 0); /* not inside the call */
	pair_net_run(&rig.net, PAIR_S);
	CHECK_EQ(connect_cnt, 1);
	CHECK_EQ(connect_err, WEFT_EUNREACHABLE);
	/* Nor when its addresses have had their time. */
	pair_net_rule(&rig.net, silent, PAIR_SILENT, 0);
	connect_with((struct mesh_peer){.addrs = &silent, .addr_cnt = 1, .is_unsought = true});
	pair_net_run(&rig.net, 40 * PAIR_S);
	CHECK_EQ(connect_cnt, 1);
	CHECK(connect_err < 0);
	CHECK_EQ(told_cnt(), 0);
	rig_fini(&rig);
}

static void test_an_unsought_peer_is_reached_where_it_was(void)
{
	const struct addr nobody = pair_addr(50);

	nodes_init();
	CHECK(rig_connected(&rig, 0, 1));
	pair_net_close_dialled(&rig.net, 0);
	pair_net_run(&rig.net, PAIR_S);
	connect_with((struct mesh_peer){.addrs = &nobody, .addr_cnt = 1, .is_unsought = true});
	pair_net_run(&rig.net, 5 * PAIR_S);
	CHECK_EQ(connect_cnt, 1);
	CHECK_EQ(connect_err, 0);
	CHECK_EQ(told_cnt(), 0);
	rig_fini(&rig);
}

static void test_another_asker_of_the_same_key_has_it_looked_for(void)
{
	nodes_init();
	connect_with((struct mesh_peer){.is_unsought = true});
	connect_with((struct mesh_peer){.is_unsought = false});
	pair_net_run(&rig.net, PAIR_S);
	CHECK_EQ(teller.look_cnt, 1);
	CHECK(!teller.was_unsought);
	CHECK(!teller.is_wrong);
	rig_fini(&rig);
}

static void test_a_key_that_the_node_keeps_is_looked_for_by_no_asker(void)
{
	const struct addr silent = pair_addr(50);

	nodes_init();
	rig.nodes[0].unsought_byte = 2;
	pair_net_rule(&rig.net, silent, PAIR_SILENT, 0);
	connect_with((struct mesh_peer){
		.addrs = &silent, .addr_cnt = 1, .is_chosen = true, .is_wanted = true});
	pair_net_run(&rig.net, 40 * PAIR_S);
	CHECK_EQ(connect_cnt, 1);
	CHECK_EQ(told_cnt(), 0);
	/* No longer kept, it is looked for. */
	rig.nodes[0].unsought_byte = 0;
	connect_with((struct mesh_peer){.is_chosen = true});
	pair_net_run(&rig.net, PAIR_S);
	CHECK_EQ(teller.look_cnt, 1);
	rig_fini(&rig);
}

static void test_a_key_that_becomes_kept_is_not_looked_for_again(void)
{
	const struct addr silent = pair_addr(50);

	nodes_init();
	pair_net_rule(&rig.net, silent, PAIR_SILENT, 0);
	connect_with((struct mesh_peer){.addrs = &silent, .addr_cnt = 1});
	pair_net_run(&rig.net, 2100 * PAIR_MS);
	CHECK_EQ(teller.look_cnt, 1);
	rig.nodes[0].unsought_byte = 2;
	pair_net_run(&rig.net, 40 * PAIR_S);
	CHECK_EQ(teller.look_cnt, 1);
	CHECK_EQ(connect_cnt, 1);
	rig_fini(&rig);
}

static void test_relays_that_are_named_learn_an_unsought_key(void)
{
	const struct peer_via via = {.key = {5}, .addr = pair_addr(1)};

	nodes_init();
	connect_with((struct mesh_peer){.vias = &via, .via_cnt = 1, .is_unsought = true});
	pair_net_run(&rig.net, 20 * PAIR_S);
	CHECK_EQ(teller.look_cnt + teller.hint_cnt, 0);
	CHECK(keeper.look_cnt > 0);
	CHECK(keeper.was_unsought);
	CHECK(keeper.hint_cnt >= keeper.look_cnt);
	rig_fini(&rig);
}

/* Where they come in the order is for such an asker to say. */
static void test_relays_of_an_earlier_record_do_not_learn_an_unsought_key(void)
{
	const struct addr addr = pair_addr(2), nobody = pair_addr(50);
	const struct peer_via via = {.key = {5}, .addr = pair_addr(1)};
	const struct mesh_found found = {
		.addrs = &addr, .addr_cnt = 1, .vias = &via, .via_cnt = 1, .seq = 7};
	unsigned before_cnt;

	nodes_init();
	connect_with((struct mesh_peer){.is_unsought = false});
	pair_net_run(&rig.net, 100 * PAIR_MS);
	CHECK_EQ(teller.look->found(teller.look, &found, rig.net.now_ns), 0);
	pair_net_run(&rig.net, PAIR_S);
	CHECK_EQ(connect_err, 0);
	pair_net_close_dialled(&rig.net, 0);
	rig.nodes[1].end->is_dead = true;
	pair_net_run(&rig.net, PAIR_S);
	before_cnt = told_cnt();
	connect_with((struct mesh_peer){.addrs = &nobody, .addr_cnt = 1, .is_unsought = true});
	pair_net_run(&rig.net, 40 * PAIR_S);
	CHECK_EQ(connect_cnt, 1);
	CHECK_EQ(told_cnt(), before_cnt);
	rig_fini(&rig);
}

static void test_a_connect_that_is_taken_back_is_not_called(void)
{
	const struct addr silent = pair_addr(50);
	struct mesh_peer peer = {.key = {0}, .addrs = &silent, .addr_cnt = 1, .is_unsought = true};
	const struct mesh_connect connect = {
		.peer = &peer, .timeout_ns = 30 * PAIR_S, .done = note_connect};
	struct mesh_request *request = NULL;

	nodes_init();
	memset(peer.key, 2, sizeof(peer.key));
	pair_net_rule(&rig.net, silent, PAIR_SILENT, 0);
	CHECK_EQ(rig.nodes[0].seam.ops->connect(rig.nodes[0].mesh, &connect, rig.net.now_ns,
						&request),
		 0);
	pair_net_run(&rig.net, PAIR_S);
	rig.nodes[0].seam.ops->cancel(request);
	pair_net_run(&rig.net, 40 * PAIR_S);
	CHECK_EQ(connect_cnt, 0);
	rig_fini(&rig);
}

/* A request that is on its way, or acknowledged, when its peer dies. */
static void ask_and_kill(unsigned type, bool is_unsought)
{
	const struct addr addr = pair_addr(2);
	struct rig_ask ask;
	struct mesh_ask call = {.peer = {.addrs = &addr, .addr_cnt = 1, .is_unsought = is_unsought},
				.type = type,
				.payload = "abc",
				.payload_len = 3,
				.timeout_ns = 60 * PAIR_S};

	memset(call.peer.key, 2, MESH_KEY_LEN);
	if (type == MESH_GET_CHUNK)
		rig_kill(&rig, 1);
	CHECK_EQ(rig_ask_with(&rig, &ask, 0, &call), 0);
	pair_net_run(&rig.net, PAIR_S);
	if (type != MESH_GET_CHUNK)
		rig_kill(&rig, 1);
	pair_net_run(&rig.net, 60 * PAIR_S);
	CHECK_EQ(ask.reply_cnt, 1);
	CHECK(ask.reply.err < 0);
	rig_ask_fini(&ask);
}

static void test_a_silent_session_is_redialled_without_a_locator(void)
{
	static const unsigned types[] = {MESH_GET_CHUNK, MESH_GET_CHUNK_HASHES};

	for (unsigned i = 0; i < 2; i++) {
		nodes_init();
		connect_with((struct mesh_peer){.addrs = (struct addr[]){pair_addr(2)},
						.addr_cnt = 1,
						.is_unsought = true});
		pair_net_run(&rig.net, PAIR_S);
		CHECK_EQ(connect_err, 0);
		ask_and_kill(types[i], true);
		CHECK_EQ(told_cnt(), 0);
		rig_fini(&rig);
		/* Any other session's peer is looked for. */
		nodes_init();
		CHECK(rig_connected(&rig, 0, 1));
		ask_and_kill(types[i], false);
		CHECK(teller.look_cnt > 0);
		rig_fini(&rig);
	}
}

static void test_a_peer_lost_in_silence_is_redialled_without_a_locator(void)
{
	nodes_init();
	connect_with((struct mesh_peer){
		.addrs = (struct addr[]){pair_addr(2)}, .addr_cnt = 1, .is_unsought = true});
	pair_net_run(&rig.net, PAIR_S);
	ask_and_kill(MESH_GET_CHUNK, true);
	mesh_wake(rig.nodes[0].mesh, rig.net.now_ns);
	pair_net_run(&rig.net, 40 * PAIR_S);
	CHECK(rig.nodes[0].end->dial_cnt > 1);
	CHECK_EQ(told_cnt(), 0);
	rig_fini(&rig);
}

int main(void)
{
	RUN(test_an_unsought_key_is_given_to_no_locator);
	RUN(test_an_unsought_peer_is_reached_where_it_was);
	RUN(test_another_asker_of_the_same_key_has_it_looked_for);
	RUN(test_a_key_that_the_node_keeps_is_looked_for_by_no_asker);
	RUN(test_a_key_that_becomes_kept_is_not_looked_for_again);
	RUN(test_relays_that_are_named_learn_an_unsought_key);
	RUN(test_relays_of_an_earlier_record_do_not_learn_an_unsought_key);
	RUN(test_a_connect_that_is_taken_back_is_not_called);
	RUN(test_a_silent_session_is_redialled_without_a_locator);
	RUN(test_a_peer_lost_in_silence_is_redialled_without_a_locator);
	return check_done();
}
