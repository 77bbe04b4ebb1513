/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls: from a request to its handler, from a handler's reply to the
 * client. Home worker.
 */
#include "control/control_server.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/node.h"
#include "base/assert.h"
#include "base/log.h"
#include "control/interface.h"
#include "codec/json_heap.h"
#include "control/redact.h"

char *control_message_new(const char *error, json_t *parameters, bool continues, const uint64_t *id,
			  size_t *out_len)
{
	json_t *message = json_object();
	char *text = NULL;

	if (error)
		(void)json_object_set_new(message, "error", json_string(error));
	(void)json_object_set_new(message, "parameters", parameters ? parameters : json_object());
	if (continues)
		(void)json_object_set_new(message, "continues", json_true());
	if (id)
		(void)json_object_set_new(message, "id", json_integer((json_int_t)*id));
	if (message)
		text = json_dumps(message, JSON_COMPACT);
	if (text)
		*out_len = strlen(text);
	json_decref(message);
	return text;
}

/*
 * Which of the interface's errors a code is, and its name for people who
 * search. What the kernel said (-errno) is Failed: a missing folder on the
 * way to a target is not what NotFound means.
 */
static const struct error_class {
	int err;
	const char *symbol;
	const char *error;
} error_classes[] = {
	{WEFT_EFULL, "WEFT_EFULL", "Refused"},
	{WEFT_EMALFORMED, "WEFT_EMALFORMED", "Invalid"},
	{WEFT_EABSENT, "WEFT_EABSENT", "NotFound"},
	{WEFT_ETOOSMALL, "WEFT_ETOOSMALL", "Invalid"},
	{WEFT_ETOOLARGE, "WEFT_ETOOLARGE", "Invalid"},
	{WEFT_EDAMAGED, "WEFT_EDAMAGED", "NotVerified"},
	{WEFT_ECHANGED, "WEFT_ECHANGED", "NotVerified"},
	{WEFT_EUNKNOWN, "WEFT_EUNKNOWN", "Invalid"},
	{WEFT_EREFUSED, "WEFT_EREFUSED", "Refused"},
	{WEFT_ETIMEOUT, "WEFT_ETIMEOUT", "Timeout"},
	{WEFT_ECANCELLED, "WEFT_ECANCELLED", "Failed"},
	{WEFT_EWRONGKEY, "WEFT_EWRONGKEY", "NotVerified"},
	{WEFT_ECLOSED, "WEFT_ECLOSED", "Failed"},
	{WEFT_EEXISTS, "WEFT_EEXISTS", "Refused"},
	{WEFT_ENEWER, "WEFT_ENEWER", "Refused"},
	{WEFT_EBUSY, "WEFT_EBUSY", "Refused"},
	{WEFT_EUNSAFE, "WEFT_EUNSAFE", "Refused"},
	{WEFT_EUNREACHABLE, "WEFT_EUNREACHABLE", "Timeout"},
	{WEFT_ESTALE, "WEFT_ESTALE", "NotVerified"},
	{WEFT_ESEALED, "WEFT_ESEALED", "NotVerified"},
};

static struct error_class error_class_of(int err)
{
	struct error_class class = {err, NULL, "Failed"};

	for (size_t i = 0; i < sizeof(error_classes) / sizeof(error_classes[0]); i++) {
		if (error_classes[i].err == err)
			class = error_classes[i];
	}
	if (!class.symbol)
		class.symbol = strerrorname_np(-err);
	if (!class.symbol)
		class.symbol = "unknown";
	return class;
}

/* text_json makes a string of what may hold bytes that are no UTF-8, as file names do. */
static json_t *text_json(const char *text)
{
	json_t *json = json_string(text);
	char *clean;

	if (json)
		return json;
	clean = strdup(text);
	if (!clean)
		return NULL;
	for (char *c = clean; *c; c++) {
		if (*c & 0x80)
			*c = '?';
	}
	json = json_string(clean);
	free(clean);
	return json;
}

