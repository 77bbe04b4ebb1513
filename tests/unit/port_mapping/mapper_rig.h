/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_MAPPER_RIG_H
#define WEFT_TESTS_MAPPER_RIG_H

#include "port_mapping/mapper.h"

#include "base/byte_cursor.h"
#include "base/monotonic.h"
#include "base/random.h"
#include "support/check.h"

/* A router that answers as a test wants, and a mapper. */

#define S NS_PER_S

static struct {
	struct mapper mapper;
	struct timer_wheel timers;
	struct random random;
	uint64_t now_ns;
	unsigned sent_cnt, changed_cnt, upnp_cnt, upnp_withdraw_cnt;
	bool is_upnp_busy;
	uint8_t sent[16][PCP_WRITE_CAP]; /* the last ones, by sent_cnt */
	size_t sent_len[16];
	uint32_t epoch_s;
} rig;

static const struct port_mapping_port both[] = {{ADDR_UDP, 7000}, {ADDR_TCP, 7001}};

static inline void on_send(void *ctx, const uint8_t *data, size_t len)
{
	(void)ctx;
	memcpy(rig.sent[rig.sent_cnt % 16], data, len);
	rig.sent_len[rig.sent_cnt++ % 16] = len;
}

static inline bool on_upnp(void *ctx, bool is_withdrawal)
{
	(void)ctx;
	if (rig.is_upnp_busy)
		return false;
	rig.upnp_cnt += !is_withdrawal;
	rig.upnp_withdraw_cnt += is_withdrawal;
	return true;
}

static inline void on_changed(void *ctx, uint64_t now_ns)
{
	(void)ctx, (void)now_ns;
	rig.changed_cnt++;
}

static const struct mapper_ops ops = {.send = on_send, .upnp = on_upnp, .changed = on_changed};

static inline struct addr addr_of(const char *text)
{
	struct addr addr;

	if (addr_parse(text, &addr) < 0)
		abort();
	return addr;
}

static inline void begin(enum port_mapping_method method, unsigned port_cnt)
{
	const struct addr client = addr_of("192.168.1.2:0");
	const struct mapper_params params = {
		.config = {.method = method, .lifetime_ns = 600 * S},
		.ports = both,
		.port_cnt = port_cnt,
		.timers = &rig.timers,
		.random = &rig.random,
		.ops = &ops,
	};

	memset(&rig, 0, sizeof(rig));
	rig.now_ns = 1000 * S;
	rig.epoch_s = 5000;
	timer_wheel_init(&rig.timers, rig.now_ns);
	random_init_seeded(&rig.random, 1);
	port_mapping_mapper_init(&rig.mapper, &params);
	port_mapping_mapper_begin(&rig.mapper, &client, rig.now_ns);
}

/* The router's clock goes with this one. */
static inline void pass(uint64_t ns)
{
	uint64_t end_ns = rig.now_ns + ns, next_ns;

	while ((next_ns = timer_wheel_next_ns(&rig.timers)) <= end_ns) {
		uint64_t at_ns = next_ns > rig.now_ns ? next_ns : rig.now_ns;

		rig.epoch_s += (uint32_t)(at_ns / S - rig.now_ns / S);
		rig.now_ns = at_ns;
		timer_wheel_expire(&rig.timers, rig.now_ns);
	}
	rig.epoch_s += (uint32_t)(end_ns / S - rig.now_ns / S);
	rig.now_ns = end_ns;
}

static inline const uint8_t *last(void)
{
	return rig.sent[(rig.sent_cnt - 1) % 16];
}

static inline bool is_pcp(const uint8_t *sent)
{
	return sent[0] == PCP_VERSION;
}

struct pcp_reply {
	uint8_t result;
	uint32_t lifetime_s;
	uint16_t external_port;
	uint8_t ip[4];
};
static const struct pcp_reply granted = {0, 600, 7000, {198, 51, 100, 7}};

/* The answer of PCP to the request sent. */
static inline void answer_pcp(const uint8_t *sent, const struct pcp_reply *reply)
{
	uint8_t data[60] = {PCP_VERSION, 0x81, 0, reply->result};
	struct writer w = writer_of(data + 4, sizeof(data) - 4);

	writer_be32(&w, reply->lifetime_s);
	writer_be32(&w, rig.epoch_s);
	memcpy(data + 24, sent + 24, 36);
	data[42] = (uint8_t)(reply->external_port >> 8);
	data[43] = (uint8_t)reply->external_port;
	memset(data + 44, 0, 10);
	memset(data + 54, 0xff, 2);
	memcpy(data + 56, reply->ip, 4);
	port_mapping_mapper_input(&rig.mapper, data, sizeof(data), rig.now_ns);
}

static inline void answer_nat_pmp_address(const uint8_t ip[4])
{
	uint8_t data[12] = {0, 0x80};
	struct writer w = writer_of(data + 4, 8);

	writer_be32(&w, rig.epoch_s);
	writer_bytes(&w, ip, 4);
	port_mapping_mapper_input(&rig.mapper, data, sizeof(data), rig.now_ns);
}

static inline void answer_nat_pmp(const uint8_t *sent, uint16_t result, uint32_t lifetime_s)
{
	uint8_t data[16] = {0, (uint8_t)(sent[1] | 0x80)};
	struct writer w = writer_of(data + 2, 14);

	writer_be16(&w, result);
	writer_be32(&w, rig.epoch_s);
	writer_bytes(&w, sent + 4, 2);
	writer_bytes(&w, sent + 6, 2);
	writer_be32(&w, lifetime_s);
	port_mapping_mapper_input(&rig.mapper, data, sizeof(data), rig.now_ns);
}

static inline const struct mapping *first(void)
{
	return &rig.mapper.mappings[0];
}

static inline bool is_mapped(void)
{
	return first()->external.family != ADDR_NONE;
}

#endif
