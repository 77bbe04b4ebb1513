/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BUILTIN_INDEX_SHADOW_INDEX_H
#define WEFT_BUILTIN_INDEX_SHADOW_INDEX_H

#include "base/list.h"
#include "builtin/ack.h"
#include "builtin/builtin_quota.h"
#include "builtin/builtin_request.h"
#include "shadow_index_mesh.h"
#include "index_entry.h"

struct builtin_config;
struct builtin_params;

#define SHADOW_INDEX_REGISTER_PER_HOUR 100 /* of one peer */
#define SHADOW_INDEX_BATCH_MAX	       20
#define SHADOW_INDEX_LIFE_S	       (7 * 24 * 3600) /* a registration, unless it is renewed */
#define SHADOW_INDEX_KEY_LEN	       (SHARD_KEY_LEN + MESH_KEY_LEN)

/* The counters of the service, for its tenant. */
enum shadow_index_counter {
	SHADOW_INDEX_REGISTERED,
	SHADOW_INDEX_ASKED,
	SHADOW_INDEX_PUBLISHED,
	SHADOW_INDEX_COUNTER_CNT
};

/* A registration on its way to the disk. */
struct track_write {
	struct list_node node;
	struct shadow_index *index;
	uint8_t key[SHADOW_INDEX_KEY_LEN];
	struct shard shard;
};

/*
 * The service shadow-index: the peers' registrations, by key and peer, in the rows of its offer. Only
 * rows being written are in memory. shadow_index_mesh.h has the entries of other nodes.
 */
struct shadow_index {
	struct provider_tenant *tenant;
	struct acks *acks;
	const struct builtin_clock *clock;
	struct quota registrations;
	struct pool writes;		/* struct track_write */
	struct list_node writes_by_age; /* the newest of a key is the row's next state */
	struct provider_timer sweep;
	uint8_t sweep_from[SHADOW_INDEX_KEY_LEN]; /* where the next one goes on */
	struct shadow_mesh mesh;
};

/* builtin_shadow_index_forget: the call is gone; ctx is a struct shadow_index. */
void builtin_shadow_index_forget(void *ctx, const struct service_call *call);
extern const struct request_method builtin_shadow_index_methods[];

/* builtin_shadow_index_declare: the capabilities that it uses. */
void builtin_shadow_index_declare(const struct builtin_config *config,
				  struct provider_declaration *out);
WEFT_MUST_CHECK
int builtin_shadow_index_init(struct shadow_index *index, struct arena *arena,
			      const struct builtin_params *params, struct acks *acks,
			      struct provider_tenant *tenant);
void builtin_shadow_index_fini(struct shadow_index *index);

uint64_t builtin_shadow_index_wall_s(const struct shadow_index *index);
bool builtin_shadow_index_is_over(const struct shadow_index *index, const struct shard *shard);
/* builtin_shadow_index_place_read: false: the call was answered. */
WEFT_MUST_CHECK
bool builtin_shadow_index_place_read(const struct request *request, const char *mbid,
				     const char *kind, struct shard_place *out_place);
/* builtin_shadow_index_answer ends call with what is known of key. */
void builtin_shadow_index_answer(struct service_call *call, const uint8_t key[SHARD_KEY_LEN],
				 const struct shard *shard, uint64_t now_ns);

/* shadow_index_register.c */
void builtin_shadow_index_register(void *ctx, struct request *request);
/* builtin_shadow_index_is_writing: the row of key is on its way to the disk. */
bool builtin_shadow_index_is_writing(const struct shadow_index *index,
				     const uint8_t key[SHADOW_INDEX_KEY_LEN]);

#endif
