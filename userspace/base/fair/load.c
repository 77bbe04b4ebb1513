/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counters of the accounts that cost most: two candidate lines for each account, decay when a
 * line is touched, the smallest entry replaced. No function here reads a clock or allocates
 * after load_init.
 */
#include "load.h"

#include <stddef.h>
#include <string.h>

#include "base/memory/arena.h"
#include "base/assert.h"

#define TICKS_PER_HALF 16u
#define TICK_NS	       (LOAD_HALF_NS / TICKS_PER_HALF)
#define FACTOR_ONE     65536u
#define KEY_LEN	       32u

/* 2^(-n/16), of 65,536, rounded down. */
static const uint32_t factors[TICKS_PER_HALF] = {
	65536, 62757, 60096, 57548, 55108, 52772, 50534, 48392,
	46340, 44376, 42494, 40693, 38967, 37315, 35733, 34218,
};

static size_t lines_len(uint32_t line_cnt)
{
	return (size_t)line_cnt * sizeof(struct load_line);
}

int load_init(struct load *load, struct arena *arena, uint32_t line_cnt, const uint64_t secret[2])
{
	weft_assert(line_cnt >= 2);
	weft_assert((line_cnt & (line_cnt - 1)) == 0);
	*load = (struct load){.line_cnt = line_cnt};
	load->paths.secret[0] = secret[0];
	load->paths.secret[1] = secret[1];
	load->lines = arena_alloc(arena, lines_len(line_cnt));
	return load->lines ? refusals_init(&load->refusals, arena, secret) : WEFT_EFULL;
}

static uint32_t tag_of(uint64_t id)
{
	uint32_t tag = (uint32_t)(id >> 32);

	return tag ? tag : 1;
}

static void lines_of(const struct load *load, uint64_t id, struct load_line *out_lines[static 2])
{
	uint32_t first = (uint32_t)id & (load->line_cnt - 1);
	uint32_t second = (uint32_t)(id >> 16) & (load->line_cnt - 1);

	out_lines[0] = &load->lines[first];
	out_lines[1] = &load->lines[second != first ? second : first ^ 1];
}

/* Level and excess after ticks: what is left of the first rounded down, of the second up. */
static struct load_entry entry_aged(struct load_entry entry, uint64_t ticks)
{
	uint32_t factor = factors[ticks % TICKS_PER_HALF];
	uint64_t halves = ticks / TICKS_PER_HALF;
	uint32_t level, excess;

	if (ticks == 0)
		return entry;
	if (halves >= 16)
		return (struct load_entry){0};
	level = (uint32_t)entry.level * factor / FACTOR_ONE >> halves;
	excess = ((uint32_t)entry.excess * factor + FACTOR_ONE - 1) / FACTOR_ONE;
	excess = (excess + (1u << halves) - 1) >> halves;
	if (level == 0)
		return (struct load_entry){0};
	entry.level = (uint16_t)level;
	entry.excess = (uint16_t)(excess < level ? excess : level);
	return entry;
}

/* A time before the latest one is the latest. */
static uint64_t tick_of(const struct load *load, uint64_t now_ns)
{
	uint64_t tick = now_ns / TICK_NS;

	return tick > load->tick ? tick : load->tick;
}

static void line_age(struct load_line *line, uint64_t tick)
{
	if (line->tick == tick)
		return;
	for (unsigned i = 0; i < LOAD_WAYS; i++)
		line->entries[i] = entry_aged(line->entries[i], tick - line->tick);
	line->tick = tick;
}

static struct load_entry *line_find(struct load_line *line, uint32_t tag)
{
	for (unsigned i = 0; i < LOAD_WAYS; i++)
		if (line->entries[i].tag == tag)
			return &line->entries[i];
	return NULL;
}

/* The entry of id, after the smallest of its lines made room for it. */
static struct load_entry *entry_of(const struct load *load, uint64_t id)
{
	struct load_line *lines[2];
	struct load_entry *smallest, *found;
	uint32_t tag = tag_of(id);

