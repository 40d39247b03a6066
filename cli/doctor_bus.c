/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <event2/event.h>
#include <stdio.h>
#include <string.h>

#include "cli/doctor.h"
#include "pairing/bluez_read.h"
#include "system/bus.h"

#define DBUS   "org.freedesktop.DBus"
#define FILTER "DuplicateData"

/* A round of questions; the loop runs until all are answered, lost or late. */
struct round {
    struct sh_doctor_bus *result;
    struct event_base *base;
    struct sh_bus *bus;
    unsigned open; /* questions */
};

static void keep(enum sh_cause cause, enum sh_cause *ret_cause, char detail[256])
{
    *ret_cause = cause;
    snprintf(detail, 256, "%s", sh_detail());
    sh_detail_clear();
}

static void on_lost(enum sh_cause cause, void *user)
{
    struct round *round = user;
    keep(cause, &round->result->cause, round->result->detail);
    event_base_loopbreak(round->base);
}

/* Nobody is started by being asked. */
static void ask(struct round *round, sd_bus_message *m, int error,
                sd_bus_message_handler_t answered, void *user)
{
    if (error >= 0)
        error = sd_bus_message_set_auto_start(m, 0);
    if (error >= 0 && sh_bus_call(round->bus, m, answered, user, SH_DOCTOR_ASK_MS, NULL) == SH_OK)
        round->open++;
    sd_bus_message_unref(m);
}

static void answered_one(struct round *round)
{
    if (--round->open == 0)
        event_base_loopbreak(round->base);
}

/* ---- Who is there ---- */

struct who {
    struct round *round;
    const char *name;
    bool *ret_there;
};

static int on_owner(sd_bus_message *m, void *user, sd_bus_error *error SH_UNUSED)
{
    const struct who *who = user;
    int there = 0;
    if (!sd_bus_message_is_method_error(m, NULL) && sd_bus_message_read_basic(m, 'b', &there) > 0)
        *who->ret_there = there != 0;
    answered_one(who->round);
    return 0;
}

static void ask_owner(struct who *who)
{
    sd_bus_message *m = NULL;
    int r = sd_bus_message_new_method_call(sh_bus_sd(who->round->bus), &m, DBUS,
                                           "/org/freedesktop/DBus", DBUS, "NameHasOwner");
    if (r >= 0)
        r = sd_bus_message_append(m, "s", who->name);
    ask(who->round, m, r, on_owner, who);
}

/* ---- bluetoothd ---- */

static int on_filters(sd_bus_message *m, void *user, sd_bus_error *error SH_UNUSED)
{
    struct round *round = user;
    const char *filter;
    round->result->filters_known = !sd_bus_message_is_method_error(m, NULL);
    if (round->result->filters_known && sd_bus_message_enter_container(m, 'a', "s") > 0) {
        while (sd_bus_message_read_basic(m, 's', &filter) > 0)
            round->result->duplicate_data |= strcmp(filter, FILTER) == 0;
    }
    answered_one(round);
    return 0;
}

static void ask_filters(struct round *round)
{
    sd_bus_message *m = NULL;
    if (sh_bluez_adapter_count(round->result->objects) == 0)
        return;
    int r = sd_bus_message_new_method_call(sh_bus_sd(round->bus), &m, SH_BLUEZ_NAME,
                                           sh_bluez_adapter_at(round->result->objects, 0)->path,
                                           SH_BLUEZ_ADAPTER, "GetDiscoveryFilters");
    ask(round, m, r, on_filters, round);
}

static enum sh_cause take_objects(struct sh_doctor_bus *result, sd_bus_message *m)
{
    const sd_bus_error *error = sd_bus_message_get_error(m);
    if (sd_bus_error_has_name(error, SD_BUS_ERROR_ACCESS_DENIED))
        return sh_fail(SH_BLUETOOTH_PERMISSION, "the system bus lets this user not talk to %s",
                       SH_BLUEZ_NAME);
    if (sd_bus_error_has_name(error, SD_BUS_ERROR_NO_REPLY) ||
        sd_bus_error_has_name(error, SD_BUS_ERROR_TIMEOUT))
        return sh_fail(SH_BLUETOOTH_REFUSED, "bluetoothd hangs: no answer within %u s",
                       SH_DOCTOR_ASK_MS / 1000);
    if (sd_bus_error_has_name(error, SD_BUS_ERROR_NAME_HAS_NO_OWNER) ||
        sd_bus_error_has_name(error, SD_BUS_ERROR_SERVICE_UNKNOWN))
        return sh_fail(SH_BLUETOOTH_NO_DAEMON, "nobody is %s on the system bus", SH_BLUEZ_NAME);
    struct sh_bluez *objects = NULL;
    SH_TRY(sh_bluez_new(&objects));
    enum sh_cause cause = sh_bluez_managed(objects, m);
    if (cause == SH_OK)
        result->objects = objects;
    else
        sh_bluez_free(objects);
    return cause;
}

static int on_objects(sd_bus_message *m, void *user, sd_bus_error *error SH_UNUSED)
{
    struct round *round = user;
    enum sh_cause cause = take_objects(round->result, m);
    keep(cause, &round->result->objects_cause, round->result->objects_detail);
    if (cause == SH_OK)
        ask_filters(round);
    answered_one(round);
    return 0;
}

static void ask_objects(struct round *round)
{
    sd_bus_message *m = NULL;
    int r =
        sd_bus_message_new_method_call(sh_bus_sd(round->bus), &m, SH_BLUEZ_NAME, "/",
                                       "org.freedesktop.DBus.ObjectManager", "GetManagedObjects");
    ask(round, m, r, on_objects, round);
}

/* ---- The round ---- */

static enum sh_cause run_round(struct round *round)
{
    struct who names[] = {
        {round, SH_BLUEZ_NAME, &round->result->bluetoothd},
        {round, "org.freedesktop.NetworkManager", &round->result->network_manager},
        {round, "net.connman.iwd", &round->result->iwd},
        {round, "fi.w1.wpa_supplicant1", &round->result->supplicant},
    };
    SH_TRY(sh_bus_open(round->base, on_lost, round, &round->bus));
    for (size_t i = 0; i < SH_COUNT(names); i++)
        ask_owner(&names[i]);
    ask_objects(round);
    /* Every question has a limit, and so has the connection: this ends. */
    if (round->open > 0)
        /* waits: each call has its time limit, and doctor as a whole has an alarm */
        event_base_dispatch(round->base);
    sh_bus_free(round->bus);
    return SH_OK;
}

const struct sh_doctor_bus *sh_doctor_bus(struct sh_doctor *doctor)
{
    struct sh_doctor_bus *bus = &doctor->bus;
    if (bus->asked)
        return bus;
    *bus = (struct sh_doctor_bus){.asked = true};
    struct round round = {.result = bus, .base = event_base_new()};
    enum sh_cause cause = round.base ? run_round(&round) : SH_ENV_NO_MEMORY;
    if (cause != SH_OK)
        keep(cause, &bus->cause, bus->detail);
    if (round.base)
        event_base_free(round.base);
    return bus;
}

void sh_doctor_bus_clear(struct sh_doctor_bus *bus)
{
    sh_bluez_free(bus->objects);
    *bus = (struct sh_doctor_bus){0};
}
