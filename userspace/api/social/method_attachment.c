/* SPDX-License-Identifier: Apache-2.0 */
/* ShowPost, ReadAttachment, FetchAttachments; and files that become attachments. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/social/method_post.h"
#include "codec/text/base64.h"
#include "shares/publish/label.h"
#include "social/social.h"

/* --- making --- */

static void attach_fail(struct control_call *call, int err, const char *path)
{
	static const struct control_failure_row rows[] = {
		{WEFT_EABSENT, "there is no such file", "give the full path of one"},
		{-ENOENT, "there is no such file", "give the full path of one"},
		{-EACCES, "weftd may not read it", "let the user of weftd read the file"},
		{WEFT_EUNSAFE, "it is no regular file", "attach the files in it one by one"},
		{WEFT_ETOOLARGE, "an attachment has 255 MiB at most, and those of a post 512 MiB",
		 "share it: weft share add"},
		{WEFT_ECHANGED, "it was changed while it was read", "try again"},
		{WEFT_EBUSY, "other attachments are being made, or the store is swept",
		 "try again in a moment"},
		{0, NULL, "see that the state directory can be written, and try again"},
	};

	control_fail_of(call, err, path ? path : "attachment", rows);
}

static void attaching_free(struct post_attaching *attaching)
{
	json_decref(attaching->parameters);
	free(attaching);
}

static void on_made(void *arg, int err, const struct made_attachments *made)
{
	struct post_attaching *attaching = arg;
	struct varlink_blocks blocks = {0};
	char field[VARLINK_FIELD_CAP];
	const void *in;

	if (attaching->call) {
		control_on_gone(attaching->call, NULL, NULL);
		if (err == 0)
			err = varlink_parse(attaching->type, attaching->parameters, &blocks, &in,
					    field);
		if (err < 0)
			attach_fail(attaching->call, err, made->path);
		else
			attaching->give(attaching, in, made);
	}
	varlink_blocks_free(&blocks);
	attaching_free(attaching);
}

static bool files_fill(struct control_call *call, const struct api_string_list *paths,
		       struct attachment_file *files)
{
	for (size_t i = 0; i < paths->cnt; i++) {
		const char *path = paths->rows[i], *name = strrchr(path, '/');
		const char *type = name ? shares_label_mime(name + 1) : NULL;

		if (path[0] != '/') {
			control_fail(call, WEFT_EMALFORMED, path, "the path is not absolute",
				     "give the full path, beginning with /");
			return false;
		}
		files[i] = (struct attachment_file){path, name + 1, type ? type : ""};
	}
	return true;
}

void api_post_attach(const struct post_attaching *from, const struct api_string_list *paths,
		     bool is_public)
{
	struct attachment_file files[POST_ATTACHMENTS_MAX];
	struct attachments_making making = {.files = files,
					    .cnt = (unsigned)paths->cnt,
					    .is_public = is_public,
					    .done = on_made};
	struct post_attaching *attaching;
	int err;

	if (paths->cnt > POST_ATTACHMENTS_MAX) {
		control_fail(from->call, WEFT_ETOOLARGE, "attachments", "a post has 32 at most",
			     "share the folder that they are in: weft share add");
		return;
	}
	if (!files_fill(from->call, paths, files))
		return;
	if (!(attaching = malloc(sizeof(*attaching)))) {
		attach_fail(from->call, -ENOMEM, NULL);
		return;
	}
	*attaching = *from;
	attaching->parameters = varlink_write(from->type, from->in);
	making.arg = attaching;
	control_hold(attaching->call, &attaching->call);
	err = social_attachments_make(social_attachments_of(from->api->social), &making);
	if (err == 0)
		return;
	control_on_gone(attaching->call, NULL, NULL);
	attach_fail(attaching->call, err, NULL);
	attaching_free(attaching);
}

/* --- a post that is shown, or an attachment of it --- */

struct showing {
	struct api *api;
	struct control_call *call; /* NULL: the caller left */
	struct opened_post *opened;
	const char *name; /* as the call has it */
	uint64_t off;
};

