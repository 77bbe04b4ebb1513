/* SPDX-License-Identifier: Apache-2.0 */
#include "ways.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define SPACE	", \t"
#define NOTHING "none"

/* The words of a policy. */
static const struct {
	const char *word;
	unsigned ways; /* bits of enum mesh_way */
} words[] = {
	{"quic", 1u << MESH_WAY_QUIC4 | 1u << MESH_WAY_QUIC6},
	{"quic4", 1u << MESH_WAY_QUIC4},
	{"quic6", 1u << MESH_WAY_QUIC6},
	{"tcp", 1u << MESH_WAY_TCP4 | 1u << MESH_WAY_TCP6},
	{"tcp4", 1u << MESH_WAY_TCP4},
	{"tcp6", 1u << MESH_WAY_TCP6},
	{"relay", 1u << MESH_WAY_RELAY},
	{"websocket", 1u << MESH_WAY_WEBSOCKET},
};
#define WORD_CNT (sizeof(words) / sizeof(words[0]))

enum mesh_network mesh_network_of(const struct addr *addr)
{
	/* A label says nothing of its relay. Relays are for nodes that are apart. */
	return addr_is_global(addr) || addr_is_relayed(addr) ? MESH_NETWORK_INTERNET
							     : MESH_NETWORK_LAN;
}

const char *mesh_network_name(enum mesh_network network)
{
	return network == MESH_NETWORK_LAN ? "lan" : "internet";
}

enum mesh_way mesh_way_of(const struct addr *addr)
{
	if (addr_is_relayed(addr))
		return addr->port == ADDR_RELAY_WEB_PORT ? MESH_WAY_WEBSOCKET : MESH_WAY_RELAY;
	if (addr_is_line(addr))
		return MESH_WAY_LINE;
	if (addr->transport == ADDR_TCP)
		return addr->family == ADDR_IPV6 ? MESH_WAY_TCP6 : MESH_WAY_TCP4;
	return addr->family == ADDR_IPV6 ? MESH_WAY_QUIC6 : MESH_WAY_QUIC4;
}

const char *mesh_way_name(enum mesh_way way)
{
	static const char *const names[] = {
		[MESH_WAY_QUIC4] = "quic4", [MESH_WAY_QUIC6] = "quic6",
		[MESH_WAY_TCP4] = "tcp4",   [MESH_WAY_TCP6] = "tcp6",
		[MESH_WAY_RELAY] = "relay", [MESH_WAY_WEBSOCKET] = "websocket",
		[MESH_WAY_LINE] = "line",
	};

	return names[way];
}

unsigned mesh_ways_rank(const struct mesh_ways ways[static MESH_NETWORK_CNT],
			const struct addr *addr)
{
	if (addr_is_line(addr))
		return MESH_WAY_CNT + 1;
	return ways[mesh_network_of(addr)].ranks[mesh_way_of(addr)];
}

/* The row of a word; -1: it is none. */
static int word_lookup(const char *text, size_t len)
{
	for (size_t i = 0; i < WORD_CNT; i++)
		if (strlen(words[i].word) == len && memcmp(words[i].word, text, len) == 0)
			return (int)i;
	return -1;
}

/* 0, or what is wrong with the word. */
static int word_take(struct mesh_ways *ways, unsigned rank, const char *text, size_t len)
{
	int row = word_lookup(text, len);

	if (row < 0)
		return WEFT_EMALFORMED;
	for (unsigned way = 0; way < MESH_WAY_CNT; way++) {
		if (!(words[row].ways & 1u << way))
			continue;
		if (ways->ranks[way])
			return WEFT_EMALFORMED;
		ways->ranks[way] = (uint8_t)rank;
	}
	return 0;
}

int mesh_ways_parse(const char *text, struct mesh_ways *out_ways, const char **out_word,
		    size_t *out_len)
{
	struct mesh_ways ways = {{0}};
	bool is_none = false;
	unsigned rank = 0;
	int err = 0;

	*out_word = text;
	*out_len = strlen(text);
	for (text += strspn(text, SPACE); *text; text += strspn(text, SPACE)) {
		size_t len = strcspn(text, SPACE);

		*out_word = text;
		*out_len = len;
		is_none = len == strlen(NOTHING) && memcmp(text, NOTHING, len) == 0;
		if (is_none ? rank > 0 : (err = word_take(&ways, rank + 1, text, len)) < 0)
			return err ? err : WEFT_EMALFORMED;
		rank++;
		text += len;
		if (is_none && text[strspn(text, SPACE)])
			return WEFT_EMALFORMED;
	}
	if (!rank)
		return WEFT_EMALFORMED;
	*out_ways = ways;
	return 0;
}

/* The word of the ways that share rank; NULL: none has it. Ranks hold what one word gave them. */
static const char *word_of(const struct mesh_ways *ways, unsigned rank)
{
	unsigned held = 0;

	for (unsigned way = 0; way < MESH_WAY_CNT; way++)
		held |= (unsigned)(ways->ranks[way] == rank) << way;
	for (size_t i = 0; held && i < WORD_CNT; i++)
		if (words[i].ways == held)
			return words[i].word;
	return NULL;
}

char *mesh_ways_format(const struct mesh_ways *ways, char text[static MESH_WAYS_TEXT_CAP])
{
	const char *word;
	size_t len = 0;

	text[0] = '\0';
	for (unsigned rank = 1; rank <= MESH_WAY_CNT; rank++)
		if ((word = word_of(ways, rank)))
			len += (size_t)snprintf(text + len, MESH_WAYS_TEXT_CAP - len, "%s%s",
						len ? ", " : "", word);
	if (!len)
		snprintf(text, MESH_WAYS_TEXT_CAP, NOTHING);
	return text;
}
