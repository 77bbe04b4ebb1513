/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pkarr relays as a client. A lookup asks every relay by a job each. The owner's first packet
 * is reported at once, and later ones if they are newer. Each relay has one request of
 * publishing that repeats. Home worker, but for *_run on the client's own threads.
 */
#include "pkarr_client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/container_of.h"
#include "base/monotonic.h"
#include "base/thread/jobs.h"
#include "base/log.h"
#include "codec/text/zbase32.h"
#include "http/http_get.h"
#include "http/url.h"
#include "locate.h"

#define PACKET_TYPE  "application/pkarr.org/relays#payload"
#define THREAD_CNT   2
#define LOOKS_MAX    8
#define HTTP_GET_NS  (5 * NS_PER_S)
#define STAGGER_NS   (2 * NS_PER_S) /* the DHT is asked first */
#define BUDGET_NS    (10 * NS_PER_S)
#define PUBLISH_NS   (3600 * NS_PER_S)
#define RETRY_MIN_NS (30 * NS_PER_S)
#define URL_TEXT_CAP (PKARR_CLIENT_LIST_CAP + 1 + ZBASE32_KEY_TEXT_CAP)

/* One request to one relay, for a look or to publish. */
struct relay_request {
	struct job job;
	struct pkarr_client *client;
	struct relay_look *look; /* NULL: it publishes */
	struct http_get fetch;
	int err;
	char url[URL_TEXT_CAP];
	uint8_t body[PKARR_BODY_LEN_MAX]; /* what is put, or the answer */
};

struct relay_look {
	struct mesh_look *look; /* NULL: taken back, or free when nothing runs */
	uint8_t key[NODE_KEY_LEN];
	unsigned running_cnt;
	uint64_t newest_seq;
	int err; /* of the last that failed */
	bool is_answered;
	struct relay_request requests[PKARR_CLIENT_RELAYS_MAX];
};

struct relay {
	char url[PKARR_CLIENT_LIST_CAP]; /* without a '/' at its end */
	struct relay_request publishing;
	bool is_running;
	bool is_failing;  /* said once in the log */
	uint64_t put_seq; /* of the packet that is put, or was */
	uint64_t retry_ns;
	struct timer timer; /* the next time */
};

struct pkarr_client {
	struct locate *locate;
	struct jobs *jobs;
	struct poller_watch watch;
	const char *ca_file; /* NULL: the machine's authorities */
	struct relay relays[PKARR_CLIENT_RELAYS_MAX];
	unsigned relay_cnt;
	bool has_packet;
	struct pkarr_packet packet;
	struct relay_look looks[LOOKS_MAX];
};

size_t locate_pkarr_relay_footprint(const struct pkarr_client_config *config)
{
	return config->relays[0] ? sizeof(struct pkarr_client) : 0;
}

static void request_run(struct job *job)
{
	struct relay_request *request = (struct relay_request *)job;

	request->err = http_get_run(&request->fetch);
}

static int request_begin(struct relay_request *request, const struct relay *relay,
			 const uint8_t key[static NODE_KEY_LEN], job_fn done)
{
	char text[ZBASE32_KEY_TEXT_CAP];

	snprintf(request->url, sizeof(request->url), "%s/%s", relay->url,
		 zbase32_write(key, NODE_KEY_LEN, text));
	request->job = (struct job){.run = request_run, .done = done};
	request->fetch.url = request->url;
	request->fetch.ca_file = request->client->ca_file;
	request->fetch.timeout_ns = HTTP_GET_NS;
	request->fetch.stop_fd = jobs_stop_fd(request->client->jobs);
	return jobs_submit(request->client->jobs, &request->job);
}

/* packet_tell: what a relay sent is believed when the owner signed it. */
static void packet_tell(struct relay_look *look, const struct relay_request *request)
{
	struct locate *locate = request->client->locate;
	struct pkarr_packet packet;

	if (dht_pkarr_packet_parse_body(look->key, request->body, request->fetch.answer_len,
					&packet) < 0) {
		locate->stats.damaged_cnt++;
		look->err = WEFT_EDAMAGED;
		return;
	}
	if (look->newest_seq >= packet.seq + 1)
		return;
	look->newest_seq = packet.seq + 1;
	locate_tell(locate, &packet, look->look);
}

