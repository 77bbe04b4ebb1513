/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROVIDER_ENDPOINT_PROGRAM_ENDPOINT_H
#define WEFT_PROVIDER_ENDPOINT_PROGRAM_ENDPOINT_H

#include "service/service.h"

struct fair_view;
struct provider;

/*
 * Endpoints: a local program has a name at this node, other nodes connect to it, and each stream is
 * a socket in the program's hands. An endpoint NAME is the service "endpoint.NAME" of this node,
 * which is not published: only callers that know this node reach it. It lasts as long as its
 * program keeps it open, and is not in the store. Its streams outlast it.
 *
 * A stream is open for its caller as soon as it waits here. Bytes that come before the program
 * accepts it wait in the provider's memory (service.program_memory).
 *
 * Callers can fill the places of streams, and of each endpoint the places of those
 * that wait. Both are shared fairly by network, address and key (base/fair/fair.h). A full
 * one takes from the network that has most: a peer with many keys evicts its own streams.
 * Programs of this node fill the sockets of streams that they open; those of callers are apart.
 */
#define ENDPOINT_NAME_LEN_MAX (SERVICE_NAME_LEN_MAX - 9) /* behind "endpoint." */
#define ENDPOINT_MAX	      32			 /* endpoints open at once */
#define ENDPOINT_WAITING_MAX  32  /* streams that wait for the program, of one endpoint */
#define ENDPOINT_STREAM_MAX   256 /* streams of callers, of all endpoints */
#define ENDPOINT_ASKED_MAX    256 /* streams that programs of this node open */

struct endpoint;
struct endpoint_params {
	const char *name;
	uint32_t user;			      /* its programs accept */
	const uint8_t (*allow)[MESH_KEY_LEN]; /* none: every caller */
	unsigned allow_cnt;
};
/*
 * provider_endpoint_open: 0, or with *out_why in a few words WEFT_EMALFORMED (name), WEFT_EEXISTS,
 * WEFT_EFULL. provider_endpoint_close: streams that wait end, accepted ones go on.
 */
WEFT_MUST_CHECK
int provider_endpoint_open(struct provider *provider, const struct endpoint_params *params,
			   uint64_t now_ns, struct endpoint **out_endpoint, const char **out_why);
void provider_endpoint_close(struct endpoint *endpoint, uint64_t now_ns);
/* provider_endpoint_lookup: the open endpoint of name and user, or NULL. */
struct endpoint *provider_endpoint_lookup(struct provider *provider, const char *name,
					  uint32_t user);
/*
 * provider_endpoint_take gives the descriptor of the stream that waits longest, which the caller
 * owns, and the key of its node. WEFT_EABSENT: none waits; -errno: no descriptor could be made.
 * provider_endpoint_wait: ready is called, from the loop, when a stream waits or the endpoint is
 * closed, whose is_closed is then true; once. NULL: no more. False: another call waits.
 */
WEFT_MUST_CHECK
int provider_endpoint_take(struct endpoint *endpoint, uint8_t out_key[MESH_KEY_LEN],
			   uint64_t now_ns);
typedef void (*endpoint_ready_fn)(void *arg, bool is_closed, uint64_t now_ns);
bool provider_endpoint_wait(struct endpoint *endpoint, endpoint_ready_fn ready, void *arg);

/*
 * A stream that a program of this node opens. done comes once, from the loop, with a descriptor
 * that the callee owns, or with -1 and answer, which says why. waits_for_mark: only when the
 * provider said that it is ready.
 */
struct endpoint_stream;
struct endpoint_ask {
	struct service_request request; /* events and arg are not used */
	bool waits_for_mark;
	void (*done)(void *arg, int fd, const struct service_answer *answer, uint64_t now_ns);
	void *arg;
};
/* provider_endpoint_connect: as service_channel_open. _cancel: done does not come. */
WEFT_MUST_CHECK
int provider_endpoint_connect(struct provider *provider, const struct endpoint_ask *ask,
			      uint64_t now_ns, struct endpoint_stream **out_stream);
void provider_endpoint_cancel(struct endpoint_stream *stream, uint64_t now_ns);

/* The fills of the bounds above; waiting: of the fullest endpoint. */
struct endpoint_fills {
	uint32_t open_cnt, stream_cnt, asked_cnt, waiting_cnt;
	uint64_t refused_cnt; /* streams of callers */
};
void provider_endpoint_fills(const struct provider *provider, struct endpoint_fills *out);
/* provider_endpoint_{places,waiting}: the holders of streams, and of those that wait. */
void provider_endpoint_places(const struct provider *provider, struct fair_view *out);
void provider_endpoint_waiting(const struct provider *provider, struct fair_view *out);

#endif
