/* SPDX-License-Identifier: MIT */

#include "lib/testing.h"
#include "platform/plan_json.h"
#include "util/nearest.h"
#include "util/number.h"

#include <errno.h>
#include <string.h>

static struct plan_request *parsed(const char *text)
{
        struct plan_request *request = NULL;
        struct plan_warnings warnings = { 0 };
        char *problem = NULL;

        int r = plan_request_parse(text, strlen(text), &request, &problem, &warnings);
        ck_assert_msg(r == 0, "%s", problem ? problem : "?");
        r = plan_request_complete(request, &problem);
        ck_assert_msg(r == 0, "%s", problem ? problem : "?");
        plan_warnings_done(&warnings);
        return request;
}

/* The text is refused, and the message has every word that a person needs. */
static void assert_refused(const char *text, size_t size, const char *const words[])
{
        struct plan_request *request = NULL;
        struct plan_warnings warnings = { 0 };
        char *problem = NULL;

        int r = plan_request_parse(text, size, &request, &problem, &warnings);
        if (r == 0)
                r = plan_request_complete(request, &problem);
        ck_assert_msg(r == -EINVAL, "accepted: %.200s", text);
        ck_assert_ptr_nonnull(problem);
        for (size_t i = 0; words[i]; i++)
                ck_assert_msg(strstr(problem, words[i]), "\"%s\" is not in \"%s\"", words[i], problem);
        free(problem);
        plan_warnings_done(&warnings);
        plan_request_free(request);
}

START_TEST(everything_said_is_read)
{
        struct plan_request *q = parsed(
                "{\"capacity_milli\":4000,\"reserve_milli\":400,\"spare\":0.5,\"overload_rule\":"
                "\"weighted\",\"enforce\":\"quota\",\"max_coalition_size\":5,\"sensitivity_per_ms\":"
                "0.2,\"epsilon\":0.5,\"max_iterations\":7,\"services\":[{\"name\":\"web\",\"floor_milli\":1,"
                "\"baseline_milli\":2.5,\"need_milli\":900,\"max_milli\":3000,\"weight\":7,"
                "\"load_milli\":780,\"latency_target_ms\":50,\"latency_ms\":80,\"credit\":-0.5,"
                "\"quota_milli\":500},{\"name\":\"db\"}],"
                "\"paths\":[{\"name\":\"checkout\",\"services\":[\"db\",\"web\"],\"weight\":3,"
                "\"latency_target_ms\":200}]}");

        ck_assert(q->capacity_milli == 4000 && q->reserve_milli == 400 && q->spare == 0.5);
        ck_assert_int_eq(q->overload_rule, OVERLOAD_WEIGHTED);
        ck_assert_int_eq(q->enforce, ENFORCE_QUOTA);
        ck_assert_uint_eq(q->n_services, 2);
        ck_assert(q->max_coalition_size == 5 && q->sensitivity_per_ms == 0.2 && q->epsilon == 0.5);
        ck_assert(q->max_iterations == 7);
        const struct plan_service *s = &q->services[0];
        ck_assert_str_eq(s->name, "web");
        ck_assert(s->floor_milli == 1 && s->baseline_milli == 2.5 && s->need_milli == 900);
        ck_assert(s->max_milli == 3000 && s->weight == 7 && s->load_milli == 780);
        ck_assert(s->latency_target_ms == 50 && s->latency_ms == 80 && s->credit == -0.5);
        ck_assert(s->quota_milli == 500);
        ck_assert_uint_eq(q->n_paths, 1);
        ck_assert_uint_eq(q->paths[0].services[0], 1);
        ck_assert_uint_eq(q->paths[0].services[1], 0);
        ck_assert(q->paths[0].weight == 3 && q->paths[0].latency_target_ms == 200);
        plan_request_free(q);
}
END_TEST

START_TEST(what_is_not_said_has_its_default)
{
        struct plan_request *q = parsed("{\"capacity_milli\":4000,\"services\":[{\"name\":\"a\"},"
                                        "{\"name\":\"b\",\"baseline_milli\":230}]}");
        const struct plan_service *a = &q->services[0], *b = &q->services[1];

        ck_assert(q->reserve_milli == 0 && q->spare == 1);
        ck_assert_int_eq(q->overload_rule, OVERLOAD_PROPORTIONAL);
        ck_assert_int_eq(q->enforce, ENFORCE_BOTH);
        ck_assert(q->max_coalition_size == 8 && q->sensitivity_per_ms == 0.1 && q->epsilon == 0);
        ck_assert(q->max_iterations == 100);
        ck_assert(a->floor_milli == 0 && a->baseline_milli == 0 && a->need_milli == 0);
        ck_assert(a->max_milli == INFINITY && a->weight == 100 && a->load_milli == 0);
        ck_assert(a->credit == 0 && isnan(a->quota_milli) && isnan(a->latency_ms));
        ck_assert(isnan(a->latency_target_ms));
        ck_assert(b->need_milli == 230);
        ck_assert_double_eq_tol(b->load_milli, 200, 1e-9);
        ck_assert_uint_eq(q->n_paths, 0);
        plan_request_free(q);
}
END_TEST

