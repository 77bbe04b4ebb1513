/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ends of flows between hostile relays: records of {what, relay, length, bytes} are offers, flows,
 * datagrams, answers and the end of sessions. Tables stay within their bounds, and nothing reaches
 * QUIC that no relay told.
 */
#include <stdlib.h>
#include <string.h>

#include "base/byte_cursor.h"
#include "base/monotonic.h"
#include "support/relay_end_rig.h"

#define RELAYS 4
#define PEERS  4

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct relay_end_rig rig;

static void hear(unsigned relay, const uint8_t *bytes, size_t len)
{
	uint8_t copy[2048];
	struct dgram dgram = {.data = copy, .len = len, .remote = rig.address[relay]};

	if (!len)
		return;
	memcpy(copy, bytes, len);
	if (relay_end_input(rig.end, &dgram, rig.now_ns) &&
	    (!addr_is_relayed(&dgram.remote) || dgram.data != copy + 16 || dgram.len + 16 != len))
		abort();
}

/* The answer to what waits longest: bytes as they are, or a right one. */
static void answer(unsigned relay, const uint8_t *bytes, size_t len)
{
	struct mesh_request *request = relay_end_rig_asked(&rig, MESH_FLOW_OPEN);
	struct mesh_reply reply = {.payload = bytes, .payload_len = len};

	if (!request)
		return;
	if (len == 1) {
		const struct relay_flow_message told =
			relay_end_rig_told(relay, 100 + bytes[0] % PEERS, bytes[0]);

		relay_end_rig_reply(&rig, request, 0, &told);
		return;
	}
	request->is_used = false;
	rig.ask_cnt--;
	reply.err = len ? 0 : WEFT_EABSENT;
	request->ask.reply(request->ask.arg, &reply, rig.now_ns);
}

static void session(unsigned relay, bool is_up)
{
	uint8_t key[MESH_KEY_LEN];

	relay_end_rig_key(relay, key);
	rig.is_down[relay] = !is_up;
	relay_end_session(rig.end, key, is_up, rig.now_ns);
}

static void closed(unsigned relay, const uint8_t *bytes, size_t len)
{
	struct relay_close_message message;
	uint8_t key[MESH_KEY_LEN];

	relay_end_rig_key(relay, key);
	if (relay_message_close_parse(bytes, len, &message) == 0)
		(void)relay_end_closed(rig.end, key, &message, rig.now_ns);
}

static void tell(unsigned relay, const uint8_t *bytes, size_t len)
{
	const struct relay_flow_message told = relay_end_rig_told(
		relay, 100 + (len ? bytes[0] % PEERS : 0), len > 1 ? bytes[1] : 0);

	relay_end_rig_flow(&rig, relay, &told);
}

static void step(unsigned what, unsigned relay, const uint8_t *bytes, size_t len)
{
	switch (what) {
	case 0:
		relay_end_rig_call(&rig, relay, MESH_FLOW_OFFER, bytes, len);
		break;
	case 1:
		relay_end_rig_call(&rig, relay, MESH_FLOW, bytes, len);
		break;
	case 2:
		hear(relay, bytes, len);
		break;
	case 3:
		answer(relay, bytes, len);
		break;
	case 4:
		session(relay, len & 1);
		break;
	case 5:
		closed(relay, bytes, len);
		break;
	case 6:
		relay_end_rig_offer(&rig, relay, 100 + (unsigned)len % PEERS, 1200);
		break;
	case 7:
		tell(relay, bytes, len);
		break;
	case 8:
		(void)relay_end_rig_look(&rig, 100 + (unsigned)len % PEERS);
		break;
	case 9:
		relay_end_rig_send(&rig, len & 1 ? &rig.found : &rig.delivered_at, 1200,
				   1 + (unsigned)len % 5, 0);
		break;
	default:
		rig.now_ns += len * NS_PER_S;
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct cursor c = cursor_of(data, len);
	struct relay_end_config config;
	struct relay_end_stats stats;

	relay_end_config_defaults(&config);
	config.opened_cap = config.accepted_cap = RELAY_END_CAP_MIN;
	relay_end_rig_init(&rig, &config);
	rig.relay_cnt = RELAYS;
	while (!c.bad && cursor_left(&c)) {
		unsigned what = cursor_u8(&c), relay = cursor_u8(&c) % RELAYS;
		size_t part = cursor_u8(&c);
		const uint8_t *bytes = cursor_bytes(&c, part);

		if (c.bad)
			break;
		step(what % 12, relay, bytes, part);
		relay_end_turn(rig.end, rig.now_ns);
		relay_end_stats(rig.end, &stats);
		if (stats.accepted_now > config.accepted_cap ||
		    stats.opened_now > config.opened_cap)
			abort();
	}
	relay_end_rig_fini(&rig);
	return 0;
}
