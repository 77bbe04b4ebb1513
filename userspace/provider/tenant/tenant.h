/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROVIDER_TENANT_TENANT_H
#define WEFT_PROVIDER_TENANT_TENANT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/timer.h"
#include "mesh/seam.h"
#include "mesh/seam_overlay.h"
#include "service/service.h"
#include "service/sockets/channel_socket.h"
#include "service/topics/topic_publish.h"
#include "weft/err.h"

/*
 * The seam between a service and its node. service/service.h has the calls, streams and topics of
 * an offer; here is what it may use beside them. An offer declares its capabilities once, and is
 * then a tenant: each function checks what its tenant declared. What was not declared is
 * WEFT_EREFUSED, and what is beyond a declared bound WEFT_EFULL.
 *
 *	rows		 keys and values of this offer alone, durable before they are acknowledged
 *	overlay		 put and get of values with the declared tags
 *	values		 the same for programs, whose tags are words (provider/tenant/program_value.h)
 *	timers, sockets	 of the home worker
 *	messages	 requests of the declared types, to peers and of peers
 *	counters	 with names, for status and metrics
 *
 * Limits. An offer fills its own places alone: the node has PROVIDER_TENANT_MAX tenants, and each
 * has the bounds that it declared. Places of overlay runs and row walks are the node's; a tenant
 * that finds none is refused, and asks again later. Peers fill them only as far as the service
 * lets them.
 *
 * A program's service is a tenant of its user. Rows, bytes of rows, writes and runs of all programs
 * are pools. Nothing is taken back from its holder there. So a program holds at most as much as
 * stays free. All programs of a user hold at most three times as much. A newcomer always finds a
 * part. An honest program notices WEFT_EBUSY before its own bound, when others are large.
 *
 * Rows of a program's service belong to its name, its major version and its user. They outlive the
 * offer, the program and the daemon, until that user deletes them.
 *
 * Home worker; nothing blocks, but provider_tenants_flush.
 */
struct provider_tenants; /* of a node */
struct provider_tenant;	 /* an offer */
struct provider_write;	 /* changes of rows, applied whole or not at all */
struct provider_walk;	 /* through rows */
struct provider_run;	 /* a put or get of the overlay under way */
struct node_key;
struct poller;
struct random;
struct store;
struct timer_wheel;

#define PROVIDER_TENANT_MAX	   128u
#define PROVIDER_WRITE_MAX	   256u /* of a tenant, on their way to the disk */
#define PROVIDER_WALK_MAX	   4u	/* of all tenants, at once */
#define PROVIDER_RUN_MAX	   256u /* of all tenants, under way */
#define PROVIDER_TAG_MAX	   8u
#define PROVIDER_VALUE_TAG_LEN_MAX 16u /* of a-z, 0-9 and '-' */
#define PROVIDER_MESSAGE_MAX	   8u
#define PROVIDER_COUNTER_MAX	   16u
#define PROVIDER_COUNTER_NAME_MAX  32u /* of a-z, 0-9 and '_' */
#define PROVIDER_ROW_KEY_LEN_MAX   255u
#define PROVIDER_ROW_VALUE_LEN_MAX (2u << 20)

/* Of programs. */
#define PROVIDER_ACCOUNT_MAX	   128u /* services that have rows or may have some */
#define PROVIDER_PROGRAM_WRITE_MAX 64u	/* of all, on their way to the disk */
#define PROVIDER_PROGRAM_RUN_MAX   8u	/* of one, at once */

/* The capabilities of an offer. Zeros are none. Copied, but for what the pointers in rules name. */
struct provider_declaration {
	const char *service; /* name of the offer */
	uint32_t major;
	bool is_of_program;
	bool is_restored; /* it was accepted before, so it is not judged by shares once more */
	bool is_for_rows; /* it works on the rows alone: there is no offer, and no name to find */
	uint32_t uid;	  /* of a program's user */
	uint64_t row_cnt_max, row_len_max; /* rows, and bytes of their keys and values */
	unsigned run_max;		   /* of the overlay, at once */
	uint8_t tags[PROVIDER_TAG_MAX];	   /* of values of the overlay */
	unsigned tag_cnt;
	const struct overlay_rule
		*rules; /* that come with the offer; their tags are declared, too */
	unsigned rule_cnt;
	unsigned timer_max;
	unsigned socket_max;
	const char *const *value_tags; /* of a program */
	unsigned value_tag_cnt;
	uint16_t messages[PROVIDER_MESSAGE_MAX]; /* enum mesh_message */
	unsigned message_cnt;
	const char *const *counters;
	unsigned counter_cnt;
};

