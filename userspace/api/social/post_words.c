/* SPDX-License-Identifier: Apache-2.0 */
/* What a caller wants to write, read from the words of its call; and its answer when that is durable. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/social/method_post.h"
#include "codec/text/utf8.h"
#include "codec/text/zbase32.h"
#include "social/people/circles.h"
#include "social/seal/group_key.h"
#include "social/social.h"

/* --- mentions --- */

/* Letters of a name behind an @: what ends a word ends it. */
static size_t mention_len(const char *at, size_t left)
{
	size_t len = 0;

	while (len < left && len < SOCIAL_NAME_MAX && (unsigned char)at[len] > ' ' &&
	       !strchr(",;:!?()[]{}<>\"'", at[len]))
		len++;
	while (len && at[len - 1] == '.')
		len--;
	return len;
}

static void mention_add(struct write_draft *draft, uint8_t (*mentions)[NODE_KEY_LEN],
			const uint8_t *key)
{
	for (unsigned i = 0; i < draft->mention_cnt; i++)
		if (memcmp(mentions[i], key, NODE_KEY_LEN) == 0)
			return;
	if (draft->mention_cnt < POST_MENTIONS_MAX)
		memcpy(mentions[draft->mention_cnt++], key, NODE_KEY_LEN);
}

/* An @ that names no person, or several, is text. */
static void text_mentions_add(struct api *api, const char *text, struct write_draft *draft,
			      uint8_t (*mentions)[NODE_KEY_LEN])
{
	size_t left = strlen(text);

	for (size_t i = 0; i + 1 < left; i++) {
		uint8_t key[NODE_KEY_LEN];
		size_t len;

		if (text[i] != '@' || (i && (unsigned char)text[i - 1] > ' '))
			continue;
		len = mention_len(text + i + 1, left - i - 1);
		if (len &&
		    social_read_name(social_read_of(api->social), text + i + 1, len, key) == 0)
			mention_add(draft, mentions, key);
	}
}

bool api_post_mentions(struct api *api, struct control_call *call, const struct post_words *words,
		       struct write_draft *draft)
{
	uint8_t(*mentions)[NODE_KEY_LEN] =
		varlink_alloc(control_blocks(call), POST_MENTIONS_MAX * sizeof(*mentions));

	if (!mentions || words->mention_cnt > POST_MENTIONS_MAX) {
		control_fail(call, mentions ? WEFT_ETOOLARGE : -ENOMEM, "mentions",
			     "a post names 64 people at most", "name fewer");
		return false;
	}
	for (size_t i = 0; i < words->mention_cnt; i++) {
		uint8_t key[NODE_KEY_LEN];

		if (!api_post_person_read(api, call, words->mentions[i], key))
			return false;
		mention_add(draft, mentions, key);
	}
	text_mentions_add(api, words->text, draft, mentions);
	draft->mentions = (const uint8_t(*)[NODE_KEY_LEN])mentions;
	return true;
}

/* --- readers --- */

static bool people_fill(struct api *api, struct control_call *call, const struct post_words *words,
			struct write_draft *draft)
{
	uint8_t(*people)[NODE_KEY_LEN] =
		varlink_alloc(control_blocks(call), (words->person_cnt + 1) * sizeof(*people));

	if (!people || !words->person_cnt) {
		control_fail(call, people ? WEFT_EMALFORMED : -ENOMEM, "readers", "none is named",
			     "name a person, or post to friends");
		return false;
	}
	for (size_t i = 0; i < words->person_cnt; i++)
		if (!api_post_person_read(api, call, words->people[i], people[i]))
			return false;
	draft->people = (const uint8_t(*)[NODE_KEY_LEN])people;
	draft->person_cnt = words->person_cnt;
	return true;
}

static bool group_fill(struct control_call *call, const struct post_words *words,
		       struct write_draft *draft)
{
	uint8_t *group = varlink_alloc(control_blocks(call), GROUP_ID_LEN);

	if (!group || !words->group ||
	    zbase32_parse(words->group, strlen(words->group), group, GROUP_ID_LEN) !=
		    GROUP_ID_LEN) {
		control_fail(call, group ? WEFT_EMALFORMED : -ENOMEM, "group",
			     "a group is named by the 52 letters of its id",
			     "weft group list shows them");
		return false;
	}
	draft->group = group;
	return true;
}

