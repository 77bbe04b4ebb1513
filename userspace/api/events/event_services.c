/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events of services and their programs, and the access log: peers and services
 * by name, never by address, and nothing of what was called with. Home worker.
 */
#include <string.h>

#include "api/api.h"
#include "api/events/events.h"
#include "base/log.h"
#include "base/monotonic.h"
#include "base/random.h"
#include "base/siphash_bytes.h"
#include "codec/text/zbase32.h"
#include "provider/provider.h"
#include "service/directory/directory.h"
#include "service/service.h"

void api_tell_violation(struct api *api, const uint8_t *key, const char *why, uint64_t now_ns)
{
	struct incident incident = {
		.at_ns = now_ns,
		.at_s = api->wall_us(api->ctx) / 1000000,
		.kind = INCIDENT_VIOLATION,
		.rule = why,
		.who.kind = BAN_KEY,
	};
	char peer[ZBASE32_KEY_TEXT_CAP];

	memcpy(incident.who.key, key, BAN_KEY_LEN);
	firewall_incidents_add(api->incidents, &incident);
	api_tell(api, "service.violation", service_violation, .why = why,
		 .peer = api_event_key(key, peer));
}

void api_tell_abuse(struct api *api, const struct service_abuse_event *event)
{
	char peer[ZBASE32_KEY_TEXT_CAP];

	api_tell(api, "service.abuse", service_abuse, .pattern = service_abuse_name(event->kind),
		 .queries = event->query_cnt, .names = event->name_cnt,
		 .peer = api_event_key(event->caller, peer));
}

/* One of so many is written in mode sampled. */
#define ACCESS_SAMPLE 100

void api_log_access(struct api *api, const struct service_access_record *record)
{
	enum fabric_access_log mode = api->config->fabric.access_log;
	uint64_t tag;

	if (mode == FABRIC_ACCESS_OFF ||
	    (mode == FABRIC_ACCESS_SAMPLED && api->access_cnt++ % ACCESS_SAMPLE))
		return;
	if (!api->has_access_salt)
		random_fill(api->random, api->access_salt, sizeof(api->access_salt));
	api->has_access_salt = true;
	tag = siphash(api->access_salt, record->caller, MESH_KEY_LEN);
	log_notice("access: service=%s@%s method=%s peer=%s%08llx status=%s ms=%llu.%03llu",
		   record->service, record->version, record->method,
		   record->is_local ? "local-" : "", (unsigned long long)(tag & 0xffffffff),
		   service_status_name(record->status),
		   (unsigned long long)(record->took_ns / NS_PER_MS),
		   (unsigned long long)(record->took_ns % NS_PER_MS / NS_PER_US));
}

void api_tell_circuit(struct api *api, const struct service_event *event)
{
	static const char *const kinds[] = {
		[SERVICE_EVENT_CIRCUIT_OPENED] = "service.rests",
		[SERVICE_EVENT_CIRCUIT_AT_PEER] = "service.rests-at-peer",
	};
	char id[ZBASE32_KEY_TEXT_CAP], peer[ZBASE32_KEY_TEXT_CAP];

	api_tell(api, kinds[event->kind], service_rests,
		 .service_id = zbase32_write(event->service_id, SERVICE_ID_LEN, id),
		 .peer = api_event_key(event->peer_key, peer));
}

void api_tell_program(struct api *api, const struct provider_event *event)
{
	static const char *const kinds[] = {
		[PROVIDER_EVENT_READY] = "service.ready",
		[PROVIDER_EVENT_DOWN] = "service.down",
		[PROVIDER_EVENT_FAILED] = "service.failed",
		[PROVIDER_EVENT_STDERR] = "service.said",
		[PROVIDER_EVENT_DROPPED] = "service.dropped",
	};
	const char *text = event->text ? event->text : "";

	switch (event->kind) {
	case PROVIDER_EVENT_READY:
		log_info("service %s %s: its program answers", event->name, event->version);
		break;
	case PROVIDER_EVENT_DOWN:
		log_warn("service %s %s is not offered now: %s", event->name, event->version, text);
		break;
	case PROVIDER_EVENT_FAILED:
		log_warn("service %s %s: a call failed: %s", event->name, event->version, text);
		break;
	case PROVIDER_EVENT_STDERR:
		log_info("service %s %s says: %s", event->name, event->version, text);
		break;
	case PROVIDER_EVENT_DROPPED:
		log_warn("service %s %s is in the store and cannot be offered: %s", event->name,
			 event->version, text);
		break;
	}
	api_tell(api, kinds[event->kind], service_program, .name = event->name,
		 .version = event->version, .text = text);
}

void api_tell_unpublished(struct api *api, const struct service_offering *offering)
{
	log_warn("service %s %s is offered, but found only by nodes that know this one: as many as "
		 "there may be are published",
		 offering->name, offering->version);
	api_tell(api, "service.unpublished", service_unpublished, .name = offering->name,
		 .version = offering->version);
}
