/* SPDX-License-Identifier: Apache-2.0 */
/* Puts and gets between a few nodes, and how those find each other. */
#include "put_and_get_rig.h"

static struct overlay_lab_result other;
static unsigned cancelling_cnt, value_cnt;
static struct overlay_run *cancelling;

static void test_value_is_found_by_all(void)
{
	struct overlay_lab_value value;

	begin(12);
	value = value_of(1, 7);
	CHECK_EQ(overlay_lab_put(&lab, &lab.nodes[3], "lab:a", &value, &result), 0);
	CHECK_EQ(result.result.err, 0);
	CHECK_EQ(result.result.stored_cnt, 12); /* fewer than K nodes: all hold it */
	for (unsigned i = 0; i < 12; i++) {
		CHECK_EQ(overlay_lab_get(&lab, &lab.nodes[i], "lab:a", &result), 0);
		CHECK_EQ(result.result.err, 0);
		CHECK_EQ(result.value_cnt, 1); /* however many hold it */
		CHECK_EQ(result.claims[0].seq, 7);
	}
	overlay_lab_fini(&lab);
}

static void test_value_lies_with_the_k_nearest_alone(void)
{
	struct overlay_lab_value value;
	unsigned holders = 0;
	uint8_t key[SHA256_HASH_LEN];
	struct kad_id place;

	begin(40);
	value = value_of(1, 7);
	CHECK_EQ(overlay_lab_put(&lab, &lab.nodes[3], "lab:a", &value, &result), 0);
	CHECK_EQ(result.result.stored_cnt, 20);
	sha256("lab:a", 5, key);
	memcpy(place.bytes, key, sizeof(place.bytes));
	for (unsigned i = 0; i < 40; i++) {
		struct kad_id id = overlay_id_of(lab.nodes[i].mesh->key);
		unsigned nearer = 0;

		holders += overlay_lab_stats(&lab.nodes[i]).value_cnt;
		for (unsigned j = 0; j < 40; j++) {
			struct kad_id at = overlay_id_of(lab.nodes[j].mesh->key);

			nearer += kad_id_is_nearer(&place, &at, &id);
		}
		CHECK_EQ(overlay_lab_stats(&lab.nodes[i]).value_cnt, nearer < 20);
	}
	CHECK_EQ(holders, 20);
	overlay_lab_fini(&lab);
}

static void test_writers_share_a_name(void)
{
	struct overlay_lab_value value;
	unsigned seen = 0;

	begin(8);
	for (uint8_t i = 1; i <= 5; i++) {
		value = value_of(i, i);
		CHECK_EQ(overlay_lab_put(&lab, &lab.nodes[i], "lab:a", &value, &result), 0);
	}
	value = value_of(2, 9);
	CHECK_EQ(overlay_lab_put(&lab, &lab.nodes[2], "lab:a", &value, &result), 0);
	CHECK_EQ(overlay_lab_get(&lab, &lab.nodes[7], "lab:a", &result), 0);
	CHECK_EQ(result.value_cnt, 5);
	for (unsigned i = 0; i < 5; i++) {
		seen |= 1u << result.claims[i].writer[0];
		CHECK_EQ(result.claims[i].seq,
			 result.claims[i].writer[0] == 2 ? 9 : result.claims[i].writer[0]);
	}
	CHECK_EQ(seen, 0x3e);
	overlay_lab_fini(&lab);
}

/* An owner of one network has no more than its share of a name, whatever it signs. */
static void test_flood_of_writers_leaves_the_others(void)
{
	struct overlay_lab_value value;
	unsigned honest = 0;

	begin(24);
	for (uint8_t i = 1; i <= 3; i++) {
		value = value_of(i, 1);
		CHECK_EQ(overlay_lab_put(&lab, &lab.nodes[i], "lab:a", &value, &result), 0);
	}
	for (unsigned i = 10; i < 210; i++) {
		value = value_of((uint8_t)i, 1);
		CHECK_EQ(overlay_lab_put(&lab, &lab.nodes[9], "lab:a", &value, &result), 0);
	}
	CHECK_EQ(overlay_lab_get(&lab, &lab.nodes[20], "lab:a", &result), 0);
	for (unsigned i = 0; i < result.value_cnt; i++)
		honest += result.claims[i].writer[0] <= 3;
	CHECK_EQ(honest, 3);
	/* Its own node keeps what it likes; all others, two of them. */
	CHECK(result.value_cnt <= 3 + OVERLAY_LAB_PREFIXES + OVERLAY_LAB_KEY_MAX);
	CHECK(overlay_lab_count(&lab.nodes[20], OVERLAY_PREFIX_FULL) +
		      overlay_lab_count(&lab.nodes[20], OVERLAY_FLOOD) >
	      0);
	overlay_lab_fini(&lab);
}

