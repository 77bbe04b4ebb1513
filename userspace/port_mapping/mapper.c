/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is asked for and when: round_begin -> method_begin -> mapper_ask, until an answer
 * (mapper_answer.c) or silence. A held mapping is renewed at half of its lifetime, then at half of
 * what is left (RFC 6887 11.2.1). Left out of RFC 6887: IPv6, PEER, ANNOUNCE
 * and the options. Home worker.
 */
#include "mapper_state.h"

#include <stdio.h>
#include <string.h>

#include "base/container_of.h"
#include "base/monotonic.h"
#include "base/random.h"

/* In AUTO, a silent method makes room for the next one after so many sends. */
#define PCP_AUTO_SENDS	   2
#define NAT_PMP_AUTO_SENDS 4
#define NAT_PMP_RT_MAX_NS  (64 * NS_PER_S)
#define UPNP_BUSY_NS	   NS_PER_S
#define WITHDRAW_RT_NS	   (250 * NS_PER_MS)

static void round_begin(struct mapper *mapper, uint64_t now_ns);

bool port_mapping_mapper_holds(const struct mapper *mapper)
{
	for (unsigned i = 0; i < mapper->params.port_cnt; i++)
		if (mapping_is_held(&mapper->mappings[i]))
			return true;
	return false;
}

static void mapping_send(struct mapping *mapping, uint32_t lifetime_s)
{
	struct mapper *mapper = mapping->mapper;
	struct pcp_request request = {
		.client = mapper->client,
		.transport = mapping->port.transport,
		.internal_port = mapping->port.port,
		.external = mapping->external,
		.lifetime_s = lifetime_s,
	};
	uint8_t out[PCP_WRITE_CAP];
	size_t len;

	memcpy(request.nonce, mapping->nonce, sizeof(request.nonce));
	/* The same port outside spares peers a surprise; the router may choose another one. */
	if (!mapping_is_held(mapping))
		request.external.port = mapping->port.port;
	if (mapper->method == PORT_MAPPING_PCP)
		len = pcp_write_map(&request, out);
	else if (lifetime_s && mapper->nat_pmp_external.family == ADDR_NONE)
		len = pcp_write_nat_pmp_address(out);
	else
		len = pcp_write_nat_pmp_map(&request, out);
	mapper->stats.asked_cnt++;
	mapper->params.ops->send(mapper->params.ctx, out, len);
}

/* RFC 6887 8.1.1: doubled, and spread by a tenth; RFC 6886 3.1: doubled. */
static uint64_t retransmission_ns(struct mapping *mapping)
{
	struct mapper *mapper = mapping->mapper;
	bool is_pcp = mapper->method == PORT_MAPPING_PCP;
	uint64_t max_ns = is_pcp ? MAPPER_PCP_RT_MAX_NS : NAT_PMP_RT_MAX_NS;

	if (mapping->sent_cnt == 1)
		mapping->rt_ns = is_pcp ? MAPPER_PCP_RT_NS : MAPPER_NAT_PMP_RT_NS;
	else if (mapping->rt_ns < max_ns)
		mapping->rt_ns *= 2;
	if (mapping->rt_ns > max_ns)
		mapping->rt_ns = max_ns;
	if (!is_pcp)
		return mapping->rt_ns;
	return mapping->rt_ns - mapping->rt_ns / 10 +
	       random_below(mapper->params.random, mapping->rt_ns / 5);
}

/* Half of what is left, but not sooner than MAPPER_RENEW_MIN_NS, and then the end. */
static uint64_t renewal_ns(const struct mapping *mapping, uint64_t now_ns)
{
	uint64_t left_ns = mapping->until_ns > now_ns ? mapping->until_ns - now_ns : 0;

	return left_ns / 2 > MAPPER_RENEW_MIN_NS ? left_ns / 2 : left_ns;
}

void port_mapping_mapper_ask(struct mapping *mapping, uint64_t now_ns)
{
	struct mapper *mapper = mapping->mapper;
	uint64_t wait_ns;

	mapping->is_waiting = true;
	mapping->is_failed = false;
	mapping->sent_cnt++;
	mapping_send(mapping, (uint32_t)(mapper->params.config.lifetime_ns / NS_PER_S));
	wait_ns =
		mapping_is_held(mapping) ? renewal_ns(mapping, now_ns) : retransmission_ns(mapping);
	timer_set(mapper->params.timers, &mapping->timer, now_ns + wait_ns);
}

