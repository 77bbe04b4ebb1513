/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lookups in a simulated Mainline network: kad/ against textbook Kademlia
 * (alpha 3, fixed timeouts) with the same askers, targets, delays and
 * deaths. Every other node is a textbook node with K = 8; only the asker
 * differs. No figure is a pass or a fail.
 *
 * The network has ids at random. Each node's table has up to 8 random
 * contacts per bucket. 30 % of them are dead at any time because nodes come
 * and go (30 minutes up, 13 minutes down on average, exponential). Round
 * trips are those between five regions, plus each node's own access line
 * (lognormal, median 25 ms), plus queues. A tenth of the nodes are busy and
 * answer later by up to 1.5 s; 2 % of the datagrams are lost. The sums are
 * printed, to be held against published measurements.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory/arena.h"
#include "base/random.h"
#include "kad/lookup.h"
#include "kad/routing_table.h"

#define K	    8
#define MS	    1000000ull
#define SECOND	    (1000 * MS)
#define UP_S	    1800.0
#define DOWN_S	    771.0 /* 30 % of the time */
#define ASKER_CNT   50
#define LOOKUP_CNT  40	 /* of each asker */
#define TOLD_CNT    4000 /* contacts an asker met before */
#define OUT_MAX	    64
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

static double uniform(void)
{
	return ((double)(random_u64(&dice) >> 11) + 0.5) / 9007199254740992.0;
}

static double exponential(double mean)
{
	return -mean * log(uniform());
}

static double normal(void)
{
	return sqrt(-2 * log(uniform())) * cos(2 * M_PI * uniform());
}

static int host_compare(const void *a, const void *b)
{
	return memcmp(((const struct host *)a)->id.bytes, ((const struct host *)b)->id.bytes,
		      KAD_ID_LEN);
}

static uint64_t prefix_of(const struct kad_id *id)
{
	uint64_t prefix = 0;

	for (unsigned i = 0; i < 8; i++)
		prefix = prefix << 8 | id->bytes[i];
	return prefix;
}

static bool host_is_up(const struct host *host, uint64_t at_ns)
{
	bool is_up = host->begins_up;

	for (unsigned i = 0; i < SESSION_CNT && host->flips[i] <= at_ns; i++)
		is_up = !is_up;
	return is_up;
}

/* Hosts are sorted by id, so those that share a prefix are a run: [*begin, *end). */
static void run_of(uint64_t prefix, unsigned bits, uint32_t *begin, uint32_t *end)
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
static void host_meet(struct host *host)
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

static void net_make(uint32_t living)
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

static void net_free(void)
{
	for (uint32_t i = 0; i < host_cnt; i++)
		free(hosts[i].contacts);
	free(hosts);
}

/* The round trip of one query that asker sends to host, or NEVER. */
static uint64_t round_trip_ns(const struct host *asker, const struct host *host, uint64_t at_ns)
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
static unsigned host_tell(const struct host *host, uint64_t target, uint32_t out[static K])
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

/* --- what both kinds of lookup send --- */

struct query {
	uint32_t host;
	uint16_t slot;
	uint64_t sent_ns;
	uint64_t answer_ns; /* NEVER */
};

struct wire {
	const struct host *asker;
	struct query out[OUT_MAX];
	unsigned out_cnt;
	unsigned sent_cnt;
};

static void wire_send(struct wire *wire, uint32_t host, uint16_t slot, uint64_t now_ns)
{
	uint64_t trip_ns = round_trip_ns(wire->asker, &hosts[host], now_ns);

	if (wire->out_cnt == OUT_MAX)
		abort();
	wire->sent_cnt++;
	wire->out[wire->out_cnt++] =
		(struct query){host, slot, now_ns, trip_ns == NEVER ? NEVER : now_ns + trip_ns};
}