/* An older value cannot be put over a newer one, by any node. */
static void test_older_value_is_refused_by_all(void)
{
	struct overlay_lab_value value;

	begin(8);
	value = value_of(1, 7);
	CHECK_EQ(overlay_lab_put(&lab, &lab.nodes[1], "lab:a", &value, &result), 0);
	value.seq = 6;
	CHECK_EQ(overlay_lab_put(&lab, &lab.nodes[2], "lab:a", &value, &result), 0);
	CHECK_EQ(result.result.stored_cnt, 0);
	CHECK_EQ(result.result.refused_cnt, 7); /* and by itself */
	overlay_lab_fini(&lab);
}

static void test_puts_that_make_no_sense_are_refused_at_once(void)
{
	uint8_t bytes[OVERLAY_LAB_LEN_MAX + 1];
	struct overlay_lab_value value;
	struct overlay_seam *seam;
	struct overlay_run *run;
	size_t len;

	begin(2);
	seam = &lab.nodes[0].seam;
	value = value_of(1, 7);
	len = overlay_lab_value_write("lab:a", &value, bytes);
#define PUT(name, value_len)                                                                       \
	seam->ops->put(seam->overlay,                                                              \
		       &(struct overlay_put_params){                                               \
			       .value = {name, strlen(name), bytes, value_len}, .done = NULL},     \
		       lab.mesh.now_ns, &run)
	CHECK_EQ(PUT("svc:a", len), WEFT_EMALFORMED);
	CHECK_EQ(PUT("lab:b", len), WEFT_EDAMAGED);
	CHECK_EQ(PUT("lab:a", 10), WEFT_EMALFORMED);
	CHECK_EQ(PUT("lab:a", OVERLAY_LAB_LEN_MAX + 1), WEFT_ETOOLARGE);
	bytes[0] = 0;
	CHECK_EQ(PUT("lab:a", len), WEFT_EUNKNOWN);
	value.expires_s = 1;
	CHECK_EQ(overlay_lab_begin_put(&lab.nodes[0], "lab:a", &value, &result), WEFT_ESTALE);
	value = value_of(1, 7);
	value.created_s += 1000;
	CHECK_EQ(overlay_lab_begin_put(&lab.nodes[0], "lab:a", &value, &result), WEFT_EREFUSED);
#undef PUT
	CHECK_EQ(overlay_lab_begin_get(&lab.nodes[0], "svc:a", &result), WEFT_EMALFORMED);
	CHECK_EQ(seam->ops->get(seam->overlay,
				&(struct overlay_get_params){.name = "lab:a",
							     .name_len = 5,
							     .tag = 1,
							     .value = NULL,
							     .done = NULL},
				lab.mesh.now_ns, &run),
		 WEFT_EUNKNOWN);
	CHECK_EQ(overlay_lab_stats(&lab.nodes[0]).run_cnt, 0);
	overlay_lab_fini(&lab);
}

static void test_one_run_too_many_is_refused(void)
{
	struct overlay_lab_result results[17];

	begin(2);
	for (unsigned i = 0; i < 17; i++)
		CHECK_EQ(overlay_lab_begin_get(&lab.nodes[0], "lab:a", &results[i]),
			 i < 16 ? 0 : WEFT_EFULL);
	(void)overlay_lab_run(&lab, 60 * NS_PER_S, NULL, NULL);
	for (unsigned i = 0; i < 16; i++)
		CHECK_EQ(results[i].done_cnt, 1);
	CHECK_EQ(overlay_lab_stats(&lab.nodes[0]).run_cnt, 0);
	CHECK_EQ(overlay_lab_stats(&lab.nodes[0]).query_cnt, 0);
	overlay_lab_fini(&lab);
}

