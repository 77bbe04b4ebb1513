/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls of this node and openings of streams, from their start until the asker has the outcome.
 *
 *	service_call_start -> ask_find.c (which providers) -> ask_route.c (which of
 *	them, and when) -> ask_stream.c (asks over the mesh) -> service_ask_finish -> done
 *	offered by this node itself: ask_find.c -> service_router_call_local
 *
 * Home worker.
 */
#include "call_client.h"

#include <string.h>

#include "base/assert.h"
#include "base/monotonic.h"
#include "base/random.h"
#include "service/incoming/call_answer.h"
#include "call_ask.h"
#include "service/service_channel.h"
#include "service/directory/directory.h"
#include "service/directory/service_id.h"
#include "service/incoming/router.h"
#include "service/service_state.h"

/* Asks with an answer that wait for the end of their streams, beside those pending. */
#define ANSWERED_CNT 1024
#define DRAIN_NS     (10 * NS_PER_S)

const struct service_provider *service_ask_provider(const struct service_ask *ask)
{
	return ask->provider_idx < ask->provider_cnt ? &ask->providers[ask->provider_idx] : NULL;
}

const struct mesh_stream_ops *service_ask_ops(const struct service_ask *ask)
{
	return ask->service->params.streams.ops;
}

static bool ask_is_pending(const struct service_ask *ask)
{
	return ask->state != SERVICE_ASK_OPEN && ask->state != SERVICE_ASK_ANSWERED;
}

void service_ask_settle(struct service_ask *ask)
{
	struct service *service = ask->service;

	service->pending_cnt--;
	fair_release(&service->askers.fair, &ask->share, service->now_ns);
}

void service_ask_release(struct service_ask *ask)
{
	struct service *service = ask->service;

	if (ask->find)
		service_find_cancel(ask->find);
	list_unlink(&ask->node);
	timer_cancel(service->params.timers, &ask->timer);
	service_intake_fini(&ask->intake);
	service_body_put(ask->payload);
	service_body_put(ask->answer);
	pool_release(&service->asks, ask);
}

/* Answers the asker. Before that ask is gone, but perhaps for the end of its stream. */
void service_ask_finish(struct service_ask *ask, const struct service_outcome *outcome,
			uint64_t now_ns)
{
	struct service *service = ask->service;
	const struct service_provider *provider = service_ask_provider(ask);
	struct service_channel *channel = ask->channel;
	struct service_body *body = ask->answer;
	service_answer_fn done = ask->done;
	char text[SERVICE_TEXT_LEN_MAX + 1];
	void *arg = ask->arg;
	struct service_answer answer = {
		.status = outcome->status,
		.text = text,
		.not_before_ns = outcome->wait_ns ? now_ns + outcome->wait_ns : 0,
		.payload = outcome->payload,
		.len = outcome->len,
		.took_ns = now_ns - ask->began_ns,
	};

	service_text_copy(text, outcome->status == SERVICE_OK ? NULL : outcome->text);
	if (provider)
		memcpy(answer.provider, provider->key, sizeof(answer.provider));
	service_count(&service->stats.out, outcome->status, answer.took_ns);
	service_ask_leave(ask, now_ns);
	service_ask_settle(ask);
	service_body_put(ask->payload);
	ask->payload = NULL;
	ask->answer = NULL;
	ask->channel = NULL;
	ask->state = SERVICE_ASK_ANSWERED;
	if (ask->stream) {
		list_push_back(&service->answered, &ask->node);
		timer_set(service->params.timers, &ask->timer, now_ns + DRAIN_NS);
	} else {
		service_ask_release(ask);
	}
	if (channel)
		service_channel_refused(channel, &answer, now_ns);
	else
		done(arg, &answer, now_ns);
	service_body_put(body);
}

/* Ends ask in a later turn. */
void service_ask_finish_soon(struct service_ask *ask, enum service_status status, const char *text,
			     uint64_t wait_ns)
{
	ask->state = SERVICE_ASK_TELLING;
	ask->hedge_ns = 0;
	ask->reply.status = status;
	service_text_copy(ask->reply.text, text);
	ask->wait_ns = wait_ns;
	timer_set(ask->service->params.timers, &ask->timer, 0);
}

/* Gives the stream up; its code shows the provider whether to go on. */
void service_ask_reset(struct service_ask *ask, uint64_t code)
{
	if (ask->stream)
		service_ask_ops(ask)->reset(ask->stream, code);
	ask->stream = NULL;
}

