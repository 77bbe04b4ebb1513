/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SERVICE_SERVICE_H
#define WEFT_SERVICE_SERVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/figure.h"
#include "base/transport.h"
#include "codec/text/semver.h"
#include "mesh/seam.h"
#include "mesh/seam_stream.h"
#include "service/limits/service_limits.h"
#include "service/trace.h"
#include "weft/err.h"

struct node_key;
struct random;
struct service_descriptor;
struct service_offering;
struct service_directory;
struct store;
struct timer_wheel;

/*
 * The service fabric: programs offer named services to the mesh, others find them by name and call
 * or stream to them.
 *
 *	offered   service_registry.c (which handler) -> publisher.c -> the overlay
 *	called    mesh -> router.c -> limits -> an offer's handler
 *	calling   call_client.c -> directory.c (which provider) -> mesh, or the router
 *		  at once when this node itself provides it
 *
 * Home worker; nothing blocks; time is the now_ns of the turn. A callback never comes inside the
 * call that causes it, and is the last use of the object it names.
 */
struct service;
struct service_offer;	/* a service that this node provides */
struct service_call;	/* a call in an offer's hands */
struct service_ask;	/* a call of this node under way */
struct service_channel; /* one side of a stream */
struct service_topics;
struct service_publication;
struct service_published;

#define SERVICE_NAME_LEN_MAX	64 /* [a-z0-9] and inner '-', '.' */
#define SERVICE_VERSION_LEN_MAX SEMVER_LEN_MAX
#define SERVICE_METHOD_LEN_MAX	64
#define SERVICE_TEXT_LEN_MAX	200	      /* of an answer's error text */
#define SERVICE_PAYLOAD_LEN_MAX (1024 * 1024) /* of a call and of its reply, default of the limit */
#define SERVICE_PIECE_LEN_MAX	(256 * 1024)  /* of one channel send */
#define SERVICE_COPY_LEN_MAX	16000	      /* of one that is copied */
#define SERVICE_ID_LEN		32
/* The router's own method of every service, which changes nothing; see description.h. */
#define SERVICE_DESCRIBE	    "$describe"
#define SERVICE_DESCRIPTION_LEN_MAX (16 * 1024)
#define SERVICE_KEY_LEN		    16 /* correlation ids, idempotency keys */

#define SERVICE_NAMED_CAP     256
#define SERVICE_GROUPS_CAP    4096 /* some 75 ids of nodes */
#define SERVICE_GROUP_LEN_MAX 32
#define SERVICE_COMMUNITY_LEN 32

struct service_config {
	struct service_limits limits;
	/*
	 * Of services by name, as "mesh-stats:3 echo:1000", over what the offer says and the
	 * default.
	 */
	char calls[SERVICE_NAMED_CAP];	  /* calls a minute of one peer */
	char timeouts[SERVICE_NAMED_CAP]; /* seconds that a call of this node waits */
	/* Groups of nodes that offers may name, as "friends:ID,ID lab:ID". */
	char groups[SERVICE_GROUPS_CAP];
};
void service_config_defaults(struct service_config *config);
/* service_config_check: 0, or WEFT_EMALFORMED when calls, timeouts or groups is no such list. */
WEFT_MUST_CHECK
int service_config_check(const struct service_config *config);

/* The events of peers and services for the owner of the fabric. */
enum service_event_kind {
	SERVICE_EVENT_CIRCUIT_OPENED,  /* name failed peer's calls in a row, and rests for it */
	SERVICE_EVENT_CIRCUIT_AT_PEER, /* name at peer failed this node's calls */
};
struct service_event {
	enum service_event_kind kind;
	const uint8_t *peer_key;
	const uint8_t *service_id;
};

/* Everything is borrowed until service_free, but config and the seams, which are copied. */
struct service_access_record;
struct service_params {
	struct service_config config;
	struct mesh_stream_seam streams;     /* ops NULL: no peer calls, and none is called */
	struct service_directory *directory; /* NULL: only providers that callers name are found */
	const struct node_key *key;
	struct store *store; /* NULL: nothing is kept (tests) */
	struct timer_wheel *timers;
	struct random *random;
	uint64_t now_ns;
	uint64_t (*wall_ms)(void *ctx); /* since 1970 */
	/*
	 * An offer can be called from now on, or no longer; for the publisher. Comes inside the
	 * call that changes it. May be NULL, as all of these.
	 */
	void (*on_offer)(void *ctx, const struct service_offering *offering, uint32_t major,
			 bool is_there, uint64_t now_ns);
	/* A peer broke a rule; why is a static string. */
	void (*on_violation)(void *ctx, const uint8_t key[MESH_KEY_LEN], const char *why,
			     uint64_t now_ns);
	void (*on_event)(void *ctx, const struct service_event *event, uint64_t now_ns);
	/* A call or stream of an offer ended; one line of an access log. */
	void (*on_access)(void *ctx, const struct service_access_record *record, uint64_t now_ns);
	/* The node of key is a member of a community that this node joined. NULL: it is of none. */
	bool (*is_member)(void *ctx, const uint8_t community[SERVICE_COMMUNITY_LEN],
			  const uint8_t key[MESH_KEY_LEN]);
	void *ctx;
};

