/* SPDX-License-Identifier: Apache-2.0 */
#include "bpf/support/answered.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/bpf.h>

#include "weft/frame.h"

static FILE *pcap;

void answered_pcap_open(void)
{
	/* Nanoseconds, version 2.4, no zone, no accuracy, 64 KiB, Ethernet. */
	static const uint32_t head[] = {0xa1b23c4d, 0x00040002, 0, 0, 65536, 1};
	const char *name = getenv("WEFT_PCAP");

	pcap = name ? fopen(name, "w") : NULL;
	if (pcap)
		fwrite(head, sizeof(head), 1, pcap);
}

void answered_pcap_close(void)
{
	if (pcap)
		fclose(pcap);
}

static void pcap_put(const uint8_t *frame, size_t len)
{
	static uint32_t time_s;
	const uint32_t head[] = {time_s++, 0, (uint32_t)len, (uint32_t)len};

	if (!pcap)
		return;
	fwrite(head, sizeof(head), 1, pcap);
	fwrite(frame, len, 1, pcap);
}

enum weft_reason answered_judge(struct parity_rig *rig, struct packet *packet,
				const uint8_t *payload, size_t len,
				struct parity_rig_verdict *out_verdict)
{
	uint8_t frame[PACKET_LEN_MAX];
	const char *difference;
	size_t frame_len;

	packet->payload = payload;
	packet->payload_len = len;
	frame_len = packet_write(packet, frame);
	difference = parity_rig_judge(rig, frame, frame_len, out_verdict);
	if (difference)
		printf("# both differ in %s\n", difference);
	pcap_put(frame, frame_len);
	if (rig->has_program && out_verdict->result.action == XDP_TX)
		pcap_put(out_verdict->result.bytes, out_verdict->result.len);
	return difference ? WEFT_REASON_CNT : out_verdict->reason;
}

bool answered_is_way_back(const struct packet *packet, const struct program_result *result,
			  size_t answer_len)
{
	struct packet back = *packet;
	size_t heads_len = packet_headers_len(packet);
	size_t want_len = heads_len + answer_len < WEFT_FRAME_LEN_MIN ? WEFT_FRAME_LEN_MIN
								      : heads_len + answer_len;
	uint8_t frame[PACKET_LEN_MAX], macs[6];

	if (result->action != XDP_TX || result->len != want_len)
		return false;
	back.source = packet->local;
	back.local = packet->source;
	back.fragment = 0x4000;
	back.payload = result->bytes + heads_len;
	back.payload_len = answer_len;
	back.tail_len = (uint16_t)(want_len - heads_len - answer_len);
	(void)packet_write(&back, frame);
	memcpy(macs, frame, 6);
	memcpy(frame, frame + 6, 6);
	memcpy(frame + 6, macs, 6);
	return packet_csums_are_good(&back, result->bytes, result->len) &&
	       memcmp(result->bytes, frame, heads_len + answer_len) == 0;
}
