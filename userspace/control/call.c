/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls: from a request to its handler, from a handler's reply to the
 * client. Home worker.
 */
#include "control/server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/log.h"
#include "control/interface.h"
#include "codec/json_heap.h"
#include "control/redact.h"

char *message_new(const char *error, json_t *parameters, bool continues, size_t *out_len)
{
	json_t *message = json_object();
	char *text = NULL;

	if (error)
		(void)json_object_set_new(message, "error", json_string(error));
	(void)json_object_set_new(message, "parameters", parameters ? parameters : json_object());
	if (continues)
		(void)json_object_set_new(message, "continues", json_true());
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

json_t *error_parameters(int err, const char *what, const char *why, const char *next,
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

#define TORN_WHY  "no memory for the answer"
#define TORN_NEXT "what was asked may be done: look, free some memory, and ask again if it is not"

json_t *error_torn(void)
{
	const char *error;

	return error_parameters(-ENOMEM, "answer", TORN_WHY, TORN_NEXT, &error);
}

size_t message_scarce_write(char text[static MESSAGE_SCARCE_CAP], const char *of, size_t of_len)
{
	int len = snprintf(text, MESSAGE_SCARCE_CAP,
			   "{\"error\":\"" INTERFACE_NODE ".Failed\",\"parameters\":{\"code\":%d,"
			   "\"name\":\"ENOMEM\",\"what\":\"%.*s\",\"why\":\"" TORN_WHY "\","
			   "\"next\":\"" TORN_NEXT "\"}}",
			   -ENOMEM, (int)of_len, of);

	return (size_t)len;
}

/*
 * call_send_check finds out that a handler and the interface description
 * have drifted apart where it happens, not in somebody's client.
 */
static void call_send_check(const struct control_call *call, const char *error, json_t *parameters)
{
	const struct idl *idl = call->control->idls[INTERFACE_CNT - 1];
	const struct idl_member *member;
	char field[IDL_FIELD_CAP];

	if (!call->method)
		return;
	if (!error) {
		if (idl_check(idl, call->method->output, parameters, field))
			return;
	} else {
		if (strncmp(error, INTERFACE_NODE ".", strlen(INTERFACE_NODE ".")) != 0)
			return;
		member = idl_lookup(idl, IDL_ERROR, error + strlen(INTERFACE_NODE "."));
		if (member && idl_check(idl, member->input, parameters, field))
			return;
	}
	log_error("control: %s of %.*s does not follow the interface at \"%s\"",
		  error ? error : "reply", (int)call->method->name.len, call->method->name.text,
		  field);
	weft_assert_hot(false);
}

/* call_shown takes parameters: what the caller's role may see of them. */
static json_t *call_shown(const struct control_call *call, json_t *parameters)
{
	json_t *shown;

	if (call->role != CONTROL_VIEW)
		return parameters;
	shown = redact_capabilities(parameters);
	json_decref(parameters);
	return shown ? shown : json_object();
}

/* Part of an answer may be what matters in it: none is told of one that is not whole. */
static void call_send_torn(struct control_call *call)
{
	const struct idl_name *name = call->method ? &call->method->name : NULL;
	char text[MESSAGE_SCARCE_CAP];
	size_t len;

	if (call->answered) {
		call->answered(call->answered_arg, INTERFACE_NODE ".Failed", call->control->torn);
		return;
	}
	len = message_scarce_write(text, name ? name->text : "request", name ? name->len : 7);
	client_write(call->client, text, len);
}

/* call_send: parameters is taken. */
static void call_send(struct control_call *call, const char *error, json_t *parameters,
		      bool continues)
{
	char *text = NULL;
	size_t len;

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
		text = message_new(error, json_incref(parameters), continues, &len);
	call->is_torn |= json_heap_swap_lost(false) || (!call->answered && !text);
	if (call->is_torn && !continues)
		call_send_torn(call);
	else if (!call->is_torn && call->answered)
		call->answered(call->answered_arg, error, parameters);
	else if (!call->is_torn)
		client_write(call->client, text, len);
	json_decref(parameters);
	free(text);
}

void call_free(struct control_call *call)
{
	struct control *control = call->control;

	if (call->is_watching)
		control->stats.watcher_cnt--;
	control->asked_cnt -= call->is_asked;
	if (call->prev)
		call->prev->next = call->next;
	else
		control->calls = call->next;
	if (call->next)
		call->next->prev = call->prev;
	pool_release(&control->call_pool, call);
}

void call_end(struct control_call *call)
{
	struct control_client *client = call->client;

	call_free(call);
	if (client)
		client_call_ended(client);
}

void call_abandon(struct control_call *call)
{
	void (*gone)(void *arg) = call->gone;
	void *arg = call->gone_arg;

	call->client = NULL;
	call->answered = NULL;
	/* Whoever set gone lets go of the call there; else a reply is still to come. */
	if (!gone && !call->is_watching)
		return;
	call_free(call);
	if (gone)
		gone(arg);
}

void call_reply_last(struct control_call *call, json_t *parameters)
{
	call_send(call, NULL, parameters, false);
}

void control_reply(struct control_call *call, json_t *parameters)
{
	call_reply_last(call, parameters);
	call_end(call);
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
	json_t *parameters = error_parameters(err, what, why, next, &error);

	if (extra)
		(void)json_object_update(parameters, extra);
	json_decref(extra);
	call_send(call, error, parameters, false);
	call_end(call);
}

void call_fail_standard(struct control_call *call, const char *error, json_t *parameters)
{
	call_send(call, error, parameters, false);
	call_end(call);
}

void control_fail_parameter(struct control_call *call, const char *parameter)
{
	call_fail_standard(call, INTERFACE_SERVICE ".InvalidParameter",
			   json_pack("{s:s}", "parameter", parameter));
}

void control_on_gone(struct control_call *call, void (*gone)(void *arg), void *arg)
{
	call->gone = gone;
	call->gone_arg = arg;
}

static const struct control_method *method_lookup(const struct control_method *methods,
						  const struct idl_name *name)
{
	for (const struct control_method *m = methods; m->name; m++) {
		if (idl_name_is(name, m->name))
			return m;
	}
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

void call_run(struct control_call *call, const char *name, json_t *parameters)
{
	struct control *control = call->control;
	const struct idl *idl = control->idls[INTERFACE_CNT - 1];
	const struct control_method *method;
	char field[IDL_FIELD_CAP];

	call->method = idl_lookup(idl, IDL_METHOD, name);
	if (!call->method) {
		call_fail_standard(call, INTERFACE_SERVICE ".MethodNotFound",
				   json_pack("{s:s+}", "method", INTERFACE_NODE ".", name));
		return;
	}
	method = method_lookup(control->methods, &call->method->name);
	if (call->role < method->role) {
		control->stats.refused_cnt++;
		call_fail_standard(call, INTERFACE_SERVICE ".PermissionDenied", NULL);
	} else if (!idl_check(idl, call->method->input, parameters, field)) {
		control_fail_parameter(call, field);
	} else if (call->wants_upgrade != method_upgrades(control, method)) {
		fail_upgrade(call, method->name);
	} else {
		method->handle(control->ctx, call, parameters, control->now_ns);
	}
}

struct control_call *call_new(struct control *control, enum control_role role)
{
	struct control_call *call = pool_acquire(&control->call_pool);

	if (!call)
		return NULL;
	call->control = control;
	call->role = role;
	call->next = control->calls;
	if (call->next)
		call->next->prev = call;
	control->calls = call;
	control->stats.call_cnt++;
	return call;
}

int call_dispatch(struct control_client *client, struct request *request)
{
	struct control_call *call = call_new(client->control, client->role);
	const char *dot = strrchr(request->method, '.');
	size_t interface_len = dot ? (size_t)(dot - request->method) : 0;
	char interface[64];

	if (!call) {
		request_drop(request);
		return WEFT_EFULL;
	}
	call->client = client;
	call->wants_more = request->wants_more;
	call->is_oneway = request->is_oneway;
	call->wants_upgrade = request->wants_upgrade;
	client->call = call;
	fair_wait_own(&client->control->places.fair, &client->place, client->control->now_ns);
	/* A longer name is cut, and so is none of ours. */
	if (interface_len >= sizeof(interface))
		interface_len = sizeof(interface) - 1;
	memcpy(interface, request->method, interface_len);
	interface[interface_len] = '\0';
	if (strcmp(interface, INTERFACE_NODE) == 0)
		call_run(call, dot + 1, request->parameters);
	else if (strcmp(interface, INTERFACE_SERVICE) == 0 && call->wants_upgrade)
		fail_upgrade(call, request->method);
	else if (strcmp(interface, INTERFACE_SERVICE) == 0)
		service_dispatch(call, dot + 1, request->parameters);
	else
		call_fail_standard(call, INTERFACE_SERVICE ".InterfaceNotFound",
				   json_pack("{s:s}", "interface", interface));
	request_drop(request);
	return 0;
}

bool methods_agree(const struct idl *idl, const struct control_method *methods,
		   char out_name[static CONTROL_METHOD_NAME_CAP])
{
	bool agree = true;

	out_name[0] = '\0';
	for (const struct control_method *m = methods; m->name && agree; m++) {
		snprintf(out_name, CONTROL_METHOD_NAME_CAP, "%s", m->name);
		agree = idl_lookup(idl, IDL_METHOD, m->name) != NULL;
	}
	for (const struct idl_member *m = idl_members(idl); m && agree; m = m->next) {
		snprintf(out_name, CONTROL_METHOD_NAME_CAP, "%.*s", (int)m->name.len, m->name.text);
		agree = m->kind != IDL_METHOD || method_lookup(methods, &m->name) != NULL;
	}
	return agree;
}

bool control_methods_agree(const struct control_method *methods,
			   char out_name[static CONTROL_METHOD_NAME_CAP])
{
	struct idl *idl;
	unsigned line;
	bool agree;

	out_name[0] = '\0';
	if (idl_parse(interface_lookup(INTERFACE_NODE)->text, &idl, &line) < 0)
		return false;
	agree = methods_agree(idl, methods, out_name);
	idl_free(idl);
	return agree;
}
