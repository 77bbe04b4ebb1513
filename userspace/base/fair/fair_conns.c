/* SPDX-License-Identifier: Apache-2.0 */
/* Shares of connections and handshakes of a transport. Its worker; no I/O. */
#include "fair_conns.h"

#include <string.h>

#include "base/monotonic.h"
#include "base/random.h"

#define KEY_LEN		  32
#define HANDSHAKE_BUSY_NS (3 * NS_PER_S)
#define UNKNOWN_BUSY_NS	  (10 * NS_PER_S)
/* A smaller table has no floors: a part of it would be no connection. */
#define DIVISIBLE_CNT 16
/* No more idle unknown peers go than leave a tenth free: a crowd sent away comes back as one. */
#define ROOMY_DIVISOR 10
#define ROOMY_NS      NS_PER_S

static struct fair_config open_config(const struct fair_conns_config *config)
{
	struct fair_config fair = {
		.name = config->open_name,
		.busy_ns = UNKNOWN_BUSY_NS,
		.cap_cnt = config->open_cap,
		.kind = FAIR_LASTING,
		.level_cnt = FAIR_PEER_LEVELS,
		.spares_acquainted = true,
	};
	static const uint8_t parts[FAIR_CLASS_CNT] = FAIR_PEER_PARTS;

	if (config->open_cap >= DIVISIBLE_CNT)
		memcpy(fair.parts, parts, sizeof(parts));
	return fair;
}

int fair_conns_init(struct fair_conns *conns, struct arena *arena,
		    const struct fair_conns_config *config, struct random *random)
{
	const struct fair_config open = open_config(config);
	const struct fair_config handshakes = {
		.name = config->handshake_name,
		.busy_ns = HANDSHAKE_BUSY_NS,
		.cap_cnt = config->handshake_cap,
		.kind = FAIR_WORK,
		.level_cnt = FAIR_PEER_LEVELS - 1,
	};
	uint64_t secret[2];
	int err;

	conns->next_ns = UINT64_MAX;
	conns->paths.site = config->site;
	random_fill(random, conns->paths.secret, sizeof(conns->paths.secret));
	random_fill(random, secret, sizeof(secret));
	err = fair_init(&conns->open, arena, &open, secret);
	return err < 0 ? err : fair_init(&conns->handshakes, arena, &handshakes, secret);
}

static void open_path(const struct fair_conns *conns, const struct fair_conn *conn,
		      struct fair_path *out_path)
{
	fair_path_of_addr(&conns->paths, conn->remote, conn->class, out_path);
	fair_path_add(&conns->paths, out_path, conn->key, KEY_LEN);
}

static struct load_who who_of(const struct fair_conn *conn)
{
	return (struct load_who){.addr = conn->remote,
				 .key = conn->has_proven_key ? conn->key : NULL};
}

void fair_conns_note_refused(struct fair_conns *conns, const struct fair_item *item,
			     const char *pool, uint32_t wait_ms, uint64_t now_ns)
{
	const struct fair_conn conn = conns->ops->conn(item);
	const struct load_who who = who_of(&conn);

	load_refuse(conns->load, &who, pool, wait_ms, now_ns);
}

void fair_conns_charge(struct fair_conns *conns, const struct fair_item *item, uint32_t price,
		       uint64_t now_ns)
{
	const struct fair_conn conn = conns->ops->conn(item);
	const struct load_who who = who_of(&conn);

	if (conns->load && !conn.is_dialler)
		load_charge(conns->load, &who, price, now_ns);
}

static void send_away(struct fair_conns *conns, struct fair_item *item, bool is_at_once,
		      uint64_t now_ns)
{
	const struct fair_conn conn = conns->ops->conn(item);
	struct fair_path path;
	uint32_t wait_ms;

	open_path(conns, &conn, &path);
	wait_ms = fair_not_before_ms(&conns->open, &path, now_ns);
	fair_conns_note_refused(conns, item, conns->open.config.name, wait_ms, now_ns);
	conns->ops->send_away(item, wait_ms, is_at_once);
}

void fair_conns_refuse(struct fair_conns *conns, struct fair_item *item, uint64_t now_ns)
{
	send_away(conns, item, false, now_ns);
}

