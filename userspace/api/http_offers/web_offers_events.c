/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET /offers/SCHEMA/events?FILTERS: new offers that fit, as server-sent events. No client is
 * waited for. Offers that find too much waiting for one are left out, and it gets their number. Home
 * worker.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/container_of.h"
#include "base/monotonic.h"
#include "varlink/node.h"
#include "web_offers_state.h"

#define HEARTBEAT_NS                                                                               \
	(15 * NS_PER_S) /* so that proxies keep the connection, and dead ones are found */
/* Bytes that may wait for a client before offers are left out: some of the largest. */
#define BACKLOG_MAX (4u * GATEWAY_BACKLOG_LOW)
_Static_assert(OFFER_WATCHES_MAX == 64, "as the texts below say");
/* Clients of the gateway are other accounts than users of the control socket. */
#define ACCOUNT_BIT (1ull << 63)

struct web_watching {
	struct timer heartbeat;
	struct web_offers *offers;
	struct gateway_exchange *exchange;
	struct offer_watch *watch;
	uint64_t lost_cnt; /* not reported yet */
};

static void watching_end(struct web_watching *watching)
{
	timer_cancel(&watching->offers->api->home->timers, &watching->heartbeat);
	offers_unwatch(watching->watch);
	free(watching);
}

/* say: false: the client was given up, for want of memory, and watching is gone. */
static bool say(struct web_watching *watching, const char *text, size_t len)
{
	uint64_t now_ns = watching->offers->api->home->now_ns;

	if (gateway_reply_more(watching->exchange, text, len, now_ns) == 0)
		return true;
	gateway_abort(watching->exchange, now_ns);
	watching_end(watching);
	return false;
}

static bool lost_say(struct web_watching *watching)
{
	char text[64];
	int len = snprintf(text, sizeof(text), "event: lost\ndata: {\"lost\":%" PRIu64 "}\n\n",
			   watching->lost_cnt);

	if (!watching->lost_cnt)
		return true;
	watching->lost_cnt = 0;
	return say(watching, text, (size_t)len);
}

static void on_match(void *arg, const struct found_offer *offer)
{
	struct web_watching *watching = arg;
	struct varlink_blocks blocks = {0};
	struct api_offer row;
	json_t *json;
	char *text;

	if (gateway_backlog_len(watching->exchange) > BACKLOG_MAX) {
		watching->lost_cnt++;
		return;
	}
	row = api_offer_row(&blocks, offer);
	json = api_show_offer_out_write(&(struct api_show_offer_out){.offer = row});
	/* On one line: its line ends are escaped. */
	text = json ? json_dumps(json, JSON_COMPACT) : NULL;
	if (!text)
		watching->lost_cnt++;
	else if (lost_say(watching) && say(watching, "data: ", 6) &&
		 say(watching, text, strlen(text)))
		(void)say(watching, "\n\n", 2);
	free(text);
	json_decref(json);
	varlink_blocks_free(&blocks);
}

static void on_ended(void *arg, int err)
{
	static const char full[] =
		"event: ended\ndata: {\"reason\":\"all 64 places for watches were taken, "
		"and another user had fewer\"}\n\n";
	struct web_watching *watching = arg;

	watching->watch = NULL;
	if (err == WEFT_EFULL && !say(watching, full, sizeof(full) - 1))
		return;
	gateway_reply_end(watching->exchange, watching->offers->api->home->now_ns);
	watching_end(watching);
}

static void heartbeat_fire(struct timer *timer, uint64_t now_ns)
{
	struct web_watching *watching = container_of(timer, struct web_watching, heartbeat);

	timer_set(&watching->offers->api->home->timers, timer, now_ns + HEARTBEAT_NS);
	if (!gateway_backlog_len(watching->exchange) && lost_say(watching))
		(void)say(watching, ":\n\n", 3);
}

static void watching_gone(void *arg)
{
	watching_end(arg);
}

static const struct gateway_reply stream_reply = {.status = 200,
						  .type = "text/event-stream",
						  .headers = "Cache-Control: no-store\r\n",
						  .body_len = GATEWAY_LEN_UNKNOWN};

/* The filters of the view's schema, or schemas, as words. */
static size_t words_write(struct web_offers_view *view,
			  const char *words[static WEB_FORM_PAIRS_MAX])
{
	size_t cnt = 0;

	if (view->names[0])
		return api_http_offers_words(view, words);
	view->form.words_len = 0;
	for (unsigned i = 0; i < view->schema->filter_cnt; i++) {
		const char *word = api_http_form_filter(&view->form, &view->schema->filters[i]);

		if (word)
			words[cnt++] = word;
	}
	return cnt;
}

/* watch_begin: 0, or why not. */
static int watch_begin(struct web_offers_view *view, struct web_watching *watching)
{
	const char *words[WEB_FORM_PAIRS_MAX];
	struct offer_watch_ask ask = {.words = {view->names[0] ? view->names : view->schema->name,
						words, words_write(view, words)},
				      .has_level = view->has_level,
				      .level = view->level,
				      .class = FAIR_UNKNOWN,
				      .account = gateway_client(view->exchange) | ACCOUNT_BIT,
				      .fn = on_match,
				      .ended = on_ended,
				      .arg = watching};
	struct schema_fault fault;

	return offers_watch(api_http_offers_of(view->offers), &ask, &watching->watch, &fault);
}

void api_http_offers_events(struct web_offers_view *view, const struct gateway_request *request)
{
	static const struct gateway_events exchange_events = {.gone = watching_gone};
	static const struct web_offers_failure full = {
		503, "too_many_readers",
		"All 64 places for watches are taken, and no user has more than this one. "
		"End one of them first.",
		NULL};
	struct web_watching *watching;

	if (!api_http_offers_check(view))
		return;
	if (request->is_head) {
		gateway_reply_begin(view->exchange, &stream_reply, view->now_ns);
		gateway_reply_end(view->exchange, view->now_ns);
		return;
	}
	watching = calloc(1, sizeof(*watching));
	if (!watching || watch_begin(view, watching) < 0) {
		free(watching);
		api_http_offers_fail(view, &full);
		return;
	}
	watching->offers = view->offers;
	watching->exchange = view->exchange;
	timer_init(&watching->heartbeat, heartbeat_fire);
	timer_set(&view->offers->api->home->timers, &watching->heartbeat,
		  view->now_ns + HEARTBEAT_NS);
	gateway_watch(view->exchange, &exchange_events, watching);
	gateway_reply_begin(view->exchange, &stream_reply, view->now_ns);
}
