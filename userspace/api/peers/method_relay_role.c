/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SetRelayRole: what a person chose. ShowRelayRole: whether this node is a relay, and through which relays others reach it. Where
 * relay.unknown leaves none, it says so, and ShowWhy says it of a peer.
 */
#include <string.h>

#include "api/durable_reply.h"
#include "api/methods.h"
#include "base/monotonic.h"
#include "mesh/mesh.h"
#include "relay/end/relay_end.h"
#include "relay/find/relay_find.h"
#include "relay/trust/relay_trust.h"

/* --- no relay is left --- */

struct counted {
	unsigned usable_cnt, refused_cnt;
};

static void count(const struct api *api, const uint8_t *relay, const uint8_t *by,
		  struct counted *counted)
{
	bool is_refused = relay_trust_of(api->relay_trust, relay, by) == RELAY_TRUST_REFUSED;

	*(is_refused ? &counted->refused_cnt : &counted->usable_cnt) += 1;
}

/* A relay may be counted twice: whether there is any is what matters. */
static struct counted count_known(const struct api *api)
{
	struct counted counted = {.usable_cnt = api->relay_trust->own_cnt};
	const struct relay_known_row *row = NULL;
	struct mesh_neighbour neighbour;
	struct mesh_walk walk = {0};

	while (api->relay_find && (row = relay_find_next(api->relay_find, row)))
		count(api, row->announcement.key, NULL, &counted);
	while (mesh_neighbour_ops.next(api->home->mesh, &walk, &neighbour))
		if (neighbour.caps & MESH_CAP_RELAY)
			count(api, neighbour.key, NULL, &counted);
	return counted;
}

#define NO_RELAY                                                                                   \
	"relay.unknown is no, and all relays found are of unknown nodes; name one in "             \
	"relay.own, join a community that has one, or set relay.unknown = yes"

static bool lets_unknown(const struct api *api)
{
	return api->relay_trust->lets_unknown || api->config->relay_end.use == RELAY_USE_NO;
}

const char *api_no_relay(const struct api *api, const struct mesh_peer_info *peer)
{
	struct counted counted;

	if (lets_unknown(api) || peer->is_connected)
		return NULL;
	counted = count_known(api);
	for (unsigned i = 0; i < peer->via_cnt; i++)
		count(api, peer->vias[i].key, peer->key, &counted);
	return counted.refused_cnt && !counted.usable_cnt ? NO_RELAY : NULL;
}

/* This node is to be reached through relays. */
static const char *no_relay_to_keep(const struct api *api)
{
	struct counted counted;

	if (lets_unknown(api) || !relay_end_wants_kept(api->relay_end))
		return NULL;
	counted = count_known(api);
	return counted.refused_cnt && !counted.usable_cnt ? NO_RELAY : NULL;
}

/* --- the reply --- */

static const char *kept_state(const struct relay_end_relay *kept)
{
	if (kept->is_trial)
		return "trial";
	if (!kept->is_up)
		return kept->is_web ? "websocket" : "dialled";
	return kept->is_silent ? "silent" : "up";
}

static const char *websocket_why(struct varlink_blocks *blocks,
				 const struct relay_web_end_view *view)
{
	if (view->status)
		return varlink_format(blocks, "%s: HTTP %u", view->why, view->status);
	if (view->why && view->said[0])
		return varlink_format(blocks, "%s: \"%s\"", view->why, view->said);
	return view->said[0] ? varlink_text(blocks, view->said) : view->why;
}

static struct api_websocket_relay websocket_row(struct control_call *call, const struct api *api,
						const struct relay_web_end_view *view,
						uint64_t now_ns)
{
	static const char *const states[RELAY_WEB_END_STATE_CNT] = {
		[RELAY_WEB_END_UNWANTED] = "off",      [RELAY_WEB_END_WAITING] = "waiting",
		[RELAY_WEB_END_DIALLING] = "dialling", [RELAY_WEB_END_ASKED] = "asked",
		[RELAY_WEB_END_PROVING] = "proving",   [RELAY_WEB_END_OPEN] = "open",
	};
	struct varlink_blocks *blocks = control_blocks(call);

	return (struct api_websocket_relay){
		.relay = api_id(blocks, view->place->key),
		.name = view->place->name[0] ? view->place->name : NULL,
		.address = api_peer_address(call, api, &view->place->addr),
		.state = view->is_limited ? "limited" : states[view->state],
		.for_s = api_uint((now_ns - view->since_ns) / NS_PER_S),
		.protocol = view->protocol,
		.queued = view->queue_cnt,
		.why = websocket_why(blocks, view),
	};
}

