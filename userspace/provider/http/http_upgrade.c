/* SPDX-License-Identifier: Apache-2.0 */
/* WebSockets to an HTTP server: their places, and how long one may be silent. */
#include "http_upgrade.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "base/random.h"

#define KEEPALIVE_S	 30 /* between two probes, and of silence before the first */
#define KEEPALIVE_PROBES 4  /* without an answer, and the machine is taken for gone */

static struct fair_config places_config(const struct provider_config *config)
{
	return (struct fair_config){
		.name = "WebSockets",
		.cap_cnt = config->upgrade_cap,
		.kind = FAIR_LASTING,
		.level_cnt = FAIR_LEVEL_MAX,
		.parts = {[FAIR_UNKNOWN] = 12, [FAIR_CHOSEN] = 4},
	};
}

int provider_http_upgrade_init(struct provider *provider)
{
	const struct fair_config config = places_config(&provider->config);
	struct random random;

	random_init_system(&random);
	random_fill(&random, provider->upgrade_paths.secret,
		    sizeof(provider->upgrade_paths.secret));
	return fair_init(&provider->upgrades, &provider->arena, &config,
			 provider->upgrade_paths.secret);
}

static void victim_end(struct fair_item *item, uint64_t now_ns)
{
	struct http_stream *stream = container_of(item, struct http_stream, place);

	stream->is_busy = true;
	provider_http_stream_end(stream, SERVICE_UNAVAILABLE, "another caller needed the place");
	provider_http_stream_settle(stream, now_ns);
}

bool provider_http_upgrade_enter(struct http_stream *stream, const struct service_caller *caller,
				 uint64_t now_ns)
{
	struct provider *provider = http_stream_offer(stream)->provider;
	struct fair_item *victim = NULL;
	struct fair_path path;

	fair_path_start(caller->is_local ? FAIR_CHOSEN : FAIR_UNKNOWN, &path);
	for (unsigned level = 0; level < caller->path.level_cnt; level++)
		fair_path_add(&provider->upgrade_paths, &path, &caller->path.ids[level],
			      sizeof(caller->path.ids[level]));
	if (!path.level_cnt)
		fair_path_add(&provider->upgrade_paths, &path, caller->key, sizeof(caller->key));
	switch (fair_take(&provider->upgrades, &path, &stream->place, now_ns, &victim)) {
	case FAIR_TAKEN_FROM:
		victim_end(victim, now_ns);
		return true;
	case FAIR_TAKEN:
		return true;
	default:
		return false;
	}
}

void provider_http_upgrade_leave(struct http_stream *stream)
{
	fair_release(&http_stream_offer(stream)->provider->upgrades, &stream->place, 0);
}

static void keepalive_set(int fd)
{
	int one = 1, wait_s = KEEPALIVE_S, probe_cnt = KEEPALIVE_PROBES;

	/* A socket of this machine has none, and needs none. */
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &wait_s, sizeof(wait_s));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &wait_s, sizeof(wait_s));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probe_cnt, sizeof(probe_cnt));
}

void provider_http_upgrade_begin(struct http_stream *stream)
{
	keepalive_set(stream->conn->watch.fd);
	provider_offer_set_apart(&stream->active);
}

void provider_http_upgrade_write(struct http_stream *stream)
{
	if (!stream->answer.is_switched || !stream->is_request_whole || stream->is_shut ||
	    !stream->conn || stream->body.out.len)
		return;
	stream->is_shut = true;
	(void)shutdown(stream->conn->watch.fd, SHUT_WR);
}

uint64_t provider_http_upgrade_deadline_ns(const struct http_stream *stream)
{
	if (!provider_http_exchange_wants_to_write(stream) &&
	    !provider_http_exchange_waits_for_caller(stream) && !stream->is_request_whole)
		return UINT64_MAX;
	return stream->progress_ns + http_stream_offer(stream)->provider->config.stall_ns;
}
