/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_OFFERS_STORE_OFFER_STORE_STATE_H
#define WEFT_OFFERS_STORE_OFFER_STORE_STATE_H

#include "base/fair/fair.h"
#include "base/fair/fair_path.h"
#include "base/memory/arena.h"
#include "base/memory/pool.h"
#include "offer_index.h"
#include "offer_keep.h"
#include "offer_record.h"
#include "offer_store.h"
#include "offers/schema/schema_keys.h"
#include "store/store.h"
#include "offer_tree.h"

/* The objects of the store, private to this folder. */

/* A unit of room. The first of an offer is in its row. */
struct offer_unit {
	struct fair_item slot;
	struct offer_row *row;
	struct offer_unit *next;
};

/* So many rows' levels are looked at by one expire; each takes some 50 ns. */
#define OFFER_LEVEL_STEP 4096u
#define OFFER_NO_KIND	 UINT8_MAX
#define OFFER_NO_INDEX	 UINT32_MAX

/* An offer or a tombstone. Its messages are in the database, or in pending. */
struct offer_row {
	struct offer_unit unit;
	uint8_t provider[SERVICE_MESSAGE_ADDRESS_LEN];
	uint8_t offer_id[OFFER_ID_LEN];
	uint64_t order;			/* the key of its record; 0: the place is free */
	uint64_t sequence, timestamp_s; /* of the newest word */
	uint64_t expires_s;
	uint64_t network;	       /* which pays */
	struct offer_pending *pending; /* bytes that are not durable yet */
	uint32_t service;
	uint32_t index_row; /* or OFFER_NO_INDEX */
	uint32_t heap_at;   /* of a free place: the next free one */
	uint8_t kind;	    /* of index_row */
	uint8_t class;
	uint8_t level; /* as the index has it */
	uint8_t hop_cnt; /* the lowest with which a word of it came; OFFER_HOPS_NONE: it goes nowhere */
	uint8_t hop_max; /* of the newest word */
	bool is_own, is_tombstone, is_seed_form;
};

/*
 * What came lately, for neighbours that lack it. A neighbour is known by the first four bytes of its
 * key. One that has those of another does not hear of what that one has, and loses by it alone.
 */
struct offer_change {
	uint32_t place;
	uint32_t holder; /* the neighbour that brought it */
	bool has_holder;
};

/* A record that was read lately. Its bytes are kept where another one takes the place. */
struct offer_cached {
	uint64_t order; /* 0: none */
	uint32_t len, cap;
	uint8_t *bytes;
};

/* A service whose schema is known. */
struct offer_kind {
	const struct schema *schema; /* NULL: free */
	struct offer_index *index;
};

struct offer_store {
	struct store *store;
	struct arena arena;
	uint32_t unit_cap;

	/* places, the table by name, the heap by expiry, the tree by ref */
	struct offer_row *rows;
	uint32_t row_cap, row_cnt, row_top, row_free;
	uint32_t *table; /* place + 1; 0: empty */
	uint32_t table_mask;
	uint64_t secret[2];
	uint32_t *heap;
	struct offer_tree by_ref;

	/* room */
	struct fair fair;
	struct fair_paths paths;
	struct pool units;
	uint32_t unit_cnt;

	struct offer_cached *cache;
	size_t cache_len;
	struct offer_keep keep;
	struct offer_room *room;
	struct offer_kind kinds[OFFER_SERVICES_MAX];
	uint32_t index_at, index_end;  /* places that are still to be indexed */
	uint32_t level_at, level_left; /* places whose level is still to be looked at */
	unsigned (*level_of)(void *ctx, uint32_t service, const uint8_t *provider);
	void (*lifted)(void *ctx, const struct offer_view *view, unsigned before);
	bool (*wants_lifted)(void *ctx, uint32_t service);
	void *ctx;
	uint64_t order_next;
	struct offer_change *changes;
	uint64_t change_next;
	struct offer_store_counts counts;

	/* of the call that runs */
	struct schema_record record, update;
	struct offer_keys keys;
};

/* A record with its messages read. Borrows the record's bytes. */
struct offer_entry {
	struct offer_record record;
	struct service_message announce, update; /* of a tombstone, announce is the Revoke */
	struct offer_terms terms, update_terms;
	uint64_t sequence, timestamp_s; /* of the newest word */
	uint8_t kind;			/* or OFFER_NO_KIND */
};

/* --- offer_rows.c --- */

WEFT_MUST_CHECK
int offers_rows_init(struct offer_store *store);
/* offers_rows_lookup: the row of that name, or NULL. */
struct offer_row *offers_rows_lookup(const struct offer_store *store, uint32_t service,
				     const uint8_t *provider, const uint8_t *offer_id);
/* offers_rows_acquire gives a place, zeroed, or NULL. offers_rows_release gives it back. */
struct offer_row *offers_rows_acquire(struct offer_store *store);
void offers_rows_release(struct offer_store *store, struct offer_row *row);
/* offers_rows_{link,unlink}: in the table and the heap. offers_rows_settle: expires_s is another. */
void offers_rows_link(struct offer_store *store, struct offer_row *row);
void offers_rows_unlink(struct offer_store *store, struct offer_row *row);
void offers_rows_settle(struct offer_store *store, struct offer_row *row);
/* offers_rows_of_ref: the row whose ref begins with these 8 bytes, or NULL. */
struct offer_row *offers_rows_of_ref(const struct offer_store *store, const uint8_t *ref);
/* offers_rows_first: what expires first; NULL: there is nothing. */
struct offer_row *offers_rows_first(const struct offer_store *store);
static inline uint32_t offers_rows_place(const struct offer_store *store,
					 const struct offer_row *row)
{
	return (uint32_t)(row - store->rows);
}

