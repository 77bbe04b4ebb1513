/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PublishService, WithdrawService, ResetService: what local programs offer to the mesh. Home
 * worker; the reply comes when the store has it.
 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/container_of.h"
#include "base/monotonic.h"
#include "codec/text/zbase32.h"
#include "api/content/method_community.h"
#include "api/methods.h"
#include "method_service_target.h"
#include "method_service_tenant.h"
#include "service/directory/service_id.h"
#include "service/service.h"
#include "codec/text/semver.h"

#define VERSION_DEFAULT	 "1.0.0"
#define GROUP_PREFIX	 "group:"
#define COMMUNITY_PREFIX "community:"
#define MS_MAX		 (UINT64_MAX / NS_PER_MS)

/* A program that the daemon runs is checked in milliseconds; the reply says what came of it. */
#define CHECK_LOOK_NS (20 * NS_PER_MS)
#define CHECK_WAIT_NS (3 * NS_PER_S)

/* A call that waits until an offer, or its end, is durable, and a program was checked. */
struct offer_change {
	struct timer timer; /* the next look at what the check found */
	uint64_t until_ns;
	struct api *api;
	struct control_call *call;
	bool is_publish;
	char name[SERVICE_NAME_LEN_MAX + 1];
	char version[SERVICE_VERSION_LEN_MAX + 1];
};

/* grant_text: "METHOD=CALLER", or "CALLER" for all methods, as allow_read takes it. */
static const char *grant_text(struct varlink_blocks *blocks, const struct service_grant *grant)
{
	static const char *const kinds[] = {
		[SERVICE_GRANT_NODE] = "",
		[SERVICE_GRANT_GROUP] = GROUP_PREFIX,
		[SERVICE_GRANT_COMMUNITY] = COMMUNITY_PREFIX,
	};

	return varlink_format(
		blocks, "%s%s%s%s", grant->method, grant->method[0] ? "=" : "", kinds[grant->kind],
		grant->kind == SERVICE_GRANT_GROUP ? grant->group : api_id(blocks, grant->id));
}

static void offer_fill(struct varlink_blocks *blocks, const struct provider_view *view,
		       struct api_service_offer *offer)
{
	static const enum api_service_offer_provider kinds[] = {
		[PROVIDER_HTTP] = API_SERVICE_OFFER_PROVIDER_HTTP,
		[PROVIDER_SOCKET] = API_SERVICE_OFFER_PROVIDER_SOCKET,
		[PROVIDER_EXEC] = API_SERVICE_OFFER_PROVIDER_EXEC,
	};
	static const enum api_service_offer_state states[] = {
		[PROVIDER_CHECKING] = API_SERVICE_OFFER_STATE_CHECKING,
		[PROVIDER_READY] = API_SERVICE_OFFER_STATE_READY,
		[PROVIDER_DOWN] = API_SERVICE_OFFER_STATE_DOWN,
	};
	const struct provider_spec *spec = &view->spec;

	offer->provider = kinds[spec->kind];
	offer->target = spec->target;
	offer->state = states[view->state];
	offer->why = view->why ? view->why : "";
	offer->streams = api_uint(view->stream_cnt);
	offer->errors = api_uint(view->failed_cnt);
	API_SET(offer, concurrency, view->active_max);
	API_SET(offer, under_way, view->active_cnt);
	API_SET(offer, waiting, view->waiting_cnt);
	API_SET(offer, waiting_max, view->waiting_max);
	if (view->tenant)
		offer->capabilities = api_service_capabilities(blocks, view->tenant);
	if (spec->body_len_max)
		API_SET(offer, body_max, api_uint(spec->body_len_max));
	for (unsigned i = 0; i < spec->allow_cnt; i++)
		varlink_push(blocks, &offer->allow, api_id(blocks, spec->allow[i]));
	for (unsigned i = 0; i < spec->grant_cnt; i++)
		varlink_push(blocks, &offer->allow, grant_text(blocks, &spec->grants[i]));
}

void api_offer_describe(struct api *api, struct varlink_blocks *blocks,
			struct api_service_offer *offer)
{
	struct provider_iter iter = {.provider = api->provider};
	struct provider_view view;

	while (provider_next(&iter, &view))
		if (strcmp(view.spec.name, offer->name) == 0 &&
		    strcmp(view.spec.version, offer->version) == 0) {
			offer_fill(blocks, &view, offer);
			return;
		}
}

