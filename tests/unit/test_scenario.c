/* SPDX-License-Identifier: MIT */

#include "sim/scenario.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>

#include "lib/testing.h"

/* Writes a file of its own for each text, loads it and removes it. Return: what scenario_load() did. */
static int load_text(const char *text, struct scenario **ret, struct diagnostics *diag)
{
        char path[] = "/tmp/coalloc-scenario-XXXXXX";
        int fd = mkstemp(path), r;

        ck_assert_int_ge(fd, 0);
        ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
        close(fd);
        r = scenario_load(path, ret, diag);
        unlink(path);
        return r;
}

#define HOST "[Host]\nCpus=4\n"
#define SERVICES "[Service web]\n[Service app]\n[Service db]\n"

START_TEST(a_scenario_is_read_as_it_is_meant)
{
        struct diagnostics diag = { 0 };
        struct scenario *s = NULL;

        ck_assert_int_eq(load_text("[Host]\nCpus=4\nDuration=5min\nWarmup=30s\nWriteDelay=5ms\n"
                                   "[Slice shop]\nWeight=300\nQuota=50%host\n"
                                   "[Slice inner]\nSlice=shop\n"
                                   "[Service web]\nSlice=inner\nQuota=1.5\nBurst=50%\nThreads=8\nQueue=10\nWork=2ms\n"
                                   "WorkShape=exponential\nStartWork=3s\n"
                                   "[Service app]\n"
                                   "[Service log]\nHogs=2\n"
                                   "[Path p]\nEntry=web\nCalls=web>app*25%\nCalls=web>>log\nRate=12.5\nLatencyTargetSec=100ms\n"
                                   "[Event crowd]\nPath=p\nAt=1min\nFor=30s\nOver=5s\nRate=400%\n"
                                   "[Event leak]\nService=app\nAt=10s\nWork=200%\n"
                                   "[Event cap]\nService=app\nAt=20s\nFor=10s\nQuota=30%\nWeight=20\n",
                                   &s, &diag), 0);
        ck_assert_uint_eq(s->n_cpus, 4);
        ck_assert_double_eq(s->duration_usec, 300e6);
        ck_assert_double_eq(s->warmup_usec, 30e6);
        ck_assert_double_eq(s->write_delay_usec, 5e3);
        ck_assert_uint_eq(s->n_slices, 2);
        ck_assert_double_eq(s->slices[0].setting.quota_usec, 200e3);
        ck_assert_uint_eq(s->slices[1].parent, 0);
        ck_assert_uint_eq(s->n_services, 3);
        ck_assert_str_eq(s->services[0].name, "web");
        ck_assert_uint_eq(s->services[0].slice, 1);
        ck_assert_uint_eq(s->services[0].load.group, 2);
        ck_assert_double_eq(s->services[0].setting.quota_usec, 150e3);
        ck_assert_double_eq(s->services[0].setting.burst_usec, 50e3);
        ck_assert_int_eq(s->services[0].load.shape, WORK_EXPONENTIAL);
        ck_assert_double_eq(s->services[0].load.work_usec, 2e3);
        ck_assert_double_eq(s->services[0].load.start_work_usec, 3e6);
        ck_assert(isinf(s->services[1].setting.quota_usec));
        ck_assert_uint_eq(s->services[1].setting.weight, 100);
        ck_assert_uint_eq(s->services[2].load.n_hogs, 2);
        ck_assert_uint_eq(s->paths[0].load.n_calls, 2);
        ck_assert_double_eq(s->paths[0].load.calls[0].probability, 0.25);
        ck_assert(!s->paths[0].load.calls[0].is_async);
        ck_assert(s->paths[0].load.calls[1].is_async);
        ck_assert_uint_eq(s->paths[0].load.calls[1].callee, 2);
        ck_assert_double_eq(s->paths[0].load.target_usec, 100e3);
        ck_assert_uint_eq(s->paths[0].load.n_ramps, 1);
        ck_assert_double_eq(s->paths[0].load.ramps[0].until_usec, 90e6);
        ck_assert_double_eq(s->services[1].load.ramps[0].factor, 2);
        ck_assert(isinf(s->services[1].load.ramps[0].until_usec));
        ck_assert_uint_eq(s->n_events, 1);
        ck_assert_double_eq(s->events[0].setting.quota_usec, 30e3);
        ck_assert(isnan(s->events[0].setting.burst_usec));
        ck_assert_uint_eq(s->events[0].setting.weight, 20);
        ck_assert_uint_eq(diag.n_items, 0);
        scenario_free(s);
        diagnostics_done(&diag);
}
END_TEST

