/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WEFT_CLIENT_H
#define WEFT_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weft/err.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * libweft: a program's way into the mesh, by the control socket of the weftd
 * on this machine. A program calls services, streams to them, offers services,
 * watches events, shares and gets. weft(3) is the manual.
 *
 * Parameters: a struct with a designated initialiser; what is not set has its
 * default. The struct and what it points to are borrowed for the call, but
 * events, handler and arg, which stay.
 *
 * Threads: a client and all objects made of it belong to one thread at a
 * time; clients share nothing. The library starts no thread, installs no
 * signal handler and raises no SIGPIPE.
 *
 * Waiting: functions with timeout_ms and an outcome wait for the outcome and
 * call nothing back. Callbacks come from weft_client_dispatch. A program with a
 * loop of its own waits until weft_client_fd is readable and dispatches with 0.
 * timeout_ms: 0 or less for no end. A callback may call any function but
 * weft_client_close and weft_client_dispatch, and may end its own object.
 *
 * Connection: all calls of a client share one connection to the daemon. Each
 * stream has its own.
 *
 * Errors: 0 or more is success; else a code of enum weft_err or a negative
 * errno. An error parameter may be NULL, and is written on failure only.
 *
 * Text is UTF-8 and NUL-terminated. Arguments of a callback are borrowed for
 * the call.
 */
struct weft_error {
	int err;
	char what[128]; /* which object */
	char why[256];
	char next[256]; /* what to do about it; may be empty */
};

struct weft_client;

/*
 * weft_client_open connects to the daemon. path: of its control socket; NULL:
 * $WEFT_SOCKET, else the user's own daemon if it runs, else the system's. A
 * client must be closed.
 */
WEFT_MUST_CHECK
int weft_client_open(const char *path, int timeout_ms, struct weft_client **out_client,
		     struct weft_error *error);
/* weft_client_close ends all that was made of client; nothing is called back. */
void weft_client_close(struct weft_client *client);
/* weft_client_fd: readable when there is something to dispatch. Only to poll. */
int weft_client_fd(const struct weft_client *client);
/*
 * weft_client_dispatch waits for something to do and does it; timeout_ms is that of
 * poll(2). Returns 0; -EINTR: a signal came.
 */
int weft_client_dispatch(struct weft_client *client, int timeout_ms);

/*
 * Any method of the daemon, with its interface ("net.weft.Network.ListPeers");
 * parameters and replies are JSON objects as text. weft_ask waits for the one reply, which the
 * caller frees with free().
 */
struct weft_ask_params {
	const char *method;
	const char *parameters; /* NULL: none */
	int timeout_ms;
};
WEFT_MUST_CHECK
int weft_ask(struct weft_client *client, const struct weft_ask_params *params, char **out_json,
	     struct weft_error *error);
/*
 * weft_watch_open gives fn each reply as it comes, and the end: json is NULL then, and
 * error says why if it failed. The watch is gone after the end. The method WatchEvents
 * has the daemon's events.
 */
struct weft_watch;
typedef void (*weft_watch_fn)(void *arg, const char *json, const struct weft_error *error);
struct weft_watch_params {
	const char *method;
	const char *parameters; /* NULL: none */
	weft_watch_fn fn;
	void *arg;
};
WEFT_MUST_CHECK
int weft_watch_open(struct weft_client *client, const struct weft_watch_params *params,
		    struct weft_watch **out_watch, struct weft_error *error);
void weft_watch_close(struct weft_watch *watch);

/* How a call or a stream ended. */
enum weft_call_status {
	WEFT_CALL_OK = 0,
	WEFT_CALL_UNKNOWN_ERROR = 1, /* the service failed */
	WEFT_CALL_SERVICE_NOT_FOUND = 2,
	WEFT_CALL_METHOD_NOT_FOUND = 3,
	WEFT_CALL_INVALID_PAYLOAD = 4,
	WEFT_CALL_TIMEOUT = 5,
	WEFT_CALL_RATE_LIMITED = 6,
	WEFT_CALL_UNAUTHORIZED = 7,
	WEFT_CALL_FORBIDDEN = 8,
	WEFT_CALL_PAYLOAD_TOO_LARGE = 9,
	WEFT_CALL_UNAVAILABLE = 10,
};

/* Which service: by its name; the others may be NULL. */
struct weft_target {
	const char *service;
	const char *version;	 /* "^1", ">=1.2.0 <3" */
	const char *provider;	 /* a node's id; NULL: the best that is known */
	bool is_signed;		 /* the call carries this node's signature */
	const char *traceparent; /* W3C Trace Context of the call; NULL: none */
};

