/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chooses an ask's provider and time. The ask goes past providers that rest, and behind the
 * calls under way at a provider. It goes on to the next provider if that is safe: no handler can
 * have seen it, or its method is read-only. A call with an idempotency key that may have been
 * seen stays with its provider, which has the answer, and is sent there again. Home worker.
 */
#include <string.h>

#include "base/assert.h"
#include "base/monotonic.h"
#include "base/random.h"
#include "service/incoming/call_answer.h"
#include "call_ask.h"
#include "service/service_state.h"

/* The time to reach one of several providers, before the next is asked. */
#define REACHABLE_NS (450 * NS_PER_MS)

/* Before the same provider is asked again; each time twice as long. */
#define REST_NS	    (50 * NS_PER_MS)
#define REST_MAX_NS (800 * NS_PER_MS)
/* 10 of 12 places at a provider are open to all askers. */
#define LAST_PART 6u
/* The cost of a call in its program's turns, beside its payload. */
#define TURN_CALL_LEN 4096

static void ask_open(struct service_ask *ask, uint64_t now_ns);
static void ask_join(struct service_ask *ask, uint64_t now_ns);

/* Calls at outlet of the same user as ask, or with the level of programs of the same program. */
static uint32_t outlet_held_cnt(const struct service_outlet *outlet, const struct service_ask *ask,
				unsigned level)
{
	const struct list_node *node = outlet->busy.next;
	uint32_t cnt = 0;

	for (; node != &outlet->busy; node = node->next) {
		const struct service_ask *other = container_of(node, struct service_ask, node);

		cnt += other->asker.ids[level] == ask->asker.ids[level];
	}
	return cnt;
}

/* The last places at a provider are for programs that have none there. */
static bool outlet_takes(const struct service_outlet *outlet, const struct service_ask *ask)
{
	uint64_t cap = service_limits_of(ask->service)->out_per_peer;

	return outlet->busy_cnt < cap - cap / LAST_PART ||
	       (outlet->busy_cnt < cap &&
		outlet_held_cnt(outlet, ask, SERVICE_ASKER_LEVELS - 1) == 0);
}

static bool turn_may(void *arg, const struct turns_item *item)
{
	return outlet_takes(arg, container_of(item, const struct service_ask, turn));
}

/* Turns begin with the second level of an asker's path. */
static uint32_t turn_held(void *arg, const struct turns_item *item, unsigned level)
{
	return outlet_held_cnt(arg, container_of(item, const struct service_ask, turn), level + 1);
}

static void outlet_enter(struct service_outlet *outlet, struct service_ask *ask)
{
	outlet->busy_cnt++;
	list_push_back(&outlet->busy, &ask->node);
}

/* Leaves its provider; the next that waits there has its turn. */
void service_ask_leave(struct service_ask *ask, uint64_t now_ns)
{
	struct service *service = ask->service;
	struct service_outlet *outlet = ask->outlet;
	const struct turns_pick pick = {.may = turn_may, .held = turn_held, .arg = outlet};
	struct turns_item *item;

	ask->outlet = NULL;
	if (!outlet)
		return;
	if (ask->state != SERVICE_ASK_WAITING)
		outlet->busy_cnt--;
	list_unlink(&ask->node);
	turns_remove(&outlet->waiting, &ask->turn);
	while ((item = turns_pop(&outlet->waiting, &pick, now_ns))) {
		struct service_ask *next = container_of(item, struct service_ask, turn);

		outlet_enter(outlet, next);
		ask_open(next, now_ns);
	}
	service_outlet_release(&service->routes, outlet);
}

/* Reports to the provider's circuit how ask ended there. */
void service_ask_note(struct service_ask *ask, enum service_verdict verdict, uint64_t now_ns)
{
	struct service *service = ask->service;
	const struct service_provider *provider = service_ask_provider(ask);
	const struct service_circuit_end end = {
		.is_probe = ask->is_probe,
		.is_failure = verdict == SERVICE_VERDICT_FAILED,
		.began_ns = ask->sent_ns,
	};
	struct service_route *route;

	if (!ask->is_passing)
		return;
	route = service_routes_use(&service->routes, provider->service_id, provider->key);
	if (verdict == SERVICE_VERDICT_NONE) {
		service_circuit_forget(&route->circuit, ask->is_probe);
	} else {
		service_route_note(route, verdict, now_ns - ask->sent_ns);
		if (service_circuit_note(&route->circuit, service_limits_of(service), &end, now_ns))
			service_tell(service,
				     &(struct service_event){
					     .kind = SERVICE_EVENT_CIRCUIT_AT_PEER,
					     .peer_key = provider->key,
					     .service_id = provider->service_id,
				     },
				     now_ns);
	}
	ask->is_probe = false;
	ask->is_passing = false;
}

