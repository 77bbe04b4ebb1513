/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The room's datagrams. A STUN request is answered with the address it came from: reachability_input ->
 * on_request -> the sink. XDP answers a request without attributes itself, by the same bytes
 * (weft/stun_answer.h). Ingress has paid for each answer from the byte budget of the DHT
 * (weft/stun_policy.h), so no answer is limited here. Answers to questions of this node and probes
 * go to the round that asked (round.c). Home worker.
 */
#include "reachability_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/dgram.h"
#include "base/monotonic.h"
#include "base/random.h"
#include "base/siphash_bytes.h"
#include "codec/stun.h"
#include "kad/kad_contact.h"

#define FIRST_ROUND_NS	 (3 * NS_PER_S)
#define SESSION_ROUND_NS (1 * NS_PER_S)
#define CHANGE_ROUND_NS	 (1 * NS_PER_S)

static void on_stun_answer(void *ctx, const struct addr *server, const struct addr *mapped,
			   uint64_t now_ns)
{
	struct reachability *reachability = ctx;
	struct observation seen = {.voter = *server, .by = OBSERVED_BY_STUN, .at_ns = now_ns};

	if (!mapped) {
		reachability->silent_cnt++;
		reachability->stats.stun_silent_cnt++;
		/* Once: a server that never answers must not make a round of each question. */
		if (reachability->silent_cnt == REACHABILITY_SILENT_ENOUGH)
			reachability_round_in(reachability, 0, now_ns);
		return;
	}
	reachability->silent_cnt = 0;
	reachability->stats.stun_told_cnt++;
	seen.network = fair_network_of_addr(&reachability->paths, server);
	seen.seen = *mapped;
	reachability_round_seen(reachability, &seen);
}

static void on_stun_check(void *ctx, const struct addr *remote, uint64_t now_ns)
{
	const struct reachability *reachability = ctx;

	if (reachability->params.checked)
		reachability->params.checked(reachability->params.ctx, remote, now_ns);
}

void reachability_check(struct reachability *reachability, const struct addr *remote,
			uint64_t now_ns)
{
	reachability_stun_check(&reachability->stun, remote, now_ns);
}

/* The own addresses of family as a number that another set of them does not have. */
static uint64_t own_digest(const struct reachability *reachability, uint8_t family)
{
	const struct reachability_params *params = &reachability->params;
	struct addr addrs[MESH_PEER_ADDRS_MAX];
	unsigned cnt = params->own_addrs(params->ctx, addrs);
	uint64_t digest = 0;

	for (unsigned i = 0; i < cnt; i++)
		if (addrs[i].family == family)
			digest += siphash(reachability->paths.secret, &addrs[i], sizeof(addrs[i]));
	return digest;
}

static void lives_init(struct reachability *reachability)
{
	const struct reachability_params *params = &reachability->params;

	for (unsigned i = 0; i < REACHABILITY_LIFE_FAMILIES; i++) {
		const struct nat_life_params life = {
			.family = i ? ADDR_IPV6 : ADDR_IPV4,
			.timers = params->timers,
			.random = params->random,
			.mesh = params->mesh,
			.neighbours = params->neighbours,
			.own_addrs = params->own_addrs,
			.send = params->nat_ports[i] ? params->nat_port_send : NULL,
			.port = params->nat_ports[i],
			.changed = params->life_changed,
			.measured = params->life_measured,
			.ctx = params->ctx,
		};

		reachability_life_init(&reachability->lives[i], &life, params->now_ns);
	}
}

int reachability_new(const struct reachability_params *params,
		     struct reachability **out_reachability)
{
	struct reachability *reachability = calloc(1, sizeof(*reachability));
	int err;

	if (!reachability)
		return -ENOMEM;
	reachability->params = *params;
	reachability->sink = params->sink;
	reachability->paths.site = params->site;
	random_fill(params->random, reachability->paths.secret, sizeof(reachability->paths.secret));
	reachability->stun = (struct stun_queries){
		.sink = &reachability->sink,
		.timers = params->timers,
		.random = params->random,
		.answered = on_stun_answer,
		.checked = on_stun_check,
		.ctx = reachability,
	};
	reachability->dial_backs = (struct dial_backs){
		.sink = &reachability->sink,
		.mesh = params->mesh,
		.neighbours = params->neighbours,
		.random = params->random,
		.timers = params->timers,
		.paths = &reachability->paths,
		.stats = &reachability->stats,
	};
	for (unsigned i = 0; i < 2; i++)
		reachability->own_digests[i] = own_digest(reachability, i ? ADDR_IPV6 : ADDR_IPV4);
	reachability_round_init(reachability);
	err = reachability_dial_back_open(&reachability->dial_backs);
	if (err < 0) {
		free(reachability);
		return err;
	}
	if (params->asks)
		reachability_round_in(reachability, FIRST_ROUND_NS, params->now_ns);
	lives_init(reachability);
	*out_reachability = reachability;
	return 0;
}

