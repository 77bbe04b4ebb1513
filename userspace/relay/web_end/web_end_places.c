/* SPDX-License-Identifier: Apache-2.0 */
/* relay.websocket as text: relays by key or name, each with its address. Pure. */
#include <string.h>

#include "codec/text/zbase32.h"
#include "crypto/blake3/blake3.h"
#include "relay/web_end/web_end.h"

static bool name_is_good(const char *name)
{
	static const char letters[] = "0123456789abcdefghijklmnopqrstuvwxyz"
				      "ABCDEFGHIJKLMNOPQRSTUVWXYZ.-";

	return strchr(name, '.') && name[strspn(name, letters)] == '\0';
}

/* [text, text + len) is one relay. */
static int place_parse(const char *text, size_t len, struct relay_web_place *out)
{
	const char *at = memchr(text, '@', len);
	size_t name_len = at ? (size_t)(at - text) : 0;
	struct relay_web_place place = {.name = ""};
	char addr[ADDR_TEXT_CAP];

	if (!at || name_len >= sizeof(place.name) || len - name_len - 1 >= sizeof(addr))
		return WEFT_EMALFORMED;
	memcpy(addr, at + 1, len - name_len - 1);
	addr[len - name_len - 1] = '\0';
	if (addr_parse(addr, &place.addr) < 0 || !place.addr.port)
		return WEFT_EMALFORMED;
	place.addr.transport = ADDR_TCP;
	if (zbase32_parse(text, name_len, place.key, sizeof(place.key)) != sizeof(place.key)) {
		memcpy(place.name, text, name_len);
		if (!name_is_good(place.name))
			return WEFT_EMALFORMED;
		blake3_derive_key("weft relay over WebSocket by name", text, len, place.key,
				  sizeof(place.key));
	}
	*out = place;
	return 0;
}

int relay_web_end_parse(const char *text, struct relay_web_place out[static RELAY_WEB_END_MAX])
{
	static const char space[] = " \t";
	unsigned cnt = 0;

	while (*(text += strspn(text, " \t,"))) {
		size_t len = strcspn(text, ",");
		const char *next = text + len;
		struct relay_web_place place;

		while (len && strchr(space, text[len - 1]))
			len--;
		if (place_parse(text, len, &place) < 0)
			return WEFT_EMALFORMED;
		text = next;
		for (unsigned i = 0; i < cnt; i++)
			if (memcmp(place.key, out[i].key, sizeof(place.key)) == 0)
				return WEFT_EEXISTS;
		if (cnt == RELAY_WEB_END_MAX)
			return WEFT_EFULL;
		out[cnt++] = place;
	}
	return (int)cnt;
}
