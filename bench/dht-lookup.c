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
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory/arena.h"
#include "base/random.h"
#include "kad/lookup.h"
#include "kad/routing_table.h"
#include "support/made_hosts.h"

#define ASKER_CNT  50
#define LOOKUP_CNT 40	/* of each asker */
#define TOLD_CNT   4000 /* contacts an asker met before */
#define OUT_MAX	   64

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
