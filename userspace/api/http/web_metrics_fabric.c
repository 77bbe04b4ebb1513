/* SPDX-License-Identifier: Apache-2.0 */
#include "mesh/peers/rendezvous.h"
#include "web_metrics.h"
#include "provider/provider.h"
#include "service/limits/reputation.h"
#include "service/directory/directory.h"
#include "service/directory/publisher.h"
#include "api/api.h"

#define US_PER_S 1000000

/* Calls and openings of streams by how they ended. */
static void statuses_write(FILE *out, const char *name, const char *help,
			   const struct service_counts *counts)
{
	api_metric_family_write(out, name, "counter", help);
	for (unsigned i = 0; i < SERVICE_STATUS_CNT; i++)
		fprintf(out, "%s{status=\"%s\"} %llu\n", name,
			service_status_name((enum service_status)i),
			(unsigned long long)counts->status_cnt[i]);
}

static void latencies_write(FILE *out, const char *name, const char *help,
			    const struct service_counts *counts)
{
	unsigned long long cnt = 0;

	api_metric_family_write(out, name, "histogram", help);
	for (unsigned i = 0; i < SERVICE_LATENCY_CNT - 1; i++) {
		cnt += counts->latency_cnt[i];
		fprintf(out, "%s_bucket{le=\"%u.%06u\"} %llu\n", name,
			service_latency_bounds_us[i] / US_PER_S,
			service_latency_bounds_us[i] % US_PER_S, cnt);
	}
	cnt += counts->latency_cnt[SERVICE_LATENCY_CNT - 1];
	fprintf(out, "%s_bucket{le=\"+Inf\"} %llu\n", name, cnt);
	fprintf(out, "%s_sum %llu.%06llu\n", name,
		(unsigned long long)(counts->latency_sum_us / US_PER_S),
		(unsigned long long)(counts->latency_sum_us % US_PER_S));
	fprintf(out, "%s_count %llu\n", name, cnt);
}

/* label_write: callers choose names of methods (text format 0.0.4). */
static void label_write(FILE *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			fputc('\\', out);
		fputc(*text, out);
	}
}

static void method_row_write(FILE *out, const char *name, const struct service_info *info,
			     const struct service_method_counts *method)
{
	fprintf(out, "%s{service=\"%s\",version=\"%s\",method=\"", name, info->name, info->version);
	label_write(out, method->method[0] ? method->method : "other");
}

static bool method_statuses_write(void *arg, const struct service_info *info)
{
	FILE *out = arg;

	for (unsigned i = 0; i < info->method_cnt; i++)
		for (unsigned s = 0; s < SERVICE_STATUS_CNT; s++) {
			if (!info->methods[i].counts.status_cnt[s])
				continue;
			method_row_write(out, "weft_service_method_calls_total", info,
					 &info->methods[i]);
			fprintf(out, "\",status=\"%s\"} %llu\n",
				service_status_name((enum service_status)s),
				(unsigned long long)info->methods[i].counts.status_cnt[s]);
		}
	return true;
}

static bool method_latencies_write(void *arg, const struct service_info *info)
{
	FILE *out = arg;

	for (unsigned i = 0; i < info->method_cnt; i++) {
		const struct service_method_counts *method = &info->methods[i];
		unsigned long long cnt = 0;

		for (unsigned b = 0; b < SERVICE_LATENCY_CNT; b++) {
			cnt += method->counts.latency_cnt[b];
			method_row_write(out, "weft_service_method_seconds_bucket", info, method);
			if (b == SERVICE_LATENCY_CNT - 1)
				fprintf(out, "\",le=\"+Inf\"} %llu\n", cnt);
			else
				fprintf(out, "\",le=\"%u.%06u\"} %llu\n",
					service_latency_bounds_us[b] / US_PER_S,
					service_latency_bounds_us[b] % US_PER_S, cnt);
		}
		method_row_write(out, "weft_service_method_seconds_sum", info, method);
		fprintf(out, "\"} %llu.%06llu\n",
			(unsigned long long)(method->counts.latency_sum_us / US_PER_S),
			(unsigned long long)(method->counts.latency_sum_us % US_PER_S));
		method_row_write(out, "weft_service_method_seconds_count", info, method);
		fprintf(out, "\"} %llu\n", cnt);
	}
	return true;
}