static void look_fetched(struct job *job)
{
	struct relay_request *request = (struct relay_request *)job;
	struct relay_look *look = request->look;
	struct mesh_look *asker;

	look->running_cnt--;
	if (request->err == 0 && (request->fetch.status == 200 || request->fetch.status == 404))
		look->is_answered = true;
	else
		look->err = request->err ? request->err : WEFT_EUNREACHABLE;
	if (look->look && request->err == 0 && request->fetch.status == 200)
		packet_tell(look, request);
	if (look->running_cnt || !look->look)
		return;
	asker = look->look;
	look->look = NULL;
	asker->ended(asker, look->is_answered ? 0 : look->err,
		     locate_now_ns(request->client->locate));
}

static struct relay_look *look_new(struct pkarr_client *client)
{
	for (unsigned i = 0; i < LOOKS_MAX; i++)
		if (!client->looks[i].look && !client->looks[i].running_cnt)
			return &client->looks[i];
	return NULL;
}

static int client_look(void *ctx, const uint8_t key[static MESH_KEY_LEN], struct mesh_look *asker,
		       uint64_t now_ns, void **out_run)
{
	struct pkarr_client *client = ctx;
	struct relay_look *look = look_new(client);
	struct locate_stats *stats = &client->locate->stats;

	(void)now_ns;
	if (!look) {
		stats->refused_cnt++;
		return WEFT_EFULL;
	}
	memcpy(look->key, key, sizeof(look->key));
	look->newest_seq = 0;
	look->err = 0;
	look->is_answered = false;
	for (unsigned i = 0; i < client->relay_cnt; i++) {
		struct relay_request *request = &look->requests[i];

		request->client = client;
		request->look = look;
		request->fetch = (struct http_get){.method = "GET",
						   .answer = request->body,
						   .answer_cap = sizeof(request->body)};
		if (request_begin(request, &client->relays[i], key, look_fetched) == 0)
			look->running_cnt++;
	}
	if (!look->running_cnt) {
		stats->refused_cnt++;
		return WEFT_EFULL;
	}
	stats->relay_lookup_cnt++;
	look->look = asker;
	*out_run = look;
	return 0;
}

/* A running request goes on to its end on its thread; its place is free then. */
static void client_cancel(void *ctx, void *run)
{
	(void)ctx;
	((struct relay_look *)run)->look = NULL;
}

struct mesh_locator locate_pkarr_relay_locator(struct pkarr_client *client)
{
	return (struct mesh_locator){
		.name = "pkarr-relay",
		.stagger_ns = STAGGER_NS,
		.budget_ns = BUDGET_NS,
		.look = client_look,
		.cancel = client_cancel,
		.ctx = client,
	};
}

static void relay_again(struct relay *relay, uint64_t wait_ns)
{
	struct locate *locate = relay->publishing.client->locate;

	timer_set(locate->params.timers, &relay->timer, locate_now_ns(locate) + wait_ns);
}

/* relay_warn says why, once until it works again. */
static void relay_warn(const struct relay *relay, const struct relay_request *request)
{
	unsigned status = request->fetch.status;

	if (request->err == WEFT_EWRONGKEY)
		log_warn(
			"pkarr relay %s: its certificate is of another host, or nobody vouches for "
			"it whom this machine, or pkarr.ca_file, names; trying again",
			relay->url);
	else if (request->err < 0)
		log_warn("pkarr relay %s was not told where this node is: %s; trying again",
			 relay->url, weft_err_text(request->err));
	else if (status == 409 || status == 428)
		log_warn("pkarr relay %s has a newer address record: this node's key is in use "
			 "elsewhere, or the clock was set back",
			 relay->url);
	else
		log_warn("pkarr relay %s refused this node's address record with HTTP status %u; "
			 "trying again",
			 relay->url, status);
}

static void relay_failed(struct relay *relay, const struct relay_request *request)
{
	request->client->locate->stats.publish_failed_cnt++;
	if (!relay->is_failing)
		relay_warn(relay, request);
	relay->is_failing = true;
	relay->retry_ns = relay->retry_ns ? 2 * relay->retry_ns : RETRY_MIN_NS;
	if (relay->retry_ns > PUBLISH_NS)
		relay->retry_ns = PUBLISH_NS;
	relay_again(relay, relay->retry_ns);
}