static unsigned sends_max(const struct mapper *mapper)
{
	bool is_auto = mapper->params.config.method == PORT_MAPPING_AUTO;

	if (mapper->method == PORT_MAPPING_PCP)
		return is_auto ? PCP_AUTO_SENDS : UINT32_MAX;
	return is_auto ? NAT_PMP_AUTO_SENDS : MAPPER_NAT_PMP_SENDS;
}

/* --- methods and rounds --- */

static void mapping_rest(struct mapping *mapping)
{
	timer_cancel(mapping->mapper->params.timers, &mapping->timer);
	mapping->is_waiting = false;
	mapping->sent_cnt = 0;
}

static void upnp_begin(struct mapper *mapper, uint64_t now_ns)
{
	if (!mapper->params.ops->upnp(mapper->params.ctx, false)) {
		timer_set(mapper->params.timers, &mapper->timer, now_ns + UPNP_BUSY_NS);
		return;
	}
	mapper->stats.upnp_cnt++;
	timer_cancel(mapper->params.timers, &mapper->timer);
	for (unsigned i = 0; i < mapper->params.port_cnt; i++)
		mapper->mappings[i].is_waiting = true;
}

static void method_begin(struct mapper *mapper, enum port_mapping_method method, uint64_t now_ns)
{
	mapper->method = method;
	mapper->epoch.is_known = false;
	mapper->nat_pmp_external = (struct addr){.family = ADDR_NONE};
	for (unsigned i = 0; i < mapper->params.port_cnt; i++) {
		struct mapping *mapping = &mapper->mappings[i];

		mapping_rest(mapping);
		mapping->is_failed = false;
		random_fill(mapper->params.random, mapping->nonce, sizeof(mapping->nonce));
		if (method != PORT_MAPPING_UPNP)
			port_mapping_mapper_ask(mapping, now_ns);
	}
	if (method == PORT_MAPPING_UPNP)
		upnp_begin(mapper, now_ns);
}

static void round_begin(struct mapper *mapper, uint64_t now_ns)
{
	enum port_mapping_method given = mapper->params.config.method;

	memset(mapper->failures, 0, sizeof(mapper->failures));
	timer_cancel(mapper->params.timers, &mapper->timer);
	method_begin(mapper, given == PORT_MAPPING_AUTO ? PORT_MAPPING_PCP : given, now_ns);
}

static bool sooner(struct mapper *mapper, struct timer *timer, uint64_t at_ns)
{
	if (!timer_is_set(timer) || timer->at_ns <= at_ns)
		return false;
	timer_set(mapper->params.timers, timer, at_ns);
	return true;
}

/* Not at once: a router whose clock jumps in each answer would have this host ask without end. */
void port_mapping_mapper_ask_soon(struct mapper *mapper, uint64_t now_ns)
{
	uint64_t at_ns = now_ns + MAPPER_RENEW_MIN_NS;

	for (unsigned i = 0; i < mapper->params.port_cnt; i++) {
		struct mapping *mapping = &mapper->mappings[i];

		if (mapping_is_held(mapping))
			(void)sooner(mapper, &mapping->timer, at_ns);
	}
}

void port_mapping_mapper_round_soon(struct mapper *mapper, uint64_t now_ns)
{
	uint64_t at_ns = mapper->heard_ns + MAPPER_HEARD_MIN_NS;
	bool is_sooner = false;

	if (at_ns < now_ns)
		at_ns = now_ns;
	if (mapper->mappings[0].is_failed)
		is_sooner = sooner(mapper, &mapper->timer, at_ns);
	for (unsigned i = 0; i < mapper->params.port_cnt; i++) {
		struct mapping *mapping = &mapper->mappings[i];

		if (mapping->is_waiting && sooner(mapper, &mapping->timer, at_ns)) {
			mapping->sent_cnt = 0;
			is_sooner = true;
		}
	}
	if (!is_sooner)
		return;
	mapper->heard_ns = at_ns;
	mapper->retry_ns = 0;
}