static void methods_write(FILE *out, const struct service *service)
{
	api_metric_family_write(out, "weft_service_method_calls_total", "counter",
				"Calls and streams that ended, by service and method.");
	service_each(service, method_statuses_write, out);
	api_metric_family_write(out, "weft_service_method_seconds", "histogram",
				"Until calls and streams ended, by service and method.");
	service_each(service, method_latencies_write, out);
}

static void services_write(FILE *out, const struct service *service)
{
	struct service_stats stats;

	service_stats(service, &stats);
	const struct metric_row rows[] = {
		{"weft_service_streams", "gauge", "Streams of services that are open.",
		 stats.channel_cnt},
		{"weft_service_calls_in_hand", "gauge", "Calls that services work on.",
		 stats.in_hand_cnt},
		{"weft_service_calls_pending", "gauge", "Calls of this node under way.",
		 stats.pending_cnt},
		{"weft_service_violations_total", "counter", "Rules of services that peers broke.",
		 stats.violation_cnt},
		{"weft_service_cancelled_total", "counter", "Calls whose callers left.",
		 stats.cancelled_cnt},
		{"weft_service_late_total", "counter", "Answers that came after the deadline.",
		 stats.late_cnt},
		{"weft_service_repeated_total", "counter",
		 "Calls answered alike, for their idempotency key.", stats.repeated_cnt},
		{"weft_service_retried_total", "counter",
		 "Calls of this node that went on to another provider.", stats.retried_cnt},
		{"weft_service_again_total", "counter",
		 "Times that calls of this node were sent again to the same provider.",
		 stats.again_cnt},
	};

	statuses_write(out, "weft_service_answers_given_total", "Answers of this node's services.",
		       &stats.in);
	latencies_write(out, "weft_service_given_seconds", "Until this node's services answered.",
			&stats.in);
	statuses_write(out, "weft_service_answers_got_total", "Answers to calls of this node.",
		       &stats.out);
	latencies_write(out, "weft_service_got_seconds", "Until calls of this node were answered.",
			&stats.out);
	api_metric_family_write(out, "weft_service_refused_total", "counter",
				"Calls answered before a service saw them, by reason.");
	for (unsigned i = 0; i < SERVICE_REFUSED_CNT; i++)
		fprintf(out, "weft_service_refused_total{reason=\"%s\"} %llu\n",
			service_refusal_name((enum service_refusal_reason)i),
			(unsigned long long)stats.refused_cnt[i]);
	METRICS_WRITE(out, rows);
	methods_write(out, service);
}

/* Labels are words of faults.def: "bad signature". */
static void directory_write(FILE *out, const struct service_directory *directory)
{
	struct service_directory_stats stats;

	service_directory_stats(directory, &stats);
	const struct metric_row rows[] = {
		{"weft_directory_finds_total", "counter", "Finds of services.", stats.find_cnt},
		{"weft_directory_fetches_total", "counter",
		 "Times the overlay was asked who provides a service.", stats.fetch_cnt},
		{"weft_directory_joined_total", "counter", "Finds that shared another's fetch.",
		 stats.joined_cnt},
		{"weft_directory_cached_total", "counter", "Finds that the cache answered.",
		 stats.cached_cnt},
		{"weft_directory_peeks_total", "counter", "Looks into the cache alone.",
		 stats.peek_cnt},
		{"weft_directory_refused_total", "counter", "Finds over service.lookups.",
		 stats.refused_cnt},
		{"weft_directory_held_back_total", "counter",
		 "Times service.fetches kept the overlay from being asked.", stats.held_back_cnt},
		{"weft_directory_abuse_total", "counter",
		 "Patterns of looking through the directory.", stats.abuse_cnt},
		{"weft_directory_descriptors", "gauge", "Descriptors in the cache.",
		 stats.entry_cnt},
	};

	METRICS_WRITE(out, rows);
	api_metric_family_write(out, "weft_directory_hidden_total", "counter",
				"Descriptors that were got and not taken, by reason.");
	for (unsigned i = 1; i < SERVICE_FAULT_CNT; i++)
		fprintf(out, "weft_directory_hidden_total{reason=\"%s\"} %llu\n",
			service_faults[i].word, (unsigned long long)stats.hidden[i]);
}

