/* SPDX-License-Identifier: Apache-2.0 */
/* SyncPerson, ReachPerson, OpenPost: what other nodes are asked for. The caller waits for the end. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/methods.h"
#include "api/social/method_post.h"
#include "api/social/person_words.h"
#include "base/monotonic.h"
#include "codec/text/zbase32.h"
#include "social/reach/link_post.h"
#include "social/routes/social_search.h"
#include "social/social.h"
#include "social/sync/sync.h"

/* --- SyncPerson --- */

struct person_sync {
	struct control_call *call; /* NULL: its caller left */
	char *name;
};

static void sync_fail(struct control_call *call, const char *name, int err)
{
	static const struct control_failure_row rows[] = {
		{WEFT_EABSENT, "there is no session with it", "weft peer connect"},
		{WEFT_EFULL, "too many questions to people's nodes are under way",
		 "try again in a moment"},
		{WEFT_ECLOSED, "its session ended", "weft peer connect"},
		{WEFT_EBUSY, "it named posts, and did not give them", "it is asked again later"},
		{-ENOMEM, "no memory", "free some and try again"},
		{0, NULL, "it is asked again by itself"},
	};

	control_fail_of(call, err, name, rows);
}

static void on_done(void *arg, const struct sync_outcome *outcome, uint64_t now_ns)
{
	struct person_sync *waiting = arg;

	(void)now_ns;
	if (waiting->call && outcome->err < 0)
		sync_fail(waiting->call, waiting->name, outcome->err);
	else if (waiting->call)
		api_reply(waiting->call, sync_person,
			  .sync = {.posts = outcome->new_cnt,
				   .sent_bytes = outcome->sent_len,
				   .received_bytes = outcome->received_len});
	free(waiting->name);
	free(waiting);
}

void api_sync_person(struct api *api, struct control_call *call,
		     const struct api_sync_person_in *in, uint64_t now_ns)
{
	struct person_sync *waiting;
	struct sync_order order = {.done = on_done};
	uint8_t author[NODE_KEY_LEN];
	int err;

	if (!api->social) {
		control_fail(call, WEFT_EREFUSED, "social", "it is switched off",
			     "set social.enabled = yes in weft.conf and start weftd again");
		return;
	}
	if (!api_node_id_read(api, call, in->node_id, order.key) ||
	    (in->author && !api_node_id_read(api, call, in->author, author)))
		return;
	waiting = calloc(1, sizeof(*waiting));
	if (!waiting || !(waiting->name = strdup(in->node_id))) {
		free(waiting);
		sync_fail(call, in->node_id, -ENOMEM);
		return;
	}
	order.author = in->author ? author : NULL;
	order.arg = waiting;
	control_hold(call, &waiting->call);
	err = social_sync_with(social_sync_of(api->social), &order, now_ns);
	if (err == 0)
		return;
	sync_fail(call, waiting->name, err);
	free(waiting->name);
	free(waiting);
}

/* --- ReachPerson --- */

struct reaching {
	struct control_call *call; /* NULL: its caller left */
	unsigned shown_cnt;
};

static struct api_reach_stage stage_row(const struct social_step *step)
{
	const char *result = weft_err_text(step->err);

	if (step->err == 0)
		result = "found";
	else if (step->err == WEFT_EABSENT)
		result = "nothing to try";
	return (struct api_reach_stage){.stage = social_stage_word(step->stage),
					.result = result,
					.asked = step->asked_cnt,
					.answered = step->answered_cnt,
					.took_ms = (int64_t)(step->took_ns / NS_PER_MS)};
}

static void on_stepped(void *arg, const struct social_step *steps, unsigned step_cnt,
		       uint64_t now_ns)
{
	struct reaching *reaching = arg;

	(void)now_ns;
	for (; reaching->shown_cnt < step_cnt; reaching->shown_cnt++) {
		const struct api_reach_stage row = stage_row(&steps[reaching->shown_cnt]);

		if (reaching->call && control_wants_more(reaching->call))
			api_reply_more(reaching->call, reach_person, .stage = &row);
	}
}

static void on_found(void *arg, const struct social_found *found, uint64_t now_ns)
{
	struct reaching *reaching = arg;

	(void)now_ns;
	if (reaching->call) {
		struct varlink_blocks *blocks = control_blocks(reaching->call);
		struct api_reach_stage_list list = {.cnt = 0};

		for (unsigned i = 0; i < found->step_cnt; i++)
			varlink_push(blocks, &list, stage_row(&found->steps[i]));
		api_reply(reaching->call, reach_person, .stages = list, .has_reached = true,
			  .reached = found->err == 0);
	}
	free(reaching);
}

