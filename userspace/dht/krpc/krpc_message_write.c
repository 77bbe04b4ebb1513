/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing. Every key has its one place in the order, so that no message has an order of its own.
 * A key without a value is left out.
 */
#include "krpc_message.h"

static void span_write(struct writer *w, const char *name, const struct bencode_span *span)
{
	if (!span->data)
		return;
	bencode_write_text(w, name);
	bencode_write_bytes(w, span->data, span->len);
}

/* A value that is bencoded already. */
static void raw_write(struct writer *w, const char *name, const struct bencode_span *span)
{
	if (!span->data)
		return;
	bencode_write_text(w, name);
	writer_bytes(w, span->data, span->len);
}

static void int_write(struct writer *w, const char *name, bool has, int64_t value)
{
	if (!has)
		return;
	bencode_write_text(w, name);
	bencode_write_int(w, value);
}

static void id_write(struct writer *w, const char *name, const struct kad_id *id)
{
	bencode_write_text(w, name);
	bencode_write_bytes(w, id->bytes, KAD_ID_LEN);
}

static void want_write(struct writer *w, unsigned want)
{
	if (!want)
		return;
	bencode_write_text(w, "want");
	bencode_open_list(w);
	if (want & KRPC_WANT_IPV4)
		bencode_write_text(w, "n4");
	if (want & KRPC_WANT_IPV6)
		bencode_write_text(w, "n6");
	bencode_close(w);
}

static void pad_write(struct writer *w, size_t len)
{
	uint8_t *at;

	if (!len)
		return;
	bencode_write_text(w, "pad");
	bencode_write_head(w, len);
	at = writer_reserve(w, len);
	if (at)
		memset(at, 0, len);
}

void dht_krpc_write_query(struct writer *w, const struct krpc_query *query)
{
	bool is_announce = query->method == KRPC_ANNOUNCE_PEER;
	bool is_of_swarm = is_announce || query->method == KRPC_GET_PEERS;
	bool has_target = query->method != KRPC_PING && query->method != KRPC_PUT;

	bencode_open_dict(w);
	bencode_write_text(w, "a");
	bencode_open_dict(w);
	int_write(w, "cas", query->has_cas, query->cas);
	id_write(w, "id", &query->id);
	int_write(w, "implied_port", query->is_port_implied, 1);
	if (is_of_swarm)
		id_write(w, "info_hash", &query->target);
	span_write(w, "k", &query->key);
	pad_write(w, query->pad_len);
	int_write(w, "port", is_announce, query->port);
	span_write(w, "salt", &query->salt);
	int_write(w, "seq", query->has_seq, query->seq);
	span_write(w, "sig", &query->sig);
	if (has_target && !is_of_swarm)
		id_write(w, "target", &query->target);
	span_write(w, "token", &query->token);
	raw_write(w, "v", &query->value);
	want_write(w, query->want);
	bencode_close(w);
	bencode_write_text(w, "q");
	bencode_write_text(w, dht_krpc_method_name(query->method));
	int_write(w, "ro", query->is_read_only, 1);
	span_write(w, "t", &query->transaction);
	bencode_write_text(w, "y");
	bencode_write_text(w, "q");
	bencode_close(w);
}

static void external_write(struct writer *w, const struct addr *asker)
{
	bencode_write_text(w, "ip");
	bencode_write_head(w, dht_krpc_peer_len(asker->family));
	dht_krpc_peer_write(w, asker);
}

static void peers_write(struct writer *w, const struct addr *peers, unsigned cnt)
{
	if (!cnt)
		return;
	bencode_write_text(w, "values");
	bencode_open_list(w);
	for (unsigned i = 0; i < cnt; i++) {
		bencode_write_head(w, dht_krpc_peer_len(peers[i].family));
		dht_krpc_peer_write(w, &peers[i]);
	}
	bencode_close(w);
}

void dht_krpc_write_reply(struct writer *w, const struct krpc_reply *reply)
{
	static const struct bencode_span no_samples = {(const uint8_t *)"", 0};

	bencode_open_dict(w);
	external_write(w, &reply->asker);
	bencode_write_text(w, "r");
	bencode_open_dict(w);
	id_write(w, "id", &reply->id);
	int_write(w, "interval", reply->has_samples, reply->interval);
	span_write(w, "k", &reply->key);
	span_write(w, "nodes", &reply->nodes);
	span_write(w, "nodes6", &reply->nodes6);
	int_write(w, "num", reply->has_samples, reply->num);
	if (reply->has_samples)
		span_write(w, "samples", &no_samples);
	int_write(w, "seq", reply->has_seq, reply->seq);
	span_write(w, "sig", &reply->sig);
	span_write(w, "token", &reply->token);
	raw_write(w, "v", &reply->value);
	peers_write(w, reply->peers, reply->peer_cnt);
	bencode_close(w);
	span_write(w, "t", &reply->transaction);
	bencode_write_text(w, "y");
	bencode_write_text(w, "r");
	bencode_close(w);
}

void dht_krpc_write_error(struct writer *w, const struct bencode_span *transaction,
			  const struct addr *asker, enum dht_reason reason)
{
	bencode_open_dict(w);
	bencode_write_text(w, "e");
	bencode_open_list(w);
	bencode_write_int(w, dht_reasons[reason].code);
	bencode_write_text(w, dht_reasons[reason].text);
	bencode_close(w);
	external_write(w, asker);
	span_write(w, "t", transaction);
	bencode_write_text(w, "y");
	bencode_write_text(w, "e");
	bencode_close(w);
}
