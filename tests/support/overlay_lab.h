/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_OVERLAY_LAB_H
#define WEFT_TESTS_OVERLAY_LAB_H

#include "overlay/overlay.h"
#include "support/mesh_lab.h"

/*
 * Nodes of the overlay on a mesh_lab, with a kind of value of the lab's own. Names begin with
 * "lab:"; any node can make values, and they show whether they were changed.
 */
#define OVERLAY_LAB_TAG	     0x70
#define OVERLAY_LAB_LEN_MAX  4096
#define OVERLAY_LAB_KEY_MAX  32
#define OVERLAY_LAB_PREFIXES 2
#define OVERLAY_LAB_POOL     "overlay.value_cap: values of the lab"

struct overlay_lab_node {
	struct mesh *mesh;
	struct overlay *overlay; /* NULL: down, or a scripted node */
	struct overlay_seam seam;
	struct overlay_config config;
	struct random random;
	struct store *store; /* of the test; NULL: none */
};

struct overlay_lab {
	struct mesh_lab mesh;
	struct overlay_lab_node *nodes;
	unsigned node_cnt;
};

void overlay_lab_init(struct overlay_lab *lab, uint64_t seed, unsigned node_cap,
		      const struct mem_link *link);
void overlay_lab_fini(struct overlay_lab *lab);
/* overlay_lab_add makes a node that serves, down, with small tables; config may be changed. */
struct overlay_lab_node *overlay_lab_add(struct overlay_lab *lab);
/* overlay_lab_start: bootstrap is a node that runs, or NULL. */
void overlay_lab_start(struct overlay_lab_node *node, const struct overlay_lab_node *bootstrap);
void overlay_lab_stop(struct overlay_lab_node *node);
/* overlay_lab_grow starts cnt nodes, one each gap_ns, all by way of the first. */
void overlay_lab_grow(struct overlay_lab *lab, unsigned cnt, uint64_t gap_ns);
/* overlay_lab_scripted: a node that is up without an overlay; the test sets its handlers. */
struct overlay_lab_node *overlay_lab_scripted(struct overlay_lab *lab);
bool overlay_lab_run(struct overlay_lab *lab, uint64_t for_ns, bool (*done)(void *arg), void *arg);

/* The claims of a value of the lab. */
struct overlay_lab_value {
	uint8_t writer; /* its key is this byte all over */
	uint64_t seq;
	uint64_t created_s, expires_s;
	size_t len; /* in all; 0: as short as can be */
};
/* overlay_lab_value_write makes a value for name; returns its length. */
size_t overlay_lab_value_write(const char *name, const struct overlay_lab_value *value,
			       uint8_t out[static OVERLAY_LAB_LEN_MAX + 1]);
extern const struct overlay_rule overlay_lab_rule;

/* The outcome of a put or get. */
struct overlay_lab_result {
	bool is_done;
	unsigned done_cnt;
	struct overlay_result result;
	unsigned value_cnt;
	struct overlay_claim claims[128];
	uint8_t value[OVERLAY_LAB_LEN_MAX]; /* the last one */
	size_t value_len;
	struct overlay_run *run;
};
/* overlay_lab_{put,get} start, and run until it has ended. Return what the start did. */
int overlay_lab_put(struct overlay_lab *lab, struct overlay_lab_node *node, const char *name,
		    const struct overlay_lab_value *value, struct overlay_lab_result *result);
int overlay_lab_get(struct overlay_lab *lab, struct overlay_lab_node *node, const char *name,
		    struct overlay_lab_result *result);
/* overlay_lab_begin_{put,get}: the same without waiting. */
int overlay_lab_begin_put(struct overlay_lab_node *node, const char *name,
			  const struct overlay_lab_value *value, struct overlay_lab_result *result);
int overlay_lab_begin_get(struct overlay_lab_node *node, const char *name,
			  struct overlay_lab_result *result);
uint64_t overlay_lab_count(const struct overlay_lab_node *node, enum overlay_reason reason);
struct overlay_stats overlay_lab_stats(const struct overlay_lab_node *node);

#endif
