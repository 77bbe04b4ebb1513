/* SPDX-License-Identifier: Apache-2.0 */
#include "node/bans.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool prefix_len_parse(const char *text, unsigned max, unsigned *out_len)
{
	char *end;
	unsigned long len = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || len > max)
		return false;
	*out_len = (unsigned)len;
	return true;
}

int ban_parse(const char *text, struct addr *out_prefix, unsigned *out_prefix_len)
{
	char ip[INET6_ADDRSTRLEN];
	size_t len = strcspn(text, "/");
	struct addr addr = {0};
	unsigned prefix_len;

	if (len >= sizeof(ip))
		return WEFT_EMALFORMED;
	snprintf(ip, sizeof(ip), "%.*s", (int)len, text);
	if (inet_pton(AF_INET, ip, addr.ip) == 1)
		addr.family = ADDR_IPV4;
	else if (inet_pton(AF_INET6, ip, addr.ip) == 1)
		addr.family = ADDR_IPV6;
	else
		return WEFT_EMALFORMED;
	prefix_len = addr.family == ADDR_IPV4 ? 32 : 128;
	if (text[len] == '/' && !prefix_len_parse(text + len + 1, prefix_len, &prefix_len))
		return WEFT_EMALFORMED;
	*out_prefix = addr_prefix_key(&addr, prefix_len);
	*out_prefix_len = prefix_len;
	return 0;
}

const char *ban_format(const struct ban *ban, char text[static BAN_TEXT_CAP])
{
	bool is_ipv4 = ban->prefix.family == ADDR_IPV4;
	char ip[INET6_ADDRSTRLEN];

	(void)inet_ntop(is_ipv4 ? AF_INET : AF_INET6, ban->prefix.ip, ip, sizeof(ip));
	if (ban->prefix_len == (is_ipv4 ? 32 : 128))
		snprintf(text, BAN_TEXT_CAP, "%s", ip);
	else
		snprintf(text, BAN_TEXT_CAP, "%s/%u", ip, ban->prefix_len);
	return text;
}

static struct ban *bans_find(struct bans *bans, const struct addr *prefix, unsigned prefix_len)
{
	for (unsigned i = 0; i < bans->cnt; i++)
		if (bans->list[i].prefix_len == prefix_len &&
		    addr_equal(&bans->list[i].prefix, prefix))
			return &bans->list[i];
	return NULL;
}

int bans_put(struct bans *bans, struct ban *ban)
{
	struct ban *at = bans_find(bans, &ban->prefix, ban->prefix_len);

	if (!at && bans->cnt == BANS_CAP)
		return WEFT_EFULL;
	ban->rule = at ? at->rule : ++bans->next_rule;
	if (!at)
		at = &bans->list[bans->cnt++];
	*at = *ban;
	return 0;
}

static void bans_take(struct bans *bans, struct ban *at, struct ban *out_ban)
{
	*out_ban = *at;
	*at = bans->list[--bans->cnt];
}

bool bans_remove(struct bans *bans, const struct addr *prefix, unsigned prefix_len,
		 struct ban *out_ban)
{
	struct ban *at = bans_find(bans, prefix, prefix_len);

	if (at)
		bans_take(bans, at, out_ban);
	return at != NULL;
}

bool bans_expire(struct bans *bans, uint64_t now_ns, struct ban *out_ban)
{
	for (unsigned i = 0; i < bans->cnt; i++) {
		if (!bans->list[i].expires_ns || bans->list[i].expires_ns > now_ns)
			continue;
		bans_take(bans, &bans->list[i], out_ban);
		return true;
	}
	return false;
}

uint32_t bans_count(const struct bans *bans, uint8_t family)
{
	uint32_t cnt = 0;

	for (unsigned i = 0; i < bans->cnt; i++)
		cnt += bans->list[i].prefix.family == family;
	return cnt;
}
