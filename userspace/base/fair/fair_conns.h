/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BASE_FAIR_FAIR_CONNS_H
#define WEFT_BASE_FAIR_FAIR_CONNS_H

#include "fair_path.h"
#include "load.h"

struct random;

/*
 * The shares of a transport that listens: a pool of connections, dials among them, and one of
 * handshakes of proven addresses. QUIC and TCP have one each.
 *
 * Connections are standing slots of a key at an address. Any peer may fill an idle
 * table. When it is full, a newcomer of a branch that holds less gets the place of
 * the branch that holds most. That branch's connection is closed with the time to
 * come back. While the table is busy, unknown peers whose connection carries
 * nothing for 10 s make room before they are asked to. A connection that a person
 * or a program of this node asked for is chosen; other dials have the class of
 * their key.
 *
 * A handshake is work of an address: when all places are taken the one that
 * began first goes, of the address that holds most.
 */
struct fair_conns_config {
	const char *open_name, *handshake_name; /* static */
	uint32_t open_cap, handshake_cap;
	struct fair_site site;
};

/* What the shares ask of a connection by its item; pointers are borrowed until its end. */
struct fair_conn {
	const struct addr *remote;
	const uint8_t *key; /* 32 bytes: proven, or the one that is dialled */
	bool has_proven_key;
	bool is_dialler;
	bool is_shaking; /* its place is one of the handshakes */
	enum fair_class class;
};

/*
 * send_away ends a connection that holds no place any more. is_at_once: its speaker learns of it
 * before it learns of the newcomer. end_handshake: the same of a handshake.
 */
struct fair_conns_ops {
	struct fair_conn (*conn)(const struct fair_item *item);
	void (*send_away)(struct fair_item *item, uint32_t wait_ms, bool is_at_once);
	void (*end_handshake)(struct fair_item *item);
};

/* The owner reads open, handshakes and the counts. */
struct fair_conns {
	const struct fair_conns_ops *ops;
	struct load *load; /* NULL: refusals are not counted */
	struct fair open, handshakes;
	struct fair_paths paths;
	uint64_t next_ns; /* when a share is overdue; UINT64_MAX: never */
	uint64_t refused_cnt;
	uint64_t evicted_handshake_cnt;
	uint32_t peak_cnt; /* most open at once */
};

/* fair_conns_init: errors as fair_init. */
WEFT_MUST_CHECK
int fair_conns_init(struct fair_conns *conns, struct arena *arena,
		    const struct fair_conns_config *config, struct random *random);

/*
 * fair_conns_take{,_handshake}: false, there is no place for item's connection; one that holds
 * more may have been sent away for it. refuse sends item's connection away with the time to
 * come back. release leaves one without a place alone. progress: the peer sent len bytes.
 * reclass: the connection's class may have changed.
 */
WEFT_MUST_CHECK
bool fair_conns_take(struct fair_conns *conns, struct fair_item *item, uint64_t now_ns);
WEFT_MUST_CHECK
bool fair_conns_take_handshake(struct fair_conns *conns, struct fair_item *item, uint64_t now_ns);
void fair_conns_refuse(struct fair_conns *conns, struct fair_item *item, uint64_t now_ns);
void fair_conns_release(struct fair_conns *conns, struct fair_item *item, uint64_t now_ns);
void fair_conns_progress(struct fair_conns *conns, struct fair_item *item, size_t len,
			 uint64_t now_ns);
void fair_conns_reclass(struct fair_conns *conns, struct fair_item *item, uint64_t now_ns);
/* fair_conns_expire ends what is overdue and sets next_ns. */
void fair_conns_expire(struct fair_conns *conns, uint64_t now_ns);

/* fair_conns_note_refused: pool (static) had no place for item, which may come after wait_ms. */
void fair_conns_note_refused(struct fair_conns *conns, const struct fair_item *item,
			     const char *pool, uint32_t wait_ms, uint64_t now_ns);
/* fair_conns_charge: price is for the connection's account in load; a dial is not charged. */
void fair_conns_charge(struct fair_conns *conns, const struct fair_item *item, uint32_t price,
		       uint64_t now_ns);

/* fair_conns_largest: where the account of fair is that pays next, or no address. */
struct addr fair_conns_largest(const struct fair_conns *conns, const struct fair *fair);

#endif
