/* SPDX-License-Identifier: Apache-2.0 */
#include "service/kept.h"

#include <string.h>

#include "base/clock.h"
#include "base/heap.h"
#include "base/siphash.h"
#include "service/body.h"
#include "service/call.h"

/* Of a full table, a caller with more than this part of it loses its own oldest. */
#define CALLER_SHARE 8
/* Of the fabric's memory, what answers that are kept may take; and of that one caller. */
#define MEMORY_SHARE	    4
#define CALLER_MEMORY_SHARE 4

size_t service_kept_table_footprint(const struct service_limits *limits)
{
	uint32_t cap = (uint32_t)limits->kept_answer_cnt;

	return pool_footprint(sizeof(struct service_kept), cap) +
	       map_footprint(sizeof(struct service_kept_key), cap);
}

/* Drops an answer, and is not whole any more for the time before its call came. */
static void kept_forget(struct service_kept_table *table, struct service_kept *kept)
{
	if (kept->began_ns > table->since_ns)
		table->since_ns = kept->began_ns;
	service_kept_drop(table, kept);
}

static void kept_expire(struct timer *timer, uint64_t now_ns)
{
	struct service_kept_table *table = list_entry(timer, struct service_kept_table, timer);

	while (!list_is_empty(&table->by_age)) {
		struct service_kept *kept =
			list_entry(table->by_age.next, struct service_kept, node);

		if (kept->until_ns > now_ns) {
			timer_set(table->timers, timer, kept->until_ns);
			return;
		}
		kept_forget(table, kept);
	}
}

int service_kept_table_init(struct service_kept_table *table, struct arena *arena,
			    const struct service_limits *limits, struct timer_wheel *timers,
			    const uint64_t secret[2])
{
	uint32_t cap = (uint32_t)limits->kept_answer_cnt;
	int err;

	list_init(&table->by_age);
	timer_init(&table->timer, kept_expire);
	table->timers = timers;
	table->held_len_max = limits->memory_len / MEMORY_SHARE;
	memcpy(table->secret, secret, sizeof(table->secret));
	if ((err = pool_init(&table->kept, arena, sizeof(struct service_kept), cap)) < 0)
		return err;
	return map_init(&table->by_key, arena, sizeof(struct service_kept_key), cap, secret);
}

void service_kept_table_fini(struct service_kept_table *table)
{
	if (table->timers)
		timer_cancel(table->timers, &table->timer);
}

uint64_t service_kept_digest(const struct service_kept_table *table,
			     const struct service_call_head *head, const uint8_t *payload,
			     size_t len)
{
	uint64_t keyed[2] = {table->secret[0] ^ head->major,
			     siphash(table->secret, head->method, strlen(head->method))};

	return siphash(keyed, payload, len);
}

struct service_kept *service_kept_lookup(const struct service_kept_table *table,
					 const struct service_kept_key *key)
{
	return map_lookup(&table->by_key, key);
}

/*
 * The head was written while the caller had left_ms left, and arrives before they are over: by
 * so much at most it was first sent earlier than sent_ms ago.
 */
bool service_kept_is_forgotten(const struct service_kept_table *table,
			       const struct service_call_head *head, uint64_t now_ns)
{
	uint64_t ago_ns = ((uint64_t)head->sent_ms + head->left_ms) * NS_PER_MS;

	return head->is_again && (ago_ns > now_ns || now_ns - ago_ns < table->since_ns);
}

static size_t body_len(const struct service_body *body)
{
	return body ? heap_block_len(body->heap, body) : 0;
}

void service_kept_drop(struct service_kept_table *table, struct service_kept *kept)
{
	table->held_len -= body_len(kept->body);
	map_delete(&table->by_key, &kept->key);
	list_unlink(&kept->node);
	service_body_put(kept->body);
	pool_release(&table->kept, kept);
}

/* Drops an answer so that caller may have one more; false: all run. */
static bool kept_make_room(struct service_kept_table *table, const uint8_t *caller)
{
	struct service_kept *own = NULL;
	uint32_t own_cnt = 0;

	if (list_is_empty(&table->by_age))
		return false;
	for (struct list_node *at = table->by_age.next; at != &table->by_age; at = at->next) {
		struct service_kept *kept = list_entry(at, struct service_kept, node);

		if (memcmp(kept->key.caller, caller, MESH_KEY_LEN) != 0)
			continue;
		own = own ? own : kept;
		own_cnt++;
	}
	if (own_cnt <= table->kept.cap_cnt / CALLER_SHARE)
		own = list_entry(table->by_age.next, struct service_kept, node);
	kept_forget(table, own);
	return true;
}

struct service_kept *service_kept_begin(struct service_kept_table *table,
					const struct service_kept_key *key, uint64_t digest,
					struct service_call *runner, uint64_t began_ns)
{
	struct service_kept *kept;

	if (table->kept.used_cnt == table->kept.cap_cnt && !kept_make_room(table, key->caller))
		return NULL;
	kept = pool_acquire(&table->kept);
	kept->key = *key;
	kept->digest = digest;
	kept->runner = runner;
	kept->began_ns = began_ns;
	list_init(&kept->waiters);
	list_init(&kept->node);
	if (map_put(&table->by_key, key, kept) < 0) {
		pool_release(&table->kept, kept);
		return NULL;
	}
	return kept;
}

/* Who asks for long answers under many keys is not to fill the memory that all calls share. */
static bool kept_fits(const struct service_kept_table *table, const struct service_kept *kept,
		      const struct service_body *body)
{
	size_t len = body_len(body), own_len = len;

	for (const struct list_node *at = table->by_age.next; at != &table->by_age; at = at->next) {
		const struct service_kept *other =
			list_entry((struct list_node *)at, struct service_kept, node);

		if (memcmp(other->key.caller, kept->key.caller, MESH_KEY_LEN) == 0)
			own_len += body_len(other->body);
	}
	return table->held_len + len <= table->held_len_max &&
	       own_len <= table->held_len_max / CALLER_MEMORY_SHARE;
}

void service_kept_keep(struct service_kept_table *table, struct service_kept *kept,
		       const struct service_answer *answer, struct service_body *body,
		       uint64_t until_ns)
{
	kept->runner = NULL;
	kept->status = answer->status;
	service_text_copy(kept->text, answer->text);
	kept->body = body && kept_fits(table, kept, body) ? service_body_get(body) : NULL;
	table->held_len += body_len(kept->body);
	kept->is_lost = answer->len && !kept->body;
	kept->until_ns = until_ns;
	list_push_back(&table->by_age, &kept->node);
	if (!timer_is_set(&table->timer))
		timer_set(table->timers, &table->timer, until_ns);
}
