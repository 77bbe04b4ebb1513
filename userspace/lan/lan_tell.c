/* SPDX-License-Identifier: Apache-2.0 */
/* What this node says on each interface, and when. Home worker; send takes the bytes. */
#include <string.h>

#include "base/monotonic.h"
#include "base/random.h"
#include "lan_state.h"

/* SCP2P's. */
#define BEACON_NS (3 * NS_PER_S)
/* RFC 6762, 5.2: questions at growing intervals; 8.3: two announcements a second apart. */
#define QUERY_FIRST_NS (1 * NS_PER_S)
#define QUERY_MAX_NS   (60 * NS_PER_S)
#define ANNOUNCE_CNT   2
#define ANNOUNCE_NS    (1 * NS_PER_S)
/* RFC 6762, 6: an answer waits 20 to 120 ms, and comes at most once a second. */
#define ANSWER_MIN_NS	 (20 * NS_PER_MS)
#define ANSWER_SPREAD_NS (100 * NS_PER_MS)
#define ANSWER_GAP_NS	 (1 * NS_PER_S)

static void lan_send(struct lan *lan, const struct lan_packet *packet)
{
	if (!packet->len)
		return;
	lan->stats.sent_cnt++;
	lan->params.send(lan->params.ctx, packet);
}

static void dnssd_send(struct lan *lan, const struct lan_link *link, const uint8_t *bytes,
		       size_t len)
{
	struct lan_packet packet = {.way = LAN_DNSSD,
				    .family = ADDR_IPV4,
				    .interface = link->interface.index,
				    .bytes = bytes,
				    .len = len};

	lan_send(lan, &packet);
	packet.family = ADDR_IPV6;
	lan_send(lan, &packet);
}

static void beacon_send(struct lan *lan, const struct lan_link *link)
{
	uint8_t bytes[LAN_PACKET_LEN_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct beacon beacon = {
		.version = BEACON_VERSION,
		.quic_port = lan->params.port,
		.caps = lan->params.caps,
		.has_key = true,
	};

	memcpy(beacon.instance, lan->instance, sizeof(beacon.instance));
	memcpy(beacon.key, lan->params.own_key, sizeof(beacon.key));
	lan_beacon_write(&w, &beacon);
	lan_send(lan, &(struct lan_packet){.way = LAN_BEACON,
					   .family = ADDR_IPV4,
					   .interface = link->interface.index,
					   .bytes = bytes,
					   .len = w.bad ? 0 : writer_len(&w)});
}

/* Each packet has one service at least, so this ends. */
static void query_send(struct lan *lan, const struct lan_link *link)
{
	uint8_t bytes[LAN_PACKET_LEN_MAX];
	unsigned at = 0;

	do {
		size_t len = lan_dnssd_write_query(&lan->services, &at, bytes, sizeof(bytes));

		dnssd_send(lan, link, bytes, len);
	} while (at < lan->services.cnt);
	if (lan->browses_foreign)
		dnssd_send(lan, link, bytes, lan_foreign_write_query(bytes, sizeof(bytes)));
}

static void services_send(struct lan *lan, const struct lan_link *link,
			  const struct dnssd_services *which)
{
	uint8_t bytes[LAN_PACKET_LEN_MAX];

	for (unsigned at = 0; (which->subtypes | which->literals) && at < lan->services.cnt;) {
		size_t len = lan_dnssd_write_services(&lan->self, which, &at, bytes, sizeof(bytes));

		dnssd_send(lan, link, bytes, len);
	}
}

static void answer_send(struct lan *lan, const struct lan_link *link, uint32_t ttl_s)
{
	uint8_t bytes[LAN_PACKET_LEN_MAX];
	size_t len =
		lan_dnssd_write_answer(&lan->self, &link->interface, ttl_s, bytes, sizeof(bytes));

	dnssd_send(lan, link, bytes, len);
}

void lan_link_goodbye(struct lan *lan, const struct lan_link *link)
{
	services_send(lan, link, &(struct dnssd_services){.subtypes = UINT64_MAX});
	answer_send(lan, link, 0);
}

void lan_ask_again(struct lan *lan, uint64_t now_ns)
{
	for (unsigned i = 0; i < lan->link_cnt; i++) {
		lan->links[i].query_ns = now_ns;
		lan->links[i].query_gap_ns = QUERY_FIRST_NS;
	}
}

void lan_withdraw(struct lan *lan, uint64_t services)
{
	for (unsigned i = 0; i < lan->link_cnt; i++)
		services_send(lan, &lan->links[i], &(struct dnssd_services){.subtypes = services});
}

void lan_link_begin(struct lan *lan, struct lan_link *link, uint64_t now_ns)
{
	link->beacon_ns = now_ns;
	link->query_ns = now_ns + random_below(lan->params.random, ANSWER_SPREAD_NS);
	link->query_gap_ns = QUERY_FIRST_NS;
	link->answer_ns = now_ns;
	link->announce_left = ANNOUNCE_CNT;
}

void lan_tell_again(struct lan *lan, uint64_t now_ns)
{
	for (unsigned i = 0; i < lan->link_cnt; i++) {
		lan->links[i].announce_left = ANNOUNCE_CNT;
		lan->links[i].answer_ns = now_ns;
		lan->links[i].beacon_ns = now_ns;
	}
}

void lan_link_asked(struct lan *lan, struct lan_link *link, const struct dnssd_message *message,
		    uint64_t now_ns)
{
	link->subtypes |= message->subtypes;
	link->literals |= message->literals;
	if (link->answer_ns != UINT64_MAX)
		return;
	link->answer_ns =
		now_ns + ANSWER_MIN_NS + random_below(lan->params.random, ANSWER_SPREAD_NS);
	if (link->answer_ns < link->answered_ns + ANSWER_GAP_NS)
		link->answer_ns = link->answered_ns + ANSWER_GAP_NS;
}

void lan_link_expire(struct lan *lan, struct lan_link *link, uint64_t now_ns)
{
	if (now_ns >= link->beacon_ns) {
		beacon_send(lan, link);
		link->beacon_ns = now_ns + BEACON_NS;
	}
	if (now_ns >= link->query_ns) {
		query_send(lan, link);
		link->query_ns = now_ns + link->query_gap_ns;
		if (link->query_gap_ns < QUERY_MAX_NS)
			link->query_gap_ns *= 2;
	}
	if (now_ns >= link->answer_ns) {
		const struct dnssd_services which = {
			.subtypes = link->announce_left ? UINT64_MAX : link->subtypes,
			.literals = link->literals,
			.ttl_s = DNSSD_TTL_LONG_S,
		};

		answer_send(lan, link, DNSSD_TTL_S);
		services_send(lan, link, &which);
		link->subtypes = link->literals = 0;
		link->answered_ns = now_ns;
		if (link->announce_left)
			link->announce_left--;
		link->answer_ns = link->announce_left ? now_ns + ANNOUNCE_NS : UINT64_MAX;
	}
}

uint64_t lan_link_next_ns(const struct lan_link *link)
{
	uint64_t next_ns = link->beacon_ns < link->query_ns ? link->beacon_ns : link->query_ns;

	return link->answer_ns < next_ns ? link->answer_ns : next_ns;
}