/* The sent call is taken back; any answer to it counts no more. */
static void ask_take_back(struct service_ask *ask, uint64_t now_ns)
{
	service_ask_reset(ask, 0);
	service_ask_leave(ask, now_ns);
	service_intake_fini(&ask->intake);
	service_intake_begin(&ask->intake, 0);
	service_body_put(ask->answer);
	ask->answer = NULL;
	ask->wait_ns = 0;
	ask->hedge_ns = 0;
}

/*
 * Whether another provider may be asked. It may when no byte of the call can have been seen by
 * this one, or no handler saw the call. It may, too, when running the call twice does no harm.
 */
static bool may_go_on(const struct service_ask *ask, enum service_ask_loss loss)
{
	bool is_unseen = !ask->is_touched || (loss == SERVICE_ASK_REFUSED && !ask->is_again);

	return !ask->is_named && !ask->is_pinned &&
	       (is_unseen || service_ask_provider(ask)->is_read_only) &&
	       ask->provider_idx + 1 < ask->provider_cnt;
}

/*
 * Whether the same provider may be asked again. The answer to a key is kept there, and a second
 * read does no harm. But after the second loss a caller that only reads learns that the provider
 * is gone. A refusal says nothing of the time before.
 */
static bool may_ask_again(const struct service_ask *ask, enum service_ask_loss loss,
			  uint64_t rest_ns, uint64_t now_ns)
{
	bool is_safe =
		ask->head.has_key || (service_ask_provider(ask)->is_read_only && !ask->is_again);

	return is_safe && !ask->is_pinned && ask->is_touched &&
	       rest_ns < ask->deadline_ns - now_ns &&
	       (loss == SERVICE_ASK_CUT_OFF || (loss == SERVICE_ASK_REFUSED && ask->is_again));
}

static uint64_t rest_of(const struct service_ask *ask)
{
	uint64_t rest_ns = ask->rest_ns ? 2 * ask->rest_ns : REST_NS;

	if (rest_ns > REST_MAX_NS)
		rest_ns = REST_MAX_NS;
	return rest_ns > ask->wait_ns ? rest_ns : ask->wait_ns;
}

static void ask_go_on(struct service_ask *ask, const char *why, uint64_t now_ns)
{
	ask_take_back(ask, now_ns);
	ask->is_touched = false;
	ask->is_again = false;
	ask->head.is_again = false;
	ask->rest_ns = 0;
	ask->provider_idx++;
	service_ask_route(ask, why, now_ns);
}

/* Its next answers are expected later. */
void service_ask_pass_by(struct service_ask *ask, uint64_t now_ns)
{
	const struct service_provider *provider = service_ask_provider(ask);

	service_route_note_silence(
		service_routes_use(&ask->service->routes, provider->service_id, provider->key),
		now_ns - ask->sent_ns);
	service_ask_note(ask, SERVICE_VERDICT_NONE, now_ns);
	service_ask_reset(ask, MESH_CANCEL);
	ask_go_on(ask, "the providers keep silent", now_ns);
}

bool service_ask_retry(struct service_ask *ask, enum service_ask_loss loss, const char *why,
		       uint64_t now_ns)
{
	struct service *service = ask->service;
	uint64_t rest_ns = rest_of(ask);

	if (now_ns >= ask->deadline_ns)
		return false;
	if (may_go_on(ask, loss)) {
		service->stats.retried_cnt++;
		ask_go_on(ask, why, now_ns);
		return true;
	}
	if (!may_ask_again(ask, loss, rest_ns, now_ns))
		return false;
	ask_take_back(ask, now_ns);
	ask->is_again = true;
	ask->rest_ns = rest_ns;
	ask->state = SERVICE_ASK_RESTING;
	timer_set(service->params.timers, &ask->timer, now_ns + rest_ns);
	return true;
}

/* The earlier sending may still be in hand there, under its own correlation id. */
void service_ask_again(struct service_ask *ask, uint64_t now_ns)
{
	struct service *service = ask->service;

	random_fill(service->params.random, ask->head.correlation, sizeof(ask->head.correlation));
	ask->head.is_again = ask->head.has_key;
	timer_set(service->params.timers, &ask->timer, ask->deadline_ns);
	service->stats.again_cnt++;
	ask_join(ask, now_ns);
}

/* The mesh, or what came, says that there will be no answer. */
void service_ask_fail(struct service_ask *ask, enum service_ask_loss loss,
		      enum service_status status, const char *text, uint64_t now_ns)
{
	struct service_outcome outcome = {.status = status, .text = text, .wait_ns = ask->wait_ns};

	service_ask_note(ask, SERVICE_VERDICT_FAILED, now_ns);
	service_ask_reset(ask, loss == SERVICE_ASK_CUT_OFF && ask->head.has_key ? 0 : MESH_CANCEL);
	if (!service_ask_retry(ask, loss, text, now_ns))
		service_ask_finish(ask, &outcome, now_ns);
}

