/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a router answers by PCP and NAT-PMP. It is believed when it fits a request that waits, and
 * says what a mapping can have. Home worker.
 */
#include "mapper_state.h"

#include <string.h>

#include "base/monotonic.h"

/* A refusal's own time until the next request (RFC 6887 7.4), within reason. */
#define REFUSED_MIN_S 30
#define REFUSED_MAX_S 1800

/* RFC 6887 7.4 and RFC 6886 3.5: the results of which the router says that they pass. */
enum { PCP_NETWORK_FAILURE = 7, PCP_NO_RESOURCES = 8, PCP_USER_EXCEEDED_QUOTA = 10 };

static const char *word_of(const char *const *words, size_t cnt, unsigned result)
{
	return result < cnt && words[result] ? words[result] : "the router refuses";
}

static const char *pcp_result(unsigned result)
{
	static const char *const words[] = {
		[1] = "the router speaks no PCP",
		[2] = "the router does not allow it",
		[3] = "the router calls the request malformed",
		[4] = "the router knows no mappings",
		[5] = "the router does not know an option",
		[6] = "the router calls an option malformed",
		[7] = "the router has no network",
		[8] = "the router has no room",
		[9] = "the router does not map this protocol",
		[10] = "this host has as many mappings as the router allows",
		[11] = "the router cannot give this port",
		[12] = "another NAT lies between this host and the router",
		[13] = "the router has too many peers",
	};

	return word_of(words, sizeof(words) / sizeof(words[0]), result);
}

static const char *nat_pmp_result(unsigned result)
{
	static const char *const words[] = {
		[1] = "the router speaks no NAT-PMP",
		[2] = "the router does not allow it",
		[3] = "the router has no network",
		[4] = "the router has no room",
		[5] = "the router does not map this protocol",
	};

	return word_of(words, sizeof(words) / sizeof(words[0]), result);
}

/* --- the router's clock --- */

static bool epoch_is_lost(const struct mapper_epoch *epoch, uint32_t server_s, bool is_pcp,
			  uint64_t now_ns)
{
	uint64_t client_s = (now_ns - epoch->client_ns) / NS_PER_S, passed_s;

	if (!epoch->is_known)
		return false;
	if ((uint64_t)server_s + 1 < epoch->server_s)
		return true;
	passed_s = server_s > epoch->server_s ? server_s - epoch->server_s : 0;
	/* RFC 6886 3.6: seven eighths, less two seconds. RFC 6887 8.5: a sixteenth, both ways. */
	if (!is_pcp)
		return passed_s + 2 < client_s * 7 / 8;
	return client_s + 2 < passed_s - passed_s / 16 || passed_s + 2 < client_s - client_s / 16;
}

static void epoch_check(struct mapper *mapper, uint32_t server_s, uint64_t now_ns)
{
	bool is_lost =
		epoch_is_lost(&mapper->epoch, server_s, mapper->method == PORT_MAPPING_PCP, now_ns);

	mapper->epoch = (struct mapper_epoch){true, server_s, now_ns};
	if (!is_lost)
		return;
	mapper->stats.restart_cnt++;
	port_mapping_mapper_ask_soon(mapper, now_ns);
}

/* --- answers --- */

static void answer_refused(struct mapping *mapping, const struct pcp_answer *answer,
			   uint64_t now_ns)
{
	struct mapper *mapper = mapping->mapper;
	bool is_pcp = answer->version == PCP_VERSION;
	const char *why = is_pcp ? pcp_result(answer->result) : nat_pmp_result(answer->result);
	uint32_t wait_s = answer->lifetime_s;

	mapper->stats.refused_cnt++;
	/* Until its end a mapping may be as good as before. */
	if (mapping_is_held(mapping)) {
		mapping->is_waiting = false;
		return;
	}
	wait_s = wait_s < REFUSED_MIN_S ? REFUSED_MIN_S : wait_s;
	wait_s = wait_s > REFUSED_MAX_S ? REFUSED_MAX_S : wait_s;
	if (is_pcp &&
	    (answer->result == PCP_NETWORK_FAILURE || answer->result == PCP_NO_RESOURCES ||
	     answer->result == PCP_USER_EXCEEDED_QUOTA))
		port_mapping_mapper_wait(mapping, why, now_ns + wait_s * NS_PER_S);
	else
		port_mapping_mapper_failed(mapping, why, now_ns);
}

static void answer_mapped(struct mapping *mapping, const struct pcp_answer *answer, uint64_t now_ns)
{
	struct mapper *mapper = mapping->mapper;
	struct addr external = answer->external;

	if (answer->version == PCP_VERSION_NAT_PMP) {
		external = mapper->nat_pmp_external;
		external.port = answer->external.port;
		external.transport = answer->external.transport;
	}
	if (external.family != ADDR_IPV4 || !addr_is_unicast(&external) ||
	    addr_is_loopback(&external) || !external.port ||
	    answer->lifetime_s < MAPPER_LIFETIME_MIN_S) {
		mapper->stats.absurd_cnt++;
		mapping->is_waiting = false;
		if (!mapping_is_held(mapping))
			port_mapping_mapper_failed(
				mapping, "the router's answer names no address or no time", now_ns);
		return;
	}
	port_mapping_mapper_granted(mapping, &external, answer->lifetime_s, now_ns);
}