/* The pools of programs. */
struct provider_tenants_config {
	uint64_t row_cap, row_len_cap; /* rows of all, and their bytes */
};
void provider_tenants_config_defaults(struct provider_tenants_config *config);

/* Borrowed until provider_tenants_free; store NULL: nothing is kept, as where room is measured. */
struct provider_tenants_params {
	struct provider_tenants_config config;
	struct store *store;
	struct poller *poller; /* NULL: a simulated node, which gives no sockets */
	struct timer_wheel *timers;
	struct random *random;
	struct overlay_seam overlay; /* ops NULL: none */
	unsigned overlay_run_cap;    /* of the node: programs have at most half of them */
	struct mesh_seam mesh;	     /* likewise */
	const struct node_key *key;  /* signs values of programs; NULL: there are none */
	uint64_t (*wall_ms)(void *ctx);
	void *ctx;
};
WEFT_MUST_CHECK
int provider_tenants_new(const struct provider_tenants_params *params,
			 struct provider_tenants **out_tenants);
/* provider_tenants_free: every tenant was closed. Waits for writes of programs. Takes NULL. */
void provider_tenants_free(struct provider_tenants *tenants);
/* provider_tenants_flush waits until what was submitted is durable, and done was called. */
void provider_tenants_flush(struct provider_tenants *tenants);
/* provider_tenants_footprint: bytes that provider_tenants_new lays out. */
size_t provider_tenants_footprint(void);

/*
 * provider_tenant_open counts the rows that the offer has. 0, WEFT_EFULL (tenants, or accounts of
 * the user), WEFT_EEXISTS, WEFT_EMALFORMED (a name or a bound of the declaration), what add_rule
 * says, or -errno. WEFT_EEXISTS also while others work on its rows. A damaged row counts as well.
 * provider_tenant_close waits for its writes and ends its runs without callbacks; its timers and
 * sockets were released. Takes NULL.
 * provider_tenant_leave is that for a program, and waits for nothing: its writes go on, and done of
 * its runs gets WEFT_ECANCELLED. Takes NULL.
 */
bool provider_value_tag_is_valid(const char *tag);
bool provider_counter_name_is_valid(const char *name);
WEFT_MUST_CHECK
int provider_tenant_open(struct provider_tenants *tenants,
			 const struct provider_declaration *declaration,
			 struct provider_tenant **out_tenant);
void provider_tenant_close(struct provider_tenant *tenant);
void provider_tenant_leave(struct provider_tenant *tenant, uint64_t now_ns);

/* ---- rows ---- */

/*
 * A write collects puts and deletes, which it copies. NULL and errors are sticky until submit.
 * provider_write_submit takes it on success. done comes after the durable commit with 0, or with an
 * error and nothing was stored. Until then no reader sees it. Errors:
 *   WEFT_EREFUSED   rows were not declared
 *   WEFT_ETOOLARGE  an empty or too long key, or too long a value
 *   WEFT_EFULL      beyond row_cnt_max or row_len_max, or PROVIDER_WRITE_MAX wait
 *   WEFT_EBUSY      beyond a program's share of rows, bytes or waiting writes of all programs
 * What lets a tenant's rows shrink is never beyond a bound of rows.
 */
struct provider_write *provider_write_new(struct provider_tenant *tenant);
void provider_write_free(struct provider_write *write); /* one that was not submitted */
void provider_write_put(struct provider_write *write, const void *key, size_t key_len,
			const void *value, size_t value_len);
void provider_write_delete(struct provider_write *write, const void *key, size_t key_len);
WEFT_MUST_CHECK
int provider_write_submit(struct provider_write *write, void (*done)(void *arg, int err),
			  void *arg);

