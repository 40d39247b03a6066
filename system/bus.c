/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "system/bus.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "proto/log.h"
#include "proto/slow.h"

#define MESSAGES_A_GO 64 /* then others have their turn */

struct sh_bus {
    struct event_base *base;
    sd_bus *sd;
    struct event *io;    /* what sd-bus waits for now; made anew when that changes */
    struct event *timer; /* its time-outs, and kicks */
    uint64_t ready_by; /* microseconds: sd-bus itself would wait 90 s for a bus that says nothing */
    int fd;
    short waits;
    sh_bus_lost_fn lost;
    void *user;
    bool running, freed, over;
};

static void on_io(evutil_socket_t fd, short what, void *user);

static enum sh_cause cause_of(int error)
{
    if (error == -ENOMEM)
        return SH_ENV_NO_MEMORY;
    if (error == -EACCES || error == -EPERM)
        return sh_fail(SH_ENV_PERMISSION, "system bus: %s", strerror(-error));
    return sh_fail(SH_ENV_NO_BUS, "system bus: %s", strerror(-error));
}

static void release(struct sh_bus *bus)
{
    if (bus->io)
        event_free(bus->io);
    if (bus->timer)
        event_free(bus->timer);
    if (bus->sd)
        sd_bus_close_unref(bus->sd); /* without a flush, which would wait */
    free(bus);
}

static void fail(struct sh_bus *bus, int error)
{
    if (bus->over)
        return;
    bus->over = true;
    if (bus->io)
        event_del(bus->io);
    event_del(bus->timer);
    bus->lost(cause_of(error), bus->user);
}