	lines_of(load, id, lines);
	smallest = &lines[0]->entries[0];
	for (unsigned i = 0; i < 2; i++) {
		line_age(lines[i], load->tick);
		found = line_find(lines[i], tag);
		if (found)
			return found;
		for (unsigned way = 0; way < LOAD_WAYS; way++)
			if (lines[i]->entries[way].level < smallest->level)
				smallest = &lines[i]->entries[way];
	}
	smallest->tag = tag;
	smallest->excess = smallest->level;
	return smallest;
}

static uint32_t id_charge(struct load *load, uint64_t id, uint32_t price)
{
	struct load_entry *entry = entry_of(load, id);
	uint32_t room = LOAD_MAX - entry->level;

	entry->level = (uint16_t)(entry->level + (price < room ? price : room));
	return (uint32_t)entry->level - entry->excess;
}

static uint32_t id_read(const struct load *load, uint64_t id, uint64_t tick)
{
	struct load_line *lines[2];

	lines_of(load, id, lines);
	for (unsigned i = 0; i < 2; i++) {
		const struct load_entry *found = line_find(lines[i], tag_of(id));

		if (found) {
			struct load_entry aged = entry_aged(*found, tick - lines[i]->tick);

			return (uint32_t)aged.level - aged.excess;
		}
	}
	return 0;
}

void load_path(const struct load *load, const struct load_who *who, struct fair_path *out)
{
	if (who->addr)
		fair_path_of_addr(&load->paths, who->addr, FAIR_UNKNOWN, out);
	else
		fair_path_start(FAIR_UNKNOWN, out);
	if (!who->addr && !who->key)
		fair_path_add(&load->paths, out, &who->uid, sizeof(who->uid));
	if (who->key)
		fair_path_add(&load->paths, out, who->key, KEY_LEN);
}

static uint8_t network_len(const struct load *load, const struct addr *addr)
{
	const struct fair_site *site = &load->paths.site;

	if (site->prefix.family == addr->family && addr->family != ADDR_NONE) {
		struct addr prefix = addr_prefix_key(addr, site->prefix_len);

		if (memcmp(prefix.ip, site->prefix.ip, sizeof(prefix.ip)) == 0)
			return site->network_len;
	}
	return addr->family == ADDR_IPV6 ? 48 : 24;
}

struct load_network load_network_of(const struct load *load, const struct addr *addr)
{
	uint8_t len = network_len(load, addr);

	return (struct load_network){.prefix = addr_prefix_key(addr, len), .prefix_len = len};
}

/* Keeps the network of addr in mind when it costs more than one of those that are. */
static void network_note(struct load *load, const struct addr *addr, uint32_t cost)
{
	struct load_network network = load_network_of(load, addr);
	struct load_network *smallest = &load->networks[0];

	for (unsigned i = 0; i < LOAD_NETWORK_CNT; i++) {
		struct load_network *at = &load->networks[i];

		if (at->prefix_len == network.prefix_len &&
		    addr_equal(&at->prefix, &network.prefix)) {
			at->load = cost;
			return;
		}
		if (at->load < smallest->load)
			smallest = at;
	}
	network.load = cost;
	if (cost > smallest->load)
		*smallest = network;
}

#define NETWORK_LEVEL 1 /* below the family */

void load_charge(struct load *load, const struct load_who *who, uint32_t price, uint64_t now_ns)
{
	struct fair_path path;

	if (price == 0)
		return;
	load->tick = tick_of(load, now_ns);
	load_path(load, who, &path);
	for (unsigned level = 0; level < path.level_cnt; level++) {
		uint32_t cost = id_charge(load, path.ids[level], price);

		if (level == NETWORK_LEVEL && who->addr)
			network_note(load, who->addr, cost);
	}
}

