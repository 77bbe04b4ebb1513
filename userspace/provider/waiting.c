/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls before a program that takes no more of them. They wait in turns by family, network and
 * key. When a call has ended, the next one is handed to the offer's handler again.
 */
#include "provider/waiting.h"

#include <string.h>

#include "base/container_of.h"
#include "base/monotonic.h"
#include "base/memory/heap.h"

#define BUSY_TEXT "the service has too many calls under way"
/* Around this a caller that is refused may come again. */
#define BUSY_WAIT_NS   (1000ull * NS_PER_MS)
#define JITTER_STEP_NS (618ull * NS_PER_MS) /* spreads those refused in a row evenly */

struct waiting {
	struct turns_item item;
	struct offer *offer;
	struct service_call *call;
	struct service_caller caller;
	char *method; /* in the heap, the payload behind it */
	size_t method_cap, len;
};

size_t provider_waiting_len(void)
{
	return sizeof(struct waiting);
}

static struct waiting *waiting_of(struct turns_item *item)
{
	return container_of(item, struct waiting, item);
}

static void waiting_free(struct waiting *waiting)
{
	struct offer *offer = waiting->offer;

	turns_remove(&offer->turns, &waiting->item);
	heap_release(offer->provider->heap, waiting->method);
	pool_release(&offer->provider->waiting, waiting);
}

/* Half a second to one and a half, so that refused callers do not come back together. */
void provider_waiting_refuse(struct offer *offer, struct service_call *call, uint64_t now_ns)
{
	uint64_t jitter_ns = offer->provider->stats.refused_cnt * JITTER_STEP_NS % BUSY_WAIT_NS;

	service_refuse(call, BUSY_TEXT, BUSY_WAIT_NS / 2 + jitter_ns, now_ns);
}

static void waiting_answer(struct waiting *waiting, const char *text, uint64_t now_ns)
{
	struct service_call *call = waiting->call;

	waiting_free(waiting);
	service_fail(call, SERVICE_UNAVAILABLE, text, now_ns);
}

static struct waiting *waiting_new(struct offer *offer, const struct waiting_call *call)
{
	struct provider *provider = offer->provider;
	struct waiting *waiting = pool_acquire(&provider->waiting);
	size_t method_cap = strlen(call->input->method) + 1;

	if (!waiting)
		return NULL;
	waiting->method = heap_alloc(provider->heap, method_cap + call->input->len);
	if (!waiting->method) {
		pool_release(&provider->waiting, waiting);
		return NULL;
	}
	memcpy(waiting->method, call->input->method, method_cap);
	if (call->input->len)
		memcpy(waiting->method + method_cap, call->input->data, call->input->len);
	waiting->offer = offer;
	waiting->call = call->call;
	waiting->caller = *call->input->caller;
	waiting->method_cap = method_cap;
	waiting->len = call->input->len;
	return waiting;
}

static bool waiting_put(struct offer *offer, const struct waiting_call *call, uint64_t now_ns)
{
	struct waiting *waiting = waiting_new(offer, call);
	struct turns_path path = {.weight = 1};
	struct turns_item *victim;

	if (!waiting)
		return false;
	turns_peer_ids(&call->input->caller->path, path.ids);
	waiting->item.cost_len = WAITING_CALL_LEN + call->input->len;
	if (turns_push(&offer->turns, &waiting->item, &path, now_ns, &victim) < 0) {
		waiting_free(waiting);
		return false;
	}
	if (victim) {
		struct service_call *evicted = waiting_of(victim)->call;

		offer->provider->stats.waiting_evicted_cnt++;
		waiting_free(waiting_of(victim));
		provider_waiting_refuse(offer, evicted, now_ns);
	}
	return true;
}

bool provider_waiting_takes(struct offer *offer, const struct waiting_call *call, uint64_t now_ns)
{
	if (offer->is_serving)
		return false;
	provider_offer_make_room(offer, call->input->caller, now_ns);
	/* No call passes those that wait. */
	if (!provider_offer_is_busy(offer) && !offer->turns.cnt)
		return false;
	if (waiting_put(offer, call, now_ns))
		return true;
	offer->provider->stats.refused_cnt++;
	provider_waiting_refuse(offer, call->call, now_ns);
	return true;
}

static void waiting_serve(struct offer *offer, struct waiting *waiting, uint64_t now_ns)
{
	const uint8_t *payload = (const uint8_t *)waiting->method + waiting->method_cap;

	offer->is_serving = true;
	offer->handler->call(
		offer, waiting->call,
		&(struct service_input){&waiting->caller, waiting->method, payload, waiting->len},
		now_ns);
	offer->is_serving = false;
	waiting_free(waiting);
}

static void turn_expire(struct timer *timer, uint64_t now_ns)
{
	struct offer *offer = container_of(timer, struct offer, turn);
	struct turns_item *item;

	while (!provider_offer_is_busy(offer) && (item = turns_pop(&offer->turns, NULL, now_ns)))
		waiting_serve(offer, waiting_of(item), now_ns);
}

void provider_waiting_init(struct offer *offer, const struct service_handler *handler)
{
	const struct turns_config config = {.cap_cnt = WAITING_CAP,
					    .quantum_len = WAITING_QUANTUM_LEN,
					    .standing_queue_ns = WAITING_STANDING_QUEUE_NS,
					    .level_cnt = TURNS_PEER_LEVELS};

	offer->handler = handler;
	turns_init(&offer->turns, &offer->provider->turn_accounts, &config);
	timer_init(&offer->turn, turn_expire);
}

/* Not now: the active that ends may be in the middle of its answer. */
void provider_waiting_wake(struct offer *offer)
{
	if (offer->turns.cnt)
		timer_set(offer->provider->timers, &offer->turn, 0);
}

bool provider_waiting_cancel(struct offer *offer, const struct service_call *call)
{
	struct turns_item *item = NULL;

	while ((item = turns_next(&offer->turns, item))) {
		if (waiting_of(item)->call != call)
			continue;
		waiting_free(waiting_of(item));
		return true;
	}
	return false;
}

void provider_waiting_end(struct offer *offer, uint64_t now_ns)
{
	struct turns_item *item;

	timer_cancel(offer->provider->timers, &offer->turn);
	while ((item = turns_next(&offer->turns, NULL)))
		waiting_answer(waiting_of(item), "the service is withdrawn", now_ns);
}
