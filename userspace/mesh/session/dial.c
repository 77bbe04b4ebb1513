/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dialling a key. Its addresses are tried with staggered starts (as RFC 8305 does for host
 * names). The first whose key is proved wins, and the others are closed. Requests wait in the
 * meantime. Home worker.
 *
 * If the peer's own dial to this node is proved first, waiters use that session and the dial
 * here is taken back. Both sides cannot take back at once: an accepted session was proved on the
 * dialling side before. session.c chooses between dials that are proved on both sides.
 *
 * A dial without an address to try, or whose addresses keep silent, looks
 * for others: discovery.c. It may run beside a session that is silent;
 * redial.c says when.
 */
#include "mesh/mesh_state.h"

#include <limits.h>

#include "base/monotonic.h"

/* Addresses at hand have this long: two probe timeouts of a handshake (RFC 9002 6.2.2). */
#define DISCOVERY_PATIENCE_NS (2 * NS_PER_S)
/*
 * A handshake's probe timeout is 1, 2, 4 s: a peer that is back would wait for it. So an
 * address that says nothing is dialled anew beside the first attempt, which stays
 * for paths that are slower than this.
 */
#define RENEWAL_NS (800 * NS_PER_MS)
/* An address that is asked by STUN has this to answer, if there is nothing else to try. */
#define STUN_NS (700 * NS_PER_MS)

static void dial_note(struct mesh_dial *dial, int err, const uint8_t *actual_key)
{
	/* A reason on which a person can act outweighs silence. */
	static const int telling[] = {WEFT_EWRONGKEY, WEFT_EREFUSED, WEFT_EFULL};

	for (size_t i = 0; i < sizeof(telling) / sizeof(telling[0]); i++) {
		if (dial->err == telling[i])
			return;
		if (err != telling[i])
			continue;
		dial->err = err;
		if (actual_key)
			memcpy(dial->actual_key, actual_key, MESH_KEY_LEN);
		return;
	}
}

int mesh_dial_verdict(const struct mesh_dial *dial)
{
	return dial->err ? dial->err : WEFT_EUNREACHABLE;
}

static void attempt_close(struct mesh_attempt *attempt)
{
	struct mesh_dial *dial = attempt->dial;
	struct transport_conn *conn = attempt->conn;

	if (!conn)
		return;
	conn->user = NULL;
	attempt->conn = NULL;
	dial->live_cnt--;
	dial->mesh->transport->ops->close(conn, MESH_BYE_DUPLICATE, "not needed");
}

/* Closes what is under way and forgets the dial; its waiters are the caller's. */
static void dial_free(struct mesh_dial *dial)
{
	struct mesh *mesh = dial->mesh;

	timer_cancel(mesh->timers, &dial->timer);
	timer_cancel(mesh->timers, &dial->renewal);
	mesh_discovery_stop(dial);
	for (unsigned i = 0; i < MESH_DIAL_RENEWALS_MAX; i++)
		attempt_close(&dial->renewals[i]);
	for (unsigned i = 0; i < dial->addr_cnt; i++)
		attempt_close(&dial->attempts[i]);
	map_delete(&mesh->dials_by_key, dial->key);
	pool_release(&mesh->dials, dial);
}

static struct mesh_stream *dial_waiter(const struct list_node *waiters)
{
	return list_first(waiters, struct mesh_stream, node);
}

void mesh_dial_fail(struct mesh_dial *dial, int err)
{
	struct mesh_session *silent = mesh_redial_loser(dial, NULL);
	struct mesh_stream_end end = {.err = err};
	uint8_t actual_key[MESH_KEY_LEN];
	struct list_node waiters;
	struct mesh_stream *waiter;

	end.actual_key = err == WEFT_EWRONGKEY ? actual_key : NULL;
	memcpy(actual_key, dial->actual_key, sizeof(actual_key));
	list_init(&waiters);
	while ((waiter = dial_waiter(&dial->waiters))) {
		list_unlink(&waiter->node);
		list_push_back(&waiters, &waiter->node);
		waiter->wait.dial = NULL;
	}
	/* The dial is gone before the waiters are called, so that they may ask again. */
	dial_free(dial);
	if (silent && err == WEFT_EUNREACHABLE)
		mesh_redial_lost(silent);
	while ((waiter = dial_waiter(&waiters)))
		mesh_stream_end(waiter, &end);
}

