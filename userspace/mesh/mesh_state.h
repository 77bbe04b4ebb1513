/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_MESH_MESH_STATE_H
#define WEFT_MESH_MESH_STATE_H

#include "base/memory/arena.h"
#include "base/list.h"
#include "base/map.h"
#include "base/memory/pool.h"
#include "base/timer.h"
#include "mesh/mesh.h"
#include "mesh/message_types.h"
#include "mesh/peers/identify.h"
#include "mesh/peers/peers.h"
#include "mesh/peers/unverified.h"
#include "mesh/session/discovery.h"
#include "mesh/session/hello.h"
#include "mesh/stream/deferral.h"
#include "mesh/stream/mesh_stream.h"
#include "mesh/stream/slots.h"

/*
 * The objects of mesh/, private to it. One worker owns all of them.
 *
 *	mesh -> sessions by key -> { control stream, other streams }
 *	     -> dials by key    -> { attempts, streams that wait for a session }
 *
 * The object to which a connection's user field points begins with its kind; a stream's points
 * to a struct mesh_stream. When the object ends before the transport's, user becomes NULL and
 * later events of that stream or connection are ignored.
 */
enum mesh_conn_kind {
	MESH_CONN_ATTEMPT,
	MESH_CONN_SESSION,
	MESH_CONN_IDENTIFY,
	MESH_CONN_UPGRADE,
};

/* No peer makes this node wait or stay away longer than this. */
#define MESH_NOT_BEFORE_MS_MAX (3600ull * 1000)

/* The one stream of session messages, made by the dialler. */
struct mesh_control {
	struct mesh_stream stream; /* without a transport: not seen yet */
	uint8_t *buffer;
	bool is_hello_sent;
};

struct mesh_ping {
	struct timer timer; /* set while one is under way */
	uint32_t req_id;
	uint64_t sent_ns;
	mesh_ping_fn done;
	void *arg;
};

/* upgrade_dials.c: dials of the peer of a session on TCP or through a relay. */
#define MESH_UPGRADE_TCP_MAX 3
struct mesh_upgrade {
	enum mesh_conn_kind kind;
	struct mesh_session *session; /* NULL: none is tried */
	struct transport_conn *conn;  /* by QUIC; NULL: none is under way */
	struct transport_conn *tcp_conns[MESH_UPGRADE_TCP_MAX]; /* likewise, each */
	struct timer timer;
	bool has_searched; /* once, for a direct path */
	uint64_t pause_ns;
};

struct mesh_session {
	enum mesh_conn_kind kind;
	struct mesh *mesh;
	struct transport_conn *conn;
	uint8_t key[MESH_KEY_LEN];
	uint8_t id[MESH_SESSION_ID_LEN];
	struct addr remote;
	uint64_t addr_seq; /* of the record its address was found by; 0: of none */
	struct peer_via vias[PEER_VIAS_MAX]; /* that it names, until HELLO */
	unsigned via_cnt;
	bool is_dialler;
	bool has_moved; /* remote is not where it began */
	bool is_chosen; /* an operator wanted it */
	bool is_wanted; /* or a person or program asked for it: its class is chosen while it lasts */
	bool is_unsought; /* all that asked for it want its key given to no locator */
	bool has_hello;
	bool is_retired; /* another session of this key is preferred */
	bool is_leaving; /* GOODBYE was sent: only the close is missing */
	bool has_spare;	 /* an incoming beyond the limits, maybe the control stream */
	uint64_t ready_ns, ready_wall_s;
	uint64_t moved_ns; /* it leads to remote since then; 0: from its beginning */
	uint64_t retired_ns;
	struct transport_close end;	     /* set before it ends */
	struct mesh_peer_token token;	     /* the newest that its peer gave */
	struct mesh_session *twin;	     /* next session of the same key, retired */
	struct mesh_peer_entry *peer;	     /* NULL until HELLO */
	struct list_node queue;		     /* streams that wait for stream credit */
	struct list_node deferred;	     /* for the time that the peer stated */
	struct list_node streams;	     /* open ones */
	uint32_t stream_cnts[MESH_ROLE_CNT]; /* of all three */
	uint32_t next_req_id;
	struct mesh_control control;
	struct mesh_ping ping;
	struct timer timer;    /* HELLO deadline, quiet while retired, linger while leaving */
	struct timer liveness; /* set while it is waited on, and at most one turn longer */
	uint64_t liveness_len; /* bytes received at its last turn */
	unsigned liveness_cnt; /* turns since something that is waited for went out */
	struct mesh_upgrade upgrade;
	uint64_t used_ns;      /* a request or a stream began or ended */
	struct fair_path path; /* where its slots belong, as of path_at_ns */
	uint64_t path_at_ns;
};