/*
 * service_footprint: bytes that service_new lays out, touched as they are used. service_new: 0,
 * -errno or WEFT_EMALFORMED (config). The node accepts the types of messages 300 and 302 from then
 * on. service_free drops all state without callbacks. service_configure takes what can change at
 * run time: all but the sizes of tables and memory.
 */
size_t service_footprint(const struct service_config *config);
WEFT_MUST_CHECK
int service_new(const struct service_params *params, struct service **out_service);
void service_free(struct service *service);
void service_configure(struct service *service, const struct service_config *config);

/*
 * service_peer_returned: a session with the node of key is new, or was lost. This node's calls pass
 * to its services again, whatever failed before: the node may have been the cause, and a call finds
 * that out. service_reset does so for all services of a name, of others and of this node, and
 * returns the number of circuits that it closed.
 */
void service_peer_returned(struct service *service, const uint8_t *key);
unsigned service_reset(struct service *service, const char *name);

/*
 * service_drain: this node stops. Calls and streams that come from peers are refused as not
 * seen, so that they are made elsewhere. service_is_drained: no call of a peer is in hand.
 */
void service_drain(struct service *service);
bool service_is_drained(const struct service *service);

/*
 * service_health: how well the service of descriptor answers this node's calls, 0 to 100, 50
 * without calls; 0 while it rests. The directory orders by it.
 */
unsigned service_health(const struct service *service, const struct service_descriptor *descriptor,
			uint64_t now_ns);

/* The outcome of a call; on the wire and in control, stable. */
enum service_status {
#define STATUS(name, number, word) SERVICE_##name = (number),
#include "service/statuses.def"
	SERVICE_STATUS_CNT,
};
const char *service_status_name(enum service_status status); /* "OK", "ServiceNotFound", ... */

/* A caller, as an offer sees it. Borrowed for the call that shows it. */
struct service_caller {
	uint8_t key[MESH_KEY_LEN]; /* this node's own for local programs */
	bool is_local;
	struct fair_path path; /* where the caller's places belong (base/fair/fair_path.h) */
	uint8_t correlation[SERVICE_KEY_LEN];
	uint64_t deadline_ns; /* of this node's monotonic clock */
	bool has_trace;
	struct service_trace trace; /* that the caller works in */
};

/* The input of a call, or of the opening of a stream. Borrowed for the call that shows it. */
struct service_input {
	const struct service_caller *caller;
	const char *method;
	const uint8_t *data; /* the whole payload, or the head of a stream: at most 16 KiB */
	size_t len;
};

/*
 * A provider implements these. call: the payload is whole and borrowed for the call; answer now or
 * later by service_reply. stream: a caller opens a stream; take it by service_channel_accept in the
 * call, or refuse it by service_channel_end. topic_refusal: a static text why the node of key may
 * not hear topic, or NULL. It is for services that have rules beside those of their offer. Where it
 * is NULL, the offer's rules decide alone. cancelled: the caller left, or the deadline passed and
 * was answered; the call is gone. A function that is NULL means SERVICE_METHOD_NOT_FOUND, or
 * nothing for cancelled.
 */
struct service_handler {
	void (*call)(void *ctx, struct service_call *call, const struct service_input *input,
		     uint64_t now_ns);
	void (*cancelled)(void *ctx, struct service_call *call);
	void (*stream)(void *ctx, struct service_channel *channel,
		       const struct service_input *input, uint64_t now_ns);
	const char *(*topic_refusal)(void *ctx, const uint8_t key[MESH_KEY_LEN], const char *topic);
};

/* One pair of a descriptor's metadata; UTF-8. */
struct service_metadata {
	const char *key, *value;
};

/*
 * Which caller may call which method of an offer. Grants that name a method decide alone about it.
 * Every other method is for the callers in allow and in grants of all methods; without any of
 * these, for every caller. A method of HTTP is the request's; HEAD follows GET unless a grant names
 * HEAD itself.
 */
