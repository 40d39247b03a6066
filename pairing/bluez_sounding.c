/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "pairing/bluez_sounding.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pairing/bluez_daemon.h"
#include "pairing/bluez_read.h"
#include "pairing/sounding_parse.h"
#include "proto/log.h"
#include "proto/slow.h"

#define PROPERTIES "org.freedesktop.DBus.Properties"
#define OBJECTS    "org.freedesktop.DBus.ObjectManager"
#define CALL_MS    5000
#define LATE_MS    1000 /* than the measurement's own end */

/* Tones with round trips in between (main mode 2, sub mode 1). Either role stays allowed: the other side may want to measure
 * next. */
#define ROLE_BOTH 3
#define MAIN_MODE 2
#define SUB_MODE  1

enum state { ASKING, STARTING, ON, NONE };

struct sh_bluez_sounding {
    struct sh_bus *bus;
    const struct sh_bluez_sounding_ops *ops;
    void *user;
    char device[SH_BLUEZ_PATH];
    unsigned seconds;
    enum state state;
    bool ours;      /* we started it */
    bool told_none; /* once is enough */
    sd_bus_slot *match[4];
    sd_bus_slot *call;  /* the one under way */
    struct event *late; /* bluetoothd does not tell that it is over */
    struct sh_sounding *engine;
};

/* ---- what comes of it ---- */

/* The last thing that a handler does: the sounding may be gone after it. */
static int none(struct sh_bluez_sounding *sounding, enum sh_cause cause)
{
    sounding->state = NONE;
    sounding->ours = false;
    event_del(sounding->late);
    if (sounding->told_none)
        return 1;
    sounding->told_none = true;
    sh_log("bluez: no distance by Channel Sounding: %s", sh_detail());
    sounding->ops->none(cause, sounding->user);
    return 1;
}

static int on_data(sd_bus_message *signal, void *user, sd_bus_error *error SH_UNUSED)
{
    struct sh_bluez_sounding *sounding = user;
    const void *octets = NULL;
    size_t n = 0;
    struct sh_sounding_reader reader;
    struct sh_sounding_step step;
    if (sd_bus_message_read_array(signal, 'y', &octets, &n) < 0 ||
        !sh_sounding_reader_open(SH_BYTES(octets, n), &reader)) {
        sh_log("bluez: a procedure of Channel Sounding that cannot be read");
        return 0;
    }
    while (sh_sounding_reader_next(&reader, &step))
        sh_sounding_add(sounding->engine, &step);
    sh_sounding_complete(sounding->engine);
    struct sh_sounding_estimate estimate = sh_sounding_now(sounding->engine);
    sh_log("bluez: sounding %u: %s, phase %.2f m, time %.2f m (%u channels, %u round trips)",
           reader.counter, sh_sounding_verdict_name(estimate.verdict), estimate.phase_m,
           estimate.time_m, estimate.channels, estimate.round_trips);
    sounding->ops->distance(estimate.metres, estimate.sd_m, &estimate, sounding->user);
    return 0;
}

/* ---- starting ---- */

static void stop(struct sh_bluez_sounding *sounding)
{
    sd_bus_message *m = NULL;
    if (sh_bluez_message(sounding->bus, sounding->device, SH_BLUEZ_SOUNDING, "StopMeasurement",
                         &m) != SH_OK)
        return;
    sd_bus_message_set_expect_reply(m, false);
    if (sd_bus_send(sh_bus_sd(sounding->bus), m, NULL) < 0)
        sh_log("bluez: Channel Sounding goes on");
    sh_bus_kick(sounding->bus);
    sd_bus_message_unref(m);
}

/* The one call of the state that it begins. */
static enum sh_cause call(struct sh_bluez_sounding *sounding, sd_bus_message *m,
                          sd_bus_message_handler_t answered, enum state state)
{
    SH_TRY(sh_bus_call(sounding->bus, m, answered, sounding, CALL_MS, &sounding->call));
    sounding->state = state;
    return SH_OK;
}