/* This node waits for something of the session's peer. */
static inline bool mesh_session_is_waited_on(const struct mesh_session *session)
{
	return session->stream_cnts[MESH_ROLE_REQUEST] || session->stream_cnts[MESH_ROLE_OPENED];
}

/* session_paths.c: a request or a stream is there, or was within 15 s. release: as of the seam. */
bool mesh_session_is_used(const struct mesh_session *session);
bool mesh_session_release(struct mesh *mesh, const uint8_t key[static MESH_KEY_LEN]);

/* mesh_request.c: a request of this node, or a wait for a session alone. */
struct mesh_request {
	struct mesh_stream stream;	      /* its buffer has room for a head, then the payload */
	const struct mesh_message_info *info; /* of a request */
	size_t payload_len;
	uint8_t *reply_buf;
	size_t reply_cap;
	uint64_t stall_ns;
	size_t progress_len;
	uint8_t error[MESH_ERROR_PAYLOAD_MAX];
	void (*reply)(void *arg, const struct mesh_reply *reply, uint64_t now_ns);
	mesh_connect_fn connected; /* in place of reply */
	void *arg;
};

enum mesh_incoming_state {
	MESH_INCOMING_READING,
	MESH_INCOMING_HANDED,	/* a handler owes the answer */
	MESH_INCOMING_ANSWERED, /* the rest of both directions is drained */
	MESH_INCOMING_ORPHAN,	/* handed, the asker left, and the handler does not know */
};

/* incoming.c: a request of a peer. */
struct mesh_incoming {
	struct mesh_stream stream;
	enum mesh_incoming_state state;
	enum mesh_pool buffer_pool; /* of buffer_slot while that holds one */
	struct fair_item buffer_slot;
	uint8_t *buffer;    /* the request's payload */
	uint64_t acked_len; /* of the answer, when it was last asked about */
	const void *lent;   /* arg of the answer's tail, by which it is recalled */
	void (*gone)(void *arg);
	void *gone_arg;
};

/* frame_stream.c: a stream of the seam, of either side. */
struct mesh_frame_stream {
	struct mesh_stream stream;
	const struct mesh_stream_events *events; /* NULL: it is being accepted */
	void *arg;
	bool has_peer; /* it has, or had, a session */
	bool has_sent;
	bool wants_writable;
	bool wants_session; /* opened without one, and nothing was said yet */
	uint8_t error[MESH_ERROR_PAYLOAD_MAX];
};

struct mesh_attempt {
	enum mesh_conn_kind kind;
	struct mesh_dial *dial;
	unsigned addr_idx;
	bool is_renewal;
	struct transport_conn *conn; /* NULL: not started or failed */
};

struct mesh_dial_look {
	struct mesh_look look;
	struct mesh_dial *dial;
	void *run; /* the locator's */
	bool is_asked, is_running;
	bool is_stale; /* a record was refused */
	unsigned addr_cnt;
	uint64_t started_ns;
	bool is_awaited;   /* the dial does not fail while it is running */
	uint64_t again_ns; /* it is asked anew then, if it is not running; 0: not yet asked */
	uint64_t pause_ns; /* before that, the last time */
};

/* discovery.c: looks for addresses of a dial, by locator. */
struct mesh_discovery {
	struct timer timer;
	bool is_begun;
	unsigned next_idx;		     /* locator to ask next */
	unsigned running_cnt;		     /* awaited ones */
	uint64_t next_ns;		     /* when it is asked */
	uint64_t seq;			     /* of the newest record found */
	struct peer_via vias[PEER_VIAS_MAX]; /* relays that it names */
	unsigned via_cnt;
	struct peer_via asked_vias[PEER_VIAS_MAX]; /* relays that askers name */
	unsigned asked_via_cnt;
	uint64_t hint_ns; /* when those are asked; 0: they were, or there are none */
	struct mesh_dial_look looks[MESH_LOCATORS_MAX];
};

