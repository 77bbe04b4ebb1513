/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The overlay and peer exchange over meshes: what the lab promises in the mesh's
 * stead must hold for the real one.
 */
#include "overlay/overlay.h"
#include "mesh/peers/pex.h"
#include "support/check.h"
#include "support/mesh_rig.h"

#define TAG 0x72

static struct rig rig;
static struct overlay *overlays[RIG_NODES];
static struct mesh_pex *pexes[RIG_NODES];
static struct random dice[RIG_NODES];
static unsigned told_cnt;

static uint8_t value[OVERLAY_VALUE_LEN_MAX];
static unsigned done_cnt, value_cnt;
static struct overlay_result result;

static int check_any(void *ctx, const struct overlay_value *any, uint64_t wall_s,
		     struct overlay_claim *out_claim)
{
	(void)ctx;
	*out_claim = (struct overlay_claim){.seq = 1, .expires_s = wall_s + 1000};
	memset(out_claim->writer, any->bytes[1], sizeof(out_claim->writer));
	return any->len > 1 ? 0 : WEFT_EMALFORMED;
}

static const struct overlay_rule rule = {.tag = TAG,
					 .prefix = "any:",
					 .len_max = OVERLAY_VALUE_LEN_MAX,
					 .key_max = 8,
					 .check = check_any};

static void note_told(void *ctx, const struct mesh_pex_node *node, uint64_t now_ns)
{
	struct mesh_peer peer = {.addrs = node->addrs, .addr_cnt = node->addr_cnt};

	told_cnt++;
	memcpy(peer.key, node->key, sizeof(peer.key));
	overlay_know(ctx, &peer, now_ns);
}

static void overlay_begin(unsigned i)
{
	struct overlay_params params = {
		.own_key = rig.nodes[i].end->key,
		.mesh = rig.nodes[i].seam,
		.neighbours = &mesh_neighbour_ops,
		.random = &dice[i],
		.now_ns = rig.net.now_ns,
		.wall_s = RIG_WALL_S,
	};
	struct mesh_pex_params pex = {
		.own_key = rig.nodes[i].end->key,
		.mesh = rig.nodes[i].seam,
		.neighbours = &mesh_neighbour_ops,
		.random = &dice[i],
		.now_ns = rig.net.now_ns,
		.wall_s = RIG_WALL_S,
		.found = note_told,
	};

	random_init_seeded(&dice[i], i + 1);
	overlay_config_defaults(&params.config);
	mesh_pex_config_defaults(&pex.config);
	if (overlay_new(&params, &overlays[i]) < 0)
		abort();
	pex.ctx = overlays[i];
	if (overlay_seam_of(overlays[i]).ops->add_rule(overlays[i], &rule) < 0 ||
	    overlay_start(overlays[i], rig.net.now_ns) < 0 || mesh_pex_new(&pex, &pexes[i]) < 0)
		abort();
}

static void run(unsigned ms)
{
	for (unsigned at = 0; at < ms; at += 10) {
		pair_net_run(&rig.net, 10 * PAIR_MS);
		for (unsigned i = 0; i < RIG_NODES; i++) {
			if (!overlays[i] || rig.nodes[i].end->is_dead)
				continue;
			if (overlay_next_ns(overlays[i]) <= rig.net.now_ns)
				overlay_expire(overlays[i], rig.net.now_ns);
			if (mesh_pex_next_ns(pexes[i]) <= rig.net.now_ns)
				mesh_pex_expire(pexes[i], rig.net.now_ns);
		}
	}
}

static void begin(unsigned cnt)
{
	rig_init(&rig, cnt);
	told_cnt = 0;
	for (unsigned i = 0; i < cnt; i++)
		overlay_begin(i);
}

static void end(void)
{
	for (unsigned i = 0; i < RIG_NODES; i++) {
		overlay_stop(overlays[i]);
		mesh_pex_stop(pexes[i]);
	}
	rig_fini(&rig);
	for (unsigned i = 0; i < RIG_NODES; i++) {
		overlay_free(overlays[i]);
		mesh_pex_free(pexes[i]);
		overlays[i] = NULL;
		pexes[i] = NULL;
	}
}

static struct overlay_stats stats_of(unsigned i)
{
	struct overlay_stats stats;

	overlay_stats(overlays[i], rig.net.now_ns, &stats);
	return stats;
}

static void note_done(void *arg, const struct overlay_result *what, uint64_t now_ns)
{
	(void)arg;
	(void)now_ns;
	done_cnt++;
	result = *what;
}