/* What happens first, an answer or the end of waiting for one; taken off. */
static struct query wire_next(struct wire *wire, uint64_t wait_ns)
{
	unsigned first = 0;
	uint64_t first_ns = NEVER;
	struct query query;

	for (unsigned i = 0; i < wire->out_cnt; i++) {
		uint64_t end_ns = wire->out[i].sent_ns + wait_ns;
		uint64_t at_ns = wire->out[i].answer_ns < end_ns ? wire->out[i].answer_ns : end_ns;

		if (at_ns < first_ns) {
			first_ns = at_ns;
			first = i;
		}
	}
	query = wire->out[first];
	wire->out[first] = wire->out[--wire->out_cnt];
	if (query.answer_ns > query.sent_ns + wait_ns)
		query.answer_ns = NEVER;
	return query;
}

static uint64_t wire_next_ns(const struct wire *wire, uint64_t wait_ns)
{
	uint64_t first_ns = NEVER;

	for (unsigned i = 0; i < wire->out_cnt; i++) {
		uint64_t end_ns = wire->out[i].sent_ns + wait_ns;
		uint64_t at_ns = wire->out[i].answer_ns < end_ns ? wire->out[i].answer_ns : end_ns;

		if (at_ns < first_ns)
			first_ns = at_ns;
	}
	return first_ns;
}

struct outcome {
	uint64_t took_ns;
	unsigned sent_cnt;
	uint32_t found[K];
	unsigned found_cnt;
};

/* What one asker knows before: seeds by a table of one or the other kind. */
struct asker {
	const struct host *host;
	struct arena arena;
	struct kad_table *table;
	struct kad_rtt rtt;
};

/* --- textbook: three out at a time, each waited for until its fixed timeout --- */

struct textbook_node {
	uint32_t host;
	enum { NEW, OUT, ANSWERED, FAILED } state;
};

struct textbook {
	struct textbook_node nodes[1024]; /* nearest first */
	unsigned cnt;
	uint64_t target;
};

static void textbook_add(struct textbook *t, uint32_t host)
{
	uint64_t distance = hosts[host].prefix ^ t->target;
	unsigned at = 0;

	for (at = 0; at < t->cnt && (hosts[t->nodes[at].host].prefix ^ t->target) < distance; at++)
		;
	if ((at < t->cnt && t->nodes[at].host == host) || t->cnt == 1024)
		return;
	memmove(&t->nodes[at + 1], &t->nodes[at], (t->cnt++ - at) * sizeof(t->nodes[0]));
	t->nodes[at] = (struct textbook_node){host, NEW};
}

/* The nearest of the K nearest living ones in this state. */
static struct textbook_node *textbook_find(struct textbook *t, int state)
{
	for (unsigned i = 0, living = 0; i < t->cnt && living < K; i++) {
		if ((int)t->nodes[i].state == state)
			return &t->nodes[i];
		living += t->nodes[i].state != FAILED;
	}
	return NULL;
}

static struct textbook_node *textbook_node_of(struct textbook *t, uint32_t host)
{
	unsigned i = 0;

	while (t->nodes[i].host != host)
		i++;
	return &t->nodes[i];
}

