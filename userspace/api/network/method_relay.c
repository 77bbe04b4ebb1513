/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ShowRelay: the flows of this relay. RevokeRelayGrants: a revocation list of the operator whose
 * grants it honours. ListRelays: the relays that this node knows of. UseRelayGrant: one more grant
 * that this node shows to relays.
 */
#include "relay/find/relay_find.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/methods.h"
#include "api/durable_reply.h"
#include "base/monotonic.h"
#include "config/config.h"
#include "relay/broker/relay_broker.h"
#include "relay/end/relay_end.h"
#include "relay/grants/held.h"
#include "relay/grants/honoured.h"
#include "store/store.h"

#define REVOCATIONS "revocation list"
/* The store refused it. */
#define GRANT	   "grant"
#define GIVE_AGAIN "it holds until the daemon ends: mend the store and give it again"

static const char *state_of(const struct relay_known_row *row)
{
	if (relay_known_is_live(row))
		return "live";
	return row->score.failed_in_row ? "failed" : "untried";
}

static const char *addrs_text(struct varlink_blocks *blocks,
			      const struct relay_announcement *announcement)
{
	char text[PEER_ADDRS_MAX * (ADDR_TEXT_CAP + 1)] = "";
	size_t len = 0;

	for (unsigned i = 0; i < announcement->addr_cnt; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s", i ? " " : "",
					api_addr(blocks, &announcement->addrs[i]));
	return varlink_text(blocks, text);
}

static struct api_relay_row row_of(const struct api *api, struct varlink_blocks *blocks,
				   const struct relay_known_row *row, uint64_t now_ns)
{
	uint64_t wall_s = api->wall_us(api->ctx) / 1000000;
	struct relay_score aged = row->score;
	struct api_relay_row out = {
		.node_id = api_id(blocks, row->announcement.key),
		.addresses = addrs_text(blocks, &row->announcement),
		.state = state_of(row),
		.trust = relay_trust_word(
			relay_trust_of(api->relay_trust, row->announcement.key, NULL)),
		.told_by = relay_teller_word(row->teller),
		.flows = row->announcement.capacity.flow_cap,
	};

	relay_score_age(&aged, now_ns);
	out.score = aged.score / RELAY_SCORE_POINT;
	out.latency_ms = api_uint(row->score.latency_ns / NS_PER_MS);
	if (row->announcement.expires_s > wall_s)
		out.expires_s = api_uint(row->announcement.expires_s - wall_s);
	return out;
}

void api_list_relays(struct api *api, struct control_call *call,
		     const struct api_list_relays_in *in, uint64_t now_ns)
{
	struct varlink_blocks *blocks = control_blocks(call);
	const struct relay_known_row *row = NULL;
	struct api_relay_row_list relays = {0};

	(void)in;
	if (!api->relay_find) {
		control_fail(call, WEFT_EREFUSED, "relays", "services are switched off",
			     "set service.enabled in weft.conf and start weftd again");
		return;
	}
	while ((row = relay_find_next(api->relay_find, row)))
		varlink_push(blocks, &relays, row_of(api, blocks, row, now_ns));
	api_reply(call, list_relays, .relays = relays);
}

static const char *flow_state(const struct relay_flow_view *view)
{
	if (view->is_slow)
		return "slow";
	return view->packets[0] && view->packets[1] ? "open" : "one-leg";
}

static struct api_relay_flow flow_of(struct varlink_blocks *blocks,
				     const struct relay_broker_flow *flow,
				     const struct relay_flow_view *view, uint64_t now_ns)
{
	return (struct api_relay_flow){
		.opener = api_id(blocks, flow->keys[0]),
		.peer = api_id(blocks, flow->keys[1]),
		.class = flow->class == RELAY_CONTENT ? "content" : "control",
		.state = flow_state(view),
		.mtu = view->mtu,
		.sent = api_uint(view->bytes[0]),
		.received = api_uint(view->bytes[1]),
		.refused = api_uint(view->refused[0] + view->refused[1]),
		.age_s = api_uint((now_ns - view->opened_ns) / NS_PER_S),
		.idle_s = api_uint((now_ns - view->used_ns) / NS_PER_S),
		.opened_today = view->opened_today,
		.grant = view->grant,
	};
}

