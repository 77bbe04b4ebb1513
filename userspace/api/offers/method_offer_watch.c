/* SPDX-License-Identifier: Apache-2.0 */
/*
 * WatchOffers: new offers that fit, as they are stored. Home worker.
 *
 * No program is waited for. Offers that find too much waiting for one are left out, and the next
 * reply says how many.
 */
#include <errno.h>
#include <stdlib.h>

#include "api/methods.h"
#include "api/services/method_offer.h"

/* Bytes that may wait for a program before replies are left out; a connection takes 1 MiB. */
#define BACKLOG_MAX ((size_t)512 * 1024)
#define PLACES_TEXT "64"
#define NEXT_TEXT   "end a watch of this user first; weft limits show tells how many there are"
_Static_assert(OFFER_WATCHES_MAX == 64, "as PLACES_TEXT says");
/* Calls from within have no user. */
#define NO_USER UINT64_MAX

struct watching {
	struct offer_watch *watch;
	struct control_call *call;
	uint64_t lost_cnt; /* not reported yet */
};

static void watching_gone(void *arg)
{
	struct watching *watching = arg;

	offers_unwatch(watching->watch);
	free(watching);
}

static void on_match(void *arg, const struct found_offer *offer)
{
	struct watching *watching = arg;
	struct api_offer row;

	if (control_backlog_len(watching->call) >= BACKLOG_MAX) {
		watching->lost_cnt++;
		return;
	}
	row = api_offer_row(control_blocks(watching->call), offer);
	api_reply_more(watching->call, watch_offers, .offer = &row,
		       .lost = api_uint(watching->lost_cnt));
	watching->lost_cnt = 0;
}

static void on_ended(void *arg, int err)
{
	struct watching *watching = arg;

	control_on_gone(watching->call, NULL, NULL);
	if (err == WEFT_EFULL)
		control_fail(watching->call, err, "WatchOffers",
			     "all " PLACES_TEXT
			     " places for watches were taken, and another user had fewer",
			     NEXT_TEXT);
	else
		control_fail(watching->call, err, "schema", "it was removed",
			     "weft schema list shows those that are known");
	free(watching);
}

static void watch_fail(struct control_call *call, int err, const char *name,
		       const struct schema_fault *fault)
{
	static const struct control_failure_row rows[] = {
		{WEFT_EFULL,
		 "all " PLACES_TEXT
		 " places for watches are taken, and no user has more than this one",
		 NEXT_TEXT},
		{0, NULL, "the daemon's log may tell more"},
	};

	if (fault->what[0])
		api_choose_fail(call, err, name, fault);
	else
		control_fail_of(call, err, name, rows);
}

void api_watch_offers(struct api *api, struct control_call *call,
		      const struct api_watch_offers_in *in, uint64_t now_ns)
{
	struct service_offers *offers = api_offers(api, call);
	struct watching *watching = offers ? calloc(1, sizeof(*watching)) : NULL;
	struct schema_fault fault = {0};
	struct control_caller caller;
	struct offer_watch_ask ask = {
		.words = {in->schema, (const char *const *)in->filters.rows, in->filters.cnt},
		.has_level = in->has_level,
		.level = (uint8_t)in->level,
		.class = FAIR_CHOSEN,
		.account = control_caller(call, &caller) ? caller.uid : NO_USER,
		.fn = on_match,
		.ended = on_ended,
		.arg = watching,
	};
	int err = watching ? 0 : -ENOMEM;

	(void)now_ns;
	if (!offers)
		return;
	if (!control_wants_more(call)) {
		free(watching);
		control_fail(call, WEFT_EREFUSED, "WatchOffers", "it answers only with more",
			     "varlinkctl call --more, or weft offer find --watch");
		return;
	}
	if (in->has_level && (in->level < 0 || in->level > ENDORSEMENT_LEVEL_MAX)) {
		free(watching);
		control_fail(call, WEFT_EMALFORMED, "level", "it is not in 0 to 3",
			     "0 watches offers of providers that no node vouches for, too");
		return;
	}
	if (err == 0)
		err = offers_watch(offers, &ask, &watching->watch, &fault);
	if (err < 0) {
		free(watching);
		watch_fail(call, err, in->schema, &fault);
		return;
	}
	watching->call = call;
	control_on_gone(call, watching_gone, watching);
	api_reply_more(call, watch_offers, .lost = 0);
}
