/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_LOCATOR_RIG_H
#define WEFT_TESTS_LOCATOR_RIG_H

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/monotonic.h"
#include "base/random.h"
#include "crypto/node_key.h"
#include "locate/locate.h"
#include "support/check.h"

/*
 * A client of another host as a part of locate. Its requests run on its own threads. There the
 * test's function answers in the host's place, and waits while the test holds the host's gate. Time
 * is virtual.
 */
#define RIG_WALL_US  1800000000000000ull
#define RIG_LOOKS    9
#define RIG_HOSTS    4
#define RIG_WAIT_MS  10000 /* for a thread that has nothing to wait for */
#define RIG_SEEN_MAX 8

struct rig_look {
	struct mesh_look look; /* first */
	void *run;
	unsigned found_cnt, ended_cnt;
	uint64_t seqs[RIG_SEEN_MAX];
	int err;
};

static struct {
	struct locate locate;
	struct publish_config publish;
	struct pkarr_client_config pkarr_client;
	struct signaling_config signaling;
	struct timer_wheel timers;
	struct random random;
	struct node_key *key; /* made once, by main */
	uint64_t now_ns;
	struct poller_watch *watch;
	char what[LOCATE_WHAT_CAP];
	struct rig_look looks[RIG_LOOKS];
} rig;

/* Gates and what went through them; read and written by the client's threads, too. */
static pthread_mutex_t rig_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t rig_moved = PTHREAD_COND_INITIALIZER;
static struct {
	bool is_held;
	unsigned asked_cnt;
} rig_hosts[RIG_HOSTS];

static inline uint64_t rig_wall_us(void *ctx)
{
	(void)ctx;
	return RIG_WALL_US + rig.now_ns / 1000;
}

static inline int rig_watch(void *ctx, struct poller_watch *watch, int fd)
{
	(void)ctx;
	watch->fd = fd;
	rig.watch = watch;
	return 0;
}

static inline int rig_found(struct mesh_look *at, const struct mesh_found *found, uint64_t now_ns)
{
	struct rig_look *look = (struct rig_look *)at;

	(void)now_ns;
	if (look->found_cnt < RIG_SEEN_MAX)
		look->seqs[look->found_cnt] = found->seq;
	look->found_cnt++;
	return 0;
}

static inline void rig_ended(struct mesh_look *at, int err, uint64_t now_ns)
{
	struct rig_look *look = (struct rig_look *)at;

	(void)now_ns;
	look->err = err;
	look->ended_cnt++;
}

static inline void rig_init(void)
{
	static const uint8_t seed[32] = {1};

	if (node_key_from_seed(seed, &rig.key) < 0)
		abort();
}

static inline void rig_open(void)
{
	rig.now_ns = NS_PER_S;
	memset(rig_hosts, 0, sizeof(rig_hosts));
	memset(rig.looks, 0, sizeof(rig.looks));
	for (unsigned i = 0; i < RIG_LOOKS; i++)
		rig.looks[i].look = (struct mesh_look){.found = rig_found, .ended = rig_ended};
	random_init_seeded(&rig.random, 1);
	timer_wheel_init(&rig.timers, rig.now_ns);
	rig.publish.policy.allows_private = true;
	rig.locate = (struct locate){.params = {.publish = &rig.publish,
						.pkarr_client = &rig.pkarr_client,
						.signaling = &rig.signaling,
						.random = &rig.random,
						.timers = &rig.timers,
						.now_ns = &rig.now_ns,
						.wall_us = rig_wall_us,
						.watch = rig_watch}};
}

/* A packet of rig.key's owner, at 10.0.0.1. */
static inline struct pkarr_packet rig_packet(uint64_t seq)
{
	const struct pkarr_record record = {
		.addrs = {{.ip = {10, 0, 0, 1}, .port = 7000, .family = ADDR_IPV4}}, .addr_cnt = 1};
	struct pkarr_packet packet;

	dht_pkarr_packet_sign(&record, rig.key, RIG_WALL_US + seq, &packet);
	return packet;
}

/* A request arrives at a host, on a thread of the client's, and waits at its gate. */
static inline void rig_arrive(unsigned host)
{
	pthread_mutex_lock(&rig_lock);
	rig_hosts[host].asked_cnt++;
	pthread_cond_broadcast(&rig_moved);
	while (rig_hosts[host].is_held)
		pthread_cond_wait(&rig_moved, &rig_lock);
	pthread_mutex_unlock(&rig_lock);
}

static inline void rig_hold(unsigned host, bool is_held)
{
	pthread_mutex_lock(&rig_lock);
	rig_hosts[host].is_held = is_held;
	pthread_cond_broadcast(&rig_moved);
	pthread_mutex_unlock(&rig_lock);
}

static inline unsigned rig_asked(unsigned host)
{
	unsigned cnt;

	pthread_mutex_lock(&rig_lock);
	cnt = rig_hosts[host].asked_cnt;
	pthread_mutex_unlock(&rig_lock);
	return cnt;
}

/* Waits until cnt requests have arrived at host. */
static inline void rig_await_asked(unsigned host, unsigned cnt)
{
	pthread_mutex_lock(&rig_lock);
	while (rig_hosts[host].asked_cnt < cnt)
		pthread_cond_wait(&rig_moved, &rig_lock);
	pthread_mutex_unlock(&rig_lock);
}

/* Takes in what the threads answered; false: they answer nothing more. */
static inline bool rig_turn(void)
{
	struct pollfd wait = {.fd = rig.watch->fd, .events = POLLIN};

	if (poll(&wait, 1, RIG_WAIT_MS) <= 0)
		return false;
	(void)locate_pkarr_relay_turn(rig.locate.pkarr_client);
	(void)locate_signaling_turn(rig.locate.signaling);
	return true;
}
#define RIG_AWAIT(cond)                                                                            \
	do {                                                                                       \
		while (!(cond))                                                                    \
			CHECK(rig_turn());                                                         \
	} while (0)

static inline void rig_pass(uint64_t ns)
{
	rig.now_ns += ns;
	timer_wheel_expire(&rig.timers, rig.now_ns);
}

#endif
