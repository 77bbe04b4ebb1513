/* SPDX-License-Identifier: Apache-2.0 */
/* HELLO and GOODBYE payloads; session.c decides what they mean. */
#include "hello.h"

#include <stdio.h>

#include "codec/cbor_fields.h"
#include "codec/peer_addr.h"

_Static_assert(MESH_PEER_ADDRS_MAX == PEER_ADDRS_MAX, "lists of addresses");

static const struct {
	uint32_t cap;
	const char *name;
} cap_names[] = {
	{MESH_CAP_DHT, "dht"},
	{MESH_CAP_STORE, "store"},
	{MESH_CAP_RELAY, "relay"},
	{MESH_CAP_GATEWAY, "gateway"},
	{MESH_CAP_CONTENT_SEED, "content_seed"},
	{MESH_CAP_MOBILE_LIGHT, "mobile_light"},
	{MESH_CAP_ANCHOR, "anchor"},
	{MESH_CAP_SERVICE_RELAY, "service_relay"},
	{MESH_CAP_PAGED_BROWSE, "paged_browse"},
	{MESH_CAP_SEARCH, "search"},
	{MESH_CAP_DELTA, "delta"},
	{MESH_CAP_SOCIAL_RANGES, "social_ranges"},
};

char *mesh_caps_text(uint32_t caps, char text[static MESH_CAPS_TEXT_CAP])
{
	size_t len = 0;

	text[0] = '\0';
	for (size_t i = 0; i < sizeof(cap_names) / sizeof(cap_names[0]); i++)
		if (caps & cap_names[i].cap)
			len += (size_t)snprintf(text + len, MESH_CAPS_TEXT_CAP - len, "%s%s",
						len ? " " : "", cap_names[i].name);
	return text;
}

/* Roles are checked and not kept: no service is spoken yet. */
static void roles_read(struct cbor_reader *r, void *of)
{
	(void)of;
	if (cbor_enter_array(r) > MESH_HELLO_ROLES_MAX)
		cbor_fail(r);
	while (cbor_next(r)) {
		if (cbor_enter_array(r) != 3)
			cbor_fail(r);
		cbor_read_uint_max(r, UINT32_MAX);
		cbor_read_uint_max(r, 7);
		cbor_read_uint_max(r, UINT8_MAX);
		if (cbor_next(r))
			cbor_fail(r);
	}
}

static void roles_write(struct writer *w, const void *of)
{
	(void)of;
	cbor_write_array(w, 0);
}

static const struct cbor_field hello_fields[] = {
	{0, CBOR_FIELD_CONSTANT, CBOR_USUAL, .max = MESH_VERSION},
	{1, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct mesh_hello, caps)},
	/* Seconds that fit a signed count leave room for differences. */
	{2, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct mesh_hello, unix_s), .max = INT64_MAX},
	{3, CBOR_FIELD_ADDRS, CBOR_USUAL, CBOR_AT(struct mesh_hello, addrs),
	 CBOR_LEN(struct mesh_hello, addr_cnt)},
	{4, CBOR_FIELD_CODED, CBOR_USUAL, .read = roles_read, .write = roles_write},
	{5, CBOR_FIELD_TEXT, CBOR_USUAL, CBOR_AT(struct mesh_hello, agent)},
};
static const struct cbor_table hello_table = {CBOR_FIELDS(hello_fields)};

void mesh_hello_write(struct writer *w, const struct mesh_hello *hello)
{
	cbor_fields_write(w, &hello_table, hello);
}

int mesh_hello_parse(const uint8_t *data, size_t len, struct mesh_hello *out_hello)
{
	struct mesh_hello hello = {0};
	uint64_t version, key;
	struct cbor_reader r;
	int err;

	cbor_reader_init(&r, data, len);
	cbor_enter_map(&r);
	if (!cbor_next_key(&r, &key) || key != 0)
		return WEFT_EMALFORMED;
	version = cbor_read_uint(&r);
	/* The further fields of another version are not judged here. */
	if (version != MESH_VERSION && !cbor_is_bad(&r))
		return WEFT_EUNKNOWN;
	cbor_fields_read_on(&r, &hello_table, &hello);
	if ((err = cbor_reader_finish(&r)) < 0)
		return err;
	*out_hello = hello;
	return 0;
}

static const struct cbor_field bye_fields[] = {
	{0, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct mesh_bye, reason)},
	{1, CBOR_FIELD_UINT, CBOR_USUAL, CBOR_AT(struct mesh_bye, not_before_ms)},
};
static const struct cbor_table bye_table = {CBOR_FIELDS(bye_fields)};

void mesh_bye_write(struct writer *w, const struct mesh_bye *bye)
{
	cbor_fields_write(w, &bye_table, bye);
}

int mesh_bye_parse(const uint8_t *data, size_t len, struct mesh_bye *out_bye)
{
	struct mesh_bye bye = {0};
	int err = cbor_fields_parse(data, len, &bye_table, &bye);

	if (err < 0)
		return err;
	*out_bye = bye;
	return 0;
}

const char *mesh_bye_text(uint64_t code)
{
	static const char *const texts[] = {
#define BYE(name, code, text) [MESH_BYE_##name] = text,
#include "mesh/session/bye_codes.def"
	};

	return code < sizeof(texts) / sizeof(texts[0]) ? texts[code] : NULL;
}
