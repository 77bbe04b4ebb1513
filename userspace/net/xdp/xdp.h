/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_NET_XDP_XDP_H
#define WEFT_NET_XDP_XDP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "weft/err.h"
#include "weft/xdp_maps.h"
#include "weft/krpc_tables.h"
#include "weft/relay_tables.h"

/*
 * The XDP program in front of devices, the AF_XDP sockets behind it, and
 * its tables.
 *
 * A device is attached in two steps. net_xdp_device_open loads and verifies the
 * program, which takes tenths of a second, attaches it and opens the sockets,
 * on a thread of its own. net_xdp_take then gives the device to the worker. The
 * program passes everything to the kernel until the table of locals names an
 * address. So the other tables are filled before, and nothing is lost on the
 * way. Detaching goes the same way back.
 *
 * A device has a socket for each queue that it serves. Each queue belongs to
 * one worker (struct xdp_queue), which alone works its rings and frames. Each
 * worker has its own way to send (struct xdp_worker). All else is home's:
 * functions of a struct xdp are for the thread that made it.
 *
 * The program hangs on a bpf_link that lives no longer than this process:
 * after kill -9 nothing stays attached.
 *
 * Privilege: net_xdp_device_open needs CAP_BPF, CAP_NET_ADMIN and CAP_NET_RAW
 * and no other, and locked memory for the sockets' frames (RLIMIT_MEMLOCK or
 * CAP_IPC_LOCK). Once they are dropped (base/process/privilege.h) everything
 * else here works on: reading and writing tables, detaching, faults. No device
 * can be attached then. Before Linux 5.19 tables are accessible only where
 * kernel.unprivileged_bpf_disabled is 0.
 */
struct packet_rx;
struct packet_tx;
struct xdp;
struct xdp_device;

#define XDP_DEVICE_MAX 4
#define XDP_QUEUE_MAX  16
#define XDP_NAME_CAP   16 /* IFNAMSIZ */
#define XDP_WHY_CAP    256

enum xdp_mode { XDP_AUTO, XDP_NATIVE, XDP_GENERIC, XDP_OFF };
enum xdp_send { XDP_SEND_AUTO, XDP_SEND_UDP, XDP_SEND_AF_XDP };

struct xdp_config {
	enum xdp_mode mode;
	enum xdp_send send;
	uint32_t queue_cnt; /* queues to serve at most, 1 to XDP_QUEUE_MAX; 0: all of the device */
	uint32_t frame_cnt; /* frames a queue receives into, a power of two, 256 to 32,768 */
	uint32_t session_cap;	 /* paths of sessions that the program knows */
	uint32_t relay_flow_cnt; /* of a relay, else 0 */
	uint32_t worker_cnt; /* they share the queues: queue q is worker q % worker_cnt's; 0 is 1 */
};

void net_xdp_config_defaults(struct xdp_config *config);

/*
 * net_xdp_plan says what attaching would do, and does nothing. is_possible is
 * false with the reason in why. Needs no privilege; with it it also knows
 * a foreign program's name. Returns 0, -ENODEV or -errno.
 */
#define XDP_WARNING_MAX 8
struct xdp_plan {
	char name[XDP_NAME_CAP];
	char kind[16];	 /* "veth", "bridge"; "": a real device or lo */
	char driver[32]; /* "": unknown */
	bool is_possible;
	enum xdp_mode mode;    /* what it would be, XDP_NATIVE or XDP_GENERIC */
	bool is_mode_certain;  /* else native is tried and generic taken when it fails */
	bool may_zero_copy;    /* the driver says it can */
	bool may_send;	       /* and the node would send by AF_XDP, too */
	uint32_t mtu;	       /* bytes */
	uint32_t queue_cnt;    /* the device has */
	uint32_t served_cnt;   /* of which the node would serve */
	uint32_t frame_len;    /* bytes */
	size_t frames_len;     /* locked memory of all sockets, bytes */
	size_t tables_len;     /* kernel memory of the program's tables, about, bytes */
	uint32_t foreign_id;   /* of a program that is there already, else 0 */
	char foreign_name[17]; /* "": not to be learned without CAP_SYS_ADMIN */
	char why[XDP_WHY_CAP];
	unsigned warning_cnt;
	char warnings[XDP_WARNING_MAX][XDP_WHY_CAP];
};
WEFT_MUST_CHECK
int net_xdp_plan(const struct xdp_config *config, const char *name, struct xdp_plan *out_plan);

/* The faults of a device after it was attached. Each is counted and reported once per check. */
enum xdp_fault {
#define FAULT(name, word) XDP_##name,
#include "net/xdp/xdp_faults.def"
	XDP_FAULT_CNT,
};
const char *net_xdp_fault_name(enum xdp_fault fault); /* "link-down", ... */

