/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading. One table of names finds the fields of a message. Keys come in ascending order and so
 * do the table's rows, so both are walked once.
 */
#include "krpc_message.h"

#include <string.h>

#include "crypto/node_key.h"

enum field_kind {
	FIELD_ID,    /* 20 bytes; of another length it counts as missing */
	FIELD_BYTES, /* a whole number of steps */
	FIELD_FIXED, /* one step */
	FIELD_INT,
	FIELD_BOOL,
	FIELD_RAW, /* any value, as encoded */
	FIELD_LIST,
	FIELD_WANT,
};

struct field {
	const char *name;
	enum field_kind kind;
	size_t off;	/* in struct krpc_message */
	size_t has_off; /* offset of the bool that says it was there, 0: the span says it */
	size_t step;
	enum dht_reason fault; /* when it is there and wrong */
};

#define AT(member) offsetof(struct krpc_message, member)
static const struct field fields[] = {
	{"cas", FIELD_INT, AT(cas), AT(has_cas), 0, DHT_BAD_ARGUMENT},
	{"id", FIELD_ID, AT(id), AT(has_id), 0, DHT_NO_ID},
	{"implied_port", FIELD_BOOL, AT(is_port_implied), 0, 0, DHT_BAD_ARGUMENT},
	{"info_hash", FIELD_ID, AT(info_hash), AT(has_info_hash), 0, DHT_BAD_TARGET},
	{"interval", FIELD_INT, AT(interval), 0, 0, DHT_BAD_ARGUMENT},
	{"k", FIELD_FIXED, AT(key), 0, NODE_KEY_LEN, DHT_BAD_KEY},
	{"nodes", FIELD_BYTES, AT(nodes), 0, KRPC_NODE_LEN_IPV4, DHT_BAD_ARGUMENT},
	{"nodes6", FIELD_BYTES, AT(nodes6), 0, KRPC_NODE_LEN_IPV6, DHT_BAD_ARGUMENT},
	{"num", FIELD_INT, AT(num), 0, 0, DHT_BAD_ARGUMENT},
	{"port", FIELD_INT, AT(port), AT(has_port), 0, DHT_BAD_PORT},
	{"salt", FIELD_BYTES, AT(salt), 0, 1, DHT_BAD_ARGUMENT},
	{"samples", FIELD_BYTES, AT(samples), 0, KAD_ID_LEN, DHT_BAD_ARGUMENT},
	{"seq", FIELD_INT, AT(seq), AT(has_seq), 0, DHT_NO_SEQ},
	{"sig", FIELD_FIXED, AT(sig), 0, NODE_KEY_SIG_LEN, DHT_BAD_SIGNATURE},
	{"target", FIELD_ID, AT(target), AT(has_target), 0, DHT_BAD_TARGET},
	{"token", FIELD_BYTES, AT(token), 0, 1, DHT_BAD_TOKEN},
	{"v", FIELD_RAW, AT(value), 0, 0, DHT_NO_VALUE},
	{"values", FIELD_LIST, AT(peers), 0, 0, DHT_BAD_ARGUMENT},
	{"want", FIELD_WANT, AT(want), 0, 0, DHT_BAD_ARGUMENT},
};
#define FIELD_CNT (sizeof(fields) / sizeof(fields[0]))

static void want_read(struct bencode_reader *r, unsigned *out_want)
{
	bencode_enter_list(r);
	while (bencode_next(r)) {
		struct bencode_span name;

		if (bencode_peek(r) != BENCODE_BYTES) {
			bencode_skip(r);
			continue;
		}
		name = bencode_read_bytes(r);
		if (bencode_is(&name, "n4"))
			*out_want |= KRPC_WANT_IPV4;
		else if (bencode_is(&name, "n6"))
			*out_want |= KRPC_WANT_IPV6;
	}
}

/* True when the value that comes is of the field's type. */
static bool field_is_next(const struct bencode_reader *r, enum field_kind kind)
{
	enum bencode_type type = bencode_peek(r);

	switch (kind) {
	case FIELD_ID:
	case FIELD_BYTES:
	case FIELD_FIXED:
		return type == BENCODE_BYTES;
	case FIELD_INT:
	case FIELD_BOOL:
		return type == BENCODE_INT;
	case FIELD_LIST:
	case FIELD_WANT:
		return type == BENCODE_LIST;
	default:
		return true;
	}
}

