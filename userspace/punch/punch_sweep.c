/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A search that runs: punch_sweep_run -> each TICK_NS sockets of the hard side, or probes of the easy one.
 * A probe that comes in by a socket makes that one the node's own. It is answered like one of a round,
 * and the answer to this node's own ends in search_found. The asker then has QUIC move.
 *
 * Ports are tried in steps of about the golden section of all, and none twice. So of 256 ports in a row
 * one is tried early: a NAT that counts up is found as soon as one that draws. Half of the searches
 * end after 0.8 s where 256 ports are open (tests/unit/punch). Home worker.
 */
#include <string.h>

#include "base/container_of.h"
#include "base/dgram.h"
#include "codec/stun.h"
#include "punch_state.h"

#define PORT_FIRST 1024u
#define PORT_CNT   (65536u - PORT_FIRST)
#define PORT_STEP  39871u /* odd, and no multiple of 3 or 7: it meets each port */

#define TICK_NS		(NS_PER_S * TICK_CNT / PUNCH_SEARCH_PER_S)
#define TICK_CNT	8u
#define SOCKETS_AT_ONCE 32u /* of the hard side: all are open after a quarter of a second */
#define AGAIN_TICKS	16u /* from one probe to the socket that was hit to the next */
#define RUN_NS		((uint64_t)PUNCH_SEARCH_PROBES_MAX * NS_PER_S / PUNCH_SEARCH_PER_S + NS_PER_S)
#define HARD_MORE_NS	(3 * NS_PER_S) /* the hard side waits longer than the other one tries */
#define LINGER_NS	(3 * NS_PER_S / 2)
#define ANSWERS_MAX	64
#define STUN_PAUSE_NS	(300 * NS_PER_MS)
#define STUN_SENDS	6

_Static_assert(PUNCH_TRANSACTION_LEN == STUN_TRANSACTION_LEN, "as STUN has it");

/* --- where the easy side's socket is seen --- */

static void stun_send(struct punch_search *search, uint64_t now_ns)
{
	const struct punch_params *params = &search->punch->params;
	uint8_t request[STUN_WRITE_CAP];
	size_t len = stun_write_request(search->transaction, request);

	search->stun_cnt++;
	params->ports->send(params->ports_ctx, 0, &search->relay, request, len);
	timer_set(params->timers, &search->timer, now_ns + STUN_PAUSE_NS);
}

void punch_sweep_map(struct punch_search *search, uint64_t now_ns)
{
	const struct punch_params *params = &search->punch->params;

	search->phase = PUNCH_SEARCH_MAPPING;
	if (search->relay.family != ADDR_IPV4 || params->ports->open(params->ports_ctx) < 0) {
		punch_search_end(search, PUNCH_SEARCH_UNMAPPED, now_ns);
		return;
	}
	search->socket_cnt = 1;
	stun_send(search, now_ns);
}

static void stun_input(struct punch_search *search, const struct dgram *dgram, uint64_t now_ns)
{
	struct stun_message message;

	if (!addr_equal(&dgram->remote, &search->relay) ||
	    stun_read(dgram->data, dgram->len, &message) < 0 || message.type != STUN_SUCCESS ||
	    message.unknown_cnt || message.mapped.family != ADDR_IPV4 || !message.mapped.port ||
	    memcmp(message.transaction, search->transaction, sizeof(search->transaction)) != 0)
		return;
	timer_cancel(search->punch->params.timers, &search->timer);
	punch_search_mapped(search, &message.mapped, now_ns);
}

/* --- out --- */

static struct punch_probe own_probe(const struct punch_search *search)
{
	struct punch_probe probe = {.kind = PUNCH_PROBE, .is_askers = search->is_asker};

	memcpy(probe.handle, search->their_handle, sizeof(probe.handle));
	memcpy(probe.nonce, search->nonce, sizeof(probe.nonce));
	return probe;
}

static void kept_send(struct punch_search *search, const struct punch_probe *probe,
		      const struct addr *local, const struct addr *remote)
{
	const struct dgram_route route = {.local = *local, .remote = *remote};

	(void)punch_probe_send(search->punch, probe, search->probe_key, &route);
}

static void socket_send(struct punch_search *search, unsigned idx, const struct addr *to)
{
	const struct punch_params *params = &search->punch->params;
	const struct punch_probe probe = own_probe(search);
	uint8_t data[WEFT_PROBE_LEN];

	punch_probe_write(&probe, search->probe_key, data);
	params->ports->send(params->ports_ctx, idx, to, data, sizeof(data));
	search->probe_cnt++;
	search->punch->stats.search_probe_cnt++;
}

/* Where the system has no socket more, those that are open have to do. */
static void sockets_open(struct punch_search *search)
{
	const struct punch_params *params = &search->punch->params;
	unsigned cap = params->config.search_socket_cnt;

	for (unsigned i = 0; i < SOCKETS_AT_ONCE && search->socket_cnt < cap && !search->is_short;
	     i++) {
		int idx = params->ports->open(params->ports_ctx);

		search->is_short = idx < 0;
		if (idx < 0)
			break;
		search->socket_cnt++;
		socket_send(search, (unsigned)idx, &search->goal);
	}
}

static void ports_try(struct punch_search *search)
{
	struct addr to = search->host;

	for (unsigned i = 0; i < TICK_CNT && search->probe_cnt < PUNCH_SEARCH_PROBES_MAX; i++) {
		search->port_at = (search->port_at % PORT_CNT + PORT_STEP) % PORT_CNT;
		to.port = (uint16_t)(PORT_FIRST + search->port_at);
		socket_send(search, 0, &to);
	}
}

