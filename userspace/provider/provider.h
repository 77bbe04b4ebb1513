/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROVIDER_PROVIDER_H
#define WEFT_PROVIDER_PROVIDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/figure.h"
#include "provider/exec/launcher.h"
#include "service/service.h"
#include "weft/err.h"

struct launcher;
struct poller;
struct provider_tenant;
struct provider_tenants;
struct store;
struct timer_wheel;

/*
 * Local programs as services of the mesh: their offers, their health, and the way of a call to
 * them.
 *
 *	http.c    any HTTP/1.1 server: streams of method HttpInvoke, bodies never held whole
 *	program_socket.c  a program on a unix socket that speaks net.weft.Service: calls and streams
 *	exec.c    a program that is run once per call: payload on stdin, reply on stdout
 *
 * An offer is ready, and so published, while its health check succeeds. Offers are kept in the
 * store and are there again after a restart, kill -9 included. Home worker; nothing blocks; a full
 * pool refuses.
 */
struct provider;

enum provider_kind { PROVIDER_HTTP, PROVIDER_SOCKET, PROVIDER_EXEC, PROVIDER_KIND_CNT };
/*
 * provider_kind_name: "http", "socket", "exec"; provider_kind_parse reads it: false: none of them.
 */
const char *provider_kind_name(enum provider_kind kind);
bool provider_kind_parse(const char *name, enum provider_kind *out_kind);

#define PROVIDER_TARGET_LEN_MAX	  107 /* of a path: the longest that fits a sockaddr_un */
#define PROVIDER_PATH_LEN_MAX	  200 /* of health_path */
#define PROVIDER_ARGS_MAX	  16
#define PROVIDER_ARGS_LEN_MAX	  2048 /* of all, each with its NUL */
#define PROVIDER_METADATA_MAX	  10   /* http: 1 or 2 less, for kind and body-max */
#define PROVIDER_METADATA_LEN_MAX 4096 /* of all keys and values */
#define PROVIDER_ALLOW_MAX	  64
#define PROVIDER_GRANT_MAX	  32	       /* of methods, groups and communities */
#define PROVIDER_READ_ONLY_MAX	  32	       /* methods */
#define PROVIDER_USER_LEN_MAX	  32	       /* as useradd(8) */
#define PROVIDER_BODY_LEN_MAX	  (1ull << 40) /* of a published bound; 13 digits */
#define PROVIDER_ROWS_MAX	  1000000u     /* that a program may declare */
#define PROVIDER_ROWS_LEN_MAX	  (1ull << 30) /* bytes of them */

/*
 * The capabilities that a program declares with its offer, so that it is a tenant of the node
 * (tenant/tenant.h). Zeros are none. uid: of the user that published it, whose programs use them.
 */
struct provider_capabilities {
	uint32_t uid;
	uint64_t row_cnt_max, row_len_max; /* rows, and bytes of their keys and values */
	const char *const *value_tags;	   /* of overlay values */
	unsigned value_tag_cnt;
	const char *const *counters;
	unsigned counter_cnt;
};

/*
 * An offer and its program. Borrowed wherever it is handed over. Numbers of 0 are the configured
 * defaults.
 */