static int on_started(sd_bus_message *answer, void *user, sd_bus_error *error SH_UNUSED)
{
    struct sh_bluez_sounding *sounding = user;
    sounding->call = sd_bus_slot_unref(sounding->call);
    const sd_bus_error *refused = sd_bus_message_get_error(answer);
    /* Somebody measures already; what they measure is told to all. */
    bool running = refused && strcmp(refused->name, "org.bluez.Error.InProgress") == 0;
    enum sh_cause cause = running ? SH_OK : sh_bluez_error(answer, "StartMeasurement");
    if (sh_bus_unanswered(answer))
        stop(sounding); /* it may begin yet */
    if (cause != SH_OK)
        return none(sounding, cause);
    const struct timeval end = {.tv_sec = sounding->seconds + LATE_MS / 1000};
    event_add(sounding->late, &end);
    sounding->ours = !running;
    sounding->state = ON;
    sh_log("bluez: Channel Sounding %s", running ? "runs already" : "runs");
    return 1;
}

static enum sh_cause start(struct sh_bluez_sounding *sounding)
{
    sd_bus_message *m = NULL;
    SH_TRY(sh_bluez_message(sounding->bus, sounding->device, SH_BLUEZ_SOUNDING, "StartMeasurement",
                            &m));
    enum sh_cause cause = SH_ENV_NO_MEMORY;
    if (sd_bus_message_append(m, "a{sv}", 4, "duration_secs", "u", (uint32_t)sounding->seconds,
                              "role", "y", ROLE_BOTH, "main_mode_type", "y", MAIN_MODE,
                              "sub_mode_type", "y", SUB_MODE) >= 0)
        cause = call(sounding, m, on_started, STARTING);
    sd_bus_message_unref(m);
    return cause;
}

static int on_asked(sd_bus_message *answer, void *user, sd_bus_error *error SH_UNUSED)
{
    struct sh_bluez_sounding *sounding = user;
    sounding->call = sd_bus_slot_unref(sounding->call);
    enum sh_cause cause = sh_bluez_error(answer, SH_BLUEZ_SOUNDING);
    if (cause == SH_OK)
        cause = start(sounding);
    return cause == SH_OK ? 1 : none(sounding, cause);
}

/* A property of the interface is asked for: the answer is an error where there is no such interface. */
static enum sh_cause ask(struct sh_bluez_sounding *sounding)
{
    sd_bus_message *m = NULL;
    SH_TRY(sh_bluez_message(sounding->bus, sounding->device, PROPERTIES, "Get", &m));
    enum sh_cause cause = SH_ENV_NO_MEMORY;
    if (sd_bus_message_append(m, "ss", SH_BLUEZ_SOUNDING, "Active") >= 0)
        cause = call(sounding, m, on_asked, ASKING);
    sd_bus_message_unref(m);
    return cause;
}

static void on_late(evutil_socket_t fd SH_UNUSED, short what SH_UNUSED, void *user)
{
    SH_SLOW("bluez sounding");
    struct sh_bluez_sounding *sounding = user;
    if (sounding->ours)
        stop(sounding);
    none(sounding, sh_fail(SH_BLUETOOTH_REFUSED, "the measurement came to no end"));
}

/* ---- what becomes of the interface ---- */

static int on_added(sd_bus_message *signal, void *user, sd_bus_error *error SH_UNUSED)
{
    struct sh_bluez_sounding *sounding = user;
    const char *path = NULL;
    bool there = false;
    if (sd_bus_message_read_basic(signal, 'o', &path) <= 0 || strcmp(path, sounding->device) != 0 ||
        !sh_bluez_enter(signal, 'a', "{sa{sv}}"))
        return 0;
    while (sh_bluez_enter(signal, 'e', "sa{sv}")) {
        const char *interface = NULL;
        there = there || (sd_bus_message_read_basic(signal, 's', &interface) > 0 &&
                          strcmp(interface, SH_BLUEZ_SOUNDING) == 0);
        if (!sh_bluez_leave(signal))
            break;
    }
    if (there && sounding->state == NONE && ask(sounding) != SH_OK)
        sh_log("bluez: Channel Sounding cannot be asked for");
    return 0;
}