/*
 * provider_row_read copies the value of key into dst. Its length, WEFT_EABSENT, WEFT_EREFUSED,
 * WEFT_ETOOLARGE (longer than cap), WEFT_EDAMAGED or -errno.
 */
WEFT_MUST_CHECK
int provider_row_read(struct provider_tenant *tenant, const void *key, size_t key_len, void *dst,
		      size_t cap);

/*
 * A walk through the rows whose keys begin with prefix, in the order of keys, from the first
 * that is not below from. It is open for a turn, not longer; what it lends is whole until the
 * next step. provider_walk_close gives the outcome: 0, or why there were no more. NULL is a walk
 * for which there was no place.
 */
struct provider_row {
	const uint8_t *key, *value;
	size_t key_len, value_len;
};
struct provider_row_range {
	const void *prefix, *from; /* NULL: of length 0; from has prefix, or is empty */
	size_t prefix_len, from_len;
	bool is_of_keys; /* values are not read, and are NULL: damaged rows are among the others */
};
struct provider_walk *provider_walk_open(struct provider_tenant *tenant,
					 const struct provider_row_range *range);
bool provider_walk_next(struct provider_walk *walk, struct provider_row *out_row);
WEFT_MUST_CHECK
int provider_walk_close(struct provider_walk *walk);

/* ---- overlay ---- */

/* provider_overlay_is_there: the node has one. Else put and get are WEFT_EUNREACHABLE. */
bool provider_overlay_is_there(const struct provider_tenant *tenant);
/* provider_overlay_{put,get} are those of seam_overlay.h; a run is gone when done was called. */
WEFT_MUST_CHECK
int provider_overlay_put(struct provider_tenant *tenant, const struct overlay_put_params *params,
			 uint64_t now_ns, struct provider_run **out_run);
WEFT_MUST_CHECK
int provider_overlay_get(struct provider_tenant *tenant, const struct overlay_get_params *params,
			 uint64_t now_ns, struct provider_run **out_run);
/* provider_run_cancel: nothing is called any more. */
void provider_run_cancel(struct provider_run *run);

/*
 * Values of programs, under a declared tag, which is a word, and a key. The node signs what it
 * puts. provider_value_{put,get}: as above, or WEFT_EREFUSED (the tag), WEFT_ETOOLARGE (key, bytes
 * or life). value gets the overlay's bytes, which provider_program_value_parse reads.
 */
struct provider_value_key {
	const char *tag;
	const void *bytes;
	size_t len;
};
struct provider_value_put {
	struct provider_value_key key;
	const void *bytes; /* copied */
	size_t len;
	uint32_t life_s;
	overlay_done_fn done;
	void *arg;
};
struct provider_value_get {
	struct provider_value_key key;
	overlay_value_fn value;
	overlay_done_fn done;
	void *arg;
};
WEFT_MUST_CHECK
int provider_value_put(struct provider_tenant *tenant, const struct provider_value_put *put,
		       uint64_t now_ns, struct provider_run **out_run);
WEFT_MUST_CHECK
int provider_value_get(struct provider_tenant *tenant, const struct provider_value_get *get,
		       uint64_t now_ns, struct provider_run **out_run);

/* ---- timers and sockets ---- */

/*
 * provider_timer_acquire takes a place for timer, zeroed before, so that setting it never fails: 0,
 * WEFT_EREFUSED or WEFT_EFULL. fire gets &timer->base. provider_timer_release cancels it; one that
 * has no place is left alone. It may be released in fire.
 */
struct provider_timer {
	struct timer base;
	struct provider_tenant *tenant; /* NULL: no place */
};
WEFT_MUST_CHECK
int provider_timer_acquire(struct provider_tenant *tenant, struct provider_timer *timer,
			   timer_fn fire);
void provider_timer_release(struct provider_timer *timer);
void provider_timer_set(struct provider_timer *timer, uint64_t at_ns);
void provider_timer_cancel(struct provider_timer *timer);
bool provider_timer_is_set(const struct provider_timer *timer);

/*
 * provider_sockets_are_there: the node has a poller. provider_socket_acquire takes a place for a
 * descriptor, and fills poller and timers of socket. 0, WEFT_EREFUSED (also where the node has no
 * poller) or WEFT_EFULL.
 */