static void showing_free(struct showing *showing)
{
	social_opened_free(showing->opened);
	free(showing);
}

/* NULL: call was failed. */
static struct showing *showing_new(struct api *api, struct control_call *call, const char *name)
{
	struct showing *showing = calloc(1, sizeof(*showing));
	uint8_t id[POST_ID_LEN], latest[POST_ID_LEN];
	int err = showing ? 0 : -ENOMEM;

	if (!showing || !api_post_id_read(api, call, name, id)) {
		if (!showing)
			api_post_open_fail(call, err, name);
		free(showing);
		return NULL;
	}
	*showing = (struct showing){
		.api = api, .call = call, .name = varlink_text(control_blocks(call), name)};
	if ((err = social_read_latest(social_read_of(api->social), id, latest)) == 0)
		err = social_read_open(social_read_of(api->social), latest, &showing->opened);
	if (err == 0) {
		control_hold(call, &showing->call);
		return showing;
	}
	free(showing);
	if (err == WEFT_EABSENT &&
	    social_posts_known(social_posts_of(api->social), id) == POST_GONE)
		control_fail(call, err, name, "its author deleted it",
			     "weft post export prints the signed deletion");
	else
		api_post_open_fail(call, err, name);
	return NULL;
}

static void showing_fail(struct showing *showing, int err)
{
	static const struct control_failure_row rows[] = {
		{WEFT_EABSENT, "not all of it is here yet", "weft post show says how much is"},
		{WEFT_EDAMAGED, "it is not what its author says",
		 "ask the author to attach it anew"},
		{WEFT_EBUSY, "many attachments are being read", "try again in a moment"},
		{0, NULL, "weft store check says whether the store is sound"},
	};

	if (showing->call) {
		control_on_gone(showing->call, NULL, NULL);
		control_fail_of(showing->call, err, showing->name, rows);
	}
	showing_free(showing);
}

static int readers_add(struct varlink_blocks *blocks, const struct opened_post *opened,
		       struct api_string_list *readers)
{
	struct visibility *visibility;
	int err = social_read_visibility(opened, &visibility);

	if (err < 0)
		return err;
	for (unsigned i = 0; i < visibility->recipient_cnt; i++)
		varlink_push(blocks, readers, api_id(blocks, visibility->recipients[i].reader));
	free(visibility);
	return 0;
}

static void redundancy_fill(struct api *api, const uint8_t *id, struct api_show_post_out *out)
{
	struct replica_view view;

	social_replicas_view(social_replicas_of(api->social), id, &view);
	out->redundancy = (struct api_post_redundancy){
		.copies = view.copy_cnt, .target = view.target, .low = view.is_low};
}

static void view_set(struct varlink_blocks *blocks, const struct attachment_view *view,
		     struct api_post_attachment *row)
{
	API_SET(row, here, view->stored_cnt);
	if (!view->is_sound)
		API_SET(row, invalid, true);
	if (!view->has_head)
		return;
	row->type = varlink_text(blocks, view->head.type);
	row->name = view->head.name[0] ? varlink_text(blocks, view->head.name) : NULL;
	row->units = view->piece_cnt;
	API_SET(row, size, api_uint(view->head.size));
}

static void on_looked(void *arg, int err, const struct attachment_view *views, unsigned cnt)
{
	struct showing *showing = arg;
	struct api_show_post_out out = {.readers = {0}};
	struct varlink_blocks *blocks;

	if (err < 0 || !showing->call) {
		showing_fail(showing, err);
		return;
	}
	blocks = control_blocks(showing->call);
	if ((err = readers_add(blocks, showing->opened, &out.readers)) < 0) {
		showing_fail(showing, err);
		return;
	}
	out.post = api_social_post(showing->api, blocks, showing->opened);
	api_post_delivery(showing->api, blocks, showing->opened, &out.delivery);
	redundancy_fill(showing->api, showing->opened->view.id, &out);
	for (unsigned i = 0; i < cnt && i < out.post.attachments.cnt; i++)
		view_set(blocks, &views[i], &out.post.attachments.rows[i]);
	social_read_shown(social_read_of(showing->api->social), showing->opened,
			  showing->api->home->now_ns);
	control_on_gone(showing->call, NULL, NULL);
	control_reply(showing->call, api_show_post_out_write(&out));
	showing_free(showing);
}

