/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes of a hostile relay to this node as its client over WebSocket. The first byte says how far it
 * was before. 0x01: TLS is made, 0x02: upgraded, else the key is known. 0x04: it speaks
 * iroh-relay-v1, 0x08: its challenges are answered. The second is the length of the pieces. Whatever
 * comes, the node goes on, dials again within the bounds, and a good relay is used then.
 */
#include "support/relay_web_end_rig.h"

#include "base/assert.h"
#include "base/monotonic.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define OPTION_RAW	0x01
#define OPTION_UNPROVED 0x02
#define OPTION_V1	0x04
#define OPTION_ANSWERS	0x08

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct web_end_rig rig;
	struct relay_web_end_config config = {.relays = ""};
	unsigned before_cnt, dial_cnt;

	if (len < 2)
		return 0;
	config.answers_challenges = data[0] & OPTION_ANSWERS;
	web_end_rig_init(&rig, &config);
	if (data[0] & OPTION_RAW)
		web_end_rig_accept(&rig, NULL, 0);
	else
		web_end_rig_upgrade(&rig, data[0] & OPTION_V1 ? "iroh-relay-v1" : "iroh-relay-v2");
	if (!(data[0] & (OPTION_RAW | OPTION_UNPROVED)))
		web_end_rig_frame(&rig, &(struct relay_web_frame){.type = RELAY_WEB_CONFIRMED});
	web_end_rig_send(&rig, 1, 1200, 0);
	rig.cut_len = data[1];
	web_end_rig_say(&rig, data + 2, len - 2);
	rig.cut_len = 0;
	web_end_rig_lose(&rig);
	dial_cnt = rig.dial_cnt;
	web_end_rig_run(&rig, 61 * NS_PER_S);
	weft_assert(rig.dial_cnt > dial_cnt && rig.is_open);
	/* It was dialled while nothing answered; the newest connection is taken. */
	before_cnt = rig.up_cnt;
	web_end_rig_join(&rig);
	weft_assert(rig.up_cnt == before_cnt + 1);
	web_end_rig_fini(&rig);
	return 0;
}
