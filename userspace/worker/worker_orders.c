/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Home's orders to its workers. Each function of workers.h runs on home's thread and posts
 * the static one above it. That one runs on the worker's thread at the end of a turn. A
 * full mailbox never loses an order that matters, for home gives it again.
 */
#include <stdlib.h>
#include <string.h>

#include "firewall/ban_list.h"
#include "firewall/ingress.h"
#include "mesh/mesh.h"
#include "net/packet_io.h"
#include "quic/quic.h"
#include "worker_handle.h"

static bool order_all(struct workers *workers, mailbox_fn obey, const void *bytes, size_t len)
{
	const struct mailbox_message order = {.run = obey, .bytes = bytes, .len = len};
	bool is_posted = true;

	for (unsigned i = 0; i < workers->cnt; i++)
		is_posted &= mailbox_post(&workers->handles[i].orders, &order);
	return is_posted;
}

bool workers_is_crowded(const struct workers *workers, unsigned idx)
{
	return mailbox_fill(&workers->handles[idx - 1].orders) > WORKER_ORDER_CNT_MAX / 2;
}

/* An object that an order hands over: the message has a pointer to it. */
static void *object_of(const void *bytes)
{
	return *(void *const *)bytes;
}

static void object_free(const void *bytes)
{
	free(object_of(bytes));
}

bool workers_order_content(struct workers *workers, unsigned idx,
			   const struct mailbox_message *order)
{
	struct mailbox_message to_content = *order;

	to_content.to = WORKER_MAIL_CONTENT;
	return mailbox_post(&workers->handles[idx - 1].orders, &to_content);
}

static void take_bans(void *object, const void *bytes, size_t len)
{
	struct worker_handle *handle = object;

	(void)len;
	worker_take_bans(&handle->worker, object_of(bytes), handle->worker.now_ns);
}

bool workers_spread_bans(struct workers *workers, const struct ban_list *bans, uint64_t wall_s,
			 uint64_t now_ns)
{
	bool is_posted = true;

	for (unsigned i = 0; i < workers->cnt; i++)
		is_posted &=
			mailbox_post_object(&workers->handles[i].orders, take_bans, object_free,
					    firewall_ban_list_copy(bans, wall_s, now_ns));
	return is_posted;
}

static void take_policy(void *object, const void *bytes, size_t len)
{
	struct worker_handle *handle = object;

	(void)len;
	firewall_ingress_configure(handle->worker.ingress, bytes);
}

bool workers_spread_policy(struct workers *workers, const struct weft_config *part)
{
	return order_all(workers, take_policy, part, sizeof(*part));
}

static void set_caps(void *object, const void *bytes, size_t len)
{
	struct worker_handle *handle = object;
	const uint32_t *caps = bytes;

	(void)len;
	mesh_set_caps(handle->worker.mesh, *caps);
}

bool workers_spread_caps(struct workers *workers, uint32_t caps)
{
	return order_all(workers, set_caps, &caps, sizeof(caps));
}

static void set_keepalive(void *object, const void *bytes, size_t len)
{
	struct worker_handle *handle = object;
	const uint64_t *pause_ns = bytes;

	(void)len;
	quic_engine_set_nat_keepalive(handle->worker.quic, *pause_ns, handle->worker.now_ns);
}

bool workers_spread_keepalive(struct workers *workers, uint64_t pause_ns)
{
	return order_all(workers, set_keepalive, &pause_ns, sizeof(pause_ns));
}

static void set_addrs(void *object, const void *bytes, size_t len)
{
	struct worker_handle *handle = object;

	mesh_set_addrs(handle->worker.mesh, bytes, (unsigned)(len / sizeof(struct addr)));
}

bool workers_spread_addrs(struct workers *workers, const struct addr *addrs, unsigned cnt)
{
	return order_all(workers, set_addrs, addrs, cnt * sizeof(addrs[0]));
}

struct shares_order {
	uint32_t cnt;
	struct mesh_share shares[];
};

static void take_shares(void *object, const void *bytes, size_t len)
{
	struct worker_handle *handle = object;
	struct shares_order *order = object_of(bytes);

	(void)len;
	mesh_take_shares(handle->worker.mesh, order->shares, order->cnt, handle->worker.now_ns);
	free(order);
}

bool workers_spread_shares(struct workers *workers, const struct mesh_share *shares, uint32_t cnt)
{
	bool is_posted = true;

	for (unsigned i = 0; i < workers->cnt; i++) {
		struct shares_order *order = malloc(sizeof(*order) + cnt * sizeof(*shares));

		if (order) {
			order->cnt = cnt;
			if (cnt)
				memcpy(order->shares, shares, cnt * sizeof(*shares));
		}
		is_posted &= mailbox_post_object(&workers->handles[i].orders, take_shares,
						 object_free, order);
	}
	return is_posted;
}

