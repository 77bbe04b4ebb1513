/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks of offers' programs: one at a time for each offer, by its timer. The outcomes of calls
 * are believed as well.
 */
#include "provider/program_health.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "provider/exec/exec_launch.h"
#include "provider/http/http_answer.h"
#include "provider/program_offer.h"

#define ASK_READ_LEN 4096

struct health_ask {
	struct http_answer answer;
	uint8_t data[ASK_READ_LEN];
};

static void health_become(struct offer *offer, enum provider_state state, const char *why,
			  uint64_t now_ns)
{
	struct health *health = &offer->health;
	bool is_ready = state == PROVIDER_READY, was_ready = health->state == PROVIDER_READY;

	health->why = why;
	if (health->state == state)
		return;
	health->state = state;
	health->since_ns = now_ns;
	offer->provider->ready_cnt += is_ready;
	offer->provider->ready_cnt -= was_ready;
	service_set_ready(offer->handle, is_ready, now_ns);
	provider_offer_tell(offer, is_ready ? PROVIDER_EVENT_READY : PROVIDER_EVENT_DOWN, why,
			    now_ns);
}

/* health_end_check closes the descriptors of a running check. */
static void health_end_check(struct offer *offer)
{
	struct health *health = &offer->health;

	if (health->is_watched) {
		poller_remove(offer->provider->poller, &health->watch);
		close(health->watch.fd);
		health->is_watched = false;
	}
	heap_release(offer->provider->heap, health->ask);
	health->ask = NULL;
}

static void health_next(struct offer *offer, uint64_t after_ns, uint64_t now_ns)
{
	timer_set(offer->provider->timers, &offer->health.timer, now_ns + after_ns);
}

static uint64_t health_soon_ns(const struct offer *offer)
{
	uint64_t period_ns = offer->provider->config.health_ns;

	return period_ns < HEALTH_SOON_NS ? period_ns : HEALTH_SOON_NS;
}

static void health_good(struct offer *offer, uint64_t now_ns)
{
	health_end_check(offer);
	offer->health.slow_cnt = 0;
	offer->health.is_pausing = false;
	health_become(offer, PROVIDER_READY, NULL, now_ns);
	health_next(offer, offer->provider->config.health_ns, now_ns);
}

static void health_bad(struct offer *offer, const char *why, uint64_t now_ns)
{
	health_end_check(offer);
	offer->health.slow_cnt = 0;
	offer->health.is_pausing = false;
	health_become(offer, PROVIDER_DOWN, why, now_ns);
	health_next(offer, health_soon_ns(offer), now_ns);
}

static void health_slow(struct offer *offer, const char *why, uint64_t now_ns)
{
	if (offer->health.state == PROVIDER_READY && offer->health.slow_cnt == 0) {
		health_end_check(offer);
		offer->health.slow_cnt = 1;
		health_next(offer, health_soon_ns(offer), now_ns);
		return;
	}
	health_bad(offer, why, now_ns);
}

void provider_health_refused(struct offer *offer, int err, uint64_t now_ns)
{
	/*
	 * A lack of descriptors here says nothing about the program; a full backlog says that it
	 * lives.
	 */
	if (err == -EMFILE || err == -ENFILE || err == -EAGAIN)
		return;
	health_bad(offer, provider_upstream_err_text(err), now_ns);
}

static int ask_send(const struct offer *offer, int fd)
{
	char text[PROVIDER_PATH_LEN_MAX + 128];
	int len = snprintf(text, sizeof(text),
			   "GET %s HTTP/1.1\r\nHost: localhost\r\nUser-Agent: weft\r\n"
			   "Connection: close\r\n\r\n",
			   offer->spec.view.health_path);

	/* A new connection takes this much at once. */
	return send(fd, text, (size_t)len, MSG_DONTWAIT | MSG_NOSIGNAL) == len ? 0 : -EPIPE;
}

static void health_connected(struct offer *offer, uint64_t now_ns)
{
	struct provider *provider = offer->provider;
	struct health *health = &offer->health;
	int err = provider_upstream_connect_result(health->watch.fd);

	if (err < 0) {
		provider_health_refused(offer, err, now_ns);
		return;
	}
	if (!offer->spec.view.health_path) {
		health_good(offer, now_ns);
		return;
	}
	health->ask = heap_alloc(provider->heap, sizeof(*health->ask));
	if (health->ask)
		provider_http_answer_init(&health->ask->answer, false);
	if (!health->ask || poller_change(provider->poller, &health->watch, POLLER_IN) < 0) {
		health_slow(offer, "there is no memory left to ask it", now_ns);
		return;
	}
	if (ask_send(offer, health->watch.fd) < 0)
		health_bad(offer, "it closed the connection", now_ns);
}

static void health_answered(struct offer *offer, uint64_t now_ns)
{
	struct health_ask *ask = offer->health.ask;
	size_t body_len;
	ssize_t n = recv(offer->health.watch.fd, ask->data, sizeof(ask->data), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0)
		health_bad(offer, "it closed the connection before its answer", now_ns);
	else if (provider_http_answer_input(&ask->answer, ask->data, (size_t)n, &body_len) < 0)
		health_bad(offer, "its answer is not HTTP", now_ns);
	else if (ask->answer.has_head && ask->answer.status < 400)
		health_good(offer, now_ns);
	else if (ask->answer.has_head)
		health_slow(offer, "its health path answers by an error", now_ns);
}