/* Those given, and as many that were found. */
#define MESH_DIAL_ADDRS_MAX (2 * MESH_PEER_ADDRS_MAX)

/* Addresses of one dial that are dialled anew while they are silent. */
#define MESH_DIAL_RENEWALS_MAX 2

struct mesh_dial {
	struct mesh *mesh;
	uint8_t key[MESH_KEY_LEN];
	struct addr addrs[MESH_DIAL_ADDRS_MAX];
	uint32_t unverified; /* bit per address: an unknown peer named it */
	uint32_t
		put_off; /* likewise: and it was silent within the hour, so it is not dialled anew */
	uint64_t stun_ns; /* one of them was asked by STUN then; 0: none was */
	struct mesh_attempt attempts[MESH_DIAL_ADDRS_MAX];
	struct mesh_attempt renewals[MESH_DIAL_RENEWALS_MAX];
	unsigned addr_cnt;
	unsigned next_idx; /* address to try next */
	unsigned live_cnt; /* attempts under way */
	uint64_t began_ns; /* when the first of them was */
	struct list_node waiters;
	uint32_t waiter_cnt;
	struct timer timer;   /* next attempt, or the next look at beside */
	struct timer renewal; /* set while attempts are under way */
	struct mesh_session
		*beside;	/* redial.c: it is silent; NULL: there is none, or it is well */
	bool is_chosen;		/* an operator wants it */
	bool is_wanted;		/* or a person or program asks for it */
	bool is_sought;		/* an asker for it lets its key go to locators */
	uint64_t due_ns;	/* when it will have been, or was, silent for long */
	uint64_t seen_len;	/* what it had received when it was asked */
	uint64_t port_probe_ns; /* when to port probe next at where it is */
	uint64_t there_ns;	/* a program is there since then, at least; 0: unknown */
	uint64_t nobody_ns;	/* nothing was there, then; 0: unknown */
	int err;		/* the most telling failure so far */
	uint8_t actual_key[MESH_KEY_LEN];
	struct mesh_discovery discovery;
};

/* wake.c: a session that ended because its peer was silent. */
#define MESH_LOST_CAP 32
struct mesh_lost {
	uint8_t key[MESH_KEY_LEN];
	bool is_chosen, is_wanted, is_unsought;
	uint64_t at_ns; /* 0: none */
};

/* identify.c: a question which key an address has. */
struct mesh_identify {
	enum mesh_conn_kind kind;
	struct transport_conn *conn; /* NULL: unused */
	struct addr addr;
	mesh_identified_fn met; /* NULL: its asker has left */
	void *arg;
};

/*
 * The taker of a message of peers: it takes a request whole, or the stream that the message
 * begins.
 */
struct mesh_handler {
	mesh_handler_fn fn;
	mesh_accept_fn accept;
	void *ctx;
};

/* Over both caps of streams: one is made before the one that it evicts has gone. */
#define MESH_STREAM_SPARE_CNT 2u
/* Over the cap of requests: an asker asks again inside the reply to one whose memory is still there. */
#define MESH_REQUEST_SPARE_CNT 1u

