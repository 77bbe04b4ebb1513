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
#include "codec/zbase32.h"
#include "node/fabric/fabric.h"
#include "api/content/method_community.h"
#include "api/methods.h"
#include "method_service_target.h"
#include "service/directory/service_id.h"
#include "service/service.h"
#include "codec/semver.h"

#define VERSION_DEFAULT	 "1.0.0"
#define GROUP_PREFIX	 "group:"
#define COMMUNITY_PREFIX "community:"
#define MS_MAX		 (UINT64_MAX / NS_PER_MS)

/* A program that is run by us is checked in milliseconds; who publishes one hears what came of it. */
#define CHECK_LOOK_NS (20 * NS_PER_MS)
#define CHECK_WAIT_NS (3 * NS_PER_S)

/* A call that waits until an offer, or its end, is durable, and a program was checked. */
struct offer_change {
	struct timer timer; /* the next look at what the check found */
	uint64_t until_ns;
	struct node *node;
	struct control_call *call;
	bool is_publish;
	char name[SERVICE_NAME_LEN_MAX + 1];
	char version[SERVICE_VERSION_LEN_MAX + 1];
};

/* What its provider knows of an offer. */
struct view_wanted {
	const struct service_info *info;
	json_t *json;
};

/* json_grant: "METHOD=WHO", or "WHO" of all methods, as allow_read takes it. */
static json_t *json_grant(const struct service_grant *grant)
{
	static const char *const kinds[] = {
		[SERVICE_GRANT_NODE] = "",
		[SERVICE_GRANT_GROUP] = GROUP_PREFIX,
		[SERVICE_GRANT_COMMUNITY] = COMMUNITY_PREFIX,
	};
	char id[ZBASE32_KEY_TEXT_CAP];

	return json_sprintf("%s%s%s%s", grant->method, grant->method[0] ? "=" : "",
			    kinds[grant->kind],
			    grant->kind == SERVICE_GRANT_GROUP
				    ? grant->group
				    : zbase32_write(grant->id, sizeof(grant->id), id));
}

static json_t *json_allow(const struct provider_spec *spec)
{
	json_t *json = json_array();

	for (unsigned i = 0; i < spec->allow_cnt; i++)
		json_array_append_new(json, api_json_id(spec->allow[i]));
	for (unsigned i = 0; i < spec->grant_cnt; i++)
		json_array_append_new(json, json_grant(&spec->grants[i]));
	return json;
}

static bool view_add(void *arg, const struct provider_view *view)
{
	static const char *const states[] = {
		[PROVIDER_CHECKING] = "checking",
		[PROVIDER_READY] = "ready",
		[PROVIDER_DOWN] = "down",
	};
	struct view_wanted *wanted = arg;

	if (strcmp(view->spec.name, wanted->info->name) != 0 ||
	    strcmp(view->spec.version, wanted->info->version) != 0)
		return true;
	json_object_update_new(
		wanted->json,
		json_pack("{s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "provider",
			  provider_kind_name(view->spec.kind), "target", view->spec.target, "state",
			  states[view->state], "why", view->why ? view->why : "", "allow",
			  json_allow(&view->spec), "streams", api_json_uint(view->stream_cnt),
			  "errors", api_json_uint(view->failed_cnt), "concurrency",
			  api_json_uint(view->active_max), "under_way",
			  api_json_uint(view->active_cnt), "waiting",
			  api_json_uint(view->waiting_cnt), "waiting_max",
			  api_json_uint(view->waiting_max)));
	if (view->spec.body_len_max)
		json_object_set_new(wanted->json, "body_max",
				    api_json_uint(view->spec.body_len_max));
	return false;
}

void api_offer_describe(struct node *node, const struct service_info *info, json_t *json)
{
	struct view_wanted wanted = {info, json};

	provider_each(node_fabric_provider(node->fabric), view_add, &wanted);
}

static void change_gone(void *arg)
{
	struct offer_change *change = arg;

	timer_cancel(&change->node->home.timers, &change->timer);
	provider_forget(node_fabric_provider(change->node->fabric), change);
	free(change);
}

static bool is_in_check(const json_t *offer)
{
	const char *kind = json_string_value(json_object_get(offer, "provider"));
	const char *state = json_string_value(json_object_get(offer, "state"));

	return kind && state && strcmp(kind, provider_kind_name(PROVIDER_EXEC)) == 0 &&
	       strcmp(state, "checking") == 0;
}

