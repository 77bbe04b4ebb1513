/* SPDX-License-Identifier: Apache-2.0 */
/* What the store keeps, as the spread says it to neighbours that lack it (message 313). */
#include <string.h>

#include "service_offers_state.h"

static enum spread_listing on_next(void *ctx, const uint8_t *peer, struct spread_cursor *io_cursor,
				   struct stock_entry *out_entry)
{
	const struct service_offers *offers = ctx;
	struct offer_cursor cursor = {.change = io_cursor->change, .place = io_cursor->place};
	enum offer_listing listing;
	unsigned passed_cnt = 0;

	/* Neighbours that relay other services would refuse it. */
	do
		listing = offers_store_next(offers->store, peer,
					    offers->params.config.spread.hops_max, &cursor,
					    out_entry);
	while (listing == OFFER_LIST_ONE &&
	       offers_rank(ctx, out_entry->service, peer) <= SPREAD_RANK_LAST &&
	       ++passed_cnt < OFFER_STEP_MAX);
	*io_cursor = (struct spread_cursor){.change = cursor.change, .place = cursor.place};
	if (listing == OFFER_LIST_END)
		return SPREAD_LISTED_ALL;
	return listing == OFFER_LIST_ONE && passed_cnt < OFFER_STEP_MAX ? SPREAD_LISTED
									: SPREAD_LISTED_PART;
}

static enum spread_verdict on_lacks(void *ctx, const uint8_t *peer, const struct stock_entry *entry)
{
	const struct service_offers *offers = ctx;

	switch (offers_store_lacks(offers->store, peer, entry)) {
	case OFFER_LACKED:
		return SPREAD_NEW;
	case OFFER_NO_ROOM:
		return SPREAD_REFUSED;
	default:
		return SPREAD_KNOWN;
	}
}

/* An offer that peer lacks. */
struct giving {
	struct service_offers *offers;
	const uint8_t *peer;
	struct stock_entry entry;
	uint64_t now_ns;
};

static bool on_giving(void *arg, const struct offer_view *view)
{
	const struct giving *giving = arg;
	struct spread_gift gift = {.bytes = view->announce,
				   .len = view->announce_len,
				   .hop_cnt = giving->entry.hop_cnt};

	offers_spread_give(giving->offers->spread, giving->peer, &gift, giving->now_ns);
	gift.bytes = view->update;
	gift.len = view->update_len;
	if (view->update)
		offers_spread_give(giving->offers->spread, giving->peer, &gift, giving->now_ns);
	return false;
}

static void on_give(void *ctx, const uint8_t *peer, const uint8_t ref[static STOCK_REF_LEN],
		    uint64_t now_ns)
{
	struct service_offers *offers = ctx;
	struct giving giving = {.offers = offers, .peer = peer, .now_ns = now_ns};

	memcpy(giving.entry.ref, ref, STOCK_REF_LEN);
	/* One that is gone by now, or cannot be read, is not sent; the neighbour asks nothing more. */
	if (offers_store_get_listed(offers->store, &giving.entry,
				    offers->params.config.spread.hops_max, on_giving, &giving) < 0)
		return;
}

static bool on_ref(void *ctx, const struct service_message *message,
		   uint8_t out_ref[static STOCK_REF_LEN])
{
	uint8_t ref[OFFER_REF_LEN];
	struct offer_terms terms;

	(void)ctx;
	if (offer_terms_read(message, &terms) < 0)
		return false;
	offers_ref(message->service, message->provider, terms.offer_id, ref);
	memcpy(out_ref, ref, STOCK_REF_LEN);
	return true;
}

static void on_passed(void *ctx, const uint8_t *peer)
{
	const struct service_offers *offers = ctx;

	offers_store_passed(offers->store, peer);
}

const struct spread_stock offers_stock = {
	.next = on_next, .lacks = on_lacks, .give = on_give, .ref = on_ref, .passed = on_passed};
