/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SOCIAL_ANCHORS_ANCHORS_STATE_H
#define WEFT_SOCIAL_ANCHORS_ANCHORS_STATE_H

#include "base/container_of.h"
#include "base/fair/request_quota.h"
#include "base/list.h"
#include "base/map.h"
#include "base/memory/arena.h"
#include "base/memory/pool.h"
#include "base/timer.h"
#include "social/anchors/social_anchors.h"
#include "social/routes/anchor_message.h"

/* Private to this folder. */
struct check_in_row {
	uint8_t key[NODE_KEY_LEN];
	uint64_t time_ms; /* that the record states */
	uint64_t came_ms; /* when it came */
	uint16_t len;
	uint8_t record[SOCIAL_ADDRESS_LEN_MAX];
	struct list_node by_time; /* came longest ago first */
	struct fair_item share;
};

struct anchor_entry {
	struct social_anchors *anchors;
	struct own_anchor shown;
	struct mesh_request *request; /* a check-in that is out, or NULL */
	uint64_t due_ns;	      /* the next one */
	uint64_t pause_ns;	      /* before it, after a failure */
	bool has_row;		      /* it was disabled once */
	uint8_t reply[CHECK_IN_ANSWER_LEN_MAX + MESH_FRAME_OVERHEAD];
};

struct social_anchors {
	struct social_anchors_params params;
	struct arena arena;
	struct pool rows; /* one more than are kept */
	struct map by_key;
	struct list_node by_time;
	struct fair_places places;
	struct request_quota queries, check_ins;
	struct anchor_entry entries[SOCIAL_OWN_ANCHORS_MAX + 1]; /* the last resort comes last */
	unsigned entry_cnt;
	uint64_t record_ms; /* of the last address record of this node */
	struct timer timer; /* the next check-in of this node */
	bool is_direct, is_stopped;
	struct social_anchors_stats stats;
};

/* check_ins.c */
WEFT_MUST_CHECK
int social_check_ins_init(struct social_anchors *anchors, const uint64_t secret[2]);
WEFT_MUST_CHECK
int social_check_ins_handle(struct social_anchors *anchors);

/* own_anchors.c: load reads the list: 0 or a code of the store. */
WEFT_MUST_CHECK
int social_own_anchors_load(struct social_anchors *anchors, uint64_t now_ns);

/*
 * social_anchors.c. last_resort_parse reads KEY@ADDRESS: 0 or WEFT_EMALFORMED. due: check-ins may be due
 * at once.
 */
WEFT_MUST_CHECK
int social_last_resort_parse(const char *text, uint8_t out_key[static NODE_KEY_LEN],
			     struct addr *out_addr);
void social_anchors_due(struct social_anchors *anchors, uint64_t now_ns);

#endif
