/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DEPOSITS_DEPOSITS_H
#define WEFT_DEPOSITS_DEPOSITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fair/fair.h"
#include "base/fair/fair_path.h"
#include "base/figure.h"
#include "mesh/seam.h"
#include "mesh/seam_neighbours.h"

struct node_key;
struct random;
struct store;
struct timer_wheel;

/*
 * Sealed messages for keys that are away (docs/deposits.md): a STORE node keeps a deposit until its
 * recipient takes it, or its time is over.
 *
 *	depositor: put_at -> outbox (durable) -> PUT, again and again -> KEPT -> DELIVERED
 *	STORE node: PUT -> judge -> a fair share of the room -> batch -> durable -> answer
 *	recipient: session up -> PULL -> open -> its part -> durable -> ACK -> tombstone at the STORE node
 *
 *	deposits.c		life, sessions, time
 *	deposit_message.c	messages 622 to 624, and the object mailpull
 *	deposit_seal.c		what only the recipient opens
 *	deposit_answer.c	the STORE node's side of the messages
 *	deposit_keep.c		what is kept here; deposit_rows.c, deposit_share.c, deposit_write.c
 *	deposit_outbox.c	deposits of this node on their way
 *	deposit_pull.c		asks STORE nodes; deposit_deliver.c gives to parts and acknowledges
 *	deposit_patience.c	which STORE nodes are left alone for a while
 *
 * The name of a deposit is a hash of its receipt, 16 bytes that lie inside the seal. So a receipt
 * proves that the recipient opened the deposit. The STORE node cannot make it up. It says to the
 * depositor that the deposit was delivered. Until then the deposit is in the depositor's outbox, and
 * put again where the STORE node lost it.
 *
 * Tables, and what fills them:
 *
 *	kept		room_len in units of DEPOSIT_UNIT_LEN, tombstones among them: any peer of a STORE
 *			node. Shares are those of its network, its key and the recipient. A full
 *			room takes from the account that has most, the youngest first.
 *	of a recipient	DEPOSITS_PER_RECIPIENT places by bytes. Class, family, network and depositor share
 *			them: the account that has most gives way, or the newcomer is refused.
 *	outbox		DEPOSITS_OUT_MAX: parts of this node; one part has at most what is left free
 *	delivered	DEPOSITS_SEEN_MAX: deposits that a part of this node took; the oldest is forgotten
 *	left alone	DEPOSITS_REST_CAP: STORE nodes that give rows of no use (deposit_patience.c)
 *
 * Home worker only; nothing blocks. Parts are never called inside the calls of this header.
 */
struct deposits;

#define DEPOSIT_ID_LEN	    16u
#define DEPOSIT_RECEIPT_LEN 16u
#define DEPOSIT_KEY_LEN	    32u
/* A service message whole; longer things are named inside by their hash. */
#define DEPOSIT_CONTENT_LEN_MAX 65635u
#define DEPOSIT_UNIT_LEN	1024u
#define DEPOSITS_ROOM_MIN	(4ull << 20) /* the longest deposit fits the part of a recipient */
#define DEPOSITS_PER_RECIPIENT	256u
#define DEPOSITS_OUT_MAX	4096u
#define DEPOSITS_SEEN_MAX	16384u
/* Of STORE nodes that are not chosen, as deposit_patience.c has them. */
#define DEPOSITS_USELESS_PER_MIN 4096u
#define DEPOSITS_LIFE_S		 (24u * 3600)	   /* of a deposit, at most */
#define DEPOSITS_CHOSEN_LIFE_S	 (30u * 24 * 3600) /* where depositor or recipient is chosen */

/* What a deposit holds; the first byte inside the seal. Further ones are for later parts. */
enum deposit_kind {
	DEPOSIT_SERVICE_MESSAGE = 1, /* header and payload */
	DEPOSIT_SOCIAL = 2,	     /* an envelope of social/mail/ */
	DEPOSIT_KIND_MAX = 7,
};

struct deposits_config {
	bool is_store;	   /* this node keeps deposits of others, and says so in its HELLO */
	uint64_t room_len; /* bytes of them */
};
void deposits_config_defaults(struct deposits_config *config);
/* deposits_footprint: bytes that deposits_open lays out, touched as they are used. */
size_t deposits_footprint(const struct deposits_config *config);

