/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Services of programs, called by nodes and by clients of gateways, under the faults that the seed
 * draws for links, nodes, clocks and programs. Each run of a program has its own number, which
 * shows what ran twice and which caller got which answer.
 */
#include "services_rig.h"

/* --- what was asked, and what came of it --- */

/* A caller that did nothing for a while is so much later. */
static void deadline_check(const struct attempt *attempt)
{
	uint64_t paused_ns = sim.nodes[attempt->job->caller].paused_ns - attempt->paused_before_ns;
	uint64_t until_ns = attempt->deadline_ns + paused_ns;

	if (sim.now_ns > until_ns + LATE_NS)
		note_wrong("job %u%s%s ended %.3f s after its deadline",
			   (unsigned)(attempt->job - jobs),
			   attempt->job->is_web ? ", by a gateway," : "",
			   attempt->job->is_keyed ? ", with a key," : "",
			   (double)(sim.now_ns - attempt->deadline_ns) / NS_PER_S);
}

static void answer_check(struct job *job, const char *json)
{
	unsigned number = number_in(json, "\"n\""), provider = number_in(json, "\"by\"");
	unsigned run = number_in(json, "\"run\"");
	struct job_run *ran;

	if (number != (unsigned)(job - jobs) || provider >= PROVIDERS) {
		note_wrong("job %u was answered by %.60s", (unsigned)(job - jobs), json);
		return;
	}
	ran = &job->runs[provider];
	if (ran->told && ran->told_start == ran->start && ran->told != run)
		note_wrong("job %u was told of runs %u and %u of provider %u", number, ran->told,
			   run, provider);
	repeated_cnt += ran->told == run;
	ran->told = run;
	ran->told_start = ran->start;
}

static void attempt_told(struct attempt *attempt, bool is_ok, const char *json)
{
	if (attempt->told_cnt++)
		note_wrong("job %u was answered twice", (unsigned)(attempt->job - jobs));
	attempt->is_under_way = false;
	deadline_check(attempt);
	ok_cnt += is_ok;
	failed_cnt += !is_ok;
	if (is_ok)
		answer_check(attempt->job, json);
}

static void called(void *arg, const struct service_answer *answer, uint64_t now_ns)
{
	char json[SIM_TEXT_CAP];

	(void)now_ns;
	snprintf(json, sizeof(json), "%.*s", (int)answer->len, (const char *)answer->payload);
	attempt_told(arg, answer->status == SERVICE_OK, json);
}

static void web_answered(struct sim_web *web)
{
	struct attempt *attempt = container_of(web, struct attempt, web);

	/* Of a node that crashed the end of the connection is no answer. */
	if (attempt->caller_start != sim.nodes[attempt->job->caller].start_cnt ||
	    !sim.nodes[attempt->job->caller].node) {
		attempt->is_under_way = false;
		return;
	}
	if (!web->status)
		note_wrong("a request at the gateway of node %u got no answer",
			   attempt->job->caller);
	web_ok_cnt += web->status == 200;
	attempt_told(attempt, web->status == 200, web->body);
}

static int call(unsigned from, const struct service_target *target, unsigned number, bool is_keyed,
		service_answer_fn done, void *arg)
{
	uint8_t key[SERVICE_KEY_LEN] = {1, (uint8_t)number, (uint8_t)(number >> 8)};
	char payload[32];
	struct service_ask *ask;

	snprintf(payload, sizeof(payload), "{\"n\":%u}", number);
	sim_wake(&sim.nodes[from]);
	return service_call_start(
		service_of(from),
		&(struct service_request){.target = *target,
					  .payload = payload,
					  .len = strlen(payload),
					  .idempotency_key = is_keyed ? key : NULL,
					  .timeout_ns = TIMEOUT_NS,
					  .done = done,
					  .arg = arg},
		sim.now_ns, &ask);
}

static const struct service_target ledger = {.name = "ledger", .method = "add"};

static uint64_t pause_left_ns(const struct sim_node *node)
{
	return node->paused_until_ns > sim.now_ns ? node->paused_until_ns - sim.now_ns : 0;
}

static void attempt_begin(struct job *job)
{
	struct attempt *attempt = &job->attempts[job->attempt_cnt];
	struct sim_node *caller = &sim.nodes[job->caller];
	unsigned number = (unsigned)(job - jobs);
	char path[64];

	*attempt = (struct attempt){.job = job,
				    .caller_start = caller->start_cnt,
				    .deadline_ns = sim.now_ns + TIMEOUT_NS,
				    .paused_before_ns = caller->paused_ns - pause_left_ns(caller),
				    .web.done = web_answered,
				    .is_under_way = true};
	job->attempt_cnt++;
	if (job->is_web) {
		snprintf(path, sizeof(path), "/mesh/http/ledger/add?n=%u", number);
		sim_web_get(&attempt->web, caller, path);
	} else if (call(job->caller, &ledger, number, job->is_keyed, called, attempt) < 0) {
		attempt->is_under_way = false;
	}
}

