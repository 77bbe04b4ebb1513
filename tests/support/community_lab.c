/* SPDX-License-Identifier: Apache-2.0 */
#include "support/community_lab.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/monotonic.h"
#include "community/record/community_rule.h"
#include "support/scratch_store.h"
#include "support/seed.h"

static void die(const char *what)
{
	printf("# community_lab: %s\n", what);
	exit(1);
}

uint64_t community_lab_wall_s(const struct community_lab *lab)
{
	return (uint64_t)((int64_t)mesh_lab_wall_s(&lab->mesh) + lab->skew_s);
}

static uint64_t node_wall_s(void *ctx)
{
	return community_lab_wall_s(((struct community_lab_node *)ctx)->lab);
}

static void node_event(void *ctx, const struct community_event *event)
{
	struct community_lab_node *node = ctx;

	node->event_cnt[event->kind]++;
}

static void node_expire(void *ctx, uint64_t now_ns)
{
	struct community_lab_node *node = ctx;

	node->lab->overlay.wall_s = community_lab_wall_s(node->lab);
	timer_wheel_expire(&node->timers, now_ns);
	do {
		(void)jobs_reap(node->jobs);
		(void)store_reap(node->store);
		communities_turn(node->communities, now_ns);
	} while (jobs_in_flight(node->jobs) || store_is_pending(node->store) ||
		 communities_is_due(node->communities));
}

static uint64_t node_next_ns(void *ctx)
{
	struct community_lab_node *node = ctx;

	return communities_is_due(node->communities) ? 0 : timer_wheel_next_ns(&node->timers);
}

void community_lab_init(struct community_lab *lab, uint64_t seed, unsigned node_cap)
{
	const struct mem_link link = {.delay_ns = 20 * NS_PER_MS, .mtu_len = MEM_DGRAM_LEN_MAX};
	struct overlay_seam seam;

	memset(lab, 0, sizeof(*lab));
	mesh_lab_init(&lab->mesh, seed_of_run(seed), node_cap, &link);
	lab->nodes = calloc(node_cap, sizeof(*lab->nodes));
	seam = fake_overlay_seam(&lab->overlay);
	if (!lab->nodes || community_rules_add(&seam) < 0)
		die("no memory");
}

void community_lab_fini(struct community_lab *lab)
{
	for (unsigned i = 0; i < lab->node_cnt; i++) {
		community_lab_stop(&lab->nodes[i]);
		node_key_free(lab->nodes[i].key);
		scratch_remove(lab->nodes[i].dir);
	}
	mesh_lab_fini(&lab->mesh);
	fake_overlay_fini(&lab->overlay);
	free(lab->nodes);
}

struct community_lab_node *community_lab_add(struct community_lab *lab)
{
	struct community_lab_node *node = &lab->nodes[lab->node_cnt++];
	uint8_t seed[NODE_KEY_SEED_LEN] = {0xc0, (uint8_t)lab->node_cnt,
					   (uint8_t)(lab->node_cnt >> 8)};

	node->lab = lab;
	node->mesh = mesh_lab_add(&lab->mesh);
	if (node_key_from_seed(seed, &node->key) < 0)
		die("no key");
	memcpy(node->mesh->key, node_key_public(node->key), MESH_KEY_LEN);
	scratch_make(node->dir);
	community_config_defaults(&node->config);
	node->config.community_cap = 4;
	node->config.member_cap = 2000;
	node->config.share_cap = 2000;
	random_init_seeded(&node->random, lab->mesh.seed + lab->node_cnt);
	return node;
}

