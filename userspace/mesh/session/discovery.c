/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking for addresses on behalf of a dial: which locator is asked when,
 * and what becomes of what it says. dial.c begins it: at once if it knows
 * no address, else when those it knows have had their chance. Home worker.
 *
 * What a locator says may be old. A peer that has lost its relays has others some seconds later, and in
 * a network that was cut the DHT has two halves. So each is asked anew while the dial lasts, after
 * pauses of one, two, four seconds and so on. No dial waits for that: with all of them asked once and no
 * address left it fails.
 */
#include "discovery.h"

#include "base/monotonic.h"
#include "mesh/mesh_state.h"

#define AGAIN_NS     NS_PER_S
#define AGAIN_MAX_NS (16 * NS_PER_S)

int mesh_add_locator(struct mesh *mesh, const struct mesh_locator *locator)
{
	if (mesh->locator_cnt == MESH_LOCATORS_MAX)
		return WEFT_EFULL;
	mesh->locators[mesh->locator_cnt++] = *locator;
	return 0;
}

void mesh_forget_locators(struct mesh *mesh)
{
	struct mesh_dial *dial = NULL;

	if (!mesh)
		return;
	mesh->params.on_step = NULL;
	while ((dial = pool_next(&mesh->dials, dial)))
		mesh_discovery_stop(dial);
	mesh->locator_cnt = 0;
}

static void step_tell(const struct mesh_dial *dial, struct mesh_step *step)
{
	const struct mesh *mesh = dial->mesh;

	if (!mesh->params.on_step)
		return;
	memcpy(step->key, dial->key, sizeof(step->key));
	step->ended_ns = mesh->now_ns;
	mesh->params.on_step(mesh->params.ctx, step);
}

static void look_end(struct mesh_dial_look *look, int err)
{
	struct mesh_dial *dial = look->dial;
	struct mesh_step step = {
		.name = dial->mesh->locators[look - dial->discovery.looks].name,
		.err = err,
		.addr_cnt = look->addr_cnt,
		.started_ns = look->started_ns,
	};

	if (!err && look->is_stale && !look->addr_cnt)
		step.err = WEFT_ESTALE;
	look->is_running = false;
	look->pause_ns = look->pause_ns ? 2 * look->pause_ns : AGAIN_NS;
	if (look->pause_ns > AGAIN_MAX_NS)
		look->pause_ns = AGAIN_MAX_NS;
	look->again_ns = dial->mesh->now_ns + look->pause_ns;
	dial->discovery.running_cnt -= look->is_awaited;
	look->is_awaited = false;
	step_tell(dial, &step);
}

static void look_cancel(struct mesh_dial_look *look, int err)
{
	const struct mesh_dial *dial = look->dial;
	const struct mesh_locator *locator = &dial->mesh->locators[look - dial->discovery.looks];

	locator->cancel(locator->ctx, look->run);
	look_end(look, err);
}

/* When the next locator is asked, or the next that is running has had its time. */
static void discovery_arm(struct mesh_dial *dial)
{
	struct mesh_discovery *discovery = &dial->discovery;
	const struct mesh *mesh = dial->mesh;
	uint64_t next_ns = TIMER_NEVER;

	if (discovery->is_begun && discovery->next_idx < mesh->locator_cnt)
		next_ns = discovery->next_ns;
	if (discovery->hint_ns && discovery->hint_ns < next_ns)
		next_ns = discovery->hint_ns;
	for (unsigned i = 0; i < mesh->locator_cnt; i++) {
		const struct mesh_dial_look *look = &discovery->looks[i];
		uint64_t due_ns = look->started_ns + mesh->locators[i].budget_ns;

		if (!look->is_running)
			due_ns = look->again_ns ? look->again_ns : TIMER_NEVER;
		if (due_ns < next_ns)
			next_ns = due_ns;
	}
	timer_set(mesh->timers, &discovery->timer, next_ns);
}

/* A peer that replays an old record could send this node to an earlier address of the key. */
static bool found_is_stale(struct mesh_dial *dial, const struct mesh_found *found)
{
	const struct mesh_peer_entry *entry = mesh_peers_lookup(&dial->mesh->peers, dial->key);

	return found->is_over || (found->seq && ((entry && found->seq < entry->record.addr_seq) ||
						 found->seq < dial->discovery.seq));
}

static void discovery_hint(struct mesh_dial *dial);

/* The relays of a record, or none: those of an older one are not named any more. */
static void vias_take(struct mesh_dial *dial, const struct mesh_found *found)
{
	struct mesh_discovery *discovery = &dial->discovery;
	struct mesh_peer_entry *entry;

	if (!found->seq ||
	    peer_vias_equal(discovery->vias, discovery->via_cnt, found->vias, found->via_cnt))
		return;
	entry = mesh_peers_lookup(&dial->mesh->peers, dial->key);
	if (entry)
		mesh_peer_set_vias(entry, found->vias, found->via_cnt);
	discovery->via_cnt = found->via_cnt;
	for (unsigned i = 0; i < found->via_cnt; i++)
		discovery->vias[i] = found->vias[i];
	if (found->via_cnt)
		discovery_hint(dial);
}