static struct timer job_timer;

/* A new job of some caller, or an old one with its key again. */
static void job_timer_fire(struct timer *timer, uint64_t now_ns)
{
	bool is_again = job_cnt && random_below(&sim.dice, 3) == 0;
	struct job *job = &jobs[is_again ? random_below(&sim.dice, job_cnt) : job_cnt];

	timer_set(&sim.timers, timer,
		  now_ns + random_below(&sim.dice, 2 * FAULTS_NS / JOBS * 2 / 3));
	if (is_again && (!job->is_keyed || job->attempt_cnt == ATTEMPTS))
		return;
	if (!is_again && job_cnt == JOBS)
		return;
	if (!is_again) {
		job->caller = PROVIDERS + (unsigned)random_below(&sim.dice, CALLERS);
		job->is_web = random_below(&sim.dice, 4) == 0;
		job->is_keyed = !job->is_web && random_below(&sim.dice, 2);
	}
	/* A client of a gateway finds its node, if it is there, by the kernel. */
	if (!sim.nodes[job->caller].node)
		return;
	job_cnt += !is_again;
	attempt_begin(job);
}

static void jobs_check(void)
{
	for (unsigned i = 0; i < job_cnt; i++) {
		unsigned ran_cnt = 0, again_cnt = 0;

		for (unsigned j = 0; j < PROVIDERS; j++) {
			ran_cnt += jobs[i].runs[j].cnt;
			again_cnt += jobs[i].runs[j].again_cnt;
		}
		if (jobs[i].is_keyed && again_cnt)
			note_wrong("job %u, with a key, ran %u times more at a provider", i,
				   again_cnt);
		if (!jobs[i].is_keyed && ran_cnt > 1)
			note_wrong("job %u, without a key, ran %u times", i, ran_cnt);
		for (unsigned j = 0; j < jobs[i].attempt_cnt; j++)
			if (jobs[i].attempts[j].is_under_way && sim.nodes[jobs[i].caller].node &&
			    jobs[i].attempts[j].caller_start == sim.nodes[jobs[i].caller].start_cnt)
				note_wrong("job %u never ended", i);
	}
}

/* --- after the faults --- */

static struct probe {
	unsigned from;
	unsigned to; /* PROVIDERS: any found provider; PROVIDERS + 1: by the gateway */
	bool is_under_way, is_good;
	unsigned cnt;
	uint64_t began_ns;
	char why[100];
	struct sim_web web;
} probes[NODES * (PROVIDERS + 2)];
static unsigned probe_first, probe_cnt; /* those that are to hold */
static uint64_t probe_gap_ns = PROBE_NS;

static void probed(void *arg, const struct service_answer *answer, uint64_t now_ns)
{
	struct probe *probe = arg;

	(void)now_ns;
	probe->is_under_way = false;
	probe->is_good = answer->status == SERVICE_OK;
	snprintf(probe->why, sizeof(probe->why), "%.40s: %.50s",
		 service_status_name(answer->status), answer->text);
}

static void web_probed(struct sim_web *web)
{
	struct probe *probe = container_of(web, struct probe, web);

	probe->is_under_way = false;
	probe->is_good = web->status == 200;
	snprintf(probe->why, sizeof(probe->why), "HTTP %u: %.80s", web->status, web->body);
}

static void probe_begin(struct probe *probe)
{
	struct service_target target = ledger;

	probe->is_under_way = true;
	probe->began_ns = sim.now_ns;
	probe->cnt++;
	if (probe->to == PROVIDERS + 1) {
		probe->web.done = web_probed;
		sim_web_get(&probe->web, &sim.nodes[probe->from], "/mesh/http/ledger/add?n=9999");
		return;
	}
	if (probe->to < PROVIDERS)
		target.provider = node_key_public(sim.nodes[probe->to].key);
	if (call(probe->from, &target, 9999, false, probed, probe) < 0)
		probe->is_under_way = false;
}

