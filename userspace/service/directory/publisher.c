/* SPDX-License-Identifier: Apache-2.0 */
/* Publishes this node's offers (publisher.h); publication.c has the states of one offer. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/monotonic.h"
#include "publisher_state.h"
#include "codec/text/semver.h"

/* Addresses come and go together: one publication for all of them. */
#define ENDPOINTS_DELAY_NS (10 * NS_PER_S)
/* Without its first relay a node is not reached at all. */
#define FIRST_RELAY_DELAY_NS NS_PER_S

void service_publisher_config_defaults(struct service_publisher_config *config)
{
	*config = (struct service_publisher_config){
		.publication_cap = 128,
		.publishes_per_min = 20,
		.ttl_s = SERVICE_DESCRIPTOR_TTL_S_MAX,
	};
}

static struct service_publication *publication_lookup(const struct service_publisher *publisher,
						      const char *name, uint32_t major)
{
	struct service_publication *publication = NULL;

	while ((publication = pool_next(&publisher->publications, publication)))
		if (publication->descriptor.major == major &&
		    strcmp(publication->descriptor.name, name) == 0)
			return publication;
	return NULL;
}

/* Offered again as it is, it need not be signed anew. */
static bool publication_says(const struct service_publication *publication,
			     const struct service_offering *offering)
{
	const struct service_descriptor *descriptor = &publication->descriptor;
	struct service_read_only read_only;

	if (descriptor->is_gone || strcmp(descriptor->version, offering->version) != 0 ||
	    descriptor->metadata_cnt != offering->metadata_cnt)
		return false;
	for (unsigned i = 0; i < offering->metadata_cnt; i++)
		if (!service_descriptor_says(descriptor, offering->metadata[i].key,
					     offering->metadata[i].value))
			return false;
	/* service_descriptor_check took it. */
	if (service_read_only_take(offering->read_only, offering->read_only_cnt, &read_only))
		return false;
	return service_read_only_equals(&descriptor->read_only, &read_only);
}

static const char *text_add(struct writer *w, const char *text, size_t len)
{
	char *at = (char *)w->pos;

	writer_bytes(w, text, len);
	return at;
}

static void publication_take_methods(struct service_publication *publication,
				     const struct service_offering *offering)
{
	struct service_read_only *list = &publication->descriptor.read_only;
	struct writer w = writer_of(publication->methods, sizeof(publication->methods));

	if (service_read_only_take(offering->read_only, offering->read_only_cnt, list))
		list->cnt = 0;
	for (unsigned i = 0; i < list->cnt; i++)
		list->names[i] = text_add(&w, list->names[i], list->lens[i]);
}

/* offering keeps the limits, so that its metadata fits. */
static void publication_take(struct service_publication *publication,
			     const struct service_offering *offering)
{
	struct service_descriptor *descriptor = &publication->descriptor;
	struct writer w = writer_of(publication->text, sizeof(publication->text));

	memcpy(descriptor->name, offering->name, strlen(offering->name) + 1);
	memcpy(descriptor->version, offering->version, strlen(offering->version) + 1);
	descriptor->is_gone = false;
	descriptor->metadata_cnt = offering->metadata_cnt;
	for (unsigned i = 0; i < offering->metadata_cnt; i++) {
		const struct service_metadata *pair = &offering->metadata[i];
		size_t key_len = strlen(pair->key), value_len = strlen(pair->value);

		descriptor->metadata[i] = (struct service_pair){
			.key_len = key_len,
			.key = text_add(&w, pair->key, key_len),
			.value_len = value_len,
			.value = text_add(&w, pair->value, value_len),
		};
	}
	publication_take_methods(publication, offering);
}

int service_publisher_offer(struct service_publisher *publisher,
			    const struct service_offering *offering, uint64_t now_ns,
			    enum service_fault *out_fault)
{
	enum service_fault fault = service_descriptor_check(offering);
	struct service_publication *publication;
	struct semver version;

	*out_fault = fault;
	if (publisher->is_leaving)
		return 0;
	if (fault)
		return service_faults[fault].code;
	if (semver_parse(offering->version, strlen(offering->version), &version) < 0)
		return WEFT_EMALFORMED;
	publication = publication_lookup(publisher, offering->name, version.major);
	if (publication && publication_says(publication, offering))
		return 0;
	if (!publication) {
		publication = pool_acquire(&publisher->publications);
		if (!publication)
			return WEFT_EFULL;
		service_publication_init(publication, publisher, version.major);
	}
	publication_take(publication, offering);
	service_publication_change(publication, now_ns);
	return 0;
}

static void publication_withdraw(struct service_publication *publication, uint64_t now_ns)
{
	struct service_publisher *publisher = publication->publisher;

	if (publication->descriptor.is_gone)
		return;
	publisher->stats.withdrawn_cnt++;
	if (!publication->was_put && publication->phase == PUBLICATION_DUE) {
		service_publication_release(publication);
		return;
	}
	publication->descriptor.is_gone = true;
	publication->descriptor.metadata_cnt = 0;
	publication->descriptor.read_only.cnt = 0;
	service_publication_change(publication, now_ns);
}