json_t *control_error_parameters(int err, const char *what, const char *why, const char *next,
				 const char **out_error)
{
	/* Kept whole so that the name outlives the call without an allocation. */
	static const char *const names[] = {
		INTERFACE_NODE ".Failed",  INTERFACE_NODE ".Invalid", INTERFACE_NODE ".NotFound",
		INTERFACE_NODE ".Refused", INTERFACE_NODE ".Timeout", INTERFACE_NODE ".NotVerified",
	};
	struct error_class class = error_class_of(err);
	json_t *parameters = json_object();

	*out_error = names[0];
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(names[i] + strlen(INTERFACE_NODE "."), class.error) == 0)
			*out_error = names[i];
	}
	(void)json_object_set_new(parameters, "code", json_integer(err));
	(void)json_object_set_new(parameters, "name", json_string(class.symbol));
	(void)json_object_set_new(parameters, "what", text_json(what));
	(void)json_object_set_new(parameters, "why", text_json(why ? why : weft_err_text(err)));
	(void)json_object_set_new(parameters, "next", text_json(next ? next : ""));
	return parameters;
}

/* An answer that takes no memory. */
struct scarce {
	const char *of;
	size_t of_len;
	const char *why, *next;
	const uint64_t *id;
};

#define TORN_WHY  "no memory for the answer"
#define TORN_NEXT "what was asked may be done: look, free some memory, and ask again if it is not"

json_t *control_error_torn(void)
{
	const char *error;

	return control_error_parameters(-ENOMEM, "answer", TORN_WHY, TORN_NEXT, &error);
}

const uint64_t *control_call_id(const struct control_call *call)
{
	return call->has_id ? &call->id : NULL;
}

static size_t scarce_write(char text[static MESSAGE_SCARCE_CAP], const struct scarce *scarce)
{
	char id[32] = "";
	int len;

	if (scarce->id)
		snprintf(id, sizeof(id), ",\"id\":%" PRIu64, *scarce->id);
	len = snprintf(text, MESSAGE_SCARCE_CAP,
		       "{\"error\":\"" INTERFACE_NODE ".Failed\",\"parameters\":{\"code\":%d,"
		       "\"name\":\"ENOMEM\",\"what\":\"%.*s\",\"why\":\"%s\",\"next\":\"%s\"}%s}",
		       -ENOMEM, (int)scarce->of_len, scarce->of, scarce->why, scarce->next, id);
	return (size_t)len;
}

size_t control_message_scarce_write(char text[static MESSAGE_SCARCE_CAP], const char *of,
				    size_t of_len, const uint64_t *id)
{
	return scarce_write(text, &(struct scarce){of, of_len, TORN_WHY, TORN_NEXT, id});
}

static const struct api_type *error_type(const char *name)
{
	for (size_t i = 0; i < API_NODE_ERROR_CNT; i++)
		if (strcmp(api_node_errors[i].name, name) == 0)
			return api_node_errors[i].type;
	return NULL;
}

/*
 * call_send_check finds out that a handler and the interface description
 * have drifted apart where it happens, not in somebody's client.
 */
static void call_send_check(const struct control_call *call, const char *error, json_t *parameters)
{
	const struct api_type *type;
	char field[API_FIELD_CAP] = "";

	if (!call->method)
		return;
	if (error && strncmp(error, INTERFACE_NODE ".", strlen(INTERFACE_NODE ".")) != 0)
		return;
	type = error ? error_type(error + strlen(INTERFACE_NODE ".")) : call->method->out;
	if (type && api_check(type, parameters, field))
		return;
	log_error("control: %s of %s does not follow the interface at \"%s\"",
		  error ? error : "reply", call->method->name, field);
	weft_assert_hot(false);
}

/* call_shown takes parameters: what the caller's role may see of them. */
static json_t *call_shown(const struct control_call *call, json_t *parameters)
{
	json_t *shown;

	if (call->role != CONTROL_VIEW)
		return parameters;
	shown = control_redact_capabilities(parameters);
	json_decref(parameters);
	return shown ? shown : json_object();
}

/* Part of an answer may be what matters in it: none is told of one that is not whole. */
static void call_send_torn(struct control_call *call)
{
	const char *name = call->method ? call->method->name : "request";
	char text[MESSAGE_SCARCE_CAP];
	size_t len;

	if (call->answered) {
		call->answered(call->answered_arg, INTERFACE_NODE ".Failed", call->control->torn);
		return;
	}
	len = control_message_scarce_write(text, name, strlen(name), control_call_id(call));
	control_client_write(call->client, text, len);
}

