/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_OFFERS_ENDORSE_ENDORSE_STATE_H
#define WEFT_OFFERS_ENDORSE_ENDORSE_STATE_H

#include "base/fair/fair_path.h"
#include "base/list.h"
#include "base/map.h"
#include "base/memory/arena.h"
#include "base/memory/pool.h"
#include "endorse.h"
#include "store/store.h"

/* Private to offers/endorse/: what its files share. */

/* service u32le | address: a subject. */
#define ENDORSE_SUBJECT_LEN (4u + SERVICE_MESSAGE_ADDRESS_LEN)
/* endorser's address | service u32be | provider's address: a row, here and in the store. */
#define ENDORSE_NAME_LEN (2 * SERVICE_MESSAGE_ADDRESS_LEN + 4u)

/* An address in a service. */
struct endorse_subject {
	uint8_t name[ENDORSE_SUBJECT_LEN];
	struct list_node given, received; /* rows */
	unsigned received_cnt, expired_cnt;
	struct list_node queued; /* while distances are counted */
	struct endorse_row *way; /* by which a trusted endorser is so near; NULL: none */
	uint8_t distance;	 /* from a trusted endorser, or ENDORSE_FAR */
	uint8_t level;
	uint8_t trust; /* of the operator, in this service; 0: none */
	bool is_shown; /* while offers_endorse_proof runs */
};

struct endorse_row {
	struct fair_item share; /* first: a victim's leads to the rest */
	struct list_node of_endorser, of_provider;
	struct list_node of_own; /* made here, or of this node */
	struct endorse_subject *endorser, *provider;
	uint8_t name[ENDORSE_NAME_LEN];
	uint8_t key[NODE_KEY_LEN]; /* the endorser's */
	struct addr source;
	uint8_t class;
	bool is_own, is_seed_form, is_expired;
	bool is_same;  /* while offers_endorse_catch_up runs: the disk has it so */
	uint8_t level; /* as it says, until it expires */
	uint64_t made_s, expires_s;
	uint64_t until_s; /* of all words of the same that came; none of them may come back */
	size_t len;
	uint8_t bytes[ENDORSEMENT_LEN_MAX];
};

/* What has changed, on its way to the disk (endorse_keep.c). */
struct endorse_keep {
	bool is_open;		   /* something has changed */
	struct store_batch *batch; /* of what has; NULL: there was no memory for it */
	size_t len;
	uint64_t due_ns;	  /* batch is submitted then */
	struct list_node waiting; /* callers of batch */
	struct pool waiters, commits;
	bool is_behind;	   /* the disk did not take a batch: it lacks some of what is here */
	uint64_t again_ns; /* the earliest time to mend that */
};

struct endorse_trusted {
	struct endorse_trust trust;
	uint8_t name[ENDORSE_SUBJECT_LEN];
};

struct endorse_book {
	struct endorse_params params;
	struct arena arena;
	struct fair_places places;
	struct pool rows, subjects;
	struct map by_name, by_subject, by_trust;
	struct pool trusted;
	struct list_node own, about; /* rows made here, and those of others about this node */
	uint8_t own_address[SERVICE_MESSAGE_ADDRESS_LEN];
	uint64_t
		expires_s; /* when a row ends to count, or goes: the first, as of the last settling */
	uint64_t settled_ns; /* the last time */
	bool is_due;	     /* an endorsement that counts has come or gone since */
	bool has_changed;    /* a level has, since the owner was told */
	struct endorse_keep keep;
	struct endorse_stats stats;
};

/* --- endorse_rows.c --- */

WEFT_MUST_CHECK
int offers_endorse_lay_out(struct endorse_book *book);
void offers_endorse_name(const struct endorsement *endorsement,
			 uint8_t name[static ENDORSE_NAME_LEN]);
void offers_endorse_subject_name(uint32_t service, const uint8_t *address,
				 uint8_t name[static ENDORSE_SUBJECT_LEN]);
/* offers_endorse_subject: NULL: no endorsement names it. */
struct endorse_subject *offers_endorse_subject(const struct endorse_book *book, uint32_t service,
					       const uint8_t *address);
