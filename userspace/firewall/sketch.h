/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_FIREWALL_SKETCH_H
#define WEFT_FIREWALL_SKETCH_H

#include <stdbool.h>
#include <stdint.h>

#include "weft/xdp_maps.h"

/*
 * The traffic of unvalidated sources in the last day, in memory of fixed size, so
 * that other limits can be tried on it (replay.h). A slot is a minute. For each
 * second it has the mode, the load that moves it, and each class's datagrams. For
 * the prefixes that came nearest to their limits, at all levels, it has each
 * second's datagrams. The others are put together by how many they sent in a
 * second.
 *
 * A second's datagrams of a prefix are kept in a byte, at most
 * SKETCH_ERROR_PERCENT too large or small, exact up to 15. When they came
 * within the second is not kept.
 *
 * Pure, on one thread, and large: not for a stack. A zeroed one is empty.
 */
#define SKETCH_SLOT_CNT	     (24 * 60 + 1) /* the minute at hand and a day before */
#define SKETCH_SLOT_S	     60
#define SKETCH_ROW_CNT	     64	 /* prefixes a minute that are kept one by one */
#define SKETCH_DRAFT_CNT     256 /* of the minute at hand, to choose them from */
#define SKETCH_BIN_CNT	     24	 /* of the others: 2^i to 2^(i+1) - 1 in a second */
#define SKETCH_MARK_CNT	     8192
#define SKETCH_ERROR_PERCENT 4

/*
 * The sender and the amount: table is the limits' own (a CPU's, or a worker's), for credit is not
 * shared.
 */
struct sketch_source {
	uint64_t prefix; /* weft_endpoint_prefix at level */
	uint8_t table;
	uint8_t class;
	uint8_t level;
};

bool firewall_sketch_source_equal(const struct sketch_source *a, const struct sketch_source *b);

struct sketch_row {
	struct sketch_source source;
	uint8_t cnts[SKETCH_SLOT_S]; /* firewall_sketch_cnt_of says how many */
};

/* For the prefixes that have no row, of one class at level 0: seconds in which one sent so many. */
struct sketch_bin {
	uint32_t second_cnt;
	uint32_t dgram_cnt;
};

struct sketch_second {
	uint32_t unvalidated_cnt; /* datagrams, as struct pressure_load */
	uint32_t half_open_cnt;	  /* as struct pressure has it */
	uint8_t mode;		  /* enum weft_mode */
	bool is_known;		  /* the daemon ran and reported it */
};

struct sketch_slot {
	uint64_t minute; /* number since the monotonic clock's 0, and 1; 0: empty */
	struct sketch_second seconds[SKETCH_SLOT_S];
	unsigned row_cnt;
	struct sketch_row rows[SKETCH_ROW_CNT];
	struct sketch_bin bins[WEFT_CLASS_CNT][SKETCH_BIN_CNT];
};

struct sketch_draft {
	struct sketch_source source;
	uint64_t nearness; /* sum of datagrams, each as long as its limit says it costs */
	uint32_t cnts[SKETCH_SLOT_S];
};

struct sketch {
	struct sketch_slot slots[SKETCH_SLOT_CNT];
	/* The minute at hand; its slot is made from these. */
	uint64_t minute;
	unsigned second; /* of it, begun last */
	unsigned draft_cnt;
	unsigned least; /* of the drafts, when there is no room for more */
	struct sketch_draft drafts[SKETCH_DRAFT_CNT];
	struct sketch_bin bins[WEFT_CLASS_CNT][SKETCH_BIN_CNT];
	uint64_t marks[SKETCH_MARK_CNT / 64]; /* by hash: perhaps there is a draft */
};

/*
 * firewall_sketch_tell_second begins the second that now_ns is in; what belongs to
 * one before is ignored. firewall_sketch_tell adds what source sent to the second
 * begun last: dgram_cnt datagrams, each of which its limit says costs
 * cost_ns.
 */
void firewall_sketch_tell_second(struct sketch *sketch, const struct sketch_second *second,
				 uint64_t now_ns);
void firewall_sketch_tell(struct sketch *sketch, const struct sketch_source *source,
			  uint32_t dgram_cnt, uint64_t cost_ns);
/* firewall_sketch_settle puts the minute at hand where firewall_sketch_slot_at finds it, as it is so far. */
void firewall_sketch_settle(struct sketch *sketch);
/* firewall_sketch_slot_at: that of a minute (as in struct sketch_slot), or NULL. */
const struct sketch_slot *firewall_sketch_slot_at(const struct sketch *sketch, uint64_t minute);
uint64_t firewall_sketch_minute(uint64_t now_ns);

/* firewall_sketch_cnt_{byte,of}: a count as it is kept, the nearest there is; and back. */
uint8_t firewall_sketch_cnt_byte(uint32_t cnt);
uint32_t firewall_sketch_cnt_of(uint8_t byte);

#endif