struct provider_spec {
	const char *name;
	const char *version;
	enum provider_kind kind;
	/*
	 * http: "127.0.0.1:8080", "[::1]:8080" or "unix:/path"; socket and exec: an
	 * absolute path. Names of hosts are not looked up.
	 */
	const char *target;
	const char *const *args; /* exec: behind the program's own name */
	unsigned args_cnt;
	const char *health_path; /* http: GET of it gives a status below 400; NULL: it accepts */
	const struct service_metadata *metadata;
	unsigned metadata_cnt;
	const char *const *read_only; /* socket and exec: read-only methods, or "*" */
	unsigned read_only_cnt;
	const char *description;  /* NULL: none; JSON as service/directory/description.h says */
	uint32_t calls_per_min;	  /* of one caller */
	uint32_t payload_len_max; /* bytes of a call's payload and of its reply */
	uint64_t body_len_max;	  /* http: of a request's body, published; 0: no bound */
	uint64_t timeout_ns;	  /* of a call; http: until the head of the answer */
	uint32_t concurrency_max; /* calls and streams at once, of all callers */
	uint64_t memory_len_max;  /* exec: address space of one process, bytes */
	const char *user;	  /* exec: its user; NULL: the user nobody, or weftd's */
	const uint8_t (*allow)[MESH_KEY_LEN]; /* none: every caller */
	unsigned allow_cnt;
	const struct service_grant *grants; /* beside allow; see service.h */
	unsigned grant_cnt;
	bool is_hidden;	      /* not published: only nodes that know this one find it */
	bool needs_signature; /* calls of peers carry one */
	bool is_unconfined;   /* exec: may be weftd's user and see its files */
	struct provider_capabilities capabilities; /* not of exec */
};

enum provider_state {
	PROVIDER_CHECKING, /* offered just now, its program was not asked yet */
	PROVIDER_READY,
	PROVIDER_DOWN, /* withdrawn until its program answers again */
};

struct provider_view {
	struct provider_spec spec; /* borrowed until its offer is withdrawn, as all of it */
	uint32_t major;
	const struct provider_tenant *tenant; /* NULL: it declared no capabilities */
	enum provider_state state;
	const char *why;		   /* of DOWN: the last check's result */
	uint64_t since_ns;		   /* of the state */
	uint32_t active_cnt;		   /* calls and streams under way */
	uint32_t active_max;		   /* so many at once */
	uint32_t waiting_cnt, waiting_max; /* calls that wait for one of these to end */
	uint64_t call_cnt, stream_cnt;
	uint64_t
		failed_cnt; /* of both: that the program answered by rubbish, too much or not at all */
};

/* An event of an offer; the text is of a few words, static or borrowed for the call. */
enum provider_event_kind {
	PROVIDER_EVENT_READY,
	PROVIDER_EVENT_DOWN,	/* text: the check's result */
	PROVIDER_EVENT_FAILED,	/* a call failed; text: the program's fault; at most one a second */
	PROVIDER_EVENT_STDERR,	/* exec; text: one line it wrote; at most PROVIDER_STDERR_PER_S */
	PROVIDER_EVENT_DROPPED, /* an offer in the store cannot be made again; text: why */
};
#define PROVIDER_STDERR_PER_S	4
#define PROVIDER_STDERR_LEN_MAX 256 /* printable ASCII; other bytes are '?' */
struct provider_event {
	enum provider_event_kind kind;
	const char *name, *version;
	const char *text;
};

struct provider_config {
	unsigned offer_cap;
	unsigned active_cap;  /* calls and streams under way, of all offers */
	unsigned process_cap; /* of them, processes of exec */
	unsigned idle_cap;    /* connections kept for later, of all offers */
	unsigned upgrade_cap; /* WebSockets to HTTP servers, of all offers */
	size_t memory_len;    /* bytes of bodies under way, of all offers */
	uint64_t health_ns;   /* between two checks of one offer */
	uint64_t timeout_ns;  /* of a call whose spec says nothing */
	uint64_t stall_ns;    /* a stream on which no byte moves is ended */
};
void provider_config_defaults(struct provider_config *config);
/* provider_footprint: bytes laid out by provider_new; memory_len is most of it. */
size_t provider_footprint(const struct provider_config *config);
/* provider_watch_cap: how many watches of the poller it takes at worst. */
unsigned provider_watch_cap(const struct provider_config *config);

