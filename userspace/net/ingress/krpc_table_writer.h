/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_NET_INGRESS_KRPC_TABLE_WRITER_H
#define WEFT_NET_INGRESS_KRPC_TABLE_WRITER_H

#include <stdint.h>

#include "weft/krpc_tables.h"

/*
 * Writers of weft/krpc_tables.h, of the program's tables or of memory of
 * one's own, which starts as zeros. One thread writes. Each of these may be
 * called for one id, key or bucket once in WEFT_KRPC_REST_NS; what is there
 * already is not written again.
 *
 * A new id makes all buckets others: first no id, after the rest all
 * buckets, then the id.
 */

/* net_krpc_tables_set_id: WEFT_KRPC_ID_LEN bytes, or NULL: questions of family go to userspace. */
void net_krpc_tables_set_id(const struct weft_krpc_tables *tables, enum weft_krpc_family family,
			    const uint8_t *id);
/* net_krpc_tables_id: that which lives, or NULL. */
const uint8_t *net_krpc_tables_id(const struct weft_krpc_tables *tables,
				  enum weft_krpc_family family);
void net_krpc_tables_set_token_key(const struct weft_krpc_tables *tables, const uint64_t key[2]);
/* net_krpc_tables_set_nodes: cnt compact nodes, 0 to WEFT_KRPC_NODE_CNT_MAX. */
void net_krpc_tables_set_nodes(const struct weft_krpc_tables *tables, enum weft_krpc_family family,
			       unsigned bucket, const uint8_t *compact, unsigned cnt);
/* net_krpc_tables_set_held_word: 64 bits of weft_krpc_held_bit; as often as one likes. */
void net_krpc_tables_set_held_word(const struct weft_krpc_tables *tables, unsigned idx,
				   uint64_t bits);
/* net_krpc_tables_set_reply_keys: before the newer of the two is used. As often as one likes. */
void net_krpc_tables_set_reply_keys(const struct weft_krpc_tables *tables,
				    const struct weft_krpc_reply_keys *keys);

#endif
