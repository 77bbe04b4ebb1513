/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PUNCH_PUNCH_STATE_H
#define WEFT_PUNCH_PUNCH_STATE_H

#include "base/memory/arena.h"
#include "base/monotonic.h"
#include "base/timer.h"
#include "punch/punch.h"
#include "punch_message.h"

struct dgram_route;

/*
 * A round probes for so long from PUNCH_NOW on: some round trips between far places.
 */
#define PUNCH_ROUND_NS (1500 * NS_PER_MS)
/* From CANDIDATES to PUNCH_NOW, and for the answer to each. */
#define PUNCH_PATIENCE_NS (5 * NS_PER_S)
/* Probes of a round to new addresses: the candidates, and where probes of the peer came from. */
#define PUNCH_SENT_MAX (PUNCH_CANDIDATES_MAX + 4)
/* Probes of a round that are answered. One that is sent again from a forged address has two sent there. */
#define PUNCH_ANSWERS_MAX 16

enum punch_phase {
	PUNCH_IDLE,
	PUNCH_AGREEING, /* CANDIDATES and PUNCH_NOW */
	PUNCH_PROBING,
	PUNCH_WARM, /* of a session that has a direct path (punch_warm.c) */
};

/* A copied probe is answered so often in so long a time, once the row is kept warm. */
#define PUNCH_ANSWERS_NS (10 * NS_PER_S)

struct punch_sent {
	struct addr addr;
	struct addr local; /* where its last answer came in */
	uint8_t nonce[PUNCH_NONCE_LEN];
	bool is_repeated;
	bool is_answered; /* the last probe */
	uint64_t sent_ns; /* the last probe */
	uint64_t rtt_ns, since_ns;
	unsigned lost_cnt, better_cnt;
};

/* A round, and what came of it. Of asked ones the last outcome is kept until the row is needed. */
struct punch_round {
	struct fair_item share; /* of an answered one; first: a victim's leads to the rest */
	struct punch *punch;
	enum punch_phase phase;
	bool is_asker;
	bool is_agreed;	   /* theirs is known */
	bool is_requested; /* by punch_ask */
	struct addr named[PUNCH_NAMED_MAX];
	unsigned named_cnt;
	bool is_direct;			    /* the session is: the round looks for a better path */
	struct addr used, used_local;	    /* its path, of an asker's */
	uint64_t warm_ns, answers_ns;	    /* the row is kept since; answer_cnt counts since */
	unsigned silent_cnt;		    /* turns in which no path but the used one answered */
	uint64_t host_account, key_account; /* of the peer, which names the candidates */
	bool is_unknown;
	uint8_t key[MESH_KEY_LEN];
	uint8_t probe_key[PUNCH_KEY_LEN];
	uint8_t handle[PUNCH_HANDLE_LEN]; /* that probes to this node bear */
	struct punch_candidates theirs;
	struct punch_sent sent[PUNCH_SENT_MAX + PUNCH_NAMED_MAX];
	unsigned sent_cnt, answer_cnt;
	struct addr proved; /* a probe there was answered; family ADDR_NONE: none was */
	struct timer timer;
	struct mesh_request *request;	/* the asker's; NULL: none is under way */
	struct mesh_incoming *incoming; /* PUNCH_NOW, to be answered; NULL: there is none */
	uint64_t asked_ns;		/* CANDIDATES */
	uint64_t used_ns;
	struct punch_view view; /* of an asker */
	uint64_t search_ns;	/* no search before */
	uint8_t reply[PUNCH_MESSAGE_LEN_MAX];
};

/*
 * One search at a time (punch_search.c). Before it runs, the relay is asked where the peer is, and the
 * easy side asks where its socket is seen.
 */
enum punch_search_phase {
	PUNCH_SEARCH_IDLE,
	PUNCH_SEARCH_WITNESS,
	PUNCH_SEARCH_MAPPING,
	PUNCH_SEARCH_ASKING,
	PUNCH_SEARCH_RUNNING,
};

#define PUNCH_TRANSACTION_LEN 12 /* of STUN */
struct punch_search {
	struct punch *punch;
	enum punch_search_phase phase;
	enum punch_search_outcome outcome; /* once it is known, while the search lasts on */
	bool is_asker, is_hard;
	struct punch_port_owner owner;
	bool is_counted; /* in past */
	bool is_heard;	 /* a probe of the peer came in */
	bool is_short;	 /* the system has no socket more */
	uint8_t key[MESH_KEY_LEN];
	uint8_t probe_key[PUNCH_KEY_LEN];
	uint8_t handle[PUNCH_HANDLE_LEN], their_handle[PUNCH_HANDLE_LEN];
	uint8_t nonce[PUNCH_NONCE_LEN];
	uint8_t transaction[PUNCH_TRANSACTION_LEN];
	struct addr host;	   /* of the peer, as the relay sees it; the port means nothing */
	struct addr goal;	   /* the easy side's socket, as others see it */
	struct addr relay;	   /* that is asked by STUN */
	struct addr local, remote; /* of the first probe of the peer */
	unsigned tick_cnt, socket_cnt, probe_cnt, answer_cnt, kept_cnt, stun_cnt;
	uint32_t port_at; /* of the next probe */
	uint64_t begun_ns, found_ns, end_ns, now_ns;
	uint64_t again_ns; /* a busy peer wants no question before */
	struct timer timer;
	struct mesh_request *request;
	struct mesh_incoming *incoming;
	uint8_t reply[PUNCH_MESSAGE_LEN_MAX];
};

