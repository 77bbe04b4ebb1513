/* SPDX-License-Identifier: Apache-2.0 */
#include "support/sim_local.h"

#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/container_of.h"
#include "base/thread/poller.h"
#include "node/fabric/fabric.h"
#include "api/http/web_routes.h"
#include "provider/provider.h"
#include "support/check.h"

#define WATCH_CAP 4096
#define TOKEN_CAP 128

__attribute__((noreturn)) static void die(const char *what)
{
	printf("Bail out! simulator: local programs: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void watch(struct sim *sim, struct poller_watch *of)
{
	if (!sim->poller && poller_new(WATCH_CAP, &sim->poller) < 0)
		die("event loop");
	if (poller_add(sim->poller, of, POLLER_IN) < 0)
		die("watch");
}

static void unwatch(struct sim *sim, struct poller_watch *of)
{
	if (of->fd < 0)
		return;
	poller_remove(sim->poller, of);
	close(of->fd);
	of->fd = -1;
}

void sim_has_locals(struct sim_node *node, const char *services)
{
	struct node_config *config = &node->config;

	node->has_locals = true;
	snprintf(config->state_dir, sizeof(config->state_dir), "%s", node->state_dir);
	control_config_defaults(&config->control);
	snprintf(config->control_path, sizeof(config->control_path), "%.90s/control.sock",
		 node->state_dir);
	config->control.path = config->control_path;
	config->control.client_cap = 8;
	config_web_defaults(&config->web);
	config->web.gateway.is_on = true;
	config->web.gateway.request_rate_per_s = 1000;
	config->web.gateway.request_burst = 1000;
	config->web.gateway.busy_rate_per_min = 60000;
	config->web.gateway.busy_burst = 1000;
	config->web.gateway.conn_cap = 64;
	config->web.gateway.memory_cap = 8 << 20;
	config->web.serves_mesh = true;
	snprintf(config->web.services, sizeof(config->web.services), "%s", services);
}

/* --- programs --- */

static void call_close(struct sim_program_call *call)
{
	timer_cancel(&call->program->sim->timers, &call->timer);
	unwatch(call->program->sim, &call->watch);
	call->len = 0;
}

static void call_reply(struct timer *timer, uint64_t now_ns)
{
	struct sim_program_call *call =
		(struct sim_program_call *)((char *)timer -
					    offsetof(struct sim_program_call, timer));

	(void)now_ns;
	(void)!send(call->watch.fd, call->reply, strlen(call->reply) + 1, MSG_NOSIGNAL);
	call_close(call);
}

static void call_serve(struct sim_program_call *call, uint64_t now_ns)
{
	const struct sim_program *program = call->program;
	char result[SIM_TEXT_CAP];
	uint64_t after_ns = program->serve(program->arg, call->request, result);

	snprintf(call->reply, sizeof(call->reply), "{\"parameters\":{\"json\":%.400s}}", result);
	if (after_ns != UINT64_MAX)
		timer_set(&program->sim->timers, &call->timer, now_ns + after_ns);
}

static void call_ready(struct poller_watch *of, unsigned events, uint64_t now_ns)
{
	struct sim_program_call *call = container_of(of, struct sim_program_call, watch);
	ssize_t n = recv(of->fd, call->request + call->len, sizeof(call->request) - call->len - 1,
			 MSG_DONTWAIT);

	(void)events;
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		/* The caller does not wait any more. */
		call_close(call);
		return;
	}
	call->len += (size_t)n;
	if (call->request[call->len - 1] == '\0')
		call_serve(call, now_ns);
}

static struct sim_program_call *call_free_one(struct sim_program *program)
{
	for (unsigned i = 0; i < SIM_PROGRAM_CALLS; i++)
		if (program->calls[i].watch.fd < 0)
			return &program->calls[i];
	return NULL;
}

static void program_ready(struct poller_watch *of, unsigned events, uint64_t now_ns)
{
	struct sim_program *program = container_of(of, struct sim_program, listener);
	int fd;

	(void)events, (void)now_ns;
	while ((fd = accept4(of->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0) {
		struct sim_program_call *call = call_free_one(program);

		if (!call) {
			close(fd);
			continue;
		}
		call->program = program;
		call->watch = (struct poller_watch){.ready = call_ready, .fd = fd};
		timer_init(&call->timer, call_reply);
		watch(program->sim, &call->watch);
	}
}

void sim_program_init(struct sim_program *program, struct sim *sim, const char *name)
{
	memset(program, 0, sizeof(*program));
	program->sim = sim;
	snprintf(program->path, sizeof(program->path), "%s", sim_path(sim, name));
	program->listener.fd = -1;
	for (unsigned i = 0; i < SIM_PROGRAM_CALLS; i++) {
		program->calls[i].program = program;
		program->calls[i].watch.fd = -1;
	}
}

void sim_program_start(struct sim_program *program)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%.107s", program->path);
	(void)unlink(program->path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&sun, sizeof(sun)) < 0 || listen(fd, 128) < 0)
		die(program->path);
	program->listener = (struct poller_watch){.ready = program_ready, .fd = fd};
	watch(program->sim, &program->listener);
}

void sim_program_kill(struct sim_program *program)
{
	unwatch(program->sim, &program->listener);
	for (unsigned i = 0; i < SIM_PROGRAM_CALLS; i++)
		if (program->calls[i].watch.fd >= 0)
			call_close(&program->calls[i]);
}

struct offering {
	bool is_told;
	int err;
};

static void offered(void *arg, int err, uint64_t now_ns)
{
	struct offering *offering = arg;

	(void)now_ns;
	offering->is_told = true;
	offering->err = err;
}

static bool is_offered(void *arg)
{
	return ((struct offering *)arg)->is_told;
}

void sim_program_offer(const struct sim_program *program, struct sim_node *node, const char *name)
{
	const struct provider_spec spec = {
		.name = name, .version = "1.0.0", .kind = PROVIDER_SOCKET, .target = program->path};
	struct offering offering = {0};
	const char *why = "";

	if (provider_publish(node_fabric_provider(node_fabric(node->node)), &spec,
			     &(struct provider_waiter){offered, &offering}, node->sim->now_ns,
			     &why) < 0) {
		errno = EINVAL;
		die(why);
	}
	sim_wake(node);
	if (!sim_run(node->sim, 10 * NS_PER_S, is_offered, &offering) || offering.err)
		die("an offer was not stored");
}

/* --- clients of the gateway --- */

static void web_end(struct sim_web *web)
{
	const char *body = strstr(web->text, "\r\n\r\n");

	unwatch(web->sim, &web->watch);
	web->is_over = true;
	web->status = strncmp(web->text, "HTTP/1.1 ", 9) == 0
			      ? (unsigned)strtoul(web->text + 9, NULL, 10)
			      : 0;
	web->body = body ? body + 4 : "";
	if (web->done)
		web->done(web);
}

static void web_ready(struct poller_watch *of, unsigned events, uint64_t now_ns)
{
	struct sim_web *web = container_of(of, struct sim_web, watch);
	ssize_t n =
		recv(of->fd, web->text + web->len, sizeof(web->text) - web->len - 1, MSG_DONTWAIT);

	(void)events, (void)now_ns;
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		web_end(web);
		return;
	}
	web->len += (size_t)n;
	web->text[web->len] = '\0';
}

