/* SPDX-License-Identifier: Apache-2.0 */
/* A value: tag, writer 32, u64be seq, created, expires, filling, 16 bytes of a hash of all and the name. */
#include "support/overlay_lab.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/monotonic.h"
#include "base/byte_cursor.h"
#include "crypto/sha256.h"

#define VALUE_HEAD_LEN (1 + OVERLAY_WRITER_LEN + 3 * 8)
#define VALUE_SEAL_LEN 16

static void die(const char *what)
{
	printf("# overlay_lab: %s\n", what);
	exit(1);
}

/* --- values --- */

static void value_seal(const void *name, size_t name_len, const uint8_t *value, size_t len,
		       uint8_t out[static SHA256_HASH_LEN])
{
	uint8_t bytes[OVERLAY_NAME_LEN_MAX + OVERLAY_LAB_LEN_MAX + 1];

	memcpy(bytes, name, name_len);
	memcpy(bytes + name_len, value, len);
	sha256(bytes, name_len + len, out);
}

size_t overlay_lab_value_write(const char *name, const struct overlay_lab_value *value,
			       uint8_t out[static OVERLAY_LAB_LEN_MAX + 1])
{
	size_t len = value->len ? value->len : VALUE_HEAD_LEN + VALUE_SEAL_LEN;
	struct writer w = writer_of(out, len);
	uint8_t seal[SHA256_HASH_LEN], *filling;

	writer_u8(&w, OVERLAY_LAB_TAG);
	memset(writer_reserve(&w, OVERLAY_WRITER_LEN), value->writer, OVERLAY_WRITER_LEN);
	writer_be64(&w, value->seq);
	writer_be64(&w, value->created_s);
	writer_be64(&w, value->expires_s);
	filling = writer_reserve(&w, len - VALUE_HEAD_LEN - VALUE_SEAL_LEN);
	memset(filling, 'f', len - VALUE_HEAD_LEN - VALUE_SEAL_LEN);
	value_seal(name, strlen(name), out, writer_len(&w), seal);
	writer_bytes(&w, seal, VALUE_SEAL_LEN);
	return writer_len(&w);
}

static int value_check(void *ctx, const struct overlay_value *value, uint64_t wall_s,
		       struct overlay_claim *out_claim)
{
	struct cursor c = cursor_of(value->bytes, value->len);
	struct overlay_claim claim;
	uint8_t seal[SHA256_HASH_LEN];

	(void)ctx;
	if (value->len < VALUE_HEAD_LEN + VALUE_SEAL_LEN)
		return WEFT_EMALFORMED;
	(void)cursor_u8(&c);
	cursor_copy(&c, claim.writer, sizeof(claim.writer));
	claim.seq = cursor_be64(&c);
	claim.created_s = cursor_be64(&c);
	claim.expires_s = cursor_be64(&c);
	if (claim.created_s > wall_s + 300)
		return WEFT_EREFUSED;
	if (claim.expires_s <= wall_s)
		return WEFT_ESTALE;
	value_seal(value->name, value->name_len, value->bytes, value->len - VALUE_SEAL_LEN, seal);
	if (memcmp(value->bytes + value->len - VALUE_SEAL_LEN, seal, VALUE_SEAL_LEN) != 0)
		return WEFT_EDAMAGED;
	*out_claim = claim;
	return 0;
}

const struct overlay_rule overlay_lab_rule = {
	.tag = OVERLAY_LAB_TAG,
	.prefix = "lab:",
	.len_max = OVERLAY_LAB_LEN_MAX,
	.key_max = OVERLAY_LAB_KEY_MAX,
	.prefix_max = OVERLAY_LAB_PREFIXES,
	.check = value_check,
	.pool = OVERLAY_LAB_POOL,
};

/* --- life --- */

void overlay_lab_init(struct overlay_lab *lab, uint64_t seed, unsigned node_cap,
		      const struct mem_link *link)
{
	memset(lab, 0, sizeof(*lab));
	mesh_lab_init(&lab->mesh, seed, node_cap, link);
	lab->nodes = calloc(node_cap, sizeof(*lab->nodes));
	if (!lab->nodes)
		die("no memory");
}

void overlay_lab_fini(struct overlay_lab *lab)
{
	for (unsigned i = 0; i < lab->node_cnt; i++)
		overlay_lab_stop(&lab->nodes[i]);
	mesh_lab_fini(&lab->mesh);
	free(lab->nodes);
	lab->nodes = NULL;
}

struct overlay_lab_node *overlay_lab_add(struct overlay_lab *lab)
{
	struct overlay_lab_node *node = &lab->nodes[lab->node_cnt++];

	node->mesh = mesh_lab_add(&lab->mesh);
	random_init_seeded(&node->random, lab->mesh.seed + 1000 + node->mesh->number);
	overlay_config_defaults(&node->config);
	node->config.serve = OVERLAY_SERVE_ON;
	node->config.value_cap = 512;
	node->config.value_memory_len = 4 * 1024 * 1024;
	node->config.subnet_max = 64;
	node->config.run_cap = 16;
	node->config.query_cap = 48;
	node->config.work_memory_len = 8 * 1024 * 1024;
	node->config.asker_cap = 64;
	return node;
}

static uint64_t node_next_ns(void *ctx)
{
	return overlay_next_ns(ctx);
}

static void node_expire(void *ctx, uint64_t now_ns)
{
	overlay_expire(ctx, now_ns);
}

