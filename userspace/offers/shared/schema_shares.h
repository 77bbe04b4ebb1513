/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_OFFERS_SHARED_SCHEMA_SHARES_H
#define WEFT_OFFERS_SHARED_SCHEMA_SHARES_H

#include "offers/schema/schema_registry.h"

/*
 * The shares that the operator follows for their schemas: NAME.ini at the top of a share, each of
 * which goes into the registry under its name (schema_registry.h has the rules).
 *
 *	offers_schema_shares_take -> registry, rows	a revision was read
 *	offers_schema_shares_open <- rows		a start; the share is read again behind it
 *
 * SCHEMA_SHARES_MAX shares with SCHEMA_SHARE_FILES_MAX files each, so no share fills the registry.
 * The operator alone names shares. The texts are a publisher's: what is refused is kept as a
 * sentence, and the others of the share hold. Home worker.
 */
#define SCHEMA_SHARES_MAX      16u
#define SCHEMA_SHARE_FILES_MAX 16u

struct schema_shares;
struct store;

/* A file of a revision. */
struct schema_file {
	char name[SCHEMA_NAME_CAP]; /* without its ending */
	const char *text;	    /* NULL: it is longer than a schema may be */
	size_t len;
};

/* A file that is not used, or (name "") those beyond SCHEMA_SHARE_FILES_MAX. */
struct schema_refusal {
	char name[SCHEMA_NAME_CAP];
	struct schema_fault fault;
};

/* A share as callers see it; borrowed until the next change. */
struct schema_share {
	uint8_t share_id[SCHEMA_SHARE_ID_LEN];
	bool may_replace;  /* names that weft ships, too */
	uint64_t revision; /* that was read last; 0: none since the start */
	unsigned used_cnt;
	char used[SCHEMA_SHARE_FILES_MAX][SCHEMA_NAME_CAP];
	unsigned refusal_cnt;
	struct schema_refusal refusals[SCHEMA_SHARE_FILES_MAX + 1];
};

/* offers_schema_shares_open puts what is stored into registry. 0, WEFT_EDAMAGED or -errno. */
WEFT_MUST_CHECK
int offers_schema_shares_open(struct store *store, struct schema_registry *registry,
			      struct schema_shares **out_shares);
/* offers_schema_shares_close: the registry keeps its schemas. Takes NULL. */
void offers_schema_shares_close(struct schema_shares *shares);

/*
 * offers_schema_shares_follow: from now on its schemas are wanted, or may_replace changed.
 * offers_schema_shares_unfollow takes them away. 0, and done is called once that is durable; or
 * WEFT_EFULL, WEFT_EABSENT, -ENOMEM or of store_submit.
 */
struct schema_share_change {
	const uint8_t *share_id;
	bool may_replace;
	void (*done)(void *arg, int err); /* NULL: not wanted */
	void *arg;
};
WEFT_MUST_CHECK
int offers_schema_shares_follow(struct schema_shares *shares,
				const struct schema_share_change *change);
WEFT_MUST_CHECK
int offers_schema_shares_unfollow(struct schema_shares *shares,
				  const struct schema_share_change *change);
/*
 * offers_schema_shares_take: the files of a revision, all that end so. A schema whose file is gone
 * goes; one whose file is not fit stays as it was. has_more: there are others, which are left out.
 * Of a share that is none of them nothing changes.
 */
struct schema_revision {
	const uint8_t *share_id;
	uint64_t revision;
	const struct schema_file *files;
	unsigned file_cnt;
	bool has_more;
};
void offers_schema_shares_take(struct schema_shares *shares,
			       const struct schema_revision *revision);
/* offers_schema_shares_move: the share has another key, and so another id, from now on. */
void offers_schema_shares_move(struct schema_shares *shares,
			       const uint8_t was_id[static SCHEMA_SHARE_ID_LEN],
			       const uint8_t is_id[static SCHEMA_SHARE_ID_LEN]);
/* offers_schema_shares_at: the one at idx, in the order in which they were followed; NULL. */
const struct schema_share *offers_schema_shares_at(const struct schema_shares *shares,
						   unsigned idx);
/* offers_schema_shares_lookup: NULL if its schemas are not wanted. */
const struct schema_share *
offers_schema_shares_lookup(const struct schema_shares *shares,
			    const uint8_t share_id[static SCHEMA_SHARE_ID_LEN]);

#endif