/* RFC 6886 3.2: what NAT-PMP tells of the router, on which the mappings of a round wait. */
static void answer_address(struct mapper *mapper, const struct pcp_answer *answer, uint64_t now_ns)
{
	mapper->nat_pmp_external = answer->external;
	for (unsigned i = 0; i < mapper->params.port_cnt; i++)
		if (mapper->mappings[i].is_waiting) {
			mapper->mappings[i].sent_cnt = 0;
			port_mapping_mapper_ask(&mapper->mappings[i], now_ns);
		}
}

/* The nonce is what only the router on the way of the request knows; NAT-PMP has none. */
static bool fits(const struct mapper *mapper, const struct mapping *mapping,
		 const struct pcp_answer *answer)
{
	bool is_refused_nat_pmp =
		answer->version == PCP_VERSION_NAT_PMP && answer->kind == PCP_REFUSED;

	if (!mapping->is_waiting && !mapper->is_withdrawing)
		return false;
	if (answer->transport != mapping->port.transport)
		return is_refused_nat_pmp && mapper->nat_pmp_external.family == ADDR_NONE;
	if (!is_refused_nat_pmp && answer->internal_port != mapping->port.port)
		return false;
	return answer->version == PCP_VERSION_NAT_PMP ||
	       memcmp(answer->nonce, mapping->nonce, sizeof(mapping->nonce)) == 0;
}

static void mapping_answered(struct mapping *mapping, const struct pcp_answer *answer,
			     uint64_t now_ns)
{
	if (mapping->mapper->is_withdrawing) {
		if (mapping_is_held(mapping) &&
		    (answer->kind == PCP_REFUSED || !answer->lifetime_s))
			port_mapping_mapper_released(mapping);
	} else if (answer->kind == PCP_REFUSED) {
		answer_refused(mapping, answer, now_ns);
	} else {
		answer_mapped(mapping, answer, now_ns);
	}
}

/* A server of NAT-PMP alone says so in its own version (RFC 6886 3.5, RFC 6887 appendix A). */
static bool version_refused(struct mapper *mapper, const struct pcp_answer *answer, uint64_t now_ns)
{
	struct mapping *mapping = &mapper->mappings[0];

	if (mapper->method != PORT_MAPPING_PCP || answer->kind != PCP_REFUSED ||
	    answer->result != PCP_UNSUPPORTED_VERSION || !mapping->is_waiting ||
	    mapper->is_withdrawing || port_mapping_mapper_holds(mapper))
		return false;
	mapper->stats.refused_cnt++;
	port_mapping_mapper_failed(mapping, pcp_result(PCP_UNSUPPORTED_VERSION), now_ns);
	return true;
}

static bool answer_take(struct mapper *mapper, const struct pcp_answer *answer, uint64_t now_ns)
{
	if (answer->version == PCP_VERSION ? mapper->method != PORT_MAPPING_PCP
					   : mapper->method != PORT_MAPPING_NAT_PMP)
		return false;
	if (answer->kind == PCP_ADDRESS) {
		if (mapper->nat_pmp_external.family != ADDR_NONE || mapper->is_withdrawing)
			return addr_equal(&mapper->nat_pmp_external, &answer->external);
		epoch_check(mapper, answer->epoch_s, now_ns);
		answer_address(mapper, answer, now_ns);
		return true;
	}
	for (unsigned i = 0; i < mapper->params.port_cnt; i++) {
		struct mapping *mapping = &mapper->mappings[i];

		if (!fits(mapper, mapping, answer))
			continue;
		epoch_check(mapper, answer->epoch_s, now_ns);
		mapping_answered(mapping, answer, now_ns);
		return true;
	}
	return false;
}

void port_mapping_mapper_input(struct mapper *mapper, const uint8_t *data, size_t len,
			       uint64_t now_ns)
{
	struct pcp_answer answer;

	if (pcp_read(data, len, &answer) < 0)
		mapper->stats.malformed_cnt++;
	else if (!version_refused(mapper, &answer, now_ns) && !answer_take(mapper, &answer, now_ns))
		mapper->stats.stray_cnt++;
}

/*
 * Any host of the link can send this in the router's name. All that it gains is a request a mapping in
 * 4 s, or a round in 10 s.
 */
void port_mapping_mapper_announced(struct mapper *mapper, const uint8_t *data, size_t len,
				   uint64_t now_ns)
{
	struct pcp_answer answer;

	if (pcp_read(data, len, &answer) < 0) {
		mapper->stats.malformed_cnt++;
		return;
	}
	if (mapper->is_withdrawing || (answer.kind != PCP_ANNOUNCED && answer.kind != PCP_ADDRESS))
		return;
	mapper->stats.announced_cnt++;
	if (!port_mapping_mapper_holds(mapper)) {
		port_mapping_mapper_round_soon(mapper, now_ns);
	} else if (answer.kind == PCP_ANNOUNCED && mapper->method == PORT_MAPPING_PCP) {
		epoch_check(mapper, answer.epoch_s, now_ns);
	} else if (answer.kind == PCP_ADDRESS && mapper->method == PORT_MAPPING_NAT_PMP) {
		epoch_check(mapper, answer.epoch_s, now_ns);
		if (addr_equal(&mapper->nat_pmp_external, &answer.external))
			return;
		mapper->nat_pmp_external = answer.external;
		port_mapping_mapper_ask_soon(mapper, now_ns);
	}
}