static void relay_published(struct job *job)
{
	struct relay_request *request = (struct relay_request *)job;
	struct relay *relay = container_of(request, struct relay, publishing);

	relay->is_running = false;
	if (!request->client->has_packet)
		return;
	if (request->err < 0 || request->fetch.status / 100 != 2) {
		relay_failed(relay, request);
		return;
	}
	if (relay->is_failing)
		log_notice("pkarr relay %s takes the address record again", relay->url);
	request->client->locate->stats.relay_publish_cnt++;
	relay->is_failing = false;
	relay->retry_ns = 0;
	relay_again(relay, relay->put_seq == request->client->packet.seq ? PUBLISH_NS : 0);
}

static void relay_publish(struct timer *timer, uint64_t now_ns)
{
	struct relay *relay = container_of(timer, struct relay, timer);
	struct relay_request *request = &relay->publishing;
	struct pkarr_client *client = request->client;

	(void)now_ns;
	if (relay->is_running) {
		relay_again(relay, NS_PER_S);
		return;
	}
	relay->put_seq = client->packet.seq;
	request->fetch = (struct http_get){
		.method = "PUT",
		.body = request->body,
		.body_len = dht_pkarr_packet_write_body(&client->packet, request->body),
		.body_type = PACKET_TYPE,
	};
	relay->is_running = request_begin(request, relay, client->packet.key, relay_published) == 0;
	if (!relay->is_running)
		relay_again(relay, RETRY_MIN_NS);
}

void locate_pkarr_relay_publish(struct pkarr_client *client, const struct pkarr_packet *packet,
				uint64_t now_ns)
{
	if (!client || (packet && client->has_packet && packet->seq == client->packet.seq))
		return;
	client->has_packet = packet != NULL;
	if (packet)
		client->packet = *packet;
	for (unsigned i = 0; i < client->relay_cnt; i++) {
		struct relay *relay = &client->relays[i];

		relay->retry_ns = 0;
		timer_set(client->locate->params.timers, &relay->timer,
			  packet ? now_ns : TIMER_NEVER);
	}
}

static int relays_parse(struct pkarr_client *client, const char *text, char *what)
{
	char list[PKARR_CLIENT_LIST_CAP], *at = list, *word;
	struct url url;

	snprintf(list, sizeof(list), "%s", text);
	while ((word = strsep(&at, ", ")) && client->relay_cnt < PKARR_CLIENT_RELAYS_MAX) {
		struct relay *relay = &client->relays[client->relay_cnt];

		if (!*word)
			continue;
		snprintf(what, LOCATE_WHAT_CAP, "pkarr.relays: %.128s", word);
		if (http_url_parse(word, &url) < 0)
			return WEFT_EMALFORMED;
		snprintf(relay->url, sizeof(relay->url), "%.*s",
			 (int)(strlen(word) - (word[strlen(word) - 1] == '/')), word);
		relay->publishing.client = client;
		timer_init(&relay->timer, relay_publish);
		client->relay_cnt++;
	}
	return 0;
}

int locate_pkarr_relay_open(struct locate *locate, char *what)
{
	const struct pkarr_client_config *config = locate->params.pkarr_client;
	struct pkarr_client *client;
	int err;

	if (!config->relays[0])
		return 0;
	client = calloc(1, sizeof(*client));
	if (!client)
		return -ENOMEM;
	locate->pkarr_client = client;
	client->locate = locate;
	client->ca_file = config->ca_file[0] ? config->ca_file : NULL;
	if ((err = relays_parse(client, config->relays, what)) < 0)
		return err;
	snprintf(what, LOCATE_WHAT_CAP, "threads that ask pkarr relays");
	err = jobs_new_as(SANDBOX_LOOKUP, THREAD_CNT, (LOOKS_MAX + 1) * PKARR_CLIENT_RELAYS_MAX,
			  &client->jobs);
	return err < 0 ? err
		       : locate->params.watch(locate->params.ctx, &client->watch,
					      jobs_fd(client->jobs));
}

bool locate_pkarr_relay_turn(struct pkarr_client *client)
{
	return client && jobs_reap(client->jobs) > 0;
}

void locate_pkarr_relay_close(struct pkarr_client *client)
{
	if (!client)
		return;
	for (unsigned i = 0; i < client->relay_cnt; i++)
		timer_cancel(client->locate->params.timers, &client->relays[i].timer);
	if (client->watch.ready)
		poller_remove(client->locate->params.poller, &client->watch);
	jobs_free(client->jobs);
	free(client);
}