static const char *pool_state(const struct relay_pool_row *row, uint64_t serial)
{
	if (!row->is_heard)
		return "silent";
	if (row->serial == serial)
		return "current";
	return row->serial < serial ? "behind" : "ahead";
}

static void pool_show(const struct api *api, struct varlink_blocks *blocks, struct api_relay *relay,
		      uint64_t now_ns)
{
	struct relay_pool_row row;

	if (api->relay_honoured)
		relay->revocations = api_uint(relay_honoured_list(api->relay_honoured)->serial);
	for (unsigned i = 0; api->relay_pool && relay_pool_row(api->relay_pool, i, &row); i++) {
		struct api_relay_pool_row shown = {
			.node_id = api_id(blocks, row.key),
			.state = pool_state(&row, (uint64_t)relay->revocations),
			.serial = api_uint(row.serial),
			.has_heard_s = row.heard_ns > 0,
			.heard_s = api_uint((now_ns - row.heard_ns) / NS_PER_S),
		};

		varlink_push(blocks, &relay->pool, shown);
	}
}

void api_show_relay(struct api *api, struct control_call *call, const struct api_show_relay_in *in,
		    uint64_t now_ns)
{
	const struct relay_config *config = &api->config->relay;
	struct varlink_blocks *blocks = control_blocks(call);
	struct api_relay relay = {
		.enabled = api->relay_broker != NULL,
		.flow_cap = config->flow_cap - 1,
		.rate = api_uint(config->free_per_s),
		.day = api_uint(config->free_day_len),
		.content_day = api_uint(config->free_content_day_len),
		.opens = config->free_opens,
		.network = config->free_network,
		.content = api->config->relay_broker.has_free_content,
	};
	struct relay_broker_flow flow;
	struct relay_flow_view view;
	uint32_t idx = 0;

	(void)in;
	while (api->relay_broker && relay_broker_next(api->relay_broker, &idx, &flow)) {
		relay.flow_count++;
		if (relay_flow_read(api->relay, flow.id, &view) == 0)
			varlink_push(blocks, &relay.flows, flow_of(blocks, &flow, &view, now_ns));
	}
	pool_show(api, blocks, &relay, now_ns);
	api_reply(call, show_relay, .relay = relay);
}

/* --- revocations --- */

static void refuse(struct control_call *call, int err)
{
	const char *why = weft_err_text(err), *next = "try again";

	if (err == WEFT_EMALFORMED || err == WEFT_ETOOLARGE) {
		why = "it is no revocation list, or it was cut";
		next = "weft relay grant-revoke prints one: mesh-relay-revoke:...";
	} else if (err == WEFT_EDAMAGED) {
		why = "its signature is wrong: it was forged or changed";
		next = "ask the operator for it again";
	} else if (err == WEFT_EWRONGKEY) {
		why = "it is of another operator than relay.operator";
		next = "weft relay operator-show prints the key of an operator's file";
	} else if (err == WEFT_EEXISTS) {
		why = "a list with this serial or a higher one is in force";
		next = "ask the operator for the newest list";
	}
	control_fail(call, err, REVOCATIONS, why, next);
}

static json_t *reply_of(const struct relay_revocations *list)
{
	const struct api_revoke_relay_grants_out out = {
		.revocations = {.serial = api_uint(list->serial),
				.below = api_uint(list->below),
				.revoked = list->cnt},
	};

	return api_revoke_relay_grants_out_write(&out);
}

/* The reply tells of list, which is in force when its writing is begun. */
static void list_take(struct api *api, struct control_call *call, const uint8_t *bytes, size_t len)
{
	struct relay_revocations *list = calloc(1, sizeof(*list));
	struct api_durable_reply *waiting;
	int err = list ? relay_revocations_parse(bytes, len, list) : -ENOMEM;

	if (err < 0) {
		refuse(call, err);
	} else if ((waiting =
			    api_durable_reply_new(call, REVOCATIONS, GIVE_AGAIN, reply_of(list)))) {
		err = relay_honoured_revoke(api->relay_honoured, bytes, len, api_durable_reply_send,
					    waiting);
		if (err < 0) {
			api_durable_reply_cancel(waiting);
			refuse(call, err);
		}
	}
	free(list);
}

