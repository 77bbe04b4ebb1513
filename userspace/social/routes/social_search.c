/* SPDX-License-Identifier: Apache-2.0 */
#include "social/routes/social_search.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/container_of.h"
#include "base/monotonic.h"
#include "base/timer.h"
#include "social/routes/anchor_message.h"

#define LAN_NS	  (3 * NS_PER_S)
#define DIAL_NS	  (8 * NS_PER_S)
#define ASK_NS	  (5 * NS_PER_S)
#define RELAY_NS  (15 * NS_PER_S)
#define REPLY_CAP (ANCHOR_ANSWER_LEN_MAX + MESH_FRAME_OVERHEAD)

struct search_ask {
	struct person_search *search;
	struct mesh_request *request; /* NULL: none is out */
	uint8_t helper[NODE_KEY_LEN];
	uint8_t reply[REPLY_CAP];
};

/* A search. Its timer begins the stage, since nothing ends inside a call. */
struct person_search {
	struct social_searches *searches; /* NULL: free */
	uint8_t key[NODE_KEY_LEN];
	enum social_stage stage;
	struct timer timer;
	uint64_t began_ns; /* of the stage */
	struct mesh_request *dial;
	struct search_ask asks[SEARCH_HELPERS_MAX];
	unsigned asking_cnt;
	struct social_step steps[SOCIAL_STAGE_CNT];
	unsigned step_cnt;
	struct social_search_ask waiters[SEARCH_WAITERS_MAX]; /* their keys are not looked at */
	unsigned waiter_cnt;
};

struct social_searches {
	struct social_searches_params params;
	struct person_search searches[SOCIAL_SEARCHES_MAX];
	bool is_stopped;
	struct social_search_stats stats;
};

static const char *const words[SOCIAL_STAGE_CNT] = {
	"session",	   "lan",	  "stored",	 "their-anchors", "contacts",
	"contact-anchors", "own-anchors", "last-resort", "relay",
};

const char *social_stage_word(enum social_stage stage)
{
	return words[stage];
}

static const struct mesh_seam *seam_of(const struct person_search *search)
{
	return &search->searches->params.ground->mesh;
}

/* --- ends --- */

static void search_quiet(struct person_search *search)
{
	const struct mesh_ops *ops = seam_of(search)->ops;

	timer_cancel(search->searches->params.ground->timers, &search->timer);
	if (search->dial)
		ops->cancel(search->dial);
	search->dial = NULL;
	for (unsigned i = 0; i < SEARCH_HELPERS_MAX; i++) {
		if (search->asks[i].request)
			ops->cancel(search->asks[i].request);
		search->asks[i].request = NULL;
	}
	search->asking_cnt = 0;
}

static void count_end(struct social_searches *searches, enum social_stage stage, int err)
{
	struct social_search_stats *stats = &searches->stats;
	uint64_t *const cnts[SOCIAL_STAGE_CNT] = {
		&stats->session_cnt,	   &stats->lan_cnt,	    &stats->stored_cnt,
		&stats->their_anchors_cnt, &stats->contacts_cnt,    &stats->contact_anchors_cnt,
		&stats->own_anchors_cnt,   &stats->last_resort_cnt, &stats->relay_cnt,
	};

	if (err < 0)
		stats->failed_cnt++;
	else
		(*cnts[stage])++;
}

static struct social_step *step_now(struct person_search *search)
{
	return &search->steps[search->step_cnt - 1];
}

/* The search is gone before its askers are called, so that they may search again. */
static void search_end(struct person_search *search, int err, uint64_t now_ns)
{
	struct social_search_ask waiters[SEARCH_WAITERS_MAX];
	struct social_step steps[SOCIAL_STAGE_CNT];
	uint8_t key[NODE_KEY_LEN];
	unsigned waiter_cnt = search->waiter_cnt;
	const struct social_found found = {.key = key,
					   .err = err,
					   .stage = search->stage,
					   .steps = steps,
					   .step_cnt = search->step_cnt};

	memcpy(waiters, search->waiters, sizeof(waiters));
	memcpy(steps, search->steps, sizeof(steps));
	memcpy(key, search->key, sizeof(key));
	count_end(search->searches, search->stage, err);
	search_quiet(search);
	search->searches->stats.running_cnt--;
	search->searches = NULL;
	for (unsigned i = 0; i < waiter_cnt; i++)
		if (waiters[i].done)
			waiters[i].done(waiters[i].arg, &found, now_ns);
}