static void round_failed(struct mapper *mapper, uint64_t now_ns)
{
	mapper->retry_ns = mapper->retry_ns ? 2 * mapper->retry_ns : MAPPER_RETRY_NS;
	if (mapper->retry_ns > MAPPER_RETRY_MAX_NS)
		mapper->retry_ns = MAPPER_RETRY_MAX_NS;
	for (unsigned i = 0; i < mapper->params.port_cnt; i++) {
		mapping_rest(&mapper->mappings[i]);
		mapper->mappings[i].is_failed = true;
		mapper->mappings[i].why = NULL;
	}
	timer_set(mapper->params.timers, &mapper->timer, now_ns + mapper->retry_ns);
}

static void method_failed(struct mapper *mapper, const char *why, uint64_t now_ns)
{
	enum port_mapping_method next = mapper->method + 1;

	mapper->failures[mapper->method] = why;
	if (mapper->params.config.method == PORT_MAPPING_AUTO && next != PORT_MAPPING_OFF)
		method_begin(mapper, next, now_ns);
	else
		round_failed(mapper, now_ns);
}

void port_mapping_mapper_wait(struct mapping *mapping, const char *why, uint64_t at_ns)
{
	mapping_rest(mapping);
	mapping->is_failed = true;
	mapping->why = why;
	timer_set(mapping->mapper->params.timers, &mapping->timer, at_ns);
}

void port_mapping_mapper_failed(struct mapping *mapping, const char *why, uint64_t now_ns)
{
	if (port_mapping_mapper_holds(mapping->mapper))
		port_mapping_mapper_wait(mapping, why, now_ns + MAPPER_RETRY_NS);
	else
		method_failed(mapping->mapper, why, now_ns);
}

/* --- mappings --- */

void port_mapping_mapper_granted(struct mapping *mapping, const struct addr *external,
				 uint32_t lifetime_s, uint64_t now_ns)
{
	struct mapper *mapper = mapping->mapper;
	bool is_news = !addr_equal(&mapping->external, external);
	uint64_t lifetime_ns;

	if (lifetime_s > MAPPER_LIFETIME_MAX_S)
		lifetime_s = MAPPER_LIFETIME_MAX_S;
	lifetime_ns = lifetime_s * NS_PER_S;
	mapping_rest(mapping);
	mapping->external = *external;
	mapping->lifetime_s = lifetime_s;
	mapping->until_ns = now_ns + lifetime_ns;
	mapping->is_failed = false;
	mapper->retry_ns = 0;
	mapper->stats.granted_cnt++;
	/* Spread, so that the hosts of a network do not renew together (RFC 6887 11.2.1). */
	if (mapper->method != PORT_MAPPING_UPNP)
		timer_set(mapper->params.timers, &mapping->timer,
			  now_ns + lifetime_ns / 2 +
				  random_below(mapper->params.random, lifetime_ns / 8));
	if (is_news)
		mapper->params.ops->changed(mapper->params.ctx, now_ns);
}

static void mapping_drop(struct mapping *mapping)
{
	mapping_rest(mapping);
	mapping->external = (struct addr){.family = ADDR_NONE};
}

static void mapping_end(struct mapping *mapping, uint64_t now_ns)
{
	struct mapper *mapper = mapping->mapper;

	mapper->stats.lost_cnt++;
	mapping_drop(mapping);
	mapper->params.ops->changed(mapper->params.ctx, now_ns);
}

static void mapping_lost(struct mapping *mapping, uint64_t now_ns)
{
	mapping_end(mapping, now_ns);
	if (port_mapping_mapper_holds(mapping->mapper))
		port_mapping_mapper_ask(mapping, now_ns);
	else
		round_begin(mapping->mapper, now_ns);
}

void port_mapping_mapper_released(struct mapping *mapping)
{
	mapping->mapper->stats.withdrawn_cnt++;
	mapping_drop(mapping);
}