/* A node that is not reached, or falls silent, says nothing about the service. */
static enum service_verdict verdict_of_silence(const struct service_ask *ask)
{
	struct mesh_stream_peer peer;

	if (!ask->stream)
		return SERVICE_VERDICT_FAILED;
	if (service_ask_ops(ask)->peer(ask->stream, &peer) < 0 || peer.heard_ns < ask->sent_ns)
		return SERVICE_VERDICT_NONE;
	return SERVICE_VERDICT_FAILED;
}

/*
 * A deadline takes a call back, except one with an idempotency key. The caller of that one asks
 * again, and then gets the answer of the run that began.
 */
static void ask_expire(struct timer *timer, uint64_t now_ns)
{
	struct service_ask *ask = container_of(timer, struct service_ask, timer);
	struct service_outcome outcome = {.status = SERVICE_TIMEOUT,
					  .text = "the service did not answer in time"};

	ask->service->now_ns = now_ns;
	if (ask->state == SERVICE_ASK_ANSWERED) {
		service_ask_reset(ask, 0);
		service_ask_release(ask);
		return;
	}
	if (service_hedge_fire(ask, now_ns))
		return;
	if (ask->state == SERVICE_ASK_TELLING) {
		outcome = (struct service_outcome){
			.status = ask->reply.status,
			.text = ask->reply.text,
			.wait_ns = ask->wait_ns,
			.payload = ask->answer ? ask->answer->bytes : NULL,
			.len = ask->answer ? ask->answer->len : 0,
		};
	} else if (ask->state == SERVICE_ASK_RESTING && now_ns < ask->deadline_ns) {
		service_ask_again(ask, now_ns);
		return;
	} else if (ask->state == SERVICE_ASK_WAITING) {
		outcome.text = SERVICE_WAITED_TEXT;
	} else {
		service_ask_note(ask, verdict_of_silence(ask), now_ns);
		service_ask_doubt(ask);
		service_ask_reset(ask, ask->head.has_key ? 0 : MESH_CANCEL);
		if (ask->call)
			service_router_cancel(ask->call, false, now_ns);
		ask->call = NULL;
	}
	service_ask_finish(ask, &outcome, now_ns);
}

static struct service_body *ask_payload(struct service_ask *ask)
{
	return service_body_get(ask->payload);
}

static void ask_answered(struct service_ask *ask, const struct service_outcome *outcome,
			 uint64_t now_ns)
{
	(void)now_ns;
	ask->call = NULL;
	if (outcome->len)
		ask->answer = service_body_copy(ask->service->heap, outcome->payload, outcome->len);
	if (outcome->len && !ask->answer)
		service_ask_finish_soon(ask, SERVICE_UNAVAILABLE, "no memory for the answer", 0);
	else
		service_ask_finish_soon(ask, outcome->status, outcome->text, outcome->wait_ns);
}

const struct service_local_ask_ops service_client_local_ops = {
	.payload = ask_payload,
	.answered = ask_answered,
};

void service_client_opened(struct service_ask *ask, uint64_t now_ns)
{
	struct service *service = ask->service;

	service_count(&service->stats.out, SERVICE_OK, now_ns - ask->began_ns);
	service->stats.out.stream_cnt++;
	service_ask_settle(ask);
	service_ask_release(ask);
}

void service_client_gone(struct service_ask *ask)
{
	service_ask_release(ask);
}

bool service_client_is_started(const struct service_ask *ask)
{
	return ask->state == SERVICE_ASK_SENT || ask->state == SERVICE_ASK_OPEN;
}

static int target_check(const struct service_target *target)
{
	struct semver_range range;

	if (!target->method || !service_method_is_valid(target->method) ||
	    (!target->id &&
	     (!target->name || !service_name_is_valid(target->name, strlen(target->name)))))
		return WEFT_EMALFORMED;
	if (target->version &&
	    semver_range_parse(target->version, strlen(target->version), &range) < 0)
		return WEFT_EMALFORMED;
	return 0;
}

static uint64_t timeout_of(const struct service *service, const struct service_request *request)
{
	uint64_t named_s = 0;

	if (request->timeout_ns)
		return request->timeout_ns;
	if (request->target.name)
		named_s = service_named_value(service->config.timeouts, request->target.name);
	return named_s * NS_PER_S ?: service_limits_of(service)->timeout_ns;
}

