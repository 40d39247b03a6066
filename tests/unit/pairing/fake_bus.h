/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A message bus of the test's own (dbus-daemon on a socket in a temporary folder), and the loop in which who is tested and who
 * stands in for a service live side by side.
 */
#ifndef SIMHOP_TESTS_FAKE_BUS_H
#define SIMHOP_TESTS_FAKE_BUS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "system/bus.h"

struct fake_bus {
    struct event_base *base;
    pid_t daemon;
    char folder[64], socket_path[96];
};

static struct fake_bus fake_bus;

/* ---- the bus daemon ---- */

static inline void fake_exec(const char *path, int out)
{
    char config[128], address[64];
    snprintf(config, sizeof(config), "--config-file=%s", path);
    snprintf(address, sizeof(address), "--print-address=%d", out);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (!freopen("/dev/null", "w", stderr)) /* it complains of limits that it may not raise */
        _exit(126);
    execlp("dbus-daemon", "dbus-daemon", config, address, "--nofork", "--nopidfile", (char *)NULL);
    _exit(127);
}

/* Skips the test where there is no such program. */
static inline void fake_bus_start(void)
{
    static const char config[] =
        "<busconfig><type>session</type><listen>unix:path=%s</listen><auth>EXTERNAL</auth>\n"
        "<policy context=\"default\"><allow user=\"*\"/><allow own=\"*\"/>"
        "<allow send_type=\"*\"/><allow receive_type=\"*\"/></policy></busconfig>\n";
    char path[96], text[256];
    int out[2];
    snprintf(path, sizeof(path), "%s/bus.conf", fake_bus.folder);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    fprintf(file, config, fake_bus.socket_path);
    fclose(file);
    assert_int_equal(pipe(out), 0);
    fake_bus.daemon = fork();
    if (fake_bus.daemon == 0)
        fake_exec(path, out[1]);
    close(out[1]);
    ssize_t n = read(out[0], text, sizeof(text)); /* it listens once it says where */
    close(out[0]);
    if (n > 0)
        return;
    waitpid(fake_bus.daemon, NULL, 0);
    fake_bus.daemon = 0;
    print_message("skipped: no dbus-daemon here\n");
    skip();
}

static inline void fake_bus_stop(void)
{
    if (fake_bus.daemon <= 0)
        return;
    kill(fake_bus.daemon, SIGKILL);
    waitpid(fake_bus.daemon, NULL, 0);
    fake_bus.daemon = 0;
}

/* ---- the loop ---- */

static inline sh_ms fake_now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (sh_ms)ts.tv_sec * 1000 + (sh_ms)ts.tv_nsec / 1000000;
}

static inline void fake_turn(void)
{
    event_base_loop(fake_bus.base, EVLOOP_NONBLOCK);
    usleep(500);
}

static inline void fake_run(unsigned ms)
{
    for (sh_ms until = fake_now() + ms; fake_now() < until;)
        fake_turn();
}

/* The limit is for a machine that is busy with something else; nothing is measured by it. */
#define FAKE_UNTIL(condition)                                                                      \
    do {                                                                                           \
        for (sh_ms until_ = fake_now() + 30000; !(condition) && fake_now() < until_;)              \
            fake_turn();                                                                           \
        assert_true(condition);                                                                    \
    } while (0)

/* What sd-bus gives. */
static inline void fake_must(int r)
{
    assert_true(r >= 0);
}

/* ---- life ---- */

/* A loop, and the address of a bus that does not run yet. */
static inline void fake_bus_set_up(void)
{
    char address[128];
    fake_bus = (struct fake_bus){0};
    strcpy(fake_bus.folder, "/tmp/simhop-fake.XXXXXX");
    assert_non_null(mkdtemp(fake_bus.folder));
    snprintf(fake_bus.socket_path, sizeof(fake_bus.socket_path), "%s/socket", fake_bus.folder);
    snprintf(address, sizeof(address), "unix:path=%s", fake_bus.socket_path);
    setenv("DBUS_SYSTEM_BUS_ADDRESS", address, 1);
    fake_bus.base = event_base_new();
    assert_non_null(fake_bus.base);
}

/* Whoever is on the bus has left it. */
static inline void fake_bus_tear_down(void)
{
    char path[128];
    event_base_free(fake_bus.base);
    fake_bus_stop();
    snprintf(path, sizeof(path), "%s/bus.conf", fake_bus.folder);
    unlink(path);
    unlink(fake_bus.socket_path);
    rmdir(fake_bus.folder);
}

#endif