/* Searches of the last hour, the oldest first. */
#define PUNCH_SEARCH_PAST_MAX (PUNCH_SEARCH_ASKED_MAX + PUNCH_SEARCH_ANSWERED_MAX)
struct punch_past_search {
	uint64_t at_ns, network;
	bool is_asked, is_unknown;
};

/* Peers whose relay did not confirm what they said of themselves; the oldest gives its place. */
#define PUNCH_UNPROVED_MAX     16
#define PUNCH_UNPROVED_NS      (300 * NS_PER_S)
#define PUNCH_UNKNOWN_EVERY_NS (2 * NS_PER_S) /* from a question for an unknown peer to the next */
struct punch_unproved {
	uint8_t key[MESH_KEY_LEN];
	uint64_t at_ns; /* 0: none */
};

#define PUNCH_NETWORKS 64
struct punch_budget {
	uint64_t id, since_ns;
	unsigned cnt; /* probes of the minute from since_ns on */
};
struct punch {
	struct punch_search search;
	struct punch_past_search past[PUNCH_SEARCH_PAST_MAX];
	unsigned past_cnt;
	uint64_t complained_ns; /* 0: no router did */
	struct punch_unproved unproved[PUNCH_UNPROVED_MAX];
	unsigned unproved_at;
	uint64_t unknown_ns; /* when a relay was last asked for an unknown peer */
	struct punch_params params;
	struct dgram_sink *sink;
	struct punch_stats stats;
	struct arena arena;
	struct fair_places places;
	struct punch_round asked[PUNCH_ASKED_MAX];
	struct punch_round
		answered[PUNCH_ANSWERED_MAX + 1]; /* one is free while another is evicted */
	struct punch_budget networks[PUNCH_NETWORKS];
	struct punch_budget hosts[PUNCH_NETWORKS], keys[PUNCH_NETWORKS]; /* that name them */
	struct punch_budget all, unknown;
};

/* punch.c: own_candidates writes what this node says of itself, with the handle of round. */
void punch_own_candidates(struct punch_round *round, struct punch_candidates *out_message);
/* punch_round_begin: round is a new one with key; false: there is no session with it. */
bool punch_round_begin(struct punch_round *round, const uint8_t *key, uint64_t now_ns);
/* punch_round_charge: account is the peer's, which pays for the probes of the round. */
void punch_round_charge(struct punch_round *round, const struct fair_path *account);
/* punch_found: a probe from local to remote was answered. */
void punch_found(struct punch_round *round, const struct addr *local, const struct addr *remote);

/* punch_answer.c */
WEFT_MUST_CHECK
int punch_answer_open(struct punch *punch);
/* punch_answer_say answers PUNCH_NOW with what was proved so far, if it is not answered yet. */
void punch_answer_say(struct punch_round *round);

/* punch_probe.c: a probe to each candidate that may be one; again: to those that had one alone. */
void punch_probe_all(struct punch_round *round, uint64_t now_ns);
void punch_probe_again(struct punch_round *round, uint64_t now_ns);
/* punch_probe_anew: another probe to where one was answered, or the session is. */
void punch_probe_anew(struct punch_round *round, struct punch_sent *sent, uint64_t now_ns);
struct punch_sent *punch_sent_find(struct punch_round *round, const struct addr *addr);

/* punch_is_candidate: addr may be a host of the peer's, as far as this node's own addresses tell. */
bool punch_is_candidate(const struct punch_candidates *own, const struct addr *addr);
/* punch_probe_send: false: the sender is full. */
bool punch_probe_send(struct punch *punch, const struct punch_probe *probe,
		      const uint8_t key[static PUNCH_KEY_LEN], const struct dgram_route *route);
/* punch_asked_find: the asked round with key, or NULL. */
struct punch_round *punch_asked_find(const struct punch *punch, const uint8_t *key);

/* punch_search.c. after: a round ended without an answer, and a search may follow. */
WEFT_MUST_CHECK
int punch_search_open(struct punch *punch);
void punch_search_after(struct punch_round *round, uint64_t now_ns);
void punch_search_stop(struct punch *punch);
/* punch_search_mapped: the relay sees this node's socket at goal. */
void punch_search_mapped(struct punch_search *search, const struct addr *goal, uint64_t now_ns);
/* punch_search_end: the search is over; a question that waits is answered by a refusal. */
void punch_search_end(struct punch_search *search, enum punch_search_outcome outcome,
		      uint64_t now_ns);

/* punch_sweep.c. map asks the relay by STUN; run begins to search. input: False: probe is of no search. */
void punch_sweep_map(struct punch_search *search, uint64_t now_ns);
void punch_sweep_run(struct punch_search *search, uint64_t now_ns);
void punch_sweep_expire(struct timer *timer, uint64_t now_ns);
bool punch_sweep_input(struct punch *punch, const struct dgram *dgram,
		       const struct punch_probe *probe, uint64_t now_ns);

/* punch_past.c: whether one search more may begin; network 0: of any. take: it begins, if it may. */
bool punch_past_has_room(struct punch *punch, const struct punch_past_search *next);
bool punch_past_take(struct punch *punch, const struct punch_past_search *next);

/*
 * punch_warm.c. has_rival: a path that is not in use was answered. begin: the row is kept. turn, of an
 * asker's: false: it is not any more. is_kept: the same of an answered one.
 */
bool punch_warm_has_rival(const struct punch_round *round);
void punch_warm_begin(struct punch_round *round, uint64_t now_ns);
bool punch_warm_turn(struct punch_round *round, uint64_t now_ns);
bool punch_warm_is_kept(struct punch_round *round, uint64_t now_ns);
enum punch_rival punch_warm_rival(const struct punch_round *round, const struct punch_sent *sent);

#endif