void reachability_stop(struct reachability *reachability)
{
	if (!reachability)
		return;
	reachability->params.asks = false;
	reachability_round_stop(reachability);
	reachability_dial_back_stop(&reachability->dial_backs);
	reachability_stun_stop(&reachability->stun);
	for (unsigned i = 0; i < REACHABILITY_LIFE_FAMILIES; i++)
		reachability_life_stop(&reachability->lives[i]);
	timer_cancel(reachability->params.timers, &reachability->round_timer);
}

void reachability_free(struct reachability *reachability)
{
	free(reachability);
}

/* An answer leaves from the address that was asked, or a NAT on the way drops it. */
static void reply(struct reachability *reachability, const struct dgram *asked, const uint8_t *data,
		  size_t len)
{
	const struct dgram_route route = {.local = asked->local, .remote = asked->remote};
	struct dgram_sink *sink = reachability->sink;
	struct dgram_slot slot;

	if (!sink->ops->reserve(sink, len, &slot)) {
		reachability->stats.full_cnt++;
		return;
	}
	memcpy(slot.data, data, len);
	sink->ops->commit(sink, &slot, len, &route);
}

static void on_request(struct reachability *reachability, const struct dgram *dgram,
		       const struct stun_message *request)
{
	uint8_t answer[STUN_WRITE_CAP];

	if (request->unknown_cnt) {
		reachability->stats.stun_refused_cnt++;
		reply(reachability, dgram, answer, stun_write_error(request, answer));
		return;
	}
	reachability->stats.stun_answered_cnt++;
	reply(reachability, dgram, answer, stun_write_success(request, &dgram->remote, answer));
}

static void on_stun(struct reachability *reachability, const struct dgram *dgram, uint64_t now_ns)
{
	struct stun_message message;

	if (stun_read(dgram->data, dgram->len, &message) < 0)
		reachability->stats.stun_malformed_cnt++;
	else if (message.type == STUN_REQUEST &&
		 !kad_addr_scope_is_credible(&dgram->remote, &dgram->local))
		reachability->stats.stun_martian_cnt++;
	else if (message.type == STUN_REQUEST)
		on_request(reachability, dgram, &message);
	else if (!reachability_stun_input(&reachability->stun, dgram, &message, now_ns))
		reachability->stats.stun_stray_cnt++;
}

static void on_probe(struct reachability *reachability, const struct dgram *dgram, uint64_t now_ns)
{
	uint8_t ticket[PATH_TICKET_LEN];

	if (!reachability_probe_parse(dgram->data, dgram->len, ticket) ||
	    !reachability_round_probe(reachability, dgram, ticket, now_ns))
		reachability->stats.probe_stray_cnt++;
	else
		reachability->stats.probe_arrived_cnt++;
}

void reachability_input(struct reachability *reachability, const struct dgram *dgram,
			uint64_t now_ns)
{
	if (dgram->judged.flow == WEFT_FLOW_STUN)
		on_stun(reachability, dgram, now_ns);
	else
		on_probe(reachability, dgram, now_ns);
}

void reachability_set_sink(struct reachability *reachability, struct dgram_sink *sink)
{
	reachability->sink = sink;
}

/* Votes of a family whose addresses are the same stay, until newer ones take their places. */
void reachability_changed(struct reachability *reachability, uint64_t now_ns)
{
	for (unsigned i = 0; i < 2; i++) {
		uint64_t digest = own_digest(reachability, i ? ADDR_IPV6 : ADDR_IPV4);

		if (digest != reachability->own_digests[i])
			reachability_observed_clear(&reachability->observed[i]);
		reachability->own_digests[i] = digest;
	}
	reachability->silent_cnt = 0;
	/* One that was put off by the round before it would leave this node without an address. */
	if (!reachability->changed_ns || now_ns - reachability->changed_ns >= REACHABILITY_GAP_NS)
		reachability->round_ns = 0;
	reachability->changed_ns = now_ns;
	for (unsigned i = 0; i < REACHABILITY_LIFE_FAMILIES; i++)
		reachability_life_look(&reachability->lives[i], now_ns);
	if (reachability->params.asks)
		reachability_round_in(reachability, CHANGE_ROUND_NS, now_ns);
}

