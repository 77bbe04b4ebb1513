/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_RELAY_RECEIPTS_RELAY_RECEIPTS_H
#define WEFT_RELAY_RECEIPTS_RELAY_RECEIPTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fair/fair_path.h"
#include "base/figure.h"
#include "mesh/seam.h"
#include "mesh/seam_neighbours.h"
#include "relay/receipts/receipt_record.h"

struct node_key;
struct random;
struct relay_messages;
struct store;

/*
 * Receipts of what relays carried, kept by both signers: a relay, and the owner of the flows
 * (docs/wire/relay.md, decision 0042). Both count the bytes of the owner's flows. The owner sends
 * its count as a claim (463), and the relay answers with a receipt, if its own count agrees.
 *
 *	receipts.c		life, turn, counts
 *	receipt_rows.c		the table
 *	receipt_store.c		its rows in the store
 *	receipt_ask.c		the owner's side: when a claim is due, and the answer
 *	receipt_answer.c	the relay's side
 *	receipt_message.c	message 463
 *
 * A row is of one other node, month and side. It comes into being when bytes were carried, so an
 * owner that carried none fills nothing. Keys are free, so rows have fair shares by network and key.
 * A full table takes a row of the account that has most. Its owner loses the receipts here; the
 * other signer has them still. Rows that are stored are all there after a start, up to row_stored_cap.
 * Beyond it those of the oldest months go.
 *
 * Counts are stored as they grow. A row is stored each second once RELAY_COUNT_SAVE_LEN bytes are not,
 * else each minute; 64 rows a second. So a crash loses less than those bytes of a row, or what
 * it carried in a second, for each 64 rows in use. A clean stop loses nothing. A claim counts the
 * month so far, so a loss is one that the month's tolerance has to bear.
 *
 * Months follow this node's clock, forth and back. Rows age by the newest month that has a receipt,
 * which two clocks agreed on. So a clock that is a year ahead takes no receipts along.
 *
 * Home worker; nothing blocks, reads a clock or logs.
 */
struct relay_receipts;

/* Months of which receipts are kept, this one included. */
#define RELAY_RECEIPT_MONTHS 12u
/* A claim is due: the first of a month so long after bytes were carried, later ones each hour, */
#define RELAY_CLAIM_FIRST_NS 10000000000ull
#define RELAY_CLAIM_NS	     3600000000000ull
/* and before that at so many bytes, but once a minute at most. */
#define RELAY_CLAIM_BYTES  (64ull << 20)
#define RELAY_CLAIM_GAP_NS 60000000000ull
/* A relay answers a claim of one owner that often, and signs each RELAY_CLAIM_GAP_NS. */
#define RELAY_ANSWER_GAP_NS 5000000000ull
/* How counts are stored; a quarter of the tolerance of a month. */
#define RELAY_COUNT_SAVE_LEN (64u << 10)

struct relay_receipts_config {
	uint32_t row_cap;
	uint32_t row_stored_cap; /* that many are laid out if they are stored; 0: row_cap */
};
#define RELAY_RECEIPTS_CAP_MIN 64u
void relay_receipts_config_defaults(struct relay_receipts_config *config);
/*
 * relay_receipts_config_of: a node that is no relay has rows for the relays that it uses, and for the
 * receipts that it signed as a relay.
 */
#define RELAY_RECEIPTS_OWNER_CAP 256u
struct relay_receipts_config relay_receipts_config_of(const struct relay_receipts_config *config,
						      bool is_relay);
size_t relay_receipts_footprint(const struct relay_receipts_config *config);

/* All borrowed. */
struct relay_receipts_params {
	struct relay_receipts_config config;
	const struct node_key *key;
	struct store *store; /* NULL: receipts are lost with the process */
	struct mesh_seam mesh;
	const struct mesh_neighbour_ops *neighbours;
	struct random *random;
	struct fair_site site;
	struct relay_messages *messages; /* bounds claims; NULL: this node is no relay */
	/* What key is to this node. NULL: unknown. */
	enum fair_class (*class_of)(void *ctx, const uint8_t *key);
	/* relay_receipts_carried is called for what owner's flows have carried until now. May be NULL. */
	void (*settle)(void *ctx, const uint8_t *owner);
	void *ctx;
	uint64_t now_ns, wall_s;
};
/* relay_receipts_new adds the handler of 463. 0, -ENOMEM, WEFT_EFULL, or of the store or the mesh. */
WEFT_MUST_CHECK
int relay_receipts_new(const struct relay_receipts_params *params,
		       struct relay_receipts **out_receipts);
/* relay_receipts_stop takes back what is asked, while the mesh is there. Both take NULL. */
void relay_receipts_stop(struct relay_receipts *receipts);
/* relay_receipts_free stores what is not stored yet. */
void relay_receipts_free(struct relay_receipts *receipts);
void relay_receipts_turn(struct relay_receipts *receipts, uint64_t now_ns, uint64_t wall_s);
uint64_t relay_receipts_next_ns(const struct relay_receipts *receipts);

/* relay_receipts_carried: this relay carried more for owner. Takes NULL. */
void relay_receipts_carried(struct relay_receipts *receipts, const uint8_t *owner,
			    const struct relay_count *more);
/* relay_receipts_used: relay carried more for this node. is_over: a flow there ended. Takes NULL. */
void relay_receipts_used(struct relay_receipts *receipts, const uint8_t *relay,
			 const struct relay_count *more, bool is_over);
/* relay_receipts_session: a session with key is there, so a claim that waits is sent. Takes NULL. */
void relay_receipts_session(struct relay_receipts *receipts, const uint8_t *key, uint64_t now_ns);

enum relay_receipt_side { RELAY_SIDE_RELAY, RELAY_SIDE_OWNER };

/* What `weft relay receipt` prints of a row. Borrowed for the turn. */
struct relay_receipts_row {
	enum relay_receipt_side side; /* this node's */
	const uint8_t *party;	      /* the other one */
	uint32_t month;
	uint32_t serial;	    /* of the newest receipt; 0: there is none yet */
	struct relay_count total;   /* agreed, of the month */
	struct relay_count counted; /* here, of the month */
	struct relay_count pending; /* of these, since that receipt */
	uint64_t made_s;
	const uint8_t *receipt;
	size_t receipt_len;
	uint32_t refused_cnt; /* claims since the start */
	bool has_counts;      /* the last refusal was of two counts, which are: */
	struct relay_count refused_own, refused_other;
};
/* relay_receipts_next gives the rows one by one, from *idx 0 on; false: all were given. */
bool relay_receipts_next(const struct relay_receipts *receipts, uint32_t *idx,
			 struct relay_receipts_row *out_row);

struct relay_receipts_stats {
#define FIGURE FIGURE_FIELD
#include "relay/receipts/relay_receipts_counters.def"
};
void relay_receipts_stats(const struct relay_receipts *receipts,
			  struct relay_receipts_stats *out_stats);
/* relay_receipts_view: rows, by the class of the other node. */
void relay_receipts_view(const struct relay_receipts *receipts, struct fair_view *out);

#endif