static void test_an_empty_table_is_reported(void)
{
	struct overlay_lab_value value;

	overlay_lab_init(&lab, 5, 2, &calm);
	overlay_lab_start(overlay_lab_add(&lab), NULL);
	CHECK_EQ(overlay_lab_begin_get(&lab.nodes[0], "lab:a", &result), 0);
	CHECK(!result.is_done); /* never inside the call */
	(void)overlay_lab_run(&lab, NS_PER_S, NULL, NULL);
	CHECK_EQ(result.result.err, WEFT_EUNREACHABLE);
	value = value_of(1, 1);
	CHECK_EQ(overlay_lab_put(&lab, &lab.nodes[0], "lab:a", &value, &result), 0);
	CHECK_EQ(result.result.err, 0); /* it holds it itself */
	CHECK_EQ(result.result.stored_cnt, 1);
	CHECK_EQ(overlay_lab_get(&lab, &lab.nodes[0], "lab:a", &result), 0);
	CHECK_EQ(result.value_cnt, 1);
	overlay_lab_fini(&lab);
}

static void test_cancelled_run_calls_no_callback(void)
{
	struct overlay_lab_value value;
	unsigned done_cnt;

	begin(12);
	value = value_of(1, 7);
	for (unsigned wait_ms = 0; wait_ms < 400; wait_ms += 10) {
		CHECK_EQ(overlay_lab_begin_put(&lab.nodes[3], "lab:a", &value, &result), 0);
		CHECK_EQ(overlay_lab_begin_get(&lab.nodes[3], "lab:b", &other), 0);
		(void)overlay_lab_run(&lab, wait_ms * NS_PER_MS, NULL, NULL);
		if (!result.is_done)
			lab.nodes[3].seam.ops->cancel(result.run);
		if (!other.is_done)
			lab.nodes[3].seam.ops->cancel(other.run);
		done_cnt = result.done_cnt + other.done_cnt;
		(void)overlay_lab_run(&lab, 30 * NS_PER_S, NULL, NULL);
		CHECK_EQ(result.done_cnt + other.done_cnt, done_cnt);
		CHECK_EQ(overlay_lab_stats(&lab.nodes[3]).query_cnt, 0);
	}
	overlay_lab_fini(&lab);
}

static void cancel_at_value(void *arg, const uint8_t *value, size_t len,
			    const struct overlay_claim *claim)
{
	struct overlay_lab_node *node = arg;

	(void)value;
	(void)len;
	(void)claim;
	cancelling_cnt++;
	node->seam.ops->cancel(cancelling);
}

static void never_done(void *arg, const struct overlay_result *what, uint64_t now_ns)
{
	(void)arg;
	(void)what;
	(void)now_ns;
	cancelling_cnt += 100;
}

/* From within the callback for a value, its own run or another. */
static void test_run_may_be_cancelled_by_its_callback(void)
{
	struct overlay_lab_value value;

	begin(12);
	for (uint8_t i = 1; i <= 3; i++) {
		value = value_of(i, 1);
		CHECK_EQ(overlay_lab_put(&lab, &lab.nodes[i], "lab:a", &value, &result), 0);
	}
	lab.nodes[11].config.serve = OVERLAY_SERVE_OFF;
	overlay_lab_stop(&lab.nodes[11]);
	overlay_lab_start(&lab.nodes[11], &lab.nodes[0]); /* holds nothing itself */
	(void)overlay_lab_run(&lab, 10 * NS_PER_S, NULL, NULL);
	for (unsigned i = 0; i < 12; i += 11) {
		struct overlay_lab_node *node = &lab.nodes[i];

		cancelling_cnt = 0;
		CHECK_EQ(node->seam.ops->get(node->overlay,
					     &(struct overlay_get_params){.name = "lab:a",
									  .name_len = 5,
									  .tag = OVERLAY_LAB_TAG,
									  .value = cancel_at_value,
									  .done = never_done,
									  .arg = node},
					     lab.mesh.now_ns, &cancelling),
			 0);
		node->mesh->due_ns = 0;
		(void)overlay_lab_run(&lab, 60 * NS_PER_S, NULL, NULL);
		CHECK_EQ(cancelling_cnt, 1);
		CHECK_EQ(overlay_lab_stats(node).query_cnt, 0);
	}
	overlay_lab_fini(&lab);
}