START_TEST(copies_stand_side_by_side_and_call_each_their_own)
{
        struct diagnostics diag = { 0 };
        struct scenario *s = NULL;

        ck_assert_int_eq(load_text("[Host]\nCpus=8\nCopies=3\n[Slice shop]\n[Service web]\nSlice=shop\n[Service db]\n"
                                   "[Path p]\nEntry=web\nCalls=web>db\nRate=10\n"
                                   "[Event r]\nService=db\nAt=1s\nFor=1s\nRestart=yes\n[Event u]\nAt=1s\nCpus=4\n",
                                   &s, &diag), 0);
        ck_assert_uint_eq(s->n_slices, 3);
        ck_assert_uint_eq(s->n_services, 6);
        ck_assert_uint_eq(s->n_paths, 3);
        ck_assert_uint_eq(s->n_events, 4); /* one host */
        ck_assert_str_eq(s->services[5].name, "db.3");
        ck_assert_uint_eq(s->services[4].slice, 2);
        ck_assert_uint_eq(s->services[4].load.group, 7);
        ck_assert_uint_eq(s->paths[2].load.entry, 4);
        ck_assert_uint_eq(s->paths[2].load.calls[0].callee, 5);
        ck_assert_double_eq(s->paths[2].load.rates_per_sec[0], 10);
        scenario_free(s);
        diagnostics_done(&diag);
}
END_TEST

