/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OpenEndpoint, AcceptEndpoint, ConnectEndpoint: endpoints of local programs, whose streams are
 * descriptors that go over the control socket. Home worker.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/monotonic.h"
#include "codec/text/zbase32.h"
#include "method_service_target.h"
#include "provider/endpoint/program_endpoint.h"

#define ALLOW_MAX	64
#define TIMEOUT_MS_MAX	86400000 /* a day */
#define GATEWAY_SERVICE "private-gateway"
#define GATEWAY_METHOD	"OpenTunnel"
#define ENDPOINT_METHOD "Connect"

/* A call that lasts: what it waits for. */
struct endpoint_call {
	struct api *api;
	struct control_call *call;
	struct endpoint *endpoint;	/* of an open or an accept */
	struct endpoint_stream *stream; /* of a connect */
	bool is_tunnel;
	char name[SERVICE_NAME_LEN_MAX + 1];
};

static bool endpoints_are_on(struct api *api, struct control_call *call)
{
	if (!api_services_are_on(api, call))
		return false;
	if (!api->provider)
		control_fail(call, WEFT_EREFUSED, "endpoints", "this node serves no local programs",
			     NULL);
	return api->provider;
}

static struct endpoint_call *call_new(struct api *api, struct control_call *call, const char *name)
{
	struct endpoint_call *waiting = calloc(1, sizeof(*waiting));

	if (!waiting) {
		control_fail(call, -ENOMEM, name, "no memory", "free some and try again");
		return NULL;
	}
	waiting->api = api;
	waiting->call = call;
	snprintf(waiting->name, sizeof(waiting->name), "%s", name);
	return waiting;
}

/* --- OpenEndpoint --- */

static void open_gone(void *arg)
{
	struct endpoint_call *open = arg;

	provider_endpoint_close(open->endpoint, open->api->home->now_ns);
	free(open);
}

/* allow_read: ids of nodes alone. False: call was failed. */
static bool allow_read(struct control_call *call, const struct api_string_list *allow,
		       uint8_t (*keys)[MESH_KEY_LEN])
{
	if (allow->cnt > ALLOW_MAX) {
		control_fail_parameter(call, "allow");
		return false;
	}
	for (size_t i = 0; i < allow->cnt; i++) {
		const char *text = allow->rows[i];

		if (zbase32_parse(text, strlen(text), keys[i], MESH_KEY_LEN) == MESH_KEY_LEN)
			continue;
		control_fail(call, WEFT_EMALFORMED, "allow", "it is no id of a node",
			     "give whole ids: weft node id shows a node's own");
		return false;
	}
	return true;
}

void api_open_endpoint(struct api *api, struct control_call *call,
		       const struct api_open_endpoint_in *in, uint64_t now_ns)
{
	uint8_t keys[ALLOW_MAX][MESH_KEY_LEN];
	struct endpoint_params params = {.name = in->name,
					 .allow = (const uint8_t(*)[MESH_KEY_LEN])keys,
					 .allow_cnt = (unsigned)in->allow.cnt};
	struct varlink_blocks *blocks = control_blocks(call);
	struct control_caller caller = {.uid = 0};
	struct endpoint_call *open;
	char address[SERVICE_NAME_LEN_MAX + 1 + ZBASE32_KEY_TEXT_CAP];
	const char *why;
	int err;

	if (!endpoints_are_on(api, call) || !allow_read(call, &in->allow, keys))
		return;
	if (!control_wants_more(call)) {
		control_fail(call, WEFT_EMALFORMED, "more",
			     "the endpoint lasts as long as the call",
			     "ask with more, and leave the connection open");
		return;
	}
	if (!(open = call_new(api, call, in->name)))
		return;
	(void)control_caller(call, &caller);
	params.user = caller.uid;
	err = provider_endpoint_open(api->provider, &params, now_ns, &open->endpoint, &why);
	if (err < 0) {
		free(open);
		control_fail(call, err, in->name, why, NULL);
		return;
	}
	control_on_gone(call, open_gone, open);
	snprintf(address, sizeof(address), "%s@%s", in->name, api_id(blocks, api->own_key));
	api_reply_more(call, open_endpoint, .node = api_id(blocks, api->own_key),
		       .address = varlink_text(blocks, address));
}

/* --- AcceptEndpoint --- */

/* accept_try: false: no stream waits. */
static bool accept_try(struct control_call *call, struct endpoint *endpoint, const char *name,
		       uint64_t now_ns)
{
	uint8_t key[MESH_KEY_LEN];
	int fd = provider_endpoint_take(endpoint, key, now_ns);
	struct api_accept_endpoint_out out;

	if (fd == WEFT_EABSENT)
		return false;
	out.node = api_id(control_blocks(call), key);
	if (fd < 0)
		control_fail(call, fd, name, "no descriptor is left", "close some");
	else
		control_reply_fd(call, api_accept_endpoint_out_write(&out), fd);
	return true;
}

static void accept_fail_absent(struct control_call *call, const char *name)
{
	control_fail(call, WEFT_EABSENT, name, "no program of this user has such an endpoint open",
		     "open it first, and leave that connection open");
}

static void accept_gone(void *arg)
{
	struct endpoint_call *waiting = arg;

	(void)provider_endpoint_wait(waiting->endpoint, NULL, NULL);
	free(waiting);
}