/* Reads a value of the right type into the message. False: of the wrong length. */
static bool field_read(const struct field *field, struct bencode_reader *r,
		       struct krpc_message *message)
{
	void *at = (uint8_t *)message + field->off;
	struct bencode_span span;

	switch (field->kind) {
	case FIELD_INT:
		*(int64_t *)at = bencode_read_int(r);
		return true;
	case FIELD_BOOL:
		*(bool *)at = bencode_read_int(r) != 0;
		return true;
	case FIELD_WANT:
		want_read(r, at);
		return true;
	case FIELD_RAW:
	case FIELD_LIST:
		*(struct bencode_span *)at = bencode_read_raw(r);
		return true;
	case FIELD_ID:
		span = bencode_read_bytes(r);
		if (span.len == KAD_ID_LEN)
			memcpy(at, span.data, KAD_ID_LEN);
		return span.len == KAD_ID_LEN;
	case FIELD_FIXED:
	case FIELD_BYTES:
		span = bencode_read_bytes(r);
		if (field->kind == FIELD_FIXED ? span.len != field->step : span.len % field->step)
			return false;
		*(struct bencode_span *)at = span;
		return true;
	}
	return false;
}

/* As memcmp: where key stands to name in the order of keys. */
static int name_order(const struct bencode_span *key, const char *name)
{
	size_t len = strlen(name);
	int order = memcmp(key->data, name, key->len < len ? key->len : len);

	return order ? order : (key->len > len) - (key->len < len);
}

/* The dictionary `a` or `r`. */
static void body_read(struct bencode_reader *r, struct krpc_message *message)
{
	const struct field *field = fields;
	struct bencode_span key;

	if (bencode_peek(r) != BENCODE_DICT) {
		bencode_skip(r);
		return;
	}
	message->has_body = true;
	bencode_enter_dict(r);
	while (bencode_next_key(r, &key)) {
		while (field < fields + FIELD_CNT && name_order(&key, field->name) > 0)
			field++;
		if (field == fields + FIELD_CNT || name_order(&key, field->name) != 0) {
			bencode_skip(r);
			continue;
		}
		if (!field_is_next(r, field->kind)) {
			bencode_skip(r);
		} else if (field_read(field, r, message)) {
			if (field->has_off)
				*(bool *)((uint8_t *)message + field->has_off) = true;
			continue;
		}
		if (!message->fault)
			message->fault = field->fault;
	}
}

/* The list `e`: a code and a text. */
static void error_read(struct bencode_reader *r, struct krpc_message *message)
{
	if (bencode_peek(r) != BENCODE_LIST) {
		bencode_skip(r);
		return;
	}
	message->has_error = true;
	bencode_enter_list(r);
	while (bencode_next(r)) {
		enum bencode_type type = bencode_peek(r);

		if (type == BENCODE_INT && !message->error_code)
			message->error_code = bencode_read_int(r);
		else if (type == BENCODE_BYTES && !message->error_text.data)
			message->error_text = bencode_read_bytes(r);
		else
			bencode_skip(r);
	}
}

/* A string, or nothing when something else stands there. */
static struct bencode_span text_read(struct bencode_reader *r)
{
	if (bencode_peek(r) == BENCODE_BYTES)
		return bencode_read_bytes(r);
	bencode_skip(r);
	return (struct bencode_span){NULL, 0};
}

const char *dht_krpc_method_name(enum krpc_method method)
{
	static const char *const names[] = {
		"ping", "find_node", "get_peers",	 "announce_peer",
		"get",	"put",	     "sample_infohashes"};

	return names[method];
}

static enum krpc_method method_of(const struct bencode_span *name)
{
	enum krpc_method method = KRPC_PING;

	while (method < KRPC_UNKNOWN && !bencode_is(name, dht_krpc_method_name(method)))
		method++;
	return method;
}

struct envelope {
	struct bencode_span method, kind;
};

