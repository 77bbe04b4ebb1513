/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Links as text. A link is typed, pasted and cut by people, so the parser
 * tells a link that was cut short from one with a wrong letter.
 */
#include "content/link.h"

#include <string.h>

#include "base/cursor.h"
#include "codec/zbase32.h"
#include "crypto/blake3.h"

#define LINK_SCHEME	 "mesh:"
#define LINK_SCHEME_LEN	 (sizeof(LINK_SCHEME) - 1)
#define LINK_CHECK_LEN	 4u
#define LINK_LEN_MAX	 (70u + LINK_ADDRS_MAX * 19u)
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

/* Reads all fields that are there; the check is the caller's. Foreign: a kind or family. */
static void fields_read(struct cursor *c, struct link *link, bool *out_is_known)
{
	memset(link, 0, sizeof(*link));
	link->kind = cursor_u8(c);
	cursor_copy(c, link->manifest_id, sizeof(link->manifest_id));
	cursor_copy(c, link->node_key, sizeof(link->node_key));
	link->addr_cnt = cursor_u8(c);
	*out_is_known =
		c->bad || (link->kind == LINK_COLLECTION && link->addr_cnt <= LINK_ADDRS_MAX);
	for (unsigned i = 0; *out_is_known && !c->bad && i < link->addr_cnt; i++) {
		struct addr *addr = &link->addrs[i];

		addr->family = cursor_u8(c);
		*out_is_known = c->bad || ip_len(addr->family) > 0;
		cursor_copy(c, addr->ip, ip_len(addr->family));
		addr->port = cursor_be16(c);
	}
	(void)cursor_bytes(c, LINK_CHECK_LEN);
}

/*
 * Text cut anywhere leaves bits of a byte behind, which a strict parser
 * refuses; so first the bytes that are whole are looked at.
 */
static int letters_parse(const char *letters, size_t cnt, struct link *out_link)
{
	char padded[LINK_LETTERS_MAX + 8];
	uint8_t bytes[LINK_LEN_MAX + 8];
	struct link link;
	struct cursor c;
	bool is_known;
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
	c = cursor_of(bytes, cnt * 5 / 8);
	fields_read(&c, &link, &is_known);
	if (is_known && c.bad)
		return WEFT_ETOOSMALL;

	len = zbase32_parse(letters, cnt, bytes, sizeof(bytes));
	if (!is_known) {
		if (len < 0 || !check_holds(bytes, (size_t)len))
			return WEFT_EDAMAGED;
		return link.kind == LINK_COLLECTION ? WEFT_EMALFORMED : WEFT_ENEWER;
	}
	/* A whole link with something behind it, or a count that is wrong? */
	if (cnt > ZBASE32_TEXT_LEN((size_t)(c.pos - bytes)))
		return check_holds(bytes, (size_t)(c.pos - bytes)) ? WEFT_ETOOLARGE : WEFT_EDAMAGED;
	if (len < 0 || !check_holds(bytes, (size_t)len))
		return WEFT_EDAMAGED;
	*out_link = link;
	return 0;
}

int link_parse(const char *text, struct link *out_link)
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

char *link_write(const struct link *link, char text[static LINK_TEXT_CAP])
{
	uint8_t bytes[LINK_LEN_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));
	uint8_t check[LINK_CHECK_LEN];

	writer_u8(&w, link->kind);
	writer_bytes(&w, link->manifest_id, sizeof(link->manifest_id));
	writer_bytes(&w, link->node_key, sizeof(link->node_key));
	writer_u8(&w, link->addr_cnt);
	for (unsigned i = 0; i < link->addr_cnt; i++) {
		const struct addr *addr = &link->addrs[i];

		writer_u8(&w, addr->family);
		writer_bytes(&w, addr->ip, ip_len(addr->family));
		writer_be16(&w, addr->port);
	}
	check_of(bytes, writer_len(&w), check);
	writer_bytes(&w, check, sizeof(check));
	memcpy(text, LINK_SCHEME, LINK_SCHEME_LEN);
	zbase32_write(bytes, writer_len(&w), text + LINK_SCHEME_LEN);
	return text;
}
