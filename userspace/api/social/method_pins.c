/* SPDX-License-Identifier: Apache-2.0 */
/* PinPost, UnpinPost, ListPins. */
#include <string.h>

#include "api/durable_reply.h"
#include "api/social/method_post.h"
#include "social/social.h"
#include "social/write/post_pins.h"

static void pin_fail(struct control_call *call, int err, const char *name)
{
	static const struct control_failure_row rows[] = {
		{WEFT_EABSENT, "this node has no such post",
		 "weft social sync NODE asks a node for what is new"},
		{WEFT_EREFUSED, "it is of this node, and stays anyway, or no key here opens it",
		 "weft post show says which; weft post delete takes back a fork"},
		{WEFT_EFULL, "there is no room: too much is pinned, or what is unpinned has none",
		 "weft quota show; raise social.room in weft.conf, or unpin others first"},
		{WEFT_ETOOLARGE, "with the link of its origin it is longer than a post may be",
		 "weft post pin without --fork keeps the original"},
		{WEFT_EBUSY, "the disk does not keep up", "try again in a moment"},
		{0, NULL, "weft store check says whether the store is sound"},
	};

	control_fail_of(call, err, name, rows);
}

static struct api_social_pin pin_row(struct api *api, struct varlink_blocks *blocks,
				     const struct post_view *view)
{
	bool is_fork = view->flags & POST_FORKED;

	return (struct api_social_pin){
		.post_id = api_id(blocks, view->id),
		.kind = is_fork ? API_SOCIAL_PIN_KIND_FORK : API_SOCIAL_PIN_KIND_ANCHOR,
		.author = api_id(blocks, view->author),
		.author_name = api_post_name(api, blocks, view->author),
		.time_ms = api_uint(view->time_ms),
		.time_s = api_uint(view->time_ms / 1000),
		.bytes = (int64_t)view->post_len + view->claim_len + view->visibility_len,
		.origin = is_fork && view->has_parent ? api_id(blocks, view->parent) : NULL,
	};
}

static void fork_reply(struct post_writing *writing, const uint8_t *id)
{
	struct post_view view;
	int err = social_posts_look(social_posts_of(writing->api->social), id, &view);

	if (err < 0)
		pin_fail(writing->call, err, writing->what);
	else
		api_reply(writing->call, pin_post,
			  .pin = pin_row(writing->api, control_blocks(writing->call), &view));
}

static void fork_start(struct api *api, struct control_call *call, const struct api_pin_post_in *in,
		       const uint8_t *id, uint64_t now_ns)
{
	struct post_fork fork = {.id = id, .done = api_post_written};
	struct post_writing *writing;
	int err;

	if (!api_post_persona_read(api, call, in->persona, &fork.persona) ||
	    !(writing = api_post_writing_new(api, call, "post", fork_reply)))
		return;
	fork.arg = writing;
	if ((err = social_pin_fork(social_write_of(api->social), &fork, now_ns)) < 0) {
		api_post_writing_cancel(writing);
		pin_fail(call, err, in->post);
	}
}

/* A pin that is to be set or cleared: it is so already, or reply waits for the disk. */
static void pin_start(struct control_call *call, struct social_write *write, struct post_pin *pin,
		      json_t *reply, uint64_t now_ns)
{
	struct api_durable_reply *waiting = api_durable_reply_new(
		call, "pin", "weft post pins shows what is pinned; try again", reply);
	int err;

	if (!waiting)
		return;
	pin->done = (struct post_change_done){api_durable_reply_send, waiting};
	err = social_pin_set(write, pin, now_ns);
	if (err == WEFT_EEXISTS) {
		api_durable_reply_send(waiting, 0);
	} else if (err < 0) {
		api_durable_reply_cancel(waiting);
		pin_fail(call, err, "post");
	}
}

void api_pin_post(struct api *api, struct control_call *call, const struct api_pin_post_in *in,
		  uint64_t now_ns)
{
	struct social_write *write = api_writer(api, call);
	struct post_pin pin = {.is_pinned = true};
	struct post_view view;
	uint8_t id[POST_ID_LEN];
	int err;

	if (!write || !api_post_id_read(api, call, in->post, id))
		return;
	if (in->has_fork && in->fork) {
		fork_start(api, call, in, id, now_ns);
		return;
	}
	if ((err = social_posts_look(social_posts_of(api->social), id, &view)) < 0) {
		pin_fail(call, err, in->post);
		return;
	}
	pin.id = id;
	pin_start(call, write, &pin,
		  api_pin_post_out_write(&(struct api_pin_post_out){
			  .pin = pin_row(api, control_blocks(call), &view)}),
		  now_ns);
}

void api_unpin_post(struct api *api, struct control_call *call, const struct api_unpin_post_in *in,
		    uint64_t now_ns)
{
	struct social_write *write = api_writer(api, call);
	struct post_pin pin = {.is_pinned = false};
	uint8_t id[POST_ID_LEN];

	if (!write || !api_post_id_read(api, call, in->post, id))
		return;
	pin.id = id;
	pin_start(call, write, &pin,
		  api_unpin_post_out_write(&(struct api_unpin_post_out){
			  .post_id = api_id(control_blocks(call), id)}),
		  now_ns);
}

struct pins_listing {
	struct api *api;
	struct varlink_blocks *blocks;
	unsigned limit;
	struct api_social_pin_list pins;
};

static bool pin_add(void *arg, const struct post_view *view)
{
	struct pins_listing *listing = arg;

	varlink_push(listing->blocks, &listing->pins, pin_row(listing->api, listing->blocks, view));
	return listing->pins.cnt < listing->limit;
}

void api_list_pins(struct api *api, struct control_call *call, const struct api_list_pins_in *in,
		   uint64_t now_ns)
{
	struct social_write *write = api_writer(api, call);
	struct pins_listing listing = {.api = api, .blocks = control_blocks(call)};
	struct post_cursor from, next;
	int more;

	(void)now_ns;
	if (!write || !api_post_limit_read(call, in->has_limit, in->limit, &listing.limit) ||
	    (in->cursor && !api_post_cursor_read(call, in->cursor, &from)))
		return;
	more = social_pins_each(write, in->cursor ? &from : NULL, pin_add, &listing, &next);
	if (more < 0)
		pin_fail(call, more, "pins");
	else
		api_reply(call, list_pins, .pins = listing.pins,
			  .cursor = more ? api_post_cursor(listing.blocks, &next) : NULL);
}