static void publisher_write(FILE *out, const struct service_publisher *publisher)
{
	struct service_publisher_stats stats;

	service_publisher_stats(publisher, &stats);
	const struct metric_row rows[] = {
		{"weft_publisher_puts_total", "counter", "Descriptors put.", stats.publish_cnt},
		{"weft_publisher_refused_total", "counter",
		 "Times service.publishes made one wait.", stats.refused_cnt},
		{"weft_publisher_failed_total", "counter", "Descriptors nobody took.",
		 stats.failed_cnt},
		{"weft_publisher_withdrawn_total", "counter", "Services that were withdrawn.",
		 stats.withdrawn_cnt},
		{"weft_publisher_services", "gauge", "Services that are kept published.",
		 stats.publication_cnt},
	};

	METRICS_WRITE(out, rows);
}

static void reputation_write(FILE *out, const struct service_reputation *reputation)
{
	struct service_reputation_stats stats;

	service_reputation_stats(reputation, &stats);
	const struct metric_row rows[] = {
		{"weft_reputation_ignored_total", "counter",
		 "Deeds of peers that did as much within the hour.", stats.ignored_cnt},
		{"weft_reputation_bans_total", "counter", "Bans for broken rules.", stats.ban_cnt},
		{"weft_reputation_peers", "gauge", "Peers whose reputation is remembered.",
		 stats.peer_cnt},
	};

	api_metric_family_write(out, "weft_reputation_observations_total", "counter",
				"What peers did that counts for their reputation.");
	for (unsigned i = 0; i < SERVICE_OBSERVATION_CNT; i++)
		fprintf(out, "weft_reputation_observations_total{deed=\"%s\"} %llu\n",
			service_observation_word((enum service_observation)i),
			(unsigned long long)stats.observations[i]);
	METRICS_WRITE(out, rows);
}

static void holder_record_write(FILE *out, const struct provider *provider)
{
	struct provider_stats stats;

	provider_stats(provider, &stats);
	const struct metric_row rows[] = {
		{"weft_provider_calls_total", "counter", "Calls handed to local programs.",
		 stats.call_cnt},
		{"weft_provider_streams_total", "counter", "Streams handed to local programs.",
		 stats.stream_cnt},
		{"weft_provider_failed_total", "counter", "Of both, those that a program failed.",
		 stats.failed_cnt},
		{"weft_provider_refused_total", "counter", "Of both, those that found no room.",
		 stats.refused_cnt},
		{"weft_provider_active", "gauge", "Of both, those under way.", stats.active_cnt},
		{"weft_provider_processes", "gauge", "Programs that run.", stats.process_cnt},
		{"weft_provider_idle_connections", "gauge", "Connections laid by.", stats.idle_cnt},
		{"weft_provider_memory_bytes", "gauge", "What waits for programs and callers.",
		 stats.memory_used_len},
	};

	METRICS_WRITE(out, rows);
}

static void rendezvous_write(FILE *out, const struct mesh_rendezvous *rendezvous)
{
	struct mesh_rendezvous_stats stats;

	mesh_rendezvous_stats(rendezvous, &stats);
	const struct metric_row rows[] = {
		{"weft_rendezvous_announced_total", "counter",
		 "Times this node was announced at the meeting point.", stats.announced_cnt},
		{"weft_rendezvous_finds_total", "counter", "Times others were looked for there.",
		 stats.find_cnt},
		{"weft_rendezvous_heard_total", "counter", "Addresses heard of there.",
		 stats.heard_cnt},
		{"weft_rendezvous_refused_total", "counter",
		 "Of these, those that nobody can have, or not for all to see.", stats.refused_cnt},
		{"weft_rendezvous_met_total", "counter", "Of these, nodes that showed a key.",
		 stats.met_cnt},
	};

	METRICS_WRITE(out, rows);
}

void api_metrics_fabric_write(FILE *out, const struct api *api)
{
	services_write(out, api->service);
	directory_write(out, api->directory);
	publisher_write(out, api->service_publisher);
	reputation_write(out, api->reputation);
	if (api->provider)
		holder_record_write(out, api->provider);
	if (api->rendezvous)
		rendezvous_write(out, api->rendezvous);
}