struct mesh {
	struct mesh_config config;
	uint8_t own_key[MESH_KEY_LEN];
	struct transport *transport;
	struct timer_wheel *timers;
	uint64_t now_ns; /* of the last event or call */
	uint64_t wall_s, wall_at_ns;
	uint64_t ranked_s;	   /* wall clock when mesh_peers_rank was called */
	struct mesh_params params; /* its callbacks, ctx and load */
	struct mesh_locator locators[MESH_LOCATORS_MAX];
	unsigned locator_cnt;
	struct arena arena;
	struct pool sessions, requests, incoming, dials, streams;
	struct list_node foreign_sources; /* of struct mesh_foreign_source */
	uint32_t stream_cnts[MESH_ROLE_CNT];
	uint32_t next_stream_id;
	struct map sessions_by_key, dials_by_key;
	struct list_node share_changes; /* that wait for the store */
	struct mesh_buffers buffers;
	struct mesh_slots slots;
	struct mesh_peers peers;
	struct mesh_identify identifies[MESH_IDENTIFY_CAP];
	struct mesh_unverified unverified;
	struct mesh_deferrals deferrals;
	struct mesh_lost lost[MESH_LOST_CAP];
	unsigned lost_idx;			     /* the one to be forgotten next */
	uint64_t udp_silent_ns[MESH_NETWORK_CNT][2]; /* since when, IPv4 and IPv6; 0: it is not */
	struct mesh_handler handlers[MESH_MESSAGE_CNT_MAX];
	bool is_leaving;			 /* mesh_goodbye was called: nothing new begins */
	struct mesh_stats stats;		 /* the counters; fills are read from the pools */
	uint8_t scratch[TRANSPORT_COPY_LEN_MAX]; /* a frame's start, written to be copied */
};

/* mesh.c. mesh_refuses: the owner of the mesh refuses key, or the host at remote. */
bool mesh_refuses(const struct mesh *mesh, const uint8_t *key, const struct addr *remote);
/* mesh_limits: of how many that one session may have at once, session may: 1 from a limited address. */
uint32_t mesh_limits(const struct mesh_session *session, uint32_t cap);
uint64_t mesh_wall_now_s(const struct mesh *mesh);
/* mesh_walk_next: the session in use of the next peer, then entries of peers without one. */
bool mesh_walk_next(struct mesh *mesh, struct mesh_walk *walk);
/* mesh_handler_slot: NULL for what no peer may ask. */
struct mesh_handler *mesh_handler_slot(struct mesh *mesh, unsigned type);
/* mesh_handler_set: 0, WEFT_EUNKNOWN (no such slot) or WEFT_EEXISTS (the slot is taken). */
WEFT_MUST_CHECK
int mesh_handler_set(struct mesh *mesh, unsigned type, const struct mesh_handler *handler);
/*
 * mesh_turn: it is now_ns, or as late as at the last event or call: a caller's time may be that of a turn
 * before. Returns which.
 */
static inline uint64_t mesh_turn(struct mesh *mesh, uint64_t now_ns)
{
	if (now_ns > mesh->now_ns)
		mesh->now_ns = now_ns;
	return mesh->now_ns;
}
static inline const struct transport_ops *mesh_transport_ops(const struct mesh *mesh)
{
	return mesh->transport->ops;
}

/*
 * session.c. mesh_session_make gives a session to an authenticated connection, or NULL when there
 * is no room. mesh_session_close gives the reason to the peer's transport and ends the session;
 * mesh_session_end only ends it: its connection is gone. Both fail its requests, so the caller may
 * not touch session afterwards.
 */
struct mesh_session *mesh_session_make(struct mesh *mesh, struct transport_conn *conn,
				       const struct transport_conn_info *info);
void mesh_session_close(struct mesh_session *session, enum mesh_goodbye_reason reason,
			const char *text);
void mesh_session_end(struct mesh_session *session);
/* mesh_session_closed: its connection ended by close. note_deferral: what close says of coming back. */
void mesh_session_closed(struct mesh_session *session, const struct transport_close *close);
void mesh_session_note_deferral(struct mesh_session *session, const struct transport_close *close);
void mesh_session_leave(struct mesh_session *session, unsigned reason, uint64_t not_before_ms);
/* mesh_session_moved: its connection has another path now. */
void mesh_session_moved(struct mesh_session *session);
/* mesh_session_bars: a message of content, which may not use a relay's control flow. */
bool mesh_session_bars(const struct mesh_session *session, unsigned type);
void mesh_session_fill_info(const struct mesh_session *session, struct mesh_peer_info *out_info);

/*
 * udp_silence.c: networks where UDP does not pass. TCP is dialled beside QUIC after 1 s of
 * silence. Where TCP answered and QUIC had not, TCP comes first for an hour, on that kind of
 * network and family. The hour ends early when a QUIC connection opens there or the machine's
 * network changes.
 */