/* RFC 6887 15.1: a mapping is given back by lifetime 0. */
static void withdraw_send(struct mapping *mapping, uint64_t now_ns)
{
	if (mapping->sent_cnt == MAPPER_WITHDRAW_SENDS) {
		mapping_drop(mapping);
		return;
	}
	mapping_send(mapping, 0);
	timer_set(mapping->mapper->params.timers, &mapping->timer,
		  now_ns + (WITHDRAW_RT_NS << mapping->sent_cnt++));
}

/* The router's address may be another one by now, and NAT-PMP tells it by itself alone. */
static void mapping_renew(struct mapping *mapping, uint64_t now_ns)
{
	if (mapping_is_held(mapping) && !mapping->sent_cnt)
		mapping->mapper->nat_pmp_external = (struct addr){.family = ADDR_NONE};
	port_mapping_mapper_ask(mapping, now_ns);
}

static void mapping_due(struct timer *timer, uint64_t now_ns)
{
	struct mapping *mapping = container_of(timer, struct mapping, timer);

	if (mapping->mapper->is_withdrawing)
		withdraw_send(mapping, now_ns);
	else if (mapping_is_held(mapping) && now_ns >= mapping->until_ns)
		mapping_lost(mapping, now_ns);
	else if (!mapping_is_held(mapping) && mapping->sent_cnt >= sends_max(mapping->mapper))
		port_mapping_mapper_failed(mapping, "no answer", now_ns);
	else
		mapping_renew(mapping, now_ns);
}

/* A round is due, or a renewal by UPnP. */
static void mapper_due(struct timer *timer, uint64_t now_ns)
{
	struct mapper *mapper = container_of(timer, struct mapper, timer);

	if (!port_mapping_mapper_holds(mapper) && mapper->mappings[0].is_failed)
		round_begin(mapper, now_ns);
	else
		upnp_begin(mapper, now_ns);
}

/* --- UPnP --- */

static void upnp_granted(struct mapper *mapper, const struct mapper_upnp_end *end, uint64_t now_ns)
{
	uint32_t lifetime_s = (uint32_t)(mapper->params.config.lifetime_ns / NS_PER_S);

	for (unsigned i = 0; i < mapper->params.port_cnt; i++) {
		struct mapping *mapping = &mapper->mappings[i];
		struct addr external = end->external;

		external.port = end->ports[i];
		external.transport = (uint8_t)mapping->port.transport;
		if (external.port) {
			port_mapping_mapper_granted(mapping, &external, lifetime_s, now_ns);
			continue;
		}
		mapping->is_waiting = false;
		mapping->is_failed = true;
		mapping->why = "the router refuses this port";
		if (mapping_is_held(mapping) && now_ns >= mapping->until_ns)
			mapping_end(mapping, now_ns);
	}
	timer_set(mapper->params.timers, &mapper->timer,
		  now_ns + mapper->params.config.lifetime_ns / 2);
}

/* The router is asked again until the first mapping ends; then all begin anew. */
static void upnp_failed(struct mapper *mapper, const char *why, uint64_t now_ns)
{
	uint64_t next_ns = UINT64_MAX;

	mapper->stats.upnp_failed_cnt++;
	for (unsigned i = 0; i < mapper->params.port_cnt; i++) {
		struct mapping *mapping = &mapper->mappings[i];

		mapping->is_waiting = false;
		if (!mapping_is_held(mapping))
			continue;
		if (now_ns >= mapping->until_ns)
			mapping_end(mapping, now_ns);
		else if (renewal_ns(mapping, now_ns) < next_ns)
			next_ns = renewal_ns(mapping, now_ns);
	}
	if (next_ns == UINT64_MAX)
		method_failed(mapper, why, now_ns);
	else
		timer_set(mapper->params.timers, &mapper->timer, now_ns + next_ns);
}

void port_mapping_mapper_upnp_ended(struct mapper *mapper, const struct mapper_upnp_end *end,
				    uint64_t now_ns)
{
	if (mapper->method != PORT_MAPPING_UPNP)
		return;
	if (mapper->is_withdrawing) {
		for (unsigned i = 0; i < mapper->params.port_cnt; i++)
			if (mapping_is_held(&mapper->mappings[i]))
				port_mapping_mapper_released(&mapper->mappings[i]);
	} else if (end->why) {
		upnp_failed(mapper, end->why, now_ns);
	} else {
		upnp_granted(mapper, end, now_ns);
	}
}