void api_revoke_relay_grants(struct api *api, struct control_call *call,
			     const struct api_revoke_relay_grants_in *in, uint64_t now_ns)
{
	uint8_t bytes[RELAY_REVOCATIONS_LEN_MAX];
	size_t len;
	int err;

	(void)now_ns;
	if (!api->relay_honoured) {
		control_fail(
			call, WEFT_EREFUSED, REVOCATIONS, "this node honours no grants of relays",
			"set relay.enabled and relay.operator in weft.conf and start weftd again");
		return;
	}
	err = relay_revocations_text_read(in->list, bytes, &len);
	if (err < 0)
		refuse(call, err);
	else
		list_take(api, call, bytes, len);
}

/* --- grants that this node shows --- */

static void grant_refuse(struct control_call *call, enum relay_grant_fault fault)
{
	const char *next = "weft relay grant-show says what is in it";

	if (fault == RELAY_GRANT_FULL) {
		control_fail(call, WEFT_EFULL, GRANT, "this node shows 8 grants already",
			     "a holder with more may lend grants: weft relay grant-lend");
		return;
	}
	control_fail(call, fault == RELAY_GRANT_FORGED ? WEFT_EDAMAGED : WEFT_EREFUSED, GRANT,
		     relay_grant_fault_text(fault), next);
}

/* A grant that is on its way into the store: what this node shows then. */
struct grant_use {
	struct api *api;
	struct relay_held next;
	struct api_durable_reply *waiting;
};

/* What could not be stored is not shown: a start would not know of it. */
static void on_grant_stored(void *arg, int err)
{
	struct grant_use *use = arg;
	struct api *api = use->api;

	/* NULL: this node ends. */
	if (api->relay_held) {
		api->relay_held->is_on_way = false;
		if (err == 0) {
			*api->relay_held = use->next;
			relay_end_granted(api->relay_end);
		}
	}
	api_durable_reply_send(use->waiting, err);
	free(use);
}

static int grant_save(struct grant_use *use)
{
	struct store_batch *batch = store_batch_new(use->api->store);
	char *text = malloc(RELAY_HELD_TEXT_CAP);
	int err = -ENOMEM;

	if (batch && text) {
		size_t len = relay_held_write(&use->next, text);

		store_batch_put(batch, STORE_META,
				store_key(RELAY_HELD_META, strlen(RELAY_HELD_META)), text, len);
		err = store_submit(use->api->store, batch, on_grant_stored, use);
	}
	free(text);
	if (err < 0)
		store_batch_free(batch);
	return err;
}

static void grant_keep(struct control_call *call, struct grant_use *use)
{
	const struct api_use_relay_grant_out out = {.grants = use->next.cnt};
	int err;

	use->waiting = api_durable_reply_new(call, GRANT, "give it again",
					     api_use_relay_grant_out_write(&out));
	if (!use->waiting) {
		free(use);
		return;
	}
	err = grant_save(use);
	if (err == 0) {
		use->api->relay_held->is_on_way = true;
		return;
	}
	api_durable_reply_cancel(use->waiting);
	free(use);
	control_fail(call, err, GRANT, weft_err_text(err), "try again");
}

void api_use_relay_grant(struct api *api, struct control_call *call,
			 const struct api_use_relay_grant_in *in, uint64_t now_ns)
{
	struct grant_use *use = calloc(1, sizeof(*use));
	enum relay_grant_fault fault;
	int err = !use ? -ENOMEM : api->relay_held->is_on_way ? WEFT_EBUSY : 0;

	(void)now_ns;
	if (err < 0) {
		free(use);
		control_fail(call, err, GRANT, weft_err_text(err), "try again");
		return;
	}
	use->api = api;
	use->next = *api->relay_held;
	fault = relay_held_use(&use->next, in->grant, api->own_key,
			       api->wall_us(api->ctx) / 1000000);
	if (fault == RELAY_GRANT_FINE) {
		grant_keep(call, use);
		return;
	}
	free(use);
	grant_refuse(call, fault);
}