/* mesh_udp_rank: that of an address of dial; 0: it is not to be dialled. */
unsigned mesh_udp_rank(const struct mesh_dial *dial, unsigned idx);
/* mesh_udp_is_awaited: the address is TCP's, and QUIC has more of its second. */
bool mesh_udp_is_awaited(const struct mesh_dial *dial, unsigned idx);
/* mesh_udp_note: a connection opened; attempt NULL: the peer's own. forget: the network changed. */
void mesh_udp_note(struct mesh *mesh, const struct mesh_attempt *attempt,
		   const struct transport_conn_info *info);
/* mesh_udp_fell_silent: QUIC did not answer at addr, where TCP does. */
void mesh_udp_fell_silent(struct mesh *mesh, const struct addr *addr);
void mesh_udp_forget(struct mesh *mesh);
/*
 * mesh_peer_place: a session was at addr, so kept is that from now on. TCP takes no place of QUIC's.
 * A label takes none at all, and the port of a peer that dialled by TCP is one of its dial alone.
 */
void mesh_peer_place(struct addr *kept, const struct addr *addr, bool is_dialler);

/*
 * upgrade_dials.c. begin: the session has said HELLO, or moved. won: conn, a dial of it, is proved, and those that
 * it makes needless are closed. failed: it came to nothing. next: its dials that are under way one by one,
 * from NULL to NULL. drop: the session ends, or moved.
 */
void mesh_upgrade_begin(struct mesh_session *session);
void mesh_upgrade_won(struct mesh_session *session, const struct transport_conn *conn);
void mesh_upgrade_failed(struct mesh_session *session, const struct transport_conn *conn,
			 const struct transport_close *close);
struct transport_conn *mesh_upgrade_next(const struct mesh_session *session,
					 const struct transport_conn *conn);
void mesh_upgrade_drop(struct mesh_session *session);

/* control_stream.c: HELLO, PING, PONG, GOODBYE. Its events may end the session. */
void mesh_control_init(struct mesh_session *session);
void mesh_control_open(struct mesh_session *session);
void mesh_control_say_hello(struct mesh_session *session);
/* mesh_control_adopt: a peer's stream carries HELLO, whose head in holds. */
void mesh_control_adopt(struct mesh_session *session, struct transport_stream *transport,
			const struct mesh_frame_in *in);
/* control_say_ping: a PING whose answer is not waited for. 0, WEFT_EBUSY or as control_send. */
WEFT_MUST_CHECK
int mesh_control_say_ping(struct mesh_session *session);
/* control_send: 0 or WEFT_EFULL, WEFT_ECLOSED; nothing is queued. */
int mesh_control_send(struct mesh_session *session, const struct mesh_frame *frame,
		      const void *payload);

/* mesh_request.c. read_error: what an error answer on stream means; a deferral is noted. */
void mesh_request_read_error(struct mesh_stream *stream, const uint8_t *payload,
			     struct mesh_stream_end *out_end);
int mesh_request_ask(struct mesh *mesh, const struct mesh_ask *ask, uint64_t now_ns,
		     struct mesh_request **out_request);
void mesh_request_cancel(struct mesh_request *request);
int mesh_request_connect(struct mesh *mesh, const struct mesh_connect *connect, uint64_t now_ns,
			 struct mesh_request **out_request);
/* mesh_request_received: bytes of the answer that came so far. */
size_t mesh_request_received(const struct mesh_request *request);

/* frame_stream.c. has_room: for one more that session's peer opens; if not, that is counted. */
bool mesh_frame_stream_has_room(struct mesh_session *session);
/*
 * mesh_frame_stream_make: one that the peer of path opens. Another may be evicted for it. NULL: the
 * peer has its share. accept gives it to the acceptor of type: as mesh_accept_fn. adopt does both
 * for a stream of session whose first head in holds, after has_room.
 */
struct mesh_frame_stream *mesh_frame_stream_make(struct mesh *mesh, const struct fair_path *path);
WEFT_MUST_CHECK
int mesh_frame_stream_accept(struct mesh_frame_stream *frames, unsigned type);
void mesh_frame_stream_adopt(struct mesh_session *session, struct transport_stream *transport,
			     const struct mesh_frame_in *in);
/* mesh_frame_stream_evict ends a stream whose slot another one got: both sides get BUSY. */
void mesh_frame_stream_evict(struct mesh_stream *stream);