/* What is wrong, on which line, and words of what is said about it. */
static const struct {
        const char *text;
        unsigned line;
        const char *words;
} mistakes[] = {
        { "", 0, "there is no [Host]" },
        { HOST, 0, "there is no [Service]" },
        { "Cpus=4\n", 1, "before the first section" },
        { "[Host]\n[Service web]\n", 1, "[Host] needs Cpus=" },
        { "[Host\nCpus=4\n", 1, "no closing ]" },
        { "[Host x]\nCpus=4\n", 1, "the host has no name" },
        { HOST "[Servce web]\n", 3, "did you mean Service?" },
        { HOST "[Service]\n", 3, "a name has 1 to 41" },
        { HOST "[Service web]\n[Service web]\n", 4, "already on line 3" },
        { HOST "[Service web]\nThread=3\n", 4, "did you mean Threads=?" },
        { HOST "[Service web]\nThreads=3\nThreads=4\n", 5, "already set on line 4" },
        { HOST "[Service web]\nThreads\n", 4, "there is no =" },
        { "[Host]\nCpus=0\n" SERVICES, 2, "1 to 1024" },
        { "[Host]\nCpus=four\n" SERVICES, 2, "not a whole number" },
        { HOST "Warmup=20min\n" SERVICES, 3, "Warmup=: nothing is left" },
        { HOST "Copies=900\n[Service a]\n[Service b]\n[Service c]\n[Service d]\n[Service e]\n[Service f]\n[Service g]\n"
               "[Service h]\n[Service i]\n[Service j]\n[Service k]\n", 3, "more than 10000 sections" },
        { HOST "[Service web]\nQuota=0.5%\n", 4, "less than 1%" },
        { HOST "[Service web]\nQuota=50%\nBurst=60%\n", 5, "more than the quota" },
        { HOST "[Service web]\nBurst=infinity\n", 4, "more than the quota" },
        { HOST "[Service web]\nQuota=lots\n", 4, "nor infinity" },
        { HOST "[Service web]\nWork=5 # ms\n", 4, "a comment behind a value" },
        { HOST "[Service web]\nWorkShape=normal\n", 4, "exponential, lognormal or fixed" },
        { HOST "[Service web]\nWeight=0\n", 4, "1 to 10000" },
        { HOST "[Service web]\nSlice=shop\n", 4, "there is no [Slice shop]" },
        { HOST "[Slice a]\nSlice=b\n[Slice b]\n" SERVICES, 4, "put [Slice b] above" },
        { HOST "[Slice a]\nSlice=a\n" SERVICES, 4, "put [Slice a] above" },
        { HOST SERVICES "[Path p]\nRate=1\n", 6, "needs Entry=" },
        { HOST SERVICES "[Path p]\nEntry=wbe\nRate=1\n", 7, "did you mean web?" },
        { HOST SERVICES "[Path p]\nEntry=web\n", 6, "either Rate= or Trace=" },
        { HOST SERVICES "[Path p]\nEntry=web\nRate=1\nTrace=x\n", 6, "either Rate= or Trace=" },
        { HOST SERVICES "[Path p]\nEntry=web\nRate=1\nTraceScale=200%\n", 9, "no Trace= to scale" },
        { HOST SERVICES "[Path p]\nEntry=web\nTrace=/nowhere/at-all\n", 8, "there is no file /nowhere/at-all" },
        { HOST SERVICES "[Path p]\nEntry=web\nRate=1\nCalls=web-app\n", 9, "not a call such as" },
        { HOST SERVICES "[Path p]\nEntry=web\nRate=1\nCalls=web>app*120%\n", 9, "not a call such as" },
        { HOST SERVICES "[Path p]\nEntry=web\nRate=1\nCalls=web>ap\n", 9, "did you mean app?" },
        { HOST SERVICES "[Path p]\nEntry=web\nRate=1\nCalls=web>app app>db db>>web\n", 9, "circle" },
        { HOST SERVICES "[Path p]\nEntry=web\nRate=1\nCalls=app>db\n", 9, "no request reaches" },
        { HOST SERVICES "[Event e]\nService=web\nWork=2\n", 8, "not a percentage" },
        { HOST SERVICES "[Event e]\nService=web\nWork=200%\n", 6, "needs At=" },
        { HOST SERVICES "[Event e]\nAt=1s\nService=web\n", 6, "needs one effect" },
        { HOST SERVICES "[Event e]\nAt=1s\nService=web\nWork=50%\nQuota=50%\n", 6, "needs one effect" },
        { HOST SERVICES "[Event e]\nAt=1s\nService=web\nRate=50%\n", 6, "it needs Path=" },
        { HOST SERVICES "[Event e]\nAt=1s\nService=web\nCpus=2\n", 6, "neither Service= nor Path=" },
        { HOST SERVICES "[Event e]\nAt=1s\nCpus=8\n", 8, "the host has only 4" },
        { HOST SERVICES "[Event e]\nAt=1s\nReads=10%\n", 6, "it needs Service=" },
        { HOST SERVICES "[Event e]\nAt=1s\nService=web\nRestart=yes\n", 6, "needs For=" },
        { HOST SERVICES "[Event e]\nAt=1s\nService=web\nQuota=50%\nOver=5s\n", 10, "only Rate= and Work=" },
        { HOST SERVICES "[Event e]\nAt=1s\nFor=1s\nOver=5s\nService=web\nWork=50%\n", 9, "For= is shorter" },
        { HOST "[Service web]\nQuota=90%\nBurst=50%\n[Event e]\nAt=1s\nService=web\nQuota=40%\n", 9, "set Burst= too" },
        { HOST "[Service web]\nReads=missing\n", 4, "has no setting Reads=" },
};