bool fair_conns_take(struct fair_conns *conns, struct fair_item *item, uint64_t now_ns)
{
	const struct fair_conn conn = conns->ops->conn(item);
	struct fair_item *victim;
	struct fair_path path;

	open_path(conns, &conn, &path);
	switch (fair_take(&conns->open, &path, item, now_ns, &victim)) {
	case FAIR_BUSY:
		conns->next_ns = now_ns;
		conns->refused_cnt++;
		return false;
	case FAIR_TAKEN_FROM:
		conns->next_ns = now_ns;
		/*
		 * The speaker has tables as large as this one, so it learns of the
		 * end before it learns of the newcomer. A dial is the speaker's
		 * own call, in which no event is raised.
		 */
		send_away(conns, victim, !conn.is_dialler, now_ns);
		break;
	case FAIR_TAKEN:
		break;
	}
	if (conns->open.held_cnt > conns->peak_cnt)
		conns->peak_cnt = conns->open.held_cnt;
	return true;
}

static void end_handshake(struct fair_conns *conns, struct fair_item *item, uint64_t now_ns)
{
	conns->evicted_handshake_cnt++;
	fair_conns_note_refused(conns, item, conns->handshakes.config.name, 0, now_ns);
	conns->ops->end_handshake(item);
}

bool fair_conns_take_handshake(struct fair_conns *conns, struct fair_item *item, uint64_t now_ns)
{
	const struct fair_conn conn = conns->ops->conn(item);
	struct fair_item *victim;
	struct fair_path path;

	fair_path_of_addr(&conns->paths, conn.remote, conn.class, &path);
	switch (fair_take(&conns->handshakes, &path, item, now_ns, &victim)) {
	case FAIR_BUSY:
		fair_conns_note_refused(conns, item, conns->handshakes.config.name, 0, now_ns);
		return false;
	case FAIR_TAKEN_FROM:
		conns->next_ns = now_ns;
		end_handshake(conns, victim, now_ns);
		break;
	case FAIR_TAKEN:
		break;
	}
	return true;
}

void fair_conns_release(struct fair_conns *conns, struct fair_item *item, uint64_t now_ns)
{
	fair_release(conns->ops->conn(item).is_shaking ? &conns->handshakes : &conns->open, item,
		     now_ns);
}

void fair_conns_progress(struct fair_conns *conns, struct fair_item *item, size_t len,
			 uint64_t now_ns)
{
	if (!conns->ops->conn(item).is_shaking)
		fair_progress(&conns->open, item, len < FAIR_WHOLE ? (uint32_t)len : FAIR_WHOLE,
			      now_ns);
}

void fair_conns_reclass(struct fair_conns *conns, struct fair_item *item, uint64_t now_ns)
{
	const struct fair_conn conn = conns->ops->conn(item);
	struct fair_path path;

	open_path(conns, &conn, &path);
	fair_move(&conns->open, item, &path, now_ns);
}

static bool is_roomy(const struct fair *open)
{
	uint32_t cap = open->config.cap_cnt;

	return open->held_cnt <= cap - cap / ROOMY_DIVISOR - 1;
}

void fair_conns_expire(struct fair_conns *conns, uint64_t now_ns)
{
	uint64_t open_ns = 0, handshakes_ns = 0;
	struct fair_item *item;

	if (conns->next_ns > now_ns)
		return;
	while ((item = fair_overdue(&conns->open, now_ns, &open_ns)) && !is_roomy(&conns->open)) {
		fair_release(&conns->open, item, now_ns);
		send_away(conns, item, false, now_ns);
	}
	if (item)
		open_ns = now_ns + ROOMY_NS;
	while ((item = fair_overdue(&conns->handshakes, now_ns, &handshakes_ns)))
		end_handshake(conns, item, now_ns);
	conns->next_ns = open_ns < handshakes_ns ? open_ns : handshakes_ns;
}

struct addr fair_conns_largest(const struct fair_conns *conns, const struct fair *fair)
{
	const struct fair_item *item = fair_largest(fair);

	return item ? *conns->ops->conn(item).remote : (struct addr){.family = ADDR_NONE};
}
