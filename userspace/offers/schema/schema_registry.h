/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_OFFERS_SCHEMA_REGISTRY_H
#define WEFT_OFFERS_SCHEMA_REGISTRY_H

#include "offers/schema/schema.h"
#include "store/store.h"

/*
 * The schemas of a node, in memory. Weft ships some, the operator adds others, and shares that are
 * followed for them bring more. Of one name the later version holds. The core's three are on at
 * start; the others that ship are on once they are added. The operator fills it, up to
 * SCHEMA_REGISTRY_MAX names, and shares up to SCHEMA_SHARED_MAX of them. Home worker.
 */
#define SCHEMA_REGISTRY_MAX 128u
#define SCHEMA_SHARED_MAX   64u
#define SCHEMA_ID_CORE_MAX  3u /* FAPP, HOUSING and REPAIR */
#define SCHEMA_SHARE_ID_LEN 32u

struct schema_registry;

/*
 * schema_change_fn: another schema of that service holds from now on. before or after is NULL
 * where there is none; before is freed behind the call, and indexes by it are made again.
 */
typedef void schema_change_fn(void *ctx, const struct schema *before, const struct schema *after);

enum schema_origin {
	SCHEMA_OF_CORE, /* ships, and is on at start */
	SCHEMA_SHIPPED, /* ships, and is on where the operator added it */
	SCHEMA_ADDED,	/* of the operator */
	SCHEMA_OF_SHARE,
};

/* A name's schema and the text that it was compiled from. */
struct schema_entry {
	const struct schema *schema;
	const char *text;
	size_t text_len;
	enum schema_origin origin;
	const uint8_t *share_id; /* NULL: of no share */
};

/* offers_schema_registry_new: empty; NULL without memory. on_change may be NULL. */
struct schema_registry *offers_schema_registry_new(schema_change_fn *on_change, void *ctx);
void offers_schema_registry_free(struct schema_registry *registry);
/* offers_schema_registry_ship adds the schemas that weft brings. 0, or -ENOMEM. */
WEFT_MUST_CHECK
int offers_schema_registry_ship(struct schema_registry *registry);
/*
 * offers_schema_registry_add adds one of the operator, or a later version of one that is there.
 * The same text again changes nothing. Returns 0, or:
 *   WEFT_EMALFORMED, WEFT_ETOOLARGE, -ENOMEM  as offers_schema_parse
 *   WEFT_EMALFORMED  a later version that changes what offers of the former have
 *   WEFT_EEXISTS     another service has its id, or the version is there with another text
 *   WEFT_ESTALE      a later version is there
 *   WEFT_EFULL       SCHEMA_REGISTRY_MAX names are there
 * *fault then says which, and the next step.
 */
WEFT_MUST_CHECK
int offers_schema_registry_add(struct schema_registry *registry, const char *text, size_t len,
			       struct schema_fault *fault);
/*
 * offers_schema_registry_remove takes away what the operator added under a name. Returns 0;
 * WEFT_EABSENT; or WEFT_EREFUSED of one of the core or of a share.
 */
WEFT_MUST_CHECK
int offers_schema_registry_remove(struct schema_registry *registry, const char *name);

/* A file of a share. */
struct schema_shared {
	const uint8_t *share_id;
	const char *name; /* of the file without its ending, which the service is to have */
	const char *text;
	size_t len;
	bool may_replace; /* names that weft ships, too */
	bool is_kept;	  /* it was taken before, whatever the operator has added since */
};
/*
 * offers_schema_registry_share adds one of a share, or a later version of it. As
 * offers_schema_registry_add, and WEFT_EREFUSED of a name that ships, WEFT_EEXISTS of one that
 * another share has. offers_schema_registry_unshare takes it away; of a name that is none of the
 * share nothing changes.
 */
WEFT_MUST_CHECK
int offers_schema_registry_share(struct schema_registry *registry,
				 const struct schema_shared *shared, struct schema_fault *fault);
void offers_schema_registry_unshare(struct schema_registry *registry,
				    const uint8_t share_id[static SCHEMA_SHARE_ID_LEN],
				    const char *name);
/*
 * offers_schema_registry_reshare: what the share was_id brought under a name is is_id's from now on.
 * Returns its text, which stays the registry's, or NULL: it brought none.
 */
const char *offers_schema_registry_reshare(struct schema_registry *registry, const uint8_t *was_id,
					   const uint8_t *is_id, const char *name, size_t *out_len);
/* offers_schema_registry_named: small or large letters; NULL. */
const struct schema *offers_schema_registry_named(const struct schema_registry *registry,
						  const char *name);
/*
 * offers_schema_registry_lookup: by a message's service id, or NULL. One of SCHEMA_ID_CUSTOM has a
 * name of len bytes, too; with NULL for it, it is the shipped schema, custom.
 */
const struct schema *offers_schema_registry_lookup(const struct schema_registry *registry,
						   uint32_t id, const char *name, size_t len);
/*
 * offers_schema_registry_at: the entry at idx, by ascending names; false behind the last.
 * offers_schema_registry_off_at: the same of those that ship and are off.
 */
bool offers_schema_registry_at(const struct schema_registry *registry, unsigned idx,
			       struct schema_entry *out);
bool offers_schema_registry_off_at(const struct schema_registry *registry, unsigned idx,
				   struct schema_entry *out);

/*
 * offers_schema_is_successor: offers and queries of the former version keep their meaning. What
 * was there keeps key, name, type and decimals; ranges and lists of choices only grow. New
 * required fields say since which version. 0, or WEFT_EMALFORMED.
 */
WEFT_MUST_CHECK
int offers_schema_is_successor(const struct schema *former, const struct schema *later,
			       struct schema_fault *fault);

/*
 * The operator's schemas in the store, as the texts that were added: rows of STORE_META, so that a
 * backup has them.
 */

/* schema_refused_fn: a row that is no schema any more, as fault says; the others are loaded. */
typedef void schema_refused_fn(void *ctx, const char *name, const struct schema_fault *fault);
/* offers_schema_rows_load adds all rows to registry. 0, WEFT_EDAMAGED, -errno. */
WEFT_MUST_CHECK
int offers_schema_rows_load(struct store *store, struct schema_registry *registry,
			    schema_refused_fn *on_refused, void *ctx);
/* offers_schema_rows_put, offers_schema_rows_delete: the row of a name, of a schema that is there. */
void offers_schema_rows_put(struct store_batch *batch, const char *name, const char *text,
			    size_t len);
void offers_schema_rows_delete(struct store_batch *batch, const char *name);

#endif
