/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_WORKER_WORKER_CONFIG_H
#define WEFT_WORKER_WORKER_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

struct blind_keys;
struct blobs_config;
struct key_seal;
struct mesh_config;
struct quic_config;
struct store;
struct udp_config;

/* The parts of the configuration that a worker hands to its modules. Borrowed for its life. */
struct worker_config {
	const struct udp_config *udp;
	const struct quic_config *quic;
	const struct mesh_config *mesh;
	const struct blobs_config *content;
	const char *store_dir; /* for messages */
	unsigned worker_cnt;
	unsigned job_threads, job_cap;
	uint32_t session_cap;	   /* addresses that ingress knows as validated */
	unsigned local_watch_cap;  /* descriptors of local programs and of the node's own */
	uint64_t drain_timeout_ns; /* from the order to stop to the end */
	bool relays_streams;	   /* other workers pass streams of services to home */
	/* As of struct blobs_params: what communities say of the content. */
	bool (*admits)(struct store *store, const uint8_t id[static 32],
		       const uint8_t key[static 32], uint64_t wall_s);
	bool (*hides)(struct store *store, const uint8_t id[static 32]);
	int (*blind_keys)(struct store *store, const struct key_seal *seal, uint64_t wall_s,
			  struct blind_keys *keys);
};

#endif