/* A call. timeout_ms: its deadline, which the provider knows; 0 or less: the service's. */
struct weft_call_params {
	struct weft_target target;
	const char *method;
	const void *payload;
	size_t len;
	int timeout_ms;
};

struct weft_reply {
	enum weft_call_status status;
	const char *text; /* why, when status is not WEFT_CALL_OK */
	const void *payload;
	size_t len;
	const char *provider; /* the node that answered, or "" */
	uint64_t took_us;
	uint64_t not_before_ms; /* when to ask again; 0: no hint */
};

/*
 * weft_call calls a method of a service and waits. A call that was answered
 * returns 0, whatever its status. *out_reply is freed by weft_reply_free.
 */
WEFT_MUST_CHECK
int weft_call(struct weft_client *client, const struct weft_call_params *params,
	      struct weft_reply **out_reply, struct weft_error *error);
void weft_reply_free(struct weft_reply *reply);

/*
 * weft_call_start does not wait: fn is called once, with reply NULL when none came.
 * weft_call_cancel: fn is not called, and the provider's call is cancelled.
 *
 * A program may have about 2,000 calls under way (control.calls of
 * weft.conf(5)); beyond that error is WEFT_EFULL, and the others go on. Replies
 * that wait for a program which does not read are bounded.
 */
struct weft_pending;
typedef void (*weft_call_fn)(void *arg, const struct weft_reply *reply,
			     const struct weft_error *error);
struct weft_call_done {
	weft_call_fn fn;
	void *arg;
};
WEFT_MUST_CHECK
int weft_call_start(struct weft_client *client, const struct weft_call_params *params,
		    struct weft_call_done done, struct weft_pending **out_pending,
		    struct weft_error *error);
void weft_call_cancel(struct weft_pending *pending);

/*
 * Streams, the same on both sides. Messages go both ways, in pieces: flags say
 * whether a message is text, and whether another piece of the same message
 * follows.
 * opened: the provider took it; only the side that opened it hears that.
 * finished: the other side sends no more. writable: after WEFT_EFULL. ended is
 * the last event and comes once; the stream is gone when it returns. A function
 * may be NULL.
 */
struct weft_stream;
enum { WEFT_STREAM_TEXT = 1, WEFT_STREAM_MORE = 2 };
#define WEFT_STREAM_PIECE_MAX (256 * 1024) /* bytes */
struct weft_stream_events {
	void (*opened)(void *arg, struct weft_stream *stream, const char *provider);
	void (*piece)(void *arg, struct weft_stream *stream, const void *data, size_t len,
		      unsigned flags);
	void (*finished)(void *arg, struct weft_stream *stream);
	void (*writable)(void *arg, struct weft_stream *stream);
	void (*ended)(void *arg, struct weft_stream *stream, enum weft_call_status status,
		      const char *text);
};
/* head is sent with the opening; timeout_ms: until the provider took it. */
struct weft_stream_params {
	struct weft_target target;
	const char *method; /* what the service calls a channel */
	const void *head;
	size_t len;
	int timeout_ms;
	const struct weft_stream_events *events;
	void *arg;
};
WEFT_MUST_CHECK
int weft_stream_open(struct weft_client *client, const struct weft_stream_params *params,
		     struct weft_stream **out_stream, struct weft_error *error);
/*
 * weft_stream_send copies a piece. 0, WEFT_EFULL (a megabyte waits, nothing
 * was taken, writable follows), WEFT_ETOOLARGE, WEFT_ECLOSED (after finish),
 * -ENOMEM. Pieces may be sent before opened.
 */
WEFT_MUST_CHECK
int weft_stream_send(struct weft_stream *stream, const void *data, size_t len, unsigned flags);
/* weft_stream_finish: no more is sent; the other direction goes on. */
void weft_stream_finish(struct weft_stream *stream);
/* weft_stream_pause stops pieces from coming, and thereby the other side, until it is undone. */
void weft_stream_pause(struct weft_stream *stream, bool is_paused);
/* weft_stream_end ends both directions; no event follows, and stream is gone. */
void weft_stream_end(struct weft_stream *stream, enum weft_call_status status, const char *text);

/*
 * Events of a topic of a service. fn gets each as it comes, and notices: a
 * subscription begins with one. When the provider is lost the subscription goes on
 * there or at the next one. With event NULL it has ended, error says why, and it
 * is gone.
 */
