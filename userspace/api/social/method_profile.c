/* SPDX-License-Identifier: Apache-2.0 */
/* ShowProfile, SetProfile, ShowIdenticon. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/social/person_words.h"
#include "codec/text/zbase32.h"
#include "social/object/identicon.h"
#include "social/people/circles.h"
#include "social/people/person_profiles.h"

#define MS_PER_S 1000u

/* The key that a call is of: that of its person, else of its persona. false: call was failed. */
static bool key_read(struct people *people, struct control_call *call,
		     const struct api_show_profile_in *in, uint8_t *key)
{
	unsigned idx;

	if (in->person)
		return api_person_read(people, call, in->person, key);
	if (!api_persona_read(people, call, API_NUMBER(in, persona), &idx))
		return false;
	memcpy(key, node_key_public(social_persona(people, idx)), NODE_KEY_LEN);
	return true;
}

static void words_set(struct varlink_blocks *blocks, const struct profile *profile,
		      struct api_person_profile *out)
{
	out->text = varlink_text(blocks, profile->text);
	out->committed = profile->has_next_key;
	if (profile->has_picture)
		out->picture = api_id(blocks, profile->picture);
	for (unsigned i = 0; i < profile->anchor_cnt; i++)
		varlink_push(blocks, &out->anchors, api_id(blocks, profile->anchors[i]));
	for (unsigned i = 0; i < profile->follow_cnt; i++)
		varlink_push(blocks, &out->follows, api_id(blocks, profile->follows[i]));
}

static void person_set(struct varlink_blocks *blocks, struct people *people, const uint8_t *key,
		       struct api_person_profile *out)
{
	const struct person *person = social_person(people, key);
	const uint8_t *successor = social_successor_of(people, key);
	unsigned idx = social_persona_of(people, key);

	out->person = api_id(blocks, key);
	out->name = varlink_text(blocks, person ? person->name : "");
	out->own_name = varlink_text(blocks, person ? person->own_name : "");
	out->text = "";
	out->updated_s = person ? api_uint(person->updated_ms / MS_PER_S) : 0;
	out->personal = person && person->is_personal;
	out->frozen = person && person->is_frozen;
	out->successor = successor ? api_id(blocks, successor) : NULL;
	out->own = social_own_key(people, key) != NULL;
	out->has_shows_follows = idx != SOCIAL_PERSONA_NONE;
	out->shows_follows = out->has_shows_follows && social_profile_shows_follows(people, idx);
}

void api_show_profile(struct api *api, struct control_call *call,
		      const struct api_show_profile_in *in, uint64_t now_ns)
{
	struct people *people = api_people(api, call);
	struct varlink_blocks *blocks = control_blocks(call);
	struct api_person_profile out = {0};
	struct profile *profile;
	uint8_t key[NODE_KEY_LEN];

	(void)now_ns;
	if (!people || !key_read(people, call, in, key))
		return;
	profile = malloc(sizeof(*profile));
	if (!profile) {
		control_fail(call, -ENOMEM, "profile", "no memory", "free some and try again");
		return;
	}
	person_set(blocks, people, key, &out);
	if (social_person_profile(people, key, profile) == 0)
		words_set(blocks, profile, &out);
	free(profile);
	if (!out.name[0] && !out.own && out.updated_s == 0) {
		control_fail(call, WEFT_EABSENT, in->person, "no profile of that key is kept here",
			     "it comes when the person is followed, and a node that has it is met");
		return;
	}
	api_reply(call, show_profile, .profile = out);
}

/* false: call was failed. */
static bool id_read(struct control_call *call, const char *what, const char *text, uint8_t *id)
{
	size_t len = strlen(text);

	if (len == ZBASE32_TEXT_LEN(32) && zbase32_parse(text, len, id, 32) == 32)
		return true;
	control_fail(call, WEFT_EMALFORMED, what, "it is no id", "an id has 52 letters");
	return false;
}

/* What a change of a profile points to. */
struct change {
	struct profile_change of;
	uint8_t circle[SOCIAL_CIRCLE_ID_LEN];
	uint8_t picture[BLAKE3_HASH_LEN];
	uint8_t anchors[PROFILE_ANCHORS_MAX][NODE_KEY_LEN];
};

static bool anchors_read(struct control_call *call, const struct api_set_profile_in *in,
			 struct change *change)
{
	if (!in->has_anchors)
		return true;
	if (in->anchors.cnt > PROFILE_ANCHORS_MAX) {
		control_fail(call, WEFT_ETOOLARGE, "anchors", "there are more than 8",
			     "name 8 anchors at most");
		return false;
	}
	for (size_t i = 0; i < in->anchors.cnt; i++)
		if (!id_read(call, "anchors", in->anchors.rows[i], change->anchors[i]))
			return false;
	change->of.anchors = (const uint8_t(*)[NODE_KEY_LEN])change->anchors;
	change->of.anchor_cnt = (unsigned)in->anchors.cnt;
	return true;
}

/* false: call was failed. */
static bool change_read(struct people *people, struct control_call *call,
			const struct api_set_profile_in *in, struct change *change)
{
	struct circle_view circle;

	if (!api_persona_read(people, call, API_NUMBER(in, persona), &change->of.persona))
		return false;
	change->of.name = in->name;
	change->of.text = in->text;
	change->of.has_shows_follows = in->has_shows_follows;
	change->of.shows_follows = in->has_shows_follows && in->shows_follows;
	change->of.is_unset = in->has_no_profile && in->no_profile;
	if (in->picture && in->picture[0] &&
	    !id_read(call, "picture", in->picture, change->picture))
		return false;
	change->of.picture = in->picture ? change->picture : NULL;
	if (!in->circle)
		return anchors_read(call, in, change);
	if (!social_circle_find(people, change->of.persona, in->circle, &circle)) {
		control_fail(call, WEFT_EABSENT, in->circle, "there is no circle of that name",
			     "weft circle list shows those of this node");
		return false;
	}
	memcpy(change->circle, circle.id, sizeof(change->circle));
	change->of.circle = change->circle;
	return anchors_read(call, in, change);
}

static void set_fail(struct control_call *call, int err, const struct people_done *done)
{
	const char *word = err == WEFT_EREFUSED ? "anchors" : "profile";

	api_person_change_end(call, err, word, done);
}

void api_set_profile(struct api *api, struct control_call *call,
		     const struct api_set_profile_in *in, uint64_t now_ns)
{
	struct people *people = api_people(api, call);
	struct change change = {.of = {.name = NULL}};
	struct people_done done;

	if (!people || !change_read(people, call, in, &change))
		return;
	if (api_person_change_begin(call, "profile",
				    api_set_profile_out_write(&(struct api_set_profile_out){0}),
				    &done))
		set_fail(call, social_profile_set(people, &change.of, &done, now_ns), &done);
}

void api_show_identicon(struct api *api, struct control_call *call,
			const struct api_show_identicon_in *in, uint64_t now_ns)
{
	struct people *people = api_people(api, call);
	char svg[IDENTICON_TEXT_CAP];
	uint8_t key[NODE_KEY_LEN];

	(void)now_ns;
	if (people && api_person_read(people, call, in->person, key))
		api_reply(call, show_identicon, .svg = social_identicon_write(key, svg));
}
