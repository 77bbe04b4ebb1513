/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_RELAY_POOL_RELAY_POOL_H
#define WEFT_RELAY_POOL_RELAY_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/byte_cursor.h"
#include "base/figure.h"
#include "mesh/seam.h"
#include "mesh/seam_neighbours.h"
#include "relay/grants/honoured.h"
#include "relay/messages/relay_messages.h"

/*
 * The relays of one operator keep one revocation list. A list that comes into force at one of them
 * is in force at the others within a few round trips. A relay that was not reached then has it
 * RELAY_POOL_ASK_NS after it is reached again, at the latest.
 *
 * Message 462 carries the serial of the sender's list, and in its answer that of the answerer. Each
 * relay asks each other so at its start, when its list changes, and every RELAY_POOL_ASK_NS. A relay
 * that learns that the other's list is older sends its own in the next request. Lists need no trust,
 * as the operator signs them. They are long, so other keys than those of the pool are refused.
 *
 * Home worker; nothing blocks, reads a clock or logs.
 */
struct relay_pool;

#define RELAY_POOL_MAX	    16u
#define RELAY_POOL_ASK_NS   30000000000ull /* half of the minute within which a list holds */
#define RELAY_POOL_RETRY_NS 5000000000ull  /* doubled up to RELAY_POOL_ASK_NS */

struct relay_pool_place {
	uint8_t key[MESH_KEY_LEN];
	struct addr addr; /* of family ADDR_NONE: it is looked for */
};

/*
 * relay_pool_parse reads "KEY" or "KEY@ADDRESS:PORT", apart by commas. own_key is left out, so that
 * all relays of a pool have one text. Returns how many, or WEFT_EMALFORMED, WEFT_EFULL (more than
 * RELAY_POOL_MAX), WEFT_EEXISTS (a key twice).
 */
#define RELAY_POOL_TEXT_CAP 2304u
WEFT_MUST_CHECK
int relay_pool_parse(const char *text, const uint8_t own_key[static MESH_KEY_LEN],
		     struct relay_pool_place out[static RELAY_POOL_MAX]);

/* All borrowed. */
struct relay_pool_params {
	const struct relay_pool_place *places;
	unsigned place_cnt;
	struct relay_honoured *honoured;
	struct mesh_seam mesh;
	const struct mesh_neighbour_ops *neighbours;
	/* As mesh_connect: makes a session with a relay. */
	int (*connect)(void *ctx, const struct mesh_peer *peer, uint64_t timeout_ns,
		       mesh_connect_fn done, void *arg);
	struct relay_messages *messages; /* what others may ask; NULL: no limit (tests) */
	void *ctx;
	uint64_t now_ns;
};
/* relay_pool_new adds the handler of 462. 0, -ENOMEM, or what the mesh says. */
WEFT_MUST_CHECK
int relay_pool_new(const struct relay_pool_params *params, struct relay_pool **out_pool);
/*
 * relay_pool_stop takes back what is asked, while the mesh is there; the mesh is gone before
 * relay_pool_free. Both take NULL.
 */
void relay_pool_stop(struct relay_pool *pool);
void relay_pool_free(struct relay_pool *pool);
/* Both find by themselves that the list in force is another one: then the turn is due. */
void relay_pool_turn(struct relay_pool *pool, uint64_t now_ns);
uint64_t relay_pool_next_ns(const struct relay_pool *pool);

struct relay_pool_row {
	const uint8_t *key;
	bool is_heard;	   /* it has answered, and the last request did not fail */
	uint64_t serial;   /* of its list, when it was last heard */
	uint64_t heard_ns; /* 0: never */
};
/* relay_pool_row: the relay of index idx; false: there are no more. Borrowed. */
bool relay_pool_row(const struct relay_pool *pool, unsigned idx, struct relay_pool_row *out_row);

struct relay_pool_stats {
#define FIGURE FIGURE_FIELD
#include "relay/pool/relay_pool_counters.def"
};
void relay_pool_stats(const struct relay_pool *pool, struct relay_pool_stats *out_stats);

/* The payload of 462: 1 serial of the list in force, 0 for none | 2 that list? */
#define RELAY_POOL_MESSAGE_LEN_MAX (RELAY_REVOCATIONS_LEN_MAX + 32u)
struct relay_pool_message {
	uint64_t serial;
	const uint8_t *list; /* borrowed from what was parsed */
	uint32_t list_len;   /* 0: none */
};
void relay_pool_message_write(struct writer *w, const struct relay_pool_message *message);
/* relay_pool_message_parse: 0 or WEFT_EMALFORMED. The list itself is not looked at. */
WEFT_MUST_CHECK
int relay_pool_message_parse(const uint8_t *data, size_t len,
			     struct relay_pool_message *out_message);

#endif
