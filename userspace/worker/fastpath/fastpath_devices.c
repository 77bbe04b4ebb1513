/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A device joins the workers and leaves them. Queue q of every device is
 * worker q mod N's, home's among them; the others get messages.
 *
 * One that joins: the tables are filled, each worker is given its queues,
 * and only then the program gets this machine's addresses. One that
 * leaves goes the same way back. The program hands nothing more to its
 * queues, each worker takes the frames that stand in them and lets go.
 * When the last has, the device is detached.
 */
#include <string.h>

#include "base/log.h"
#include "worker/fastpath/fastpath.h"
#include "worker/worker.h"
#include "worker/workers.h"

unsigned worker_fastpath_queue_worker(const struct fastpath *fastpath, unsigned queue)
{
	return queue % fastpath->params.worker_cnt;
}

static struct workers_queue workers_queue_of(const struct fastpath_device *device,
					     struct xdp_queue *queue)
{
	return (struct workers_queue){.queue = queue,
				      .device = device->number,
				      .idx = queue->idx,
				      .serial = device->serial};
}

/* Frames that arrive there come by the kernel's sockets. */
static void queue_refused(struct fastpath_device *device, unsigned idx, int err)
{
	struct xdp *xdp = device->fastpath->xdp;

	log_warn("queue %u of %s is not served: %s; its datagrams come by the kernel's socket", idx,
		 net_xdp_device_info(xdp, device->number)->name, weft_err_text(err));
	net_xdp_unhook_queue(xdp, device->number, idx);
	device->away_set &= ~(1u << idx);
}

static void queue_give(struct fastpath_device *device, struct xdp_queue *queue)
{
	struct fastpath *fastpath = device->fastpath;
	unsigned worker = worker_fastpath_queue_worker(fastpath, queue->idx);
	struct workers_queue order = workers_queue_of(device, queue);
	int err = 0;

	if (!worker) {
		err = worker_add_queue(fastpath->params.home, queue);
	} else {
		device->away_set |= 1u << queue->idx;
		if (!workers_add_queue(fastpath->workers, worker, &order))
			err = WEFT_EFULL;
	}
	if (err < 0)
		queue_refused(device, queue->idx, err);
}

int worker_fastpath_device_taken(struct fastpath *fastpath, struct xdp_device *opened,
				 const char **why)
{
	int number = net_xdp_take(fastpath->xdp, opened);
	const struct xdp_device_info *info;
	struct fastpath_device *device;
	struct xdp_queue *queue;

	if (number < 0) {
		*why = weft_err_text(number);
		net_xdp_device_close(opened);
		return number;
	}
	device = &fastpath->devices[number];
	device->serial = ++fastpath->serial_cnt;
	worker_fastpath_tables_push(fastpath);
	for (unsigned i = 0; (queue = net_xdp_queue_of(fastpath->xdp, device->number, i)); i++)
		queue_give(device, queue);
	worker_fastpath_addresses_changed(fastpath);
	info = net_xdp_device_info(fastpath->xdp, device->number);
	log_info("XDP attached to %s, %s mode, %u queue%s, %s: %s", info->name,
		 info->mode == XDP_NATIVE ? "native" : "generic", info->queue_cnt,
		 info->queue_cnt == 1 ? "" : "s",
		 net_xdp_queue_of(fastpath->xdp, device->number, 0)->rx->backend,
		 info->mode_reason);
	fastpath->params.event(fastpath->params.ctx, "xdp.attached", info->name, info->mode_reason);
	return number;
}

/* No worker has a queue of it any more. */
static void device_gone(struct fastpath_device *device)
{
	static const char then[] = "datagrams come by the kernel's socket";
	struct fastpath *fastpath = device->fastpath;
	const char *event = device->leaving;
	char name[XDP_NAME_CAP];

	memcpy(name, net_xdp_device_info(fastpath->xdp, device->number)->name, sizeof(name));
	net_xdp_detach(fastpath->xdp, device->number);
	device->leaving = NULL;
	worker_fastpath_config_push(fastpath);
	log_info("XDP detached from %s; %s", name, then);
	fastpath->params.event(fastpath->params.ctx, event, name, then);
	if (device->detached)
		device->detached(device->detached_ctx);
	device->detached = NULL;
}

