/* SPDX-License-Identifier: MIT */

/* coallocctl: looks at a running coallocd, steers it, and answers what needs no daemon. */

#include "config.h"

#include "client/client.h"
#include "client/term.h"
#include "util/nearest.h"

#include <getopt.h>
#include <locale.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARGS_ANY 1000000

/* Options that only some verbs take. */
enum {
        TAKES_JSON = 1 << 0,
        TAKES_BUS = 1 << 1,             /* --host, --machine */
        TAKES_LEGEND = 1 << 2,
        TAKES_SAMPLES = 1 << 3,
        TAKES_CONFIG = 1 << 4,
        TAKES_ROOT = 1 << 5,
        TAKES_HEADER = 1 << 6,
        TAKES_REQUESTS = 1 << 7,
        TAKES_DRAWING = 1 << 8,         /* --dot, --svg */
        TAKES_SPAN = 1 << 9,            /* --lines, --since, --until */
};

static const struct verb {
        const char *name;
        const char *args;
        int n_args_min, n_args_max;
        unsigned takes;
        verb_fn *run;
        const char *summary;
} verbs[] = {
        { "status", "", 0, 0, TAKES_JSON | TAKES_BUS | TAKES_LEGEND, verb_status,
          "The host and every service in one screen (default)" },
        { "explain", "UNIT", 1, 1, TAKES_JSON | TAKES_BUS, verb_explain,
          "The last decision for a unit or service, and why" },
        { "coalitions", "", 0, 0, TAKES_JSON | TAKES_BUS | TAKES_LEGEND, verb_coalitions,
          "Who pools CPU, what that saves, what moved" },
        { "credits", "", 0, 0, TAKES_JSON | TAKES_BUS | TAKES_LEGEND, verb_credits,
          "Who gave more to its coalition than it got" },
        { "prices", "[PATH...]", 0, ARGS_ANY, TAKES_JSON | TAKES_BUS | TAKES_LEGEND | TAKES_HEADER,
          verb_prices, "What CPU and a request on each path cost now" },
        { "graph", "", 0, 0, TAKES_JSON | TAKES_BUS | TAKES_LEGEND | TAKES_DRAWING, verb_graph,
          "Who calls whom, with coalitions and allocations" },
        { "history", "[UNIT]", 0, 1, TAKES_JSON | TAKES_LEGEND | TAKES_ROOT | TAKES_SPAN, verb_history,
          "Recorded epochs, of the host or of a service" },
        { "plan", "", 0, 0, TAKES_JSON | TAKES_BUS | TAKES_LEGEND | TAKES_SAMPLES | TAKES_CONFIG,
          verb_plan, "What the allocator decides, for the host or for --samples=FILE" },
        { "verify", "[FILE...]", 0, ARGS_ANY, TAKES_JSON, verb_verify,
          "Check the configuration, or these files" },
        { "doctor", "", 0, 0, TAKES_JSON | TAKES_ROOT, verb_doctor,
          "Check the host, and say what to do" },
        { "mode", "[enforce|observe]", 0, 1, TAKES_JSON | TAKES_BUS, verb_mode,
          "Show the mode, or set it until the next start" },
        { "freeze", "", 0, 0, TAKES_BUS, verb_freeze, "Hold every allocation until thaw" },
        { "thaw", "", 0, 0, TAKES_BUS, verb_thaw, "Let allocations change again" },
        { "adopt", "UNIT", 1, 1, TAKES_BUS, verb_adopt,
          "Manage a unit again whose quota somebody else changed" },
        { "report-latency", "SERVICE SPAN", 2, 2, TAKES_BUS | TAKES_REQUESTS, verb_report_latency,
          "Tell how long a service's requests take" },
        { "reload", "", 0, 0, TAKES_BUS, verb_reload, "Read the configuration again" },
        { "restore", "", 0, 0, TAKES_BUS, verb_restore,
          "Give every unit back what it had, and only observe" },
};

#define N_VERBS (sizeof verbs / sizeof *verbs)

__attribute__((format(printf, 2, 0))) static void say(enum term_style style, const char *format,
                                                      va_list ap)
{
        (void)fprintf(stderr, "%scoallocctl: ", term_on(stderr, style));
        (void)vfprintf(stderr, format, ap);
        (void)fprintf(stderr, "%s\n", term_off(stderr));
}

void complain(const char *format, ...)
{
        va_list ap;

        va_start(ap, format);
        say(TERM_BAD, format, ap);
        va_end(ap);
}

