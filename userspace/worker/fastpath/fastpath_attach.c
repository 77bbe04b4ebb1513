/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attaching, keeping, detaching. The kernel verifies the program for
 * tenths of a second, so a thread that lives no longer does that. It
 * inherits the worker's capabilities, and they end with it. At most one
 * runs, and devices neither come nor go meanwhile.
 */
#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/monotonic.h"
#include "base/process/crash.h"
#include "base/log.h"
#include "base/process/privilege.h"
#include "base/process/sandbox.h"
#include "worker/fastpath/fastpath.h"
#include "worker/worker.h"
#include "worker/workers.h"

struct attaching {
	struct poller_watch watch; /* first; an eventfd */
	struct fastpath *fastpath;
	pthread_t thread;
	char name[XDP_NAME_CAP];
	struct xdp_config config;
	uint64_t confirm_ns;
	fastpath_attached_fn done;
	void *ctx;
	struct xdp_device *device; /* the thread's results */
	int err;
	char why[XDP_WHY_CAP];
};

static void *attaching_main(void *arg)
{
	struct attaching *attaching = arg;
	const uint64_t one = 1;

	crash_thread_begin("attach");
	sandbox_enter(SANDBOX_ATTACH);
	attaching->err = net_xdp_device_open(attaching->fastpath->xdp, &attaching->config,
					     attaching->name, &attaching->device, attaching->why);
	while (write(attaching->watch.fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
	return NULL;
}

static void attaching_join(struct attaching *attaching)
{
	struct fastpath *fastpath = attaching->fastpath;

	(void)pthread_join(attaching->thread, NULL);
	poller_remove(fastpath->params.home->poller, &attaching->watch);
	close(attaching->watch.fd);
	fastpath->attaching = NULL;
}

static void confirm_fire(struct timer *timer, uint64_t now_ns)
{
	struct fastpath_device *device = (struct fastpath_device *)timer;
	struct fastpath *fastpath = device->fastpath;

	/* While another one is being attached devices do not go: a moment later. */
	if (fastpath->attaching) {
		timer_set(&fastpath->params.home->timers, timer, now_ns + NS_PER_S / 10);
		return;
	}
	log_warn("%s was not kept in time (weft xdp keep): detaching it",
		 net_xdp_device_info(fastpath->xdp, device->number)->name);
	worker_fastpath_device_remove(fastpath, device->number, "xdp.unconfirmed");
}

static void confirm_begin(struct fastpath_device *device, uint64_t confirm_ns)
{
	if (!confirm_ns)
		return;
	device->confirm_at_ns = clock_monotonic_ns() + confirm_ns;
	timer_init(&device->confirm_timer, confirm_fire);
	timer_set(&device->fastpath->params.home->timers, &device->confirm_timer,
		  device->confirm_at_ns);
}

static void attaching_ready(struct poller_watch *watch, unsigned events, uint64_t now_ns)
{
	struct attaching *attaching = (struct attaching *)watch;
	struct fastpath *fastpath = attaching->fastpath;
	const char *why = attaching->why;
	int number = attaching->err;

	(void)events, (void)now_ns;
	attaching_join(attaching);
	if (number >= 0)
		number = worker_fastpath_device_taken(fastpath, attaching->device, &why);
	if (number >= 0)
		confirm_begin(&fastpath->devices[number], attaching->confirm_ns);
	else
		log_warn("XDP is not attached to %s: %s; datagrams come by the kernel's socket",
			 attaching->name, why);
	if (attaching->done)
		attaching->done(attaching->ctx, number, why);
	free(attaching);
}

static int attaching_start(struct attaching *attaching)
{
	struct fastpath *fastpath = attaching->fastpath;
	int err;

	attaching->watch.ready = attaching_ready;
	attaching->watch.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (attaching->watch.fd < 0)
		return -errno;
	err = poller_add(fastpath->params.home->poller, &attaching->watch, POLLER_IN);
	if (err < 0)
		goto close_fd;
	err = -pthread_create(&attaching->thread, NULL, attaching_main, attaching);
	if (err < 0)
		goto remove_watch;
	fastpath->attaching = attaching;
	return 0;
remove_watch:
	poller_remove(fastpath->params.home->poller, &attaching->watch);
close_fd:
	close(attaching->watch.fd);
	return err;
}

int worker_fastpath_attach(struct fastpath *fastpath, const struct fastpath_attach *attach)
{
	struct attaching *attaching;
	int err;

	if (worker_fastpath_is_changing(fastpath))
		return WEFT_EBUSY;
	if (strlen(attach->name) >= XDP_NAME_CAP || !*attach->name)
		return -ENODEV;
	if (worker_fastpath_lookup(fastpath, attach->name) >= 0)
		return WEFT_EEXISTS;
	attaching = calloc(1, sizeof(*attaching));
	if (!attaching)
		return -ENOMEM;
	attaching->fastpath = fastpath;
	snprintf(attaching->name, sizeof(attaching->name), "%s", attach->name);
	attaching->config = fastpath->params.config->xdp;
	attaching->config.mode = attach->mode;
	attaching->config.send = attach->send;
	attaching->confirm_ns = attach->confirm_ns;
	attaching->done = attach->done;
	attaching->ctx = attach->ctx;
	err = attaching_start(attaching);
	if (err < 0)
		free(attaching);
	return err;
}

void worker_fastpath_attach_forget(struct fastpath *fastpath, void *ctx)
{
	if (fastpath->attaching && fastpath->attaching->ctx == ctx)
		fastpath->attaching->done = NULL;
}

void worker_fastpath_attach_abandon(struct fastpath *fastpath)
{
	struct attaching *attaching = fastpath->attaching;

	if (!attaching)
		return;
	attaching_join(attaching);
	net_xdp_device_close(attaching->device);
	free(attaching);
}

/* The devices that the configuration names, one after the other; then the privilege goes. */
static void named_next(void *ctx, int device, const char *why)
{
	struct fastpath *fastpath = ctx;

	if (device < 0)
		snprintf(fastpath->last_error, sizeof(fastpath->last_error), "%s", why);
	worker_fastpath_attach_named(fastpath);
}

static bool named_take(struct fastpath *fastpath, char name[static XDP_NAME_CAP])
{
	const char *at = fastpath->params.config->interfaces + fastpath->named_off;
	size_t skip = strspn(at, ", \t"), len = strcspn(at + skip, ", \t");

	fastpath->named_off += (unsigned)(skip + len);
	snprintf(name, XDP_NAME_CAP, "%.*s", (int)len, at + skip);
	return len > 0;
}

static void named_end(struct fastpath *fastpath)
{
	int err;

	if (fastpath->params.config->keeps_privilege || !fastpath->named_off ||
	    !privilege_is_held())
		return;
	err = privilege_drop();
	if (err < 0) {
		log_warn("CAP_BPF, CAP_NET_ADMIN and CAP_NET_RAW cannot be dropped: %s",
			 weft_err_text(err));
		return;
	}
	fastpath->is_privilege_dropped = true;
	log_info("CAP_BPF, CAP_NET_ADMIN and CAP_NET_RAW are dropped; attaching another device "
		 "takes a restart, or xdp.keep_privilege = yes");
}

void worker_fastpath_attach_named(struct fastpath *fastpath)
{
	const struct xdp_config *config = &fastpath->params.config->xdp;
	char name[XDP_NAME_CAP];

	while (config->mode != XDP_OFF && named_take(fastpath, name)) {
		const struct fastpath_attach attach = {.name = name,
						       .mode = config->mode,
						       .send = config->send,
						       .done = named_next,
						       .ctx = fastpath};
		int err = worker_fastpath_attach(fastpath, &attach);

		if (err == 0)
			return;
		log_warn("XDP is not attached to %s: %s", name, weft_err_text(err));
	}
	named_end(fastpath);
}

int worker_fastpath_lookup(const struct fastpath *fastpath, const char *name)
{
	for (unsigned i = 0; i < XDP_DEVICE_MAX; i++) {
		const struct xdp_device_info *info = net_xdp_device_info(fastpath->xdp, i);

		if (info && strcmp(info->name, name) == 0)
			return (int)i;
	}
	return WEFT_EABSENT;
}

int worker_fastpath_keep(struct fastpath *fastpath, const char *name)
{
	int device = worker_fastpath_lookup(fastpath, name);

	if (device < 0)
		return device;
	timer_cancel(&fastpath->params.home->timers, &fastpath->devices[device].confirm_timer);
	fastpath->devices[device].confirm_at_ns = 0;
	return 0;
}

int worker_fastpath_detach(struct fastpath *fastpath, const char *name,
			   fastpath_detached_fn detached, void *ctx)
{
	int number = worker_fastpath_lookup(fastpath, name);
	struct fastpath_device *device;

	if (number < 0)
		return number;
	if (worker_fastpath_is_changing(fastpath))
		return WEFT_EBUSY;
	device = &fastpath->devices[number];
	worker_fastpath_device_remove(fastpath, (unsigned)number, "xdp.detached");
	if (!device->leaving)
		return 1;
	device->detached = detached;
	device->detached_ctx = ctx;
	return 0;
}

void worker_fastpath_detach_forget(struct fastpath *fastpath, void *ctx)
{
	for (unsigned i = 0; i < XDP_DEVICE_MAX; i++)
		if (fastpath->devices[i].detached_ctx == ctx)
			fastpath->devices[i].detached = NULL;
}
