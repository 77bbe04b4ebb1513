/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A run is what one call writes: a post, one for each shard of a large group, or deletions of all editions.
 * It ends, and its callers are answered, when the store of posts has said of each part that it is durable.
 */
#include "social/write/social_write.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/container_of.h"
#include "base/random.h"
#include "codec/text/hex.h"
#include "social/ground/social_ground.h"
#include "social/write/social_write_state.h"

/* --- runs --- */

struct write_run *social_run_new(struct social_write *write, write_done_fn done, void *arg)
{
	struct write_run *run = calloc(1, sizeof(*run));

	if (!run)
		return NULL;
	run->write = write;
	run->first = (struct write_waiter){NULL, done, arg};
	run->part_cnt = 1;
	list_push_back(&write->runs, &run->node);
	write->stats.under_way_cnt++;
	return run;
}

static void run_free(struct write_run *run)
{
	while (run->more) {
		struct write_waiter *waiter = run->more;

		run->more = waiter->next;
		free(waiter);
	}
	free(run->left_word);
	free(run);
}

/* The run is in no list any more when a caller is called, which may write again. */
static void run_end(struct write_run *run)
{
	struct social_write *write = run->write;
	const uint8_t *id = run->err ? NULL : run->id;

	list_unlink(&run->node);
	write->stats.under_way_cnt--;
	write->stats.failed_cnt += run->err != 0;
	if (run->first.done && !write->is_stopped)
		run->first.done(run->first.arg, run->err, id);
	for (struct write_waiter *waiter = run->more; waiter; waiter = waiter->next)
		if (waiter->done && !write->is_stopped)
			waiter->done(waiter->arg, run->err, id);
	run_free(run);
}

void social_part_end(struct write_run *run, int err)
{
	if (err && !run->err)
		run->err = err;
	if (--run->part_cnt == 0)
		run_end(run);
}

static int verdict_err(enum intake_verdict verdict)
{
	switch (verdict) {
	case INTAKE_TAKEN:
	case INTAKE_KNOWN:
		return 0;
	case INTAKE_TOO_LARGE:
		return WEFT_ETOOLARGE;
	case INTAKE_FULL:
		return WEFT_EFULL;
	case INTAKE_BUSY:
		return WEFT_EBUSY;
	case INTAKE_DELETED:
	case INTAKE_BLOCKED:
		return WEFT_EREFUSED;
	case INTAKE_ABSENT:
		return WEFT_EABSENT;
	case INTAKE_FAILED:
		return -EIO;
	default:
		return WEFT_EMALFORMED;
	}
}

static void words_leave(struct write_run *run)
{
	const struct social_write_params *params = &run->write->params;
	struct write_readers *people = run->left_word;

	for (unsigned i = 0; people && i < people->cnt; i++)
		if (!social_own_key(params->people, people->keys[i]))
			params->left_word(params->ctx, people->keys[i], run->id, run->now_ns);
}

void social_part_taken(void *arg, enum intake_verdict verdict, const uint8_t *id)
{
	struct write_run *run = arg;

	(void)id;
	if (verdict == INTAKE_TAKEN && !run->write->is_stopped)
		words_leave(run);
	social_part_end(run, verdict_err(verdict));
}

/* --- a post --- */

static uint16_t marks_of(const struct write_draft *draft)
{
	return (uint16_t)(POST_READ | POST_READABLE | draft->marks |
			  (draft->is == PRIVATE_POST ? 0 : POST_DIRECT));
}

/* Gives the bytes to the intake: 0, or what social_post_make says. */
static int part_give(struct post_work *work)
{
	struct social_write *write = work->write;
	struct made_post *made;
	struct intake_ask ask;
	int err = social_post_make(&work->making, write->params.ground->random, &made);

	if (err < 0)
		return err;
	if (work->run->part_cnt == 1)
		memcpy(work->run->id, made->id, POST_ID_LEN);
	write->stats.post_cnt++;
	write->stats.wrap_cnt += made->wrap_cnt;
	work->run->part_cnt++;
	ask = (struct intake_ask){
		.parts = {.post = made->post,
			  .claim = made->claim,
			  .visibility = made->visibility,
			  .post_len = made->post_len,
			  .claim_len = made->claim_len,
			  .visibility_len = made->visibility_len},
		.source = INTAKE_OWN,
		.marks = marks_of(work->draft),
		.done = social_part_taken,
		.arg = work->run,
	};
	social_intake_post(write->params.intake, &ask, work->now_ns);
	social_made_post_free(made);
	return 0;
}

