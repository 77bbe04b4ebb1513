/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_SERVICE_RIG_H
#define WEFT_TESTS_SERVICE_RIG_H

#include "base/random.h"
#include "crypto/node_key.h"
#include "mesh/mesh.h"
#include "service/directory/directory.h"
#include "service/service.h"
#include "support/fake_overlay.h"
#include "support/transport_pair.h"

/*
 * Nodes with a mesh and a fabric each on a transport_pair net. A test chooses the answers of
 * the handler; asks and streams remember their results.
 */
#define SRIG_NODES 3
#define SRIG_A	   0
#define SRIG_B	   1
#define SRIG_C	   2

struct srig;

struct srig_node {
	struct srig *rig;
	struct node_key *node_key;
	uint8_t key[MESH_KEY_LEN];
	struct pair_end *end;
	struct random random;
	struct mesh *mesh;
	struct service_directory *directory; /* of A alone */
	struct service *service;
	unsigned violation_cnt;
	const char *violation; /* the last */
	unsigned event_cnt;
	struct service_event event; /* the last; its pointers are not kept */
};

struct srig {
	struct pair_net net;
	struct service_config config; /* of nodes that are added */
	struct srig_node nodes[SRIG_NODES];
	unsigned node_cnt;
	uint64_t wall_ms; /* at now_ns 0 */
	struct fake_overlay overlay;
};

/* srig_init makes node_cnt nodes; config may be NULL: the defaults. */
void srig_init(struct srig *rig, unsigned node_cnt, const struct service_config *config);
void srig_fini(struct srig *rig);

/* What a handler does with a call. */
enum srig_mode {
	SRIG_ECHO,   /* OK and the payload */
	SRIG_KEEP,   /* nothing: the test answers */
	SRIG_FAIL,   /* UNKNOWN_ERROR with a text that must not get out */
	SRIG_SPEND,  /* spends a unit of work for each byte of the payload, then OK */
	SRIG_STATUS, /* status */
};
#define SRIG_CALLS 1100

struct srig_provider {
	struct srig *rig;
	struct service_offer *offer;
	enum srig_mode mode;
	enum service_status status;
	struct service_call *calls[SRIG_CALLS]; /* kept */
	unsigned kept_cnt;
	unsigned call_cnt, cancelled_cnt;
	unsigned spent_cnt;	      /* units that were granted */
	struct service_caller caller; /* of the last call */
	char method[SERVICE_METHOD_LEN_MAX + 1];
	size_t len;
	struct srig_stream *stream; /* takes the next one; NULL: it is not taken */
};
#define SRIG_SECRET "/etc/secret 10.1.2.3"

extern const struct service_handler srig_handler; /* ctx: srig_provider */
/* srig_offer offers name, version 1.0.0, on node idx. */
bool srig_offer(struct srig *rig, struct srig_provider *provider, unsigned idx, const char *name);
bool srig_offer_with(struct srig *rig, struct srig_provider *provider, unsigned idx,
		     const struct service_offering *offering);

/* srig_publish lets A's directory find name, version 1.0.0, at node idx. */
bool srig_publish(struct srig *rig, unsigned idx, const char *name);
/* srig_publish_read_only: with that method read-only. */
bool srig_publish_read_only(struct srig *rig, unsigned idx, const char *name, const char *method);

struct srig_ask {
	struct service_ask *ask;
	unsigned cnt;
	struct service_answer answer; /* payload points to a copy */
	char text[SERVICE_TEXT_LEN_MAX + 1];
	uint64_t at_ns;
	uint8_t *payload;
};
/* srig_meet: node from knows the address of node to. */
void srig_meet(struct srig *rig, unsigned from, unsigned to);
/* srig_call starts a call of name at node to (SRIG_NODES: any known provider) from node from. */
int srig_call(struct srig *rig, struct srig_ask *ask, unsigned from, unsigned to, const char *name,
	      const void *payload, size_t len);
int srig_call_with(struct srig *rig, struct srig_ask *ask, unsigned from,
		   const struct service_target *target, const void *payload, size_t len,
		   const uint8_t *key, uint64_t timeout_ns);
void srig_ask_fini(struct srig_ask *ask);
/* srig_once calls echo-like, waits and gives the status. */
enum service_status srig_once(struct srig *rig, unsigned from, unsigned to, const char *name,
			      size_t len);

struct srig_stream {
	struct service_channel *channel;
	unsigned opened_cnt, finished_cnt, writable_cnt, ended_cnt;
	unsigned message_cnt;
	bool is_text;	 /* of the last piece */
	bool is_holding; /* pieces are not consumed */
	bool is_echo;	 /* what comes is sent back, and the finish */
	size_t len;	 /* of all pieces */
	uint64_t sum;	 /* of all bytes, in order */
	enum service_status status;
	char text[SERVICE_TEXT_LEN_MAX + 1];
	uint8_t provider[MESH_KEY_LEN];
};
extern const struct service_channel_events srig_stream_events; /* arg: srig_stream */
int srig_open(struct srig *rig, struct srig_stream *stream, unsigned from, unsigned to,
	      const char *name, const void *head, size_t len);
/* srig_sum is what sum becomes by len bytes at data. */
uint64_t srig_sum(uint64_t sum, const uint8_t *data, size_t len);

void srig_run(struct srig *rig, uint64_t len_ns);

#endif
