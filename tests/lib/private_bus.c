/* SPDX-License-Identifier: MIT */
#include "lib/private_bus.h"

#include "lib/fake_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

struct private_bus {
        struct fake_tree *directory;
        char address[PATH_MAX];
        pid_t pid;
};

static _Noreturn void die(const char *what, int error)
{
        fprintf(stderr, "private_bus: could not %s: %s\n", what, strerror(error));
        abort();
}

bool private_bus_is_possible(void)
{
        const char *path = getenv("PATH");
        char *copy = strdup(path != NULL ? path : "/usr/bin"), *rest = NULL;
        bool found = false;

        if (copy == NULL)
                die("copy PATH", ENOMEM);
        for (char *dir = strtok_r(copy, ":", &rest); dir != NULL && !found; dir = strtok_r(NULL, ":", &rest)) {
                char name[PATH_MAX];
                snprintf(name, sizeof name, "%s/dbus-daemon", dir);
                found = access(name, X_OK) == 0;
        }
        free(copy);
        return found;
}

static void launch(struct private_bus *b)
{
        char config[PATH_MAX], config_option[PATH_MAX + 32], text[PATH_MAX];
        int ready[2];

        snprintf(config, sizeof config, "%s/bus.conf", fake_tree_root(b->directory));
        snprintf(config_option, sizeof config_option, "--config-file=%s", config);
        if (pipe2(ready, O_CLOEXEC) < 0)
                die("make a pipe", errno);
        pid_t parent = getpid();
        b->pid = fork();
        if (b->pid < 0)
                die("fork", errno);
        if (b->pid == 0) {
                /* A test that dies takes its bus along. */
                if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent || dup2(ready[1], 3) < 0)
                        _exit(1);
                if (ready[1] == 3 && fcntl(3, F_SETFD, 0) < 0)
                        _exit(1);
                execlp("dbus-daemon", "dbus-daemon", "--nofork", "--nopidfile", "--print-address=3",
                       config_option, (char *)NULL);
                _exit(1);
        }
        (void)close(ready[1]);
        /* It prints its address once it listens. */
        ssize_t n = read(ready[0], text, sizeof text);
        (void)close(ready[0]);
        if (n <= 0)
                die("start dbus-daemon", n < 0 ? errno : ECHILD);
}

static void end(struct private_bus *b)
{
        if (kill(b->pid, SIGTERM) < 0)
                die("kill dbus-daemon", errno);
        while (waitpid(b->pid, NULL, 0) < 0)
                if (errno != EINTR)
                        die("wait for dbus-daemon", errno);
}

struct private_bus *private_bus_new(void)
{
        struct private_bus *b = calloc(1, sizeof *b);

        if (b == NULL)
                die("allocate", ENOMEM);
        b->directory = fake_tree_new();
        snprintf(b->address, sizeof b->address, "unix:path=%s/bus", fake_tree_root(b->directory));
        fake_tree_write(b->directory, "bus.conf",
                        "<!DOCTYPE busconfig PUBLIC \"-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN\" "
                        "\"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd\">\n"
                        "<busconfig>\n"
                        "<type>session</type>\n"
                        "<listen>%s</listen>\n"
                        "<auth>EXTERNAL</auth>\n"
                        "<policy context=\"default\">\n"
                        "<allow user=\"*\"/><allow own=\"*\"/>\n"
                        "<allow send_destination=\"*\" eavesdrop=\"true\"/>\n"
                        "<allow eavesdrop=\"true\"/>\n"
                        "</policy>\n"
                        /* Half of what the real one allows, and as many as we have in flight. */
                        "<limit name=\"max_replies_per_connection\">64</limit>\n"
                        "</busconfig>\n",
                        b->address);
        launch(b);
        return b;
}

struct private_bus *private_bus_free(struct private_bus *b)
{
        if (b == NULL)
                return NULL;
        end(b);
        fake_tree_free(b->directory);
        free(b);
        return NULL;
}

const char *private_bus_address(const struct private_bus *b)
{
        return b->address;
}

void private_bus_restart(struct private_bus *b)
{
        end(b);
        launch(b);
}

sd_bus *private_bus_connect(const struct private_bus *b)
{
        sd_bus *bus = NULL;
        int r;

        if ((r = sd_bus_new(&bus)) < 0 || (r = sd_bus_set_address(bus, b->address)) < 0 ||
            (r = sd_bus_set_bus_client(bus, 1)) < 0 || (r = sd_bus_start(bus)) < 0)
                die("connect", -r);
        return bus;
}