static void refusal_note(struct load *load, const struct load_who *who, const char *pool,
			 uint32_t wait_ms, uint64_t now_ns)
{
	struct refused account;

	if (who->key) {
		account = refused_of_key(who->key);
		refusals_note(&load->refusals, &account, pool, wait_ms, now_ns);
	}
	if (who->addr) {
		account = refused_of_addr(who->addr);
		refusals_note(&load->refusals, &account, pool, wait_ms, now_ns);
	}
	if (!who->key && !who->addr) {
		account = refused_of_user(who->uid);
		refusals_note(&load->refusals, &account, pool, wait_ms, now_ns);
	}
}

void load_refuse(struct load *load, const struct load_who *who, const char *pool, uint32_t wait_ms,
		 uint64_t now_ns)
{
	unsigned own_cnt = who->addr && who->key ? 2 : 1;
	struct fair_path path;

	if (!load)
		return;
	load->tick = tick_of(load, now_ns);
	load_path(load, who, &path);
	for (unsigned i = 1; i <= own_cnt && i <= path.level_cnt; i++)
		(void)id_charge(load, path.ids[path.level_cnt - i], LOAD_PRICE_REFUSED);
	refusal_note(load, who, pool, wait_ms, now_ns);
}

uint32_t load_read(const struct load *load, const struct fair_path *path, unsigned level,
		   uint64_t now_ns)
{
	return id_read(load, path->ids[level], tick_of(load, now_ns));
}

int load_compare(const struct load *load, const struct fair_path *a, const struct fair_path *b,
		 uint64_t now_ns)
{
	unsigned cnt = a->level_cnt < b->level_cnt ? a->level_cnt : b->level_cnt;

	for (unsigned level = 0; level < cnt; level++) {
		uint32_t of_a, of_b;

		if (a->ids[level] == b->ids[level])
			continue;
		of_a = load_read(load, a, level, now_ns);
		of_b = load_read(load, b, level, now_ns);
		if (of_a != of_b)
			return of_a < of_b ? -1 : 1;
	}
	return 0;
}

static void network_insert(struct load_network list[static LOAD_NETWORK_CNT], unsigned *cnt,
			   const struct load_network *network)
{
	unsigned at = *cnt;

	while (at > 0 && list[at - 1].load < network->load)
		at--;
	if (at == LOAD_NETWORK_CNT)
		return;
	if (*cnt < LOAD_NETWORK_CNT)
		++*cnt;
	memmove(&list[at + 1], &list[at], (*cnt - at - 1) * sizeof(*list));
	list[at] = *network;
}

unsigned load_networks(const struct load *load, uint64_t now_ns,
		       struct load_network out[static LOAD_NETWORK_CNT])
{
	unsigned cnt = 0;

	for (unsigned i = 0; i < LOAD_NETWORK_CNT; i++) {
		struct load_network network = load->networks[i];
		struct fair_path path;

		if (network.prefix_len == 0)
			continue;
		fair_path_of_addr(&load->paths, &network.prefix, FAIR_UNKNOWN, &path);
		network.load = load_read(load, &path, NETWORK_LEVEL, now_ns);
		if (network.load > 0)
			network_insert(out, &cnt, &network);
	}
	return cnt;
}

void load_networks_add(struct load_network sum[static LOAD_NETWORK_CNT],
		       const struct load_network more[static LOAD_NETWORK_CNT])
{
	struct load_network merged[LOAD_NETWORK_CNT] = {0};
	bool is_counted[LOAD_NETWORK_CNT] = {0};
	unsigned cnt = 0;

	for (unsigned i = 0; i < LOAD_NETWORK_CNT && sum[i].prefix_len; i++) {
		struct load_network network = sum[i];

		for (unsigned j = 0; j < LOAD_NETWORK_CNT; j++)
			if (more[j].prefix_len == network.prefix_len &&
			    addr_equal(&more[j].prefix, &network.prefix)) {
				network.load += more[j].load;
				is_counted[j] = true;
			}
		network_insert(merged, &cnt, &network);
	}
	for (unsigned j = 0; j < LOAD_NETWORK_CNT; j++)
		if (more[j].prefix_len && !is_counted[j])
			network_insert(merged, &cnt, &more[j]);
	memcpy(sum, merged, sizeof(merged));
}
