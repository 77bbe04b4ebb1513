/* SPDX-License-Identifier: Apache-2.0 */
#include "announcement.h"

#include <string.h>

#include "codec/cbor_fields.h"
#include "crypto/node_key.h"
#include "crypto/sha256.h"
#include "crypto/signed.h"

#define TAG	   "relayann"
#define PREFIX_LEN (sizeof(RELAY_PLACE_PREFIX) - 1)

_Static_assert(RELAY_PLACE_NAME_LEN == PREFIX_LEN + 16, "prefix, hour and place");

/* CBOR_FIELD_ADDRS would skip what is no direct address; here it is malformed. */
static void addrs_read(struct cbor_reader *r, void *member)
{
	struct relay_announcement *announcement = member;
	uint64_t cnt = cbor_enter_array(r);

	if (cnt == 0 || cnt > PEER_ADDRS_MAX)
		cbor_fail(r);
	while (cbor_next(r)) {
		struct peer_addr addr = {0};

		peer_addr_read(r, &addr);
		if (!peer_addr_is_direct(&addr))
			cbor_fail(r);
		announcement->addrs[announcement->addr_cnt++] = addr.peer.addr;
	}
}

static void addrs_write(struct writer *w, const void *member)
{
	const struct relay_announcement *announcement = member;

	peer_addrs_write(w, announcement->addrs, announcement->addr_cnt);
}

/* Text that may stand in a request of HTTP, and is printed as it is. */
static bool url_is_plain(const char *url)
{
	for (const char *at = url; *at; at++)
		if (*at <= ' ' || *at > '~')
			return false;
	return strncmp(url, "https://", 8) == 0 && url[8];
}

static void urls_read(struct cbor_reader *r, void *member)
{
	struct relay_announcement *announcement = member;

	if (cbor_enter_array(r) > RELAY_ANNOUNCEMENT_URL_MAX)
		cbor_fail(r);
	while (cbor_next(r)) {
		char *url = announcement->urls[announcement->url_cnt++];

		cbor_read_text_copy(r, url, PEER_ADDR_URL_CAP);
		if (!url_is_plain(url))
			cbor_fail(r);
	}
}

static void urls_write(struct writer *w, const void *member)
{
	const struct relay_announcement *announcement = member;

	cbor_write_array(w, announcement->url_cnt);
	for (unsigned i = 0; i < announcement->url_cnt; i++)
		cbor_write_text(w, announcement->urls[i], strlen(announcement->urls[i]));
}

static const struct cbor_field capacity_fields[] = {
	{0, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct relay_capacity, flow_cap)},
	{1, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct relay_capacity, rate),
	 .max = RELAY_RATE_MBIT},
	{2, CBOR_FIELD_UINT, CBOR_OPTIONAL, CBOR_AT(struct relay_capacity, flow_len)},
};
static const struct cbor_table capacity_table = {CBOR_FIELDS(capacity_fields)};

static void capacity_read(struct cbor_reader *r, void *member)
{
	cbor_fields_read(r, &capacity_table, member);
}

static void capacity_write(struct writer *w, const void *member)
{
	cbor_fields_write(w, &capacity_table, member);
}

static const struct cbor_field fields[] = {
	{0, CBOR_FIELD_FIXED, CBOR_NEEDED, CBOR_AT(struct relay_announcement, key)},
	{1, CBOR_FIELD_CODED, CBOR_NEEDED, .read = addrs_read, .write = addrs_write},
	{2, CBOR_FIELD_CODED, CBOR_NEEDED, .read = urls_read, .write = urls_write},
	{3, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct relay_announcement, caps)},
	{4, CBOR_FIELD_CODED, CBOR_NEEDED, CBOR_AT(struct relay_announcement, capacity),
	 .read = capacity_read, .write = capacity_write},
	{5, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct relay_announcement, issued_s),
	 .max = INT64_MAX},
	{6, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct relay_announcement, expires_s),
	 .max = INT64_MAX},
};
static const struct cbor_table table = {CBOR_FIELDS(fields)};

enum relay_rate_class relay_rate_class_of(uint64_t bytes_per_s)
{
	if (bytes_per_s >= 125000)
		return RELAY_RATE_MBIT;
	if (bytes_per_s >= 1250)
		return RELAY_RATE_10_KBIT;
	return bytes_per_s >= 125 ? RELAY_RATE_KBIT : RELAY_RATE_SLOW;
}

void relay_announcement_write(struct writer *w, const struct node_key *key,
			      struct relay_announcement *announcement)
{
	uint8_t body[RELAY_ANNOUNCEMENT_LEN_MAX];
	struct writer body_w = writer_of(body, sizeof(body));

	memcpy(announcement->key, node_key_public(key), sizeof(announcement->key));
	cbor_fields_write(&body_w, &table, announcement);
	w->bad |= body_w.bad;
	signed_write(w, key, TAG, body, writer_len(&body_w));
}

static bool times_fit(const struct relay_announcement *announcement)
{
	return announcement->issued_s < announcement->expires_s &&
	       announcement->expires_s - announcement->issued_s <= RELAY_ANNOUNCEMENT_LIFE_S;
}

int relay_announcement_parse(const void *bytes, size_t len,
			     struct relay_announcement *out_announcement)
{
	struct relay_announcement announcement = {0};
	struct signed_object object;
	int err;

	if (len > RELAY_ANNOUNCEMENT_LEN_MAX)
		return WEFT_ETOOLARGE;
	if ((err = signed_parse(bytes, len, &object)) < 0)
		return err;
	if (cbor_fields_parse(object.body, object.body_len, &table, &announcement) < 0 ||
	    memcmp(announcement.key, object.signer, sizeof(announcement.key)) != 0 ||
	    !(announcement.caps & RELAY_ANNOUNCEMENT_CAP) || !times_fit(&announcement))
		return WEFT_EMALFORMED;
	*out_announcement = announcement;
	return 0;
}

int relay_announcement_verify(const void *bytes, size_t len)
{
	struct signed_object object;
	int err = signed_parse(bytes, len, &object);

	return err < 0 ? err : signed_verify(&object, TAG);
}

int relay_announcement_check_time(const struct relay_announcement *announcement, uint64_t wall_s)
{
	if (announcement->issued_s > wall_s + RELAY_ANNOUNCEMENT_SKEW_S)
		return WEFT_EREFUSED;
	return announcement->expires_s <= wall_s ? WEFT_ESTALE : 0;
}

unsigned relay_place_of(const uint8_t key[static PEER_ADDR_KEY_LEN], uint64_t hour, unsigned which)
{
	uint8_t input[PEER_ADDR_KEY_LEN + 9], hash[SHA256_HASH_LEN];
	struct writer w = writer_of(input, sizeof(input));
	struct cursor c;

	writer_bytes(&w, key, PEER_ADDR_KEY_LEN);
	writer_be64(&w, hour);
	writer_u8(&w, (uint8_t)which);
	sha256(input, sizeof(input), hash);
	c = cursor_of(hash + 24, 8);
	return (unsigned)(cursor_be64(&c) % RELAY_PLACES);
}

void relay_place_name(uint64_t hour, unsigned place, uint8_t out_name[static RELAY_PLACE_NAME_LEN])
{
	struct writer w = writer_of(out_name, RELAY_PLACE_NAME_LEN);

	writer_bytes(&w, RELAY_PLACE_PREFIX, PREFIX_LEN);
	writer_be64(&w, hour);
	writer_be64(&w, place);
}