/* foreign.c. bind: another worker carries stream. recall: as that of the seam, of all sources. */
void mesh_foreign_recall(struct mesh *mesh, const void *arg, uint64_t code);
void mesh_foreign_bind(struct mesh_stream *stream, const struct mesh_foreign *foreign);

/* incoming.c. make_foreign: one that another worker carries; NULL: there is no slot for it. */
int mesh_incoming_open(struct mesh_session *session, struct transport_stream *transport);
struct mesh_stream *mesh_incoming_make_foreign(struct mesh *mesh,
					       const struct mesh_foreign *foreign,
					       const struct fair_path *path);
int mesh_incoming_answer(struct mesh_incoming *incoming, unsigned type, const void *head,
			 size_t head_len, const struct transport_span *tail);
void mesh_incoming_answer_error(struct mesh_incoming *incoming, enum mesh_code code,
				const char *text, uint64_t not_before_ms);
void mesh_incoming_recall(struct mesh *mesh, const void *arg);
void mesh_incoming_abandoned(struct mesh_incoming *incoming, void (*gone)(void *arg), void *arg);

/*
 * incoming_slot.c. path: the account of its slots. take_buffer: a place for its payload; false:
 * it was refused. note: len bytes of it came. rest: its handler has it, and the peer's clock
 * stands. defer answers that pool has no slot now. refuse_stream answers that there is none for
 * the stream, for which no object is left: 0 or WEFT_EFULL.
 */
void mesh_incoming_asker_addr(const struct mesh_incoming *incoming, struct addr *out_addr);
void mesh_incoming_path(const struct mesh_incoming *incoming, struct fair_path *out_path);
void mesh_incoming_session(const struct mesh_incoming *incoming,
			   uint8_t out_id[static MESH_SESSION_ID_LEN]);
bool mesh_incoming_take_buffer(struct mesh_incoming *incoming);
void mesh_incoming_release_buffer(struct mesh_incoming *incoming);
void mesh_incoming_note(struct mesh_incoming *incoming, size_t len);
void mesh_incoming_rest(struct mesh_incoming *incoming);
void mesh_incoming_defer(struct mesh_incoming *incoming, enum mesh_pool pool, const char *text);
int mesh_incoming_refuse_stream(struct mesh_session *session, struct transport_stream *transport,
				const char *pool);
/* note_refused: pool (static) has nothing for the asker, which is to wait wait_ms. */
void mesh_incoming_note_refused(const struct mesh_incoming *incoming, const char *pool,
				uint32_t wait_ms);
/*
 * mesh_incoming_evict: another peer got the slot or buffer of incoming. Its asker is to come
 * back later where nothing of an answer went out, else the stream is reset.
 * mesh_incoming_poll notes what the asker has acknowledged of the answer: was there progress?
 */
void mesh_incoming_evict(struct mesh_incoming *incoming);
bool mesh_incoming_poll(struct mesh_incoming *incoming);

/* peer_share.c. detach: what waits for the store changes nothing any more. */
void mesh_shares_detach(struct mesh *mesh);

