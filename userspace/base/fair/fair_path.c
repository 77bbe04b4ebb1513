/* SPDX-License-Identifier: Apache-2.0 */
/* Paths of fair shares: chained SipHashes, so an id names one account of one place. */
#include "fair_path.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/random.h"
#include "base/siphash_bytes.h"

/* Below the family, where an address and a key follow. */
#define NETWORK_LEVEL 1u

#define VALUE_LEN_MAX 64u

void fair_path_start(enum fair_class class, struct fair_path *out)
{
	*out = (struct fair_path){.class = (uint8_t)class};
}

void fair_path_add(const struct fair_paths *paths, struct fair_path *path, const void *value,
		   size_t len)
{
	uint8_t data[sizeof(uint64_t) + VALUE_LEN_MAX] = {0};
	unsigned level = path->level_cnt;

	weft_assert(level < FAIR_LEVEL_MAX);
	weft_assert(len <= VALUE_LEN_MAX);
	if (level > 0)
		memcpy(data, &path->ids[level - 1], sizeof(uint64_t));
	memcpy(data + sizeof(uint64_t), value, len);
	path->ids[level] = siphash(paths->secret, data, sizeof(uint64_t) + len);
	path->level_cnt++;
}

static void path_add_prefix(const struct fair_paths *paths, struct fair_path *path,
			    const struct addr *addr, unsigned prefix_len)
{
	struct addr prefix = addr_prefix_key(addr, prefix_len);

	fair_path_add(paths, path, prefix.ip, sizeof(prefix.ip));
}

static bool site_holds(const struct fair_site *site, const struct addr *addr)
{
	struct addr prefix;

	if (site->prefix.family == ADDR_NONE || site->prefix.family != addr->family)
		return false;
	prefix = addr_prefix_key(addr, site->prefix_len);
	return memcmp(prefix.ip, site->prefix.ip, sizeof(prefix.ip)) == 0;
}

void fair_path_of_addr(const struct fair_paths *paths, const struct addr *addr,
		       enum fair_class class, struct fair_path *out)
{
	static const uint8_t ipv4_lens[] = {24, 32, 0};
	static const uint8_t ipv6_lens[] = {48, 56, 64, 0};
	const uint8_t *lens = addr->family == ADDR_IPV6 ? ipv6_lens : ipv4_lens;
	unsigned network_len = 0;

	fair_path_start(class, out);
	fair_path_add(paths, out, &addr->family, sizeof(addr->family));
	if (addr->family != ADDR_IPV4 && addr->family != ADDR_IPV6)
		return;
	if (site_holds(&paths->site, addr)) {
		network_len = paths->site.network_len;
		path_add_prefix(paths, out, addr, network_len);
		lens++;
	}
	for (; *lens > 0; lens++)
		if (*lens > network_len)
			path_add_prefix(paths, out, addr, *lens);
}

/* A decimal number of at most max, all of text. */
static int number_parse(const char *text, unsigned max, uint8_t *out_number)
{
	unsigned number = 0;

	if (!*text)
		return WEFT_EMALFORMED;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return WEFT_EMALFORMED;
		number = number * 10 + (unsigned)(*text - '0');
		if (number > max)
			return WEFT_EMALFORMED;
	}
	*out_number = (uint8_t)number;
	return 0;
}

int fair_site_parse(const char *text, struct fair_site *out_site)
{
	char copy[ADDR_TEXT_CAP];
	char with_port[ADDR_TEXT_CAP + 8];
	struct fair_site site = {0};
	struct addr addr;
	char *slash, *colon;
	unsigned bits_max;

	if (!*text) {
		*out_site = site;
		return 0;
	}
	if (strlen(text) >= sizeof(copy))
		return WEFT_EMALFORMED;
	strcpy(copy, text);
	slash = strchr(copy, '/');
	colon = slash ? strchr(slash, ':') : NULL;
	if (!colon)
		return WEFT_EMALFORMED;
	*slash = '\0';
	*colon = '\0';
	strcpy(with_port, strchr(copy, ':') ? "[" : "");
	strcat(with_port, copy);
	strcat(with_port, strchr(copy, ':') ? "]:1" : ":1");
	if (addr_parse(with_port, &addr) < 0)
		return WEFT_EMALFORMED;
	bits_max = addr.family == ADDR_IPV4 ? 32 : 128;
	if (number_parse(slash + 1, bits_max, &site.prefix_len) < 0 ||
	    number_parse(colon + 1, bits_max, &site.network_len) < 0 ||
	    site.network_len < site.prefix_len)
		return WEFT_EMALFORMED;
	site.prefix = addr_prefix_key(&addr, site.prefix_len);
	*out_site = site;
	return 0;
}

const char *fair_site_format(const struct fair_site *site, char buf[static FAIR_SITE_TEXT_CAP])
{
	struct addr addr = site->prefix;
	char text[ADDR_TEXT_CAP];
	char *begin, *end;

	buf[0] = '\0';
	if (addr.family == ADDR_NONE)
		return buf;
	/* "10.0.0.0:1" or "[fd00::]:1": without the port, and without brackets. */
	addr.port = 1;
	(void)addr_format(&addr, text);
	begin = text[0] == '[' ? text + 1 : text;
	end = text[0] == '[' ? strchr(text, ']') : strchr(text, ':');
	*end = '\0';
	snprintf(buf, FAIR_SITE_TEXT_CAP, "%s/%u:%u", begin, site->prefix_len, site->network_len);
	return buf;
}

unsigned fair_path_network_level(const struct fair_path *path)
{
	return path->level_cnt > NETWORK_LEVEL + 1 ? NETWORK_LEVEL : 0;
}

uint64_t fair_path_network(const struct fair_path *path)
{
	return path->ids[fair_path_network_level(path)];
}

/* The last level of a path is one of the network's members: here a port of the address. */
uint64_t fair_network_of_addr(const struct fair_paths *paths, const struct addr *addr)
{
	struct fair_path path;

	fair_path_of_addr(paths, addr, FAIR_UNKNOWN, &path);
	fair_path_add(paths, &path, &addr->port, sizeof(addr->port));
	return fair_path_network(&path);
}

int fair_places_init(struct fair_places *places, struct arena *arena,
		     const struct fair_config *config)
{
	struct random random;

	random_init_system(&random);
	random_fill(&random, places->paths.secret, sizeof(places->paths.secret));
	return fair_init(&places->fair, arena, config, places->paths.secret);
}
