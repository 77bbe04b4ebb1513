/* SPDX-License-Identifier: Apache-2.0 */
#include "social/bootstrap/social_bootstrap.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "codec/json_heap.h"
#include "codec/text/zbase32.h"
#include "social/object/social_text.h"

/* Each of these returns what is wrong, or NULL. */

static const char *key_take(const json_t *text, struct first_node *node)
{
	if (!json_is_string(text) || json_string_length(text) != ZBASE32_TEXT_LEN(NODE_KEY_LEN) ||
	    zbase32_parse(json_string_value(text), json_string_length(text), node->key,
			  NODE_KEY_LEN) != NODE_KEY_LEN)
		return "\"key\" is no node id of 52 letters";
	return NULL;
}

static const char *addresses_take(const json_t *list, struct first_node *node)
{
	size_t cnt = json_array_size(list);

	if (!json_is_array(list) || cnt < 1 || cnt > FIRST_ADDRS_MAX)
		return "\"addresses\" is no list of 1 to 4 addresses";
	for (size_t i = 0; i < cnt; i++) {
		const char *text = json_string_value(json_array_get(list, i));
		struct addr *addr = &node->places.addrs[node->places.addr_cnt++];

		if (!text || addr_parse(text, addr) < 0 || !addr->port)
			return "an address is not like \"192.0.2.1:7000\" or "
			       "\"[2001:db8::1]:7000\"";
	}
	return NULL;
}

static const char *name_take(const json_t *text, struct first_node *node)
{
	size_t len = json_string_length(text);

	if (!text)
		return NULL;
	if (!json_is_string(text) || len >= FIRST_NAME_CAP ||
	    !social_text_is_name(json_string_value(text), len))
		return "\"name\" is no text of 1 to 64 bytes that can be shown";
	memcpy(node->name, json_string_value(text), len);
	return NULL;
}

static const char *node_take(json_t *row, struct first_node *node)
{
	const char *fault, *name;
	json_t *value;

	*node = (struct first_node){.name = ""};
	if (!json_is_object(row))
		return "it is no object like {\"key\": KEY, \"addresses\": [ADDRESS]}";
	json_object_foreach(row, name, value)
	{
		if (strcmp(name, "key") != 0 && strcmp(name, "addresses") != 0 &&
		    strcmp(name, "name") != 0)
			return "it has a member that is not \"key\", \"addresses\" or \"name\"";
	}
	if ((fault = key_take(json_object_get(row, "key"), node)) ||
	    (fault = addresses_take(json_object_get(row, "addresses"), node)))
		return fault;
	return name_take(json_object_get(row, "name"), node);
}

static int list_take(json_t *root, struct first_nodes *list, char why[static FIRST_WHY_CAP])
{
	if (!json_is_array(root)) {
		snprintf(why, FIRST_WHY_CAP, "it is no list: it begins with [ and ends with ]");
		return WEFT_EMALFORMED;
	}
	if (json_array_size(root) > FIRST_NODES_MAX) {
		snprintf(why, FIRST_WHY_CAP, "row %u: more than %u nodes", FIRST_NODES_MAX + 1,
			 FIRST_NODES_MAX);
		return WEFT_ETOOLARGE;
	}
	for (size_t i = 0; i < json_array_size(root); i++) {
		const char *fault = node_take(json_array_get(root, i), &list->nodes[i]);

		if (fault) {
			snprintf(why, FIRST_WHY_CAP, "row %zu: %s", i + 1, fault);
			return WEFT_EMALFORMED;
		}
	}
	list->cnt = (unsigned)json_array_size(root);
	return 0;
}

int social_bootstrap_parse(const char *text, size_t len, struct first_nodes *out_list,
			   char out_why[static FIRST_WHY_CAP])
{
	struct first_nodes *list = calloc(1, sizeof(*list));
	json_t *root = NULL;
	int err = list ? json_heap_load(text, len, JSON_REJECT_DUPLICATES, &root) : -ENOMEM;

	snprintf(out_why, FIRST_WHY_CAP, "%s",
		 err == WEFT_EMALFORMED ? "it is no JSON" : "there is no memory");
	if (err == 0)
		err = list_take(root, list, out_why);
	json_decref(root);
	if (err == 0)
		*out_list = *list;
	free(list);
	return err;
}

int social_bootstrap_read(const char *path, struct first_nodes *out_list,
			  char out_why[static FIRST_WHY_CAP])
{
	char *text = malloc(FIRST_LEN_MAX + 1);
	int fd = text ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;
	ssize_t got = 0;
	size_t len = 0;
	int err = text ? 0 : -ENOMEM;

	if (text && fd < 0)
		err = -errno;
	while (err == 0 && len <= FIRST_LEN_MAX &&
	       (got = read(fd, text + len, FIRST_LEN_MAX + 1 - len)) > 0)
		len += (size_t)got;
	if (err == 0 && got < 0)
		err = -errno;
	snprintf(out_why, FIRST_WHY_CAP, "%s", err < 0 ? strerror(-err) : "");
	if (err == 0 && len > FIRST_LEN_MAX) {
		snprintf(out_why, FIRST_WHY_CAP, "it is longer than 64 KiB");
		err = WEFT_ETOOLARGE;
	}
	if (err == 0)
		err = social_bootstrap_parse(text, len, out_list, out_why);
	if (fd >= 0)
		close(fd);
	free(text);
	return err;
}