static void stage_next(struct person_search *search, uint64_t now_ns);

static void steps_tell(struct person_search *search, uint64_t now_ns)
{
	for (unsigned i = 0; i < search->waiter_cnt; i++)
		if (search->waiters[i].done && search->waiters[i].stepped)
			search->waiters[i].stepped(search->waiters[i].arg, search->steps,
						   search->step_cnt, now_ns);
}

/* err: of the stage, which is over. */
static void stage_end(struct person_search *search, int err, uint64_t now_ns)
{
	struct social_step *step = step_now(search);

	/* The dial's own reason says more than that no helper had another address. */
	if (err == 0 || step->err == WEFT_EABSENT || step->err == 0)
		step->err = err;
	step->took_ns = now_ns - search->began_ns;
	if (err == 0) {
		search_end(search, 0, now_ns);
		return;
	}
	search_quiet(search);
	steps_tell(search, now_ns);
	search->stage++;
	stage_next(search, now_ns);
}

/* --- dialling --- */

/* A dial's outcome comes without a time: it is that of a turn that runs at once. */
static void dialled(void *arg, int err, const uint8_t *actual_key)
{
	struct person_search *search = arg;
	const struct social_ground *ground = search->searches->params.ground;

	(void)actual_key;
	search->dial = NULL;
	step_now(search)->err = err;
	if (err == 0 || !search->asking_cnt)
		timer_set(ground->timers, &search->timer, 0);
}

/* One under way gets these addresses, too: both wait for the same dial of the mesh. */
static bool dial(struct person_search *search, const struct mesh_peer *peer, uint64_t timeout_ns,
		 uint64_t now_ns)
{
	const struct mesh_connect connect = {
		.peer = peer, .timeout_ns = timeout_ns, .done = dialled, .arg = search};
	const struct mesh_seam *mesh = seam_of(search);
	struct mesh_request *before = search->dial;

	if (mesh->ops->connect(mesh->mesh, &connect, now_ns, &search->dial) < 0) {
		search->dial = before;
		return false;
	}
	if (before)
		mesh->ops->cancel(before);
	return true;
}

static bool begin_lan(struct person_search *search, uint64_t now_ns)
{
	const struct social_searches_params *params = &search->searches->params;
	struct mesh_peer peer = {.is_unsought = true};
	struct addr addrs[MESH_PEER_ADDRS_MAX];

	memcpy(peer.key, search->key, sizeof(peer.key));
	peer.addrs = addrs;
	peer.addr_cnt = params->lan ? params->lan(params->ctx, search->key, addrs) : 0;
	return peer.addr_cnt && dial(search, &peer, LAN_NS, now_ns);
}

/* Without a route the mesh may know where it was. */
static bool begin_stored(struct person_search *search, uint64_t now_ns)
{
	struct peer_places places;
	struct mesh_peer peer =
		social_route_peer(search->searches->params.routes, search->key, &places);

	return dial(search, &peer, DIAL_NS, now_ns);
}

static bool begin_relay(struct person_search *search, uint64_t now_ns)
{
	struct mesh_peer peer = {.is_unsought = true};
	struct social_route route;

	memcpy(peer.key, search->key, sizeof(peer.key));
	if (!social_route_look(search->searches->params.routes, search->key, &route) ||
	    !route.places.via_cnt)
		return false;
	peer.vias = route.places.vias;
	peer.via_cnt = route.places.via_cnt;
	return dial(search, &peer, RELAY_NS, now_ns);
}

/* --- asking helpers --- */

/* A record that says something new, though its node has no route here. */
static bool record_is_new(struct person_search *search, const struct search_ask *ask,
			  const struct anchor_answer *answer, struct social_address *out,
			  uint64_t now_ns)
{
	const struct social_record record = {
		.bytes = answer->record, .len = answer->record_len, .introduced_by = ask->helper};
	int err;

	if (!answer->record || social_address_read(answer->record, answer->record_len, out) < 0 ||
	    memcmp(out->node, search->key, NODE_KEY_LEN) != 0)
		return false;
	err = social_route_take_record(search->searches->params.routes, &record, out, now_ns);
	return err == 0 || err == WEFT_EABSENT || err == WEFT_EFULL;
}

