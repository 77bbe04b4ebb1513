/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes that are silent, dead or gone. */
#include "put_and_get_rig.h"

static void test_silent_nodes_end_in_a_timeout(void)
{
	begin(2);
	overlay_lab_stop(&lab.nodes[1]);
	CHECK_EQ(overlay_lab_get(&lab, &lab.nodes[0], "lab:a", &result), 0);
	CHECK_EQ(result.result.err, WEFT_ETIMEOUT);
	CHECK_EQ(result.result.asked_cnt, 1);
	overlay_lab_fini(&lab);
}

static void test_a_node_that_knows_only_dead_nodes_waits_long_once(void)
{
	begin(3);
	overlay_lab_stop(&lab.nodes[1]);
	overlay_lab_stop(&lab.nodes[2]);
	CHECK_EQ(overlay_lab_get(&lab, &lab.nodes[0], "lab:a", &result), 0);
	CHECK_EQ(result.result.err, WEFT_ETIMEOUT);
	for (unsigned i = 0; i < 3; i++) {
		CHECK_EQ(overlay_lab_get(&lab, &lab.nodes[0], "lab:a", &result), 0);
		CHECK_EQ(result.result.err, WEFT_ETIMEOUT); /* they are tried again */
		CHECK(result.result.took_ns < 500 * NS_PER_MS);
	}
	overlay_lab_fini(&lab);
}

static uint32_t silent_cnt(const struct overlay_lab_node *node)
{
	struct fair_view view;

	overlay_silent_view(node->overlay, &view);
	return view.held_cnt;
}

/* Four of twelve nodes die, and each holds the value. */
static void test_dead_nodes_cost_a_lookup_little_and_once(void)
{
	struct overlay_lab_value value;
	uint64_t well_ns;

	begin(12);
	value = value_of(1, 7);
	CHECK_EQ(overlay_lab_put(&lab, &lab.nodes[3], "lab:a", &value, &result), 0);
	CHECK_EQ(overlay_lab_get(&lab, &lab.nodes[0], "lab:a", &result), 0);
	well_ns = result.result.took_ns;
	for (unsigned i = 8; i < 12; i++)
		overlay_lab_stop(&lab.nodes[i]);
	CHECK_EQ(overlay_lab_get(&lab, &lab.nodes[0], "lab:a", &result), 0);
	CHECK_EQ(result.value_cnt, 1);
	CHECK_EQ(result.result.asked_cnt, 11);
	CHECK(result.result.took_ns < well_ns + 500 * NS_PER_MS);
	CHECK_EQ(silent_cnt(&lab.nodes[0]), 4);
	CHECK_EQ(overlay_lab_get(&lab, &lab.nodes[0], "lab:a", &result), 0);
	CHECK_EQ(result.value_cnt, 1);
	CHECK_EQ(result.result.asked_cnt, 7); /* the living alone */
	CHECK(result.result.took_ns <= well_ns);
	/* One of them comes back, and is asked again. */
	overlay_lab_start(&lab.nodes[8], &lab.nodes[0]);
	overlay_node_returned(lab.nodes[0].overlay, lab.nodes[8].mesh->key);
	(void)overlay_lab_run(&lab, 10 * NS_PER_S, NULL, NULL);
	CHECK_EQ(overlay_lab_get(&lab, &lab.nodes[0], "lab:a", &result), 0);
	CHECK_EQ(result.result.asked_cnt, 8);
	CHECK_EQ(silent_cnt(&lab.nodes[0]), 3);
	overlay_lab_fini(&lab);
}

static void test_a_node_that_stops_serving_leaves_the_tables(void)
{
	begin(4);
	lab.nodes[2].config.serve = OVERLAY_SERVE_OFF;
	overlay_configure(lab.nodes[2].overlay, &lab.nodes[2].config, lab.mesh.now_ns);
	CHECK(!(lab.nodes[2].mesh->caps & MESH_CAP_DHT));
	CHECK_EQ(overlay_lab_get(&lab, &lab.nodes[0], "lab:a", &result), 0);
	CHECK_EQ(overlay_lab_stats(&lab.nodes[0]).table.good, 2);
	CHECK_EQ(overlay_lab_count(&lab.nodes[0], OVERLAY_NO_SERVER), 1);
	overlay_lab_fini(&lab);
}

static void test_a_member_that_is_gone_is_pinged_before_it_gives_way(void)
{
	begin(4);
	overlay_lab_stop(&lab.nodes[2]);
	CHECK_EQ(overlay_lab_stats(&lab.nodes[0]).table.good, 3);
	(void)overlay_lab_run(&lab, 3 * 3600 * NS_PER_S, NULL, NULL);
	CHECK_EQ(overlay_lab_stats(&lab.nodes[0]).table.good, 2);
	CHECK_EQ(overlay_lab_stats(&lab.nodes[0]).table.bad, 1);
	CHECK(overlay_lab_count(&lab.nodes[0], OVERLAY_NO_REPLY) >= 3);
	overlay_lab_fini(&lab);
}

int main(void)
{
	RUN(test_silent_nodes_end_in_a_timeout);
	RUN(test_a_node_that_knows_only_dead_nodes_waits_long_once);
	RUN(test_dead_nodes_cost_a_lookup_little_and_once);
	RUN(test_a_node_that_stops_serving_leaves_the_tables);
	RUN(test_a_member_that_is_gone_is_pinged_before_it_gives_way);
	return check_done();
}
