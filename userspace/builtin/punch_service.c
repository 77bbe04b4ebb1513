/* SPDX-License-Identifier: Apache-2.0 */
#include "punch_service.h"

#include <string.h>

#include "base/assert.h"
#include "base/fair/fair_path.h"
#include "base/memory/arena.h"
#include "base/monotonic.h"
#include "base/random.h"
#include "codec/text/hex.h"

#define CANDIDATES_WORDS "candidates: at most 4 addresses of UDP, as \"198.51.100.1:7000\""

struct caller_punch {
	struct fair_item place; /* first */
	struct punch_service *service;
	uint8_t key[MESH_KEY_LEN];
	uint8_t id[PUNCH_ID_LEN];
	uint64_t began_ns;
};

/* --- punches --- */

static void punch_forget(struct caller_punch *punch, uint64_t now_ns)
{
	struct punch_service *service = punch->service;

	fair_release(&service->places, &punch->place, now_ns);
	pool_release(&service->punches, punch);
}

/* Punches that are over for long have no timer: the next request finds them. */
static void punches_expire(struct punch_service *service, uint64_t now_ns)
{
	struct caller_punch *punch = NULL;

	while ((punch = pool_next(&service->punches, punch)))
		if (now_ns - punch->began_ns >= PUNCH_SERVICE_NS)
			punch_forget(punch, now_ns);
}

static struct caller_punch *punch_find(struct punch_service *service,
				       const uint8_t key[MESH_KEY_LEN])
{
	struct caller_punch *punch = NULL;

	while ((punch = pool_next(&service->punches, punch)))
		if (memcmp(punch->key, key, sizeof(punch->key)) == 0)
			return punch;
	return NULL;
}

/* A place for the caller, by fair shares. NULL: the call was answered. */
static struct caller_punch *punch_take(struct punch_service *service, const struct request *request)
{
	struct caller_punch *punch = pool_acquire(&service->punches);
	struct fair_item *victim = NULL;

	weft_assert(punch); /* there is one more than there are places */
	*punch = (struct caller_punch){.service = service, .began_ns = request->now_ns};
	memcpy(punch->key, request->caller->key, sizeof(punch->key));
	if (fair_take(&service->places, &request->caller->path, &punch->place, request->now_ns,
		      &victim) == FAIR_BUSY) {
		builtin_request_refuse(request, SERVICE_RATE_LIMITED,
				       "too many punches of this caller's network are under way");
		pool_release(&service->punches, punch);
		return NULL;
	}
	if (victim) {
		struct caller_punch *other = container_of(victim, struct caller_punch, place);

		service->punch.cancel(service->punch.ctx, other->key);
		punch_forget(other, request->now_ns);
	}
	return punch;
}

/* --- requests --- */

/* What one peer, and one network, may begin within a minute. False: the call was answered. */
static bool may_begin(struct punch_service *service, const struct request *request)
{
	uint64_t network = fair_path_network(&request->caller->path);
	uint8_t network_key[MESH_KEY_LEN] = {0};
	const char *why = NULL;

	memcpy(network_key, &network, sizeof(network));
	if (!builtin_quota_take(&service->by_peer, request->caller->key, request->now_ns))
		why = "a peer has 6 punches a minute";
	else if (!builtin_quota_take(&service->by_network, network_key, request->now_ns))
		why = "the peers of one network have 24 punches a minute";
	else if (!service_spend(request->call, 1, request->now_ns))
		why = "the caller's work is used up";
	if (why)
		builtin_request_refuse(request, SERVICE_RATE_LIMITED, why);
	return !why;
}

static bool addr_read(const json_t *text, struct addr *out_addr)
{
	return json_is_string(text) && addr_parse(json_string_value(text), out_addr) == 0 &&
	       out_addr->transport == ADDR_UDP && out_addr->port != 0 && addr_is_unicast(out_addr);
}