struct config_order {
	struct quic_config quic;
	struct mesh_config mesh;
};

static void configure(void *object, const void *bytes, size_t len)
{
	struct worker_handle *handle = object;
	const struct config_order *order = bytes;

	(void)len;
	quic_engine_configure(handle->worker.quic, &order->quic);
	mesh_configure(handle->worker.mesh, &order->mesh);
}

bool workers_configure(struct workers *workers, const struct worker_config *live)
{
	const struct config_order order = {*live->quic, *live->mesh};

	return order_all(workers, configure, &order, sizeof(order));
}

struct wall_order {
	uint64_t wall_s, now_ns;
};

static void set_wall(void *object, const void *bytes, size_t len)
{
	struct worker_handle *handle = object;
	const struct wall_order *order = bytes;

	(void)len;
	worker_set_wall(&handle->worker, order->wall_s, order->now_ns);
}

void workers_set_wall(struct workers *workers, uint64_t wall_s, uint64_t now_ns)
{
	const struct wall_order order = {wall_s, now_ns};

	(void)order_all(workers, set_wall, &order, sizeof(order));
}

static void add_queue(void *object, const void *bytes, size_t len)
{
	struct worker_handle *handle = object;
	const struct workers_queue *queue = bytes;
	int err = worker_add_queue(&handle->worker, queue->queue);

	(void)len;
	if (err < 0)
		worker_report_queue_left(handle, queue, err);
	else
		worker_report_figures(handle);
}

static bool order_queue(struct workers *workers, unsigned idx, mailbox_fn obey,
			const struct workers_queue *queue)
{
	const struct mailbox_message order = {.run = obey, .bytes = queue, .len = sizeof(*queue)};

	return mailbox_post(&workers->handles[idx - 1].orders, &order);
}

bool workers_add_queue(struct workers *workers, unsigned idx, const struct workers_queue *queue)
{
	return order_queue(workers, idx, add_queue, queue);
}

static void remove_queue(void *object, const void *bytes, size_t len)
{
	struct worker_handle *handle = object;
	const struct workers_queue *queue = bytes;

	(void)len;
	worker_remove_queue(&handle->worker, queue->queue);
	worker_report_queue_left(handle, queue, 0);
}

bool workers_remove_queue(struct workers *workers, unsigned idx, const struct workers_queue *queue)
{
	return order_queue(workers, idx, remove_queue, queue);
}

struct mtu_order {
	unsigned device;
	uint32_t mtu;
};

static void set_mtu(void *object, const void *bytes, size_t len)
{
	struct worker_handle *handle = object;
	const struct mtu_order *order = bytes;

	(void)len;
	worker_set_mtu(&handle->worker, order->device, order->mtu);
}

void workers_set_mtu(struct workers *workers, unsigned device, uint32_t mtu)
{
	const struct mtu_order order = {device, mtu};

	(void)order_all(workers, set_mtu, &order, sizeof(order));
}

static void wake(void *object, const void *bytes, size_t len)
{
	struct worker_handle *handle = object;

	(void)bytes, (void)len;
	worker_wake(&handle->worker, handle->worker.now_ns);
}

void workers_wake(struct workers *workers)
{
	(void)order_all(workers, wake, NULL, 0);
}

static void hold(void *object, const void *bytes, size_t len)
{
	struct worker_handle *handle = object;

	(void)len;
	worker_hold(&handle->worker, bytes);
}

void workers_hold(struct workers *workers, const struct udp_hold *addrs)
{
	(void)order_all(workers, hold, addrs, sizeof(*addrs));
}

static void rotate_cids(void *object, const void *bytes, size_t len)
{
	struct worker_handle *handle = object;

	(void)bytes, (void)len;
	worker_rotate_cids(&handle->worker);
	worker_report_figures(handle);
}

/* All or none: each mailbox has room. */
bool workers_try_rotate_cids(struct workers *workers)
{
	for (unsigned i = 0; i < workers->cnt; i++)
		if (!workers->handles[i].figures.can_rotate_cids ||
		    workers_is_crowded(workers, i + 1))
			return false;
	/* Their reports were of the last generation. */
	for (unsigned i = 0; i < workers->cnt; i++)
		workers->handles[i].figures.can_rotate_cids = false;
	return order_all(workers, rotate_cids, NULL, 0);
}