static void change_gone(void *arg)
{
	struct offer_change *change = arg;

	timer_cancel(&change->api->home->timers, &change->timer);
	provider_forget(change->api->provider, change);
	free(change);
}

static bool is_in_check(const struct api_service_offer *offer)
{
	return offer->provider == API_SERVICE_OFFER_PROVIDER_EXEC &&
	       offer->state == API_SERVICE_OFFER_STATE_CHECKING;
}

/* publish_done: false: the program is being checked, and the call waits on. */
static bool publish_done(struct offer_change *change, uint64_t now_ns)
{
	struct control_call *call = change->call;
	const struct api_service_offer *offer =
		api_offer(change->api, control_blocks(call), change->name, change->version);

	if (offer && is_in_check(offer) && now_ns < change->until_ns) {
		varlink_blocks_free(control_blocks(call));
		timer_set(&change->api->home->timers, &change->timer, now_ns + CHECK_LOOK_NS);
		return false;
	}
	control_on_gone(call, NULL, NULL);
	if (offer)
		api_reply(call, publish_service, .service = *offer);
	else
		control_fail(call, WEFT_ECANCELLED, change->name,
			     "it was withdrawn before it was published", "publish it again");
	return true;
}

static void check_look(struct timer *timer, uint64_t now_ns)
{
	struct offer_change *change = container_of(timer, struct offer_change, timer);

	if (publish_done(change, now_ns))
		free(change);
}

static void change_done(void *arg, int err, uint64_t now_ns)
{
	struct offer_change *change = arg;
	struct control_call *call = change->call;

	if (err == 0 && change->is_publish) {
		change->until_ns = now_ns + CHECK_WAIT_NS;
		if (publish_done(change, now_ns))
			free(change);
		return;
	}
	control_on_gone(call, NULL, NULL);
	if (err < 0)
		control_fail(call, err, change->name, "the store did not take the change",
			     "see the daemon's log and the disk it writes to");
	else
		control_reply(call, NULL);
	free(change);
}

/* number_check: false when call was failed. A number that is missing is 0. */
static bool number_check(struct control_call *call, const char *name, bool is_there, int64_t value,
			 uint64_t max)
{
	if (!is_there || (value > 0 && (uint64_t)value <= max))
		return true;
	control_fail_parameter(call, name);
	return false;
}

/* The memory behind a spec, for the length of a call. */
struct spec_room {
	const char *args[PROVIDER_ARGS_MAX];
	struct service_metadata metadata[PROVIDER_METADATA_MAX];
	uint8_t allow[PROVIDER_ALLOW_MAX][MESH_KEY_LEN];
	struct service_grant grants[PROVIDER_GRANT_MAX];
	char methods[PROVIDER_GRANT_MAX][SERVICE_METHOD_LEN_MAX + 1];
};

static bool fail_count(struct control_call *call, const char *what, unsigned max)
{
	char why[64];

	snprintf(why, sizeof(why), "more than %u", max);
	control_fail(call, WEFT_ETOOLARGE, what, why, "give fewer");
	return false;
}

static bool exec_read(struct control_call *call, const struct api_string_list *exec,
		      struct spec_room *room, struct provider_spec *spec)
{
	if (exec->cnt == 0 || exec->cnt - 1 > PROVIDER_ARGS_MAX) {
		control_fail_parameter(call, "exec");
		return false;
	}
	if (control_role_of(call) != CONTROL_ADMIN) {
		control_fail(call, WEFT_EREFUSED, "exec",
			     "only an administrator may have the daemon run programs",
			     "run as root or as the daemon's user, or offer it by --socket");
		return false;
	}
	spec->kind = PROVIDER_EXEC;
	spec->target = exec->rows[0];
	for (size_t i = 1; i < exec->cnt; i++)
		room->args[i - 1] = exec->rows[i];
	spec->args = room->args;
	spec->args_cnt = (unsigned)exec->cnt - 1;
	return true;
}

/* kind_read: exactly one of http, socket and exec. */
static bool kind_read(struct control_call *call, const struct api_publish_service_in *in,
		      struct spec_room *room, struct provider_spec *spec)
{
	if ((in->http != NULL) + (in->socket != NULL) + in->has_exec != 1) {
		control_fail(call, WEFT_EMALFORMED, spec->name,
			     "exactly one of http, socket and exec says which program it is",
			     "for example: weft service publish hello --http 127.0.0.1:8080");
		return false;
	}
	if (in->has_exec)
		return exec_read(call, &in->exec, room, spec);
	/* An offer lends the daemon's own rights to its callers: engines of containers listen so. */
	if (in->http && strncmp(in->http, "unix:", 5) == 0 &&
	    control_role_of(call) != CONTROL_ADMIN) {
		control_fail(call, WEFT_EREFUSED, "http",
			     "only an administrator may offer a server on a unix socket",
			     "run as root or as the daemon's user, or let it listen on a port");
		return false;
	}
	spec->kind = in->http ? PROVIDER_HTTP : PROVIDER_SOCKET;
	spec->target = in->http ? in->http : in->socket;
	return true;
}

