/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes of a client to a relay over WebSocket. The first byte says how: 0x01 before the request,
 * 0x02 before a proof, else of a client with a key; 0x04: it reads nothing. The second is the
 * length of the pieces. Whatever comes, memory comes back and two other clients go on.
 */
#include "support/relay_web_rig.h"

#include "base/assert.h"
#include "base/monotonic.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define OPTION_RAW	0x01
#define OPTION_UNPROVED 0x02
#define OPTION_FULL	0x04

static bool hostile_open(struct web_client *client, struct web_rig *rig, uint8_t options,
			 const struct node_key *key)
{
	if (options & OPTION_RAW)
		return web_client_open(client, rig, "203.0.113.1:1");
	if (options & OPTION_UNPROVED)
		return web_client_open(client, rig, "203.0.113.1:1") &&
		       web_client_upgrade(client, "iroh-relay-v1", "");
	return web_client_join(client, rig, "203.0.113.1:1", key);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct node_key *keys[3];
	struct web_client a, b, hostile;
	struct relay_web_stats stats;
	struct relay_web_config config;
	struct relay_web_frame got;
	struct web_rig rig;

	relay_web_config_defaults(&config);
	config.client_cap = 8;
	config.memory_cap = 512 << 10;
	for (uint8_t i = 0; !keys[2] && i < 3; i++)
		keys[i] = web_key((uint8_t)(i + 1));
	if (len < 2)
		return 0;
	web_rig_init(&rig, &config);
	weft_assert(web_client_join(&a, &rig, "192.0.2.1:1", keys[0]));
	weft_assert(web_client_join(&b, &rig, "198.51.100.1:1", keys[1]));
	weft_assert(hostile_open(&hostile, &rig, data[0], keys[2]));
	hostile.is_full = data[0] & OPTION_FULL;
	rig.cut_len = data[1];
	web_client_say(&hostile, data + 2, len - 2);
	web_rig_run(&rig, 3 * NS_PER_S);
	rig.cut_len = 0;
	/* What the hostile client sent to b is before what a sends. */
	while (web_client_hear_frame(&b, RELAY_WEB_IROH_V2, &got))
		;
	web_client_frame(&a, &(struct relay_web_frame){.type = RELAY_WEB_SEND,
						       .key = node_key_public(keys[1]),
						       .data = data,
						       .len = 1});
	weft_assert(web_client_hear_frame(&b, RELAY_WEB_IROH_V2, &got) &&
		    got.type == RELAY_WEB_RECV);
	web_client_end(&hostile);
	relay_web_read_stats(rig.web, &stats);
	weft_assert(stats.conn_cnt == 2 && stats.memory_used_len == 0);
	web_rig_fini(&rig);
	web_client_fini(&a);
	web_client_fini(&b);
	web_client_fini(&hostile);
	return 0;
}
