/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CONTENT_CONTENT_STATE_H
#define WEFT_CONTENT_CONTENT_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "content/content.h"

/*
 * What the files of content/ share. Each object below has one file that
 * owns it; content.c makes them in this order and frees them in reverse.
 *
 *	shares	 share.c   what is offered
 *	imports	 import.c  trees being hashed
 *	serve	 serve.c   answers to peers; registers the message handlers
 *	gets	 get.c     what is being fetched; content_get_* are in there
 *	gc	 gc.c      sweeping; while it runs (is_sweeping) no import and
 *			   no get may start: they answer WEFT_EBUSY
 */
struct object_file;
struct shares;
struct imports;
struct serve;
struct gets;
struct gc;

struct content {
	struct content_params params;
	struct shares *shares;
	struct imports *imports;
	struct serve *serve;
	struct gets *gets;
	struct gc *gc;
	bool is_sweeping;
};

/*
 * content_forget_file is for whoever finds that a file is no longer what
 * was hashed (serve.c): it stops being a location, durably and soon, and
 * the shares it belongs to count it.
 */
void content_forget_file(struct content *content, const struct object_file *file);

/*
 * content_trust_file is for whoever verified the whole of a file with a
 * racy record (serve.c): its stamp is trusted from now on, durably and soon.
 */
void content_trust_file(struct content *content, const struct object_file *file);

/* content_wall_s: seconds since 1970; 0 without a clock. */
uint64_t content_wall_s(const struct content *content);

/* content_tell hands an event to node/; fields that are not set are zero. */
void content_tell(struct content *content, const struct content_event *event);

#endif
