/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_DHT_RIG_H
#define WEFT_TESTS_DHT_RIG_H

#include "base/dgram.h"
#include "base/random.h"
#include "dht/dht.h"
#include "dht/krpc/krpc_message.h"

/*
 * One node of the DHT at 203.0.113.1:7000 (and [2001:db8::1]:7000), virtual
 * time, and what it sends. Change config between dht_rig_init and
 * dht_rig_start.
 */
#define DHT_RIG_SENT_MAX 64

struct dht_rig_sent {
	uint8_t data[1500];
	size_t len;
	struct addr remote;
};

struct dht_rig {
	struct dht_config config;
	struct load *load; /* NULL: refusals are not kept */
	struct dht *dht;
	struct random random;
	struct dgram_sink sink;
	bool is_sink_full;
	uint64_t now_ns;
	unsigned sent_cnt; /* since the last dht_rig_forget; the first DHT_RIG_SENT_MAX are kept */
	uint64_t sent_len;
	struct dht_rig_sent sent[DHT_RIG_SENT_MAX];
	uint8_t slot[1500];
	uint64_t held_cnt;
	struct kad_id held; /* the last */
};

void dht_rig_init(struct dht_rig *rig);
void dht_rig_start(struct dht_rig *rig);
void dht_rig_fini(struct dht_rig *rig);

struct addr dht_rig_addr(const char *text);
/*
 * dht_rig_fill: cnt nodes in each network, of one /24 or /64 each, answer this node, with ids all
 * over.
 */
void dht_rig_fill(struct dht_rig *rig, unsigned cnt);
/* dht_rig_input: len bytes come from remote. */
void dht_rig_input(struct dht_rig *rig, const struct addr *remote, const void *data, size_t len);
/* dht_rig_ask sends query from remote; false: no answer. The answer is borrowed till the next. */
bool dht_rig_ask(struct dht_rig *rig, const struct addr *remote, const struct krpc_query *query,
		 struct krpc_message *out_answer);
/* dht_rig_code: the same, but gives the error's code: 0 for a reply, -1 for silence. */
int64_t dht_rig_code(struct dht_rig *rig, const struct addr *remote,
		     const struct krpc_query *query);
/* dht_rig_token: a token for asker, got as any node gets one; out is what it spans. */
struct bencode_span dht_rig_token(struct dht_rig *rig, const struct addr *asker,
				  uint8_t out[static 8]);
void dht_rig_forget(struct dht_rig *rig);
uint64_t dht_rig_count(const struct dht_rig *rig, enum dht_reason reason);
/* dht_rig_query: a query of method by an unvalidated source, transaction "aa". */
struct krpc_query dht_rig_query(enum krpc_method method);
struct bencode_span dht_rig_span(const char *text);

#endif