/* An observer of two Initials with one token knows that one node sent them: it is used up here. */
static struct mesh_peer_token dial_take_token(struct mesh_dial *dial, const struct addr *remote)
{
	struct mesh_peers *peers = &dial->mesh->peers;
	struct mesh_peer_entry *entry = mesh_peers_lookup(peers, dial->key);
	struct mesh_peer_token token = {0};

	if (!entry || !entry->record.token.len || !addr_equal(&entry->record.token.addr, remote))
		return token;
	token = entry->record.token;
	entry->record.token.len = 0;
	mesh_peers_changed(peers, entry, dial->mesh->now_ns);
	return token;
}

/* This node has reached the peer there, or the peer's own path came from there. */
static bool addr_is_proved(const struct mesh_dial *dial, const struct addr *addr)
{
	const struct mesh_peer_entry *entry = mesh_peers_lookup(&dial->mesh->peers, dial->key);

	return entry && (addr_equal(&entry->record.good_addr, addr) ||
			 addr_equal(&entry->record.last_addr, addr));
}

/* TCP where this dial has tried QUIC, or where QUIC has reached the peer, is no victim's address. */
static bool host_is_asked(const struct mesh_dial *dial, unsigned idx)
{
	const struct mesh_peer_entry *entry = mesh_peers_lookup(&dial->mesh->peers, dial->key);
	const struct addr *addr = &dial->addrs[idx];

	if (addr->transport != ADDR_TCP)
		return false;
	for (unsigned i = 0; i < dial->addr_cnt; i++)
		if (i != idx && addr_is_same_host(&dial->addrs[i], addr) &&
		    (!(dial->unverified & 1u << i) || dial->attempts[i].conn))
			return true;
	return entry && (addr_is_same_host(&entry->record.good_addr, addr) ||
			 addr_is_same_host(&entry->record.last_addr, addr));
}

/* False: this address is not to be dialled now. */
static bool dial_may(struct mesh_dial *dial, unsigned idx, struct transport_dial *call)
{
	struct mesh *mesh = dial->mesh;
	bool is_unverified = dial->unverified & 1u << idx && !dial->is_chosen &&
			     !addr_is_relayed(&dial->addrs[idx]) &&
			     !addr_is_proved(dial, &dial->addrs[idx]) && !host_is_asked(dial, idx);

	if (!mesh_ways_rank(mesh->config.ways, &dial->addrs[idx]))
		return false;
	if (mesh_refuses(mesh, dial->key, &dial->addrs[idx])) {
		dial_note(dial, WEFT_EREFUSED, NULL);
		return false;
	}
	call->unheard_max = is_unverified ? MESH_UNVERIFIED_DGRAM_MAX : 0;
	if (!is_unverified ||
	    mesh_unverified_take(&mesh->unverified, &dial->addrs[idx], mesh->now_ns))
		return true;
	dial->put_off |= 1u << idx;
	return false;
}

/* Addresses that were silent, and so are not dialled, are asked whether a node is there now. */
static void dial_ask_put_off(struct mesh_dial *dial)
{
	struct mesh *mesh = dial->mesh;

	for (unsigned i = 0; dial->put_off && mesh->params.stun_ask && i < dial->next_idx; i++) {
		if (!(dial->put_off & 1u << i) || dial->addrs[i].transport != ADDR_UDP ||
		    !mesh_unverified_ask(&mesh->unverified, &dial->addrs[i], mesh->now_ns))
			continue;
		dial->stun_ns = mesh->now_ns;
		mesh->params.stun_ask(mesh->params.ctx, &dial->addrs[i]);
	}
}

/* One of them may answer yet. */
static bool dial_awaits_stun(const struct mesh_dial *dial)
{
	return dial->put_off && dial->stun_ns && dial->mesh->now_ns < dial->stun_ns + STUN_NS;
}

