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
	bool is_stored;			   /* on the disk, or on its way */
	struct list_node save_link;	   /* of on_way, else of dirty while it is dirty */
	struct list_node changed_link;	   /* in changed: its counts are not stored as they are */
	uint64_t changed_ns, changed_len;  /* since when, and by how many bytes */
	uint8_t bytes[RELAY_RECEIPT_LEN_MAX];
	uint16_t len; /* 0: no receipt yet */
	uint32_t serial;
	struct relay_count base;	 /* this node's count in that receipt */
	struct relay_count base_claimed; /* the owner's */
	struct relay_count total;
	uint64_t made_s;
	struct relay_count pending;  /* counted since that receipt */
	struct relay_count doubtful; /* of pending: a receipt that this node has not may have it */
	uint32_t refused_cnt;
	bool has_counts;
	struct relay_count refused_own, refused_other;
	/* The relay's side: */
	uint64_t answered_ns, signed_ns; /* 0: never */
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
	struct list_node changed; /* the one that changed first at its head */
	struct list_node dirty, on_way;
	bool is_saving;
	uint64_t counts_ns; /* counts were stored */
	uint64_t now_ns, wall_s, next_ns;
	uint32_t month;	       /* by this node's clock */
	uint32_t newest_month; /* that has a receipt */
	uint32_t aged_month;   /* by which rows went for their age */
	struct relay_receipts_stats stats;
};

/* receipt_rows.c. row_find, row_make: NULL: there is none, or no share is left for it. */
WEFT_MUST_CHECK
int relay_receipts_rows_init(struct relay_receipts *receipts);
struct receipt_row *relay_receipts_row_find(const struct relay_receipts *receipts,
					    enum relay_receipt_side side, const uint8_t *party,
					    uint32_t month);
struct receipt_row *relay_receipts_row_make(struct relay_receipts *receipts,
					    enum relay_receipt_side side, const uint8_t *party,
					    uint32_t month);
/* row_take: as row_make, of a row that there is not, and addr pays for it. */
struct receipt_row *relay_receipts_row_take(struct relay_receipts *receipts,
					    const struct receipt_name *name,
					    const struct addr *addr);
/* row_count: more was carried. row_uncount: what is pending is in no receipt, and will not be. */
void relay_receipts_row_count(struct receipt_row *row, const struct relay_count *more);
void relay_receipts_row_uncount(struct receipt_row *row);
/* row_set: its newest receipt, which was parsed; it is stored by the next turn. */
void relay_receipts_row_set(struct receipt_row *row, const uint8_t *bytes, size_t len,
			    const struct relay_receipt *receipt);
/* row_adopt: as row_set, of one that this node had lost. What it counts is pending no more. */
void relay_receipts_row_adopt(struct receipt_row *row, const uint8_t *bytes, size_t len,
			      const struct relay_receipt *receipt);
/* count_subtract: what counted has already, at most all. */
void relay_receipts_count_subtract(struct relay_count *count, const struct relay_count *counted);
struct relay_count relay_receipts_count_sum(const struct relay_count *a,
					    const struct relay_count *b);
/* row_counted: this node's count of the month. */
struct relay_count relay_receipts_row_counted(const struct receipt_row *row);
/*
 * row_hand_over: what is pending in a row of another month than this one goes to this month, unless a
 * claim is out. row may be gone after this.
 */
void relay_receipts_row_hand_over(struct relay_receipts *receipts, struct receipt_row *row);
/* rows_enter_month: what is pending goes to the new month, and rows without a receipt go. */
void relay_receipts_rows_enter_month(struct relay_receipts *receipts);
/* rows_age: rows that are too old by newest_month go. */
void relay_receipts_rows_age(struct relay_receipts *receipts);

/* receipt_store.c. survey: what is stored, before rows are laid out; load: it becomes rows. */
WEFT_MUST_CHECK
int relay_receipts_survey(struct relay_receipts *receipts, uint32_t *out_dropped_cnt);
WEFT_MUST_CHECK
int relay_receipts_load(struct relay_receipts *receipts, uint32_t dropped_cnt);
/* row_dirty: it is to be stored, or no more. row_forget: nor is it on its way. row_delete: it is gone from the store as well. */
void relay_receipts_row_dirty(struct receipt_row *row, bool is_dirty);
void relay_receipts_row_forget(struct receipt_row *row);
void relay_receipts_row_delete(struct relay_receipts *receipts, struct receipt_row *row);
/* row_changed: its counts changed by len bytes; they are stored later. */
void relay_receipts_row_changed(struct receipt_row *row, uint64_t len);
/* save: rows that are dirty, and counts that are due. save_all: all counts, and waits. */
void relay_receipts_save(struct relay_receipts *receipts);
void relay_receipts_save_all(struct relay_receipts *receipts);
/* counts_next_ns: when counts are due; UINT64_MAX: none have changed. */
uint64_t relay_receipts_counts_next_ns(const struct relay_receipts *receipts);

/* receipt_answer.c */
void relay_receipts_on_claim(void *ctx, const struct mesh_call *call, uint64_t now_ns);

/* receipt_ask.c: claims that are due; next_ns becomes that of the next one. */
void relay_receipts_ask_turn(struct relay_receipts *receipts);

#endif
