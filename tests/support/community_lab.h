/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_COMMUNITY_LAB_H
#define WEFT_TESTS_COMMUNITY_LAB_H

#include "base/thread/jobs.h"
#include "base/timer.h"
#include "community/community.h"
#include "crypto/node_key.h"
#include "store/store.h"
#include "support/fake_overlay.h"
#include "support/mesh_lab.h"
#include "support/scratch.h"

/*
 * Nodes with communities on a mesh_lab, and one overlay in memory for all of them. Stores are
 * on disk, jobs run inline: a run is a function of its seed.
 */
struct community_lab;

struct community_lab_node {
	struct community_lab *lab;
	struct mesh *mesh;
	struct node_key *key;
	struct key_seal *seal; /* NULL: none; made and freed by the test */
	char dir[SCRATCH_CAP];
	struct store *store; /* NULL: it is down */
	struct jobs *jobs;
	struct timer_wheel timers;
	struct random random;
	struct communities *communities;
	struct community_config config;
	unsigned event_cnt[COMMUNITY_KEY_TWICE + 1];
	/* The end of what was begun last. */
	bool is_done;
	int err;
};

struct community_lab {
	struct mesh_lab mesh;
	struct fake_overlay overlay;
	struct community_lab_node *nodes;
	unsigned node_cnt;
	int64_t skew_s; /* added to the wall clock of all */
};

void community_lab_init(struct community_lab *lab, uint64_t seed, unsigned node_cap);
void community_lab_fini(struct community_lab *lab);
/* community_lab_add makes a node that is up; config may be changed before community_lab_start. */
struct community_lab_node *community_lab_add(struct community_lab *lab);
void community_lab_start(struct community_lab_node *node);
/* community_lab_stop ends it in order; community_lab_kill as kill -9 would. Both may start again. */
void community_lab_stop(struct community_lab_node *node);
void community_lab_kill(struct community_lab_node *node);
bool community_lab_run(struct community_lab *lab, uint64_t for_ns, bool (*done)(void *arg),
		       void *arg);
uint64_t community_lab_wall_s(const struct community_lab *lab);

/* community_lab_{create,join,leave}: the call's error, else the one that done got. */
int community_lab_create(struct community_lab_node *node, const char *name, bool is_strict,
			 uint8_t out_id[static COMMUNITY_ID_LEN]);
int community_lab_join(struct community_lab_node *node, const char *name, const struct link *link,
		       const uint8_t *token, size_t token_len);
int community_lab_leave(struct community_lab_node *node, const uint8_t *id);
/* community_lab_info: cnt 0 when it was not joined. */
struct community_info community_lab_info(const struct community_lab_node *node, const uint8_t *id);
/* community_lab_knows: node lists other as a member of id. */
bool community_lab_knows(struct community_lab_node *node, const uint8_t *id,
			 const struct community_lab_node *other);
/* community_lab_bind binds the share of a key made from number, whose id it gives. */
int community_lab_bind(struct community_lab_node *node, const uint8_t *id, unsigned number,
		       uint64_t seq, bool is_bound, const char *title,
		       uint8_t out_share_id[static COMMUNITY_ID_LEN]);
/* community_lab_lists: node lists that share. */
bool community_lab_lists(struct community_lab_node *node, const uint8_t *id,
			 const uint8_t *share_id);
/* community_lab_request writes a request of asker, with the record that it shows to others. */
size_t community_lab_request(struct community_lab_node *asker, const uint8_t *id,
			     const struct community_request *fields,
			     uint8_t out[static COMMUNITY_REQUEST_CAP]);

#endif
