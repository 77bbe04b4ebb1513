/* SPDX-License-Identifier: Apache-2.0 */
/* A bundle of posts and people: whole files, and what lies in a record. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "social/bundle/bundle_record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void record_check(const struct bundle_record *record)
{
	struct bundle_follow follow;
	struct bundle_circle circle;
	struct bundle_persona persona;
	struct bundle_feed feed;
	uint8_t id[32];
	const char *why = NULL;

	if (social_bundle_judge(record, id, &why) < 0 && !why)
		abort();
	if (social_bundle_follow_parse(record, &follow) == 0 &&
	    strlen(follow.petname) >= sizeof(follow.petname))
		abort();
	if (social_bundle_circle_parse(record, &circle) == 0 &&
	    (strlen(circle.name) >= sizeof(circle.name) ||
	     strlen(circle.profile_text) >= sizeof(circle.profile_text)))
		abort();
	if (social_bundle_persona_parse(record, &persona) == 0 &&
	    (persona.seed + NODE_KEY_SEED_LEN > record->bytes + record->len ||
	     (persona.next_seed &&
	      persona.next_seed + NODE_KEY_SEED_LEN > record->bytes + record->len)))
		abort();
	if (social_bundle_feed_parse(record, &feed) == 0 &&
	    feed.name_len + feed.filter_len + 1 != record->len)
		abort();
}

static void file_check(const uint8_t *data, size_t len)
{
	int fd = memfd_create("bundle", MFD_CLOEXEC);
	struct bundle_reader *reader;
	struct bundle_record record;
	struct bundle_fault fault;
	int err;

	if (fd < 0 || write(fd, data, len) != (ssize_t)len)
		abort();
	if (social_bundle_reader_open(fd, NULL, &reader, &fault) == 0) {
		while ((err = social_bundle_next(reader, &record)) > 0)
			record_check(&record);
		if (err < 0) /* it was found whole */
			abort();
		social_bundle_reader_close(reader);
	} else if (!fault.what) {
		abort();
	}
	close(fd);
}

/* The input is a file, or a kind and a record of it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	file_check(data, len);
	if (len) {
		const struct bundle_record record = {
			.kind = data[0] % BUNDLE_KIND_CNT, .bytes = data + 1, .len = len - 1};

		record_check(&record);
	}
	return 0;
}