static void textbook_run(struct asker *asker, const struct kad_id *target, uint64_t begin_ns,
			 uint64_t timeout_ns, struct outcome *out)
{
	static struct textbook t;
	struct wire wire = {.asker = asker->host};
	const struct kad_node *seeds[K];
	uint64_t now_ns = begin_ns;
	unsigned seed_cnt;

	t.cnt = 0;
	t.target = prefix_of(target);
	seed_cnt =
		kad_table_closest(asker->table, &(struct kad_near){target, KAD_ASK, 0}, seeds, K);
	for (unsigned i = 0; i < seed_cnt; i++)
		textbook_add(&t, (uint32_t)seeds[i]->contact.tag);
	while (textbook_find(&t, NEW) || textbook_find(&t, OUT)) {
		struct textbook_node *next;
		struct query query;
		uint32_t told[K];

		while (wire.out_cnt < 3 && (next = textbook_find(&t, NEW))) {
			next->state = OUT;
			wire_send(&wire, next->host, 0, now_ns);
		}
		query = wire_next(&wire, timeout_ns);
		now_ns = query.answer_ns != NEVER ? query.answer_ns : query.sent_ns + timeout_ns;
		textbook_node_of(&t, query.host)->state =
			query.answer_ns != NEVER ? ANSWERED : FAILED;
		if (query.answer_ns == NEVER)
			continue;
		for (unsigned i = host_tell(&hosts[query.host], t.target, told); i-- > 0;)
			textbook_add(&t, told[i]);
	}
	*out = (struct outcome){.took_ns = now_ns - begin_ns, .sent_cnt = wire.sent_cnt};
	for (unsigned i = 0; i < t.cnt && out->found_cnt < K; i++)
		if (t.nodes[i].state == ANSWERED)
			out->found[out->found_cnt++] = t.nodes[i].host;
}

/* --- ours --- */

static struct kad_contact contact_of(uint32_t host)
{
	struct kad_contact contact = {
		.id = hosts[host].id,
		.addr = {.family = ADDR_IPV4, .port = 6881},
		.tag = host,
		.is_proven = true,
	};

	contact.addr.ip[0] = 20;
	contact.addr.ip[1] = (uint8_t)(host >> 8);
	contact.addr.ip[2] = (uint8_t)host;
	return contact;
}

static void ours_run(struct asker *asker, const struct kad_lookup_config *config,
		     const struct kad_id *target, uint64_t begin_ns, uint64_t timeout_ns,
		     struct outcome *out)
{
	static struct kad_lookup lookup;
	struct wire wire = {.asker = asker->host};
	const struct kad_node *seeds[2 * K];
	struct kad_closest closest[K];
	struct kad_lookup_params params = {.config = config,
					   .rtt = &asker->rtt,
					   .target = *target,
					   .own_id = asker->host->id,
					   .family = ADDR_IPV4};
	uint64_t now_ns = begin_ns;
	unsigned seed_cnt;
	struct kad_ask ask;

	kad_lookup_init(&lookup, &params, now_ns);
	seed_cnt = kad_table_closest(asker->table, &(struct kad_near){target, KAD_ASK, 0}, seeds,
				     2 * K);
	for (unsigned i = 0; i < seed_cnt; i++)
		(void)kad_lookup_seed(&lookup, &seeds[i]->contact);
	while (!kad_lookup_is_done(&lookup)) {
		uint64_t wire_ns, slow_ns;

		while (kad_lookup_next(&lookup, &ask)) {
			kad_lookup_asked(&lookup, ask.slot, now_ns);
			wire_send(&wire, (uint32_t)ask.contact->tag, ask.slot, now_ns);
		}
		wire_ns = wire_next_ns(&wire, timeout_ns);
		slow_ns = kad_lookup_next_ns(&lookup);
		if (slow_ns < wire_ns) {
			now_ns = slow_ns;
			kad_lookup_expire(&lookup, now_ns);
		} else {
			struct query query = wire_next(&wire, timeout_ns);
			struct kad_contact told[K];
			uint32_t told_hosts[K];
			unsigned cnt;

			now_ns = wire_ns;
			if (query.answer_ns == NEVER) {
				kad_lookup_failed(&lookup, query.slot, now_ns);
				continue;
			}
			kad_rtt_sample(&asker->rtt, now_ns - query.sent_ns);
			cnt = host_tell(&hosts[query.host], prefix_of(target), told_hosts);
			for (unsigned i = 0; i < cnt; i++)
				told[i] = contact_of(told_hosts[i]);
			kad_lookup_answered(
				&lookup, query.slot,
				&(struct kad_answer){.tag = 0, .contacts = told, .cnt = cnt},
				now_ns);
		}
	}
	*out = (struct outcome){.took_ns = now_ns - begin_ns, .sent_cnt = wire.sent_cnt};
	out->found_cnt = kad_lookup_result(&lookup, closest, K);
	for (unsigned i = 0; i < out->found_cnt; i++)
		out->found[i] = (uint32_t)closest[i].contact->tag;
	/* Late answers teach the clock as well. */
	while (wire.out_cnt) {
		struct query query = wire_next(&wire, timeout_ns);

		if (query.answer_ns != NEVER)
			kad_rtt_sample(&asker->rtt, query.answer_ns - query.sent_ns);
	}
}