START_TEST(paths_may_be_added_where_the_question_says_none)
{
        struct plan_request *q = parsed("{\"capacity_milli\":1,\"services\":[{\"name\":\"a\"},{\"name\":\"b\"}]}");

        ck_assert_ptr_null(q->paths);
        ck_assert_int_eq(plan_request_add_path(q, "p", (const size_t[]) { 1, 0 }, 2, 3, NAN), 0);
        ck_assert_int_eq(plan_request_add_path(q, "q", (const size_t[]) { 1 }, 1, 1, 20), 0);
        ck_assert_uint_eq(q->n_paths, 2);
        ck_assert_str_eq(q->paths[0].name, "p");
        ck_assert(q->paths[0].n_services == 2 && q->paths[0].services[0] == 1 && q->paths[0].services[1] == 0);
        ck_assert(q->paths[0].weight == 3 && isnan(q->paths[0].latency_target_ms));
        ck_assert(q->paths[1].latency_target_ms == 20);
        plan_request_free(q);

        q = parsed("{\"capacity_milli\":1,\"services\":[],\"paths\":[]}");
        ck_assert_ptr_nonnull(q->paths); /* said: none */
        plan_request_free(q);
}
END_TEST

START_TEST(an_empty_list_is_a_right_question)
{
        struct plan_request *q = parsed("{\"capacity_milli\":1000,\"services\":[]}");

        ck_assert_uint_eq(q->n_services, 0);
        plan_request_free(q);
}
END_TEST

START_TEST(null_says_none_where_none_is_possible)
{
        struct plan_request *q = parsed("{\"capacity_milli\":1,\"services\":[{\"name\":\"a\",\"quota_milli\""
                                        ":null,\"max_milli\":null,\"latency_ms\":null}]}");

        ck_assert(isnan(q->services[0].quota_milli) && q->services[0].max_milli == INFINITY);
        plan_request_free(q);
}
END_TEST

#define SERVICE(members) "{\"capacity_milli\":4000,\"services\":[{\"name\":\"ok\"},{\"name\":\"web\"," members "}]}"

