/* SPDX-License-Identifier: Apache-2.0 */
/* ListPersonas, AddPersona, SetPersona, RemovePersona, CommitPersona, RotatePersona. */
#include <string.h>

#include "api/durable_reply.h"
#include "api/social/person_words.h"
#include "codec/text/zbase32.h"
#include "social/people/personas.h"

#define MS_PER_S 1000u

static bool on_follow(void *arg, const struct follow_view *view)
{
	(void)view;
	++*(int64_t *)arg;
	return true;
}

void api_list_personas(struct api *api, struct control_call *call,
		       const struct api_list_personas_in *in, uint64_t now_ns)
{
	struct people *people = api_people(api, call);
	struct varlink_blocks *blocks = control_blocks(call);
	struct api_persona_list list = {0};

	(void)in, (void)now_ns;
	if (!people)
		return;
	for (unsigned idx = 0; idx < social_persona_cnt(people); idx++) {
		struct persona_view view;
		int64_t followed = 0;

		social_persona_view(people, idx, &view);
		social_follows_each(people, idx, on_follow, &followed);
		varlink_push(
			blocks, &list,
			((struct api_persona){.number = view.number,
					      .person = api_id(blocks, view.key),
					      .label = varlink_text(blocks, view.label),
					      .name = api_person_name(blocks, people, view.key),
					      .via_anchors = view.is_via_anchors,
					      .committed_s = api_uint(view.committed_ms / MS_PER_S),
					      .followed = followed}));
	}
	api_reply(call, list_personas, .personas = list);
}

static void failure(struct control_call *call, int err, const char *what)
{
	static const struct control_failure_row rows[] = {
		{WEFT_EFULL, "16 personas are there, or 16 keys that were succeeded",
		 "weft persona remove takes one away"},
		{WEFT_EMALFORMED, "a label has up to 64 bytes and no control characters",
		 "give another one"},
		{WEFT_EREFUSED, "the node's own key stays, for its sessions",
		 "weft follow remove and weft circle delete empty it"},
		{WEFT_EEXISTS, "its next key is drawn already",
		 "weft persona list shows since when"},
		{WEFT_EABSENT, "it has no profile yet, or no next key",
		 "weft profile set --name NAME, then weft persona commit"},
		{WEFT_EBUSY, "the disk does not keep up", "try again in some seconds"},
		{0, NULL, "the daemon's log may tell more"},
	};

	control_fail_of(call, err, what, rows);
}

/* false: call was failed. */
static bool change_begin(struct control_call *call, json_t *reply, struct people_done *out_done)
{
	return api_person_change_begin(call, "persona", reply, out_done);
}

static void change_fail(struct control_call *call, int err, const struct people_done *done)
{
	api_durable_reply_cancel(done->arg);
	failure(call, err, "persona");
}

static void key_set(json_t *reply, const uint8_t *key)
{
	char id[ZBASE32_KEY_TEXT_CAP];

	json_object_set_new(reply, "person", json_string(zbase32_write(key, NODE_KEY_LEN, id)));
}

/* The key is drawn in the call, and the reply goes out behind it. */
void api_add_persona(struct api *api, struct control_call *call,
		     const struct api_add_persona_in *in, uint64_t now_ns)
{
	struct people *people = api_people(api, call);
	const struct persona_draft draft = {
		.label = in->label, .is_via_anchors = in->has_via_anchors && in->via_anchors};
	json_t *reply = people ? json_object() : NULL;
	struct persona_view view;
	struct people_done done;
	uint8_t key[NODE_KEY_LEN];
	int err;

	if (!people || !change_begin(call, reply, &done))
		return;
	err = social_persona_add(people, &draft, &done, now_ns, key);
	if (err < 0) {
		change_fail(call, err, &done);
		return;
	}
	social_persona_view(people, social_persona_of(people, key), &view);
	json_object_set_new(reply, "number", json_integer(view.number));
	key_set(reply, key);
}

void api_rotate_persona(struct api *api, struct control_call *call,
			const struct api_rotate_persona_in *in, uint64_t now_ns)
{
	struct people *people = api_people(api, call);
	json_t *reply;
	struct people_done done;
	uint8_t key[NODE_KEY_LEN];
	unsigned idx;
	int err;

	if (!people || !api_persona_read(people, call, &in->persona, &idx))
		return;
	reply = json_object();
	if (!change_begin(call, reply, &done))
		return;
	err = social_persona_rotate(people, idx, &done, now_ns, key);
	if (err < 0)
		change_fail(call, err, &done);
	else
		key_set(reply, key);
}

/* A change that takes the index of a persona alone. */
typedef int persona_change_fn(struct people *people, unsigned idx, const struct people_done *done,
			      uint64_t now_ns);

static void persona_change(struct api *api, struct control_call *call, int64_t number,
			   persona_change_fn *fn, uint64_t now_ns)
{
	struct people *people = api_people(api, call);
	struct people_done done;
	unsigned idx;
	int err;

	if (!people || !api_persona_read(people, call, &number, &idx) ||
	    !change_begin(call, json_object(), &done))
		return;
	err = fn(people, idx, &done, now_ns);
	if (err < 0)
		change_fail(call, err, &done);
}

void api_remove_persona(struct api *api, struct control_call *call,
			const struct api_remove_persona_in *in, uint64_t now_ns)
{
	persona_change(api, call, in->persona, social_persona_remove, now_ns);
}

void api_commit_persona(struct api *api, struct control_call *call,
			const struct api_commit_persona_in *in, uint64_t now_ns)
{
	persona_change(api, call, in->persona, social_persona_commit, now_ns);
}

void api_set_persona(struct api *api, struct control_call *call,
		     const struct api_set_persona_in *in, uint64_t now_ns)
{
	struct people *people = api_people(api, call);
	struct persona_draft draft = {.label = in->label};
	struct people_done done;
	unsigned idx;
	int err;

	if (!people || !api_persona_read(people, call, &in->persona, &idx))
		return;
	draft.is_via_anchors =
		in->has_via_anchors ? in->via_anchors : social_persona_is_via_anchors(people, idx);
	if (!change_begin(call, json_object(), &done))
		return;
	err = social_persona_set(people, idx, &draft, &done, now_ns);
	if (err < 0)
		change_fail(call, err, &done);
}