#define UNREAD_WHY  "answers that came before it wait to be read, and there is no room for this one"
#define UNREAD_NEXT "the call was made; read answers as they come, or raise control.output_max"

/*
 * call_write: the answer of a call with an id may find that the program reads none
 * of those before it. The call alone is told so; the others keep their answers.
 */
static void call_write(struct control_call *call, const char *text, size_t len)
{
	const char *name = call->method ? call->method->name : "request";
	char scarce[MESSAGE_SCARCE_CAP];

	if (!call->has_id) {
		control_client_write(call->client, text, len);
	} else if (control_client_has_room(call->client, len)) {
		control_client_write_answer(call->client, text, len);
	} else {
		call->control->stats.unread_cnt++;
		len = scarce_write(scarce, &(struct scarce){name, strlen(name), UNREAD_WHY,
							    UNREAD_NEXT, &call->id});
		control_client_write_answer(call->client, scarce, len);
	}
}

struct api_blocks *control_blocks(struct control_call *call)
{
	return &call->blocks;
}

/* call_send: parameters is taken. */
static void call_send(struct control_call *call, const char *error, json_t *parameters,
		      bool continues)
{
	char *text = NULL;
	size_t len;

	api_blocks_free(&call->blocks);
	if ((!call->client && !call->answered) || call->is_oneway) {
		/* What was lost of this answer is not of the next. */
		(void)json_heap_swap_lost(false);
		json_decref(parameters);
		return;
	}
	if (!parameters)
		parameters = json_object();
	call->is_torn |= json_heap_swap_lost(false);
	if (!call->is_torn)
		call_send_check(call, error, parameters);
	parameters = call_shown(call, parameters);
	if (!call->answered)
		text = control_message_new(error, json_incref(parameters), continues,
					   control_call_id(call), &len);
	call->is_torn |= json_heap_swap_lost(false) || (!call->answered && !text);
	if (call->is_torn && !continues)
		call_send_torn(call);
	else if (!call->is_torn && call->answered)
		call->answered(call->answered_arg, error, parameters);
	else if (!call->is_torn)
		call_write(call, text, len);
	json_decref(parameters);
	free(text);
}

void control_call_free(struct control_call *call)
{
	struct control *control = call->control;

	if (call->is_watching)
		control->stats.watcher_cnt--;
	list_unlink(&call->of_client);
	api_blocks_free(&call->blocks);
	control_pending_release(&control->pending, call);
	control->asked_cnt -= call->is_asked;
	control->plain_cnt -= !call->has_id;
	if (call->prev)
		call->prev->next = call->next;
	else
		control->calls = call->next;
	if (call->next)
		call->next->prev = call->prev;
	pool_release(&control->call_pool, call);
}

/* What its client counts of it. */
static void call_leave_client(struct control_call *call)
{
	if (call->client && call->has_id)
		call->client->watching_cnt -= call->is_watching || call->drained;
	list_unlink(&call->of_client);
}

void control_call_end(struct control_call *call)
{
	struct control_client *client = call->client;

	call_leave_client(call);
	if (client)
		control_client_call_ended(client, call);
	control_call_free(call);
}

void control_call_abandon(struct control_call *call)
{
	void (*gone)(void *arg) = call->gone;
	void *arg = call->gone_arg;

	call_leave_client(call);
	call->client = NULL;
	call->answered = NULL;
	/* Whoever set gone lets go of the call there; else a reply is still to come. */
	if (!gone && !call->is_watching)
		return;
	control_call_free(call);
	if (gone)
		gone(arg);
}

void control_call_reply_last(struct control_call *call, json_t *parameters)
{
	call_send(call, NULL, parameters, false);
}

void control_reply(struct control_call *call, json_t *parameters)
{
	control_call_reply_last(call, parameters);
	control_call_end(call);
}

void control_reply_more(struct control_call *call, json_t *parameters)
{
	if (call->wants_more)
		call_send(call, NULL, parameters, true);
	else
		json_decref(parameters);
}

bool control_wants_more(const struct control_call *call)
{
	return call->wants_more;
}

enum control_role control_role_of(const struct control_call *call)
{
	return call->role;
}

void control_fail(struct control_call *call, int err, const char *what, const char *why,
		  const char *next)
{
	control_fail_with(call, err, what, why, next, NULL);
}