static const struct {
        const char *text;
        const char *words[6];
} refused[] = {
        { "", { "line 1, column 1", "ends too early" } },
        { "{", { "ends too early" } },
        { "{\"capacity_milli\":4000,\n \"services\":[}]}", { "line 2, column 14", "not valid JSON" } },
        { "{\"\xc3\xa4\xc3\xa4\": !}", { "line 1, column 8" } },
        { "{} x", { "column 4", "follows" } },
        { "[]", { "object" } },
        { "3", { "object" } },
        { "null", { "object" } },
        { "{\"capacity_milli\":4000}", { "services", "missing" } },
        { "{\"services\":[]}", { "capacity_milli", "missing", "--config" } },
        { "{\"capacity_milli\":4000,\"services\":{}}", { "services", "an object", "list" } },
        { "{\"capacity_milli\":4000,\"services\":[3]}", { "services[0]", "a number" } },
        { "{\"capacity_milli\":4000,\"services\":[null]}", { "services[0]", "null" } },
        { "{\"capacity_milli\":\"4000\",\"services\":[]}", { "capacity_milli", "a string", "quotes" } },
        { "{\"capacity_milli\":-1,\"services\":[]}", { "capacity_milli", "-1", "negative" } },
        { "{\"capacity_milli\":100,\"reserve_milli\":200,\"services\":[]}", { "reserve_milli", "200", "100" } },
        { "{\"capacity_milli\":1,\"spare\":1.5,\"services\":[]}", { "spare", "1.5", "0 to 1" } },
        { "{\"capacity_milli\":1,\"enforce\":\"all\",\"services\":[]}", { "enforce", "\"all\"", "\"quota\"" } },
        { "{\"capacity_milli\":1,\"enforce\":7,\"services\":[]}", { "enforce", "7" } },
        { "{\"capacity_milli\":1,\"overload_rule\":\"cel\",\"services\":[]}", { "overload_rule", "\"weighted\"" } },
        { "{\"capacity_milli\":1,\"services\":[{}]}", { "services[0].name", "missing" } },
        { "{\"capacity_milli\":1,\"services\":[{\"name\":\"\"}]}", { "services[0].name", "empty" } },
        { "{\"capacity_milli\":1,\"services\":[{\"name\":null}]}", { "services[0].name", "null" } },
        { "{\"capacity_milli\":1,\"services\":[{\"name\":\"a\\u0000b\"}]}", { "control character" } },
        { "{\"capacity_milli\":1,\"services\":[{\"name\":\"a\\u001b[31m\"}]}", { "control character" } },
        { "{\"capacity_milli\":1,\"services\":[{\"name\":\"a\"},{\"name\":\"b\"},{\"name\":\"a\"}]}",
          { "services[2]", "\"a\"", "services[0]" } },
        { SERVICE("\"need_milli\":\"many\""), { "services[1] (\"web\").need_milli", "a string" } },
        { SERVICE("\"need_milli\":true"), { "need_milli", "a boolean" } },
        { SERVICE("\"need_milli\":[1]"), { "need_milli", "a list" } },
        { SERVICE("\"need_milli\":null"), { "need_milli", "null" } },
        { SERVICE("\"need_milli\":-0.5"), { "need_milli", "-0.5", "negative" } },
        { SERVICE("\"need_milli\":1e400"), { "need_milli", "1e400", "finite" } },
        { SERVICE("\"need_milli\":NaN"), { "need_milli", "NaN", "finite" } },
        { SERVICE("\"need_milli\":-Infinity"), { "need_milli", "finite" } },
        { SERVICE("\"need_milli\":1e18"), { "need_milli", "1e18", "1000000000" } },
        { SERVICE("\"need_milli\":99999999999999999999999999"), { "need_milli", "out of range" } },
        { SERVICE("\"weight\":0"), { "weight", "out of range" } },
        { SERVICE("\"max_milli\":0"), { "max_milli", "more than 0" } },
        { SERVICE("\"latency_target_ms\":0"), { "latency_target_ms", "more than 0" } },
        { SERVICE("\"latency_ms\":0"), { "latency_ms", "more than 0" } },
        { SERVICE("\"latency_ms\":0.0001"), { "latency_ms", "0.0001", "0.001 to" } },
        { SERVICE("\"latency_ms\":1e-317"), { "latency_ms", "0.001 to" } },
        { SERVICE("\"latency_ms\":2e9"), { "latency_ms", "out of range" } },
        { SERVICE("\"credit\":1e7"), { "credit", "out of range" } },
        { "{\"capacity_milli\":1,\"max_coalition_size\":0,\"services\":[]}", { "max_coalition_size", "1 to 32" } },
        { "{\"capacity_milli\":1,\"max_coalition_size\":33,\"services\":[]}", { "max_coalition_size", "1 to 32" } },
        { "{\"capacity_milli\":1,\"max_coalition_size\":2.5,\"services\":[]}", { "max_coalition_size", "whole" } },
        { "{\"capacity_milli\":1,\"max_coalition_size\":null,\"services\":[]}", { "max_coalition_size", "null" } },
        { "{\"capacity_milli\":1,\"sensitivity_per_ms\":0,\"services\":[]}", { "sensitivity_per_ms", "0.001 to 10" } },
        { "{\"capacity_milli\":1,\"sensitivity_per_ms\":11,\"services\":[]}", { "sensitivity_per_ms", "0.001 to 10" } },
        { "{\"capacity_milli\":1,\"epsilon\":-0.1,\"services\":[]}", { "epsilon", "negative" } },
        { "{\"capacity_milli\":1,\"epsilon\":1.1,\"services\":[]}", { "epsilon", "0 to 1" } },
        { "{\"capacity_milli\":1,\"max_iterations\":0,\"services\":[]}", { "max_iterations", "1 to 10000" } },
        { "{\"capacity_milli\":1,\"max_iterations\":10001,\"services\":[]}", { "max_iterations", "1 to 10000" } },
        { "{\"capacity_milli\":1,\"max_iterations\":1.5,\"services\":[]}", { "max_iterations", "whole" } },
        { "{\"capacity_milli\":1,\"services\":[{\"name\":\"a\"}],\"paths\":[{\"name\":\"p\",\"services\":[\"a\"],"
          "\"latency_target_ms\":-1}]}", { "paths[0].latency_target_ms", "negative" } },
        { SERVICE("\"floor_milli\":500,\"baseline_milli\":400"), { "floor_milli", "500", "400", "web", "lower" } },
        { SERVICE("\"baseline_milli\":500,\"max_milli\":400"), { "baseline_milli", "500", "400", "web", "raise" } },
        { "{\"capacity_milli\":1,\"services\":[{\"name\":\"cart\"}],\"paths\":[{\"name\":\"p\",\"services\":[\"crat\"]}]}",
          { "paths[0].services[0]", "crat", "cart" } },
        { "{\"capacity_milli\":1,\"services\":[],\"paths\":[{\"name\":\"p\",\"services\":[\"x\"]}]}",
          { "paths[0].services[0]", "\"x\"" } },
        { "{\"capacity_milli\":1,\"services\":[],\"paths\":[{\"name\":\"p\",\"services\":[]}]}",
          { "paths[0].services", "empty" } },
        { "{\"capacity_milli\":1,\"services\":[],\"paths\":[{\"services\":[]}]}", { "paths[0].name", "missing" } },
        { "{\"capacity_milli\":1,\"services\":[],\"paths\":7}", { "paths", "list" } },
};