static void top_read(struct bencode_reader *r, struct krpc_message *message,
		     struct envelope *envelope)
{
	struct bencode_span key;

	bencode_enter_dict(r);
	while (bencode_next_key(r, &key)) {
		/* One of a and r is the body; a sender of both gets the faults of both. */
		if (bencode_is(&key, "a") || bencode_is(&key, "r"))
			body_read(r, message);
		else if (bencode_is(&key, "e"))
			error_read(r, message);
		else if (bencode_is(&key, "ip"))
			message->external = text_read(r);
		else if (bencode_is(&key, "q"))
			envelope->method = text_read(r);
		else if (bencode_is(&key, "ro") && bencode_peek(r) == BENCODE_INT)
			message->is_read_only = bencode_read_int(r) == 1;
		else if (bencode_is(&key, "t"))
			message->transaction = text_read(r);
		else if (bencode_is(&key, "v"))
			message->version = text_read(r);
		else if (bencode_is(&key, "y"))
			envelope->kind = text_read(r);
		else
			bencode_skip(r);
	}
}

/* An item with a key is mutable and is signed with a sequence number. */
static enum dht_reason put_judge(const struct krpc_message *message)
{
	if (!message->value.data)
		return DHT_NO_VALUE;
	if (message->key.data && !message->sig.data)
		return DHT_BAD_SIGNATURE;
	if (message->key.data && !message->has_seq)
		return DHT_NO_SEQ;
	return message->token.data ? DHT_ANSWERED : DHT_NO_TOKEN;
}

/* The fields that a query of this method must have, BEP-5 and BEP-44. */
static enum dht_reason query_judge(const struct krpc_message *message)
{
	if (message->fault)
		return message->fault;
	if (!message->has_id)
		return DHT_NO_ID;
	switch (message->method) {
	case KRPC_PING:
		return DHT_ANSWERED;
	case KRPC_PUT:
		return put_judge(message);
	case KRPC_UNKNOWN:
		return message->has_target ? DHT_ANSWERED : DHT_UNKNOWN_METHOD;
	default:
		break;
	}
	if (!message->has_target)
		return DHT_BAD_TARGET;
	if (message->method != KRPC_ANNOUNCE_PEER)
		return DHT_ANSWERED;
	if (!message->token.data)
		return DHT_NO_TOKEN;
	if (!message->is_port_implied && (message->port < 1 || message->port > UINT16_MAX))
		return DHT_BAD_PORT;
	return DHT_ANSWERED;
}

enum dht_reason dht_krpc_parse(const void *data, size_t len, struct krpc_message *out_message)
{
	struct bencode_reader r;
	struct envelope envelope = {0};

	memset(out_message, 0, sizeof(*out_message));
	bencode_reader_init(&r, data, len);
	top_read(&r, out_message, &envelope);
	if (bencode_reader_finish(&r) < 0)
		return DHT_NOT_BENCODE;
	if (out_message->transaction.len > KRPC_TRANSACTION_LEN_MAX)
		return DHT_LONG_TRANSACTION;
	if (!out_message->transaction.len)
		return DHT_NOT_KRPC;
	out_message->method = method_of(&envelope.method);
	if (out_message->method == KRPC_GET_PEERS || out_message->method == KRPC_ANNOUNCE_PEER ||
	    !out_message->has_target) {
		out_message->target = out_message->info_hash;
		out_message->has_target = out_message->has_info_hash;
	}
	if (bencode_is(&envelope.kind, "q") && envelope.method.data && out_message->has_body) {
		out_message->kind = KRPC_QUERY;
		out_message->fault = query_judge(out_message);
	} else if (bencode_is(&envelope.kind, "r") && out_message->has_body) {
		out_message->kind = KRPC_REPLY;
		if (out_message->fault || !out_message->has_id)
			out_message->fault = DHT_SHORT_REPLY;
	} else if (bencode_is(&envelope.kind, "e") && out_message->has_error) {
		out_message->kind = KRPC_ERROR;
		out_message->fault = DHT_ANSWERED;
	} else {
		return DHT_NOT_KRPC;
	}
	return DHT_ANSWERED;
}