void api_show_post(struct api *api, struct control_call *call, const struct api_show_post_in *in,
		   uint64_t now_ns)
{
	struct attachment_look look = {.done = on_looked};
	struct showing *showing;
	int err;

	(void)now_ns;
	if (!api_reader(api, call) || !(showing = showing_new(api, call, in->post)))
		return;
	if (!showing->opened->post.attachment_cnt) {
		on_looked(showing, 0, NULL, 0);
		return;
	}
	look.opened = showing->opened;
	look.arg = showing;
	if ((err = social_attachments_look(social_attachments_of(api->social), &look)) < 0)
		showing_fail(showing, err);
}

static void on_part(void *arg, int err, const struct attachment_part *part)
{
	struct showing *showing = arg;
	struct varlink_blocks *blocks;
	char *text;

	if (err < 0 || !showing->call) {
		showing_fail(showing, err);
		return;
	}
	blocks = control_blocks(showing->call);
	if (!(text = varlink_alloc(blocks, BASE64_LEN(part->len) + 1))) {
		showing_fail(showing, -ENOMEM);
		return;
	}
	control_on_gone(showing->call, NULL, NULL);
	api_reply(showing->call, read_attachment, .type = varlink_text(blocks, part->head.type),
		  .name = part->head.name[0] ? varlink_text(blocks, part->head.name) : NULL,
		  .size = api_uint(part->head.size), .offset = api_uint(showing->off),
		  .base64 = base64_write(part->bytes, part->len, text));
	showing_free(showing);
}

void api_read_attachment(struct api *api, struct control_call *call,
			 const struct api_read_attachment_in *in, uint64_t now_ns)
{
	struct attachment_ask ask = {.done = on_part};
	struct showing *showing;
	int err;

	(void)now_ns;
	if (!api_reader(api, call))
		return;
	if (in->index < 0 || in->offset < 0) {
		control_fail_parameter(call, in->index < 0 ? "index" : "offset");
		return;
	}
	if (!(showing = showing_new(api, call, in->post)))
		return;
	showing->off = (uint64_t)in->offset;
	ask.opened = showing->opened;
	ask.attachment =
		in->index < POST_ATTACHMENTS_MAX ? (unsigned)in->index : POST_ATTACHMENTS_MAX;
	ask.off = (uint64_t)in->offset;
	ask.arg = showing;
	err = social_attachment_read(social_attachments_of(api->social), &ask);
	if (err == WEFT_EABSENT) {
		control_on_gone(call, NULL, NULL);
		control_fail(call, err, in->post, "it has no attachment of that number",
			     "weft post show lists them, from 0 on");
		showing_free(showing);
	} else if (err < 0) {
		showing_fail(showing, err);
	}
}

void api_fetch_attachments(struct api *api, struct control_call *call,
			   const struct api_fetch_attachments_in *in, uint64_t now_ns)
{
	static const struct control_failure_row rows[] = {
		{WEFT_EABSENT, "it has no attachment, or is not here", "weft post show lists them"},
		{WEFT_EFULL, "as many posts with attachments are here as can be tended",
		 "weft limits show"},
		{0, NULL, "weft store check says whether the store is sound"},
	};
	uint8_t id[POST_ID_LEN];
	int err;

	if (!api_reader(api, call) || !api_post_id_read(api, call, in->post, id))
		return;
	if (in->has_index && (in->index < 0 || in->index >= POST_ATTACHMENTS_MAX)) {
		control_fail_parameter(call, "index");
		return;
	}
	err = social_attachments_want(social_attachments_of(api->social), id,
				      in->has_index ? 1u << in->index : UINT32_MAX, now_ns);
	if (err < 0)
		control_fail_of(call, err, in->post, rows);
	else
		api_reply(call, fetch_attachments);
}
