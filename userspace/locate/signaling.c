/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The signaling endpoint as a client. Each question is a connection of its
 * own on the one thread here, so a lookup waits for those before it and
 * for publishing. Home worker, but for request_run.
 */
#include "signaling.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/container_of.h"
#include "base/monotonic.h"
#include "base/thread/jobs.h"
#include "base/log.h"
#include "base/random.h"
#include "http/websocket.h"
#include "locate.h"

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

struct signal_request {
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
	struct locate *locate;
	struct jobs *jobs;
	struct poller_watch watch;
	struct timer timer; /* publishes next */
	bool has_packet, is_failing;
	struct pkarr_packet packet;
	uint64_t put_seq; /* of the packet that is published, or was */
	struct signal_request publishing;
	struct signal_request looks[LOOKS_MAX];
};

size_t locate_signaling_footprint(const struct signaling_config *config)
{
	return config->url[0] ? sizeof(struct signaling) : 0;
}

static void request_run(struct job *job)
{
	struct signal_request *request = (struct signal_request *)job;

	request->err = http_websocket_ask(&request->ask);
	if (request->err == 0 && request->ask.status != STATUS_SWITCHED)
		request->err = WEFT_EREFUSED;
}

static int request_begin(struct signal_request *request, job_fn done)
{
	struct locate *locate = request->signaling->locate;
	const struct signaling_config *config = locate->params.signaling;
	int err;

	random_fill(locate->params.random, request->random, sizeof(request->random));
	request->job = (struct job){.run = request_run, .done = done};
	request->ask = (struct websocket_ask){
		.url = config->url,
		.protocol = PROTOCOL,
		.ca_file = config->ca_file[0] ? config->ca_file : NULL,
		.question = request->question,
		.question_len = request->question_len,
		.random = request->random,
		.timeout_ns = ASK_NS,
		.stop_fd = jobs_stop_fd(request->signaling->jobs),
		.answer = request->answer,
		.answer_cap = sizeof(request->answer),
	};
	err = jobs_submit(request->signaling->jobs, &request->job);
	request->is_running = err == 0;
	return err;
}

static void question_write(struct signal_request *request, enum signal signal, const uint8_t *key)
{
	request->question[0] = (uint8_t)signal;
	memcpy(request->question + 1, key, NODE_KEY_LEN);
	request->question_len = MESSAGE_HEAD;
}

/* The kind of an answer to request, when it is about the same key; 0: it is none. */
static unsigned answer_signal(const struct signal_request *request)
{
	if (request->ask.answer_len < MESSAGE_HEAD ||
	    memcmp(request->answer + 1, request->question + 1, NODE_KEY_LEN) != 0)
		return 0;
	return request->answer[0];
}

/*
 * Reports what was found. 0 also when the endpoint knows nothing; a bad signature is WEFT_EDAMAGED.
 */
static int look_tell(struct signal_request *request)
{
	struct locate *locate = request->signaling->locate;
	struct pkarr_packet packet;
	unsigned signal = answer_signal(request);

	if (signal == SIGNAL_UNKNOWN)
		return 0;
	if (signal != SIGNAL_FIND)
		return WEFT_EMALFORMED;
	if (dht_pkarr_packet_parse_body(request->question + 1, request->answer + MESSAGE_HEAD,
					request->ask.answer_len - MESSAGE_HEAD, &packet) < 0) {
		locate->stats.damaged_cnt++;
		return WEFT_EDAMAGED;
	}
	locate_tell(locate, &packet, request->look);
	return 0;
}

static void look_answered(struct job *job)
{
	struct signal_request *request = (struct signal_request *)job;
	struct mesh_look *look;
	int err = request->err;

	request->is_running = false;
	if (!request->look)
		return;
	if (err == 0)
		err = look_tell(request);
	/* The asker may have taken the look back in the call with an address. */
	look = request->look;
	request->look = NULL;
	if (look)
		look->ended(look, err, locate_now_ns(request->signaling->locate));
}

static int signaling_look(void *ctx, const uint8_t key[static MESH_KEY_LEN], struct mesh_look *look,
			  uint64_t now_ns, void **out_run)
{
	struct signaling *signaling = ctx;
	struct signal_request *request;
	unsigned i = 0;

	(void)now_ns;
	while (i < LOOKS_MAX && signaling->looks[i].is_running)
		i++;
	request = i < LOOKS_MAX ? &signaling->looks[i] : NULL;
	if (request) {
		request->signaling = signaling;
		question_write(request, SIGNAL_FIND, key);
	}
	if (!request || request_begin(request, look_answered) < 0) {
		signaling->locate->stats.refused_cnt++;
		return WEFT_EFULL;
	}
	signaling->locate->stats.signaling_lookup_cnt++;
	request->look = look;
	*out_run = request;
	return 0;
}

