/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_MESH_SEAM_H
#define WEFT_MESH_SEAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/addr.h"
#include "base/fair/fair.h"
#include "base/transport.h"
#include "codec/peer_addr.h"
#include "weft/err.h"

/*
 * The functions of mesh/ for blobs/ and other features: requests to a peer named by its key, and
 * answers to requests of peers. The table is handed over at start; mesh/mesh.h is never included
 * there. All on the home worker; nothing blocks; time is the now_ns of the turn.
 */
struct mesh;
struct mesh_request;  /* of this node, waiting for its answer */
struct mesh_incoming; /* of a peer, waiting for its answer */

#define MESH_KEY_LEN	    32
#define MESH_SESSION_ID_LEN 16

/* A walk through the peers of a mesh, zeroed at first. The peers may not change meanwhile. */
struct mesh_walk {
	struct mesh_session *session;
	struct mesh_peer_entry *entry;
	bool is_past; /* the connected ones */
};

/* Message numbers used across folders; the whole registry is mesh/registry.def. */
enum mesh_message {
	MESH_PING = 4,
	MESH_PONG = 5,
	MESH_GOODBYE = 6,
	MESH_ERROR = 7,
	MESH_HELLO = 8,
	MESH_PEX_OFFER = 100,
	MESH_PEX_REQUEST = 101,
	MESH_CANDIDATES = 110,
	MESH_PUNCH_NOW = 111,
	MESH_PUNCH_RESULT = 112,
	MESH_OBSERVED_ADDR = 113,
	MESH_DIAL_BACK = 114,
	MESH_DIALLED_BACK = 115,
	MESH_SEND_PROBE = 116,
	MESH_PROBE_SENT = 117,
	MESH_SEARCH_PORTS = 118,
	MESH_FIND_NODE = 200,
	MESH_FIND_VALUE = 201,
	MESH_STORE = 202,
	MESH_CALL = 300,
	MESH_REPLY = 301,
	MESH_STREAM_OPEN = 302,
	MESH_STREAM_DATA = 303,
	MESH_STREAM_CLOSE = 304,
	MESH_CANCEL = 305,
	MESH_SERVICE_MESSAGE = 310,
	MESH_SERVICE_CAPS = 311,
	MESH_ENDORSE = 312,
	MESH_OFFERS_KEPT = 313,
	MESH_GET_MANIFEST = 400,
	MESH_MANIFEST_DATA = 401,
	MESH_LIST_SHARES = 402,
	MESH_SHARE_LIST = 403,
	MESH_ASK_COMMUNITY = 404,
	MESH_COMMUNITY_STATE = 405,
	MESH_LIST_OWN_SHARES = 406,
	MESH_OWN_SHARES = 407,
	MESH_LIST_MEMBERS = 408,
	MESH_MEMBERS = 409,
	MESH_LIST_COMMUNITY_SHARES = 410,
	MESH_COMMUNITY_SHARES = 411,
	MESH_SEARCH_COMMUNITY = 412,
	MESH_COMMUNITY_HITS = 413,
	MESH_ASK_EVENTS = 414,
	MESH_EVENTS = 415,
	MESH_SHOW_MEMBER = 416,
	MESH_MEMBER_SHOWN = 417,
	MESH_ASK_ROOM = 420,
	MESH_ROOM_HEAD = 421,
	MESH_GET_ROOM_SEGMENT = 422,
	MESH_ROOM_SEGMENT = 423,
	MESH_RELAY_REGISTER = 450,
	MESH_RELAY_REGISTERED = 451,
	MESH_RELAY_CONNECT = 452,
	MESH_LIST_RELAYS = 460,
	MESH_RELAYS = 461,
	MESH_REVOCATIONS = 462,
	MESH_RELAY_RECEIPT = 463,
	MESH_FLOW_OPEN = 464,
	MESH_FLOW_OFFER = 465,
	MESH_FLOW_ACCEPT = 466,
	MESH_FLOW = 467,
	MESH_FLOW_CLOSE = 468,
	MESH_FLOW_LEG = 469,
	MESH_HOLDERS = 498,
	MESH_HAVE_CONTENT = 499,
	MESH_GET_CHUNK = 500,
	MESH_CHUNK_DATA = 501,
	MESH_GET_CHUNK_HASHES = 502,
	MESH_CHUNK_HASH_LIST = 503,
	MESH_RANGE_PROOF = 504,
	MESH_SOCIAL_HELLO = 600,
	MESH_SOCIAL_POSTS = 601,
	MESH_POST_GET = 602,
	MESH_POST_DATA = 603,
	MESH_PROFILE_UPDATE = 604,
	MESH_VISIBILITY_UPDATE = 605,
	MESH_POST_DELETE = 606,
	MESH_REPLICA_CHECK = 610,
	MESH_REPLICA_STATUS = 611,
	MESH_REPLICA_OFFER = 612,
	MESH_REPLICA_ACCEPT = 613,
	MESH_REPLICA_REFUSE = 614,
	MESH_ANCHOR_QUERY = 620,
	MESH_ANCHOR_ANSWER = 621,
	MESH_MAILBOX_PUT = 622,
	MESH_MAILBOX_PULL = 623,
	MESH_MAILBOX_ACK = 624,
	MESH_CHECK_IN = 625,
	MESH_INITIAL_EXCHANGE = 630,
	MESH_SLOT_GRANT = 631,
	MESH_REFUSE_REDIRECT = 632,
	MESH_N1_SHARE = 633,
	MESH_N1_DIFF = 634,
	MESH_WORM_QUERY = 635,
	MESH_WORM_ANSWER = 636,
	MESH_GROUP_KEY = 640,
	MESH_GROUP_REKEY = 641,
	MESH_GROUP_STATE = 642,
};

