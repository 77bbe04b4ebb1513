/* SPDX-License-Identifier: Apache-2.0 */
/* What people leave for each other at anchors: the social layer's mail goes by deposits. Home worker. */
#include <string.h>

#include "node/node_state.h"
#include "social/mail/mail_envelope.h"
#include "social/social.h"

_Static_assert(MAIL_ENVELOPE_LEN_MAX == DEPOSIT_CONTENT_LEN_MAX, "an envelope is one deposit");
_Static_assert(MAIL_RECEIPT_LEN == DEPOSIT_RECEIPT_LEN, "receipts are those of deposits");
_Static_assert(MAIL_ID_LEN == DEPOSIT_ID_LEN, "ids are those of deposits");

/* --- what goes --- */

static struct deposit_draft draft_of(const struct mail_deposit *deposit)
{
	return (struct deposit_draft){
		.store = deposit->store,
		.recipient = deposit->recipient,
		.kind = DEPOSIT_SOCIAL,
		.content = deposit->bytes,
		.len = deposit->len,
		.expires_s = deposit->expires_s,
		.receipt = deposit->receipt,
	};
}

/* One that the disk does not take is not in the outbox, and is put once more. */
static int on_put(void *ctx, const struct mail_deposit *deposit, uint64_t now_ns)
{
	struct deposit_draft draft = draft_of(deposit);
	uint8_t id[DEPOSIT_ID_LEN];

	return deposits_put_at(((struct node *)ctx)->deposits, &draft, now_ns, id);
}

static bool on_find(void *ctx, const struct mail_deposit *deposit,
		    struct mail_deposit_view *out_view)
{
	const struct deposit_draft draft = draft_of(deposit);
	struct deposit_progress progress;

	if (!deposits_find_out(((const struct node *)ctx)->deposits, &draft, &progress))
		return false;
	memcpy(out_view->id, progress.id, sizeof(out_view->id));
	out_view->is_kept = progress.state == DEPOSIT_KEPT;
	out_view->why = progress.err < 0 ? progress.why : NULL;
	return true;
}

static void on_withdraw(void *ctx, const uint8_t *id)
{
	struct node *node = ctx;

	(void)deposits_withdraw(node->deposits, id, node->home->now_ns);
}

static unsigned on_out_cnt(void *ctx)
{
	return deposits_out_cnt(((const struct node *)ctx)->deposits, DEPOSIT_SOCIAL);
}

struct mesh_peer node_store_peer(void *ctx, unsigned kind, const uint8_t *store,
				 struct peer_places *out_places, uint64_t now_ns)
{
	const struct node *node = ctx;
	struct mesh_peer peer = {.addr_cnt = 0};

	if (node->social && (kind == DEPOSIT_SOCIAL || social_is_unsought(node->social, store)))
		return social_mail_peer(social_mail_of(node->social), store, out_places, now_ns);
	memcpy(peer.key, store, sizeof(peer.key));
	return peer;
}

/* --- what comes --- */

static int on_pull(void *ctx, const uint8_t *store, const struct node_key *key, uint64_t now_ns)
{
	const struct deposit_pull_ask ask = {.store = store, .key = key};

	return deposits_pull_from(((struct node *)ctx)->deposits, &ask, now_ns);
}

static void on_settle(void *ctx, uint64_t ticket, int err)
{
	struct node *node = ctx;

	deposits_settle(node->deposits, ticket, err, node->home->now_ns);
}

static enum deposit_verdict on_deliver(void *ctx, const struct deposit *deposit, uint64_t ticket,
				       uint64_t now_ns)
{
	static const enum deposit_verdict verdicts[] = {
		[MAIL_TAKEN] = DEPOSIT_TAKEN,
		[MAIL_UNFIT] = DEPOSIT_UNFIT,
		[MAIL_LATER] = DEPOSIT_LATER,
	};
	const struct node *node = ctx;
	const struct mail_arrival arrival = {.recipient = deposit->recipient,
					     .bytes = deposit->content,
					     .len = deposit->len,
					     .ticket = ticket};

	if (!node->social)
		return DEPOSIT_LATER;
	return verdicts[social_mail_take(social_mail_of(node->social), &arrival, now_ns)];
}

static void on_moved(void *ctx, const struct deposit_progress *progress, uint64_t now_ns)
{
	const struct node *node = ctx;

	if (node->social && progress->state == DEPOSIT_DELIVERED)
		social_mail_delivered(social_mail_of(node->social), progress->id, now_ns);
}

const struct mail_boxes node_mail_boxes = {.put = on_put,
					   .find = on_find,
					   .withdraw = on_withdraw,
					   .out_cnt = on_out_cnt,
					   .pull = on_pull,
					   .settle = on_settle};

int node_register_mail(struct node *node)
{
	const struct deposit_part part = {.deliver = on_deliver, .moved = on_moved, .ctx = node};

	return node->deposits ? deposits_register(node->deposits, DEPOSIT_SOCIAL, &part) : 0;
}
