/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An overlay of two hundred nodes of which every fifth lies. Three in ten of the others are
 * replaced within an hour by fresh ones. Are the values still found, and none that is
 * false? No node puts anything again in that hour. Seeds are fixed; SEED=n plays another
 * run.
 *
 * Liars of each kind, a quarter each: those that take values and give none; those that list
 * absent nodes. The others give values under a wrong signature, or old values of true
 * writers. All are eager to be known.
 */
#include "base/monotonic.h"
#include "crypto/sha256.h"
#include "mesh/session/hello.h"
#include "overlay/overlay_message.h"
#include "support/check.h"
#include "support/overlay_lab.h"
#include "support/seed.h"

#define NODES	    200
#define LIARS	    (NODES / 5)
#define HONEST	    (NODES - LIARS)
#define REPLACED    (3 * HONEST / 10)
#define VALUES	    200
#define GETS	    400
#define FOUND_SHARE 99 /* percent that must be found */
#define HOUR_NS	    (3600 * NS_PER_S)

static struct overlay_lab lab;
static struct overlay_lab_result result;
static unsigned liar_cnt;
static uint64_t asked_cnts[4], begin_s;

/* --- values --- */

static void name_of(unsigned i, char out[static 16])
{
	snprintf(out, 16, "lab:%u", i);
}

/* The value under a name: two writers each, that put it at the beginning. */
static struct overlay_lab_value value_of(unsigned i, unsigned writer)
{
	return (struct overlay_lab_value){.writer = (uint8_t)(1 + writer),
					  .seq = 1000 + i,
					  .created_s = begin_s,
					  .expires_s = begin_s + 86400};
}

/* --- liars --- */

static void answer_found(struct mesh *node, const struct mesh_call *call,
			 const struct overlay_found *found)
{
	static uint8_t bytes[OVERLAY_VALUES_LEN_MAX];
	struct transport_span span = {.data = bytes};
	struct writer w = writer_of(bytes, sizeof(bytes));

	overlay_found_write(&w, found, call->type == MESH_FIND_VALUE);
	span.len = writer_len(&w);
	(void)mesh_lab_seam_of(node).ops->answer(call->incoming, call->type, NULL, 0, &span);
}

/* Keys of no node, at addresses of other nodes, or of none. */
static void tell_ghosts(struct overlay_found *found)
{
	for (found->node_cnt = 0; found->node_cnt < OVERLAY_NODES_MAX; found->node_cnt++) {
		struct overlay_node *node = &found->nodes[found->node_cnt];

		random_fill(&lab.mesh.dice, node->key, sizeof(node->key));
		node->addrs[0] = lab.nodes[random_below(&lab.mesh.dice, NODES)].mesh->addr;
		node->addrs[0].port += (uint16_t)random_below(&lab.mesh.dice, 2);
		node->addr_cnt = 1;
	}
}

/* Which of the names is asked for? VALUES: none of them. */
static unsigned name_asked(const struct mesh_call *call, char out[static 16])
{
	struct overlay_find find;
	uint8_t key[SHA256_HASH_LEN];

	if (overlay_find_parse(call->payload, call->payload_len, OVERLAY_KEY_LEN, &find) < 0)
		return VALUES;
	for (unsigned i = 0; i < VALUES; i++) {
		name_of(i, out);
		sha256(out, strlen(out), key);
		if (memcmp(key, find.target, sizeof(key)) == 0)
			return i;
	}
	return VALUES;
}

static void lie(void *ctx, const struct mesh_call *call, uint64_t now_ns)
{
	static uint8_t bytes[OVERLAY_LAB_LEN_MAX + 1];
	struct mesh *node = ctx;
	struct overlay_found found = {0};
	unsigned kind = node->number % 4, name;
	char text[16];

	(void)now_ns;
	asked_cnts[kind]++;
	if (kind == 1)
		tell_ghosts(&found);
	name = call->type == MESH_FIND_VALUE && kind > 1 ? name_asked(call, text) : VALUES;
	if (name < VALUES) {
		struct overlay_lab_value value = value_of(name, 0);

		value.seq -= kind == 3;
		found.values[0].data = bytes;
		found.values[0].len = overlay_lab_value_write(text, &value, bytes);
		found.value_cnt = 1;
		bytes[40] ^= kind == 2;
	}
	answer_found(node, call, &found);
}