static void health_ready(struct poller_watch *watch, unsigned events, uint64_t now_ns)
{
	struct offer *offer = container_of(watch, struct offer, health.watch);

	(void)events;
	if (offer->health.ask)
		health_answered(offer, now_ns);
	else
		health_connected(offer, now_ns);
}

static void health_check_listener(struct offer *offer, uint64_t now_ns)
{
	struct health *health = &offer->health;
	int fd = provider_upstream_connect(&offer->addr), err;

	if (fd < 0) {
		provider_health_refused(offer, fd, now_ns);
		health_next(offer, health_soon_ns(offer), now_ns);
		return;
	}
	health->watch = (struct poller_watch){.ready = health_ready, .fd = fd};
	err = poller_add(offer->provider->poller, &health->watch, POLLER_OUT);
	if (err < 0) {
		close(fd);
		health_next(offer, health_soon_ns(offer), now_ns);
		return;
	}
	health->is_watched = true;
	health_next(offer, HEALTH_TIMEOUT_NS, now_ns);
}

/* Only its user can check: weftd may read files, and see paths, that the program may not. */
static void health_check_file(struct offer *offer, uint64_t now_ns)
{
	int err = provider_exec_launch_check(offer);

	offer->health.is_asked = err == 0;
	if (err == 0)
		health_next(offer, HEALTH_TIMEOUT_NS, now_ns);
	else if (err == WEFT_EBUSY)
		health_slow(offer, provider_exec_error_fault(err), now_ns);
	else
		health_bad(offer, provider_exec_error_fault(err), now_ns);
}

void provider_health_checked(struct offer *offer, const char *fault, uint64_t now_ns)
{
	offer->health.is_asked = false;
	if (fault)
		health_bad(offer, fault, now_ns);
	else
		health_good(offer, now_ns);
}

static void timer_fire(struct timer *timer, uint64_t now_ns)
{
	struct offer *offer = container_of(timer, struct offer, health.timer);

	if (offer->health.is_watched) {
		health_slow(offer,
			    offer->health.ask ? "its health path does not answer"
					      : provider_upstream_err_text(-ETIMEDOUT),
			    now_ns);
		return;
	}
	if (offer->health.is_asked) {
		offer->health.is_asked = false;
		health_slow(offer, "the process that starts programs does not answer", now_ns);
		return;
	}
	offer->health.checked_ns = now_ns;
	if (offer->spec.view.kind == PROVIDER_EXEC)
		health_check_file(offer, now_ns);
	else
		health_check_listener(offer, now_ns);
}

void provider_health_start(struct offer *offer, uint64_t now_ns)
{
	offer->health = (struct health){.state = PROVIDER_CHECKING, .since_ns = now_ns};
	timer_init(&offer->health.timer, timer_fire);
	service_set_ready(offer->handle, false, now_ns);
	health_next(offer, 0, now_ns);
}

void provider_health_stop(struct offer *offer)
{
	health_end_check(offer);
	timer_cancel(offer->provider->timers, &offer->health.timer);
	offer->provider->ready_cnt -= offer->health.state == PROVIDER_READY;
	offer->health.state = PROVIDER_CHECKING;
	offer->health.is_pausing = false;
}

void provider_health_suspect(struct offer *offer, uint64_t now_ns)
{
	uint64_t next_ns = offer->health.checked_ns + health_soon_ns(offer);

	if (offer->health.is_watched || offer->health.is_asked ||
	    offer->health.state != PROVIDER_READY)
		return;
	timer_set(offer->provider->timers, &offer->health.timer,
		  next_ns > now_ns ? next_ns : now_ns);
}

void provider_health_call_answered(struct offer *offer, uint64_t now_ns)
{
	struct health *health = &offer->health;

	health->answered_ns = now_ns;
	health->overdue_cnt = 0;
	health->pause_ns = 0;
	if (health->is_pausing)
		health_good(offer, now_ns);
}

void provider_health_call_overdue(struct offer *offer, uint64_t came_ns, uint64_t now_ns)
{
	struct health *health = &offer->health;
	uint64_t pause_ns = health->pause_ns ? 2 * health->pause_ns : HEALTH_PAUSE_NS;

	/* A call may have waited behind others that the program was answering. */
	if (health->state != PROVIDER_READY || health->answered_ns > came_ns)
		return;
	if (++health->overdue_cnt < HEALTH_OVERDUE_MAX)
		return;
	health_bad(offer, "it does not answer its calls", now_ns);
	health->overdue_cnt = 0;
	health->is_pausing = true;
	health->pause_ns = pause_ns < HEALTH_PAUSE_NS_MAX ? pause_ns : HEALTH_PAUSE_NS_MAX;
	health_next(offer, health->pause_ns, now_ns);
}