struct xdp_params {
	/* detail: a sentence for people. May not detach from within. */
	void (*on_fault)(void *ctx, unsigned device, enum xdp_fault fault, const char *detail);
	void *ctx;
};
/* net_xdp_new makes home's side, with nothing attached. 0 or -errno. */
WEFT_MUST_CHECK
int net_xdp_new(const struct xdp_params *params, struct xdp **out_xdp);
/* net_xdp_free detaches everything, as net_xdp_detach. */
void net_xdp_free(struct xdp *xdp);

/*
 * net_xdp_device_open loads, attaches and opens. On any thread, one call at a time. It reads only
 * those fields of xdp that no net_xdp_take or net_xdp_detach changes meanwhile: home calls neither
 * until it is done. On failure why says what was refused and what to do. Returns 0 or a negative
 * code: -ENODEV,
 * WEFT_EREFUSED (net_xdp_plan says impossible), WEFT_EBUSY (a foreign program, or a queue that is
 * in use), -EPERM, -errno.
 */
WEFT_MUST_CHECK
int net_xdp_device_open(const struct xdp *xdp, const struct xdp_config *config, const char *name,
			struct xdp_device **out_device, char why[static XDP_WHY_CAP]);
/* net_xdp_device_close: of one that was not taken; takes NULL. */
void net_xdp_device_close(struct xdp_device *device);
/*
 * net_xdp_take: xdp has the device from now on. Returns its number, in
 * [0, XDP_DEVICE_MAX), or WEFT_EFULL or -ENOMEM with the device still the
 * caller's.
 */
WEFT_MUST_CHECK
int net_xdp_take(struct xdp *xdp, struct xdp_device *device);
/*
 * Detaching: net_xdp_unhook takes the sockets out of the program's map, so that
 * datagrams go to the kernel's socket; net_xdp_unhook_queue does so for one.
 * Workers then take what has arrived and remove the queues from their
 * send sides, and when none has one left net_xdp_detach frees all.
 */
void net_xdp_unhook(struct xdp *xdp, unsigned device);
void net_xdp_unhook_queue(struct xdp *xdp, unsigned device, unsigned queue);
void net_xdp_detach(struct xdp *xdp, unsigned device);

/*
 * The present state of a device. Borrowed until it is detached; NULL: no such
 * device.
 */
struct xdp_device_info {
	char name[XDP_NAME_CAP];
	unsigned ifindex;
	enum xdp_mode mode;
	const char *mode_reason; /* why this one: "native mode refused: Operation not supported" */
	uint32_t mtu, frame_len;
	uint32_t deliver_len_max; /* of a frame that fits, link header included */
	uint32_t queue_cnt;
	bool is_loopback, is_running, is_zero_copy, is_huge, sends;
	bool has_partial_sums; /* UDP's checksum may be that of the pseudo-header alone */
	bool is_lost;	       /* the device or the program is gone */
	uint64_t fault_cnt[XDP_FAULT_CNT];
	uint64_t rx_lost_cnt; /* datagrams the kernel had no room for */
	uint32_t prog_id;
};
const struct xdp_device_info *net_xdp_device_info(const struct xdp *xdp, unsigned device);
/*
 * One receive queue of an attached device: its socket, rings and frames.
 * Borrowed until the device is detached. The worker that it was added to has
 * it until removed. Any thread may read device, idx, and rx's backend and
 * reason; home may read lost_cnt.
 */
struct xsk;
struct xdp_queue {
	uint8_t device; /* its number */
	uint8_t idx;
	struct packet_rx *rx;
	struct xsk *xsk;
	bool sends;	   /* it has frames to send from */
	bool teaches;	   /* links, for its device sends, if by another queue */
	uint64_t lost_cnt; /* datagrams the kernel had no room for */
};
/* net_xdp_queue_of: NULL beyond the last. */
struct xdp_queue *net_xdp_queue_of(struct xdp *xdp, unsigned device, unsigned queue);
/*
 * net_xdp_queue_frames counts frames by owner, of enum umem_owner; the sum never changes. Called by
 * the queue's owner.
 */
#define XDP_FRAME_OWNER_CNT 5
void net_xdp_queue_frames(const struct xdp_queue *queue,
			  uint32_t out_cnt[static XDP_FRAME_OWNER_CNT]);
/* net_xdp_queue_sent_cnt: datagrams that went out by it. Called by the queue's owner. */
uint64_t net_xdp_queue_sent_cnt(const struct xdp_queue *queue);

/*
 * One worker's part of attached devices: the link layer of paths, learned from the queues that it
 * serves, and a send side. The send side uses the worker's first queue of each device that sends.
 * Only its worker may use it. The frames of one worker's queue teach that worker alone; the others
 * send to such paths by udp.
 */
struct xdp_worker;
/* net_xdp_worker_new: udp, borrowed, sends what AF_XDP does not; secret keys the hash. 0 or -ENOMEM. */
WEFT_MUST_CHECK
int net_xdp_worker_new(struct packet_tx *udp, const uint64_t secret[2],
		       struct xdp_worker **out_worker);
