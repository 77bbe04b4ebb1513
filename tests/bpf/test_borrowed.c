/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a sender gains that borrows an address: that of a validated peer, or
 * of IPv4 mapped into IPv6. The third is one of its own that a Retry
 * validated but that has no session.
 */
#include <stdlib.h>
#include <string.h>

#include "bpf/support/packet.h"
#include "bpf/support/payload.h"
#include "bpf/support/parity_rig.h"
#include "support/check.h"
#include "weft/frame.h"

#define NOW_NS	  (1000 * 1000000000ull)
#define PORT	  7000
#define PEER_PORT 4242
#define BURST_CNT 3

static struct parity_rig rig;
static struct payload_keys keys;

/* Every source may send BURST_CNT datagrams, and no more while the clock stands. */
static void set_up(const struct weft_endpoint *local)
{
	const struct weft_bucket_rate rate = {.cost_ns = 1000, .credit_max_ns = BURST_CNT * 1000};
	struct weft_config config = parity_rig_config();
	struct weft_locals locals = {0};

	config.validated = rate;
	for (unsigned level = 0; level < WEFT_LEVEL_CNT; level++)
		config.rates[WEFT_CLASS_NEW_PATH][level] = rate;
	weft_locals_put(&locals, local);
	parity_rig_reset(&rig);
	parity_rig_set_locals(&rig, &locals);
	parity_rig_set_config(&rig, &config);
	parity_rig_set_cid_keys(&rig, &keys.cid);
	parity_rig_set_now(&rig, NOW_NS);
}

/* The reason of both rig, or WEFT_REASON_CNT when they differ. */
static enum weft_reason judge(const char *source, const char *local, enum payload_id id, size_t len)
{
	uint8_t payload[PAYLOAD_LEN_MAX], frame[PACKET_LEN_MAX];
	struct packet packet = {
		.source = packet_endpoint(source, PEER_PORT),
		.local = packet_endpoint(local, PORT),
		.payload = payload,
		.payload_len = payload_write_short(&keys, id, len, payload),
	};
	struct parity_rig_verdict verdict;

	return parity_rig_judge(&rig, frame, packet_write(&packet, frame), &verdict) ||
			       parity_rig_compare_tables(&rig)
		       ? WEFT_REASON_CNT
		       : verdict.reason;
}

/* judge of an IPv6 frame between these bytes, whatever they would be as IPv4. */
static enum weft_reason judge_mapped(const char *source, const char *local)
{
	uint8_t payload[PAYLOAD_LEN_MAX], frame[PACKET_LEN_MAX];
	struct packet packet = {
		.source = packet_endpoint("2001:db8::1", PEER_PORT),
		.local = packet_endpoint("2001:db8::2", PORT),
		.payload = payload,
		.payload_len = payload_write_short(&keys, PAYLOAD_ID_OURS, 100, payload),
	};
	struct weft_endpoint mapped_source = packet_endpoint(source, PEER_PORT);
	struct weft_endpoint mapped_local = packet_endpoint(local, PORT);
	size_t len = packet_write(&packet, frame);
	struct parity_rig_verdict verdict;

	memcpy(frame + WEFT_ETH_LEN + 8, mapped_source.addr, 16);
	memcpy(frame + WEFT_ETH_LEN + 24, mapped_local.addr, 16);
	return parity_rig_judge(&rig, frame, len, &verdict) ? WEFT_REASON_CNT : verdict.reason;
}

static void test_resets_of_a_peer_are_paid_by_its_address(void)
{
	struct weft_endpoint local = packet_endpoint("10.0.0.1", PORT);
	struct weft_endpoint peer = packet_endpoint("192.0.2.1", PEER_PORT);

	set_up(&local);
	parity_rig_put_session(&rig, &peer, NOW_NS + 1);
	for (unsigned i = 0; i < BURST_CNT; i++)
		CHECK_EQ(judge("192.0.2.1", "10.0.0.1", PAYLOAD_ID_NOISE, 40),
			 WEFT_REASON_MAYBE_RESET);
	CHECK_EQ(judge("192.0.2.1", "10.0.0.1", PAYLOAD_ID_NOISE, 40), WEFT_REASON_BAD_ID);
	/* What the peer's session sends is not touched by it. */
	CHECK_EQ(judge("192.0.2.1", "10.0.0.1", PAYLOAD_ID_OURS, 100), WEFT_REASON_SESSION);
}