static void answer_take(struct person_search *search, const struct search_ask *ask,
			const struct anchor_answer *answer, uint64_t now_ns)
{
	struct mesh_peer peer = {.is_unsought = true};
	struct social_address address;

	if (!record_is_new(search, ask, answer, &address, now_ns))
		return;
	step_now(search)->answered_cnt++;
	search->searches->stats.answer_cnt++;
	memcpy(peer.key, search->key, sizeof(peer.key));
	peer.addrs = address.places.addrs;
	peer.addr_cnt = address.places.addr_cnt;
	peer.told_cnt = address.places.addr_cnt;
	if (peer.addr_cnt)
		(void)dial(search, &peer, DIAL_NS, now_ns);
}

static void on_answer(void *arg, const struct mesh_reply *reply, uint64_t now_ns)
{
	struct search_ask *ask = arg;
	struct person_search *search = ask->search;
	struct anchor_answer answer;

	ask->request = NULL;
	search->asking_cnt--;
	if (!reply->err &&
	    social_anchor_answer_parse(reply->payload, reply->payload_len, &answer) == 0)
		answer_take(search, ask, &answer, now_ns);
	if (!search->asking_cnt && !search->dial)
		stage_end(search, WEFT_EUNREACHABLE, now_ns);
}

static bool ask_begin(struct person_search *search, struct search_ask *ask, const uint8_t *helper,
		      uint64_t now_ns)
{
	const struct social_searches_params *params = &search->searches->params;
	uint8_t payload[ANCHOR_QUERY_LEN_MAX];
	struct writer w = writer_of(payload, sizeof(payload));
	struct mesh_ask question = {
		.type = MESH_ANCHOR_QUERY,
		.payload = payload,
		.reply_buf = ask->reply,
		.reply_cap = sizeof(ask->reply),
		.timeout_ns = ASK_NS,
		.reply = on_answer,
		.arg = ask,
	};

	social_anchor_query_write(&w, search->key);
	question.payload_len = writer_len(&w);
	memcpy(question.peer.key, helper, sizeof(question.peer.key));
	memcpy(ask->helper, helper, sizeof(ask->helper));
	ask->search = search;
	if (social_ask(params->routes, &question, now_ns, &ask->request) < 0) {
		ask->request = NULL;
		return false;
	}
	search->searches->stats.question_cnt++;
	return true;
}

static bool begin_helpers(struct person_search *search, uint64_t now_ns)
{
	const struct social_searches_params *params = &search->searches->params;
	uint8_t helpers[SEARCH_HELPERS_MAX][NODE_KEY_LEN];
	const uint8_t *own_key = node_key_public(params->ground->key);
	unsigned cnt = params->helpers(params->ctx, search->stage, search->key, helpers,
				       SEARCH_HELPERS_MAX);

	for (unsigned i = 0; i < cnt; i++) {
		if (memcmp(helpers[i], own_key, NODE_KEY_LEN) == 0 ||
		    memcmp(helpers[i], search->key, NODE_KEY_LEN) == 0)
			continue;
		search->asking_cnt += ask_begin(search, &search->asks[i], helpers[i], now_ns);
	}
	step_now(search)->asked_cnt = search->asking_cnt;
	return search->asking_cnt > 0;
}

/* --- stages --- */

static bool has_session(const struct person_search *search)
{
	return social_has_session(search->searches->params.ground, search->key);
}

/* False: the stage has nothing to try. */
static bool stage_begin(struct person_search *search, uint64_t now_ns)
{
	switch (search->stage) {
	case SOCIAL_STAGE_SESSION:
		return false;
	case SOCIAL_STAGE_LAN:
		return begin_lan(search, now_ns);
	case SOCIAL_STAGE_STORED:
		return begin_stored(search, now_ns);
	case SOCIAL_STAGE_RELAY:
		return begin_relay(search, now_ns);
	default:
		return begin_helpers(search, now_ns);
	}
}

