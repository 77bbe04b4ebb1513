/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Links as text. A link is typed, pasted and cut by people, so the parser
 * distinguishes a link that was cut short from one with a wrong letter.
 */
#include "link.h"

#include <string.h>

#include "base/byte_cursor.h"
#include "codec/text/utf8.h"
#include "codec/text/zbase32.h"
#include "crypto/blake3/blake3.h"

#define LINK_SCHEME	"mesh:"
#define LINK_SCHEME_LEN (sizeof(LINK_SCHEME) - 1)
#define LINK_CHECK_LEN	4u
#define VIA_BIT		0x80u /* of a family: a relay's, whose key follows */
#define ADDRS_LEN_MAX	(1u + LINK_ADDRS_MAX * 19u + PEER_VIAS_MAX * 32u)
#define HINTS_LEN_MAX                                                                              \
	(2u + LINK_NODES_MAX * (32u + ADDRS_LEN_MAX) + LINK_RELAYS_MAX * (1u + LINK_URL_LEN_MAX))
#define LINK_LEN_MAX	 (1u + 64u + HINTS_LEN_MAX + LINK_CHECK_LEN)
#define LINK_LETTERS_MAX ZBASE32_TEXT_LEN(LINK_LEN_MAX)

_Static_assert(LINK_SCHEME_LEN + LINK_LETTERS_MAX < LINK_TEXT_CAP, "room for the longest link");

static void check_of(const uint8_t *bytes, size_t len, uint8_t out[static LINK_CHECK_LEN])
{
	uint8_t hash[BLAKE3_HASH_LEN];

	blake3_hash(bytes, len, hash);
	memcpy(out, hash, LINK_CHECK_LEN);
}

static bool check_holds(const uint8_t *bytes, size_t len)
{
	uint8_t check[LINK_CHECK_LEN];

	if (len < LINK_CHECK_LEN)
		return false;
	check_of(bytes, len - LINK_CHECK_LEN, check);
	return memcmp(check, bytes + len - LINK_CHECK_LEN, LINK_CHECK_LEN) == 0;
}

static bool is_space(char letter)
{
	return letter == ' ' || (letter >= '\t' && letter <= '\r');
}

static unsigned ip_len(uint8_t family)
{
	return family == ADDR_IPV4 ? 4 : family == ADDR_IPV6 ? 16 : 0;
}

/* The fields of a link while it is read; foreign: a kind, a family or a count that is none. */
struct reading {
	struct cursor c;
	bool is_foreign;
};

static uint8_t count_read(struct reading *reading, unsigned max)
{
	uint8_t cnt = cursor_u8(&reading->c);

	if (cnt > max)
		reading->is_foreign = true;
	return cnt <= max ? cnt : 0;
}

static void place_read(struct reading *reading, struct peer_places *places)
{
	struct cursor *c = &reading->c;
	uint8_t family = cursor_u8(c);
	bool is_via = family & VIA_BIT;
	struct addr addr = {.family = family & (uint8_t)~VIA_BIT};

	if (c->bad)
		return;
	if (!ip_len(addr.family) || (is_via && places->via_cnt == PEER_VIAS_MAX)) {
		reading->is_foreign = true;
		return;
	}
	cursor_copy(c, addr.ip, ip_len(addr.family));
	addr.port = cursor_be16(c);
	if (is_via) {
		struct peer_via *via = &places->vias[places->via_cnt++];

		via->addr = addr;
		cursor_copy(c, via->key, sizeof(via->key));
	} else {
		places->addrs[places->addr_cnt++] = addr;
	}
}

static void places_read(struct reading *reading, struct peer_places *places)
{
	uint8_t cnt = count_read(reading, LINK_ADDRS_MAX);

	for (unsigned i = 0; i < cnt && !reading->is_foreign && !reading->c.bad; i++)
		place_read(reading, places);
}

static void hints_read(struct reading *reading, struct link *link)
{
	struct cursor *c = &reading->c;

	link->node_cnt = count_read(reading, LINK_NODES_MAX);
	for (unsigned i = 0; i < link->node_cnt && !reading->is_foreign && !c->bad; i++) {
		cursor_copy(c, link->nodes[i].key, sizeof(link->nodes[i].key));
		places_read(reading, &link->nodes[i].places);
	}
	if (reading->is_foreign)
		return;
	link->relay_cnt = count_read(reading, LINK_RELAYS_MAX);
	for (unsigned i = 0; i < link->relay_cnt && !c->bad; i++) {
		uint8_t len = cursor_u8(c);

		cursor_copy(c, link->relays[i], len);
		if (!c->bad && (len == 0 || strnlen(link->relays[i], len) != len ||
				!utf8_is_plain(link->relays[i], len)))
			reading->is_foreign = true;
	}
}

/* Reads all fields that are there; the check is the caller's. */
static void fields_read(struct reading *reading, struct link *link)
{
	struct cursor *c = &reading->c;

	memset(link, 0, sizeof(*link));
	link->kind = cursor_u8(c);
	switch (link->kind) {
	case LINK_COLLECTION:
		cursor_copy(c, link->manifest_id, sizeof(link->manifest_id));
		cursor_copy(c, link->node_key, sizeof(link->node_key));
		places_read(reading, &link->places);
		break;
	case LINK_SHARE:
		cursor_copy(c, link->public_key, sizeof(link->public_key));
		hints_read(reading, link);
		break;
	case LINK_COMMUNITY:
		cursor_copy(c, link->public_key, sizeof(link->public_key));
		cursor_copy(c, link->community_id, sizeof(link->community_id));
		hints_read(reading, link);
		break;
	default:
		reading->is_foreign = !c->bad;
	}
	(void)cursor_bytes(c, LINK_CHECK_LEN);
}