/* --- the contest --- */

struct contender {
	const char *name;
	unsigned wide_cnt;
	uint64_t fixed_ns; /* textbook with this timeout; 0: ours */
};

static const struct contender contenders[] = {
	{"textbook, alpha 3, 2 s", 0, 2 * SECOND},
	{"textbook, alpha 3, 1 s", 0, 1 * SECOND},
	{"weft, textbook table", 0, 0},
	{"weft", 128, 0},
};

#define CONTENDER_CNT (sizeof(contenders) / sizeof(contenders[0]))
#define RUN_CNT	      (ASKER_CNT * LOOKUP_CNT)

struct tally {
	double took_ms[RUN_CNT];
	double sent, recall, nearest;
	unsigned cnt;
};

static void asker_make(struct asker *asker, const struct contender *contender, uint32_t self,
		       const uint32_t *met)
{
	struct kad_table_config config;

	kad_table_defaults(&config);
	config.wide_cnt = contender->wide_cnt;
	asker->host = &hosts[self];
	kad_rtt_init(&asker->rtt, SECOND, 50 * MS, 2 * SECOND);
	if (arena_open(&asker->arena, ARENA_GROWS) < 0 ||
	    kad_table_new(&asker->arena,
			  &(struct kad_table_params){.config = &config,
						     .own_id = &hosts[self].id,
						     .random = &dice,
						     .now_ns = 0},
			  &asker->table) < 0)
		exit(1);
	for (unsigned i = 0; i < TOLD_CNT; i++) {
		struct kad_contact contact = contact_of(met[i]);

		(void)kad_table_answered(asker->table, &contact, 0, 0);
	}
	for (unsigned i = 0; i < hosts[self].contact_cnt; i++) {
		struct kad_contact contact = contact_of(hosts[self].contacts[i]);

		(void)kad_table_answered(asker->table, &contact, 0, 0);
	}
}

/* How many of the K nearest hosts that are up were found, and was the nearest. */
static void judge(struct tally *tally, const struct outcome *outcome, uint64_t target,
		  uint64_t at_ns)
{
	uint32_t nearest[K];
	unsigned cnt = 0, hits = 0;

	for (uint32_t i = 0; i < host_cnt; i++) {
		uint64_t distance = hosts[i].prefix ^ target;
		unsigned at;

		if (cnt == K && distance >= (hosts[nearest[K - 1]].prefix ^ target))
			continue;
		if (!host_is_up(&hosts[i], at_ns))
			continue;
		cnt -= cnt == K;
		for (at = cnt++; at > 0 && distance < (hosts[nearest[at - 1]].prefix ^ target);
		     at--)
			nearest[at] = nearest[at - 1];
		nearest[at] = i;
	}
	for (unsigned i = 0; i < outcome->found_cnt; i++) {
		tally->nearest += outcome->found[i] == nearest[0];
		for (unsigned j = 0; j < cnt; j++)
			hits += outcome->found[i] == nearest[j];
	}
	tally->recall += (double)hits / cnt;
	tally->took_ms[tally->cnt++] = (double)outcome->took_ns / 1e6;
	tally->sent += outcome->sent_cnt;
}

static int double_compare(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;

	return (left > right) - (left < right);
}