static void stage_next(struct person_search *search, uint64_t now_ns)
{
	while (search->stage < SOCIAL_STAGE_CNT) {
		search->began_ns = now_ns;
		search->steps[search->step_cnt++] =
			(struct social_step){.stage = search->stage, .err = WEFT_EABSENT};
		if (has_session(search)) {
			stage_end(search, 0, now_ns);
			return;
		}
		if (stage_begin(search, now_ns))
			return;
		steps_tell(search, now_ns);
		search->stage++;
	}
	search->stage = SOCIAL_STAGE_RELAY;
	search_end(search, WEFT_EUNREACHABLE, now_ns);
}

/* The search begins, or its dial ended. */
static void search_expire(struct timer *timer, uint64_t now_ns)
{
	struct person_search *search = container_of(timer, struct person_search, timer);

	if (!search->step_cnt)
		stage_next(search, now_ns);
	else if (has_session(search))
		stage_end(search, 0, now_ns);
	else if (!search->asking_cnt && !search->dial)
		stage_end(search, WEFT_EUNREACHABLE, now_ns);
}

/* --- calls --- */

static struct person_search *search_find(struct social_searches *searches, const uint8_t *key)
{
	for (unsigned i = 0; i < SOCIAL_SEARCHES_MAX; i++)
		if (searches->searches[i].searches &&
		    memcmp(searches->searches[i].key, key, NODE_KEY_LEN) == 0)
			return &searches->searches[i];
	return NULL;
}

static struct person_search *search_make(struct social_searches *searches, const uint8_t *key,
					 uint64_t now_ns)
{
	for (unsigned i = 0; i < SOCIAL_SEARCHES_MAX; i++) {
		struct person_search *search = &searches->searches[i];

		if (search->searches)
			continue;
		memset(search, 0, sizeof(*search));
		search->searches = searches;
		memcpy(search->key, key, sizeof(search->key));
		timer_init(&search->timer, search_expire);
		timer_set(searches->params.ground->timers, &search->timer, now_ns);
		searches->stats.running_cnt++;
		return search;
	}
	return NULL;
}

int social_search(struct social_searches *searches, const struct social_search_ask *ask,
		  uint64_t now_ns)
{
	struct person_search *search = search_find(searches, ask->key);

	if (memcmp(ask->key, node_key_public(searches->params.ground->key), NODE_KEY_LEN) == 0)
		return WEFT_EMALFORMED;
	if (!search && !searches->is_stopped)
		search = search_make(searches, ask->key, now_ns);
	if (!search || search->waiter_cnt == SEARCH_WAITERS_MAX) {
		searches->stats.busy_cnt++;
		return WEFT_EBUSY;
	}
	search->waiters[search->waiter_cnt] = *ask;
	search->waiters[search->waiter_cnt++].key = NULL;
	return 0;
}

void social_search_forget(struct social_searches *searches, const void *arg)
{
	for (unsigned i = 0; i < SOCIAL_SEARCHES_MAX; i++)
		for (unsigned j = 0; j < searches->searches[i].waiter_cnt; j++)
			if (searches->searches[i].waiters[j].arg == arg)
				searches->searches[i].waiters[j].done = NULL;
}

/* --- life --- */

int social_searches_open(const struct social_searches_params *params,
			 struct social_searches **out_reaches)
{
	struct social_searches *searches = calloc(1, sizeof(*searches));

	if (!searches)
		return -ENOMEM;
	searches->params = *params;
	*out_reaches = searches;
	return 0;
}

void social_searches_stop(struct social_searches *searches)
{
	if (!searches)
		return;
	searches->is_stopped = true;
	for (unsigned i = 0; i < SOCIAL_SEARCHES_MAX; i++) {
		if (!searches->searches[i].searches)
			continue;
		search_end(&searches->searches[i], WEFT_ECLOSED, searches->searches[i].began_ns);
	}
}

void social_searches_close(struct social_searches *searches)
{
	social_searches_stop(searches);
	free(searches);
}

void social_searches_stats(const struct social_searches *searches,
			   struct social_search_stats *out_stats)
{
	*out_stats = searches->stats;
}