static bool probe_holds(void *arg, unsigned part, char why[static CONVERGE_WHY_CAP])
{
	struct probe *probe = &probes[probe_first + part];

	(void)arg;
	if (!probe->is_good && !probe->is_under_way && sim.now_ns >= probe->began_ns + probe_gap_ns)
		probe_begin(probe);
	snprintf(why, CONVERGE_WHY_CAP, "node %u asks %s%u, %u times%s: %.100s", probe->from,
		 probe->to < PROVIDERS	  ? "node "
		 : probe->to == PROVIDERS ? "anybody "
					  : "by its gateway ",
		 probe->to, probe->cnt, probe->is_under_way ? ", and waits" : "", probe->why);
	return probe->is_good;
}

static bool sim_run_of(void *world, uint64_t for_ns, bool (*done)(void *arg), void *arg)
{
	return sim_run(world, for_ns, done, arg);
}

/*
 * probes_ask: every node of the core reaches each provider of the core, and some client by the
 * gateway.
 */
static bool probes_ask(uint64_t within_ns, uint64_t *out_took_ns)
{
	const struct converge ask = {
		.what = "calls between all nodes of the core are answered",
		.part_cnt = probe_cnt,
		.part_name = "probe",
		.holds = probe_holds,
		.within_ns = within_ns,
		.run = sim_run_of,
		.world = &sim,
		.look_ns = 50 * NS_PER_MS,
	};

	return converge(&ask, &sim.now_ns, out_took_ns);
}

static void probe_add(unsigned from, unsigned to)
{
	probes[probe_first + probe_cnt++] = (struct probe){.from = from, .to = to};
}

static void probes_of_core(void)
{
	probe_cnt = 0;
	for (unsigned i = PROVIDERS; i < NODES; i++) {
		if (!faults_is_core(&faults, i))
			continue;
		for (unsigned j = 0; j < PROVIDERS; j++)
			if (faults_is_core(&faults, j))
				probe_add(i, j);
		probe_add(i, PROVIDERS);
		probe_add(i, PROVIDERS + 1);
	}
}

/* --- leaks --- */

static size_t memory_len_of[NODES]; /* at rest */

static void memory_note(unsigned node_cnt)
{
	struct service_stats service;

	for (unsigned i = 0; i < node_cnt; i++) {
		service_stats(service_of(i), &service);
		memory_len_of[i] = service.memory_len;
	}
}

static bool is_empty(void *arg, unsigned part, char why[static CONVERGE_WHY_CAP])
{
	struct node *node = sim.nodes[part].node;
	struct provider_stats provider;
	struct gateway_stats gateway;
	struct service_stats service;

	(void)arg;
	if (!node)
		return true;
	service_stats(node_fabric_service(node_fabric(node)), &service);
	provider_stats(node_fabric_provider(node_fabric(node)), &provider);
	api_http_stats(node->api->web, &gateway);
	snprintf(why, CONVERGE_WHY_CAP,
		 "calls %u in hand, %u pending, %u streams, %zu bytes; programs %u calls, %u "
		 "waiting, %zu "
		 "bytes; gateway %u connections, %zu bytes",
		 (unsigned)service.in_hand_cnt, (unsigned)service.pending_cnt,
		 (unsigned)service.channel_cnt, (size_t)service.memory_len, provider.active_cnt,
		 provider.waiting_cnt, provider.memory_used_len, gateway.conn_cnt,
		 gateway.memory_used_len);
	return !service.in_hand_cnt && !service.pending_cnt && !service.channel_cnt &&
	       service.memory_len == memory_len_of[part] && !provider.active_cnt &&
	       !provider.waiting_cnt && !provider.memory_used_len && !gateway.conn_cnt &&
	       !gateway.memory_used_len;
}

static bool pools_empty(unsigned node_cnt)
{
	const struct converge ask = {
		.what = "no call holds anything any more",
		.part_cnt = node_cnt,
		.part_name = "node",
		.holds = is_empty,
		.within_ns = KEPT_NS + 2 * TIMEOUT_NS,
		.run = sim_run_of,
		.world = &sim,
		.look_ns = NS_PER_S,
	};

	return converge(&ask, &sim.now_ns, NULL);
}

/* --- tests --- */