/* Codes inside an error answer (flag 2), stable on the wire. */
enum mesh_code {
	MESH_CODE_INTERNAL = 1,
	MESH_CODE_MALFORMED = 2,
	MESH_CODE_ABSENT = 3,
	MESH_CODE_UNKNOWN = 4, /* message type without a handler here */
	MESH_CODE_REFUSED = 5, /* a limit; not_before says when to come back */
	MESH_CODE_TOO_LARGE = 6,
	MESH_CODE_TIMEOUT = 7,
	MESH_CODE_CHANGED = 8, /* the shared file is no longer what was hashed */
	MESH_CODE_BUSY = 9,
};

/* Why a peer is chosen: nothing that unknown peers do costs it its place. */
enum mesh_choice {
	MESH_CHOICE_ADDED = 1,	  /* named in the configuration */
	MESH_CHOICE_FOLLOWED = 2, /* a share of it is followed, or a community is shared with it */
	MESH_CHOICE_DIALLED = 4,  /* an operator dialled it: mesh_peer.is_chosen */
	MESH_CHOICE_TRUSTED = 8,
};

/* Where a peer may be; borrowed for the call that takes it. */
struct mesh_peer {
	uint8_t key[MESH_KEY_LEN];
	const struct addr *addrs;
	unsigned addr_cnt;	     /* at most MESH_PEER_ADDRS_MAX */
	const struct peer_via *vias; /* relays at which it may be, too */
	unsigned via_cnt;	     /* at most PEER_VIAS_MAX */
	bool is_chosen;		     /* an operator names it, and its addresses */
	bool is_wanted;	  /* a person or program of this node asks: its session is chosen, too */
	bool is_unsought; /* its key is told to no locator (mesh/session/discovery.h) */
	unsigned
		told_cnt; /* the last of addrs: unknown peers named them, so dials there are few (unverified.h) */
};
#define MESH_PEER_ADDRS_MAX 8

/* mesh_peer_at: the peer of key, at places; borrows them. */
static inline struct mesh_peer mesh_peer_at(const uint8_t *key, const struct peer_places *places)
{
	struct mesh_peer peer = {.addrs = places->addrs,
				 .addr_cnt = places->addr_cnt,
				 .vias = places->vias,
				 .via_cnt = places->via_cnt};

	memcpy(peer.key, key, sizeof(peer.key));
	return peer;
}

/* How a dial ended; actual_key is set with WEFT_EWRONGKEY. */
typedef void (*mesh_connect_fn)(void *arg, int err, const uint8_t *actual_key);

/* A session is wanted, and nothing is asked by it yet. */
struct mesh_connect {
	const struct mesh_peer *peer;
	uint64_t timeout_ns;
	mesh_connect_fn done; /* called once, never inside the call */
	void *arg;
};

/*
 * How a request ended; reply is called exactly once unless it was
 * cancelled. err 0: payload is the answer frame's payload, inside the
 * reply_buf given with the request. err < 0: WEFT_ETIMEOUT, ECLOSED,
 * EUNREACHABLE, EWRONGKEY (actual_key is set), EMALFORMED, ETOOLARGE, or
 * what the peer's error code maps to (MESH_CODE_* in code).
 */
struct mesh_reply {
	int err;
	unsigned type; /* message number of the answer */
	enum mesh_code code;
	uint64_t not_before_ns; /* with WEFT_EREFUSED or EBUSY: when to ask again */
	const uint8_t *payload;
	size_t payload_len;
	size_t received_len;	   /* with an error: bytes of an answer that came all the same */
	const uint8_t *actual_key; /* with WEFT_EWRONGKEY */
};

#define MESH_ASK_LEN_MAX (65 * 1024) /* a value of the overlay with its fields */
struct mesh_ask {
	struct mesh_peer peer;
	unsigned type;
	const void *payload; /* copied, at most MESH_ASK_LEN_MAX bytes */
	size_t payload_len;
	uint8_t *reply_buf;  /* lent until reply or cancel: the answer frame is assembled here */
	size_t reply_cap;    /* a longer frame ends the request with WEFT_ETOOLARGE */
	uint64_t timeout_ns; /* from now, dialling included; measured without progress: */
	uint64_t stall_ns;   /* 0: none; else give up when no byte came for so long */
	size_t progress_len; /* 0: none; else so many bytes of the answer earn timeout_ns again */
	void (*reply)(void *arg, const struct mesh_reply *reply, uint64_t now_ns);
	void *arg;
};
/* Frame bytes around a payload, to size reply_buf: payload + MESH_FRAME_OVERHEAD. */
#define MESH_FRAME_OVERHEAD 32