static bool metadata_read(struct control_call *call, const struct api_string_map *metadata,
			  struct spec_room *room, struct provider_spec *spec)
{
	if (metadata->cnt > PROVIDER_METADATA_MAX)
		return fail_count(call, "metadata", PROVIDER_METADATA_MAX);
	for (size_t i = 0; i < metadata->cnt; i++)
		room->metadata[spec->metadata_cnt++] =
			(struct service_metadata){metadata->rows[i].key, metadata->rows[i].value};
	spec->metadata = room->metadata;
	return true;
}

static bool grant_fail(struct control_call *call, const char *text)
{
	control_fail(call, WEFT_EMALFORMED, text, "does not say which callers may call",
		     "give all 52 letters of a node id, group:NAME or community:NAME, behind "
		     "METHOD= if it is for one method");
	return false;
}

static bool community_read(struct api *api, struct control_call *call, const char *name,
			   uint8_t out_id[static COMMUNITY_ID_LEN])
{
	struct communities *communities;

	if (zbase32_parse(name, strlen(name), out_id, COMMUNITY_ID_LEN) == COMMUNITY_ID_LEN)
		return true;
	communities = api_communities(api, call);
	return communities && api_community_find(communities, call, name, out_id);
}

/* grant_read: "[METHOD=]CALLER"; false: call was failed. */
static bool grant_read(struct api *api, struct control_call *call, const char *text,
		       struct spec_room *room, struct provider_spec *spec)
{
	const char *equals = strrchr(text, '='), *who = equals ? equals + 1 : text;
	struct service_grant *grant = &room->grants[spec->grant_cnt];
	char *method = room->methods[spec->grant_cnt];

	if (equals && (equals == text || equals - text > SERVICE_METHOD_LEN_MAX))
		return grant_fail(call, text);
	snprintf(method, SERVICE_METHOD_LEN_MAX + 1, "%.*s", equals ? (int)(equals - text) : 0,
		 text);
	*grant = (struct service_grant){.method = method, .group = ""};
	if (strncmp(who, GROUP_PREFIX, strlen(GROUP_PREFIX)) == 0) {
		grant->kind = SERVICE_GRANT_GROUP;
		grant->group = who + strlen(GROUP_PREFIX);
	} else if (strncmp(who, COMMUNITY_PREFIX, strlen(COMMUNITY_PREFIX)) == 0) {
		grant->kind = SERVICE_GRANT_COMMUNITY;
		if (!community_read(api, call, who + strlen(COMMUNITY_PREFIX), grant->id))
			return false;
	} else if (zbase32_parse(who, strlen(who), grant->id, MESH_KEY_LEN) != MESH_KEY_LEN) {
		return grant_fail(call, text);
	}
	spec->grant_cnt++;
	return true;
}

/* Nodes for all methods are in a list of their own. */
static bool allow_read(struct api *api, struct control_call *call,
		       const struct api_string_list *allow, struct spec_room *room,
		       struct provider_spec *spec)
{
	for (size_t i = 0; i < allow->cnt; i++) {
		const char *text = allow->rows[i];

		if (spec->allow_cnt < PROVIDER_ALLOW_MAX &&
		    zbase32_parse(text, strlen(text), room->allow[spec->allow_cnt], MESH_KEY_LEN) ==
			    MESH_KEY_LEN) {
			spec->allow_cnt++;
			continue;
		}
		if (spec->grant_cnt == PROVIDER_GRANT_MAX)
			return fail_count(call, "allow", PROVIDER_GRANT_MAX);
		if (!grant_read(api, call, text, room, spec))
			return false;
	}
	spec->allow = (const uint8_t(*)[MESH_KEY_LEN])room->allow;
	spec->grants = room->grants;
	return true;
}