/* Orders back those that are still away; a worker without the queue says so again. */
static void queues_recall(struct fastpath_device *device)
{
	struct fastpath *fastpath = device->fastpath;
	struct xdp_queue *queue;

	for (unsigned i = 0; (queue = net_xdp_queue_of(fastpath->xdp, device->number, i)); i++) {
		struct workers_queue order = workers_queue_of(device, queue);

		if (device->away_set & 1u << i)
			(void)workers_remove_queue(fastpath->workers,
						   worker_fastpath_queue_worker(fastpath, i),
						   &order);
	}
}

void worker_fastpath_device_remove(struct fastpath *fastpath, unsigned number, const char *event)
{
	struct fastpath_device *device = &fastpath->devices[number];
	struct xdp_queue *queue;

	if (device->leaving)
		return;
	device->leaving = event;
	timer_cancel(&fastpath->params.home->timers, &device->confirm_timer);
	device->confirm_at_ns = 0;
	net_xdp_unhook(fastpath->xdp, number);
	for (unsigned i = 0; (queue = net_xdp_queue_of(fastpath->xdp, number, i)); i++)
		worker_remove_queue(fastpath->params.home, queue);
	queues_recall(device);
	if (!device->away_set)
		device_gone(device);
}

void worker_fastpath_on_queue_left(struct fastpath *fastpath, const struct workers_queue *left,
				   int err)
{
	struct fastpath_device *device = &fastpath->devices[left->device];

	/* A second report, when it was ordered twice: of a device that is gone, perhaps. */
	if (left->serial != device->serial || !(device->away_set & 1u << left->idx))
		return;
	if (err < 0)
		queue_refused(device, left->idx, err);
	device->away_set &= ~(1u << left->idx);
	if (device->leaving && !device->away_set)
		device_gone(device);
}

bool worker_fastpath_is_changing(const struct fastpath *fastpath)
{
	for (unsigned i = 0; i < XDP_DEVICE_MAX; i++)
		if (fastpath->devices[i].leaving)
			return true;
	return fastpath->attaching != NULL;
}

void worker_fastpath_devices_check(struct fastpath *fastpath)
{
	if (fastpath->attaching)
		return;
	for (unsigned i = 0; i < XDP_DEVICE_MAX; i++) {
		const struct xdp_device_info *info = net_xdp_device_info(fastpath->xdp, i);

		if (info && info->is_lost)
			worker_fastpath_device_remove(fastpath, i, "xdp.detached");
	}
}

void worker_fastpath_devices_repeat(struct fastpath *fastpath)
{
	for (unsigned i = 0; i < XDP_DEVICE_MAX; i++)
		if (fastpath->devices[i].leaving)
			queues_recall(&fastpath->devices[i]);
}

void worker_fastpath_tell_mtu(struct fastpath *fastpath, unsigned number)
{
	uint32_t mtu = net_xdp_device_info(fastpath->xdp, number)->mtu;

	worker_set_mtu(fastpath->params.home, number, mtu);
	if (fastpath->workers)
		workers_set_mtu(fastpath->workers, number, mtu);
}

void worker_fastpath_devices_close(struct fastpath *fastpath)
{
	for (unsigned i = 0; i < XDP_DEVICE_MAX; i++) {
		struct fastpath_device *device = &fastpath->devices[i];

		if (!net_xdp_device_info(fastpath->xdp, i))
			continue;
		device->away_set = 0;
		if (device->leaving)
			device_gone(device);
		else
			worker_fastpath_device_remove(fastpath, i, "xdp.detached");
	}
}