/* publish_done: false: the program is being checked, and the call waits on. */
static bool publish_done(struct offer_change *change, uint64_t now_ns)
{
	struct control_call *call = change->call;
	json_t *offer = api_json_offer(change->node, change->name, change->version);

	if (offer && is_in_check(offer) && now_ns < change->until_ns) {
		json_decref(offer);
		timer_set(&change->node->home.timers, &change->timer, now_ns + CHECK_LOOK_NS);
		return false;
	}
	control_on_gone(call, NULL, NULL);
	if (offer)
		control_reply(call, json_pack("{s:o}", "service", offer));
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

static const char *text_of(const json_t *parameters, const char *name)
{
	return json_string_value(json_object_get(parameters, name));
}

/* number_read: false when call was failed. */
static bool number_read(struct control_call *call, const json_t *parameters, const char *name,
			uint64_t max, uint64_t *out_value)
{
	const json_t *json = json_object_get(parameters, name);
	json_int_t value = json_integer_value(json);

	*out_value = 0;
	if (!json || json_is_null(json))
		return true;
	if (value <= 0 || (uint64_t)value > max) {
		control_fail_parameter(call, name);
		return false;
	}
	*out_value = (uint64_t)value;
	return true;
}

/* What a spec points to, for the length of a call. */
struct spec_room {
	const char *args[PROVIDER_ARGS_MAX];
	struct service_metadata metadata[PROVIDER_METADATA_MAX];
	uint8_t allow[PROVIDER_ALLOW_MAX][MESH_KEY_LEN];
	struct service_grant grants[PROVIDER_GRANT_MAX];
	char methods[PROVIDER_GRANT_MAX][SERVICE_METHOD_LEN_MAX + 1];
	const char *read_only[PROVIDER_READ_ONLY_MAX];
};

static bool fail_count(struct control_call *call, const char *what, unsigned max)
{
	char why[64];

	snprintf(why, sizeof(why), "more than %u", max);
	control_fail(call, WEFT_ETOOLARGE, what, why, "give fewer");
	return false;
}

static bool exec_read(struct control_call *call, const json_t *exec, struct spec_room *room,
		      struct provider_spec *spec)
{
	size_t cnt = json_array_size(exec);

	if (cnt == 0 || cnt - 1 > PROVIDER_ARGS_MAX) {
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
	spec->target = json_string_value(json_array_get(exec, 0));
	for (size_t i = 1; i < cnt; i++)
		room->args[i - 1] = json_string_value(json_array_get(exec, i));
	spec->args = room->args;
	spec->args_cnt = (unsigned)cnt - 1;
	return true;
}

/* kind_read: exactly one of http, socket and exec. */
static bool kind_read(struct control_call *call, const json_t *parameters, struct spec_room *room,
		      struct provider_spec *spec)
{
	const char *http = text_of(parameters, "http"), *socket = text_of(parameters, "socket");
	const json_t *exec = json_object_get(parameters, "exec");

	if ((http != NULL) + (socket != NULL) + json_is_array(exec) != 1) {
		control_fail(call, WEFT_EMALFORMED, spec->name,
			     "exactly one of http, socket and exec says which program it is",
			     "for example: weft service publish hello --http 127.0.0.1:8080");
		return false;
	}
	if (json_is_array(exec))
		return exec_read(call, exec, room, spec);
	/* Whoever offers it lends the daemon's own rights to it: engines of containers listen so. */
	if (http && strncmp(http, "unix:", 5) == 0 && control_role_of(call) != CONTROL_ADMIN) {
		control_fail(call, WEFT_EREFUSED, "http",
			     "only an administrator may offer a server on a unix socket",
			     "run as root or as the daemon's user, or let it listen on a port");
		return false;
	}
	spec->kind = http ? PROVIDER_HTTP : PROVIDER_SOCKET;
	spec->target = http ? http : socket;
	return true;
}

static bool metadata_read(struct control_call *call, json_t *metadata, struct spec_room *room,
			  struct provider_spec *spec)
{
	const char *key;
	json_t *value;

	if (json_object_size(metadata) > PROVIDER_METADATA_MAX)
		return fail_count(call, "metadata", PROVIDER_METADATA_MAX);
	json_object_foreach(metadata, key, value)
	{
		room->metadata[spec->metadata_cnt++] =
			(struct service_metadata){key, json_string_value(value)};
	}
	spec->metadata = room->metadata;
	return true;
}

static bool grant_fail(struct control_call *call, const char *text)
{
	control_fail(call, WEFT_EMALFORMED, text, "says not who may call",
		     "give all 52 letters of a node id, group:NAME or community:NAME, behind "
		     "METHOD= if it is for one method");
	return false;
}

static bool community_read(struct node *node, struct control_call *call, const char *name,
			   uint8_t out_id[static COMMUNITY_ID_LEN])
{
	struct communities *communities;

	if (zbase32_parse(name, strlen(name), out_id, COMMUNITY_ID_LEN) == COMMUNITY_ID_LEN)
		return true;
	communities = api_communities(node, call);
	return communities && api_community_find(communities, call, name, out_id);
}

/* grant_read: "[METHOD=]WHO"; false: call was failed. */
static bool grant_read(struct node *node, struct control_call *call, const char *text,
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
		if (!community_read(node, call, who + strlen(COMMUNITY_PREFIX), grant->id))
			return false;
	} else if (zbase32_parse(who, strlen(who), grant->id, MESH_KEY_LEN) != MESH_KEY_LEN) {
		return grant_fail(call, text);
	}
	spec->grant_cnt++;
	return true;
}

/* Nodes for all methods are in a list of their own. */
static bool allow_read(struct node *node, struct control_call *call, const json_t *allow,
		       struct spec_room *room, struct provider_spec *spec)
{
	json_t *who;
	size_t idx;

	json_array_foreach(allow, idx, who)
	{
		const char *text = json_string_value(who);

		if (spec->allow_cnt < PROVIDER_ALLOW_MAX &&
		    zbase32_parse(text, strlen(text), room->allow[spec->allow_cnt], MESH_KEY_LEN) ==
			    MESH_KEY_LEN) {
			spec->allow_cnt++;
			continue;
		}
		if (spec->grant_cnt == PROVIDER_GRANT_MAX)
			return fail_count(call, "allow", PROVIDER_GRANT_MAX);
		if (!grant_read(node, call, text, room, spec))
			return false;
	}
	spec->allow = (const uint8_t(*)[MESH_KEY_LEN])room->allow;
	spec->grants = room->grants;
	return true;
}

static bool read_only_read(struct control_call *call, const json_t *methods, struct spec_room *room,
			   struct provider_spec *spec)
{
	if (json_array_size(methods) > PROVIDER_READ_ONLY_MAX)
		return fail_count(call, "read_only", PROVIDER_READ_ONLY_MAX);
	for (size_t i = 0; i < json_array_size(methods); i++)
		room->read_only[i] = json_string_value(json_array_get(methods, i));
	spec->read_only = room->read_only;
	spec->read_only_cnt = (unsigned)json_array_size(methods);
	return true;
}

static bool limits_read(struct control_call *call, const json_t *parameters,
			struct provider_spec *spec)
{
	uint64_t calls, payload, ms, concurrency;

	if (!number_read(call, parameters, "calls_per_min", UINT32_MAX, &calls) ||
	    !number_read(call, parameters, "payload_max", UINT32_MAX, &payload) ||
	    !number_read(call, parameters, "timeout_ms", MS_MAX, &ms) ||
	    !number_read(call, parameters, "concurrency", UINT32_MAX, &concurrency) ||
	    !number_read(call, parameters, "body_max", PROVIDER_BODY_LEN_MAX,
			 &spec->body_len_max) ||
	    !number_read(call, parameters, "memory_max", INT64_MAX, &spec->memory_len_max))
		return false;
	spec->calls_per_min = (uint32_t)calls;
	spec->payload_len_max = (uint32_t)payload;
	spec->timeout_ns = ms * NS_PER_MS;
	spec->concurrency_max = (uint32_t)concurrency;
	return true;
}

/* spec_read: false when call was failed. */
static bool spec_read(struct node *node, struct control_call *call, const json_t *parameters,
		      struct spec_room *room, struct provider_spec *spec)
{
	const char *version = text_of(parameters, "version");

	*spec = (struct provider_spec){
		.name = text_of(parameters, "name"),
		.version = version ? version : VERSION_DEFAULT,
		.health_path = text_of(parameters, "health_path"),
		.user = text_of(parameters, "user"),
		.is_unconfined = json_is_true(json_object_get(parameters, "unconfined")),
		.is_hidden = json_is_true(json_object_get(parameters, "hidden")),
		.needs_signature = json_is_true(json_object_get(parameters, "signed")),
	};
	return kind_read(call, parameters, room, spec) &&
	       metadata_read(call, json_object_get(parameters, "metadata"), room, spec) &&
	       allow_read(node, call, json_object_get(parameters, "allow"), room, spec) &&
	       read_only_read(call, json_object_get(parameters, "read_only"), room, spec) &&
	       limits_read(call, parameters, spec);
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
static struct offer_change *change_new(struct node *node, struct control_call *call,
				       const char *name, const char *version)
{
	struct offer_change *change = calloc(1, sizeof(*change));

	if (!change) {
		control_fail(call, -ENOMEM, name, "no memory", "free some and try again");
		return NULL;
	}
	timer_init(&change->timer, check_look);
	change->node = node;
	change->call = call;
	snprintf(change->name, sizeof(change->name), "%s", name);
	snprintf(change->version, sizeof(change->version), "%s", version);
	return change;
}

void api_publish_service(void *ctx, struct control_call *call, const json_t *parameters,
			 uint64_t now_ns)
{
	struct node *node = ctx;
	struct spec_room room;
	struct provider_spec spec;
	struct offer_change *change;
	const char *why = NULL;
	char *description;
	int err;

	if (!api_services_are_on(node, call) || !spec_read(node, call, parameters, &room, &spec) ||
	    !api_service_description_read(call, parameters, &spec, &description))
		return;
	change = change_new(node, call, spec.name, spec.version);
	if (!change) {
		free(description);
		return;
	}
	change->is_publish = true;
	spec.description = description;
	err = provider_publish(node_fabric_provider(node->fabric), &spec, change_done, change,
			       now_ns, &why);
	free(description);
	if (err < 0) {
		free(change);
		fail_publish(call, err, spec.name, why);
		return;
	}
	control_on_gone(call, change_gone, change);
}

/* major_read: of version, or of any; false: call was failed. */
static bool major_read(struct control_call *call, const char *text, uint32_t *out_major)
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

void api_set_service_access(void *ctx, struct control_call *call, const json_t *parameters,
			    uint64_t now_ns)
{
	struct node *node = ctx;
	const char *name = text_of(parameters, "name"), *version = text_of(parameters, "version");
	struct provider_spec spec = {.name = name};
	struct offer_change *change;
	struct spec_room room;
	const char *why = NULL;
	uint32_t major;
	int err;

	(void)now_ns;
	if (!api_services_are_on(node, call) || !major_read(call, version, &major) ||
	    !allow_read(node, call, json_object_get(parameters, "allow"), &room, &spec))
		return;
	change = change_new(node, call, name, "");
	if (!change)
		return;
	err = provider_set_access(node_fabric_provider(node->fabric), name, major, &spec,
				  change_done, change, &why);
	if (err < 0) {
		free(change);
		control_fail(call, err, name, why, "weft service list shows what is offered");
		return;
	}
	control_on_gone(call, change_gone, change);
}

static bool name_is_builtin(void *arg, const struct service_info *info)
{
	const char **name = arg;

	if (strcmp(info->name, *name) == 0)
		*name = NULL;
	return *name != NULL;
}

static void fail_withdraw(struct node *node, struct control_call *call, int err, const char *name)
{
	const char *left = name;

	if (err != WEFT_EABSENT) {
		control_fail(call, err, name, "too many changes wait to be stored", "try again");
		return;
	}
	service_each(node_fabric_service(node->fabric), name_is_builtin, &left);
	if (!left)
		control_fail(call, WEFT_EREFUSED, name, "it is built in, or of another version",
			     "leave it out of service.builtin in weft.conf; weft service list "
			     "shows versions");
	else
		control_fail(call, err, name, "this node offers no such service",
			     "weft service list shows what it offers");
}

void api_withdraw_service(void *ctx, struct control_call *call, const json_t *parameters,
			  uint64_t now_ns)
{
	struct node *node = ctx;
	const char *name = text_of(parameters, "name");
	struct offer_change *change;
	uint32_t major;
	int err;

	if (!api_services_are_on(node, call) ||
	    !major_read(call, text_of(parameters, "version"), &major))
		return;
	change = change_new(node, call, name, "");
	if (!change)
		return;
	err = provider_withdraw(node_fabric_provider(node->fabric), name, major, change_done,
				change, now_ns);
	if (err < 0) {
		free(change);
		fail_withdraw(node, call, err, name);
		return;
	}
	control_on_gone(call, change_gone, change);
}

void api_reset_service(void *ctx, struct control_call *call, const json_t *parameters,
		       uint64_t now_ns)
{
	struct node *node = ctx;
	const char *name = text_of(parameters, "name");

	(void)now_ns;
	if (!api_services_are_on(node, call))
		return;
	if (!service_name_is_valid(name, strlen(name))) {
		control_fail(
			call, WEFT_EMALFORMED, name, "not a service's name",
			"a name is 1 to 64 of a-z, 0-9 and, inside, - and .; weft service list "
			"shows those that are known");
		return;
	}
	control_reply(call, json_pack("{s:i}", "closed",
				      (int)service_reset(node_fabric_service(node->fabric), name)));
}
