/* SPDX-License-Identifier: MIT */
#pragma once

/* What all verbs of coallocctl share: options, exit statuses, one way of complaining. */

#include <stdbool.h>

enum {
        STATUS_FINE = 0,
        STATUS_FAILED = 1,
        STATUS_USAGE = 2,
        STATUS_NOT_RUNNING = 3,
};

struct client {
        bool want_json;
        bool has_legend;
        const char *host;               /* -H: reached by ssh; NULL = this one */
        const char *machine;            /* -M: a container; NULL = none */
        const char *samples_path;       /* plan: "-" = standard input; NULL = ask the daemon */
        const char *config_path;        /* plan; NULL = none */
        bool want_header;               /* prices */
        bool want_dot, want_svg;        /* graph */
        const char *requests;           /* report-latency: a number; NULL = not said */
        const char *lines, *since, *until; /* history: as written; NULL = not said */
        const char *root;               /* doctor, history: what stands for /, "" in production */
};

/* A verb: arguments without its own name. Return: a STATUS_. */
typedef int verb_fn(const struct client *c, char *args[], int n_args);

verb_fn verb_adopt, verb_coalitions, verb_credits, verb_doctor, verb_explain, verb_freeze, verb_graph,
        verb_history, verb_mode, verb_plan, verb_prices, verb_reload, verb_report_latency, verb_restore, verb_status,
        verb_thaw, verb_verify;

/* One line on standard error with the program's name in front; in red where a person looks. */
__attribute__((format(printf, 1, 2))) void complain(const char *format, ...);
/* The same for what is no failure. */
__attribute__((format(printf, 1, 2))) void remark(const char *format, ...);

/* Says that memory ran out. Return: STATUS_FAILED. */
int out_of_memory(void);