/* The peer stated when to come back: its addresses wait until then. */
static bool dial_is_deferred(struct mesh_dial *dial)
{
	struct mesh *mesh = dial->mesh;
	uint64_t until_ns =
		mesh_deferrals_until(&mesh->deferrals, dial->key, MESH_DEFER_ALL, mesh->now_ns);

	if (!until_ns || dial->next_idx == dial->addr_cnt)
		return false;
	timer_set(mesh->timers, &dial->timer, until_ns);
	return true;
}

/* The address at takes the place of the next one, and those between go one further. */
static void dial_bring(struct mesh_dial *dial, unsigned at)
{
	unsigned to = dial->next_idx;
	struct addr addr = dial->addrs[at];
	uint32_t bit = dial->unverified >> at & 1, below = (1u << to) - 1, above = ~0u << at << 1;
	uint32_t between = dial->unverified & ~below & ~above & ~(1u << at);

	memmove(&dial->addrs[to + 1], &dial->addrs[to], (at - to) * sizeof(dial->addrs[0]));
	dial->addrs[to] = addr;
	dial->unverified = (dial->unverified & (below | above)) | bit << to | between << 1;
}

/*
 * Brings forward, among the addresses that are left, the one that the policy has first; of equal
 * ones the first. Addresses that are put off come behind it. Returns false when all are put off.
 */
static bool dial_sort_out(struct mesh_dial *dial)
{
	unsigned best = dial->addr_cnt, best_rank = UINT_MAX;

	for (unsigned at = dial->next_idx; at < dial->addr_cnt; at++) {
		unsigned rank = mesh_udp_rank(dial, at);

		if (!mesh_redial_puts_off(dial, at) && rank < best_rank) {
			best = at;
			best_rank = rank;
		}
	}
	if (best == dial->addr_cnt)
		return dial->next_idx == dial->addr_cnt;
	dial_bring(dial, best);
	return true;
}

/* False: the address is not dialled, and the next one is to be. An attempt there is replaced. */
static bool attempt_begin(struct mesh_dial *dial, unsigned idx)
{
	struct mesh *mesh = dial->mesh;
	struct transport_dial call = {.remote = dial->addrs[idx], .user = &dial->attempts[idx]};
	struct mesh_attempt *attempt = &dial->attempts[idx];
	struct mesh_peer_token token;
	int err;

	if (!dial_may(dial, idx, &call))
		return false;
	attempt_close(attempt);
	token = dial_take_token(dial, &dial->addrs[idx]);
	if (token.len) {
		call.token = token.data;
		call.token_len = token.len;
	}
	memcpy(call.peer_key, dial->key, sizeof(call.peer_key));
	err = mesh->transport->ops->dial(mesh->transport, &call, mesh->now_ns, &attempt->conn);
	if (err < 0) {
		attempt->conn = NULL;
		dial_note(dial, err, NULL);
		return false;
	}
	if (!dial->began_ns)
		dial->began_ns = mesh->now_ns;
	dial->live_cnt++;
	if (!timer_is_set(&dial->renewal))
		timer_set(mesh->timers, &dial->renewal, mesh->now_ns + RENEWAL_NS);
	return true;
}

static void dial_next(struct mesh_dial *dial)
{
	struct mesh *mesh = dial->mesh;

	if (dial_is_deferred(dial))
		return;
	if (!dial_sort_out(dial)) {
		/* Its relay may have gone: the peer has others by now. */
		if (mesh_redial_is_relayed(dial))
			mesh_discovery_begin(dial, mesh->now_ns);
		timer_set(mesh->timers, &dial->timer, mesh->now_ns + mesh->config.dial_stagger_ns);
		return;
	}
	while (dial->next_idx < dial->addr_cnt && dial_sort_out(dial) &&
	       !mesh_udp_is_awaited(dial, dial->next_idx))
		if (attempt_begin(dial, dial->next_idx++))
			break;
	dial_ask_put_off(dial);
	if (dial->put_off && !timer_is_set(&dial->renewal))
		timer_set(mesh->timers, &dial->renewal, mesh->now_ns + RENEWAL_NS);
	if (!dial->live_cnt)
		mesh_discovery_begin(dial, mesh->now_ns);
	/* Also without an attempt: those that are left may be put off, and what it is beside may stir. */
	if (dial->next_idx < dial->addr_cnt || (dial->live_cnt && dial->beside))
		timer_set(mesh->timers, &dial->timer, mesh->now_ns + mesh->config.dial_stagger_ns);
	mesh_dial_end_if_hopeless(dial);
}