bool provider_sockets_are_there(const struct provider_tenant *tenant);
WEFT_MUST_CHECK
int provider_socket_acquire(struct provider_tenant *tenant, struct channel_socket *socket);
void provider_socket_release(struct provider_tenant *tenant, struct channel_socket *socket);

/* ---- messages of the mesh ---- */

/* provider_peers_are_there: the node has a mesh. Else ask is WEFT_EUNREACHABLE. */
bool provider_peers_are_there(const struct provider_tenant *tenant);
/*
 * provider_peer_{ask,handle} are ask and handle of mesh/seam.h, for declared types. The mesh's
 * functions for a call that a handler got are in provider_peer_ops.
 */
WEFT_MUST_CHECK
int provider_peer_ask(struct provider_tenant *tenant, const struct mesh_ask *ask, uint64_t now_ns,
		      struct mesh_request **out_request);
void provider_peer_cancel(struct provider_tenant *tenant, struct mesh_request *request);
WEFT_MUST_CHECK
int provider_peer_handle(struct provider_tenant *tenant, unsigned type, mesh_handler_fn handler,
			 void *ctx);
const struct mesh_ops *provider_peer_ops(const struct provider_tenant *tenant);

/* ---- counters and fills ---- */

/* provider_counter_add: counter number idx of the declaration; another one is not counted. */
void provider_counter_add(struct provider_tenant *tenant, unsigned idx, uint64_t cnt);
/* provider_counter_find: the number of name, or -1. */
int provider_counter_find(const struct provider_tenant *tenant, const char *name);

struct provider_tenant_view {
	const char *service; /* borrowed */
	uint32_t major;
	bool is_of_program;
	uint32_t uid;
	uint64_t row_cnt, row_cnt_max; /* with those of waiting writes */
	uint64_t row_len, row_len_max;
	unsigned write_cnt, timer_cnt, timer_max, socket_cnt, socket_max, run_cnt, run_max;
	uint64_t refused_cnt; /* operations that had no capability or no room */
	unsigned value_tag_cnt, counter_cnt;
	const char *value_tags[PROVIDER_TAG_MAX];
	const char *counter_names[PROVIDER_COUNTER_MAX];
	uint64_t counters[PROVIDER_COUNTER_MAX];
};
void provider_tenant_view(const struct provider_tenant *tenant, struct provider_tenant_view *out);
/*
 * provider_tenants_next walks those of offers: NULL to start and at the end. provider_tenant_find:
 * or NULL.
 */
const struct provider_tenant *provider_tenants_next(const struct provider_tenants *tenants,
						    const struct provider_tenant *tenant);
struct provider_tenant *provider_tenant_find(const struct provider_tenants *tenants,
					     const char *service, uint32_t major);
/*
 * provider_tenant_of_program: that of a program of uid, else that of another user, else NULL.
 * PROVIDER_ANY_MAJOR: the first of its name.
 */
#define PROVIDER_ANY_MAJOR UINT32_MAX
struct provider_tenant *provider_tenant_of_program(const struct provider_tenants *tenants,
						   const char *service, uint32_t major,
						   uint32_t uid);
struct provider_tenants_fills {
	unsigned tenant_cnt, run_cnt, walk_cnt;
	unsigned program_run_cnt, program_run_cap; /* those of run_cnt of programs */
	uint64_t refused_cnt;
};
void provider_tenants_fills(const struct provider_tenants *tenants,
			    struct provider_tenants_fills *out);

/* Rows of all programs, with those of services that are not offered now. */
struct provider_rows_fills {
	unsigned account_cnt, write_cnt;
	uint64_t row_cnt, row_cap, row_len, row_len_cap;
};
void provider_rows_fills(const struct provider_tenants *tenants, struct provider_rows_fills *out);
/* provider_accounts_next walks them by service and user, in no order. */
struct provider_account_view {
	char service[SERVICE_NAME_LEN_MAX + 1];
	uint32_t major, uid;
	uint64_t row_cnt, row_len;
	bool is_offered;
};
struct provider_account_iter {
	const struct provider_tenants *tenants;
	const void *at; /* NULL: before the first */
};
bool provider_accounts_next(struct provider_account_iter *iter, struct provider_account_view *out);

#endif
