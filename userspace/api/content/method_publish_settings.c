/* SPDX-License-Identifier: Apache-2.0 */
/* A call's settings for a published share, and a text in the place of files. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "codec/text/zbase32.h"
#include "api/methods.h"
#include "method_publish.h"

void api_share_refuse(struct control_call *call, const char *name, int err)
{
	static const struct control_failure_row rows[] = {
		{WEFT_EBUSY, "a revision of it is being made",
		 "wait for it, or end it with weft share cancel"},
		{WEFT_EREFUSED, "its key was revoked: nothing is published by it",
		 "make another share with weft share new"},
		{WEFT_EEXISTS, "this node has a share of that name or key",
		 "weft share list shows it; give another name"},
		{WEFT_EFULL, "as many shares are published as may be",
		 "raise publish_cap in [sharing] of weft.conf(5), or retire one"},
		{WEFT_EMALFORMED, "a name, title, description or tag breaks its limits",
		 "a name has at most 64 bytes and no slash, a tag 64 bytes, a title 255, a "
		 "description 4,096; none has control characters"},
		{0, NULL, "mend that and try again"},
	};

	control_fail_of(call, err, name, rows);
}

/* text_take copies text, unless it is NULL; false: too long. */
static bool text_take(const char *text, char *dst, size_t cap)
{
	size_t len = text ? strlen(text) : 0;

	if (len >= cap)
		return false;
	if (text)
		memcpy(dst, text, len + 1);
	return true;
}

/* lines_take puts the texts of list on lines, unless it is NULL; false: they do not fit. */
static bool lines_take(const struct api_string_list *list, char *lines, size_t cap)
{
	size_t len = 0;

	if (!list)
		return true;
	lines[0] = '\0';
	for (size_t i = 0; i < list->cnt; i++) {
		int more = snprintf(lines + len, cap - len, "%s%s", i ? "\n" : "", list->rows[i]);

		if (strchr(list->rows[i], '\n') || more < 0 || (size_t)more >= cap - len)
			return false;
		len += (size_t)more;
	}
	return true;
}

static int id_order(const void *a, const void *b)
{
	return memcmp(a, b, 32);
}

static bool recommended_take(const struct api_string_list *list, struct publish_settings *settings)
{
	if (!list)
		return true;
	if (list->cnt > MANIFEST_RECOMMENDED_MAX)
		return false;
	settings->recommended_cnt = (uint32_t)list->cnt;
	for (size_t i = 0; i < list->cnt; i++)
		if (zbase32_parse(list->rows[i], strlen(list->rows[i]), settings->recommended[i],
				  32) != 32)
			return false;
	qsort(settings->recommended, settings->recommended_cnt, 32, id_order);
	return true;
}

/* By name, or by id, as a share may belong to one that this node is not in. */
static bool community_take(const struct api *api, const char *text, uint8_t out_id[static 32])
{
	return community_find(api->communities, text, out_id) ||
	       zbase32_parse(text, strlen(text), out_id, 32) == 32;
}

/* communities_take: false: call was failed. */
static bool communities_take(const struct api *api, struct control_call *call,
			     const struct api_string_list *list, struct publish_settings *settings)
{
	if (!list)
		return true;
	if (list->cnt > MANIFEST_COMMUNITIES_MAX) {
		control_fail(call, WEFT_ETOOLARGE, "communities",
			     "a share belongs to at most 16 of them",
			     "name those that matter most");
		return false;
	}
	settings->community_cnt = (uint32_t)list->cnt;
	for (size_t i = 0; i < list->cnt; i++) {
		const char *text = list->rows[i];

		if (community_take(api, text, settings->communities[i]))
			continue;
		control_fail(call, WEFT_EABSENT, text, "no such community was joined",
			     "weft community list shows those that were");
		return false;
	}
	qsort(settings->communities, settings->community_cnt, 32, id_order);
	return true;
}

bool api_settings_take(const struct api *api, struct control_call *call,
		       const struct share_settings *given, struct publish_settings *settings)
{
	/* Another path is meant as a whole, unless it is said what of it. */
	if (given->path || given->text)
		settings->only[0] = '\0';
	if (given->public)
		settings->is_public = *given->public;
	if (!communities_take(api, call, given->communities, settings))
		return false;
	if (text_take(given->name, settings->name, sizeof(settings->name)) &&
	    text_take(given->title, settings->title, sizeof(settings->title)) &&
	    text_take(given->description, settings->description, sizeof(settings->description)) &&
	    text_take(given->path, settings->path, sizeof(settings->path)) &&
	    lines_take(given->tags, settings->rules, sizeof(settings->rules)) &&
	    lines_take(given->only, settings->only, sizeof(settings->only)) &&
	    recommended_take(given->recommended, settings))
		return true;
	api_share_refuse(call, given->name, WEFT_EMALFORMED);
	return false;
}

/* text_store makes the folder of share's texts, below the state folder, and one of them. */
static int text_store(const struct api *api, const struct published *share, const char *text,
		      const char *as, char dir[static 4096])
{
	const char *state = api->config->store.dir;
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

bool api_text_take(const struct api *api, struct control_call *call, const struct published *share,
		   const struct share_settings *given, struct publish_settings *settings)
{
	const char *text = given->text, *as = given->as ? given->as : "text.txt";
	int err;

	if (!text)
		return true;
	err = strchr(as, '/') || !blobs_manifest_path_is_safe(as, strlen(as))
		      ? WEFT_EUNSAFE
		      : text_store(api, share, text, as, settings->path);
	if (err < 0)
		control_fail(call, err, as, weft_err_text(err),
			     "give the text another name with --as, or make room in the daemon's "
			     "state folder");
	else
		/* Texts of other names lie there from before. */
		memcpy(settings->only, as, strlen(as) + 1);
	return err == 0;
}