void api_reach_person(struct api *api, struct control_call *call,
		      const struct api_reach_person_in *in, uint64_t now_ns)
{
	static const struct control_failure_row rows[] = {
		{WEFT_EMALFORMED, "it is this node's own key", "name another person"},
		{WEFT_EBUSY, "too many searches are under way", "try again in a moment"},
		{-ENOMEM, "no memory", "free some and try again"},
		{0, NULL, "weft event list says what happened"},
	};
	struct people *people = api_people(api, call);
	uint8_t key[NODE_KEY_LEN];
	struct social_search_ask ask = {.key = key, .done = on_found, .stepped = on_stepped};
	struct reaching *reaching;
	int err = -ENOMEM;

	if (!people || !api_person_read(people, call, in->person, key))
		return;
	reaching = calloc(1, sizeof(*reaching));
	if (reaching) {
		ask.arg = reaching;
		control_hold(call, &reaching->call);
		err = social_search(social_searches_of(api->social), &ask, now_ns);
	}
	if (err == 0)
		return;
	control_fail_of(call, err, in->person, rows);
	free(reaching);
}

/* --- OpenPost --- */

#define KEY_LETTERS ZBASE32_TEXT_LEN(NODE_KEY_LEN)

struct link_opening {
	struct api *api;
	struct control_call *call; /* NULL: its caller left */
	uint8_t id[POST_ID_LEN];
};

/* "/p/POST/AUTHOR", also behind the address of a page. */
static bool link_read(const char *link, uint8_t *out_id, uint8_t *out_author)
{
	const char *at = strstr(link, POST_LINK_PREFIX);

	at = at ? at + strlen(POST_LINK_PREFIX) : NULL;
	return at && strlen(at) == 2 * KEY_LETTERS + 1 && at[KEY_LETTERS] == '/' &&
	       zbase32_parse(at, KEY_LETTERS, out_id, POST_ID_LEN) == POST_ID_LEN &&
	       zbase32_parse(at + KEY_LETTERS + 1, KEY_LETTERS, out_author, NODE_KEY_LEN) ==
		       NODE_KEY_LEN;
}

/* What is held and no key here opens says no more than one that no node gave. */
static void absent_fail(struct control_call *call, unsigned node_cnt)
{
	control_fail(call, WEFT_EABSENT, "post",
		     varlink_format(control_blocks(call),
				    "not found at %u nodes: each does not have it, or has it "
				    "and not for you",
				    node_cnt),
		     "ask its author, or try again when the author's node is there");
}

static void opened_reply(struct api *api, struct control_call *call, const uint8_t *id,
			 uint64_t now_ns)
{
	struct social_read *read = api_reader(api, call);
	struct opened_post *opened = NULL;
	uint8_t latest[POST_ID_LEN];
	int err;

	if (!read)
		return;
	if ((err = social_read_latest(read, id, latest)) < 0 ||
	    (err = social_read_open(read, latest, &opened)) < 0) {
		social_opened_free(opened);
		if (err == WEFT_EREFUSED || err == WEFT_EABSENT)
			absent_fail(call, 0);
		else
			api_post_fail(call, err, "post");
		return;
	}
	api_reply(call, open_post, .post = api_social_post(api, control_blocks(call), opened));
	social_read_shown(read, opened, now_ns);
	social_opened_free(opened);
}

static void on_linked(void *arg, const struct link_outcome *outcome, uint64_t now_ns)
{
	struct link_opening *opening = arg;

	if (opening->call && outcome->err == 0)
		opened_reply(opening->api, opening->call, opening->id, now_ns);
	else if (opening->call)
		absent_fail(opening->call, outcome->node_cnt);
	free(opening);
}

static int link_begin(struct api *api, struct control_call *call, const struct link_ask *what,
		      uint64_t now_ns)
{
	struct link_opening *opening = calloc(1, sizeof(*opening));
	struct link_ask ask = *what;
	int err;

	if (!opening)
		return -ENOMEM;
	opening->api = api;
	memcpy(opening->id, ask.id, sizeof(opening->id));
	ask.done = on_linked;
	ask.arg = opening;
	control_hold(call, &opening->call);
	err = social_link_post(social_link_posts_of(api->social), &ask, now_ns);
	if (err < 0)
		free(opening);
	return err;
}

void api_open_post(struct api *api, struct control_call *call, const struct api_open_post_in *in,
		   uint64_t now_ns)
{
	static const struct control_failure_row rows[] = {
		{WEFT_EFULL, "too many posts are being fetched", "try again in a moment"},
		{-ENOMEM, "no memory", "free some and try again"},
		{0, NULL, "try again"},
	};
	uint8_t id[POST_ID_LEN], author[NODE_KEY_LEN];
	const struct link_ask ask = {.id = id, .author = author};
	int err;

	if (!api_reader(api, call))
		return;
	if (!link_read(in->link, id, author)) {
		control_fail(call, WEFT_EMALFORMED, in->link, "it is no link of a post",
			     "weft post link prints one: /p/POST/AUTHOR");
		return;
	}
	if (social_posts_known(social_posts_of(api->social), id) == POST_HELD) {
		opened_reply(api, call, id, now_ns);
		return;
	}
	if ((err = link_begin(api, call, &ask, now_ns)) < 0)
		control_fail_of(call, err, in->link, rows);
}
