/* SPDX-License-Identifier: MIT */
#include "lib/daemon_host.h"

#include "lib/replay.h"
#include "platform/config_file.h"
#include "platform/history_db.h"
#include "util/bus_names.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* As coarse as the period of CFS bandwidth control, which loads are counted in. */
#define TICK_USEC 100000

void daemon_host_fail(struct daemon_host *h, const char *file, int line, const char *format, ...)
{
        va_list ap;

        fprintf(stderr, "%s:%d: ", file, line);
        va_start(ap, format);
        vfprintf(stderr, format, ap);
        va_end(ap);
        fprintf(stderr, "\n---- log of coallocd ----\n%s----\n", h && h->log ? h->log : "");
        if (h && h->pid > 0)
                (void)kill(h->pid, SIGKILL);
        if (h) {
                (void)private_bus_free(h->bus);
                (void)fake_tree_free(h->tree);
        }
        exit(EXIT_FAILURE);
}

static _Noreturn void die(struct daemon_host *h, const char *what, int error)
{
        daemon_host_fail(h, __FILE__, 0, "could not %s: %s", what, strerror(error));
}

#define MUST(h, expression)                                     \
        do {                                                    \
                int must_r_ = (expression);                     \
                if (must_r_ < 0)                                \
                        die(h, #expression, -must_r_);          \
        } while (0)

/* ---- load -------------------------------------------------------------------------------------- */

static int on_tick(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct daemon_host *h = userdata;
        uint64_t now_usec = testing_now_usec(), elapsed_usec = now_usec - h->clock_usec;

        elapsed_usec -= elapsed_usec % TICK_USEC;
        h->clock_usec += elapsed_usec;
        h->systemd->host.busy_usec += (uint64_t)(h->unmanaged_cpus * (double)elapsed_usec);
        fake_systemd_run_load(h->systemd, elapsed_usec);
        MUST(h, sd_event_source_set_time(source, h->clock_usec + TICK_USEC));
        MUST(h, sd_event_source_set_enabled(source, SD_EVENT_ONESHOT));
        return 0;
}

/* ---- what is seen ------------------------------------------------------------------------------ */

static void on_set(void *userdata, const struct fake_systemd_unit *unit, bool has_quota, bool has_weight)
{
        struct daemon_host *h = userdata;
        bool is_complete = true;
        double sum_usec = 0;

        uint64_t now_usec = testing_now_usec(), gap_usec = now_usec - unit->set_usec;

        if (unit->n_set > h->n_sets_in_epoch_max)
                h->n_sets_in_epoch_max = unit->n_set;
        if (unit->set_usec > 0 && (h->gap_usec_min == 0 || gap_usec < h->gap_usec_min))
                h->gap_usec_min = gap_usec;
        fake_systemd_find(h->systemd, unit->name)->set_usec = now_usec;
        if (!h->budgeted)
                return;
        for (struct fake_systemd_unit *u = h->systemd->units; u; u = u->next) {
                if (strncmp(u->name, h->budgeted, strlen(h->budgeted)) != 0)
                        continue;
                if (u->quota == UNSET)
                        is_complete = false;
                else
                        sum_usec += (double)u->quota;
        }
        if (is_complete && sum_usec > h->sum_usec_max)
                h->sum_usec_max = sum_usec;
}

static int on_signal(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        struct daemon_host *h = userdata;

        if (sd_bus_message_is_signal(m, COALLOC_INTERFACE, "EpochDone") > 0) {
                h->n_epochs++;
                for (struct fake_systemd_unit *u = h->systemd->units; u; u = u->next)
                        u->n_set = 0;
        } else if (sd_bus_message_is_signal(m, COALLOC_INTERFACE, "QuotaChanged") > 0) {
                const char *unit, *reason;
                uint64_t old, new;

                MUST(h, sd_bus_message_read(m, "stts", &unit, &old, &new, &reason));
                h->n_quota_changed++;
                if (strcmp(reason, "guard") == 0) {
                        h->n_raised += new > old;
                        h->n_lowered += new < old;
                }
        }
        else if (sd_bus_message_is_signal(m, COALLOC_INTERFACE, "WeightChanged") > 0)
                h->n_weight_changed++;
        else if (sd_bus_message_is_signal(m, COALLOC_INTERFACE, "PricesChanged") > 0)
                h->n_prices_changed++;
        return 0;
}

static void read_notifications(struct daemon_host *h)
{
        char text[4096];
        ssize_t n;

        while ((n = recv(h->notify_fd, text, sizeof text - 1, MSG_DONTWAIT)) > 0) {
                text[n] = '\0';
                if (strstr(text, "READY=1")) {
                        h->is_ready = true;
                        h->n_ready++;
                }
                h->n_reloading += strstr(text, "RELOADING=1") != NULL;
                h->n_stopping += strstr(text, "STOPPING=1") != NULL;
                h->n_extended += strstr(text, "EXTEND_TIMEOUT_USEC=") != NULL;
        }
}

static void read_log(struct daemon_host *h)
{
        char text[4096];
        ssize_t n;

        while ((n = read(h->log_fd, text, sizeof text)) > 0) {
                h->log = realloc(h->log, h->log_length + (size_t)n + 1);
                if (!h->log)
                        die(h, "keep the log", ENOMEM);
                memcpy(h->log + h->log_length, text, (size_t)n);
                h->log_length += (size_t)n;
                h->log[h->log_length] = '\0';
        }
}

static void read_watches(struct daemon_host *h)
{
        char buffer[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
        ssize_t n;

        while (h->watch_fd >= 0 && (n = read(h->watch_fd, buffer, sizeof buffer)) > 0)
                for (char *at = buffer; at < buffer + n;) {
                        struct inotify_event event;

                        memcpy(&event, at, sizeof event);
                        for (struct daemon_host_reads *r = h->reads; r->unit; r++)
                                r->n += r->watch == event.wd;
                        at += sizeof event + event.len;
                }
}

unsigned daemon_host_reads(struct daemon_host *h, const char *unit)
{
        struct daemon_host_reads *r = h->reads;
        char path[PATH_MAX];
        unsigned n;

        if (h->watch_fd < 0)
                h->watch_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
        while (r->unit && strcmp(r->unit, unit) != 0)
                r++;
        if (!r->unit) {
                REQUIRE(h, r + 1 < h->reads + sizeof h->reads / sizeof *h->reads);
                snprintf(path, sizeof path, "%s%s/cpu.stat", fake_tree_mount(h->tree),
                         fake_systemd_find(h->systemd, unit)->control_group);
                r->watch = inotify_add_watch(h->watch_fd, path, IN_ACCESS);
                if (r->watch < 0)
                        die(h, "watch cpu.stat", errno);
                r->unit = unit;
        }
        read_watches(h);
        n = r->n;
        r->n = 0;
        return n;
}

unsigned daemon_host_logged(const struct daemon_host *h, const char *text)
{
        unsigned n = 0;

        for (const char *at = h->log; at && (at = strstr(at, text)); at++)
                n++;
        return n;
}

void daemon_host_turn(struct daemon_host *h)
{
        uint64_t now_usec = testing_now_usec();

        if (h->turn_usec > 0 && now_usec - h->turn_usec > h->lag_usec_max)
                h->lag_usec_max = now_usec - h->turn_usec;
        h->turn_usec = now_usec;
        MUST(h, sd_event_run(h->event, 20000));
        read_notifications(h);
        read_log(h);
        read_watches(h);
}

/* ---- the bus ----------------------------------------------------------------------------------- */

static void connect_client(struct daemon_host *h)
{
        h->client = private_bus_connect(h->bus);
        MUST(h, sd_bus_attach_event(h->client, h->event, SD_EVENT_PRIORITY_NORMAL));
        MUST(h, sd_bus_match_signal(h->client, NULL, NULL, COALLOC_PATH, COALLOC_INTERFACE, NULL, on_signal,
                                    h));
}

void daemon_host_restart_bus(struct daemon_host *h)
{
        fake_systemd_drop(h->systemd);
        MUST(h, sd_bus_detach_event(h->client));
        h->client = sd_bus_flush_close_unref(h->client);
        private_bus_restart(h->bus);
        fake_systemd_join(h->systemd, private_bus_connect(h->bus));
        connect_client(h);
}

struct answer {
        sd_bus_message *reply;
};

static int on_answer(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        struct answer *a = userdata;

        a->reply = sd_bus_message_ref(m);
        return 0;
}

/* The loop runs meanwhile: the daemon may have to talk to systemd, which is us. */
static sd_bus_message *call(struct daemon_host *h, sd_bus_message *m)
{
        struct answer a = { NULL };

        MUST(h, sd_bus_call_async(h->client, NULL, m, on_answer, &a, DAEMON_HOST_PATIENCE_USEC));
        sd_bus_message_unref(m);
        WAIT(h, a.reply);
        return a.reply;
}

int daemon_host_call(struct daemon_host *h, const char *method, const char *argument, bool is_flag,
                     char reterr_name[static 128])
{
        sd_bus_message *m = NULL, *reply;
        int r = 0;

        MUST(h, sd_bus_message_new_method_call(h->client, &m, COALLOC_BUS_NAME, COALLOC_PATH,
                                               COALLOC_INTERFACE, method));
        if (argument && is_flag)
                MUST(h, sd_bus_message_append(m, "b", strcmp(argument, "yes") == 0));
        else if (argument)
                MUST(h, sd_bus_message_append(m, "s", argument));
        reply = call(h, m);
        if (sd_bus_message_is_method_error(reply, NULL)) {
                const sd_bus_error *e = sd_bus_message_get_error(reply);

                snprintf(reterr_name, 128, "%s", e->name);
                r = -1;
        }
        sd_bus_message_unref(reply);
        return r;
}

static char *answer_to(struct daemon_host *h, sd_bus_message *m)
{
        sd_bus_message *reply = call(h, m);
        const char *text;
        char *copy;

        MUST(h, sd_bus_message_read(reply, "s", &text));
        copy = strdup(text);
        if (!copy)
                die(h, "copy", ENOMEM);
        sd_bus_message_unref(reply);
        return copy;
}

char *daemon_host_answer(struct daemon_host *h, const char *method, const char *argument)
{
        sd_bus_message *m = NULL;

        MUST(h, sd_bus_message_new_method_call(h->client, &m, COALLOC_BUS_NAME, COALLOC_PATH,
                                               COALLOC_INTERFACE, method));
        if (argument)
                MUST(h, sd_bus_message_append(m, "s", argument));
        return answer_to(h, m);
}

char *daemon_host_introspect(struct daemon_host *h, const char *path)
{
        sd_bus_message *m = NULL;

        MUST(h, sd_bus_message_new_method_call(h->client, &m, COALLOC_BUS_NAME, path,
                                               "org.freedesktop.DBus.Introspectable", "Introspect"));
        return answer_to(h, m);
}

static sd_bus_message *get(struct daemon_host *h, const char *unit, const char *property)
{
        sd_bus_message *m = NULL, *reply;
        char *path = NULL;

        if (unit)
                MUST(h, sd_bus_path_encode(COALLOC_SERVICE_PATH_PREFIX, unit, &path));
        MUST(h, sd_bus_message_new_method_call(h->client, &m, COALLOC_BUS_NAME, path ? path : COALLOC_PATH,
                                               "org.freedesktop.DBus.Properties", "Get"));
        MUST(h, sd_bus_message_append(m, "ss", unit ? COALLOC_SERVICE_INTERFACE : COALLOC_INTERFACE,
                                      property));
        free(path);
        reply = call(h, m);
        if (sd_bus_message_is_method_error(reply, NULL))
                daemon_host_fail(h, __FILE__, __LINE__, "%s of %s: %s", property, unit ? unit : "the manager",
                                 sd_bus_message_get_error(reply)->message);
        return reply;
}

const char *daemon_host_text(struct daemon_host *h, const char *unit, const char *property)
{
        static char text[1024];
        sd_bus_message *reply = get(h, unit, property);
        const char *s;

        MUST(h, sd_bus_message_read(reply, "v", "s", &s));
        snprintf(text, sizeof text, "%s", s);
        sd_bus_message_unref(reply);
        return text;
}

uint64_t daemon_host_number(struct daemon_host *h, const char *unit, const char *property)
{
        sd_bus_message *reply = get(h, unit, property);
        uint64_t number = 0;
        const char *type;
        int flag;

        MUST(h, sd_bus_message_peek_type(reply, NULL, &type));
        if (strcmp(type, "b") == 0) {
                MUST(h, sd_bus_message_read(reply, "v", "b", &flag));
                number = (uint64_t)flag;
        } else
                MUST(h, sd_bus_message_read(reply, "v", "t", &number));
        sd_bus_message_unref(reply);
        return number;
}

double daemon_host_real(struct daemon_host *h, const char *unit, const char *property)
{
        sd_bus_message *reply = get(h, unit, property);
        double number;

        MUST(h, sd_bus_message_read(reply, "v", "d", &number));
        sd_bus_message_unref(reply);
        return number;
}

bool daemon_host_calls(struct daemon_host *h, const char *unit, const char *callee)
{
        sd_bus_message *reply = get(h, unit, "Calls");
        bool is_only_call;
        char **names = NULL;

        MUST(h, sd_bus_message_enter_container(reply, 'v', "as"));
        MUST(h, sd_bus_message_read_strv(reply, &names));
        is_only_call = callee ? names && names[0] && strcmp(names[0], callee) == 0 && !names[1]
                              : !names || !names[0];
        for (size_t i = 0; names && names[i]; i++)
                free(names[i]);
        free(names);
        sd_bus_message_unref(reply);
        return is_only_call;
}

/* One a{sv}: its Name or Id, and the number under a key. */
static void read_dictionary(struct daemon_host *h, sd_bus_message *m, const char *wanted, const char **ret_name,
                            double *ret_number)
{
        const char *key, *type;
        uint64_t whole;
        int flag;

        while (sd_bus_message_enter_container(m, 'e', "sv") > 0) {
                MUST(h, sd_bus_message_read(m, "s", &key));
                MUST(h, sd_bus_message_peek_type(m, NULL, &type));
                if (strcmp(key, "Name") == 0 || strcmp(key, "Id") == 0)
                        MUST(h, sd_bus_message_read(m, "v", "s", ret_name));
                else if (strcmp(key, wanted) != 0)
                        MUST(h, sd_bus_message_skip(m, "v"));
                else if (strcmp(type, "d") == 0)
                        MUST(h, sd_bus_message_read(m, "v", "d", ret_number));
                else if (strcmp(type, "b") == 0) {
                        MUST(h, sd_bus_message_read(m, "v", "b", &flag));
                        *ret_number = flag;
                } else {
                        MUST(h, sd_bus_message_read(m, "v", "t", &whole));
                        *ret_number = (double)whole;
                }
                MUST(h, sd_bus_message_exit_container(m));
        }
}

double daemon_host_listed(struct daemon_host *h, const char *method, const char *name, const char *key)
{
        sd_bus_message *m = NULL, *reply;
        double found = NAN;

        MUST(h, sd_bus_message_new_method_call(h->client, &m, COALLOC_BUS_NAME, COALLOC_PATH,
                                               COALLOC_INTERFACE, method));
        reply = call(h, m);
        MUST(h, sd_bus_message_enter_container(reply, 'a', "a{sv}"));
        while (sd_bus_message_enter_container(reply, 'a', "{sv}") > 0) {
                const char *its_name = "";
                double number = NAN;

                read_dictionary(h, reply, key, &its_name, &number);
                if (strcmp(its_name, name) == 0)
                        found = number;
                MUST(h, sd_bus_message_exit_container(reply));
        }
        sd_bus_message_unref(reply);
        return found;
}

double daemon_host_price(struct daemon_host *h, const char *name)
{
        sd_bus_message *m = NULL, *reply;
        double found = NAN, price;
        const char *key;

        MUST(h, sd_bus_message_new_method_call(h->client, &m, COALLOC_BUS_NAME, COALLOC_PATH,
                                               COALLOC_INTERFACE, "GetPrices"));
        reply = call(h, m);
        MUST(h, sd_bus_message_enter_container(reply, 'a', "{sd}"));
        while (sd_bus_message_read(reply, "{sd}", &key, &price) > 0)
                if (strcmp(key, name) == 0)
                        found = price;
        sd_bus_message_unref(reply);
        return found;
}

int daemon_host_report(struct daemon_host *h, const char *service, double seconds_p99, uint32_t requests,
                       char reterr_name[static 128])
{
        sd_bus_message *m = NULL, *reply;
        int r = 0;

        MUST(h, sd_bus_message_new_method_call(h->client, &m, COALLOC_BUS_NAME, COALLOC_PATH,
                                               COALLOC_INTERFACE, "ReportLatency"));
        MUST(h, sd_bus_message_append(m, "sdu", service, seconds_p99, requests));
        reply = call(h, m);
        if (sd_bus_message_is_method_error(reply, NULL)) {
                snprintf(reterr_name, 128, "%s", sd_bus_message_get_error(reply)->name);
                r = -1;
        }
        sd_bus_message_unref(reply);
        return r;
}

/* ---- the program ------------------------------------------------------------------------------- */

static void exec_daemon(struct daemon_host *h, const char *option, const char *program, int log_fd)
{
        const char *wrapper = getenv("COALLOC_TEST_WRAPPER");
        char root[PATH_MAX], command[2 * PATH_MAX], socket[PATH_MAX];

        snprintf(root, sizeof root, "--root=%s", fake_tree_root(h->tree));
        snprintf(socket, sizeof socket, "%s/notify", fake_tree_root(h->tree));
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || dup2(log_fd, STDOUT_FILENO) < 0 ||
            dup2(log_fd, STDERR_FILENO) < 0 || setenv("NOTIFY_SOCKET", socket, 1) < 0 ||
            setenv("DBUS_SYSTEM_BUS_ADDRESS", private_bus_address(h->bus), 1) < 0)
                _exit(EXIT_FAILURE);
        if (wrapper) {
                snprintf(command, sizeof command, "exec %s %s \"$@\"", wrapper, program);
                execlp("sh", "sh", "-c", command, "sh", root, option, (char *)NULL);
        } else
                execl(program, program, root, option, (char *)NULL);
        _exit(EXIT_FAILURE);
}

void daemon_host_start(struct daemon_host *h, const char *option)
{
        const char *build = getenv("COALLOC_BUILDDIR");
        char program[PATH_MAX];
        int fds[2];

        snprintf(program, sizeof program, "%s/coallocd", build ? build : ".");
        if (pipe2(fds, O_CLOEXEC) < 0)
                die(h, "make a pipe", errno);
        if (h->log_fd >= 0)
                (void)close(h->log_fd);
        h->log_fd = fds[0];
        (void)fcntl(h->log_fd, F_SETFL, O_NONBLOCK);
        h->is_ready = false;
        h->pid = fork();
        if (h->pid < 0)
                die(h, "fork", errno);
        if (h->pid == 0)
                exec_daemon(h, option, program, fds[1]);
        (void)close(fds[1]);
}

static bool has_ended(struct daemon_host *h)
{
        pid_t pid = waitpid(h->pid, &h->status, WNOHANG);

        if (pid < 0)
                die(h, "wait for coallocd", errno);
        if (pid == 0)
                return false;
        h->pid = 0;
        read_log(h);
        read_notifications(h);
        return true;
}

void daemon_host_run(struct daemon_host *h, const char *option)
{
        daemon_host_start(h, option);
        WAIT(h, h->is_ready || has_ended(h));
        if (h->pid == 0)
                daemon_host_fail(h, __FILE__, __LINE__, "coallocd ended instead of getting ready");
}

int daemon_host_end(struct daemon_host *h, int signal)
{
        if (signal != 0 && kill(h->pid, signal) < 0)
                die(h, "kill coallocd", errno);
        WAIT(h, has_ended(h));
        /* Whatever a test is about, it is also about this. */
        REQUIRE(h, daemon_host_logged(h, "AddressSanitizer") == 0);
        REQUIRE(h, daemon_host_logged(h, "LeakSanitizer") == 0);
        REQUIRE(h, daemon_host_logged(h, "runtime error:") == 0);
        return WIFEXITED(h->status) ? WEXITSTATUS(h->status) : -WTERMSIG(h->status);
}

void daemon_host_epochs(struct daemon_host *h, unsigned n)
{
        uint64_t until = h->n_epochs + n;

        /* Several short patiences: an epoch may be long. */
        while (h->n_epochs < until) {
                uint64_t next = h->n_epochs + 1;

                WAIT(h, h->n_epochs >= next);
        }
}

/* ---- the host ---------------------------------------------------------------------------------- */

void daemon_host_configure(struct daemon_host *h, const char *text)
{
        fake_tree_write(h->tree, CONFIG_MAIN_PATH + 1, "%s", text);
}

struct fake_systemd_unit *daemon_host_add(struct daemon_host *h, const char *unit, double load_cpus)
{
        char group[PATH_MAX] = "", part[256];
        size_t length = strlen(unit), n = 0;

        /* /a.slice/a-b.slice */
        for (size_t i = 0; i < length; i++)
                if (unit[i] == '-' || strcmp(unit + i, ".slice") == 0) {
                        snprintf(part, sizeof part, "/%.*s.slice", (int)i, unit);
                        n += (size_t)snprintf(group + n, sizeof group - n, "%s", part);
                }
        if (!strstr(unit, ".slice"))
                snprintf(group, sizeof group, "/system.slice/%s", unit);
        struct fake_systemd_unit *u = fake_systemd_add(h->systemd, unit, group);
        u->load_cpus = load_cpus;
        return u;
}

struct daemon_host *daemon_host_new(unsigned n_cpus)
{
        struct daemon_host *h = calloc(1, sizeof *h);
        struct sockaddr_un address = { .sun_family = AF_UNIX };

        if (!h)
                die(NULL, "allocate", ENOMEM);
        h->log_fd = h->notify_fd = h->watch_fd = -1;
        MUST(h, sd_event_new(&h->event));
        h->bus = private_bus_new();
        h->tree = fake_tree_new();
        fake_tree_write(h->tree, "proc/self/cgroup", "0::/system.slice/coallocd.service\n");
        fake_tree_mkdir(h->tree, "run");
        fake_tree_mkdir(h->tree, "var/lib");
        h->systemd = fake_systemd_new(h->event, h->tree);
        h->systemd->host.n_cpus = n_cpus;
        h->systemd->on_set = on_set;
        h->systemd->on_set_ctx = h;
        fake_systemd_run_load(h->systemd, 0);
        fake_systemd_join(h->systemd, private_bus_connect(h->bus));
        connect_client(h);

        h->notify_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        snprintf(address.sun_path, sizeof address.sun_path, "%s/notify", fake_tree_root(h->tree));
        if (h->notify_fd < 0 || bind(h->notify_fd, (struct sockaddr *)&address, sizeof address) < 0)
                die(h, "listen for notifications", errno);

        h->clock_usec = testing_now_usec();
        MUST(h, sd_event_add_time(h->event, &h->clock, CLOCK_MONOTONIC, h->clock_usec + TICK_USEC, 1000,
                                  on_tick, h));
        return h;
}

/* Return: how many epochs there were; negative if one came out otherwise: @reterr. */
static ssize_t rerun(struct daemon_host *h, char reterr[static 256])
{
        struct history_rows epochs = { 0 };
        struct history_db *db = NULL;
        struct replay *replay = replay_new();
        char path[PATH_MAX];
        size_t n = 0;
        int r;

        snprintf(path, sizeof path, "%s/var/lib/coalloc/" HISTORY_DB_NAME, fake_tree_root(h->tree));
        REQUIRE(h, replay);
        r = history_db_open(path, &db);
        if (r == 0)
                r = history_db_epochs(db, 0, UINT64_MAX, SIZE_MAX, &epochs);
        if (r < 0 && r != -ENOENT)
                daemon_host_fail(h, __FILE__, __LINE__, "%s: %s", path, strerror(-r));
        for (r = 1; n < epochs.n && r == 1; n++)
                r = replay_epoch(replay, db, &((struct history_epoch *)epochs.rows)[n], reterr);
        history_rows_free(HISTORY_EPOCHS, &epochs);
        (void)history_db_close(db);
        (void)replay_free(replay);
        return r == 1 ? (ssize_t)n : -1;
}

size_t daemon_host_rerun(struct daemon_host *h)
{
        char text[256];
        ssize_t n = rerun(h, text);

        if (n < 0)
                daemon_host_fail(h, __FILE__, __LINE__, "%s", text);
        return (size_t)n;
}

bool daemon_host_reruns(struct daemon_host *h)
{
        char text[256];

        return rerun(h, text) >= 0;
}

struct daemon_host *daemon_host_free(struct daemon_host *h)
{
        if (!h)
                return NULL;
        if (h->pid > 0) {
                (void)kill(h->pid, SIGKILL);
                (void)waitpid(h->pid, NULL, 0);
        }
        (void)daemon_host_rerun(h);
        (void)sd_event_source_unref(h->clock);
        (void)sd_bus_detach_event(h->client);
        (void)sd_bus_flush_close_unref(h->client);
        (void)fake_systemd_free(h->systemd);
        (void)private_bus_free(h->bus);
        (void)fake_tree_free(h->tree);
        (void)sd_event_unref(h->event);
        (void)close(h->notify_fd);
        if (h->watch_fd >= 0)
                (void)close(h->watch_fd);
        if (h->log_fd >= 0)
                (void)close(h->log_fd);
        free(h->log);
        free(h);
        return NULL;
}