START_TEST(what_is_wrong_is_refused_with_place_and_remedy)
{
        assert_refused(refused[_i].text, strlen(refused[_i].text), refused[_i].words);
}
END_TEST

START_TEST(deep_nesting_is_refused_early)
{
        size_t size = 1000000;
        char *text = malloc(size);

        memset(text, '[', size);
        assert_refused(text, size, (const char *const[]) { "line 1", "nested", NULL });
        free(text);
}
END_TEST

START_TEST(bytes_after_a_nul_are_not_overlooked)
{
        static const char text[] = "{\"capacity_milli\":1,\"services\":[]}\0{";

        assert_refused(text, sizeof text - 1, (const char *const[]) { "line 1", NULL });
}
END_TEST

START_TEST(broken_utf8_is_refused)
{
        static const char text[] = "{\"capacity_milli\":1,\"services\":[{\"name\":\"\xff\xfe\"}]}";

        assert_refused(text, strlen(text), (const char *const[]) { "line 1", NULL });
}
END_TEST

START_TEST(unknown_keys_warn_with_the_nearest_name)
{
        static const char text[] = "{\"capacity_milli\":1,\"colour\":1,\"services\":[{\"name\":\"a\",\"wieght\":3,"
                                   "\"credit\":1}],\"paths\":[{\"name\":\"p\",\"services\":[\"a\"],"
                                   "\"weihgt\":2}]}";
        struct plan_request *request = NULL;
        struct plan_warnings warnings = { 0 };
        char *problem = NULL;

        ck_assert_int_eq(plan_request_parse(text, strlen(text), &request, &problem, &warnings), 0);
        ck_assert_uint_eq(warnings.n_found, 3);
        ck_assert_ptr_nonnull(strstr(warnings.texts[0], "colour: unknown key"));
        ck_assert_ptr_null(strstr(warnings.texts[0], "did you mean"));
        ck_assert_ptr_nonnull(strstr(warnings.texts[1], "services[0] (\"a\").wieght"));
        ck_assert_ptr_nonnull(strstr(warnings.texts[1], "did you mean weight?"));
        ck_assert_ptr_nonnull(strstr(warnings.texts[2], "paths[0].weihgt"));
        plan_warnings_done(&warnings);
        plan_request_free(request);
}
END_TEST

START_TEST(a_latency_without_the_cpu_held_then_is_said_to_be_unusable_once)
{
        static const char text[] = "{\"capacity_milli\":1,\"services\":[{\"name\":\"a\",\"latency_ms\":3},"
                                   "{\"name\":\"b\",\"latency_ms\":3},{\"name\":\"c\",\"latency_ms\":3,"
                                   "\"quota_milli\":0}]}";
        struct plan_request *request = NULL;
        struct plan_warnings warnings = { 0 };
        char *problem = NULL;

        ck_assert_int_eq(plan_request_parse(text, strlen(text), &request, &problem, &warnings), 0);
        ck_assert_uint_eq(warnings.n_found, 1);
        ck_assert_ptr_nonnull(strstr(warnings.texts[0], "latency_ms (of 2 services)"));
        ck_assert_ptr_nonnull(strstr(warnings.texts[0], "quota_milli"));
        plan_warnings_done(&warnings);
        plan_request_free(request);
}
END_TEST