void mesh_dial_end_if_hopeless(struct mesh_dial *dial)
{
	if (!dial->live_cnt && dial->next_idx == dial->addr_cnt && mesh_discovery_is_over(dial) &&
	    !dial_awaits_stun(dial))
		mesh_dial_fail(dial, mesh_dial_verdict(dial));
}

void mesh_dial_go_on(struct mesh_dial *dial)
{
	if (dial->next_idx < dial->addr_cnt)
		timer_set(dial->mesh->timers, &dial->timer, dial->mesh->now_ns);
}

static void dial_expire(struct timer *timer, uint64_t now_ns)
{
	struct mesh_dial *dial = container_of(timer, struct mesh_dial, timer);

	mesh_turn(dial->mesh, now_ns);
	if (!dial->beside || mesh_redial_goes_on(dial))
		dial_next(dial);
}

/* Is the address of attempts[idx] dialled, silent, and one that may be dialled more than once? */
static bool addr_is_renewable(struct mesh_dial *dial, unsigned idx)
{
	bool is_unverified = dial->unverified & 1u << idx && !dial->is_chosen &&
			     !addr_is_proved(dial, &dial->addrs[idx]);

	/* TCP asks again by itself. */
	return dial->attempts[idx].conn && dial->addrs[idx].transport == ADDR_UDP &&
	       !is_unverified && !mesh_refuses(dial->mesh, dial->key, &dial->addrs[idx]);
}

static void attempt_renew(struct mesh_dial *dial, struct mesh_attempt *renewal, unsigned idx)
{
	struct mesh *mesh = dial->mesh;
	struct transport_dial call = {.remote = dial->addrs[idx], .user = renewal};

	attempt_close(renewal);
	*renewal = (struct mesh_attempt){
		.kind = MESH_CONN_ATTEMPT, .dial = dial, .addr_idx = idx, .is_renewal = true};
	memcpy(call.peer_key, dial->key, sizeof(call.peer_key));
	if (mesh->transport->ops->dial(mesh->transport, &call, mesh->now_ns, &renewal->conn) < 0)
		renewal->conn = NULL;
	else
		dial->live_cnt++;
}

void mesh_dial_renew(struct mesh_dial *dial)
{
	unsigned cnt = 0;

	for (unsigned i = 0; i < dial->next_idx && cnt < MESH_DIAL_RENEWALS_MAX; i++) {
		if (addr_is_renewable(dial, i))
			attempt_renew(dial, &dial->renewals[cnt++], i);
		else if (dial->attempts[i].conn && dial->unverified & 1u << i)
			dial->put_off |= 1u << i;
	}
	dial_ask_put_off(dial);
	if (cnt || dial->put_off)
		timer_set(dial->mesh->timers, &dial->renewal, dial->mesh->now_ns + RENEWAL_NS);
}

static void renewal_expire(struct timer *timer, uint64_t now_ns)
{
	struct mesh_dial *dial = container_of(timer, struct mesh_dial, renewal);

	mesh_turn(dial->mesh, now_ns);
	mesh_dial_renew(dial);
	mesh_dial_end_if_hopeless(dial);
}

void mesh_stun_answered(struct mesh *mesh, const struct addr *remote, uint64_t now_ns)
{
	struct mesh_dial *dial = NULL;

	now_ns = mesh_turn(mesh, now_ns);
	mesh_unverified_there(&mesh->unverified, remote, now_ns);
	while ((dial = pool_next(&mesh->dials, dial)))
		for (unsigned i = 0; i < dial->next_idx; i++) {
			if (!(dial->put_off & 1u << i) || !addr_equal(&dial->addrs[i], remote))
				continue;
			dial->put_off &= ~(1u << i);
			(void)attempt_begin(dial, i);
		}
}