/* False: the call was answered. */
static bool candidates_read(const struct request *request, const json_t *list,
			    struct addr out_addrs[static BUILTIN_PUNCH_NAMED_MAX],
			    unsigned *out_cnt)
{
	size_t cnt = json_array_size(list); /* 0 of what is none */
	bool is_well = (!list || json_is_array(list)) && cnt <= BUILTIN_PUNCH_NAMED_MAX;

	for (size_t i = 0; is_well && i < cnt; i++)
		is_well = addr_read(json_array_get(list, i), &out_addrs[i]);
	if (!is_well)
		builtin_request_refuse(request, SERVICE_INVALID_PAYLOAD, CANDIDATES_WORDS);
	*out_cnt = (unsigned)cnt;
	return is_well;
}

static void refuse_round(const struct request *request, int err)
{
	switch (err) {
	case WEFT_EREFUSED:
		builtin_request_refuse(
			request, SERVICE_UNAVAILABLE,
			"the session is on TCP, and there is no hole in UDP to punch");
		break;
	case WEFT_EEXISTS:
		builtin_request_refuse(request, SERVICE_UNAVAILABLE,
				       "the session has a direct path already");
		break;
	case WEFT_EBUSY:
		builtin_request_refuse(request, SERVICE_RATE_LIMITED,
				       "a round for the session is under way: ask again in 2 s");
		break;
	case WEFT_EFULL:
		builtin_request_refuse(request, SERVICE_RATE_LIMITED,
				       "as many rounds are under way as there are places");
		break;
	default:
		builtin_request_refuse(request, SERVICE_UNAVAILABLE,
				       "no session with the caller can be moved");
	}
}

static void request_punch(void *ctx, struct request *request)
{
	struct punch_service *service = ctx;
	struct addr named[BUILTIN_PUNCH_NAMED_MAX];
	char text[HEX_TEXT_CAP(PUNCH_ID_LEN)];
	json_t *list = NULL;
	struct caller_punch *punch;
	unsigned cnt;
	bool is_first;
	int err;

	if (!builtin_request_unpack(request, "{s?o}", "candidates", &list) ||
	    !candidates_read(request, list, named, &cnt))
		return;
	if (request->caller->is_local) {
		builtin_request_refuse(request, SERVICE_FORBIDDEN,
				       "a punch goes towards the node that asks for it, and this "
				       "program is of the same node");
		return;
	}
	punches_expire(service, request->now_ns);
	if (!may_begin(service, request))
		return;
	/* A place that another caller gives up for this one is not given up for nothing. */
	err = service->punch.may(service->punch.ctx, request->caller->key);
	if (err < 0) {
		refuse_round(request, err);
		return;
	}
	/* A second one of a peer takes the place of its first, which goes on if that is refused. */
	punch = punch_find(service, request->caller->key);
	is_first = !punch;
	if (is_first && !(punch = punch_take(service, request)))
		return;
	err = service->punch.request(service->punch.ctx, punch->key, named, cnt, request->now_ns);
	if (err < 0) {
		if (is_first)
			punch_forget(punch, request->now_ns);
		refuse_round(request, err);
		return;
	}
	punch->began_ns = request->now_ns;
	random_fill(service->random, punch->id, sizeof(punch->id));
	builtin_answer(request, punch_begun, .punch = hex_write(punch->id, PUNCH_ID_LEN, text));
}

/* The caller's punch that the request names. NULL: the call was answered. */
static struct caller_punch *punch_named(struct punch_service *service, struct request *request)
{
	uint8_t id[PUNCH_ID_LEN];
	struct caller_punch *punch;
	const char *text;