void community_lab_start(struct community_lab_node *node)
{
	struct community_lab *lab = node->lab;
	struct community_params params = {.config = node->config,
					  .key = node->key,
					  .seal = node->seal,
					  .timers = &node->timers,
					  .random = &node->random,
					  .overlay = fake_overlay_seam(&lab->overlay),
					  .now_ns = lab->mesh.now_ns,
					  .wall_s = node_wall_s,
					  .on_event = node_event,
					  .ctx = node};

	mesh_lab_up(node->mesh);
	timer_wheel_init(&node->timers, lab->mesh.now_ns);
	params.mesh = mesh_lab_seam_of(node->mesh);
	params.store = node->store = scratch_store(node->dir, true);
	if (jobs_new(0, 64, &node->jobs) < 0)
		die("no jobs");
	params.jobs = node->jobs;
	if (communities_new(&params, &node->communities) < 0)
		die("communities do not start");
	node->mesh->expire = node_expire;
	node->mesh->next_ns = node_next_ns;
	node->mesh->ctx = node;
	if (!node->mesh->is_deaf)
		communities_set_places(
			node->communities,
			&(struct peer_places){.addrs = {node->mesh->addr}, .addr_cnt = 1},
			lab->mesh.now_ns);
}

static void node_end(struct community_lab_node *node, bool is_killed)
{
	if (!node->store)
		return;
	if (is_killed)
		store_freeze(node->store);
	communities_stop(node->communities);
	mesh_lab_down(node->mesh);
	communities_free(node->communities);
	jobs_free(node->jobs);
	if (is_killed)
		store_crash(node->store);
	else
		store_close(node->store);
	node->store = NULL;
	node->communities = NULL;
}

void community_lab_stop(struct community_lab_node *node)
{
	node_end(node, false);
}

void community_lab_kill(struct community_lab_node *node)
{
	node_end(node, true);
}

struct running {
	struct community_lab *lab;
	bool (*done)(void *arg);
	void *arg;
};

/* What happened outside of a node's turn may have made something due. */
static void all_turn(struct community_lab *lab)
{
	for (unsigned i = 0; i < lab->node_cnt; i++)
		lab->nodes[i].mesh->due_ns = 0;
}

static bool running_done(void *arg)
{
	struct running *running = arg;

	if (running->lab->overlay.runs)
		all_turn(running->lab);
	fake_overlay_turn(&running->lab->overlay, running->lab->mesh.now_ns);
	return running->done && running->done(running->arg);
}

bool community_lab_run(struct community_lab *lab, uint64_t for_ns, bool (*done)(void *arg),
		       void *arg)
{
	struct running running = {lab, done, arg};

	lab->overlay.wall_s = community_lab_wall_s(lab);
	all_turn(lab);
	return mesh_lab_run(&lab->mesh, for_ns, running_done, &running);
}

/* --- what callers do --- */

static void node_done(void *arg, int err, uint64_t now_ns)
{
	struct community_lab_node *node = arg;

	(void)now_ns;
	node->is_done = true;
	node->err = err;
}

static bool node_is_done(void *arg)
{
	return ((struct community_lab_node *)arg)->is_done;
}

static int node_wait(struct community_lab_node *node, int err)
{
	if (err < 0)
		return err;
	if (!community_lab_run(node->lab, 10 * NS_PER_S, node_is_done, node))
		die("nobody was told of an end");
	return node->err;
}

int community_lab_create(struct community_lab_node *node, const char *name, bool is_strict,
			 uint8_t out_id[static COMMUNITY_ID_LEN])
{
	node->is_done = false;
	return node_wait(node, community_create(node->communities,
						&(struct community_join_ask){.name = name,
									     .is_strict = is_strict,
									     .done = node_done,
									     .arg = node},
						node->lab->mesh.now_ns, out_id));
}

int community_lab_join(struct community_lab_node *node, const char *name, const struct link *link,
		       const uint8_t *token, size_t token_len)
{
	struct community_join_ask ask = {.name = name,
					 .link = link,
					 .token = token,
					 .token_len = token_len,
					 .done = node_done,
					 .arg = node};
	uint8_t id[COMMUNITY_ID_LEN];

	node->is_done = false;
	return node_wait(node, community_join(node->communities, &ask, node->lab->mesh.now_ns, id));
}

int community_lab_leave(struct community_lab_node *node, const uint8_t *id)
{
	node->is_done = false;
	return node_wait(node, community_leave(node->communities, id, node_done, node));
}