void mesh_dial_add_addr(struct mesh_dial *dial, const struct addr *addr, bool is_unverified)
{
	for (unsigned i = 0; i < dial->addr_cnt; i++) {
		if (!addr_equal(&dial->addrs[i], addr))
			continue;
		if (!is_unverified)
			dial->unverified &= ~(1u << i);
		return;
	}
	if (dial->addr_cnt == MESH_DIAL_ADDRS_MAX || addr->family == ADDR_NONE || !addr->port)
		return;
	dial->attempts[dial->addr_cnt].kind = MESH_CONN_ATTEMPT;
	dial->attempts[dial->addr_cnt].dial = dial;
	dial->attempts[dial->addr_cnt].addr_idx = dial->addr_cnt;
	if (is_unverified)
		dial->unverified |= 1u << dial->addr_cnt;
	dial->addrs[dial->addr_cnt++] = *addr;
}

/* Where UDP does not pass, an asker that names addresses of QUIC alone would fail. */
static void dial_add_known_tcp(struct mesh_dial *dial)
{
	const struct mesh_peer_entry *entry = mesh_peers_lookup(&dial->mesh->peers, dial->key);

	for (unsigned i = 0; entry && i < entry->record.addr_cnt; i++)
		if (entry->record.addrs[i].transport == ADDR_TCP)
			mesh_dial_add_addr(dial, &entry->record.addrs[i], true);
}

/* Addresses the asker knows come first; without any, those the peer was known by. */
void mesh_dial_add_peer(struct mesh_dial *dial, const struct mesh_peer *peer)
{
	dial->is_chosen |= peer->is_chosen;
	dial->is_wanted |= peer->is_chosen || peer->is_wanted;
	dial->is_sought |= !peer->is_unsought;
	for (unsigned i = 0; i < peer->addr_cnt; i++)
		mesh_dial_add_addr(dial, &peer->addrs[i], i + peer->told_cnt >= peer->addr_cnt);
	if (peer->addr_cnt)
		dial_add_known_tcp(dial);
	else
		mesh_dial_add_known(dial);
}

void mesh_dial_add_known(struct mesh_dial *dial)
{
	const struct mesh_peer_entry *entry = mesh_peers_lookup(&dial->mesh->peers, dial->key);

	if (!entry)
		return;
	mesh_dial_add_addr(dial, &entry->record.good_addr, false);
	mesh_dial_add_addr(dial, &entry->record.last_addr, false);
	/* Its own words, not proved. */
	for (unsigned i = 0; i < entry->record.addr_cnt; i++)
		mesh_dial_add_addr(dial, &entry->record.addrs[i], true);
}

/* Makes a dial whose timer is not set. */
static int dial_make(struct mesh *mesh, const struct mesh_peer *peer, struct mesh_dial **out_dial)
{
	struct mesh_dial *dial = pool_acquire(&mesh->dials);
	bool has_hope;

	if (!dial) {
		mesh->stats.refused_cnt++;
		return WEFT_EFULL;
	}
	dial->mesh = mesh;
	memcpy(dial->key, peer->key, sizeof(dial->key));
	list_init(&dial->waiters);
	timer_init(&dial->timer, dial_expire);
	timer_init(&dial->renewal, renewal_expire);
	mesh_discovery_init(dial);
	mesh_dial_add_peer(dial, peer);
	has_hope = dial->addr_cnt || !mesh_discovery_is_over(dial);
	if (!has_hope || map_put(&mesh->dials_by_key, dial->key, dial) < 0) {
		int err = has_hope ? WEFT_EFULL : WEFT_EMALFORMED;

		pool_release(&mesh->dials, dial);
		return err;
	}
	*out_dial = dial;
	return 0;
}

struct mesh_dial *mesh_dial_beside(struct mesh_session *session, const struct mesh_peer *peer)
{
	struct mesh_dial *dial;

	if (dial_make(session->mesh, peer, &dial) < 0)
		return NULL;
	dial->beside = session;
	return dial;
}

