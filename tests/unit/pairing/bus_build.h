/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Messages of a bus that nobody is connected to: written here, sealed and read by what is tested. */
#ifndef SIMHOP_TESTS_BUS_BUILD_H
#define SIMHOP_TESTS_BUS_BUILD_H

#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

struct bus_build {
    sd_bus *bus;
    int far;
};

static inline void bus_build_must(int r)
{
    if (r < 0)
        abort();
}

static inline struct bus_build bus_build_open(void)
{
    struct bus_build build = {0};
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) != 0)
        abort();
    build.far = fds[1];
    bus_build_must(sd_bus_new(&build.bus));
    bus_build_must(sd_bus_set_fd(build.bus, fds[0], fds[0]));
    bus_build_must(sd_bus_start(build.bus));
    return build;
}

static inline void bus_build_close(struct bus_build *build)
{
    sd_bus_close_unref(build->bus);
    close(build->far);
}

static inline sd_bus_message *bus_build_signal(const struct bus_build *build, const char *path,
                                               const char *interface, const char *member)
{
    sd_bus_message *m = NULL;
    bus_build_must(sd_bus_message_new_signal(build->bus, &m, path, interface, member));
    return m;
}

/* A message as GetManagedObjects is answered; only its contents count. */
static inline sd_bus_message *bus_build_managed(const struct bus_build *build)
{
    return bus_build_signal(build, "/", "x.y", "Reply");
}

static inline void bus_build_seal(sd_bus_message *m)
{
    static uint64_t cookie;
    bus_build_must(sd_bus_message_seal(m, ++cookie, 0));
    bus_build_must(sd_bus_message_rewind(m, true));
}

#endif