static int group_give(struct post_work *work)
{
	const struct write_group_ways *groups = &work->write->params.groups;
	const uint8_t *author = node_key_public(work->author);
	struct write_group group;
	int more = 1, err = 0;

	for (unsigned shard = 0; more > 0 && err == 0; shard++) {
		more = groups->now
			       ? groups->now(groups->ctx, work->draft->group, author, shard, &group)
			       : WEFT_EABSENT;
		if (more < 0)
			return more;
		work->making.audience.group = work->draft->group;
		work->making.audience.group_key = group.key;
		work->making.audience.epoch = group.epoch;
		err = part_give(work);
	}
	return err;
}

static int text_mark(struct post_work *work)
{
	const struct write_draft *draft = work->draft;
	char mark = social_private_mark(draft->is, draft->text, draft->text_len);

	work->making.text = draft->text;
	work->making.text_len = draft->text_len;
	/* A receipt is made with its mark. */
	if (draft->intent == POST_TO_ALL || draft->is >= PRIVATE_DELIVERED || !mark)
		return 0;
	if (draft->text_len > POST_LEN_MAX)
		return WEFT_ETOOLARGE;
	if (!(work->marked = malloc(draft->text_len + 1)))
		return -ENOMEM;
	work->marked[0] = mark;
	memcpy(work->marked + 1, draft->text, draft->text_len);
	work->making.text = work->marked;
	work->making.text_len = draft->text_len + 1;
	return 0;
}

/* A direct message names its readers: by that the intake knows one before it is opened. */
static void mentions_set(struct post_work *work)
{
	const struct write_draft *draft = work->draft;
	bool names_all = draft->is != PRIVATE_POST && work->readers->cnt <= POST_MENTIONS_MAX;

	work->making.mentions =
		names_all ? (const uint8_t(*)[NODE_KEY_LEN])work->readers->keys : draft->mentions;
	work->making.mention_cnt = names_all ? work->readers->cnt : draft->mention_cnt;
}

static int work_do(struct post_work *work)
{
	static const enum visibility_kind kinds[] = {
		[POST_TO_ALL] = VISIBILITY_PUBLIC,	  [POST_TO_FRIENDS] = VISIBILITY_RECIPIENTS,
		[POST_TO_CIRCLE] = VISIBILITY_RECIPIENTS, [POST_TO_PEOPLE] = VISIBILITY_RECIPIENTS,
		[POST_TO_GROUP] = VISIBILITY_GROUP,
	};
	const struct write_draft *draft = work->draft;
	int err;

	if (!(work->readers = malloc(sizeof(*work->readers))))
		return -ENOMEM;
	if ((err = social_readers_resolve(work->write, draft, work->readers)) < 0 ||
	    (err = text_mark(work)) < 0)
		return err;
	work->making.author = work->author;
	work->making.audience = (struct write_audience){
		.kind = kinds[draft->intent],
		.readers = (const uint8_t(*)[NODE_KEY_LEN])work->readers->keys,
		.reader_cnt = work->readers->cnt,
	};
	work->making.time_ms = work->time_ms;
	work->making.attachments = draft->attachments;
	work->making.attachment_cnt = draft->attachment_cnt;
	work->making.content_key = draft->content_key;
	work->making.parent = draft->parent;
	mentions_set(work);
	work->making.logical_id = work->run->logical_id;
	work->making.supersedes = work->supersedes;
	/* The run frees them, when it is answered. */
	if (draft->is != PRIVATE_POST && work->write->params.left_word)
		work->run->left_word = work->readers;
	return draft->intent == POST_TO_GROUP ? group_give(work) : part_give(work);
}

int social_work_run(struct post_work *work)
{
	struct write_run *run = work->run;
	int err;

	run->now_ns = work->now_ns;
	err = work_do(work);
	if (!run->left_word)
		free(work->readers);
	free(work->marked);
	if (err < 0 && run->part_cnt == 1) {
		list_unlink(&run->node);
		work->write->stats.under_way_cnt--;
		run_free(run);
		return err;
	}
	social_part_end(run, err);
	return 0;
}

/* --- once for a token --- */

static int logical_id_make(struct social_write *write, const struct node_key *author,
			   const char *token, uint8_t *out_id)
{
	uint8_t secret[NODE_KEY_DERIVED_LEN];
	char label[16 + WRITE_TOKEN_MAX + 1] = "social-token:";

	if (!token) {
		random_fill(write->params.ground->random, out_id, POST_LOGICAL_ID_LEN);
		return 0;
	}
	if (!*token || strlen(token) > WRITE_TOKEN_MAX)
		return WEFT_EMALFORMED;
	strcat(label, token);
	/* Under the author's seed: no one else can say which token it was. */
	node_key_derive(author, label, secret);
	memcpy(out_id, secret, POST_LOGICAL_ID_LEN);
	explicit_bzero(secret, sizeof(secret));
	return 0;
}