static void test_a_token_without_a_session_pays(void)
{
	struct weft_endpoint local = packet_endpoint("10.0.0.1", PORT);
	struct weft_endpoint peer = packet_endpoint("192.0.2.1", PEER_PORT);

	set_up(&local);
	parity_rig_prove(&rig, &peer);
	for (unsigned i = 0; i < BURST_CNT; i++)
		CHECK_EQ(judge("192.0.2.1", "10.0.0.1", PAYLOAD_ID_OURS, 100), WEFT_REASON_SESSION);
	/* Then the connection does, as for every source. */
	for (unsigned i = 0; i < BURST_CNT; i++)
		CHECK_EQ(judge("192.0.2.1", "10.0.0.1", PAYLOAD_ID_OURS, 100),
			 WEFT_REASON_NEW_PATH);
	CHECK_EQ(judge("192.0.2.1", "10.0.0.1", PAYLOAD_ID_OURS, 100), WEFT_REASON_REPLAYED_ID);
}

/* A replay of one id spends that connection's credit, and no other's. */
static void test_a_replayed_id_is_charged_to_its_connection(void)
{
	struct weft_endpoint local = packet_endpoint("10.0.0.1", PORT);
	struct weft_endpoint peer = packet_endpoint("192.0.2.1", PEER_PORT);
	struct payload_keys others = keys;
	char source[24];

	set_up(&local);
	parity_rig_put_session(&rig, &peer, NOW_NS + 1);
	for (unsigned i = 0; i < 20; i++) {
		snprintf(source, sizeof(source), "198.51.100.%u", i + 1);
		CHECK_EQ(judge(source, "10.0.0.1", PAYLOAD_ID_OURS, 100),
			 i < BURST_CNT ? WEFT_REASON_NEW_PATH : WEFT_REASON_REPLAYED_ID);
	}
	/* Its session goes on, and a session of a borrowed address moves with another id. */
	CHECK_EQ(judge("192.0.2.1", "10.0.0.1", PAYLOAD_ID_OURS, 100), WEFT_REASON_SESSION);
	keys.id_noise ^= 1;
	CHECK_EQ(judge("198.51.100.1", "10.0.0.1", PAYLOAD_ID_OURS, 100), WEFT_REASON_NEW_PATH);
	keys = others;
}

static void test_ipv6_that_says_ipv4_is_no_peer(void)
{
	struct weft_endpoint local_v6 = packet_endpoint("2001:db8::2", PORT);
	struct weft_endpoint local_v4 = packet_endpoint("10.0.0.1", PORT);
	struct weft_endpoint peer = packet_endpoint("192.0.2.1", PEER_PORT);

	set_up(&local_v6);
	parity_rig_put_session(&rig, &peer, NOW_NS + 1);
	CHECK_EQ(judge_mapped("192.0.2.1", "2001:db8::2"), WEFT_REASON_BAD_SOURCE);
	set_up(&local_v4);
	parity_rig_put_session(&rig, &peer, NOW_NS + 1);
	CHECK_EQ(judge_mapped("192.0.2.1", "10.0.0.1"), WEFT_REASON_OTHER_PORT);
	CHECK_EQ(judge_mapped("2001:db8::1", "10.0.0.1"), WEFT_REASON_OTHER_PORT);
}

int main(void)
{
	const char *reason = parity_rig_open(&rig);

	if (reason)
		printf("# the native program alone: %s\n", reason);
	payload_keys_init(&keys, (uint32_t)(PARITY_RIG_WALL_S + NOW_NS / 1000000000));
	RUN(test_resets_of_a_peer_are_paid_by_its_address);
	RUN(test_a_token_without_a_session_pays);
	RUN(test_a_replayed_id_is_charged_to_its_connection);
	RUN(test_ipv6_that_says_ipv4_is_no_peer);
	parity_rig_close(&rig);
	return check_done();
}