/* A running request goes on to its end on its thread; its place is free then. */
static void signaling_cancel(void *ctx, void *run)
{
	(void)ctx;
	((struct signal_request *)run)->look = NULL;
}

struct mesh_locator locate_signaling_locator(struct signaling *signaling)
{
	return (struct mesh_locator){
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
	struct signal_request *request = (struct signal_request *)job;
	struct signaling *signaling = request->signaling;
	struct locate *locate = signaling->locate;
	bool is_taken = request->err == 0 && answer_signal(request) == SIGNAL_PUBLISH;
	bool is_news = signaling->put_seq != signaling->packet.seq;
	uint64_t wait_ns = is_news ? 0 : is_taken ? PUBLISH_NS : RETRY_NS;

	request->is_running = false;
	if (!signaling->has_packet)
		return;
	if (!is_taken && !signaling->is_failing)
		log_warn("the signaling endpoint %s was not told where this node is: %s; trying "
			 "again",
			 locate->params.signaling->url,
			 request->err < 0 ? weft_err_text(request->err) : "it refuses");
	signaling->is_failing = !is_taken;
	if (is_taken)
		locate->stats.signaling_publish_cnt++;
	else
		locate->stats.publish_failed_cnt++;
	timer_set(locate->params.timers, &signaling->timer, locate_now_ns(locate) + wait_ns);
}

static void publish_fire(struct timer *timer, uint64_t now_ns)
{
	struct signaling *signaling = container_of(timer, struct signaling, timer);
	struct signal_request *request = &signaling->publishing;
	int err = WEFT_EBUSY;

	if (!request->is_running) {
		signaling->put_seq = signaling->packet.seq;
		question_write(request, SIGNAL_PUBLISH, signaling->packet.key);
		request->question_len += dht_pkarr_packet_write_body(
			&signaling->packet, request->question + MESSAGE_HEAD);
		err = request_begin(request, published);
	}
	if (err < 0)
		timer_set(signaling->locate->params.timers, timer, now_ns + NS_PER_S);
}

void locate_signaling_publish(struct signaling *signaling, const struct pkarr_packet *packet,
			      uint64_t now_ns)
{
	if (!signaling || (packet && signaling->has_packet && packet->seq == signaling->packet.seq))
		return;
	signaling->has_packet = packet != NULL;
	if (packet)
		signaling->packet = *packet;
	timer_set(signaling->locate->params.timers, &signaling->timer,
		  packet ? now_ns : TIMER_NEVER);
}

int locate_signaling_open(struct locate *locate, char *what)
{
	const struct signaling_config *config = locate->params.signaling;
	struct signaling *signaling;
	int err;

	if (!config->url[0])
		return 0;
	snprintf(what, LOCATE_WHAT_CAP, "signaling.url: %.128s", config->url);
	if (strncmp(config->url, "ws://", 5) != 0 && strncmp(config->url, "wss://", 6) != 0)
		return WEFT_EMALFORMED;
	signaling = calloc(1, sizeof(*signaling));
	if (!signaling)
		return -ENOMEM;
	locate->signaling = signaling;
	signaling->locate = locate;
	signaling->publishing.signaling = signaling;
	timer_init(&signaling->timer, publish_fire);
	err = jobs_new_as(SANDBOX_LOOKUP, 1, LOOKS_MAX + 1, &signaling->jobs);
	return err < 0 ? err
		       : locate->params.watch(locate->params.ctx, &signaling->watch,
					      jobs_fd(signaling->jobs));
}

bool locate_signaling_turn(struct signaling *signaling)
{
	return signaling && jobs_reap(signaling->jobs) > 0;
}

void locate_signaling_close(struct signaling *signaling)
{
	if (!signaling)
		return;
	timer_cancel(signaling->locate->params.timers, &signaling->timer);
	if (signaling->watch.ready)
		poller_remove(signaling->locate->params.poller, &signaling->watch);
	jobs_free(signaling->jobs);
	signaling->locate->signaling = NULL;
	free(signaling);
}
