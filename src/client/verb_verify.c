/* SPDX-License-Identifier: MIT */

/* verify: the configuration as the daemon would read it, checked without a daemon. */

#include "client/client.h"
#include "client/json.h"
#include "platform/config_file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *const severity_names[_DIAGNOSTIC_SEVERITY_MAX] = {
        [DIAGNOSTIC_ERROR] = "error",
        [DIAGNOSTIC_WARNING] = "warning",
        [DIAGNOSTIC_NOTICE] = "notice",
};

static int print_json(const struct diagnostics *findings, bool is_valid)
{
        _cleanup_json_ struct json_object *top = json_object_new_object();
        struct json_object *list = json_object_new_array();

        if (!top || json_object_object_add(top, "valid", json_object_new_boolean(is_valid)) < 0 ||
            json_object_object_add(top, "findings", list) < 0)
                return out_of_memory();
        for (size_t i = 0; i < findings->n_items; i++) {
                const struct diagnostic *d = &findings->items[i];
                struct json_object *o = json_object_new_object();

                if (!o || json_object_array_add(list, o) < 0)
                        return out_of_memory();
                if (json_object_object_add(o, "severity",
                                           json_object_new_string(severity_names[d->severity])) < 0 ||
                    json_object_object_add(o, "file", d->file ? json_object_new_string(d->file) : NULL) < 0 ||
                    json_object_object_add(o, "line", d->line ? json_object_new_int64(d->line) : NULL) < 0 ||
                    json_object_object_add(o, "text", json_object_new_string(d->text)) < 0)
                        return out_of_memory();
        }
        return json_print(top);
}

int verb_verify(const struct client *c, char *args[], int n_args)
{
        _cleanup_diagnostics_ struct diagnostics findings = { 0 };
        _cleanup_config_ struct config *config = NULL;
        long n_online = sysconf(_SC_NPROCESSORS_ONLN);
        unsigned n_cpus = n_online > 0 ? (unsigned)n_online : 1;

        /* argv ends with a NULL, and so does what is left of it. */
        int r = n_args > 0 ? config_load_files((const char *const *)args, n_cpus, &config, &findings) :
                             config_load(CONFIG_MAIN_PATH, CONFIG_DROPIN_DIR, n_cpus, &config, &findings);
        if (r == -ENOMEM)
                return out_of_memory();

        if (c->want_json) {
                int status = print_json(&findings, r >= 0);
                return status != STATUS_FINE ? status : r < 0 ? STATUS_FAILED : STATUS_FINE;
        }
        diagnostics_print(&findings, stderr);
        if (r < 0 && !diagnostics_first_error(&findings)) {
                complain("The configuration could not be read: %s", strerror(-r));
                return STATUS_FAILED;
        }
        if (r < 0)
                return STATUS_FAILED;
        (void)printf("The configuration is valid: %zu service%s, %zu path%s.\n", config->n_services,
                     config->n_services == 1 ? "" : "s", config->n_paths,
                     config->n_paths == 1 ? "" : "s");
        return STATUS_FINE;
}