struct weft_event {
	const char *topic;
	const char *provider; /* the node that it came from */
	const char *position; /* for since */
	uint64_t sequence;    /* of the topic, one more than the one before */
	uint64_t lost;	      /* events right before this one that never came */
	uint64_t at_ms;	      /* since 1970, by the provider's clock; 0 in a notice */
	const void *data;     /* NULL: a notice */
	size_t len;
};
struct weft_subscription;
typedef void (*weft_event_fn)(void *arg, const struct weft_event *event,
			      const struct weft_error *error);
/*
 * since: NULL for what comes from now on, or the position of the last event that the
 * program has. A position of another history, as after a restart of the provider,
 * begins at the oldest event that is kept.
 */
struct weft_subscribe_params {
	struct weft_target target;
	const char *topic;
	const char *since;
	weft_event_fn fn;
	void *arg;
};
WEFT_MUST_CHECK
int weft_subscribe(struct weft_client *client, const struct weft_subscribe_params *params,
		   struct weft_subscription **out_subscription, struct weft_error *error);
void weft_subscription_close(struct weft_subscription *subscription);
/*
 * weft_publish sends an event to all subscribers of a topic, and waits until the
 * daemon has it. The topic is of a service that a program of this node offers.
 * topic: 1 to 96 of letters, digits and . _ : / -. At most 64 KiB. out_sequence
 * may be NULL.
 */
struct weft_publish_params {
	const char *service;
	const char *topic;
	const void *data;
	size_t len;
	int timeout_ms;
};
WEFT_MUST_CHECK
int weft_publish(struct weft_client *client, const struct weft_publish_params *params,
		 uint64_t *out_sequence, struct weft_error *error);

/*
 * A call that the offering program has to answer, or the opening of a stream. Its strings
 * live as long as it does.
 */
struct weft_request;
struct weft_request_info {
	const char *method;
	const char *caller;	 /* a node's id */
	const char *correlation; /* 32 hexadecimal letters */
	int ms_left;		 /* when it came */
	const void *payload;
	size_t len;
	const char *traceparent; /* for calls made for this one; NULL: none */
};
/*
 * call: answer now or later, once, by weft_request_reply or _fail; a call
 * whose daemon is gone is answered all the same. stream: take it by
 * weft_request_accept in the call, else it is refused. A function that is NULL
 * answers WEFT_CALL_METHOD_NOT_FOUND.
 */
struct weft_handler {
	void (*call)(void *ctx, struct weft_request *request, const struct weft_request_info *info);
	void (*stream)(void *ctx, struct weft_request *request,
		       const struct weft_request_info *info);
};

/*
 * Offering a service. weft_offer_open listens on a unix socket and publishes
 * the service; the daemon connects to it. The daemon keeps the offer, also
 * over restarts of either, until weft_offer_close withdraws it.
 */
struct weft_offering {
	const char *name;
	const char *version;	  /* NULL: "1.0.0" */
	const char *socket_path;  /* absolute; an abandoned socket there is replaced */
	unsigned calls_per_min;	  /* of one caller; 0: the configured default */
	const char *const *allow; /* ids of nodes that may call, ends with NULL; NULL: all nodes */
	const char *const *metadata; /* key, value, key, value, NULL; or NULL */
	/*
	 * Methods that change nothing, ends with NULL; or NULL: none. A caller whose connection
	 * is lost may repeat a call of one. "*" stands for all.
	 */
	const char *const *read_only;
	bool needs_signature; /* unsigned calls of other nodes are refused */
	/*
	 * Calls and streams that it takes at once; 0: 16. More calls wait at the daemon, in turn by
	 * caller. Beyond a bound they are refused, with a time to ask again.
	 */
	unsigned concurrency;
	/*
	 * The description of its methods, at most 16 KiB: a varlink interface, or JSON as
	 * docs/services.md has it. NULL: only the names in read_only.
	 */
	const char *description;
	const struct weft_handler *handler;
	void *ctx; /* for handler */
};
struct weft_offer;
WEFT_MUST_CHECK
int weft_offer_open(struct weft_client *client, const struct weft_offering *offering,
		    struct weft_offer **out_offer, struct weft_error *error);
/*
 * weft_offer_close withdraws it and waits for the daemon. Open requests are still to be
 * answered; the answers are dropped.
 */
void weft_offer_close(struct weft_offer *offer);

