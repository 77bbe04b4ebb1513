/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The signaling endpoint as a client: each question is a connection of its
 * own on the one thread here, so a look waits for those before it and for
 * publishing. Home worker, but for errand_run.
 */
#include "node/discovery/signaling.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/jobs.h"
#include "base/log.h"
#include "base/random.h"
#include "gateway/websocket.h"
#include "node/node_state.h"

#define PROTOCOL	"mesh-signal-v1"
#define LOOKS_MAX	8
#define ASK_NS		(5 * NS_PER_S)
#define STAGGER_NS	(5 * NS_PER_S) /* after the DHT and relays had their chance */
#define BUDGET_NS	(10 * NS_PER_S)
#define PUBLISH_NS	(3600 * NS_PER_S)
#define RETRY_NS	(60 * NS_PER_S)
#define MESSAGE_HEAD	(1 + NODE_KEY_LEN)
#define MESSAGE_MAX	(MESSAGE_HEAD + PKARR_BODY_LEN_MAX)
#define STATUS_SWITCHED 101

/* First byte of a message; the second to 33rd are the key it is about. */
enum signal {
	SIGNAL_FIND = 1,    /* with a packet's body: the answer */
	SIGNAL_PUBLISH = 2, /* with a packet's body; alone: it was taken */
	SIGNAL_UNKNOWN = 3,
	SIGNAL_REFUSED = 4,
};

struct signal_errand {
	struct job job;
	struct signaling *signaling;
	struct mesh_look *look; /* NULL: taken back, or it publishes */
	bool is_running;
	int err;
	struct websocket_ask ask;
	uint8_t random[20];
	uint8_t question[MESSAGE_MAX], answer[MESSAGE_MAX];
	size_t question_len;
};

struct signaling {
	struct node *node;
	struct jobs *jobs;
	struct poller_watch watch;
	struct timer timer; /* publishes next */
	bool has_packet, is_failing;
	struct pkarr_packet packet;
	struct signal_errand publishing;
	struct signal_errand looks[LOOKS_MAX];
};

size_t signaling_footprint(const struct signaling_config *config)
{
	return config->url[0] ? sizeof(struct signaling) : 0;
}

static void errand_run(struct job *job)
{
	struct signal_errand *errand = (struct signal_errand *)job;

	errand->err = websocket_ask(&errand->ask);
	if (errand->err == 0 && errand->ask.status != STATUS_SWITCHED)
		errand->err = WEFT_EREFUSED;
}

static int errand_begin(struct signal_errand *errand, job_fn done)
{
	struct node *node = errand->signaling->node;
	const struct signaling_config *config = &node->config->signaling;
	int err;

	random_fill(node->random, errand->random, sizeof(errand->random));
	errand->job = (struct job){.run = errand_run, .done = done};
	errand->ask = (struct websocket_ask){
		.url = config->url,
		.protocol = PROTOCOL,
		.ca_file = config->ca_file[0] ? config->ca_file : NULL,
		.question = errand->question,
		.question_len = errand->question_len,
		.random = errand->random,
		.timeout_ns = ASK_NS,
		.stop_fd = jobs_stop_fd(errand->signaling->jobs),
		.answer = errand->answer,
		.answer_cap = sizeof(errand->answer),
	};
	err = jobs_submit(errand->signaling->jobs, &errand->job);
	errand->is_running = err == 0;
	return err;
}

static void question_write(struct signal_errand *errand, enum signal signal, const uint8_t *key)
{
	errand->question[0] = (uint8_t)signal;
	memcpy(errand->question + 1, key, NODE_KEY_LEN);
	errand->question_len = MESSAGE_HEAD;
}

/* What an answer to errand is, when it is about the same key; 0: it is none. */
static unsigned answer_signal(const struct signal_errand *errand)
{
	if (errand->ask.answer_len < MESSAGE_HEAD ||
	    memcmp(errand->answer + 1, errand->question + 1, NODE_KEY_LEN) != 0)
		return 0;
	return errand->answer[0];
}

/* Tells what was found. 0 also when the endpoint knows nothing; a bad signature is WEFT_EDAMAGED. */
static int look_tell(struct signal_errand *errand)
{
	const struct node *node = errand->signaling->node;
	struct pkarr_packet packet;
	struct pkarr_record record;
	struct mesh_found found;
	unsigned signal = answer_signal(errand);

	if (signal == SIGNAL_UNKNOWN)
		return 0;
	if (signal != SIGNAL_FIND)
		return WEFT_EMALFORMED;
	if (pkarr_packet_parse_body(errand->question + 1, errand->answer + MESSAGE_HEAD,
				    errand->ask.answer_len - MESSAGE_HEAD, &packet) < 0)
		return WEFT_EDAMAGED;
	if (pkarr_record_read(&packet, node->config->publish.policy.allows_private, &record) < 0)
		return 0;
	found = (struct mesh_found){.addrs = record.addrs,
				    .addr_cnt = record.addr_cnt,
				    .seq = packet.seq,
				    .is_over = publish_record_is_over(node, packet.seq)};
	(void)errand->look->found(errand->look, &found, node->home.now_ns);
	return 0;
}

