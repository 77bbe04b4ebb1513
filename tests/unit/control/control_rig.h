/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_CONTROL_RIG_H
#define WEFT_TESTS_CONTROL_RIG_H

#include "control/control.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "varlink/node.h"
#include "base/monotonic.h"
#include "base/thread/poller.h"
#include "base/timer.h"
#include "varlink/node.h"
#include "control/control_server.h"
#include "support/check.h"

/*
 * A server on a socket in a folder of its own, turned by hand. Handlers
 * stand for the node's: GetNodeId answers at once, RemoveShare later,
 * CheckStore in three replies, CancelImport with an error; PlanGc takes the connection.
 */
static struct {
	char dir[64], path[96];
	struct poller *poller;
	struct timer_wheel timers;
	struct control *control;
	struct control_config config;
	struct control_method methods[API_NODE_METHOD_CNT + 1]; /* a row without a name ends them */
	struct control_call *waiting;
	unsigned gone_cnt, shutdown_cnt;
	/* Of PlanGc: what came, and how much of it is taken before it is held. */
	struct control_pipe *pipe;
	char input[1 << 20];
	size_t input_len, input_max;
	unsigned eof_cnt, writable_cnt;
} rig;

static inline void on_gone(void *arg)
{
	(void)arg;
	rig.gone_cnt++;
	rig.waiting = NULL;
}

static inline void handle(void *ctx, struct control_call *call, const json_t *parameters,
			  uint64_t now_ns)
{
	(void)ctx, (void)parameters, (void)now_ns;
	control_fail(call, -EIO, "method", "not of this test", NULL);
}

static inline void handle_id(void *ctx, struct control_call *call, const json_t *parameters,
			     uint64_t now_ns)
{
	(void)ctx, (void)parameters, (void)now_ns;
	control_reply(call, json_pack("{s:s}", "node_id", "me"));
}

static inline void handle_later(void *ctx, struct control_call *call, const json_t *parameters,
				uint64_t now_ns)
{
	const char *share = json_string_value(json_object_get(parameters, "share"));

	(void)ctx, (void)now_ns;
	rig.waiting = call;
	if (strcmp(share, "watched") == 0)
		control_on_gone(call, on_gone, NULL);
}

static inline void handle_more(void *ctx, struct control_call *call, const json_t *parameters,
			       uint64_t now_ns)
{
	static char long_text[5000];

	(void)ctx, (void)parameters, (void)now_ns;
	memset(long_text, 'x', sizeof(long_text) - 1);
	control_reply_more(call, json_pack("{s:s}", "finding", "one"));
	control_reply_more(call, json_pack("{s:s}", "finding", long_text));
	control_reply(call, NULL);
}

static inline void handle_error(void *ctx, struct control_call *call, const json_t *parameters,
				uint64_t now_ns)
{
	(void)ctx, (void)parameters, (void)now_ns;
	control_fail(call, WEFT_EABSENT, "import 7", NULL, "look \xff closer");
}

static inline void handle_watch(void *ctx, struct control_call *call, const json_t *parameters,
				uint64_t now_ns)
{
	(void)ctx, (void)now_ns;
	control_watch(rig.control, call,
		      (uint64_t)json_integer_value(json_object_get(parameters, "since")));
}

static inline void handle_shutdown(void *ctx, struct control_call *call, const json_t *parameters,
				   uint64_t now_ns)
{
	(void)ctx, (void)parameters, (void)now_ns;
	rig.shutdown_cnt++;
	control_reply(call, NULL);
}

static inline size_t on_input(void *arg, const uint8_t *data, size_t len, uint64_t now_ns)
{
	size_t room = rig.input_max - rig.input_len;

	(void)arg, (void)now_ns;
	len = len < room ? len : room;
	memcpy(rig.input + rig.input_len, data, len);
	rig.input_len += len;
	return len;
}

static inline void on_eof(void *arg, uint64_t now_ns)
{
	(void)arg, (void)now_ns;
	rig.eof_cnt++;
}

static inline void on_writable(void *arg, uint64_t now_ns)
{
	(void)arg, (void)now_ns;
	rig.writable_cnt++;
}

static inline void handle_upgrade(void *ctx, struct control_call *call, const json_t *parameters,
				  uint64_t now_ns)
{
	static const struct control_pipe_events events = {
		.input = on_input, .eof = on_eof, .writable = on_writable, .gone = on_gone};

	(void)ctx, (void)parameters, (void)now_ns;
	rig.input_max = sizeof(rig.input);
	rig.pipe = control_upgrade(call,
				   json_pack("{s:{s:i, s:i, s:i, s:i}}", "unreferenced", "objects",
					     0, "blobs", 0, "paths", 0, "bytes", 0),
				   &events, NULL);
}

