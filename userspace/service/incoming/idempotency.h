/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SERVICE_INCOMING_IDEMPOTENCY_H
#define WEFT_SERVICE_INCOMING_IDEMPOTENCY_H

#include "base/list.h"
#include "base/map.h"
#include "base/memory/pool.h"
#include "base/timer.h"
#include "service/service.h"

struct arena;
struct service_body;
struct service_call_head;

/*
 * Calls with an idempotency key. The first runs, calls during that run wait for it, and later ones
 * are answered alike, for a while. A call that a handler began is never begun again for the same
 * key of the same caller.
 *
 * A restart, age and want of room make the table forget. The table is whole back to since_ns: a
 * call that was first sent later and is not in it never arrived.
 */
struct service_idempotent {
	struct service_idempotent_key {
		uint8_t caller[MESH_KEY_LEN];
		uint8_t service_id[SERVICE_ID_LEN];
		uint8_t key[SERVICE_KEY_LEN];
	} key;
	uint64_t began_ns;
	uint64_t digest;	     /* of version, method and payload */
	struct service_call *runner; /* NULL: answered */
	struct list_node waiters;    /* calls */
	struct list_node node;	     /* of those answered, oldest first */
	uint64_t until_ns;
	enum service_status status;
	char text[SERVICE_TEXT_LEN_MAX + 1];
	struct service_body *body; /* NULL: nothing, or it is lost */
	bool is_lost;		   /* there was no room to keep the payload */
};

struct service_idempotency {
	struct pool idempotent;
	struct map by_key;
	struct list_node by_age;
	struct timer timer;	       /* of the oldest */
	uint64_t since_ns;	       /* calls that began since then are in the table */
	size_t held_len, held_len_max; /* of answers; of one caller a quarter */
	struct timer_wheel *timers;
	uint64_t secret[2];
};

WEFT_MUST_CHECK
int service_idempotency_init(struct service_idempotency *table, struct arena *arena,
			     const struct service_limits *limits, struct timer_wheel *timers,
			     const uint64_t secret[2]);
void service_idempotency_fini(struct service_idempotency *table);

/*
 * service_idempotency_digest: of a call's target and payload, to detect another call under its key.
 */
uint64_t service_idempotency_digest(const struct service_idempotency *table,
				    const struct service_call_head *head, const uint8_t *payload,
				    size_t len);
struct service_idempotent *service_idempotency_lookup(const struct service_idempotency *table,
						      const struct service_idempotent_key *key);
/*
 * service_idempotency_is_forgotten: whether the call of head, which is not in the table, may
 * have been there. It was then sent before, and perhaps earlier than the table goes back.
 */
bool service_idempotency_is_forgotten(const struct service_idempotency *table,
				      const struct service_call_head *head, uint64_t now_ns);
/* service_idempotency_begin: runner, which came at began_ns, is about to run; NULL: no room. */
struct service_idempotent *service_idempotency_begin(struct service_idempotency *table,
						     const struct service_idempotent_key *key,
						     uint64_t digest, struct service_call *runner,
						     uint64_t began_ns);
/* service_idempotency_keep: how it ended; body is referenced until the answer is dropped. */
void service_idempotency_keep(struct service_idempotency *table,
			      struct service_idempotent *idempotent,
			      const struct service_answer *answer, struct service_body *body,
			      uint64_t until_ns);
/*
 * service_idempotency_drop: the entry's answer is dropped; the caller ensures that no call waits.
 */
void service_idempotency_drop(struct service_idempotency *table,
			      struct service_idempotent *idempotent);

#endif
