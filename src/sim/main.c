/* SPDX-License-Identifier: MIT */

/* coalloc-sim: plays a scenario on a host that is not there. */

#include "config.h"

#include "sim/report.h"
#include "util/nearest.h"
#include "util/parse.h"

#include <errno.h>
#include <getopt.h>
#include <locale.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
        STATUS_FINE = 0,
        STATUS_FAILED = 1,
        STATUS_USAGE = 2,
};

/* What a busy host costs is an assumption; both are always shown. */
static const double slowdowns[] = { 0, 0.5 };
#define N_SLOWDOWNS (sizeof slowdowns / sizeof *slowdowns)

__attribute__((format(printf, 1, 2))) static int usage_error(const char *format, ...)
{
        va_list ap;

        (void)fprintf(stderr, "coalloc-sim: ");
        va_start(ap, format);
        (void)vfprintf(stderr, format, ap);
        va_end(ap);
        (void)fprintf(stderr, "\n`coalloc-sim --help` lists verbs and options.\n");
        return STATUS_USAGE;
}

static int out_of_memory(void)
{
        (void)fprintf(stderr, "coalloc-sim: Out of memory.\n");
        return STATUS_FAILED;
}

static int print_help(void)
{
        (void)printf("coalloc-sim [OPTION...] VERB SCENARIO\n\n"
                     "Plays a scenario on a simulated host: CPUs, cgroups, services, requests.\n\nVerbs:\n"
                     "  run SCENARIO           With the settings that it declares\n"
                     "\nOptions:\n"
                     "     --json              JSON\n"
                     "     --seed=N            Another load of the same kind (default: 1)\n"
                     "  -h --help              This text\n"
                     "     --version           The version\n"
                     "\nExit status: 0 fine, 1 failed, 2 wrong usage.\n"
                     "See coalloc-sim(1).\n");
        return STATUS_FINE;
}

static int verb_run(const char *path, uint64_t seed, bool want_json)
{
        _cleanup_diagnostics_ struct diagnostics diag = { 0 };
        _cleanup_scenario_ struct scenario *s = NULL;
        struct report reports[N_SLOWDOWNS] = { 0 };
        int r;

        r = scenario_load(path, &s, &diag);
        diagnostics_print(&diag, stderr);
        if (r == -EINVAL)
                return STATUS_FAILED;
        for (size_t i = 0; i < N_SLOWDOWNS && r == 0; i++)
                r = report_run(s, seed, slowdowns[i], &reports[i]);
        if (r == 0 && want_json)
                r = report_print_json(s, seed, reports, N_SLOWDOWNS, isatty(STDOUT_FILENO), stdout);
        else if (r == 0)
                report_print(s, reports, N_SLOWDOWNS, stdout);
        for (size_t i = 0; i < N_SLOWDOWNS; i++)
                report_done(&reports[i]);
        return r < 0 ? out_of_memory() : STATUS_FINE;
}

static int run(int argc, char *argv[])
{
        enum { OPTION_JSON = 256, OPTION_SEED, OPTION_VERSION };
        static const struct option options[] = {
                { "json", no_argument, NULL, OPTION_JSON },
                { "seed", required_argument, NULL, OPTION_SEED },
                { "help", no_argument, NULL, 'h' },
                { "version", no_argument, NULL, OPTION_VERSION },
                { 0 },
        };
        static const char *const verbs[] = { "run" };
        bool want_json = false;
        uint64_t seed = 1;
        int option;

        /* Characters only: numbers stay as they are everywhere. */
        (void)setlocale(LC_CTYPE, "");
        while ((option = getopt_long(argc, argv, "h", options, NULL)) >= 0)
                switch (option) {
                case OPTION_JSON:
                        want_json = true;
                        break;
                case OPTION_SEED:
                        if (parse_unsigned(optarg, 0, INT64_MAX, &seed) < 0)
                                return usage_error("--seed: \"%s\" is not a whole number.", optarg);
                        break;
                case 'h':
                        return print_help();
                case OPTION_VERSION:
                        (void)printf("coalloc-sim %s\n", PACKAGE_VERSION);
                        return STATUS_FINE;
                default:
                        return usage_error("Nothing was done.");
                }
        if (optind == argc)
                return usage_error("There is no verb.");
        if (strcmp(argv[optind], verbs[0]) != 0) {
                const char *near = nearest_name(argv[optind], verbs, sizeof verbs / sizeof *verbs);

                return usage_error("Unknown verb \"%s\"%s%s%s.", argv[optind], near ? "; did you mean \"" : "",
                                   near ? near : "", near ? "\"?" : "");
        }
        if (argc - optind != 2)
                return usage_error("The verb \"run\" takes one argument: coalloc-sim run SCENARIO");
        return verb_run(argv[optind + 1], seed, want_json);
}

int main(int argc, char *argv[])
{
        int status = run(argc, argv);

        /* A full disk or a closed pipe: what was printed did not arrive. */
        if (fflush(stdout) != 0 || ferror(stdout)) {
                (void)fprintf(stderr, "coalloc-sim: Could not write all of the answer.\n");
                return status == STATUS_FINE ? STATUS_FAILED : status;
        }
        return status;
}
