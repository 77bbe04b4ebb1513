/* SPDX-License-Identifier: Apache-2.0 */
#include "rendezvous.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/monotonic.h"
#include "identify.h"

/* Between two tries to ask when none could be asked. */
#define ASK_PAUSE_NS (100 * NS_PER_MS)

struct mesh_rendezvous {
	struct mesh_rendezvous_params params;
	uint64_t announce_ns, find_ns;
	struct addr waiting[MESH_RENDEZVOUS_ADDRS_MAX]; /* to be asked for their keys */
	unsigned waiting_cnt;
	uint64_t ask_ns; /* when the next of them is */
	struct addr known[MESH_RENDEZVOUS_KNOWN_MAX];
	unsigned known_cnt, known_idx; /* the next one goes there */
	struct mesh_rendezvous_stats stats;
};

int mesh_rendezvous_new(const struct mesh_rendezvous_params *params,
			struct mesh_rendezvous **out_rendezvous)
{
	struct mesh_rendezvous *rendezvous = calloc(1, sizeof(*rendezvous));

	if (!rendezvous)
		return -ENOMEM;
	rendezvous->params = *params;
	rendezvous->announce_ns = rendezvous->find_ns = params->now_ns;
	*out_rendezvous = rendezvous;
	return 0;
}

void mesh_rendezvous_free(struct mesh_rendezvous *rendezvous)
{
	if (!rendezvous)
		return;
	mesh_identify_forget(rendezvous->params.mesh, rendezvous);
	free(rendezvous);
}

/* --- what is found --- */

/* False: it was named before, and is not to be asked again. */
static bool note_known(struct mesh_rendezvous *rendezvous, const struct addr *addr)
{
	for (unsigned i = 0; i < rendezvous->known_cnt; i++)
		if (addr_equal(&rendezvous->known[i], addr))
			return false;
	rendezvous->known[rendezvous->known_idx] = *addr;
	rendezvous->known_idx = (rendezvous->known_idx + 1) % MESH_RENDEZVOUS_KNOWN_MAX;
	if (rendezvous->known_cnt < MESH_RENDEZVOUS_KNOWN_MAX)
		rendezvous->known_cnt++;
	return true;
}

void mesh_rendezvous_hear(struct mesh_rendezvous *rendezvous, const struct addr *addrs,
			  unsigned cnt, enum kad_addr_scope scope_min)
{
	for (unsigned i = 0; i < cnt; i++) {
		enum kad_addr_scope addr_scope = kad_addr_scope_of(&addrs[i]);

		rendezvous->stats.heard_cnt++;
		if (addr_scope == KAD_ADDR_SCOPE_NONE || addr_scope < scope_min)
			rendezvous->stats.refused_cnt++;
		else if (rendezvous->waiting_cnt < MESH_RENDEZVOUS_ADDRS_MAX &&
			 note_known(rendezvous, &addrs[i]))
			rendezvous->waiting[rendezvous->waiting_cnt++] = addrs[i];
	}
	rendezvous->ask_ns = 0;
}

static void on_met(void *arg, const struct addr *addr, int err, const uint8_t *key, uint64_t now_ns)
{
	struct mesh_rendezvous *rendezvous = arg;
	/* It showed a key there: what it says now is more than an unknown peer's word. */
	struct mesh_peer peer = {.addrs = addr, .addr_cnt = 1};

	if (err < 0)
		return;
	rendezvous->stats.met_cnt++;
	memcpy(peer.key, key, sizeof(peer.key));
	rendezvous->params.found(rendezvous->params.ctx, &peer, now_ns);
}

/* A node that cannot be asked now, because others take long to answer, is asked a little later. */
static void waiting_ask(struct mesh_rendezvous *rendezvous, uint64_t now_ns)
{
	if (now_ns < rendezvous->ask_ns)
		return;
	rendezvous->ask_ns = now_ns + ASK_PAUSE_NS;
	while (rendezvous->waiting_cnt &&
	       mesh_identify_addr(rendezvous->params.mesh,
				  &rendezvous->waiting[rendezvous->waiting_cnt - 1], on_met,
				  rendezvous, now_ns) != WEFT_EFULL)
		rendezvous->waiting_cnt--;
}

/* --- time --- */

static bool is_lonely(const struct mesh_rendezvous *rendezvous)
{
	struct mesh_neighbour neighbour;
	struct mesh_walk walk = {0};
	unsigned cnt = 0;

	while (cnt < MESH_RENDEZVOUS_ENOUGH_CNT &&
	       mesh_neighbour_ops.next(rendezvous->params.mesh, &walk, &neighbour) &&
	       neighbour.is_connected)
		cnt++;
	return cnt < MESH_RENDEZVOUS_ENOUGH_CNT;
}

void mesh_rendezvous_expire(struct mesh_rendezvous *rendezvous, bool is_reachable, uint64_t now_ns)
{
	const struct mesh_rendezvous_place *place = &rendezvous->params.place;
	bool is_done;

	waiting_ask(rendezvous, now_ns);
	if (now_ns >= rendezvous->announce_ns) {
		is_done = is_reachable && place->announce(place->ctx, now_ns);
		rendezvous->stats.announced_cnt += is_done;
		rendezvous->announce_ns =
			now_ns + (is_done ? MESH_RENDEZVOUS_ANNOUNCE_NS : MESH_RENDEZVOUS_RETRY_NS);
	}
	if (now_ns >= rendezvous->find_ns) {
		is_done = is_lonely(rendezvous) && place->find(place->ctx, now_ns);
		rendezvous->stats.find_cnt += is_done;
		rendezvous->find_ns =
			now_ns + (is_done ? MESH_RENDEZVOUS_FIND_NS : MESH_RENDEZVOUS_RETRY_NS);
	}
}

uint64_t mesh_rendezvous_next_ns(const struct mesh_rendezvous *rendezvous)
{
	if (rendezvous->waiting_cnt && rendezvous->ask_ns < rendezvous->announce_ns &&
	    rendezvous->ask_ns < rendezvous->find_ns)
		return rendezvous->ask_ns;
	return rendezvous->announce_ns < rendezvous->find_ns ? rendezvous->announce_ns
							     : rendezvous->find_ns;
}

void mesh_rendezvous_stats(const struct mesh_rendezvous *rendezvous,
			   struct mesh_rendezvous_stats *out_stats)
{
	*out_stats = rendezvous->stats;
}
