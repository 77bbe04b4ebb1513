/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_API_HTTP_WEB_MESH_H
#define WEFT_API_HTTP_WEB_MESH_H

#include <jansson.h>

#include "base/memory/arena.h"
#include "base/memory/heap.h"
#include "base/memory/pool.h"
#include "base/timer.h"
#include "gateway/gateway.h"
#include "service/directory/directory.h"
#include "service/http_envelope.h"
#include "service/directory/named.h"
#include "service/service.h"
#include "service/topics/subscription.h"

/*
 * Requests and WebSockets on their way to services, for web_routes.c.
 *
 *	web_mesh.c	  whether the service may be called; what a status means
 *	web_mesh_target.c which service, node and version is meant
 *	web_mesh_kind.c	  what it takes: HTTP, if its descriptor says kind=http, or calls
 *	web_mesh_http.c	  HTTP: a stream that begins with the request's head
 *	web_mesh_call.c	  one call, and one reply
 *	web_mesh_socket.c a WebSocket: a stream, messages both ways
 *	web_mesh_events.c server-sent events: a subscription of a topic
 *
 * Home worker.
 */
#define WEB_MESH_QUERY_CAP   2048 /* as long as a target may be */
#define WEB_MESH_SEGMENT_CAP 256
#define WEB_MESH_BASE_CAP    (WEB_MESH_SEGMENT_CAP + 16) /* "/mesh/http/" and a segment */

struct web_mesh;

struct web_mesh_params {
	const char *services; /* names, or NAME/METHOD, separated by commas */
	unsigned run_cap;
	size_t memory_cap; /* bodies of calls, heads */
	size_t body_len_max;
	size_t body_log_len; /* of a request's body, in the log; 0: nothing of it */
	uint64_t timeout_ns;
	struct timer_wheel *timers;
	/* The fabric may come later than this, and go: NULL while it is not there. */
	struct service *(*service)(void *ctx);
	struct service_directory *(*directory)(void *ctx);
	void *ctx;
	const uint8_t *own_key; /* of this node, borrowed for life; NULL: not known (tests) */
};
size_t api_http_mesh_footprint(unsigned run_cap, size_t memory_cap);
/* api_http_mesh_new: 0, WEFT_EFULL, WEFT_ETOOLARGE (services) or -errno. params are copied, services too. */
WEFT_MUST_CHECK
int api_http_mesh_new(const struct web_mesh_params *params, struct web_mesh **out_mesh);
/* api_http_mesh_free: behind the gateway, before the fabric. Takes NULL. */
void api_http_mesh_free(struct web_mesh *mesh);
#define WEB_MESH_ROUTE_CNT 5
void api_http_mesh_routes(struct web_mesh *mesh,
			  struct gateway_route routes[static WEB_MESH_ROUTE_CNT]);

/* api_http_mesh_query_json makes a JSON object of a query's parameters, or NULL: they are not in UTF-8. */
json_t *api_http_mesh_query_json(const char *query);

/* api_http_mesh_site: what stands in front of .localhost for NAME or NAME@NODE. WEFT_EMALFORMED or WEFT_EABSENT. */
WEFT_MUST_CHECK
int api_http_mesh_site(const struct web_mesh *mesh, const char *name,
		       char out_site[static GATEWAY_SITE_CAP]);

/* Private to web_mesh*.c from here on. */

/* An entry of gateway.services. */
struct web_mesh_service {
	char name[SERVICE_NAME_LEN_MAX + 1];
	char method[SERVICE_METHOD_LEN_MAX + 1]; /* "": all of them */
};

/* The target of the request, from path and host. */
struct web_mesh_target {
	struct service_named service;
	const char *rest; /* behind the name: "" or from '/'; borrowed */
	bool is_site;	  /* asked at an origin of its own */
};

struct web_mesh {
	struct web_mesh_params params;
	struct arena arena;
	struct pool runs;
	struct heap *heap;
	struct web_mesh_service services[GATEWAY_NAMES_MAX];
	unsigned service_cnt;
};

/* One request or WebSocket. It lives as long as its exchange, find, call or channel. */
struct web_mesh_run {
	struct web_mesh *mesh;
	struct gateway_exchange *exchange; /* NULL: it is over */
	struct service_find *find;	   /* each NULL: none, or it is over */
	struct service_ask *ask;
	struct service_channel *channel;
	struct service_subscription *subscription; /* the run's own */
	struct timer timer;			   /* the service has to move until then */
	uint64_t sought_ns; /* the look for what it takes: when it began, then how long it took */
	struct web_mesh_target target;		 /* without rest */
	char method[SERVICE_METHOD_LEN_MAX + 1]; /* of a call, or a WebSocket's channel */
	enum gateway_method verb;
	bool is_head;
	bool is_upgrade; /* of a site: it asks for a WebSocket, to a web server or to a service of calls */
	bool is_tunnel; /* and a web server agreed */
	enum gateway_proof proof;
	bool has_trace; /* the request belongs to one; of a call or a stream of a service */
	struct service_trace trace;
	char query[WEB_MESH_QUERY_CAP + 1];
	char base
		[WEB_MESH_BASE_CAP]; /* of the service's paths as the client has them; "" of a site */
	uint8_t provider[MESH_KEY_LEN];
	bool is_opened;
	bool is_begun; /* the reply's head is out */
	bool is_body_whole;
	bool has_said_len; /* of the body; it is said_len */
	uint64_t said_len;
	uint64_t
		body_len_max; /* of a body to a service of HTTP; what its provider takes, if that is more */
	size_t logged_len; /* of the request's body; at most body_log_len */
	size_t unused_len; /* bytes of the channel that wait to be sent */
	uint8_t *data;	   /* of the heap: a request's or an answer's head, or a call's body */
	size_t len, cap;
};