static void test_calls_keep_their_promises_under_faults(void)
{
	uint64_t took_ns = 0;
	unsigned core_cnt;

	network_init(NODES, PROVIDERS);
	memory_note(NODES);
	is_calm = false;
	sim_faults_begin(&sim, &faults, &fault_ranges_wide, FAULTS_NS, 1);
	for (unsigned i = 0; i < PROVIDERS; i++) {
		timer_init(&program_timers[i], program_timer_fire);
		timer_set(&sim.timers, &program_timers[i],
			  sim.now_ns + random_below(&sim.dice, 100 * NS_PER_S));
	}
	timer_init(&job_timer, job_timer_fire);
	timer_set(&sim.timers, &job_timer, sim.now_ns);
	sim_run(&sim, FAULTS_NS, NULL, NULL);
	timer_cancel(&sim.timers, &job_timer);
	is_calm = true;
	for (unsigned i = 0; i < PROVIDERS; i++) {
		timer_cancel(&sim.timers, &program_timers[i]);
		if (programs[i].listener.fd < 0)
			sim_program_start(&programs[i]);
	}
	core_cnt = faults_stop(&faults, NODES / 2 + 1, sim.now_ns);
	faults_report(&faults);
	probes_of_core();
	CHECK(probes_ask(CONVERGED_NS, &took_ns));
	sim_run(&sim, 2 * TIMEOUT_NS, NULL, NULL);
	jobs_check();
	printf("# %u jobs, %u runs; %u answers, %u failures, %u by the gateway, %u repeated; a "
	       "core of %u is well "
	       "after %.1f s\n",
	       job_cnt, run_cnt, ok_cnt, failed_cnt, web_ok_cnt, repeated_cnt, core_cnt,
	       (double)took_ns / NS_PER_S);
	CHECK_STR(wrong.what, "");
	CHECK(ok_cnt > 0);
	CHECK(pools_empty(NODES));
	sim_report(&sim, "services");
	network_fini(PROVIDERS);
}

/* Callers that ask ten times a second for what is absent, and then is there. */
static void impatience(uint64_t for_ns)
{
	for (uint64_t end_ns = sim.now_ns + for_ns; sim.now_ns < end_ns;) {
		char why[CONVERGE_WHY_CAP];

		for (unsigned i = 0; i < probe_cnt; i++) {
			probes[probe_first + i].is_good = false;
			(void)probe_holds(NULL, i, why);
		}
		sim_run(&sim, probe_gap_ns, NULL, NULL);
	}
}

static void probes_begin(unsigned first, unsigned cnt)
{
	probe_first = first;
	probe_cnt = cnt;
	for (unsigned i = first; i < first + cnt; i++)
		probes[i].is_good = false;
}

static void provider_leaves(bool is_node)
{
	if (is_node)
		sim_crash(&sim.nodes[0]);
	else
		sim_program_kill(&programs[0]);
}

static void provider_returns(bool is_node)
{
	if (is_node)
		sim_start(&sim.nodes[0]);
	else
		sim_program_start(&programs[0]);
}

static void test_calls_are_good_again_a_second_after_the_providers_return(void)
{
	const unsigned callers = PROVIDERS + 1;

	network_init(callers + 1, 1);
	probe_gap_ns = 100 * NS_PER_MS;
	probe_first = probe_cnt = 0;
	/* Three of each: impatient, by the provider's name, and any found provider. */
	for (unsigned i = 0; i < 3 * callers; i++)
		probe_add(1 + i % callers, i < 2 * callers ? 0 : PROVIDERS);
	CHECK(probes_ask(RETURN_NS, NULL));
	for (unsigned round = 0; round < 8; round++) {
		uint64_t away_ns = NS_PER_S + random_below(&sim.dice, 60 * NS_PER_S);
		uint64_t took_ns, found_ns;
		bool is_node = round % 2;

		probe_first = 0;
		probe_cnt = callers;
		provider_leaves(is_node);
		impatience(away_ns);
		provider_returns(is_node);
		/*
		 * Circuits are closed at once; a lookup without results may be believed for a
		 * while.
		 */
		probes_begin(callers, callers);
		CHECK(probes_ask(away_ns < SILENCE_NS ? RETURN_NS : KEEPALIVE_NS + RETURN_NS,
				 &took_ns));
		probes_begin(2 * callers, callers);
		CHECK(probes_ask(SERVICE_FRESH_NS + RETURN_NS, &found_ns));
		printf("# the %s was away for %.1f s: well after %.2f s, found after %.2f s\n",
		       is_node ? "node" : "program", (double)away_ns / NS_PER_S,
		       (double)took_ns / NS_PER_S, (double)(took_ns + found_ns) / NS_PER_S);
		sim_run(&sim, random_below(&sim.dice, 60 * NS_PER_S), NULL, NULL);
	}
	probe_gap_ns = PROBE_NS;
	probe_first = 0;
	network_fini(1);
}

int main(void)
{
	RUN(test_calls_are_good_again_a_second_after_the_providers_return);
	RUN(test_calls_keep_their_promises_under_faults);
	return check_done();
}