static const struct control_method special[] = {
	{"GetNodeId", CONTROL_VIEW, .handle = handle_id},
	{"RemoveShare", CONTROL_VIEW, .handle = handle_later},
	{"CheckStore", CONTROL_VIEW, .handle = handle_more},
	{"CancelImport", CONTROL_VIEW, .handle = handle_error},
	{"WatchEvents", CONTROL_VIEW, .handle = handle_watch},
	{"Shutdown", CONTROL_ADMIN, .handle = handle_shutdown},
	{"Get", CONTROL_OPERATE, .handle = handle},
	{"PlanGc", CONTROL_OPERATE, .handle = handle_upgrade},
};
static const char *const upgrades[] = {"PlanGc", NULL};

static inline void methods_fill(void)
{
	for (size_t n = 0; n < API_NODE_METHOD_CNT; n++) {
		struct control_method *method = &rig.methods[n];

		*method = (struct control_method){
			.name = api_node_methods[n].name, .role = CONTROL_VIEW, .handle = handle};
		for (size_t i = 0; i < sizeof(special) / sizeof(special[0]); i++) {
			if (strcmp(special[i].name, method->name) == 0) {
				method->role = special[i].role;
				method->handle = special[i].handle;
			}
		}
	}
}

static inline struct control_params rig_params(void)
{
	return (struct control_params){.config = rig.config,
				       .methods = rig.methods,
				       .upgrades = upgrades,
				       .poller = rig.poller,
				       .timers = &rig.timers,
				       .now_ns = clock_monotonic_ns()};
}

static inline void rig_prepare(void)
{
	memset(&rig, 0, sizeof(rig));
	snprintf(rig.dir, sizeof(rig.dir), "/tmp/weft-control-XXXXXX");
	if (!mkdtemp(rig.dir) || poller_new(64, &rig.poller) < 0)
		abort();
	snprintf(rig.path, sizeof(rig.path), "%s/sub/control.sock", rig.dir);
	timer_wheel_init(&rig.timers, clock_monotonic_ns());
	control_config_defaults(&rig.config);
	rig.config.path = rig.path;
	methods_fill();
}

static inline int rig_open(void)
{
	struct control_params params = rig_params();

	return control_open(&params, &rig.control);
}

static inline void rig_close(void)
{
	char sub[96];

	control_close(rig.control);
	poller_free(rig.poller);
	snprintf(sub, sizeof(sub), "%s/sub", rig.dir);
	unlink(rig.path);
	rmdir(sub);
	rmdir(rig.dir);
}

/* turn runs what is ready, and timers up to ahead_ns from now. */
static inline void turn(uint64_t ahead_ns)
{
	for (int i = 0; i < 1000; i++) {
		int cnt = poller_wait(rig.poller, 0);
		uint64_t due_ns = timer_wheel_next_ns(&rig.timers);
		uint64_t now_ns = clock_monotonic_ns() + ahead_ns;

		if (due_ns <= now_ns)
			timer_wheel_expire(&rig.timers, now_ns);
		else if (cnt <= 0)
			return;
	}
}

static inline int dial(void)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(sun.sun_path, rig.path);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&sun, sizeof(sun)) < 0)
		abort();
	return fd;
}

static inline void say(int fd, const char *text)
{
	size_t len = strlen(text) + 1;

	if (send(fd, text, len, MSG_NOSIGNAL) != (ssize_t)len)
		printf("# short send\n");
}

/* hear gives the next reply; "" when none is there, "EOF" at the end. */
static inline const char *hear(int fd)
{
	static char text[70000];
	size_t len = 0;

	while (len < sizeof(text)) {
		ssize_t n = recv(fd, text + len, 1, MSG_DONTWAIT);

		if (n == 0)
			return len ? "half" : "EOF";
		if (n < 0)
			return errno == EAGAIN && !len ? "" : "half";
		if (!text[len])
			return text;
		len++;
	}
	return "long";
}

#define CALL(method, more)	   "{\"method\":\"net.weft.Node." method "\"" more "}"
#define CALL_CONTENT(method, more) "{\"method\":\"net.weft.Content." method "\"" more "}"
#define ID_REPLY		   "{\"parameters\":{\"node_id\":\"me\"}}"

static inline bool event_is(const char *text, int seq)
{
	char wanted[32];

	snprintf(wanted, sizeof(wanted), "{\"event\":{\"seq\":%d,", seq);
	return strstr(text, wanted) && strstr(text, "\"continues\":true");
}

#endif
