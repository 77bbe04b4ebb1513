/* SPDX-License-Identifier: Apache-2.0 */
#include "api/api.h"
#include "api/figures.h"
#include "provider/tenant/tenant.h"
#include "web_metrics.h"

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

static void method_statuses_write(FILE *out, const struct service_info *info)
{
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
}

static void method_latencies_write(FILE *out, const struct service_info *info)
{
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
}

static void methods_write(FILE *out, const struct service *service)
{
	struct service_iter statuses = {.service = service}, latencies = {.service = service};
	struct service_info info;

	api_metric_family_write(out, "weft_service_method_calls_total", "counter",
				"Calls and streams that ended, by service and method.");
	while (service_next(&statuses, &info))
		method_statuses_write(out, &info);
	api_metric_family_write(out, "weft_service_method_seconds", "histogram",
				"Until calls and streams ended, by service and method.");
	while (service_next(&latencies, &info))
		method_latencies_write(out, &info);
}

/* Names of services and counters are of letters, digits, '-', '.' and '_'. */
static void counters_write(FILE *out, const struct provider_tenants *tenants)
{
	const struct provider_tenant *tenant = NULL;
	struct provider_tenant_view view;

	api_metric_family_write(out, "weft_service_counter_total", "counter",
				"Counters that services of this node declared.");
	while ((tenant = provider_tenants_next(tenants, tenant))) {
		provider_tenant_view(tenant, &view);
		for (unsigned i = 0; i < view.counter_cnt; i++)
			fprintf(out,
				"weft_service_counter_total{service=\"%s\",major=\"%u\","
				"counter=\"%s\"} %llu\n",
				view.service, view.major, view.counter_names[i],
				(unsigned long long)view.counters[i]);
	}
}

static void services_write(FILE *out, const struct service *service,
			   const struct service_stats *stats)
{
	statuses_write(out, "weft_service_answers_given_total", "Answers of this node's services.",
		       &stats->in);
	latencies_write(out, "weft_service_given_seconds", "Until this node's services answered.",
			&stats->in);
	statuses_write(out, "weft_service_answers_got_total", "Answers to calls of this node.",
		       &stats->out);
	latencies_write(out, "weft_service_got_seconds", "Until calls of this node were answered.",
			&stats->out);
	api_metric_family_write(out, "weft_service_refused_total", "counter",
				"Calls answered before a service saw them, by reason.");
	for (unsigned i = 0; i < SERVICE_REFUSED_CNT; i++)
		fprintf(out, "weft_service_refused_total{reason=\"%s\"} %llu\n",
			service_refusal_name((enum service_refusal_reason)i),
			(unsigned long long)stats->refused_cnt[i]);
	methods_write(out, service);
}

/* Labels are words of faults.def: "bad signature". */
static void hidden_write(FILE *out, const struct service_directory_stats *stats)
{
	api_metric_family_write(out, "weft_directory_hidden_total", "counter",
				"Descriptors that were got and not taken, by reason.");
	for (unsigned i = 1; i < SERVICE_FAULT_CNT; i++)
		fprintf(out, "weft_directory_hidden_total{reason=\"%s\"} %llu\n",
			service_faults[i].word, (unsigned long long)stats->hidden[i]);
}

static void observations_write(FILE *out, const struct service_reputation_stats *stats)
{
	api_metric_family_write(out, "weft_reputation_observations_total", "counter",
				"Acts of peers that count for their reputation.");
	for (unsigned i = 0; i < SERVICE_OBSERVATION_CNT; i++)
		fprintf(out, "weft_reputation_observations_total{observation=\"%s\"} %llu\n",
			service_observation_word((enum service_observation)i),
			(unsigned long long)stats->observations[i]);
}

void api_metrics_fabric_write(FILE *out, const struct api *api, const struct figures *figures)
{
	services_write(out, api->service, &figures->service);
	if (api->tenants)
		counters_write(out, api->tenants);
	hidden_write(out, &figures->directory);
	observations_write(out, &figures->reputation);
}