/*
 * Capabilities: what the daemon keeps and does for a service beside its calls. A program declares
 * them with the offer. What was not declared is refused: WEFT_EREFUSED, and error names the
 * capability. Beyond what was declared it is WEFT_EFULL. Beyond a fair share of what all programs of
 * the node have it is WEFT_EBUSY. Zeros and NULL are none.
 *
 * A program has timers of its own: weft_client_dispatch waits until the next one is due.
 */
struct weft_capabilities {
	uint64_t rows;		     /* that it keeps, at most 1,000,000 */
	uint64_t row_bytes;	     /* of their keys and values, at most 1 GiB */
	const char *const *tags;     /* of its overlay values: 8 of 16 letters, ends with NULL */
	const char *const *counters; /* 16 names of 32 letters, ends with NULL */
};
/* weft_offer_open_with is weft_offer_open for a service with capabilities; NULL: none. */
WEFT_MUST_CHECK
int weft_offer_open_with(struct weft_client *client, const struct weft_offering *offering,
			 const struct weft_capabilities *capabilities,
			 struct weft_offer **out_offer, struct weft_error *error);

/*
 * Rows: keys and values that the daemon keeps for the service. They belong to its name, the first
 * number of its version, and the Unix user of the program. They outlive the program, the daemon and
 * the offer, until the user deletes them. A key has 1 to 255 bytes, a value at most 256 KiB.
 *
 * weft_rows_write changes rows, all or none; it returns when that is durable. At most 1,000 rows and
 * 512 KiB. weft_row_read gives a row, which weft_row_free frees; WEFT_EABSENT: there is none.
 * weft_rows_read calls fn for the rows whose keys begin with prefix, in the order of their keys,
 * until fn returns false. fn calls no function of this library. All wait at most 30 s, the last one
 * for each 100 rows.
 */
struct weft_row {
	const void *key;
	size_t key_len;
	const void *value; /* NULL: to be deleted */
	size_t len;
};
WEFT_MUST_CHECK
int weft_rows_write(struct weft_offer *offer, const struct weft_row *rows, size_t cnt,
		    struct weft_error *error);
WEFT_MUST_CHECK
int weft_row_read(struct weft_offer *offer, const void *key, size_t key_len,
		  struct weft_row **out_row, struct weft_error *error);
void weft_row_free(struct weft_row *row);
typedef bool (*weft_row_fn)(void *arg, const struct weft_row *row);
struct weft_rows_read_params {
	const void *prefix; /* of length 0: all rows */
	size_t prefix_len;
	weft_row_fn fn;
	void *arg;
};
WEFT_MUST_CHECK
int weft_rows_read(struct weft_offer *offer, const struct weft_rows_read_params *params,
		   struct weft_error *error);

/*
 * Values of the overlay: what programs of a service tell each other on all nodes, without a
 * connection. A value lies under the service, a declared tag and a key of 1 to 128 bytes. It has at
 * most 4 KiB, is signed by this node, and any node can get it. Each node has one there.
 *
 * weft_value_put replaces that of this node and returns when other nodes have it; out_nodes, how
 * many, may be NULL. It expires after life_s. A program puts it again before, also after a restart.
 * weft_values_get calls fn for the newest value of each node, until fn returns false. fn calls no
 * function of this library.
 */
struct weft_value_put_params {
	const char *tag;
	const void *key;
	size_t key_len;
	const void *value;
	size_t len;
	unsigned life_s; /* 60 to 604,800; 0: a day */
	int timeout_ms;
};
WEFT_MUST_CHECK
int weft_value_put(struct weft_offer *offer, const struct weft_value_put_params *params,
		   unsigned *out_nodes, struct weft_error *error);
struct weft_value {
	const char *node; /* the one that put it */
	const void *value;
	size_t len;
	uint64_t created_s, expires_s; /* since 1970, by that node's clock */
};
typedef bool (*weft_value_fn)(void *arg, const struct weft_value *value);
struct weft_values_get_params {
	const char *tag;
	const void *key;
	size_t key_len;
	int timeout_ms;
	weft_value_fn fn;
	void *arg;
};
WEFT_MUST_CHECK
int weft_values_get(struct weft_offer *offer, const struct weft_values_get_params *params,
		    struct weft_error *error);

/*
 * weft_count adds cnt, at least 1, to a declared counter. weft service show and /metrics have its
 * count since the offer was made or the daemon started.
 */