/* An ask, of the pool or the place of one that only drains. */
static struct service_ask *ask_acquire(struct service *service, const struct fair_path *asker,
				       uint64_t now_ns)
{
	if (!service_askers_may_take(&service->askers, asker,
				     service_limits_of(service)->out_pending_cnt, now_ns))
		return NULL;
	if (service->asks.used_cnt == service->asks.cap_cnt && !list_is_empty(&service->answered)) {
		struct service_ask *oldest =
			container_of(service->answered.next, struct service_ask, node);

		service_ask_reset(oldest, 0);
		service_ask_release(oldest);
	}
	return pool_acquire(&service->asks);
}

static int ask_new(struct service *service, const struct service_request *request, uint64_t now_ns,
		   struct service_ask **out_ask)
{
	const struct service_target *target = &request->target;
	const struct fair_path asker = service_asker_path(&service->askers, &target->asker);
	int err = target_check(target);
	enum fair_verdict verdict;
	struct fair_item *victim;
	struct service_ask *ask;

	service->now_ns = now_ns;
	if (err < 0)
		return err;
	ask = ask_acquire(service, &asker, now_ns);
	if (!ask)
		return WEFT_EFULL;
	ask->service = service;
	list_init(&ask->node);
	timer_init(&ask->timer, ask_expire);
	ask->payload = service_body_copy(service->heap, request->payload, request->len);
	if (!ask->payload) {
		service_ask_release(ask);
		return WEFT_EFULL;
	}
	ask->began_ns = now_ns;
	ask->deadline_ns = now_ns + timeout_of(service, request);
	ask->is_signed = target->is_signed;
	ask->head.has_trace = target->trace != NULL;
	if (target->trace)
		ask->head.trace = *target->trace;
	ask->only_reads = target->only_reads;
	ask->head.body_len = (uint32_t)request->len;
	strncpy(ask->head.method, target->method, sizeof(ask->head.method) - 1);
	random_fill(service->params.random, ask->head.correlation, sizeof(ask->head.correlation));
	service->pending_cnt++;
	ask->asker = asker;
	/* A place is free, as service_askers_may_take saw. */
	verdict = fair_take(&service->askers.fair, &asker, &ask->share, now_ns, &victim);
	weft_assert(verdict == FAIR_TAKEN);
	timer_set(service->params.timers, &ask->timer, ask->deadline_ns);
	*out_ask = ask;
	return 0;
}

int service_call_start(struct service *service, const struct service_request *request,
		       uint64_t now_ns, struct service_ask **out_ask)
{
	struct service_ask *ask;
	int err;

	if (request->len > service_limits_of(service)->payload_len)
		return WEFT_ETOOLARGE;
	if ((err = ask_new(service, request, now_ns, &ask)) < 0)
		return err;
	ask->done = request->done;
	ask->arg = request->arg;
	if (request->idempotency_key) {
		ask->head.has_key = true;
		memcpy(ask->head.key, request->idempotency_key, sizeof(ask->head.key));
	}
	service_ask_find(ask, &request->target, now_ns);
	*out_ask = ask;
	return 0;
}

int service_client_open(struct service *service, const struct service_request *request,
			struct service_channel *channel, uint64_t now_ns)
{
	struct service_ask *ask;
	int err;

	if (request->len > service_limits_of(service)->head_len)
		return WEFT_ETOOLARGE;
	if ((err = ask_new(service, request, now_ns, &ask)) < 0)
		return err;
	ask->channel = channel;
	channel->ask = ask;
	service_ask_find(ask, &request->target, now_ns);
	return 0;
}

void service_call_cancel(struct service_ask *ask)
{
	struct service *service = ask->service;
	uint64_t now_ns = service->now_ns;

	weft_assert(ask_is_pending(ask));
	if (ask->call)
		service_router_cancel(ask->call, true, now_ns);
	ask->call = NULL;
	service_ask_note(ask, SERVICE_VERDICT_NONE, now_ns);
	service_ask_reset(ask, MESH_CANCEL);
	service_ask_leave(ask, now_ns);
	service_ask_settle(ask);
	service_ask_release(ask);
}

uint32_t service_pending_wait_ms(const struct service *service)
{
	return service->askers.wait_ms;
}

void service_pending(const struct service *service, struct fair_view *out)
{
	fair_read(&service->askers.fair, out);
}

int service_client_init(struct service *service)
{
	const struct service_limits *limits = service_limits_of(service);

	list_init(&service->answered);
	return pool_init(&service->asks, &service->arena, sizeof(struct service_ask),
			 (uint32_t)(limits->out_pending_cnt + limits->channel_cnt) + ANSWERED_CNT);
}

void service_client_fini(struct service *service)
{
	struct service_ask *ask = NULL;

	while ((ask = pool_next(&service->asks, ask)))
		timer_cancel(service->params.timers, &ask->timer);
}
