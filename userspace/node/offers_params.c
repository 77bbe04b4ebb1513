/* SPDX-License-Identifier: Apache-2.0 */
/* What service offers take of the node. Home worker. */
#include <stdio.h>

#include "api/events/events.h"
#include "base/log.h"
#include "node/node_state.h"

static uint64_t on_wall_s(void *ctx)
{
	return node_wall_us(ctx) / 1000000;
}

static void on_happened(void *ctx, enum reservation_event_kind kind,
			const struct reservation_view *view)
{
	api_tell_reservation(((struct node *)ctx)->api, kind, view);
}

/* --- boxes: deposits --- */

static int on_put(void *ctx, const struct offers_deposit *deposit, void (*done)(void *arg, int err),
		  void *arg, uint64_t now_ns)
{
	const struct deposit_draft draft = {
		.store = deposit->store,
		.recipient = deposit->recipient,
		.kind = DEPOSIT_SERVICE_MESSAGE,
		.content = deposit->bytes,
		.len = deposit->len,
		.expires_s = deposit->expires_s,
		.receipt = deposit->receipt,
		.done = done,
		.arg = arg,
	};
	uint8_t id[DEPOSIT_ID_LEN];

	return deposits_put_at(((struct node *)ctx)->deposits, &draft, now_ns, id);
}

static int on_keep(void *ctx, const struct offers_deposit *deposit, const uint8_t *depositor,
		   uint64_t now_ns)
{
	const struct deposit_draft draft = {
		.recipient = deposit->recipient,
		.kind = DEPOSIT_SERVICE_MESSAGE,
		.content = deposit->bytes,
		.len = deposit->len,
		.expires_s = deposit->expires_s,
		.receipt = deposit->receipt,
	};

	return deposits_keep(((struct node *)ctx)->deposits, &draft, depositor, now_ns);
}

static int on_pull(void *ctx, const struct offers_pull *pull, uint64_t now_ns)
{
	const struct deposit_pull_ask ask = {
		.store = pull->store, .key = pull->key, .done = pull->done, .arg = pull->arg};

	return deposits_pull_from(((struct node *)ctx)->deposits, &ask, now_ns);
}

static void on_settle(void *ctx, uint64_t ticket, int err, uint64_t now_ns)
{
	deposits_settle(((struct node *)ctx)->deposits, ticket, err, now_ns);
}

static enum deposit_verdict on_deliver(void *ctx, const struct deposit *deposit, uint64_t ticket,
				       uint64_t now_ns)
{
	static const enum deposit_verdict verdicts[] = {
		[OFFERS_DELIVERY_TAKEN] = DEPOSIT_TAKEN,
		[OFFERS_DELIVERY_UNFIT] = DEPOSIT_UNFIT,
		[OFFERS_DELIVERY_LATER] = DEPOSIT_LATER,
	};
	const struct node *node = ctx;
	const struct offers_delivered delivered = {.recipient = deposit->recipient,
						   .bytes = deposit->content,
						   .len = deposit->len,
						   .ticket = ticket};

	if (!node->offers)
		return DEPOSIT_LATER;
	return verdicts[offers_deliver(node->offers, &delivered, now_ns)];
}

static const struct offers_boxes boxes_of_deposits = {
	.put = on_put, .pull = on_pull, .keep = on_keep, .settle = on_settle};

/* --- life --- */

int node_open_offers(struct node *node, char *what)
{
	const struct deposit_part part = {.deliver = on_deliver, .ctx = node};
	struct service_offers_params params = {
		.config = node->config->offers,
		.site = node->config->mesh.site,
		.key = node->key,
		.store = node->store,
		.mesh = mesh_seam_of(node->home->mesh),
		.neighbours = &mesh_neighbour_ops,
		.timers = &node->home->timers,
		.random = node->random,
		.wall_s = on_wall_s,
		.happened = on_happened,
		.ctx = node,
		.now_ns = node->home->now_ns,
	};
	int err;

	snprintf(what, NODE_WHAT_CAP, "service offers");
	if (!params.config.is_on)
		return 0;
	if (node->deposits) {
		params.boxes = boxes_of_deposits;
		params.boxes.ctx = node;
	}
	if (params.config.has_legacy_fapp && on_wall_s(node) > OFFERS_LEGACY_FAPP_UNTIL_S)
		log_warn("offers.legacy_fapp is on: its time ended on 2027-05-26, and a later weft "
			 "has it no more");
	err = offers_open(&params, &node->offers);
	if (err == 0 && node->deposits)
		err = deposits_register(node->deposits, DEPOSIT_SERVICE_MESSAGE, &part);
	return err;
}

void node_close_offers(struct node *node)
{
	offers_close(node->offers);
	node->offers = node->api->offers = NULL;
}