int mesh_dial_wait(struct mesh *mesh, const struct mesh_peer *peer, struct mesh_stream *stream)
{
	struct mesh_dial *dial = map_lookup(&mesh->dials_by_key, peer->key);
	bool was_idle = !dial || mesh_redial_is_held(dial) || dial->next_idx == dial->addr_cnt;
	int err;

	if (!dial && (err = dial_make(mesh, peer, &dial)) < 0)
		return err;
	if (mesh_redial_is_held(dial))
		dial->beside = NULL; /* wanted for its own sake now */
	mesh_dial_add_peer(dial, peer);
	/* Not now: an asker never learns of failure inside its call. */
	if (was_idle && dial->next_idx < dial->addr_cnt)
		timer_set(mesh->timers, &dial->timer, mesh->now_ns);
	mesh_discovery_begin(dial, mesh->now_ns + (dial->addr_cnt ? DISCOVERY_PATIENCE_NS : 0));
	/* Relays are one way more, behind the last of the addresses. */
	mesh_discovery_suggest(dial, peer,
			       mesh->now_ns + (dial->addr_cnt - dial->next_idx) *
						      mesh->config.dial_stagger_ns);
	stream->wait.dial = dial;
	stream->state = MESH_STATE_DIALLING;
	list_push_back(&dial->waiters, &stream->node);
	dial->waiter_cnt++;
	return 0;
}

/* Nothing waits any longer, and nothing has answered. */
static void dial_give_up(struct mesh_dial *dial)
{
	static const struct transport_close silence = {.err = WEFT_ECANCELLED};

	for (unsigned i = 0; i < dial->addr_cnt; i++)
		if (dial->attempts[i].conn)
			mesh_dial_tell(&dial->attempts[i], &silence);
	dial_free(dial);
}

void mesh_dial_leave(struct mesh_stream *stream)
{
	struct mesh_dial *dial = stream->wait.dial;

	list_unlink(&stream->node);
	stream->wait.dial = NULL;
	if (--dial->waiter_cnt == 0 && !dial->beside)
		dial_give_up(dial);
}

void mesh_dial_won(struct mesh_dial *dial, struct mesh_session *session)
{
	struct mesh_session *loser = mesh_redial_loser(dial, session);
	struct mesh_stream *waiter;

	session->addr_seq = dial->discovery.seq;
	memcpy(session->vias, dial->discovery.vias, sizeof(session->vias));
	session->via_cnt = dial->discovery.via_cnt;
	session->is_chosen |= dial->is_chosen;
	session->is_wanted |= dial->is_wanted;
	session->is_unsought |= !dial->is_sought;
	while ((waiter = dial_waiter(&dial->waiters))) {
		list_unlink(&waiter->node);
		waiter->wait.dial = NULL;
		dial->waiter_cnt--;
		mesh_stream_start(waiter, session);
	}
	dial_free(dial);
	if (loser)
		mesh_session_close(loser, MESH_BYE_DUPLICATE, "another session answers");
}

void mesh_dial_session_ended(struct mesh_session *session)
{
	struct mesh_dial *dial = map_lookup(&session->mesh->dials_by_key, session->key);

	if (!dial || dial->beside != session)
		return;
	dial->beside = NULL;
	if (!dial->waiter_cnt)
		dial_free(dial);
}

void mesh_dial_tell(const struct mesh_attempt *attempt, const struct transport_close *end)
{
	const struct mesh_dial *dial = attempt->dial;
	struct mesh_failure failure = {
		.remote = dial->addrs[attempt->addr_idx],
		.is_dialler = true,
		.end = *end,
	};

	memcpy(failure.key, dial->key, sizeof(failure.key));
	if (dial->mesh->params.on_failure)
		dial->mesh->params.on_failure(dial->mesh->params.ctx, &failure);
}

void mesh_dial_attempt_failed(struct mesh_attempt *attempt, int err, const uint8_t *actual_key)
{
	struct mesh_dial *dial = attempt->dial;

	attempt->conn = NULL;
	dial->live_cnt--;
	dial_note(dial, err, actual_key);
	if (attempt->is_renewal) {
		mesh_dial_end_if_hopeless(dial);
		return;
	}
	for (unsigned i = 0; i < MESH_DIAL_RENEWALS_MAX; i++)
		if (dial->renewals[i].conn && dial->renewals[i].addr_idx == attempt->addr_idx)
			attempt_close(&dial->renewals[i]);
	dial_next(dial);
}
