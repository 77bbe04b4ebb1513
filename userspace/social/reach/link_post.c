/* SPDX-License-Identifier: Apache-2.0 */
#include "social/reach/link_post.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/container_of.h"
#include "base/timer.h"
#include "social/sync/sync.h"

#define ASK_NS	  8000000000ull
#define REPLY_CAP (2 * POST_LEN_MAX + 4096u)

struct link_post;
struct link_question {
	struct link_post *link;
	struct mesh_request *request; /* NULL: free */
	uint8_t node[NODE_KEY_LEN];
	bool is_plain;	/* without the author: a post that is not public is given so alone */
	uint8_t *reply; /* REPLY_CAP, while it is out */
};

struct link_post {
	struct social_link_posts *links; /* NULL: free */
	uint8_t id[POST_ID_LEN], author[NODE_KEY_LEN];
	struct link_ask ask;
	struct timer turn, end; /* what comes next, at once; the last moment */
	bool has_begun, has_searched, is_over, is_here;
	uint8_t nodes[LINK_POST_NODES_MAX + 1][NODE_KEY_LEN];
	unsigned node_cnt, node_at;
	struct link_question questions[LINK_ASKS_MAX];
	unsigned asking_cnt;
	unsigned taking_cnt; /* posts that are judged */
	struct link_outcome outcome;
};

struct social_link_posts {
	struct social_link_posts_params params;
	struct link_post rows[LINK_POSTS_MAX];
	struct sync_page page; /* at hand */
	bool is_stopped;
};

/* --- ends --- */

static const struct mesh_seam *seam_of(const struct link_post *link)
{
	return &link->links->params.ground->mesh;
}

static void question_end(struct link_question *question)
{
	if (question->request)
		seam_of(question->link)->ops->cancel(question->request);
	question->request = NULL;
	free(question->reply);
	question->reply = NULL;
}

/* A post that is judged still has its address. */
static void link_release(struct link_post *link)
{
	if (link->is_over && link->taking_cnt == 0)
		link->links = NULL;
}

static void link_end(struct link_post *link, int err, uint64_t now_ns)
{
	const struct social_link_posts_params *params = &link->links->params;
	const struct link_ask ask = link->ask;
	struct link_outcome outcome = link->outcome;

	if (link->is_over)
		return;
	link->is_over = true;
	outcome.err = err;
	timer_cancel(params->ground->timers, &link->turn);
	timer_cancel(params->ground->timers, &link->end);
	social_search_forget(params->searches, link);
	for (unsigned i = 0; i < LINK_ASKS_MAX; i++)
		if (link->questions[i].link)
			question_end(&link->questions[i]);
	link_release(link);
	ask.done(ask.arg, &outcome, now_ns);
}

static void link_go_on(struct link_post *link, uint64_t now_ns);

/* --- what a node gives --- */

static void on_taken(void *arg, enum intake_verdict verdict, const uint8_t *id)
{
	struct link_post *link = arg;
	const struct social_ground *ground = link->links->params.ground;

	(void)id;
	link->taking_cnt--;
	if (link->is_over) {
		link_release(link);
		return;
	}
	if (verdict == INTAKE_TAKEN || verdict == INTAKE_KNOWN)
		link->is_here = true;
	/* Its time is that of a turn that runs at once. */
	timer_set(ground->timers, &link->turn, 0);
}

static bool page_take(struct link_post *link, const struct link_question *question,
		      const struct mesh_reply *reply, uint64_t now_ns)
{
	const struct social_link_posts_ways *ways = &link->links->params.ways;
	struct sync_page *page = &link->links->page;
	const struct sync_post *post = &page->posts[0];

	if (social_sync_page_parse(reply->payload, reply->payload_len, page) < 0 ||
	    page->post_cnt != 1 || memcmp(post->id, link->id, POST_ID_LEN) != 0 || !post->post.len)
		return false;
	link->taking_cnt++;
	ways->take(ways->ctx,
		   &(struct sync_take){.post = post->post,
				       .claim = post->claim,
				       .visibility = post->visibility,
				       .from = question->node,
				       .done = on_taken,
				       .arg = link},
		   now_ns);
	return true;
}

static bool question_send(struct link_post *link, struct link_question *question,
			  const uint8_t *node, bool is_plain, uint64_t now_ns);

static void on_reply(void *arg, const struct mesh_reply *reply, uint64_t now_ns)
{
	struct link_question *question = arg;
	struct link_post *link = question->link;
	uint8_t node[NODE_KEY_LEN];
	bool is_given;

	question->request = NULL;
	link->asking_cnt--;
	is_given = !reply->err && page_take(link, question, reply, now_ns);
	memcpy(node, question->node, sizeof(node));
	question_end(question);
	if (!reply->err && !is_given && !question->is_plain && !link->is_over &&
	    question_send(link, question, node, true, now_ns))
		link->asking_cnt++;
	else
		link->outcome.node_cnt += !reply->err && !is_given;
	if (!link->is_over)
		link_go_on(link, now_ns);
}

/* --- questions --- */