static int look_found(struct mesh_look *lookup, const struct mesh_found *found, uint64_t now_ns)
{
	struct mesh_dial_look *look = container_of(lookup, struct mesh_dial_look, look);
	struct mesh_dial *dial = look->dial;
	unsigned had_cnt = dial->addr_cnt;

	mesh_turn(dial->mesh, now_ns);
	if (found_is_stale(dial, found)) {
		look->is_stale = true;
		dial->mesh->stats.stale_record_cnt++;
		return WEFT_ESTALE;
	}
	if (found->seq)
		dial->discovery.seq = found->seq;
	for (unsigned i = 0; i < found->addr_cnt; i++)
		mesh_dial_add_addr(dial, &found->addrs[i], true);
	look->addr_cnt += dial->addr_cnt - had_cnt;
	vias_take(dial, found);
	mesh_dial_go_on(dial);
	return 0;
}

static void look_ended(struct mesh_look *lookup, int err, uint64_t now_ns)
{
	struct mesh_dial_look *look = container_of(lookup, struct mesh_dial_look, look);
	struct mesh_dial *dial = look->dial;

	now_ns = mesh_turn(dial->mesh, now_ns);
	look_end(look, err);
	/* The next locator's turn comes at once when this one knew nothing. */
	if (!look->addr_cnt)
		dial->discovery.next_ns = now_ns;
	discovery_arm(dial);
	mesh_dial_end_if_hopeless(dial);
}

/* The last relays that are named are asked first: those of a record. */
static void look_hint(struct mesh_dial_look *look)
{
	const struct mesh_dial *dial = look->dial;
	const struct mesh_discovery *discovery = &dial->discovery;
	const struct mesh_locator *locator = &dial->mesh->locators[look - discovery->looks];

	if (!locator->hint || !look->is_running)
		return;
	if (discovery->asked_via_cnt && !discovery->hint_ns)
		locator->hint(locator->ctx, look->run, discovery->asked_vias,
			      discovery->asked_via_cnt, dial->mesh->now_ns);
	if (discovery->via_cnt)
		locator->hint(locator->ctx, look->run, discovery->vias, discovery->via_cnt,
			      dial->mesh->now_ns);
}

static bool key_is_unsought(const struct mesh_dial *dial)
{
	const struct mesh_params *params = &dial->mesh->params;

	return !dial->is_sought ||
	       (params->is_unsought && params->is_unsought(params->ctx, dial->key));
}

/* Relays that its owner named know an unsought key: it is theirs, too. */
static bool locator_may_know(const struct mesh_dial *dial, const struct mesh_locator *locator)
{
	const struct mesh_discovery *discovery = &dial->discovery;
	bool has_named = discovery->via_cnt || (discovery->asked_via_cnt && !discovery->hint_ns);

	return !key_is_unsought(dial) || (locator->keeps_unsought && has_named);
}

/* Asks one locator; whether it is running now. */
static bool discovery_ask(struct mesh_dial *dial, unsigned idx, bool is_awaited)
{
	struct mesh *mesh = dial->mesh;
	const struct mesh_locator *locator = &mesh->locators[idx];
	struct mesh_dial_look *look = &dial->discovery.looks[idx];
	int err;

	if (!locator_may_know(dial, locator)) {
		look->again_ns = 0;
		return false;
	}
	*look = (struct mesh_dial_look){
		.look = {look_found, look_ended, key_is_unsought(dial)},
		.dial = dial,
		.started_ns = mesh->now_ns,
		.is_asked = true,
		.is_running = true,
		.is_awaited = is_awaited,
		.pause_ns = look->pause_ns,
	};
	dial->discovery.running_cnt += is_awaited;
	err = locator->look(locator->ctx, dial->key, &look->look, mesh->now_ns, &look->run);
	if (err < 0)
		look_end(look, err);
	look_hint(look);
	return err == 0;
}

/* One that a hint has had asked before its turn is passed over. */
static bool discovery_ask_in_turn(struct mesh_dial *dial)
{
	struct mesh_discovery *discovery = &dial->discovery;
	const struct mesh *mesh = dial->mesh;
	unsigned idx = discovery->next_idx++;

	if (discovery->next_idx < mesh->locator_cnt)
		discovery->next_ns = mesh->now_ns + mesh->locators[discovery->next_idx].stagger_ns;
	return !discovery->looks[idx].is_asked && discovery_ask(dial, idx, true);
}

static void discovery_ask_next(struct mesh_dial *dial)
{
	while (dial->discovery.next_idx < dial->mesh->locator_cnt && !discovery_ask_in_turn(dial))
		;
	discovery_arm(dial);
}

static void discovery_hint(struct mesh_dial *dial)
{
	const struct mesh *mesh = dial->mesh;

	for (unsigned i = 0; i < mesh->locator_cnt; i++) {
		struct mesh_dial_look *look = &dial->discovery.looks[i];

		if (!mesh->locators[i].hint)
			continue;
		if (!look->is_running) {
			(void)discovery_ask(dial, i, true);
			continue;
		}
		dial->discovery.running_cnt += !look->is_awaited;
		look->is_awaited = true;
		look_hint(look);
	}
	discovery_arm(dial);
}