enum service_grant_kind {
	SERVICE_GRANT_NODE,
	SERVICE_GRANT_GROUP, /* of the configuration */
	SERVICE_GRANT_COMMUNITY,
	SERVICE_GRANT_KIND_CNT,
};
struct service_grant {
	const char *method; /* "": of all methods that no other grant names */
	enum service_grant_kind kind;
	uint8_t id[MESH_KEY_LEN]; /* of a node or a community */
	const char *group;	  /* "" unless of one */
};
_Static_assert(SERVICE_COMMUNITY_LEN == MESH_KEY_LEN, "ids in one place");

/* service_group_name_is_valid: 1 to 32 of a-z, 0-9, '-' and '_'. */
bool service_group_name_is_valid(const char *name, size_t len);

/* So many read-only methods of a service have names; the name "*" stands for every method. */
#define SERVICE_READ_ONLY_MAX 32u
#define SERVICE_READ_ONLY_ALL "*"

/*
 * An offer as its provider states it; copied. Limits of 0 are the
 * configured defaults. allow: keys that may call; see service_grant.
 */
struct service_offering {
	const char *name;
	const char *version; /* "1.0.0"; one offer per name and major version */
	const struct service_metadata *metadata;
	unsigned metadata_cnt;	      /* at most 10 */
	const char *const *read_only; /* names of methods, or "*"; see read_only.h */
	unsigned read_only_cnt;	      /* at most 32 */
	const char *description;      /* NULL: none; JSON as service_description_load takes it */
	uint32_t calls_per_min;
	uint32_t payload_len_max;
	uint64_t timeout_ns;
	const uint8_t (*allow)[MESH_KEY_LEN];
	unsigned allow_cnt;
	const struct service_grant *grants;
	unsigned grant_cnt;
	bool is_published;    /* else only nodes that know this one find it */
	bool needs_signature; /* calls of peers carry one, or are answered SERVICE_UNAUTHORIZED */
	bool is_of_program;   /* local programs may publish on its topics */
	const struct service_handler *handler;
	void *ctx;
};

/*
 * service_offer begins to offer. 0, WEFT_EMALFORMED (name, version or
 * metadata; *out_why says which in a few words), WEFT_EEXISTS, WEFT_EFULL.
 * service_set_ready: an offer that is not ready answers SERVICE_UNAVAILABLE and is withdrawn
 * until it is again. service_withdraw ends it: calls in hand are answered
 * SERVICE_UNAVAILABLE, without cancelled; streams end.
 */
WEFT_MUST_CHECK
int service_offer(struct service *service, const struct service_offering *offering, uint64_t now_ns,
		  struct service_offer **out_offer, const char **out_why);
/*
 * service_set_access replaces allow and grants by those of offering, for calls that come from now
 * on. 0 or WEFT_EFULL: nothing changed.
 */
WEFT_MUST_CHECK
int service_set_access(struct service_offer *offer, const struct service_offering *offering);
void service_set_ready(struct service_offer *offer, bool is_ready, uint64_t now_ns);
void service_withdraw(struct service_offer *offer, uint64_t now_ns);
/*
 * service_publish sends event to all that are subscribed to its topic of offer, now, as
 * service_topics_publish (topic_publish.h) says. service_topics_of: all topics of this node's services.
 */
WEFT_MUST_CHECK
int service_publish(struct service_offer *offer, const struct service_publication *event,
		    uint64_t now_ns, struct service_published *out_published);
struct service_topics *service_topics_of(struct service *service);

/* The outcome of a call at its provider. Borrowed. */
struct service_outcome {
	enum service_status status;
	const char *text; /* why, with any status but SERVICE_OK; NULL: none */
	const void *payload;
	size_t len;
	uint64_t wait_ns; /* until it may be made again; 0: no hint */
	bool is_refused;  /* no handler saw it */
};
/*
 * service_reply ends a call. payload is copied. The caller of SERVICE_UNKNOWN_ERROR receives a
 * fixed text.
 */
void service_reply(struct service_call *call, const struct service_outcome *outcome,
		   uint64_t now_ns);
/* service_fail is a reply without a payload. */
static inline void service_fail(struct service_call *call, enum service_status status,
				const char *text, uint64_t now_ns)
{
	service_reply(call, &(struct service_outcome){.status = status, .text = text}, now_ns);
}
/*
 * service_refuse ends a call that the handler has no room for, as if it had never begun:
 * SERVICE_UNAVAILABLE, with wait_ns as the time to come again. The caller may go elsewhere.
 */
