/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "pairing/bluez_scan.h"

#include <stdlib.h>
#include <string.h>

#include "pairing/bluez_daemon.h"
#include "proto/log.h"
#include "proto/slow.h"

#define RETRY_MS   1000
#define CALL_MS    5000
#define RSSI_LEAST (-127)

enum state { IDLE, FILTERING, STARTING, ON, STOPPING };

struct sh_bluez_scan {
    struct sh_bus *bus; /* NULL: not now */
    void (*told)(enum sh_cause cause, void *user);
    void *user;
    char adapter[SH_BLUEZ_PATH];
    bool wanted;
    enum state state;
    sd_bus_slot *call;
    struct event *retry;
};

static void review(struct sh_bluez_scan *scan);

static void try_again(struct sh_bluez_scan *scan)
{
    const struct timeval tv = {.tv_sec = RETRY_MS / 1000, .tv_usec = RETRY_MS % 1000 * 1000};
    evtimer_add(scan->retry, &tv);
}

/* The one call of the current state. */
static enum sh_cause call(struct sh_bluez_scan *scan, const char *method,
                          sd_bus_message_handler_t answered)
{
    sd_bus_message *m = NULL;
    SH_TRY(sh_bluez_message(scan->bus, scan->adapter, SH_BLUEZ_ADAPTER, method, &m));
    int r = 0;
    if (strcmp(method, "SetDiscoveryFilter") == 0)
        r = sd_bus_message_append(m, "a{sv}", 3, "Transport", "s", "le", "DuplicateData", "b", 1,
                                  "RSSI", "n", RSSI_LEAST);
    enum sh_cause cause = SH_ENV_NO_MEMORY;
    if (r >= 0)
        cause = sh_bus_call(scan->bus, m, answered, scan, CALL_MS, &scan->call);
    sd_bus_message_unref(m);
    return cause;
}

static int failed(struct sh_bluez_scan *scan, enum sh_cause cause)
{
    scan->state = IDLE;
    sh_log("bluez: %s", sh_detail());
    try_again(scan);
    scan->told(cause, scan->user);
    return 1;
}

static int on_stopped(sd_bus_message *answer, void *user, sd_bus_error *error SH_UNUSED)
{
    struct sh_bluez_scan *scan = user;
    scan->call = sd_bus_slot_unref(scan->call);
    if (sh_bluez_error(answer, "StopDiscovery") != SH_OK)
        sh_log("bluez: %s", sh_detail()); /* then there was nothing to stop */
    scan->state = IDLE;
    review(scan);
    scan->told(SH_OK, scan->user);
    return 1;
}

static int on_started(sd_bus_message *answer, void *user, sd_bus_error *error SH_UNUSED)
{
    struct sh_bluez_scan *scan = user;
    scan->call = sd_bus_slot_unref(scan->call);
    const sd_bus_error *refused = sd_bus_message_get_error(answer);
    /* Our session is there already. */
    bool running = refused && strcmp(refused->name, "org.bluez.Error.InProgress") == 0;
    enum sh_cause cause = running ? SH_OK : sh_bluez_error(answer, "StartDiscovery");
    if (cause != SH_OK)
        return failed(scan, cause);
    sh_log("bluez: scanning");
    scan->state = ON;
    review(scan);
    if (scan->state == ON)
        scan->told(SH_OK, scan->user);
    return 1;
}

static int on_filtered(sd_bus_message *answer, void *user, sd_bus_error *error SH_UNUSED)
{
    struct sh_bluez_scan *scan = user;
    scan->call = sd_bus_slot_unref(scan->call);
    enum sh_cause cause = sh_bluez_error(answer, "SetDiscoveryFilter");
    if (cause != SH_OK)
        return failed(scan, cause);
    scan->state = IDLE;
    if (!scan->wanted) {
        scan->told(SH_OK, scan->user);
        return 1;
    }
    cause = call(scan, "StartDiscovery", on_started);
    if (cause != SH_OK)
        return failed(scan, cause);
    scan->state = STARTING;
    return 1;
}

static void review(struct sh_bluez_scan *scan)
{
    if (!scan->bus)
        return;
    if (scan->wanted && scan->state == IDLE) {
        if (call(scan, "SetDiscoveryFilter", on_filtered) == SH_OK)
            scan->state = FILTERING;
        else
            try_again(scan);
    } else if (!scan->wanted && scan->state == ON) {
        scan->state = call(scan, "StopDiscovery", on_stopped) == SH_OK ? STOPPING : IDLE;
    }
}

static void on_retry(evutil_socket_t fd SH_UNUSED, short what SH_UNUSED, void *user)
{
    SH_SLOW("bluez scan");
    review(user);
}

enum sh_cause sh_bluez_scan_new(struct event_base *base,
                                void (*told)(enum sh_cause cause, void *user), void *user,
                                struct sh_bluez_scan **ret_scan)
{
    struct sh_bluez_scan *scan = calloc(1, sizeof(*scan));
    if (!scan)
        return SH_ENV_NO_MEMORY;
    scan->told = told;
    scan->user = user;
    scan->retry = evtimer_new(base, on_retry, scan);
    if (!scan->retry) {
        free(scan);
        return SH_ENV_NO_MEMORY;
    }
    *ret_scan = scan;
    return SH_OK;
}

void sh_bluez_scan_free(struct sh_bluez_scan *scan)
{
    if (!scan)
        return;
    sd_bus_slot_unref(scan->call);
    event_free(scan->retry);
    free(scan);
}

void sh_bluez_scan_on(struct sh_bluez_scan *scan, struct sh_bus *bus, const char *path)
{
    if (scan->bus != bus || strcmp(scan->adapter, path) != 0)
        sh_bluez_scan_lost(scan);
    scan->bus = bus;
    if (!sh_strcopy(scan->adapter, sizeof(scan->adapter), path))
        return;
    scan->wanted = true;
    if (!evtimer_pending(scan->retry, NULL))
        review(scan);
}

void sh_bluez_scan_off(struct sh_bluez_scan *scan)
{
    scan->wanted = false;
    event_del(scan->retry);
    review(scan);
}

void sh_bluez_scan_again(struct sh_bluez_scan *scan)
{
    if (scan->bus && scan->state == ON && call(scan, "StopDiscovery", on_stopped) == SH_OK)
        scan->state = STOPPING;
}

void sh_bluez_scan_lost(struct sh_bluez_scan *scan)
{
    scan->call = sd_bus_slot_unref(scan->call);
    event_del(scan->retry);
    scan->state = IDLE;
    scan->bus = NULL;
}

bool sh_bluez_scan_is_on(const struct sh_bluez_scan *scan)
{
    return scan->state == ON;
}

bool sh_bluez_scan_idle(const struct sh_bluez_scan *scan)
{
    return scan->state == IDLE;
}