static void take(void *ctx, const struct mesh_call *call, uint64_t now_ns)
{
	uint8_t bytes[OVERLAY_STORED_LEN_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct mesh *node = ctx;

	(void)now_ns;
	overlay_stored_write(&w, 86400);
	(void)mesh_lab_seam_of(node).ops->answer(call->incoming, MESH_STORE, bytes, writer_len(&w),
						 NULL);
}

static struct overlay_lab_node *any_honest(void)
{
	for (;;) {
		struct overlay_lab_node *node =
			&lab.nodes[random_below(&lab.mesh.dice, lab.node_cnt)];

		if (node->overlay)
			return node;
	}
}

static void liars_add(void)
{
	for (liar_cnt = 0; liar_cnt < LIARS; liar_cnt++) {
		struct mesh *node = overlay_lab_scripted(&lab)->mesh;
		struct mesh_seam seam = mesh_lab_seam_of(node);

		node->caps = MESH_CAP_DHT;
		(void)seam.ops->handle(node, MESH_FIND_NODE, lie, node);
		(void)seam.ops->handle(node, MESH_FIND_VALUE, lie, node);
		(void)seam.ops->handle(node, MESH_STORE, take, node);
	}
}

/* Every liar asks ten honest nodes something, saying that it serves. */
static void liars_advertise(void)
{
	static struct mesh_lab_ask ask;

	for (unsigned i = 0; i < lab.node_cnt; i++) {
		struct mesh *node = lab.nodes[i].mesh;

		for (unsigned j = 0; !lab.nodes[i].overlay && node->is_up && j < 10; j++) {
			struct overlay_find find = {.target = node->key, .is_serving = true};
			uint8_t bytes[OVERLAY_FIND_LEN_MAX];
			struct writer w = writer_of(bytes, sizeof(bytes));

			overlay_find_write(&w, &find, KAD_ID_LEN);
			mesh_lab_ask(node, any_honest()->mesh, MESH_FIND_NODE, bytes,
				     writer_len(&w), &ask);
		}
	}
}

/* --- the hour --- */

static unsigned values_put(void)
{
	unsigned stored_cnt = 0;
	char name[16];

	for (unsigned i = 0; i < VALUES; i++)
		for (unsigned writer = 0; writer < 2; writer++) {
			struct overlay_lab_value value = value_of(i, writer);

			name_of(i, name);
			(void)overlay_lab_put(&lab, any_honest(), name, &value, &result);
			stored_cnt += result.result.stored_cnt;
		}
	return stored_cnt;
}

static void nodes_replace(void)
{
	for (unsigned i = 0; i < REPLACED; i++) {
		overlay_lab_stop(any_honest());
		overlay_lab_start(overlay_lab_add(&lab), any_honest());
		(void)overlay_lab_run(&lab, HOUR_NS / REPLACED, NULL, NULL);
	}
}

struct tally {
	unsigned found, whole, old, false_cnt;
	uint64_t asked, took_ns;
};

static void value_get(unsigned i, struct tally *tally)
{
	bool has[2] = {false};
	char name[16];

	name_of(i, name);
	(void)overlay_lab_get(&lab, any_honest(), name, &result);
	for (unsigned v = 0; v < result.value_cnt; v++) {
		const struct overlay_claim *claim = &result.claims[v];

		if (claim->writer[0] < 1 || claim->writer[0] > 2 || claim->seq > 1000 + i)
			tally->false_cnt++;
		else if (claim->seq < 1000 + i)
			tally->old++;
		else
			has[claim->writer[0] - 1] = true;
	}
	tally->found += has[0] || has[1];
	tally->whole += has[0] && has[1];
	tally->asked += result.result.asked_cnt;
	tally->took_ns += result.result.took_ns;
}

static void test_values_survive_an_hour_of_churn_and_lies(void)
{
	struct tally tally = {0};
	unsigned stored_cnt;

	overlay_lab_init(&lab, seed_of_run(20), NODES + REPLACED, NULL);
	overlay_lab_grow(&lab, HONEST / 2, NS_PER_S);
	liars_add();
	overlay_lab_grow(&lab, HONEST - HONEST / 2, NS_PER_S);
	liars_advertise();
	(void)overlay_lab_run(&lab, 300 * NS_PER_S, NULL, NULL);
	begin_s = mesh_lab_wall_s(&lab.mesh);
	stored_cnt = values_put();
	nodes_replace();
	for (unsigned i = 0; i < GETS; i++)
		value_get(i % VALUES, &tally);
	printf("# seed %llu: a value lies with %.1f nodes; %u of %d found, %u with both writers; "
	       "a get asks %.1f nodes and takes %.0f ms\n",
	       (unsigned long long)lab.mesh.seed, stored_cnt / (2.0 * VALUES), tally.found, GETS,
	       tally.whole, (double)tally.asked / GETS, (double)tally.took_ns / GETS / 1e6);
	printf("# liars asked: %llu that give none, %llu that tell of ghosts, %llu with wrong "
	       "signatures, %llu with old values\n",
	       (unsigned long long)asked_cnts[0], (unsigned long long)asked_cnts[1],
	       (unsigned long long)asked_cnts[2], (unsigned long long)asked_cnts[3]);
	CHECK(100 * tally.found >= FOUND_SHARE * GETS);
	CHECK(100 * tally.whole >= FOUND_SHARE * GETS);
	CHECK_EQ(tally.false_cnt, 0);
	CHECK(tally.old > 0); /* liars of each kind were heard */
	for (unsigned kind = 0; kind < 4; kind++)
		CHECK(asked_cnts[kind] > 0);
	overlay_lab_fini(&lab);
}

int main(void)
{
	RUN(test_values_survive_an_hour_of_churn_and_lies);
	return check_done();
}