/* net_xdp_worker_free takes NULL, and one that still has queues. */
void net_xdp_worker_free(struct xdp_worker *xdp_worker);
/* net_xdp_worker_{add,remove}: to be called with the worker's own send side not in use (net_xdp_worker_tx). */
void net_xdp_worker_add(struct xdp_worker *xdp_worker, struct xdp_queue *queue);
void net_xdp_worker_remove(struct xdp_worker *xdp_worker, struct xdp_queue *queue);
/* net_xdp_worker_tx: sending by AF_XDP, or NULL: no queue of the worker sends. Borrowed until the next remove. */
struct packet_tx *net_xdp_worker_tx(const struct xdp_worker *xdp_worker);
/* net_xdp_worker_set_mtu: device's is mtu now. */
void net_xdp_worker_set_mtu(struct xdp_worker *xdp_worker, unsigned device, uint32_t mtu);
/* net_xdp_worker_turn: it is now_ns, by which learned paths grow old. */
void net_xdp_worker_turn(struct xdp_worker *xdp_worker, uint64_t now_ns);

/*
 * net_xdp_watch_fd is readable when net_xdp_check has something to see. Call that once a second,
 * too, for changes without an event. The caller reports a changed MTU to the workers.
 */
int net_xdp_watch_fd(const struct xdp *xdp);
void net_xdp_check(struct xdp *xdp);

/*
 * The program's tables, shared by all attached devices. Without a device nothing is kept: the
 * caller that attaches the first fills them all, locals last. Writers return 0, WEFT_EFULL or
 * -errno, and 0 when nothing is attached.
 */
/* net_xdp_set_config: deliver_len_max is filled in here, from what is attached. Set it again after that changed. */
WEFT_MUST_CHECK
int net_xdp_set_config(struct xdp *xdp, const struct weft_config *config);
struct weft_cid_keys;
WEFT_MUST_CHECK
int net_xdp_set_cid_keys(struct xdp *xdp, const struct weft_cid_keys *keys);
struct weft_token_keys;
WEFT_MUST_CHECK
int net_xdp_set_token_keys(struct xdp *xdp, const struct weft_token_keys *keys);
/*
 * net_xdp_set_locals: exactly these addresses are local from now on. None: everything passes.
 * WEFT_EFULL: not all have room (weft/xdp_maps.h); what comes to the others passes to the kernel's
 * socket.
 */
WEFT_MUST_CHECK
int net_xdp_set_locals(struct xdp *xdp, const struct addr *addrs, unsigned cnt);
/* net_xdp_ban_{put,delete}: prefix_len bits of addr, by its family. The counts of config are the caller's. */
WEFT_MUST_CHECK
int net_xdp_ban_put(struct xdp *xdp, const struct addr *addr, unsigned prefix_len,
		    const struct weft_ban *ban);
void net_xdp_ban_delete(struct xdp *xdp, const struct addr *addr, unsigned prefix_len);
WEFT_MUST_CHECK
int net_xdp_session_put(struct xdp *xdp, const struct weft_endpoint *source,
			const struct weft_session *entry);
/* net_xdp_session_sweep looks at part of the table and drops what has expired; returns how many. */
unsigned net_xdp_session_sweep(struct xdp *xdp, uint64_t now_ns);
/*
 * net_xdp_krpc_tables: what the program answers the DHT's questions from, to be
 * written by net/ingress/krpc_table_writer.h; all zeros after the first device was
 * attached. NULL: none is. Borrowed until the last is detached.
 */
const struct weft_krpc_tables *net_xdp_krpc_tables(const struct xdp *xdp);
/*
 * net_xdp_set_relay, before the first device: this node is a relay with these tables, borrowed for
 * life. Each lies at the start of a page and has its last page to itself. While a device is attached
 * they are the program's maps, at the same addresses.
 */
void net_xdp_set_relay(struct xdp *xdp, const struct weft_relay_tables *tables);
/* net_xdp_counters adds up all CPUs' counters since the first attach; zeros without a device. */
void net_xdp_counters(const struct xdp *xdp,
		      struct weft_counter out_counters[static WEFT_REASON_CNT]);
/*
 * net_xdp_places_next walks the places of class, a block of each level and CPU at a time. places
 * has WEFT_PLACE_BLOCK_CNT of them, from first on, until the next block is asked for. The first
 * call takes a block that is zero but for class. Nothing without a device.
 * net_xdp_tables_generation is another number when they began at zero again.
 */
struct xdp_places {
	enum weft_class class;
	unsigned cpu, level;
	uint32_t first;
	const struct weft_place *places;
	uint32_t next; /* net_xdp_places_next's: the block behind this one */
};
bool net_xdp_places_next(const struct xdp *xdp, struct xdp_places *block);
unsigned net_xdp_cpu_cnt(void); /* that may ever be on line: each has tables of its own */
uint64_t net_xdp_tables_generation(const struct xdp *xdp);
/* net_xdp_samples calls fn for each sample of a drop that waits. Returns how many. */
typedef void (*xdp_sample_fn)(void *ctx, const struct weft_sample *sample);
unsigned net_xdp_samples(struct xdp *xdp, xdp_sample_fn fn, void *ctx);

#endif
