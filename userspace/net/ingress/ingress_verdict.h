/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_NET_INGRESS_INGRESS_VERDICT_H
#define WEFT_NET_INGRESS_INGRESS_VERDICT_H

#include <stdint.h>

#include "weft/xdp_maps.h"

struct dgram;
struct weft_cid_keys;
struct weft_tables;

/*
 * net_ingress_judge_dgram judges a datagram of a kernel socket as the BPF
 * program would have judged it, at the time of the tables (now_ns). It writes
 * all of dgram's judgement, counts the reason, and reports some drops to
 * on_sample (which may be NULL). The caller carries out the verdict. Returns
 * the reason; of a relayed datagram the tables then have the way (relay_way).
 */
struct demux_judge {
	struct weft_tables *tables;
	void (*on_sample)(void *ctx, const struct weft_sample *sample);
	void *ctx;
};

enum weft_reason net_ingress_judge_dgram(struct demux_judge *judge, struct dgram *dgram);

/*
 * net_ingress_judge_leg judges a datagram for this node as a relay, of a leg on TCP. The session of
 * the leg is dgram->remote (ADDR_LEG). As net_ingress_judge_dgram, but nothing
 * is reported as a sample: there is no address.
 */
enum weft_reason net_ingress_judge_leg(struct demux_judge *judge, struct dgram *dgram);

/*
 * A datagram that no table of this process judges comes from an AF_XDP
 * ring, where the BPF program judged it, or from the simulator. Its receive
 * side calls net_ingress_classify, which delivers it to a flow, and may know the
 * owner. Before the datagram reaches QUIC, net_ingress_find_owner finds the
 * owner if it is unknown.
 */
enum weft_flow net_ingress_classify(struct dgram *dgram);
void net_ingress_find_owner(struct dgram *dgram, const struct weft_cid_keys *keys);

#endif