/* --- offer_changes.c --- */

WEFT_MUST_CHECK
int offers_changes_init(struct offer_store *store);
/* offers_change_note: neighbours may lack what row has now. */
void offers_change_note(struct offer_store *store, const struct offer_row *row);
/* offers_row_goes_on: whether it may, and then with which hop count. */
bool offers_row_goes_on(const struct offer_row *row, unsigned hops_max, uint8_t *out_hop_cnt);
/* offers_row_nearer: a word of row that is known came by the hop count of put. */
void offers_row_nearer(struct offer_store *store, struct offer_row *row,
		       const struct offer_put *put);

/* --- offer_share.c --- */

WEFT_MUST_CHECK
int offers_share_init(struct offer_store *store, const struct offer_store_params *params);
/* offers_share_units: units that an entry takes with so many keys. */
uint32_t offers_share_units(const struct offer_record *record, uint32_t key_cnt);
/*
 * offers_share_take gives row unit_cnt units, more or fewer than it has. Others' offers may leave
 * for it, row never does. false: row's account has its share; what row had it keeps.
 */
struct offer_ask {
	const uint8_t *provider;
	const struct addr *source; /* family ADDR_NONE: this node's own */
	enum fair_class class;
	uint64_t now_ns;
};
bool offers_share_take(struct offer_store *store, struct offer_row *row,
		       const struct offer_ask *ask, uint32_t unit_cnt);
void offers_share_release(struct offer_store *store, struct offer_row *row);
/* offers_share_charge: row came from ask's source, too; the emptier network pays from now on. */
void offers_share_charge(struct offer_store *store, struct offer_row *row,
			 const struct offer_ask *ask);
/*
 * offers_share_renew: row's provider said something new by ask's source. Its class is that of now;
 * in the same one the emptier network pays.
 */
void offers_share_renew(struct offer_store *store, struct offer_row *row,
			const struct offer_ask *ask);
/* offers_share_not_before_ms: as fair_not_before_ms. */
uint32_t offers_share_not_before_ms(struct offer_store *store, const struct offer_ask *ask);

/* --- offer_entry.c --- */

/* offers_entry_read parses the messages of record. 0 or WEFT_EMALFORMED. */
WEFT_MUST_CHECK
int offers_entry_read(const struct offer_store *store, const struct offer_record *record,
		      struct offer_entry *out_entry);
/* offers_entry_fields reads the fields, the Update's over the Announce's, into store->record. */
WEFT_MUST_CHECK
int offers_entry_fields(struct offer_store *store, const struct offer_entry *entry,
			struct schema_fault *fault);
/* offers_entry_keys makes store->keys of them; returns how many there are. 0 of no kind. */
WEFT_MUST_CHECK
int offers_entry_keys(struct offer_store *store, const struct offer_entry *entry,
		      struct schema_fault *fault);
uint8_t offers_kind_of(const struct offer_store *store, uint32_t service,
		       const struct offer_terms *terms);

/* --- offer_read.c --- */

WEFT_MUST_CHECK
int offers_cache_init(struct offer_store *store);
void offers_cache_fini(struct offer_store *store);
/*
 * offers_row_record gives row's record, lent until the next call. If it is neither on its way nor
 * cached, it is read in *io_snapshot, which is opened then; the caller closes it. 0 or an error.
 */
WEFT_MUST_CHECK
int offers_row_record(struct offer_store *store, struct store_snapshot **io_snapshot,
		      const struct offer_row *row, struct offer_record *out_record);
/* offers_cache_forget: row has another record from now on. */
void offers_cache_forget(struct offer_store *store, const struct offer_row *row);

/* --- offer_store.c --- */

/* offers_row_drop takes row out; its record is deleted if is_deleted. */
void offers_row_drop(struct offer_store *store, struct offer_row *row, bool is_deleted,
		     uint64_t now_ns);
/*
 * offers_row_fill makes row what entry says: room, index, time. row was acquired, or is one that is
 * there. Nothing is written. OFFER_FULL or OFFER_UNFIT: row is as it was.
 */
enum offer_verdict offers_row_fill(struct offer_store *store, struct offer_row *row,
				   const struct offer_entry *entry, uint64_t now_ns,
				   struct schema_fault *fault);
/* offers_row_load adds the record that the database has under order. */
void offers_row_load(struct offer_store *store, uint64_t order, const struct offer_record *record,
		     uint64_t now_ns);
/* offers_index_step indexes a part of what was there before its schema. */
void offers_index_step(struct offer_store *store);

/* --- offer_level.c --- */

/* offer_search.c: row as callers see it. */
void offers_view_write(const struct offer_store *store, const struct offer_row *row,
		       const struct offer_record *record, struct offer_view *out_view);
/* Of the seed form, whose signature covers neither the address nor the time of an offer. */
#define OFFER_SEED_LEVEL_MAX 1u

/* offers_level_of: of an offer, at this moment: that of its provider, as far as its form lets it. */
struct offer_judged {
	bool is_own, is_seed_form;
	uint32_t service;
	const uint8_t *provider;
};
unsigned offers_level_of(const struct offer_store *store, const struct offer_judged *judged);
unsigned offers_level_of_row(const struct offer_store *store, const struct offer_row *row);
/* offers_level_condition makes the condition on kind's last column; false: search asks for none. */
bool offers_level_condition(const struct offer_kind *kind, const struct offer_search *search,
			    struct schema_condition *out);
bool offers_level_fits(const struct offer_search *search, unsigned level);
/* offers_level_step looks at the levels of a part of the rows. */
void offers_level_step(struct offer_store *store, uint32_t row_max);

#endif