WEFT_MUST_CHECK
int weft_count(struct weft_offer *offer, const char *counter, uint64_t cnt,
	       struct weft_error *error);

void weft_request_reply(struct weft_request *request, const void *payload, size_t len);
/* weft_request_fail: the caller gets status and text. */
void weft_request_fail(struct weft_request *request, enum weft_call_status status,
		       const char *text);
/* weft_request_accept: NULL when there is no memory. request is gone. */
WEFT_MUST_CHECK
struct weft_stream *weft_request_accept(struct weft_request *request,
					const struct weft_stream_events *events, void *arg);

/*
 * Endpoints: a name of this node that other nodes connect to, and streams that are ordinary sockets.
 * weft_connect and weft_accept return a descriptor. It blocks, and the caller owns it. Read, write,
 * poll, shutdown and close do what they do on any stream socket. What is not read holds the writer
 * back. shutdown(fd, SHUT_WR) ends one direction, and the other side reads the end of the file after
 * the last byte. A stream that fails ends the same way, or by ECONNRESET or EPIPE. A protocol that
 * must tell a whole stream from a cut one says its length.
 *
 * weft_endpoint_open: other nodes can connect until weft_endpoint_close, or until the daemon ends.
 * Streams that wait to be accepted are bounded, and shared fairly between their nodes' networks.
 * Accepted streams go on after weft_endpoint_close.
 */
struct weft_endpoint;
struct weft_endpoint_params {
	const char *name;	  /* [a-z0-9] and inner '-', '.'; at most 55 */
	const char *const *allow; /* ids of nodes that may connect, ends with NULL; NULL: all */
	int timeout_ms;
};
WEFT_MUST_CHECK
int weft_endpoint_open(struct weft_client *client, const struct weft_endpoint_params *params,
		       struct weft_endpoint **out_endpoint, struct weft_error *error);
void weft_endpoint_close(struct weft_endpoint *endpoint);
/* weft_endpoint_id: the id of this node. weft_endpoint_address: NAME@ID. Both live as long as it. */
const char *weft_endpoint_id(const struct weft_endpoint *endpoint);
const char *weft_endpoint_address(const struct weft_endpoint *endpoint);
/* weft_endpoint_fd: readable when weft_accept need not wait. Only to poll. */
int weft_endpoint_fd(const struct weft_endpoint *endpoint);
/*
 * weft_accept waits for a stream and returns its descriptor. peer: gets the id of the stream's node;
 * NULL: not wanted. WEFT_ETIMEOUT; WEFT_ECLOSED: the endpoint is gone, and is still to be closed.
 */
#define WEFT_NODE_ID_CAP 64
WEFT_MUST_CHECK
int weft_accept(struct weft_endpoint *endpoint, int timeout_ms, char peer[WEFT_NODE_ID_CAP],
		struct weft_error *error);
/*
 * weft_connect connects to the endpoint name at node, or, instead, to the TCP server at address,
 * ADDRESS:PORT, that the private gateway of node forwards to. Returns a descriptor.
 */
struct weft_connect_params {
	const char *node; /* its id */
	const char *name;
	const char *address;
	int timeout_ms;
};
WEFT_MUST_CHECK
int weft_connect(struct weft_client *client, const struct weft_connect_params *params,
		 struct weft_error *error);

/*
 * weft_share shares a folder or file and waits until it is hashed; *out_link
 * is freed with free(). timeout_ms: for the daemon to say that it began.
 */
struct weft_share_params {
	const char *path;
	const char *title; /* NULL: the name of the folder or file */
	int timeout_ms;
};
WEFT_MUST_CHECK
int weft_share(struct weft_client *client, const struct weft_share_params *params, char **out_link,
	       struct weft_error *error);
/*
 * weft_get fetches what link names into a folder and waits for the end. When progress
 * returns false the waiting ends with WEFT_ECANCELLED, and the get goes on in the
 * daemon. timeout_ms: as above.
 */
typedef bool (*weft_progress_fn)(void *arg, uint64_t done_bytes, uint64_t total_bytes);
struct weft_get_params {
	const char *link;
	const char *folder;
	int timeout_ms;
	weft_progress_fn progress; /* NULL: none */
	void *arg;
};
WEFT_MUST_CHECK
int weft_get(struct weft_client *client, const struct weft_get_params *params,
	     struct weft_error *error);

#ifdef __cplusplus
}
#endif

/* Offers of services are a part of the library, and a header of their own. */
#include "weft/service_offer.h"

#endif
