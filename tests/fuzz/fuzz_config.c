/* SPDX-License-Identifier: MIT */

/* The configuration is read from files that anybody with an editor, or a broken one, wrote: whatever
 * is in them, the result is an error or a configuration whose promises hold. */

#include "platform/config_file.h"
#include "util/cleanup.h"
#include "util/unit_name.h"

#include <assert.h>
#include <string.h>
#include <sys/mman.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct config *c)
{
        uint64_t host = (uint64_t)c->n_cpus * USEC_PER_SEC;

        assert(c->capacity.usec_per_sec <= host);
        assert(c->reserve.usec_per_sec <= c->capacity.usec_per_sec);
        assert(c->epoch_usec >= 2 * c->sample_interval_usec);
        for (size_t i = 0; i < c->n_services; i++) {
                const struct config_service *s = &c->services[i];

                assert(s->floor.usec_per_sec <= s->baseline.usec_per_sec);
                assert(s->baseline.usec_per_sec <= s->max.usec_per_sec);
                assert(s->max.usec_per_sec <= host);
                assert(s->weight >= 1 && s->weight <= 10000);
                assert(config_find_service(c, s->name) == (ssize_t)i);
                if (!s->is_pattern) {
                        assert(config_match_service(c, s->unit) == (ssize_t)i);
                        assert(config_wants(c, s->unit));
                        assert(unit_name_is_valid(s->unit));
                }
                for (size_t j = 0; s->calls && s->calls[j]; j++)
                        assert(config_find_service(c, s->calls[j]) >= 0);
        }
        for (size_t i = 0; i < c->n_paths; i++) {
                assert(c->paths[i].services);
                for (size_t j = 0; c->paths[i].services[j]; j++)
                        assert(config_find_service(c, c->paths[i].services[j]) >= 0);
        }
        assert(config_match_service(c, "-.slice") < 0);
        assert(!config_wants(c, "coallocd.service"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_close_ int fd = memfd_create("fuzz", MFD_CLOEXEC);
        _cleanup_diagnostics_ struct diagnostics diag = { 0 };
        _cleanup_config_ struct config *config = NULL;
        char path[64];

        assert(fd >= 0);
        if (write(fd, data, size) != (ssize_t)size)
                abort();
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);

        int r = config_load_files((const char *const[]){ path, NULL }, 4, &config, &diag);
        assert((r == 0) == (config != NULL));
        assert((r == 0) == (diag.n_found[DIAGNOSTIC_ERROR] == 0));
        for (size_t i = 0; i < diag.n_items; i++)
                for (const char *p = diag.items[i].text; *p; p++)
                        assert(*p >= ' ' && *p <= '~');
        if (!config)
                return 0;
        check(config);
        (void)config_resolve(config, 1, &diag);
        check(config);
        (void)config_resolve(config, 64, &diag);
        check(config);
        return 0;
}