void service_refuse(struct service_call *call, const char *text, uint64_t wait_ns, uint64_t now_ns);
/*
 * service_call_is_overdue: call's deadline passed, and it was its offer's own timeout, not a
 * caller's shorter deadline. For cancelled.
 */
bool service_call_is_overdue(const struct service_call *call);
/*
 * service_spend takes units of the call's work budget before it fans out: a
 * downstream search, fetch or call is one. False: the call is to be
 * answered SERVICE_RATE_LIMITED.
 */
WEFT_MUST_CHECK
bool service_spend(struct service_call *call, unsigned units, uint64_t now_ns);
/*
 * service_violation: the caller broke the service's rules; its reputation counts it. why is a
 * static string.
 */
void service_violation(struct service_call *call, const char *why, uint64_t now_ns);

/* The local program that asks; zeros: the daemon itself, for its built-in services and gateway. */
struct service_asker {
	uint32_t is_program;
	uint32_t user;
	int32_t program;
};

/* Which service is meant: by name, or by id; version may be NULL for any. Borrowed. */
struct service_target {
	const char *name;
	const uint8_t *id;	 /* SERVICE_ID_LEN, or NULL */
	const uint8_t *provider; /* a node's key, or NULL: the best that is known */
	const char *version;	 /* a range: "1.2.0", "^1", "~1.2", ">=1.0.0 <3" */
	const char *method;
	struct service_asker asker;
	const struct service_trace
		*trace;	  /* the call belongs to; NULL: none. Older providers do not hear of it */
	bool is_signed;	  /* the call carries this node's signature, for services that need it */
	bool only_reads;  /* only providers that declare the method read-only are asked */
	bool is_own_last; /* this node's own offer is called when no other provider is known */
};

struct service_answer {
	enum service_status status;
	const char *text;	/* why, in one sentence; "" with SERVICE_OK */
	uint64_t not_before_ns; /* when to ask again; 0: no hint */
	const uint8_t *payload; /* borrowed for the call */
	size_t len;
	uint8_t provider[MESH_KEY_LEN]; /* zero: none was reached */
	uint64_t took_ns;
};
typedef void (*service_answer_fn)(void *arg, const struct service_answer *answer, uint64_t now_ns);

/* A call of this node, or the opening of a stream. Borrowed; payload is copied. */
struct service_request {
	struct service_target target;
	const void *payload; /* of a stream its head */
	size_t len;
	/*
	 * SERVICE_KEY_LEN: the provider runs calls with the same key once, and answers the later
	 * ones alike. NULL: none, as for a stream.
	 */
	const uint8_t *idempotency_key;
	/* Until the reply, or until the stream is taken. 0: the service's or the configured default. */
	uint64_t timeout_ns;
	service_answer_fn done;			     /* of a call */
	const struct service_channel_events *events; /* of a stream */
	void *arg;				     /* of done or events */
};

/*
 * service_call_start asks for a reply. 0, WEFT_EFULL (target.asker has its share of
 * service.pending; service_pending_wait_ms is when to ask again), WEFT_EMALFORMED, WEFT_ETOOLARGE.
 * service_call_cancel: done is not called; the provider learns of it.
 */
WEFT_MUST_CHECK
int service_call_start(struct service *service, const struct service_request *request,
		       uint64_t now_ns, struct service_ask **out_ask);
void service_call_cancel(struct service_ask *ask);
/*
 * service_pending_wait_ms: how long the asker refused last should wait. service_pending: the
 * holders of the places.
 */
uint32_t service_pending_wait_ms(const struct service *service);
struct fair_view;
void service_pending(const struct service *service, struct fair_view *out);

/*
 * A stream, the same for its opener and its taker. Bytes travel in messages, each in pieces as the
 * packets bring them; is_last ends a message. opened: the provider took it (asker only). finished:
 * the other side sends no more. writable: after WEFT_EFULL. ended comes once and last; with
 * SERVICE_OK both sides finished. After service_channel_end nothing comes.
 */
struct service_piece {
	const uint8_t *data;
	size_t len;
	bool is_text; /* of the whole message */
	bool is_last;
};
struct service_channel_events {
	void (*opened)(void *arg, const uint8_t provider[MESH_KEY_LEN], uint64_t now_ns);
	void (*piece)(void *arg, const struct service_piece *piece, uint64_t now_ns);
	void (*finished)(void *arg, uint64_t now_ns);
	void (*writable)(void *arg, uint64_t now_ns);
	void (*ended)(void *arg, const struct service_answer *answer, uint64_t now_ns);
};