/* --- what is seen --- */

struct community_info community_lab_info(const struct community_lab_node *node, const uint8_t *id)
{
	struct community_iter iter = {.communities = node->communities};
	struct community_info info;

	while (communities_next(&iter, &info))
		if (memcmp(info.id, id, COMMUNITY_ID_LEN) == 0)
			return info;
	return (struct community_info){0};
}

struct seeing {
	const uint8_t *id;
	bool is_seen;
};

static void see_member(void *arg, const struct community_member *member)
{
	struct seeing *seeing = arg;

	seeing->is_seen |= memcmp(member->key, seeing->id, COMMUNITY_KEY_LEN) == 0;
}

static void see_share(void *arg, const struct community_share *share)
{
	struct seeing *seeing = arg;

	seeing->is_seen |= memcmp(share->binding.share_id, seeing->id, COMMUNITY_ID_LEN) == 0;
}

bool community_lab_knows(struct community_lab_node *node, const uint8_t *id,
			 const struct community_lab_node *other)
{
	struct community_listing listing = {.limit = COMMUNITY_PAGE_MAX};
	struct seeing seeing = {.id = node_key_public(other->key)};
	int err;

	do {
		err = community_members(node->communities, id, &listing, see_member, &seeing);
		listing.cursor = listing.next;
		listing.cursor_len = sizeof(listing.next);
	} while (err == 0 && listing.has_more);
	return err == 0 && seeing.is_seen;
}

bool community_lab_lists(struct community_lab_node *node, const uint8_t *id,
			 const uint8_t *share_id)
{
	struct community_listing listing = {.limit = COMMUNITY_PAGE_MAX};
	struct seeing seeing = {.id = share_id};
	int err;

	do {
		err = community_shares(node->communities, id, &listing, see_share, &seeing);
		listing.cursor = listing.next;
		listing.cursor_len = sizeof(listing.next);
	} while (err == 0 && listing.has_more);
	return err == 0 && seeing.is_seen;
}

int community_lab_bind(struct community_lab_node *node, const uint8_t *id, unsigned number,
		       uint64_t seq, bool is_bound, const char *title,
		       uint8_t out_share_id[static COMMUNITY_ID_LEN])
{
	const uint8_t seed[NODE_KEY_SEED_LEN] = {0x5a, (uint8_t)number, (uint8_t)(number >> 8),
						 (uint8_t)(number >> 16)};
	struct community_binding binding = {.seq = seq,
					    .is_bound = is_bound,
					    .title = title,
					    .title_len = strlen(title),
					    .text = "",
					    .item_cnt = 1,
					    .byte_cnt = 10};
	struct node_key *key;
	int err;

	if (node_key_from_seed(seed, &key) < 0)
		die("no key");
	memcpy(binding.id, id, sizeof(binding.id));
	community_id_of(node_key_public(key), out_share_id);
	err = community_bind(node->communities, key, &binding, node->lab->mesh.now_ns);
	node_key_free(key);
	return err;
}

size_t community_lab_request(struct community_lab_node *asker, const uint8_t *id,
			     const struct community_request *fields,
			     uint8_t out[static COMMUNITY_REQUEST_CAP])
{
	struct community_request request = *fields;
	uint8_t record[COMMUNITY_MEMBER_LEN_MAX];
	struct writer r = writer_of(record, sizeof(record)),
		      w = writer_of(out, COMMUNITY_REQUEST_CAP);
	struct community_member member = {.seq = community_lab_wall_s(asker->lab),
					  .is_joined = true,
					  .time_s = community_lab_wall_s(asker->lab)};

	memcpy(member.id, id, sizeof(member.id));
	community_member_write(&r, asker->key, &member);
	request.id = id;
	if (!request.record.data)
		request.record = (struct community_bytes){record, writer_len(&r)};
	if (!request.last_bucket)
		request.last_bucket = COMMUNITY_BUCKETS - 1;
	community_request_write(&w, &request);
	return writer_len(&w);
}