/* dial.c */
WEFT_MUST_CHECK
int mesh_dial_wait(struct mesh *mesh, const struct mesh_peer *peer, struct mesh_stream *stream);
/* dial_leave: stream, which was waiting, no longer does. */
void mesh_dial_leave(struct mesh_stream *stream);
/* dial_verdict: why the dial has not succeeded so far. */
int mesh_dial_verdict(const struct mesh_dial *dial);
/* mesh_dial_beside makes a held dial whose timer is not set; NULL: no room. */
struct mesh_dial *mesh_dial_beside(struct mesh_session *session, const struct mesh_peer *peer);
/* mesh_dial_add_peer adds addresses to try, as many as fit: those of peer or those it is known by. */
void mesh_dial_add_addr(struct mesh_dial *dial, const struct addr *addr, bool is_unverified);
void mesh_dial_add_peer(struct mesh_dial *dial, const struct mesh_peer *peer);
/* mesh_dial_add_known adds the addresses of earlier sessions. */
void mesh_dial_add_known(struct mesh_dial *dial);
/* mesh_dial_go_on: addresses were added to a dial that is on; the first of them is tried soon. */
void mesh_dial_go_on(struct mesh_dial *dial);
/* mesh_dial_end_if_hopeless fails a dial without an address to try or to hope for. */
void mesh_dial_end_if_hopeless(struct mesh_dial *dial);
/* mesh_dial_session_ended: nothing is left for a dial to be beside of. */
void mesh_dial_session_ended(struct mesh_session *session);
/* mesh_dial_renew dials what is silent of dial anew, now. */
void mesh_dial_renew(struct mesh_dial *dial);
/* dial_won: session is there; what waited is started on it, and a silent other is closed. */
void mesh_dial_won(struct mesh_dial *dial, struct mesh_session *session);
/* mesh_dial_tell reports to the owner of the mesh how attempt ended. */
void mesh_dial_tell(const struct mesh_attempt *attempt, const struct transport_close *end);
/* mesh_dial_attempt_failed: attempt's connection is gone; the next address is tried. */
void mesh_dial_attempt_failed(struct mesh_attempt *attempt, int err, const uint8_t *actual_key);
/* mesh_dial_fail ends dial, and what waits in it. */
void mesh_dial_fail(struct mesh_dial *dial, int err);

/*
 * discovery.c. mesh_discovery_begin asks the first locator at at_ns, or when it was going to if
 * that is earlier. discovery_suggest: the relays that peer names are asked at at_ns, or when others
 * are that were suggested before. discovery_is_over: no locator is left to ask, and no answer is to come.
 * discovery_stop cancels what runs. discovery_reset: it has not begun.
 */
void mesh_discovery_init(struct mesh_dial *dial);
void mesh_discovery_begin(struct mesh_dial *dial, uint64_t at_ns);
void mesh_discovery_suggest(struct mesh_dial *dial, const struct mesh_peer *peer, uint64_t at_ns);
bool mesh_discovery_is_over(const struct mesh_dial *dial);
void mesh_discovery_stop(struct mesh_dial *dial);
void mesh_discovery_reset(struct mesh_dial *dial);

/* wake.c. mesh_lost_note: session ends, and its end says why. */
void mesh_lost_note(struct mesh_session *session);

/* identify.c. mesh_identify_ended: its connection is gone, or is to go. */
void mesh_identify_ended(struct mesh *mesh, struct mesh_identify *identify,
			 const struct transport_close *close);

/* mesh_liveness_begin: something that is waited for went out on session. mesh_liveness_expire: its timer. */
void mesh_liveness_begin(struct mesh_session *session);
void mesh_liveness_expire(struct timer *timer, uint64_t now_ns);

/* redial.c. mesh_redial_asked: a request of peer went out on session, which owes a packet now. */
void mesh_redial_asked(struct mesh_session *session, const struct mesh_peer *peer);
/* mesh_redial_is_held: dial waits beside a session for it to be silent; mesh_redial_is_on: it is, and races. */
bool mesh_redial_is_held(const struct mesh_dial *dial);
bool mesh_redial_is_on(const struct mesh_session *session);
/* mesh_redial_goes_on, when dial's timer fires: false when it was decided; dial is gone then. */
bool mesh_redial_goes_on(struct mesh_dial *dial);
/* mesh_redial_puts_off: idx is the address of the session itself, which is asked there; not yet. */
bool mesh_redial_puts_off(const struct mesh_dial *dial, unsigned idx);
/* mesh_redial_is_relayed: dial is beside a session through a relay. */
bool mesh_redial_is_relayed(const struct mesh_dial *dial);
/* mesh_redial_is_over: the session that dial is beside has stirred; a connection proved now is not needed. */
bool mesh_redial_is_over(const struct mesh_dial *dial);
/* mesh_redial_loser: the silent session to be closed when winner (NULL: none) is used, or NULL. */
struct mesh_session *mesh_redial_loser(const struct mesh_dial *dial,
				       const struct mesh_session *winner);
/* mesh_redial_lost ends a session that is silent and whose peer answers at no other address. */
void mesh_redial_lost(struct mesh_session *session);
/* mesh_redial_session_suits: session is at an address of peer, or peer names none. */
bool mesh_redial_session_suits(const struct mesh_session *session, const struct mesh_peer *peer);

#endif
