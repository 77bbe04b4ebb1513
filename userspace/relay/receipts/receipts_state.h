/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_RELAY_RECEIPTS_RECEIPTS_STATE_H
#define WEFT_RELAY_RECEIPTS_RECEIPTS_STATE_H

#include "base/list.h"
#include "base/map.h"
#include "base/memory/arena.h"
#include "receipt_message.h"
#include "relay_receipts.h"

/* Private to relay/receipts/: what its files share. */

#define RECEIPT_REPLY_CAP (RELAY_RECEIPT_MESSAGE_LEN_MAX + MESH_FRAME_OVERHEAD)

/* Unused bytes are zero: it is a key of a map. */
struct receipt_name {
	uint8_t party[MESH_KEY_LEN];
	uint32_t month;
	uint32_t side;
};

struct receipt_row {
	struct fair_item share; /* first: a victim's leads to the rest */
	struct list_node link;	/* of free_rows, or of the rows of its side */
	struct relay_receipts *receipts;
	struct receipt_name name;
	struct addr addr; /* the network that pays for it, the host's bits left out */
	bool is_used, is_dirty, is_on_way; /* to the disk */
	uint8_t bytes[RELAY_RECEIPT_LEN_MAX];
	uint16_t len; /* 0: no receipt yet */
	uint32_t serial;
	struct relay_count total;
	uint64_t made_s;
	struct relay_count pending;
	uint32_t refused_cnt;
	bool has_counts;
	struct relay_count refused_own, refused_other;
	/* The relay's side: */
	uint64_t answered_ns; /* 0: never */
	/* The owner's side: */
	uint64_t since_ns; /* pending is not zero since then */
	uint64_t asked_ns; /* the last claim was made; 0: none was */
	uint64_t retry_ns; /* not before */
	unsigned fail_cnt; /* of the claim, in a row */
	bool is_over;	   /* flows ended since the last claim */
	struct mesh_request *request;
	uint8_t claim[RELAY_CLAIM_LEN_MAX]; /* until it is answered */
	uint16_t claim_len;		    /* 0: none is out */
	struct relay_count claimed;
	uint8_t reply[RECEIPT_REPLY_CAP];
};

struct relay_receipts {
	struct relay_receipts_params params;
	struct arena arena;
	struct fair_places places;
	struct map names;	  /* struct receipt_name -> struct receipt_row */
	struct receipt_row *rows; /* row_cap + 1: one that takes another's place has a row before */
	struct list_node free_rows, sides[2];
	uint32_t dirty_cnt;
	bool is_saving;
	uint64_t now_ns, wall_s, next_ns;
	uint32_t month;
	struct relay_receipts_stats stats;
};

/* receipt_rows.c. row_find, row_make: NULL: there is none, or no share is left for it. */
WEFT_MUST_CHECK
int relay_receipts_rows_init(struct relay_receipts *receipts);
WEFT_MUST_CHECK
int relay_receipts_rows_load(struct relay_receipts *receipts);
struct receipt_row *relay_receipts_row_find(const struct relay_receipts *receipts,
					    enum relay_receipt_side side, const uint8_t *party,
					    uint32_t month);
struct receipt_row *relay_receipts_row_make(struct relay_receipts *receipts,
					    enum relay_receipt_side side, const uint8_t *party,
					    uint32_t month);
/* row_set: its newest receipt, which was parsed; it is stored by the next turn. */
void relay_receipts_row_set(struct receipt_row *row, const uint8_t *bytes, size_t len,
			    const struct relay_receipt *receipt);
/*
 * row_hand_over: what is pending in a row of a month that is over goes to this month, unless a claim
 * is out. row may be gone after this.
 */
void relay_receipts_row_hand_over(struct relay_receipts *receipts, struct receipt_row *row);
/* rows_enter_month: what is pending goes to the new month, and old rows go. */
void relay_receipts_rows_enter_month(struct relay_receipts *receipts);
void relay_receipts_rows_save(struct relay_receipts *receipts);

/* receipt_answer.c */
void relay_receipts_on_claim(void *ctx, const struct mesh_call *call, uint64_t now_ns);
/* count_subtract: what counted has already, at most all. */
void relay_receipts_count_subtract(struct relay_count *count, const struct relay_count *counted);

/* receipt_ask.c: claims that are due; next_ns becomes that of the next one. */
void relay_receipts_ask_turn(struct relay_receipts *receipts);

#endif
