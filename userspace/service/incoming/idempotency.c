/* SPDX-License-Identifier: Apache-2.0 */
#include "idempotency.h"

#include <string.h>

#include "base/monotonic.h"
#include "base/memory/heap.h"
#include "base/siphash_bytes.h"
#include "service/body.h"
#include "service/call_head.h"

/* In a full table, a caller with more than this part of it loses its own oldest entry. */
#define CALLER_SHARE 8
/* The part of the fabric's memory for the cached answers, and the part of these for one caller. */
#define MEMORY_SHARE	    4
#define CALLER_MEMORY_SHARE 4

/* Drops an answer, and is not whole any more for the time before its call came. */
static void idempotency_forget(struct service_idempotency *table,
			       struct service_idempotent *idempotent)
{
	if (idempotent->began_ns > table->since_ns)
		table->since_ns = idempotent->began_ns;
	service_idempotency_drop(table, idempotent);
}

static void idempotency_expire(struct timer *timer, uint64_t now_ns)
{
	struct service_idempotency *table = container_of(timer, struct service_idempotency, timer);

	while (!list_is_empty(&table->by_age)) {
		struct service_idempotent *idempotent =
			container_of(table->by_age.next, struct service_idempotent, node);

		if (idempotent->until_ns > now_ns) {
			timer_set(table->timers, timer, idempotent->until_ns);
			return;
		}
		idempotency_forget(table, idempotent);
	}
}

int service_idempotency_init(struct service_idempotency *table, struct arena *arena,
			     const struct service_limits *limits, struct timer_wheel *timers,
			     const uint64_t secret[2])
{
	uint32_t cap = (uint32_t)limits->idempotency_cnt;
	int err;

	list_init(&table->by_age);
	timer_init(&table->timer, idempotency_expire);
	table->timers = timers;
	table->held_len_max = limits->memory_len / MEMORY_SHARE;
	memcpy(table->secret, secret, sizeof(table->secret));
	if ((err = pool_init(&table->idempotent, arena, sizeof(struct service_idempotent), cap)) <
	    0)
		return err;
	return map_init(&table->by_key, arena, sizeof(struct service_idempotent_key), cap, secret);
}

void service_idempotency_fini(struct service_idempotency *table)
{
	if (table->timers)
		timer_cancel(table->timers, &table->timer);
}

uint64_t service_idempotency_digest(const struct service_idempotency *table,
				    const struct service_call_head *head, const uint8_t *payload,
				    size_t len)
{
	uint64_t keyed[2] = {table->secret[0] ^ head->major,
			     siphash(table->secret, head->method, strlen(head->method))};

	return siphash(keyed, payload, len);
}

struct service_idempotent *service_idempotency_lookup(const struct service_idempotency *table,
						      const struct service_idempotent_key *key)
{
	return map_lookup(&table->by_key, key);
}

/*
 * The head was written while the caller had left_ms left, and arrives before they are over. So
 * it was first sent at most left_ms earlier than sent_ms ago.
 */
bool service_idempotency_is_forgotten(const struct service_idempotency *table,
				      const struct service_call_head *head, uint64_t now_ns)
{
	uint64_t ago_ns = ((uint64_t)head->sent_ms + head->left_ms) * NS_PER_MS;

	return head->is_again && (ago_ns > now_ns || now_ns - ago_ns < table->since_ns);
}

static size_t body_len(const struct service_body *body)
{
	return body ? heap_block_len(body->heap, body) : 0;
}

void service_idempotency_drop(struct service_idempotency *table,
			      struct service_idempotent *idempotent)
{
	table->held_len -= body_len(idempotent->body);
	map_delete(&table->by_key, &idempotent->key);
	list_unlink(&idempotent->node);
	service_body_put(idempotent->body);
	pool_release(&table->idempotent, idempotent);
}

/* Drops an answer so that caller may have one more; false: all run. */
static bool idempotency_make_room(struct service_idempotency *table, const uint8_t *caller)
{
	struct service_idempotent *own = NULL;
	uint32_t own_cnt = 0;

	if (list_is_empty(&table->by_age))
		return false;
	for (struct list_node *at = table->by_age.next; at != &table->by_age; at = at->next) {
		struct service_idempotent *idempotent =
			container_of(at, struct service_idempotent, node);

		if (memcmp(idempotent->key.caller, caller, MESH_KEY_LEN) != 0)
			continue;
		own = own ? own : idempotent;
		own_cnt++;
	}
	if (own_cnt <= table->idempotent.cap_cnt / CALLER_SHARE)
		own = container_of(table->by_age.next, struct service_idempotent, node);
	idempotency_forget(table, own);
	return true;
}

struct service_idempotent *service_idempotency_begin(struct service_idempotency *table,
						     const struct service_idempotent_key *key,
						     uint64_t digest, struct service_call *runner,
						     uint64_t began_ns)
{
	struct service_idempotent *idempotent;

	if (table->idempotent.used_cnt == table->idempotent.cap_cnt &&
	    !idempotency_make_room(table, key->caller))
		return NULL;
	idempotent = pool_acquire(&table->idempotent);
	idempotent->key = *key;
	idempotent->digest = digest;
	idempotent->runner = runner;
	idempotent->began_ns = began_ns;
	list_init(&idempotent->waiters);
	list_init(&idempotent->node);
	if (map_put(&table->by_key, key, idempotent) < 0) {
		pool_release(&table->idempotent, idempotent);
		return NULL;
	}
	return idempotent;
}

/* Long answers to many keys of one caller must not fill the memory that all calls share. */
static bool idempotency_fits(const struct service_idempotency *table,
			     const struct service_idempotent *idempotent,
			     const struct service_body *body)
{
	size_t len = body_len(body), own_len = len;

	for (const struct list_node *at = table->by_age.next; at != &table->by_age; at = at->next) {
		const struct service_idempotent *other =
			container_of((struct list_node *)at, struct service_idempotent, node);

		if (memcmp(other->key.caller, idempotent->key.caller, MESH_KEY_LEN) == 0)
			own_len += body_len(other->body);
	}
	return table->held_len + len <= table->held_len_max &&
	       own_len <= table->held_len_max / CALLER_MEMORY_SHARE;
}

void service_idempotency_keep(struct service_idempotency *table,
			      struct service_idempotent *idempotent,
			      const struct service_answer *answer, struct service_body *body,
			      uint64_t until_ns)
{
	idempotent->runner = NULL;
	idempotent->status = answer->status;
	service_text_copy(idempotent->text, answer->text);
	idempotent->body =
		body && idempotency_fits(table, idempotent, body) ? service_body_get(body) : NULL;
	table->held_len += body_len(idempotent->body);
	idempotent->is_lost = answer->len && !idempotent->body;
	idempotent->until_ns = until_ns;
	list_push_back(&table->by_age, &idempotent->node);
	if (!timer_is_set(&table->timer))
		timer_set(table->timers, &table->timer, until_ns);
}
