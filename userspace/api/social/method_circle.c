/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ListCircles, ShowCircle, CreateCircle, SetCircle, DeleteCircle, AddCircleMember,
 * RemoveCircleMember.
 */
#include <string.h>

#include "api/social/person_words.h"
#include "codec/text/hex.h"
#include "social/people/circles.h"

struct listing {
	struct people *people;
	struct varlink_blocks *blocks;
	struct api_circle_list circles;
	struct api_person_key_list members;
};

static struct api_circle circle_row(const struct listing *listing, const struct circle_view *view)
{
	struct varlink_blocks *blocks = listing->blocks;
	char id[HEX_TEXT_CAP(SOCIAL_CIRCLE_ID_LEN)];
	struct persona_view persona;

	social_persona_view(listing->people, view->persona, &persona);
	return (struct api_circle){
		.circle_id = varlink_text(blocks, hex_write(view->id, SOCIAL_CIRCLE_ID_LEN, id)),
		.name = varlink_text(blocks, view->name),
		.rank = view->rank,
		.members = view->member_cnt,
		.profile = view->has_profile,
		.persona = persona.number,
	};
}

static bool on_circle(void *arg, const struct circle_view *view)
{
	struct listing *listing = arg;

	varlink_push(listing->blocks, &listing->circles, circle_row(listing, view));
	return true;
}

void api_list_circles(struct api *api, struct control_call *call,
		      const struct api_list_circles_in *in, uint64_t now_ns)
{
	struct people *people = api_people(api, call);
	struct listing listing = {.people = people, .blocks = control_blocks(call)};
	unsigned idx;

	(void)now_ns;
	if (!people || !api_persona_or_each(people, call, API_NUMBER(in, persona), &idx))
		return;
	social_circles_each(people, idx, on_circle, &listing);
	api_reply(call, list_circles, .circles = listing.circles);
}

/* false: call was failed. */
static bool circle_read(struct people *people, struct control_call *call, const char *name,
			const int64_t *number, struct circle_view *out_view)
{
	unsigned idx;

	if (!api_persona_read(people, call, number, &idx))
		return false;
	if (social_circle_find(people, idx, name, out_view))
		return true;
	control_fail(call, WEFT_EABSENT, name, "there is no circle of that name",
		     "weft circle list shows those of this node");
	return false;
}

static bool on_member(void *arg, const uint8_t *person)
{
	struct listing *listing = arg;
	struct varlink_blocks *blocks = listing->blocks;

	varlink_push(blocks, &listing->members,
		     ((struct api_person_key){
			     .person = api_id(blocks, person),
			     .name = api_person_name(blocks, listing->people, person)}));
	return true;
}

void api_show_circle(struct api *api, struct control_call *call,
		     const struct api_show_circle_in *in, uint64_t now_ns)
{
	struct people *people = api_people(api, call);
	struct listing listing = {.people = people, .blocks = control_blocks(call)};
	struct circle_view view;

	(void)now_ns;
	if (!people || !circle_read(people, call, in->circle, API_NUMBER(in, persona), &view))
		return;
	social_circle_members(people, view.id, on_member, &listing);
	api_reply(call, show_circle, .circle = circle_row(&listing, &view),
		  .members = listing.members);
}

/* false: call was failed. */
static bool rank_read(struct control_call *call, const int64_t *rank, uint8_t *out_rank)
{
	if (rank && (*rank < 0 || *rank > SOCIAL_CIRCLE_RANK_MAX)) {
		control_fail(call, WEFT_EMALFORMED, "rank", "it is not in 0 to 255",
			     "the highest rank that a person is in wins");
		return false;
	}
	if (rank)
		*out_rank = (uint8_t)*rank;
	return true;
}

void api_create_circle(struct api *api, struct control_call *call,
		       const struct api_create_circle_in *in, uint64_t now_ns)
{
	struct people *people = api_people(api, call);
	struct circle_draft draft = {.name = in->circle};
	uint8_t id[SOCIAL_CIRCLE_ID_LEN];
	struct people_done done;

	if (!people || !api_persona_read(people, call, API_NUMBER(in, persona), &draft.persona) ||
	    !rank_read(call, API_NUMBER(in, rank), &draft.rank))
		return;
	if (api_person_change_begin(call, "circle",
				    api_create_circle_out_write(&(struct api_create_circle_out){0}),
				    &done))
		api_person_change_end(call, social_circle_create(people, &draft, &done, now_ns, id),
				      in->circle, &done);
}

void api_set_circle(struct api *api, struct control_call *call, const struct api_set_circle_in *in,
		    uint64_t now_ns)
{
	struct people *people = api_people(api, call);
	struct circle_draft draft = {.name = in->name};
	struct people_done done;
	struct circle_view view;

	if (!people || !circle_read(people, call, in->circle, API_NUMBER(in, persona), &view))
		return;
	draft.rank = view.rank;
	if (!rank_read(call, API_NUMBER(in, rank), &draft.rank))
		return;
	if (api_person_change_begin(call, "circle",
				    api_set_circle_out_write(&(struct api_set_circle_out){0}),
				    &done))
		api_person_change_end(call,
				      social_circle_set(people, view.id, &draft, &done, now_ns),
				      in->circle, &done);
}

void api_delete_circle(struct api *api, struct control_call *call,
		       const struct api_delete_circle_in *in, uint64_t now_ns)
{
	struct people *people = api_people(api, call);
	struct people_done done;
	struct circle_view view;

	if (!people || !circle_read(people, call, in->circle, API_NUMBER(in, persona), &view))
		return;
	if (api_person_change_begin(call, "circle",
				    api_delete_circle_out_write(&(struct api_delete_circle_out){0}),
				    &done))
		api_person_change_end(call, social_circle_delete(people, view.id, &done, now_ns),
				      in->circle, &done);
}

/* --- members --- */

typedef int member_change_fn(struct people *people, const struct circle_member *member,
			     const struct people_done *done, uint64_t now_ns);

/* A circle and a person, as a call names them. */
struct member_words {
	const char *circle, *person;
	const int64_t *persona;
	member_change_fn *fn;
};

static void member_change(struct api *api, struct control_call *call,
			  const struct member_words *words, uint64_t now_ns)
{
	struct people *people = api_people(api, call);
	struct circle_member member;
	struct circle_view view;
	struct people_done done;
	uint8_t key[NODE_KEY_LEN];

	if (!people || !circle_read(people, call, words->circle, words->persona, &view) ||
	    !api_person_read(people, call, words->person, key))
		return;
	member = (struct circle_member){view.id, key};
	if (api_person_change_begin(call, "circle", json_object(), &done))
		api_person_change_end(call, words->fn(people, &member, &done, now_ns),
				      words->person, &done);
}

void api_add_circle_member(struct api *api, struct control_call *call,
			   const struct api_add_circle_member_in *in, uint64_t now_ns)
{
	const struct member_words words = {in->circle, in->person, API_NUMBER(in, persona),
					   social_circle_add};

	member_change(api, call, &words, now_ns);
}

void api_remove_circle_member(struct api *api, struct control_call *call,
			      const struct api_remove_circle_member_in *in, uint64_t now_ns)
{
	const struct member_words words = {in->circle, in->person, API_NUMBER(in, persona),
					   social_circle_remove};

	member_change(api, call, &words, now_ns);
}
