/* SPDX-License-Identifier: Apache-2.0 */
/* The words by which calls name people, and their replies. Home worker. */
#include "person_words.h"

#include <string.h>

#include "api/durable_reply.h"
#include "codec/text/zbase32.h"
#include "social/people/circles.h"
#include "social/people/person_profiles.h"
#include "social/people/person_requests.h"

#define PREFIX_LEN_MIN 8u

struct people *api_people(struct api *api, struct control_call *call)
{
	if (!api->social) {
		control_fail(call, WEFT_EREFUSED, "social", "it is switched off",
			     "set social.enabled = yes in weft.conf and start weftd again");
		return NULL;
	}
	return social_people(api->social);
}

/* --- people by name --- */

struct search {
	struct people *people;
	const char *text;
	size_t len;
	uint8_t found[NODE_KEY_LEN];
	unsigned cnt;
};

static void search_look(struct search *search, const uint8_t *key)
{
	const struct person *person = social_person(search->people, key);
	char id[ZBASE32_KEY_TEXT_CAP];
	bool is_meant = person && (strcmp(person->name, search->text) == 0 ||
				   strcmp(person->own_name, search->text) == 0);

	if (!is_meant && search->len >= PREFIX_LEN_MIN)
		is_meant = strncmp(zbase32_write(key, NODE_KEY_LEN, id), search->text,
				   search->len) == 0;
	if (!is_meant || (search->cnt && memcmp(search->found, key, NODE_KEY_LEN) == 0))
		return;
	search->cnt++;
	memcpy(search->found, key, NODE_KEY_LEN);
}

static bool on_follow(void *arg, const struct follow_view *view)
{
	search_look(arg, view->person);
	return true;
}

static bool on_request(void *arg, const struct request_view *view)
{
	search_look(arg, view->person);
	return true;
}

static bool on_block(void *arg, const uint8_t *person, uint64_t since_ms)
{
	(void)since_ms;
	search_look(arg, person);
	return true;
}

static bool on_audience(void *arg, const uint8_t *person, uint32_t personas)
{
	(void)personas;
	search_look(arg, person);
	return true;
}

static bool on_member(void *arg, const uint8_t *person)
{
	search_look(arg, person);
	return true;
}

static bool on_circle(void *arg, const struct circle_view *view)
{
	struct search *search = arg;

	social_circle_members(search->people, view->id, on_member, search);
	return true;
}

/* People that the person here chose come first; names of others count where none of those fit. */
static void search_run(struct search *search)
{
	struct people *people = search->people;

	social_follows_each(people, SOCIAL_EACH_PERSONA, on_follow, search);
	social_circles_each(people, SOCIAL_EACH_PERSONA, on_circle, search);
	if (search->cnt)
		return;
	for (unsigned idx = 0; idx < social_persona_cnt(people); idx++)
		search_look(search, node_key_public(social_persona(people, idx)));
	social_requests_each(people, on_request, search);
	social_blocks_each(people, on_block, search);
	social_audience_each(people, on_audience, search);
}

bool api_person_read(struct people *people, struct control_call *call, const char *text,
		     uint8_t key[static NODE_KEY_LEN])
{
	struct search search = {.people = people, .text = text, .len = strlen(text)};

	if (search.len == ZBASE32_TEXT_LEN(NODE_KEY_LEN) &&
	    zbase32_parse(text, search.len, key, NODE_KEY_LEN) == NODE_KEY_LEN)
		return true;
	if (search.len > 0)
		search_run(&search);
	if (search.cnt == 1) {
		memcpy(key, search.found, NODE_KEY_LEN);
		return true;
	}
	control_fail(call, search.cnt ? WEFT_EMALFORMED : WEFT_EABSENT, text,
		     search.cnt ? "several people here are named so"
				: "no key, and no person here is named so",
		     "give the whole key, 52 letters: weft social status prints it there");
	return false;
}

const char *api_person_name(struct varlink_blocks *blocks, struct people *people,
			    const uint8_t *key)
{
	const struct person *person = social_person(people, key);

	return varlink_text(blocks, person ? person->name : "");
}

/* --- personas --- */

bool api_persona_read(const struct people *people, struct control_call *call, const int64_t *number,
		      unsigned *out_idx)
{
	int64_t wanted = number ? *number : 0;

	*out_idx = wanted >= 0 && wanted < SOCIAL_PERSONAS_MAX
			   ? social_persona_numbered(people, (unsigned)wanted)
			   : SOCIAL_PERSONA_NONE;
	if (*out_idx != SOCIAL_PERSONA_NONE)
		return true;
	control_fail(call, WEFT_EABSENT, "persona", "none has that number",
		     "weft persona list shows those of this node");
	return false;
}

bool api_persona_or_each(const struct people *people, struct control_call *call,
			 const int64_t *number, unsigned *out_idx)
{
	*out_idx = SOCIAL_EACH_PERSONA;
	return !number || api_persona_read(people, call, number, out_idx);
}

/* --- changes --- */

bool api_person_change_begin(struct control_call *call, const char *what, json_t *reply,
			     struct people_done *out_done)
{
	out_done->fn = api_durable_reply_send;
	out_done->arg = api_durable_reply_new(call, what, "try it again", reply);
	return out_done->arg != NULL;
}

void api_person_change_end(struct control_call *call, int err, const char *word,
			   const struct people_done *done)
{
	static const struct control_failure_row rows[] = {
		{WEFT_EABSENT, "there is none here",
		 "weft follow list and weft circle list show them"},
		{WEFT_EEXISTS, "it is so already", "nothing is to be done"},
		{WEFT_EREFUSED, "it is a key of this node, or the person is blocked",
		 "weft block list shows them; weft persona list, the keys of this node"},
		{WEFT_EMALFORMED, "no key, or a name or text that cannot be shown",
		 "names have up to 64 bytes and no control characters; keys have 52 letters"},
		{WEFT_ETOOLARGE, "it is too long", "names have up to 64 bytes, texts 1,024"},
		{WEFT_EFULL, "as many are there as there may be",
		 "take others away; a circle that is full: " SOCIAL_READERS_ADVICE},
		{WEFT_EBUSY, "the disk does not keep up", "try again in some seconds"},
		{0, NULL, "the daemon's log may tell more"},
	};

	if (err == 0)
		return;
	api_durable_reply_cancel(done->arg);
	control_fail_of(call, err, word, rows);
}