void service_publisher_withdraw(struct service_publisher *publisher, const char *name,
				uint32_t major, uint64_t now_ns)
{
	struct service_publication *publication = publication_lookup(publisher, name, major);

	if (publication)
		publication_withdraw(publication, now_ns);
}

void service_publisher_leave(struct service_publisher *publisher, uint64_t now_ns)
{
	struct service_publication *publication = NULL;

	publisher->is_leaving = true;
	while ((publication = pool_next(&publisher->publications, publication)))
		publication_withdraw(publication, now_ns);
}

bool service_publisher_has_left(const struct service_publisher *publisher)
{
	const struct service_publication *publication = NULL;

	if (!publisher->params.overlay.ops)
		return true;
	while ((publication = pool_next(&publisher->publications, publication)))
		if (publication->phase != PUBLICATION_DUE ||
		    (publication->is_changed && !publication->is_held_back))
			return false;
	return true;
}

void service_publisher_set_places(struct service_publisher *publisher,
				  const struct peer_places *places, uint64_t now_ns)
{
	struct service_publication *publication = NULL;
	bool is_first_relay = places->via_cnt && !publisher->places.via_cnt;

	if (peer_places_equal(places, &publisher->places))
		return;
	publisher->places = *places;
	while ((publication = pool_next(&publisher->publications, publication)))
		if (publication->was_put && !publication->descriptor.is_gone)
			service_publication_change(publication,
						   now_ns + (is_first_relay ? FIRST_RELAY_DELAY_NS
									    : ENDPOINTS_DELAY_NS));
}

void service_publisher_hurry(struct service_publisher *publisher, uint64_t now_ns)
{
	struct service_publication *publication = NULL;

	if (publisher->first_ns > now_ns)
		publisher->first_ns = now_ns;
	while ((publication = pool_next(&publisher->publications, publication)))
		service_publication_hurry(publication, now_ns);
}

void service_publisher_set_wall(struct service_publisher *publisher, uint64_t now_ns)
{
	struct service_publication *publication = NULL;

	while ((publication = pool_next(&publisher->publications, publication)))
		service_publication_date(publication, now_ns);
}

bool service_publisher_next(struct service_publication_iter *iter,
			    struct service_publication_state *out_state)
{
	const struct service_publication *publication =
		pool_next(&iter->publisher->publications, iter->publication);
	const struct service_descriptor *descriptor;

	iter->publication = publication;
	if (!publication)
		return false;
	descriptor = &publication->descriptor;
	*out_state = (struct service_publication_state){
		.name = descriptor->name,
		.version = descriptor->version,
		.is_gone = descriptor->is_gone,
		.is_held_back = publication->is_held_back,
		.err = publication->err,
		.stored_cnt = publication->stored_cnt,
		.seq = publication->was_put ? descriptor->seq : 0,
		.created_s = descriptor->created_s,
		.expires_s = descriptor->expires_s,
		.next_ns =
			timer_is_set(&publication->timer) ? publication->timer.at_ns : TIMER_NEVER,
	};
	return true;
}

void service_publisher_stats(const struct service_publisher *publisher,
			     struct service_publisher_stats *out_stats)
{
	*out_stats = publisher->stats;
	out_stats->publication_cnt = publisher->publications.used_cnt;
	out_stats->publication_cap = publisher->publications.cap_cnt;
}

/* --- life --- */

static int publisher_lay_out(struct service_publisher *publisher,
			     const struct service_publisher_config *config)
{
	int err = arena_open(&publisher->arena, ARENA_GROWS);

	if (err == 0)
		err = pool_init(&publisher->publications, &publisher->arena,
				sizeof(struct service_publication), config->publication_cap);
	arena_fit(&publisher->arena);
	return err;
}

size_t service_publisher_footprint(const struct service_publisher_config *config)
{
	struct service_publisher publisher = {0};
	size_t len = publisher_lay_out(&publisher, config) < 0 ? 0 : publisher.arena.used_len;

	arena_close(&publisher.arena);
	return len;
}

int service_publisher_new(const struct service_publisher_params *params,
			  struct service_publisher **out_publisher)
{
	struct service_publisher *publisher = calloc(1, sizeof(*publisher));
	int err;

	if (!publisher)
		return -ENOMEM;
	publisher->params = *params;
	publisher->first_ns = params->now_ns + SERVICE_PUBLISH_FIRST_NS;
	if ((err = publisher_lay_out(publisher, &params->config)) < 0 ||
	    (err = service_publisher_load_seq(publisher)) < 0) {
		service_publisher_free(publisher);
		return err;
	}
	*out_publisher = publisher;
	return 0;
}

void service_publisher_free(struct service_publisher *publisher)
{
	struct service_publication *publication = NULL;

	if (!publisher)
		return;
	while ((publication = pool_next(&publisher->publications, publication)))
		service_publication_stop(publication);
	arena_close(&publisher->arena);
	free(publisher);
}

void service_publisher_configure(struct service_publisher *publisher,
				 const struct service_publisher_config *config)
{
	publisher->params.config.publishes_per_min = config->publishes_per_min;
	publisher->params.config.ttl_s = config->ttl_s;
}