/* service_channel_open: as service_call_start. */
WEFT_MUST_CHECK
int service_channel_open(struct service *service, const struct service_request *request,
			 uint64_t now_ns, struct service_channel **out_channel);
void service_channel_accept(struct service_channel *channel,
			    const struct service_channel_events *events, void *arg);
/*
 * service_channel_send: a piece of at most SERVICE_PIECE_LEN_MAX bytes, whose data is lent until
 * done; NULL done: it is copied, and has at most SERVICE_COPY_LEN_MAX bytes. 0, WEFT_EFULL
 * (nothing was taken, writable follows), WEFT_ECLOSED.
 */
WEFT_MUST_CHECK
int service_channel_send(struct service_channel *channel, const struct service_piece *piece,
			 void (*done)(void *arg), void *arg);
void service_channel_finish(struct service_channel *channel);
/* service_channel_consume: len bytes of pieces were used; until then the sender is held back. */
void service_channel_consume(struct service_channel *channel, size_t len);
/* service_channel_end ends both directions; the other side's ended gets status and text. */
void service_channel_end(struct service_channel *channel, enum service_status status,
			 const char *text);

/*
 * Counts. A latency bucket holds the calls that took at most
 * service_latency_bounds_us[i], and not the one before's; the last has no bound.
 */
#define SERVICE_LATENCY_CNT 12
extern const uint32_t service_latency_bounds_us[SERVICE_LATENCY_CNT - 1];

/* Why calls were answered before a handler saw them. */
enum service_refusal_reason {
#define REFUSAL(name, word) SERVICE_REFUSED_##name,
#include "service/refusals.def"
	SERVICE_REFUSED_CNT,
};
const char *service_refusal_name(enum service_refusal_reason reason); /* "peer_calls", ... */

struct service_counts {
	uint64_t status_cnt[SERVICE_STATUS_CNT];
	uint64_t stream_cnt; /* taken */
	uint64_t latency_cnt[SERVICE_LATENCY_CNT];
	uint64_t latency_sum_us;
};
struct service_stats {
#define FIGURE FIGURE_FIELD
#include "service/service_counters.def"
	struct service_counts in, out; /* answered by this node, and to it */
	uint64_t refused_cnt[SERVICE_REFUSED_CNT];
};
void service_stats(const struct service *service, struct service_stats *out_stats);

/*
 * A call of an offer, or a stream that ended; borrowed for the callback. method of HTTP is the
 * request's.
 */
struct service_access_record {
	const char *service, *version, *method;
	const uint8_t *caller; /* a node's key */
	bool is_local, is_stream;
	enum service_status status;
	uint64_t took_ns;
};

/*
 * Counts of an offer by method: the first SERVICE_METHODS_MAX that answered a call well, and
 * all others as one, whose name is "".
 */
#define SERVICE_METHODS_MAX 16
struct service_method_counts {
	char method[SERVICE_METHOD_LEN_MAX + 1];
	struct service_counts counts;
};

/* A service that this node provides. Borrowed until it is withdrawn. */
struct service_info {
	struct service_offer *offer;
	const char *name, *version;
	const uint8_t *id; /* SERVICE_ID_LEN */
	const struct service_metadata *metadata;
	unsigned metadata_cnt, allow_cnt;
	const char *const *read_only;
	unsigned read_only_cnt;
	bool is_ready, is_published, needs_signature;
	uint64_t calls_per_min, payload_len_max, timeout_ns; /* in force */
	uint64_t in_hand_cnt;
	struct service_counts counts;
	const struct service_method_counts *methods; /* the first is that of all others */
	unsigned method_cnt;
};
/*
 * A service_iter walks the offers; false: behind the last. The offer at hand may be withdrawn before
 * the next is asked for.
 */
struct service_iter {
	const struct service *service;
	const struct service_offer *offer; /* NULL: before the first */
};
bool service_next(struct service_iter *iter, struct service_info *out_info);

/* A limit with its fill: of the peer that is nearest to it, where it is one of each peer. */
struct service_limit_state {
	const struct service_limit_info *info;
	uint64_t value;
	bool has_fill;
	uint64_t used;
};
/* A service_limit_iter walks the limits; false: behind the last. */
struct service_limit_iter {
	const struct service *service;
	uint64_t now_ns;
	unsigned idx; /* of the next */
};
bool service_limits_next(struct service_limit_iter *iter, struct service_limit_state *out_state);

#endif
