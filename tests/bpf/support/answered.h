/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_BPF_ANSWERED_H
#define WEFT_TESTS_BPF_ANSWERED_H

#include "bpf/support/packet.h"
#include "bpf/support/parity_rig.h"

/*
 * Triggers and their answers. With WEFT_PCAP all of them go to that file,
 * for other people's dissectors (tests/system/test_dissect.py).
 */
void answered_pcap_open(void);
void answered_pcap_close(void);

/*
 * answered_judge sends payload in packet, and takes the packet. Returns the verdict
 * of both rigs, or WEFT_REASON_CNT when they differ, and the frame that came back.
 */
enum weft_reason answered_judge(struct parity_rig *rig, struct packet *packet,
				const uint8_t *payload, size_t len,
				struct parity_rig_verdict *out_verdict);

/*
 * answered_is_way_back: the frame goes back with so much payload, addresses
 * and ports turned round, lengths and checksums right.
 */
bool answered_is_way_back(const struct packet *packet, const struct program_result *result,
			  size_t answer_len);

#endif
