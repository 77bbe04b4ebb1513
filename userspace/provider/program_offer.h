/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROVIDER_PROGRAM_OFFER_H
#define WEFT_PROVIDER_PROGRAM_OFFER_H

#include "base/memory/arena.h"
#include "base/fair/fair.h"
#include "base/fair/fair_path.h"
#include "base/memory/heap.h"
#include "base/list.h"
#include "base/thread/poller.h"
#include "base/memory/pool.h"
#include "base/timer.h"
#include "base/fair/turns.h"
#include "provider/program_health.h"
#include "provider/spec.h"
#include "provider/http/upstream.h"

/*
 * Private to provider/: one offer, and the common part of the kinds. A call or stream under way
 * for a caller is an active. An active counts against the offer's limit and the limit of all,
 * and knows how to end when its offer does.
 */
struct provider {
	struct provider_config config;
	struct service *service;
	struct poller *poller;
	struct timer_wheel *timers;
	struct store *store;
	struct launcher *launcher; /* NULL: no program is started */
	struct provider_tenants *tenants;
	bool is_restoring; /* offers that were accepted before */
	void (*event)(void *ctx, const struct provider_event *event, uint64_t now_ns);
	void *ctx;
	struct arena arena;
	struct heap *heap;
	struct pool offers, changes;
	struct pool http_streams, http_conns;
	struct pool socket_calls, socket_streams;
	struct pool processes;
	struct pool waiting, turn_accounts; /* waiting.h */
	/*
	 * Actives under way, by offer and, within it, by the caller's family, network, address
	 * and key. A stream may stay for long. So the youngest stream of the network that has
	 * most ends for a caller with fewer.
	 */
	struct fair places;
	struct fair_paths paths;
	struct fair process_places; /* process_place.h */
	struct fair upgrades;	    /* http_upgrade.h */
	struct fair_paths upgrade_paths;
	struct endpoints *endpoints; /* endpoint/endpoints.h */
	struct list_node offer_list;
	struct provider_stats stats; /* the counters; the rest is filled in when asked */
	uint32_t active_cnt, active_peak_cnt, idle_cnt, ready_cnt;
};

struct offer {
	struct list_node link;
	struct provider *provider;
	struct spec spec;
	struct upstream_addr addr; /* http, socket */
	struct service_offer *handle;
	struct provider_tenant *tenant; /* NULL: it declared no capability */
	struct health health;
	struct list_node actives;
	struct list_node idle_conns; /* http */
	uint32_t active_cnt;
	uint32_t apart_cnt; /* of actives, those that count no longer */
	uint64_t call_cnt, stream_cnt, failed_cnt;
	uint64_t told_ns;		       /* when a failure was last reported */
	uint64_t said_ns;		       /* start of the second that said_cnt counts */
	unsigned said_cnt;		       /* reported lines of standard error */
	const struct service_handler *handler; /* of its kind */
	struct turns turns;		       /* calls that wait for it */
	struct timer turn;		       /* set while the next of them may begin */
	bool is_serving;		       /* one of them begins */
	bool is_leaving;		       /* the store was asked to forget it */
	bool is_gone;			       /* withdrawn; what is under way holds it */
};

struct active;
struct active_kind {
	/* Ends the call or stream as unavailable, with why as its text, and leaves. */
	void (*abandon)(struct active *active, const char *why, uint64_t now_ns);
	bool is_stream; /* it may stay for good, so it may be ended for another caller */
};

struct active {
	struct list_node link;
	struct offer *offer;
	const struct active_kind *kind;
	struct fair_item place; /* of provider.places */
	bool is_apart;
};

/* offers.c. provider_offers_end ends all offers, which stay in the store, and waiting changes. */
#define CHANGE_CAP 32 /* publishes and withdrawals that wait for the store */
size_t provider_change_len(void);
void provider_offers_end(struct provider *provider, uint64_t now_ns);

/* provider_offer_concurrency: calls and streams that it takes at once. */
uint32_t provider_offer_concurrency(const struct offer *offer);
/* provider_offer_is_busy: its program has as many calls and streams as it may have at once. */
bool provider_offer_is_busy(const struct offer *offer);
/*
 * provider_offer_make_room ends a stream of a caller with more than caller, where the limit of
 * calls and streams is reached. provider_offer_enter: false: one is reached, and counted;
 * provider_offer_leave undoes it.
 */
void provider_offer_make_room(struct offer *offer, const struct service_caller *caller,
			      uint64_t now_ns);
bool provider_offer_enter(struct offer *offer, struct active *active,
			  const struct active_kind *kind, const struct service_caller *caller,
			  uint64_t now_ns);
void provider_offer_leave(struct active *active);
/*
 * provider_offer_set_apart: active goes on outside the limits of calls and streams: it is bounded
 * elsewhere.
 */
void provider_offer_set_apart(struct active *active);
/* provider_offer_is_idle: nothing is under way, so nothing holds it. */
bool provider_offer_is_idle(const struct offer *offer);
/* provider_offer_failed counts that the program failed a caller, and reports the fault. */
void provider_offer_failed(struct offer *offer, const char *fault, uint64_t now_ns);
void provider_offer_tell(struct offer *offer, enum provider_event_kind kind, const char *text,
			 uint64_t now_ns);
/* provider_offer_said reports a line of the program's standard error, up to a limit per second. */
void provider_offer_said(struct offer *offer, const char *line, uint64_t now_ns);
/* provider_offer_timeout_ns: how long a call may take. */
uint64_t provider_offer_timeout_ns(const struct offer *offer);
/* provider_offer_payload_len_max: bytes of a payload and of a reply. */
size_t provider_offer_payload_len_max(const struct offer *offer);

#endif