	if (!builtin_request_unpack(request, "{s:s}", "punch", &text))
		return NULL;
	if (!hex_read(text, id, sizeof(id))) {
		builtin_request_refuse(request, SERVICE_INVALID_PAYLOAD,
				       "punch: the 16 hexadecimal digits that RequestPunch gave");
		return NULL;
	}
	punches_expire(service, request->now_ns);
	punch = punch_find(service, request->caller->key);
	if (punch && memcmp(punch->id, id, sizeof(id)) == 0)
		return punch;
	builtin_request_refuse(request, SERVICE_NOT_FOUND,
			       "no such punch of the caller: it ended a minute ago, was cancelled, "
			       "or another one took its place");
	return NULL;
}

static void confirm_punch(void *ctx, struct request *request)
{
	static const char *const states[BUILTIN_PUNCH_STATE_CNT] = {
		[BUILTIN_PUNCH_UNDER_WAY] = "under-way",
		[BUILTIN_PUNCH_FOUND] = "found",
		[BUILTIN_PUNCH_SILENT] = "silent",
		[BUILTIN_PUNCH_UNANSWERED] = "unanswered",
		[BUILTIN_PUNCH_NO_ADDRESS] = "no-address",
	};
	struct punch_service *service = ctx;
	struct caller_punch *punch = punch_named(service, request);
	struct builtin_punch_view view = {0};

	if (!punch)
		return;
	service->punch.show(service->punch.ctx, punch->key, &view);
	builtin_answer(request, punch_progress, .state = states[view.state],
		       .session = view.is_direct ? "direct" : "relayed",
		       .address = view.is_direct ? view.address : NULL, .probed = view.probed_cnt,
		       .answered = view.answered_cnt);
}

static void cancel_punch(void *ctx, struct request *request)
{
	struct punch_service *service = ctx;
	struct caller_punch *punch = punch_named(service, request);

	if (!punch)
		return;
	service->punch.cancel(service->punch.ctx, punch->key);
	punch_forget(punch, request->now_ns);
	builtin_request_reply(request, json_object());
}

const struct request_method builtin_punch_methods[] = {
	{"RequestPunch", request_punch, false, .takes = "candidates:?[]string",
	 .gives = "punch:string",
	 .about = "Begins a round of hole punching towards the calling node",
	 .example = "{\"candidates\": [\"198.51.100.1:7000\"]}"},
	{"ConfirmPunch", confirm_punch, true, .takes = "punch:string",
	 .gives = "state:string session:string address:?string probed:int answered:int",
	 .about = "What came of the round so far, and where the session leads now",
	 .example = "{\"punch\": \"0123456789abcdef\"}"},
	{"CancelPunch", cancel_punch, false, .takes = "punch:string", .gives = "",
	 .about = "Ends the round", .example = "{\"punch\": \"0123456789abcdef\"}"},
	{.name = NULL},
};

/* --- life --- */

static const struct fair_config places_config = {.name = "punches of the service hole-punch",
						 .kind = FAIR_WORK,
						 .cap_cnt = PUNCH_SERVICE_MAX,
						 .level_cnt = FAIR_PEER_LEVELS,
						 .parts = FAIR_PEER_PARTS};

int builtin_punch_init(struct punch_service *service, struct arena *arena,
		       const struct builtin_punch *punch, struct random *random)
{
	uint64_t secret[2];
	int err = pool_init(&service->punches, arena, sizeof(struct caller_punch),
			    PUNCH_SERVICE_MAX + 1);

	service->punch = *punch;
	service->random = random;
	random_fill(random, secret, sizeof(secret));
	if (err == 0)
		err = fair_init(&service->places, arena, &places_config, secret);
	if (err == 0)
		err = builtin_quota_init(&service->by_peer, arena, PUNCH_SERVICE_PER_MIN,
					 60 * NS_PER_S, random);
	return err < 0 ? err
		       : builtin_quota_init(&service->by_network, arena, PUNCH_SERVICE_NETWORK_MIN,
					    60 * NS_PER_S, random);
}

void builtin_punch_service_places(const struct punch_service *service, struct fair_view *out)
{
	fair_read(&service->places, out);
}