static int on_removed(sd_bus_message *signal, void *user, sd_bus_error *error SH_UNUSED)
{
    struct sh_bluez_sounding *sounding = user;
    const char *path = NULL, *interface = NULL;
    if (sd_bus_message_read_basic(signal, 'o', &path) <= 0 || strcmp(path, sounding->device) != 0 ||
        !sh_bluez_enter(signal, 'a', "s"))
        return 0;
    while (sd_bus_message_read_basic(signal, 's', &interface) > 0) {
        if (strcmp(interface, SH_BLUEZ_SOUNDING) != 0)
            continue;
        sounding->call = sd_bus_slot_unref(sounding->call);
        none(sounding, sh_fail(SH_BLUETOOTH_REFUSED, "%s is gone", SH_BLUEZ_SOUNDING));
        break;
    }
    return 0;
}

static void see_active(sd_bus_message *m, const char *key, void *user)
{
    bool *over = user;
    bool active = true;
    if (strcmp(key, "Active") == 0 && sh_bluez_read_bool(m, &active))
        *over = !active;
}

static int on_changed(sd_bus_message *signal, void *user, sd_bus_error *error SH_UNUSED)
{
    struct sh_bluez_sounding *sounding = user;
    const char *interface = NULL;
    bool over = false;
    if (sounding->state != ON || sd_bus_message_read_basic(signal, 's', &interface) <= 0 ||
        strcmp(interface, SH_BLUEZ_SOUNDING) != 0)
        return 0;
    sh_bluez_each_property(signal, see_active, &over);
    if (over)
        none(sounding, sh_fail(SH_BLUETOOTH_REFUSED, "the measurement is over"));
    return 0;
}

static enum sh_cause watch(struct sh_bluez_sounding *sounding)
{
    static const struct {
        const char *interface, *member, *path; /* NULL: the device's */
        sd_bus_message_handler_t handler;
    } signals[] = {
        {SH_BLUEZ_SOUNDING, "ProcedureData", NULL, on_data},
        {PROPERTIES, "PropertiesChanged", NULL, on_changed},
        {OBJECTS, "InterfacesAdded", "/", on_added},
        {OBJECTS, "InterfacesRemoved", "/", on_removed},
    };
    for (size_t i = 0; i < SH_COUNT(signals); i++) {
        char rule[384];
        snprintf(rule, sizeof(rule),
                 "type='signal',sender='" SH_BLUEZ_NAME "',interface='%s',member='%s',path='%s'",
                 signals[i].interface, signals[i].member,
                 signals[i].path ? signals[i].path : sounding->device);
        SH_TRY(
            sh_bus_match(sounding->bus, rule, signals[i].handler, sounding, &sounding->match[i]));
    }
    return SH_OK;
}

/* ---- life ---- */

enum sh_cause sh_bluez_sounding_new(struct sh_bus *bus, const char *device, unsigned seconds,
                                    const struct sh_bluez_sounding_ops *ops, void *user,
                                    struct sh_bluez_sounding **ret_sounding)
{
    struct sh_bluez_sounding *sounding = calloc(1, sizeof(*sounding));
    if (!sounding)
        return SH_ENV_NO_MEMORY;
    *sounding = (struct sh_bluez_sounding){
        .bus = bus, .ops = ops, .user = user, .seconds = seconds, .engine = sh_sounding_new()};
    sounding->late = evtimer_new(sh_bus_base(bus), on_late, sounding);
    enum sh_cause cause = sounding->engine && sounding->late ? SH_OK : SH_ENV_NO_MEMORY;
    if (!sh_strcopy(sounding->device, sizeof(sounding->device), device))
        cause = sh_fail(SH_BLUETOOTH_REFUSED, "%s: no path of a device", device);
    if (cause == SH_OK)
        cause = watch(sounding);
    if (cause == SH_OK)
        cause = ask(sounding);
    if (cause != SH_OK) {
        sh_bluez_sounding_free(sounding);
        return cause;
    }
    *ret_sounding = sounding;
    return SH_OK;
}

void sh_bluez_sounding_free(struct sh_bluez_sounding *sounding)
{
    if (!sounding)
        return;
    sd_bus_slot_unref(sounding->call);
    for (size_t i = 0; i < SH_COUNT(sounding->match); i++)
        sd_bus_slot_unref(sounding->match[i]);
    /* While it starts it is not known whose it is; one of somebody else ends once in a while. */
    if (sounding->state == STARTING || sounding->ours)
        stop(sounding);
    if (sounding->late)
        event_free(sounding->late);
    sh_sounding_free(sounding->engine);
    free(sounding);
}