START_TEST(every_mistake_is_told_with_its_line_and_what_to_do)
{
        for (size_t k = 0; k < sizeof mistakes / sizeof *mistakes; k++) {
                struct diagnostics diag = { 0 };
                struct scenario *s = NULL;
                bool is_told = false;

                int r = load_text(mistakes[k].text, &s, &diag);
                if (r != -EINVAL || s)
                        ck_abort_msg("mistake %zu was taken (%d)", k, r);
                for (size_t i = 0; i < diag.n_items; i++)
                        is_told |= diag.items[i].severity == DIAGNOSTIC_ERROR && diag.items[i].file &&
                                   diag.items[i].line == mistakes[k].line && strstr(diag.items[i].text, mistakes[k].words);
                if (!is_told) {
                        diagnostics_print(&diag, stderr);
                        ck_abort_msg("mistake %zu: nobody says \"%s\" of line %u", k, mistakes[k].words, mistakes[k].line);
                }
                diagnostics_done(&diag);
        }
}
END_TEST

START_TEST(all_mistakes_are_told_at_once)
{
        struct diagnostics diag = { 0 };
        struct scenario *s = NULL;

        ck_assert_int_eq(load_text(HOST "Warmup=never\n[Service web]\nThreads=0\nSlize=x\n", &s, &diag), -EINVAL);
        ck_assert_uint_eq(diag.n_items, 3);
        diagnostics_done(&diag);
}
END_TEST

START_TEST(a_trace_that_is_no_trace_is_told_with_its_own_line)
{
        char trace[] = "/tmp/coalloc-trace-XXXXXX", text[200];
        struct diagnostics diag = { 0 };
        struct scenario *s = NULL;
        int fd = mkstemp(trace);

        ck_assert_int_eq(write(fd, "10\n20.5\nmany\n", 13), 13);
        close(fd);
        snprintf(text, sizeof text, HOST SERVICES "[Path p]\nEntry=web\nTrace=%s\n", trace);
        ck_assert_int_eq(load_text(text, &s, &diag), -EINVAL);
        ck_assert_str_eq(diag.items[0].file, trace);
        ck_assert_uint_eq(diag.items[0].line, 3);
        diagnostics_done(&diag);

        ck_assert_int_eq(truncate(trace, 8), 0);
        strcat(text, "TraceScale=50%\n");
        diag = (struct diagnostics){ 0 };
        ck_assert_int_eq(load_text(text, &s, &diag), 0);
        ck_assert_uint_eq(s->paths[0].load.n_rates, 2);
        ck_assert_double_eq(s->paths[0].load.rates_per_sec[1], 10.25);
        scenario_free(s);
        diagnostics_done(&diag);
        unlink(trace);
}
END_TEST

START_TEST(every_scenario_of_the_tree_is_one)
{
        DIR *dir = opendir(testing_source_path("tests/scenario"));
        const struct dirent *entry;
        size_t n_found = 0;

        ck_assert_ptr_nonnull(dir);
        while ((entry = readdir(dir))) {
                struct diagnostics diag = { 0 };
                struct scenario *s = NULL;
                char relative[300];

                if (!strstr(entry->d_name, ".ini"))
                        continue;
                snprintf(relative, sizeof relative, "tests/scenario/%s", entry->d_name);
                int r = scenario_load(testing_source_path(relative), &s, &diag);
                diagnostics_print(&diag, stderr);
                ck_assert_int_eq(r, 0);
                ck_assert_uint_eq(diag.n_items, 0);
                scenario_free(s);
                diagnostics_done(&diag);
                n_found++;
        }
        closedir(dir);
        ck_assert_uint_ge(n_found, 18);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("scenario");
        TCase *t = tcase_create("scenario");

        tcase_add_test(t, a_scenario_is_read_as_it_is_meant);
        tcase_add_test(t, copies_stand_side_by_side_and_call_each_their_own);
        tcase_add_test(t, every_mistake_is_told_with_its_line_and_what_to_do);
        tcase_add_test(t, all_mistakes_are_told_at_once);
        tcase_add_test(t, a_trace_that_is_no_trace_is_told_with_its_own_line);
        tcase_add_test(t, every_scenario_of_the_tree_is_one);
        suite_add_tcase(s, t);
        return testing_run(s);
}