START_TEST(a_credit_beyond_its_range_counts_as_the_end_of_it_and_says_so)
{
        static const char text[] = "{\"capacity_milli\":1,\"services\":[{\"name\":\"a\",\"credit\":-7.5},"
                                   "{\"name\":\"b\",\"credit\":1}]}";
        struct plan_request *request = NULL;
        struct plan_warnings warnings = { 0 };
        char *problem = NULL;

        ck_assert_int_eq(plan_request_parse(text, strlen(text), &request, &problem, &warnings), 0);
        ck_assert(request->services[0].credit == -1 && request->services[1].credit == 1);
        ck_assert_uint_eq(warnings.n_found, 1);
        ck_assert_ptr_nonnull(strstr(warnings.texts[0], "services[0] (\"a\").credit: -7.5"));
        ck_assert_ptr_nonnull(strstr(warnings.texts[0], "taken as -1"));
        plan_warnings_done(&warnings);
        plan_request_free(request);
}
END_TEST

START_TEST(the_answer_says_null_where_there_is_no_number)
{
        const struct plan_answer_service services[] = {
                { "we\"b", 0.1, 1, QUOTA_NONE_MILLI, 0, true, NULL, 0, 50, 42.5 },
                { "db", 1.0 / 3, 20, 20, 100, false, NULL, -0.25, 0, 0 },
        };
        const struct plan_answer answer = {
                .tier = TIER_CONGESTED, .scarcity = 0.5, .shadow_price = INFINITY, .services = services,
                .n_services = 2, .v_before = NAN, .v_after = 0, .step = 1, .verdict = VERDICT_APPLY,
        };
        char *text = NULL;

        ck_assert_int_eq(plan_answer_format(&answer, &text), 0);
        ck_assert_str_eq(text,
                "{\"tier\":\"congested\",\"scarcity\":0.5,\"shadow_price\":null,\"services\":["
                "{\"name\":\"we\\\"b\",\"market_milli\":0.1,\"alloc_milli\":1,\"quota_milli\":null,"
                "\"cpu_weight\":null,\"coalition\":null,\"credit\":0,\"satisfied\":true,"
                "\"latency_target_ms\":50,\"latency_model_ms\":42.5},"
                "{\"name\":\"db\",\"market_milli\":0.3333333333333333,\"alloc_milli\":20,\"quota_milli\":20,"
                "\"cpu_weight\":100,\"coalition\":null,\"credit\":-0.25,\"satisfied\":false,"
                "\"latency_target_ms\":null,\"latency_model_ms\":null}],"
                "\"coalitions\":[],\"gate\":{\"v_before\":null,\"v_after\":0,\"step\":1,\"verdict\":\"apply\"}}");
        free(text);
}
END_TEST

/* Two coalitions of four services; the second was not valued yet. */
static char *answer_with_coalitions(const struct plan_answer_coalition *first)
{
        static const char *const names[] = { "batch", "web", "db", "\xc3\xa4" };
        const struct plan_answer_service services[] = {
                { "web", 100, 90, 90, 100, true, "web", 0.5, 0, 0 },
        };
        struct plan_answer_coalition coalitions[] = {
                *first,
                { .members = (const size_t[]) { 0, 3 }, .n_members = 2, .price = NAN },
        };
        coalitions[0].members = (const size_t[]) { 1, 2 };
        coalitions[0].n_members = 2;
        const struct plan_answer answer = {
                .tier = TIER_CONGESTED, .services = services, .n_services = 1, .coalitions = coalitions,
                .n_coalitions = 2, .names = names, .v_before = NAN, .step = 1, .verdict = VERDICT_APPLY,
        };
        char *text = NULL;

        ck_assert_int_eq(plan_answer_format(&answer, &text), 0);
        return text;
}

static void assert_says(const char *text, const char *part)
{
        ck_assert_msg(strstr(text, part), "\"%s\" is not in \"%s\"", part, text);
}

START_TEST(a_coalition_goes_by_its_first_member_and_values_stand_in_their_order)
{
        char *text = answer_with_coalitions(&(struct plan_answer_coalition) {
                .is_formed = true, .price = 0.5, .is_valued = true, .worth = 4.5, .is_stable = true,
                .max_excess = -0.5, .blocking = 1, .shapley = (const double[]) { 3, 1.5 },
                .imputation = (const double[]) { 4, 0.5 },
        });

        assert_says(text, "\"coalition\":\"web\",\"credit\":0.5,");
        assert_says(text, "{\"id\":\"web\",\"members\":[\"web\",\"db\"],\"value\":4.5,\"stable\":true,"
                          "\"max_excess\":-0.5,\"blocking\":[],\"shapley\":[3,1.5],\"imputation\":[4,0.5],"
                          "\"formed\":true,\"price\":0.5}");
        free(text);
}
END_TEST