/* --- a node that lists many others --- */

static struct overlay_lab_result inner;

static void tell_ghosts(void *ctx, const struct mesh_call *call, uint64_t now_ns)
{
	static uint8_t bytes[OVERLAY_VALUES_LEN_MAX], value[OVERLAY_LAB_LEN_MAX + 1];
	struct mesh *node = ctx;
	struct overlay_found found = {0};
	struct overlay_lab_value what = value_of(1, 7);
	struct transport_span span = {.data = bytes};
	struct writer w = writer_of(bytes, sizeof(bytes));

	(void)now_ns;
	found.node_cnt = 1 + (unsigned)random_below(&lab.mesh.dice, OVERLAY_NODES_MAX);
	for (unsigned i = 0; i < found.node_cnt; i++) {
		struct overlay_node *ghost = &found.nodes[i];

		random_fill(&lab.mesh.dice, ghost->key, sizeof(ghost->key));
		random_fill(&lab.mesh.dice, ghost->addrs[0].ip, 4);
		ghost->addrs[0].ip[0] = 30;
		ghost->addrs[0].port = 1;
		ghost->addrs[0].family = ADDR_IPV4;
		ghost->addr_cnt = 1;
	}
	found.value_cnt = 1;
	found.values[0].data = value;
	found.values[0].len = overlay_lab_value_write("lab:a", &what, value);
	overlay_found_write(&w, &found, call->type == MESH_FIND_VALUE);
	span.len = writer_len(&w);
	(void)mesh_lab_seam_of(node).ops->answer(call->incoming, call->type, NULL, 0, &span);
}

static void tell_crowd(void *ctx, const struct mesh_call *call, uint64_t now_ns)
{
	static uint8_t bytes[OVERLAY_VALUES_LEN_MAX],
		values[OVERLAY_KEY_MAX][OVERLAY_LAB_LEN_MAX + 1];
	static unsigned page;
	struct mesh *node = ctx;
	struct overlay_found found = {.value_cnt = 30};
	struct transport_span span = {.data = bytes};
	struct writer w = writer_of(bytes, sizeof(bytes));

	(void)now_ns;
	for (unsigned i = 0; i < found.value_cnt; i++) {
		struct overlay_lab_value what = value_of((uint8_t)(30 * page + i), 1);

		found.values[i].data = values[i];
		found.values[i].len = overlay_lab_value_write("lab:a", &what, values[i]);
	}
	page++;
	found.next = found.values[0].data + 1;
	overlay_found_write(&w, &found, call->type == MESH_FIND_VALUE);
	span.len = writer_len(&w);
	(void)mesh_lab_seam_of(node).ops->answer(call->incoming, call->type, NULL, 0, &span);
}

/* A node that has ever more writers of a name is believed as many as a node can have. */
static void test_one_node_is_believed_for_no_more_values_than_it_may_store(void)
{
	struct overlay_lab_node *node, *liar;
	struct mesh_peer peer = {.addr_cnt = 1};

	overlay_lab_init(&lab, 5, 4, &calm);
	node = overlay_lab_add(&lab);
	overlay_lab_start(node, NULL);
	liar = overlay_lab_scripted(&lab);
	(void)mesh_lab_seam_of(liar->mesh)
		.ops->handle(liar->mesh, MESH_FIND_VALUE, tell_crowd, liar->mesh);
	peer.addrs = &liar->mesh->addr;
	memcpy(peer.key, liar->mesh->key, sizeof(peer.key));
	overlay_know(node->overlay, &peer, lab.mesh.now_ns);
	CHECK_EQ(overlay_lab_get(&lab, node, "lab:a", &result), 0);
	CHECK_EQ(result.value_cnt, OVERLAY_LAB_KEY_MAX);
	overlay_lab_fini(&lab);
}