#define PROVIDER_HIDDEN_MAX 8
struct provider_params {
	struct provider_config config;
	struct service *service;
	struct poller *poller;
	struct timer_wheel *timers;
	struct store *store;
	struct launcher *launcher;	  /* borrowed; NULL: no program is started */
	struct provider_tenants *tenants; /* outlives provider; NULL: no offer has capabilities */
	struct random *random;		  /* borrowed by provider_new */
	/*
	 * Paths hidden from programs: PROVIDER_HIDDEN_MAX of them, NULL and "" are none; borrowed.
	 */
	const char *const *hidden;
	/*
	 * Comes from the poller or a timer, or from provider_restore; publishes and withdraws
	 * nothing.
	 */
	void (*event)(void *ctx, const struct provider_event *event, uint64_t now_ns);
	void *ctx;
};
/* provider_new: 0, WEFT_EFULL, -errno. */
WEFT_MUST_CHECK
int provider_new(const struct provider_params *params, struct provider **out_provider);
/*
 * provider_stop ends all offers, kills their processes and closes their connections. The store
 * keeps the offers; no callback of a waiting change comes any more. It comes while service, store
 * and poller are there. provider_free comes when the channels have given back the lent blocks, so
 * after the service and the mesh below it.
 */
void provider_stop(struct provider *provider, uint64_t now_ns);
void provider_free(struct provider *provider);
/* provider_restore offers the store's offers. 0 or -errno of the store. At start, once. */
WEFT_MUST_CHECK
int provider_restore(struct provider *provider, uint64_t now_ns);

/* Receives the outcome of a change. err: 0: it is durable; else the store refused it: undone. */
struct provider_waiter {
	void (*done)(void *arg, int err, uint64_t now_ns);
	void *arg;
};

/*
 * provider_publish begins to offer spec, which is copied. The same spec again is no error. 0: done
 * follows when it is durable. Else, with *out_why in a few words:
 *   WEFT_EMALFORMED  a part of spec is not as it must be
 *   WEFT_EREFUSED    weftd's files cannot be hidden from its program, and spec is not unconfined
 *   WEFT_EEXISTS     this name and major version is offered and differs
 *   WEFT_EFULL       offer_cap, a limit of the service or of tenants, or too many changes wait
 */
WEFT_MUST_CHECK
int provider_publish(struct provider *provider, const struct provider_spec *spec,
		     const struct provider_waiter *waiter, uint64_t now_ns, const char **out_why);
/*
 * provider_withdraw ends the offer of name and major version; PROVIDER_MAJOR_ANY: all
 * of that name. 0: done follows. WEFT_EABSENT, WEFT_EFULL (too many changes wait).
 */
#define PROVIDER_MAJOR_ANY UINT32_MAX
WEFT_MUST_CHECK
int provider_withdraw(struct provider *provider, const char *name, uint32_t major,
		      const struct provider_waiter *waiter, uint64_t now_ns);
/*
 * provider_set_access replaces the permitted callers of the offer of spec's name and major by
 * allow and grants of spec, whose other fields are ignored. It is in force at once; done follows
 * when it is durable. WEFT_EABSENT, WEFT_EMALFORMED, WEFT_EFULL with *out_why: nothing changed.
 */
WEFT_MUST_CHECK
int provider_set_access(struct provider *provider, const struct provider_spec *spec, uint32_t major,
			const struct provider_waiter *waiter, const char **out_why);
/* provider_forget: done will not be called for arg. */
void provider_forget(struct provider *provider, void *arg);

/* provider_next walks the offers; nothing is published or withdrawn meanwhile. */
struct provider_iter {
	const struct provider *provider;
	const struct list_node *at; /* NULL: before the first */
};
bool provider_next(struct provider_iter *iter, struct provider_view *out_view);

struct provider_stats {
#define FIGURE FIGURE_FIELD
#include "provider/provider_counters.def"
	struct launcher_usage launcher;
	struct fair_view upgrades; /* holders of WebSockets to HTTP servers */
};
/* provider_places: which callers have the places of calls and streams under way. */
void provider_places(const struct provider *provider, struct fair_view *out);
/* provider_process_places: which callers have the places of processes. */
void provider_process_places(const struct provider *provider, struct fair_view *out);
void provider_stats(const struct provider *provider, struct provider_stats *out_stats);

#endif