/* A relay may still be the peer's: that is found out sooner than its record is found. */
static void vias_recall(struct mesh_dial *dial)
{
	const struct mesh_peer_entry *entry = mesh_peers_lookup(&dial->mesh->peers, dial->key);
	struct mesh_discovery *discovery = &dial->discovery;

	if (!dial->is_sought || !entry || !entry->via_cnt || discovery->via_cnt)
		return;
	memcpy(discovery->vias, entry->vias, sizeof(discovery->vias));
	discovery->via_cnt = entry->via_cnt;
	discovery_hint(dial);
}

/* Those of earlier sessions, unless they are what the dial began with. */
static void discovery_recall(struct mesh_dial *dial)
{
	struct mesh *mesh = dial->mesh;
	struct mesh_step step = {.name = "cache", .started_ns = mesh->now_ns};
	unsigned had_cnt = dial->addr_cnt;

	mesh_dial_add_known(dial);
	vias_recall(dial);
	step.addr_cnt = dial->addr_cnt - had_cnt;
	if (!step.addr_cnt)
		return;
	step_tell(dial, &step);
	mesh_dial_go_on(dial);
}

static void discovery_expire(struct timer *timer, uint64_t now_ns)
{
	struct mesh_dial *dial = container_of(timer, struct mesh_dial, discovery.timer);
	struct mesh_discovery *discovery = &dial->discovery;
	struct mesh *mesh = dial->mesh;

	now_ns = mesh_turn(mesh, now_ns);
	for (unsigned i = 0; i < mesh->locator_cnt; i++) {
		struct mesh_dial_look *look = &discovery->looks[i];

		if (look->is_running && now_ns >= look->started_ns + mesh->locators[i].budget_ns)
			look_cancel(look, WEFT_ETIMEOUT);
		if (!look->is_running && look->again_ns && now_ns >= look->again_ns)
			(void)discovery_ask(dial, i, false);
	}
	if (discovery->hint_ns && now_ns >= discovery->hint_ns) {
		discovery->hint_ns = 0;
		discovery_hint(dial);
	}
	if (discovery->next_idx < mesh->locator_cnt &&
	    (now_ns >= discovery->next_ns || !discovery->running_cnt)) {
		if (!discovery->next_idx)
			discovery_recall(dial);
		discovery_ask_next(dial);
	} else {
		discovery_arm(dial);
	}
	mesh_dial_end_if_hopeless(dial);
}

void mesh_discovery_init(struct mesh_dial *dial)
{
	timer_init(&dial->discovery.timer, discovery_expire);
}

void mesh_discovery_begin(struct mesh_dial *dial, uint64_t at_ns)
{
	struct mesh_discovery *discovery = &dial->discovery;

	if (!dial->mesh->locator_cnt ||
	    (discovery->is_begun && (discovery->next_idx || discovery->next_ns <= at_ns)))
		return;
	discovery->is_begun = true;
	discovery->next_ns = at_ns;
	discovery_arm(dial);
}

/* Whether via was not suggested before, and there is room for it. */
static bool suggestion_add(struct mesh_discovery *discovery, const struct peer_via *via)
{
	for (unsigned i = 0; i < discovery->asked_via_cnt; i++)
		if (peer_vias_equal(&discovery->asked_vias[i], 1, via, 1))
			return false;
	if (discovery->asked_via_cnt == PEER_VIAS_MAX)
		return false;
	discovery->asked_vias[discovery->asked_via_cnt++] = *via;
	return true;
}

void mesh_discovery_suggest(struct mesh_dial *dial, const struct mesh_peer *peer, uint64_t at_ns)
{
	struct mesh_discovery *discovery = &dial->discovery;
	bool has_more = false;

	for (unsigned i = 0; i < peer->via_cnt; i++)
		has_more |= suggestion_add(discovery, &peer->vias[i]);
	if (!has_more || discovery->hint_ns)
		return;
	discovery->hint_ns = at_ns;
	discovery_arm(dial);
}

void mesh_discovery_reset(struct mesh_dial *dial)
{
	mesh_discovery_stop(dial);
	memset(&dial->discovery, 0, sizeof(dial->discovery));
	mesh_discovery_init(dial);
}

bool mesh_discovery_is_over(const struct mesh_dial *dial)
{
	const struct mesh_discovery *discovery = &dial->discovery;

	return !dial->mesh->locator_cnt || (discovery->next_idx == dial->mesh->locator_cnt &&
					    !discovery->running_cnt && !discovery->hint_ns);
}

void mesh_discovery_stop(struct mesh_dial *dial)
{
	struct mesh_discovery *discovery = &dial->discovery;

	timer_cancel(dial->mesh->timers, &discovery->timer);
	for (unsigned i = 0; i < dial->mesh->locator_cnt; i++)
		if (discovery->looks[i].is_running)
			look_cancel(&discovery->looks[i], WEFT_ECANCELLED);
}
