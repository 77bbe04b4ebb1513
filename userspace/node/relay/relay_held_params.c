/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The grants of relay.grants, and those given at run time: this node shows them to relays. Home, at
 * the start alone.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/node_key.h"
#include "node/node_state.h"
#include "relay/grants/held.h"

/* A grant is a line; empty lines and those with a # in front say nothing. */
static int lines_add(struct node *node, char *text, char *what)
{
	const uint8_t *own_key = node_key_public(node->key);
	enum relay_grant_fault fault = RELAY_GRANT_FINE;
	unsigned number = 0;

	for (char *line = text, *next; line && fault == RELAY_GRANT_FINE; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		number++;
		line += strspn(line, " \t\r");
		if (*line && *line != '#')
			fault = relay_held_add(node->relay_held, line, own_key);
	}
	if (fault == RELAY_GRANT_FULL)
		snprintf(what, NODE_WHAT_CAP, "relay.grants, line %u: 8 grants at most", number);
	else if (fault != RELAY_GRANT_FINE)
		snprintf(what, NODE_WHAT_CAP, "relay.grants, line %u: %s", number,
			 relay_grant_fault_text(fault));
	return fault == RELAY_GRANT_FINE ? 0 : WEFT_EMALFORMED;
}

static int file_read(const char *path, char *text, size_t cap)
{
	FILE *file = fopen(path, "re");
	size_t len;
	int err;

	if (!file)
		return -errno;
	len = fread(text, 1, cap, file);
	err = ferror(file) ? -EIO : len == cap ? WEFT_ETOOLARGE : 0;
	fclose(file);
	text[len < cap ? len : cap - 1] = '\0';
	return err;
}

/* What is of no use any more, or does not fit beside those of the file, is left out. */
static void used_load(struct node *node, char *text)
{
	uint64_t wall_s = node_wall_us(node) / 1000000;

	text[node_meta_read(node, RELAY_HELD_META, text, RELAY_HELD_TEXT_CAP - 1)] = '\0';
	for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1) {
		*end = '\0';
		(void)relay_held_use(node->relay_held, line, node_key_public(node->key), wall_s);
	}
}

int node_open_relay_held(struct node *node, char *what)
{
	const char *path = node->config->relay_grants;
	char *text = calloc(1, RELAY_HELD_TEXT_CAP);
	int err = 0;

	snprintf(what, NODE_WHAT_CAP, "relay.grants, %.300s", path);
	node->relay_held = calloc(1, sizeof(*node->relay_held));
	if (!text || !node->relay_held)
		err = -ENOMEM;
	if (err == 0 && *path)
		err = file_read(path, text, RELAY_HELD_TEXT_CAP);
	if (err == 0 && *path)
		err = lines_add(node, text, what);
	if (err == 0)
		used_load(node, text);
	free(text);
	return err;
}
