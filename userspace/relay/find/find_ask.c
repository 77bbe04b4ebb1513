/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asking relays which others they know: one at a time. The answer shows that the relay is there, so a
 * live relay is asked every ten minutes, and more often while there are too few. Then relays that were
 * only named are asked, too, and neighbours that say in HELLO that they are relays. A relay that gives
 * a false announcement has failed.
 */
#include <string.h>

#include "base/monotonic.h"
#include "kad/kad_contact.h"
#include "relay_find_state.h"

#define TIMEOUT_NS (10 * NS_PER_S)
#define KEEP_NS	   (600 * NS_PER_S) /* a live relay is asked so often, */
#define HUNGRY_NS  (120 * NS_PER_S) /* or so often while there are too few */
#define GAP_NS	   (5 * NS_PER_S)   /* between two relays */
#define IDLE_NS	   (30 * NS_PER_S)  /* none was to be asked */

/* --- what a relay says --- */

/* Keeps the addresses at which the relay can be, as far as teller may know. */
static bool addrs_judge(struct relay_announcement *announcement, const struct addr *teller)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < announcement->addr_cnt; i++)
		if (kad_addr_scope_is_credible(&announcement->addrs[i], teller))
			announcement->addrs[kept++] = announcement->addrs[i];
	announcement->addr_cnt = kept;
	return kept > 0;
}

/* False: it is no announcement, which its teller has seen as well. */
static bool listed_take(struct relay_find *find, const struct relay_listed *listed,
			const struct addr *teller, uint64_t now_ns)
{
	struct relay_announcement announcement;

	if (relay_announcement_parse(listed->bytes, listed->len, &announcement) < 0)
		return false;
	if (relay_announcement_check_time(&announcement, relay_find_wall_s(find, now_ns)) < 0 ||
	    !addrs_judge(&announcement, teller))
		return true;
	if (relay_announcement_verify(listed->bytes, listed->len) < 0)
		return false;
	find->stats.listed_cnt++;
	(void)relay_find_take(find,
			      &(struct relay_known_entry){
				      .announcement = &announcement,
				      .bytes = listed->bytes,
				      .len = listed->len,
				      .teller = {.kind = RELAY_TOLD_BY_RELAY, .addr = *teller}},
			      now_ns);
	return true;
}

static bool list_take(struct relay_find *find, const struct mesh_reply *reply,
		      const struct addr *teller, uint64_t now_ns)
{
	struct relay_listed listed[RELAY_LIST_MAX];
	int cnt = relay_list_parse(reply->payload, reply->payload_len, listed);
	bool is_honest = cnt >= 0;

	for (int i = 0; i < cnt && is_honest; i++)
		is_honest = listed_take(find, &listed[i], teller, now_ns);
	find->stats.false_cnt += !is_honest;
	return is_honest;
}

static void on_reply(void *arg, const struct mesh_reply *reply, uint64_t now_ns)
{
	struct relay_find *find = arg;
	struct find_ask *ask = &find->ask;
	struct mesh_neighbour teller = {0};

	ask->request = NULL;
	ask->next_ns = now_ns + GAP_NS;
	/* Busy is no fault of a relay. */
	if (reply->err == WEFT_EREFUSED || reply->err == WEFT_EBUSY)
		return;
	(void)find->params.neighbours->find(find->params.mesh.mesh, ask->key, &teller);
	if (reply->err < 0)
		find->stats.silent_cnt++;
	if (reply->err < 0 || !list_take(find, reply, &teller.remote, now_ns))
		relay_known_failed(find->known, ask->key, now_ns);
	else
		relay_known_succeeded(find->known, ask->key, &teller.remote, now_ns - ask->asked_ns,
				      now_ns);
}

/* --- which relay is asked --- */

static void ask_begin(struct relay_find *find, const struct mesh_peer *peer, uint64_t now_ns)
{
	struct find_ask *ask = &find->ask;
	uint8_t payload[RELAY_LIST_ASK_LEN_MAX];
	struct writer w = writer_of(payload, sizeof(payload));
	struct mesh_ask request = {
		.peer = *peer,
		.type = MESH_LIST_RELAYS,
		.payload = payload,
		.reply_buf = ask->reply,
		.reply_cap = sizeof(ask->reply),
		.timeout_ns = TIMEOUT_NS,
		.reply = on_reply,
		.arg = find,
	};

	relay_list_ask_write(&w, RELAY_LIST_MAX);
	request.payload_len = writer_len(&w);
	memcpy(ask->key, peer->key, sizeof(ask->key));
	ask->asked_ns = now_ns;
	if (find->params.mesh.ops->ask(find->params.mesh.mesh, &request, now_ns, &ask->request) < 0)
		ask->request = NULL;
	else
		find->stats.asked_cnt++;
}

/* The next neighbour that is a relay and not among those known. Each is asked once in a walk. */
static bool neighbour_next(struct relay_find *find, struct mesh_neighbour *out)
{
	const struct mesh_neighbour_ops *neighbours = find->params.neighbours;
	struct mesh_walk walk = {0};
	unsigned skip_cnt = find->ask.skip_cnt, at = 0;

	/* Peers may have changed since the last turn, so a walk does not outlive one. */
	while (neighbours->next(find->params.mesh.mesh, &walk, out)) {
		if (!(out->caps & MESH_CAP_RELAY) || relay_known_find(find->known, out->key) ||
		    at++ < skip_cnt)
			continue;
		find->ask.skip_cnt++;
		return true;
	}
	find->ask.skip_cnt = 0;
	return false;
}

static bool known_ask(struct relay_find *find, bool is_hungry, uint64_t now_ns)
{
	const struct relay_known_row *row =
		relay_known_to_ask(find->known, is_hungry, is_hungry ? HUNGRY_NS : KEEP_NS, now_ns);
	struct mesh_peer peer = {0};

	if (!row)
		return false;
	memcpy(peer.key, row->announcement.key, sizeof(peer.key));
	peer.addrs = row->announcement.addrs;
	peer.addr_cnt = row->announcement.addr_cnt;
	if (!row->has_served)
		peer.told_cnt = peer.addr_cnt;
	ask_begin(find, &peer, now_ns);
	return true;
}

void relay_find_ask_turn(struct relay_find *find, uint64_t now_ns)
{
	struct find_ask *ask = &find->ask;
	bool is_hungry = relay_find_is_hungry(find);
	struct mesh_neighbour neighbour;
	struct mesh_peer peer = {0};

	if (now_ns < ask->next_ns || ask->request)
		return;
	ask->next_ns = now_ns + GAP_NS;
	if (known_ask(find, is_hungry, now_ns))
		return;
	if (!is_hungry || !neighbour_next(find, &neighbour)) {
		ask->next_ns = now_ns + IDLE_NS;
		return;
	}
	memcpy(peer.key, neighbour.key, sizeof(peer.key));
	peer.addrs = &neighbour.remote;
	peer.addr_cnt = neighbour.remote.family != ADDR_NONE;
	ask_begin(find, &peer, now_ns);
}

void relay_find_ask_stop(struct relay_find *find)
{
	if (find->ask.request)
		find->params.mesh.ops->cancel(find->ask.request);
	find->ask.request = NULL;
}
