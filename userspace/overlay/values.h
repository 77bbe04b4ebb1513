/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_OVERLAY_VALUES_H
#define WEFT_OVERLAY_VALUES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "kad/storage.h"
#include "overlay_message.h"
#include "overlay_reason.h"
#include "overlay_rules.h"

/*
 * The values that this node keeps for the overlay: sets of one value per writer
 * under a key. The index is kad/storage.h; here are the bytes, the caps of each rule, and
 * which value replaces which:
 *
 *   - of one writer, the highest seq; of two under the same seq, the one that is here;
 *   - of one prefix, the first prefix_max under a key;
 *   - of one key, key_max, and in all, by number and bytes: fair shares of the networks that
 *     stored them (kad/storage.h).
 */
struct overlay_values;
struct overlay_stored;

struct overlay_values_config {
	uint32_t value_cap;
	size_t memory_len;
	uint32_t subnet_max;
	struct fair_site site;
	const struct kad_id *own_id;
	struct random *random; /* used while the values live */
	/* A value goes (evicted, displaced, expired); not when another of its writer comes. */
	void (*forgot)(void *ctx, const struct overlay_stored *kept);
	void *ctx;
};

/* A value as it is kept; borrowed until values change. */
struct overlay_stored {
	uint8_t key[OVERLAY_KEY_LEN];
	const struct overlay_rule *rule;
	struct overlay_claim claim;
	struct addr source; /* of the store; ADDR_NONE: this node itself */
	uint64_t until_ns;  /* it is forgotten then */
	bool is_checked;    /* by its rule, since this process began */
	uint16_t name_len;
	uint32_t value_len;
	uint8_t bytes[]; /* name, then value */
};

static inline const uint8_t *overlay_stored_value(const struct overlay_stored *kept)
{
	return kept->bytes + kept->name_len;
}

/* overlay_values_new: 0, WEFT_EFULL (arena), -errno. */
WEFT_MUST_CHECK
int overlay_values_new(struct arena *arena, const struct overlay_values_config *config,
		       struct overlay_values **out_values);
/* overlay_values_free: of the bytes alone; the arena is its owner's. Takes NULL. */
void overlay_values_free(struct overlay_values *values);

/* The value to keep; all borrowed. */
struct overlay_put {
	const uint8_t *key;
	const uint8_t *name;
	size_t name_len;
	const uint8_t *value;
	size_t value_len;
	const struct overlay_rule *rule;
	const struct overlay_claim *claim;
	struct addr source;
	enum fair_class source_class;
	uint64_t now_ns, until_ns;
	bool is_checked;
};
/*
 * overlay_values_put: OVERLAY_STORED; REFRESHED: the very bytes that are there, and
 * until_ns is theirs now; OLD_SEQ, EQUAL_SEQ, PREFIX_FULL, SUBNET_FULL, STORE_FULL. *out_kept is
 * what is kept, with the first two.
 */
enum overlay_reason overlay_values_put(struct overlay_values *values, const struct overlay_put *put,
				       const struct overlay_stored **out_kept);
/* overlay_values_has: these bytes are kept under key, so they have been judged before. */
const struct overlay_stored *overlay_values_has(const struct overlay_values *values,
						const uint8_t *key, const uint8_t *value,
						size_t len);
/*
 * overlay_values_list gives what is kept under key, in the order of writers, from the first
 * after a writer on (NULL: all). Returns how many of out[0, OVERLAY_KEY_MAX) were set. A
 * caller that judges one again may set is_checked.
 */
unsigned overlay_values_list(const struct overlay_values *values, const uint8_t *key,
			     const uint8_t *after, struct overlay_stored **out);
/* overlay_values_not_before_ms: when put, refused as STORE_FULL just now, may be tried again. */
uint32_t overlay_values_not_before_ms(struct overlay_values *values, const struct overlay_put *put);
void overlay_values_drop(struct overlay_values *values, const struct overlay_stored *kept);

void overlay_values_expire(struct overlay_values *values, uint64_t now_ns);
uint64_t overlay_values_next_ns(const struct overlay_values *values);

struct overlay_values_counts {
	uint32_t values, keys;
	size_t len; /* bytes they take */
	uint64_t evicted, displaced;
};
void overlay_values_count(const struct overlay_values *values,
			  struct overlay_values_counts *out_counts);
void overlay_values_view(const struct overlay_values *values, struct fair_view *out);

#endif