/* api_http_mesh_run_end lets go of what the run has, exchange and channel aside; it is gone. */
void api_http_mesh_run_end(struct web_mesh_run *run);
/* api_http_mesh_run_fail answers for a status that is not SERVICE_OK; the exchange is over. */
void api_http_mesh_run_fail(struct web_mesh_run *run, const struct service_answer *answer,
			    uint64_t now_ns);
void api_http_mesh_run_refuse(struct web_mesh_run *run, const struct gateway_error *error,
			      uint64_t now_ns);
/* api_http_mesh_run_patience: the service has the configured time from now on. */
void api_http_mesh_run_patience(struct web_mesh_run *run, uint64_t now_ns);
/* api_http_mesh_run_left_ns: of the configured time, what the look for the service has left. */
uint64_t api_http_mesh_run_left_ns(const struct web_mesh_run *run);
/* api_http_mesh_run_collect appends to data, of at most len_max bytes. WEFT_ETOOLARGE or WEFT_EFULL. */
WEFT_MUST_CHECK
int api_http_mesh_run_collect(struct web_mesh_run *run, const uint8_t *data, size_t len,
			      size_t len_max);
/* api_http_mesh_body_log: piece was taken; logs what of it the configuration wants, as visible letters. */
void api_http_mesh_body_log(struct web_mesh_run *run, const struct gateway_piece *piece);
/* api_http_mesh_run_used: len bytes came from the channel; they are consumed as the client reads. */
void api_http_mesh_run_used(struct web_mesh_run *run, size_t len);
void api_http_mesh_run_drained(void *arg, uint64_t now_ns);
/* api_http_mesh_run_writable: the channel takes more, so the client is read again. */
void api_http_mesh_run_writable(void *arg, uint64_t now_ns);
/*
 * api_http_mesh_run_target: the target of a call or stream of method, borrowed from run. The own
 * node is the last one unless the query says prefer=local.
 */
struct service_target api_http_mesh_run_target(const struct web_mesh_run *run, const char *method);
bool api_http_mesh_is_own(const struct web_mesh *mesh, const uint8_t *key);
/* api_http_mesh_prefers_local: the query has prefer=local. */
bool api_http_mesh_prefers_local(const char *query);
/*
 * A room of pod-chat is named pod=ID@NODE where it is not of this node. api_http_mesh_pod_read makes NODE
 * the provider; false: it is no node id, or not the node that service names. api_http_mesh_pod_strip
 * leaves pod=ID of it.
 */
WEFT_MUST_CHECK
bool api_http_mesh_pod_read(const char *query, struct service_named *service);
void api_http_mesh_pod_strip(const struct service_named *service, char *query);
/*
 * api_http_mesh_target_parse reads path from the service's name on; _of_site what stands in front of
 * .localhost. False: no service can be called so.
 */
bool api_http_mesh_target_parse(const char *path, struct web_mesh_target *out_target);
bool api_http_mesh_target_of_site(const char *site, const char *path,
				  struct web_mesh_target *out_target);
/* api_http_mesh_provider_line writes the field that says which node answered. Returns lines. */
#define WEB_MESH_LINES_CAP 160
char *api_http_mesh_provider_line(const uint8_t provider[MESH_KEY_LEN],
				  char lines[static WEB_MESH_LINES_CAP]);
bool api_http_mesh_allows(const struct web_mesh *mesh, const char *name, const char *method);

struct service *api_http_mesh_service(const struct web_mesh *mesh);
extern const struct gateway_error api_http_mesh_too_long, api_http_mesh_busy,
	api_http_mesh_bad_query, api_http_mesh_not_allowed, api_http_mesh_no_service;

/*
 * Each takes the run, answers for what goes wrong, and lets go of it in the
 * end. kind_begin finds out which of the next two it is; the request's head lies
 * in the run's data (api_http_mesh_http_head).
 */
void api_http_mesh_kind_begin(struct web_mesh_run *run, uint64_t now_ns);
void api_http_mesh_http_begin(struct web_mesh_run *run, uint64_t now_ns);
void api_http_mesh_call_begin(struct web_mesh_run *run, uint64_t now_ns);
void api_http_mesh_socket_begin(struct web_mesh_run *run, uint64_t now_ns);
/*
 * api_http_mesh_subscription_read: which topic, and since when by Last-Event-ID or the query's since; false: neither can be.
 * api_http_mesh_events_begin: NULL, or why not: run is then still its caller's.
 */
bool api_http_mesh_subscription_read(const struct gateway_request *request, const char *topic,
				     struct service_subscription_params *out_params);
const struct gateway_error *
api_http_mesh_events_begin(struct web_mesh_run *run,
			   const struct service_subscription_params *params, uint64_t now_ns);

/* api_http_mesh_http_head writes the request's head; rest is the path behind the service's name. */
WEFT_MUST_CHECK
int api_http_mesh_http_head(struct web_mesh_run *run, const struct gateway_request *request,
			    const char *rest);

/* api_http_mesh_kinds_json: the services that may be called, and what is known of them. */
json_t *api_http_mesh_kinds_json(const struct web_mesh *mesh, uint64_t now_ns);

#endif
