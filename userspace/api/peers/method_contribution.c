/* SPDX-License-Identifier: Apache-2.0 */
/* ListContributions, and what a peer contributed for ShowPeer. */
#include "api/methods.h"
#include "base/fair/contribution.h"
#include "mesh/mesh.h"
#include "relay/messages/relay_messages.h"

#define ROWS_MAX    100u
#define PER_HUNDRED 10000u /* millionths in a hundredth */
#define HOUR_S	    3600u
#define RATE_UNIT   1000u /* thousandths of a message */
#define MILLION	    1000000u

struct api_contribution api_contribution(struct control_call *call, const struct api *api,
					 const uint8_t *key)
{
	struct contribution c;
	uint32_t score;

	(void)mesh_contribution(api->home->mesh, key, &c);
	score = contribution_score(&c);
	return (struct api_contribution){
		.node_id = api_id(control_blocks(call), key),
		.score = score / CONTRIBUTION_POINT,
		.score_thousandths = score,
		.rate_thousandths = relay_messages_rate(score),
		.rate = relay_messages_rate(score) / RATE_UNIT,
		.relays = api_uint((c.relays + MILLION / 2) / MILLION),
		.relayed = api_uint(c.relayed),
		.answered = api_uint(c.success / PER_HUNDRED),
		.uptime_s = api_uint(c.uptime * HOUR_S / MILLION),
		.given = api_uint(c.given),
		.taken = api_uint(c.taken),
		.give_take_thousandths = api_uint(c.give_take / 1000),
	};
}

/* The highest so far, in order. */
struct ranking {
	uint8_t keys[ROWS_MAX][MESH_KEY_LEN];
	uint32_t scores[ROWS_MAX];
	unsigned cnt;
};

static void ranking_add(struct ranking *ranking, const uint8_t *key, uint32_t score)
{
	unsigned at = ranking->cnt;

	while (at > 0 && ranking->scores[at - 1] < score)
		at--;
	if (at == ROWS_MAX)
		return;
	if (ranking->cnt < ROWS_MAX)
		ranking->cnt++;
	memmove(ranking->keys[at + 1], ranking->keys[at],
		(ranking->cnt - at - 1) * sizeof(ranking->keys[0]));
	memmove(&ranking->scores[at + 1], &ranking->scores[at],
		(ranking->cnt - at - 1) * sizeof(ranking->scores[0]));
	memcpy(ranking->keys[at], key, MESH_KEY_LEN);
	ranking->scores[at] = score;
}

void api_list_contributions(struct api *api, struct control_call *call,
			    const struct api_list_contributions_in *in, uint64_t now_ns)
{
	struct api_contribution_list peers = {0};
	struct ranking ranking = {.cnt = 0};
	struct mesh_peer_info peer;
	struct mesh_walk walk = {0};
	struct contribution c;

	(void)in, (void)now_ns;
	while (mesh_peers_next(api->home->mesh, &walk, &peer))
		if (mesh_contribution(api->home->mesh, peer.key, &c) && contribution_score(&c))
			ranking_add(&ranking, peer.key, contribution_score(&c));
	for (unsigned i = 0; i < ranking.cnt; i++)
		varlink_push(control_blocks(call), &peers,
			     api_contribution(call, api, ranking.keys[i]));
	api_reply(call, list_contributions, .peers = peers);
}
