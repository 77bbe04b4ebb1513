/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The link layer of paths, learned. On the receive side of every frame when sending goes by AF_XDP,
 * so it remembers the last path it got: frames come in runs.
 */
#include "net/link_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/monotonic.h"
#include "base/siphash_bytes.h"

#define SET_LEN 4
#define SET_CNT (LINK_TABLE_CAP / SET_LEN)

_Static_assert((SET_CNT & (SET_CNT - 1)) == 0, "a power of two");

/* Ports do not matter to the link. */
struct link_key {
	uint8_t local[16];
	uint8_t remote[16];
	uint64_t family;
};

struct link_path {
	struct link_key key;
	uint32_t heard_s; /* 0: empty */
	struct link_header header;
	uint8_t device;
};

struct link_table {
	uint64_t secret[2];
	uint32_t now_s; /* never 0 */
	struct link_path *last;
	struct link_path sets[SET_CNT][SET_LEN];
};

int net_link_table_new(const uint64_t secret[2], struct link_table **out_table)
{
	struct link_table *table = calloc(1, sizeof(*table));

	if (!table)
		return -ENOMEM;
	memcpy(table->secret, secret, sizeof(table->secret));
	table->now_s = 1;
	table->last = &table->sets[0][0];
	*out_table = table;
	return 0;
}

void net_link_table_free(struct link_table *table)
{
	free(table);
}

static struct link_key key_of(const struct addr *local, const struct addr *remote)
{
	struct link_key key = {.family = remote->family};

	memcpy(key.local, local->ip, sizeof(key.local));
	memcpy(key.remote, remote->ip, sizeof(key.remote));
	return key;
}

static bool path_is(const struct link_path *path, const struct link_key *key)
{
	return path->heard_s && memcmp(&path->key, key, sizeof(*key)) == 0;
}

static struct link_path *set_of(struct link_table *table, const struct link_key *key)
{
	return table->sets[siphash(table->secret, key, sizeof(*key)) & (SET_CNT - 1)];
}

/* The path under key, else the one of its set that has been silent longest. */
static struct link_path *path_for(struct link_table *table, const struct link_key *key)
{
	struct link_path *set = set_of(table, key), *oldest = set;

	for (unsigned i = 0; i < SET_LEN; i++) {
		if (path_is(&set[i], key))
			return &set[i];
		if (set[i].heard_s < oldest->heard_s)
			oldest = &set[i];
	}
	return oldest;
}

void net_link_table_learn(struct link_table *table, const struct dgram *dgram, const uint8_t *link,
			  size_t link_len, uint8_t device)
{
	struct link_key key = key_of(&dgram->local, &dgram->remote);
	struct link_path *path = table->last;

	if (!path_is(path, &key))
		path = path_for(table, &key);
	path->key = key;
	path->heard_s = table->now_s;
	path->device = device;
	net_link_header_reverse(link, link_len, &path->header);
	table->last = path;
}

const struct link_header *net_link_table_lookup(struct link_table *table, const struct addr *local,
						const struct addr *remote, uint8_t *out_device)
{
	struct link_key key = key_of(local, remote);
	const struct link_path *path = table->last;

	if (!path_is(path, &key))
		path = path_for(table, &key);
	if (!path_is(path, &key) || table->now_s - path->heard_s > LINK_AGE_MAX_S)
		return NULL;
	*out_device = path->device;
	return &path->header;
}

void net_link_table_turn(struct link_table *table, uint64_t now_ns)
{
	table->now_s = (uint32_t)(now_ns / NS_PER_S) + 1;
}

void net_link_table_forget(struct link_table *table, uint8_t device)
{
	for (unsigned i = 0; i < LINK_TABLE_CAP; i++) {
		struct link_path *path = &table->sets[i / SET_LEN][i % SET_LEN];

		if (path->device == device)
			path->heard_s = 0;
	}
}
