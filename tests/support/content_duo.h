/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_CONTENT_DUO_H
#define WEFT_TESTS_CONTENT_DUO_H

#include <stdbool.h>
#include <stdint.h>

#include "base/thread/jobs.h"
#include "base/timer.h"
#include "blobs/blobs.h"
#include "store/store.h"
#include "support/scratch.h"

/*
 * Two content objects in one process, one asking the other, over a mesh
 * seam that carries requests in memory. Time is virtual, stores and jobs
 * run inline, so a run repeats exactly. Hooks make the way or the peer bad.
 */
#define DUO_A 0
#define DUO_B 1

struct mesh_request;
struct duo;

/* One answer on its way back; a hook may change it. */
struct duo_answer {
	unsigned request_type;
	uint8_t asked_key[32]; /* as it was named by the asker: all are the other node */
	unsigned type;
	uint8_t *payload; /* whole, in memory of the rig */
	size_t len;
	int err; /* not 0: the asker hears this instead */
	enum mesh_code code;
	uint64_t not_before_ns;
	const uint8_t *actual_key;
	uint64_t delay_ns;
};

struct mesh {
	struct duo *duo;
	unsigned idx;
	mesh_handler_fn handlers[6];
	void *handler_ctx[6];
};

struct duo_node {
	struct duo *duo;
	struct mesh mesh;
	char state[SCRATCH_CAP];
	uint8_t key
		[32]; /* as what it asks, and so is addr: changed, the next asks as another node */
	struct addr addr; /* where the other sees it */
	struct store *store;
	struct jobs *jobs;
	struct timer_wheel timers;
	struct blobs *content;
	struct blobs_config config;
	uint64_t wall_s; /* its clock: 0, long before any file was written */
	unsigned event_cnt[BLOBS_EVENT_CNT];
	uint8_t verified_key[MESH_KEY_LEN]; /* the peer whose bytes it verified last */
	uint64_t verified_len;
	uint8_t sent_key[MESH_KEY_LEN]; /* the peer that got content last */
	uint64_t sent_len;
};

struct duo {
	char dir[SCRATCH_CAP];
	uint64_t now_ns;
	struct duo_node nodes[2];
	struct mesh_request *requests; /* under way, oldest first */
	unsigned asked_cnt;	       /* requests in all */
	unsigned asked_peak_cnt;
	const char *refused_pool; /* of the last refusal; NULL: none yet */
	unsigned lent_cnt;	  /* answers whose spans were not given back */
	void (*on_answer)(struct duo *duo, struct duo_answer *answer);
	/* The operator's choices about the asker of key; NULL: nothing, all are unknown peers. */
	void (*on_path)(const uint8_t *key, struct fair_path *path);
	unsigned hook_cnt; /* for the hook's own use */
	/* blobs_share_add's outcome */
	bool share_is_done;
	int share_err;
	struct blobs_import import;
};

/* duo_init makes a scratch directory for both; duo_open takes one that is there, with its state. */
void duo_init(struct duo *duo);
void duo_open(struct duo *duo, const char *dir);
void duo_close(struct duo *duo);
/* duo_fini closes and removes the directory. */
void duo_fini(struct duo *duo);
void duo_node_open(struct duo *duo, unsigned idx);
void duo_node_close(struct duo *duo, unsigned idx);
/* duo_ops: the seam itself, for tests that ask by hand; mesh is that of a node. */
const struct mesh_ops *duo_ops(void);
/* duo_turn: one turn of both loops; time goes to the next thing due. False: nothing is due. */
bool duo_turn(struct duo *duo);
/* duo_pass turns until for_ns have passed, or nothing is due any more. */
void duo_pass(struct duo *duo, uint64_t for_ns);
/* duo_share_at shares path on node idx, duo_share on A, and fills link. False with a printed reason. */
bool duo_share_at(struct duo *duo, unsigned idx, const char *path, struct link *link);
bool duo_share(struct duo *duo, const char *path, struct link *link);
/* duo_get_start has B get link's content into dir/target; its number, or 0 with a printed reason. */
uint64_t duo_get_start(struct duo *duo, const struct link *link, const char *target);
/* duo_run turns until the get of B has ended or max turns passed. */
const struct blobs_get *duo_run(struct duo *duo, uint64_t id, unsigned turn_max);
/* duo_trees_equal: dir/a and dir/b hold the same files, as diff sees it. */
bool duo_trees_equal(const struct duo *duo, const char *a, const char *b);
/* duo_path: dir/name, in one of a few static buffers. */
const char *duo_path(const struct duo *duo, const char *name);

#endif