static void note_value(void *arg, const uint8_t *bytes, size_t len,
		       const struct overlay_claim *claim)
{
	(void)claim;
	value_cnt += len == *(const size_t *)arg && memcmp(bytes + 2, value + 2, len - 2) == 0;
}

static void put(unsigned from, uint8_t writer, size_t len)
{
	struct overlay_run *put_run;

	done_cnt = 0;
	for (size_t i = 0; i < sizeof(value); i++)
		value[i] = (uint8_t)(i * 7 + i / 251);
	value[0] = TAG;
	value[1] = writer;
	if (overlay_seam_of(overlays[from])
		    .ops->put(overlays[from],
			      &(struct overlay_put_params){.value = {"any:x", 5, value, len},
							   .done = note_done},
			      rig.net.now_ns, &put_run) < 0)
		abort();
	run(10000);
}

static void get(unsigned from, size_t len)
{
	struct overlay_run *get_run;

	done_cnt = 0;
	value_cnt = 0;
	if (overlay_seam_of(overlays[from])
		    .ops->get(overlays[from],
			      &(struct overlay_get_params){.name = "any:x",
							   .name_len = 5,
							   .tag = TAG,
							   .value = note_value,
							   .done = note_done,
							   .arg = &len},
			      rig.net.now_ns, &get_run) < 0)
		abort();
	run(10000);
}

/* Three fresh nodes of one site, of which two have dialled the third. */
static void test_fresh_nodes_come_to_serve(void)
{
	begin(3);
	CHECK(rig_connected(&rig, 0, 2));
	CHECK(rig_connected(&rig, 1, 2));
	run(30000);
	CHECK(!stats_of(0).is_serving); /* no node has dialled it */
	CHECK(stats_of(2).is_serving);
	CHECK_EQ(stats_of(0).table.good, 1);
	CHECK_EQ(stats_of(1).table.good, 1);
	CHECK(rig_connected(&rig, 0, 1));
	run(60000);
	/* Now that the second was dialled it serves, and the third hears of it by its requests. */
	CHECK(stats_of(1).is_serving);
	CHECK_EQ(stats_of(2).table.good, 1);
	CHECK_EQ(stats_of(0).table.good, 2);
	end();
}

static void test_longest_value_goes_round(void)
{
	begin(4);
	for (unsigned i = 1; i < 4; i++)
		CHECK(rig_connected(&rig, 0, i));
	run(60000);
	for (uint8_t writer = 1; writer <= 3; writer++) {
		put(0, writer, OVERLAY_VALUE_LEN_MAX);
		CHECK_EQ(done_cnt, 1);
		CHECK_EQ(result.err, 0);
		CHECK_EQ(result.stored_cnt, 3);
	}
	get(0, OVERLAY_VALUE_LEN_MAX); /* it keeps none itself: three pages of each */
	CHECK_EQ(done_cnt, 1);
	CHECK_EQ(value_cnt, 3);
	put(1, 9, 2);
	get(0, 2);
	CHECK_EQ(value_cnt, 1);
	end();
}

static void test_peers_of_peers_are_found_and_asked(void)
{
	begin(3);
	CHECK(rig_connected(&rig, 1, 2));
	CHECK(rig_connected(&rig, 0, 1));
	run(90000);
	CHECK(told_cnt > 0);
	put(0, 1, 100);
	CHECK_EQ(result.stored_cnt, 2);
	get(2, 100);
	CHECK_EQ(value_cnt, 1);
	end();
}

/* The writer dies in the middle; the storer notices, and serves on. */
static void test_asker_that_dies_costs_nothing(void)
{
	struct overlay_run *lost;

	begin(3);
	CHECK(rig_connected(&rig, 0, 2));
	CHECK(rig_connected(&rig, 1, 2));
	run(30000);
	value[0] = TAG;
	for (unsigned ms = 0; ms < 200; ms += 20) {
		CHECK_EQ(overlay_seam_of(overlays[0])
				 .ops->put(overlays[0],
					   &(struct overlay_put_params){
						   .value = {"any:x", 5, value, 60000},
						   .done = note_done},
					   rig.net.now_ns, &lost),
			 0);
		run(ms);
		pair_net_close_dialled(&rig.net, 0);
		run(10000);
	}
	put(1, 5, 100);
	CHECK_EQ(result.err, 0);
	get(1, 100);
	CHECK_EQ(value_cnt, 1);
	end();
	CHECK_EQ(rig.net.span_out_cnt, 0);
}

int main(void)
{
	RUN(test_fresh_nodes_come_to_serve);
	RUN(test_longest_value_goes_round);
	RUN(test_peers_of_peers_are_found_and_asked);
	RUN(test_asker_that_dies_costs_nothing);
	return check_done();
}