/* Microseconds of CLOCK_MONOTONIC, which sd_bus_get_timeout counts in. */
static uint64_t now_us(void)
{
    struct timespec ts = {0};
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static void wait_until(struct sh_bus *bus, uint64_t due_us)
{
    if (due_us == UINT64_MAX) {
        event_del(bus->timer);
        return;
    }
    uint64_t now = now_us(), left = due_us > now ? due_us - now : 0;
    struct timeval tv = {.tv_sec = (time_t)(left / 1000000), .tv_usec = (long)(left % 1000000)};
    evtimer_add(bus->timer, &tv);
}

/* Waits for what sd-bus wants next. */
static int rearm(struct sh_bus *bus)
{
    uint64_t due = UINT64_MAX;
    int fd = sd_bus_get_fd(bus->sd), events = sd_bus_get_events(bus->sd);
    if (fd < 0 || events < 0)
        return fd < 0 ? fd : events;
    int timed = sd_bus_get_timeout(bus->sd, &due);
    if (timed < 0)
        return timed;
    if (timed == 0)
        due = UINT64_MAX;
    if (sd_bus_is_ready(bus->sd) == 0) {
        if (now_us() >= bus->ready_by)
            return -ETIMEDOUT;
        due = SH_MIN(due, bus->ready_by);
    }
    short waits =
        (short)(EV_PERSIST | (events & POLLIN ? EV_READ : 0) | (events & POLLOUT ? EV_WRITE : 0));
    if (!bus->io || bus->fd != fd || bus->waits != waits) {
        if (bus->io)
            event_free(bus->io);
        bus->io = event_new(bus->base, fd, waits, on_io, bus);
        if (!bus->io || event_add(bus->io, NULL) != 0)
            return -ENOMEM;
        bus->fd = fd;
        bus->waits = waits;
    }
    wait_until(bus, due);
    return 0;
}

static void process(struct sh_bus *bus)
{
    int r = 1;
    if (bus->running || bus->over)
        return;
    SH_SLOW("bus");
    bus->running = true;
    for (unsigned i = 0; i < MESSAGES_A_GO && r > 0 && !bus->freed; i++)
        r = sd_bus_process(bus->sd, NULL);
    bus->running = false;
    if (bus->freed) {
        release(bus);
        return;
    }
    if (r >= 0)
        r = r > 0 ? (sh_bus_kick(bus), 0) : rearm(bus);
    if (r < 0)
        fail(bus, r);
}

static void on_io(evutil_socket_t fd SH_UNUSED, short what SH_UNUSED, void *user)
{
    process(user);
}

enum sh_cause sh_bus_open(struct event_base *base, sh_bus_lost_fn lost, void *user,
                          struct sh_bus **ret_bus)
{
    struct sh_bus *bus = calloc(1, sizeof(*bus));
    if (!bus)
        return SH_ENV_NO_MEMORY;
    *bus = (struct sh_bus){.base = base,
                           .lost = lost,
                           .user = user,
                           .fd = -1,
                           .ready_by = now_us() + SH_BUS_CALL_MS * UINT64_C(1000)};
    bus->timer = evtimer_new(base, on_io, bus);
    int r = bus->timer ? sd_bus_open_system(&bus->sd) : -ENOMEM;
    if (r >= 0) /* for what it asks by itself; its own limit is 25 s */
        r = sd_bus_set_method_call_timeout(bus->sd, SH_BUS_CALL_MS * UINT64_C(1000));
    if (r >= 0)
        r = rearm(bus);
    if (r < 0) {
        enum sh_cause cause = cause_of(r);
        release(bus);
        return cause;
    }
    sh_bus_kick(bus);
    *ret_bus = bus;
    return SH_OK;
}

void sh_bus_free(struct sh_bus *bus)
{
    if (!bus)
        return;
    bus->freed = true;
    bus->over = true;
    if (!bus->running)
        release(bus);
}

sd_bus *sh_bus_sd(struct sh_bus *bus)
{
    return bus->sd;
}

struct event_base *sh_bus_base(struct sh_bus *bus)
{
    return bus->base;
}

bool sh_bus_unanswered(sd_bus_message *answer)
{
    return sd_bus_message_is_method_error(answer, SD_BUS_ERROR_TIMEOUT) ||
           sd_bus_message_is_method_error(answer, SD_BUS_ERROR_NO_REPLY);
}

/* Without an answer of ours sd-bus takes a refusal for the end of the connection. A bus that does not answer at all is as good as gone:
 * nothing would ever be signalled. */
static int on_match(sd_bus_message *answer, void *user SH_UNUSED, sd_bus_error *error SH_UNUSED)
{
    const sd_bus_error *refused = sd_bus_message_get_error(answer);
    if (refused)
        sh_log("system bus: AddMatch: %s", refused->name);
    if (sh_bus_unanswered(answer))
        sd_bus_close(sd_bus_message_get_bus(answer)); /* which process() meets next */
    return 1;
}

enum sh_cause sh_bus_match(struct sh_bus *bus, const char *rule, sd_bus_message_handler_t signalled,
                           void *user, sd_bus_slot **ret_slot)
{
    int r = bus->over ? -ENOTCONN
                      : sd_bus_add_match_async(bus->sd, ret_slot, rule, signalled, on_match, user);
    if (r < 0)
        return cause_of(r);
    sh_bus_kick(bus);
    return SH_OK;
}

enum sh_cause sh_bus_call(struct sh_bus *bus, sd_bus_message *message,
                          sd_bus_message_handler_t answered, void *user, unsigned limit_ms,
                          sd_bus_slot **ret_slot)
{
    uint64_t limit_us = (uint64_t)(limit_ms ? limit_ms : SH_BUS_CALL_MS) * 1000;
    int r = bus->over ? -ENOTCONN
                      : sd_bus_call_async(bus->sd, ret_slot, message, answered, user, limit_us);
    if (r < 0)
        return cause_of(r);
    sh_bus_kick(bus);
    return SH_OK;
}

void sh_bus_kick(struct sh_bus *bus)
{
    static const struct timeval now = {0};
    if (!bus->over)
        evtimer_add(bus->timer, &now);
}
