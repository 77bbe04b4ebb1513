/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_NET_INGRESS_DEMUX_H
#define WEFT_NET_INGRESS_DEMUX_H

#include "weft/classify.h"

struct dgram;

/*
 * net_ingress_classify says which protocol a received datagram belongs to; the
 * rules are the driver's (weft/classify.h). It reads at most
 * WEFT_CLASSIFY_LEN bytes and keeps nothing.
 */
enum weft_flow net_ingress_classify(const struct dgram *dgram);

#endif