void control_fail_with(struct control_call *call, int err, const char *what, const char *why,
		       const char *next, json_t *extra)
{
	const char *error;
	json_t *parameters = control_error_parameters(err, what, why, next, &error);

	if (extra)
		(void)json_object_update(parameters, extra);
	json_decref(extra);
	call_send(call, error, parameters, false);
	control_call_end(call);
}

void control_call_fail_standard(struct control_call *call, const char *error, json_t *parameters)
{
	call_send(call, error, parameters, false);
	control_call_end(call);
}

void control_fail_parameter(struct control_call *call, const char *parameter)
{
	control_call_fail_standard(call, INTERFACE_SERVICE ".InvalidParameter",
				   json_pack("{s:s}", "parameter", parameter));
}

unsigned control_cancel(struct control_call *call, uint64_t id)
{
	struct control_client *client = call->client;
	struct list_node *node = client ? client->pending.next : NULL, *next;
	unsigned cnt = 0;

	for (; client && node != &client->pending; node = next) {
		struct control_call *one = container_of(node, struct control_call, of_client);

		next = node->next;
		if (one->id != id || one == call)
			continue;
		control_call_abandon(one);
		cnt++;
	}
	return cnt;
}

bool control_caller(const struct control_call *call, struct control_caller *out_caller)
{
	if (!call->client)
		return false;
	*out_caller = (struct control_caller){call->client->peer.uid, call->client->peer.pid};
	return true;
}

void control_on_gone(struct control_call *call, void (*gone)(void *arg), void *arg)
{
	call->gone = gone;
	call->gone_arg = arg;
}

size_t control_backlog_len(const struct control_call *call)
{
	return call->client ? control_client_backlog_len(call->client) : 0;
}

void control_on_drained(struct control_call *call, void (*drained)(void *arg), void *arg)
{
	weft_assert(!call->drained && !call->is_watching);
	call->drained = drained;
	call->drained_arg = arg;
	if (call->client)
		call->client->watching_cnt += call->has_id;
}

static const struct control_method *method_lookup(const struct control_method *methods,
						  const char *name)
{
	for (const struct control_method *m = methods; m->name; m++) {
		if (strcmp(m->name, name) == 0)
			return m;
	}
	return NULL;
}

static const struct api_method *described_lookup(const char *name)
{
	for (size_t i = 0; i < API_NODE_METHOD_CNT; i++)
		if (strcmp(api_node_methods[i].name, name) == 0)
			return &api_node_methods[i];
	return NULL;
}

static bool method_upgrades(const struct control *control, const struct control_method *method)
{
	for (const char *const *name = control->upgrades; name && *name; name++) {
		if (strcmp(*name, method->name) == 0)
			return true;
	}
	return false;
}

/* The connection changes hands by agreement of both sides, or not at all. */
static void fail_upgrade(struct control_call *call, const char *method)
{
	if (call->wants_upgrade)
		control_fail(call, WEFT_EREFUSED, method,
			     "this method does not take the connection",
			     "call it without \"upgrade\"");
	else
		control_fail(call, WEFT_EREFUSED, method,
			     "it answers by taking the connection, and was not offered it",
			     "call it with \"upgrade\": true");
}

/* call_handle: its parameters were parsed into in. */
static void call_handle(struct control_call *call, const struct control_method *method,
			const json_t *parameters, const void *in)
{
	struct control *control = call->control;

	if (call->wants_upgrade != method_upgrades(control, method)) {
		fail_upgrade(call, method->name);
	} else if (call->wants_upgrade && !list_is_empty(&call->client->pending)) {
		control_fail(call, WEFT_EREFUSED, method->name,
			     "other calls are under way on this connection",
			     "call it on a connection of its own");
	} else if (method->run) {
		method->run(control->ctx, call, in, control->now_ns);
	} else {
		method->handle(control->ctx, call, parameters, control->now_ns);
	}
}