void remark(const char *format, ...)
{
        va_list ap;

        va_start(ap, format);
        say(TERM_WARN, format, ap);
        va_end(ap);
}

int out_of_memory(void)
{
        complain("Out of memory.");
        return STATUS_FAILED;
}

static int print_help(void)
{
        (void)printf("coallocctl [OPTION...] [VERB] [ARGUMENT...]\n\n"
                     "Looks at the CPU resource manager coallocd, and steers it.\n\nVerbs:\n");
        for (size_t i = 0; i < N_VERBS; i++) {
                char left[64];

                (void)snprintf(left, sizeof left, "%s %s", verbs[i].name, verbs[i].args);
                (void)printf("  %-28s %s\n", left, verbs[i].summary);
        }
        (void)printf("\nOptions:\n"
                     "     --json              JSON: every verb that shows something\n"
                     "  -H --host=[USER@]HOST  The coallocd of another host, through ssh\n"
                     "  -M --machine=NAME      The coallocd of a local container\n"
                     "     --samples=FILE      plan: measurements as JSON; - is standard input\n"
                     "     --config=FILE       plan: defaults from a configuration file\n"
                     "     --header            prices: header lines for proxies, one a path\n"
                     "     --dot               graph: for graphviz\n"
                     "     --svg               graph: a picture\n"
                     "     --requests=N        report-latency: requests since the report before\n"
                     "  -n --lines=N           history: the last N epochs\n"
                     "     --since=TIME        history: from then on; -1h, yesterday, \"2026-01-31 14:00\"\n"
                     "     --until=TIME        history: until then\n"
                     "     --no-legend         Tables without titles and footnotes\n"
                     "  -h --help              This text\n"
                     "     --version           The version\n"
                     "\nExit status: 0 fine, 1 failed, 2 wrong usage, 3 coallocd is not running.\n"
                     "See coallocctl(1).\n");
        return STATUS_FINE;
}

static int usage_hint(void)
{
        (void)fprintf(stderr, "`coallocctl --help` lists verbs and options.\n");
        return STATUS_USAGE;
}

static const struct verb *find_verb(const char *name)
{
        for (size_t i = 0; i < N_VERBS; i++)
                if (strcmp(verbs[i].name, name) == 0)
                        return &verbs[i];
        return NULL;
}

static int unknown_verb(const char *name)
{
        const char *names[N_VERBS];

        for (size_t i = 0; i < N_VERBS; i++)
                names[i] = verbs[i].name;
        const char *near = nearest_name(name, names, N_VERBS);
        if (near)
                complain("Unknown verb \"%s\"; did you mean \"%s\"?", name, near);
        else
                complain("Unknown verb \"%s\".", name);
        return usage_hint();
}

/* The options seen that this verb has no use for: silently ignoring them would mislead. */
static int check_options(const struct verb *v, const struct client *c, bool has_no_legend)
{
        const struct {
                bool is_used;
                unsigned takes;
                const char *name;
        } options[] = {
                { c->want_json, TAKES_JSON, "--json" },
                { c->host, TAKES_BUS, "--host" },
                { c->machine, TAKES_BUS, "--machine" },
                { has_no_legend, TAKES_LEGEND, "--no-legend" },
                { c->samples_path, TAKES_SAMPLES, "--samples" },
                { c->config_path, TAKES_CONFIG, "--config" },
                { *c->root, TAKES_ROOT, "--root" },
                { c->want_header, TAKES_HEADER, "--header" },
                { c->want_dot, TAKES_DRAWING, "--dot" },
                { c->want_svg, TAKES_DRAWING, "--svg" },
                { c->requests, TAKES_REQUESTS, "--requests" },
                { c->lines, TAKES_SPAN, "--lines" },
                { c->since, TAKES_SPAN, "--since" },
                { c->until, TAKES_SPAN, "--until" },
        };

        if (v->run == verb_history && (c->host || c->machine)) {
                complain("The verb \"history\" reads a file of this host; run it there: %s.",
                         c->host ? "ssh HOST coallocctl history" : "machinectl shell NAME /usr/bin/coallocctl history");
                return usage_hint();
        }

        for (size_t i = 0; i < sizeof options / sizeof *options; i++)
                if (options[i].is_used && !(v->takes & options[i].takes)) {
                        complain("The verb \"%s\" does not take %s.", v->name, options[i].name);
                        return usage_hint();
                }
        if (c->host && c->machine) {
                complain("--host and --machine exclude each other.");
                return usage_hint();
        }
        return STATUS_FINE;
}

