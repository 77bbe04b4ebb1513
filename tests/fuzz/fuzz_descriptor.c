/* SPDX-License-Identifier: Apache-2.0 */
/* A descriptor that parses is written again from what was read, and then verifies. */
#include <string.h>

#include "base/assert.h"
#include "crypto/node_key.h"
#include "service/directory/descriptor.h"
#include "codec/text/semver.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct node_key *fuzz_key(void)
{
	static struct node_key *key;
	static const uint8_t seed[NODE_KEY_SEED_LEN] = {1};

	if (!key)
		weft_assert(node_key_from_seed(seed, &key) == 0);
	return key;
}

static void check_descriptor(const uint8_t *data, size_t len)
{
	uint8_t bytes[SERVICE_DESCRIPTOR_LEN_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct service_descriptor descriptor, again;

	if (service_descriptor_parse(data, len, &descriptor))
		return;
	weft_assert(service_descriptor_write(&w, fuzz_key(), &descriptor) == SERVICE_FINE);
	weft_assert(!w.bad);
	weft_assert(service_descriptor_verify(bytes, writer_len(&w), descriptor.created_s,
					      &again) == SERVICE_FINE);
	weft_assert(strcmp(again.name, descriptor.name) == 0);
	weft_assert(strcmp(again.version, descriptor.version) == 0);
	weft_assert(again.major == descriptor.major && again.seq == descriptor.seq);
	weft_assert(again.created_s == descriptor.created_s);
	weft_assert(again.expires_s == descriptor.expires_s);
	weft_assert(peer_places_equal(&again.places, &descriptor.places));
	weft_assert(again.metadata_cnt == descriptor.metadata_cnt);
	weft_assert(again.is_gone == descriptor.is_gone);
}

/* A version meets the range that is written as it is. */
static void check_version(const char *text, size_t len)
{
	struct semver version;
	struct semver_range range;

	if (semver_range_parse(text, len, &range) == 0)
		weft_assert(range.part_cnt <= SEMVER_RANGE_PARTS_MAX);
	if (semver_parse(text, len, &version) < 0)
		return;
	weft_assert(semver_compare(&version, &version) == 0);
	weft_assert(semver_range_parse(text, len, &range) == 0);
	weft_assert(semver_range_has(&range, &version));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	check_descriptor(data, len);
	check_version((const char *)data, len);
	return 0;
}
