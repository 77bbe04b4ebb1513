/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ListFollowedPeople, FollowPerson, UnfollowPerson, SetPetname, ListAudience, ListSuccessors,
 * AcceptSuccessor, ListBlocks, BlockPerson, UnblockPerson, ListRequests, AcceptRequest, RefuseRequest.
 */
#include <stdlib.h>
#include <string.h>

#include "api/social/person_words.h"
#include "social/people/person_profiles.h"
#include "social/people/person_requests.h"

#define MS_PER_S     1000u
#define AUDIENCE_MAX 500u

/* Rows of a walk. */
struct listing {
	struct people *people;
	struct varlink_blocks *blocks;
	struct api_followed_person_list follows;
	struct api_person_key_list keys;
	struct api_successor_list successors;
	struct api_person_request_list requests;
	int64_t more;
};

static struct listing listing_of(struct people *people, struct control_call *call)
{
	return (struct listing){.people = people, .blocks = control_blocks(call)};
}

/* --- follows --- */

static bool on_follow(void *arg, const struct follow_view *view)
{
	struct listing *listing = arg;
	struct varlink_blocks *blocks = listing->blocks;

	varlink_push(blocks, &listing->follows,
		     ((struct api_followed_person){
			     .person = api_id(blocks, view->person),
			     .name = api_person_name(blocks, listing->people, view->person),
			     .petname = varlink_text(blocks, view->petname),
			     .kind = view->kind == FOLLOW_PUBLIC ? API_FOLLOWED_PERSON_KIND_PUBLIC
								 : API_FOLLOWED_PERSON_KIND_PRIVATE,
			     .frozen = view->is_frozen,
			     .since_s = api_uint(view->since_ms / MS_PER_S),
		     }));
	return true;
}

void api_list_followed_people(struct api *api, struct control_call *call,
			      const struct api_list_followed_people_in *in, uint64_t now_ns)
{
	struct people *people = api_people(api, call);
	struct listing listing = listing_of(people, call);
	unsigned idx;

	(void)now_ns;
	if (!people || !api_persona_or_each(people, call, API_NUMBER(in, persona), &idx))
		return;
	social_follows_each(people, idx, on_follow, &listing);
	api_reply(call, list_followed_people, .people = listing.follows);
}

void api_follow_person(struct api *api, struct control_call *call,
		       const struct api_follow_person_in *in, uint64_t now_ns)
{
	struct people *people = api_people(api, call);
	struct person_follow change = {.kind = in->has_private && in->private ? FOLLOW_PRIVATE
									      : FOLLOW_PUBLIC};
	struct people_done done;
	uint8_t key[NODE_KEY_LEN];
	int err;

	if (!people || !api_person_read(people, call, in->person, key) ||
	    !api_persona_read(people, call, API_NUMBER(in, persona), &change.persona) ||
	    !api_person_change_begin(
		    call, "follow", api_follow_person_out_write(&(struct api_follow_person_out){0}),
		    &done))
		return;
	change.person = key;
	err = social_follow_set(people, &change, in->petname ? NULL : &done, now_ns);
	/* A petname alone is a change, too. */
	if (in->petname && (err == 0 || err == WEFT_EEXISTS))
		err = social_petname_set(people, key, in->petname, &done, now_ns);
	api_person_change_end(call, err, in->person, &done);
}

void api_unfollow_person(struct api *api, struct control_call *call,
			 const struct api_unfollow_person_in *in, uint64_t now_ns)
{
	struct people *people = api_people(api, call);
	struct person_follow change = {.kind = FOLLOW_NONE};
	struct people_done done;
	uint8_t key[NODE_KEY_LEN];

	if (!people || !api_person_read(people, call, in->person, key) ||
	    !api_persona_read(people, call, API_NUMBER(in, persona), &change.persona))
		return;
	change.person = key;
	if (api_person_change_begin(
		    call, "follow",
		    api_unfollow_person_out_write(&(struct api_unfollow_person_out){0}), &done))
		api_person_change_end(call, social_follow_set(people, &change, &done, now_ns),
				      in->person, &done);
}