/* --- life --- */

void port_mapping_mapper_init(struct mapper *mapper, const struct mapper_params *params)
{
	*mapper = (struct mapper){.params = *params};
	timer_init(&mapper->timer, mapper_due);
	for (unsigned i = 0; i < params->port_cnt; i++) {
		mapper->mappings[i] = (struct mapping){.mapper = mapper, .port = params->ports[i]};
		timer_init(&mapper->mappings[i].timer, mapping_due);
	}
}

void port_mapping_mapper_stop(struct mapper *mapper, uint64_t now_ns)
{
	bool was_held = port_mapping_mapper_holds(mapper);

	timer_cancel(mapper->params.timers, &mapper->timer);
	for (unsigned i = 0; i < mapper->params.port_cnt; i++) {
		mapper->stats.lost_cnt += mapping_is_held(&mapper->mappings[i]);
		mapping_drop(&mapper->mappings[i]);
	}
	mapper->method = PORT_MAPPING_AUTO;
	if (was_held)
		mapper->params.ops->changed(mapper->params.ctx, now_ns);
}

void port_mapping_mapper_begin(struct mapper *mapper, const struct addr *client, uint64_t now_ns)
{
	if (mapper->is_withdrawing)
		return;
	port_mapping_mapper_stop(mapper, now_ns);
	mapper->client = *client;
	mapper->retry_ns = 0;
	round_begin(mapper, now_ns);
}

void port_mapping_mapper_no_server(struct mapper *mapper, uint64_t now_ns)
{
	bool is_asked =
		mapper->method == PORT_MAPPING_PCP || mapper->method == PORT_MAPPING_NAT_PMP;

	/* A router that starts again is silent for a moment; what is held is asked for again. */
	if (!is_asked || mapper->is_withdrawing || port_mapping_mapper_holds(mapper) ||
	    mapper->params.config.method != PORT_MAPPING_AUTO || !mapper->mappings[0].is_waiting)
		return;
	mapper->failures[PORT_MAPPING_PCP] = "the router has no server for it";
	mapper->method = PORT_MAPPING_NAT_PMP;
	method_failed(mapper, "the router has no server for it", now_ns);
}

void port_mapping_mapper_withdraw(struct mapper *mapper, uint64_t now_ns)
{
	bool is_ordered = mapper->method == PORT_MAPPING_UPNP &&
			  port_mapping_mapper_holds(mapper) &&
			  mapper->params.ops->upnp(mapper->params.ctx, true);

	mapper->is_withdrawing = true;
	timer_cancel(mapper->params.timers, &mapper->timer);
	for (unsigned i = 0; i < mapper->params.port_cnt; i++) {
		struct mapping *mapping = &mapper->mappings[i];

		mapping_rest(mapping);
		if (mapping_is_held(mapping) && mapper->method != PORT_MAPPING_UPNP)
			withdraw_send(mapping, now_ns);
		else if (!is_ordered)
			mapping_drop(mapping);
	}
}

bool port_mapping_mapper_is_withdrawing(const struct mapper *mapper)
{
	return mapper->is_withdrawing && port_mapping_mapper_holds(mapper);
}

void port_mapping_mapper_why(const struct mapper *mapper, const struct mapping *mapping,
			     char out_why[static PORT_MAPPING_WHY_CAP])
{
	size_t len = 0;

	out_why[0] = '\0';
	if (mapping->is_failed && mapping->why)
		snprintf(out_why, PORT_MAPPING_WHY_CAP, "%s", mapping->why);
	else if (!mapping_is_held(mapping))
		for (unsigned i = 0; i < PORT_MAPPING_METHOD_CNT && len < PORT_MAPPING_WHY_CAP; i++)
			if (mapper->failures[i])
				len += (size_t)snprintf(out_why + len, PORT_MAPPING_WHY_CAP - len,
							"%s%s: %s", len ? "; " : "",
							port_mapping_method_word(i),
							mapper->failures[i]);
}
