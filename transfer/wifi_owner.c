/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "transfer/wifi_owner.h"

#include <stdlib.h>

#include "proto/slow.h"
#include "system/bus.h"

struct sh_wifi_owner {
    void (*done)(bool iwd, void *user);
    void *user;
    struct sh_bus *bus;
    struct event *tell; /* at the latest after SH_WIFI_OWNER_MS */
    bool iwd;
};

static void on_tell(evutil_socket_t fd SH_UNUSED, short what SH_UNUSED, void *user)
{
    SH_SLOW("wifi owner");
    struct sh_wifi_owner *o = user;
    event_del(o->tell);
    o->done(o->iwd, o->user);
}

static void on_lost(enum sh_cause cause SH_UNUSED, void *user)
{
    event_active(((struct sh_wifi_owner *)user)->tell, EV_TIMEOUT, 1);
}

static int on_answer(sd_bus_message *reply, void *user, sd_bus_error *error SH_UNUSED)
{
    struct sh_wifi_owner *o = user;
    int has = 0;
    o->iwd = !sd_bus_message_is_method_error(reply, NULL) &&
             sd_bus_message_read(reply, "b", &has) >= 0 && has;
    event_active(o->tell, EV_TIMEOUT, 1);
    return 0;
}

static void unrefp(sd_bus_message **message)
{
    sd_bus_message_unref(*message);
}

static bool ask(struct sh_wifi_owner *o, struct event_base *base)
{
    SH_CLEANUP(unrefp) sd_bus_message *message = NULL;
    return sh_bus_open(base, on_lost, o, &o->bus) == SH_OK &&
           sd_bus_message_new_method_call(sh_bus_sd(o->bus), &message, "org.freedesktop.DBus",
                                          "/org/freedesktop/DBus", "org.freedesktop.DBus",
                                          "NameHasOwner") >= 0 &&
           sd_bus_message_append(message, "s", "net.connman.iwd") >= 0 &&
           sh_bus_call(o->bus, message, on_answer, o, SH_WIFI_OWNER_MS, NULL) == SH_OK;
}

enum sh_cause sh_wifi_owner_ask(struct event_base *base, void (*done)(bool iwd, void *user),
                                void *user, struct sh_wifi_owner **ret_owner)
{
    static const struct timeval limit = {.tv_usec = SH_WIFI_OWNER_MS * 1000};
    struct sh_wifi_owner *o = calloc(1, sizeof(*o));
    if (!o)
        return SH_ENV_NO_MEMORY;
    *o = (struct sh_wifi_owner){.done = done, .user = user};
    o->tell = event_new(base, -1, 0, on_tell, o);
    if (!o->tell || event_add(o->tell, &limit) < 0) {
        sh_wifi_owner_free(o);
        return SH_ENV_NO_MEMORY;
    }
    if (!ask(o, base))
        event_active(o->tell, EV_TIMEOUT, 1);
    *ret_owner = o;
    return SH_OK;
}

void sh_wifi_owner_free(struct sh_wifi_owner *o)
{
    if (!o)
        return;
    sh_bus_free(o->bus);
    if (o->tell)
        event_free(o->tell);
    free(o);
}