void api_set_petname(struct api *api, struct control_call *call,
		     const struct api_set_petname_in *in, uint64_t now_ns)
{
	struct people *people = api_people(api, call);
	struct people_done done;
	uint8_t key[NODE_KEY_LEN];

	if (!people || !api_person_read(people, call, in->person, key))
		return;
	if (api_person_change_begin(call, "petname",
				    api_set_petname_out_write(&(struct api_set_petname_out){0}),
				    &done))
		api_person_change_end(call,
				      social_petname_set(people, key, in->petname, &done, now_ns),
				      in->person, &done);
}

/* --- keys in lists --- */

static void key_push(struct listing *listing, const uint8_t *person)
{
	struct varlink_blocks *blocks = listing->blocks;

	varlink_push(blocks, &listing->keys,
		     ((struct api_person_key){
			     .person = api_id(blocks, person),
			     .name = api_person_name(blocks, listing->people, person)}));
}

static bool on_audience(void *arg, const uint8_t *person, uint32_t personas)
{
	struct listing *listing = arg;

	(void)personas;
	if (listing->keys.cnt == AUDIENCE_MAX)
		listing->more++;
	else
		key_push(listing, person);
	return true;
}

void api_list_audience(struct api *api, struct control_call *call,
		       const struct api_list_audience_in *in, uint64_t now_ns)
{
	struct people *people = api_people(api, call);
	struct listing listing = listing_of(people, call);

	(void)in, (void)now_ns;
	if (!people)
		return;
	social_audience_each(people, on_audience, &listing);
	api_reply(call, list_audience, .people = listing.keys, .more = listing.more);
}

static bool on_block(void *arg, const uint8_t *person, uint64_t since_ms)
{
	(void)since_ms;
	key_push(arg, person);
	return true;
}

void api_list_blocks(struct api *api, struct control_call *call,
		     const struct api_list_blocks_in *in, uint64_t now_ns)
{
	struct people *people = api_people(api, call);
	struct listing listing = listing_of(people, call);

	(void)in, (void)now_ns;
	if (!people)
		return;
	social_blocks_each(people, on_block, &listing);
	api_reply(call, list_blocks, .people = listing.keys);
}

/* --- changes that take a person alone --- */

typedef int person_change_fn(struct people *people, const uint8_t *key,
			     const struct people_done *done, uint64_t now_ns);

static void person_change(struct api *api, struct control_call *call, const char *person,
			  person_change_fn *fn, uint64_t now_ns)
{
	struct people *people = api_people(api, call);
	struct people_done done;
	uint8_t key[NODE_KEY_LEN];

	if (!people || !api_person_read(people, call, person, key))
		return;
	if (api_person_change_begin(call, "person", json_object(), &done))
		api_person_change_end(call, fn(people, key, &done, now_ns), person, &done);
}

static int person_block(struct people *people, const uint8_t *key, const struct people_done *done,
			uint64_t now_ns)
{
	return social_block_set(people, key, true, done, now_ns);
}

static int person_unblock(struct people *people, const uint8_t *key, const struct people_done *done,
			  uint64_t now_ns)
{
	return social_block_set(people, key, false, done, now_ns);
}

static int request_accept(struct people *people, const uint8_t *key, const struct people_done *done,
			  uint64_t now_ns)
{
	return social_request_accept(people, key, done, now_ns);
}

static int request_refuse(struct people *people, const uint8_t *key, const struct people_done *done,
			  uint64_t now_ns)
{
	return social_request_refuse(people, key, done, now_ns);
}

void api_block_person(struct api *api, struct control_call *call,
		      const struct api_block_person_in *in, uint64_t now_ns)
{
	person_change(api, call, in->person, person_block, now_ns);
}

void api_unblock_person(struct api *api, struct control_call *call,
			const struct api_unblock_person_in *in, uint64_t now_ns)
{
	person_change(api, call, in->person, person_unblock, now_ns);
}