static int run(int argc, char *argv[])
{
        enum { OPTION_JSON = 256, OPTION_SAMPLES, OPTION_CONFIG, OPTION_NO_LEGEND, OPTION_VERSION, OPTION_ROOT,
               OPTION_HEADER, OPTION_DOT, OPTION_SVG, OPTION_REQUESTS, OPTION_SINCE, OPTION_UNTIL };
        static const struct option options[] = {
                { "json", no_argument, NULL, OPTION_JSON },
                { "host", required_argument, NULL, 'H' },
                { "machine", required_argument, NULL, 'M' },
                { "samples", required_argument, NULL, OPTION_SAMPLES },
                { "config", required_argument, NULL, OPTION_CONFIG },
                { "no-legend", no_argument, NULL, OPTION_NO_LEGEND },
                { "root", required_argument, NULL, OPTION_ROOT },
                { "header", no_argument, NULL, OPTION_HEADER },
                { "dot", no_argument, NULL, OPTION_DOT },
                { "svg", no_argument, NULL, OPTION_SVG },
                { "requests", required_argument, NULL, OPTION_REQUESTS },
                { "lines", required_argument, NULL, 'n' },
                { "since", required_argument, NULL, OPTION_SINCE },
                { "until", required_argument, NULL, OPTION_UNTIL },
                { "help", no_argument, NULL, 'h' },
                { "version", no_argument, NULL, OPTION_VERSION },
                { 0 },
        };
        struct client c = { .has_legend = true, .root = "" };
        const struct verb *v = &verbs[0];
        int option;

        /* Characters only: how wide a name is. Numbers stay as they are everywhere. */
        (void)setlocale(LC_CTYPE, "");

        while ((option = getopt_long(argc, argv, "hH:M:n:", options, NULL)) >= 0)
                switch (option) {
                case OPTION_JSON:
                        c.want_json = true;
                        break;
                case 'H':
                        c.host = optarg;
                        break;
                case 'M':
                        c.machine = optarg;
                        break;
                case OPTION_SAMPLES:
                        c.samples_path = optarg;
                        break;
                case OPTION_CONFIG:
                        c.config_path = optarg;
                        break;
                case OPTION_NO_LEGEND:
                        c.has_legend = false;
                        break;
                case OPTION_ROOT:
                        c.root = optarg;
                        break;
                case OPTION_HEADER:
                        c.want_header = true;
                        break;
                case OPTION_DOT:
                        c.want_dot = true;
                        break;
                case OPTION_SVG:
                        c.want_svg = true;
                        break;
                case OPTION_REQUESTS:
                        c.requests = optarg;
                        break;
                case 'n':
                        c.lines = optarg;
                        break;
                case OPTION_SINCE:
                        c.since = optarg;
                        break;
                case OPTION_UNTIL:
                        c.until = optarg;
                        break;
                case 'h':
                        return print_help();
                case OPTION_VERSION:
                        (void)printf("coallocctl %s\n", PACKAGE_VERSION);
                        return STATUS_FINE;
                default:
                        if (optopt >= '0' && optopt <= '9')
                                complain("No argument of any verb may be negative.");
                        return usage_hint();
                }

        char **args = argv + optind;
        int n_args = argc - optind;
        if (n_args > 0) {
                v = find_verb(args[0]);
                if (!v)
                        return unknown_verb(args[0]);
                args++;
                n_args--;
        }
        if (n_args < v->n_args_min || n_args > v->n_args_max) {
                complain("The verb \"%s\" takes %s: coallocctl %s%s%s", v->name,
                         v->n_args_max == 0   ? "no argument"
                         : v->n_args_min == 0 ? "one argument at most"
                         : v->n_args_min == 1 ? "one argument"
                                              : "two arguments",
                         v->name, *v->args ? " " : "", v->args);
                return usage_hint();
        }
        int status = check_options(v, &c, !c.has_legend);
        if (status != STATUS_FINE)
                return status;

        return v->run(&c, args, n_args);
}

int main(int argc, char *argv[])
{
        int status = run(argc, argv);

        /* A full disk or a closed pipe: what was printed did not arrive. The one place that looks, so
         * nobody who prints has to; an earlier write that failed left its mark, but not its errno. */
        if (fflush(stdout) != 0)
                complain("Could not write the answer: %m");
        else if (ferror(stdout))
                complain("Could not write all of the answer.");
        else
                return status;
        return status == STATUS_FINE ? STATUS_FAILED : status;
}