/* It is its turn at its provider. */
static void ask_open(struct service_ask *ask, uint64_t now_ns)
{
	struct service *service = ask->service;
	const struct service_provider *provider = service_ask_provider(ask);
	uint64_t left_ns = ask->deadline_ns > now_ns ? ask->deadline_ns - now_ns : 1;
	bool is_last = ask->is_again || ask->provider_idx + 1 == ask->provider_cnt;
	struct service_route *route =
		service_routes_use(&service->routes, provider->service_id, provider->key);
	struct mesh_stream_open open = {
		.peer = {.addrs = provider->places.addrs,
			 .addr_cnt = provider->places.addr_cnt,
			 .told_cnt = provider->places.addr_cnt, /* by its descriptor */
			 .vias = provider->places.vias,
			 .via_cnt = provider->places.via_cnt,
			 .is_wanted = true},
		.timeout_ns = is_last || left_ns < REACHABLE_NS ? left_ns : REACHABLE_NS,
		.events = &service_ask_events,
		.arg = ask,
	};
	uint64_t wait_ns;
	int err;

	ask->state = SERVICE_ASK_UNSENT;
	if (now_ns >= ask->deadline_ns) {
		service_ask_finish_soon(ask, SERVICE_TIMEOUT, SERVICE_WAITED_TEXT, 0);
		return;
	}
	/* It may have opened while ask waited. */
	if (!service_circuit_admits(&route->circuit, service_limits_of(service), now_ns,
				    &wait_ns)) {
		service_ask_finish_soon(ask, SERVICE_UNAVAILABLE,
					"the service failed several times and rests", wait_ns);
		return;
	}
	memcpy(open.peer.key, provider->key, sizeof(open.peer.key));
	ask->is_probe = service_circuit_pass(&route->circuit, service_limits_of(service));
	ask->is_passing = true;
	ask->sent_ns = now_ns;
	if (!ask->is_again)
		ask->first_ns = now_ns;
	err = service->params.streams.ops
		      ? service->params.streams.ops->open(service->params.streams.mesh, &open,
							  now_ns, &ask->stream)
		      : WEFT_EREFUSED;
	if (err == 0)
		err = service_ask_start(ask, now_ns);
	if (err == 0) {
		service_hedge_arm(ask, now_ns);
		return;
	}
	service_ask_note(ask, SERVICE_VERDICT_NONE, now_ns);
	service_ask_reset(ask, MESH_CANCEL);
	service_ask_finish_soon(ask, SERVICE_UNAVAILABLE,
				err == WEFT_EFULL ? "too many requests are under way"
						  : service_ask_end_text(err),
				NS_PER_S);
}

/* Behind those of its own program, and in turn with those of others. */
static void ask_wait(struct service_ask *ask, uint64_t now_ns)
{
	const struct turns_path path = service_asker_turn(&ask->asker);
	struct turns_item *none;
	int err;

	ask->state = SERVICE_ASK_WAITING;
	ask->turn.cost_len = TURN_CALL_LEN + ask->payload->len;
	err = turns_push(&ask->outlet->waiting, &ask->turn, &path, now_ns, &none);
	/* There are accounts for all asks. */
	weft_assert(err == 0);
}

/* Takes ask to its provider, behind those that are at it already. */
static void ask_join(struct service_ask *ask, uint64_t now_ns)
{
	struct service *service = ask->service;
	const struct service_provider *provider = service_ask_provider(ask);
	struct service_outlet *outlet = service_outlet_of(&service->routes, provider->key);

	memcpy(ask->head.service_id, provider->service_id, sizeof(ask->head.service_id));
	ask->head.has_major = provider->has_major;
	ask->head.major = provider->major;
	ask->outlet = outlet;
	if (!outlet_takes(outlet, ask)) {
		ask_wait(ask, now_ns);
		return;
	}
	outlet_enter(outlet, ask);
	ask_open(ask, now_ns);
}

/* Takes ask to the first provider from here on whose circuit is closed. */
void service_ask_route(struct service_ask *ask, const char *why, uint64_t now_ns)
{
	struct service *service = ask->service;
	const struct service_provider *provider;
	uint64_t wait_ns = 0;

	for (; (provider = service_ask_provider(ask)); ask->provider_idx++) {
		const struct service_route *route = service_routes_lookup(
			&service->routes, provider->service_id, provider->key);

		if (route && !service_circuit_admits(&route->circuit, service_limits_of(service),
						     now_ns, &wait_ns)) {
			why = "the service failed several times and rests";
			continue;
		}
		ask_join(ask, now_ns);
		return;
	}
	service_ask_finish_soon(ask, SERVICE_UNAVAILABLE, why, wait_ns);
}

const char *service_ask_end_text(int err)
{
	switch (err) {
	case WEFT_ETIMEOUT:
	case WEFT_EUNREACHABLE:
		return "the provider cannot be reached";
	case WEFT_EMALFORMED:
		return "no address of the provider is known";
	case WEFT_EWRONGKEY:
		return "another node answers where the provider was";
	case WEFT_EREFUSED:
	case WEFT_EBUSY:
		return "the provider does not want to be called now";
	case WEFT_ETOOLARGE:
		return "the provider's answer is too large";
	default:
		return "the connection to the provider was lost";
	}
}