/* All borrowed until deposits_close, but config, site and the seam, which are copied. */
struct deposits_params {
	struct deposits_config config;
	struct fair_site site;
	const struct node_key *key;
	struct store *store;
	struct mesh_seam mesh;
	const struct mesh_neighbour_ops *neighbours;
	struct timer_wheel *timers;
	struct random *random;
	uint64_t (*wall_s)(void *ctx);
	/* What the node of key is to this one; chosen ones may leave deposits for longer. */
	enum fair_class (*class_of)(void *ctx, const uint8_t *key);
	/* As relay_messages_admit: false, call was answered. NULL: all may. */
	bool (*admit)(void *ctx, const struct mesh_call *call, uint64_t now_ns);
	/*
	 * The STORE node of a deposit of kind (enum deposit_kind; 0: of a pull), as it is to be dialled;
	 * *out_places has what it borrows. NULL: where the mesh, and what looks for keys, know it.
	 */
	struct mesh_peer (*peer_of)(void *ctx, unsigned kind, const uint8_t *store,
				    struct peer_places *out_places, uint64_t now_ns);
	void *ctx;
	uint64_t now_ns;
};
/*
 * deposits_open reads what is durable: 0 or a negative code. deposits_stop, before the mesh is freed, writes
 * what waits, and calls nothing any more. deposits_close, behind that, frees. Both take NULL.
 */
WEFT_MUST_CHECK
int deposits_open(const struct deposits_params *params, struct deposits **out_deposits);
void deposits_stop(struct deposits *deposits);
void deposits_close(struct deposits *deposits);
/*
 * deposits_session_up: a neighbour is there. One that is a STORE node is asked for deposits, and gets those
 * of this node that wait for it.
 */
void deposits_session_up(struct deposits *deposits, const uint8_t key[static MESH_KEY_LEN],
			 uint64_t now_ns);

/* --- what comes --- */

/* A deposit that was opened; borrowed for the call that it is given to. */
struct deposit {
	enum deposit_kind kind;
	const uint8_t *id;	  /* DEPOSIT_ID_LEN; the same one never comes twice */
	const uint8_t *recipient; /* the key that it was for: this node's, or that of a pull */
	const uint8_t *store;	  /* the node that kept it */
	const uint8_t *content;	  /* proved by nothing but what is in it */
	size_t len;
	uint64_t expires_s; /* the depositor's word */
};
enum deposit_verdict {
	DEPOSIT_TAKEN, /* deposits_settle follows, once, also inside the call */
	DEPOSIT_UNFIT, /* no part of this node will ever want it: it is erased */
	DEPOSIT_LATER, /* not now: it stays where it is, and comes with a later pull */
};
/* How a deposit of this node does; borrowed likewise. */
enum deposit_state {
	DEPOSIT_WAITING, /* no STORE node has it; err says what the latest one answered, 0: nothing yet */
	DEPOSIT_KEPT,	   /* the STORE node has it on its disk */
	DEPOSIT_DELIVERED, /* its recipient opened it, and needs it no more */
	DEPOSIT_EXPIRED,   /* its time was over before that */
};
struct deposit_progress {
	const uint8_t *id, *recipient, *store;
	enum deposit_kind kind;
	enum deposit_state state;
	int err;
	const char *why; /* of err, for people; static */
	uint64_t expires_s;
};
/*
 * A part of this node that has deposits of one kind. deliver gets each of them once, and ticket names
 * it in deposits_settle. If the process ends between the part's commit and that of the deposit, the
 * deposit comes once more, with the same id. moved (NULL: not wanted): a deposit that the part made is in
 * another state. One that is DELIVERED or EXPIRED is in no table any more.
 */
struct deposit_part {
	enum deposit_verdict (*deliver)(void *ctx, const struct deposit *deposit, uint64_t ticket,
					uint64_t now_ns);
	void (*moved)(void *ctx, const struct deposit_progress *progress, uint64_t now_ns);
	void *ctx;
};
/* deposits_register: once per kind. What waits for kind comes from the next turn on. 0 or WEFT_EEXISTS. */
WEFT_MUST_CHECK
int deposits_register(struct deposits *deposits, enum deposit_kind kind,
		      const struct deposit_part *part);
/* deposits_settle: err 0, the part has it durably; else it has not, and the deposit comes again. */
void deposits_settle(struct deposits *deposits, uint64_t ticket, int err, uint64_t now_ns);

/*
 * deposits_pull_from asks the STORE node store for the deposits of key, which signs for this session
 * alone; NULL: those of this node. What comes goes to the parts. done (may be NULL) is called once when
 * all was asked for: how many were given to parts, and 0 or why it ended before. store may be this node.
 * 0; then done follows. Or:
 *   WEFT_EFULL  too many pulls are under way
 *   WEFT_EBUSY  store gave too much that was of no use, and is left alone for a while
 *   -ENOMEM
 */
