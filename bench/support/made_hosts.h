/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BENCH_MADE_HOSTS_H
#define WEFT_BENCH_MADE_HOSTS_H

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "kad/id.h"

/*
 * The hosts of a simulated Mainline network: their ids, contacts, places, and the times when each
 * is up. bench/dht-lookup.c says where the figures come from.
 */

#define K	    8
#define MS	    1000000ull
#define SECOND	    (1000 * MS)
#define UP_S	    1800.0
#define DOWN_S	    771.0 /* 30 % of the time */
#define NEVER	    UINT64_MAX
#define HOUR_NS	    (3600 * SECOND)
#define SESSION_CNT 12 /* changes between up and down that a node remembers */

struct host {
	struct kad_id id;
	uint64_t prefix;	     /* first 64 bits of id: enough to compare by */
	uint64_t flips[SESSION_CNT]; /* when it goes down or up, ascending */
	uint32_t *contacts;
	uint16_t contact_cnt;
	uint8_t region;
	bool begins_up;
	uint32_t access_us;
	uint32_t busy_us;
};

static struct host *hosts;
static uint32_t host_cnt;
static struct random dice;

static inline double uniform(void)
{
	return ((double)(random_u64(&dice) >> 11) + 0.5) / 9007199254740992.0;
}

static inline double exponential(double mean)
{
	return -mean * log(uniform());
}

static inline double normal(void)
{
	return sqrt(-2 * log(uniform())) * cos(2 * M_PI * uniform());
}

static inline int host_compare(const void *a, const void *b)
{
	return memcmp(((const struct host *)a)->id.bytes, ((const struct host *)b)->id.bytes,
		      KAD_ID_LEN);
}

static inline uint64_t prefix_of(const struct kad_id *id)
{
	uint64_t prefix = 0;

	for (unsigned i = 0; i < 8; i++)
		prefix = prefix << 8 | id->bytes[i];
	return prefix;
}

static inline bool host_is_up(const struct host *host, uint64_t at_ns)
{
	bool is_up = host->begins_up;

	for (unsigned i = 0; i < SESSION_CNT && host->flips[i] <= at_ns; i++)
		is_up = !is_up;
	return is_up;
}

/* Hosts are sorted by id, so those that share a prefix are a run: [*begin, *end). */
static inline void run_of(uint64_t prefix, unsigned bits, uint32_t *begin, uint32_t *end)
{
	uint64_t mask = bits ? ~0ull << (64 - bits) : 0;
	uint32_t bounds[2];

	for (unsigned side = 0; side < 2; side++) {
		uint32_t low = 0, high = host_cnt;

		while (low < high) {
			uint32_t middle = low + (high - low) / 2;
			uint64_t at = hosts[middle].prefix & mask;

			if (at < (prefix & mask) || (side && at == (prefix & mask)))
				low = middle + 1;
			else
				high = middle;
		}
		bounds[side] = low;
	}
	*begin = bounds[0];
	*end = bounds[1];
}

/* Up to K random contacts of each bucket, all of one that has no more. */
static inline void host_meet(struct host *host)
{
	uint32_t met[64 * K];
	unsigned cnt = 0;

	for (unsigned bits = 0; bits < 40; bits++) {
		uint32_t begin, end;

		run_of(host->prefix ^ 1ull << (63 - bits), bits + 1, &begin, &end);
		for (uint32_t i = 0; i < K && i < end - begin; i++) {
			/* A random start and a stride of the run: distinct, and spread over it. */
			uint32_t step = (end - begin) / (end - begin < K ? end - begin : K);

			met[cnt++] = begin + (uint32_t)((random_below(&dice, step) + i * step) %
							(end - begin));
		}
		run_of(host->prefix, bits + 1, &begin, &end);
		if (end - begin <= 1)
			break;
	}
	host->contacts = malloc(cnt * sizeof(*host->contacts));
	host->contact_cnt = (uint16_t)cnt;
	if (!host->contacts)
		exit(1);
	memcpy(host->contacts, met, cnt * sizeof(*met));
}

static inline void net_make(uint32_t living)
{
	host_cnt = (uint32_t)(living * (UP_S + DOWN_S) / UP_S);
	hosts = calloc(host_cnt, sizeof(*hosts));
	if (!hosts)
		exit(1);
	for (uint32_t i = 0; i < host_cnt; i++) {
		struct host *host = &hosts[i];
		double share = uniform(), at_s = 0;
		bool is_up;

		random_fill(&dice, host->id.bytes, KAD_ID_LEN);
		host->prefix = prefix_of(&host->id);
		host->region = share < 0.4    ? 0
			       : share < 0.65 ? 1
			       : share < 0.85 ? 2
			       : share < 0.95 ? 3
					      : 4;
		host->access_us = (uint32_t)(25000 * exp(0.9 * normal()));
		host->busy_us = uniform() < 0.1 ? (uint32_t)(1.5e6 * uniform()) : 0;
		is_up = host->begins_up = uniform() < UP_S / (UP_S + DOWN_S);
		for (unsigned f = 0; f < SESSION_CNT; f++) {
			at_s += exponential(is_up ? UP_S : DOWN_S);
			is_up = !is_up;
			host->flips[f] = (uint64_t)(at_s * 1e9);
		}
	}
	qsort(hosts, host_cnt, sizeof(*hosts), host_compare);
	for (uint32_t i = 0; i < host_cnt; i++)
		host_meet(&hosts[i]);
}

static inline void net_free(void)
{
	for (uint32_t i = 0; i < host_cnt; i++)
		free(hosts[i].contacts);
	free(hosts);
}

/* The round trip of one query that asker sends to host, or NEVER. */
static inline uint64_t round_trip_ns(const struct host *asker, const struct host *host,
				     uint64_t at_ns)
{
	/* Europe, North America, East Asia, South America, Oceania; ms between backbones. */
	static const uint16_t between_ms[5][5] = {{25, 100, 220, 200, 270},
						  {100, 40, 150, 140, 180},
						  {220, 150, 60, 290, 130},
						  {200, 140, 290, 45, 300},
						  {270, 180, 130, 300, 30}};
	double ms = between_ms[asker->region][host->region] * (0.7 + 0.6 * uniform());

	if (uniform() < 0.04 || !host_is_up(host, at_ns))
		return NEVER; /* 2 % each way */
	ms += (asker->access_us + host->access_us + host->busy_us) / 1e3 + exponential(10);
	return (uint64_t)(ms * 1e6);
}

/* What a host tells: the K of its contacts nearest to target. */
static inline unsigned host_tell(const struct host *host, uint64_t target, uint32_t out[static K])
{
	unsigned cnt = 0;

	for (unsigned i = 0; i < host->contact_cnt; i++) {
		uint32_t contact = host->contacts[i];
		uint64_t distance = hosts[contact].prefix ^ target;
		unsigned at;

		if (cnt == K && distance >= (hosts[out[K - 1]].prefix ^ target))
			continue;
		cnt -= cnt == K;
		for (at = cnt++; at > 0 && distance < (hosts[out[at - 1]].prefix ^ target); at--)
			out[at] = out[at - 1];
		out[at] = contact;
	}
	return cnt;
}

#endif