/* limits_are_valid: false when call was failed. */
static bool limits_are_valid(struct control_call *call, const struct api_publish_service_in *in)
{
	if (in->read_only.cnt > PROVIDER_READ_ONLY_MAX)
		return fail_count(call, "read_only", PROVIDER_READ_ONLY_MAX);
	return number_check(call, "rows", in->has_rows, in->rows, PROVIDER_ROWS_MAX) &&
	       number_check(call, "row_bytes", in->has_row_bytes, in->row_bytes,
			    PROVIDER_ROWS_LEN_MAX) &&
	       number_check(call, "calls_per_min", in->has_calls_per_min, in->calls_per_min,
			    UINT32_MAX) &&
	       number_check(call, "payload_max", in->has_payload_max, in->payload_max,
			    UINT32_MAX) &&
	       number_check(call, "timeout_ms", in->has_timeout_ms, in->timeout_ms, MS_MAX) &&
	       number_check(call, "concurrency", in->has_concurrency, in->concurrency,
			    UINT32_MAX) &&
	       number_check(call, "body_max", in->has_body_max, in->body_max,
			    PROVIDER_BODY_LEN_MAX) &&
	       number_check(call, "memory_max", in->has_memory_max, in->memory_max, INT64_MAX);
}

/* capabilities_read: they are of the calling user. False: call was failed. */
static bool capabilities_read(struct control_call *call, const struct api_publish_service_in *in,
			      struct provider_capabilities *out)
{
	struct control_caller caller;

	if (!in->has_rows && !in->has_row_bytes && !in->tags.cnt && !in->counters.cnt)
		return true;
	if (in->tags.cnt > PROVIDER_TAG_MAX)
		return fail_count(call, "tags", PROVIDER_TAG_MAX);
	if (in->counters.cnt > PROVIDER_COUNTER_MAX)
		return fail_count(call, "counters", PROVIDER_COUNTER_MAX);
	if (!control_caller(call, &caller)) {
		control_fail(call, WEFT_EREFUSED, in->name,
			     "rows, tags and counters belong to a user of this machine",
			     "publish it over the control socket");
		return false;
	}
	*out = (struct provider_capabilities){
		.uid = caller.uid,
		.row_cnt_max = (uint64_t)in->rows,
		.row_len_max = (uint64_t)in->row_bytes,
		.value_tags = in->tags.rows,
		.value_tag_cnt = (unsigned)in->tags.cnt,
		.counters = in->counters.rows,
		.counter_cnt = (unsigned)in->counters.cnt,
	};
	return true;
}

/* spec_read: false when call was failed. */
static bool spec_read(struct api *api, struct control_call *call,
		      const struct api_publish_service_in *in, struct spec_room *room,
		      struct provider_spec *spec)
{
	*spec = (struct provider_spec){
		.name = in->name,
		.version = in->version ? in->version : VERSION_DEFAULT,
		.health_path = in->health_path,
		.user = in->user,
		.is_unconfined = in->unconfined,
		.is_hidden = in->hidden,
		.needs_signature = in->signed_,
		.read_only = in->read_only.rows,
		.read_only_cnt = (unsigned)in->read_only.cnt,
		.calls_per_min = (uint32_t)in->calls_per_min,
		.payload_len_max = (uint32_t)in->payload_max,
		.timeout_ns = (uint64_t)in->timeout_ms * NS_PER_MS,
		.concurrency_max = (uint32_t)in->concurrency,
		.body_len_max = (uint64_t)in->body_max,
		.memory_len_max = (uint64_t)in->memory_max,
	};
	return kind_read(call, in, room, spec) && metadata_read(call, &in->metadata, room, spec) &&
	       allow_read(api, call, &in->allow, room, spec) && limits_are_valid(call, in) &&
	       capabilities_read(call, in, &spec->capabilities);
}

static void fail_publish(struct control_call *call, int err, const char *name, const char *why)
{
	const char *next = "see: weft help service publish";

	if (err == WEFT_EEXISTS)
		next = "weft service withdraw NAME does; offers of another first number of the "
		       "version stand beside it";
	else if (err == WEFT_EREFUSED)
		next = "weft service publish NAME --exec PROGRAM --unconfined; docs/security.md "
		       "says what the program can reach then";
	else if (err == WEFT_EFULL)
		next = "withdraw another, or raise its limit in section [service] of weft.conf";
	control_fail(call, err, name, why, next);
}

/* change_new: NULL when call was failed. */
static struct offer_change *change_new(struct api *api, struct control_call *call, const char *name,
				       const char *version)
{
	struct offer_change *change = calloc(1, sizeof(*change));

	if (!change) {
		control_fail(call, -ENOMEM, name, "no memory", "free some and try again");
		return NULL;
	}
	timer_init(&change->timer, check_look);
	change->api = api;
	change->call = call;
	snprintf(change->name, sizeof(change->name), "%s", name);
	snprintf(change->version, sizeof(change->version), "%s", version);
	return change;
}