/* A request from a peer, as its handler sees it. */
struct mesh_call {
	struct mesh_incoming *incoming; /* answer it once, now or later */
	const uint8_t *peer_key;
	unsigned type;
	const uint8_t *payload; /* borrowed for the call of the handler */
	size_t payload_len;
};

typedef void (*mesh_handler_fn)(void *ctx, const struct mesh_call *call, uint64_t now_ns);

/*
 * ask starts a request. 0 with *out_request, WEFT_EFULL (too many in
 *     flight), WEFT_EMALFORMED (own key, too many addresses or none and no
 *     session, a message that is not asked), WEFT_ETOOLARGE (payload) or
 *     WEFT_EREFUSED (this node says goodbye).
 * cancel takes a request back; reply is not called, reply_buf is free. handle registers the handler
 * of a message number listed in the registry;
 *     once per number, at start.
 * answer sends an answer frame whose payload is head followed by tail: head
 *     (<= 1024 bytes, may lie in the call's payload) is copied, tail (may
 *     be NULL) is lent as a span.
 *     incoming is gone after this. On WEFT_ECLOSED the asker left: tail
 *     stays the caller's and its done is not called.
 * answer_error sends flags response|error with code, a short text and when
 *     to come back (0: no hint). incoming is gone.
 * abandoned, set per incoming, is called when the asker leaves before the
 *     answer; incoming is gone then.
 * asker_path returns the place of the asker's slots (base/fair/fair_path.h), while it is there.
 * recall ends an answer whose tail had arg, and that its asker has not got whole: nothing of it is sent
 * any more. The tail's done is called once, as else, and may be so inside. TCP takes bytes to encrypt
 * them, and those go.
 * hurry says that what answers hold is short: an answer that its asker does not take is soon given
 * up. note_refused: pool (static, base/fair/load.h) has nothing for the asker, which is to wait
 * wait_ms. asker_addr returns the asker's current address; of family ADDR_NONE when it left.
 * asker_session gives what names the asker's session on both of its sides and nowhere else. session does
 * so for the session with key, by which ask would go: 0 or WEFT_EABSENT.
 */
struct mesh_ops {
	int (*ask)(struct mesh *mesh, const struct mesh_ask *ask, uint64_t now_ns,
		   struct mesh_request **out_request);
	void (*cancel)(struct mesh_request *request);
	int (*handle)(struct mesh *mesh, unsigned type, mesh_handler_fn handler, void *ctx);
	int (*answer)(struct mesh_incoming *incoming, unsigned type, const void *head,
		      size_t head_len, const struct transport_span *tail);
	void (*answer_error)(struct mesh_incoming *incoming, enum mesh_code code, const char *text,
			     uint64_t not_before_ms);
	void (*abandoned)(struct mesh_incoming *incoming, void (*gone)(void *arg), void *arg);
	void (*asker_addr)(const struct mesh_incoming *incoming, struct addr *out_addr);
	void (*asker_path)(const struct mesh_incoming *incoming, struct fair_path *out_path);
	void (*asker_session)(const struct mesh_incoming *incoming,
			      uint8_t out_id[static MESH_SESSION_ID_LEN]);
	int (*session)(const struct mesh *mesh, const uint8_t key[static MESH_KEY_LEN],
		       uint8_t out_id[static MESH_SESSION_ID_LEN]);
	void (*note_refused)(const struct mesh_incoming *incoming, const char *pool,
			     uint32_t wait_ms);
	void (*hurry)(struct mesh *mesh);
	void (*recall)(struct mesh *mesh, const void *arg);
	/* Bytes of the answer that came so far; a mesh of a test may have none. */
	size_t (*received)(const struct mesh_request *request);
	/*
	 * Without addresses in the peer, those it is known by are dialled; a session at none of those in
	 * it does not count. 0 with what cancel takes, or as ask: WEFT_EFULL, EMALFORMED, EREFUSED.
	 */
	int (*connect)(struct mesh *mesh, const struct mesh_connect *connect, uint64_t now_ns,
		       struct mesh_request **out_request);
	/*
	 * Ends the session with key, and returns true, if this node dialled it and nothing used it for
	 * 15 s. One that is chosen or wanted stays. A mesh of a test may have none.
	 */
	bool (*release)(struct mesh *mesh, const uint8_t key[static MESH_KEY_LEN]);
};

struct mesh_seam {
	const struct mesh_ops *ops;
	struct mesh *mesh;
};

#endif