START_TEST(what_no_valuation_found_is_null)
{
        char *text = answer_with_coalitions(&(struct plan_answer_coalition) { .price = NAN });

        assert_says(text, "{\"id\":\"batch\",\"members\":[\"batch\",\"\xc3\xa4\"],\"value\":null,"
                          "\"stable\":null,\"max_excess\":null,\"blocking\":null,\"shapley\":null,"
                          "\"imputation\":null,\"formed\":false,\"price\":null}");
        free(text);
}
END_TEST

START_TEST(who_could_do_better_is_named_only_where_a_coalition_is_not_stable)
{
        char *text = answer_with_coalitions(&(struct plan_answer_coalition) {
                .is_valued = true, .worth = 1, .max_excess = 2, .blocking = 2,
                .shapley = (const double[]) { 0, 1 }, .imputation = (const double[]) { 0, 1 },
        });

        assert_says(text, "\"stable\":false,\"max_excess\":2,\"blocking\":[\"db\"],");
        free(text);
}
END_TEST

START_TEST(numbers_read_back_as_they_were)
{
        struct testing_random random = { testing_seed() };
        char text[NUMBER_TEXT_MAX];

        for (int i = 0; i < 100000; i++) {
                union { uint64_t u; double d; } v = { .u = testing_random_u64(&random) };
                if (!isfinite(v.d))
                        continue;
                ck_assert(strtod(format_shortest(text, v.d), NULL) == v.d);
                ck_assert_ptr_null(strchr(text, ','));
        }
        ck_assert_str_eq(format_shortest(text, 0.1), "0.1");
        ck_assert_str_eq(format_shortest(text, 1200), "1200");
}
END_TEST

START_TEST(a_name_is_near_only_when_it_could_be_meant)
{
        static const char *const names[] = { "status", NULL, "explain", "plan" };

        ck_assert_str_eq(nearest_name("statsu", names, 4), "status");
        ck_assert_str_eq(nearest_name("Explian", names, 4), "explain");
        ck_assert_str_eq(nearest_name("pla", names, 4), "plan");
        ck_assert_ptr_null(nearest_name("xyz", names, 4));
        ck_assert_ptr_null(nearest_name("", names, 4));
        ck_assert_uint_eq(edit_distance("abc", "acb"), 1);
        ck_assert_uint_eq(edit_distance("", "abc"), 3);
        ck_assert_uint_eq(edit_distance("kitten", "sitting"), 3);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("plan_json");
        TCase *tcase = tcase_create("plan_json");

        tcase_add_test(tcase, everything_said_is_read);
        tcase_add_test(tcase, what_is_not_said_has_its_default);
        tcase_add_test(tcase, paths_may_be_added_where_the_question_says_none);
        tcase_add_test(tcase, an_empty_list_is_a_right_question);
        tcase_add_test(tcase, null_says_none_where_none_is_possible);
        tcase_add_loop_test(tcase, what_is_wrong_is_refused_with_place_and_remedy, 0,
                            sizeof refused / sizeof *refused);
        tcase_add_test(tcase, deep_nesting_is_refused_early);
        tcase_add_test(tcase, bytes_after_a_nul_are_not_overlooked);
        tcase_add_test(tcase, broken_utf8_is_refused);
        tcase_add_test(tcase, unknown_keys_warn_with_the_nearest_name);
        tcase_add_test(tcase, a_latency_without_the_cpu_held_then_is_said_to_be_unusable_once);
        tcase_add_test(tcase, a_credit_beyond_its_range_counts_as_the_end_of_it_and_says_so);
        tcase_add_test(tcase, the_answer_says_null_where_there_is_no_number);
        tcase_add_test(tcase, a_coalition_goes_by_its_first_member_and_values_stand_in_their_order);
        tcase_add_test(tcase, what_no_valuation_found_is_null);
        tcase_add_test(tcase, who_could_do_better_is_named_only_where_a_coalition_is_not_stable);
        tcase_add_test(tcase, numbers_read_back_as_they_were);
        tcase_add_test(tcase, a_name_is_near_only_when_it_could_be_meant);
        suite_add_tcase(suite, tcase);
        return testing_run(suite);
}