static void get_more(void *arg, const uint8_t *bytes, size_t len, const struct overlay_claim *claim)
{
	(void)bytes;
	(void)len;
	(void)claim;
	value_cnt++;
	(void)overlay_lab_begin_get(arg, "lab:b", &inner);
}

/*
 * More contacts than the book holds, and runs that begin during a callback: no run
 * uses the contacts of the current answer yet.
 */
static void test_flood_of_nodes_and_runs_within_runs(void)
{
	struct overlay_lab_node *node, *liar;
	struct overlay_run *run;
	struct mesh_peer peer = {.addr_cnt = 1};

	overlay_lab_init(&lab, 5, 4, &calm);
	node = overlay_lab_add(&lab);
	node->config.table.k = node->config.table.wide_cnt = node->config.table.candidate_cnt = 1;
	node->config.run_cap = 4;	 /* a small table and few runs make a small book */
	node->config.lookup.wait_ns = 0; /* and they last until they are cancelled */
	overlay_lab_start(node, NULL);
	liar = overlay_lab_scripted(&lab);
	(void)mesh_lab_seam_of(liar->mesh)
		.ops->handle(liar->mesh, MESH_FIND_NODE, tell_ghosts, liar->mesh);
	(void)mesh_lab_seam_of(liar->mesh)
		.ops->handle(liar->mesh, MESH_FIND_VALUE, tell_ghosts, liar->mesh);
	peer.addrs = &liar->mesh->addr;
	memcpy(peer.key, liar->mesh->key, sizeof(peer.key));
	overlay_know(node->overlay, &peer, lab.mesh.now_ns);
	(void)overlay_lab_run(&lab, 10 * NS_PER_S, NULL, NULL);
	value_cnt = 0;
	for (unsigned i = 0; i < 3000; i++) {
		inner.run = NULL;
		CHECK_EQ(node->seam.ops->get(node->overlay,
					     &(struct overlay_get_params){.name = "lab:a",
									  .name_len = 5,
									  .tag = OVERLAY_LAB_TAG,
									  .value = get_more,
									  .done = never_done,
									  .arg = node},
					     lab.mesh.now_ns, &run),
			 0);
		node->mesh->due_ns = 0;
		(void)overlay_lab_run(&lab, 300 * NS_PER_MS, NULL, NULL);
		node->seam.ops->cancel(run);
		if (inner.run && !inner.is_done)
			node->seam.ops->cancel(inner.run);
	}
	CHECK_EQ(value_cnt, 3000);
	overlay_lab_fini(&lab);
}

/* --- participants --- */

static void test_client_finds_and_is_in_no_table(void)
{
	struct overlay_lab_node *client;
	struct overlay_lab_value value;

	begin(8);
	client = overlay_lab_add(&lab);
	client->config.serve = OVERLAY_SERVE_OFF;
	overlay_lab_start(client, &lab.nodes[0]);
	(void)overlay_lab_run(&lab, 30 * NS_PER_S, NULL, NULL);
	value = value_of(1, 7);
	CHECK_EQ(overlay_lab_put(&lab, client, "lab:a", &value, &result), 0);
	CHECK_EQ(result.result.stored_cnt, 8);
	CHECK_EQ(overlay_lab_stats(client).value_cnt, 0);
	CHECK_EQ(overlay_lab_get(&lab, client, "lab:a", &result), 0);
	CHECK_EQ(result.value_cnt, 1);
	CHECK_EQ(overlay_lab_stats(client).table.good, 8);
	for (unsigned i = 0; i < 8; i++)
		CHECK_EQ(overlay_lab_stats(&lab.nodes[i]).table.good, 7);
	overlay_lab_fini(&lab);
}

