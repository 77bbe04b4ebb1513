/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Providers in the overlay itself: what storers keep of false announcements. One host
 * announces a thousand absent providers, or many hosts do, or values are not what they
 * claim.
 */
#include "base/monotonic.h"
#include "shares/announce/holder_record.h"
#include "shares/announce/announce_rules.h"
#include "crypto/node_key.h"
#include "support/check.h"
#include "support/converge.h"
#include "support/overlay_lab.h"
#include "support/seed.h"

#define NODES	  24
#define FAKES	  1000
#define VALUE_CAP (1 + HOLDER_RECORD_LEN_MAX)

static struct overlay_lab lab;
static const uint8_t wanted[32] = {0x77, 1, 2, 3};

static void lab_open(void)
{
	overlay_lab_init(&lab, seed_of_run(9), NODES, NULL);
	for (unsigned i = 0; i < NODES; i++) {
		struct overlay_lab_node *node = overlay_lab_add(&lab);

		node->config.requests_per_min = 1000000; /* what is bounded here is not how often */
		overlay_lab_start(node, i ? &lab.nodes[0] : NULL);
		if (shares_announce_rules_add(&node->seam) < 0)
			abort();
		(void)overlay_lab_run(&lab, NS_PER_S, NULL, NULL);
	}
	(void)overlay_lab_run(&lab, 300 * NS_PER_S, NULL, NULL);
}

static struct node_key *key_of(unsigned number)
{
	uint8_t seed[NODE_KEY_SEED_LEN] = {0xf0, (uint8_t)number, (uint8_t)(number >> 8)};
	struct node_key *key;

	if (node_key_from_seed(seed, &key) < 0)
		abort();
	return key;
}

struct ask {
	bool is_done;
	struct overlay_result result;
	unsigned value_cnt;
	bool has_real;
	const uint8_t *real;
};

static void note_done(void *arg, const struct overlay_result *result, uint64_t now_ns)
{
	struct ask *ask = arg;

	(void)now_ns;
	ask->is_done = true;
	ask->result = *result;
}

static void note_value(void *arg, const uint8_t *value, size_t len,
		       const struct overlay_claim *claim)
{
	struct ask *ask = arg;

	(void)value, (void)len;
	ask->value_cnt++;
	ask->has_real |= ask->real && memcmp(claim->writer, ask->real, 32) == 0;
}

static bool is_done(void *arg)
{
	return ((const struct ask *)arg)->is_done;
}

static unsigned put(struct overlay_lab_node *node, unsigned number)
{
	struct node_key *key = key_of(number);
	struct holder holder = {.time_s = mesh_lab_wall_s(&lab.mesh)};
	uint8_t bytes[VALUE_CAP], name[ANNOUNCE_NAME_CAP];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct overlay_run *run;
	struct ask ask = {0};

	memcpy(holder.id, wanted, sizeof(holder.id));
	writer_u8(&w, ANNOUNCE_CONTENT);
	shares_holder_record_write(&w, key, &holder);
	node_key_free(key);
	node->mesh->due_ns = 0;
	if (node->seam.ops->put(
		    node->overlay,
		    &(struct overlay_put_params){
			    .value = {name,
				      shares_announce_name_of_id(ANNOUNCE_CONTENT, wanted, name),
				      bytes, writer_len(&w)},
			    .done = note_done,
			    .arg = &ask},
		    lab.mesh.now_ns, &run) < 0)
		return 0;
	(void)overlay_lab_run(&lab, 120 * NS_PER_S, is_done, &ask);
	return ask.result.stored_cnt;
}

static struct ask get(struct overlay_lab_node *node, const struct node_key *real)
{
	uint8_t name[ANNOUNCE_NAME_CAP];
	struct overlay_run *run;
	struct ask ask = {.real = node_key_public(real)};

	node->mesh->due_ns = 0;
	if (node->seam.ops->get(
		    node->overlay,
		    &(struct overlay_get_params){
			    .name = name,
			    .name_len = shares_announce_name_of_id(ANNOUNCE_CONTENT, wanted, name),
			    .tag = ANNOUNCE_CONTENT,
			    .value = note_value,
			    .done = note_done,
			    .arg = &ask},
		    lab.mesh.now_ns, &run) < 0)
		return ask;
	(void)overlay_lab_run(&lab, 120 * NS_PER_S, is_done, &ask);
	return ask;
}

static void test_b28_the_real_one_is_found_among_1000_of_one_host(void)
{
	struct node_key *real = key_of(FAKES);
	unsigned taken_cnt = 0;
	struct ask ask;

	lab_open();
	CHECK(put(&lab.nodes[1], FAKES) > 10);
	for (unsigned i = 0; i < FAKES; i++)
		taken_cnt += put(&lab.nodes[2], i) > 1; /* its own store takes all of its own */
	/* Two of a prefix, and again when those gave way to none. */
	CHECK(taken_cnt < 20);
	ask = get(&lab.nodes[5], real);
	CHECK(ask.has_real);
	CHECK(ask.value_cnt < 64);
	node_key_free(real);
	overlay_lab_fini(&lab);
}

static bool finds_real(void *arg, unsigned part, char why[static CONVERGE_WHY_CAP])
{
	const struct ask ask = get(&lab.nodes[part], arg);

	snprintf(why, CONVERGE_WHY_CAP, "it found %u others", ask.value_cnt);
	return ask.has_real;
}

static bool lab_run(void *world, uint64_t for_ns, bool (*done)(void *arg), void *arg)
{
	return overlay_lab_run(world, for_ns, done, arg);
}

static void test_20_are_kept_however_many_hosts_announce(void)
{
	struct node_key *real = key_of(FAKES);
	const struct converge found = {
		.what = "every node finds the one that is told again",
		.part_cnt = NODES,
		.part_name = "node",
		.holds = finds_real,
		.arg = real,
		.within_ns = 60 * NS_PER_S,
		.run = lab_run,
		.world = &lab,
		.look_ns = NS_PER_S,
	};

	lab_open();
	for (unsigned i = 0; i < 2 * NODES; i++)
		(void)put(&lab.nodes[i % NODES], i);
	/* Told again, it is among the freshest. */
	CHECK(put(&lab.nodes[1], FAKES) > 0);
	CHECK(converge(&found, &lab.mesh.now_ns, NULL));
	for (unsigned i = 0; i < NODES; i++) {
		struct overlay_stats stats = overlay_lab_stats(&lab.nodes[i]);

		CHECK(stats.value_cnt <= ANNOUNCE_HOLDERS_MAX);
	}
	node_key_free(real);
	overlay_lab_fini(&lab);
}

int main(void)
{
	RUN(test_b28_the_real_one_is_found_among_1000_of_one_host);
	RUN(test_20_are_kept_however_many_hosts_announce);
	return check_done();
}
