/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A binary heap of frames and a packet socket. Frames leave past the
 * queueing discipline of their device, as they would leave a cable.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "delay_line.h"
#include "wire.bpf.h"

#define BATCH_MAX	 64
#define SLOT_CNT_INITIAL 1024
#define MAC_PAIR_LEN	 12
#define VLAN_TAG_LEN	 4

struct waiting {
	uint64_t depart_ns;
	uint64_t serial;
	uint32_t out_ifindex;
	uint32_t len;
	uint8_t frame[];
};

struct delay_line {
	struct waiting **heap; /* heap[0] departs first */
	size_t cnt, cap;
	size_t bytes, bytes_max;
	uint64_t next_serial;
	uint64_t dropped_cnt;
	int fd;
};

struct delay_line *delay_line_new(size_t bytes_max)
{
	struct delay_line *line = calloc(1, sizeof(*line));

	if (!line)
		return NULL;
	line->bytes_max = bytes_max;
	line->cap = SLOT_CNT_INITIAL;
	line->heap = calloc(line->cap, sizeof(*line->heap));
	/* Protocol 0: this socket receives nothing. */
	line->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (!line->heap || line->fd < 0 ||
	    setsockopt(line->fd, SOL_PACKET, PACKET_QDISC_BYPASS, &(int){1}, sizeof(int)) < 0) {
		delay_line_free(line);
		return NULL;
	}
	return line;
}

void delay_line_free(struct delay_line *line)
{
	if (!line)
		return;
	for (size_t i = 0; i < line->cnt; i++)
		free(line->heap[i]);
	free(line->heap);
	if (line->fd >= 0)
		close(line->fd);
	free(line);
}

static bool departs_before(const struct waiting *a, const struct waiting *b)
{
	return a->depart_ns != b->depart_ns ? a->depart_ns < b->depart_ns : a->serial < b->serial;
}

static void heap_push(struct delay_line *line, struct waiting *waiting)
{
	size_t at = line->cnt++;

	while (at > 0 && departs_before(waiting, line->heap[(at - 1) / 2])) {
		line->heap[at] = line->heap[(at - 1) / 2];
		at = (at - 1) / 2;
	}
	line->heap[at] = waiting;
}

static struct waiting *heap_pop(struct delay_line *line)
{
	struct waiting *first = line->heap[0], *last = line->heap[--line->cnt];
	size_t at = 0, child;

	while ((child = 2 * at + 1) < line->cnt) {
		if (child + 1 < line->cnt &&
		    departs_before(line->heap[child + 1], line->heap[child]))
			child++;
		if (!departs_before(line->heap[child], last))
			break;
		line->heap[at] = line->heap[child];
		at = child;
	}
	line->heap[at] = last;
	return first;
}

static bool heap_has_room(struct delay_line *line)
{
	struct waiting **bigger;

	if (line->cnt < line->cap)
		return true;
	bigger = reallocarray(line->heap, line->cap * 2, sizeof(struct waiting *));
	if (!bigger)
		return false;
	line->heap = bigger;
	line->cap *= 2;
	return true;
}

/* The tag of a VLAN frame travels beside it in the kernel; on a wire it is inside. */
static void copy_frame(struct waiting *waiting, const struct wire_held *held, const uint8_t *frame)
{
	uint16_t tci_be = htons(held->vlan_tci);
	uint8_t *to = waiting->frame;

	if (!held->has_vlan || held->len < MAC_PAIR_LEN) {
		memcpy(to, frame, held->len);
		return;
	}
	memcpy(to, frame, MAC_PAIR_LEN);
	memcpy(to + MAC_PAIR_LEN, &held->vlan_proto_be, sizeof(held->vlan_proto_be));
	memcpy(to + MAC_PAIR_LEN + sizeof(held->vlan_proto_be), &tci_be, sizeof(tci_be));
	memcpy(to + MAC_PAIR_LEN + VLAN_TAG_LEN, frame + MAC_PAIR_LEN, held->len - MAC_PAIR_LEN);
	waiting->len += VLAN_TAG_LEN;
}

void delay_line_put(struct delay_line *line, const struct wire_held *held, const void *frame)
{
	struct waiting *waiting = NULL;

	if (line->bytes + held->len <= line->bytes_max && heap_has_room(line))
		waiting = malloc(sizeof(*waiting) + held->len + VLAN_TAG_LEN);
	if (!waiting) {
		line->dropped_cnt++;
		return;
	}
	waiting->depart_ns = held->depart_ns;
	waiting->serial = line->next_serial++;
	waiting->out_ifindex = held->out_ifindex;
	waiting->len = held->len;
	copy_frame(waiting, held, frame);
	line->bytes += waiting->len;
	heap_push(line, waiting);
}

struct batch {
	struct waiting *waiting[BATCH_MAX];
	struct sockaddr_ll addrs[BATCH_MAX];
	struct iovec iovs[BATCH_MAX];
	struct mmsghdr msgs[BATCH_MAX];
	unsigned cnt;
};

static void batch_add(struct batch *batch, struct waiting *waiting)
{
	unsigned i = batch->cnt++;

	batch->waiting[i] = waiting;
	batch->addrs[i] = (struct sockaddr_ll){.sll_family = AF_PACKET,
					       .sll_ifindex = (int)waiting->out_ifindex};
	batch->iovs[i] = (struct iovec){waiting->frame, waiting->len};
	batch->msgs[i] = (struct mmsghdr){.msg_hdr = {.msg_name = &batch->addrs[i],
						      .msg_namelen = sizeof(batch->addrs[i]),
						      .msg_iov = &batch->iovs[i],
						      .msg_iovlen = 1}};
}

static void batch_send(struct delay_line *line, struct batch *batch)
{
	for (unsigned done = 0; done < batch->cnt;) {
		int cnt = sendmmsg(line->fd, batch->msgs + done, batch->cnt - done, MSG_DONTWAIT);

		if (cnt > 0) {
			done += (unsigned)cnt;
		} else if (errno != EINTR) {
			line->dropped_cnt++;
			done++;
		}
	}
	for (unsigned i = 0; i < batch->cnt; i++) {
		line->bytes -= batch->waiting[i]->len;
		free(batch->waiting[i]);
	}
	batch->cnt = 0;
}

uint64_t delay_line_send(struct delay_line *line, uint64_t now_ns)
{
	struct batch batch = {.cnt = 0};

	while (line->cnt > 0 && line->heap[0]->depart_ns <= now_ns) {
		batch_add(&batch, heap_pop(line));
		if (batch.cnt == BATCH_MAX)
			batch_send(line, &batch);
	}
	batch_send(line, &batch);
	return line->cnt > 0 ? line->heap[0]->depart_ns : UINT64_MAX;
}

uint64_t delay_line_dropped_cnt(const struct delay_line *line)
{
	return line->dropped_cnt;
}