static void test_auto_serves_when_it_was_dialled_from_afar(void)
{
	struct overlay_lab_node *node, *near, *far;
	struct mesh_peer peer = {.addr_cnt = 1};

	overlay_lab_init(&lab, 5, 8, &calm);
	node = overlay_lab_add(&lab);
	near = overlay_lab_add(&lab);
	far = overlay_lab_add(&lab);
	node->config.serve = OVERLAY_SERVE_AUTO;
	node->mesh->addr.ip[0] = near->mesh->addr.ip[0] = 10;
	overlay_lab_start(node, NULL);
	CHECK(!overlay_lab_stats(node).is_serving);
	overlay_lab_start(near, node); /* dials it, on the site of both */
	(void)overlay_lab_run(&lab, 10 * NS_PER_S, NULL, NULL);
	CHECK(overlay_lab_stats(node).is_serving);
	CHECK_EQ(overlay_lab_count(node, OVERLAY_CLIENT), 0); /* from the first request on */
	CHECK(node->mesh->caps & MESH_CAP_DHT);
	CHECK_EQ(overlay_lab_stats(near).table.good, 1);
	/*
	 * A peer on the Internet that it has dialled: a peer on the site is not proof enough now.
	 */
	overlay_lab_start(far, NULL);
	peer.addrs = &far->mesh->addr;
	memcpy(peer.key, far->mesh->key, sizeof(peer.key));
	overlay_know(node->overlay, &peer, lab.mesh.now_ns);
	CHECK_EQ(overlay_lab_get(&lab, node, "lab:a", &result), 0);
	(void)overlay_lab_run(&lab, 10 * NS_PER_S, NULL, NULL);
	CHECK(!overlay_lab_stats(node).is_serving);
	node->config.is_public = true;
	overlay_configure(node->overlay, &node->config, lab.mesh.now_ns);
	CHECK(overlay_lab_stats(node).is_serving);
	overlay_lab_fini(&lab);
}

static void test_storers_are_nodes_that_others_can_ask(void)
{
	struct overlay_lab_node *alone;

	overlay_lab_init(&lab, 5, 2, &calm);
	alone = overlay_lab_add(&lab);
	overlay_lab_start(alone, NULL);
	(void)overlay_lab_run(&lab, NS_PER_S, NULL, NULL);
	CHECK(overlay_is_serving(alone->overlay));
	CHECK_EQ(overlay_keepers(alone->overlay), OVERLAY_STORED_BY_NOBODY);
	overlay_session_up(alone->overlay, lab.mesh.now_ns);
	CHECK_EQ(overlay_keepers(alone->overlay), OVERLAY_STORED_HERE);
	overlay_lab_start(overlay_lab_add(&lab), alone);
	(void)overlay_lab_run(&lab, 10 * NS_PER_S, NULL, NULL);
	CHECK_EQ(overlay_keepers(lab.nodes[1].overlay), OVERLAY_STORED_BY_OTHERS);
	CHECK_EQ(overlay_keepers(alone->overlay), OVERLAY_STORED_BY_OTHERS);
	overlay_lab_stop(&lab.nodes[1]);
	(void)overlay_lab_run(&lab, 3 * 3600 * NS_PER_S, NULL, NULL);
	CHECK_EQ(overlay_keepers(alone->overlay), OVERLAY_STORED_HERE);
	overlay_lab_fini(&lab);
}

int main(void)
{
	RUN(test_value_is_found_by_all);
	RUN(test_value_lies_with_the_k_nearest_alone);
	RUN(test_writers_share_a_name);
	RUN(test_flood_of_writers_leaves_the_others);
	RUN(test_older_value_is_refused_by_all);
	RUN(test_puts_that_make_no_sense_are_refused_at_once);
	RUN(test_one_run_too_many_is_refused);
	RUN(test_an_empty_table_is_reported);
	RUN(test_cancelled_run_calls_no_callback);
	RUN(test_run_may_be_cancelled_by_its_callback);
	RUN(test_one_node_is_believed_for_no_more_values_than_it_may_store);
	RUN(test_flood_of_nodes_and_runs_within_runs);
	RUN(test_client_finds_and_is_in_no_table);
	RUN(test_auto_serves_when_it_was_dialled_from_afar);
	RUN(test_storers_are_nodes_that_others_can_ask);
	return check_done();
}
