/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control socket's life: bind, accept, refuse, close. Home worker.
 *
 * Inbound: listener_ready -> client_open; client_ready -> request_take ->
 * control_call_dispatch -> the method's handler. Outbound: control_reply ->
 * control_client_write -> client_flush; control_event -> event_pump -> client_write.
 */
#include "control/control_server.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "varlink/node.h"
#include "base/container_of.h"
#include "base/process/ancestry.h"
#include "base/assert.h"
#include "base/monotonic.h"
#include "base/folder.h"
#include "base/log.h"
#include "codec/json_heap.h"

#define ACCEPT_PER_TURN_MAX 64
#define ACCEPT_PAUSE_NS	    (100 * NS_PER_MS)
#define PEER_GROUPS_MAX	    256

void control_config_defaults(struct control_config *config)
{
	*config = (struct control_config){
		.mode = 0600,
		.client_cap = 64,
		.request_len_max = 1536 * 1024, /* a call with a payload of 1 MiB, in base64 */
		.output_len_max = 1024 * 1024,
		.request_rate_per_s = 1000,
		.operate_gid = UINT32_MAX,
		.view_gid = UINT32_MAX,
		.event_cap = 1024,
		.call_cap = 4096,
	};
}

/* Calls without an id, and those with one. */
static uint32_t calls_cap(const struct control_config *config)
{
	return config->client_cap * CALLS_PER_CLIENT + config->call_cap;
}

/* refuse_fd sends the peer the reason, as far as the socket takes it, and closes. text is taken. */
static void refuse_fd(struct control *control, int fd, char *text, size_t len)
{
	control->stats.refused_cnt++;
	if (text)
		(void)send(fd, text, len + 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	free(text);
	close(fd);
}

static bool peer_is_in_group(int fd, gid_t primary, uint32_t wanted)
{
	gid_t groups[PEER_GROUPS_MAX];
	socklen_t len = sizeof(groups);

	if (wanted == UINT32_MAX)
		return false;
	if (primary == wanted)
		return true;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len) < 0)
		return false;
	for (size_t i = 0; i < len / sizeof(groups[0]); i++) {
		if (groups[i] == wanted)
			return true;
	}
	return false;
}

/* peer_read: false when nothing entitles the peer to be here. */
static bool peer_read(const struct control *control, int fd, struct place_peer *out_peer)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return false;
	if (cred.uid == 0 || cred.uid == geteuid())
		out_peer->role = CONTROL_ADMIN;
	else if (peer_is_in_group(fd, cred.gid, control->config.operate_gid))
		out_peer->role = CONTROL_OPERATE;
	else if (peer_is_in_group(fd, cred.gid, control->config.view_gid))
		out_peer->role = CONTROL_VIEW;
	else
		return false;
	out_peer->uid = cred.uid;
	out_peer->pid = cred.pid;
	return true;
}

/* refuse_full: wait_ms is when to come again, 0 when that cannot be known. */
static void refuse_full(struct control *control, int fd, uint32_t wait_ms)
{
	char next[128], *text;
	size_t len;

	snprintf(next, sizeof(next),
		 "come again in %u ms, close one, or raise client_cap in section [control]",
		 wait_ms);
	text = control_error_new(
		WEFT_EFULL,
		&(struct api_failure){.what = "control socket",
				      .why = "as many clients are connected as the daemon serves, "
					     "and yours hold as many places as anybody's",
				      .next = next},
		NULL, &len);
	refuse_fd(control, fd, text, len);
}

/*
 * peer_is_barred: the peer is a program that the daemon started. Or it is of the daemon's own user
 * and cannot be distinguished from one: it ended since it connected, or hides itself. Other users'
 * processes may be hidden from the daemon by /proc's own rules.
 */
static bool peer_is_barred(const struct control *control, int fd)
{
	pid_t ancestor = control->barred_ancestor ? control->barred_ancestor(control->ctx) : 0;
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (ancestor == 0)
		return false;
	switch (ancestry_of_peer(fd, ancestor)) {
	case ANCESTRY_NO:
		return false;
	case ANCESTRY_YES:
		return true;
	case ANCESTRY_UNKNOWN:
		break;
	}
	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0 || cred.uid == geteuid();
}