void overlay_lab_start(struct overlay_lab_node *node, const struct overlay_lab_node *bootstrap)
{
	struct mesh_lab *lab = node->mesh->lab;
	struct overlay_params params = {
		.config = node->config,
		.own_key = node->mesh->key,
		.neighbours = &mesh_lab_neighbours,
		.store = node->store,
		.random = &node->random,
		.now_ns = lab->now_ns,
		.wall_s = mesh_lab_wall_s(lab),
	};

	mesh_lab_up(node->mesh);
	params.mesh = mesh_lab_seam_of(node->mesh);
	if (overlay_new(&params, &node->overlay) < 0)
		die("a node does not start");
	node->seam = overlay_seam_of(node->overlay);
	if (node->seam.ops->add_rule(node->overlay, &overlay_lab_rule) < 0 ||
	    overlay_start(node->overlay, lab->now_ns) < 0)
		die("a node does not start");
	if (bootstrap) {
		struct mesh_peer peer = {.addrs = &bootstrap->mesh->addr, .addr_cnt = 1};

		memcpy(peer.key, bootstrap->mesh->key, sizeof(peer.key));
		overlay_know(node->overlay, &peer, lab->now_ns);
	}
	node->mesh->expire = node_expire;
	node->mesh->next_ns = node_next_ns;
	node->mesh->ctx = node->overlay;
}

void overlay_lab_stop(struct overlay_lab_node *node)
{
	overlay_stop(node->overlay);
	mesh_lab_down(node->mesh);
	overlay_free(node->overlay);
	node->overlay = NULL;
}

void overlay_lab_grow(struct overlay_lab *lab, unsigned cnt, uint64_t gap_ns)
{
	for (unsigned i = 0; i < cnt; i++) {
		struct overlay_lab_node *node = overlay_lab_add(lab);

		overlay_lab_start(node, node == lab->nodes ? NULL : &lab->nodes[0]);
		(void)overlay_lab_run(lab, gap_ns, NULL, NULL);
	}
}

struct overlay_lab_node *overlay_lab_scripted(struct overlay_lab *lab)
{
	struct overlay_lab_node *node = overlay_lab_add(lab);

	mesh_lab_up(node->mesh);
	return node;
}

bool overlay_lab_run(struct overlay_lab *lab, uint64_t for_ns, bool (*done)(void *arg), void *arg)
{
	return mesh_lab_run(&lab->mesh, for_ns, done, arg);
}

/* --- puts and gets --- */

static void note_done(void *arg, const struct overlay_result *result, uint64_t now_ns)
{
	struct overlay_lab_result *of = arg;

	(void)now_ns;
	of->is_done = true;
	of->done_cnt++;
	of->result = *result;
}

static void note_value(void *arg, const uint8_t *value, size_t len,
		       const struct overlay_claim *claim)
{
	struct overlay_lab_result *of = arg;

	if (of->value_cnt == sizeof(of->claims) / sizeof(of->claims[0]))
		die("more values than a test can take");
	of->claims[of->value_cnt++] = *claim;
	memcpy(of->value, value, len);
	of->value_len = len;
}

static bool is_done(void *arg)
{
	return ((const struct overlay_lab_result *)arg)->is_done;
}

int overlay_lab_begin_put(struct overlay_lab_node *node, const char *name,
			  const struct overlay_lab_value *value, struct overlay_lab_result *result)
{
	uint8_t bytes[OVERLAY_LAB_LEN_MAX + 1];
	size_t len = overlay_lab_value_write(name, value, bytes);

	memset(result, 0, sizeof(*result));
	node->mesh->due_ns = 0;
	return node->seam.ops->put(
		node->overlay,
		&(struct overlay_put_params){.value = {name, strlen(name), bytes, len},
					     .done = note_done,
					     .arg = result},
		node->mesh->lab->now_ns, &result->run);
}

int overlay_lab_begin_get(struct overlay_lab_node *node, const char *name,
			  struct overlay_lab_result *result)
{
	memset(result, 0, sizeof(*result));
	node->mesh->due_ns = 0;
	return node->seam.ops->get(node->overlay,
				   &(struct overlay_get_params){.name = name,
								.name_len = strlen(name),
								.tag = OVERLAY_LAB_TAG,
								.value = note_value,
								.done = note_done,
								.arg = result},
				   node->mesh->lab->now_ns, &result->run);
}

int overlay_lab_put(struct overlay_lab *lab, struct overlay_lab_node *node, const char *name,
		    const struct overlay_lab_value *value, struct overlay_lab_result *result)
{
	int err = overlay_lab_begin_put(node, name, value, result);

	if (err == 0 && !overlay_lab_run(lab, 120 * NS_PER_S, is_done, result))
		die("a put does not end");
	return err;
}

int overlay_lab_get(struct overlay_lab *lab, struct overlay_lab_node *node, const char *name,
		    struct overlay_lab_result *result)
{
	int err = overlay_lab_begin_get(node, name, result);

	if (err == 0 && !overlay_lab_run(lab, 120 * NS_PER_S, is_done, result))
		die("a get does not end");
	return err;
}

struct overlay_stats overlay_lab_stats(const struct overlay_lab_node *node)
{
	struct overlay_stats stats;

	overlay_stats(node->overlay, node->mesh->lab->now_ns, &stats);
	return stats;
}

uint64_t overlay_lab_count(const struct overlay_lab_node *node, enum overlay_reason reason)
{
	return overlay_lab_stats(node).reasons[reason];
}
