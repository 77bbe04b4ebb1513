/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DHT_BUCKET_BLOBS_H
#define WEFT_DHT_BUCKET_BLOBS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "codec/bencode.h"
#include "kad/routing_table.h"
#include "weft/err.h"
#include "weft/krpc.h"

struct arena;

/*
 * The answers to find_node in one network: lists of nodes in compact form. There is a list for
 * each number of leading bits that a target shares with this node's id. It has the nodes nearest
 * to such a target. The lists are made ahead, so an answer only copies bytes, and the XDP
 * program and userspace answer the same.
 *
 * Only nodes of the widest address scope present are named: a node with neighbours on the Internet
 * does not name those on its own network.
 */
struct dht_blobs;

WEFT_MUST_CHECK
int dht_blobs_new(struct arena *arena, struct dht_blobs **out_blobs);
/*
 * dht_blobs_refresh makes them anew when the table has changed, at most
 * once in DHT_BLOBS_GAP_NS, and otherwise every DHT_BLOBS_AGE_NS, because
 * members fall silent. True: some are other bytes now.
 */
#define DHT_BLOBS_GAP_NS 1000000000ull
#define DHT_BLOBS_AGE_NS (60 * 1000000000ull)
bool dht_blobs_refresh(struct dht_blobs *blobs, const struct kad_table *table, uint64_t now_ns);
/*
 * dht_blobs_forget: this node's id changed, so the lists change; the next refresh makes them at
 * once.
 */
void dht_blobs_forget(struct dht_blobs *blobs);
/* dht_blobs_next_ns: when refresh has something to do, if the table has changed or not. */
uint64_t dht_blobs_next_ns(const struct dht_blobs *blobs, const struct kad_table *table);
/* dht_blobs_at: bucket in [0, WEFT_KRPC_BUCKET_CNT). Borrowed until refresh; data is never NULL. */
struct bencode_span dht_blobs_at(const struct dht_blobs *blobs, unsigned bucket);

#endif