struct deposit_pull_ask {
	const uint8_t *store;	    /* DEPOSIT_KEY_LEN */
	const struct node_key *key; /* borrowed for the call */
	void (*done)(void *arg, int err, unsigned cnt, uint64_t now_ns);
	void *arg;
};
WEFT_MUST_CHECK
int deposits_pull_from(struct deposits *deposits, const struct deposit_pull_ask *ask,
		       uint64_t now_ns);
/* --- what goes --- */

/* A deposit that a part of this node makes; borrowed for the call. */
struct deposit_draft {
	const uint8_t *store;	  /* where it is to be kept; may be this node */
	const uint8_t *recipient; /* DEPOSIT_KEY_LEN, Ed25519 */
	enum deposit_kind kind;
	const void *content;
	size_t len; /* up to DEPOSIT_CONTENT_LEN_MAX */
	uint64_t expires_s;
	/*
	 * DEPOSIT_RECEIPT_LEN bytes that no other deposit has, and that others cannot guess; NULL: drawn
	 * here. With the same recipient and store it is the same deposit. So a part that does not know
	 * whether its call was durable calls once more.
	 */
	const uint8_t *receipt;
	/* NULL, or called once if the call returned 0: 0, it is in the outbox, durable; else it is not */
	void (*done)(void *arg, int err);
	void *arg;
};
/*
 * deposits_put_at seals a deposit and puts it into the outbox. From there it goes to the STORE node,
 * again and again until its recipient has it, or its time is over. moved says what becomes of it.
 * Returns 0, or:
 *   WEFT_EMALFORMED the recipient's key is none
 *   WEFT_ETOOLARGE  the content is too long
 *   WEFT_ETIMEOUT   its time is over already
 *   WEFT_EFULL      the outbox, or the part's share of it, is full
 *   WEFT_EBUSY      the disk does not keep up
 */
WEFT_MUST_CHECK
int deposits_put_at(struct deposits *deposits, const struct deposit_draft *draft, uint64_t now_ns,
		    uint8_t out_id[static DEPOSIT_ID_LEN]);
/*
 * deposits_keep keeps a deposit here at once, in the share of the neighbour that it came by, as a PUT of
 * that neighbour would. draft's store is not looked at, and done is called when it is durable.
 * Returns as deposits_put_at, WEFT_EFULL for the share, or WEFT_EREFUSED (this is no STORE node).
 */
WEFT_MUST_CHECK
int deposits_keep(struct deposits *deposits, const struct deposit_draft *draft,
		  const uint8_t depositor[static MESH_KEY_LEN], uint64_t now_ns);
/*
 * deposits_withdraw takes a deposit out of the outbox, wherever it is to be kept; nothing is said of it any
 * more. A copy that a STORE node has stays there. Returns how many.
 */
unsigned deposits_withdraw(struct deposits *deposits, const uint8_t id[static DEPOSIT_ID_LEN],
			   uint64_t now_ns);
/*
 * deposits_choose gives a neighbour that keeps deposits, for answers to a key of this node. Chosen ones
 * come first, then known ones; equals are as likely as each other. 0 or WEFT_EABSENT.
 */
WEFT_MUST_CHECK
int deposits_choose(struct deposits *deposits, uint8_t out_key[static MESH_KEY_LEN]);

/*
 * deposits_find_out: how the deposit with draft's store, recipient and receipt does, which may not be
 * NULL; false: none is in the outbox. out_progress is borrowed until the next change.
 */
bool deposits_find_out(const struct deposits *deposits, const struct deposit_draft *draft,
		       struct deposit_progress *out_progress);
/* deposits_out_cnt: how many of kind the outbox has. */
unsigned deposits_out_cnt(const struct deposits *deposits, enum deposit_kind kind);

/* --- figures --- */

/* deposits_is_store: this node keeps deposits of others. */
bool deposits_is_store(const struct deposits *deposits);
/* deposits_each_out walks the outbox, in no order; fn calls no function of deposits. */
void deposits_each_out(const struct deposits *deposits,
		       void (*fn)(void *arg, const struct deposit_progress *progress,
				  unsigned try_cnt),
		       void *arg);
struct deposits_stats {
#define FIGURE FIGURE_FIELD
#include "deposits/deposits_counters.def"
};
void deposits_stats(const struct deposits *deposits, struct deposits_stats *out_stats);
/* deposits_view: the room for deposits of others, by the class of their depositors. */
void deposits_view(const struct deposits *deposits, struct fair_view *out);

#endif