static void accept_ready(void *arg, bool is_closed, uint64_t now_ns)
{
	struct endpoint_call *waiting = arg;

	control_on_gone(waiting->call, NULL, NULL);
	if (is_closed || !accept_try(waiting->call, waiting->endpoint, waiting->name, now_ns))
		accept_fail_absent(waiting->call, waiting->name);
	free(waiting);
}

void api_accept_endpoint(struct api *api, struct control_call *call,
			 const struct api_accept_endpoint_in *in, uint64_t now_ns)
{
	struct control_caller caller = {.uid = 0};
	struct endpoint_call *waiting;
	struct endpoint *endpoint;

	if (!endpoints_are_on(api, call))
		return;
	(void)control_caller(call, &caller);
	endpoint = provider_endpoint_lookup(api->provider, in->name, caller.uid);
	if (!endpoint) {
		accept_fail_absent(call, in->name);
		return;
	}
	if (accept_try(call, endpoint, in->name, now_ns) ||
	    !(waiting = call_new(api, call, in->name)))
		return;
	waiting->endpoint = endpoint;
	if (!provider_endpoint_wait(endpoint, accept_ready, waiting)) {
		free(waiting);
		control_fail(call, WEFT_EBUSY, in->name, "another call waits for its streams",
			     "accept with one call at a time");
		return;
	}
	control_on_gone(call, accept_gone, waiting);
}

/* --- ConnectEndpoint --- */

static void connect_gone(void *arg)
{
	struct endpoint_call *waiting = arg;

	provider_endpoint_cancel(waiting->stream, waiting->api->home->now_ns);
	free(waiting);
}

static void connect_done(void *arg, int fd, const struct service_answer *answer, uint64_t now_ns)
{
	struct endpoint_call *waiting = arg;
	struct control_call *call = waiting->call;
	const struct api_connect_endpoint_out out = {
		.node = api_id(control_blocks(call), answer->provider)};

	(void)now_ns;
	control_on_gone(call, NULL, NULL);
	if (fd < 0 && waiting->is_tunnel && answer->status == SERVICE_NOT_FOUND)
		control_fail(call, WEFT_EREFUSED, waiting->name,
			     "that node forwards to no server: its forward.allow is empty",
			     "its owner lists the server for this node there");
	else if (fd < 0)
		api_service_open_fail(call, waiting->name, answer);
	else
		control_reply_fd(call, api_connect_endpoint_out_write(&out), fd);
	free(waiting);
}

/* target_write writes which service is asked for which stream. False: call was failed. */
static bool target_write(struct control_call *call, const struct api_connect_endpoint_in *in,
			 char service[static SERVICE_NAME_LEN_MAX + 1],
			 struct service_request *request)
{
	int len = snprintf(service, SERVICE_NAME_LEN_MAX + 1, in->name ? "endpoint.%s" : "%s",
			   in->name ? in->name : GATEWAY_SERVICE);

	if (!in->name == !in->address || len > SERVICE_NAME_LEN_MAX) {
		control_fail_parameter(call, in->name && !in->address ? "name" : "address");
		return false;
	}
	if (in->has_timeout_ms && (in->timeout_ms <= 0 || in->timeout_ms > TIMEOUT_MS_MAX)) {
		control_fail_parameter(call, "timeout_ms");
		return false;
	}
	request->target.name = service;
	request->target.method = in->name ? ENDPOINT_METHOD : GATEWAY_METHOD;
	request->payload = in->address;
	request->len = in->address ? strlen(in->address) : 0;
	request->timeout_ns = (uint64_t)in->timeout_ms * NS_PER_MS;
	return true;
}

/* node_read: this node is one, too. False: call was failed. */
static bool node_read(struct api *api, struct control_call *call, const char *text,
		      uint8_t key[static MESH_KEY_LEN])
{
	if (zbase32_parse(text, strlen(text), key, MESH_KEY_LEN) == MESH_KEY_LEN &&
	    memcmp(key, api->own_key, MESH_KEY_LEN) == 0)
		return true;
	return api_node_id_read(api, call, text, key);
}

void api_connect_endpoint(struct api *api, struct control_call *call,
			  const struct api_connect_endpoint_in *in, uint64_t now_ns)
{
	char service[SERVICE_NAME_LEN_MAX + 1];
	uint8_t provider[MESH_KEY_LEN];
	struct endpoint_ask ask = {.waits_for_mark = in->address, .done = connect_done};
	struct endpoint_call *waiting;
	struct control_caller caller;
	int err;

	if (!endpoints_are_on(api, call) || !target_write(call, in, service, &ask.request) ||
	    !node_read(api, call, in->node, provider))
		return;
	ask.request.target.provider = provider;
	if (control_caller(call, &caller))
		ask.request.target.asker = (struct service_asker){1, caller.uid, caller.pid};
	if (!(waiting = call_new(api, call, in->name ? in->name : in->address)))
		return;
	waiting->is_tunnel = in->address;
	ask.arg = waiting;
	err = provider_endpoint_connect(api->provider, &ask, now_ns, &waiting->stream);
	if (err < 0) {
		free(waiting);
		api_service_start_fail(call, err, service);
		return;
	}
	control_on_gone(call, connect_gone, waiting);
}