static void look_answered(struct job *job)
{
	struct signal_errand *errand = (struct signal_errand *)job;
	struct mesh_look *look;
	int err = errand->err;

	errand->is_running = false;
	if (!errand->look)
		return;
	if (err == 0)
		err = look_tell(errand);
	/* Told of an address, the asker may have taken the look back. */
	look = errand->look;
	errand->look = NULL;
	if (look)
		look->ended(look, err, errand->signaling->node->home.now_ns);
}

static int signaling_look(void *ctx, const uint8_t key[static MESH_KEY_LEN], struct mesh_look *look,
			  uint64_t now_ns, void **out_run)
{
	struct signaling *signaling = ctx;
	struct signal_errand *errand;
	unsigned i = 0;

	(void)now_ns;
	while (i < LOOKS_MAX && signaling->looks[i].is_running)
		i++;
	if (i == LOOKS_MAX)
		return WEFT_EFULL;
	errand = &signaling->looks[i];
	errand->signaling = signaling;
	question_write(errand, SIGNAL_FIND, key);
	if (errand_begin(errand, look_answered) < 0)
		return WEFT_EFULL;
	errand->look = look;
	*out_run = errand;
	return 0;
}

/* What runs goes on to its end on its thread; its place is free then. */
static void signaling_cancel(void *ctx, void *run)
{
	(void)ctx;
	((struct signal_errand *)run)->look = NULL;
}

struct mesh_provider signaling_provider(struct signaling *signaling)
{
	return (struct mesh_provider){
		.name = "signaling",
		.stagger_ns = STAGGER_NS,
		.budget_ns = BUDGET_NS,
		.look = signaling_look,
		.cancel = signaling_cancel,
		.ctx = signaling,
	};
}

static void published(struct job *job)
{
	struct signal_errand *errand = (struct signal_errand *)job;
	struct signaling *signaling = errand->signaling;
	struct node *node = signaling->node;
	bool is_taken = errand->err == 0 && answer_signal(errand) == SIGNAL_PUBLISH;

	errand->is_running = false;
	if (!signaling->has_packet)
		return;
	if (!is_taken && !signaling->is_failing)
		log_warn("the signaling endpoint %s was not told where this node is: %s; trying "
			 "again",
			 node->config->signaling.url,
			 errand->err < 0 ? weft_err_text(errand->err) : "it refuses");
	signaling->is_failing = !is_taken;
	timer_set(&node->home.timers, &signaling->timer,
		  node->home.now_ns + (is_taken ? PUBLISH_NS : RETRY_NS));
}

static void publish_fire(struct timer *timer, uint64_t now_ns)
{
	struct signaling *signaling = (void *)((char *)timer - offsetof(struct signaling, timer));
	struct signal_errand *errand = &signaling->publishing;
	int err = WEFT_EBUSY;

	if (!errand->is_running) {
		question_write(errand, SIGNAL_PUBLISH, signaling->packet.key);
		errand->question_len += pkarr_packet_write_body(&signaling->packet,
								errand->question + MESSAGE_HEAD);
		err = errand_begin(errand, published);
	}
	if (err < 0)
		timer_set(&signaling->node->home.timers, timer, now_ns + NS_PER_S);
}

void signaling_publish(struct signaling *signaling, const struct pkarr_packet *packet,
		       uint64_t now_ns)
{
	if (!signaling || (packet && signaling->has_packet && packet->seq == signaling->packet.seq))
		return;
	signaling->has_packet = packet != NULL;
	if (packet)
		signaling->packet = *packet;
	timer_set(&signaling->node->home.timers, &signaling->timer, packet ? now_ns : TIMER_NEVER);
}

int signaling_open(struct node *node, char *what)
{
	const struct signaling_config *config = &node->config->signaling;
	struct signaling *signaling;
	int err;

	if (!config->url[0])
		return 0;
	snprintf(what, NODE_WHAT_CAP, "signaling.url: %.128s", config->url);
	if (strncmp(config->url, "ws://", 5) != 0 && strncmp(config->url, "wss://", 6) != 0)
		return WEFT_EMALFORMED;
	signaling = calloc(1, sizeof(*signaling));
	if (!signaling)
		return -ENOMEM;
	node->signaling = signaling;
	signaling->node = node;
	signaling->publishing.signaling = signaling;
	timer_init(&signaling->timer, publish_fire);
	err = jobs_new_as(SANDBOX_LOOKUP, 1, LOOKS_MAX + 1, &signaling->jobs);
	return err < 0 ? err
		       : worker_watch(&node->home, &signaling->watch, jobs_fd(signaling->jobs));
}

bool signaling_turn(struct signaling *signaling)
{
	return signaling && jobs_reap(signaling->jobs) > 0;
}

void signaling_close(struct signaling *signaling)
{
	if (!signaling)
		return;
	timer_cancel(&signaling->node->home.timers, &signaling->timer);
	if (signaling->watch.ready)
		poller_remove(signaling->node->home.poller, &signaling->watch);
	jobs_free(signaling->jobs);
	signaling->node->signaling = NULL;
	free(signaling);
}