/* As a program of the node's user does. */
static void token_read(const struct sim_node *node, char token[static TOKEN_CAP])
{
	char path[PATH_MAX];
	FILE *file;

	snprintf(path, sizeof(path), "%s/" WEB_TOKEN_NAME, node->state_dir);
	file = fopen(path, "re");
	if (!file || !fgets(token, TOKEN_CAP, file))
		die("no token of the gateway");
	fclose(file);
	token[strcspn(token, "\n")] = '\0';
}

void sim_web_get(struct sim_web *web, struct sim_node *node, const char *path)
{
	static const struct addr client = {
		.family = ADDR_IPV4, .ip = {127, 0, 0, 1}, .port = 40000};
	void (*done)(struct sim_web *web) = web->done;
	char request[SIM_TEXT_CAP], token[TOKEN_CAP];
	int fds[2], len;

	token_read(node, token);
	*web = (struct sim_web){.sim = node->sim, .done = done};
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
		die("no connection");
	len = snprintf(request, sizeof(request),
		       "GET %s HTTP/1.1\r\nHost: 127.0.0.1:5030\r\nX-Weft-Token: %s\r\n"
		       "Connection: close\r\n\r\n",
		       path, token);
	(void)!send(fds[0], request, (size_t)len, MSG_NOSIGNAL);
	web->watch = (struct poller_watch){.ready = web_ready, .fd = fds[0]};
	watch(node->sim, &web->watch);
	node_adopt(node->node, fds[1], &client, node->sim->now_ns);
	sim_wake(node);
}