static void sweep_tick(struct punch_search *search, uint64_t now_ns)
{
	const struct punch_params *params = &search->punch->params;
	struct punch_path path;

	search->now_ns = now_ns;
	if (now_ns >= search->end_ns) {
		punch_search_end(search, search->outcome ? search->outcome : PUNCH_SEARCH_SILENT,
				 now_ns);
		return;
	}
	if (!params->path(params->ctx, search->key, &path) ||
	    (path.is_direct && !search->outcome)) {
		punch_search_end(search, search->outcome, now_ns);
		return;
	}
	if (search->is_hard)
		sockets_open(search);
	else if (!search->is_heard)
		ports_try(search);
	if (search->is_heard && !search->outcome && ++search->tick_cnt % AGAIN_TICKS == 0) {
		const struct punch_probe probe = own_probe(search);

		kept_send(search, &probe, &search->local, &search->remote);
	}
	timer_set(params->timers, &search->timer, now_ns + TICK_NS);
}

void punch_sweep_run(struct punch_search *search, uint64_t now_ns)
{
	search->phase = PUNCH_SEARCH_RUNNING;
	search->begun_ns = now_ns;
	search->end_ns = now_ns + RUN_NS + (search->is_hard ? HARD_MORE_NS : 0);
	sweep_tick(search, now_ns);
}

void punch_sweep_expire(struct timer *timer, uint64_t now_ns)
{
	struct punch_search *search = container_of(timer, struct punch_search, timer);

	if (search->phase == PUNCH_SEARCH_RUNNING)
		sweep_tick(search, now_ns);
	else if (search->phase == PUNCH_SEARCH_MAPPING && search->stun_cnt < STUN_SENDS)
		stun_send(search, now_ns);
	else
		punch_search_end(search, PUNCH_SEARCH_UNMAPPED, now_ns);
}

/* --- in --- */

static void search_found(struct punch_search *search, const struct dgram *dgram, uint64_t now_ns)
{
	const struct punch_params *params = &search->punch->params;

	if (search->outcome || (search->is_asker && !params->move(params->ctx, search->key,
								  &dgram->local, &dgram->remote)))
		return;
	search->outcome = PUNCH_SEARCH_FOUND;
	search->found_ns = now_ns;
	search->end_ns = now_ns + LINGER_NS;
}

static void heard(struct punch_search *search, const struct dgram *dgram,
		  const struct punch_probe *probe, uint64_t now_ns)
{
	struct punch_probe answer = *probe;
	const struct punch_probe own = own_probe(search);

	if (!search->is_heard) {
		search->is_heard = true;
		search->local = dgram->local;
		search->remote = dgram->remote;
	}
	if (probe->kind == PUNCH_PROBE_ANSWER) {
		if (memcmp(probe->nonce, search->nonce, sizeof(search->nonce)) == 0)
			search_found(search, dgram, now_ns);
		return;
	}
	if (search->answer_cnt == ANSWERS_MAX)
		return;
	search->answer_cnt++;
	answer.kind = PUNCH_PROBE_ANSWER;
	answer.is_askers = search->is_asker;
	memcpy(answer.handle, search->their_handle, sizeof(answer.handle));
	kept_send(search, &answer, &dgram->local, &dgram->remote);
	if (!search->outcome)
		kept_send(search, &own, &dgram->local, &dgram->remote);
}

/* From where the search leads, and proved. */
static bool is_theirs(struct punch_search *search, const struct dgram *dgram,
		      const struct punch_probe *probe)
{
	struct punch_probe theirs = *probe;
	bool is_there = search->is_hard ? addr_equal(&dgram->remote, &search->goal)
					: addr_is_same_host(&dgram->remote, &search->host);

	theirs.is_askers = !search->is_asker;
	if (is_there && punch_probe_is_proved(&theirs, search->probe_key, dgram->data))
		return true;
	search->punch->stats.forged_cnt++;
	return false;
}

static bool is_of_search(const struct punch_search *search, const struct punch_probe *probe)
{
	return search->phase == PUNCH_SEARCH_RUNNING &&
	       memcmp(search->handle, probe->handle, sizeof(search->handle)) == 0;
}

bool punch_sweep_input(struct punch *punch, const struct dgram *dgram,
		       const struct punch_probe *probe, uint64_t now_ns)
{
	struct punch_search *search = &punch->search;

	if (!is_of_search(search, probe))
		return false;
	if (is_theirs(search, dgram, probe)) {
		punch->stats.heard_cnt++;
		heard(search, dgram, probe, now_ns);
	}
	return true;
}

void punch_port_input(struct punch *punch, unsigned idx, const struct dgram *dgram, uint64_t now_ns)
{
	const struct punch_params *params = &punch->params;
	struct punch_search *search = &punch->search;
	struct punch_probe probe;

	if (search->phase == PUNCH_SEARCH_MAPPING) {
		stun_input(search, dgram, now_ns);
		return;
	}
	if (!punch_probe_parse(dgram->data, dgram->len, &probe) || !is_of_search(search, &probe) ||
	    !is_theirs(search, dgram, &probe) || search->kept_cnt == PUNCH_SEARCH_KEPT_MAX ||
	    !params->ports->keep(params->ports_ctx, idx, &search->owner, now_ns))
		return;
	search->kept_cnt++;
	punch->stats.heard_cnt++;
	heard(search, dgram, &probe, now_ns);
}