static bool kind_is_known(uint8_t kind)
{
	return kind >= LINK_COLLECTION && kind <= LINK_COMMUNITY;
}

/*
 * Text cut anywhere leaves bits of a byte behind, which a strict parser
 * refuses; so first the bytes that are whole are looked at.
 */
static int letters_parse(const char *letters, size_t cnt, struct link *out_link)
{
	char padded[LINK_LETTERS_MAX + 8];
	uint8_t bytes[LINK_LEN_MAX + 8];
	struct reading reading = {0};
	struct link link;
	size_t told_len;
	int len;

	for (size_t i = 0; i < cnt; i++)
		if (!zbase32_is_letter(letters[i]))
			return WEFT_EMALFORMED;
	if (cnt > LINK_LETTERS_MAX)
		return WEFT_ETOOLARGE;
	memset(padded, 'y', sizeof(padded)); /* letter of value 0 */
	memcpy(padded, letters, cnt);
	if (zbase32_parse(padded, (cnt + 7) / 8 * 8, bytes, sizeof(bytes)) < 0)
		return WEFT_EMALFORMED;
	reading.c = cursor_of(bytes, cnt * 5 / 8);
	fields_read(&reading, &link);
	if (!reading.is_foreign && reading.c.bad)
		return WEFT_ETOOSMALL;

	len = zbase32_parse(letters, cnt, bytes, sizeof(bytes));
	if (reading.is_foreign) {
		if (len < 0 || !check_holds(bytes, (size_t)len))
			return WEFT_EDAMAGED;
		return kind_is_known(link.kind) ? WEFT_EMALFORMED : WEFT_ENEWER;
	}
	/* A whole link with something behind it, or a count that is wrong? */
	told_len = (size_t)(reading.c.pos - bytes);
	if (cnt > ZBASE32_TEXT_LEN(told_len))
		return check_holds(bytes, told_len) ? WEFT_ETOOLARGE : WEFT_EDAMAGED;
	if (len < 0 || !check_holds(bytes, (size_t)len))
		return WEFT_EDAMAGED;
	*out_link = link;
	return 0;
}

int blobs_link_parse(const char *text, struct link *out_link)
{
	size_t len;

	while (is_space(*text))
		text++;
	len = strlen(text);
	while (len > 0 && is_space(text[len - 1]))
		len--;
	if (len == 0)
		return WEFT_EABSENT;
	if (len < LINK_SCHEME_LEN || strncasecmp(text, LINK_SCHEME, LINK_SCHEME_LEN) != 0)
		return WEFT_EUNKNOWN;
	return letters_parse(text + LINK_SCHEME_LEN, len - LINK_SCHEME_LEN, out_link);
}

static void addr_write(struct writer *w, const struct addr *addr, uint8_t family_bit)
{
	writer_u8(w, addr->family | family_bit);
	writer_bytes(w, addr->ip, ip_len(addr->family));
	writer_be16(w, addr->port);
}

static void places_write(struct writer *w, const struct peer_places *places)
{
	unsigned cnt = places->addr_cnt;

	if (cnt > LINK_ADDRS_MAX - places->via_cnt)
		cnt = LINK_ADDRS_MAX - places->via_cnt;
	writer_u8(w, (uint8_t)(cnt + places->via_cnt));
	for (unsigned i = 0; i < cnt; i++)
		addr_write(w, &places->addrs[i], 0);
	for (unsigned i = 0; i < places->via_cnt; i++) {
		addr_write(w, &places->vias[i].addr, VIA_BIT);
		writer_bytes(w, places->vias[i].key, sizeof(places->vias[i].key));
	}
}

static void hints_write(struct writer *w, const struct link *link)
{
	writer_u8(w, link->node_cnt);
	for (unsigned i = 0; i < link->node_cnt; i++) {
		const struct link_node *node = &link->nodes[i];

		writer_bytes(w, node->key, sizeof(node->key));
		places_write(w, &node->places);
	}
	writer_u8(w, link->relay_cnt);
	for (unsigned i = 0; i < link->relay_cnt; i++) {
		size_t len = strlen(link->relays[i]);

		writer_u8(w, (uint8_t)len);
		writer_bytes(w, link->relays[i], len);
	}
}

char *blobs_link_write(const struct link *link, char text[static LINK_TEXT_CAP])
{
	uint8_t bytes[LINK_LEN_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));
	uint8_t check[LINK_CHECK_LEN];

	writer_u8(&w, link->kind);
	if (link->kind == LINK_COLLECTION) {
		writer_bytes(&w, link->manifest_id, sizeof(link->manifest_id));
		writer_bytes(&w, link->node_key, sizeof(link->node_key));
		places_write(&w, &link->places);
	} else {
		writer_bytes(&w, link->public_key, sizeof(link->public_key));
		if (link->kind == LINK_COMMUNITY)
			writer_bytes(&w, link->community_id, sizeof(link->community_id));
		hints_write(&w, link);
	}
	check_of(bytes, writer_len(&w), check);
	writer_bytes(&w, check, sizeof(check));
	memcpy(text, LINK_SCHEME, LINK_SCHEME_LEN);
	zbase32_write(bytes, writer_len(&w), text + LINK_SCHEME_LEN);
	return text;
}