static void print_delays(void)
{
	static double trips_ms[20000];
	unsigned cnt = 0;

	while (cnt < 20000) {
		const struct host *a = &hosts[random_below(&dice, host_cnt)];
		const struct host *b = &hosts[random_below(&dice, host_cnt)];
		uint64_t trip_ns = round_trip_ns(a, b, 0);

		if (trip_ns != NEVER)
			trips_ms[cnt++] = (double)trip_ns / 1e6;
	}
	qsort(trips_ms, cnt, sizeof(trips_ms[0]), double_compare);
	printf("round trips: median %.0f ms, p75 %.0f, p90 %.0f, p95 %.0f, p99 %.0f\n",
	       trips_ms[cnt / 2], trips_ms[cnt * 3 / 4], trips_ms[cnt * 9 / 10],
	       trips_ms[cnt * 95 / 100], trips_ms[cnt * 99 / 100]);
}

static void contest(uint32_t living)
{
	static struct tally tallies[CONTENDER_CNT];
	struct kad_lookup_config config;
	static uint32_t met[TOLD_CNT];

	kad_lookup_defaults(&config);
	net_make(living);
	memset(tallies, 0, sizeof(tallies));
	printf("%u living nodes of %u, %u lookups by %u askers\n", living, host_cnt, RUN_CNT,
	       ASKER_CNT);
	print_delays();
	for (unsigned a = 0; a < ASKER_CNT; a++) {
		uint32_t self = (uint32_t)random_below(&dice, host_cnt);
		struct asker askers[CONTENDER_CNT] = {0};

		for (unsigned i = 0; i < TOLD_CNT; i++)
			met[i] = (uint32_t)random_below(&dice, host_cnt);
		for (unsigned c = 0; c < CONTENDER_CNT; c++)
			asker_make(&askers[c], &contenders[c], self, met);
		for (unsigned l = 0; l < LOOKUP_CNT; l++) {
			uint64_t at_ns = random_below(&dice, HOUR_NS);
			struct outcome outcome;
			struct kad_id target;

			random_fill(&dice, target.bytes, KAD_ID_LEN);
			for (unsigned c = 0; c < CONTENDER_CNT; c++) {
				if (contenders[c].fixed_ns)
					textbook_run(&askers[c], &target, at_ns,
						     contenders[c].fixed_ns, &outcome);
				else
					ours_run(&askers[c], &config, &target, at_ns, 2 * SECOND,
						 &outcome);
				judge(&tallies[c], &outcome, prefix_of(&target),
				      at_ns + outcome.took_ns);
			}
		}
		for (unsigned c = 0; c < CONTENDER_CNT; c++)
			arena_close(&askers[c].arena);
	}
	printf("%-24s %9s %9s %9s %9s %9s %7s %7s\n", "", "median ms", "p95 ms", "messages",
	       "nearest %", "of 8 %", "median", "messages");
	for (unsigned c = 0; c < CONTENDER_CNT; c++) {
		struct tally *t = &tallies[c];

		qsort(t->took_ms, t->cnt, sizeof(double), double_compare);
		printf("%-24s %9.0f %9.0f %9.1f %9.1f %9.1f %6.2fx %6.2fx\n", contenders[c].name,
		       t->took_ms[t->cnt / 2], t->took_ms[t->cnt * 95 / 100], t->sent / t->cnt,
		       100 * t->nearest / t->cnt, 100 * t->recall / t->cnt,
		       t->took_ms[t->cnt / 2] / tallies[0].took_ms[tallies[0].cnt / 2],
		       t->sent / tallies[0].sent);
	}
	printf("\n");
	net_free();
}

int main(void)
{
	const char *seed = getenv("SEED");

	random_init_seeded(&dice, seed ? strtoull(seed, NULL, 0) : 42);
	contest(1000);
	contest(10000);
	printf("target: weft's median <= 0.50x of textbook with 2 s, messages <= 1.20x\n");
	return 0;
}
