/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chooses the provider of an ask: this node itself, the provider that the caller named, or one that
 * the directory knows or finds. Home worker.
 */
#include <stdio.h>
#include <string.h>

#include "base/monotonic.h"
#include "service/incoming/call_answer.h"
#include "call_ask.h"
#include "call_client.h"
#include "service/directory/directory.h"
#include "service/http_envelope.h"
#include "service/directory/service_id.h"
#include "service/incoming/router.h"
#include "service/service_state.h"

/* Points of 100: as much as some good gets, or two failed ones. */
#define EQUAL_REPUTATION 10u

/* Whether list has the method, or of a service of HTTP the method of the request. */
static bool ask_is_read_only(const struct service_ask *ask, const struct service_read_only *list)
{
	char verb[SERVICE_HTTP_VERB_LEN_MAX + 1] = "";
	struct service_http_request request;

	if (strcmp(ask->head.method, SERVICE_HTTP_METHOD) != 0 || !ask->channel)
		return service_read_only_has(list, ask->head.method);
	if (service_http_request_parse(ask->payload->bytes, ask->payload->len, &request) == 0)
		memcpy(verb, request.verb, request.verb_len);
	return service_read_only_has(list, verb);
}

static bool offer_may_be_asked(const struct service_ask *ask, const struct service_offer *offer)
{
	struct service_read_only list;

	return !ask->only_reads ||
	       (service_read_only_take(offer->offering.read_only, offer->offering.read_only_cnt,
				       &list) == SERVICE_FINE &&
		ask_is_read_only(ask, &list));
}

static void ask_refuse_unread(struct service_ask *ask)
{
	service_ask_finish_soon(ask, SERVICE_UNAUTHORIZED,
				"no provider declares this method read-only", 0);
}

/* Hands ask to an offer of this node. */
static void ask_local(struct service_ask *ask, const struct service_offer *offer, uint64_t now_ns)
{
	struct service *service = ask->service;
	struct service_local_call asked = {
		.service = service,
		.ask_ops = &service_client_local_ops,
		.head = &ask->head,
		.is_stream = ask->channel != NULL,
		.deadline_ns = ask->head.has_key ? UINT64_MAX : ask->deadline_ns,
	};

	if (!offer_may_be_asked(ask, offer)) {
		ask_refuse_unread(ask);
		return;
	}
	memcpy(ask->head.service_id, offer->id, sizeof(ask->head.service_id));
	ask->head.has_major = true;
	ask->head.major = offer->version.major;
	ask->provider_cnt = 1;
	memcpy(ask->providers[0].key, service->own_key, MESH_KEY_LEN);
	ask->head.left_ms = (uint32_t)((ask->deadline_ns - now_ns) / NS_PER_MS);
	ask->state = SERVICE_ASK_LOCAL;
	if (!ask->head
		     .has_key) /* the router keeps the deadline, unless the call may go on after it */
		timer_cancel(service->params.timers, &ask->timer);
	ask->call = service_router_call_local(ask, &asked, now_ns);
}

static void ask_add_found(struct service_ask *ask, const struct service_found *found)
{
	const struct service_descriptor *descriptor = found->descriptor;
	struct service_provider *provider = &ask->providers[ask->provider_cnt];

	if (ask->provider_cnt == SERVICE_PROVIDERS_MAX ||
	    memcmp(descriptor->owner, ask->service->own_key, MESH_KEY_LEN) == 0)
		return;
	if (ask->only_reads && !ask_is_read_only(ask, &descriptor->read_only)) {
		ask->is_unread = true;
		return;
	}
	*provider = (struct service_provider){
		.has_major = true,
		.major = descriptor->major,
		.is_read_only = ask_is_read_only(ask, &descriptor->read_only),
		.places = descriptor->places,
	};
	memcpy(provider->key, descriptor->owner, sizeof(provider->key));
	memcpy(provider->service_id, descriptor->id, sizeof(provider->service_id));
	ask->provider_cnt++;
}

/*
 * Whether other may take a share of the calls that would all go to best: both have a similar record
 * of observations. A key of today does not get half of a trusted node's calls.
 */
static bool found_is_equal(const struct service_found *best, const struct service_found *other)
{
	return other->reputation + EQUAL_REPUTATION >= best->reputation &&
	       best->reputation + EQUAL_REPUTATION >= other->reputation &&
	       strcmp(best->descriptor->version, other->descriptor->version) == 0;
}

static void ask_add_all(struct service_ask *ask, const struct service_finding *finding,
			uint64_t now_ns)
{
	const struct service_found *best = NULL;

	for (unsigned i = 0; i < finding->found_cnt; i++) {
		const struct service_found *found = &finding->found[i];
		unsigned before = ask->provider_cnt;

		ask_add_found(ask, found);
		if (ask->provider_cnt == before)
			continue;
		best = best ? best : found;
		ask->providers[before].is_equal = found_is_equal(best, found);
	}
	service_ask_spread(ask, now_ns);
}

/*
 * A named provider is asked without a descriptor, unless that is needed to prove a read-only
 * method.
 */
static void ask_named(struct service_ask *ask, uint64_t now_ns)
{
	if (ask->only_reads) {
		ask_refuse_unread(ask);
		return;
	}
	ask->provider_cnt = 1;
	service_ask_route(ask, "the provider cannot be reached", now_ns);
}

