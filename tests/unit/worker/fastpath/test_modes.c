/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each class of datagrams that unvalidated sources can flood with moves the mode,
 * with the default limits and thresholds of a node. A second of it goes through
 * the policy at one worker's sockets, whose counters are then the load. Half the
 * rate leaves the mode alone.
 */
#include <stdlib.h>

#include "base/dgram.h"
#include "worker/fastpath/fastpath.h"
#include "firewall/ingress.h"
#include "net/ingress/ingress_verdict.h"
#include "support/check.h"
#include "weft/cid.h"
#include "weft/token.h"

#define NOW_NS	  (5000 * 1000000000ull)
#define FLOOD_CNT 50001 /* one more than the default of xdp.flood_above */

static struct weft_cid_keys cid_keys;
static struct weft_token_keys token_keys;

static struct addr spread_source(unsigned i)
{
	struct addr source = {.family = ADDR_IPV4, .port = (uint16_t)(1 + i % 60000)};

	source.ip[0] = 198;
	source.ip[1] = (uint8_t)(18 + (i & 1));
	source.ip[2] = (uint8_t)(i >> 1);
	source.ip[3] = (uint8_t)(i >> 9);
	return source;
}

/* One address with all its ports. */
static struct addr crowded_source(unsigned i)
{
	struct addr source = {
		.family = ADDR_IPV4, .ip = {192, 0, 2, 1}, .port = (uint16_t)(1 + i % 65535)};

	return source;
}

static size_t write_initial(uint8_t *data)
{
	static const uint8_t head[] = {0xc3, 0, 0, 0, 1, 8};

	memcpy(data, head, sizeof(head));
	return 1200;
}

/* With the one token that an address was given once. */
static size_t write_known(uint8_t *data)
{
	struct weft_token token = {.kind = WEFT_TOKEN_KNOWN, .issued_s = NOW_NS / 1000000000};
	struct addr client = crowded_source(0);

	token.client = addr_endpoint(&client);
	(void)write_initial(data);
	data[15] = WEFT_TOKEN_LEN;
	if (!weft_token_write(&token_keys, &token, data + 16))
		abort();
	return 1200;
}

static size_t write_replayed_id(uint8_t *data)
{
	static const uint8_t noise[WEFT_CID_RANDOM_LEN] = {7};

	data[0] = 0x40;
	weft_cid_write(&cid_keys, 0, noise, data + 1);
	return 60;
}

static size_t write_krpc(uint8_t *data)
{
	memcpy(data, "d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe", 57);
	return 56;
}

static size_t write_reply(uint8_t *data)
{
	memcpy(data, "d1:rd2:id20:abcdefghij0123456789e1:t2:aa1:y1:re", 48);
	return 47;
}

static size_t write_stun(uint8_t *data)
{
	memcpy(data, "\0\1\0\0\x21\x12\xa4\x42", 8);
	return WEFT_STUN_LEN_MIN;
}

static size_t write_probe(uint8_t *data)
{
	data[0] = WEFT_PROBE_FIRST_BYTE;
	return WEFT_PROBE_LEN;
}

static const struct {
	const char *name;
	size_t (*write)(uint8_t *data);
	struct addr (*source)(unsigned i);
} floods[] = {
	{"Initials from everywhere", write_initial, spread_source},
	{"Initials from one address", write_initial, crowded_source},
	{"one known token from all ports", write_known, crowded_source},
	{"one real id from everywhere", write_replayed_id, spread_source},
	{"one real id from one address", write_replayed_id, crowded_source},
	{"DHT questions from everywhere", write_krpc, spread_source},
	{"DHT questions from one address", write_krpc, crowded_source},
	{"DHT replies from everywhere", write_reply, spread_source},
	{"STUN from everywhere", write_stun, spread_source},
	{"STUN from one address", write_stun, crowded_source},
	{"path probes from everywhere", write_probe, spread_source},
	{"path probes from one address", write_probe, crowded_source},
};

static struct ingress *ingress_open(void)
{
	const struct ingress_params params = {.secret = {1, 2}, .session_cap = 65536};
	struct weft_config policy;
	struct ingress *ingress;

	if (firewall_ingress_new(&params, &ingress) < 0)
		abort();
	firewall_policy_defaults(&policy);
	firewall_ingress_configure(ingress, &policy);
	firewall_ingress_set_cid_keys(ingress, &cid_keys);
	firewall_ingress_set_token_keys(ingress, &token_keys);
	return ingress;
}

/* The mode after a second in which cnt datagrams of flood came. */
static enum weft_mode mode_after(size_t flood, unsigned cnt)
{
	struct ingress *ingress = ingress_open();
	struct fastpath_config defaults;
	struct pressure pressure;
	struct pressure_load load = {.handshake_cnt = 0};
	uint8_t data[1200] = {0};
	struct dgram dgram = {.data = data, .len = floods[flood].write(data)};

	worker_fastpath_config_defaults(&defaults);
	firewall_pressure_init(&pressure,
			       &(struct pressure_config){.pressured_from = 256,
							 .flood_above = defaults.flood_above});
	(void)firewall_pressure_measure(&pressure, &load, NOW_NS);
	for (unsigned i = 0; i < cnt; i++) {
		dgram.remote = floods[flood].source(i);
		firewall_ingress_turn(ingress, NOW_NS + i * (1000000000ull / cnt));
		(void)net_ingress_judge_dgram(firewall_ingress_judge(ingress), &dgram);
	}
	load.unvalidated_cnt =
		firewall_pressure_unvalidated_cnt(firewall_ingress_counters(ingress));
	(void)firewall_pressure_measure(&pressure, &load, NOW_NS + 1000000000);
	firewall_ingress_free(ingress);
	return pressure.mode;
}

static void test_a_flood_of_every_class_moves_the_mode(void)
{
	for (size_t i = 0; i < sizeof(floods) / sizeof(floods[0]); i++) {
		enum weft_mode over = mode_after(i, FLOOD_CNT);
		enum weft_mode below = mode_after(i, FLOOD_CNT - 1);

		if (over != WEFT_MODE_FLOOD || below != WEFT_MODE_NORMAL)
			printf("# %s: %s, one less: %s\n", floods[i].name,
			       firewall_pressure_mode_name(over),
			       firewall_pressure_mode_name(below));
		CHECK_EQ(over, WEFT_MODE_FLOOD);
		CHECK_EQ(below, WEFT_MODE_NORMAL);
	}
}

/* It dies at its first bytes in every mode. */
static void test_junk_moves_no_mode(void)
{
	struct ingress *ingress = ingress_open();
	uint8_t data[100] = {0x3f};
	struct dgram dgram = {.data = data, .len = sizeof(data)};

	firewall_ingress_turn(ingress, NOW_NS);
	for (unsigned i = 0; i < FLOOD_CNT; i++) {
		dgram.remote = spread_source(i);
		data[0] = i % 2 ? 0x3f : 0x40;
		(void)net_ingress_judge_dgram(firewall_ingress_judge(ingress), &dgram);
	}
	CHECK_EQ(firewall_pressure_unvalidated_cnt(firewall_ingress_counters(ingress)), 0);
	firewall_ingress_free(ingress);
}

int main(void)
{
	const __u64 key[2] = {1, 2};

	weft_cid_keys_rotate(&cid_keys, key);
	weft_token_keys_set(&token_keys, weft_token_day(NOW_NS / 1000000000), key);
	RUN(test_a_flood_of_every_class_moves_the_mode);
	RUN(test_junk_moves_no_mode);
	return check_done();
}