/* The post of the same token: 1, and its caller is or will be answered; 0: there is none; -ENOMEM. */
static int repeated(struct social_write *write, const struct write_draft *draft,
		    const struct node_key *author, const uint8_t *logical_id)
{
	struct write_waiter *waiter;
	uint8_t id[POST_ID_LEN];

	for (struct list_node *at = write->runs.next; at != &write->runs; at = at->next) {
		struct write_run *run = container_of(at, struct write_run, node);

		if (memcmp(run->logical_id, logical_id, POST_LOGICAL_ID_LEN) != 0)
			continue;
		if (!(waiter = malloc(sizeof(*waiter))))
			return -ENOMEM;
		*waiter = (struct write_waiter){run->more, draft->done, draft->arg};
		run->more = waiter;
		write->stats.repeated_cnt++;
		return 1;
	}
	if (social_posts_edition(write->params.posts, node_key_public(author), logical_id, id) < 0)
		return 0;
	write->stats.repeated_cnt++;
	if (draft->done)
		draft->done(draft->arg, 0, id);
	return 1;
}

int social_write_post(struct social_write *write, const struct write_draft *draft, uint64_t now_ns)
{
	struct post_work work = {
		.write = write,
		.draft = draft,
		.author = social_persona(write->params.people, draft->persona),
		.time_ms = social_wall_ms(write->params.ground),
		.now_ns = now_ns,
	};
	uint8_t logical_id[POST_LOGICAL_ID_LEN];
	int err = logical_id_make(write, work.author, draft->token, logical_id);

	if (err < 0 ||
	    (draft->token && (err = repeated(write, draft, work.author, logical_id)) != 0))
		return err < 0 ? err : 0;
	if (write->stats.under_way_cnt == WRITES_MAX)
		return WEFT_EBUSY;
	if (!(work.run = social_run_new(write, draft->done, draft->arg)))
		return -ENOMEM;
	memcpy(work.run->logical_id, logical_id, sizeof(logical_id));
	return social_work_run(&work);
}

/* --- receipts --- */

/* A receipt is a direct message to the author alone, once for each message and kind. */
static void receipt_give(void *ctx, const struct opened_post *message, bool is_read,
			 uint64_t now_ns)
{
	static const char *const texts[] = {PRIVATE_RECEIPT_DELIVERED, PRIVATE_RECEIPT_READ};
	struct social_write *write = ctx;
	char token[16 + 2 * POST_ID_LEN + 1] = "receipt:";
	struct write_draft draft = {
		.intent = POST_TO_PEOPLE,
		.people = (const uint8_t(*)[NODE_KEY_LEN])message->post.author,
		.person_cnt = 1,
		.is = is_read ? PRIVATE_READ : PRIVATE_DELIVERED,
		.text = texts[is_read],
		.text_len = strlen(texts[is_read]),
		.parent = message->view.id,
		.token = token,
	};
	struct visibility *visibility;
	unsigned persona = SOCIAL_PERSONA_NONE;

	if (social_read_visibility(message, &visibility) < 0)
		return;
	for (unsigned i = 0; i < visibility->recipient_cnt && persona == SOCIAL_PERSONA_NONE; i++)
		persona = social_persona_of(write->params.people, visibility->recipients[i].reader);
	free(visibility);
	if (persona == SOCIAL_PERSONA_NONE)
		return;
	draft.persona = persona;
	strcat(token, is_read ? "r:" : "d:");
	hex_write(message->view.id, POST_ID_LEN, token + strlen(token));
	if (social_write_post(write, &draft, now_ns) == 0)
		write->stats.receipt_cnt++;
}

/* --- life --- */

int social_write_new(const struct social_write_params *params, struct social_write **out_write)
{
	struct social_write *write = calloc(1, sizeof(*write));
	const struct receipt_ways ways = {receipt_give, write};

	if (!write)
		return -ENOMEM;
	write->params = *params;
	list_init(&write->runs);
	if (params->gives_receipts)
		social_read_receipts(params->read, &ways);
	*out_write = write;
	return 0;
}

void social_write_stop(struct social_write *write)
{
	const struct receipt_ways none = {NULL, NULL};

	if (!write || write->is_stopped)
		return;
	write->is_stopped = true;
	social_read_receipts(write->params.read, &none);
}

void social_write_free(struct social_write *write)
{
	struct write_run *run;

	if (!write)
		return;
	social_write_stop(write);
	while ((run = list_first(&write->runs, struct write_run, node))) {
		list_unlink(&run->node);
		run_free(run);
	}
	free(write);
}

bool social_write_wants_receipts(const struct social_write *write)
{
	return write->params.gives_receipts;
}

void social_write_stats(const struct social_write *write, struct social_write_stats *out_stats)
{
	*out_stats = write->stats;
}
