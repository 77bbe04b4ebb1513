/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_GATEWAY_GATEWAY_SERVER_STATE_H
#define WEFT_GATEWAY_GATEWAY_SERVER_STATE_H

#include "base/memory/arena.h"
#include "base/memory/pool.h"
#include "base/thread/poller.h"
#include "base/timer.h"
#include "gateway/gateway_places.h"
#include "gateway/guard.h"
#include "gateway/http_conn_state.h"
#include "gateway/page/page_token.h"
#include "gateway/rate.h"
#include "gateway/websocket/pass.h"

/* Private to gateway_server.c, which serves, and to gateway_view.c, which answers the node. */
struct gateway {
	struct conn_shared shared;
	struct gateway_config config;
	struct poller *poller;
	struct timer_wheel *timers;
	uint64_t now_ns; /* of the last entry from outside */
	struct poller_watch listener;
	struct timer accept_timer; /* listening again after the system ran out of something */
	struct arena arena;
	struct pool conns; /* one more than there are places: for a newcomer when all are taken */
	struct gateway_places places;
	struct heap *heap; /* bodies that are collected, and what waits to be sent */
	struct gateway_rates rates;
	struct guard guard;
	struct pass_book passes;
	struct page_tokens page_tokens;
};

#endif