/*
 * offers_endorse_row_add makes a row of said, whose signature was looked at, with a place of its
 * account. A victim of another account goes, out of the store, too. NULL: no place.
 */
struct endorse_row *offers_endorse_row_add(struct endorse_book *book, const struct endorse_put *put,
					   const struct endorsement *said, const uint8_t *key);
/* offers_endorse_row_expire: it counts for nothing any more. row_fill makes it count again. */
void offers_endorse_row_expire(struct endorse_row *row);
void offers_endorse_row_fill(struct endorse_row *row, const struct endorse_put *put,
			     const struct endorsement *said, const uint8_t *key);
/* offers_endorse_row_drop, offers_endorse_row_write: in the store, too. */
void offers_endorse_row_drop(struct endorse_book *book, struct endorse_row *row, uint64_t now_ns);
void offers_endorse_row_write(struct endorse_book *book, const struct endorse_row *row,
			      uint64_t now_ns);
/* offers_endorse_row_renew: a newer word is in it; its carrier pays, and it is the youngest. */
void offers_endorse_row_renew(struct endorse_book *book, struct endorse_row *row,
			      const struct endorse_put *put);
/* offers_endorse_row_came_again: by another session; the emptier network pays from now on. */
void offers_endorse_row_came_again(struct endorse_book *book, struct endorse_row *row,
				   const struct endorse_put *put);
/* offers_endorse_row_move: the endorser's class is another one. */
void offers_endorse_row_move(struct endorse_book *book, struct endorse_row *row, uint64_t now_ns);
/* offers_endorse_load reads rows and trust. 0 or -errno. */
WEFT_MUST_CHECK
int offers_endorse_load(struct endorse_book *book);
void offers_endorse_trust_write(struct endorse_book *book, const struct endorse_trust *trust,
				uint64_t now_ns);
void offers_endorse_trust_delete(struct endorse_book *book, const struct endorse_trust *trust,
				 uint64_t now_ns);
/* offers_endorse_catch_up writes whatever the disk has otherwise. 0 or -errno, and then not all. */
WEFT_MUST_CHECK
int offers_endorse_catch_up(struct endorse_book *book, uint64_t now_ns);

/* --- endorse_keep.c --- */

WEFT_MUST_CHECK
int offers_endorse_keep_init(struct endorse_book *book, struct arena *arena);
/* offers_endorse_keep_fini writes what waits, and calls no done. */
void offers_endorse_keep_fini(struct endorse_book *book);
/* offers_endorse_keep_has_room: false: the disk does not keep up, so nothing may change. */
bool offers_endorse_keep_has_room(const struct endorse_book *book);
struct endorse_change {
	enum store_db db;
	struct store_key key;
	const void *value; /* of a put */
	size_t value_len;
};
void offers_endorse_keep_put(struct endorse_book *book, const struct endorse_change *change,
			     uint64_t now_ns);
void offers_endorse_keep_delete(struct endorse_book *book, const struct endorse_change *change,
				uint64_t now_ns);
/* offers_endorse_keep_wait: done (NULL: none) is called when the changes up to now are durable. */
void offers_endorse_keep_wait(struct endorse_book *book, void (*done)(void *arg, int err),
			      void *arg);
void offers_endorse_keep_expire(struct endorse_book *book, uint64_t now_ns);
uint64_t offers_endorse_keep_next_ns(const struct endorse_book *book);

/* --- endorse_level.c --- */

/* offers_endorse_trust_in: the level to which address is trusted in service; 0: it is not. */
unsigned offers_endorse_trust_in(const struct endorse_book *book, uint32_t service,
				 const uint8_t *address);
/* offers_endorse_trusts: in any service. */
bool offers_endorse_trusts(const struct endorse_book *book, const uint8_t *key);
/* offers_endorse_trust_put, without the store: false: ENDORSE_TRUST_MAX are there. */
bool offers_endorse_trust_put(struct endorse_book *book, const struct endorse_trust *trust);
/* offers_endorse_counts: the level that row counts for. */
unsigned offers_endorse_counts(const struct endorse_row *row);
/* offers_endorse_touch: row came, changed or goes; levels are due if it can count. */
void offers_endorse_touch(struct endorse_book *book, const struct endorse_row *row);

#endif