void control_call_run(struct control_call *call, const char *name, json_t *parameters)
{
	struct control *control = call->control;
	const struct control_method *method = method_lookup(control->methods, name);
	struct api_blocks blocks = {0};
	char field[API_FIELD_CAP];
	const void *in;
	int err;

	call->method = described_lookup(name);
	if (!call->method || !method) {
		control_call_fail_standard(call, INTERFACE_SERVICE ".MethodNotFound",
					   json_pack("{s:s+}", "method", INTERFACE_NODE ".", name));
		return;
	}
	if (call->role < method->role) {
		control->stats.refused_cnt++;
		control_call_fail_standard(call, INTERFACE_SERVICE ".PermissionDenied", NULL);
		return;
	}
	err = api_parse(call->method->in, parameters, &blocks, &in, field);
	if (err == 0)
		call_handle(call, method, parameters, in);
	else if (err == WEFT_EMALFORMED)
		control_fail_parameter(call, field);
	else
		control_fail(call, err, name, NULL, TORN_NEXT);
	api_blocks_free(&blocks);
}

struct control_call *control_call_new(struct control *control, enum control_role role, bool has_id)
{
	uint32_t plain_cap = control->config.client_cap * CALLS_PER_CLIENT;
	struct control_call *call =
		has_id || control->plain_cnt < plain_cap ? pool_acquire(&control->call_pool) : NULL;

	if (!call)
		return NULL;
	call->has_id = has_id;
	control->plain_cnt += !has_id;
	list_init(&call->of_client);
	call->control = control;
	call->role = role;
	call->next = control->calls;
	if (call->next)
		call->next->prev = call;
	control->calls = call;
	control->stats.call_cnt++;
	return call;
}

/* call_begin: request is under way. */
static void call_begin(struct control_call *call, struct control_client *client,
		       const struct request *request)
{
	struct control *control = client->control;

	call->client = client;
	call->wants_more = request->wants_more;
	call->is_oneway = request->is_oneway;
	call->wants_upgrade = request->wants_upgrade;
	call->id = request->id;
	if (call->has_id) {
		list_push_back(&client->pending, &call->of_client);
		control_pending_take(&control->pending, call);
	} else {
		client->call = call;
	}
	fair_wait_own(&control->places.fair, &client->place, control->now_ns);
}

/* Beyond the program's share; its other calls go on. */
static void refuse_pending(struct control_client *client, const struct request *request,
			   uint32_t wait_ms)
{
	char next[160];
	const char *error;
	json_t *parameters;
	char *text;
	size_t len;

	if (request->is_oneway)
		return;
	snprintf(next, sizeof(next), "ask again in %u ms, or raise control.calls in weft.conf",
		 wait_ms);
	parameters = control_error_parameters(
		WEFT_EFULL, request->method,
		"this program, or its user, has as many calls under way as "
		"its share of control.calls",
		next, &error);
	(void)json_object_set_new(parameters, "not_before_ms", json_integer(wait_ms));
	text = control_message_new(error, parameters, false, &request->id, &len);
	if (json_heap_swap_lost(false) || !text)
		control_client_break(client);
	else
		control_client_write(client, text, len);
	free(text);
}

int control_call_dispatch(struct control_client *client, struct request *request)
{
	const char *dot = strrchr(request->method, '.');
	size_t interface_len = dot ? (size_t)(dot - request->method) : 0;
	struct control_call *call;
	char interface[64];
	uint32_t wait_ms;

	if (request->has_id &&
	    !control_pending_may_take(&client->control->pending, client, &wait_ms)) {
		refuse_pending(client, request, wait_ms);
		control_request_drop(request);
		return 0;
	}
	call = control_call_new(client->control, client->peer.role, request->has_id);
	if (!call) {
		control_request_drop(request);
		return WEFT_EFULL;
	}
	call_begin(call, client, request);
	/* A longer name is cut, and so is none of ours. */
	if (interface_len >= sizeof(interface))
		interface_len = sizeof(interface) - 1;
	memcpy(interface, request->method, interface_len);
	interface[interface_len] = '\0';
	if (strcmp(interface, INTERFACE_NODE) == 0)
		control_call_run(call, dot + 1, request->parameters);
	else if (strcmp(interface, INTERFACE_SERVICE) == 0 && call->wants_upgrade)
		fail_upgrade(call, request->method);
	else if (strcmp(interface, INTERFACE_SERVICE) == 0)
		control_service_dispatch(call, dot + 1, request->parameters);
	else
		control_call_fail_standard(call, INTERFACE_SERVICE ".InterfaceNotFound",
					   json_pack("{s:s}", "interface", interface));
	control_request_drop(request);
	return 0;
}