/* ask_own: no other provider is known; false: this node has no such offer either. */
static bool ask_own(struct service_ask *ask, uint64_t now_ns)
{
	struct service_target target = {.id = ask->own_id, .version = ask->own_version};
	struct service_offer *offer;

	if (!ask->has_own || service_registry_find(ask->service, &target, &offer) < 0)
		return false;
	ask_local(ask, offer, now_ns);
	return true;
}

/*
 * Whether the named provider publishes the service, so only in versions other than the asked ones.
 */
static bool named_has_others(struct service_ask *ask, uint64_t now_ns)
{
	const struct service_query query = {.id = ask->providers[0].service_id};
	struct service_finding finding;

	service_directory_peek(ask->service->params.directory, &query, 1, now_ns, &finding);
	return finding.found_cnt > 0;
}

static void ask_found(void *arg, const struct service_finding *finding, uint64_t now_ns)
{
	struct service_ask *ask = arg;
	char faults[SERVICE_FAULTS_TEXT_CAP], text[SERVICE_TEXT_LEN_MAX + 1];
	struct service_outcome outcome = {.status = SERVICE_NOT_FOUND, .text = text};

	ask->find = NULL;
	ask->service->now_ns = now_ns;
	ask_add_all(ask, finding, now_ns);
	if (ask->provider_cnt) {
		service_ask_route(ask, "the provider cannot be reached", now_ns);
		return;
	}
	if (ask_own(ask, now_ns))
		return;
	if (ask->is_unread) {
		ask_refuse_unread(ask);
		return;
	}
	if (ask->is_named && named_has_others(ask, now_ns)) {
		service_ask_finish_soon(ask, SERVICE_NOT_FOUND, SERVICE_OTHER_VERSIONS_TEXT, 0);
		return;
	}
	if (ask->is_named && !ask->only_reads) {
		ask_named(ask, now_ns);
		return;
	}
	service_faults_write(finding->hidden, faults, sizeof(faults));
	if (finding->err < 0)
		snprintf(text, sizeof(text), "who provides this service could not be asked: %s",
			 weft_err_text(finding->err));
	else
		snprintf(text, sizeof(text), "nobody is known to provide this service%s%.120s",
			 faults[0] ? "; hidden: " : "", faults);
	service_ask_finish(ask, &outcome, now_ns);
}

/* Asks the directory: the cache answers, else a find. */
static void ask_look_up(struct service_ask *ask, const struct service_target *target,
			uint64_t now_ns)
{
	struct service_directory *directory = ask->service->params.directory;
	struct service_query query = {.name = target->name,
				      .id = target->id,
				      .owner = target->provider,
				      .version = target->version,
				      .found = ask_found,
				      .arg = ask};
	struct service_finding finding;
	uint64_t wait_ns = 0;
	int err;

	service_directory_peek(directory, &query, SERVICE_PROVIDERS_MAX, now_ns, &finding);
	if (finding.is_fresh || ask->is_named)
		ask_add_all(ask, &finding, now_ns);
	if (ask->provider_cnt) {
		service_ask_route(ask, "the provider cannot be reached", now_ns);
		return;
	}
	if (ask->is_named && !target->version && !ask->only_reads) {
		ask_named(ask, now_ns);
		return;
	}
	ask->state = SERVICE_ASK_FINDING;
	err = service_find_start(directory, &query, now_ns, &ask->find, &wait_ns);
	if (err < 0 && !ask_own(ask, now_ns))
		service_ask_finish_soon(
			ask, err == WEFT_EREFUSED ? SERVICE_RATE_LIMITED : SERVICE_UNAVAILABLE,
			err == WEFT_EREFUSED ? "this node looks up too many services in a minute"
					     : "too many services are being looked up",
			wait_ns);
}

static void own_remember(struct service_ask *ask, const struct service_offer *offer,
			 const char *version)
{
	memcpy(ask->own_id, offer->id, sizeof(ask->own_id));
	strncpy(ask->own_version, version ? version : "", sizeof(ask->own_version) - 1);
	ask->has_own = true;
}

void service_ask_find(struct service_ask *ask, const struct service_target *target, uint64_t now_ns)
{
	struct service *service = ask->service;
	struct service_provider *named = &ask->providers[0];
	bool is_own =
		target->provider && memcmp(target->provider, service->own_key, MESH_KEY_LEN) == 0;
	struct service_offer *offer;

	if ((!target->provider || is_own) && service_registry_find(service, target, &offer) == 0) {
		if (is_own || !target->is_own_last || !service->params.directory) {
			ask_local(ask, offer, now_ns);
			return;
		}
		own_remember(ask, offer, target->version);
	}
	if (is_own || (!target->provider && !service->params.directory)) {
		service_ask_finish_soon(ask, SERVICE_NOT_FOUND,
					"nobody is known to provide this service", 0);
		return;
	}
	if (target->provider) {
		ask->is_named = true;
		memcpy(named->key, target->provider, sizeof(named->key));
		if (target->id)
			memcpy(named->service_id, target->id, sizeof(named->service_id));
		else
			service_id_of(target->name, target->provider, named->service_id);
	}
	if (service->params.directory)
		ask_look_up(ask, target, now_ns);
	else
		ask_named(ask, now_ns);
}

void service_ask_doubt(const struct service_ask *ask)
{
	const struct service_provider *provider = service_ask_provider(ask);
	struct service_directory *directory = ask->service->params.directory;

	if (directory && provider && ask->provider_idx + 1 == ask->provider_cnt)
		service_directory_doubt(directory, provider->service_id);
}