void api_publish_service(struct api *api, struct control_call *call,
			 const struct api_publish_service_in *in, uint64_t now_ns)
{
	struct spec_room room;
	struct provider_spec spec;
	struct offer_change *change;
	const char *why = NULL;
	char *description;
	int err;

	if (!api_services_are_on(api, call) || !spec_read(api, call, in, &room, &spec) ||
	    !api_service_description_read(call, in->description, &spec, &description))
		return;
	change = change_new(api, call, spec.name, spec.version);
	if (!change) {
		free(description);
		return;
	}
	change->is_publish = true;
	spec.description = description;
	err = provider_publish(api->provider, &spec, &(struct provider_waiter){change_done, change},
			       now_ns, &why);
	free(description);
	if (err < 0) {
		free(change);
		fail_publish(call, err, spec.name, why);
		return;
	}
	control_on_gone(call, change_gone, change);
}

bool api_service_major_read(struct control_call *call, const char *text, uint32_t *out_major)
{
	struct semver version;

	*out_major = PROVIDER_MAJOR_ANY;
	if (!text)
		return true;
	if (semver_parse(text, strlen(text), &version) < 0) {
		control_fail(call, WEFT_EMALFORMED, text, "not a version",
			     "give three numbers, as in 1.0.0, or leave it out");
		return false;
	}
	*out_major = version.major;
	return true;
}

void api_set_service_access(struct api *api, struct control_call *call,
			    const struct api_set_service_access_in *in, uint64_t now_ns)
{
	struct provider_spec spec = {.name = in->name};
	struct offer_change *change;
	struct spec_room room;
	const char *why = NULL;
	uint32_t major;
	int err;

	(void)now_ns;
	if (!api_services_are_on(api, call) || !api_service_major_read(call, in->version, &major) ||
	    !allow_read(api, call, &in->allow, &room, &spec))
		return;
	change = change_new(api, call, in->name, "");
	if (!change)
		return;
	err = provider_set_access(api->provider, &spec, major,
				  &(struct provider_waiter){change_done, change}, &why);
	if (err < 0) {
		free(change);
		control_fail(call, err, in->name, why, "weft service list shows what is offered");
		return;
	}
	control_on_gone(call, change_gone, change);
}

static bool is_provided(const struct service *service, const char *name)
{
	struct service_iter iter = {.service = service};
	struct service_info info;

	while (service_next(&iter, &info))
		if (strcmp(info.name, name) == 0)
			return true;
	return false;
}

static void fail_withdraw(struct api *api, struct control_call *call, int err, const char *name)
{
	if (err != WEFT_EABSENT) {
		control_fail(call, err, name, "too many changes wait to be stored", "try again");
		return;
	}
	if (is_provided(api->service, name))
		control_fail(call, WEFT_EREFUSED, name, "it is built in, or of another version",
			     "leave it out of service.builtin in weft.conf; weft service list "
			     "shows versions");
	else
		control_fail(call, err, name, "this node offers no such service",
			     "weft service list shows what it offers");
}

void api_withdraw_service(struct api *api, struct control_call *call,
			  const struct api_withdraw_service_in *in, uint64_t now_ns)
{
	struct offer_change *change;
	uint32_t major;
	int err;

	if (!api_services_are_on(api, call) || !api_service_major_read(call, in->version, &major))
		return;
	change = change_new(api, call, in->name, "");
	if (!change)
		return;
	err = provider_withdraw(api->provider, in->name, major,
				&(struct provider_waiter){change_done, change}, now_ns);
	if (err < 0) {
		free(change);
		fail_withdraw(api, call, err, in->name);
		return;
	}
	control_on_gone(call, change_gone, change);
}

void api_reset_service(struct api *api, struct control_call *call,
		       const struct api_reset_service_in *in, uint64_t now_ns)
{

	(void)now_ns;
	if (!api_services_are_on(api, call))
		return;
	if (!service_name_is_valid(in->name, strlen(in->name))) {
		control_fail(
			call, WEFT_EMALFORMED, in->name, "not a service's name",
			"a name is 1 to 64 of a-z, 0-9 and, inside, - and .; weft service list "
			"shows those that are known");
		return;
	}
	api_reply(call, reset_service, .closed = service_reset(api->service, in->name));
}
