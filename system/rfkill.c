/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "system/rfkill.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/slow.h"
#include "system/rfkill_table.h"

#define DEVICE      "/dev/rfkill"
#define NAMES       "/sys/class/rfkill"
#define EVENTS_A_GO 256 /* more than a machine has switches; then others have their turn */

struct sh_rfkill_watch {
    struct sh_rfkill_table table;
    const char *folder;
    int fd;
    struct event *event; /* NULL: nothing to watch */
    void (*changed)(const struct sh_rfkill states[SH_RFKILL_TYPES], void *user);
    void *user;
};

/* Takes what the device has to say now. A read is one event; the kernel cuts it to what is asked for. false: it says no more,
 * ever. */
static bool drain(int fd, struct sh_rfkill_table *table, bool *ret_changed)
{
    for (unsigned i = 0; i < EVENTS_A_GO; i++) {
        uint8_t bytes[SH_RFKILL_EVENT];
        struct sh_rfkill_event event;
        ssize_t n = read(fd, bytes, sizeof(bytes));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 && errno == EAGAIN;
        if (sh_rfkill_event_read(SH_BYTES(bytes, n), &event))
            *ret_changed |= sh_rfkill_table_apply(table, &event);
    }
    return true;
}

static int open_device(const char *path)
{
    return open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
}

void sh_rfkill_read_at(const char *path, const char *folder,
                       struct sh_rfkill ret_states[SH_RFKILL_TYPES])
{
    struct sh_rfkill_table table = {.count = 0};
    bool changed = false;
    sh_autoclose int fd = open_device(path);
    if (fd >= 0)
        drain(fd, &table, &changed);
    sh_rfkill_table_sum(&table, folder, ret_states);
}

void sh_rfkill_read(const char *path, struct sh_rfkill ret_states[SH_RFKILL_TYPES])
{
    sh_rfkill_read_at(path ? path : DEVICE, NAMES, ret_states);
}

/* Is name one of "hci0, hp-bluetooth"? */
static bool is_listed(const char *list, const char *name)
{
    size_t n = strlen(name);
    for (const char *at = list; *at;) {
        size_t len = strcspn(at, ",");
        if (len == n && strncmp(at, name, n) == 0)
            return true;
        at += len;
        at += strspn(at, ", ");
    }
    return false;
}

enum sh_cause sh_rfkill_cause(const struct sh_rfkill states[SH_RFKILL_TYPES],
                              enum sh_rfkill_type type, const char *radio)
{
    static const enum sh_cause soft[] = {SH_WIFI_RFKILL_SOFT, SH_BLUETOOTH_RFKILL_SOFT},
                               hard[] = {SH_WIFI_RFKILL_HARD, SH_BLUETOOTH_RFKILL_HARD};
    const struct sh_rfkill *state = &states[type];
    bool own = radio && radio[0] && is_listed(state->blocked, radio);
    if (!own && (state->switches == 0 || state->shut < state->switches))
        return SH_OK;
    return sh_fail(state->hard > 0 ? hard[type] : soft[type], "%s", state->blocked);
}

static void on_event(evutil_socket_t fd, short what SH_UNUSED, void *user)
{
    SH_SLOW("rfkill");
    struct sh_rfkill_watch *watch = user;
    struct sh_rfkill states[SH_RFKILL_TYPES];
    bool changed = false;
    if (!drain(fd, &watch->table, &changed))
        event_del(watch->event);
    if (!changed)
        return;
    sh_rfkill_table_sum(&watch->table, watch->folder, states);
    watch->changed(states, watch->user); /* may free the watch */
}

enum sh_cause sh_rfkill_watch_at(struct event_base *base, const char *path, const char *folder,
                                 void (*changed)(const struct sh_rfkill states[SH_RFKILL_TYPES],
                                                 void *user),
                                 void *user, struct sh_rfkill_watch **ret_watch)
{
    struct sh_rfkill_watch *watch = calloc(1, sizeof(*watch));
    if (!watch)
        return SH_ENV_NO_MEMORY;
    *watch = (struct sh_rfkill_watch){
        .folder = folder, .fd = open_device(path), .changed = changed, .user = user};
    if (watch->fd >= 0) {
        watch->event = event_new(base, watch->fd, EV_READ | EV_PERSIST, on_event, watch);
        if (!watch->event) {
            sh_rfkill_watch_free(watch);
            return SH_ENV_NO_MEMORY;
        }
        event_add(watch->event,
                  NULL); /* refused for a file that cannot be polled: then nothing changes */
    }
    *ret_watch = watch;
    return SH_OK;
}

enum sh_cause sh_rfkill_watch_new(struct event_base *base,
                                  void (*changed)(const struct sh_rfkill states[SH_RFKILL_TYPES],
                                                  void *user),
                                  void *user, struct sh_rfkill_watch **ret_watch)
{
    return sh_rfkill_watch_at(base, DEVICE, NAMES, changed, user, ret_watch);
}

void sh_rfkill_watch_free(struct sh_rfkill_watch *watch)
{
    if (!watch)
        return;
    if (watch->event)
        event_free(watch->event);
    if (watch->fd >= 0)
        close(watch->fd);
    free(watch);
}