void api_accept_request(struct api *api, struct control_call *call,
			const struct api_accept_request_in *in, uint64_t now_ns)
{
	person_change(api, call, in->person, request_accept, now_ns);
}

void api_refuse_request(struct api *api, struct control_call *call,
			const struct api_refuse_request_in *in, uint64_t now_ns)
{
	person_change(api, call, in->person, request_refuse, now_ns);
}

/* --- requests --- */

static bool on_request(void *arg, const struct request_view *view)
{
	struct listing *listing = arg;
	struct varlink_blocks *blocks = listing->blocks;
	unsigned idx = social_persona_of(listing->people, view->to);
	struct persona_view persona = {.number = 0};

	if (idx != SOCIAL_PERSONA_NONE)
		social_persona_view(listing->people, idx, &persona);
	varlink_push(blocks, &listing->requests,
		     ((struct api_person_request){
			     .person = api_id(blocks, view->person),
			     .name = api_person_name(blocks, listing->people, view->person),
			     .to = persona.number,
			     .post_id = api_id(blocks, view->post),
			     .came_s = api_uint(view->came_ms / MS_PER_S)}));
	return true;
}

static int by_age(const void *a, const void *b)
{
	const struct api_person_request *left = a, *right = b;

	return (left->came_s > right->came_s) - (left->came_s < right->came_s);
}

void api_list_requests(struct api *api, struct control_call *call,
		       const struct api_list_requests_in *in, uint64_t now_ns)
{
	struct people *people = api_people(api, call);
	struct listing listing = listing_of(people, call);

	(void)in, (void)now_ns;
	if (!people)
		return;
	social_requests_each(people, on_request, &listing);
	if (listing.requests.cnt)
		qsort(listing.requests.rows, listing.requests.cnt, sizeof(*listing.requests.rows),
		      by_age);
	api_reply(call, list_requests, .requests = listing.requests);
}

/* --- successors --- */

static bool on_succession(void *arg, const struct succession_view *view)
{
	static const enum api_successor_state states[] = {
		[SUCCESSION_ACCEPTED] = API_SUCCESSOR_STATE_ACCEPTED,
		[SUCCESSION_ASKED] = API_SUCCESSOR_STATE_ASKED,
		[SUCCESSION_FROZEN] = API_SUCCESSOR_STATE_FROZEN,
	};
	struct listing *listing = arg;
	struct varlink_blocks *blocks = listing->blocks;

	varlink_push(
		blocks, &listing->successors,
		((struct api_successor){.person = api_id(blocks, view->former),
					.name = api_person_name(blocks, listing->people,
								view->state == SUCCESSION_ACCEPTED
									? view->next
									: view->former),
					.next = api_id(blocks, view->next),
					.other = view->other ? api_id(blocks, view->other) : NULL,
					.state = states[view->state],
					.came_s = api_uint(view->came_ms / MS_PER_S)}));
	return true;
}

void api_list_successors(struct api *api, struct control_call *call,
			 const struct api_list_successors_in *in, uint64_t now_ns)
{
	struct people *people = api_people(api, call);
	struct listing listing = listing_of(people, call);

	(void)in, (void)now_ns;
	if (!people)
		return;
	social_successions_each(people, on_succession, &listing);
	api_reply(call, list_successors, .successors = listing.successors);
}

void api_accept_successor(struct api *api, struct control_call *call,
			  const struct api_accept_successor_in *in, uint64_t now_ns)
{
	struct people *people = api_people(api, call);
	uint8_t former[NODE_KEY_LEN], next[NODE_KEY_LEN];
	struct people_done done;

	if (!people || !api_person_read(people, call, in->person, former) ||
	    !api_person_read(people, call, in->next, next))
		return;
	if (api_person_change_begin(
		    call, "successor",
		    api_accept_successor_out_write(&(struct api_accept_successor_out){0}), &done))
		api_person_change_end(call,
				      social_successor_accept(people, former, next, &done, now_ns),
				      in->next, &done);
}