static void refuse_barred(struct control *control, int fd)
{
	size_t len;
	char *text = control_error_new(
		WEFT_EREFUSED,
		&(struct api_failure){.what = "control socket",
				      .why = "programs that this daemon starts for services may "
					     "not command it",
				      .next = "call other services by the gateway, or run weft "
					      "from outside the program"},
		NULL, &len);

	refuse_fd(control, fd, text, len);
}

static void refuse_unknown(struct control *control, int fd)
{
	size_t len;
	char *text = control_message_new(API_PERMISSION_DENIED_ERROR, NULL, false, NULL, &len);

	refuse_fd(control, fd, text, len);
}

static void admit(struct control *control, int fd)
{
	struct place_peer peer;
	uint32_t wait_ms = 0;

	if (peer_is_barred(control, fd))
		refuse_barred(control, fd);
	else if (!peer_read(control, fd, &peer))
		refuse_unknown(control, fd);
	else if (control_client_open(control, fd, &peer, &wait_ms) < 0)
		refuse_full(control, fd, wait_ms);
}

/*
 * accept_with_spare: out of descriptors, the spare one is given up to send
 * the client an error. Without it the listener would stay readable and the
 * worker would spin. Returns 1, 0 when no connection waits, or -errno.
 */
static int accept_with_spare(struct control *control)
{
	int fd, err;

	if (control->spare_fd < 0)
		return -EMFILE;
	close(control->spare_fd);
	fd = accept4(control->listener.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	err = fd < 0 ? -errno : 1;
	if (fd >= 0)
		refuse_full(control, fd, 0);
	control->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	return err == -EAGAIN ? 0 : err;
}

static void listener_pause(struct control *control)
{
	if (poller_change(control->poller, &control->listener, 0) < 0)
		return;
	timer_set(control->timers, &control->accept_timer, control->now_ns + ACCEPT_PAUSE_NS);
}

static void listener_ready(struct poller_watch *watch, unsigned events, uint64_t now_ns)
{
	struct control *control = container_of(watch, struct control, listener);

	(void)events;
	control->now_ns = now_ns;
	for (int i = 0; i < ACCEPT_PER_TURN_MAX; i++) {
		int fd = accept4(watch->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd >= 0) {
			admit(control, fd);
		} else if (errno == EMFILE || errno == ENFILE) {
			int served = accept_with_spare(control);

			if (served < 0)
				listener_pause(control);
			if (served <= 0)
				return;
		} else if (errno != EINTR && errno != ECONNABORTED) {
			return;
		}
	}
}

static void accept_timer_fire(struct timer *timer, uint64_t now_ns)
{
	struct control *control = container_of(timer, struct control, accept_timer);

	control->now_ns = now_ns;
	if (poller_change(control->poller, &control->listener, POLLER_IN) < 0)
		timer_set(control->timers, timer, now_ns + ACCEPT_PAUSE_NS);
}

/*
 * stale_remove: a socket file on which no daemon answers is left over from a
 * daemon that was killed. Anything else at path is not ours to remove.
 */
static int stale_remove(const struct sockaddr_un *sun)
{
	struct stat st;
	int fd, err;

	if (lstat(sun->sun_path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	err = connect(fd, (const struct sockaddr *)sun, sizeof(*sun)) < 0 ? -errno : 0;
	close(fd);
	if (err == 0 || err == -EAGAIN)
		return WEFT_EBUSY;
	if (err != -ECONNREFUSED)
		return err;
	return unlink(sun->sun_path) < 0 ? -errno : 0;
}

static int socket_bind(struct control *control, const struct sockaddr_un *sun)
{
	const struct control_config *config = &control->config;
	int fd = control->listener.fd;
	struct stat st;

	/* The mode of the socket becomes that of its file: no moment with a wider one. */
	if (fchmod(fd, config->mode) < 0 ||
	    bind(fd, (const struct sockaddr *)sun, sizeof(*sun)) < 0)
		return -errno;
	if (lstat(sun->sun_path, &st) == 0)
		control->bound_ino = st.st_ino;
	/* The umask may have narrowed what the groups are meant to have. */
	if (config->operate_gid != UINT32_MAX &&
	    chown(sun->sun_path, (uid_t)-1, config->operate_gid) < 0)
		return -errno;
	if (chmod(sun->sun_path, config->mode) < 0 || listen(fd, SOMAXCONN) < 0)
		return -errno;
	return 0;
}

static int listener_open(struct control *control)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int err;

	if (strlen(control->path) >= sizeof(sun.sun_path))
		return -ENAMETOOLONG;
	strcpy(sun.sun_path, control->path);
	err = folder_make_parents(control->path, 0755);
	if (err == 0)
		err = stale_remove(&sun);
	if (err < 0)
		return err;
	control->listener.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (control->listener.fd < 0)
		return -errno;
	err = socket_bind(control, &sun);
	return err < 0 ? err : poller_add(control->poller, &control->listener, POLLER_IN);
}

static int clients_lay_out(struct control *control)
{
	uint32_t cap = control->config.client_cap;
	int err = arena_open(&control->arena, ARENA_GROWS);

	if (err == 0)
		err = pool_init(&control->call_pool, &control->arena, sizeof(struct control_call),
				calls_cap(&control->config));
	if (err == 0)
		err = control_places_init(control);
	if (err == 0)
		err = pool_init(&control->clients, &control->arena, sizeof(struct control_client),
				cap + 1);
	arena_fit(&control->arena);
	return err;
}

size_t control_footprint(const struct control_config *config)
{
	size_t client_len = sizeof(struct control_client) + config->request_len_max + 1 +
			    config->output_len_max;
	struct control *control = calloc(1, sizeof(*control));
	size_t len = 0;

	if (!control)
		return 0;
	control->config = *config;
	if (clients_lay_out(control) == 0)
		len = sizeof(*control) + control->arena.used_len + config->client_cap * client_len +
		      config->event_cap *
			      (sizeof(struct event_entry) + 2 * CONTROL_EVENT_LEN_TYPICAL);
	arena_close(&control->arena);
	free(control);
	return len;
}

int control_open(const struct control_params *params, struct control **out_control)
{
	struct control *control = calloc(1, sizeof(*control));
	int err;

	if (!control)
		return -ENOMEM;
	json_heap_begin();
	control->config = params->config;
	control->methods = params->methods;
	control->upgrades = params->upgrades;
	control->ctx = params->ctx;
	control->poller = params->poller;
	control->timers = params->timers;
	control->load = params->load;
	control->now_ns = params->now_ns;
	control->barred_ancestor = params->barred_ancestor;
	control->stats.client_cap = params->config.client_cap;
	control->stats.pending_cap = params->config.call_cap;
	control->listener = (struct poller_watch){.ready = listener_ready, .fd = -1};
	timer_init(&control->accept_timer, accept_timer_fire);
	control->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	control->path = strdup(params->config.path);
	control->torn = control_error_torn();
	control->events = calloc(params->config.event_cap, sizeof(*control->events));
	err = control->path && control->torn && control->events ? 0 : -ENOMEM;
	if (err == 0)
		err = clients_lay_out(control);
	if (err == 0)
		err = listener_open(control);
	if (err < 0) {
		control_close(control);
		return err;
	}
	*out_control = control;
	return 0;
}

static void listener_close(struct control *control)
{
	struct stat st;

	if (control->listener.fd < 0)
		return;
	poller_remove(control->poller, &control->listener);
	if (control->bound_ino && lstat(control->path, &st) == 0 && st.st_ino == control->bound_ino)
		(void)unlink(control->path);
	close(control->listener.fd);
}

void control_close(struct control *control)
{
	struct control_client *client;

	if (!control)
		return;
	listener_close(control);
	if (control->clients.cap_cnt) {
		while ((client = pool_next(&control->clients, NULL)) != NULL)
			control_client_close(client);
	}
	while (control->calls)
		control_call_free(control->calls);
	timer_cancel(control->timers, &control->accept_timer);
	control_events_free(control);
	arena_close(&control->arena);
	if (control->spare_fd >= 0)
		close(control->spare_fd);
	json_decref(control->torn);
	free(control->path);
	free(control);
}

void control_configure(struct control *control, const struct control_config *config)
{
	control->config.request_rate_per_s = config->request_rate_per_s;
	control->config.output_len_max = config->output_len_max;
	control->config.request_len_max = config->request_len_max;
}

void control_places(const struct control *control, struct fair_view *out)
{
	fair_read(&control->places.fair, out);
}

void control_pending(const struct control *control, struct fair_view *out)
{
	fair_read(&control->pending.fair, out);
}

void control_stats(const struct control *control, struct control_stats *out_stats)
{
	*out_stats = control->stats;
}