void api_show_relay_role(struct api *api, struct control_call *call,
			 const struct api_show_relay_role_in *in, uint64_t now_ns)
{
	const struct relay_role *role = api->relay_role;
	uint32_t score = contribution_score(&role->own);
	struct api_relay_role out = {
		.relay = role->is_relay,
		.by_contribution = role->rule == RELAY_ROLE_EARNED,
		.why = relay_role_word(role->why),
		.since_s = api_uint((now_ns - role->since_ns) / NS_PER_S),
		.score = score / CONTRIBUTION_POINT,
		.score_thousandths = score,
		.taken = api_uint(role->stats.taken_cnt),
		.left = api_uint(role->stats.left_cnt),
		.unknown = api->relay_trust->lets_unknown,
		.no_relay = no_relay_to_keep(api),
	};
	struct api_websocket_relay_list used = {0};
	struct relay_web_end_view view;
	struct relay_end_relay kept;

	(void)in;
	for (unsigned i = 0; api->relay_web_end && relay_web_end_view(api->relay_web_end, i, &view);
	     i++)
		varlink_push(control_blocks(call), &used, websocket_row(call, api, &view, now_ns));
	for (unsigned i = 0; relay_end_relay_at(api->relay_end, i, &kept); i++) {
		enum relay_trust trust = relay_trust_of(api->relay_trust, kept.key, NULL);
		struct api_kept_relay row = {
			.relay = api_id(control_blocks(call), kept.key),
			.trust = relay_trust_word(trust),
			.state = kept_state(&kept),
		};

		varlink_push(control_blocks(call), &out.kept, row);
	}
	api_reply(call, show_relay_role, .role = out, .websocket = used);
}

/* --- a choice --- */

#define ROLE "relay role"

static int choice_read(const char *word, enum relay_role_choice *out_choice)
{
	static const char *const words[RELAY_ROLE_CHOICE_CNT] = {
		[RELAY_ROLE_AS_CONFIGURED] = "configured",
		[RELAY_ROLE_CHOSEN_OFF] = "off",
		[RELAY_ROLE_CHOSEN_ON] = "on",
	};

	for (unsigned i = 0; i < RELAY_ROLE_CHOICE_CNT; i++) {
		if (strcmp(word, words[i]) != 0)
			continue;
		*out_choice = (enum relay_role_choice)i;
		return 0;
	}
	return WEFT_EMALFORMED;
}

void api_set_relay_role(struct api *api, struct control_call *call,
			const struct api_set_relay_role_in *in, uint64_t now_ns)
{
	const struct api_set_relay_role_out out = {0};
	struct api_durable_reply *waiting;
	enum relay_role_choice choice;
	int err;

	(void)now_ns;
	if (choice_read(in->role, &choice) < 0) {
		control_fail(call, WEFT_EMALFORMED, in->role, "not a role",
			     "it is on, off or configured");
		return;
	}
	if (!api->relay_broker) {
		control_fail(call, WEFT_EREFUSED, ROLE,
			     "relay.enabled is no, and only a start makes the tables of a relay",
			     "set relay.enabled = yes in weft.conf and start weftd again");
		return;
	}
	waiting = api_durable_reply_new(call, ROLE, "choose again",
					api_set_relay_role_out_write(&out));
	if (!waiting)
		return;
	err = api->choose_relay(api->ctx, choice, api_durable_reply_send, waiting);
	if (err < 0) {
		api_durable_reply_cancel(waiting);
		control_fail(call, err, ROLE, weft_err_text(err), "try again");
	}
}