static bool readers_fill(struct api *api, struct control_call *call, const struct post_words *words,
			 struct write_draft *draft)
{
	switch (words->intent) {
	case POST_TO_PEOPLE:
		return people_fill(api, call, words, draft);
	case POST_TO_GROUP:
		return group_fill(call, words, draft);
	case POST_TO_CIRCLE:
		if (words->circle)
			break;
		control_fail(call, WEFT_EMALFORMED, "circle", "none is named",
			     "weft circle list shows them");
		return false;
	default:
		break;
	}
	draft->circle = words->circle;
	return true;
}

static bool parent_fill(struct api *api, struct control_call *call, const struct post_words *words,
			struct write_draft *draft)
{
	uint8_t *parent;

	if (!words->reply_to)
		return true;
	parent = varlink_alloc(control_blocks(call), POST_ID_LEN);
	if (!parent || !api_post_id_read(api, call, words->reply_to, parent))
		return false;
	draft->parent = parent;
	return true;
}

bool api_post_draft_fill(struct api *api, struct control_call *call, const struct post_words *words,
			 struct write_draft *out_draft)
{
	*out_draft = (struct write_draft){
		.intent = words->intent,
		.text = words->text,
		.text_len = strlen(words->text),
		.token = words->token,
	};
	return api_post_persona_read(api, call, words->persona, &out_draft->persona) &&
	       readers_fill(api, call, words, out_draft) &&
	       parent_fill(api, call, words, out_draft) &&
	       api_post_mentions(api, call, words, out_draft);
}

/* --- failures --- */

void api_post_fail(struct control_call *call, int err, const char *what)
{
	static const struct control_failure_row rows[] = {
		{WEFT_EABSENT, "this node has none of that name",
		 "weft circle list, weft group list and weft feed show what there is"},
		{WEFT_EFULL, "a post has 500 readers at most", SOCIAL_READERS_ADVICE},
		{WEFT_EREFUSED,
		 "a reader is blocked, the post is another author's, or the role in the "
		 "group does not allow it",
		 "weft post show and weft group show say which"},
		{WEFT_ETOOLARGE,
		 "a post has 256 KiB at most, and the text of a private one 191 KiB, as it is "
		 "sealed",
		 "shorten it, or send it as a file: weft share add"},
		{WEFT_EMALFORMED, "a text is not UTF-8, a key is none, or the token is too long",
		 "see weft help post write"},
		{WEFT_EBUSY, "the disk does not keep up", "try again in a moment"},
		{0, NULL, "see that the state directory can be written, and try again"},
	};

	control_fail_of(call, err, what, rows);
}

/* --- answers --- */

static void writing_free(struct post_writing *writing)
{
	struct post_writing **at = &writing->api->post_writings;

	while (*at != writing)
		at = &(*at)->next;
	*at = writing->next;
	free(writing);
}

static void writing_caller_left(void *arg)
{
	((struct post_writing *)arg)->call = NULL;
}

struct post_writing *
api_post_writing_new(struct api *api, struct control_call *call, const char *what,
		     void (*reply)(struct post_writing *writing, const uint8_t *id))
{
	struct post_writing *writing = calloc(1, sizeof(*writing));

	if (!writing) {
		control_fail(call, -ENOMEM, what, "no memory", "free some and try again");
		return NULL;
	}
	*writing = (struct post_writing){api->post_writings, api, call, what, reply, {0}};
	api->post_writings = writing;
	control_on_gone(call, writing_caller_left, writing);
	return writing;
}

void api_post_writing_cancel(struct post_writing *writing)
{
	if (writing->call)
		control_on_gone(writing->call, NULL, NULL);
	writing_free(writing);
}

void api_post_written(void *arg, int err, const uint8_t *id)
{
	struct post_writing *writing = arg;

	if (writing->call) {
		control_on_gone(writing->call, NULL, NULL);
		if (err < 0)
			api_post_fail(writing->call, err, writing->what);
		else
			writing->reply(writing, id);
	}
	writing_free(writing);
}

/* The layer was stopped before: it calls none of them any more. */
void api_post_writings_forget(struct api *api)
{
	while (api->post_writings)
		writing_free(api->post_writings);
}
