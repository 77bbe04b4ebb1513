/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls: from a request to its handler, from a handler's reply to the
 * client. Home worker.
 */
#include "control/control_server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "varlink/node.h"
#include "varlink/standard.h"
#include "base/assert.h"
#include "base/log.h"
#include "codec/json_heap.h"
#include "control/redact.h"

const uint64_t *control_call_id(const struct control_call *call)
{
	return call->has_id ? &call->id : NULL;
}

/*
 * call_send_check finds out that a handler and the interface description
 * have drifted apart where it happens, not in a client.
 */
static void call_send_check(const struct control_call *call, const char *error, json_t *parameters)
{
	const struct varlink_type *type;
	char field[VARLINK_FIELD_CAP] = "";

	if (!call->method)
		return;
	type = error ? varlink_typed_lookup(api_node_errors, API_NODE_ERROR_CNT, error)
		     : call->method->out;
	if (type && varlink_check(type, parameters, field))
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

/* The missing part of an answer may be what matters: an answer that is not whole is not sent. */
static void call_send_torn(struct control_call *call)
{
	const char *name = call->method ? call->method->name : "request";
	char text[MESSAGE_SCARCE_CAP];
	size_t len;

	if (call->answered) {
		call->answered(call->answered_arg, API_FAILED_ERROR, call->control->torn);
		return;
	}
	len = control_message_scarce_write(text, name, LOSS_MEMORY, control_call_id(call));
	control_client_write(call->client, text, len);
}

/*
 * call_write: the answer of a call with an id may find that the program reads none
 * of those before it. This call alone fails; the others keep their answers.
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
		len = control_message_scarce_write(scarce, name, LOSS_UNREAD, &call->id);
		control_client_write_answer(call->client, scarce, len);
	}
}

struct varlink_blocks *control_blocks(struct control_call *call)
{
	return &call->blocks;
}

/* call_send: parameters is taken. */
static void call_send(struct control_call *call, const char *error, json_t *parameters,
		      bool continues)
{
	char *text = NULL;
	size_t len;

	varlink_blocks_free(&call->blocks);
	/* A client that leaves while its last reply is written is no news. */
	if (!continues)
		call->gone = NULL;
	if ((!call->client && !call->answered) || call->is_oneway) {
		/* A loss in this answer is not one of the next. */
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
	varlink_blocks_free(&call->blocks);
	control_pending_release(call);
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

/* The client's share in the counts. */
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
	/* A handler with gone lets go of the call there; else a reply is still to come. */
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

void control_reply_fd(struct control_call *call, json_t *parameters, int fd)
{
	if (call->client && !call->is_oneway && control_client_pass(call->client, fd)) {
		control_reply(call, parameters);
		return;
	}
	close(fd);
	json_decref(parameters);
	control_fail(call, WEFT_EBUSY, "descriptor",
		     "it is passed on the control socket, one at a time",
		     "read the reply that has the one before");
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
	control_fail_with(call, err, &(struct api_failure){.what = what, .why = why, .next = next});
}

void control_fail_of(struct control_call *call, int err, const char *what,
		     const struct control_failure_row *rows)
{
	while (rows->err && rows->err != err)
		rows++;
	control_fail(call, err, what, rows->why ? rows->why : weft_err_text(err), rows->next);
}

void control_fail_with(struct control_call *call, int err, const struct api_failure *more)
{
	const char *error;
	json_t *parameters = control_error_parameters(err, more, &error);

	call_send(call, error, parameters, false);
	control_call_end(call);
}

void control_call_fail_standard(struct control_call *call, const char *error,
				const struct api_failure *failure)
{
	call_send(call, error, failure ? api_failure_write(failure) : NULL, false);
	control_call_end(call);
}

void control_fail_parameter(struct control_call *call, const char *parameter)
{
	control_call_fail_standard(call, API_INVALID_PARAMETER_ERROR,
				   &(struct api_failure){.parameter = parameter});
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

static void call_unhold(void *arg)
{
	*(struct control_call **)arg = NULL;
}

void control_hold(struct control_call *call, struct control_call **held)
{
	*held = call;
	control_on_gone(call, call_unhold, held);
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
	struct varlink_blocks blocks = {0};
	char field[VARLINK_FIELD_CAP];
	const void *in;
	int err;

	call->method = api_node_method(name);
	if (!call->method || !method) {
		control_call_fail_standard(
			call, API_METHOD_NOT_FOUND_ERROR,
			&(struct api_failure){.method = varlink_format(control_blocks(call),
								       API_NODE_INTERFACE ".%s",
								       name)});
		return;
	}
	if (call->role < method->role) {
		control->stats.refused_cnt++;
		control_call_fail_standard(call, API_PERMISSION_DENIED_ERROR, NULL);
		return;
	}
	err = varlink_parse(call->method->in, parameters, &blocks, &in, field);
	if (err == 0)
		call_handle(call, method, parameters, in);
	else if (err == WEFT_EMALFORMED)
		control_fail_parameter(call, field);
	else
		control_fail(call, err, name, NULL, "free some memory and try again");
	varlink_blocks_free(&blocks);
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
		control_pending_take(call);
	} else {
		client->call = call;
	}
	fair_wait_own(&control->places.fair, &client->place, control->now_ns);
}

/* Beyond the program's share; its other calls go on. */
static void refuse_pending(struct control_client *client, const struct request *request,
			   uint32_t wait_ms)
{
	char next[160], *text;
	size_t len;

	if (request->is_oneway)
		return;
	snprintf(next, sizeof(next), "ask again in %u ms, or raise control.calls in weft.conf",
		 wait_ms);
	text = control_error_new(
		WEFT_EFULL,
		&(struct api_failure){.what = request->method,
				      .why = "this program, or its user, has as many calls under "
					     "way as its share of control.calls",
				      .next = next,
				      .has_not_before_ms = true,
				      .not_before_ms = wait_ms},
		&request->id, &len);
	if (json_heap_swap_lost(false) || !text)
		control_client_break(client);
	else
		control_client_write(client, text, len);
	free(text);
}

/* call_route runs request by its interface. */
static void call_route(struct control_call *call, const struct request *request)
{
	const char *dot = strrchr(request->method, '.');
	const char *name = dot ? dot + 1 : request->method;
	const struct varlink_method *method = api_node_method(name);
	char interface[64]; /* a longer name is cut, and so is none of the daemon's */

	snprintf(interface, sizeof(interface), "%.*s", dot ? (int)(dot - request->method) : 0,
		 request->method);
	if (!control_interface_lookup(interface))
		control_call_fail_standard(call, API_INTERFACE_NOT_FOUND_ERROR,
					   &(struct api_failure){.interface = interface});
	else if (strcmp(interface, API_STANDARD_INTERFACE) == 0 && call->wants_upgrade)
		fail_upgrade(call, request->method);
	else if (strcmp(interface, API_STANDARD_INTERFACE) == 0)
		control_service_dispatch(call, name, request->parameters);
	else if (!method || strcmp(method->interface, interface) != 0)
		control_call_fail_standard(call, API_METHOD_NOT_FOUND_ERROR,
					   &(struct api_failure){.method = request->method});
	else
		control_call_run(call, name, request->parameters);
}

int control_call_dispatch(struct control_client *client, struct request *request)
{
	struct control_call *call;
	uint32_t wait_ms;

	if (request->has_id && !control_pending_may_take(client, &wait_ms)) {
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
	call_route(call, request);
	control_request_drop(request);
	return 0;
}
