/* SPDX-License-Identifier: Apache-2.0 */
/* What a call says of a share that is published: settings, and a text in the place of files. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "codec/zbase32.h"
#include "api/methods.h"
#include "method_publish.h"
#include "node/sharing/sharing_state.h"

void api_share_refuse(struct control_call *call, const char *name, int err)
{
	switch (err) {
	case WEFT_EBUSY:
		control_fail(call, err, name, "a revision of it is being made",
			     "wait for it, or end it with weft share cancel");
		break;
	case WEFT_EREFUSED:
		control_fail(call, err, name, "its key was revoked: nothing is published by it",
			     "make another share with weft share new");
		break;
	case WEFT_EEXISTS:
		control_fail(call, err, name, "this node has a share of that name or key",
			     "weft share list shows it; give another name");
		break;
	case WEFT_EFULL:
		control_fail(call, err, name, "as many shares are published as may be",
			     "raise publish_cap in [sharing] of weft.conf(5), or retire one");
		break;
	case WEFT_EMALFORMED:
		control_fail(call, err, name, "a name, title, description or tag breaks its limits",
			     "a name has at most 64 bytes and no slash, a tag 64 bytes, a title "
			     "255, a description 4,096; none has control characters");
		break;
	default:
		control_fail(call, err, name, weft_err_text(err), "mend that and try again");
	}
}

/* text_take copies the text that parameters have as name, if they have it; false: too long. */
static bool text_take(const json_t *parameters, const char *name, char *dst, size_t cap)
{
	const char *text = json_string_value(json_object_get(parameters, name));
	size_t len = text ? strlen(text) : 0;

	if (len >= cap)
		return false;
	if (text)
		memcpy(dst, text, len + 1);
	return true;
}

/* lines_take puts the texts of a list that parameters may have on lines; false: they do not fit. */
static bool lines_take(const json_t *parameters, const char *name, char *lines, size_t cap)
{
	const json_t *list = json_object_get(parameters, name), *each;
	size_t at, len = 0;

	if (!list)
		return true;
	lines[0] = '\0';
	json_array_foreach(list, at, each)
	{
		const char *line = json_string_value(each);
		int more = snprintf(lines + len, cap - len, "%s%s", at ? "\n" : "", line);

		if (strchr(line, '\n') || more < 0 || (size_t)more >= cap - len)
			return false;
		len += (size_t)more;
	}
	return true;
}

static int id_order(const void *a, const void *b)
{
	return memcmp(a, b, 32);
}

static bool recommended_take(const json_t *parameters, struct publish_settings *settings)
{
	const json_t *list = json_object_get(parameters, "recommended"), *each;
	size_t at;

	if (!list)
		return true;
	if (json_array_size(list) > MANIFEST_RECOMMENDED_MAX)
		return false;
	settings->recommended_cnt = (uint32_t)json_array_size(list);
	json_array_foreach(list, at, each)
	{
		const char *text = json_string_value(each);

		if (zbase32_parse(text, strlen(text), settings->recommended[at], 32) != 32)
			return false;
	}
	qsort(settings->recommended, settings->recommended_cnt, 32, id_order);
	return true;
}

/* By name, or by id, as a share may belong to one that this node is not in. */
static bool community_take(const struct node *node, const char *text, uint8_t out_id[static 32])
{
	return community_find(node->sharing->communities, text, out_id) ||
	       zbase32_parse(text, strlen(text), out_id, 32) == 32;
}

/* communities_take: false: call was failed. */
static bool communities_take(const struct node *node, struct control_call *call,
			     const json_t *parameters, struct publish_settings *settings)
{
	const json_t *list = json_object_get(parameters, "communities"), *each;
	size_t at;

	if (!list)
		return true;
	if (json_array_size(list) > MANIFEST_COMMUNITIES_MAX) {
		control_fail(call, WEFT_ETOOLARGE, "communities",
			     "a share belongs to at most 16 of them",
			     "name those that matter most");
		return false;
	}
	settings->community_cnt = (uint32_t)json_array_size(list);
	json_array_foreach(list, at, each)
	{
		const char *text = json_string_value(each);

		if (community_take(node, text, settings->communities[at]))
			continue;
		control_fail(call, WEFT_EABSENT, text, "no such community was joined",
			     "weft community list shows those that were");
		return false;
	}
	qsort(settings->communities, settings->community_cnt, 32, id_order);
	return true;
}

bool api_settings_take(const struct node *node, struct control_call *call, const json_t *parameters,
		       struct publish_settings *settings)
{
	const json_t *is_public = json_object_get(parameters, "public");

	/* Another path is meant as a whole, unless it is said what of it. */
	if (json_object_get(parameters, "path") || json_object_get(parameters, "text"))
		settings->only[0] = '\0';
	if (is_public)
		settings->is_public = json_is_true(is_public);
	if (!communities_take(node, call, parameters, settings))
		return false;
	if (text_take(parameters, "name", settings->name, sizeof(settings->name)) &&
	    text_take(parameters, "title", settings->title, sizeof(settings->title)) &&
	    text_take(parameters, "description", settings->description,
		      sizeof(settings->description)) &&
	    text_take(parameters, "path", settings->path, sizeof(settings->path)) &&
	    lines_take(parameters, "tags", settings->rules, sizeof(settings->rules)) &&
	    lines_take(parameters, "only", settings->only, sizeof(settings->only)) &&
	    recommended_take(parameters, settings))
		return true;
	api_share_refuse(call, json_string_value(json_object_get(parameters, "name")),
			 WEFT_EMALFORMED);
	return false;
}

/* text_store makes the folder of share's texts, below the state folder, and one of them. */
static int text_store(const struct node *node, const struct published *share, const char *text,
		      const char *as, char dir[static 4096])
{
	const char *state = node->config->store.dir;
	char id[ZBASE32_KEY_TEXT_CAP], path[4096 + 256];
	FILE *file;
	int err = 0;

	zbase32_write(share->share_id, SHARE_ID_LEN, id);
	snprintf(dir, 4096, "%s/published", state);
	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return -errno;
	snprintf(dir, 4096, "%s/published/%s", state, id);
	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return -errno;
	snprintf(path, sizeof(path), "%s/%s", dir, as);
	file = fopen(path, "we");
	if (!file)
		return -errno;
	if (fputs(text, file) < 0)
		err = -errno;
	if (fclose(file) < 0 && err == 0)
		err = -errno;
	return err;
}

bool api_text_take(const struct node *node, struct control_call *call,
		   const struct published *share, const json_t *parameters,
		   struct publish_settings *settings)
{
	const char *text = json_string_value(json_object_get(parameters, "text"));
	const char *as = json_string_value(json_object_get(parameters, "as"));
	int err;

	if (!text)
		return true;
	if (!as)
		as = "text.txt";
	err = strchr(as, '/') || !blobs_manifest_path_is_safe(as, strlen(as))
		      ? WEFT_EUNSAFE
		      : text_store(node, share, text, as, settings->path);
	if (err < 0)
		control_fail(call, err, as, weft_err_text(err),
			     "give the text another name with --as, or make room in the daemon's "
			     "state folder");
	else
		/* Texts of other names lie there from before. */
		memcpy(settings->only, as, strlen(as) + 1);
	return err == 0;
}