static bool question_send(struct link_post *link, struct link_question *question,
			  const uint8_t *node, bool is_plain, uint64_t now_ns)
{
	uint8_t payload[256];
	struct writer w = writer_of(payload, sizeof(payload));
	const struct sync_get get = {.posts = link->id,
				     .posts_len = POST_ID_LEN,
				     .author = is_plain ? NULL : link->author};
	struct mesh_ask ask = {.type = MESH_POST_GET,
			       .payload = payload,
			       .reply_cap = REPLY_CAP,
			       .timeout_ns = ASK_NS,
			       .reply = on_reply,
			       .arg = question};

	social_sync_get_write(&w, &get);
	ask.payload_len = writer_len(&w);
	question->link = link;
	question->is_plain = is_plain;
	memcpy(question->node, node, NODE_KEY_LEN);
	memcpy(ask.peer.key, node, NODE_KEY_LEN);
	question->reply = ask.reply_buf = malloc(REPLY_CAP);
	if (question->reply &&
	    social_ask(link->links->params.routes, &ask, now_ns, &question->request) == 0)
		return true;
	question->request = NULL;
	question_end(question);
	return false;
}

static struct link_question *question_free(struct link_post *link)
{
	for (unsigned i = 0; i < LINK_ASKS_MAX; i++)
		if (!link->questions[i].request)
			return &link->questions[i];
	return NULL;
}

static void nodes_ask(struct link_post *link, uint64_t now_ns)
{
	struct link_question *question;

	while (link->node_at < link->node_cnt && (question = question_free(link)))
		link->asking_cnt +=
			question_send(link, question, link->nodes[link->node_at++], false, now_ns);
}

static void on_found(void *arg, const struct social_found *found, uint64_t now_ns)
{
	struct link_post *link = arg;

	if (found->err == 0)
		memcpy(link->nodes[link->node_cnt++], link->author, NODE_KEY_LEN);
	link_go_on(link, now_ns);
}

static bool was_asked(const struct link_post *link, const uint8_t *node)
{
	for (unsigned i = 0; i < link->node_cnt; i++)
		if (memcmp(link->nodes[i], node, NODE_KEY_LEN) == 0)
			return true;
	return false;
}

/* The author is looked for when all others were asked. True: a search is under way. */
static bool search_begin(struct link_post *link, uint64_t now_ns)
{
	const struct social_search_ask ask = {.key = link->author, .done = on_found, .arg = link};

	if (link->has_searched || was_asked(link, link->author))
		return false;
	link->has_searched = true;
	return social_search(link->links->params.searches, &ask, now_ns) == 0;
}

static void link_go_on(struct link_post *link, uint64_t now_ns)
{
	if (link->is_here) {
		link_end(link, 0, now_ns);
		return;
	}
	nodes_ask(link, now_ns);
	if (link->asking_cnt || link->taking_cnt || search_begin(link, now_ns))
		return;
	if (link->node_at == link->node_cnt)
		link_end(link, WEFT_EABSENT, now_ns);
}

/* --- calls --- */

static void link_turn(struct timer *timer, uint64_t now_ns)
{
	struct link_post *link = container_of(timer, struct link_post, turn);
	const struct social_link_posts_ways *ways = &link->links->params.ways;

	if (!link->has_begun)
		link->node_cnt =
			ways->nodes(ways->ctx, link->author, link->nodes, LINK_POST_NODES_MAX);
	link->has_begun = true;
	link_go_on(link, now_ns);
}

static void link_expire(struct timer *timer, uint64_t now_ns)
{
	struct link_post *link = container_of(timer, struct link_post, end);

	link_end(link, link->is_here ? 0 : WEFT_EABSENT, now_ns);
}

int social_link_post(struct social_link_posts *links, const struct link_ask *ask, uint64_t now_ns)
{
	struct timer_wheel *timers = links->params.ground->timers;
	struct link_post *link = NULL;

	for (unsigned i = 0; i < LINK_POSTS_MAX && !link; i++)
		if (!links->rows[i].links)
			link = &links->rows[i];
	if (!link || links->is_stopped)
		return WEFT_EFULL;
	memset(link, 0, sizeof(*link));
	link->links = links;
	memcpy(link->id, ask->id, sizeof(link->id));
	memcpy(link->author, ask->author, sizeof(link->author));
	link->ask = (struct link_ask){.done = ask->done, .arg = ask->arg};
	timer_init(&link->turn, link_turn);
	timer_init(&link->end, link_expire);
	timer_set(timers, &link->turn, now_ns);
	timer_set(timers, &link->end, now_ns + LINK_NS);
	return 0;
}

/* --- life --- */

int social_link_posts_open(const struct social_link_posts_params *params,
			   struct social_link_posts **out_links)
{
	struct social_link_posts *links = calloc(1, sizeof(*links));

	if (!links)
		return -ENOMEM;
	links->params = *params;
	*out_links = links;
	return 0;
}

void social_link_posts_stop(struct social_link_posts *links)
{
	if (!links || links->is_stopped)
		return;
	links->is_stopped = true;
	for (unsigned i = 0; i < LINK_POSTS_MAX; i++)
		if (links->rows[i].links)
			link_end(&links->rows[i], WEFT_ECLOSED, 0);
}

void social_link_posts_close(struct social_link_posts *links)
{
	social_link_posts_stop(links);
	free(links);
}
