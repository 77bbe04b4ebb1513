/* SPDX-License-Identifier: Apache-2.0 */
#include "beacon.h"

#include <string.h>

#include "codec/cbor.h"

static const struct {
	const char *word;
	uint32_t bit;
} words[] = {
	{"dht", BEACON_CAP_DHT},
	{"store", BEACON_CAP_STORE},
	{"relay", BEACON_CAP_RELAY},
	{"content_seed", BEACON_CAP_CONTENT_SEED},
	{"mobile_light", BEACON_CAP_MOBILE_LIGHT},
};
#define WORD_CNT (sizeof(words) / sizeof(words[0]))

static void text_write(struct writer *w, const char *text)
{
	cbor_write_text(w, text, strlen(text));
}

void lan_beacon_write(struct writer *w, const struct beacon *beacon)
{
	cbor_write_map(w, beacon->has_key ? 6 : 5);
	text_write(w, "version");
	cbor_write_uint(w, beacon->version);
	text_write(w, "instance_id");
	cbor_write_array(w, BEACON_INSTANCE_LEN);
	for (unsigned i = 0; i < BEACON_INSTANCE_LEN; i++)
		cbor_write_uint(w, beacon->instance[i]);
	text_write(w, "tcp_port");
	cbor_write_uint(w, beacon->tcp_port);
	text_write(w, "capabilities");
	cbor_write_map(w, WORD_CNT);
	for (unsigned i = 0; i < WORD_CNT; i++) {
		text_write(w, words[i].word);
		cbor_write_bool(w, beacon->caps & words[i].bit);
	}
	text_write(w, "quic_port");
	cbor_write_uint(w, beacon->quic_port);
	if (beacon->has_key) {
		text_write(w, "key");
		cbor_write_bytes(w, beacon->key, sizeof(beacon->key));
	}
}

/* --- reading --- */

enum { SEEN_VERSION = 1, SEEN_INSTANCE = 2, SEEN_TCP = 4, SEEN_ALL = 7 };

static bool is_word(const char *word, const char *text, size_t len)
{
	return strlen(word) == len && memcmp(word, text, len) == 0;
}

static void instance_read(struct cbor_reader *r, struct beacon *beacon)
{
	unsigned cnt = 0;

	if (cbor_enter_array(r) != BEACON_INSTANCE_LEN)
		cbor_fail(r);
	while (cbor_next(r)) {
		uint8_t byte = (uint8_t)cbor_read_uint_max(r, UINT8_MAX);

		if (cnt < BEACON_INSTANCE_LEN)
			beacon->instance[cnt++] = byte;
	}
}

static uint16_t port_read(struct cbor_reader *r)
{
	if (cbor_peek(r) != CBOR_NULL)
		return (uint16_t)cbor_read_uint_max(r, UINT16_MAX);
	cbor_read_null(r);
	return 0;
}

static void caps_read(struct cbor_reader *r, struct beacon *beacon)
{
	const char *text;
	size_t len;

	if (cbor_peek(r) == CBOR_NULL) {
		cbor_read_null(r);
		return;
	}
	(void)cbor_enter_map(r);
	while (cbor_next_text_key(r, &text, &len)) {
		uint32_t bit = 0;

		for (unsigned i = 0; i < WORD_CNT; i++)
			if (is_word(words[i].word, text, len))
				bit = words[i].bit;
		if (!bit)
			cbor_skip(r);
		else if (cbor_read_bool(r))
			beacon->caps |= bit;
	}
}

static unsigned field_read(struct cbor_reader *r, const char *text, size_t len,
			   struct beacon *beacon)
{
	if (is_word("version", text, len)) {
		beacon->version = cbor_read_uint_max(r, UINT8_MAX);
		return SEEN_VERSION;
	}
	if (is_word("instance_id", text, len)) {
		instance_read(r, beacon);
		return SEEN_INSTANCE;
	}
	if (is_word("tcp_port", text, len)) {
		beacon->tcp_port = port_read(r);
		return SEEN_TCP;
	}
	if (is_word("quic_port", text, len)) {
		beacon->quic_port = port_read(r);
	} else if (is_word("capabilities", text, len)) {
		caps_read(r, beacon);
	} else if (is_word("key", text, len)) {
		cbor_read_fixed(r, beacon->key, sizeof(beacon->key));
		beacon->has_key = true;
	} else {
		cbor_skip(r);
	}
	return 0;
}

int lan_beacon_parse(const void *bytes, size_t len, struct beacon *out_beacon)
{
	struct beacon beacon = {0};
	struct cbor_reader r;
	const char *text;
	unsigned seen = 0;
	size_t text_len;

	if (len > BEACON_LEN_MAX)
		return WEFT_EMALFORMED;
	cbor_reader_init_any_order(&r, bytes, len);
	cbor_enter_map(&r);
	while (cbor_next_text_key(&r, &text, &text_len))
		seen |= field_read(&r, text, text_len, &beacon);
	if (cbor_reader_finish(&r) < 0 || seen != SEEN_ALL || beacon.version == 0)
		return WEFT_EMALFORMED;
	*out_beacon = beacon;
	return 0;
}
