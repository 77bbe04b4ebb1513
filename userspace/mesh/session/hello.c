/* SPDX-License-Identifier: Apache-2.0 */
/* HELLO and GOODBYE payloads; session.c decides what they mean. */
#include "hello.h"

#include <stdio.h>

#include "codec/cbor.h"
#include "codec/peer_addr.h"

_Static_assert(MESH_PEER_ADDRS_MAX == PEER_ADDRS_MAX, "lists of addresses");

static const struct {
	uint32_t cap;
	const char *name;
} cap_names[] = {
	{MESH_CAP_DHT, "dht"},
	{MESH_CAP_STORE, "store"},
	{MESH_CAP_RELAY, "relay"},
	{MESH_CAP_CONTENT_SEED, "content_seed"},
	{MESH_CAP_MOBILE_LIGHT, "mobile_light"},
	{MESH_CAP_PAGED_BROWSE, "paged_browse"},
	{MESH_CAP_SEARCH, "search"},
	{MESH_CAP_DELTA, "delta"},
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

void mesh_hello_write(struct writer *w, const struct mesh_hello *hello)
{
	cbor_write_map(w, 6);
	cbor_field_uint(w, 0, MESH_VERSION);
	cbor_field_uint(w, 1, hello->caps);
	cbor_field_uint(w, 2, hello->unix_s);
	cbor_write_uint(w, 3);
	peer_addrs_write(w, hello->addrs, hello->addr_cnt);
	cbor_write_uint(w, 4);
	cbor_write_array(w, 0);
	cbor_field_text(w, 5, hello->agent, strlen(hello->agent));
}

/* Roles are checked and not kept: no service is spoken yet. */
static void hello_check_roles(struct cbor_reader *r)
{
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

static void hello_read_field(struct cbor_reader *r, uint64_t key, struct mesh_hello *hello)
{
	switch (key) {
	case 1:
		hello->caps = (uint32_t)cbor_read_uint_max(r, UINT32_MAX);
		break;
	case 2:
		/* Seconds that fit a signed count leave room for differences. */
		hello->unix_s = cbor_read_uint_max(r, INT64_MAX);
		break;
	case 3:
		hello->addr_cnt = peer_addrs_read(r, hello->addrs);
		break;
	case 4:
		hello_check_roles(r);
		break;
	case 5:
		cbor_read_text_copy(r, hello->agent, sizeof(hello->agent));
		break;
	default:
		cbor_skip(r);
	}
}

int mesh_hello_parse(const uint8_t *data, size_t len, struct mesh_hello *out_hello)
{
	struct mesh_hello hello = {0};
	uint64_t version = MESH_VERSION;
	struct cbor_reader r;
	uint64_t key;
	int err;

	cbor_reader_init(&r, data, len);
	cbor_enter_map(&r);
	while (cbor_next_key(&r, &key)) {
		if (key == 0)
			version = cbor_read_uint(&r);
		else
			hello_read_field(&r, key, &hello);
		/* What another version means by its further fields is not ours to judge. */
		if (key == 0 && version != MESH_VERSION && !cbor_is_bad(&r))
			return WEFT_EUNKNOWN;
	}
	if ((err = cbor_reader_finish_with(&r, CBOR_KEY(0) | CBOR_KEY(1) | CBOR_KEY(2))) < 0)
		return err;
	*out_hello = hello;
	return 0;
}

void mesh_bye_write(struct writer *w, const struct mesh_bye *bye)
{
	cbor_write_map(w, 2);
	cbor_field_uint(w, 0, bye->reason);
	cbor_field_uint(w, 1, bye->not_before_ms);
}

int mesh_bye_parse(const uint8_t *data, size_t len, struct mesh_bye *out_bye)
{
	struct mesh_bye bye = {0};
	struct cbor_reader r;
	uint64_t key;
	int err;

	cbor_reader_init(&r, data, len);
	cbor_enter_map(&r);
	while (cbor_next_key(&r, &key)) {
		switch (key) {
		case 0:
			bye.reason = cbor_read_uint(&r);
			break;
		case 1:
			bye.not_before_ms = cbor_read_uint(&r);
			break;
		default:
			cbor_skip(&r);
		}
	}
	if ((err = cbor_reader_finish_with(&r, CBOR_KEY(0))) < 0)
		return err;
	*out_bye = bye;
	return 0;
}