void reachability_session(struct reachability *reachability, uint64_t now_ns)
{
	enum reachability_kind kind = reachability->view.kind;

	for (unsigned i = 0; i < REACHABILITY_LIFE_FAMILIES; i++)
		reachability_life_session(&reachability->lives[i], now_ns);
	if (reachability->params.asks &&
	    (kind == REACHABILITY_UNKNOWN || kind == REACHABILITY_BLOCKED))
		reachability_round_in(reachability, SESSION_ROUND_NS, now_ns);
}

void reachability_set_mapped(struct reachability *reachability, const struct addr *mapped,
			     uint64_t now_ns)
{
	struct addr next = mapped ? *mapped : (struct addr){.family = ADDR_NONE};

	if (addr_equal(&next, &reachability->mapped))
		return;
	reachability->mapped = next;
	if (reachability->params.asks)
		reachability_round_in(reachability, CHANGE_ROUND_NS, now_ns);
}

void reachability_look(struct reachability *reachability, uint64_t now_ns)
{
	if (reachability->params.asks && !reachability->view.is_asking)
		reachability_round_in(reachability, 0, now_ns);
}

const struct reachability_view *reachability_show(const struct reachability *reachability)
{
	return &reachability->view;
}

bool reachability_seen(const struct reachability *reachability, unsigned at,
		       struct observation *out_row)
{
	unsigned ipv4_cnt = reachability->observed[0].cnt;
	const struct observed *observed = &reachability->observed[at >= ipv4_cnt];

	at -= at >= ipv4_cnt ? ipv4_cnt : 0;
	if (at >= observed->cnt)
		return false;
	*out_row = observed->rows[at];
	return true;
}

bool reachability_observed(const struct reachability *reachability, enum addr_family family,
			   uint64_t now_ns, struct addr *out_addr)
{
	struct observed_view view = {.ports = OBSERVED_PORTS_UNKNOWN};

	reachability_observed_judge(&reachability->observed[family == ADDR_IPV6], now_ns, &view);
	if (view.addr.family == ADDR_NONE)
		return false;
	*out_addr = view.addr;
	return true;
}

bool reachability_ports(const struct reachability *reachability, uint64_t now_ns, bool *out_differ)
{
	struct observed_view view = {.ports = OBSERVED_PORTS_UNKNOWN};

	reachability_observed_judge(&reachability->observed[0], now_ns, &view);
	if (view.ports == OBSERVED_PORTS_UNKNOWN)
		return false;
	*out_differ = view.ports == OBSERVED_PORTS_DIFFER;
	return true;
}

const struct reachability_stats *reachability_stats(const struct reachability *reachability)
{
	return &reachability->stats;
}

/* --- the life of mappings --- */

void reachability_life_heard(struct reachability *reachability, enum addr_family family,
			     const uint8_t *data, size_t len, uint64_t now_ns)
{
	if (reachability)
		reachability_life_input(&reachability->lives[family == ADDR_IPV6], data, len,
					now_ns);
}

bool reachability_life_at(const struct reachability *reachability, unsigned at, uint64_t now_ns,
			  struct reachability_life *out_life)
{
	for (unsigned i = 0; reachability && i < REACHABILITY_LIFE_FAMILIES; i++) {
		const struct nat_life *life = &reachability->lives[i];
		const struct nat_life_row *row;

		for (unsigned k = 0; (row = reachability_life_row(life, k)); k++) {
			if (at--)
				continue;
			*out_life = (struct reachability_life){
				.outside = row->outside,
				.inside = row->inside,
				.life_s = row->life_s,
				.age_ns = row->age_ns + (now_ns - row->at_ns),
				.is_present = life->now == row,
			};
			return true;
		}
	}
	return false;
}

void reachability_life_load(struct reachability *reachability, const struct reachability_life *life,
			    uint64_t now_ns)
{
	const struct nat_life_row row = {.outside = life->outside,
					 .inside = life->inside,
					 .life_s = life->life_s,
					 .age_ns = life->age_ns};

	if (reachability)
		reachability_life_take(&reachability->lives[life->outside.family == ADDR_IPV6],
				       &row, now_ns);
}

uint64_t reachability_keepalive_ns(const struct reachability *reachability, enum addr_family family)
{
	uint64_t shortest_ns = 0;

	for (unsigned i = 0; reachability && i < REACHABILITY_LIFE_FAMILIES; i++) {
		const struct nat_life *life = &reachability->lives[i];
		uint64_t pause_ns = reachability_life_keepalive_ns(life);

		if (family != ADDR_NONE && life->params.family != family)
			continue;
		if (pause_ns && (!shortest_ns || pause_ns < shortest_ns))
			shortest_ns = pause_ns;
	}
	return shortest_ns;
}
