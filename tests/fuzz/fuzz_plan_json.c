/* SPDX-License-Identifier: MIT */

/* Questions to plan, by whoever may have written them: refused with a sentence or read whole, and
 * what was read keeps the promises that the decision rests on. */

#include "platform/plan_json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Not assert(): a build with NDEBUG must check too. */
#define CHECK(claim)             \
        do {                     \
                if (!(claim))    \
                        abort(); \
        } while (0)

static void check_complete(const struct plan_request *q)
{
        CHECK(q->capacity_milli >= 0 && q->capacity_milli <= PLAN_MILLI_MAX);
        CHECK(q->reserve_milli >= 0 && q->reserve_milli <= q->capacity_milli);
        CHECK(q->spare >= 0 && q->spare <= 1);
        CHECK(q->overload_rule >= 0 && q->overload_rule < _OVERLOAD_RULE_MAX);
        CHECK(q->enforce >= 0 && q->enforce < _ENFORCE_MAX);
        CHECK(q->max_coalition_size >= 1 && q->max_coalition_size <= PLAN_COALITION_MAX);
        CHECK(q->sensitivity_per_ms > 0 && q->epsilon >= 0 && q->max_iterations >= 1);
        for (size_t i = 0; i < q->n_services; i++) {
                const struct plan_service *s = &q->services[i];

                CHECK(s->name && s->name[0] && strlen(s->name) <= PLAN_NAME_LENGTH_MAX);
                CHECK(s->floor_milli >= 0 && s->floor_milli <= s->baseline_milli);
                CHECK(s->baseline_milli <= s->max_milli && s->max_milli > 0);
                CHECK(s->need_milli >= 0 && s->need_milli <= PLAN_MILLI_MAX);
                CHECK(s->load_milli >= 0 && s->load_milli <= PLAN_MILLI_MAX);
                CHECK(s->weight >= PLAN_WEIGHT_MIN && s->weight <= PLAN_WEIGHT_MAX);
                CHECK(isnan(s->quota_milli) || (s->quota_milli >= 0 && s->quota_milli <= PLAN_MILLI_MAX));
                CHECK(isnan(s->latency_target_ms) || s->latency_target_ms > 0);
                CHECK(isnan(s->latency_ms) || s->latency_ms > 0);
                CHECK(fabs(s->credit) <= PLAN_CREDIT_MAX);
                for (size_t j = 0; j < i && i < 100; j++)
                        CHECK(strcmp(s->name, q->services[j].name) != 0);
        }
        for (size_t i = 0; i < q->n_paths; i++) {
                CHECK(q->paths[i].weight >= PLAN_WEIGHT_MIN && q->paths[i].weight <= PLAN_WEIGHT_MAX);
                CHECK(isnan(q->paths[i].latency_target_ms) || q->paths[i].latency_target_ms > 0);
                for (size_t j = 0; j < q->paths[i].n_services; j++)
                        CHECK(q->paths[i].services[j] < q->n_services);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct plan_request *request = NULL;
        struct plan_warnings warnings = { 0 };
        char *problem = NULL;

        int r = plan_request_parse((const char *)data, size, &request, &problem, &warnings);
        CHECK(r == 0 || (r == -EINVAL && problem && *problem && !request));
        if (r == 0) {
                r = plan_request_complete(request, &problem);
                CHECK(r == 0 || (r == -EINVAL && problem && *problem));
        }
        if (r == 0)
                check_complete(request);
        free(problem);
        plan_request_free(request);
        plan_warnings_done(&warnings);
        return 0;
}
